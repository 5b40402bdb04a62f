"""Models under every score, and their differences, in tidy tables: the contents of the book's bars and tables.

Means and deviations over folds as in Hartigan et al. (paper A, Figure 2), with intervals over patients beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ftirlib.errors import DataError
from ftirlib.report.scores import (
    BINARY_SCORES,
    PROBABILITY_SCORES,
    majority_scores,
    multiclass,
    score_intervals,
    tally_scores,
)
from ftirlib.report.tally import Tally
from ftirlib.report.uncertainty import fold_summary
from ftirlib.spectra.folds import Fold

SHOWN_SCORES = (
    *("accuracy", "balanced_accuracy", "mcc", "brier", "ece"),
    *("binary_accuracy", "sensitivity", "specificity", "precision", "f1", "auroc", "auprc"),
)
PAIRED_SCORES = ("balanced_accuracy", "accuracy", "f1")


def score_table(tallies: Mapping[str, Mapping[str, Sequence[Tally]]], train_counts, **bootstrap) -> pd.DataFrame:
    """Scores of the test-set answers of several models, over the folds.

    Parameters
    ----------
    tallies : mapping of model to mapping of target to one Tally per fold
        Answers of each model to the test sets, by the target that they are scored against, such as the labels; over
        the same groups.
    train_counts : (n_folds, n_classes) int
        Spectra of each class in each training set, whose most frequent class is the majority's answer.
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `grouped_bootstrap`.

    Returns
    -------
    DataFrame
        Columns ``model, target, score, mean, sd, low, high, majority``. Binary scores are left out without positive
        classes, and scores of probabilities where a model has none.
    """
    rows = []
    for model, targets in tallies.items():
        for target, folds in targets.items():
            left_out = () if folds[0].positive.any() else BINARY_SCORES
            left_out += () if folds[0].with_probabilities else PROBABILITY_SCORES
            shown = [name for name in SHOWN_SCORES if name not in left_out]
            table = _over_folds(
                folds, train_counts, lambda scores, shown=shown: {k: scores[k] for k in shown}, bootstrap
            )
            rows += [{"model": model, "target": target} | row for row in table]
    return pd.DataFrame(rows)


def multiclass_table(
    answers: Mapping[str, Sequence[np.ndarray]],
    *,
    folds: Sequence[Fold],
    label,
    group,
    class_names: Sequence[str],
    **bootstrap,
) -> pd.DataFrame:
    """The eight scores, of `ftirlib.report.scores.multiclass_scores`, of test-set answers of several models.

    Parameters
    ----------
    answers : mapping of model to one (n_test,) int array per fold
    folds : sequence of Fold
    label, group : (n_spectra,) int
    class_names : sequence of str
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `grouped_bootstrap`.

    Returns
    -------
    DataFrame
        Columns ``model, score, mean, sd, low, high, majority``: mean and standard deviation over folds, interval of
        all test sets together, and the mean of always answering the most frequent class of the training set.
    """
    label, (names, codes) = np.asarray(label), np.unique(group, return_inverse=True)
    train_counts = [np.bincount(label[fold.train], minlength=len(class_names)) for fold in folds]
    rows = []
    for model, predictions in answers.items():
        tallies = [Tally(class_names=class_names, positive_classes=(), n_groups=len(names)) for _ in folds]
        for tally, fold, predicted in zip(tallies, folds, predictions):
            tally.add(label[fold.test], predicted, groups=codes[fold.test])
        rows += [{"model": model} | row for row in _over_folds(tallies, train_counts, multiclass, bootstrap)]
    return pd.DataFrame(rows)


def paired_table(
    y_true,
    predictions: Mapping[str, np.ndarray],
    groups,
    *,
    reference: str,
    class_names: Sequence[str],
    positive_classes: Sequence[str],
    scores: Sequence[str] = PAIRED_SCORES,
    **bootstrap,
) -> pd.DataFrame:
    """Difference of each model's scores to the reference's, on the same spectra and the same draws of patients.

    Intervals are per difference, not for all at once.

    Parameters
    ----------
    y_true : (n_spectra,) int
        Classes that all models are scored against.
    predictions : mapping of str to (n_spectra,) int
        By model, the reference among them.
    groups : (n_spectra,) array
        Patient of each spectrum.
    reference : str
    class_names, positive_classes : sequence of str
    scores : sequence of str
        Of `ftirlib.report.scores.classification_scores`.
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `grouped_bootstrap`.

    Returns
    -------
    DataFrame
        Columns ``model, score, difference, low, high, decided``: model less reference; decided when the interval
        leaves out 0.

    Raises
    ------
    DataError
        An unknown reference or score, a single model, or arrays that disagree.
    """
    if reference not in predictions or len(predictions) < 2:
        raise DataError(
            f"the reference '{reference}' and at least one other model are needed; got {list(predictions)}."
        )
    names = {"class_names": class_names, "positive_classes": positive_classes}
    tallies = {model: Tally.of(y_true, answers, groups=groups, **names) for model, answers in predictions.items()}
    rows = []
    for model in (name for name in predictions if name != reference):
        differences = score_intervals(tallies[model], tallies[reference], **bootstrap)
        if unknown := [score for score in scores if score not in differences]:
            raise DataError(f"'{unknown[0]}' is not a score; choose from {list(differences)}.")
        for score in scores:
            interval = differences[score]
            decided = bool(interval.low > 0 or interval.high < 0)
            rows.append((model, score, interval.estimate, interval.low, interval.high, decided))
    return pd.DataFrame(rows, columns=["model", "score", "difference", "low", "high", "decided"])


def _over_folds(folds: Sequence[Tally], train_counts, chosen, bootstrap) -> list[dict]:
    """One row per score `chosen` of all: mean and SD over folds, interval over groups, the majority's mean."""
    names = {"class_names": folds[0].class_names, "positive_classes": folds[0].positive_classes}
    counts = [fold.confusion.sum(axis=(0, 2)) for fold in folds]
    per_fold = [chosen(tally_scores(fold)) for fold in folds]
    majority = [chosen(majority_scores(true, trained, **names)) for true, trained in zip(counts, train_counts)]
    rows = []
    for score, interval in chosen(score_intervals(Tally.join(folds), **bootstrap)).items():
        mean, sd = fold_summary([fold[score] for fold in per_fold])
        row = {"score": score, "mean": mean, "sd": sd, "low": interval.low, "high": interval.high}
        rows.append(row | {"majority": fold_summary([fold[score] for fold in majority]).mean})
    return rows
