"""Spectra as images: an anti-aliased curve, a Gramian angular field or a recurrence plot, many spectra at once.

Abdo et al. 2024 (10.5815/ijisa.2024.04.02) classify pictures of spectra; the Gramian angular summation field is
that of Wang & Oates 2015 (arXiv:1506.00041), the recurrence plot that of Eckmann et al. 1987
(10.1209/0295-5075/4/9/004), here with distances instead of a threshold.
"""

from __future__ import annotations

import numpy as np

from ftirlib.errors import DataError, SettingsError

KINDS = ("line", "gramian", "recurrence")
SMALLEST = 32  # pixels; the backbones halve an image five times
BLOCK = 16  # images drawn at once: at 224 pixels they and their scratch fit a processor's cache


class Raster:
    """Draws spectra as square grey images, by array arithmetic and without a plotting library.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, strictly ascending
        Need not be even. It is drawn from high to low, as spectra are.
    size : int
        Height and width in pixels, at least 32.
    kind : {"line", "gramian", "recurrence"}
        ``line``: the spectrum as a dark curve (0) on white (1). ``gramian``: the angular summation field, cos of the
        sum of two angles whose cosines are the spectrum at two wavenumbers, mapped to 0-1. ``recurrence``: the
        distance between the spectrum at two wavenumbers.
    line_width : float, pixels
        Vertical thickness of the curve; for ``kind="line"`` only.

    Raises
    ------
    SettingsError
        A size below 32 (0 included), an unknown kind, or a line that is not between 0 and the image's height.
    DataError
        An axis that does not ascend.

    Notes
    -----
    Every spectrum is stretched from its own lowest to its own highest absorbance, so an image shows shape; how much
    substance there was is left to the other features. In each column of pixels the curve covers the interval that the
    polyline sweeps there, widened by half the line width at both ends; a pixel's darkness is the share of its height
    that is covered, which is exact down to steep flanks and single-point peaks and needs no supersampling.

    Examples
    --------
    >>> raster = Raster(np.arange(1000.0, 1801.0), size=64)
    >>> raster.render(np.random.default_rng(0).standard_normal((3, 801))).shape
    (3, 64, 64)
    """

    def __init__(self, wavenumber, *, size: int = 224, kind: str = "line", line_width: float = 1.5):
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < SMALLEST:
            raise SettingsError(
                f"the image size is {size!r}; it must be a whole number of at least {SMALLEST} pixels, below which "
                "the backbones have nothing left to look at."
            )
        if kind not in KINDS:
            raise SettingsError(f"the kind of image is {kind!r}; choose one of {', '.join(KINDS)}.")
        if not 0 < line_width < size:
            raise SettingsError(f"line_width is {line_width}; it must be above 0 and below the image's {size} pixels.")
        axis = np.asarray(wavenumber, np.float64)
        if axis.ndim != 1 or axis.size < 2 or not np.isfinite(axis).all() or not (np.diff(axis) > 0).all():
            raise DataError(
                f"the wavenumbers, shape {axis.shape}, must be finite and ascend; sort the spectra by them."
            )
        self.size, self.kind, self.line_width = int(size), kind, float(line_width)
        self.n_wavenumbers = axis.size
        # columns from left (high wavenumber) to right; knots are the spectrum's points and the columns' edges
        x = (axis[-1] - axis[::-1]) / (axis[-1] - axis[0]) * size
        edges = np.arange(size + 1.0)
        left = np.clip(np.searchsorted(x, edges, side="right") - 1, 0, axis.size - 2)
        self._left, self._share = left, ((edges - x[left]) / (x[left + 1] - x[left])).astype(np.float32)
        self._x = x
        order = np.argsort(np.concatenate([x, edges]), kind="stable")
        self._order = order
        self._edge_at = np.argsort(order)[axis.size :]  # where each edge lies among the knots

    def render(self, spectra) -> np.ndarray:
        """Images (n_spectra, size, size) float32 in 0-1 of spectra (n_spectra, n_wavenumbers).

        Raises
        ------
        DataError
            Another number of wavenumbers, NaN, or a constant spectrum, which has no shape to draw.
        """
        spectra = self._check(spectra)
        images = np.empty((len(spectra), self.size, self.size), np.float32)
        draw = {"line": self._draw_lines, "gramian": self._draw_gramian, "recurrence": self._draw_recurrence}[self.kind]
        for start in range(0, len(spectra), BLOCK):
            block = spectra[start : start + BLOCK, ::-1]
            low, high = block.min(axis=1, keepdims=True), block.max(axis=1, keepdims=True)
            draw(((block - low) / (high - low)).astype(np.float32), images[start : start + BLOCK])
        return images

    def _check(self, spectra) -> np.ndarray:
        spectra = np.asarray(spectra, np.float64)
        if spectra.ndim != 2 or spectra.shape[1] != self.n_wavenumbers:
            raise DataError(
                f"spectra have shape {spectra.shape}; to be drawn they must be (spectra, {self.n_wavenumbers})."
            )
        check_drawable(spectra)
        return spectra

    def _edges(self, block) -> np.ndarray:
        """The polyline at the columns' edges, (n, size + 1)."""
        return block[:, self._left] * (1 - self._share) + block[:, self._left + 1] * self._share

    def _draw_lines(self, block, out) -> None:
        edges = self._edges(block)
        knots = np.concatenate([block, edges], axis=1)[:, self._order]
        starts = self._edge_at[:-1]
        # reduceat stops before the next edge, which belongs to both columns; past the last edge nothing is left
        last = self._edge_at[-1]
        low = np.minimum(np.minimum.reduceat(knots[:, :last], starts, axis=1), edges[:, 1:])
        high = np.maximum(np.maximum.reduceat(knots[:, :last], starts, axis=1), edges[:, 1:])
        half, room = self.line_width / 2, self.size - self.line_width
        top = (1 - high) * room  # pixels from the upper edge; the curve keeps half a line of margin
        bottom = (1 - low) * room + 2 * half
        rows = np.arange(self.size, dtype=np.float32)[:, None]
        # covered share of the pixel from row to row + 1: min(bottom, row + 1) - max(top, row), if above zero
        np.minimum(bottom[:, None, :], rows + 1, out=out)
        out -= np.maximum(top[:, None, :], rows)
        np.maximum(out, 0, out=out)
        np.subtract(1, out, out=out)

    def _column_means(self, block) -> np.ndarray:
        """Mean of the polyline over each column, (n, size): the piecewise aggregate of Wang & Oates."""
        steps = np.diff(self._x)
        area = np.zeros(block.shape)
        np.cumsum((block[:, 1:] + block[:, :-1]) / 2 * steps, axis=1, out=area[:, 1:])
        part = self._share * steps[self._left]  # from the point on an edge's left to the edge
        until = area[:, self._left] + (block[:, self._left] + self._edges(block)) / 2 * part
        return np.diff(until, axis=1).astype(np.float32)

    def _draw_gramian(self, block, out) -> None:
        cosine = np.clip(2 * self._column_means(block) - 1, -1, 1)  # rounding only: a mean of 0-1 is in 0-1
        sine = np.sqrt(1 - cosine**2)
        np.multiply(cosine[:, :, None], cosine[:, None, :], out=out)
        out -= sine[:, :, None] * sine[:, None, :]
        out += 1
        out *= 0.5

    def _draw_recurrence(self, block, out) -> None:
        value = self._column_means(block)
        np.subtract(value[:, :, None], value[:, None, :], out=out)
        np.abs(out, out=out)


def check_drawable(spectra: np.ndarray) -> None:
    """Refuse spectra that hold NaN or infinite values, or that are constant, naming the first.

    Raises
    ------
    DataError
    """
    bad = ~np.isfinite(spectra).all(axis=1)
    if bad.any():
        raise DataError(
            f"{int(bad.sum())} of {len(spectra)} spectra hold NaN or infinite values, the first is number "
            f"{int(bad.argmax())}; cut those wavenumbers or leave those spectra out."
        )
    flat = spectra.max(axis=1) == spectra.min(axis=1)
    if flat.any():
        raise DataError(
            f"{int(flat.sum())} of {len(spectra)} spectra are constant, the first is number {int(flat.argmax())}; a "
            "constant has no shape to classify (a dead pixel?): leave it out."
        )
