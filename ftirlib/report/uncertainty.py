"""Uncertainty of a score: spread over folds, and a bootstrap that resamples whole patients.

Percentile bootstrap of Efron & Tibshirani 1993 over clusters (Field & Welsh 2007,
10.1111/j.1467-9868.2007.00593.x): pixels of one patient are alike, so patients are drawn, never pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ftirlib.errors import DataError, SettingsError

AT_ONCE = 1 << 22  # numbers held at once for each array of a statistic: 32 MB
WIDEST = 1 << 16  # numbers that a statistic of counts may hold for each draw, such as bins of probability


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
        are more than a few, the interval describes the lucky draws only.
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
    statistic: Callable[..., float | np.ndarray | Mapping],
    groups,
    *arrays,
    by_counts: bool = False,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.Generator = 0,
) -> Interval | dict[str, Interval]:
    """Interval of any statistic, by drawing whole groups with replacement.

    Parameters
    ----------
    statistic : callable
        Takes the resampled `arrays` and returns a float or an array of fixed shape; NaN where undefined.
    groups : (n_spectra,) array
        Patient of each spectrum (or image, where patients are not known).
    *arrays : (n_spectra, ...) arrays
        Rows are drawn alike in all of them.
    by_counts : bool
        The statistic takes no arrays, but how often each draw holds each group, (n_draws, n_groups) int with groups in
        ascending order, and returns an array (n_draws, ...), or several such arrays by name. This is much faster for a
        statistic of sums over groups, as `ftirlib.report.scores.score_intervals` computes them.
    n_resamples : int
    confidence : float
        Between 0 and 1.
    random_state : int or numpy.random.Generator

    Returns
    -------
    Interval, or dict of Interval
        By name, where the statistic returns arrays by name.

    Raises
    ------
    DataError
        A single group, or arrays of different length.
    SettingsError
        A confidence outside (0, 1), or too few resamples for it.

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
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise DataError(f"groups have shape {groups.shape}; give one group (patient) per spectrum.")
    names, codes = np.unique(groups, return_inverse=True)
    draws = _draw(len(names), n_resamples, confidence, random_state)
    if not arrays and not by_counts:
        raise DataError("no arrays were given to resample; pass the statistic's arguments after the groups.")
    for position, values in enumerate(arrays):
        if values.ndim == 0 or len(values) != len(codes):
            raise DataError(f"array {position} has shape {values.shape} for {len(codes)} spectra; give one row each.")
    rows = np.arange(len(codes))

    def of_spectra(times):
        drawn = (np.repeat(rows, each[codes]) for each in times)
        return np.array([statistic(*(values[chosen] for values in arrays)) for chosen in drawn], np.float64)

    of_draws = statistic if by_counts else of_spectra
    estimate = of_draws(np.ones((1, len(names)), np.int64))
    parts = [of_draws(times) for times in draws]
    if not isinstance(estimate, Mapping):
        return _interval(estimate[0], np.concatenate(parts), len(names), confidence)
    return {
        name: _interval(values[0], np.concatenate([part[name] for part in parts]), len(names), confidence)
        for name, values in estimate.items()
    }


def _draw(n_groups: int, n_resamples: int, confidence: float, random_state) -> Iterator[np.ndarray]:
    """How often each resample draws each group, (n, n_groups), for some resamples after the others."""
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence is {confidence}; give a share between 0 and 1, such as 0.95.")
    if n_resamples < (fewest := int(np.ceil(2 / (1 - confidence)))):
        raise SettingsError(f"{n_resamples} resamples cannot show {confidence:.0%} confidence; use {fewest} or more.")
    if n_groups < 2:
        raise DataError(
            f"the spectra come from {n_groups} group(s); resampling patients needs at least two of them, "
            "and pixels of one patient say nothing about the next."
        )
    rng, size = np.random.default_rng(random_state), max(1, AT_ONCE // max(n_groups, WIDEST))
    return (
        rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=min(size, n_resamples - start))
        for start in range(0, n_resamples, size)
    )


def _interval(estimate, resamples: np.ndarray, n_groups: int, confidence: float) -> Interval:
    """Percentiles over the first axis of `resamples`, of the resamples in which the statistic is defined."""
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
    return Interval(estimate, low, high, error, n_undefined, n_groups, len(resamples), confidence)
