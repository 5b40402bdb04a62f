"""Fused features to classes: scaling, over-sampling and head, every part fitted on the training side only.

Abdo et al. 2024 (10.5815/ijisa.2024.04.02) do not say whether they over-sampled before their split; here it cannot be.
Random copies as theirs, or SMOTE of Chawla et al. 2002 (10.1613/jair.953), by imbalanced-learn (Lemaitre et al. 2017,
JMLR 18(17)).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ftirlib.classify.checks import choose_device
from ftirlib.classify.fusion.head import HeadSettings, head_probabilities, train_head
from ftirlib.errors import DataError, SettingsError

METHODS = ("random", "smote", None)
SMALL_CLASSES = ("error", "adjust")


def fuse(features: Mapping[str, np.ndarray], families: Sequence[str] | None = None) -> np.ndarray:
    """Features of several families side by side.

    Parameters
    ----------
    features : mapping of (n_spectra, n_features) arrays
        As from `FeatureExtractor.extract`.
    families : sequence of str, optional
        Those to keep, whatever their order; default all. For an ablation, leave one out.

    Returns
    -------
    (n_spectra, sum of n_features) float32 array
        In the order of `features`.

    Raises
    ------
    SettingsError
        A family that is not there, or none.

    Examples
    --------
    >>> fuse({"scattering": np.zeros((2, 5)), "statistics": np.ones((2, 3))}, ["statistics"]).shape
    (2, 3)
    """
    families = list(features) if families is None else list(families)
    if unknown := [name for name in families if name not in features]:
        raise SettingsError(f"there are no features of {unknown[0]!r}; choose of {', '.join(features)}.")
    if not families:
        raise SettingsError(f"no feature family is left; keep at least one of {', '.join(features)}.")
    return np.hstack([features[name] for name in features if name in families]).astype(np.float32)


class FusedFeatureClassifier(ClassifierMixin, BaseEstimator):
    """Standardised features, rare classes over-sampled, a small CNN.

    Parameters
    ----------
    oversampling, n_neighbors, small_classes
        As in `oversample`: its ``method`` and options.
    head : HeadSettings, optional
    random_state : int
        Seed of the over-sampling, the initial weights, the order of spectra and dropout.
    device : str
        "auto", or as torch names it.

    Attributes
    ----------
    classes_ : (n_classes,) array
    scaler_ : StandardScaler
        Of the training spectra as they came, before any was copied.
    head_ : HeadCNN
    losses_ : list of float
        Mean cross-entropy of each epoch.
    class_counts_, fitted_counts_ : (n_classes,) int arrays
        Training spectra of each class before and after over-sampling.
    n_neighbors_ : int or None
        That SMOTE used.
    n_features_in_ : int
    """

    def __init__(
        self,
        *,
        oversampling: str | None = "random",
        n_neighbors: int = 5,
        small_classes: str = "error",
        head: HeadSettings | None = None,
        random_state: int = 0,
        device: str = "auto",
    ):
        self.oversampling = oversampling
        self.n_neighbors = n_neighbors
        self.small_classes = small_classes
        self.head = head
        self.random_state = random_state
        self.device = device

    def fit(self, X, y, *, progress: Callable[[dict], None] | None = None):
        """Fit on features (n_spectra, n_features) with one label each; returns the estimator.

        Raises
        ------
        DataError, SettingsError
            As `oversample`.
        """
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64])
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        codes = encoder.transform(y)
        check_class_sizes(codes, encoder.classes_)
        self.classes_ = encoder.classes_
        self.scaler_ = StandardScaler().fit(X)
        scaled, fitted, self.n_neighbors_ = oversample(
            self.scaler_.transform(X),
            codes,
            method=self.oversampling,
            n_neighbors=self.n_neighbors,
            small_classes=self.small_classes,
            random_state=self.random_state,
        )
        self.class_counts_, self.fitted_counts_ = np.bincount(codes), np.bincount(fitted)
        self.head_, self.losses_ = train_head(
            scaled,
            fitted,
            len(self.classes_),
            self.head or HeadSettings(),
            random_state=self.random_state,
            device=choose_device(self.device),
            progress=progress,
        )
        return self

    def predict_proba(self, X):
        """Class probabilities (n_spectra, n_classes), columns in the order of ``classes_``."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        return head_probabilities(self.head_, self.scaler_.transform(X))

    def predict(self, X):
        """The most probable class of each spectrum; ties go to the class listed first."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


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
