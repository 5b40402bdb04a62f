"""MATLAB files: plain variables of versions 4 to 7.3, and the properties of class objects.

Versions 4 to 7 are read with SciPy, 7.3 (HDF5) with h5py, objects with mat-io; a property is named 'object.property'.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.arrays import from_arrays
from ftirlib.spectra.importing.formats.raw import MOST_PACKED, RawFile, check_size, reading, takes_no_skip

HDF5 = b"\x89HDF\r\n\x1a\n"
AGAIN = "save its matrices as plain variables in MATLAB with save(..., '-v7')"


def read_mat(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """Variables of a MATLAB file; see `from_arrays`."""
    takes_no_skip(path, skip_rows)
    with open(path, "rb") as file:
        start = file.read(1024)
    if HDF5 in (start[:8], start[512:520]):
        return _from_hdf5(path, names)
    from scipy.io import loadmat, whosmat

    try:
        with reading(path, "a MATLAB file", "copy it again"):
            kinds = {name: (shape, kind) for name, shape, kind in whosmat(path)}
    except DataError:
        # SciPy fails on the header of some class objects with an error of its own; a file that holds one says so.
        if not start.startswith(b"MATLAB 5.0 MAT-file"):
            raise
        return _from_objects(path, names)
    if any(kind in ("opaque", "object", "unknown") for _, kind in kinds.values()):
        return _from_objects(path, names)
    shapes = {name: shape for name, (shape, _) in kinds.items()}
    for name, shape in shapes.items():
        _check_claim(path, name, shape)

    def read(name):
        with reading(path, "a MATLAB file", "copy it again"):
            values = np.asarray(loadmat(path, variable_names=[name], simplify_cells=True)[name])
        shape = shapes[name]
        return values.reshape(shape) if values.size == np.prod(shape) else values  # undo squeezing, not of text

    return from_arrays(path, shapes, read, names)


def _check_claim(path: Path, name: str, shape) -> None:
    claimed = 1  # a byte a value is the least that a file can hold
    for size in shape:
        claimed *= int(size)
    check_size(path, claimed, MOST_PACKED * path.stat().st_size, f"an array '{name}' of shape {tuple(shape)}")


def _from_objects(path: Path, names: Mapping) -> RawFile:
    """A file with class objects (MCOS): its plain arrays, and the arrays among the objects' properties."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mat-io sets an option that pandas has made its default
        from matio import load_from_mat

    try:
        with reading(path, "a MATLAB file with class objects", AGAIN):
            held = load_from_mat(str(path))
            arrays = {}
            for name, value in held.items():
                properties = getattr(value, "properties", None)
                parts = {f"{name}.{key}": part for key, part in properties.items()} if properties else {name: value}
                arrays |= {key: _plain(part) for key, part in parts.items() if isinstance(part, np.ndarray)}
    except DataError as error:
        raise DataError(f"{error} It holds a MATLAB class object that cannot be taken apart.") from None
    arrays = {name: values for name, values in arrays.items() if values.size}
    if not arrays:
        raise DataError(f"'{path}' holds a MATLAB class object without arrays; {AGAIN}.")
    return from_arrays(path, {name: values.shape for name, values in arrays.items()}, arrays.__getitem__, names)


def _plain(values: np.ndarray) -> np.ndarray:
    """A cell array of texts or numbers as an array of them; others unchanged."""
    if values.dtype != object:
        return values
    cells = [np.asarray(cell).reshape(-1) for cell in values.reshape(-1)]
    return np.array([str(cell[0]) if cell.size == 1 else "" for cell in cells]).reshape(values.shape)


def _from_hdf5(path: Path, names: Mapping) -> RawFile:
    """Version 7.3: HDF5 with the axes in MATLAB's order, the last first."""
    import h5py

    def contents(file):
        shapes, objects = {}, False
        for name, item in file.items():
            if name.startswith("#"):
                continue
            objects |= "MATLAB_object_decode" in item.attrs
            if isinstance(item, h5py.Dataset):
                shapes[name] = item.shape[::-1]
                stored = MOST_PACKED * max(item.id.get_storage_size(), 1)
                claimed = item.dtype.itemsize
                for size in item.shape:
                    claimed *= int(size)
                check_size(path, claimed, stored, f"an array '{name}' of shape {shapes[name]}")
            elif isinstance(item, h5py.Group):
                shapes |= {
                    f"{name}.{key}": part.shape[::-1] for key, part in item.items() if isinstance(part, h5py.Dataset)
                }
        return shapes, objects

    with reading(path, "a MATLAB 7.3 file", "copy it again"):
        with h5py.File(path, "r") as file:
            shapes, objects = contents(file)
    if objects:
        return _from_objects(path, names)

    def read(name):
        with reading(path, "a MATLAB 7.3 file", "copy it again"):
            with h5py.File(path, "r") as file:
                item = file[name.replace(".", "/") if name not in file else name]
                kind = item.attrs.get("MATLAB_class", b"")
                if kind == b"char":
                    return np.array(_characters(item[()]))
                if kind == b"cell":
                    cells = [_characters(file[ref][()]) for ref in item[()].T.reshape(-1)]
                    return np.array(cells).reshape(item.shape[::-1])
                claimed = item.dtype.itemsize * item.size
                check_size(path, claimed, MOST_PACKED * max(item.id.get_storage_size(), 1), f"an array '{name}'")
                return item[()].T

    return from_arrays(path, shapes, read, names)


def _characters(values: np.ndarray) -> str:
    """MATLAB text, stored as one UTF-16 number a character; a number as its text."""
    if values.dtype.kind == "u":
        return "".join(chr(code) for code in values.T.reshape(-1) if code)
    return str(values.reshape(-1)[0]) if values.size else ""
