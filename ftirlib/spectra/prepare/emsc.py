"""Extended multiplicative signal correction: take thickness, baseline and known interferents out of each spectrum.

Martens and Stark 1991 (J. Pharm. Biomed. Anal. 9, 625; doi:10.1016/0731-7085(91)80188-F); Kohler et al. 2005
(Appl. Spectrosc. 59, 707; doi:10.1366/0003702054280649) for infrared images of tissue.
"""

from __future__ import annotations

import numpy as np

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.bands import component_spectrum, tissue_reference
from ftirlib.spectra.prepare.steps import SpectralStep, check_values


class EMSC(SpectralStep):
    """Fit each spectrum as b * reference + interferents + polynomial, and give (spectrum - nuisance) / b.

    What the model does not explain (the chemistry) stays in the result: reference + residual / b. The fit is
    ordinary least squares, solved for all spectra at once by one precomputed pseudo-inverse. The polynomial is in
    Legendre's form on the axis mapped to [-1, 1]; which form is used changes the coefficients, not the result.
    Scatter beyond a polynomial (Mie) is not modelled.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    reference : (n_wavenumbers,) array, optional
        Default: `tissue_reference` on the axis. A mean of the data themselves must come from training spectra only.
    order : int
        Of the polynomial: 0 offset, 1 slope, 2 curvature.
    interferents : sequence of str or (n_wavenumbers,) array
        Spectra to take out: names that `component_spectrum` knows, such as ``"paraffin"``, or arrays on the axis.

    Attributes
    ----------
    wavenumber_ : (n_wavenumbers,) array
    reference_ : (n_wavenumbers,) array
    design_ : (n_terms, n_wavenumbers) array
        Rows: the reference, each interferent, the polynomial from offset up.
    terms_ : list of str
        Names of those rows.

    Examples
    --------
    >>> import numpy as np
    >>> axis = np.arange(1000.0, 1801.0)
    >>> emsc = EMSC(wavenumber=axis, order=1).fit()
    >>> distorted = 3 * emsc.reference_ + 0.2 + 1e-4 * axis
    >>> bool(np.allclose(emsc.transform(distorted[None]), emsc.reference_))
    True
    """

    def __init__(self, *, wavenumber=None, reference=None, order=2, interferents=()):
        self.wavenumber = wavenumber
        self.reference = reference
        self.order = order
        self.interferents = interferents

    def _prepare(self, axis):
        if isinstance(self.order, bool) or self.order != int(self.order) or self.order < 0:
            raise SettingsError(f"emsc: order must be a whole number from 0, not {self.order!r}.")
        if isinstance(self.interferents, str):
            raise SettingsError(f"emsc: interferents must be a list; write ['{self.interferents}'].")
        on_axis = tissue_reference(axis) if self.reference is None else self.reference
        rows, self.terms_ = [self._row(on_axis, axis, "reference")], ["reference"]
        for k, item in enumerate(self.interferents):
            named = isinstance(item, str)
            self.terms_.append(item if named else f"interferent {k}")
            rows.append(self._row(component_spectrum(item, axis) if named else item, axis, self.terms_[-1]))
        scaled = 2 * (axis - axis.min()) / np.ptp(axis) - 1
        rows += list(np.polynomial.legendre.legvander(scaled, int(self.order)).T)
        self.terms_ += [f"polynomial {power}" for power in range(int(self.order) + 1)]
        self.design_ = np.array(rows)
        lengths = np.linalg.norm(self.design_, axis=1)
        if (lengths == 0).any() or np.linalg.matrix_rank(self.design_ / lengths[:, None]) < len(rows):
            raise SettingsError(
                f"emsc: the terms {self.terms_} are not independent on {axis.min():g}-{axis.max():g} cm-1 "
                f"({axis.size} points); leave out the one that the others make up."
            )
        self.reference_ = self.design_[0]
        self._solve = np.linalg.pinv(self.design_)  # (n_wavenumbers, n_terms)
        self.wavenumber_ = axis

    @staticmethod
    def _row(values, axis, what):
        values = np.asarray(values, np.float64)
        if values.shape != axis.shape or not np.isfinite(values).all():
            raise SettingsError(
                f"emsc: {what} must be {axis.size} finite values, one per wavenumber, not an array of {values.shape}."
            )
        return values

    def coefficients(self, X) -> np.ndarray:
        """Least-squares weight of each of ``terms_`` in each spectrum, (n_spectra, n_terms)."""
        return check_values(X, self._axis) @ self._solve

    def residuals(self, X) -> np.ndarray:
        """What the model leaves unexplained, (n_spectra, n_wavenumbers), in the units of X."""
        return check_values(X, self._axis) - self.coefficients(X) @ self.design_

    def _apply(self, spectra):
        weights = spectra @ self._solve
        scale = weights[:, :1]
        # A weight within rounding of zero is no tissue either: dividing by it would only magnify noise.
        tiny = np.finfo(np.float64).eps * np.abs(weights).max(axis=1, initial=0.0) * len(self.design_)
        absent = scale[:, 0] <= tiny
        if absent.any():
            raise DataError(
                f"emsc: {absent.sum()} of {len(absent)} spectra (first: row {np.argmax(absent)}) contain none of the "
                "reference, so they cannot be scaled to it; leave out pixels without tissue with the quality test."
            )
        return (spectra - weights[:, 1:] @ self.design_[1:]) / scale
