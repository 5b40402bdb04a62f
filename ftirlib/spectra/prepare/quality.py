"""Quality of each spectrum: is there tissue, is it within the detector's range, and is it above the noise.

The usual tests of infrared tissue images, as reviewed by Baker et al. 2014 (Nat. Protoc. 9, 1771;
doi:10.1038/nprot.2014.110): height of the amide I band and signal-to-noise ratio.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from ftirlib.errors import DataError, SettingsError
from ftirlib.settings import Group
from ftirlib.spectra.prepare.steps import check_axis, in_window

AMIDE = (1600.0, 1700.0)  # cm-1; holds the maximum of amide I in any tissue
ANCHORS = ((1585.0, 1600.0), (1780.0, 1800.0))  # trough towards amide II; above the ester band
NOISE = (1765.0, 1800.0)  # no tissue or paraffin band lies here
NOISE_POLYNOMIAL = 2  # tail of the ester band and scatter under the noise window

# Two absorbance units let 1 % of the light through, where stray light and the detector's nonlinearity bend bands; a
# tenth is about what scatter alone can feign. Both are in raw absorbance.
MINIMUM_AMIDE = 0.1
MAXIMUM_AMIDE = 2.0
MINIMUM_SNR = 10.0


class TissueLimits(Group):
    """Limits of `tissue_mask`."""

    minimum_amide: float = Field(MINIMUM_AMIDE, gt=0, description="smallest amide I absorbance of tissue")
    maximum_amide: float = Field(MAXIMUM_AMIDE, gt=0, description="largest amide I absorbance that is not saturated")
    minimum_snr: float = Field(MINIMUM_SNR, ge=0, description="smallest signal-to-noise ratio")


def assess(absorbance, wavenumber) -> dict[str, np.ndarray]:
    """Measure the quality of each spectrum.

    Parameters
    ----------
    absorbance : (n_spectra, n_wavenumbers) array
        Raw absorbance; NaN allowed, and reported under ``finite``.
    wavenumber : (n_wavenumbers,) array, cm-1, any order
        Must cover 1585-1800 cm-1.

    Returns
    -------
    dict of (n_spectra,) arrays
        ``finite`` : bool, no NaN or infinite value anywhere.
        ``zero`` : bool, zero at every wavenumber, as dead pixels are stored.
        ``peak`` : highest absorbance in 1600-1700 cm-1, from zero: what the detector had to bear.
        ``amide`` : height of amide I above a straight line through the means over 1585-1600 and 1780-1800 cm-1,
        read at the wavenumber of ``peak``.
        ``noise`` : standard deviation in 1765-1800 cm-1 about a fitted parabola.
        ``snr`` : ``amide / noise``; zero for an all-zero spectrum, huge or infinite without noise.

        The last four are NaN where a spectrum is not finite.

    Raises
    ------
    DataError
        When the axis does not cover the windows, or does not fit the spectra.
    """
    axis = check_axis(wavenumber)
    absorbance = np.asarray(absorbance, np.float64)
    if absorbance.ndim != 2 or absorbance.shape[1] != axis.size:
        raise DataError(f"spectra of shape {absorbance.shape} do not fit an axis of {axis.size} wavenumbers.")
    amide = in_window(axis, *AMIDE, "the quality test's amide I window")
    low, high = (in_window(axis, *window, "the quality test's baseline") for window in ANCHORS)
    noise = in_window(axis, *NOISE, "the quality test's noise window", least=NOISE_POLYNOMIAL + 3)

    finite = np.isfinite(absorbance).all(axis=1)
    clean = np.where(finite[:, None], absorbance, 0.0)
    at = np.argmax(clean[:, amide], axis=1)
    peak = np.take_along_axis(clean[:, amide], at[:, None], axis=1)[:, 0]
    left, right = clean[:, low].mean(axis=1), clean[:, high].mean(axis=1)
    share = (axis[amide][at] - axis[low].mean()) / (axis[high].mean() - axis[low].mean())
    height = peak - (left + share * (right - left))

    scaled = (axis[noise] - axis[noise].mean()) / np.ptp(axis[noise])
    smooth, _ = np.linalg.qr(np.vander(scaled, NOISE_POLYNOMIAL + 1))  # (n_noise, 3), orthonormal
    window = clean[:, noise]
    rest = window - (window @ smooth) @ smooth.T
    spread = np.sqrt((rest**2).sum(axis=1) / (noise.sum() - smooth.shape[1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = np.where(height == 0, 0.0, height / spread)
    measures = {"peak": peak, "amide": height, "noise": spread, "snr": snr}
    return {
        "finite": finite,
        "zero": finite & (clean == 0).all(axis=1),
        **{name: np.where(finite, values, np.nan) for name, values in measures.items()},
    }


def tissue_mask(
    absorbance,
    wavenumber,
    *,
    minimum_amide: float = MINIMUM_AMIDE,
    maximum_amide: float = MAXIMUM_AMIDE,
    minimum_snr: float = MINIMUM_SNR,
) -> np.ndarray:
    """Which spectra are usable tissue: finite, not zero, with an amide I band in range and above the noise.

    Parameters
    ----------
    absorbance : (n_spectra, n_wavenumbers) array
        Raw absorbance, before any baseline correction or normalisation; normalised spectra need other limits.
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    minimum_amide : float
        Least ``amide`` of `assess`, absorbance units.
    maximum_amide : float
        Greatest ``peak`` of `assess`, absorbance units: more is saturated.
    minimum_snr : float
        Least ``snr`` of `assess`.

    Returns
    -------
    (n_spectra,) bool

    Raises
    ------
    DataError
        When the axis does not cover the windows of `assess`.
    SettingsError
        When the limits exclude everything.

    Examples
    --------
    >>> import numpy as np
    >>> axis = np.arange(1500.0, 1801.0, 2)
    >>> band = np.exp(-(((axis - 1655) / 30) ** 2))
    >>> tissue_mask(np.array([0.8, 0.01, 3.0, 0.0])[:, None] * band, axis)
    array([ True, False, False, False])
    """
    if not minimum_amide < maximum_amide:
        raise SettingsError(
            f"quality: minimum_amide ({minimum_amide:g}) must be below maximum_amide ({maximum_amide:g})."
        )
    found = assess(absorbance, wavenumber)
    usable = (found["amide"] >= minimum_amide) & (found["peak"] <= maximum_amide) & (found["snr"] >= minimum_snr)
    return usable & found["finite"] & ~found["zero"]
