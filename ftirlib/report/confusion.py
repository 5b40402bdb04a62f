"""Counts of spectra by label and prediction, and every score that needs no more than them.

R_K of Gorodkin 2004 (10.1016/j.compbiolchem.2004.09.006); the others as in Hartigan, Azevedo & Liò (Figure 2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ftirlib.report.checks import check_codes


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
        Scores by the names of `ftirlib.report.scores.classification_scores`, NaN where undefined; see
        `class_sensitivities` for those of single classes.
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
