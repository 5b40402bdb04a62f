"""Recovery of planted bands by explainers: AUROC over wavenumbers, with its interval over patients.

Area under the curve as a rank sum: Hanley & McNeil 1982 (10.1148/radiology.143.1.7063747); mask and ranks are those
of `ftirlib.report.truth.truth`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ftirlib.errors import DataError, SettingsError
from ftirlib.report.truth.truth import band_mask, band_recovery
from ftirlib.report.uncertainty import grouped_bootstrap

OF = ("spectra", "mean")
COLUMNS = (
    "attribution",
    "pathway",
    "spectra",
    "groups",
    "auroc",
    "low",
    "high",
    "standard_error",
    "moved_sd",
    "moved_share",
)


def band_recovery_table(
    weights: Mapping[str, np.ndarray],
    pathway,
    groups,
    *,
    wavenumber,
    bands: Sequence[Mapping],
    pathway_names: Sequence[str],
    of: str = "spectra",
    n_resamples: int = 1000,
    confidence: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Score how well the size of weights ranks planted wavenumbers above the others, per explainer and pathway.

    Parameters
    ----------
    weights : mapping of str to (n_spectra, n_wavenumbers) array
        Of several explainers, for the same spectra and one label each.
    pathway : (n_spectra,) int
        Planted pathway of each spectrum, a position in `pathway_names`; -1 leaves a spectrum out.
    groups : (n_spectra,) array
        Patient of each spectrum.
    wavenumber : (n_wavenumbers,) array, cm-1
    bands : sequence of mapping
        The attribute ``planted_bands`` of simulated data.
    pathway_names : sequence of str
    of : {"spectra", "mean"}
        ``spectra``: mean AUROC of the spectra's own weights; ``mean``: AUROC of the size of the mean weights, in which
        the noise of single explanations averages out, but also signs that differ between spectra. Resamples hold
        some patients twice and average less noise out, so the interval of ``mean`` lies low, with noisy weights and
        few patients even below the estimate; compare explainers by it, do not read it as the error of `auroc`.
    n_resamples, confidence, random_state
        Of `grouped_bootstrap`; all explainers see the same draws of patients.

    Returns
    -------
    DataFrame
        One row per explainer and pathway with spectra and planted bands: ``spectra`` and ``groups`` counted;
        ``auroc``, ``low``, ``high``, ``standard_error`` (NaN with a single group). Chance is 0.5, but weights and
        bands are smooth, so they meet by luck more often than single wavenumbers would: ``moved_sd`` is the
        standard deviation of `auroc` when all weights are moved along the axis together (ends joined), over every
        distance, and ``moved_share`` the share of distances, 0 included, at which it is at least as large.

    Raises
    ------
    DataError
        When weights, pathways, groups and wavenumbers do not fit each other, or weights are not finite.
    SettingsError
        For an unknown `of`.

    Examples
    --------
    >>> import numpy as np
    >>> axis = np.arange(1000.0, 1100.0)
    >>> bands = [{"pathway": "cancer", "centre": 1080.0, "fwhm": 20.0}]
    >>> weights = np.tile(np.exp(-(((axis - 1080) / 10) ** 2)), (4, 1))
    >>> table = band_recovery_table(
    ...     {"right": weights, "wrong": 1 - weights}, [1, 1, 1, 1], ["a", "a", "b", "b"],
    ...     wavenumber=axis, bands=bands, pathway_names=["healthy", "cancer"],
    ... )
    >>> table[["attribution", "pathway", "auroc"]].values.tolist()
    [['right', 'cancer', 1.0], ['wrong', 'cancer', 0.0]]
    """
    if of not in OF:
        raise SettingsError(f"of={of!r} is unknown; choose one of {', '.join(OF)}.")
    axis, groups = np.asarray(wavenumber, np.float64), np.asarray(groups)
    pathway = _pathways(pathway, len(pathway_names))
    if groups.shape != pathway.shape:
        raise DataError(f"groups have shape {groups.shape} and pathways {pathway.shape}; give one each per spectrum.")
    options = {"n_resamples": n_resamples, "confidence": confidence, "random_state": random_state}
    table = []
    for name, values in weights.items():
        values = _weights(name, values, (pathway.size, axis.size))
        for code, planted in enumerate(pathway_names):
            mask, mine = band_mask(axis, bands, planted), pathway == code
            if mask.any() and not mask.all() and mine.any():
                row = _score(values[mine], groups[mine], mask, of, options)
                table.append({"attribution": name, "pathway": planted, "spectra": int(mine.sum()), **row})
    return pd.DataFrame(table, columns=list(COLUMNS))


def _score(weights, groups, mask, of: str, options: Mapping) -> dict[str, float]:
    """The columns of one row; resamples are computed from sums per group, since means need no more."""
    names, codes = np.unique(groups, return_inverse=True)
    size = np.bincount(codes)
    if of == "spectra":
        sums = np.bincount(codes, band_recovery(weights, mask))
        ranks = rankdata(np.abs(weights), axis=1)
    else:
        sums = np.zeros((len(names), mask.size))
        np.add.at(sums, codes, weights)
        ranks = rankdata(np.abs(weights.mean(axis=0)))[None]
    moved = _moved(ranks, mask)

    def auroc(sums, size):
        mean = sums.sum(axis=0) / size.sum()
        return float(mean if of == "spectra" else band_recovery(mean, mask)[0])

    interval = grouped_bootstrap(auroc, names, sums, size, **options) if len(names) > 1 else None
    estimate = auroc(sums, size)
    return {
        "groups": len(names),
        "auroc": estimate,
        "low": interval.low if interval else np.nan,
        "high": interval.high if interval else np.nan,
        "standard_error": interval.standard_error if interval else np.nan,
        "moved_sd": float(moved.std()),
        "moved_share": float((moved >= moved[0]).mean()),
    }


def _moved(ranks, mask) -> np.ndarray:
    """(n_wavenumbers,) mean AUROC of ranks (n, n_wavenumbers) moved by 0, 1, 2, ... wavenumbers, ends joined."""
    n_in, total = mask.sum(), ranks.sum(axis=0)  # sums of halves are exact, so equal areas compare as equal
    sums = np.array([total[np.roll(mask, shift)].sum() for shift in range(mask.size)])
    return (sums / len(ranks) - n_in * (n_in + 1) / 2) / (n_in * (mask.size - n_in))


def _weights(name: str, values, shape: tuple[int, int]) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.shape != shape:
        raise DataError(
            f"weights '{name}' have shape {values.shape} for {shape[0]} spectra and {shape[1]} wavenumbers."
        )
    if not np.isfinite(values).all():
        raise DataError(
            f"weights '{name}' are not finite for {(~np.isfinite(values).all(1)).sum()} spectra; drop them."
        )
    return values


def _pathways(pathway, n: int) -> np.ndarray:
    pathway = np.asarray(pathway)
    if pathway.ndim != 1 or not pathway.size or not np.issubdtype(pathway.dtype, np.integer):
        raise DataError(f"pathways are {pathway.dtype} of shape {pathway.shape}; give one whole number per spectrum.")
    if pathway.min() < -1 or pathway.max() >= n:
        raise DataError(f"pathways run from {pathway.min()} to {pathway.max()}, but there are {n} names (-1 is none).")
    return pathway
