"""The classical classifiers: known answers, repeatability, hostile input, real spectra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from ftirlib.classify.baselines import PCALDA, PCAXGB, XGB, NearestMean, make_baseline
from ftirlib.errors import SettingsError

NAMES = ["mean-mse", "mean-cosine", "pca-lda", "pca-xgb", "xgb"]


@parametrize_with_checks([NearestMean(), NearestMean(metric="cosine"), PCALDA(n_components=2), PCAXGB(n_components=2)])
def test_is_a_scikit_learn_classifier(estimator, check):
    check(estimator)


@parametrize_with_checks([XGB()])
def test_xgb_is_a_scikit_learn_classifier(estimator, check):
    check(estimator)


def three_classes(rng, n=20, noise=0.01):
    means = np.array([[1.0, 0, 0, 1], [0, 1.0, 0, 1], [0, 0, 1.0, 1]])
    codes = np.repeat([0, 1, 2], n)
    return means[codes] + noise * rng.standard_normal((3 * n, 4)), np.array(["a", "b", "c"])[codes]


@pytest.mark.parametrize("name", NAMES)
def test_separable_classes_are_told_apart(name, rng):
    X, y = three_classes(rng, n=60)
    model = make_baseline(name, n_components=3).fit(X[::2], y[::2])
    # the middles of the classes: a tree may cut just outside the outermost training spectrum
    middles = np.stack([X[y == k].mean(axis=0) for k in "abc"])
    assert list(model.predict(middles)) == ["a", "b", "c"]
    probability = model.predict_proba(X[1::2])
    assert probability.shape == (90, 3)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
    assert (model.classes_[probability.argmax(axis=1)] == model.predict(X[1::2])).all()


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes(name, rng):
    X, y = three_classes(rng, noise=0.8)
    first, second = (make_baseline(name, n_components=3).fit(X, y).predict_proba(X) for _ in "ab")
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_nan_is_refused(name, rng):
    X, y = three_classes(rng)
    with pytest.raises(ValueError, match="NaN"):
        make_baseline(name, n_components=3).fit(np.where(X > 0.99, np.nan, X), y)


def test_nearest_mean_known_answer():
    X, y = np.array([[0.0, 0], [0, 2], [4, 0], [4, 2]]), [0, 0, 1, 1]
    model = NearestMean().fit(X, y)
    np.testing.assert_array_equal(model.means_, [[0, 1], [4, 1]])
    # mean squared differences of (1, 1): 1/2 and 9/2, so shares 9 : 1
    np.testing.assert_allclose(model.predict_proba([[1, 1]]), [[0.9, 0.1]])
    np.testing.assert_array_equal(model.predict_proba([[4, 1]]), [[0, 1]])


def test_cosine_sees_shape_and_mse_sees_size():
    X, y = np.array([[1.0, 0], [1, 0.2], [10, 10], [10, 12]]), ["steep", "steep", "even", "even"]
    weak_even = [[0.5, 0.55]]
    assert NearestMean(metric="cosine").fit(X, y).predict(weak_even) == ["even"]
    assert NearestMean(metric="mse").fit(X, y).predict(weak_even) == ["steep"]


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (6, 5), elements=st.floats(0.1, 3)), st.floats(0.01, 100))
def test_cosine_ignores_the_scale_of_a_spectrum(X, scale):
    model = NearestMean(metric="cosine").fit(X + np.eye(6, 5), [0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(model.predict_proba(X * scale), model.predict_proba(X), rtol=1e-5, atol=1e-9)


def test_a_spectrum_without_direction_favours_nobody(rng):
    X, y = three_classes(rng)
    probability = NearestMean(metric="cosine").fit(X, y).predict_proba(np.zeros((1, 4)))
    np.testing.assert_allclose(probability, 1 / 3)


def test_fewer_samples_or_wavenumbers_than_components_are_said(rng):
    X, y = three_classes(rng)
    for model in PCALDA(), PCAXGB():
        with pytest.warns(UserWarning, match="uses 4 principal components, not the 25 asked for.*60 spectra of 4"):
            model.fit(X, y)
        assert model.n_components_ == 4


def test_order_of_spectra_does_not_matter_to_pcalda(rng):
    X, y = three_classes(rng, noise=0.5)
    order = rng.permutation(len(X))
    one, other = PCALDA(n_components=3).fit(X, y), PCALDA(n_components=3).fit(X[order], y[order])
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: make_baseline("svm"), "no baseline 'svm'; choose one of mean-mse"),
        (lambda: NearestMean(metric="city").fit(np.eye(4), [0, 0, 1, 1]), "metric is 'city'"),
        (lambda: PCALDA(n_components=0).fit(np.eye(4), [0, 0, 1, 1]), "n_components is 0"),
    ],
)
def test_unknown_options_are_refused(make, says):
    with pytest.raises(SettingsError, match=says):
        make()


def test_patients_on_both_sides_flatter_pcalda(shared_data):
    """439 spectra of 22 brains: random folds know the patients, grouped folds do not."""
    file = np.load(shared_data / "brain_atr" / "brain_atr.npz", allow_pickle=False)
    X, y, patient = file["absorbance"], file["label"], file["patient"]
    random = cross_val_predict(PCALDA(), X, y, cv=KFold(5, shuffle=True, random_state=0))
    grouped = cross_val_predict(PCALDA(), X, y, groups=patient, cv=GroupKFold(5))
    assert balanced_accuracy_score(y, random) > balanced_accuracy_score(y, grouped) + 0.15
