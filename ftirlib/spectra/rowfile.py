"""Spectra in a plain file, read row by row in any order: training that draws at random from more than memory holds.

A Zarr store gives a whole chunk for one spectrum of it; here a spectrum is read by its own bytes. Reads, unlike a
mapped file, do not count as the process's memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError


class RowFile:
    """Spectra (n, n_wavenumbers) in a file, in the machine's own byte order; scratch, not for exchange.

    Parameters
    ----------
    path : path of a file written by `RowFile.write`
    n_wavenumbers : int
        Or one, for labels (n, 1).
    dtype : numpy type
        float32, or the integers of labels.

    Raises
    ------
    DataError
        When the file is not a whole number of spectra.
    """

    def __init__(self, path: str | os.PathLike, n_wavenumbers: int, dtype=np.float32):
        self.path, self.dtype = Path(path), np.dtype(dtype)
        self._width = self.dtype.itemsize * n_wavenumbers
        size = self.path.stat().st_size
        if size % self._width:
            raise DataError(f"'{path}' holds {size} bytes, no whole number of spectra of {n_wavenumbers} wavenumbers.")
        self.shape = (size // self._width, n_wavenumbers)
        self._file = open(self.path, "rb", buffering=0)  # noqa: SIM115 - closed with the object

    @classmethod
    def write(
        cls, path: str | os.PathLike, blocks: Iterable[np.ndarray], n_wavenumbers: int, dtype=np.float32
    ) -> RowFile:
        """Write blocks (n, n_wavenumbers) one after the other.

        Raises
        ------
        DataError
            When a block is of another width, or holds NaN or infinite values.
        """
        n = 0
        with open(path, "wb") as handle:
            for block in blocks:
                block = np.ascontiguousarray(block, dtype)
                if block.ndim != 2 or block.shape[1] != n_wavenumbers:
                    raise DataError(f"spectra of shape {block.shape} do not fit {n_wavenumbers} wavenumbers.")
                bad = ~np.isfinite(block).all(axis=1)
                if bad.any():
                    raise DataError(f"spectrum {n + int(bad.argmax())} holds NaN or infinite values; leave it out.")
                handle.write(block)
                n += len(block)
        return cls(path, n_wavenumbers, dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows) -> np.ndarray:
        """Spectra at `rows` (a slice, or positions in any order) as (n_rows, n_wavenumbers)."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                found = np.empty((max(stop - start, 0), self.shape[1]), self.dtype)
                self._read(found, start)
                return found
            rows = np.arange(start, stop, step)
        rows = np.asarray(rows)
        found = np.empty((len(rows), self.shape[1]), self.dtype)
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of a file of {len(self)} spectra")
        for spectrum, row in zip(found, rows.tolist()):
            self._read(spectrum, row)
        return found

    def _read(self, into: np.ndarray, row: int) -> None:
        if not into.size:
            return
        view = memoryview(into).cast("B")
        self._file.seek(row * self._width)
        while view:  # a call reads 2 GB at most
            count = self._file.readinto(view)
            if not count:
                raise DataError(f"'{self.path}' became shorter while it was read.")
            view = view[count:]

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The spectra in order, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]
