"""Input of the autoencoder: spectra and weights joined and scaled, rows held out, and rows whose class is seen.

Hartigan et al. (paper A), "Modified CRIME Framework"; the open choices are stated in each docstring.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.model import CHUNK, UNKNOWN
from ftirlib.spectra.rows import Rows, float32, hstack

ROWS = 1024  # spectra scaled at once


def joined(spectra, weights) -> Rows:
    """Spectra and weights side by side, (n_spectra, 2 n_wavenumbers) float32, read in parts when needed.

    Parameters
    ----------
    spectra, weights : (n_spectra, n_wavenumbers) array or Rows
        Read once here, for the checks.

    Raises
    ------
    DataError
        Shapes that differ, or values that are not finite.
    """
    check_halves(spectra, weights)
    halves = {"spectra": Rows.of(spectra).through(float32), "weights": Rows.of(weights).through(float32)}
    for name, half in halves.items():
        blocks = (half[start : start + CHUNK] for start in range(0, len(half), CHUNK))
        bad = np.concatenate([~np.isfinite(block).all(axis=1) for block in blocks])
        if bad.any():
            raise DataError(
                f"{name} hold NaN or infinite values in {bad.sum()} rows, the first being {np.argmax(bad)}; drop them."
            )
    return hstack(list(halves.values()))


def check_halves(spectra, weights) -> None:
    """Raise DataError unless spectra and weights are (n_spectra, n_wavenumbers) alike."""
    shape, other = np.shape(spectra), np.shape(weights)
    if len(shape) != 2 or shape != other or 0 in shape:
        raise DataError(
            f"spectra have shape {shape} and weights {other}; both must be (spectra, wavenumbers) and "
            "alike: one weight for each value of each spectrum."
        )


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of each joined column, (2 n_wavenumbers,) float32."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray | Rows, rows: np.ndarray) -> Scaling:
        """Scaling of the given rows of `x`."""
        blocks = [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]
        mean = sum(x[block].sum(axis=0, dtype=float) for block in blocks) / len(rows)
        variance = sum(np.square(x[block] - mean).sum(axis=0) for block in blocks) / len(rows)
        return cls(mean.astype(np.float32), deviation(mean, variance).astype(np.float32))

    def apply(self, x: np.ndarray) -> np.ndarray:
        return (x - self.mean) / self.scale

    def undo(self, x: np.ndarray) -> np.ndarray:
        return x * self.scale + self.mean


def deviation(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Divisor of each column: its standard deviation, or 1 where it varies by float32 rounding alone."""
    scale = np.sqrt(variance)
    return np.where(scale <= 10 * np.finfo(np.float32).eps * np.abs(mean), 1.0, scale)


def checked_labels(labels, n_classes: int | None, n_spectra: int) -> tuple[np.ndarray, int]:
    """Labels (n_spectra,) int64 and the number of classes; all unknown where no labels are given.

    Raises
    ------
    DataError
        Labels of another length or kind, or out of range.
    """
    labels = np.full(n_spectra, UNKNOWN) if labels is None else np.asarray(labels)
    if labels.shape != (n_spectra,) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"labels are {labels.dtype} of shape {labels.shape}; give one whole number for each of {n_spectra} spectra."
        )
    n_classes = int(labels.max()) + 1 if n_classes is None else int(n_classes)
    if n_classes < 2 or labels.min() < UNKNOWN or labels.max() >= n_classes:
        raise DataError(
            f"labels run from {labels.min()} to {labels.max()} for {n_classes} classes; there must be at least two "
            f"classes, and labels between -1 (unknown) and the number of classes less one."
        )
    return labels.astype(np.int64), n_classes


def hold_out(n_spectra: int, share: float, *, groups=None, random_state: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows set aside, both ascending: about `share` of the spectra, or of whole groups.

    Units (spectra, or groups) are drawn until they hold the share; one is always left to train on.

    Raises
    ------
    DataError
        Groups of another length, or fewer than two units.
    """
    everything = np.arange(n_spectra)
    if groups is not None and np.shape(groups) != (n_spectra,):
        raise DataError(f"groups have shape {np.shape(groups)} for {n_spectra} spectra; give one per spectrum.")
    if share == 0:
        return everything, everything[:0]
    units = everything if groups is None else np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(units)
    if len(sizes) < 2:
        raise DataError(
            f"{n_spectra} spectra of {len(sizes)} group(s) cannot be split into training and hold-out; give "
            "validation=, more groups, or holdout=0."
        )
    order = np.random.default_rng([random_state, 1]).permutation(len(sizes))
    count = np.searchsorted(np.cumsum(sizes[order]), share * n_spectra) + 1
    aside = np.isin(units, order[: min(count, len(sizes) - 1)])
    return np.flatnonzero(~aside), np.flatnonzero(aside)


def choose_labelled(labels, rows, share: float, n_classes: int, *, random_state: int = 0) -> np.ndarray:
    """Rows whose class the objective sees, ascending: the same share of each class, at least one of each.

    A class that none of `rows` has is warned of: the classifier head never sees it.

    Raises
    ------
    DataError
        No row of known class.
    """
    if share == 0:
        return np.arange(0)
    classes = [int(k) for k in np.unique(labels[rows]) if k != UNKNOWN]
    if not classes:
        raise DataError("no training spectrum has a known label; use supervision=0 or give labels.")
    if absent := sorted(set(range(n_classes)) - set(classes)):
        warnings.warn(
            f"no training spectrum is of class {absent}; the autoencoder's classifier head never sees it.",
            stacklevel=3,
        )
    rng = np.random.default_rng([random_state, 2])
    chosen = []
    for k in classes:
        members = rng.permutation(rows[labels[rows] == k])
        chosen.append(members[: max(1, round(share * len(members)))])
    return np.sort(np.concatenate(chosen))
