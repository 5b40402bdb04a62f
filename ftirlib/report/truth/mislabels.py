"""Do contexts that oppose their labels hold the mislabelled pixels? Per pixel and per context, with intervals.

The question is that of Hartigan et al. (paper A), Figure 4b-c; precision and recall as in any detection.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftirlib.errors import DataError, SettingsError
from ftirlib.report.truth.truth import ranking, suspicion
from ftirlib.report.uncertainty import grouped_bootstrap

OPPOSING = 0.5  # suspicion above which a context opposes its labels: most predictions differ from the label
QUALITIES = ("auroc", "precision", "recall")


def detection(score, is_true, *, threshold: float = OPPOSING) -> dict[str, float]:
    """AUROC of a score, and precision and recall of what lies above a threshold that needs no truth.

    Parameters
    ----------
    score : (n,) float
    is_true : (n,) bool
    threshold : float

    Returns
    -------
    dict of float
        ``auroc, precision, recall``, ``flagged`` (share above the threshold) and ``prevalence``. AUROC is NaN when
        all or none are true, precision when none is flagged, recall when none is true.

    Examples
    --------
    >>> detection([0.9, 0.6, 0.2, 0.1], [True, False, False, True])["precision"]
    0.5
    """
    score, is_true = np.asarray(score, float), np.asarray(is_true, bool)
    ranked = ranking(score, is_true)
    flagged = score > threshold
    hits, n_flagged, n_true = int((flagged & is_true).sum()), int(flagged.sum()), int(is_true.sum())
    return {
        "auroc": ranked["auroc"],
        "precision": hits / n_flagged if n_flagged else np.nan,
        "recall": hits / n_true if n_true else np.nan,
        "flagged": n_flagged / len(flagged),
        "prevalence": ranked["prevalence"],
    }


def mislabel_table(
    assigned,
    predicted,
    labelled,
    is_mislabelled,
    groups,
    *,
    n_contexts: int,
    score=None,
    threshold: float = OPPOSING,
    **bootstrap,
) -> pd.DataFrame:
    """How well suspicion finds mislabelled pixels, and contexts that are mostly mislabelled.

    Parameters
    ----------
    assigned, predicted, labelled : (n_spectra,) int
        Context, classifier's class, and label; every label known.
    is_mislabelled : (n_spectra,) bool
        The truth.
    groups : (n_spectra,) array
        Patient of each spectrum; intervals are over these.
    n_contexts : int
    score : (n_contexts,) float, optional
        Suspicion of each context, found elsewhere (say, on the validation set); a context without one (NaN) gets the
        mean of the others. Default: the suspicion of these very spectra.
    threshold : float
        Suspicion above which a context is said to oppose its labels.
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `grouped_bootstrap`.

    Returns
    -------
    DataFrame
        Rows ``pixel`` (score: that of the pixel's context) and ``context`` (true: more than half of its pixels are
        mislabelled; contexts without pixels are left out). Columns ``level, n, true, flagged``, and ``auroc``,
        ``precision``, ``recall`` with ``_low`` and ``_high`` each.

    Raises
    ------
    DataError
        Arrays that disagree, an unknown label, or no suspicion for any context.
    SettingsError
        A threshold that no share can have.
    """
    if not 0 <= threshold <= 1:
        raise SettingsError(f"threshold is {threshold}; suspicion is a share, 0 to 1.")
    labelled, truth = np.asarray(labelled), np.asarray(is_mislabelled, bool)
    if (labelled < 0).any():
        raise DataError(f"{int((labelled < 0).sum())} labels are unknown (-1); score labelled spectra only.")
    if score is None:
        score = suspicion(assigned, predicted, labelled, n_contexts=n_contexts)
    score = np.asarray(score, float)
    if score.shape != (n_contexts,) or np.isnan(score).all():
        raise DataError(f"the suspicion has shape {score.shape}; give one number for each of {n_contexts} contexts.")
    score = np.where(np.isnan(score), np.nanmean(score), score)
    assigned = np.asarray(assigned)

    def of_pixels(context, is_true):
        found = detection(score[context], is_true, threshold=threshold)
        return np.array([found[q] for q in QUALITIES])

    def of_contexts(context, is_true):
        held = np.bincount(context, minlength=n_contexts)
        some = held > 0
        mostly = np.bincount(context, is_true, minlength=n_contexts)[some] > 0.5 * held[some]
        found = detection(score[some], mostly, threshold=threshold)
        return np.array([found[q] for q in QUALITIES])

    held = np.bincount(assigned, minlength=n_contexts)
    mostly = np.bincount(assigned, truth, minlength=n_contexts) > 0.5 * held
    counts = {
        "pixel": (len(truth), int(truth.sum()), int((score[assigned] > threshold).sum())),
        "context": (int((held > 0).sum()), int(mostly.sum()), int(((score > threshold) & (held > 0)).sum())),
    }
    rows = []
    for level, statistic in (("pixel", of_pixels), ("context", of_contexts)):
        found = grouped_bootstrap(statistic, groups, assigned, truth, **bootstrap)
        row = {"level": level, **dict(zip(("n", "true", "flagged"), counts[level]))}
        for k, quality in enumerate(QUALITIES):
            # without a value there is no interval either: that of the draws in which there was one would mislead
            value, missing = found.estimate[k], np.isnan(found.estimate[k])
            row[quality] = value
            row[f"{quality}_low"], row[f"{quality}_high"] = (
                np.nan if missing else x[k] for x in (found.low, found.high)
            )
        rows.append(row)
    return pd.DataFrame(rows)
