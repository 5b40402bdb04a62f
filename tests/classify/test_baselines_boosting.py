"""Boosted trees from blocks: XGBClassifier's to the bit, in memory and from a file."""

import tempfile

import numpy as np
import pytest
from conftest import ROOT
from xgboost import XGBClassifier

from ftirlib.classify import boosting
from ftirlib.classify.boosting import boost, probabilities
from ftirlib.explain.crime.context_controls import CLUSTERED
from ftirlib.explain.crime.contexts import EMBEDDED
from ftirlib.spectra.rows import Rows


@pytest.fixture
def labelled(rng):
    codes = rng.integers(0, 3, 1200)
    return (rng.standard_normal((1200, 4)) + np.eye(3, 4)[codes]).astype(np.float32), codes


def trained(X, codes, **options):
    return probabilities(boost(Rows.of(X), codes, codes.max() + 1, rounds=8, **options), X)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("size", [5000, 100])
def test_trees_are_those_of_xgboost(labelled, monkeypatch, n_classes, size):
    monkeypatch.setattr(boosting, "CHUNK", size)
    X, codes = labelled
    codes = np.minimum(codes, n_classes - 1)
    expected = XGBClassifier(n_estimators=8, n_jobs=1).fit(X, codes).predict_proba(X)
    assert np.array_equal(trained(X, codes), expected)


def test_rounds_are_xgboosts_unless_given(labelled):
    X, codes = labelled
    assert boost(Rows.of(X[:60]), codes[:60], 3).num_boosted_rounds() == 100
    assert boost(Rows.of(X[:60]), codes[:60], 3, rounds=2).num_boosted_rounds() == 2


@pytest.mark.parametrize("sample", [5000, 400])
def test_bins_in_a_file_are_bins_in_memory(labelled, monkeypatch, tmp_path, sample):
    monkeypatch.setattr(boosting, "SAMPLE", sample)
    monkeypatch.setattr(boosting, "PAGE", 500)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    X, codes = labelled
    in_memory = trained(X, codes)
    monkeypatch.setattr(boosting, "IN_MEMORY", 0)
    assert np.array_equal(trained(X, codes), in_memory)
    assert not any(tmp_path.iterdir())


def test_a_sample_draws_the_bins_and_all_spectra_train(labelled, monkeypatch):
    """Only spectra that the sample leaves out know the third class."""
    monkeypatch.setattr(boosting, "SAMPLE", 400)
    X, codes = labelled
    sampled = np.arange(len(X)) % 3 == 0
    X[:, 0] = np.where(sampled, X[:, 0], X[:, 0] + 50)  # outside of all bins but the last
    codes = np.where(sampled, codes % 2, 2)
    found = trained(X, codes)
    assert (found[~sampled].argmax(axis=1) == 2).all()


def test_more_columns_than_one_sample_still_train(monkeypatch, rng):
    monkeypatch.setattr(boosting, "SAMPLE", 10)
    X = rng.standard_normal((25, 40)).astype(np.float32)
    codes = np.arange(25) % 2
    assert trained(X, codes).shape == (25, 2)


def test_the_page_on_methods_states_these_numbers():
    text = (ROOT / "book" / "methods.md").read_text(encoding="utf-8")
    for number in (boosting.SAMPLE, EMBEDDED, CLUSTERED):
        assert f"more than {number:,}" in " ".join(text.split())
