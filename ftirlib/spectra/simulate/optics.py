"""What an infrared microscope adds to absorbance: blur by diffraction, scatter, and correlated noise.

Scatter: van de Hulst's extinction of a sphere as in Kohler et al. 2008 (doi:10.1366/000370208783759669),
Bassan et al. 2010 (RMieS, doi:10.1039/b921056c) and Solheim et al. 2019 (doi:10.1002/jbio.201800415).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))  # of a Gaussian
UM_PER_CM = 1e4


def psf_fwhm(wavenumber, *, numerical_aperture: float) -> np.ndarray:
    """Full width at half maximum of the diffraction-limited spot, 0.51 lambda / NA, in um.

    Parameters
    ----------
    wavenumber : array, cm-1
    numerical_aperture : float

    Returns
    -------
    array like `wavenumber`, um

    Examples
    --------
    >>> psf_fwhm([1000.0, 1800.0], numerical_aperture=0.62).round(1)
    array([8.2, 4.6])
    """
    return 0.51 * UM_PER_CM / np.asarray(wavenumber, np.float64) / numerical_aperture


def blurred_mixture(amounts, spectra, fwhm, *, pixel_um: float, n_widths: int = 5) -> np.ndarray:
    """Image of a mixture as seen through a spot whose width depends on the wavenumber.

    Blurring is linear, so the maps of the few substances are blurred instead of the many wavenumbers, and only
    at `n_widths` widths; between two of them the result is interpolated linearly in the width. Absorbance is
    blurred where an instrument blurs the light: the two agree to first order in the contrast within a spot.

    Parameters
    ----------
    amounts : (rows, cols, n_substances) array
    spectra : (n_substances, n_wavenumbers) array
        Absorbance per amount.
    fwhm : (n_wavenumbers,) array, um
    pixel_um : float, um
    n_widths : int
        At least 2; with one width for all wavenumbers a single one is used.

    Returns
    -------
    (rows * cols, n_wavenumbers) float32 array
    """
    rows, cols, n_substances = amounts.shape
    spectra = np.asarray(spectra, np.float32)
    knots = np.linspace(fwhm.min(), fwhm.max(), n_widths) if np.ptp(fwhm) > 0 else fwhm[:1]
    place = np.interp(fwhm, knots, np.arange(len(knots)))
    image = np.zeros((rows * cols, spectra.shape[1]), np.float32)
    for k, width in enumerate(knots):
        share = np.clip(1 - np.abs(place - k), 0, None).astype(np.float32)  # of this width at each wavenumber
        used = np.flatnonzero(share)
        if not used.size:
            continue
        span = slice(used[0], used[-1] + 1)
        sigma = width / FWHM_PER_SIGMA / pixel_um
        blurred = gaussian_filter(amounts, (sigma, sigma, 0), mode="nearest")
        blurred = blurred.reshape(rows * cols, n_substances).astype(np.float32)
        image[:, span] += blurred @ (spectra[:, span] * share[span])
    return image


def van_de_hulst(wavenumber, radius_um, index_ratio) -> np.ndarray:
    """Extinction efficiency of a transparent sphere, Q = 2 - 4 sin(p)/p + 4 (1 - cos p)/p^2.

    Here p = 4 pi r (n - 1) v is the phase that a ray gains through the middle of the sphere. The form
    below, 2 - 4 sinc(p) + 2 sinc(p/2)^2, is the same and does not lose digits when p is small.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1
    radius_um : (...,) array, um
    index_ratio : (...,) array
        Refractive index of the sphere over that around it.

    Returns
    -------
    (..., n_wavenumbers) array, float32 when both inputs are

    Examples
    --------
    >>> van_de_hulst([1000.0], 1e-3, 1.1).round(6)  # a sphere far smaller than the wavelength scatters nothing
    array([0.])
    """
    strength = 4 * np.pi * np.asarray(radius_um) / UM_PER_CM * (np.asarray(index_ratio) - 1)  # cm
    half = np.asarray(strength[..., None] / (2 * np.pi) * np.asarray(wavenumber))  # p / 2 pi; np.sinc is of pi x
    return 2 - 4 * np.sinc(2 * half) + 2 * np.sinc(half) ** 2


def apodised_noise(rng: np.random.Generator, shape, *, fwhm_points: float) -> np.ndarray:
    """Noise of unit standard deviation whose neighbours along the last axis are correlated.

    An interferogram cut short gives fewer independent points than the axis has; interpolation between them
    is taken as a Gaussian kernel.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (n_spectra, n_wavenumbers)
    fwhm_points : float
        Width of the kernel in points of the axis.

    Returns
    -------
    (n_spectra, n_wavenumbers) float32 array
    """
    sigma = fwhm_points / FWHM_PER_SIGMA
    radius = int(4 * sigma + 0.5)  # the reach of scipy's kernel
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2) if radius else np.ones(1)
    kernel /= kernel.sum()
    white = rng.standard_normal(shape, dtype=np.float32)
    # Wrapping keeps the spread the same at both ends of the axis.
    return gaussian_filter1d(white, sigma, axis=-1, mode="wrap") / np.float32(np.linalg.norm(kernel))
