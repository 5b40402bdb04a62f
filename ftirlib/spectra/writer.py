"""Data sets written to a Zarr store, whole or piece by piece, in bounded memory."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.engine.places import is_remote, resolved, send_store
from ftirlib.errors import DataError
from ftirlib.files import plain
from ftirlib.spectra.model import (
    CHUNK,
    SCHEMA,
    SPECTRUM_COORDS,
    iter_blocks,
    open_spectra,
    store_found,
    validate_spectra,
)


def save_spectra(data: xr.Dataset, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Write a data set to a Zarr store, block by block; the store appears only when complete."""
    validate_spectra(data, values=False)
    with SpectraWriter(path, data.wavenumber.values, data.attrs, overwrite=overwrite) as writer:
        truth = [name for name in data.data_vars if name.startswith("truth_")]
        for start, block in iter_blocks(data):
            rows = slice(start, start + len(block))
            writer.append(
                block,
                {name: data[name].variable[rows].values for name in SPECTRUM_COORDS},
                {name: data[name].isel(spectrum=rows) for name in truth},
            )
    return writer.path


class SpectraWriter:
    """Write a data set piece by piece (an image at a time), so that memory does not grow with it.

    Rows go to ``<path>.partial``; leaving the ``with`` block without an error renames it to `path`.

    Parameters
    ----------
    path : path of the store to make, or its fsspec address
    wavenumber : (n_wavenumbers,) array, cm-1, ascending
    attrs : mapping
        The data set's attributes; may be completed through `attrs` before the block ends.
    overwrite : bool
        Replace what is at `path`.

    Raises
    ------
    DataError
        When `path` exists and `overwrite` is false or it is no data set; when a piece does not fit the axis or the
        pieces before, or holds NaN; when what was written is not valid. Then nothing is left at `path`.
    """

    def __init__(self, path, wavenumber, attrs: Mapping, *, overwrite: bool = False):
        self.path = resolved(path) if is_remote(path) else Path(path)
        there, is_zarr = store_found(self.path)
        if there and not overwrite:
            raise DataError(f"'{self.path}' exists; choose another name or pass --overwrite.")
        if there and not is_zarr:
            raise DataError(f"'{self.path}' is no data set, so it is not replaced; choose another name.")
        self.attrs = dict(attrs)
        self._wavenumber = np.asarray(wavenumber, np.float64)
        if is_remote(path):  # written here and sent when whole
            self._partial = Path(tempfile.gettempdir()) / f"ftirlib-{uuid.uuid4().hex[:12]}.zarr.partial"
        else:
            self._partial = self.path.with_name(self.path.name + ".partial")
        self._pending: list[dict[str, np.ndarray]] = []
        self._rows = 0  # not yet flushed
        self._written = 0
        self._arrays: dict = {}

    def __enter__(self):
        import zarr

        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.parent.mkdir(parents=True, exist_ok=True)
        self._root = zarr.create_group(self._partial, zarr_format=3)
        axis = self._root.create_array(
            "wavenumber",
            shape=self._wavenumber.shape,
            dtype="float64",
            dimension_names=["wavenumber"],
            attributes={"units": "cm-1"},
        )
        axis[:] = self._wavenumber
        return self

    def append(self, absorbance, coords: Mapping[str, np.ndarray], truth: Mapping | None = None) -> None:
        """Add spectra: absorbance (n, n_wavenumbers), one value each per coordinate, ``truth_*`` arrays."""
        absorbance = np.asarray(absorbance, np.float32)
        if absorbance.ndim != 2 or absorbance.shape[1] != self._wavenumber.size:
            raise DataError(f"spectra of shape {absorbance.shape} do not fit an axis of {self._wavenumber.size}.")
        bad = ~np.isfinite(absorbance).all(axis=1)
        if bad.any():
            raise DataError(
                f"spectrum {self._written + int(np.argmax(bad))} for '{self.path}' holds NaN or infinite values; "
                "cut those wavenumbers or drop those spectra before saving."
            )
        self._written += len(absorbance)
        piece = {"absorbance": absorbance}
        dims = {"absorbance": ["spectrum", "wavenumber"]}
        attributes: dict[str, dict] = {}
        for name, dtype in SPECTRUM_COORDS.items():
            values = np.asarray(coords[name], dtype)
            piece[name] = np.full(len(absorbance), values) if values.ndim == 0 else values
            dims[name] = ["spectrum"]
        for name, values in (truth or {}).items():
            piece[name] = np.asarray(values)
            dims[name] = (
                list(values.dims)
                if isinstance(values, xr.DataArray)
                else ["spectrum", f"{name}_axis"][: piece[name].ndim]
            )
            attributes[name] = dict(getattr(values, "attrs", {}))
        if not self._arrays:
            for name, values in piece.items():
                chunk = CHUNK if name == "absorbance" else CHUNK * 16
                self._arrays[name] = self._root.create_array(
                    name,
                    shape=(0, *values.shape[1:]),
                    chunks=(chunk, *values.shape[1:]),
                    dtype=values.dtype,
                    dimension_names=dims[name],
                    attributes=attributes.get(name, {}),
                )
        if wrong := set(piece) ^ set(self._arrays):
            raise DataError(f"every piece of '{self.path}' must hold the same arrays; {sorted(wrong)} come and go.")
        if wrong := sorted(name for name, values in piece.items() if len(values) != len(absorbance)):
            raise DataError(f"'{wrong[0]}' has {len(piece[wrong[0]])} values for {len(absorbance)} spectra.")
        self._pending.append(piece)
        self._rows += len(absorbance)
        if self._rows >= CHUNK:
            self._flush(final=False)

    def _flush(self, *, final: bool) -> None:
        if not self._rows:
            return
        whole = self._rows if final else self._rows - self._rows % CHUNK
        rest = {}
        for name, array in self._arrays.items():
            values = np.concatenate([piece[name] for piece in self._pending])
            array.append(values[:whole])
            rest[name] = values[whole:]
        self._rows -= whole
        self._pending = [rest] if self._rows else []

    def __exit__(self, kind, error, trace):
        if kind is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
            return
        try:
            self._flush(final=True)
            if not self._arrays:
                raise DataError(f"nothing was written to '{self.path}': no spectra were given.")
            self._root.attrs.update({"schema": SCHEMA, **plain(self.attrs)})
            open_spectra(self._partial)  # what is not valid never gets the name
        except BaseException:
            shutil.rmtree(self._partial, ignore_errors=True)
            raise
        if is_remote(self.path):
            try:
                send_store(self._partial, self.path)
            finally:
                shutil.rmtree(self._partial, ignore_errors=True)
            return
        if self.path.exists():
            shutil.rmtree(self.path)
        os.replace(self._partial, self.path)
