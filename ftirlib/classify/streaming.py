"""Predicting data sets that do not fit in memory, block by block.

Works with every classifier of the library; the blocks come from `ftirlib.spectra.model.iter_blocks`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from ftirlib.classify.checks import check_grid
from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.model import CHUNK, iter_blocks


def predict_blocks(model, data: xr.Dataset, *, rows=None, batch: int = CHUNK) -> np.ndarray:
    """Class probabilities of a data set, with only `batch` spectra in memory at a time.

    Parameters
    ----------
    model : fitted classifier
        Anything with ``predict_proba``; where it has ``wavenumber_`` the grid is checked.
    data : xarray.Dataset
        As `open_spectra` opens it: absorbances may lie on disk.
    rows : ascending (n,) int, optional
        Spectra to predict; default all.
    batch : int
        Spectra read and predicted at a time.

    Returns
    -------
    (n, n_classes) float32 array
        In the order of `rows`; columns in the order of ``model.classes_``.

    Raises
    ------
    DataError
        Spectra on another grid than the model's, or rows that are out of range or not ascending.
    SettingsError
        A batch below 1.
    """
    rows = _checked(model, data, rows, batch)
    result = np.empty((data.sizes["spectrum"] if rows is None else len(rows), len(model.classes_)), np.float32)
    for start, block in iter_blocks(data, rows, batch):
        result[start : start + len(block)] = model.predict_proba(block)
    return result


def iter_predictions(model, data: xr.Dataset, *, rows=None, batch: int = CHUNK) -> Iterator[np.ndarray]:
    """What `predict_blocks` gives, a block of at most `batch` spectra after the other: for more than memory holds.

    Parameters and errors as there; blocks are (n_block, n_classes), of the type that the model gives.
    """
    rows = _checked(model, data, rows, batch)
    return (model.predict_proba(block) for _, block in iter_blocks(data, rows, batch))


def _checked(model, data: xr.Dataset, rows, batch: int) -> np.ndarray | None:
    """The rows to predict; None for all."""
    if batch < 1:
        raise SettingsError(f"batch is {batch}; it must be at least 1.")
    if hasattr(model, "wavenumber_"):
        check_grid(data.wavenumber.values, model.wavenumber_)
    if rows is None:
        return None
    rows = np.asarray(rows)
    rows = rows if rows.size else rows.astype(np.int64)  # an empty list has no type of its own
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or (np.diff(rows) <= 0).any():
        raise DataError("rows must be a list of whole numbers, ascending without repeats; sort them.")
    n = data.sizes["spectrum"]
    if rows.size and (rows[0] < 0 or rows[-1] >= n):
        raise DataError(f"rows run from {rows[0]} to {rows[-1]}, but the data set has spectra 0 to {n - 1}.")
    return rows
