"""How far a score can be trusted: spread over folds, and a bootstrap that resamples whole patients.

Percentile bootstrap of Efron & Tibshirani 1993 over clusters (Field & Welsh 2007,
10.1111/j.1467-9868.2007.00593.x): pixels of one patient are alike, so the patient is what is drawn, never the pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from ftirlib.errors import DataError, SettingsError
from ftirlib.report.scores import tally_scores
from ftirlib.report.tally import Tally, warn_of_rounding

AT_ONCE = 1 << 22  # counts of groups, over the resamples drawn together: 32 MB


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
    names, codes = _grouped(groups)
    times = _draw(len(names), n_resamples, confidence, random_state)
    if not arrays:
        raise DataError("no arrays were given to resample; pass the statistic's arguments after the groups.")
    for position, values in enumerate(arrays):
        if values.ndim == 0 or len(values) != len(codes):
            raise DataError(f"array {position} has shape {values.shape} for {len(codes)} spectra; give one row each.")
    rows = np.arange(len(codes))
    resamples = []
    for times_each in chain.from_iterable(times):
        drawn = np.repeat(rows, times_each[codes])
        resamples.append(statistic(*(values[drawn] for values in arrays)))
    return _interval(statistic(*arrays), np.asarray(resamples, np.float64), len(names), confidence)


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
    names, codes = _grouped(groups)
    tally = Tally(class_names=class_names, positive_classes=positive_classes, n_groups=len(names))
    tally.add(y_true, predicted, probabilities, groups=codes)
    warn_of_rounding([tally])
    return bootstrap_tally(tally, n_resamples=n_resamples, confidence=confidence, random_state=random_state)


def bootstrap_tally(
    tally: Tally,
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.Generator = 0,
) -> dict[str, Interval]:
    """As `bootstrap_scores`, of answers that were tallied, maybe a part at a time; its groups are what is drawn.

    Raises
    ------
    DataError
        Spectra of a single group, or of none.
    SettingsError
        As `grouped_bootstrap`.
    """
    estimates = tally_scores(tally)
    present = np.flatnonzero(tally.confusion.any(axis=(1, 2)))
    parts = []
    for drawn in _draw(len(present), n_resamples, confidence, random_state):
        times = np.zeros((len(drawn), len(tally.confusion)), np.int64)
        times[:, present] = drawn
        parts.append(tally.scores(times))
    resamples = {name: np.concatenate([part[name] for part in parts]) for name in estimates}
    return {name: _interval(value, resamples[name], len(present), confidence) for name, value in estimates.items()}


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
    names, codes = _grouped(groups)
    tallies = []
    for predicted, probabilities in ((first, first_probabilities), (second, second_probabilities)):
        tallies.append(Tally(class_names=class_names, positive_classes=positive_classes, n_groups=len(names)))
        tallies[-1].add(y_true, predicted, probabilities, groups=codes)
    warn_of_rounding(tallies)
    a, b = map(tally_scores, tallies)
    parts = [
        [tally.scores(times) for tally in tallies] for times in _draw(len(names), n_resamples, confidence, random_state)
    ]
    differences = {name: np.concatenate([of_a[name] - of_b[name] for of_a, of_b in parts]) for name in a}
    return {name: _interval(a[name] - b[name], differences[name], len(names), confidence) for name in a}


def _grouped(groups) -> tuple[np.ndarray, np.ndarray]:
    """Names of the groups, and the group of each spectrum (n,) as a position among them."""
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise DataError(f"groups have shape {groups.shape}; give one group (patient) per spectrum.")
    return np.unique(groups, return_inverse=True)


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
    rng, size = np.random.default_rng(random_state), max(1, AT_ONCE // n_groups)
    return (
        rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=min(size, n_resamples - start))
        for start in range(0, n_resamples, size)
    )


def _interval(estimate, resamples: np.ndarray, n_groups: int, confidence: float) -> Interval:
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
    return Interval(estimate, low, high, error, n_undefined, n_groups, len(resamples), confidence)
