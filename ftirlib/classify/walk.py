"""Spectra walked block by block, as often as a model needs: an array, a file, or rows of a data set on disk.

What trains from a walk needs the memory of one block, and gives the same bytes wherever the spectra lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr

from ftirlib.errors import DataError
from ftirlib.spectra.model import CHUNK, read_absorbance
from ftirlib.spectra.rowfile import RowFile
from ftirlib.spectra.runs import Runs


def read_together(rows, size: int) -> Iterator[np.ndarray]:
    """Blocks of at most `size` rows, in order, of what is taken by slices; many are read at once, as a store's chunks.

    Parameters
    ----------
    rows : array, RowFile, Walk or others with a length
    size : int
    """
    together = size * max(1, CHUNK // size)
    for start in range(0, len(rows), together):
        block = rows[start : start + together]
        yield from (block[k : k + size] for k in range(0, len(block), size))


class Walk:
    """Spectra (n_spectra, n_wavenumbers) that are read a block at a time, in order, as often as asked.

    Parameters
    ----------
    read : callable
        From a slice to those spectra in memory.
    shape : (n_spectra, n_wavenumbers)

    Examples
    --------
    >>> walk = Walk.over(np.ones((5000, 3)))
    >>> [(rows.start, block.shape) for rows, block in walk]
    [(0, (4096, 3)), (4096, (904, 3))]
    >>> Walk.over(np.arange(8.0)[:, None]).every(3).read(slice(0, 3)).ravel().tolist()
    [0.0, 3.0, 6.0]
    """

    def __init__(self, read: Callable[[slice], np.ndarray], shape: tuple[int, int]):
        self.read, self.shape = read, tuple(shape)

    @classmethod
    def over(cls, spectra: np.ndarray | RowFile | xr.Dataset | Walk, rows=None) -> Walk:
        """The walk over an array (n, n_wavenumbers), a `RowFile`, an opened data set, or of another walk.

        Parameters
        ----------
        spectra : array, RowFile, xarray.Dataset or Walk
        rows : Runs, or (n,) int, optional
            Which spectra, in this order; default all.

        Raises
        ------
        DataError
            Spectra of another shape, or rows that are no whole numbers; when they are read, rows out of range.
        """
        if isinstance(spectra, xr.Dataset):
            shape = spectra.absorbance.shape

            def read(at):
                return read_absorbance(spectra, at)
        else:
            shape, read = spectra.shape, spectra.__getitem__
        if len(shape) != 2:
            raise DataError(f"spectra must be (n_spectra, n_wavenumbers); these have shape {tuple(shape)}.")
        if rows is None:
            return cls(read, shape)
        if not isinstance(rows, Runs):
            rows = np.asarray(rows)
            if rows.ndim != 1 or rows.dtype.kind not in "iu":
                raise DataError(f"rows must be a list of whole numbers, not {rows.dtype} of shape {rows.shape}.")

        def read_chosen(at):
            if isinstance(rows, Runs) and at.step:  # only those that are wanted, of however many
                chosen = rows.at(np.arange(at.start, at.stop, at.step))
            else:
                chosen = rows[at.start : at.stop][:: at.step]
            if chosen.min() < 0 or chosen.max() >= shape[0]:
                raise DataError(f"row {chosen.min()} or {chosen.max()} is beyond the {shape[0]} spectra, from 0 on.")
            return read(chosen)

        return cls(read_chosen, (len(rows), shape[1]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Neighbouring spectra, or every so many of them, in memory.

        Raises
        ------
        DataError
            Spectra in another order.
        """
        if not isinstance(rows, slice) or (rows.step or 1) < 1:
            raise DataError("a walk gives spectra in order only; write a RowFile to take them in another.")
        start, stop, step = rows.indices(len(self))
        return self.read(slice(start, stop, step)) if start < stop else self.read(slice(0, 1))[:0]

    def __iter__(self) -> Iterator[tuple[slice, np.ndarray]]:
        return self.blocks(CHUNK)

    def blocks(self, size: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Which spectra, and the spectra (at most `size`, n_wavenumbers), C-ordered.

        Raises
        ------
        DataError
            A spectrum with NaN or infinite values.
        """
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            block = np.ascontiguousarray(self.read(rows))
            # a sum is finite only where every term is, and needs no mask of the block's size; it may overflow
            with np.errstate(over="ignore", invalid="ignore"):
                total = block.sum()
            if not np.isfinite(total):
                bad = ~np.isfinite(block).all(axis=1)
                if bad.any():
                    raise DataError(f"spectrum {start + int(bad.argmax())} holds NaN or infinite values; leave it out.")
            yield rows, block

    def every(self, step: int) -> Walk:
        """The first of each `step` spectra."""
        return Walk(
            lambda at: self.read(slice(at.start * step, min(at.stop * step, len(self)), step * (at.step or 1))),
            (-(-len(self) // step), self.shape[1]),
        )
