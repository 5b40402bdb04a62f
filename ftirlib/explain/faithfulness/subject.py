"""What is judged: explanations beside the spectra they explain, checked against each other and read in blocks.

Units of the weights as in the `lime` package (Ribeiro et al. 2016, doi:10.1145/2939672.2939778).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import numpy as np

from ftirlib.errors import DataError, SettingsError
from ftirlib.explain.attribution import Attribution
from ftirlib.explain.lime.forward import Forward
from ftirlib.explain.lime.inputs import SpectraTable, axis_range
from ftirlib.spectra.importing.units import SAME_AXIS

ROWS = 4096  # perturbed spectra held at a time: 26 MB of float64 at 801 wavenumbers
STORED = 1024  # explanations read from disk at a time
BINNED, CONTINUOUS = ("quartile", "decile"), ("instance", "mean", "limit")


class Explained:
    """Explanations and their spectra.

    Parameters
    ----------
    attribution : Attribution, or path of its Zarr store
        A store is read piece by piece.
    spectra : (n_spectra, n_wavenumbers) array or data set
        What was explained: `Attribution.rows` are positions in it.

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
            raise DataError("there are no explanations to judge; explain at least one spectrum.")
        self.n_labels, self.n_wavenumbers = first.weights.shape[1:]
        self.settings = dict(first.settings)
        self.axis = first.wavenumber
        theirs = self._table.axis
        if self.n_wavenumbers != self._table.n_wavenumbers:
            raise DataError(
                f"the explanations have {self.n_wavenumbers} wavenumbers{axis_range(self.axis)} and the spectra "
                f"{self._table.n_wavenumbers}{axis_range(theirs)}; give the spectra that were explained."
            )
        if self.axis is None:
            self.axis = theirs
        elif theirs is not None and not np.allclose(self.axis, theirs, rtol=0, atol=SAME_AXIS):
            raise DataError(
                f"the explanations{axis_range(self.axis)} and the spectra{axis_range(theirs)} lie on different axes "
                f"(up to {np.abs(self.axis - theirs).max():.3g} cm-1 apart); give the spectra that were explained."
            )

    def _pieces(self, size: int) -> Iterator[Attribution]:
        """At most `size` explanations at a time; a store's end shows as an empty piece."""
        if isinstance(self._attribution, Attribution):
            for start in range(0, len(self._attribution), size):
                yield self._attribution.select(slice(start, start + size))
            return
        start, read = 0, max(size, STORED)
        while len(stored := Attribution.load(self._attribution, slice(start, start + read))):
            for here in range(0, len(stored), size):
                yield stored.select(slice(here, here + size))
            start += read

    def blocks(self, rows_each: int) -> Iterator[tuple[Attribution, np.ndarray]]:
        """Explanations and their (n, n_wavenumbers) float64 spectra, so many that `ROWS` holds `rows_each` for each."""
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

    def check_vector(self, values, what: str, *, positive: bool = False) -> np.ndarray:
        """`values` as (n_wavenumbers,) float64, finite and, where asked, positive."""
        values = np.asarray(values, np.float64)
        if values.shape != (self.n_wavenumbers,):
            raise DataError(
                f"{what} has shape {values.shape}; the explanations ask for ({self.n_wavenumbers},), one value per "
                "wavenumber."
            )
        if not np.isfinite(values).all() or (positive and (values <= 0).any()):
            raise DataError(f"{what} must be {'positive and ' * positive}finite at every wavenumber; this one is not.")
        return values


def check_units(settings: Mapping, scale, *, needed: bool) -> None:
    """Refuse a scale for weights of a binned mode and, where it is `needed`, none for those of a continuous mode."""
    mode = settings.get("mode")
    if mode in BINNED and scale is not None:
        raise SettingsError(
            f"weights of mode {mode!r} say what staying in a bin is worth, not what a standard deviation is; leave "
            "scale out (and judge them by curves or by BandRemoval)."
        )
    if needed and mode in CONTINUOUS and scale is None:
        raise SettingsError(
            f"weights of mode {mode!r} are per standard deviation of the background; give its scale, as "
            "reference_and_scale(background) returns it."
        )


def check_count(value, lowest: int, what: str) -> int:
    """`value` as int, refused unless it is a whole number of at least `lowest`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
        raise SettingsError(f"{what} must be a whole number of at least {lowest}, not {value!r}.")
    return int(value)


def check_radius(value, what: str) -> float:
    """`value` as float, refused unless positive and finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < np.inf:
        raise SettingsError(f"{what} must be a positive number of standard deviations, not {value!r}.")
    return float(value)


def generators(random_state: int, rows: np.ndarray) -> list[np.random.Generator]:
    """A stream of random numbers per spectrum that depends on nothing but the seed and its row."""
    return [np.random.default_rng([random_state, int(row)]) for row in rows]


def label_probabilities(forward: Forward, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probability of each spectrum's explained labels at perturbed spectra.

    Parameters
    ----------
    forward : Forward
    rows : (n, n_labels or 1, k, n_wavenumbers) array
        With one in the place of the labels, all labels share the perturbed spectra.
    labels : (n, n_labels) int

    Returns
    -------
    (n, n_labels, k) array
    """
    n, n_shared, k, p = rows.shape
    found = forward(rows.reshape(-1, p)).reshape(n, n_shared, k, -1)
    n_classes = found.shape[-1]
    if labels.min() < 0 or labels.max() >= n_classes:
        raise SettingsError(
            f"the explained labels run from {labels.min()} to {labels.max()}, but the model has classes "
            f"0..{n_classes - 1}; give the model that was explained."
        )
    found = np.broadcast_to(found, (n, labels.shape[1], k, n_classes))
    return np.take_along_axis(found, labels[:, :, None, None], axis=-1)[..., 0]


def reference_and_scale(background) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of a background, as LIME uses them: what to put in a removed wavenumber's place, and the unit.

    Parameters
    ----------
    background : (n_background, n_wavenumbers) array or data set
        The one the explanations were made with.

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

    found = StandardScaler(with_mean=False).fit(SpectraTable(background, None, "background").read(slice(None)))
    return np.asarray(found.mean_, np.float64), np.asarray(found.scale_, np.float64)
