"""Labels, predictions and probabilities are checked at the door, once, in the same words for every score.

The conventions are those of `ftirlib.spectra.model`: a label is a position in the class names, -1 is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ftirlib.errors import DataError


def positive_mask(class_names: Sequence[str], positive_classes: Sequence[str]) -> np.ndarray:
    """Which classes are positive in the binary view, (n_classes,) bool; refuses names that are no class."""
    if isinstance(positive_classes, str):
        raise DataError(f"positive_classes is the text {positive_classes!r}; give a list of class names.")
    if unknown := [name for name in positive_classes if name not in class_names]:
        raise DataError(f"positive class {unknown[0]!r} is not among the classes {list(class_names)}.")
    return np.array([name in positive_classes for name in class_names])


def check_codes(y_true, predicted, class_names) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions as int64 arrays of one length, each a position in `class_names`."""
    checked = []
    for name, codes in (("y_true", np.asarray(y_true)), ("predicted", np.asarray(predicted))):
        if codes.ndim != 1 or not codes.size:
            raise DataError(f"{name} has shape {codes.shape}; give one class position per spectrum, for at least one.")
        if codes.dtype != bool and not np.issubdtype(codes.dtype, np.integer):
            raise DataError(f"{name} holds {codes.dtype}; give integer positions in {list(class_names)}.")
        if n_unknown := int((codes < 0).sum()):
            raise DataError(
                f"{name} holds {n_unknown} negative code(s), which mean unknown; score labelled spectra only."
            )
        if codes.max() >= len(class_names):
            raise DataError(
                f"{name} holds code {codes.max()} but there are {len(class_names)} classes (0 is the first)."
            )
        checked.append(codes.astype(np.int64))
    if checked[0].shape != checked[1].shape:
        raise DataError(
            f"y_true has {checked[0].size} entries and predicted {checked[1].size}; give one each per spectrum."
        )
    return checked[0], checked[1]


def check_probabilities(probabilities, n: int, class_names) -> np.ndarray:
    """Probabilities as float64, (n, n_classes), each row a distribution to a thousandth; nothing is rescaled."""
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.shape != (n, len(class_names)):
        raise DataError(
            f"probabilities have shape {probabilities.shape} for {n} spectra and {len(class_names)} classes; "
            "give one row per spectrum and one column per class."
        )
    # Not finite fails both comparisons; a thousandth is what half precision leaves of a sum of 1.
    bad = ~((np.abs(probabilities.sum(axis=1) - 1) <= 1e-3) & (probabilities >= -1e-3).all(axis=1))
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"probabilities of spectrum {first} are {np.round(probabilities[first], 4).tolist()} "
            f"({int(bad.sum())} such row(s)); rows must be non-negative and sum to 1: pass predict_proba, not scores."
        )
    return probabilities
