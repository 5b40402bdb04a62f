"""Whether probabilities mean what they say: reliability, calibration error and Brier score.

Guo et al. 2017 (arXiv:1706.04599) for the calibration error; Brier 1950
(10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2) for the score over all classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftirlib.errors import SettingsError
from ftirlib.report.checks import check_codes, check_probabilities

N_BINS = 15  # as in Guo et al.


@dataclass(frozen=True)
class Reliability:
    """How often the most probable class is right, against how probable the model says it is.

    Attributes
    ----------
    edges : (n_bins + 1,) float
        Bounds of the bins of probability.
    count : (n_bins,) int
        Spectra whose largest probability lies in the bin.
    confidence, accuracy : (n_bins,) float
        Mean largest probability, and share of right predictions; NaN in empty bins.
    error : float
        Mean of abs(accuracy - confidence), weighted by `count`: the expected calibration error.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


def reliability(y_true, probabilities, *, n_bins: int = N_BINS) -> Reliability:
    """Compare stated probability with success, over `n_bins` equal bins of the largest probability.

    Bins are closed above, (lower, upper], as in Guo et al. The predicted class is the most probable one (the first
    of equals), which for an ensemble that votes may differ from its tie-breaking rule.

    Parameters
    ----------
    y_true : (n_spectra,) int
    probabilities : (n_spectra, n_classes) array
    n_bins : int

    Returns
    -------
    Reliability

    Raises
    ------
    DataError
        As `ftirlib.report.scores.classification_scores`.
    SettingsError
        Fewer than one bin.

    Examples
    --------
    >>> reliability([0, 1], [[0.75, 0.25], [0.75, 0.25]]).error
    0.25
    """
    if n_bins < 1:
        raise SettingsError(f"n_bins is {n_bins}; give at least one bin.")
    probabilities = np.asarray(probabilities, np.float64)
    names = range(probabilities.shape[-1] if probabilities.ndim == 2 else 0)
    y_true, _ = check_codes(y_true, y_true, names)
    probabilities = check_probabilities(probabilities, len(y_true), names)
    bins, confidence, right = calibration_terms(y_true, probabilities, n_bins)
    count, said, was = (np.bincount(bins, w, minlength=n_bins) for w in (None, confidence, right))
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges=np.linspace(0, 1, n_bins + 1),
            count=count,
            confidence=said / count,
            accuracy=was / count,
            error=float(np.abs(was - said).sum() / len(y_true)),
        )


def calibration_terms(y_true, probabilities, n_bins: int = N_BINS):
    """Per spectrum: bin of the largest probability, that probability, and whether that class is right."""
    confidence = probabilities.max(axis=1)
    edges = np.linspace(0, 1, n_bins + 1)
    bins = np.searchsorted(edges[1:-1], confidence, side="left")  # (lower, upper]; rounding above 1 stays in the last
    return bins, confidence, probabilities.argmax(axis=1) == y_true


def brier_terms(y_true, probabilities) -> np.ndarray:
    """Squared distance of each row of probabilities to the one-hot label: (n_spectra,)."""
    return (probabilities**2).sum(axis=1) - 2 * probabilities[np.arange(len(y_true)), y_true] + 1
