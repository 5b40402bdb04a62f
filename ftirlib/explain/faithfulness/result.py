"""What every measure of faithfulness returns: numbers beside the rows and labels of the explanations it judged.

On disk a Zarr store that xarray opens, laid out as `ftirlib.explain.attribution` lays out explanations
(Hoyer & Hamman 2017, doi:10.5334/jors.148).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import xarray as xr

from ftirlib.errors import DataError, StoreError

LABELLED = ("spectrum", "explained")


@dataclass(frozen=True, eq=False, kw_only=True)
class Measure:
    """Base of the results; a measure adds its arrays and their dimensions.

    Attributes
    ----------
    rows : (n,) int64
        Position of each spectrum in the data set, as in the Attribution.
    labels : (n, n_labels) int64
        The class each weight vector explains, as in the Attribution.
    settings : dict
        How it was measured; ``attribution`` holds the settings of the explanations.

    Raises
    ------
    DataError
        When the parts' shapes disagree.
    """

    rows: np.ndarray
    labels: np.ndarray
    settings: Mapping = field(default_factory=dict)

    schema: ClassVar[str]
    dims: ClassVar[dict[str, tuple[str, ...]]] = {"rows": ("spectrum",), "labels": LABELLED}

    def __post_init__(self):
        sizes: dict[str, int] = {}
        for name, dims in self.dims.items():
            shape = getattr(self, name).shape
            if len(shape) != len(dims) or any(sizes.setdefault(d, size) != size for d, size in zip(dims, shape)):
                raise DataError(f"'{name}' has shape {shape}, but {dims} of the other parts are {sizes}.")

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def concatenate(cls, pieces: Sequence[Self]) -> Self:
        """Join pieces along the spectra; what is no spectrum's own is taken from the first."""
        along = [name for name, dims in cls.dims.items() if dims[0] == "spectrum"]
        return replace(pieces[0], **{name: np.concatenate([getattr(p, name) for p in pieces]) for name in along})

    def to_dataset(self) -> xr.Dataset:
        """The same as an xarray data set."""
        parts = {name: (dims, getattr(self, name)) for name, dims in self.dims.items()}
        return xr.Dataset(parts, attrs={"schema": self.schema, "settings": dict(self.settings)})

    @classmethod
    def from_dataset(cls, data: xr.Dataset) -> Self:
        """The inverse of `to_dataset`.

        Raises
        ------
        DataError
            When the data set holds another kind of result.
        """
        if data.attrs.get("schema") != cls.schema:
            raise DataError(f"the data set is no {cls.schema} (its schema is {data.attrs.get('schema')!r}).")
        parts = {f.name: np.asarray(data[f.name].values) for f in fields(cls) if f.name != "settings"}
        return cls(**parts, settings=dict(data.attrs["settings"]))

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write to a Zarr store, which appears at `path` only when complete.

        Raises
        ------
        StoreError
            When `path` exists and `overwrite` is false.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise StoreError(f"'{path}' exists; choose another name or pass overwrite=True.")
        partial = path.with_name(path.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.to_dataset().to_zarr(partial, mode="w", consolidated=False, zarr_format=3)
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a store written by `save`.

        Raises
        ------
        StoreError
            When there is no complete store of this kind at `path`.
        """
        try:
            with xr.open_zarr(Path(path), consolidated=False, chunks=None) as data:
                return cls.from_dataset(data)
        except Exception as error:
            raise StoreError(f"'{path}' cannot be read as {cls.schema} ({error}); measure again.") from error
