"""Statistics of a spectrum: its distribution of absorbance, its centre of mass and its peaks, by name.

"Standard statistical features" of Abdo et al. 2024 (10.5815/ijisa.2024.04.02), who do not list theirs; peaks by
prominence as in scipy.signal.find_peaks; entropy of Shannon 1948 (10.1002/j.1538-7305.1948.tb01338.x).
"""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks, peak_prominences, peak_widths

from ftirlib.classify.fusion.raster import check_drawable
from ftirlib.errors import DataError

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
PROMINENCE = 0.05  # of the spectrum's range: what counts as a peak

# name: what it is, A being the absorbances of one spectrum and nu their wavenumbers
STATISTICS: dict[str, str] = {
    "mean": "mean of A",
    "variance": "mean squared distance of A from its mean",
    "skewness": "third standardised moment of A",
    "kurtosis": "fourth standardised moment of A, minus 3",
    "entropy": "Shannon entropy of A - min(A) as a distribution over wavenumbers, over its largest value, 0-1",
    **{f"quantile_{round(100 * q):02d}": f"{100 * q:g} % quantile of A" for q in QUANTILES},
    "minimum": "smallest A",
    "maximum": "largest A",
    "centroid": "mean wavenumber weighted by A - min(A), cm-1",
    "spread": "standard deviation of wavenumber under the same weights, cm-1",
    "roughness": "mean absolute difference of neighbouring A, over the range of A",
    "n_peaks": f"number of peaks whose prominence is {PROMINENCE:.0%} of the range of A or more",
    "peak_position": "wavenumber of the largest A, cm-1",
    "peak_spacing": "mean distance of neighbouring peaks, cm-1; 0 with fewer than two",
    "peak_height": "mean A at peaks, minus min(A), over the range of A; 0 without peaks",
    "peak_prominence": "mean prominence of peaks over the range of A; 0 without peaks",
    "peak_width": "mean full width at half prominence, in median spacings of nu; 0 without peaks",
    "peak_unevenness": "standard deviation of the prominences over the range of A; 0 without peaks",
}


def spectrum_statistics(spectra, wavenumber) -> np.ndarray:
    """The statistics of `STATISTICS` for each spectrum.

    Parameters
    ----------
    spectra : (n_spectra, n_wavenumbers) array
    wavenumber : (n_wavenumbers,) array, cm-1, ascending

    Returns
    -------
    (n_spectra, n_statistics) float32 array
        Columns in the order of `STATISTICS`; all finite.

    Raises
    ------
    DataError
        Shapes that disagree, NaN, or a constant spectrum, whose skewness is 0/0.

    Examples
    --------
    >>> values = spectrum_statistics([[0, 0, 2, 0, 0]], [1000, 1001, 1002, 1003, 1004])
    >>> named = dict(zip(STATISTICS, values[0].tolist()))
    >>> named["n_peaks"], named["peak_position"], named["centroid"], named["entropy"]
    (1.0, 1002.0, 1002.0, 0.0)
    """
    spectra, axis = np.asarray(spectra, np.float64), np.asarray(wavenumber, np.float64)
    if spectra.ndim != 2 or axis.shape != spectra.shape[1:]:
        raise DataError(
            f"spectra have shape {spectra.shape} but there are {axis.size} wavenumbers; give one wavenumber per column."
        )
    check_drawable(spectra)
    low, high = spectra.min(axis=1), spectra.max(axis=1)
    extent = high - low
    mean = spectra.mean(axis=1)
    # moments of the spectrum over its range, which neither overflow nor vanish whatever its unit
    scaled = (spectra - mean[:, None]) / extent[:, None]
    variance = np.square(scaled).mean(axis=1)
    share = (spectra - low[:, None]) / extent[:, None]
    share /= share.sum(axis=1, keepdims=True)
    centroid = share @ axis
    spread = np.sqrt((share * np.square(axis - centroid[:, None])).sum(axis=1))
    terms = share * np.log(share, out=np.zeros_like(share), where=share > 0)
    columns = [
        mean,
        variance * extent**2,
        (scaled**3).mean(axis=1) / variance**1.5,
        (scaled**4).mean(axis=1) / variance**2 - 3,
        np.maximum(-terms.sum(axis=1), 0) / np.log(axis.size),
        *np.quantile(spectra, QUANTILES, axis=1),
        low,
        high,
        centroid,
        spread,
        np.abs(np.diff(spectra, axis=1)).mean(axis=1) / extent,
    ]
    peaks = [_peak_statistics(row, axis) for row in (spectra - low[:, None]) / extent[:, None]]
    return np.column_stack([*columns, np.reshape(peaks, (len(spectra), -1))]).astype(np.float32)


def _peak_statistics(row: np.ndarray, axis: np.ndarray) -> tuple[float, ...]:
    """The last seven statistics of one spectrum scaled to 0-1."""
    highest = axis[row.argmax()]
    peaks, _ = find_peaks(row, prominence=PROMINENCE)
    if not peaks.size:
        return 0.0, highest, 0.0, 0.0, 0.0, 0.0, 0.0
    prominence = peak_prominences(row, peaks)
    width = peak_widths(row, peaks, rel_height=0.5, prominence_data=prominence)[0]
    spacing = np.diff(axis[peaks]).mean() if peaks.size > 1 else 0.0
    heights = prominence[0]
    return peaks.size, highest, spacing, row[peaks].mean(), heights.mean(), width.mean(), heights.std()
