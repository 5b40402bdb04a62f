"""Means, scatter, components and discriminants from blocks: scikit-learn's, to rounding."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from xgboost import XGBClassifier

from ftirlib.classify.baselines import PCALDA, PCAXGB
from ftirlib.classify.moments import Components, Discriminant, Moments, class_means
from ftirlib.errors import DataError
from ftirlib.spectra.rows import Rows


def moments(X, codes):
    return Moments.of(Rows.of(X), codes, codes.max() + 1)


@pytest.fixture
def labelled(rng):
    codes = rng.permutation(np.repeat([0, 1, 2], [60, 30, 10]))
    return rng.standard_normal((100, 7)) @ rng.standard_normal((7, 7)) + np.eye(3, 7)[codes], codes


@pytest.mark.parametrize("size", [1, 3, 64, 1000])
def test_moments_whatever_the_blocks(labelled, monkeypatch, size):
    monkeypatch.setattr(Rows.blocks, "__defaults__", (size,))
    X, codes = labelled
    found = moments(X, codes)
    means = np.stack([X[codes == k].mean(axis=0) for k in range(3)])
    centred = X - means[codes]
    np.testing.assert_array_equal(found.counts, [60, 30, 10])
    np.testing.assert_allclose(found.means, means, rtol=0, atol=1e-13)
    np.testing.assert_allclose(class_means(Rows.of(X), codes, 3), means, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.within, centred.T @ centred, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.scatter / 99, np.cov(X.T), rtol=0, atol=1e-12)


def test_classes_that_come_one_after_the_other(labelled, monkeypatch):
    monkeypatch.setattr(Rows.blocks, "__defaults__", (8,))
    X, codes = labelled
    order = np.argsort(codes, kind="stable")
    np.testing.assert_allclose(moments(X[order], codes[order]).within, moments(X, codes).within, atol=1e-11)


def test_a_common_height_costs_no_digits(labelled, monkeypatch):
    """Height 2^20 times the spread: differences from zero would leave a fifth of float64's digits."""
    monkeypatch.setattr(Rows.blocks, "__defaults__", (8,))
    X, codes = labelled
    X = np.round(X * 2**10) / 2**10  # exact beside the height
    height = 2.0**20
    expected = np.cov(X.T)
    high = X + height
    error = np.abs(moments(high, codes).scatter / 99 - expected).max()
    mean = high.mean(axis=0)
    from_zero = np.abs((high.T @ high - 100 * np.outer(mean, mean)) / 99 - expected).max()
    assert error < 1e-8 * expected.max() < from_zero


@pytest.mark.parametrize(("n", "solver"), [(100, "covariance_eigh"), (9, "full")])
def test_components_are_those_of_scikit_learn(rng, n, solver):
    X = rng.standard_normal((n, 12)) * np.geomspace(1, 0.01, 12) + 3
    found = Components.of(moments(X, np.arange(n) % 2), 5)
    expected = PCA(5, svd_solver=solver).fit(X)
    np.testing.assert_allclose(found.components, expected.components_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.variance, expected.explained_variance_, rtol=1e-6)
    np.testing.assert_allclose(found.scores(X), expected.transform(X), rtol=0, atol=1e-6)


def test_directions_without_variance_are_left_out(rng):
    codes = np.arange(40) % 2
    X = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 20)) + 1000
    assert Components.of(moments(X, codes), 25).components.shape == (3, 20)
    for model in PCALDA(), PCAXGB():
        with pytest.warns(UserWarning, match="uses 3 principal components, not the 25 asked for.*no more directions"):
            assert model.fit(X, codes).n_components_ == 3
    with pytest.raises(DataError, match="all alike"):
        Components.of(moments(np.ones((4, 3)), np.array([0, 0, 1, 1])), 2)


def awkward(kind, rng):
    """Features and codes of which scikit-learn's discriminants make something."""
    codes = np.repeat([0, 1, 2], [40, 25, 15])
    X = rng.standard_normal((80, 5)) + 0.8 * np.eye(3, 5)[codes]
    if kind == "two classes":
        codes = np.minimum(codes, 1)
    elif kind == "one spectrum":
        codes[-1] = 3
    elif kind == "copies":
        X = np.concatenate([X, X[:, :2]], axis=1)
    elif kind == "constant":
        X[:, 2] = 7
    elif kind == "fewer than features":
        X, codes = np.tile(X, (1, 6))[::8], codes[::8]
    elif kind == "scales":
        X *= np.geomspace(1e-5, 1e3, 5)
    elif kind in ("one centre", "centres in line"):
        X -= np.stack([X[codes == k].mean(axis=0) for k in range(3)])[codes]
        if kind == "centres in line":  # but for less than the tolerance
            X[:, 0] += codes
            X[:, 1] += 3e-5 * (codes == 1)
    return X, codes


KINDS = [
    "plain",
    "two classes",
    "one spectrum",
    "copies",
    "constant",
    "fewer than features",
    "scales",
    "one centre",
    "centres in line",
]


@pytest.mark.parametrize("kind", KINDS)
def test_discriminants_are_those_of_scikit_learn(kind, rng):
    X, codes = awkward(kind, rng)
    found = moments(X, codes)
    found = Discriminant.of(found.counts, found.means, found.within).probabilities(X)
    np.testing.assert_allclose(found, LinearDiscriminantAnalysis().fit(X, codes).predict_proba(X), rtol=0, atol=1e-6)


def test_a_feature_that_only_the_classes_differ_in_counts_as_without_spread(rng):
    """Its spread is rounding: to scale by it would make it the only one that counts."""
    X, codes = awkward("plain", rng)
    marked = np.column_stack([X, codes / 3 + 0.1])
    found, plain = (moments(features, codes) for features in (marked, X))
    found = Discriminant.of(found.counts, found.means, found.within)
    plain = Discriminant.of(plain.counts, plain.means, plain.within)
    np.testing.assert_allclose(found.coef[:, :-1], plain.coef, rtol=1e-9)
    np.testing.assert_allclose(found.coef[:, -1], 0, atol=1e-4)


def test_classes_without_spread_are_refused():
    X = np.array([[0.0, 1], [2, 0], [0, 1]])
    with pytest.raises(DataError, match="no spread"):
        PCALDA(n_components=1).fit(X, [0, 1, 0])
    with pytest.raises(DataError, match="2 spectra of 2 classes show no spread"):
        PCALDA(n_components=1).fit(X[:2], [0, 1])


def test_pcalda_is_pca_into_lda(rng):
    X, codes = awkward("plain", rng)
    pca = PCA(3, svd_solver="covariance_eigh").fit(X)
    expected = LinearDiscriminantAnalysis().fit(pca.transform(X), codes).predict_proba(pca.transform(X))
    np.testing.assert_allclose(PCALDA(n_components=3).fit(X, codes).predict_proba(X), expected, rtol=0, atol=1e-6)


def test_pcaxgb_is_pca_into_xgboost(rng):
    X, codes = awkward("plain", rng)
    model = PCAXGB(n_components=3).fit(X, codes)
    scores = model.components_.scores(X)
    assert np.array_equal(model.predict_proba(X), XGBClassifier(n_jobs=1).fit(scores, codes).predict_proba(scores))
