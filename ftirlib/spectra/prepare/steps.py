"""Preparation steps: scikit-learn transformers that know their wavenumber axis and learn nothing from the spectra.

After Baker et al. 2014 (Nat. Protoc. 9, 1771; doi:10.1038/nprot.2014.110), who review these steps for tissue.

Every step treats each spectrum on its own, so what it does to one spectrum never depends on another: steps may
be applied before the folds are made without any leak. `fit` only checks the axis and the parameters.
The axis may be in any order; values at a wavenumber do not depend on that order.
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ftirlib.errors import DataError, SettingsError


def check_axis(wavenumber) -> np.ndarray:
    """The axis as float64; a DataError when it is no list of distinct, positive, finite wavenumbers.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    """
    if wavenumber is None:
        raise SettingsError("a preparation step needs the axis of the spectra; give it as wavenumber=...")
    axis = np.asarray(wavenumber, np.float64)
    if axis.ndim != 1 or axis.size < 2:
        raise DataError(f"a wavenumber axis is one list of at least two values; this one has shape {axis.shape}.")
    if not np.isfinite(axis).all() or (axis <= 0).any():
        raise DataError("the wavenumber axis holds values that are not finite and positive; give it in cm-1.")
    values, count = np.unique(axis, return_counts=True)
    if (count > 1).any():
        raise DataError(f"wavenumber {values[count > 1][0]:g} occurs twice in the axis; keep one column for each.")
    return axis


def check_values(spectra, axis: np.ndarray) -> np.ndarray:
    """The spectra as (n_spectra, n_wavenumbers) float64; a DataError when they do not fit `axis` or are not finite."""
    spectra = np.asarray(spectra, np.float64)
    if spectra.ndim != 2 or spectra.shape[1] != axis.size:
        raise DataError(
            f"spectra of shape {spectra.shape} do not fit an axis of {axis.size} wavenumbers "
            f"({axis.min():g}-{axis.max():g} cm-1); give (n_spectra, {axis.size})."
        )
    bad = ~np.isfinite(spectra).all(axis=1)
    if bad.any():
        where = axis[~np.isfinite(spectra[bad]).all(axis=0)]
        raise DataError(
            f"{bad.sum()} of {len(bad)} spectra (first: row {np.argmax(bad)}) hold NaN or infinite values between "
            f"{where.min():g} and {where.max():g} cm-1; cut that range or drop those spectra."
        )
    return spectra


def in_window(axis: np.ndarray, low: float, high: float, what: str, *, least: int = 1) -> np.ndarray:
    """Which wavenumbers lie in low..high, refusing a window that the axis does not cover.

    An end may overreach the axis by less than one spacing, since no sampling hits every round number.

    Parameters
    ----------
    axis : (n_wavenumbers,) array, cm-1, any order
    low, high : float, cm-1
    what : str
        Whose window it is, for the error.
    least : int
        Points that must lie inside.

    Returns
    -------
    (n_wavenumbers,) bool
    """
    if not low < high:
        raise SettingsError(f"{what}: low ({low:g}) must be below high ({high:g}) cm-1.")
    spacing = np.diff(np.sort(axis))
    inside = (axis >= low) & (axis <= high)
    covered = low > axis.min() - spacing[0] and high < axis.max() + spacing[-1]
    if not covered or inside.sum() < least:
        raise DataError(
            f"{what} needs {low:g}-{high:g} cm-1 with at least {least} point(s), but the spectra span "
            f"{axis.min():g}-{axis.max():g} cm-1 with {inside.sum()} point(s) there; choose a range inside the data."
        )
    return inside


class SpectralStep(TransformerMixin, BaseEstimator):
    """What all steps share: the axis is checked when fitting, the spectra when transforming.

    A step defines ``_prepare(axis)``, which sets ``wavenumber_`` (the axis after the step), and ``_apply(spectra)``.
    """

    def fit(self, X=None, y=None):
        """Check the parameters against the axis; spectra may be left out, since nothing is learned from them."""
        self._axis = check_axis(self.wavenumber)
        self.n_features_in_ = self._axis.size
        if X is not None:
            check_values(X, self._axis)
        self._prepare(self._axis)
        return self

    def transform(self, X) -> np.ndarray:
        """Spectra (n_spectra, n_wavenumbers) to float64 spectra on ``wavenumber_``.

        Raises
        ------
        DataError
            When shapes disagree, values are not finite, or a spectrum makes the step undefined.
        """
        check_is_fitted(self)
        return self._apply(check_values(X, self._axis))

    def _prepare(self, axis):
        self.wavenumber_ = axis


def _refuse_rows(bad: np.ndarray, step: str, why: str) -> None:
    if bad.any():
        raise DataError(
            f"{step}: {bad.sum()} of {len(bad)} spectra (first: row {np.argmax(bad)}) {why}; "
            "leave them out with the quality test."
        )


class Cut(SpectralStep):
    """Keep the wavenumbers from `low` to `high`.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    low, high : float, optional
        In cm-1, both included; left out: the end of the axis.
    """

    def __init__(self, *, wavenumber=None, low=None, high=None):
        self.wavenumber = wavenumber
        self.low = low
        self.high = high

    def _prepare(self, axis):
        low = axis.min() if self.low is None else self.low
        high = axis.max() if self.high is None else self.high
        self._inside = in_window(axis, low, high, "cut", least=2)
        self.wavenumber_ = axis[self._inside]

    def _apply(self, spectra):
        return spectra[:, self._inside]


class Resample(SpectralStep):
    """Read the spectra on an even grid, by spline interpolation and never outside the data.

    The interpolation is linear in the absorbances, so it is one matrix, made once. It does not smooth: on a grid
    coarser than the data, points between are left out.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    low, high : float, optional
        Ends of the grid in cm-1; left out: the outermost multiples of `step` inside the axis.
    step : float
        Spacing of the grid in cm-1; (high - low) must be a multiple of it.
    degree : int
        1 is linear; 3 (cubic) keeps the height of a band sampled by few points.
    """

    def __init__(self, *, wavenumber=None, low=None, high=None, step=1.0, degree=3):
        self.wavenumber = wavenumber
        self.low = low
        self.high = high
        self.step = step
        self.degree = degree

    def _prepare(self, axis):
        from scipy.interpolate import make_interp_spline

        if not self.step > 0:
            raise SettingsError(f"resample: step must be positive (cm-1), not {self.step}.")
        if self.degree not in (1, 3):
            raise SettingsError(f"resample: degree must be 1 (linear) or 3 (cubic), not {self.degree}.")
        slack = 1e-6 * self.step  # so that 1000.0000001 still counts as 1000
        low = np.ceil((axis.min() - slack) / self.step) * self.step if self.low is None else self.low
        high = np.floor((axis.max() + slack) / self.step) * self.step if self.high is None else self.high
        if low < axis.min() - slack or high > axis.max() + slack:
            raise DataError(
                f"resample: the grid {low:g}-{high:g} cm-1 reaches outside the spectra, which span "
                f"{axis.min():g}-{axis.max():g} cm-1; choose a grid inside them, values are never extrapolated."
            )
        n_steps = (high - low) / self.step
        if n_steps < 1 or abs(n_steps - round(n_steps)) > 1e-6:
            raise SettingsError(
                f"resample: {low:g} to {high:g} cm-1 is no whole number of steps of {self.step:g}; adjust one of them."
            )
        if axis.size <= self.degree:
            raise DataError(f"resample: {axis.size} wavenumbers are too few for a spline of degree {self.degree}.")
        self.wavenumber_ = low + self.step * np.arange(round(n_steps) + 1)
        order = np.argsort(axis)
        spline = make_interp_spline(axis[order], np.eye(axis.size)[order], k=self.degree)
        # Rounding may leave a grid end a hair outside the axis; it is the end point itself.
        self._matrix = spline(np.clip(self.wavenumber_, axis.min(), axis.max())).T  # (n_wavenumbers, n_grid)

    def _apply(self, spectra):
        return spectra @ self._matrix


class VectorNormalise(SpectralStep):
    """Divide each spectrum by its Euclidean length.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    """

    def __init__(self, *, wavenumber=None):
        self.wavenumber = wavenumber

    def _apply(self, spectra):
        length = np.linalg.norm(spectra, axis=1, keepdims=True)
        _refuse_rows(length[:, 0] == 0, "vector", "are zero everywhere and have no direction")
        return spectra / length


class SNV(SpectralStep):
    """Standard normal variate: each spectrum minus its mean, over its standard deviation.

    Barnes, Dhanoa and Lister 1989 (Appl. Spectrosc. 43, 772; doi:10.1366/0003702894202201).

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    """

    def __init__(self, *, wavenumber=None):
        self.wavenumber = wavenumber

    def _apply(self, spectra):
        flat = np.ptp(spectra, axis=1) == 0  # a constant's standard deviation may be rounding instead of zero
        _refuse_rows(flat, "snv", "are constant and have no variation to scale by")
        return (spectra - spectra.mean(axis=1, keepdims=True)) / spectra.std(axis=1, keepdims=True)


class AmideINormalise(SpectralStep):
    """Divide each spectrum by its highest value in the amide I window, so that the protein band is 1.

    The height is measured from zero: correct the baseline before.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    low, high : float
        The window in cm-1.
    """

    def __init__(self, *, wavenumber=None, low=1600.0, high=1700.0):
        self.wavenumber = wavenumber
        self.low = low
        self.high = high

    def _prepare(self, axis):
        self._inside = in_window(axis, self.low, self.high, "amide")
        self.wavenumber_ = axis

    def _apply(self, spectra):
        height = spectra[:, self._inside].max(axis=1, keepdims=True)
        _refuse_rows(height[:, 0] <= 0, "amide", "have no positive amide I band")
        return spectra / height


class SavitzkyGolay(SpectralStep):
    """Smooth, or differentiate with respect to wavenumber, by local polynomials.

    Savitzky and Golay 1964 (Anal. Chem. 36, 1627; doi:10.1021/ac60214a047).

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
        Evenly spaced; resample first where it is not.
    window : float
        Width of the fit in cm-1; the odd number of points nearest to window / spacing is used (``n_points_``).
    order : int
        Of the polynomial.
    derivative : int
        0 smooths; 1 and 2 give derivatives per cm-1 and per cm-2, towards higher wavenumbers.
    """

    def __init__(self, *, wavenumber=None, window=16.0, order=2, derivative=0):
        self.wavenumber = wavenumber
        self.window = window
        self.order = order
        self.derivative = derivative

    def _prepare(self, axis):
        self._sort = np.argsort(axis)
        spacing = np.diff(axis[self._sort])
        self._step = spacing.mean()
        if np.ptp(spacing) > 0.01 * self._step:  # stored axes are rounded to a few decimals
            raise DataError(
                f"savgol: the axis is not evenly spaced ({spacing.min():g} to {spacing.max():g} cm-1); "
                "put a resample step before."
            )
        self.n_points_ = 2 * int(self.window / (2 * self._step) + 1e-6) + 1
        if not 0 <= self.derivative <= self.order < self.n_points_ <= axis.size:
            raise SettingsError(
                f"savgol: derivative {self.derivative}, order {self.order} and a window of {self.window:g} cm-1 "
                f"({self.n_points_} of {axis.size} points) do not go together; "
                "derivative <= order < points in the window <= points of the axis must hold."
            )
        self.wavenumber_ = axis

    def _apply(self, spectra):
        from scipy.signal import savgol_filter

        smooth = savgol_filter(
            spectra[:, self._sort], self.n_points_, self.order, deriv=self.derivative, delta=self._step
        )
        return smooth[:, np.argsort(self._sort)]


class RubberBand(SpectralStep):
    """Subtract the lower convex hull of each spectrum, as pybaselines finds it.

    Erb 2022, pybaselines (doi:10.5281/zenodo.5608581).

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    """

    def __init__(self, *, wavenumber=None):
        self.wavenumber = wavenumber

    def _prepare(self, axis):
        self._sort = np.argsort(axis)
        self.wavenumber_ = axis

    def _apply(self, spectra):
        from pybaselines import Baseline

        x = self._axis[self._sort]
        fitter = Baseline(x, check_finite=False, assume_sorted=True)
        y = spectra[:, self._sort]
        # The hull does not depend on a straight line or a scale: taken out first, they cost it no precision.
        share = (x - x[0]) / (x[-1] - x[0])
        above = y - (y[:, :1] + share * (y[:, -1:] - y[:, :1]))
        height = np.abs(above).max(axis=1, initial=0.0)
        straight = height <= 4 * np.finfo(np.float64).eps * np.abs(y).max(axis=1, initial=0.0)
        corrected = np.zeros_like(above)  # a straight line is its own hull, which no hull algorithm finds
        for k in np.flatnonzero(~straight):
            scale = (x[-1] - x[0]) / height[k]
            corrected[k] = above[k] - fitter.rubberband(above[k] * scale)[0] / scale
        return corrected[:, np.argsort(self._sort)]
