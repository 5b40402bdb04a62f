"""NumPy archives of named arrays.

Layout: https://numpy.org/doc/stable/reference/generated/numpy.savez.html. Arrays of Python objects are refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.arrays import from_arrays
from ftirlib.spectra.importing.formats.raw import MOST_PACKED, RawFile, check_size, reading, takes_no_skip


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
