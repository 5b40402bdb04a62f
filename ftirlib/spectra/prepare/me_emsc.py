"""Mie extinction EMSC: take the scatter of cell-sized spheres, and the dispersion it carries, out of each spectrum.

Solheim et al. 2019 (J. Biophotonics 12, e201800415; doi:10.1002/jbio.201800415), after Bassan et al. 2010
(doi:10.1039/b921056c) and Konevskikh et al. 2016 (doi:10.1039/C5FD00171D).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy.linalg import eigh

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.prepare.emsc import EMSC
from ftirlib.spectra.prepare.mie import dispersion, extinction, sphere_constants
from ftirlib.spectra.prepare.steps import SpectralStep, check_values

N_SPHERES = 10  # radii, each with its refractive index; alphas and gammas are crossed: 100 curves
EXPLAINED = 0.9996  # share of the curves' sum of squares that their components must hold
EDGE = 20.0  # cm-1 over which an active window fades; about that of the authors on an axis with steps of 2 cm-1


@dataclass(frozen=True)
class MieFit:
    """How well the last model of each spectrum describes it; the authors judge spectra by `rmse`.

    Attributes
    ----------
    corrected : (n_spectra, n_wavenumbers) array
    rmse : (n_spectra,) array
        Root mean square of what the model leaves unexplained, in the units of the spectra.
    scale : (n_spectra,) array
        Weight of the reference: thickness.
    iterations : (n_spectra,) int
        Models made until the fit stood still; the one of least `rmse` is kept.
    converged : (n_spectra,) bool
        False where `max_iterations` ended the search.
    """

    corrected: np.ndarray
    rmse: np.ndarray
    scale: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray


class MEEMSC(SpectralStep):
    """EMSC whose nuisance terms are principal components of Mie extinction curves, found anew as the guess improves.

    One iteration: the present guess of the pure absorbance gives, by the Kramers-Kronig relation, the refractive index
    of 100 spheres; their extinction curves, less what is parallel to the guess, are reduced to few components; the
    spectrum is fitted as scale * guess + components (+ offset); guess + residual / scale is the next guess. It stops
    when the rounded root mean square of the residual rises, or has not fallen over two iterations.

    Each spectrum needs models of its own from the second iteration on: thousands of times the work of `EMSC`.

    Where scatterers do not absorb, a polynomial describes their scatter as well, and `EMSC` leaves more of the
    chemistry: the components resemble the first derivatives of bands, and take such differences with them.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
        Evenly spaced; resample first where it is not.
    reference : (n_wavenumbers,) array, optional
        The first guess, free of scatter. Default: `tissue_reference` on the axis. Below zero it is taken as zero.
        The corrected spectra have its scale.
    interferents : sequence of str or (n_wavenumbers,) array
        As in `EMSC`; an addition to the published model.
    offset : bool
        Add a constant, as the published model does. It is nearly a sum of the guess and the first component, which
        leaves the scale all but undetermined (see `inflation_`), so it is left out unless asked for.
    active : sequence of (low, high), optional
        Windows in cm-1 where tissue absorbs; outside them a guess is damped to zero. Default: everywhere, which suits
        a fingerprint region; for 900-4000 cm-1 the authors take ``[[0, 1900], [2550, 3700]]``.
    components : int, optional
        Default: as many as hold 99.96 % of the sum of squares of the first curves.
    radius_um : (low, high), um
        Of the spheres.
    index_ratio : (low, high)
        Refractive index of the spheres away from their bands, over that of the surroundings; each above 1.
    peak_absorbance : float
        Absorbance that the reference's highest band has in such a sphere; sets the strength of the dispersion.
    max_iterations : int
        1 is a single regression on the components of the reference's own curves.
    tolerance : float
        Unit to which the root mean square is rounded when two iterations are compared; in the units of the spectra.

    Attributes
    ----------
    wavenumber_ : (n_wavenumbers,) array
    reference_ : (n_wavenumbers,) array
    n_components_ : int
    inflation_ : float
        Factor by which the other terms of the first model inflate the variance of the scale; 1: not at all, above 10
        it is commonly called collinear.

    Examples
    --------
    >>> axis = np.arange(1000.0, 1801.0, 2.0)
    >>> step = MEEMSC(wavenumber=axis).fit()
    >>> bool(np.allclose(step.transform(2 * step.reference_[None]), step.reference_))
    True
    """

    def __init__(
        self,
        *,
        wavenumber=None,
        reference=None,
        interferents=(),
        offset=False,
        active=None,
        components=None,
        radius_um=(2.0, 7.1),
        index_ratio=(1.1, 1.4),
        peak_absorbance=0.25,
        max_iterations=45,
        tolerance=1e-4,
    ):
        self.wavenumber = wavenumber
        self.reference = reference
        self.interferents = interferents
        self.offset = offset
        self.active = active
        self.components = components
        self.radius_um = radius_um
        self.index_ratio = index_ratio
        self.peak_absorbance = peak_absorbance
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def _prepare(self, axis):
        for name in ("max_iterations",) if self.components is None else ("max_iterations", "components"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise SettingsError(f"me_emsc: {name} must be a whole number from 1, not {value!r}.")
        if not isinstance(self.offset, bool):
            raise SettingsError(f"me_emsc: offset must be true or false, not {self.offset!r}.")
        for name in ("peak_absorbance", "tolerance"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 < value < np.inf:  # YAML takes 1e-4 for a text
                raise SettingsError(f"me_emsc: {name} must be a number above zero such as 0.001, not {value!r}.")
        radius = _between("radius_um", self.radius_um, 0)
        index = _between("index_ratio", self.index_ratio, 1)
        self._alpha, self._gamma = sphere_constants(radius, index, peak_absorbance=self.peak_absorbance)
        if self.components is not None and self.components > min(N_SPHERES**2, axis.size):
            raise SettingsError(f"me_emsc: {self.components} components cannot be had of {N_SPHERES**2} curves.")
        self._order = np.argsort(axis)
        self._weights = np.ones(axis.size) if self.active is None else _fading(self.active, axis)
        # EMSC checks reference and interferents; `_basic` also brings each guess back to the reference's scale.
        given = EMSC(wavenumber=axis, reference=self.reference, interferents=self.interferents).fit().reference_
        if not given.max() > 0:
            raise SettingsError("me_emsc: the reference is nowhere above zero; give the absorbance of pure tissue.")
        self._basic = EMSC(wavenumber=axis, reference=np.maximum(given, 0), interferents=self.interferents).fit()
        self.reference_ = self._basic.reference_
        self._peak = self.reference_.max()
        self._nuisance = self._basic.design_[1 : 1 + len(self.interferents)]
        if self.offset:
            self._nuisance = np.vstack([np.ones(axis.size), self._nuisance])
        first = self._weighted(self.reference_)
        curves = self._curves(first, self._index_of(first))
        if self.components is None:
            share = np.cumsum(np.linalg.svd(curves, compute_uv=False) ** 2)
            self.n_components_ = int(np.argmax(share > EXPLAINED * share[-1])) + 1
        else:
            self.n_components_ = self.components
        self._first = self._design(first, curves)
        unit = self._first / np.linalg.norm(self._first, axis=1, keepdims=True)
        self.inflation_ = float(np.linalg.inv(unit @ unit.T)[0, 0])
        self.wavenumber_ = axis

    def fits(self, X) -> MieFit:
        """The corrected spectra with the quality of each fit.

        Parameters
        ----------
        X : (n_spectra, n_wavenumbers) array

        Raises
        ------
        DataError
            As `transform`.
        """
        spectra = check_values(X, self._axis)
        corrected, scale, rmse = _regressed(self._first, spectra)
        absent = ~(scale > 0)
        if absent.any():
            raise DataError(
                f"me_emsc: {absent.sum()} of {len(absent)} spectra (first: row {np.argmax(absent)}) contain none of "
                "the reference as far as the fit can tell; leave out pixels without tissue with the quality test, and "
                "the offset, or take a reference more like the tissue."
            )
        best = MieFit(corrected.copy(), rmse.copy(), scale, np.ones(len(spectra), int), np.zeros(len(spectra), bool))
        rows = np.arange(len(spectra))  # those whose fit still moves
        trace = [np.rint(rmse / self.tolerance)]  # of those rows, the latest three
        for iteration in range(2, self.max_iterations + 1):
            guess, usable = self._next_guess(corrected)
            best.converged[rows[~usable]] = True  # nothing better can follow: the best fit so far stays
            rows, guess, trace = rows[usable], guess[usable], [past[usable] for past in trace]
            if not rows.size:
                break
            index = self._index_of(guess)
            corrected, scale, rmse = np.empty_like(guess), np.empty(len(rows)), np.empty(len(rows))
            for k, row in enumerate(rows):  # one at a time: 100 curves fit the processor's cache
                design = self._design(guess[k], self._curves(guess[k], index[k]))
                one = _regressed(design, spectra[row : row + 1])
                corrected[k], scale[k], rmse[k] = (part[0] for part in one)
            best.iterations[rows] = iteration
            better = (rmse < best.rmse[rows]) & (scale > 0)
            for kept, found in zip((best.corrected, best.rmse, best.scale), (corrected, rmse, scale)):
                kept[rows[better]] = found[better]
            trace = [*trace[-2:], np.rint(rmse / self.tolerance)]
            still = np.zeros(len(rows), bool)
            if iteration > 2:
                still = (trace[2] > trace[1]) | (trace[2] >= trace[0])
            best.converged[rows[still]] = True
            rows, corrected, trace = rows[~still], corrected[~still], [past[~still] for past in trace]
        return best

    def _apply(self, spectra):
        found = self.fits(spectra)
        moving = ~found.converged
        if moving.any() and self.max_iterations > 2:  # fewer are a choice: two models cannot be seen to stand still
            warnings.warn(
                f"me_emsc: the fit of {moving.sum()} of {len(moving)} spectra (first: row {np.argmax(moving)}) still "
                f"moves after {self.max_iterations} iterations; its best is kept; raise max_iterations or tolerance.",
                stacklevel=3,
            )
        return found.corrected

    def _next_guess(self, corrected) -> tuple[np.ndarray, np.ndarray]:
        """Corrected spectra on the reference's scale, damped and without negative parts, and which can be used."""
        weights = self._basic.coefficients(corrected)
        usable = weights[:, 0] > 0
        scale = np.where(usable, weights[:, 0], 1)[:, None]
        guess = self._weighted((corrected - weights[:, 1:] @ self._basic.design_[1:]) / scale)
        return guess, usable & (guess > 0).any(axis=1)

    def _weighted(self, spectra):
        return np.maximum(spectra * self._weights, 0)

    def _index_of(self, guess) -> np.ndarray:
        """Refractive index (..., n_wavenumbers) of guesses, for a reference of height 1."""
        index = np.empty(guess.shape, complex)
        index[..., self._order] = dispersion(guess[..., self._order] / self._peak, self._axis[self._order])
        return index

    def _curves(self, guess, index) -> np.ndarray:
        """Extinction curves (100, n_wavenumbers) of spheres of the guess, less what is parallel to the guess."""
        curves = extinction(index, self._axis, self._alpha, self._gamma).reshape(-1, self._axis.size)
        direction = guess / np.linalg.norm(guess)
        return curves - np.outer(curves @ direction, direction)

    def _design(self, guess, curves) -> np.ndarray:
        """Rows of the model: the guess, the principal components of the curves, offset, interferents."""
        # Eigenvectors of the small Gram matrix: ten times faster than an SVD of the curves. The digits it loses are
        # those of components far weaker than any that are used.
        n = len(curves)
        _, vectors = eigh(curves @ curves.T, subset_by_index=(n - self.n_components_, n - 1), check_finite=False)
        components = vectors.T @ curves
        components /= np.linalg.norm(components, axis=1, keepdims=True)
        return np.vstack([guess, components, self._nuisance])


def _regressed(design, spectra) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corrected spectra, their weights of the first row of the design, and the root mean square of the residuals."""
    weights = np.linalg.lstsq(design.T, spectra.T, rcond=None)[0].T
    residual = spectra - weights @ design
    # A weight within rounding of zero is no tissue: dividing by it would only magnify noise.
    tiny = np.finfo(np.float64).eps * np.abs(weights).max(axis=1, initial=0.0) * len(design)
    scale = np.where(np.abs(weights[:, 0]) > tiny, weights[:, 0], 0)
    rmse = np.sqrt((residual**2).mean(axis=1))
    return design[0] + residual / np.where(scale == 0, 1, scale)[:, None], scale, rmse


def _between(name, ends, least) -> np.ndarray:
    """Evenly spaced values from low to high."""
    numbers = np.shape(ends) == (2,) and all(isinstance(end, Real) for end in ends)
    low, high = ends if numbers else (np.nan, np.nan)
    if not least < low <= high < np.inf:
        raise SettingsError(f"me_emsc: {name} must be [low, high] with {least} < low <= high, not {ends!r}.")
    return np.linspace(low, high, N_SPHERES)


def _fading(windows, axis) -> np.ndarray:
    """1 inside the windows, 0 outside, with smooth edges."""
    if np.ndim(windows) != 2 or np.shape(windows)[1] != 2 or any(not low < high for low, high in windows):
        raise SettingsError(f"me_emsc: active must be a list of [low, high] in cm-1, not {windows!r}.")
    each = [(np.tanh((axis - low) / EDGE) - np.tanh((axis - high) / EDGE)) / 2 for low, high in windows]
    weights = np.max(each, axis=0)
    if weights.max() < 0.5:
        raise SettingsError(
            f"me_emsc: no active window of {windows!r} lies on the axis ({axis.min():g}-{axis.max():g} cm-1)."
        )
    return weights
