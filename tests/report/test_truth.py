"""Scores against a known truth: known answers and what must not matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftirlib.errors import DataError
from ftirlib.report.truth.truth import band_mask, band_recovery, context_agreement, ranking


def test_contexts_equal_to_pathways_agree_fully():
    pathways = np.repeat([0, 1, 2], 10)
    found = context_agreement((pathways + 1) % 3, pathways)
    assert found["purity"] == 1 and found["adjusted_rand"] == 1
    assert found["largest_share"] == pytest.approx(1 / 3)


def test_splitting_a_pathway_keeps_purity_but_lowers_the_rand_index():
    pathways = np.repeat([0, 1], 20)
    found = context_agreement(np.arange(40) // 5, pathways)
    assert found["purity"] == 1
    assert 0 < found["adjusted_rand"] < 1


@given(st.integers(0, 1000))
def test_random_contexts_have_no_adjusted_rand(seed):
    rng = np.random.default_rng(seed)
    found = context_agreement(rng.integers(0, 4, 2000), rng.integers(0, 4, 2000))
    assert abs(found["adjusted_rand"]) < 0.02
    assert found["purity"] >= found["largest_share"] - 1e-12


def test_ranking_of_a_perfect_a_reversed_and_a_useless_score():
    truth = np.array([True] * 5 + [False] * 15)
    assert ranking(truth.astype(float), truth)["auroc"] == 1
    assert ranking(truth.astype(float), truth)["precision"] == 1
    assert ranking(-truth.astype(float), truth)["auroc"] == 0
    assert ranking(np.zeros(20), truth)["auroc"] == 0.5
    assert np.isnan(ranking(np.zeros(20), np.zeros(20, bool))["auroc"])


def test_weights_on_the_bands_are_found_whatever_their_sign_and_scale():
    axis = np.arange(1000.0, 1801.0)
    bands = [
        {"pathway": "a", "centre": 1080.0, "fwhm": 40.0},
        {"pathway": "b", "centre": 1650.0, "fwhm": 40.0},
    ]
    mask = band_mask(axis, bands, "a")
    assert axis[mask].min() == 1060 and axis[mask].max() == 1100
    on_a = -np.exp(-(((axis - 1080) / 20) ** 2))
    on_b = np.exp(-(((axis - 1650) / 20) ** 2))
    found = band_recovery(np.stack([on_a, 7 * on_a, on_b]), mask)
    assert found[0] == found[1] == 1
    assert found[2] < 0.5
    assert np.isnan(band_recovery(on_a, band_mask(axis, bands, "nothing"))).all()


def test_mismatched_lengths_are_named():
    with pytest.raises(DataError, match=r"\(3,\) and \(2,\)"):
        context_agreement([0, 1, 1], [0, 1])
    with pytest.raises(DataError, match="801"):
        band_recovery(np.zeros((2, 800)), np.zeros(801, bool))
