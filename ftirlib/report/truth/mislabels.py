"""How well the suspicion of contexts finds mislabelled pixels, per pixel and per context, with intervals.

The question is that of Hartigan et al. (paper A), Figure 4b-c; precision and recall as in any detection.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftirlib.errors import DataError, SettingsError
from ftirlib.report.tally import sums_by_code
from ftirlib.report.truth.truth import ranking
from ftirlib.report.uncertainty import grouped_bootstrap

OPPOSING = 0.5  # suspicion above which a context opposes its labels: most predictions differ from the label
QUALITIES = ("auroc", "precision", "recall")


def detection(score, is_true, *, threshold: float = OPPOSING) -> dict[str, float]:
    """AUROC of a score, and precision and recall of the scores above a threshold that needs no truth.

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
    assigned, score, is_mislabelled, groups, *, threshold: float = OPPOSING, **bootstrap
) -> pd.DataFrame:
    """How well suspicion finds mislabelled pixels, and contexts that are mostly mislabelled.

    Parameters
    ----------
    assigned : (n_spectra,) int
        Context of each spectrum; only spectra whose label is known.
    score : (n_contexts,) float
        Suspicion of each context, such as the ``mislabel_score`` of a `ContextTable` of the validation set; a context
        without one (NaN) gets the mean of the others.
    is_mislabelled : (n_spectra,) bool
        The truth.
    groups : (n_spectra,) array
        Patient of each spectrum; intervals are over these.
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
        Contexts beyond the suspicions, or no suspicion for any context.
    SettingsError
        A threshold that no share can have.
    """
    if not 0 <= threshold <= 1:
        raise SettingsError(f"threshold is {threshold}; suspicion is a share, 0 to 1.")
    assigned, truth, score = np.asarray(assigned), np.asarray(is_mislabelled, bool), np.asarray(score, float)
    n_contexts = assigned.max() + 1
    if score.ndim != 1 or len(score) < n_contexts or np.isnan(score).all():
        raise DataError(f"the suspicion has shape {score.shape}; give one number for each of {n_contexts} contexts.")
    score = np.where(np.isnan(score), np.nanmean(score), score)

    def of_pixels(context, is_true):
        return score[context], is_true

    def of_contexts(context, is_true):  # that hold pixels
        sums, size = sums_by_code(context, is_true[:, None], len(score))
        return score[size > 0], sums[size > 0, 0] > 0.5 * size[size > 0]

    rows = []
    for level, scored in (("pixel", of_pixels), ("context", of_contexts)):

        def statistic(context, is_true, scored=scored):
            found = detection(*scored(context, is_true), threshold=threshold)
            return np.array([found[quality] for quality in QUALITIES])

        interval = grouped_bootstrap(statistic, groups, assigned, truth, **bootstrap)
        scores, is_true = scored(assigned, truth)
        flagged = int((scores > threshold).sum())
        row = {"level": level, "n": len(is_true), "true": int(is_true.sum()), "flagged": flagged}
        for k, quality in enumerate(QUALITIES):
            # without a value there is no interval either: that of the draws in which there was one would mislead
            ends = (np.nan, np.nan) if np.isnan(interval.estimate[k]) else (interval.low[k], interval.high[k])
            row |= {quality: interval.estimate[k], f"{quality}_low": ends[0], f"{quality}_high": ends[1]}
        rows.append(row)
    return pd.DataFrame(rows)
