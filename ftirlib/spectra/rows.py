"""Rows read when they are asked for, in any order: what the autoencoder is trained on need not fit in memory.

Beside `ftirlib.classify.walk.Walk`, which is read in order only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ftirlib.classify.walk import Walk, read_together
from ftirlib.spectra.rowfile import RowFile


class Rows:
    """Rows (n, n_columns) of which ``rows[which]`` reads some: a slice, or positions in any order.

    Parameters
    ----------
    read : callable
        From a slice or an int array to those rows in memory.
    shape : (n, n_columns)

    Examples
    --------
    >>> rows = Rows.over(np.arange(8.0).reshape(4, 2)).at(np.array([3, 0, 1]))
    >>> rows.shape, rows[[0, 2]].tolist()
    ((3, 2), [[6.0, 7.0], [2.0, 3.0]])
    >>> [block.tolist() for block in rows.through(np.negative).blocks(2)]
    [[[-6.0, -7.0], [-0.0, -1.0]], [[-2.0, -3.0]]]
    """

    def __init__(self, read: Callable[[slice | np.ndarray], np.ndarray], shape: tuple[int, int]):
        self._read, self.shape = read, tuple(shape)

    @classmethod
    def over(cls, source) -> Rows:
        """Rows of an array, of a `RowFile`, or of a `Walk`, whose rows are then read in order only."""
        if isinstance(source, cls):
            return source
        source = source if isinstance(source, (RowFile, Walk)) else np.asarray(source)
        return cls(source.__getitem__, source.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which) -> np.ndarray:
        return self._read(which)

    def at(self, places: np.ndarray) -> Rows:
        """The rows at some places (n,) int, in that order."""
        return Rows(lambda which: self[places[which]], (len(places), self.shape[1]))

    def through(self, function: Callable[[np.ndarray], np.ndarray]) -> Rows:
        """Each row as a function of its own values gives it, of the same width."""
        return Rows(lambda which: function(self[which]), self.shape)

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The rows in order, at most `size` at a time."""
        return read_together(self, size)
