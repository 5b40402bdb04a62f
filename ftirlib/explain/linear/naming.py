"""Names of bands for a context: peaks of its mean weights beside published assignments.

The assignments and their sources are those of `ftirlib.spectra.bands`; naming by the strongest weights follows
Hartigan et al. (paper A), Figure 3d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.signal import find_peaks

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.bands import Band, assign

TOLERANCE = 10.0  # cm-1 between a peak of the weights and a band's centre: about a quarter of a band's width


@dataclass(frozen=True)
class NamedPeak:
    """A peak of the weights and the bands near it.

    Attributes
    ----------
    wavenumber : float, cm-1
    weight : float
        Signed: above zero where more absorbance raises the probability of the class.
    bands : tuple of Band
        Nearest first; empty when no band of the table is near.
    """

    wavenumber: float
    weight: float
    bands: tuple[Band, ...]

    def __str__(self) -> str:
        named = f" ({self.bands[0].assignment})" if self.bands else ""
        return f"{'+' if self.weight > 0 else '-'}{self.wavenumber:.0f}{named}"


def name_peaks(
    wavenumber, weights, *, n_peaks: int = 3, apart: float = 20.0, tolerance: float = TOLERANCE
) -> tuple[NamedPeak, ...]:
    """Largest peaks of a context's mean weights, of either sign, with the bands near them.

    A peak is a local maximum of the weights' size, the ends of the axis included; a shoulder is none.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, ascending
    weights : (n_wavenumbers,) array
        NaN (an empty context) has no peaks.
    n_peaks : int
        Largest number of peaks, the largest peak first.
    apart : float, cm-1
        Least distance between named peaks; of two nearer peaks the larger is named.
    tolerance : float, cm-1
        Largest distance from a peak to a band's centre.

    Returns
    -------
    tuple of NamedPeak

    Raises
    ------
    DataError
        Weights and wavenumbers of different length, or an axis that does not ascend.
    SettingsError
        A number of peaks or a distance below zero.

    Examples
    --------
    >>> import numpy as np
    >>> axis = np.arange(1000.0, 1801.0)
    >>> weights = np.exp(-(((axis - 1742) / 10) ** 2)) - 2 * np.exp(-(((axis - 1546) / 10) ** 2))
    >>> [str(peak) for peak in name_peaks(axis, weights)]
    ['-1546 (amide II)', '+1742 (ester C=O)']
    """
    wavenumber, weights = np.asarray(wavenumber, float), np.asarray(weights, float)
    if wavenumber.ndim != 1 or weights.shape != wavenumber.shape:
        raise DataError(f"weights have shape {weights.shape} for {wavenumber.shape} wavenumbers; give one each.")
    if np.any(np.diff(wavenumber) <= 0):
        raise DataError("the wavenumbers do not ascend; sort them, and the weights with them.")
    if n_peaks < 0 or not apart >= 0:
        raise SettingsError(f"n_peaks is {n_peaks} and apart {apart} cm-1; neither can be below zero.")
    size = np.abs(np.nan_to_num(weights))
    places = find_peaks(np.pad(size, 1))[0] - 1
    chosen: list[int] = []
    for place in places[np.argsort(-size[places], kind="stable")]:
        if len(chosen) < n_peaks and all(abs(wavenumber[place] - wavenumber[k]) >= apart for k in chosen):
            chosen.append(int(place))
    return tuple(
        NamedPeak(float(wavenumber[k]), float(weights[k]), assign(float(wavenumber[k]), tolerance=tolerance))
        for k in chosen
    )


def naming_table(
    wavenumber,
    mean_weights,
    labels,
    class_names: Sequence[str],
    *,
    n_peaks: int = 3,
    apart: float = 20.0,
    tolerance: float = TOLERANCE,
) -> pd.DataFrame:
    """Table of the peaks of all contexts, with the nearest band's assignment and its source.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, ascending
    mean_weights : (n_contexts, n_wavenumbers) array
    labels : (n_contexts,) int
        Class of each context; empty contexts (-1) are left out.
    class_names : sequence of str
    n_peaks, apart, tolerance
        As in `name_peaks`.

    Returns
    -------
    DataFrame
        Columns ``context, class, wavenumber, weight, assignment, component, offset, source``. The assignment is
        empty, and the offset from the band's centre (cm-1) NaN, where no band is near.

    Raises
    ------
    DataError
        Labels and weights of different length, or as `name_peaks`.
    """
    mean_weights, labels = np.asarray(mean_weights), np.asarray(labels)
    if mean_weights.ndim != 2 or labels.shape != mean_weights.shape[:1]:
        raise DataError(f"mean weights {mean_weights.shape} and labels {labels.shape} must have one row per context.")
    rows = []
    for context in np.flatnonzero(labels >= 0):
        options = {"n_peaks": n_peaks, "apart": apart, "tolerance": tolerance}
        for peak in name_peaks(wavenumber, mean_weights[context], **options):
            band = peak.bands[0] if peak.bands else None
            rows.append(
                {
                    "context": int(context),
                    "class": str(class_names[labels[context]]),
                    "wavenumber": peak.wavenumber,
                    "weight": peak.weight,
                    "assignment": band.assignment if band else "",
                    "component": band.component if band else "",
                    "offset": peak.wavenumber - band.centre if band else np.nan,
                    "source": band.source if band else "",
                }
            )
    columns = ["context", "class", "wavenumber", "weight", "assignment", "component", "offset", "source"]
    return pd.DataFrame(rows, columns=columns)
