"""NumPy archives, and the named arrays of any file: spectra, axis, labels, groups, pixel positions.

Layout: https://numpy.org/doc/stable/reference/generated/numpy.savez.html. Arrays of Python objects are refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.raw import (
    MOST_PACKED,
    UNIT_OF_NAME,
    RawFile,
    as_text,
    check_size,
    find_name,
    listed,
    reading,
    takes_no_skip,
)


def read_npz(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """A NumPy archive of named arrays; see `from_arrays`."""
    takes_no_skip(path, skip_rows)
    try:
        with reading(path, "a NumPy archive", "write it with numpy.savez"):
            with np.load(path, allow_pickle=False) as archive:
                shapes = {name: _npy_shape(archive.zip, name, path) for name in archive.files}
    except DataError:
        with open(path, "rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise
        raise DataError(
            f"'{path}' holds one array without names; write it with numpy.savez, beside its wavenumbers."
        ) from None

    def read(name):
        try:
            with np.load(path, allow_pickle=False) as archive:
                return archive[name]
        except ValueError as error:
            if "pickle" not in str(error):
                raise DataError(f"'{name}' in '{path}' is damaged ({error}); copy the file again.") from None
            raise DataError(
                f"'{name}' in '{path}' holds Python objects, which are not read; save it as plain text or numbers."
            ) from None
        except (OSError, EOFError, BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise DataError(f"'{name}' in '{path}' is damaged ({error}); copy the file again.") from None

    return from_arrays(path, shapes, read, names)


def _npy_shape(archive: ZipFile, name: str, path: Path) -> tuple[int, ...]:
    """Shape of a member from its header, so that spectra are read once, when they are used."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(member)
    if any(size < 0 for size in shape):
        raise DataError(f"'{name}' in '{path.name}' states the shape {shape}; write the file again.")
    if not dtype.hasobject:
        present = min(info.file_size, MOST_PACKED * info.compress_size)
        claimed = dtype.itemsize
        for size in shape:
            claimed *= size
        check_size(path, claimed, present, f"an array '{name}' of shape {shape}")
    return shape


def from_arrays(path: Path, shapes: Mapping[str, tuple], read: Callable[[str], np.ndarray], names: Mapping) -> RawFile:
    """Give the named arrays of a file their parts; only the small ones are read.

    Spectra are (n_spectra, n_wavenumbers) or (rows, columns, n_wavenumbers). Label, group and image are one value
    per spectrum, or one for the whole file.
    """
    notes = []

    def find(role):
        name = find_name(shapes, role, names.get(role), path)
        if name is not None and names.get(role) is None:
            notes.append(f"{path.name}: {role} is '{name}'")
        return name

    spectra_name = find("absorbance")
    if spectra_name is None:
        raise DataError(f"'{path.name}' holds {listed(shapes)}: say which are the spectra with --absorbance NAME.")
    if names.get("wavenumber") is None or isinstance(names["wavenumber"], str):
        axis_name = find("wavenumber")
        if axis_name is None:
            raise DataError(
                f"'{path.name}' has no wavenumber axis among {listed(shapes)}; name it with --wavenumber NAME."
            )
        axis = np.asarray(read(axis_name))
        if axis.dtype.kind not in "fiu":
            raise DataError(f"'{axis_name}' in '{path.name}' is {axis.dtype}; a wavenumber axis is numbers, in cm-1.")
    else:
        axis = names["wavenumber"]
    axis = np.asarray(axis, np.float64).reshape(-1)
    shape = tuple(int(size) for size in shapes[spectra_name])
    if len(shape) not in (2, 3):
        raise DataError(
            f"'{spectra_name}' in '{path.name}' has shape {shape}; spectra are (spectra, wavenumbers) or "
            "(rows, columns, wavenumbers): name another array with --absorbance NAME."
        )
    if shape[-1] != axis.size:
        where = [k for k, size in enumerate(shape) if size == axis.size]
        hint = f"they are on axis {where[0]}: put the spectral axis last" if where else "check which axis belongs to it"
        raise DataError(
            f"'{spectra_name}' in '{path.name}' has shape {shape} but there are {axis.size} wavenumbers; {hint}."
        )
    n = int(np.prod(shape[:-1]))
    columns = {}
    for role in ("label", "group", "image", "row", "col"):
        name = None if len(shape) == 3 and role in ("row", "col") else find(role)
        if name is None:
            continue
        values = as_text(read(name)) if role in ("label", "group", "image") else as_index(read(name), name, path)
        if values.size not in (1, n):
            raise DataError(
                f"'{name}' in '{path.name}' has {values.size} values for {n} spectra; the {role} needs one each, or "
                f"one for all (leave it out with --{role} '')."
            )
        columns[role] = np.broadcast_to(values, n)
    both_or_none(columns, notes, path)
    pixel_name = find_name(shapes, "pixel_size_um", None, path)

    def load():
        values = read(spectra_name)
        if values.dtype.kind not in "fiu":
            raise DataError(f"'{spectra_name}' in '{path.name}' is {values.dtype}; spectra are real numbers.")
        if values.shape != shape:
            raise DataError(f"'{spectra_name}' in '{path.name}' states shape {shape} but holds {values.shape}.")
        return values

    return RawFile(
        path=path,
        shape=shape,
        wavenumber=axis,
        load=load,
        unit=UNIT_OF_NAME.get(spectra_name.lower()),
        columns=columns,
        pixel_size_um=None if pixel_name is None else _single(read(pixel_name), pixel_name, path),
        notes=notes,
    )


def _single(values, name: str, path: Path) -> float:
    """One number."""
    values = np.asarray(values).reshape(-1)
    if values.size != 1 or values.dtype.kind not in "fiu":
        raise DataError(f"'{name}' in '{path.name}' is not one number; write the width of a pixel in um.")
    return float(values[0])


def as_index(values, name: str, path: Path) -> np.ndarray:
    """Pixel positions as whole numbers."""
    try:
        numbers = np.asarray(values).reshape(-1).astype(np.float64)
        whole = numbers.astype(np.int64)
    except ValueError:
        whole = numbers = np.array([np.nan])
    if not np.isfinite(numbers).all() or (whole != numbers).any() or (whole < 0).any():
        raise DataError(f"'{name}' in '{path.name}' must be pixel positions, whole numbers from 0; rename it if not.")
    return whole


def both_or_none(columns: dict, notes: list[str], path: Path) -> None:
    """A row is a position only together with a column."""
    if ("row" in columns) != ("col" in columns):
        only = "row" if "row" in columns else "col"
        del columns[only]
        notes.append(f"{path.name}: '{only}' is left out, since a pixel position needs both row and col")
