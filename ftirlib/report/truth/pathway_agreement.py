"""Agreement of contexts with planted pathways, over all folds and with intervals over patients.

Adjusted Rand index: Hubert & Arabie 1985 (10.1007/BF01908075). Spectra are counted once per patient: a draw of
patients is then a sum of their counts, however many spectra there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ftirlib.errors import DataError
from ftirlib.report.tally import contingency_table
from ftirlib.report.truth.truth import counted_agreement
from ftirlib.report.uncertainty import grouped_bootstrap

MEASURES = ("purity", "adjusted_rand", "within")


def within_classes(counts) -> float:
    """Adjusted Rand index among the spectra of each true class that several pathways lead to, averaged by spectra.

    It is high where contexts tell pathways to the same class apart; telling classes apart alone gives 0.

    Parameters
    ----------
    counts : (n_contexts, n_classes, n_pathways) array
        Number of spectra.

    Returns
    -------
    float
        NaN where no class has two pathways.

    Examples
    --------
    >>> within_classes([[[5, 0], [0, 0]], [[0, 5], [0, 0]]])
    1.0
    """
    counts = np.asarray(counts)
    several = [k for k in range(counts.shape[1]) if (counts[:, k].sum(axis=0) > 0).sum() > 1]
    if not several:
        return float("nan")
    values = [counted_agreement(counts[:, k])["adjusted_rand"] for k in several]
    return float(np.average(values, weights=[counts[:, k].sum() for k in several]))


def pathway_agreement(
    assigned: Mapping[str, np.ndarray],
    pathways,
    classes,
    groups,
    folds,
    *,
    pairs: Sequence[tuple[str, str]] = (),
    **bootstrap,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Agreement of each kind of context with the pathways: mean over the folds, and differences on the same patients.

    Parameters
    ----------
    assigned : mapping of str to (n_spectra,) int
        Context of each spectrum within its fold, by kind of context.
    pathways, classes : (n_spectra,) int
        The truth. A class of -1 is none (background): such spectra count, but not within a class.
    groups : (n_spectra,) array
        Patient of each spectrum; each is tested in one fold.
    folds : (n_spectra,) int
    pairs : sequence of (str, str)
        Kinds to compare: the first less the second.
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `grouped_bootstrap`.

    Returns
    -------
    values : DataFrame
        Columns ``contexts, measure, value, low, high``; measures are `MEASURES`: `counted_agreement`'s two, and
        `within_classes`. A fold in which one is undefined is left out of its mean. Fewer patients make contexts look
        purer, and a draw holds some twice: the interval of the purity lies high, that of a difference does not.
    differences : DataFrame
        Columns ``contexts, less, measure, value, low, high``.

    Raises
    ------
    DataError
        Arrays that disagree, a patient in two folds, or a pair that names no kind.
    """
    pathways, classes, groups, folds = map(np.asarray, (pathways, classes, groups, folds))
    shapes = {np.shape(a) for a in (pathways, classes, groups, folds, *assigned.values())}
    if len(shapes) != 1 or len(pathways) == 0:
        raise DataError(f"one context, pathway, class, group and fold per spectrum are needed; shapes are {shapes}.")
    if unknown := {name for pair in pairs for name in pair} - set(assigned):
        raise DataError(f"'{min(unknown)}' is to be compared but is not among the contexts {list(assigned)}.")
    if min(pathways.min(), classes.min() + 1, *(np.min(contexts) for contexts in assigned.values())) < 0:
        raise DataError("contexts and pathways are numbered from 0, classes from -1 (none); some number is below.")
    names, group = np.unique(groups, return_inverse=True)
    fold = np.array([folds[group == g][0] for g in range(len(names))])
    if (fold[group] != folds).any():
        raise DataError("some group is in two folds; a patient must be tested once.")
    shape = len(names), classes.max() + 2, pathways.max() + 1  # the last class is -1, none
    codes = group, classes % shape[1], pathways
    tables = [
        contingency_table(codes[0], contexts, *codes[1:], shape=(shape[0], np.max(contexts) + 1, *shape[1:]))
        for contexts in assigned.values()
    ]
    kinds = list(assigned)
    first, second = ([kinds.index(pair[side]) for pair in pairs] for side in (0, 1))

    def statistic(fold, *tables):
        values = np.array([_mean_over_folds(fold, table) for table in tables])
        return np.concatenate([values, values[first] - values[second]])  # (kinds + pairs, measures)

    interval = grouped_bootstrap(statistic, np.arange(len(names)), fold, *tables, **bootstrap)
    rows = [
        (*compared, measure, interval.estimate[i, j], interval.low[i, j], interval.high[i, j])
        for i, compared in enumerate([*((kind, None) for kind in kinds), *pairs])
        for j, measure in enumerate(MEASURES)
    ]
    table = pd.DataFrame(rows, columns=["contexts", "less", "measure", "value", "low", "high"])
    n_values = len(kinds) * len(MEASURES)
    return table[:n_values].drop(columns="less"), table[n_values:].reset_index(drop=True)


def _mean_over_folds(fold, table) -> np.ndarray:
    """The measures (3,) from the counts (n_patients, n_contexts, n_classes, n_pathways) of the patients drawn."""
    each = []
    for k in np.unique(fold):
        counts = table[fold == k].sum(axis=0)
        both = counted_agreement(counts.sum(axis=1))
        each.append([both["purity"], both["adjusted_rand"], within_classes(counts[:, :-1])])
    each = np.array(each)
    known = ~np.isnan(each)
    return np.where(known.any(axis=0), np.where(known, each, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), np.nan)
