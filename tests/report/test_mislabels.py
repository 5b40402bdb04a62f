"""Suspicion finds what was planted, per pixel and per context, and says nothing where there is nothing to find."""

import numpy as np
import pytest

from ftirlib.errors import DataError, SettingsError
from ftirlib.report.truth.mislabels import detection, mislabel_table

GROUPS = np.arange(120) // 10
BOOTSTRAP = {"n_resamples": 50, "random_state": 0}


def planted():
    """Four contexts of 30 pixels; those of the last are mislabelled, and all their predictions oppose the label."""
    assigned = np.arange(120) % 4
    return assigned, np.array([0.0, 0.0, 0.0, 1.0]), assigned == 3


def test_a_planted_context_is_found():
    table = mislabel_table(*planted(), GROUPS, **BOOTSTRAP).set_index("level")
    for level, n, true in (("pixel", 120, 30), ("context", 4, 1)):
        assert table.loc[level, ["n", "true", "flagged"]].tolist() == [n, true, true]
        assert table.loc[level, ["auroc", "precision", "recall"]].tolist() == [1, 1, 1]
        assert table.loc[level, "auroc_low"] == 1


def test_counts_by_hand():
    found = detection([0.9, 0.8, 0.7, 0.2, 0.1], [True, False, True, True, False])
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["auroc"] == pytest.approx(4 / 6)
    assert (found["flagged"], found["prevalence"]) == (0.6, 0.6)
    assert detection([0.5], [True])["recall"] == 0  # exactly half does not oppose


def test_a_classifier_that_repeats_the_labels_flags_nothing():
    assigned, _, wrong = planted()
    pixel = mislabel_table(assigned, np.zeros(4), wrong, GROUPS, **BOOTSTRAP).iloc[0]
    assert (pixel.flagged, pixel.recall, pixel.auroc) == (0, 0, 0.5)
    assert np.isnan(pixel.precision)


def test_truth_without_mislabels_has_no_auroc():
    assigned, score, _ = planted()
    table = mislabel_table(assigned, score, np.zeros(120, bool), GROUPS, **BOOTSTRAP)
    assert table[[f"{q}{end}" for q in ("auroc", "recall") for end in ("", "_low", "_high")]].isna().all(axis=None)
    assert (table["precision"] == 0).all()


def test_contexts_without_suspicion_or_without_pixels():
    assigned, _, wrong = planted()
    score = np.array([0.0, 0.2, np.nan, 0.7, np.nan])  # context 2 gets the mean, 0.3; context 4 holds no pixels
    found = mislabel_table(assigned, score, wrong, GROUPS, **BOOTSTRAP)
    assert found["n"].tolist() == [120, 4]
    assert found["auroc"].tolist() == [1, 1]
    low = mislabel_table(assigned, score, wrong, GROUPS, threshold=0.25, **BOOTSTRAP)
    assert low["precision"].tolist() == [0.5, 0.5]


def test_bad_input_is_refused():
    assigned, score, wrong = planted()
    for suspicion, options, error, message in (
        (score, {"threshold": 1.5}, SettingsError, "threshold is 1.5"),
        (np.zeros(3), {}, DataError, r"shape \(3,\); give one number for each of 4"),
        (np.full(4, np.nan), {}, DataError, "give one number"),
    ):
        with pytest.raises(error, match=message):
            mislabel_table(assigned, suspicion, wrong, GROUPS, **(BOOTSTRAP | options))
