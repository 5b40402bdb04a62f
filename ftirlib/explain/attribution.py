"""What every explainer returns: one weight per spectrum, explained label and wavenumber, with its quality.

On disk a Zarr store that xarray opens (`lime`'s names for the parts; Ribeiro et al. 2016,
doi:10.1145/2939672.2939778); it appears under its name only when complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.errors import DataError, StoreError
from ftirlib.spectra.rows import Rows, vstack

SCHEMA = "ftirlib-attribution-1"
CHUNK = 1024  # spectra per Zarr chunk
DIMS = {
    "weights": ("spectrum", "explained", "wavenumber"),
    "intercept": ("spectrum", "explained"),
    "score": ("spectrum", "explained"),
    "local_prediction": ("spectrum", "explained"),
    "labels": ("spectrum", "explained"),
    "rows": ("spectrum",),
    "standard_error": ("spectrum", "explained", "wavenumber"),
    "stability": ("spectrum", "explained"),
}
OPTIONAL = ("standard_error", "stability")


@dataclass(frozen=True, eq=False)
class Attribution:
    """Explanations of spectra.

    Attributes
    ----------
    weights : (n, n_labels, n_wavenumbers) float64
        Change of the label's probability per standard deviation of the background (or, in a binned mode, for
        staying in the spectrum's bin).
    intercept : (n, n_labels) float64
        Of the local model.
    score : (n, n_labels) float64
        Weighted coefficient of determination of the local model.
    local_prediction : (n, n_labels) float64
        The local model at the spectrum itself.
    labels : (n, n_labels) int64
        The class each weight vector explains.
    wavenumber : (n_wavenumbers,) float64, cm-1, or None
        None when neither background nor spectra carried an axis.
    rows : (n,) int64
        Position of each spectrum in the data set that was explained.
    standard_error : (n, n_labels, n_wavenumbers) float64 or None
        Of `weights`; None where the mode does not estimate it.
    stability : (n, n_labels) float64 or None
        Correlation of the weights between independent noise banks; None with one bank, NaN where the weights
        do not vary.
    settings : dict
        How the explanations were made.

    Raises
    ------
    DataError
        When the parts' shapes disagree.
    """

    weights: np.ndarray
    intercept: np.ndarray
    score: np.ndarray
    local_prediction: np.ndarray
    labels: np.ndarray
    wavenumber: np.ndarray | None
    rows: np.ndarray
    standard_error: np.ndarray | None = None
    stability: np.ndarray | None = None
    settings: Mapping = field(default_factory=dict)

    def __post_init__(self):
        if self.weights.ndim != 3:
            raise DataError(f"weights must be (spectra, labels, wavenumbers); these have shape {self.weights.shape}.")
        sizes = dict(zip(DIMS["weights"], self.weights.shape))
        for name, dims in DIMS.items():
            part = getattr(self, name)
            if part is None and name in OPTIONAL:
                continue
            if part.shape != (wanted := tuple(sizes[d] for d in dims)):
                raise DataError(
                    f"'{name}' has shape {part.shape}, but weights of shape {self.weights.shape} ask for {wanted}."
                )
        if self.wavenumber is not None and self.wavenumber.shape != self.weights.shape[2:]:
            raise DataError(f"{self.wavenumber.size} wavenumbers do not fit weights of shape {self.weights.shape}.")

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def relative_error(self) -> np.ndarray:
        """(n, n_labels) norm of the standard errors over the norm of the weights, the error's share taken off.

        Raises
        ------
        DataError
            When the mode estimated no standard error.
        """
        if self.standard_error is None:
            raise DataError("these explanations carry no standard error; make them with mode='limit'.")
        return relative_error(self.weights, self.standard_error)

    def select(self, index) -> Attribution:
        """The explanations at `index` (slice, mask or positions along the spectra)."""
        index = index if isinstance(index, slice) else np.asarray(index)
        return replace(self, **{name: part[index] for name, part in self._parts()})

    def _parts(self) -> list[tuple[str, np.ndarray]]:
        return [(name, getattr(self, name)) for name in DIMS if getattr(self, name) is not None]

    @staticmethod
    def concatenate(pieces: Sequence[Attribution]) -> Attribution:
        """Join explanations of one axis, one number of labels and the same settings along the spectra.

        Raises
        ------
        DataError
            When there is nothing to join or the pieces were made differently.
        """
        pieces = list(pieces)
        if not pieces:
            raise DataError("there are no explanations to join.")
        first = pieces[0]
        for piece in pieces[1:]:
            if (
                piece.weights.shape[1:] != first.weights.shape[1:]
                or not _same(piece.wavenumber, first.wavenumber)
                or dict(piece.settings) != dict(first.settings)
            ):
                raise DataError(
                    f"explanations of shape {first.weights.shape} made with {dict(first.settings)} cannot be joined "
                    f"with {piece.weights.shape} made with {dict(piece.settings)}; explain both alike."
                )
        return replace(
            first, **{name: np.concatenate([getattr(p, name) for p in pieces]) for name, _ in first._parts()}
        )

    def to_dataset(self) -> xr.Dataset:
        """The same as an xarray data set with axes (spectrum, explained, wavenumber)."""
        data = xr.Dataset(
            {name: (DIMS[name], part) for name, part in self._parts()},
            attrs={"schema": SCHEMA, "settings": dict(self.settings)},
        )
        if self.wavenumber is not None:
            data = data.assign_coords(wavenumber=("wavenumber", self.wavenumber, {"units": "cm-1"}))
        return data

    @staticmethod
    def from_dataset(data: xr.Dataset) -> Attribution:
        """The inverse of `to_dataset`.

        Raises
        ------
        DataError
            When the data set holds no explanations.
        """
        if data.attrs.get("schema") != SCHEMA:
            raise DataError(f"the data set is no {SCHEMA} (its schema is {data.attrs.get('schema')!r}).")
        parts = {name: np.asarray(data[name].values) for name in DIMS if name in data}
        axis = np.asarray(data.wavenumber.values) if "wavenumber" in data.coords else None
        return Attribution(**parts, wavenumber=axis, settings=dict(data.attrs["settings"]))

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write to a Zarr store, which appears at `path` only when complete.

        Raises
        ------
        StoreError
            When `path` exists and `overwrite` is false.
        """
        return save_attributions([self], path, overwrite=overwrite)

    @staticmethod
    def load(path: str | os.PathLike, index: slice | None = None) -> Attribution:
        """Read a store written by `save`; `index` reads only a run of the spectra.

        Raises
        ------
        StoreError
            When there is no complete store of explanations at `path`.
        """
        path = Path(path)
        if not path.exists():
            torn = _partial(path).exists()
            raise StoreError(
                f"there are no explanations at '{path}'"
                + (": a run that wrote them was interrupted; explain again." if torn else "; check the path.")
            )
        return _read(path, lambda data: Attribution.from_dataset(data if index is None else data.isel(spectrum=index)))


def read_parts(paths: Sequence[str | os.PathLike], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Some parts of stored explanations, one store after the other: nothing else of them is read.

    Parameters
    ----------
    paths : of stores written by `Attribution.save`
    names : of `DIMS`

    Returns
    -------
    dict of arrays
        Joined along the spectra.

    Raises
    ------
    StoreError
        When a store cannot be read, or holds no such part.
    """
    found: dict[str, np.ndarray] = {}
    ends = np.cumsum([0, *(_read(path, lambda data: data.sizes["spectrum"]) for path in paths)])
    for path, start, end in zip(paths, ends, ends[1:]):
        for name in names:
            values = _read(path, lambda data, name=name: data[name].values)
            if name not in found:  # whole at once: pieces joined afterwards would be in memory twice
                found[name] = np.empty((ends[-1], *values.shape[1:]), values.dtype)
            found[name][start:end] = values
    return found


def weight_rows(paths: Sequence[str | os.PathLike]) -> Rows:
    """Weights (n, n_wavenumbers) of the first label that each spectrum of stored explanations was explained for.

    Parameters
    ----------
    paths : of stores written by `Attribution.save`
        One after the other; nothing is read before it is asked for.

    Raises
    ------
    StoreError
        When a store cannot be read.
    """

    def stored(path) -> Rows:
        n, _, n_wavenumbers = _read(path, lambda data: data.weights.shape)
        return Rows(lambda rows: _read(path, lambda data: data.weights.variable[rows, 0].values), (n, n_wavenumbers))

    return vstack([stored(path) for path in paths])


def _read(path, take):
    """What is taken of the data set in a store of explanations."""
    try:
        with xr.open_zarr(path, consolidated=False, chunks=None) as data:
            return take(data)
    except Exception as error:
        raise StoreError(f"'{path}' cannot be read as explanations ({error}); explain again.") from error


def save_attributions(pieces: Iterable[Attribution], path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Write explanations piece by piece as they come, so that memory does not grow with their number.

    Parameters
    ----------
    pieces : iterable of Attribution
        Of one axis, one number of labels and the same settings.
    path : path of the Zarr store to make
        Written as ``<path>.partial`` and renamed at the end.
    overwrite : bool
        Replace what is at `path`.

    Raises
    ------
    StoreError
        When `path` exists and `overwrite` is false.
    DataError
        When there are no pieces, or they were made differently.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise StoreError(f"'{path}' exists; choose another name or pass overwrite=True.")
    partial = _partial(path)
    shutil.rmtree(partial, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    first, waiting = None, []
    try:
        for piece in pieces:
            waiting.append(piece)
            if sum(map(len, waiting)) >= CHUNK:
                first, waiting = _append(waiting, partial, first), []
        if waiting or first is None:
            _append(waiting, partial, first)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if path.exists():
        shutil.rmtree(path)
    os.replace(partial, path)
    return path


def _append(pieces, partial, first):
    """Add pieces to the store being written; returns one spectrum of the first piece, to compare later ones with."""
    joined = Attribution.concatenate(pieces if first is None else [first, *pieces])
    if first is None:
        data = joined.to_dataset()
        encoding = {
            name: {"chunks": (min(CHUNK, len(joined)) if name != "rows" else CHUNK, *part.shape[1:])}
            for name, part in joined._parts()
        }
        data.to_zarr(partial, mode="w", consolidated=False, zarr_format=3, encoding=encoding)
        return joined.select(slice(0, 1))
    joined.select(slice(1, None)).to_dataset().to_zarr(partial, append_dim="spectrum", consolidated=False)
    return first


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _same(a, b) -> bool:
    return (a is None) == (b is None) and (a is None or np.array_equal(a, b))


def relative_error(coef: np.ndarray, standard_error: np.ndarray) -> np.ndarray:
    """Norm of the standard errors over the norm of the coefficients, the error's own share taken off the latter.

    Infinite where the coefficients are no larger than their error, zero where both are zero.

    Parameters
    ----------
    coef, standard_error : (..., n_wavenumbers) array
    """
    error = np.square(standard_error).sum(-1)
    signal = np.square(coef).sum(-1) - error
    ratio = np.divide(error, signal, out=np.full_like(error, np.inf), where=signal > 0)
    return np.sqrt(np.where(error == 0, 0.0, ratio))
