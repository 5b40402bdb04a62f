"""Scores that need a simulated truth: contexts against pathways, rankings of mislabels, weights against bands.

Adjusted Rand index: Hubert & Arabie 1985 (10.1007/BF01908075). Everything else is counts and ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score, roc_curve

from ftirlib.errors import DataError
from ftirlib.report.tally import contingency_table


def context_agreement(contexts, pathways) -> dict[str, float]:
    """How far contexts follow the planted pathways.

    Parameters
    ----------
    contexts, pathways : (n_spectra,) int

    Returns
    -------
    dict of float
        ``purity``: share of spectra that are of their context's most common pathway; ``largest_share``: the
        purity of one single context, the least there can be; ``adjusted_rand``: 0 by chance, 1 when equal
        (it falls when one pathway is spread over many contexts, which `purity` does not mind).

    Examples
    --------
    >>> context_agreement([0, 0, 1, 1], [5, 5, 7, 5])["purity"]
    0.75
    """
    contexts, pathways = _aligned(contexts, pathways)
    return counted_agreement(contingency_table(contexts, pathways, shape=(contexts.max() + 1, pathways.max() + 1)))


def counted_agreement(table) -> dict[str, float]:
    """`context_agreement` from the number of spectra of each context and pathway, (n_contexts, n_pathways).

    NaN without spectra; the adjusted Rand index of two partitions that cannot differ (all in one part, or each spectrum
    alone in both) is 1.
    """
    table = np.asarray(table, float)
    total = table.sum()
    if not total:
        return dict.fromkeys(("purity", "largest_share", "adjusted_rand"), float("nan"))

    def pairs(counts):
        return float((counts * (counts - 1)).sum() / 2)

    rows, columns = pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    chance = rows * columns / pairs(total) if total > 1 else 0.0
    most = (rows + columns) / 2
    return {
        "purity": float(table.max(axis=1).sum() / total),
        "largest_share": float(table.sum(axis=0).max() / total),
        "adjusted_rand": (pairs(table) - chance) / (most - chance) if most > chance else 1.0,
    }


def ranking(score, is_true) -> dict[str, float]:
    """How well a score ranks the true above the false.

    Parameters
    ----------
    score : (n,) float
    is_true : (n,) bool

    Returns
    -------
    dict of float
        ``auroc``, ``prevalence``, and ``precision`` and ``recall`` of the `prevalence` share with the highest
        scores; NaN when all or none are true.
    """
    score, is_true = _aligned(score, np.asarray(is_true, bool))
    n_true = int(is_true.sum())
    if n_true in (0, len(is_true)):
        return {"auroc": np.nan, "prevalence": n_true / len(is_true), "precision": np.nan, "recall": np.nan}
    chosen = score >= np.sort(score)[-n_true]
    hits = (chosen & is_true).sum()
    return {
        "auroc": float(roc_auc_score(is_true, score)),
        "prevalence": n_true / len(is_true),
        "precision": float(hits / chosen.sum()),
        "recall": float(hits / n_true),
    }


def ranking_curve(score, is_true) -> tuple[np.ndarray, np.ndarray]:
    """False-positive and true-positive rates of a score, for drawing."""
    false_positive, true_positive, _ = roc_curve(np.asarray(is_true, bool), score)
    return false_positive, true_positive


def band_mask(wavenumber, bands: Sequence[Mapping], pathway: str) -> np.ndarray:
    """Wavenumbers within half a width of a band that was planted for a pathway.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1
    bands : sequence of mapping
        ``pathway``, ``centre`` and ``fwhm`` (cm-1), as in the attribute ``planted_bands`` of simulated data.
    pathway : str

    Returns
    -------
    (n_wavenumbers,) bool
    """
    wavenumber = np.asarray(wavenumber, np.float64)
    mine = [band for band in bands if band["pathway"] == pathway]
    inside = [np.abs(wavenumber - band["centre"]) <= band["fwhm"] / 2 for band in mine]
    return np.any(inside, axis=0) if inside else np.zeros(wavenumber.size, bool)


def band_recovery(weights, mask) -> np.ndarray:
    """AUROC over wavenumbers of the size of weights (of either sign), for the planted bands.

    Parameters
    ----------
    weights : (n_spectra, n_wavenumbers) array
    mask : (n_wavenumbers,) bool
        Of `band_mask`.

    Returns
    -------
    (n_spectra,) float
        0.5 by chance; NaN when every or no wavenumber is in the mask.
    """
    weights, mask = np.abs(np.atleast_2d(np.asarray(weights, np.float64))), np.asarray(mask, bool)
    if weights.shape[1] != mask.size:
        raise DataError(f"weights at {weights.shape[1]} wavenumbers do not fit a mask of {mask.size}.")
    n_in, n_out = mask.sum(), (~mask).sum()
    if not n_in or not n_out:
        return np.full(len(weights), np.nan)
    ranks = rankdata(weights, axis=1)
    return (ranks[:, mask].sum(axis=1) - n_in * (n_in + 1) / 2) / (n_in * n_out)


def _aligned(a, b) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        raise DataError(f"two values per spectrum are needed; these have shapes {a.shape} and {b.shape}.")
    return a, b
