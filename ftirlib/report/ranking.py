"""AUROC and average precision of any number of spectra, from how often each probability occurs.

Ties count half in AUROC (Hanley & McNeil 1982, 10.1148/radiology.143.1.7063747); average precision is the step-wise sum
of scikit-learn. Those of any draw of patients follow from the counts of each patient.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.special import digamma

CELLS = 1 << 21  # 12 bytes each, and while spectra are added some twenty times that
BLOCK = 1 << 22  # numbers held at once while resamples are ranked: 32 MB
COARSE = 32  # bits given up at first: what is left, 20 bits, is about what single precision has
_HALF = np.float64(0.5).view(np.int64)


class Ranking:
    """How often each probability of being positive occurs, by group and by the side that the label is on.

    Parameters
    ----------
    n_groups : int
    most : int
        Cells (a probability, a group, a side) to keep. While they suffice, all is exact. Beyond, probabilities are
        rounded to fewer and fewer bits of their distance to 0 or 1, whichever is nearer, until the cells suffice
        or two levels are left.

    Notes
    -----
    Neither order nor parts matter: to round twice is to round once, and more spectra never need fewer cells, so the
    last rounding is the finest that suffices for all of them.
    """

    def __init__(self, n_groups: int, *, most: int = CELLS):
        self.n_groups, self.most = n_groups, most
        self._given_up = 0  # bits
        self._levels = np.empty(0, np.int64)  # ascending, from the most to the least positive
        self._counts = sparse.csr_array((0, 2 * n_groups), dtype=np.float64)  # (levels, groups: positive, negative)

    def add(self, probability, group, is_positive, count=None) -> None:
        """Count spectra, or rows that stand for `count` of them each; every argument is (n,)."""
        level, column = _order(probability) >> self._given_up, group + self.n_groups * ~is_positive
        count = np.ones(len(level)) if count is None else np.asarray(count, np.float64)
        shape = len(level), 2 * self.n_groups
        self._join(level, sparse.coo_array((count, (np.arange(len(level)), column)), shape=shape))

    def merge(self, other: Ranking) -> None:
        """Count what another ranking, of the same groups, has counted."""
        self._round(max(self._given_up, other._given_up))
        self._join(other._levels >> (self._given_up - other._given_up), other._counts)

    @property
    def is_exact(self) -> bool:
        return not self._given_up

    def scores(self, times) -> tuple[np.ndarray, np.ndarray]:
        """AUROC and average precision, (n_draws,) each, with each group counted `times` (n_draws, n_groups)."""
        auroc, auprc = np.empty((2, len(times)))
        for block, hits, misses, tp, fp in self._curves(times):
            with np.errstate(divide="ignore", invalid="ignore"):  # a side that was not drawn: NaN, undefined
                precision = np.where(hits > 0, tp / (tp + fp), 0)
                auprc[block] = (hits * precision).sum(axis=1) / tp[:, -1]
                auroc[block] = (misses * (tp - hits / 2)).sum(axis=1) / (tp[:, -1] * fp[:, -1])
        return auroc, auprc

    def bounds(self, times) -> tuple[np.ndarray, np.ndarray]:
        """How far each of `scores` may lie from that of the probabilities as they were: 0 while all is exact.

        Rounding makes ties. Of a positive and a negative spectrum that share a level, AUROC counts half a pair instead
        of one or none. The precision at a positive spectrum lies between that with all negatives of its level before
        it, and that at the end of the level without them.
        """
        auroc, auprc = np.zeros((2, len(times)))
        if self.is_exact:
            return auroc, auprc
        for block, hits, misses, tp, fp in self._curves(times):
            with np.errstate(divide="ignore", invalid="ignore"):
                auroc[block] = (hits * misses).sum(axis=1) / (2 * tp[:, -1] * fp[:, -1])
                tied, best = (np.where(hits > 0, hits * tp / (tp + wrong), 0) for wrong in (fp, fp - misses))
                # the sum of i / (i + fp) over the level's positives, i of them down to and with each
                worst = hits - fp * (digamma(tp + fp + 1) - digamma(tp - hits + fp + 1))
                over, under = ((a - b).sum(axis=1) for a, b in ((best, tied), (tied, worst)))
                auprc[block] = np.maximum(over, under) / tp[:, -1]
        return auroc, auprc

    def _curves(self, times) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Some draws, and positives and negatives at each level and down to it: (n_draws, n_levels) each."""
        sides = self._counts[:, : self.n_groups], self._counts[:, self.n_groups :]
        size = max(1, BLOCK // max(len(self._levels), 1))
        for start in range(0, len(times), size):
            block = slice(start, start + size)
            hits, misses = ((side @ times[block].T).T for side in sides)
            yield block, hits, misses, hits.cumsum(axis=1), misses.cumsum(axis=1)

    def _join(self, level, counts) -> None:
        """Add counts (n, 2 * n_groups) at levels (n,), which may repeat, and round until the cells suffice."""
        stacked = sparse.vstack([self._counts, counts], format="coo")
        self._levels, self._counts = _summed(np.concatenate([self._levels, level]), stacked)
        while self._counts.nnz > self.most and len(self._levels) > 2:
            self._round(max(self._given_up + 1, COARSE))

    def _round(self, bits: int) -> None:
        level, self._given_up = self._levels >> (bits - self._given_up), bits
        self._levels, self._counts = _summed(level, self._counts)


def _summed(level, counts) -> tuple[np.ndarray, sparse.csr_array]:
    """Distinct levels, ascending, and the sums of the counts at each."""
    levels, place = np.unique(level, return_inverse=True)
    counts = counts.tocoo()
    shape = len(levels), counts.shape[1]
    return levels, sparse.coo_array((counts.data, (place[counts.row], counts.col)), shape=shape).tocsr()


def _order(probability) -> np.ndarray:
    """Integers (n,) that ascend as probabilities (n,) descend, and are equal where those are; as fine at 0 as at 1."""
    probability = np.asarray(probability, np.float64)
    upper = probability >= 0.5
    near = np.where(upper, 1 - probability, probability)  # the difference is exact (Sterbenz)
    bits = np.abs(near).view(np.int64)  # of numbers that are not negative these ascend with them
    below = _HALF - np.where(near < 0, -bits, bits)
    return np.where(upper, -below, below)
