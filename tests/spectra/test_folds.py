"""Folds: four disjoint sets of whole groups, each the test set once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.errors import DataError
from ftirlib.spectra import folds as module
from ftirlib.spectra.folds import Fold, check_fold, four_way_folds


def cohort(seed, n_groups=24, per_group=10, n_classes=3):
    rng = np.random.default_rng(seed)
    class_of_group = rng.permutation(np.arange(n_groups) % n_classes)
    group = rng.permutation(np.repeat(np.arange(n_groups), per_group))
    return class_of_group[group], group


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), state=st.integers(0, 50))
def test_every_spectrum_is_tested_once_and_no_group_is_split(seed, state):
    label, group = cohort(seed)
    folds = four_way_folds(label, group, random_state=state, n_tries=3)
    np.testing.assert_array_equal(np.sort(np.concatenate([f.test for f in folds])), np.arange(label.size))
    for k, fold in enumerate(folds):
        check_fold(fold, group)
        sides = np.concatenate([fold.train, fold.validation, fold.test])
        np.testing.assert_array_equal(np.sort(sides), np.arange(label.size))
        np.testing.assert_array_equal(fold.validation, folds[(k + 1) % 4].test)
        assert set(label[fold.test]) == set(label)


def test_unknown_labels_are_left_out():
    label, group = cohort(0)
    label[::7] = -1
    folds = four_way_folds(label, group)
    used = np.sort(np.concatenate([f.test for f in folds]))
    np.testing.assert_array_equal(used, np.flatnonzero(label >= 0))


def test_same_state_same_folds_other_state_other_folds():
    label, group = cohort(1)
    first, again, other = (four_way_folds(label, group, random_state=s) for s in (5, 5, 6))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first, again))
    assert any(not np.array_equal(a.test, b.test) for a, b in zip(first, other))


def test_class_shares_are_alike():
    label, group = cohort(2, n_groups=48)
    shares = [np.bincount(label[f.test]) / f.test.size for f in four_way_folds(label, group)]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.1)


def test_large_cohorts_are_split_as_small_ones_of_the_same_shape(monkeypatch):
    label, group = cohort(3)
    full = four_way_folds(label, group)
    monkeypatch.setattr(module, "ROWS_TO_SPLIT", label.size // 10)
    for a, b in zip(full, four_way_folds(label, group)):
        np.testing.assert_array_equal(a.test, b.test)


def test_rows_are_int32_where_they_fit_and_ascend():
    last = np.iinfo(np.int32).max
    fold = Fold([last - 1, last], [last, last + 1], [])
    assert (fold.train.dtype, fold.validation.dtype, fold.test.dtype) == (np.int32, np.int64, np.int32)
    assert fold.validation.tolist() == [last, last + 1]
    for rows in ([3, 2], [1, 1], [-1, 0]):
        with pytest.raises(DataError, match="the test rows of a fold must ascend"):
            Fold([0], [1], rows)


@pytest.mark.parametrize(
    ("label", "group", "words"),
    [
        ([0, 1], [0, 1, 2], r"\(2,\).*\(3,\)"),
        ([0] * 8, range(8), "1 class"),
        ([-1] * 8, range(8), "0 class"),
        ([], [], "0 class"),
        ([0, 1] * 8, [0] * 16, r"1 group\(s\) for 4 folds"),
        ([0, 1] * 8, [0, 1, 2, 0] * 4, r"3 group\(s\) for 4 folds"),
        ([0] * 13 + [1] * 3, range(16), r"class 1 occurs in 3 group\(s\)"),
    ],
)
def test_impossible_splits_are_named(label, group, words):
    with pytest.raises(DataError, match=words):
        four_way_folds(label, list(group))


def test_classes_are_called_by_their_names():
    label, group = [0] * 13 + [2] * 3, list(range(16))
    with pytest.raises(DataError, match=r"class 'mucinous' occurs in 3 group\(s\)"):
        four_way_folds(label, group, class_names=["normal", "absent", "mucinous"])
    with pytest.raises(DataError, match="up to 2 but there are 2 class names"):
        four_way_folds(label, group, class_names=["normal", "mucinous"])


def test_a_group_on_two_sides_is_named():
    fold = Fold(train=np.array([0, 1]), validation=np.array([2]), test=np.array([3]))
    check_fold(fold, ["a", "a", "b", "c"])
    with pytest.raises(DataError, match=r"group a is in both train and test \(1 such"):
        check_fold(fold, ["a", "a", "b", "a"])
    with pytest.raises(DataError, match="both validation and test"):
        check_fold(fold, ["a", "a", "b", "b"])
