"""The fusion classifier: a scikit-learn estimator that learns, refuses bad input, and is the same after a save."""

import json
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from ftirlib.classify.fusion.estimator import FusionClassifier
from ftirlib.classify.fusion.fused import FusedFeatureClassifier, oversample
from ftirlib.classify.fusion.head import HeadCNN, head_probabilities, train_head
from ftirlib.classify.fusion.settings import HeadSettings
from ftirlib.errors import DataError, ModelError, SettingsError

AXIS = np.linspace(1000.0, 1800.0, 201)
QUICK = HeadSettings(epochs=15, batch_size=16)
CHECKED = HeadSettings(epochs=15, batch_size=64, learning_rate=5e-3)  # scikit-learn's checks fit often
NO_IMAGES = {"resnet": False, "efficientnet": False, "head": QUICK}
SMALL = {"resnet": False, "weights": "random", "image_size": 32, "head": QUICK, "device": "cpu"}
CONSTANT_ROWS = "its random rows hold constant spectra, which have no shape and are refused"
# scikit-learn's checks that the classifier cannot pass, and why
CANNOT_PASS = {"check_estimators_dtypes": CONSTANT_ROWS, "check_classifier_data_not_an_array": CONSTANT_ROWS}
# kymatio says of the checks' two to ten wavenumbers that they are too few for a wavelet, which is so
pytestmark = pytest.mark.filterwarnings("ignore:Signal support is too small")


@parametrize_with_checks(
    [FusionClassifier(**NO_IMAGES | {"scattering": False, "head": CHECKED})],
    expected_failed_checks=lambda _: CANNOT_PASS,
)
def test_is_a_scikit_learn_classifier(estimator, check):
    check(estimator)


@parametrize_with_checks([FusedFeatureClassifier(head=CHECKED)])
def test_the_part_after_the_features_is_one_too(estimator, check):
    check(estimator)


def three_classes(rng, sizes=(30, 16, 8), noise=0.05):
    y = np.repeat(["a", "b", "c"], sizes)
    centre = np.select([y == "a", y == "b"], [1150.0, 1400.0], 1650.0)
    X = np.exp(-(((AXIS - centre[:, None]) / 40) ** 2)) + 0.3 * np.exp(-(((AXIS - 1550) / 30) ** 2))
    return rng.uniform(0.5, 1.5, (len(y), 1)) * X + noise * rng.standard_normal(X.shape), y


def better_than_guessing(y):
    """Share that naming the largest class reaches, and three of its standard errors."""
    share = np.unique(y, return_counts=True)[1].max() / len(y)
    return share + 3 * np.sqrt(share * (1 - share) / len(y))


@pytest.fixture(scope="module")
def fitted():
    X, y = three_classes(np.random.default_rng(2))
    return FusionClassifier(AXIS, **SMALL).fit(X, y), X, y


def test_learns_bands(fitted):
    model, _, _ = fitted
    X, y = three_classes(np.random.default_rng(3))
    probability = model.predict_proba(X)
    assert probability.shape == (54, 3)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (model.predict(X) == y).mean() > better_than_guessing(y)
    assert model.classes_.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("family", ["efficientnet", "scattering", "statistics"])
def test_each_family_carries_a_signal_of_its_own(family):
    (X, y), (X_test, y_test) = (three_classes(np.random.default_rng(s)) for s in (2, 3))
    off = {name: name == family for name in ("resnet", "efficientnet", "scattering", "statistics")}
    model = FusionClassifier(AXIS, **SMALL | off | {"head": HeadSettings(batch_size=16)}).fit(X, y)
    assert len(model.extractor_.settings.families) == 1
    assert model.feature_origin_ == ("random features" if family == "efficientnet" else "no image features")
    assert (model.predict(X_test) == y_test).mean() > better_than_guessing(y_test)


def test_same_seed_same_bytes(fitted):
    model, X, y = fitted
    known = model.predict_proba(X).tobytes()
    again, other = (clone(model).set_params(random_state=s).fit(X, y) for s in (0, 1))
    assert again.predict_proba(X).tobytes() == known
    assert other.predict_proba(X).tobytes() != known


def test_global_random_state_is_left_alone(fitted):
    _, X, y = fitted
    torch.manual_seed(5)
    before = torch.get_rng_state()
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global generator is what must not move
    FusionClassifier(**NO_IMAGES).fit(X, y)
    assert torch.equal(before, torch.get_rng_state())
    assert (state == np.random.get_state()[1]).all()  # noqa: NPY002


def test_scaling_is_fitted_before_copies_and_copies_fill_up(fitted):
    model, X, y = fitted
    inner = model.classifier_
    assert inner.class_counts_.tolist() == [30, 16, 8]
    assert inner.fitted_counts_.tolist() == [30, 30, 30]
    assert inner.scaler_.n_samples_seen_ == 54
    bare = FusionClassifier(AXIS, **NO_IMAGES | {"oversampling": None}).fit(X, y)
    assert bare.classifier_.fitted_counts_.tolist() == [30, 16, 8]


def test_saved_and_loaded_it_predicts_the_same(fitted, tmp_path):
    model, X, _ = fitted
    model.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["classifier.json", "head.safetensors"]
    again = FusionClassifier.load(tmp_path, device="cpu")
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert again.feature_origin_ == model.feature_origin_ == "random features"
    np.testing.assert_array_equal(again.wavenumber, AXIS)
    assert again.get_params()["head"] == QUICK


def test_a_changed_model_on_disk_is_refused(tmp_path):
    X, y = three_classes(np.random.default_rng(2))
    FusionClassifier(AXIS, **NO_IMAGES).fit(X, y).save(tmp_path)
    text = (tmp_path / "classifier.json").read_text()
    content = json.loads(text)

    def load(**changed):
        (tmp_path / "classifier.json").write_text(json.dumps(content | changed))
        return FusionClassifier.load(tmp_path)

    assert load().classes_.tolist() == ["a", "b", "c"]
    with pytest.raises(ModelError, match="incomplete or of another version"):
        load(parameters={})
    with pytest.raises(ModelError, match="'statistics'.*computed otherwise here"):
        load(wavenumber=(AXIS + 50).tolist())
    with pytest.raises(ModelError, match="keep that file in the cache or pass it as weights"):
        load(backbones={"resnet101": "0" * 64})
    with pytest.raises(ModelError, match="two different models"):
        load(sha256="0" * 64)
    with pytest.raises(ModelError, match="describes 'MSCNNClassifier'"):
        load(kind="MSCNNClassifier")


def test_features_are_cached_between_fit_and_predict(tmp_path, monkeypatch):
    X, y = three_classes(np.random.default_rng(2))
    model = FusionClassifier(AXIS, **SMALL, cache=tmp_path).fit(X, y)
    monkeypatch.setattr(model.extractor_, "_forward", None)  # calling a network now would fail
    assert model.predict(X).shape == (54,)


BAD_SPECTRA = [
    (lambda X, y: (X[:30], y[:30]), "of 1 class"),
    (lambda X, y: (X[:47], y[:47]), "class c has 1 training spectrum"),
    (
        lambda X, y: (np.where(np.arange(54)[:, None] == 7, np.nan, X), y),
        "NaN or infinite values, the first is number 7",
    ),
    (lambda X, y: (np.where(np.arange(54)[:, None] == 9, 0.5, X), y), "constant, the first is number 9"),
    (lambda X, y: (X[:, :-1], y), "200 wavenumbers but the classifier's axis has shape"),
]


@pytest.mark.parametrize(("spoil", "says"), BAD_SPECTRA)
def test_bad_spectra_are_refused(spoil, says, fitted):
    _, X, y = fitted
    with pytest.raises(DataError, match=says) as caught:
        FusionClassifier(AXIS, **NO_IMAGES).fit(*spoil(X, y))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"image_size": 0}, "image size is 0"),
        ({"statistics": False, "scattering": False}, "every feature family is switched off"),
        ({"oversampling": "adasyn"}, "oversampling is 'adasyn'"),
        ({"small_classes": "drop"}, "small_classes is 'drop'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"image": "heat"}, "kind of image is 'heat'"),
    ],
)
def test_bad_options_are_refused(options, says, fitted):
    _, X, y = fitted
    with pytest.raises(SettingsError, match=says):
        FusionClassifier(AXIS, **NO_IMAGES | options).fit(X, y)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"epochs": 0}, "'epochs' cannot be 0"),
        ({"dropout": 1.0}, "'dropout' cannot be 1.0"),
        ({"channels": ()}, "'channels' cannot be"),
        ({"learning_rate": 0}, "'learning_rate' cannot be 0"),
        ({"batch_size": 1}, "'batch_size' cannot be 1: .* equal to 2"),
    ],
)
def test_bad_head_settings_are_refused(options, says):
    with pytest.raises(SettingsError, match=says):
        HeadSettings(**options)


def test_spectra_with_an_axis_of_their_own_are_compared(fitted, toy_spectra):
    model, _, _ = fitted
    with pytest.raises(DataError, match="interpolate"):
        model.predict(toy_spectra.absorbance)


def test_head_fits_rows_of_any_width(rng):
    for width in (1, 2, 9, 700):
        assert HeadCNN(HeadSettings(), width, 3).eval()(torch.zeros(2, width)).shape == (2, 3)


def test_head_trains_its_loss_down(rng):
    features, codes = rng.standard_normal((90, 50)).astype(np.float32), np.repeat([0, 1, 2], 30)
    features[:, 20:25] += 1.5 * codes[:, None]
    seen = []
    model, losses = train_head(features, codes, 3, HeadSettings(epochs=30), progress=seen.append)
    assert losses[-1] < losses[0]
    assert [entry["epoch"] for entry in seen] == list(range(30))
    assert (head_probabilities(model, features).argmax(axis=1) == codes).mean() > better_than_guessing(codes)


def test_random_copies_are_copies_and_smote_lies_between(rng):
    X, codes = rng.standard_normal((30, 4)), np.repeat([0, 1], [22, 8])
    copies, new, used = oversample(X, codes, method="random")
    assert np.bincount(new).tolist() == [22, 22]
    assert used is None
    np.testing.assert_array_equal(copies[:30], X)
    assert all((row == X[codes == 1]).all(axis=1).any() for row in copies[30:])
    between, new, used = oversample(X, codes, method="smote", n_neighbors=3)
    assert used == 3
    assert np.bincount(new).tolist() == [22, 22]
    low, high = X[codes == 1].min(axis=0), X[codes == 1].max(axis=0)
    assert ((between[30:] >= low) & (between[30:] <= high)).all()
    assert not any((row == X).all(axis=1).any() for row in between[30:])


def test_a_class_too_small_for_smote_is_refused_or_said(rng):
    X, codes = rng.standard_normal((14, 4)), np.repeat([0, 1], [10, 4])
    with pytest.raises(DataError, match="class 1 has 4 training spectra, too few for the 5 neighbours"):
        oversample(X, codes, method="smote")
    with pytest.warns(UserWarning, match="3 are used for every class"):
        _, new, used = oversample(X, codes, method="smote", small_classes="adjust")
    assert used == 3
    assert np.bincount(new).tolist() == [10, 10]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert oversample(X, codes, method="smote", n_neighbors=3)[2] == 3
    with pytest.raises(SettingsError, match="n_neighbors is 0"):
        oversample(X, codes, method="smote", n_neighbors=0)


def test_progress_is_shown(fitted):
    _, X, y = fitted
    seen = []
    FusionClassifier(AXIS, **NO_IMAGES, batch_size=27).fit(
        X, y, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(27, 54), (54, 54)]
