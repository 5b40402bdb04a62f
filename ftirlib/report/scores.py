"""What a classifier is worth: every score under its own name, undefined ones as NaN with the reason.

Scores as in Hartigan, Azevedo & Liò (Figure 2); formulas in `ftirlib.report.confusion`, `calibration` and `ranking`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ftirlib.errors import DataError
from ftirlib.report.tally import Tally, warn_of_rounding

SCORE_TITLES = {
    "accuracy": "Accuracy (SWS)",
    "balanced_accuracy": "Balanced accuracy",
    "mcc": "MCC",
    "binary_accuracy": "Binary accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "Calibration error",
}
BINARY_SCORES = ("binary_accuracy", "sensitivity", "specificity", "precision", "f1", "auroc", "auprc")
PROBABILITY_SCORES = ("auroc", "auprc", "brier", "ece")
LOWER_IS_BETTER = ("brier", "ece")

_UNDEFINED = {  # why a score is 0/0, once its inputs are there
    "mcc": "all labels, or all predictions, are of one class",
    "sensitivity": "no spectrum is labelled positive",
    "specificity": "every spectrum is labelled positive",
    "precision": "no spectrum is predicted positive",
    "f1": "no spectrum is positive, by label or by prediction",
    "auroc": "the labels hold one side of the binary view only",
    "auprc": "no spectrum is labelled positive",
}


class Scores(dict):
    """Scores by name, as a dict of float; `reasons` says for each NaN among them why it is one."""

    def __init__(self, values=(), reasons=()):
        super().__init__(values)
        self.reasons: dict[str, str] = dict(reasons)


def classification_scores(
    y_true, predicted, probabilities=None, *, class_names: Sequence[str], positive_classes: Sequence[str]
) -> Scores:
    """Score predictions against labels, over all classes and in the binary view.

    Parameters
    ----------
    y_true, predicted : (n_spectra,) int
        Positions in `class_names`.
    probabilities : (n_spectra, n_classes) array, optional
        One distribution per spectrum, columns in the order of `class_names`.
    class_names : sequence of str
    positive_classes : sequence of str
        Those of `class_names` that count as positive in the binary view; may be several. When empty there
        is no binary view and its scores are NaN.

    Returns
    -------
    Scores
        A dict of float with the keys below. What cannot be computed (0/0, no probabilities, no positive class)
        is NaN, and the attribute ``reasons`` says why.

        Over all classes: ``accuracy``; ``balanced_accuracy``, the plain mean of the sensitivities of the classes
        that occur in `y_true`; ``mcc``, Gorodkin's R_K; ``sensitivity_<class>`` for every class; ``brier``, the
        squared distance between probabilities and the one-hot label, summed over classes (0 to 2); ``ece``, the
        calibration error of the largest probability over 15 equal bins (see `reliability`).

        Binary, after merging the positive classes and the others: ``binary_accuracy``, ``sensitivity``,
        ``specificity``, ``precision``, ``f1``, and on the summed probability of the positive classes ``auroc``
        and ``auprc`` (average precision, not interpolated).

    Raises
    ------
    DataError
        Unknown labels (-1), codes beyond the classes, shapes that disagree, rows that are no distribution.

    Warns
    -----
    UserWarning
        When there are millions of distinct probabilities, which are then rounded, with the bounds of the error.

    Notes
    -----
    The "sample weighted sensitivity" of Hartigan, Azevedo & Liò weights the sensitivity TP_k / n_k of class k by its
    share n_k / N, so SWS = sum_k (n_k / N) (TP_k / n_k) = sum_k TP_k / N, which is the accuracy: ``accuracy`` over
    all classes and ``binary_accuracy`` in the binary view. Either is as high as the largest class is common for a
    model that knows nothing; compare with `majority_scores`.

    Examples
    --------
    >>> scores = classification_scores([0, 0, 1, 1], [0, 1, 1, 1], class_names=["a", "b"], positive_classes=["b"])
    >>> scores["accuracy"], scores["sensitivity"], scores["specificity"]
    (0.75, 1.0, 0.5)
    >>> scores.reasons["auroc"]
    'no probabilities were given'
    """
    tally = Tally(class_names=class_names, positive_classes=positive_classes)
    tally.add(y_true, predicted, probabilities)
    warn_of_rounding([tally])
    return tally_scores(tally)


def tally_scores(tally: Tally) -> Scores:
    """Scores of all answers of a tally, as `classification_scores` gives them.

    Raises
    ------
    DataError
        A tally without spectra.
    """
    if not tally.confusion.any():
        raise DataError("the tally holds no spectra; add answers before asking for scores.")
    scores = Scores({name: float(value[0]) for name, value in tally.scores().items()})
    scores.reasons = _reasons(scores, not tally.with_probabilities, tally.positive)
    return scores


def majority_scores(
    counts, train_counts, *, class_names: Sequence[str], positive_classes: Sequence[str] = ()
) -> Scores:
    """Scores of knowing the training labels and nothing else: what every model has to beat.

    The prediction is always the most common training class (the first of equals), and the probabilities are the
    class shares of the training set.

    Parameters
    ----------
    counts, train_counts : (n_classes,) int
        Spectra of each class among those to score, and in the training set.
    class_names, positive_classes : sequence of str
        As in `classification_scores`.

    Returns
    -------
    Scores
        As from `classification_scores`.

    Raises
    ------
    DataError
        No spectra to score.
    """
    counts, train_counts = np.asarray(counts), np.asarray(train_counts)
    occurs, shares = np.flatnonzero(counts), train_counts / train_counts.sum()
    tally = Tally(class_names=class_names, positive_classes=positive_classes)
    tally.add(occurs, np.full_like(occurs, shares.argmax()), np.tile(shares, (len(occurs), 1)), count=counts[occurs])
    return tally_scores(tally)


def _reasons(scores, without_probabilities: bool, positive) -> dict[str, str]:
    reasons = {}
    for name in (name for name, value in scores.items() if np.isnan(value)):
        if without_probabilities and name in PROBABILITY_SCORES:
            reasons[name] = "no probabilities were given"
        elif not positive.any() and name in BINARY_SCORES:
            reasons[name] = "no class is named positive"
        else:
            reasons[name] = _UNDEFINED.get(name) or f"no spectrum is labelled {name.removeprefix('sensitivity_')}"
    return reasons
