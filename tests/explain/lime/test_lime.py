"""SpectralLime equals the `lime` package in the sampled modes and its own limit in the other."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lime.lime_tabular import LimeTabularExplainer
from scipy.special import expit
from sklearn.linear_model import Ridge

from ftirlib.errors import DataError, ModelError, SettingsError
from ftirlib.explain.attribution import Attribution
from ftirlib.explain.lime import lime as lime_module
from ftirlib.explain.lime.forward import evaluating
from ftirlib.explain.lime.lime import SpectralLime, correlation
from ftirlib.explain.lime.ridge import SharedRows, weighted_ridge
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.writer import save_spectra

SAMPLED = ("instance", "mean", "quartile", "decile")
N_CLASSES = 3


def some_spectra(n=40, p=24, dtype=np.float64, seed=0):
    """Smooth spectra; wavenumber 3 is constant."""
    rng = np.random.default_rng(seed)
    spectra = 1 + 0.1 * np.cumsum(rng.normal(size=(n, p)), axis=1)
    spectra[:, 3] = 0.7
    return spectra.astype(dtype)


def smooth(spectra):
    """A non-linear model of three classes in float64; each row is summed alone, so the batch leaves no trace."""
    spectra = np.asarray(spectra, np.float64)
    position = np.arange(spectra.shape[1])
    scores = np.stack([np.einsum("ij,j->i", np.tanh(spectra), np.sin(k + position * k / 5)) for k in range(N_CLASSES)])
    odds = np.exp(scores - scores.max(0)).T
    return odds / odds.sum(1, keepdims=True)


def by_package(background, spectrum, predict_proba, *, mode, n_samples, seed, label, kernel_width=None):
    """Coefficients, intercept, score and local prediction from the package."""
    if mode in ("instance", "mean"):
        options = {"discretize_continuous": False, "sample_around_instance": mode == "instance"}
    else:
        options = {"discretizer": mode}
    explainer = LimeTabularExplainer(background, random_state=seed, kernel_width=kernel_width, **options)
    found = explainer.explain_instance(
        spectrum, predict_proba, labels=(label,), num_features=len(spectrum), num_samples=n_samples
    )
    coef = np.zeros(len(spectrum))
    for feature, weight in found.local_exp[label]:
        coef[feature] = weight
    return coef, found.intercept[label], found.score, found.local_pred[0]


def assert_equals_package(background, spectra, model, *, mode, n_samples, seed=3, kernel_width=None, rtol=1e-9):
    predict_proba = getattr(model, "predict_proba", model)
    explainer = SpectralLime(background, mode=mode, n_samples=n_samples, random_state=seed, kernel_width=kernel_width)
    found = explainer.explain(model, spectra, "all")
    for k, spectrum in enumerate(spectra):
        for j, label in enumerate(found.labels[k]):
            coef, intercept, score, local = by_package(
                background,
                spectrum,
                predict_proba,
                mode=mode,
                n_samples=n_samples,
                seed=seed,
                label=int(label),
                kernel_width=kernel_width,
            )
            ours = found.weights[k, j]
            assert np.linalg.norm(ours - coef) <= rtol * np.linalg.norm(coef), (mode, k, label)
            np.testing.assert_allclose(found.intercept[k, j], intercept, rtol=rtol)
            np.testing.assert_allclose(found.score[k, j], score, rtol=rtol)
            np.testing.assert_allclose(found.local_prediction[k, j], local, rtol=rtol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_samples", [2, 15, 24, 200])
@pytest.mark.parametrize("mode", SAMPLED)
def test_equals_the_package(mode, n_samples, dtype):
    background = some_spectra(dtype=dtype)
    assert_equals_package(background, background[:2], smooth, mode=mode, n_samples=n_samples)


@pytest.mark.parametrize("mode", SAMPLED)
def test_equals_the_package_far_from_the_background_and_with_a_steep_kernel(mode):
    background = some_spectra()
    far = some_spectra(n=1, seed=9) + 1.0
    # The package finds distances as a difference of squares of the spectrum's own size: here its rounding leads.
    assert_equals_package(background, far, smooth, mode=mode, n_samples=120, kernel_width=1.1, rtol=1e-7)


@pytest.mark.parametrize("mode", SAMPLED)
def test_equals_the_package_for_xgboost(mode):
    from xgboost import XGBClassifier

    background = some_spectra(n=90, dtype=np.float32)
    label = np.digitize(background[:, 10], np.quantile(background[:, 10], [1 / 3, 2 / 3]))
    model = XGBClassifier(n_estimators=10, max_depth=3, n_jobs=1, random_state=0).fit(background, label)
    assert_equals_package(background, background[:2], model, mode=mode, n_samples=150)


class Convolutional(torch.nn.Module):
    """Convolutions, batch norm and tanh in the manner of the MSCNN, small, with softmax."""

    def __init__(self, p, dtype=torch.float64, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = torch.nn.Sequential(
            torch.nn.Conv1d(1, 4, 5, 2),
            torch.nn.BatchNorm1d(4),
            torch.nn.Dropout(0.5),
            torch.nn.Tanh(),
            torch.nn.Conv1d(4, 4, 3, 2),
            torch.nn.LeakyReLU(0.3),
            torch.nn.Flatten(),
            torch.nn.LazyLinear(N_CLASSES),
            torch.nn.Softmax(dim=1),
        )
        with torch.random.fork_rng():
            self.layers(torch.randn(16, 1, p))
        self.to(dtype)

    def forward(self, spectra):
        return self.layers(spectra[:, None])


@pytest.mark.parametrize("mode", SAMPLED)
def test_equals_the_package_for_a_convolutional_network(mode):
    background = some_spectra(dtype=np.float32)
    module = Convolutional(background.shape[1]).eval()

    def predict_proba(spectra):
        with torch.no_grad():
            return module(torch.as_tensor(spectra, dtype=torch.float64)).numpy()

    predict_proba.predict_proba = predict_proba
    assert_equals_package(background, background[:2], predict_proba, mode=mode, n_samples=120)
    # The module itself, and in float32, whose rounding shows.
    exact = SpectralLime(background, mode=mode, n_samples=120).explain(predict_proba, background[:2])
    for dtype, rtol in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        found = SpectralLime(background, mode=mode, n_samples=120).explain(module.to(dtype), background[:2])
        assert np.linalg.norm(found.weights - exact.weights) <= rtol * np.linalg.norm(exact.weights)
        module.to(torch.float64)


@pytest.mark.filterwarnings("ignore:(Ill-conditioned|Singular)")  # the package, ranking features at ridge 0.01
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    mode=st.sampled_from(SAMPLED),
    n=st.integers(2, 30),
    p=st.integers(2, 12),
    n_samples=st.integers(2, 60),
    seed=st.integers(0, 2**31),
    width=st.one_of(st.none(), st.floats(1.0, 10.0)),
)
def test_equals_the_package_whatever_the_sizes(mode, n, p, n_samples, seed, width):
    background = np.random.default_rng(seed).normal(size=(n, p))
    assert_equals_package(
        background, background[:1], smooth, mode=mode, n_samples=n_samples, seed=seed, kernel_width=width
    )


@pytest.mark.parametrize("mode", [*SAMPLED, "limit"])
def test_neither_order_nor_companions_nor_blocks_matter(mode, monkeypatch):
    background = some_spectra()
    model = Convolutional(background.shape[1])
    explainer = SpectralLime(background, mode=mode, n_samples=40, n_banks=2)
    whole = explainer.explain(model, background[:7], "all")
    backwards = explainer.explain(model, background[:7][::-1], "all")
    np.testing.assert_allclose(backwards.weights[::-1], whole.weights, rtol=0, atol=1e-12)
    monkeypatch.setattr(lime_module, "BLOCK", 2)
    blocks = explainer.explain(model, background[:7], "all")
    np.testing.assert_allclose(blocks.weights, whole.weights, rtol=0, atol=1e-12)
    np.testing.assert_allclose(blocks.stability, whole.stability, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mode", [*SAMPLED, "limit"])
def test_same_seed_same_bytes(mode):
    background = some_spectra()
    model = Convolutional(background.shape[1])

    def run(seed):
        return SpectralLime(background, mode=mode, n_samples=40, random_state=seed).explain(model, background[:3])

    assert run(1).weights.tobytes() == run(1).weights.tobytes()
    assert run(1).weights.tobytes() != run(2).weights.tobytes()


@pytest.mark.parametrize("mode", SAMPLED)
def test_a_model_that_never_changes_gets_no_weights(mode):
    background = some_spectra()

    def fixed(spectra):
        return np.full((len(spectra), 3), [0.1, 0.2, 0.7])

    found = SpectralLime(background, mode=mode, n_samples=50, n_banks=2).explain(fixed, background[:2])
    assert not found.weights.any()
    assert (found.score == 1).all()  # as scikit-learn scores a perfect fit of a constant
    assert found.local_prediction.tolist() == [[0.7], [0.7]]
    assert np.isnan(found.stability).all()


def test_labels(monkeypatch):
    monkeypatch.setattr(lime_module, "BLOCK", 2)
    background = some_spectra()
    explainer = SpectralLime(background, n_samples=30)
    spectra = background[:5]
    every = explainer.explain(smooth, spectra, "all")
    assert every.labels.tolist() == [[0, 1, 2]] * 5
    predicted = smooth(spectra).argmax(1)
    each = np.array([[0, 2], [1, 0], [2, 1], [0, 1], [1, 2]])
    for labels, columns in (("predicted", predicted[:, None]), (1, [[1]] * 5), ([2, 0], [[2, 0]] * 5), (each, each)):
        found = explainer.explain(smooth, spectra, labels)
        np.testing.assert_array_equal(found.labels, columns)
        want = np.take_along_axis(every.weights, np.asarray(columns)[:, :, None], axis=1)
        np.testing.assert_allclose(found.weights, want, rtol=0, atol=1e-13)


def test_weights_of_all_classes_cancel():
    background = some_spectra()
    for mode in SAMPLED:
        found = SpectralLime(background, mode=mode, n_samples=60).explain(smooth, background[:3], "all")
        np.testing.assert_allclose(found.weights.sum(1), 0, atol=1e-12)  # probabilities sum to one


# --- the limit ---------------------------------------------------------------------------------------------------


class Logistic(torch.nn.Module):
    """p = 1 / (1 + exp(-v x)): the limit of its explanation is a one-dimensional integral."""

    def __init__(self, slope):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.as_tensor(slope))

    def forward(self, spectra):
        p = torch.sigmoid(spectra @ self.slope)
        return torch.stack([p, 1 - p], dim=1)


def logistic_limit(background, slope, spectra, width=None):
    """Weights (n, p) of label 0, mean probability and score, by Gauss-Hermite quadrature."""
    p = background.shape[1]
    width = 0.75 * np.sqrt(p) if width is None else width
    spread, scale = 1 / (1 + 1 / width**2), background.std(0)
    node, share = np.polynomial.hermite_e.hermegauss(80)
    share = share / share.sum()
    value = expit((spectra @ slope)[:, None] + np.sqrt(spread) * np.linalg.norm(slope * scale) * node)
    weights = (share * value * (1 - value)).sum(1)[:, None] * slope * scale
    mean = (share * value).sum(1)
    score = spread * np.square(weights).sum(1) / ((share * value**2).sum(1) - mean**2)
    return weights, mean, score


@pytest.fixture
def logistic():
    rng = np.random.default_rng(0)
    background = rng.normal(size=(60, 10)) * np.linspace(0.5, 2, 10) + 1
    return background, 0.3 * rng.normal(size=10), background[:4]


@pytest.mark.parametrize("width", [None, 1.0])
def test_limit_known_answer(logistic, width):
    background, slope, spectra = logistic
    explainer = SpectralLime(background, mode="limit", n_samples=20_000, kernel_width=width)
    found = explainer.explain(Logistic(slope), spectra, "all")
    weights, mean, score = logistic_limit(background, slope, spectra, width)
    error = np.linalg.norm(found.weights[:, 0] - weights, axis=1) / np.linalg.norm(weights, axis=1)
    assert (error < 4 * found.relative_error[:, 0]).all()
    assert (found.relative_error < 0.02).all()
    np.testing.assert_allclose(found.weights.sum(1), 0, atol=1e-12)
    np.testing.assert_allclose(found.local_prediction[:, 0], mean, atol=5e-3)
    np.testing.assert_allclose(found.score[:, 0], score, atol=0.05)
    offset = (spectra - background.mean(0)) / background.std(0)
    np.testing.assert_allclose(
        found.intercept[:, 0] + (found.weights[:, 0] * offset).sum(1), found.local_prediction[:, 0], atol=1e-12
    )


def test_the_package_around_the_instance_approaches_the_limit(logistic):
    background, slope, spectra = logistic
    weights, mean, _ = logistic_limit(background, slope, spectra)
    far, near = (SpectralLime(background, n_samples=n).explain(Logistic(slope), spectra, 0) for n in (300, 100_000))

    def off(found):
        return np.linalg.norm(found.weights[:, 0] - weights) / np.linalg.norm(weights)

    assert off(near) < 0.02 < off(far)
    np.testing.assert_allclose(near.local_prediction[:, 0], mean, atol=2e-3)


def test_standard_error_covers_the_error(logistic):
    background, slope, spectra = logistic
    weights, _, _ = logistic_limit(background, slope, spectra)
    ratios = []
    for seed in range(60):
        found = SpectralLime(background, mode="limit", n_samples=64, random_state=seed).explain(
            Logistic(slope), spectra, 0
        )
        ratios.append(np.square(found.weights[:, 0] - weights) / np.square(found.standard_error[:, 0]))
    assert 0.6 < np.median(np.mean(ratios, axis=0)) < 1.7  # 1 where the error is stated right


class Formula(torch.nn.Module):
    """Two classes whose first probability is `value` of the spectrum, (n, n_wavenumbers) to (n,)."""

    def __init__(self, value):
        super().__init__()
        self.value = value
        self.unit = torch.nn.Parameter(torch.ones((), dtype=torch.float64))  # asks for input in float64

    def forward(self, spectra):
        p = self.value(self.unit * spectra)
        return torch.stack([p, 1 - p], dim=1)


def test_opposite_pairs_leave_a_quadratic_model_no_error(logistic):
    background, _, spectra = logistic
    bend = torch.linspace(-1e-3, 1e-3, background.shape[1], dtype=torch.float64)
    model = Formula(lambda x: 0.5 + (bend * x**2).sum(1))
    found = SpectralLime(background, mode="limit", n_samples=4).explain(model, spectra, 0)
    np.testing.assert_allclose(found.weights[:, 0], 2 * bend.numpy() * spectra * background.std(0), rtol=1e-10)
    assert found.relative_error.max() < 1e-6  # root of rounding


def test_score_of_the_limit_is_not_raised_by_noise(logistic):
    background, _, spectra = logistic
    background, spectra = background - background.mean(0), 0 * spectra  # a wave so short that no slope is left
    scale = torch.as_tensor(background.std(0))
    model = Formula(lambda x: 0.5 + 0.4 * torch.sin((x / scale)[:, :2] @ torch.tensor([3.0, 3.0]).double()))
    found = [
        SpectralLime(background, mode="limit", n_samples=64, random_state=seed).explain(model, spectra[:1], 0)
        for seed in range(300)
    ]
    scores = np.ravel([f.score for f in found])
    raised = np.mean([np.square(f.standard_error).sum() for f in found]) / 0.08  # variance of 0.4 sin
    assert abs(scores.mean()) < 4 * scores.std() / np.sqrt(len(scores)) < raised / 2


def test_tolerance_stops_early_and_is_met(logistic):
    background, slope, spectra = logistic
    calls = []

    class Counting(Logistic):
        def forward(self, spectra):
            calls.append(len(spectra))
            return super().forward(spectra)

    rough = SpectralLime(background, mode="limit", n_samples=20_000, tolerance=0.1)
    found = rough.explain(Counting(slope), spectra)
    assert (found.relative_error <= 0.1).all()
    assert sum(calls) < 0.1 * 20_000 * len(spectra)
    out_of_reach = SpectralLime(background, mode="limit", n_samples=64, tolerance=1e-4)
    assert (out_of_reach.explain(Counting(slope), spectra).relative_error > 1e-4).all()  # n_samples is a bound


def test_limit_takes_an_estimator_with_a_module(logistic):
    background, slope, spectra = logistic

    class Estimator:
        def predict_proba(self, spectra):
            raise AssertionError("the limit asks the module")

        def as_module(self):
            return Logistic(slope)

    explainer = SpectralLime(background, mode="limit", n_samples=64)
    np.testing.assert_array_equal(
        explainer.explain(Estimator(), spectra).weights, explainer.explain(Logistic(slope), spectra).weights
    )


def test_limit_refuses_what_has_no_gradient(logistic):
    background, _, spectra = logistic
    explainer = SpectralLime(background, mode="limit", n_samples=64)
    with pytest.raises(ModelError, match="choose mode 'instance'"):
        explainer.explain(smooth, spectra)

    class Vote(torch.nn.Module):
        def forward(self, spectra):
            return torch.nn.functional.one_hot((spectra.sum(1) > 0).long(), 2).double()

    with pytest.raises(ModelError, match="hard vote"):
        explainer.explain(Vote(), spectra)


def test_a_module_is_left_as_it_was_found():
    background = some_spectra()
    module = Convolutional(background.shape[1]).train()
    module.layers[1].eval()
    before = [part.training for part in module.modules()], module.layers[1].running_mean.clone()
    for mode in ("instance", "limit"):
        SpectralLime(background, mode=mode, n_samples=20).explain(module, background[:2])
    assert before[0] == [part.training for part in module.modules()]
    assert torch.equal(before[1], module.layers[1].running_mean)
    assert all(parameter.grad is None for parameter in module.parameters())
    with pytest.raises(ZeroDivisionError), evaluating(module):
        assert not module.training
        _ = 1 / 0
    assert module.training


# --- stability, streaming, data sets -----------------------------------------------------------------------------


def test_stability_is_the_correlation_of_two_runs():
    background = some_spectra()
    runs = [SpectralLime(background, n_samples=90, random_state=s).explain(smooth, background[:3], 1) for s in (5, 6)]
    both = SpectralLime(background, n_samples=90, random_state=5, n_banks=2).explain(smooth, background[:3], 1)
    np.testing.assert_array_equal(both.weights, runs[0].weights)
    want = [np.corrcoef(a[0], b[0])[0, 1] for a, b in zip(runs[0].weights, runs[1].weights)]
    np.testing.assert_allclose(both.stability[:, 0], want, rtol=1e-12)
    assert runs[0].stability is None
    more = SpectralLime(background, n_samples=5000, random_state=5, n_banks=3).explain(smooth, background[:3], 1)
    assert (more.stability > both.stability).all()


def test_correlation_of_known_weights():
    a = np.array([[[1.0, 2, 3]], [[1, 1, 1]]])
    b = np.array([[[3.0, 2, 1]], [[1, 2, 3]]])
    found = correlation([a, b])
    assert found[0, 0] == pytest.approx(-1) and np.isnan(found[1, 0])


def test_from_store_to_store(toy_spectra, tmp_path, monkeypatch):
    monkeypatch.setattr(lime_module, "BLOCK", 16)
    data = open_spectra(save_spectra(toy_spectra, tmp_path / "in.zarr"))
    rows = np.arange(0, 160, 3)
    explainer = SpectralLime(data.isel(spectrum=slice(0, 40)), mode="quartile", n_samples=50)
    done = []
    path = explainer.explain_to(
        tmp_path / "out.zarr", smooth, data, rows=rows, progress=lambda k, n: done.append((k, n))
    )
    stored = Attribution.load(path)
    memory = explainer.explain(smooth, toy_spectra.absorbance.values[rows])
    np.testing.assert_array_equal(stored.weights, memory.weights)
    np.testing.assert_array_equal(stored.rows, rows)
    np.testing.assert_array_equal(stored.wavenumber, data.wavenumber.values)
    assert stored.settings == explainer.settings
    assert done == [(16, 54), (32, 54), (48, 54), (54, 54)]


def test_a_broken_run_leaves_nothing_and_a_second_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(lime_module, "BLOCK", 4)
    background = some_spectra()
    explainer = SpectralLime(background, n_samples=30)

    def interrupt(done, total):
        if done > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explainer.explain_to(tmp_path / "a.zarr", smooth, background, progress=interrupt)
    assert not list(tmp_path.iterdir())
    explainer.explain_to(tmp_path / "a.zarr", smooth, background)
    again = Attribution.load(tmp_path / "a.zarr")
    assert again.weights.tobytes() == explainer.explain(smooth, background).weights.tobytes()


# --- the solvers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [8, 60])
def test_weighted_ridge_equals_scikit_learn(rng, n_samples):
    design, target = rng.normal(size=(n_samples, 20)) + 5, rng.normal(size=(n_samples, 3))
    weights = rng.random(n_samples)
    ours = weighted_ridge(design, weights, target, 0.7)
    theirs = Ridge(alpha=0.7).fit(design, target, sample_weight=weights)
    np.testing.assert_allclose(ours.coef[0], theirs.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.intercept[0], theirs.intercept_, rtol=1e-9)


@pytest.mark.parametrize("steepness", [0.1, 30.0])
def test_shared_rows_equal_one_by_one_however_steep_the_weights(rng, steepness):
    design, first = rng.normal(size=(200, 120)), rng.normal(size=(3, 120))
    weights = np.exp(-steepness * rng.random((200, 3)))
    targets = rng.normal(size=(3, 200, 2))
    together = SharedRows(design, 1e-6).solve(first, weights, targets)
    for k in range(3):
        alone = weighted_ridge(np.concatenate([first[k : k + 1], design[1:]]), weights[:, k], targets[k], 1e-6)
        np.testing.assert_allclose(together.coef[k], alone.coef[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(together.score[k], alone.score[0], rtol=1e-9)


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "octile"}, "mode 'octile' is unknown; choose one of instance"),
        ({"n_samples": 1}, "n_samples must be a whole number of at least 2"),
        ({"n_samples": 10.0}, "n_samples"),
        ({"kernel_width": 0}, "kernel_width must be a positive number"),
        ({"kernel_width": np.nan}, "kernel_width"),
        ({"kernel_width": -1.0}, "kernel_width"),
        ({"ridge": 0}, "ridge must be a positive number"),
        ({"ridge": None}, "ridge"),
        ({"random_state": -1}, "random_state"),
        ({"random_state": None}, "random_state"),
        ({"n_banks": 0}, "n_banks"),
        ({"tolerance": 0.1}, "tolerance has no meaning in mode 'instance'"),
        ({"mode": "limit", "tolerance": 0}, "tolerance must be a positive number"),
        ({"mode": "limit", "n_samples": 65}, "must be even"),
        ({"mode": "limit", "ridge": 2.0}, "has no ridge"),
    ],
)
def test_settings_out_of_range(options, message):
    with pytest.raises(SettingsError, match=message):
        SpectralLime(some_spectra(), **options)


@pytest.mark.parametrize(
    ("background", "message"),
    [
        (np.empty((0, 5)), r"background must be .* shape \(0, 5\)"),
        (np.ones(5), r"shape \(5,\)"),
        (np.full((3, 5), np.nan), "spectrum 0 of the background holds NaN"),
    ],
)
def test_bad_background(background, message):
    with pytest.raises(DataError, match=message):
        SpectralLime(background)


def test_another_grid(toy_spectra):
    explainer = SpectralLime(toy_spectra, n_samples=10)
    with pytest.raises(DataError, match=r"80 wavenumbers and the background 81 \(1000..1800 cm-1\)"):
        explainer.explain(smooth, toy_spectra.absorbance.values[:, :-1])
    shifted = toy_spectra.assign_coords(wavenumber=toy_spectra.wavenumber + 0.5)
    with pytest.raises(DataError, match=r"\(1000.5..1800.5 cm-1\).*\(1000..1800 cm-1\).*0.5 cm-1 apart"):
        explainer.explain(smooth, shifted)
    with pytest.raises(DataError, match="3 wavenumbers do not fit"):
        SpectralLime(some_spectra(), wavenumber=[1, 2, 3])
    with pytest.raises(SettingsError, match="axis of its own"):
        SpectralLime(toy_spectra, wavenumber=toy_spectra.wavenumber.values)


def test_bad_spectra():
    background = some_spectra()
    explainer = SpectralLime(background, n_samples=10)
    spectra = background[:3].copy()
    spectra[1, 5] = np.inf
    with pytest.raises(DataError, match="spectrum 1 of the spectra holds NaN or infinite"):
        explainer.explain(smooth, spectra)
    with pytest.raises(DataError, match="must be"):
        explainer.explain(smooth, background[0])
    for rows in ([], [3, 3], [2, 1], [-1], [40], [0.5]):
        with pytest.raises(DataError, match="rows"):
            explainer.explain(smooth, background, rows=rows)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("best", "'predicted', 'all' or class numbers"),
        (3, "the model has classes 0..2"),
        (-1, "labels run from -1 to -1"),
        ([1, 1], r"shape \(5, 1\)"),
        (np.zeros((4, 1), int), "do not fit 5 spectra"),
        (1.5, "whole class numbers"),
    ],
)
def test_bad_labels(labels, message):
    background = some_spectra()
    with pytest.raises(SettingsError, match=message):
        SpectralLime(background, n_samples=10).explain(smooth, background[:5], labels)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda s: np.full((len(s), 2), np.nan), "NaN or infinite probabilities"),
        (lambda s: np.ones((len(s), 2)), r"rows sum to 2..2, not to 1"),
        (lambda s: np.ones(len(s)), "at least two classes"),
        (lambda s: np.ones((len(s), 1)), "at least two classes"),
        (lambda s: np.full((3, 2), 0.5), "returned shape"),
        ("svm", "str is no classifier"),
    ],
)
@pytest.mark.parametrize("mode", ["instance", "decile"])
def test_bad_models(mode, model, message):
    background = some_spectra()
    with pytest.raises(ModelError, match=message), warnings.catch_warnings():
        warnings.simplefilter("error")  # the reason is said once, in the error
        SpectralLime(background, mode=mode, n_samples=10).explain(model, background[:2])
