"""What a classifier is worth: every score under its own name, undefined ones as NaN with the reason.

Scores as in Hartigan, Azevedo & Liò (Figure 2); R_K of Gorodkin 2004 (10.1016/j.compbiolchem.2004.09.006);
calibration as in `ftirlib.report.calibration`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from ftirlib.report.calibration import brier_terms, reliability
from ftirlib.report.checks import check_codes, check_probabilities, positive_mask

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

    Notes
    -----
    The "sample weighted sensitivity" of Hartigan, Azevedo & Liò weights the sensitivity TP_k / n_k of class k by its
    share n_k / N, so SWS = sum_k (n_k / N) (TP_k / n_k) = sum_k TP_k / N, which is the accuracy: ``accuracy`` over
    all classes and ``binary_accuracy`` in the binary view. Either is as high as the largest class is common for a
    model that knows nothing; compare with `majority_baseline`.

    Examples
    --------
    >>> scores = classification_scores([0, 0, 1, 1], [0, 1, 1, 1], class_names=["a", "b"], positive_classes=["b"])
    >>> scores["accuracy"], scores["sensitivity"], scores["specificity"]
    (0.75, 1.0, 0.5)
    >>> scores.reasons["auroc"]
    'no probabilities were given'
    """
    positive = positive_mask(class_names, positive_classes)
    y_true, predicted = check_codes(y_true, predicted, class_names)
    confusion = confusion_counts(y_true, predicted, class_names=class_names)
    scores = Scores({name: float(value) for name, value in scores_from_confusion(confusion, positive=positive).items()})
    scores |= dict.fromkeys(PROBABILITY_SCORES, np.nan)
    if probabilities is not None:
        probabilities = check_probabilities(probabilities, len(y_true), class_names)
        is_positive = positive[y_true]
        if is_positive.any():
            positive_probability = probabilities[:, positive].sum(axis=1)
            scores["auprc"] = float(average_precision_score(is_positive, positive_probability))
            if not is_positive.all():
                scores["auroc"] = float(roc_auc_score(is_positive, positive_probability))
        scores["brier"] = float(brier_terms(y_true, probabilities).mean())
        scores["ece"] = reliability(y_true, probabilities).error
    for name, value in zip(class_names, class_sensitivities(confusion)):
        scores[f"sensitivity_{name}"] = float(value)
    scores.reasons = _reasons(scores, probabilities is None, positive)
    return scores


def majority_baseline(
    y_true, train_labels, *, class_names: Sequence[str], positive_classes: Sequence[str] = ()
) -> Scores:
    """Scores of knowing the training labels and nothing else: what every model has to beat.

    The prediction is always the most common training class (the first of equals), and the probabilities are the
    class shares of the training set.

    Parameters
    ----------
    y_true : (n_spectra,) int
        Labels to score against.
    train_labels : (n_train,) int
        Labels of the training set.
    class_names, positive_classes : sequence of str
        As in `classification_scores`.

    Returns
    -------
    Scores
        As from `classification_scores`.

    Raises
    ------
    DataError
        As `classification_scores`.
    """
    train_labels, _ = check_codes(train_labels, train_labels, class_names, what="train_labels")
    shares = np.bincount(train_labels, minlength=len(class_names)) / len(train_labels)
    n = len(np.atleast_1d(y_true))
    return classification_scores(
        y_true,
        np.full(n, shares.argmax()),
        np.tile(shares, (n, 1)),
        class_names=class_names,
        positive_classes=positive_classes,
    )


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
        As `classification_scores`.

    Examples
    --------
    >>> confusion_counts([0, 0, 1], [0, 1, 1], class_names=["a", "b"])
    array([[1, 1],
           [0, 1]])
    """
    y_true, predicted = check_codes(y_true, predicted, class_names)
    k = len(class_names)
    return np.bincount(y_true * k + predicted, minlength=k * k).reshape(k, k)


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
        Scores by the names of `classification_scores`, NaN where undefined; see `class_sensitivities` for those of
        single classes.
    """
    confusion = np.asarray(confusion, np.float64)
    positive = np.asarray(positive, bool)
    labelled, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)  # (..., classes)
    right, total = np.trace(confusion, axis1=-2, axis2=-1), labelled.sum(axis=-1)
    if positive.any():
        of_positive, of_negative = confusion[..., positive, :], confusion[..., ~positive, :]
        tp, fn = of_positive[..., positive].sum(axis=(-2, -1)), of_positive[..., ~positive].sum(axis=(-2, -1))
        fp, tn = of_negative[..., positive].sum(axis=(-2, -1)), of_negative[..., ~positive].sum(axis=(-2, -1))
    else:
        tp = fn = fp = tn = np.full(total.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 is NaN: undefined, as documented
        sensitivity, occurs = class_sensitivities(confusion), labelled > 0  # (..., classes)
        spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (labelled**2).sum(axis=-1))
        return {
            "accuracy": right / total,
            "balanced_accuracy": np.where(occurs, sensitivity, 0).sum(axis=-1) / occurs.sum(axis=-1),
            "mcc": (right * total - (labelled * predicted).sum(axis=-1)) / np.sqrt(spread),
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
