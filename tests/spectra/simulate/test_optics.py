"""The microscope's effects against closed forms: spot, blur, scatter, noise."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ftirlib.spectra.simulate.optics import FWHM_PER_SIGMA, apodised_noise, blurred_mixture, psf_fwhm, van_de_hulst

AXIS = np.arange(1000.0, 1801.0, 4.0)


def test_spot_is_as_wide_as_published():
    assert psf_fwhm([1000.0, 1800.0], numerical_aperture=0.62) == pytest.approx([8.2, 4.6], abs=0.05)
    assert psf_fwhm(1500.0, numerical_aperture=0.31) == 2 * psf_fwhm(1500.0, numerical_aperture=0.62)


def test_blur_at_few_widths_agrees_with_a_blur_at_every_wavenumber(rng):
    amounts = (rng.uniform(size=(24, 24, 3)) > 0.5).astype(float)  # the hardest contrast there is
    spectra = rng.uniform(size=(3, AXIS.size))
    fwhm = psf_fwhm(AXIS, numerical_aperture=0.62)
    fast = blurred_mixture(amounts, spectra, fwhm, pixel_um=5.0)
    exact = np.empty_like(fast)
    for k, width in enumerate(fwhm):
        sigma = width / FWHM_PER_SIGMA / 5.0
        exact[:, k] = gaussian_filter(amounts @ spectra[:, k], sigma, mode="nearest").ravel()
    assert np.abs(fast - exact).max() < 0.01 * exact.max()
    one_width = blurred_mixture(amounts, spectra, fwhm, pixel_um=5.0, n_widths=2)
    assert np.abs(one_width - exact).max() > 0.02 * exact.max()  # the tolerance above is not slack


def test_blur_keeps_what_is_uniform_and_the_sum_of_the_light():
    fwhm = psf_fwhm(AXIS, numerical_aperture=0.62)
    even = blurred_mixture(np.full((8, 8, 1), 2.0), np.ones((1, AXIS.size)), fwhm, pixel_um=5.0)
    np.testing.assert_allclose(even, 2.0, rtol=1e-6)
    point = np.zeros((33, 33, 1))
    point[16, 16] = 1.0
    spread = blurred_mixture(point, np.ones((1, AXIS.size)), fwhm, pixel_um=5.0)
    np.testing.assert_allclose(spread.sum(0), 1.0, rtol=1e-5)
    peak = spread[16 * 33 + 16]
    assert (np.diff(peak) > 0).all()  # short waves are seen more sharply


def test_one_width_for_all_wavenumbers_is_an_ordinary_blur(rng):
    amounts = rng.uniform(size=(12, 12, 2))
    image = blurred_mixture(amounts, np.eye(2), np.full(2, 10.0), pixel_um=5.0)
    expected = gaussian_filter(amounts, (10 / FWHM_PER_SIGMA / 5,) * 2 + (0,), mode="nearest")
    np.testing.assert_allclose(image, expected.reshape(-1, 2), rtol=1e-5)


def test_extinction_is_the_textbook_formula():
    radius, index = 3.0, 1.3
    p = 4 * np.pi * radius * 1e-4 * (index - 1) * AXIS
    textbook = 2 - 4 / p * np.sin(p) + 4 / p**2 * (1 - np.cos(p))
    np.testing.assert_allclose(van_de_hulst(AXIS, radius, index), textbook, rtol=1e-10)


def test_extinction_has_the_limits_of_small_and_large_spheres():
    p = 4 * np.pi * 0.01e-4 * 0.1 * AXIS
    np.testing.assert_allclose(van_de_hulst(AXIS, 0.01, 1.1), p**2 / 2, rtol=1e-3)
    assert van_de_hulst(AXIS, 5000.0, 1.4) == pytest.approx(2.0, abs=0.01)  # twice the geometric shadow
    shapes = van_de_hulst(AXIS.astype(np.float32), np.ones((5, 2), np.float32), np.float32(1.2))
    assert shapes.shape == (5, 2, AXIS.size) and shapes.dtype == np.float32


@pytest.mark.parametrize("fwhm", [0.1, 1.5, 4.0, 8.0])
def test_noise_has_unit_spread_everywhere_and_the_kernel_s_correlation(rng, fwhm):
    noise = apodised_noise(rng, (4000, 101), fwhm_points=fwhm)
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise.std(axis=0), 1.0, atol=0.06)
    if fwhm >= 4:  # finely sampled, a Gaussian kernel gives a Gaussian correlation, sqrt(2) wider
        sigma = fwhm / FWHM_PER_SIGMA
        for lag in (1, 3, 6):
            correlation = (noise[:, lag:] * noise[:, :-lag]).mean()
            assert correlation == pytest.approx(np.exp(-(lag**2) / (4 * sigma**2)), abs=0.03)
