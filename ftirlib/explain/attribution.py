"""Numbers for each explained spectrum, in memory and in a Zarr store: the explanations, and the base of their measures.

xarray opens the stores (`lime`'s names for the parts; Ribeiro et al. 2016, doi:10.1145/2939672.2939778). A store
appears under its name only when complete.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import xarray as xr

from ftirlib.errors import DataError, StoreError
from ftirlib.files import written
from ftirlib.spectra.rows import Rows, vstack

CHUNK = 1024  # spectra per Zarr chunk
LABELLED = ("spectrum", "explained")
WEIGHTS = (*LABELLED, "wavenumber")


@dataclass(frozen=True, eq=False, kw_only=True)
class PerRow:
    """Arrays with a row for each explained spectrum; a subclass adds its own and their dimensions.

    Attributes
    ----------
    rows : (n,) int64
        Position of each spectrum in the data set that was explained.
    labels : (n, n_labels) int64
        The class each weight vector explains.
    settings : dict
        How the numbers were made.

    Raises
    ------
    DataError
        When the arrays' shapes disagree.
    """

    rows: np.ndarray
    labels: np.ndarray
    settings: Mapping = field(default_factory=dict)

    schema: ClassVar[str]
    dims: ClassVar[dict[str, tuple[str, ...]]] = {"rows": ("spectrum",), "labels": LABELLED}
    optional: ClassVar[tuple[str, ...]] = ()  # arrays that may be None
    noun: ClassVar[str] = "measurements"
    remedy: ClassVar[str] = "measure again"

    def __post_init__(self):
        sizes: dict[str, int] = {}
        for name, part in self.parts().items():
            dims = self.dims[name]
            if part.ndim != len(dims):
                raise DataError(f"'{name}' has shape {part.shape}; it must be ({', '.join(dims)}).")
            if any(sizes.setdefault(d, size) != size for d, size in zip(dims, part.shape)):
                raise DataError(f"'{name}' has shape {part.shape}, but {dims} of the other arrays are {sizes}.")

    def __len__(self) -> int:
        return len(self.rows)

    def parts(self, *, per_spectrum: bool = False) -> dict[str, np.ndarray]:
        """The arrays that are given, by name: all, or those whose first axis is the spectra."""
        names = [name for name, dims in self.dims.items() if not per_spectrum or dims[0] == "spectrum"]
        return {
            name: getattr(self, name) for name in names if not (name in self.optional and getattr(self, name) is None)
        }

    def select(self, index) -> Self:
        """The same for the spectra at `index` (slice, mask or positions)."""
        index = index if isinstance(index, slice) else np.asarray(index)
        return replace(self, **{name: part[index] for name, part in self.parts(per_spectrum=True).items()})

    @classmethod
    def concatenate(cls, pieces: Sequence[Self]) -> Self:
        """Join pieces along the spectra.

        Raises
        ------
        DataError
            When there are no pieces, or they differ in settings, in the shape of a row, or in an array that all
            spectra share (the axis).
        """
        pieces = list(pieces)
        if not pieces:
            raise DataError(f"there are no {cls.noun} to join.")
        first = pieces[0]
        for piece in pieces[1:]:
            if not first._is_like(piece):
                shapes = [max((part.shape for part in p.parts().values()), key=len) for p in (first, piece)]
                raise DataError(
                    f"{cls.noun} of shape {shapes[0]} made with {dict(first.settings)} cannot be joined with "
                    f"{shapes[1]} made with {dict(piece.settings)}; make both alike."
                )
        joined = {name: np.concatenate([getattr(p, name) for p in pieces]) for name in first.parts(per_spectrum=True)}
        return replace(first, **joined)

    def _is_like(self, other: Self) -> bool:
        """Whether the two can be joined."""
        mine, theirs = self.parts(), other.parts()
        return (
            dict(self.settings) == dict(other.settings)
            and mine.keys() == theirs.keys()
            and all(
                part.shape[1:] == theirs[name].shape[1:]
                if self.dims[name][0] == "spectrum"
                else np.array_equal(part, theirs[name])
                for name, part in mine.items()
            )
        )

    def to_dataset(self) -> xr.Dataset:
        """The same as an xarray data set."""
        data = xr.Dataset(
            {name: (self.dims[name], part) for name, part in self.parts().items()},
            attrs={"schema": self.schema, "settings": dict(self.settings)},
        )
        if "wavenumber" in data.coords:
            data.wavenumber.attrs["units"] = "cm-1"
        return data

    @classmethod
    def from_dataset(cls, data: xr.Dataset) -> Self:
        """The inverse of `to_dataset`.

        Raises
        ------
        DataError
            When the data set holds something else.
        """
        if data.attrs.get("schema") != cls.schema:
            raise DataError(f"the data set is no {cls.schema} (its schema is {data.attrs.get('schema')!r}).")
        names = [name for name in cls.dims if name in data or name not in cls.optional]
        parts = {name: np.asarray(data[name].values) for name in names}
        return cls(**dict.fromkeys(cls.optional) | parts, settings=dict(data.attrs["settings"]))

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write to a Zarr store, which appears at `path` only when complete.

        Raises
        ------
        StoreError
            When `path` exists and `overwrite` is false.
        """
        return save_pieces([self], path, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike, index: slice | None = None) -> Self:
        """Read a store written by `save`; `index` reads only a run of the spectra.

        Raises
        ------
        StoreError
            When there is no complete store of this kind at `path`.
        """
        path = Path(path)
        if not path.exists():
            is_torn = any(path.parent.glob(f".{path.name}.????????"))  # drafts that `ftirlib.files.written` left
            reason = "a run that wrote them was interrupted" if is_torn else "check the path"
            raise StoreError(f"there are no {cls.noun} at '{path}': {reason}, or {cls.remedy}.")
        return cls._read(path, lambda data: cls.from_dataset(data if index is None else data.isel(spectrum=index)))

    @classmethod
    def _read(cls, path, take):
        """A function's value at the data set in a store."""
        try:
            with xr.open_zarr(path, consolidated=False, chunks=None) as data:
                return take(data)
        except Exception as error:
            raise StoreError(f"'{path}' cannot be read as {cls.noun} ({error}); {cls.remedy}.") from error


def save_pieces(pieces: Iterable[PerRow], path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Write explanations or measurements piece by piece as they come, so that memory does not grow with their number.

    Parameters
    ----------
    pieces : iterable of Attribution or of another `PerRow`
        Such as `PerRow.concatenate` can join.
    path : path of the Zarr store to make
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
    with written(path) as draft:
        first = None  # one spectrum of the first piece: later pieces must be like it
        for batch in _batches(pieces):
            if first is None:
                _append(type(batch[0]).concatenate(batch), draft)
                first = batch[0].select(slice(0, 1))
            else:
                _append(first.concatenate([first, *batch]).select(slice(1, None)), draft)
        if first is None:
            raise DataError("there are no explanations to join.")
    return path


def _batches(pieces: Iterable[PerRow]) -> Iterator[list[PerRow]]:
    """Pieces gathered until they hold a chunk of spectra."""
    batch: list[PerRow] = []
    for piece in pieces:
        batch.append(piece)
        if sum(map(len, batch)) >= CHUNK:
            yield batch
            batch = []
    if batch:
        yield batch


def _append(joined: PerRow, store: Path) -> None:
    """Add spectra to a Zarr store, or begin it with them."""
    data = joined.to_dataset()
    if store.exists():
        data.to_zarr(store, append_dim="spectrum", consolidated=False)
        return
    encoding = {
        name: {"chunks": (min(CHUNK, len(joined)), *part.shape[1:])}
        for name, part in joined.parts(per_spectrum=True).items()
        if len(joined)
    }
    data.to_zarr(store, mode="w", consolidated=False, zarr_format=3, encoding=encoding)


@dataclass(frozen=True, eq=False, kw_only=True)
class Attribution(PerRow):
    """Explanations of spectra: the result of every explainer.

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
    wavenumber : (n_wavenumbers,) float64, cm-1, or None
        None when neither background nor spectra carried an axis.
    standard_error : (n, n_labels, n_wavenumbers) float64 or None
        Of `weights`; None where the mode does not estimate it.
    stability : (n, n_labels) float64 or None
        Correlation of the weights between independent noise banks; None with one bank, NaN where the weights
        do not vary.
    rows, labels, settings
        As in `PerRow`.

    Raises
    ------
    DataError
        When the arrays' shapes disagree.
    """

    weights: np.ndarray
    intercept: np.ndarray
    score: np.ndarray
    local_prediction: np.ndarray
    wavenumber: np.ndarray | None
    standard_error: np.ndarray | None = None
    stability: np.ndarray | None = None

    schema: ClassVar[str] = "ftirlib-attribution-1"
    dims: ClassVar = {
        "weights": WEIGHTS,
        **PerRow.dims,
        **dict.fromkeys(("intercept", "score", "local_prediction", "stability"), LABELLED),
        "standard_error": WEIGHTS,
        "wavenumber": ("wavenumber",),
    }
    optional: ClassVar = ("standard_error", "stability", "wavenumber")
    noun: ClassVar[str] = "explanations"
    remedy: ClassVar[str] = "explain again"

    @property
    def relative_error(self) -> np.ndarray:
        """(n, n_labels) norm of the standard errors over the norm of the weights, the error's share subtracted.

        Raises
        ------
        DataError
            When the mode estimated no standard error.
        """
        if self.standard_error is None:
            raise DataError("these explanations carry no standard error; make them with mode='limit'.")
        return relative_error(self.weights, self.standard_error)


def read_parts(paths: Sequence[str | os.PathLike], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of stored explanations, joined over the stores; no other arrays are read.

    Parameters
    ----------
    paths : of stores written by `Attribution.save`
    names : of arrays of `Attribution`

    Returns
    -------
    dict of arrays

    Raises
    ------
    StoreError
        When a store cannot be read, or holds no such array.
    """
    arrays: dict[str, np.ndarray] = {}
    ends = np.cumsum([0, *(Attribution._read(path, lambda data: data.sizes["spectrum"]) for path in paths)])
    for path, start, end in zip(paths, ends, ends[1:]):
        for name in names:
            values = Attribution._read(path, lambda data, name=name: data[name].values)
            if name not in arrays:  # whole from the start: joining pieces needs the memory twice
                arrays[name] = np.empty((ends[-1], *values.shape[1:]), values.dtype)
            arrays[name][start:end] = values
    return arrays


def weight_rows(paths: Sequence[str | os.PathLike]) -> Rows:
    """Weights (n, n_wavenumbers) of the first label that each spectrum of stored explanations was explained for.

    Parameters
    ----------
    paths : of stores written by `Attribution.save`
        In this order; weights are read when they are needed.

    Raises
    ------
    StoreError
        When a store cannot be read.
    """

    def stored(path) -> Rows:
        n, _, n_wavenumbers = Attribution._read(path, lambda data: data.weights.shape)
        return Rows(
            lambda rows: Attribution._read(path, lambda data: data.weights.variable[rows, 0].values), (n, n_wavenumbers)
        )

    return vstack([stored(path) for path in paths])


def relative_error(coef: np.ndarray, standard_error: np.ndarray) -> np.ndarray:
    """Norm of the standard errors over the norm of the coefficients, the error's own share subtracted from the latter.

    Infinite where the coefficients are no larger than their error, zero where both are zero.

    Parameters
    ----------
    coef, standard_error : (..., n_wavenumbers) array
    """
    error = np.square(standard_error).sum(-1)
    signal = np.square(coef).sum(-1) - error
    ratio = np.divide(error, signal, out=np.full_like(error, np.inf), where=signal > 0)
    return np.sqrt(np.where(error == 0, 0.0, ratio))
