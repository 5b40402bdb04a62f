"""Arrays in NumPy's own files (``.npz``), written and read a part at a time: a cohort's answers in little memory.

The format is NumPy's (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), uncompressed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from ftirlib.errors import StoreError

LOCAL_HEADER = 30  # bytes before the name of a member, in which the lengths of name and extra field stand at 26


class StoredArrays(Mapping):
    """The arrays of an ``.npz`` file by name, each read when it is asked for, every time anew.

    Parameters
    ----------
    path : path of a file that `write_arrays` or ``numpy.savez`` wrote
    """

    def __init__(self, path):
        self.path = Path(path)
        with np.load(self.path, allow_pickle=False) as archive:
            self._names = list(archive.files)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        with np.load(self.path, allow_pickle=False) as archive:
            return archive[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def on_disk(self, name: str) -> ArrayOnDisk:
        """An array that stays where it is until some of its rows are asked for."""
        return ArrayOnDisk(self.path, name)


class ArrayOnDisk:
    """An array (n, ...) in an ``.npz`` file, of which ``array[start:stop]`` reads some rows.

    It is not mapped into memory: what has been read of a mapped file counts as the process's own.
    """

    def __init__(self, path, name: str):
        self._path = Path(path)
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(f"{name}.npy")
        if member.compress_type != zipfile.ZIP_STORED:
            raise StoreError(f"'{path}' is compressed, so its rows cannot be read one by one; write it uncompressed.")
        with open(path, "rb") as handle:
            handle.seek(member.header_offset + 26)
            lengths = np.frombuffer(handle.read(4), "<u2")
            handle.seek(member.header_offset + LOCAL_HEADER + int(lengths.sum()))
            np.lib.format.read_magic(handle)
            self.shape, columns_first, self.dtype = np.lib.format.read_array_header_1_0(handle)
            self._start = handle.tell()
        if columns_first:
            raise StoreError(f"'{name}' of '{path}' lies column by column; write it with the rows one after the other.")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        row = int(np.prod(self.shape[1:]))
        count, offset = max(stop - start, 0) * row, self._start + start * row * self.dtype.itemsize
        found = np.fromfile(self._path, self.dtype, count, offset=offset)
        return found.reshape(-1, *self.shape[1:])


def write_arrays(path, arrays: Mapping[str, tuple[tuple[int, ...], type, Iterable[np.ndarray]]]) -> None:
    """Write arrays whose rows come in blocks; the bytes are those that ``numpy.savez`` gives of the whole arrays.

    Parameters
    ----------
    path : path of the ``.npz`` file to make
    arrays : mapping
        Name to shape, type, and blocks that follow one another along the first axis.

    Raises
    ------
    StoreError
        When the blocks are not of the shape; what was written is then no whole file.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, (shape, kind, blocks) in arrays.items():
            header = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": tuple(map(int, shape))}
            n = 0
            with archive.open(f"{name}.npy", "w", force_zip64=True) as handle:
                np.lib.format.write_array_header_1_0(handle, header)
                for block in blocks:
                    _fit(block.shape[1:] == header["shape"][1:], name, block.shape, shape)
                    handle.write(np.ascontiguousarray(block, kind).tobytes())
                    n += len(block)
            _fit(n == shape[0], name, (n, *shape[1:]), shape)


def _fit(fits: bool, name: str, found: tuple, shape: tuple) -> None:
    if not fits:
        raise StoreError(f"the array '{name}' was to have the shape {shape}, but what came has {found}.")
