"""Rows of a data set as runs of neighbours: as small as the cohort has patients, not spectra.

Images lie one after the other in a store, so that the rows of some patients are few runs, however many spectra.
"""

from __future__ import annotations

import numpy as np

from ftirlib.errors import DataError

PART = 1 << 20  # rows looked at together: what is held of them stays below some 10 MB


class Runs:
    """Rows of a data set in ascending order.

    Parameters
    ----------
    bounds : (n_runs, 2) int
        The first row of each run and the one after its last, ascending and apart.

    Raises
    ------
    DataError
        Runs that are empty, overlap or descend.

    Examples
    --------
    >>> rows = Runs.of([3, 4, 5, 9])
    >>> rows.bounds.tolist(), len(rows)
    ([[3, 6], [9, 10]], 4)
    >>> rows[1:]
    array([4, 5, 9], dtype=int32)
    """

    def __init__(self, bounds):
        self.bounds = np.asarray(bounds, np.int64).reshape(-1, 2)
        edges = self.bounds.ravel()
        if (edges[:1] < 0).any() or (np.diff(edges)[::2] <= 0).any() or (np.diff(edges)[1::2] < 0).any():
            raise DataError("runs of rows must ascend from 0 or above without overlap; sort them.")
        self._before = np.concatenate([[0], np.cumsum(self.bounds[:, 1] - self.bounds[:, 0])])

    @classmethod
    def of(cls, rows) -> Runs:
        """Runs of ascending positions (n,) int.

        Raises
        ------
        DataError
            Positions that do not ascend.
        """
        if isinstance(rows, cls):
            return rows
        rows = np.asarray(rows)
        if not rows.size:
            return cls([])
        breaks = np.flatnonzero(np.diff(rows) != 1)
        return cls(np.stack([rows[np.append(0, breaks + 1)], rows[np.append(breaks, -1)].astype(np.int64) + 1], axis=1))

    @classmethod
    def join(cls, pieces) -> Runs:
        """All rows of several `Runs` that share none; those that touch become one run."""
        bounds = np.concatenate([np.empty((0, 2), np.int64), *(piece.bounds for piece in pieces)])
        bounds = bounds[np.argsort(bounds[:, 0], kind="stable")]
        apart = bounds[1:, 0] != bounds[:-1, 1]
        first, last = np.append(True, apart), np.append(apart, True)
        return cls(np.stack([bounds[first, 0], bounds[last, 1]], axis=1)) if len(bounds) else cls([])

    def __len__(self) -> int:
        return int(self._before[-1])

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def __getitem__(self, part: slice) -> np.ndarray:
        """Some of the rows, one after the other, as int32 where they fit and int64 elsewhere."""
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise DataError(f"rows are taken one after the other, not with a step of {step}; index an array of them.")
        if stop <= start:
            return np.empty(0, self.dtype)
        bounds = self.cut(start, stop)
        rows = np.ones(stop - start, self.dtype)  # steps from row to row
        rows[0] = bounds[0, 0]
        rows[np.cumsum(bounds[:-1, 1] - bounds[:-1, 0])] = bounds[1:, 0] - bounds[:-1, 1] + 1
        return np.cumsum(rows, dtype=self.dtype, out=rows)

    def cut(self, start: int, stop: int) -> np.ndarray:
        """Bounds (n_runs, 2) of the runs that the rows from the `start`-th to the one before the `stop`-th make."""
        runs = slice(np.searchsorted(self._before, start, "right") - 1, np.searchsorted(self._before, stop))
        bounds = self.bounds[runs].copy()
        bounds[0, 0] += start - self._before[runs.start]
        bounds[-1, 1] -= self._before[runs.stop] - stop
        return bounds

    @property
    def dtype(self) -> np.dtype:
        """Of the rows: int32 where they fit."""
        fits = not len(self.bounds) or self.bounds[-1, 1] <= np.iinfo(np.int32).max
        return np.dtype(np.int32 if fits else np.int64)

    def within(self, low: int, high: int) -> slice:
        """Which of the rows lie in ``low <= row < high``."""
        k = np.searchsorted(self.bounds[:, 0], [low, high])  # runs that begin before
        inside = np.minimum(self.bounds[k - 1, 1], [low, high]) - self.bounds[k - 1, 0] if len(self.bounds) else 0
        return slice(*np.where(k > 0, self._before[k - 1] + inside, 0).tolist())

    def at(self, places) -> np.ndarray:
        """The rows (n,) int64 at some places among them, in any order: ``rows[:][places]`` without the others."""
        run = np.searchsorted(self._before, places, "right") - 1
        return self.bounds[run, 0] + (places - self._before[run])

    def places(self, rows) -> np.ndarray:
        """Where some of the rows stand among them, the inverse of `at`."""
        run = np.searchsorted(self.bounds[:, 0], rows, "right") - 1
        return self._before[run] + (rows - self.bounds[run, 0])

    def take(self, values) -> np.ndarray:
        """Values (n, ...) at the rows.

        Parameters
        ----------
        values : (n_spectra, ...) array, or variable of an opened data set
            ``data.label.variable``, say: read a part at a time where it lies on disk.
        """
        found = np.empty((len(self), *values.shape[1:]), values.dtype)
        for here, part in self.take_parts(values):
            found[here] = part
        return found

    def take_parts(self, *values):
        """Which of the rows, as a slice, and their `values` as in `take`, for a part of the data set at a time."""
        for here in self._parts():
            rows = self[here]
            low, high = int(rows[0]), int(rows[-1]) + 1
            yield here, *(np.asarray(each[low:high])[rows - low] for each in values)

    def column(self, values) -> Column:
        """Values at the rows as in `take`, left where they lie until some are asked for."""
        return Column(self, values)

    def _parts(self):
        """Which of the rows, as slices, for each `PART` neighbouring rows of the data set that hold some."""
        first, last = (self.bounds[0, 0], self.bounds[-1, 1]) if len(self.bounds) else (0, 0)
        for start in range(int(first) // PART * PART, int(last), PART):
            here = self.within(start, start + PART)
            if here.start < here.stop:
                yield here


class Column:
    """One value (n,) of each of some rows, in memory only while it is asked for: `labels[start:stop]`.

    Parameters
    ----------
    rows : Runs
    values : (n_spectra,) array, or variable of an opened data set
    """

    def __init__(self, rows: Runs, values):
        self._rows, self._values = rows, values
        self.shape, self.dtype = (len(rows),), values.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, step = part.indices(len(self))
        if step != 1:
            size = -(-PART // step) * step
            cuts = range(start, stop, size)
            return np.concatenate([self[cut : min(cut + size, stop)][::step] for cut in cuts] or [self[:0]])
        return Runs(self._rows.cut(start, stop)).take(self._values) if start < stop else np.empty(0, self.dtype)
