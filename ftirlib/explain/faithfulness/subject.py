"""Explanations beside the spectra they explain, checked against each other and read in blocks.

Units of the weights as in the `lime` package (Ribeiro et al. 2016, doi:10.1145/2939672.2939778).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import numpy as np

from ftirlib.errors import DataError, SettingsError
from ftirlib.explain.attribution import Attribution
from ftirlib.explain.lime.forward import Forward
from ftirlib.explain.lime.inputs import SpectraTable

ROWS = 4096  # perturbed spectra held at a time: 26 MB of float64 at 801 wavenumbers
STORED = 1024  # explanations read from disk at a time
BINNED, CONTINUOUS = ("quartile", "decile"), ("instance", "mean", "limit")


class ExplainedSpectra:
    """Explanations and their spectra.

    Parameters
    ----------
    attribution : Attribution, or path of its Zarr store
        A store is read piece by piece.
    spectra : (n_spectra, n_wavenumbers) array or data set
        The explained spectra; `Attribution.rows` are positions in it.

    Raises
    ------
    DataError
        When there are no explanations, or axis, weights or rows do not fit the spectra.
    """

    def __init__(self, attribution: Attribution | str | os.PathLike, spectra):
        self._attribution = attribution
        self._table = SpectraTable(spectra, None, "spectra")
        first = next(self._pieces(1), None)
        if first is None:
            raise DataError("there are no explanations to measure; explain at least one spectrum.")
        self.n_labels, self.n_wavenumbers = first.weights.shape[1:]
        self.settings = dict(first.settings)
        self.axis = first.wavenumber
        self._table.check_axis("explanations", self.n_wavenumbers, self.axis, "give the spectra that were explained")
        if self.axis is None:
            self.axis = self._table.axis

    def _pieces(self, size: int) -> Iterator[Attribution]:
        """At most `size` explanations at a time."""
        if isinstance(self._attribution, Attribution):
            for start in range(0, len(self._attribution), size):
                yield self._attribution.select(slice(start, start + size))
            return
        start, read = 0, max(size, STORED)
        while len(stored := Attribution.load(self._attribution, slice(start, start + read))):
            for begin in range(0, len(stored), size):
                yield stored.select(slice(begin, begin + size))
            start += read

    def blocks(self, rows_each: int) -> Iterator[tuple[Attribution, np.ndarray]]:
        """Blocks of explanations and their (n, n_wavenumbers) float64 spectra, `ROWS` / `rows_each` at a time."""
        for piece in self._pieces(max(1, ROWS // rows_each)):
            if not np.isfinite(piece.weights).all():
                bad = ~np.isfinite(piece.weights).all(axis=(1, 2))
                raise DataError(
                    f"the weights of spectrum {piece.rows[bad.argmax()]} are not finite; explain it again or drop it."
                )
            if piece.rows.min() < 0 or piece.rows.max() >= self._table.n:
                raise DataError(
                    f"the explanations are of rows {piece.rows.min()}..{piece.rows.max()}, but there are "
                    f"{self._table.n} spectra; give the data set that was explained, not a part of it."
                )
            order = np.argsort(piece.rows, kind="stable")
            spectra = np.empty((len(piece), self.n_wavenumbers))
            spectra[order] = self._table.read(piece.rows[order])
            yield piece, spectra

    def check_vector(self, values, name: str, *, positive: bool = False) -> np.ndarray:
        """`values` as (n_wavenumbers,) float64, finite and, where asked, positive."""
        values = np.asarray(values, np.float64)
        if values.shape != (self.n_wavenumbers,):
            raise DataError(
                f"{name} has shape {values.shape}; the explanations ask for ({self.n_wavenumbers},), one value per "
                "wavenumber."
            )
        if not np.isfinite(values).all() or (positive and (values <= 0).any()):
            raise DataError(f"{name} must be {'positive and ' * positive}finite at every wavenumber; this one is not.")
        return values


def check_units(settings: Mapping, scale, *, needed: bool) -> None:
    """Raise SettingsError for a scale with weights of a binned mode, or a `needed` one missing in a continuous mode."""
    mode = settings.get("mode")
    if mode in BINNED and scale is not None:
        raise SettingsError(
            f"weights of mode {mode!r} are gains from staying in a bin, not changes per standard deviation; leave "
            "scale out (and use curves or BandRemoval)."
        )
    if needed and mode in CONTINUOUS and scale is None:
        raise SettingsError(
            f"weights of mode {mode!r} are per standard deviation of the background; give its scale, as "
            "reference_and_scale(background) returns it."
        )


def check_count(value, lowest: int, name: str) -> int:
    """`value` as int, a whole number of at least `lowest`; else a SettingsError."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
        raise SettingsError(f"{name} must be a whole number of at least {lowest}, not {value!r}.")
    return int(value)


def check_radius(value, name: str) -> float:
    """`value` as float, positive and finite; else a SettingsError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < np.inf:
        raise SettingsError(f"{name} must be a positive number of standard deviations, not {value!r}.")
    return float(value)


def generators(random_state: int, rows: np.ndarray) -> list[np.random.Generator]:
    """A random generator per spectrum, seeded by the seed and the spectrum's row alone."""
    return [np.random.default_rng([random_state, int(row)]) for row in rows]


def label_probabilities(forward: Forward, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probability of each spectrum's explained labels at perturbed spectra.

    Parameters
    ----------
    forward : Forward
    rows : (n, n_labels or 1, k, n_wavenumbers) array
        Second axis of length 1: all labels share the perturbed spectra.
    labels : (n, n_labels) int

    Returns
    -------
    (n, n_labels, k) array
    """
    n, n_shared, k, p = rows.shape
    probabilities = forward(rows.reshape(-1, p)).reshape(n, n_shared, k, -1)
    n_classes = probabilities.shape[-1]
    if labels.min() < 0 or labels.max() >= n_classes:
        raise SettingsError(
            f"the explained labels run from {labels.min()} to {labels.max()}, but the model has classes "
            f"0..{n_classes - 1}; give the model that was explained."
        )
    probabilities = np.broadcast_to(probabilities, (n, labels.shape[1], k, n_classes))
    return np.take_along_axis(probabilities, labels[:, :, None, None], axis=-1)[..., 0]


def reference_and_scale(background) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a background, as LIME uses them: the reference and the scale of the measures.

    Parameters
    ----------
    background : (n_background, n_wavenumbers) array or data set
        The background that the explanations were made with.

    Returns
    -------
    mean, scale : (n_wavenumbers,) float64
        The scale is 1 where the background is constant.

    Examples
    --------
    >>> import numpy as np
    >>> mean, scale = reference_and_scale(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> mean.tolist(), scale.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(with_mean=False).fit(SpectraTable(background, None, "background").read(slice(None)))
    return np.asarray(scaler.mean_, np.float64), np.asarray(scaler.scale_, np.float64)
