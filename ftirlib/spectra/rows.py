"""Spectra wherever they lie: an array, a data set on disk, or a scratch file, of which some are read when asked for.

A fit in blocks needs the memory of one block, training in random order that of one batch; both give the same bytes
wherever the spectra lie.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import xarray as xr

from ftirlib.errors import DataError
from ftirlib.spectra.model import CHUNK, read_absorbance


class Rows:
    """Rows (n, n_columns), such as spectra, that are read when they are asked for, in any order.

    Parameters
    ----------
    read : callable
        From a slice of step 1, or positions (n,) int in any order, to those rows in memory.
    shape : (n, n_columns)

    Examples
    --------
    >>> rows = Rows.of(np.arange(8.0).reshape(4, 2), [3, 0, 1])
    >>> rows.shape, rows[[0, 2]].tolist()
    ((3, 2), [[6.0, 7.0], [2.0, 3.0]])
    >>> [(part.start, block.tolist()) for part, block in rows.through(np.negative).blocks(2)]
    [(0, [[-6.0, -7.0], [-0.0, -1.0]]), (2, [[-2.0, -3.0]])]
    """

    def __init__(self, read: Callable[[slice | np.ndarray], np.ndarray], shape: tuple[int, int]):
        self._read, self.shape = read, (int(shape[0]), int(shape[1]))

    @classmethod
    def of(cls, source: np.ndarray | xr.Dataset | Rows | str | os.PathLike, rows=None) -> Rows:
        """Rows of a source, all of them or some.

        Parameters
        ----------
        source : (n, n_columns) array, opened data set, Rows, or path of a ``.npy`` file
            A file is mapped anew at each read: pages of a map that stays open would count as the process's memory.
        rows : (n,) int, optional
            Positions, in any order; default all. Taken in random order, a data set reads a whole chunk for each:
            write it `to_file` first.

        Raises
        ------
        DataError
            A source of another shape, a file that is not whole, or rows that are no whole numbers or out of range.
        """
        if isinstance(source, xr.Dataset):
            read, shape = (lambda which: read_absorbance(source, which)), source.absorbance.shape
        elif isinstance(source, str | os.PathLike):
            read, shape = (lambda which: np.array(_mapped(source)[which])), _mapped(source).shape
        else:
            source = source if isinstance(source, Rows) else np.asarray(source)
            read, shape = source.__getitem__, source.shape
        if len(shape) != 2:
            raise DataError(f"spectra must be (n_spectra, n_wavenumbers); these have shape {tuple(shape)}.")
        if rows is None:
            return source if isinstance(source, Rows) else cls(read, shape)
        rows = _positions(rows, shape[0])
        whole = cls(read, shape)
        return cls(lambda which: whole[rows[which]], (len(rows), shape[1]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which) -> np.ndarray:
        """Rows at a slice, or at positions in any order, in memory."""
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            if step == 1:
                return self._read(slice(start, max(start, stop)))
            which = np.arange(start, stop, step)
        which = _positions(which, len(self))
        if (np.diff(which) == 1).all():  # neighbours read far faster than a list
            start = int(which[0]) if len(which) else 0
            which = slice(start, start + len(which))
        return self._read(which)

    def blocks(self, size: int = CHUNK) -> Iterator[tuple[slice, np.ndarray]]:
        """The rows in order: which, and the rows (at most `size`, n_columns), C-ordered.

        Many small blocks are read at once, as the chunks of a store are.

        Raises
        ------
        DataError
            A row with NaN or infinite values.
        """
        together = size * max(1, CHUNK // size)
        for first in range(0, len(self), together):
            read = np.ascontiguousarray(self[first : first + together])
            # a sum is finite only where every term is, and needs no mask of the block's size; it may overflow
            with np.errstate(over="ignore", invalid="ignore"):
                total = read.sum()
            if not np.isfinite(total):
                bad = ~np.isfinite(read).all(axis=1)
                if bad.any():
                    raise DataError(f"spectrum {first + int(bad.argmax())} holds NaN or infinite values; leave it out.")
            for start in range(0, len(read), size):
                block = read[start : start + size]
                yield slice(first + start, first + start + len(block)), block

    def through(self, function: Callable[[np.ndarray], np.ndarray]) -> Rows:
        """Each row as a function of its own values gives it."""
        width = function(np.empty((0, self.shape[1]), np.float32)).shape[1]
        return Rows(lambda which: function(self[which]), (len(self), width))

    def to_file(self, path: str | os.PathLike) -> Rows:
        """The rows in a new file, float32: of a store in random order, chunks would be read for each of them.

        Raises
        ------
        DataError
            A row with values that are NaN or infinite in float32.
        """
        header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": self.shape}
        with open(path, "wb") as handle:
            np.lib.format.write_array_header_1_0(handle, header)
            for _, block in self.through(float32).blocks():
                handle.write(block)
        return Rows.of(path)


def hstack(parts: Sequence[Rows]) -> Rows:
    """Several rows of the same number side by side, (n, sum of their columns)."""
    shape = (len(parts[0]), sum(part.shape[1] for part in parts))
    return Rows(lambda which: np.concatenate([part[which] for part in parts], axis=1), shape)


def vstack(parts: Sequence[Rows]) -> Rows:
    """Several rows of the same width one after the other, (sum of their numbers, n_columns)."""
    ends = np.cumsum([0, *map(len, parts)])

    def read(which):
        which = np.arange(which.start, which.stop) if isinstance(which, slice) else which
        of = np.searchsorted(ends, which, "right") - 1
        pieces = {k: parts[k][which[of == k] - ends[k]] for k in np.unique(of)}
        if not pieces:
            return parts[0][:0]
        values = np.empty((len(which), parts[0].shape[1]), np.result_type(*pieces.values()))
        for k, piece in pieces.items():
            values[of == k] = piece
        return values

    return Rows(read, (ends[-1], parts[0].shape[1]))


def float32(values: np.ndarray) -> np.ndarray:
    """Values in float32; those that it cannot hold become infinite, and are refused in blocks."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def _mapped(path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, OSError) as error:
        raise DataError(f"'{path}' is no whole NumPy file of spectra ({error}); write it again.") from None


def _positions(rows, n: int) -> np.ndarray:
    """Rows as an int array inside 0..n - 1."""
    rows = np.asarray(rows)
    rows = rows if rows.size else rows.astype(np.int64)  # an empty list has no type of its own
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise DataError(f"rows must be a list of whole numbers, not {rows.dtype} of shape {rows.shape}.")
    if rows.size and (rows.min() < 0 or rows.max() >= n):
        raise DataError(f"row {rows.min()} or {rows.max()} is beyond the {n} spectra, from 0 on.")
    return rows
