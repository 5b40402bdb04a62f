"""How far a score can be trusted: spread over folds, and a bootstrap that resamples whole patients.

Percentile bootstrap of Efron & Tibshirani 1993 over clusters (Field & Welsh 2007,
10.1111/j.1467-9868.2007.00593.x): pixels of one patient are alike, so the patient is what is drawn, never the pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ftirlib.errors import DataError, SettingsError
from ftirlib.report.calibration import N_BINS, brier_terms, calibration_terms
from ftirlib.report.checks import check_codes, check_probabilities, positive_mask
from ftirlib.report.scores import PROBABILITY_SCORES, class_sensitivities, classification_scores, scores_from_confusion

BLOCK = 2**22  # numbers held at once while resamples are ranked: 32 MB


@dataclass(frozen=True)
class Interval:
    """A number with the interval that the bootstrap gives it.

    Attributes
    ----------
    estimate : float or array
        The statistic of the data as they are.
    low, high : as `estimate`
        Percentile interval of the resamples in which the statistic is defined.
    standard_error : as `estimate`
        Standard deviation of those resamples.
    n_undefined : int or array of int
        Resamples left out because the statistic was NaN (for instance, no positive patient was drawn); when they
        are more than a few, the interval speaks of the lucky draws only.
    n_groups, n_resamples : int
    confidence : float
    """

    estimate: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray
    standard_error: float | np.ndarray
    n_undefined: int | np.ndarray
    n_groups: int
    n_resamples: int
    confidence: float


class FoldSummary(NamedTuple):
    """Mean and sample standard deviation (n - 1) over folds."""

    mean: float
    sd: float


def fold_summary(values) -> FoldSummary:
    """Mean and standard deviation over folds, as papers print them.

    Parameters
    ----------
    values : (n_folds,) float
        One score per fold. A fold whose score is NaN makes both NaN: a mean over the others would compare unlike with
        unlike.

    Returns
    -------
    FoldSummary
        ``sd`` divides by n - 1 and is NaN for a single fold. Folds share most of their training patients, so it
        understates the spread to expect with new patients; `grouped_bootstrap` stands beside it.

    Raises
    ------
    DataError
        No values, or more than one axis.

    Examples
    --------
    >>> fold_summary([0.5, 0.75, 1.0])
    FoldSummary(mean=0.75, sd=0.25)
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not values.size:
        raise DataError(f"fold values have shape {values.shape}; give one number per fold.")
    return FoldSummary(float(values.mean()), float(values.std(ddof=1)) if values.size > 1 else float("nan"))


def grouped_bootstrap(
    statistic: Callable[..., float | np.ndarray],
    groups,
    *arrays,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.Generator = 0,
) -> Interval:
    """Interval of any statistic, by drawing whole groups with replacement.

    Parameters
    ----------
    statistic : callable
        Takes the resampled `arrays` and returns a float or an array of fixed shape; NaN where undefined.
    groups : (n_spectra,) array
        Patient of each spectrum (or image, where patients are not known).
    *arrays : (n_spectra, ...) arrays
        Rows are drawn alike in all of them.
    n_resamples : int
    confidence : float
        Between 0 and 1.
    random_state : int or numpy.random.Generator

    Returns
    -------
    Interval

    Raises
    ------
    DataError
        A single group, or arrays of different length.
    SettingsError
        A confidence outside (0, 1), or too few resamples for it.

    See Also
    --------
    bootstrap_scores : every classification score at once, from counts, a hundred times faster.

    Examples
    --------
    >>> import numpy as np
    >>> interval = grouped_bootstrap(np.mean, ["p1", "p1", "p2", "p3"], [1.0, 1.0, 2.0, 3.0], random_state=1)
    >>> interval.estimate, interval.n_groups
    (1.75, 3)
    >>> bool(interval.low < interval.estimate < interval.high)
    True
    """
    arrays = [np.asarray(values) for values in arrays]
    codes, times = _draw(groups, n_resamples, confidence, random_state)
    if not arrays:
        raise DataError("no arrays were given to resample; pass the statistic's arguments after the groups.")
    for position, values in enumerate(arrays):
        if values.ndim == 0 or len(values) != len(codes):
            raise DataError(f"array {position} has shape {values.shape} for {len(codes)} spectra; give one row each.")
    rows = np.arange(len(codes))
    resamples = []
    for times_each in times:
        drawn = np.repeat(rows, times_each[codes])
        resamples.append(statistic(*(values[drawn] for values in arrays)))
    return _interval(statistic(*arrays), np.asarray(resamples, np.float64), times, confidence)


def bootstrap_scores(
    y_true,
    predicted,
    groups,
    probabilities=None,
    *,
    class_names: Sequence[str],
    positive_classes: Sequence[str],
    n_resamples: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.Generator = 0,
) -> dict[str, Interval]:
    """Interval of every score of `classification_scores`, over the same draws of groups.

    The result is that of `grouped_bootstrap` with the same seed, but is computed from counts per group.

    Parameters
    ----------
    y_true, predicted : (n_spectra,) int
    groups : (n_spectra,) array
        Patient of each spectrum.
    probabilities : (n_spectra, n_classes) array, optional
    class_names, positive_classes : sequence of str
        As in `classification_scores`.
    n_resamples, confidence, random_state
        As in `grouped_bootstrap`.

    Returns
    -------
    dict of Interval
        By the names of `classification_scores`.

    Raises
    ------
    DataError, SettingsError
        As `classification_scores` and `grouped_bootstrap`.
    """
    options = {"class_names": class_names, "positive_classes": positive_classes}
    estimates = classification_scores(y_true, predicted, probabilities, **options)
    codes, times = _draw(groups, n_resamples, confidence, random_state)
    resamples = _resampled_scores(codes, times, y_true, predicted, probabilities, **options)
    return {name: _interval(value, resamples[name], times, confidence) for name, value in estimates.items()}


def paired_bootstrap(
    y_true,
    first,
    second,
    groups,
    *,
    first_probabilities=None,
    second_probabilities=None,
    class_names: Sequence[str],
    positive_classes: Sequence[str],
    n_resamples: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.Generator = 0,
) -> dict[str, Interval]:
    """Interval of the difference, first minus second, between two models scored on the same spectra.

    Both models see the same draw of patients, so what is hard for both cancels; two separate intervals that overlap
    say little about the difference.

    Parameters
    ----------
    y_true : (n_spectra,) int
    first, second : (n_spectra,) int
        Predictions of the two models.
    groups : (n_spectra,) array
        Patient of each spectrum.
    first_probabilities, second_probabilities : (n_spectra, n_classes) array, optional
        Give both or none; without them the differences of the scores that need them are NaN.
    class_names, positive_classes : sequence of str
        As in `classification_scores`.
    n_resamples, confidence, random_state
        As in `grouped_bootstrap`.

    Returns
    -------
    dict of Interval
        By the names of `classification_scores`.

    Raises
    ------
    DataError, SettingsError
        As `bootstrap_scores`, and when only one model comes with probabilities.
    """
    if (first_probabilities is None) != (second_probabilities is None):
        raise DataError("only one of the two models comes with probabilities; give both or none.")
    options = {"class_names": class_names, "positive_classes": positive_classes}
    models = ((first, first_probabilities), (second, second_probabilities))
    a, b = (classification_scores(y_true, *model, **options) for model in models)
    codes, times = _draw(groups, n_resamples, confidence, random_state)
    of_a, of_b = (_resampled_scores(codes, times, y_true, *model, **options) for model in models)
    return {name: _interval(a[name] - b[name], of_a[name] - of_b[name], times, confidence) for name in a}


def _draw(groups, n_resamples: int, confidence: float, random_state) -> tuple[np.ndarray, np.ndarray]:
    """Group code of each spectrum (n,), and how often each resample draws each group (n_resamples, n_groups)."""
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise DataError(f"groups have shape {groups.shape}; give one group (patient) per spectrum.")
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence is {confidence}; give a share between 0 and 1, such as 0.95.")
    if n_resamples < (fewest := int(np.ceil(2 / (1 - confidence)))):
        raise SettingsError(f"{n_resamples} resamples cannot show {confidence:.0%} confidence; use {fewest} or more.")
    names, codes = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise DataError(
            f"the spectra come from {len(names)} group(s); resampling patients needs at least two of them, "
            "and pixels of one patient say nothing about the next."
        )
    share = np.full(len(names), 1 / len(names))
    return codes, np.random.default_rng(random_state).multinomial(len(names), share, size=n_resamples)


def _interval(estimate, resamples: np.ndarray, times: np.ndarray, confidence: float) -> Interval:
    """Percentiles over the first axis of `resamples`, of what is defined."""
    shape = resamples.shape[1:]
    low, high, error = (np.full(shape, np.nan) for _ in range(3))
    defined = ~np.isnan(resamples)
    tails = [50 * (1 - confidence), 50 * (1 + confidence)]
    for place in np.ndindex(shape):
        values = resamples[(slice(None), *place)][defined[(slice(None), *place)]]
        if len(values) > 1:
            low[place], high[place] = np.percentile(values, tails)
            error[place] = values.std(ddof=1)
    n_undefined = (~defined).sum(axis=0)
    if not shape:
        estimate, low, high, error = float(estimate), float(low), float(high), float(error)
        n_undefined = int(n_undefined)
    return Interval(estimate, low, high, error, n_undefined, times.shape[1], len(times), confidence)


def _resampled_scores(codes, times, y_true, predicted, probabilities, *, class_names, positive_classes) -> dict:
    """Every score of every resample, {name: (n_resamples,)}, from sums over the spectra of each group."""
    y_true, predicted = check_codes(y_true, predicted, class_names)
    if len(codes) != len(y_true):
        raise DataError(f"there are {len(codes)} groups for {len(y_true)} spectra; give one group per spectrum.")
    positive, k = positive_mask(class_names, positive_classes), len(class_names)

    def per_group(cell, n_cells, weights=None):  # (n_groups, n_cells)
        flat = np.bincount(codes * n_cells + cell, weights, minlength=times.shape[1] * n_cells)
        return flat.reshape(-1, n_cells)

    confusion = (times @ per_group(y_true * k + predicted, k * k)).reshape(-1, k, k)
    resamples = scores_from_confusion(confusion, positive=positive)
    for name, values in zip(class_names, class_sensitivities(confusion).T):
        resamples[f"sensitivity_{name}"] = values
    if probabilities is None:
        return resamples | dict.fromkeys(PROBABILITY_SCORES, np.full(len(times), np.nan))
    probabilities = check_probabilities(probabilities, len(y_true), class_names)
    total = confusion.sum(axis=(1, 2))
    bins, confidence, right = calibration_terms(y_true, probabilities)
    gaps = times @ per_group(bins, N_BINS, right - confidence)  # (n_resamples, n_bins)
    resamples["ece"] = np.abs(gaps).sum(axis=1) / total
    resamples["brier"] = (times @ per_group(0, 1, brier_terms(y_true, probabilities)))[:, 0] / total
    ranked = _resampled_ranking(codes, times, positive[y_true], probabilities[:, positive].sum(axis=1))
    resamples["auroc"], resamples["auprc"] = ranked
    return resamples


def _resampled_ranking(codes, times, is_positive, probability) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision of every resample, (n_resamples,) each.

    Spectra are counted once by group and distinct probability; a resample only weighs the groups' counts.
    """
    levels, level = np.unique(-probability, return_inverse=True)  # from the most to the least positive
    shape = (times.shape[1], len(levels))
    counts = [
        sparse.csc_array((np.ones(side.sum()), (codes[side], level[side])), shape=shape).T.tocsr()
        for side in (is_positive, ~is_positive)
    ]
    auroc, auprc = np.empty(len(times)), np.empty(len(times))
    size = max(1, BLOCK // len(levels))
    for start in range(0, len(times), size):
        block = slice(start, start + size)
        hits, misses = ((side @ times[block].T).T for side in counts)  # (block, levels)
        tp, fp = hits.cumsum(axis=1), misses.cumsum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # a side that was not drawn: NaN, undefined
            precision = np.where(hits > 0, tp / (tp + fp), 0)
            auprc[block] = (hits * precision).sum(axis=1) / tp[:, -1]
            auroc[block] = (misses * (tp - hits / 2)).sum(axis=1) / (tp[:, -1] * fp[:, -1])
    return auroc, auprc
