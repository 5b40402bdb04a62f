"""Noise that is not white, and bands as features: known answers in the limit, and the sampled modes on their way."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from ftirlib.errors import SettingsError
from ftirlib.explain.lime.forward import parts_of, pull_back, response
from ftirlib.explain.lime.lime import SpectralLime
from ftirlib.explain.lime.noise import GaussianNoise, band_numbers

P = 12
AXIS = 1000.0 + 10 * np.arange(P)
MEAN = np.linspace(1, 2, P)


class Logistic(torch.nn.Module):
    """p = 1 / (1 + exp(-v (x - m))): its averaged gradient is a one-dimensional integral."""

    def __init__(self, slope):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.as_tensor(slope))

    def forward(self, spectra):
        p = torch.sigmoid((spectra - torch.as_tensor(MEAN)) @ self.slope)
        return torch.stack([p, 1 - p], dim=1)


@pytest.fixture(scope="module")
def background():
    """Spectra that vary along three smooth directions and a little by themselves."""
    rng = np.random.default_rng(2)
    smooth = np.sin(np.outer([1, 2, 3], np.linspace(0, np.pi, P)))
    return MEAN + 0.2 * rng.normal(size=(300, 3)) @ smooth + 0.02 * rng.normal(size=(300, P))


def limit(slope, spectrum, variance):
    """Averaged gradient (p,) of label 0 when ``slope @ noise`` has this variance, by Gauss-Hermite quadrature."""
    node, weight = np.polynomial.hermite_e.hermegauss(80)
    p = expit((spectrum - MEAN) @ slope + np.sqrt(variance) * node)
    return slope * (weight @ (p * (1 - p)) / weight.sum())


def narrowed(covariance, width):
    """Covariance of Gaussian noise in standard deviations, under a Gaussian kernel, by the textbook formula."""
    return np.linalg.inv(np.linalg.inv(covariance) + np.eye(len(covariance)) / width**2)


@pytest.mark.parametrize("kernel_width", [None, 1.5])
@pytest.mark.parametrize("noise", ["white", "covariance", "bands"])
def test_the_limit_of_a_logistic_model(background, noise, kernel_width):
    slope = 3 * np.cos(np.arange(P))
    width = 0.75 * np.sqrt(P) if kernel_width is None else kernel_width
    scale = background.std(0)
    options = {"band_width": 30.0} if noise == "bands" else {}
    if noise == "white":
        covariance = narrowed(np.eye(P), width)
    elif noise == "covariance":
        covariance = narrowed(np.corrcoef(background.T), width)
    else:
        member = np.arange(P) // 3
        # of a band's common draw: distance counts each of its three wavenumbers
        covariance = (member[:, None] == member) / (1 + 3 / width**2)
    explainer = SpectralLime(
        background, mode="limit", n_samples=4000, noise=noise, wavenumber=AXIS, kernel_width=kernel_width, **options
    )
    found = explainer.explain(Logistic(slope), background[:2], 0)
    for k in range(2):
        expected = scale * limit(slope, background[k], (slope * scale) @ covariance @ (slope * scale))
        assert np.linalg.norm(found.weights[k, 0] - expected) <= 0.02 * np.linalg.norm(expected)
        z = (found.weights[k, 0] - expected) / found.standard_error[k, 0]
        assert np.abs(z).max() < 6


@pytest.mark.parametrize("noise", ["white", "covariance", "bands"])
def test_the_instance_mode_goes_to_the_limit(background, noise):
    slope = 3 * np.cos(np.arange(P))
    options = {"band_width": 30.0, "features": "bands"} if noise == "bands" else {}
    shared = {"noise": noise, "wavenumber": AXIS, **options}
    model = Logistic(slope)
    exact = SpectralLime(background, mode="limit", n_samples=20_000, **shared).explain(model, background[:1], 0)
    sampled = SpectralLime(background, mode="instance", n_samples=100_000, ridge=1e-6, **shared)
    sampled = sampled.explain(model, background[:1], 0)
    bound = 0.05 if noise != "covariance" else 0.3  # hardly any noise goes along the last directions
    error = np.linalg.norm(sampled.weights - exact.weights) / np.linalg.norm(exact.weights)
    assert error < bound
    np.testing.assert_allclose(sampled.score, exact.score, atol=0.05)
    np.testing.assert_allclose(sampled.local_prediction, exact.local_prediction, atol=0.01)
    np.testing.assert_allclose(sampled.intercept, exact.intercept, atol=0.05)


@pytest.mark.parametrize("mode", ["instance", "mean", "limit"])
def test_a_band_shares_its_coefficient(background, mode):
    explainer = SpectralLime(
        background, mode=mode, n_samples=600, noise="bands", band_width=40.0, features="bands", wavenumber=AXIS
    )
    found = explainer.explain(Logistic(np.cos(np.arange(P))), background[:3], "all")
    bands = found.weights.reshape(3, 2, 3, 4)
    assert np.ptp(bands, axis=-1).max() < 1e-12
    assert np.ptp(bands[..., 0], axis=-1).min() > 0
    assert explainer.settings["features"] == "bands" and explainer.settings["band_width"] == 40.0
    assert explainer.settings["kernel_width"] == pytest.approx(0.75 * np.sqrt(3))


def test_a_linear_function_gives_bands_the_sum_of_their_slopes(background):
    """In the limit exactly; sampled, up to the ridge."""
    slope = 1e-3 * np.cos(np.arange(P))  # so flat that the logistic curve is a line
    scale = background.std(0)
    for mode, rtol in (("limit", 1e-4), ("instance", 1e-2)):
        explainer = SpectralLime(
            background, mode=mode, n_samples=2000, noise="bands", band_width=30.0, features="bands", wavenumber=AXIS
        )
        found = explainer.explain(Logistic(slope), background[:1], 0).weights[0, 0]
        expected = (slope * scale / 4).reshape(4, 3).sum(1)
        np.testing.assert_allclose(found.reshape(4, 3).sum(1), expected, rtol=rtol)


def test_few_bands_of_many(background):
    explainer = SpectralLime(
        background,
        n_samples=500,
        noise="bands",
        band_width=20.0,
        features="bands",
        wavenumber=AXIS,
        num_features=2,
    )
    found = explainer.explain(Logistic(np.cos(np.arange(P))), background[:2], 0)
    assert ((found.weights != 0).sum(2) == 4).all()  # two bands of two wavenumbers


def test_noise_has_the_covariance_it_says(background):
    for kind, bands in (("covariance", None), ("bands", np.arange(P) // 4)):
        noise = GaussianNoise(background, 60_000, 0, kind, bands)
        want = noise.root.T @ noise.root
        np.testing.assert_allclose(np.cov(noise.scaled.T / noise.scale[:, None]), want, atol=0.03)
        np.testing.assert_allclose(noise.narrowed(2.0, 60_000).var(0), noise.narrowed_variance(2.0), rtol=0.05)
        coef = np.cos(np.arange(P))
        np.testing.assert_allclose((noise.narrowed(2.0, 60_000) @ coef).var(), noise.variation(coef, 2.0), rtol=0.05)
    np.testing.assert_allclose(
        GaussianNoise(background, 2, 0, "covariance").root.T @ GaussianNoise(background, 2, 0, "covariance").root,
        np.corrcoef(background.T),
        atol=1e-9,
    )


def test_bands_are_numbered_from_the_lowest_wavenumber():
    assert band_numbers(AXIS, 30.0).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert band_numbers(np.array([1000.0, 1001, 1100, 1101]), 20.0).tolist() == [0, 0, 1, 1]  # a gap holds no band
    assert band_numbers(AXIS, 1000.0).tolist() == [0] * P


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "pink"}, "unknown; choose one of white, covariance, bands"),
        ({"noise": "bands"}, "go together"),
        ({"band_width": 20.0}, "go together"),
        ({"noise": "bands", "band_width": -1.0}, "positive number"),
        ({"noise": "bands", "band_width": 20.0}, "bands need the wavenumbers"),
        ({"features": "bands"}, "needs noise='bands'"),
        ({"features": "peaks"}, "unknown"),
        ({"noise": "covariance", "mode": "decile"}, "has no meaning there"),
    ],
)
def test_settings_that_cannot_be(background, options, message):
    with pytest.raises(SettingsError, match=message):
        SpectralLime(background, **options)


def test_a_sequence_is_cut_at_its_first_non_linearity():
    torch.manual_seed(0)
    layers = [
        torch.nn.Unflatten(1, (1, P)),
        torch.nn.Conv1d(1, 3, 4),
        torch.nn.BatchNorm1d(3),
        torch.nn.Flatten(),
        torch.nn.Tanh(),
        torch.nn.Linear(27, 2),
        torch.nn.Softmax(dim=1),
    ]
    whole = torch.nn.Sequential(torch.nn.Sequential(*layers[:3]), *layers[3:]).double().eval()
    ((affine, rest),) = parts_of(whole)
    assert [type(part) for part in rest] == [type(part) for part in layers[4:]]
    spectra, noise = torch.randn(2, 5, P, dtype=torch.float64)
    torch.testing.assert_close(rest(affine(spectra)), whole(spectra))
    torch.testing.assert_close(affine(spectra) + response(affine, noise), affine(spectra + noise))
    x = spectra.clone().requires_grad_()
    h = affine(x)
    slope = torch.randn_like(h)
    (expected,) = torch.autograd.grad(h, x, slope)
    torch.testing.assert_close(pull_back(affine, slope, spectra), expected)
    ((identity, same),) = parts_of(Logistic(np.ones(P)))
    assert isinstance(identity, torch.nn.Identity) and isinstance(same, Logistic)
    assert pull_back(identity, spectra, spectra) is spectra
