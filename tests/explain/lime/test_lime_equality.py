"""SpectralLime equals the `lime` package: samples below and above the wavenumbers, all or few features, three models.

"Given the same predictions" is a network in double precision, whose rounding no batch size shows.
"""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lime.lime_tabular import LimeTabularExplainer

from ftirlib.classify.ensemble import EMSCNN
from ftirlib.classify.settings import MSCNNSettings, TrainingSettings
from ftirlib.classify.training import MSCNNClassifier
from ftirlib.errors import SettingsError
from ftirlib.explain.lime.lime import SpectralLime

SAMPLED = ("instance", "mean", "quartile", "decile")
GRID = np.linspace(1000.0, 1800.0, 41)
SMALL = MSCNNSettings(
    n_classes=3, head_widths=(40, 100), head_strides=(20, 60), core=((4, 9, 5), (6, 5, 3), (8, 2, 1)), dense=(8,)
)
pytestmark = pytest.mark.filterwarnings("ignore:(Ill-conditioned|Singular)")  # the package, ranking at ridge 0.01


def spectra_and_labels(dtype, n=60):
    """Smooth spectra of three classes; wavenumber 3 is constant."""
    rng = np.random.default_rng(5)
    spectra = 1 + 0.1 * np.cumsum(rng.normal(size=(n, GRID.size)), axis=1)
    label = np.arange(n) % 3
    spectra += 0.3 * label[:, None] * np.exp(-(((GRID - 1400) / 80) ** 2))
    spectra[:, 3] = 0.7
    return spectra.astype(dtype), label


@pytest.fixture(scope="module")
def members():
    spectra, label = spectra_and_labels(np.float32)
    training = TrainingSettings(epochs=3, batch_size=16)
    return [
        MSCNNClassifier(GRID, network=SMALL, training=training, random_state=seed).fit(
            spectra[:45], label[:45], validation=(spectra[45:], label[45:])
        )
        for seed in range(2)
    ]


@pytest.fixture(scope="module")
def models(members):
    """Three models as functions without visible rounding, and two networks as users hand them over."""
    from xgboost import XGBClassifier

    spectra, label = spectra_and_labels(np.float32)
    hard = EMSCNN(members, threshold=None, voting="hard").fit()
    trees = XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1, random_state=0).fit(spectra, label)
    return {
        "mscnn": _exact(members[0].as_module()),
        "emscnn": _exact(hard.prediction_module()),
        "xgboost": trees.predict_proba,
        "mscnn float32": members[0],
        "emscnn float32": EMSCNN(members, threshold=None, voting="soft").fit(),
    }


def _exact(module):
    import copy

    module = copy.deepcopy(module).double()

    def predict_proba(spectra):
        with torch.no_grad():
            return module(torch.as_tensor(spectra, dtype=torch.float64)).numpy()

    predict_proba.module = module
    return predict_proba


def by_package(background, spectrum, predict_proba, *, mode, n_samples, num_features, seed=3, method="auto"):
    """Weights and intercepts of the three labels; score and local prediction of the last."""
    if mode in ("instance", "mean"):
        options = {"discretize_continuous": False, "sample_around_instance": mode == "instance"}
    else:
        options = {"discretizer": mode}
    explainer = LimeTabularExplainer(background, random_state=seed, feature_selection=method, **options)
    found = explainer.explain_instance(
        spectrum, predict_proba, labels=range(3), num_features=num_features or len(spectrum), num_samples=n_samples
    )
    weights = np.zeros((3, len(spectrum)))
    for label, pairs in found.local_exp.items():
        feature, weight = zip(*pairs)
        weights[label, list(feature)] = weight
    # The package keeps score and local prediction of the last label only.
    return weights, [found.intercept[label] for label in range(3)], found.score, found.local_pred[0]


def assert_equal(background, spectrum, model, *, mode, n_samples, num_features, rtol, method="auto"):
    predict_proba = getattr(model, "predict_proba", model)
    theirs = by_package(
        background, spectrum, predict_proba, mode=mode, n_samples=n_samples, num_features=num_features, method=method
    )
    explainer = SpectralLime(
        background,
        mode=mode,
        n_samples=n_samples,
        num_features=num_features,
        feature_selection=method,
        random_state=3,
    )
    ours = explainer.explain(model, spectrum[None], "all")
    weights = ours.weights[0]
    tiny = 1e-12 * np.abs(theirs[0]).max()  # a constant column is centred to zero up to rounding
    assert np.array_equal(np.abs(weights) > tiny, np.abs(theirs[0]) > tiny)
    for label in range(3):
        assert np.linalg.norm(weights[label] - theirs[0][label]) <= rtol * np.linalg.norm(theirs[0][label]), label
    np.testing.assert_allclose(ours.intercept[0], theirs[1], rtol=10 * rtol, atol=rtol)
    np.testing.assert_allclose(ours.score[0, 2], theirs[2], rtol=10 * rtol, atol=rtol)
    np.testing.assert_allclose(ours.local_prediction[0, 2], theirs[3], rtol=10 * rtol, atol=rtol)


# Six features or fewer are sought forwards, which takes the package a ridge regression for each feature left, class and
# step: there each size comes in one precision, elsewhere in both.
CHOICES = [(n_samples, k, dtype) for k in (None, 10) for n_samples in (30, 150) for dtype in (np.float32, np.float64)]
CHOICES += [(30, 6, np.float64), (150, 3, np.float32)]


@pytest.mark.parametrize(("n_samples", "num_features", "dtype"), CHOICES)
@pytest.mark.parametrize("mode", SAMPLED)
@pytest.mark.parametrize("name", ["mscnn", "emscnn", "xgboost"])
def test_given_the_same_predictions(models, name, mode, n_samples, num_features, dtype):
    background, _ = spectra_and_labels(dtype)
    assert_equal(
        background, background[4], models[name], mode=mode, n_samples=n_samples, num_features=num_features, rtol=1e-9
    )


@pytest.mark.parametrize("mode", SAMPLED)
@pytest.mark.parametrize("name", ["mscnn float32", "emscnn float32"])
def test_single_precision_networks_show_their_rounding_only(models, name, mode):
    background, _ = spectra_and_labels(np.float32)
    assert_equal(background, background[4], models[name], mode=mode, n_samples=150, num_features=None, rtol=1e-4)


@pytest.mark.parametrize("mode", SAMPLED)
def test_a_module_in_parts_is_the_function_whole(models, mode):
    background, _ = spectra_and_labels(np.float64)
    for name in ("mscnn", "emscnn"):
        explainer = SpectralLime(background, mode=mode, n_samples=150)
        whole = explainer.explain(models[name], background[:3], "all")
        parts = explainer.explain(models[name].module, background[:3], "all")
        assert np.linalg.norm(parts.weights - whole.weights) <= 1e-9 * np.linalg.norm(whole.weights)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    mode=st.sampled_from(SAMPLED),
    p=st.integers(8, 20),
    n_samples=st.integers(30, 80),
    num_features=st.integers(1, 7),
    method=st.sampled_from(["auto", "highest_weights", "forward_selection"]),
    seed=st.integers(0, 2**31),
)
def test_selection_whatever_the_sizes(mode, p, n_samples, num_features, method, seed):
    background = np.random.default_rng(seed).normal(size=(30, p))

    def model(spectra):
        scores = np.tanh(np.asarray(spectra)) @ np.sin(np.arange(p)[:, None] * (1 + np.arange(3)))
        odds = np.exp(scores - scores.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_equal(
            background,
            background[0],
            model,
            mode=mode,
            n_samples=n_samples,
            num_features=num_features,
            rtol=1e-8,
            method=method,
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_features": 0}, "num_features must be a whole number in 1..41"),
        ({"num_features": 42}, "num_features must be"),
        ({"num_features": 2.0}, "num_features must be"),
        ({"num_features": 5, "feature_selection": "none"}, "takes every feature"),
        ({"feature_selection": "lasso"}, "unknown; choose one of none, auto"),
        ({"mode": "limit", "n_samples": 8, "num_features": 5}, "leave num_features out"),
    ],
)
def test_settings_that_cannot_be(options, message):
    with pytest.raises(SettingsError, match=message):
        SpectralLime(spectra_and_labels(np.float64)[0], **options)
