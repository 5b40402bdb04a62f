"""Over-sampling of rare classes, for the training side of a split and nothing else.

Random copies as in Abdo et al. 2024 (10.5815/ijisa.2024.04.02), or SMOTE of Chawla et al. 2002 (10.1613/jair.953), by
imbalanced-learn (Lemaitre et al. 2017, JMLR 18(17)).
"""

from __future__ import annotations

import warnings

import numpy as np
from imblearn.over_sampling import SMOTE, RandomOverSampler

from ftirlib.errors import DataError, SettingsError

METHODS = ("random", "smote", None)
SMALL_CLASSES = ("error", "adjust")


def oversample(
    features,
    codes,
    *,
    method: str | None = "random",
    n_neighbors: int = 5,
    small_classes: str = "error",
    random_state: int = 0,
) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Bring every class to the size of the largest.

    Parameters
    ----------
    features : (n, n_features) array
        Of training spectra.
    codes : (n,) int
        Class of each.
    method : {"random", "smote", None}
        Copies drawn at random; points between a spectrum and one of its nearest neighbours of the same class; nothing.
    n_neighbors : int
        Of SMOTE.
    small_classes : {"error", "adjust"}
        Where SMOTE meets a class of no more than `n_neighbors` spectra: refuse it, or take one neighbour fewer than
        the smallest class has spectra, for all classes and with a warning.
    random_state : int

    Returns
    -------
    features, codes : (m, n_features) and (m,) arrays
        The given rows first.
    n_neighbors : int or None
        Used by SMOTE, None without it.

    Raises
    ------
    DataError
        A class of a single spectrum, or one too small for SMOTE.
    SettingsError
        An unknown option.

    Examples
    --------
    >>> features, codes, _ = oversample([[0.0], [1.0], [2.0], [8.0], [9.0]], [0, 0, 0, 1, 1])
    >>> np.bincount(codes)
    array([3, 3])
    """
    if method not in METHODS:
        raise SettingsError(f"oversampling is {method!r}; choose one of 'random', 'smote' or None.")
    if small_classes not in SMALL_CLASSES:
        raise SettingsError(f"small_classes is {small_classes!r}; choose one of {SMALL_CLASSES}.")
    if n_neighbors < 1:
        raise SettingsError(f"n_neighbors is {n_neighbors}; SMOTE needs at least 1.")
    features, codes = np.asarray(features), np.asarray(codes)
    check_class_sizes(codes)
    if method is None:
        return features, codes, None
    if method == "random":
        return (*RandomOverSampler(random_state=random_state).fit_resample(features, codes), None)
    classes, counts = np.unique(codes, return_counts=True)
    smallest = int(counts.min())
    if smallest <= n_neighbors:
        which = f"class {classes[counts.argmin()]} has {smallest} training spectra, too few for the {n_neighbors}"
        if small_classes == "error":
            raise DataError(
                f"{which} neighbours of SMOTE; lower n_neighbors, pass small_classes='adjust' or "
                "oversampling='random', or bring more spectra."
            )
        n_neighbors = smallest - 1
        warnings.warn(f"{which} neighbours of SMOTE: {n_neighbors} are used for every class.", stacklevel=2)
    sampler = SMOTE(k_neighbors=n_neighbors, random_state=random_state)
    return (*sampler.fit_resample(features, codes), n_neighbors)


def check_class_sizes(codes, names=None) -> None:
    """Refuse a single class, and a class of a single spectrum.

    Raises
    ------
    DataError
    """
    classes, counts = np.unique(codes, return_counts=True)
    names = classes if names is None else names
    if len(classes) < 2:
        raise DataError(
            f"the training spectra are of {len(classes)} class ({names[0]}); a classifier needs at least two."
        )
    if counts.min() < 2:
        raise DataError(
            f"class {names[int(counts.argmin())]} has 1 training spectrum; copies of one spectrum say nothing about "
            "its class: bring more, merge it with another, or leave it out."
        )
