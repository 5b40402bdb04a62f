"""Light that an absorbing sphere takes out of the beam: dispersion from absorbance, and the extinction it causes.

Van de Hulst's approximation, after Bassan et al. 2010 (RMieS, doi:10.1039/b921056c), Konevskikh et al. 2016
(doi:10.1039/C5FD00171D) and Solheim et al. 2019 (doi:10.1002/jbio.201800415).

With n the real part of the refractive index over that of the surroundings far from any band, r the radius and A the
absorbance of the material, a sphere has two constants: ``alpha = 4 pi r (n - 1)``, the phase that light gains through
its middle per wavenumber, and ``gamma``, the strength of its bands over n - 1.
"""

from __future__ import annotations

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.simulate.optics import UM_PER_CM

PADDING = 200  # points by which Solheim et al. continue a spectrum at each end, against the edges' ringing
LOWEST = 0.1  # of the axis' lowest wavenumber: the continuation ends there, since A / wavenumber diverges at zero


def sphere_constants(radius_um, index_ratio, *, peak_absorbance: float) -> tuple[np.ndarray, np.ndarray]:
    """The constants alpha and gamma of spheres, as Solheim et al. 2019 choose them.

    Parameters
    ----------
    radius_um : (n,) array, um
    index_ratio : (n,) array
        Refractive index over that of the surroundings, away from bands; above 1.
    peak_absorbance : float
        Absorbance, through a depth of pi/2 radii, of the band whose height is 1 in the spectrum that gives the
        dispersion.

    Returns
    -------
    alpha : (n,) array, cm
    gamma : (n,) array, 1/cm

    Examples
    --------
    >>> alpha, gamma = sphere_constants([5.0], [1.3], peak_absorbance=0.25)
    >>> float((alpha / (4 * np.pi * 0.3) * UM_PER_CM)[0].round(6))
    5.0
    """
    radius, excess = np.asarray(radius_um, np.float64) / UM_PER_CM, np.asarray(index_ratio, np.float64) - 1
    depth = np.pi / 2 * radius
    return 4 * np.pi * radius * excess, peak_absorbance * np.log(10) / (4 * np.pi * depth * excess)


def dispersion(absorbance, wavenumber) -> np.ndarray:
    """The complex refractive index that belongs to an absorbance spectrum, by the Kramers-Kronig relation.

    The imaginary part is absorbance / wavenumber; the real part, its Hilbert transform, is taken of the spectrum
    continued at its end values by `PADDING` points (fewer below, where the axis would come near zero).

    Parameters
    ----------
    absorbance : (..., n_wavenumbers) array
    wavenumber : (n_wavenumbers,) array, cm-1, ascending and evenly spaced

    Returns
    -------
    (..., n_wavenumbers) complex array, cm
        n + i k up to the factor gamma of `sphere_constants`, and without the constant part of n.

    Raises
    ------
    DataError
        When the axis is not ascending and even.

    Examples
    --------
    >>> axis = np.arange(1000.0, 2001.0)
    >>> n = dispersion(np.exp(-(((axis - 1500) / 20) ** 2)), axis).real
    >>> bool(n[490] > 0 > n[510])  # higher below the band than above it: anomalous dispersion
    True
    """
    from scipy.signal import hilbert

    axis = np.asarray(wavenumber, np.float64)
    spacing = np.diff(axis)
    step = spacing.mean()
    if step <= 0 or np.ptp(spacing) > 0.01 * step:  # stored axes are rounded to a few decimals
        raise DataError(
            f"a Kramers-Kronig transform needs evenly spaced wavenumbers in ascending order, but these are spaced "
            f"{spacing.min():g} to {spacing.max():g} cm-1; resample the spectra first."
        )
    below = min(PADDING, int((1 - LOWEST) * axis[0] / step))
    continued = np.concatenate(
        [axis[0] + step * np.arange(-below, 0), axis, axis[-1] + step * np.arange(1, PADDING + 1)]
    )
    edges = [(0, 0)] * (np.ndim(absorbance) - 1) + [(below, PADDING)]
    imaginary = np.pad(np.asarray(absorbance, np.float64), edges, mode="edge") / continued
    analytic = hilbert(imaginary, axis=-1)[..., below : below + axis.size]
    return -analytic.imag + 1j * analytic.real


def extinction(index, wavenumber, alpha, gamma) -> np.ndarray:
    r"""Extinction efficiency of absorbing spheres, one curve for each alpha and each gamma.

    Van de Hulst's function, Q = 4 Re K(w) with K(w) = 1/2 + exp(-w)/w + (exp(-w) - 1)/w^2 and
    w = i alpha v (1 + gamma (n - i k)), which counts both the light scattered and the light absorbed.

    Parameters
    ----------
    index : (n_wavenumbers,) complex array, cm
        Of `dispersion`.
    wavenumber : (n_wavenumbers,) array, cm-1
    alpha : (n_alpha,) array, cm
    gamma : (n_gamma,) array, 1/cm

    Returns
    -------
    (n_alpha, n_gamma, n_wavenumbers) array

    Examples
    --------
    >>> from ftirlib.spectra.simulate.optics import van_de_hulst
    >>> axis = np.array([1000.0, 1500.0])
    >>> alpha, gamma = sphere_constants([5.0], [1.3], peak_absorbance=0.25)
    >>> transparent = extinction(np.zeros(2, complex), axis, alpha, gamma)[0, 0]
    >>> bool(np.allclose(transparent, van_de_hulst(axis, 5.0, 1.3)))
    True
    """
    alpha = np.asarray(alpha, np.float64)
    strength = 1 + np.asarray(gamma, np.float64)[:, None] * np.conj(index)
    per_alpha = 1j * np.asarray(wavenumber, np.float64) * strength  # w / alpha, (gamma, wavenumbers)
    absorbed, phase = per_alpha.real.copy(), per_alpha.imag.copy()
    inverse, square = 1 / per_alpha, 1 / per_alpha**2
    curves = np.empty((alpha.size, *per_alpha.shape))
    # One alpha at a time stays in the processor's cache, and one tangent gives both cosine and sine of the phase:
    # together several times faster than complex exponentials of the whole.
    for k, a in enumerate(alpha):
        tangent = np.tan(a / 2 * phase)
        bend = tangent**2
        wave = (1 - bend) * (inverse.real / a + square.real / a**2)
        wave += 2 * tangent * (inverse.imag / a + square.imag / a**2)
        wave *= np.exp(-a * absorbed) / (1 + bend)
        curves[k] = 2 + 4 * (wave - square.real / a**2)
    return curves
