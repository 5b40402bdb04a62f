"""Everything that scores need to know of a model's answers, summed by patient: confusion, calibration and ranks.

Scores of one test set, of all folds and of every draw of patients are functions of such sums. R_K: Gorodkin 2004
(10.1016/j.compbiolchem.2004.09.006); kappa: Cohen 1960 (10.1177/001316446002000104); macro averages: Sokolova & Lapalme
2009 (10.1016/j.ipm.2009.03.002); calibration error: Guo et al. 2017 (arXiv:1706.04599); AUROC, in which ties count
half: Hanley & McNeil 1982 (10.1148/radiology.143.1.7063747).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import logit

from ftirlib.errors import DataError, SettingsError

N_BINS = 15  # of the largest probability, as in Guo et al.
RANKS = 65_535  # bins of the probability of being positive; odd, so that a probability of 1/2 lies in the middle of one
FARTHEST = 36  # log-odds of the outermost bins: probabilities within 2e-16 of 0 or 1


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
    gaps : (n_groups, N_BINS) float64
        Right predictions less stated probabilities, by bin of the largest probability.
    brier : (n_groups, 1) float64
        Brier score, summed over spectra.
    ranks : (2 * n_groups, RANKS) sparse array
        Spectra by the bin of their probability of being positive, see `rank_bins`: first those of each group that are
        labelled positive, then the others.
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
        self.class_names, self.positive_classes, self.n_groups = class_names, positive_classes, n_groups
        self.positive = positive_mask(class_names, positive_classes)
        self.confusion = np.zeros((n_groups, len(class_names), len(class_names)), np.int64)
        self.gaps, self.brier = np.zeros((n_groups, N_BINS)), np.zeros((n_groups, 1))
        self.ranks = sparse.csr_array((2 * n_groups, RANKS))
        self.with_probabilities: bool | None = None

    @classmethod
    def of(cls, y_true, predicted, probabilities=None, *, groups, class_names, positive_classes) -> Tally:
        """The tally of answers, as in `add`, by the group of each spectrum, (n,), which may have any name."""
        names, codes = np.unique(groups, return_inverse=True)
        tally = cls(class_names=class_names, positive_classes=positive_classes, n_groups=len(names))
        tally.add(y_true, predicted, probabilities, groups=codes)
        return tally

    @classmethod
    def join(cls, tallies: Sequence[Tally]) -> Tally:
        """The tally of all answers of several, which are of the same classes and groups."""
        first = tallies[0]
        whole = cls(
            class_names=first.class_names, positive_classes=first.positive_classes, n_groups=len(first.confusion)
        )
        for tally in tallies:
            whole._expect(tally.with_probabilities)
            for name in ("confusion", "gaps", "brier", "ranks"):
                setattr(whole, name, getattr(whole, name) + getattr(tally, name))
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
        if groups.min() < 0 or groups.max() >= self.n_groups:
            raise DataError(
                f"groups run from group {groups.min()} to group {groups.max()}, but the tally is of "
                f"{self.n_groups} group(s), from 0; make it with n_groups that hold all."
            )
        if probabilities is not None:
            probabilities = check_probabilities(probabilities, len(y_true), self.class_names)
        self._expect(probabilities is not None)

        def add(sums, cell, values=None):  # sums (n_groups, ...); cell and values (n,)
            weights = count if values is None else values if count is None else values * count
            flat = np.bincount(groups * sums[0].size + cell, weights, minlength=sums.size)
            sums += flat.reshape(sums.shape).astype(sums.dtype, copy=False)

        add(self.confusion, y_true * len(self.class_names) + predicted)
        if probabilities is not None:
            bins, confidence, right = calibration_terms(y_true, probabilities)
            add(self.gaps, bins, right - confidence)
            add(self.brier, 0, brier_terms(y_true, probabilities))
            row = groups + self.n_groups * ~self.positive[y_true]
            cells = row, rank_bins(probabilities[:, self.positive].sum(axis=1))
            spectra = np.ones(len(row)) if count is None else np.asarray(count, np.float64)
            self.ranks = self.ranks + sparse.csr_array((spectra, cells), shape=self.ranks.shape)

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
        times = np.ones((1, self.n_groups), np.int64) if times is None else times
        confusion = (times @ self.confusion.reshape(self.n_groups, -1)).reshape(-1, *self.confusion.shape[1:])
        scores = scores_from_confusion(confusion, positive=self.positive)
        scores |= {name: np.full(len(times), np.nan) for name in ("auroc", "auprc", "brier", "ece")}
        if self.with_probabilities:
            total = confusion.sum(axis=(1, 2))
            occupied = np.flatnonzero(np.bincount(self.ranks.indices))  # bins
            ranks = self.ranks[:, occupied]
            positive, negative = times @ ranks[: self.n_groups], times @ ranks[self.n_groups :]
            scores["auroc"], scores["auprc"] = ranking_scores(positive, negative)
            scores["brier"] = (times @ self.brier)[:, 0] / total
            scores["ece"] = np.abs(times @ self.gaps).sum(axis=1) / total
        sensitivities = class_sensitivities(confusion).T
        return scores | {f"sensitivity_{name}": values for name, values in zip(self.class_names, sensitivities)}

    def _expect(self, probabilities: bool | None) -> None:
        if self.with_probabilities not in (None, probabilities):
            raise DataError("only some of the answers come with probabilities; give them for all or for none.")
        self.with_probabilities = probabilities


def confusion_counts(y_true, predicted, *, class_names: Sequence[str]) -> np.ndarray:
    """Count spectra by label and prediction.

    Parameters
    ----------
    y_true, predicted : (n_spectra,) int
        Positions in `class_names`.
    class_names : sequence of str

    Returns
    -------
    (n_classes, n_classes) int64
        Rows are labels, columns predictions.

    Raises
    ------
    DataError
        As `ftirlib.report.scores.classification_scores`.

    Examples
    --------
    >>> confusion_counts([0, 0, 1], [0, 1, 1], class_names=["a", "b"])
    array([[1, 1],
           [0, 1]])
    """
    y_true, predicted = check_codes(y_true, predicted, class_names)
    return contingency_table(y_true, predicted, shape=(len(class_names), len(class_names)))


def contingency_table(*codes, shape: tuple[int, ...]) -> np.ndarray:
    """How often each combination of codes occurs, int64 of a shape.

    Parameters
    ----------
    *codes : (n,) int
        From 0; several of one length.
    shape : tuple of int
        Number of different codes of each.

    Examples
    --------
    >>> contingency_table([0, 0, 1], [2, 2, 0], shape=(2, 3)).tolist()
    [[0, 0, 2], [1, 0, 0]]
    """
    cells = np.ravel_multi_index([np.asarray(each, np.int64) for each in codes], shape)
    return np.bincount(cells, minlength=np.prod(shape)).reshape(shape)


def sums_by_code(codes, values, n_codes: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the rows of each code, (n_codes, n_columns) float64, and their number, (n_codes,) int64.

    Parameters
    ----------
    codes : (n,) int
        From 0.
    values : (n, n_columns) array
    n_codes : int
    """
    n = len(codes)
    member = sparse.csr_array((np.ones(n), (codes, np.arange(n))), shape=(n_codes, n))
    return member @ values, np.bincount(codes, minlength=n_codes)


def scores_from_confusion(confusion, *, positive) -> dict[str, np.ndarray]:
    """Every score that needs counts only, for one confusion matrix or any number of them at once.

    Parameters
    ----------
    confusion : (..., n_classes, n_classes) array
        Rows are labels, columns predictions; counts may be fractional.
    positive : (n_classes,) bool
        Classes on the positive side of the binary view; none: its scores are NaN.

    Returns
    -------
    dict of (...,) float64
        Scores by the names of `ftirlib.report.scores.classification_scores`, NaN where undefined; see
        `class_sensitivities` for those of single classes.
    """
    confusion = np.asarray(confusion, np.float64)
    positive = np.asarray(positive, bool)
    labelled, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)  # (..., classes)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    n_right, total, occurs = right.sum(axis=-1), labelled.sum(axis=-1), labelled > 0
    if positive.any():
        of_positive, of_negative = confusion[..., positive, :], confusion[..., ~positive, :]
        tp, fn = of_positive[..., positive].sum(axis=(-2, -1)), of_positive[..., ~positive].sum(axis=(-2, -1))
        fp, tn = of_negative[..., positive].sum(axis=(-2, -1)), of_negative[..., ~positive].sum(axis=(-2, -1))
    else:
        tp = fn = fp = tn = np.full(total.shape, np.nan)

    def macro(values):  # over the classes that occur
        return np.where(occurs, values, 0).sum(axis=-1) / occurs.sum(axis=-1)

    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 is NaN: undefined, as documented
        chance = (labelled * predicted).sum(axis=-1)  # agreement expected by chance, times the total squared
        spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (labelled**2).sum(axis=-1))
        accuracy = n_right / total
        return {
            "accuracy": accuracy,
            "error": 1 - accuracy,
            "balanced_accuracy": macro(right / labelled),
            "macro_precision": macro(np.where(predicted > 0, right / predicted, 0)),
            "false_positive_rate": macro((predicted - right) / (total[..., None] - labelled)),
            "macro_f1": macro(2 * right / (labelled + predicted)),
            "mcc": (n_right * total - chance) / np.sqrt(spread),
            "kappa": (n_right * total - chance) / (total**2 - chance),
            "binary_accuracy": (tp + tn) / (tp + tn + fp + fn),
            "sensitivity": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "precision": tp / (tp + fp),
            "f1": 2 * tp / (2 * tp + fp + fn),
        }


def class_sensitivities(confusion) -> np.ndarray:
    """Share of each class that is predicted right, (..., n_classes), from confusion (..., n_classes, n_classes).

    NaN for a class without labelled spectra.
    """
    confusion = np.asarray(confusion, np.float64)
    with np.errstate(invalid="ignore"):
        return np.diagonal(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=-1)


def rank_bins(probability) -> np.ndarray:
    """Bin of each probability, (n,) int in 0 ... RANKS - 1, on a scale of log-odds, as fine near 0 as near 1.

    A bin is 0.0011 wide in log-odds, at most 0.00028 in probability. Different shares of up to 3,600 votes have bins of
    their own, so AUROC and AUPRC are exact for them. For other probabilities AUROC counts half of each pair of a
    positive and a negative spectrum that share a bin, and is within half the share of such pairs of the exact value.
    Soft probabilities of a weak model (standard deviation 0.3 to 1.5 in log-odds) of 300, 2,000 and 20,000 spectra gave
    an AUROC within 2.4e-4, 6.1e-5 and 5.5e-6 of scikit-learn's, and an AUPRC within 1.2e-3, 4.9e-4 and 2.5e-4.
    """
    log_odds = np.clip(logit(np.clip(probability, 0, 1)), -FARTHEST, FARTHEST)
    return np.rint((RANKS - 1) / 2 * (1 + log_odds / FARTHEST)).astype(np.int64)


def ranking_scores(positive, negative) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision, (n_draws,) each, from counts (n_draws, n_bins) in order of rising probability.

    Average precision is the step-wise sum of scikit-learn. NaN where all or no spectra are positive.
    """
    positive, negative = (np.ascontiguousarray(side[:, ::-1]) for side in (positive, negative))
    tp, fp = positive.cumsum(axis=1), negative.cumsum(axis=1)
    pairs = np.einsum("ij,ij->i", negative, tp) - np.einsum("ij,ij->i", negative, positive) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        auroc = pairs / (tp[:, -1] * fp[:, -1])
        precision = np.divide(tp, tp + fp, out=np.zeros_like(tp), where=positive > 0)
        return auroc, np.einsum("ij,ij->i", positive, precision) / tp[:, -1]


@dataclass(frozen=True)
class Reliability:
    """How often the most probable class is right, against how probable the model says it is.

    Attributes
    ----------
    edges : (n_bins + 1,) float
        Bounds of the bins of probability.
    count : (n_bins,) int
        Spectra whose largest probability lies in the bin.
    confidence, accuracy : (n_bins,) float
        Mean largest probability, and share of right predictions; NaN in empty bins.
    error : float
        Mean of abs(accuracy - confidence), weighted by `count`: the expected calibration error.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


def reliability(y_true, probabilities, *, n_bins: int = N_BINS) -> Reliability:
    """Compare stated probability with success, over `n_bins` equal bins of the largest probability.

    Bins are closed above, (lower, upper], as in Guo et al. The predicted class is the most probable one (the first
    of equals), which for an ensemble that votes may differ from its tie-breaking rule.

    Parameters
    ----------
    y_true : (n_spectra,) int
    probabilities : (n_spectra, n_classes) array
    n_bins : int

    Returns
    -------
    Reliability

    Raises
    ------
    DataError
        As `ftirlib.report.scores.classification_scores`.
    SettingsError
        Fewer than one bin.

    Examples
    --------
    >>> reliability([0, 1], [[0.75, 0.25], [0.75, 0.25]]).error
    0.25
    """
    if n_bins < 1:
        raise SettingsError(f"n_bins is {n_bins}; give at least one bin.")
    probabilities = np.asarray(probabilities, np.float64)
    names = range(probabilities.shape[-1] if probabilities.ndim == 2 else 0)
    y_true, _ = check_codes(y_true, y_true, names)
    probabilities = check_probabilities(probabilities, len(y_true), names)
    bins, confidence, right = calibration_terms(y_true, probabilities, n_bins)
    count, stated, correct = (np.bincount(bins, w, minlength=n_bins) for w in (None, confidence, right))
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges=np.linspace(0, 1, n_bins + 1),
            count=count,
            confidence=stated / count,
            accuracy=correct / count,
            error=float(np.abs(correct - stated).sum() / len(y_true)),
        )


def calibration_terms(y_true, probabilities, n_bins: int = N_BINS):
    """Per spectrum: bin of the largest probability, that probability, and whether that class is right."""
    confidence = probabilities.max(axis=1)
    edges = np.linspace(0, 1, n_bins + 1)
    bins = np.searchsorted(edges[1:-1], confidence, side="left")  # (lower, upper]; rounding above 1 stays in the last
    return bins, confidence, probabilities.argmax(axis=1) == y_true


def brier_terms(y_true, probabilities) -> np.ndarray:
    """Squared distance of each row of probabilities to the one-hot label: (n_spectra,)."""
    return (probabilities**2).sum(axis=1) - 2 * probabilities[np.arange(len(y_true)), y_true] + 1


def positive_mask(class_names: Sequence[str], positive_classes: Sequence[str]) -> np.ndarray:
    """Which classes are positive in the binary view, (n_classes,) bool; refuses names that are no class."""
    if isinstance(positive_classes, str):
        raise DataError(f"positive_classes is the text {positive_classes!r}; give a list of class names.")
    if unknown := [name for name in positive_classes if name not in class_names]:
        raise DataError(f"positive class {unknown[0]!r} is not among the classes {list(class_names)}.")
    return np.array([name in positive_classes for name in class_names])


def check_codes(y_true, predicted, class_names) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions as int64 arrays of one length, each a position in `class_names`."""
    checked = []
    for name, codes in (("y_true", np.asarray(y_true)), ("predicted", np.asarray(predicted))):
        if codes.ndim != 1 or not codes.size:
            raise DataError(f"{name} has shape {codes.shape}; give one class position per spectrum, for at least one.")
        if codes.dtype != bool and not np.issubdtype(codes.dtype, np.integer):
            raise DataError(f"{name} holds {codes.dtype}; give integer positions in {list(class_names)}.")
        if n_unknown := int((codes < 0).sum()):
            raise DataError(
                f"{name} holds {n_unknown} negative code(s), which mean unknown; score labelled spectra only."
            )
        if codes.max() >= len(class_names):
            raise DataError(
                f"{name} holds code {codes.max()} but there are {len(class_names)} classes (0 is the first)."
            )
        checked.append(codes.astype(np.int64))
    if checked[0].shape != checked[1].shape:
        raise DataError(
            f"y_true has {checked[0].size} entries and predicted {checked[1].size}; give one each per spectrum."
        )
    return checked[0], checked[1]


def check_probabilities(probabilities, n: int, class_names) -> np.ndarray:
    """Probabilities as float64, (n, n_classes), each row a distribution to a thousandth; nothing is rescaled."""
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.shape != (n, len(class_names)):
        raise DataError(
            f"probabilities have shape {probabilities.shape} for {n} spectra and {len(class_names)} classes; "
            "give one row per spectrum and one column per class."
        )
    # NaN fails both comparisons; half precision leaves an error of a thousandth in a sum of 1.
    bad = ~((np.abs(probabilities.sum(axis=1) - 1) <= 1e-3) & (probabilities >= -1e-3).all(axis=1))
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"probabilities of spectrum {first} are {np.round(probabilities[first], 4).tolist()} "
            f"({int(bad.sum())} such row(s)); rows must be non-negative and sum to 1: pass predict_proba, not scores."
        )
    return probabilities
