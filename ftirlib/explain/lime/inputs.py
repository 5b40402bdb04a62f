"""Spectra and labels for an explainer: arrays or data sets, checked, and read in blocks.

The layout of a data set is that of `ftirlib.spectra.model`; labels are columns of the model's probabilities.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.importing.units import SAME_AXIS
from ftirlib.spectra.model import read_absorbance, validate_spectra


class SpectraTable:
    """Spectra in an array or a data set, read a few rows at a time and checked as they are read."""

    def __init__(self, data, axis, name: str):
        self.name, self._is_set = name, isinstance(data, xr.Dataset)
        if self._is_set:
            if axis is not None:
                raise SettingsError(f"the {name} is a data set with an axis of its own; leave wavenumber out.")
            self._data = validate_spectra(data, values=False)
            shape, axis = data.absorbance.shape, data.wavenumber.values
        else:
            if axis is None and isinstance(data, xr.DataArray) and "wavenumber" in data.coords:
                axis = data.wavenumber.values
            self._data = np.asarray(data)
            if self._data.dtype not in (np.float32, np.float64):
                self._data = self._data.astype(np.float64)
            shape = self._data.shape
        if len(shape) != 2 or 0 in shape:
            raise DataError(f"the {name} must be (n, n_wavenumbers) spectra, at least one; these have shape {shape}.")
        self.n, self.n_wavenumbers = shape
        self.axis = None if axis is None else np.asarray(axis, dtype=np.float64)
        if self.axis is not None and self.axis.shape != (self.n_wavenumbers,):
            raise DataError(f"{self.axis.size} wavenumbers do not fit a {name} of shape {shape}.")

    def check_rows(self, rows) -> np.ndarray:
        """The positions as ascending int64, all by default."""
        if rows is None:
            return np.arange(self.n)
        rows = np.asarray(rows)
        if rows.ndim != 1 or not rows.size or not np.issubdtype(rows.dtype, np.integer):
            raise DataError(f"rows must be a list of at least one position, not {rows.dtype} of shape {rows.shape}.")
        if rows.min() < 0 or rows.max() >= self.n or (np.diff(rows) <= 0).any():
            raise DataError(
                f"rows run from {rows.min()} to {rows.max()} among {self.n} spectra; they must be ascending positions "
                f"in 0..{self.n - 1}, each once."
            )
        return rows.astype(np.int64)

    def check_axis(self, other: str, n_wavenumbers: int, axis, remedy: str) -> None:
        """Raise DataError unless the spectra lie on the axis of `other`, as far as both carry one."""
        if self.n_wavenumbers != n_wavenumbers:
            raise DataError(
                f"the {self.name} have {self.n_wavenumbers} wavenumbers{_ends(self.axis)} and the {other} "
                f"{n_wavenumbers}{_ends(axis)}; {remedy}."
            )
        if axis is None or self.axis is None:
            return
        if not np.allclose(axis, self.axis, rtol=0, atol=SAME_AXIS):
            raise DataError(
                f"the {self.name}{_ends(self.axis)} and the {other}{_ends(axis)} lie on different axes (up to "
                f"{np.abs(axis - self.axis).max():.3g} cm-1 apart); {remedy}."
            )

    def read(self, rows) -> np.ndarray:
        """Spectra (n_rows, n_wavenumbers) at the given positions, in memory and finite."""
        block = read_absorbance(self._data, rows) if self._is_set else self._data[rows]
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            number = int(np.argmax(bad)) if isinstance(rows, slice) else rows[int(np.argmax(bad))]
            raise DataError(
                f"spectrum {number} of the {self.name} holds NaN or infinite values; drop or mend it first."
            )
        return block


def _ends(axis) -> str:
    """The two ends of an axis in brackets, for messages; empty without an axis."""
    return "" if axis is None else f" ({axis.min():g}..{axis.max():g} cm-1)"


def check_labels(labels, n: int):
    """Labels to explain: a word unchanged, numbers as int64 (n_labels,) or (n, n_labels)."""
    if isinstance(labels, str):
        if labels not in ("predicted", "all"):
            raise SettingsError(f"labels must be 'predicted', 'all' or class numbers, not {labels!r}.")
        return labels
    labels = np.atleast_1d(np.asarray(labels))
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim > 2 or not labels.size:
        raise SettingsError(f"labels must be whole class numbers, not {labels.dtype} of shape {labels.shape}.")
    if labels.ndim == 1 and len(np.unique(labels)) < len(labels):
        raise SettingsError(
            f"labels of shape {labels.shape} name a class twice; a label for each spectrum has shape ({n}, 1)."
        )
    if labels.ndim == 2 and len(labels) != n:
        raise SettingsError(f"labels of shape {labels.shape} do not fit {n} spectra; give one row per spectrum.")
    return labels.astype(np.int64)


def choose_labels(labels, predicted: np.ndarray, rows: slice) -> np.ndarray:
    """(n, n_labels) classes to explain in a block of rows, given its probabilities (n, n_classes)."""
    n, n_classes = predicted.shape
    if isinstance(labels, str):
        if labels == "predicted":
            return predicted.argmax(1)[:, None]
        return np.tile(np.arange(n_classes), (n, 1))
    if labels.min() < 0 or labels.max() >= n_classes:
        raise SettingsError(
            f"labels run from {labels.min()} to {labels.max()}, but the model has classes 0..{n_classes - 1}."
        )
    return np.tile(labels, (n, 1)) if labels.ndim == 1 else labels[rows]
