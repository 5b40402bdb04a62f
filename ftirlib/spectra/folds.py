"""Four-way folds that keep every patient on one side.

Hartigan et al. (paper A), "Experimental Method": four disjoint sets by stratified group K-fold; each of
four permutations trains on two, validates on one and tests on one, so every set is the test set once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ftirlib.errors import DataError

SIDES = ("train", "validation", "test")
N_SETS = 4
ROWS_TO_SPLIT = 20_000  # more make the search slow and the shares no more alike


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows of the data set used to train, to validate and to test.

    Attributes
    ----------
    train, validation, test : ascending (n,) int32, or int64 where rows are beyond it

    Raises
    ------
    DataError
        Rows that do not ascend.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def __post_init__(self):
        for side in SIDES:
            rows = np.asarray(getattr(self, side))
            if (rows[:1] < 0).any() or (np.diff(rows) <= 0).any():
                raise DataError(f"the {side} rows of a fold must ascend from 0 or above without repeats; sort them.")
            fits = not rows.size or rows[-1] <= np.iinfo(np.int32).max
            object.__setattr__(self, side, rows.astype(np.int32 if fits else np.int64))


def four_way_folds(
    label, group, *, class_names: Sequence[str] | None = None, random_state: int = 0, n_tries: int = 32
) -> list[Fold]:
    """Split spectra into four sets of whole groups with like class shares, and permute them into four folds.

    Parameters
    ----------
    label : (n_spectra,) int
        Class of each spectrum; -1 (unknown) takes no part in any fold.
    group : (n_spectra,) int
        Patient, or image where the patient is not known.
    class_names : sequence of str, optional
        What errors call the classes, in the order of their numbers; left out: the numbers.
    random_state : int
    n_tries : int
        Shuffles tried; the one whose class shares differ least between the sets is kept.

    Returns
    -------
    list of Fold
        Fold k tests on set k, validates on set k+1 and trains on the other two (modulo four).

    Raises
    ------
    DataError
        One class only, fewer groups than sets, a class so rare that some set lacks it, or a class without a name.

    Examples
    --------
    >>> folds = four_way_folds(label=[0, 1] * 8, group=range(16))
    >>> [len(folds[0].train), len(folds[0].validation), len(folds[0].test)]
    [8, 4, 4]
    """
    from sklearn.model_selection import StratifiedGroupKFold

    label, group = np.asarray(label), np.asarray(group)
    if label.shape != group.shape or label.ndim != 1:
        raise DataError(f"labels {label.shape} and groups {group.shape} must be one value per spectrum each.")
    rows = np.flatnonzero(label >= 0)
    groups, group_of_row = np.unique(group[rows], return_inverse=True)
    classes, class_of_row = np.unique(label[rows], return_inverse=True)
    if class_names is not None and classes.size and classes[-1] >= len(class_names):
        raise DataError(f"labels run up to {classes[-1]} but there are {len(class_names)} class names; give one each.")
    pair = group_of_row * len(classes) + class_of_row
    counts = np.bincount(pair, minlength=len(groups) * len(classes)).reshape(len(groups), len(classes))
    if len(classes) < 2:
        raise DataError(f"the labelled spectra hold {len(classes)} class(es); classification needs at least two.")
    if len(groups) < N_SETS:
        raise DataError(
            f"there are {len(groups)} group(s) for {N_SETS} folds, and a group is never split; "
            f"bring spectra of at least {N_SETS} patients (or images)."
        )
    called = [f"'{class_names[k]}'" if class_names is not None else str(k) for k in classes]
    n_groups = (counts > 0).sum(axis=0)
    for name, found in zip(called, n_groups):
        if found < N_SETS:
            raise DataError(
                f"class {name} occurs in {found} group(s), but each of the {N_SETS} folds needs one; "
                "bring more patients of that class, merge it with another, or leave it out."
            )
    # The splitter weighs groups by their class counts alone, so in a large cohort a row may stand for many spectra.
    standing_for = max(1, counts.sum() // ROWS_TO_SPLIT)
    pairs = np.nonzero(counts)
    row_group, row_class = (np.repeat(codes, -(-counts[pairs] // standing_for)) for codes in pairs)
    shares = counts.sum(axis=0) / counts.sum()
    best, best_gap = None, np.inf
    for trial in range(n_tries):
        splitter = StratifiedGroupKFold(N_SETS, shuffle=True, random_state=random_state * n_tries + trial)
        sets = [np.unique(row_group[test]) for _, test in splitter.split(row_class, row_class, row_group)]
        here = np.array([counts[s].sum(axis=0) / counts[s].sum() for s in sets])
        gap = np.abs(here - shares).max() if (here > 0).all() else np.inf
        if gap < best_gap:
            best, best_gap = sets, gap
    if best is None:
        raise DataError(
            f"no split of {len(groups)} groups into {N_SETS} sets gave each set every class; "
            f"bring more patients of the rarest class ({called[np.argmin(n_groups)]}), or leave it out."
        )
    set_of_group = np.empty(len(groups), np.int8)
    for k, members in enumerate(best):
        set_of_group[members] = k
    set_of_row = set_of_group[group_of_row]
    return [
        Fold(
            train=rows[(set_of_row == (k + 2) % N_SETS) | (set_of_row == (k + 3) % N_SETS)],
            validation=rows[set_of_row == (k + 1) % N_SETS],
            test=rows[set_of_row == k],
        )
        for k in range(N_SETS)
    ]


def check_fold(fold: Fold, group) -> None:
    """Refuse a fold, from wherever it comes, that puts one group on two sides.

    Raises
    ------
    DataError
        Naming a group and the sides it is on.
    """
    group = np.asarray(group)
    groups = {side: set(np.unique(group[getattr(fold, side)]).tolist()) for side in SIDES}
    for i, a in enumerate(SIDES):
        for b in SIDES[i + 1 :]:
            if shared := sorted(groups[a] & groups[b]):
                raise DataError(
                    f"group {shared[0]} is in both {a} and {b} ({len(shared)} such group(s)); a patient on two sides "
                    "makes every score too good: split by whole groups, as four_way_folds does."
                )
