"""Every model under every score, in one tidy table: what the bars and tables of the book show.

Means and deviations over folds as in Hartigan et al. (paper A, Figure 2), with intervals over patients beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ftirlib.report.scores import (
    BINARY_SCORES,
    PROBABILITY_SCORES,
    classification_scores,
    majority_baseline,
)
from ftirlib.report.uncertainty import bootstrap_scores, fold_summary
from ftirlib.spectra.folds import Fold

SHOWN_SCORES = (
    *("accuracy", "balanced_accuracy", "mcc", "brier", "ece"),
    *("binary_accuracy", "sensitivity", "specificity", "precision", "f1", "auroc", "auprc"),
)


def score_table(
    answers: Mapping[str, Sequence[Mapping]],
    targets: Mapping[str, Mapping[str, Sequence[np.ndarray]]],
    *,
    folds: Sequence[Fold],
    label,
    group,
    class_names: Sequence[str],
    positive_classes: Sequence[str],
    **bootstrap,
) -> pd.DataFrame:
    """Score test-set answers of several models, fold by fold.

    Parameters
    ----------
    answers : mapping of model to one mapping per fold
        ``predicted`` (n_test,) int, and ``probabilities`` (n_test, n_classes) or None.
    targets : mapping of model to mapping of target to one (n_test,) int array per fold
        What each model is scored against, such as the labels.
    folds : sequence of Fold
    label, group : (n_spectra,) int
    class_names, positive_classes : sequence of str
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `bootstrap_scores`.

    Returns
    -------
    DataFrame
        Columns ``model, target, score, mean, sd, low, high, majority``. Binary scores are left out without positive
        classes, and scores of probabilities where a model has none.
    """
    label, group = np.asarray(label), np.asarray(group)
    names = {"class_names": class_names, "positive_classes": positive_classes}
    train = [label[fold.train] for fold in folds]
    groups = [group[fold.test] for fold in folds]
    rows = []
    for model, per_fold in answers.items():
        for target, truth in targets[model].items():
            rows += _rows(model, target, truth, per_fold, train, groups, names, bootstrap)
    return pd.DataFrame(rows)


def _rows(model, target, truth, answers, train, groups, names, bootstrap) -> list[dict]:
    """One row per score: mean and SD over folds, interval over groups, the majority's score beside it."""
    with_probabilities = answers[0]["probabilities"] is not None
    per_fold, majority = [], []
    for true, answer, trained in zip(truth, answers, train):
        per_fold.append(classification_scores(true, answer["predicted"], answer["probabilities"], **names))
        majority.append(majority_baseline(true, trained, **names))
    intervals = bootstrap_scores(
        np.concatenate(truth),
        np.concatenate([answer["predicted"] for answer in answers]),
        np.concatenate(groups),
        np.concatenate([answer["probabilities"] for answer in answers]) if with_probabilities else None,
        **names,
        **bootstrap,
    )
    rows = []
    for score in SHOWN_SCORES:
        if score in BINARY_SCORES and not names["positive_classes"]:
            continue
        if score in PROBABILITY_SCORES and not with_probabilities:
            continue
        mean, sd = fold_summary([fold[score] for fold in per_fold])
        rows.append(
            {
                "model": model,
                "target": target,
                "score": score,
                "mean": mean,
                "sd": sd,
                "low": intervals[score].low,
                "high": intervals[score].high,
                "majority": fold_summary([fold[score] for fold in majority])[0],
            }
        )
    return rows
