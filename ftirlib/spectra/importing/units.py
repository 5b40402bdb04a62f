"""Units: from what a file stores to absorbance over ascending wavenumbers in cm-1.

A = -log10(T), Beer-Lambert (IUPAC Gold Book, doi:10.1351/goldbook.A00028).
"""

from __future__ import annotations

import numpy as np

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.prepare.steps import Cut, Resample, check_axis

UNITS = ("absorbance", "transmittance", "percent")
AXIS_UNITS = ("cm-1", "um", "nm")
PER_CM = {"um": 1e4, "nm": 1e7}  # wavenumber times wavelength
SAME_AXIS = 1e-3  # cm-1; axes stored in float32 or with three decimals differ by less


class StoredAxis:
    """The way from a file's axis to the data set's: unit, order, range and grid.

    Parameters
    ----------
    stored : (n_stored,) array
        As in the file, any order.
    unit : {"cm-1", "um", "nm"}
    low, high : float or None
        Ends of the part to keep, cm-1; None: the end of the axis.
    step : float or None
        Spacing of the grid to resample on, cm-1.
    name : str
        Of the file, for the errors.

    Attributes
    ----------
    wavenumber : (n_wavenumbers,) float64 array, cm-1, ascending

    Raises
    ------
    DataError
        When the axis is no axis, seems to be in another unit, or does not cover the part to keep.
    """

    def __init__(self, stored, *, unit="cm-1", low=None, high=None, step=None, name="the data"):
        try:
            axis = check_axis(stored)
            if unit in PER_CM:
                if (axis <= 0).any():
                    raise DataError(f"a wavelength of {axis.min():g} {unit} is none; check the axis.")
                axis = PER_CM[unit] / axis
            elif axis.max() < 100:  # the mid-infrared is 2.5-25 um, 400-4000 cm-1
                raise DataError(
                    f"the axis spans {axis.min():g}-{axis.max():g}, which looks like micrometres; "
                    "pass --wavenumber-unit um if so."
                )
            order = np.argsort(axis)
            axis = axis[order]
            if step is None:
                self._resample = None
                self.wavenumber = Cut(wavenumber=axis, low=low, high=high).fit().wavenumber_
                kept = np.isin(axis, self.wavenumber)
            else:
                grid = Resample(wavenumber=axis, low=low, high=high, step=step).fit()
                self.wavenumber = grid.wavenumber_
                # A few points beyond the grid shape the spline; values further off (a blind stretch of the
                # detector, say) have no part in it.
                first, last = np.searchsorted(axis, self.wavenumber[[0, -1]])
                margin = grid.degree + 1
                kept = slice(max(first - margin, 0), last + margin + 1)
                self._resample = Resample(
                    wavenumber=axis[kept], low=self.wavenumber[0], high=self.wavenumber[-1], step=step
                ).fit()
            self._columns = _as_slice(order[kept])
        except DataError as error:
            raise DataError(f"'{name}': {error}") from None

    def select(self, values) -> np.ndarray:
        """The stored columns that matter, ascending: (n, n_stored) to (n, n_kept), of the same type."""
        return np.asarray(values)[:, self._columns]

    def resample(self, absorbance) -> np.ndarray:
        """Selected columns to the grid: (n, n_kept) to (n, n_wavenumbers)."""
        return absorbance if self._resample is None else self._resample.transform(absorbance)

    def agrees_with(self, other: StoredAxis) -> bool:
        """Whether two axes are the same but for rounding."""
        same_size = self.wavenumber.size == other.wavenumber.size
        return same_size and bool(np.abs(self.wavenumber - other.wavenumber).max() <= SAME_AXIS)

    def __str__(self):
        return f"{self.wavenumber.size} wavenumbers over {self.wavenumber[0]:g}-{self.wavenumber[-1]:g} cm-1"


def _as_slice(columns: np.ndarray):
    """Columns that follow one another, in either direction, as a slice: taken without a copy."""
    step = int(columns[1] - columns[0]) if columns.size > 1 else 1
    if step not in (1, -1) or (np.diff(columns) != step).any():
        return columns
    stop = int(columns[-1]) + step
    return slice(int(columns[0]), None if stop < 0 else stop, step)


def detect_unit(values: np.ndarray, stated: str | None, name: str, notes: list[str]) -> str:
    """What the values are, from what the file says and what they can be; refuses where these do not settle it.

    Parameters
    ----------
    values : (n_spectra, n_wavenumbers) array
    stated : {"absorbance", "transmittance", "percent"} or None
        What the file says.
    name : str
        Of the file, for the error.
    notes : list of str
        Gets a line that states the unit.

    Raises
    ------
    DataError
        Naming the option to give.
    """
    sample = np.asarray(values[:: max(1, len(values) // 1000)], np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        raise DataError(f"'{name}' holds no finite value; check the file.")
    low, middle, high = np.quantile(sample, [0.01, 0.5, 0.99])
    spans = f"its values lie about {low:.3g}-{high:.3g} (median {middle:.3g})"
    ask = "say what they are with --unit absorbance, transmittance (0-1) or percent (0-100)"
    plausible = {
        "absorbance": high <= 10,  # one part in 1e10 of the light: no instrument measures that
        "transmittance": high <= 2,
        "percent": high > 2,
    }
    if stated is not None:
        if not plausible[stated]:
            raise DataError(f"'{name}' says {stated} but {spans}; {ask}.")
        notes.append(f"{name}: values are {stated}, as the file says")
        return stated
    # Transmittance has a high plateau with dips, absorbance a low one with peaks.
    if not plausible["absorbance"] or (low >= 0 and high <= 1.2 and middle > 0.5 * high):
        raise DataError(f"'{name}' does not say whether it holds absorbance or transmittance, and {spans}; {ask}.")
    notes.append(f"{name}: values are taken as absorbance; {spans}")
    return "absorbance"


def to_absorbance(values, unit: str, *, floor: float | None = None, name: str = "the data") -> np.ndarray:
    """Absorbance from absorbance, transmittance (0-1) or per cent transmittance; of reflectance, log(1/R).

    Values in float32 stay so; others become float64.

    Raises
    ------
    DataError
        When a transmittance is zero or less and no `floor` (in the unit of the values) is given.

    Examples
    --------
    >>> to_absorbance([100.0, 10.0, 1.0], "percent")
    array([-0.,  1.,  2.])
    """
    if unit not in UNITS:
        raise SettingsError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}.")
    values = np.asarray(values)
    if values.dtype != np.float32:  # which logarithms of single precision keep, many times faster
        values = values.astype(np.float64)
    if unit == "absorbance":
        return values
    if floor is not None:
        values = np.maximum(values, values.dtype.type(floor))
    elif (dark := values <= 0).any():
        raise DataError(
            f"'{name}' has {dark.sum()} transmittances of zero or less (lowest {values.min():.3g}), which have no "
            "absorbance; keep a range without them (--low, --high), or give the smallest value that is told from "
            "zero (--floor)."
        )
    return -np.log10(values / values.dtype.type(100 if unit == "percent" else 1))
