"""All that scores need to know of a model's answers, summed by patient: a few numbers each, however many spectra.

Scores of the test set of a fold, of all folds and of every draw of patients are scores of such sums.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from ftirlib.errors import DataError
from ftirlib.report.calibration import N_BINS, brier_terms, calibration_terms
from ftirlib.report.checks import check_codes, check_probabilities, positive_mask
from ftirlib.report.confusion import class_sensitivities, scores_from_confusion
from ftirlib.report.ranking import Ranking


class Tally:
    """Sums over the spectra of each group, to which answers are added a part at a time.

    Parameters
    ----------
    class_names, positive_classes : sequence of str
        As in `ftirlib.report.scores.classification_scores`.
    n_groups : int
        Groups (patients), some of which may have no spectra.

    Attributes
    ----------
    confusion : (n_groups, n_classes, n_classes) int64
        Spectra by label and prediction.
    gaps : (n_groups, n_bins) float64
        Right predictions less stated probabilities, by bin of the largest probability.
    brier : (n_groups, 1) float64
        Brier score, summed over spectra.
    ranking : Ranking
        What AUROC and average precision need; beyond some millions of distinct probabilities these are rounded.
    with_probabilities : bool or None
        Whether the answers came with probabilities; None before the first.

    Examples
    --------
    >>> tally = Tally(class_names=["a", "b"], positive_classes=["b"])
    >>> tally.add([0, 0], [0, 1])
    >>> tally.add([1, 1], [1, 1])
    >>> tally.scores()["accuracy"]
    array([0.75])
    """

    def __init__(self, *, class_names: Sequence[str], positive_classes: Sequence[str], n_groups: int = 1):
        self.class_names, self.positive_classes = class_names, positive_classes
        self.positive = positive_mask(class_names, positive_classes)
        self.confusion = np.zeros((n_groups, len(class_names), len(class_names)), np.int64)
        self.gaps, self.brier = np.zeros((n_groups, N_BINS)), np.zeros((n_groups, 1))
        self.ranking = Ranking(n_groups)
        self.with_probabilities: bool | None = None

    @classmethod
    def join(cls, tallies: Sequence[Tally]) -> Tally:
        """The tally of all answers of several, which are of the same classes and groups."""
        first = tallies[0]
        names = {"class_names": first.class_names, "positive_classes": first.positive_classes}
        whole = cls(**names, n_groups=len(first.confusion))
        for one in tallies:
            whole._expect(one.with_probabilities)
            for name in ("confusion", "gaps", "brier"):
                getattr(whole, name)[...] += getattr(one, name)
            whole.ranking.merge(one.ranking)
        return whole

    def add(self, y_true, predicted, probabilities=None, *, groups=None, count=None) -> None:
        """Add answers.

        Parameters
        ----------
        y_true, predicted : (n,) int
            Positions in `class_names`.
        probabilities : (n, n_classes) array, optional
            For all parts or for none.
        groups : (n,) int, optional
            From 0; left out: all are of the first group.
        count : (n,) int, optional
            Spectra that each row stands for; left out: one.

        Raises
        ------
        DataError
            Unknown labels (-1), codes beyond the classes, shapes that disagree, rows that are no distribution, or
            probabilities for some parts only.
        """
        y_true, predicted = check_codes(y_true, predicted, self.class_names)
        groups = np.zeros(len(y_true), int) if groups is None else np.asarray(groups, np.int64)
        if groups.shape != y_true.shape:
            raise DataError(f"there are {len(groups)} groups for {len(y_true)} spectra; give one group per spectrum.")
        if groups.min() < 0 or groups.max() >= len(self.confusion):
            raise DataError(
                f"groups run from group {groups.min()} to group {groups.max()}, but the tally is of "
                f"{len(self.confusion)} group(s), from 0; make it with n_groups that hold all."
            )
        if probabilities is not None:
            probabilities = check_probabilities(probabilities, len(y_true), self.class_names)
        self._expect(probabilities is not None)

        def add(sums, cell, each=None):  # sums (n_groups, ...), cell and each (n,)
            weights = count if each is None else each if count is None else each * count
            flat = np.bincount(groups * sums[0].size + cell, weights, minlength=sums.size)
            sums += flat.reshape(sums.shape).astype(sums.dtype, copy=False)

        add(self.confusion, y_true * len(self.class_names) + predicted)
        if probabilities is not None:
            bins, confidence, right = calibration_terms(y_true, probabilities)
            add(self.gaps, bins, right - confidence)
            add(self.brier, 0, brier_terms(y_true, probabilities))
            self.ranking.add(probabilities[:, self.positive].sum(axis=1), groups, self.positive[y_true], count)

    @property
    def once(self) -> np.ndarray:
        """Every group counted once, (1, n_groups): the answers as they are."""
        return np.ones((1, len(self.confusion)), np.int64)

    def scores(self, times=None) -> dict[str, np.ndarray]:
        """Scores with each group counted so many times.

        Parameters
        ----------
        times : (n_draws, n_groups) int, optional
            Left out: each once, in a single draw.

        Returns
        -------
        dict of (n_draws,) float64
            By the names of `ftirlib.report.scores.classification_scores`, NaN where undefined.
        """
        times = self.once if times is None else times
        confusion = (times @ self.confusion.reshape(len(self.confusion), -1)).reshape(-1, *self.confusion.shape[1:])
        scores = scores_from_confusion(confusion, positive=self.positive)
        scores |= {name: np.full(len(times), np.nan) for name in ("auroc", "auprc", "brier", "ece")}
        if self.with_probabilities:
            total = confusion.sum(axis=(1, 2))
            scores["auroc"], scores["auprc"] = self.ranking.scores(times)
            scores["brier"] = (times @ self.brier)[:, 0] / total
            scores["ece"] = np.abs(times @ self.gaps).sum(axis=1) / total
        sensitivities = class_sensitivities(confusion).T
        return scores | {f"sensitivity_{name}": each for name, each in zip(self.class_names, sensitivities)}

    def _expect(self, probabilities: bool | None) -> None:
        if self.with_probabilities not in (None, probabilities):
            raise DataError("only some of the answers come with probabilities; give them for all or for none.")
        self.with_probabilities = probabilities


def warn_of_rounding(tallies: Iterable[Tally]) -> None:
    """Warn, with the largest bounds, when any of several tallies ranks probabilities that had to be rounded."""
    rounded = [one.ranking.bounds(one.once) for one in tallies if not one.ranking.is_exact]
    if rounded:
        auroc, auprc = np.nan_to_num(rounded).max(axis=(0, 2))  # of undefined scores: none
        warnings.warn(
            f"there are too many distinct probabilities to rank them all, so they were rounded: AUROC is within "
            f"{auroc:.1g} and AUPRC within {auprc:.1g} of exact.",
            stacklevel=3,
        )
