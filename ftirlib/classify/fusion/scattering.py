"""Wavelet scattering of a spectrum: averages of wavelet moduli that small shifts and warps of bands barely change.

Mallat 2012 (10.1002/cpa.21413), Anden & Mallat 2014 (10.1109/TSP.2014.2326991), computed by kymatio (Andreux et al.
2020, JMLR 21(60)).
"""

from __future__ import annotations

import math

import numpy as np
from kymatio.numpy import Scattering1D

from ftirlib.errors import DataError, SettingsError

LARGEST_SCALE = 6  # log2 of the averaging window that is chosen by default, in points
BLOCK = 64  # spectra transformed at once: their 126 paths of 1024 complex points are 130 MB at most


class SpectrumScattering:
    """First- and second-order scattering coefficients of spectra on one axis.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, ascending
        An uneven axis is interpolated linearly to as many even points: wavelets have one width in cm-1.
    scale : int, optional
        Log2 of the averaging window in points (kymatio's J). By default 6, and less for short spectra: a window is at
        most a sixteenth of the spectrum, so that its ends do not reach into every average.
    wavelets_per_octave : int
        Kymatio's Q, of the first order.

    Attributes
    ----------
    scale : int
    n_paths, n_positions : int
        Wavelet paths, and places along the spectrum at which each is averaged.

    Raises
    ------
    SettingsError
        A scale whose window is longer than the spectrum, or no wavelets.

    Examples
    --------
    >>> scattering = SpectrumScattering(np.arange(1000.0, 1801.0), scale=5)
    >>> scattering.transform(np.zeros((2, 801))).shape == (2, scattering.n_paths * scattering.n_positions)
    True
    """

    def __init__(self, wavenumber, *, scale: int | None = None, wavelets_per_octave: int = 8):
        axis = np.asarray(wavenumber, np.float64)
        most = int(math.log2(axis.size)) if axis.size else 0
        scale = max(1, min(LARGEST_SCALE, most - 4)) if scale is None else scale
        if not 1 <= scale <= max(1, most):
            raise SettingsError(
                f"the scattering scale is {scale}, a window of {2.0**scale:g} points, for spectra of {axis.size}; "
                f"choose 1 to {max(1, most)}."
            )
        if wavelets_per_octave < 1:
            raise SettingsError(f"wavelets_per_octave is {wavelets_per_octave}; it must be at least 1.")
        self.scale, self.wavelets_per_octave = scale, wavelets_per_octave
        self._axis = axis
        even = np.linspace(axis[0], axis[-1], axis.size)
        # an axis that is even but for rounding is taken as it is
        self._even = None if np.abs(even - axis).max() <= np.diff(axis).min() / 100 else even
        self._make()
        paths, positions = self._transform(np.zeros(axis.size)).shape
        self.n_paths, self.n_positions = paths, positions

    def _make(self):
        self._transform = Scattering1D(J=self.scale, shape=self._axis.size, Q=self.wavelets_per_octave)

    def __getstate__(self):
        return self.__dict__ | {"_transform": None}  # kymatio's classes have no name to be found by again

    def __setstate__(self, state):
        self.__dict__ |= state
        self._make()

    def orders(self) -> np.ndarray:
        """Order (0, 1 or 2) of each path, (n_paths,) int."""
        return np.asarray(self._transform.meta()["order"])

    def transform(self, spectra) -> np.ndarray:
        """Coefficients (n_spectra, n_paths * n_positions) float32, path by path.

        Raises
        ------
        DataError
            Spectra of another length, or NaN.
        """
        spectra = np.asarray(spectra, np.float64)
        if spectra.ndim != 2 or spectra.shape[1] != self._axis.size:
            raise DataError(
                f"spectra have shape {spectra.shape}; the scattering is for (spectra, {self._axis.size}) as built."
            )
        if not np.isfinite(spectra).all():
            raise DataError("the spectra hold NaN or infinite values; cut those wavenumbers or leave those out.")
        if self._even is not None:
            spectra = np.stack([np.interp(self._even, self._axis, row) for row in spectra])
        out = np.empty((len(spectra), self.n_paths * self.n_positions), np.float32)
        for start in range(0, len(spectra), BLOCK):
            block = self._transform(spectra[start : start + BLOCK])  # (spectra, paths, positions)
            out[start : start + BLOCK] = block.reshape(len(block), -1)
        return out
