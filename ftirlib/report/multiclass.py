"""Eight scores of a classifier with many classes, averaged over classes where they belong to one.

The scores of Abdo et al. 2024 (10.5815/ijisa.2024.04.02); R_K of Gorodkin 2004 (10.1016/j.compbiolchem.2004.09.006),
kappa of Cohen 1960 (10.1177/001316446002000104); macro averages as in Sokolova & Lapalme 2009
(10.1016/j.ipm.2009.03.002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ftirlib.errors import DataError
from ftirlib.report.checks import check_codes
from ftirlib.report.confusion import confusion_counts
from ftirlib.report.scores import Scores
from ftirlib.report.uncertainty import Interval, fold_summary, grouped_bootstrap
from ftirlib.spectra.folds import Fold

MULTICLASS_TITLES = {
    "accuracy": "Accuracy",
    "error": "Error rate",
    "sensitivity": "Sensitivity (macro)",
    "precision": "Precision (macro)",
    "false_positive_rate": "False positive rate (macro)",
    "f1": "F1 (macro)",
    "mcc": "MCC",
    "kappa": "Cohen's kappa",
}
LOWER_IS_BETTER = ("error", "false_positive_rate")

_UNDEFINED = {
    "false_positive_rate": "every spectrum is labelled with one class",
    "mcc": "all labels, or all predictions, are of one class",
    "kappa": "all labels and all predictions are of one class",
}


def multiclass_scores(y_true, predicted, *, class_names: Sequence[str]) -> Scores:
    """The eight scores of predictions against labels.

    Parameters
    ----------
    y_true, predicted : (n_spectra,) int
        Positions in `class_names`.
    class_names : sequence of str

    Returns
    -------
    Scores
        A dict of float by the names of `MULTICLASS_TITLES`; what is 0/0 is NaN, with the reason in ``reasons``.

    Raises
    ------
    DataError
        Unknown labels (-1), codes beyond the classes, shapes that disagree.

    Notes
    -----
    Sensitivity, precision, false positive rate and F1 are computed for each class against all others and averaged
    without weights over the classes that occur in `y_true`; sensitivity is thus the balanced accuracy. A class that is
    labelled but never predicted has a precision of 0 (not undefined): else a model could gain by never naming it.
    A false positive rate is small with many classes whatever the model: the negatives of a class are most spectra.

    Examples
    --------
    >>> scores = multiclass_scores([0, 0, 1, 2], [0, 1, 1, 2], class_names=["a", "b", "c"])
    >>> scores["accuracy"], scores["error"], round(scores["kappa"], 3)
    (0.75, 0.25, 0.636)
    """
    confusion = confusion_counts(y_true, predicted, class_names=class_names)
    scores = Scores({name: float(value) for name, value in multiclass_from_confusion(confusion).items()})
    scores.reasons = {name: _UNDEFINED[name] for name, value in scores.items() if np.isnan(value)}
    return scores


def multiclass_from_confusion(confusion) -> dict[str, np.ndarray]:
    """The eight scores from counts, for one confusion matrix or any number of them at once.

    Parameters
    ----------
    confusion : (..., n_classes, n_classes) array
        Rows are labels, columns predictions; counts may be fractional.

    Returns
    -------
    dict of (...,) float64
        By the names of `MULTICLASS_TITLES`, NaN where undefined.
    """
    confusion = np.asarray(confusion, np.float64)
    labelled, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)  # (..., classes)
    tp = np.diagonal(confusion, axis1=-2, axis2=-1)
    right, total = tp.sum(axis=-1), labelled.sum(axis=-1)
    occurs = labelled > 0

    def macro(values):
        return np.where(occurs, values, 0).sum(axis=-1) / occurs.sum(axis=-1)

    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 is NaN: undefined, as documented
        chance = (labelled * predicted).sum(axis=-1)  # total squared times the agreement expected by chance
        spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (labelled**2).sum(axis=-1))
        accuracy = right / total
        return {
            "accuracy": accuracy,
            "error": 1 - accuracy,
            "sensitivity": macro(tp / labelled),
            "precision": macro(np.where(predicted > 0, tp / predicted, 0)),
            "false_positive_rate": macro((predicted - tp) / (total[..., None] - labelled)),
            "f1": macro(2 * tp / (labelled + predicted)),
            "mcc": (right * total - chance) / np.sqrt(spread),
            "kappa": (right * total - chance) / (total**2 - chance),
        }


def bootstrap_multiclass(
    y_true,
    predicted,
    groups,
    *,
    class_names: Sequence[str],
    n_resamples: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.Generator = 0,
) -> dict[str, Interval]:
    """Interval of each of the eight scores, by drawing whole groups with replacement.

    Parameters
    ----------
    y_true, predicted : (n_spectra,) int
    groups : (n_spectra,) array
        Patient or preparation of each spectrum.
    class_names : sequence of str
    n_resamples, confidence, random_state
        As in `grouped_bootstrap`.

    Returns
    -------
    dict of Interval
        By the names of `MULTICLASS_TITLES`.

    Raises
    ------
    DataError, SettingsError
        As `multiclass_scores` and `grouped_bootstrap`.
    """
    y_true, predicted = check_codes(y_true, predicted, class_names)
    groups = np.asarray(groups)
    if groups.shape != y_true.shape:
        raise DataError(f"there are groups of shape {groups.shape} for {len(y_true)} spectra; give one per spectrum.")
    names, of_group = np.unique(groups, return_inverse=True)
    k = len(class_names)
    counts = np.bincount((of_group * k + y_true) * k + predicted, minlength=len(names) * k * k)

    def scores(confusions):  # (groups drawn, k, k)
        return np.array(list(multiclass_from_confusion(confusions.sum(axis=0)).values()))

    # counts of a group stand for its spectra: one row a group is resampled, not one a spectrum
    joint = grouped_bootstrap(
        scores,
        names,
        counts.reshape(-1, k, k),
        n_resamples=n_resamples,
        confidence=confidence,
        random_state=random_state,
    )
    parts = ("estimate", "low", "high", "standard_error")
    return {
        name: replace(
            joint, **{part: float(getattr(joint, part)[i]) for part in parts}, n_undefined=int(joint.n_undefined[i])
        )
        for i, name in enumerate(MULTICLASS_TITLES)
    }


def multiclass_table(
    answers: Mapping[str, Sequence[np.ndarray]],
    *,
    folds: Sequence[Fold],
    label,
    group,
    class_names: Sequence[str],
    **bootstrap,
) -> pd.DataFrame:
    """The eight scores of test-set answers of several models, fold by fold.

    Parameters
    ----------
    answers : mapping of model to one (n_test,) int array per fold
    folds : sequence of Fold
    label, group : (n_spectra,) int
    class_names : sequence of str
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `bootstrap_multiclass`.

    Returns
    -------
    DataFrame
        Columns ``model, score, mean, sd, low, high, majority``: mean and standard deviation over folds, interval of
        all test sets together, and the mean of always answering the most frequent class of the training set.
    """
    label, group = np.asarray(label), np.asarray(group)
    truth = [label[fold.test] for fold in folds]
    common = [np.bincount(label[fold.train], minlength=len(class_names)).argmax() for fold in folds]
    majority = [multiclass_scores(t, np.full(len(t), c), class_names=class_names) for t, c in zip(truth, common)]
    groups = np.concatenate([group[fold.test] for fold in folds])
    rows = []
    for model, predicted in answers.items():
        each = [multiclass_scores(t, p, class_names=class_names) for t, p in zip(truth, predicted)]
        intervals = bootstrap_multiclass(
            np.concatenate(truth), np.concatenate(predicted), groups, class_names=class_names, **bootstrap
        )
        for score in MULTICLASS_TITLES:
            mean, sd = fold_summary([fold[score] for fold in each])
            row = {"model": model, "score": score, "mean": mean, "sd": sd}
            row |= {"low": intervals[score].low, "high": intervals[score].high}
            rows.append(row | {"majority": fold_summary([fold[score] for fold in majority])[0]})
    return pd.DataFrame(rows)
