"""Every model under every score, in one tidy table: what the bars and tables of the book show.

Means and deviations over folds as in Hartigan et al. (paper A, Figure 2), with intervals over patients beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ftirlib.report.scores import BINARY_SCORES, PROBABILITY_SCORES, majority_scores, tally_scores
from ftirlib.report.tally import Tally, warn_of_rounding
from ftirlib.report.uncertainty import bootstrap_tally, fold_summary

SHOWN_SCORES = (
    *("accuracy", "balanced_accuracy", "mcc", "brier", "ece"),
    *("binary_accuracy", "sensitivity", "specificity", "precision", "f1", "auroc", "auprc"),
)


def score_table(tallies: Mapping[str, Mapping[str, Sequence[Tally]]], train_counts, **bootstrap) -> pd.DataFrame:
    """Scores of the test-set answers of several models, over the folds.

    Parameters
    ----------
    tallies : mapping of model to mapping of target to one Tally per fold
        What each model is scored against, such as the labels, and what its test sets gave; over the same groups.
    train_counts : (n_folds, n_classes) int
        Spectra of each class in each training set, which the majority is of.
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `bootstrap_tally`.

    Returns
    -------
    DataFrame
        Columns ``model, target, score, mean, sd, low, high, majority``. Binary scores are left out without positive
        classes, and scores of probabilities where a model has none.
    """
    rows = []
    for model, targets in tallies.items():
        for target, folds in targets.items():
            rows += _rows(model, target, folds, train_counts, bootstrap)
    return pd.DataFrame(rows)


def _rows(model, target, folds, train_counts, bootstrap) -> list[dict]:
    """One row per score: mean and SD over folds, interval over groups, the majority's score beside it."""
    names = {"class_names": folds[0].class_names, "positive_classes": folds[0].positive_classes}
    whole = Tally.join(folds)
    warn_of_rounding([*folds, whole])
    per_fold = [tally_scores(fold) for fold in folds]
    counts = [fold.confusion.sum(axis=(0, 2)) for fold in folds]
    majority = [majority_scores(true, trained, **names) for true, trained in zip(counts, train_counts)]
    intervals = bootstrap_tally(whole, **bootstrap)
    rows = []
    for score in SHOWN_SCORES:
        if score in BINARY_SCORES and not names["positive_classes"]:
            continue
        if score in PROBABILITY_SCORES and not folds[0].with_probabilities:
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
