"""The classical classifiers that the network is compared with.

Hartigan et al. (paper A), "MSCNN Performance" and Figure 2a: nearest class-mean by mean square error and by
cosine similarity, PCA (25) into LDA, PCA (25) into XGBoost, XGBoost on the spectrum; default hyper-parameters.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from xgboost import XGBClassifier

from ftirlib.errors import SettingsError

METRICS = ("mse", "cosine")
BLOCK = 4096  # spectra summed at a time


class _Baseline(ClassifierMixin, BaseEstimator):
    """What the four share: checked input, integer class codes, and the most probable class as the prediction."""

    def fit(self, X, y):
        """Fit on spectra (n_spectra, n_wavenumbers) with one label each; returns the estimator."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_min_samples=2)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs spectra of at least two classes; these are of {len(self.classes_)} "
                f"class ({self.classes_[0]!r})."
            )
        self._fit(X, encoder.transform(y))
        return self

    def predict_proba(self, X):
        """Class probabilities (n_spectra, n_classes), columns in the order of ``classes_``."""
        check_is_fitted(self)
        return self._probabilities(validate_data(self, X, dtype=[np.float64, np.float32], reset=False))

    def predict(self, X):
        """The most probable class of each spectrum; ties go to the class listed first."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class NearestMean(_Baseline):
    """Assign a spectrum to the class whose mean spectrum it resembles most.

    Parameters
    ----------
    metric : {"mse", "cosine"}
        Distance to a class mean: mean squared difference, or one minus the cosine of the angle.

    Attributes
    ----------
    means_ : (n_classes, n_wavenumbers) array
    classes_ : (n_classes,) array

    Notes
    -----
    ``predict_proba`` gives inverse distances scaled to sum to 1. They rank the classes as the distances do and
    have no unit, but they are no calibrated probabilities. A spectrum at distance 0 of a mean gets 1 there. With
    ``metric="cosine"`` a spectrum of zeros has no direction and is as far from every class.

    Raises
    ------
    SettingsError
        An unknown metric.
    """

    def __init__(self, *, metric: str = "mse"):
        self.metric = metric

    def _fit(self, X, codes):
        if self.metric not in METRICS:
            raise SettingsError(f"metric is {self.metric!r}; choose one of {METRICS}.")
        member = np.eye(len(self.classes_))[codes]  # (n_spectra, n_classes)
        sums = np.zeros((len(self.classes_), X.shape[1]))
        for start in range(0, len(X), BLOCK):  # without a copy of what may fill the memory
            rows = slice(start, start + BLOCK)
            sums += member[rows].T @ X[rows].astype(np.float64)
        self.means_ = sums / member.sum(axis=0)[:, None]

    def _distances(self, X):
        X = np.asarray(X, np.float64)
        if self.metric == "mse":
            # one class at a time: differences of squares would lose the digits that tell near classes apart
            return np.stack([np.square(X - mean).mean(axis=1) for mean in self.means_], axis=1)
        return 1 - _unit(X) @ _unit(self.means_).T

    def _probabilities(self, X):
        distance = np.maximum(self._distances(X), 0)  # a cosine may round to just above 1
        nearest = distance.min(axis=1, keepdims=True)
        # nearest / distance is the inverse distance without overflow; 0 / 0 is "at the mean"
        closeness = np.divide(nearest, distance, out=np.ones_like(distance), where=distance > 0)
        return closeness / closeness.sum(axis=1, keepdims=True)


def _unit(X):
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return np.divide(X, length, out=np.zeros_like(X), where=length > 0)


class _Reduced(_Baseline):
    """Principal components, fitted inside the fold, in front of a classifier."""

    def _reduce(self, X):
        if self.n_components < 1:
            raise SettingsError(f"n_components is {self.n_components}; it must be at least 1.")
        most = min(X.shape)
        if self.n_components > most:
            warnings.warn(
                f"{type(self).__name__} uses {most} principal components, not the {self.n_components} asked for: "
                f"the training set is {X.shape[0]} spectra of {X.shape[1]} wavenumbers.",
                stacklevel=4,
            )
        self.n_components_ = min(self.n_components, most)
        self.pca_ = PCA(self.n_components_, random_state=self.random_state).fit(X)
        return self.pca_.transform(X)


class PCALDA(_Reduced):
    """Principal components into linear discriminant analysis.

    Parameters
    ----------
    n_components : int
        Lowered, with a warning, to the number of training spectra or wavenumbers where there are fewer.
    random_state : int
        Seed of the randomised decomposition that scikit-learn chooses for large data.

    Attributes
    ----------
    n_components_ : int
        Components in use.
    pca_, lda_ : fitted estimators
    classes_ : (n_classes,) array
    """

    def __init__(self, *, n_components: int = 25, random_state: int = 0):
        self.n_components = n_components
        self.random_state = random_state

    def _fit(self, X, codes):
        self.lda_ = LinearDiscriminantAnalysis().fit(self._reduce(X), codes)

    def _probabilities(self, X):
        return self.lda_.predict_proba(self.pca_.transform(X))


class PCAXGB(_Reduced):
    """Principal components into gradient-boosted trees (XGBoost, default hyper-parameters).

    Parameters
    ----------
    n_components : int
        Lowered, with a warning, to the number of training spectra or wavenumbers where there are fewer.
    random_state : int
    n_jobs : int
        Threads of XGBoost.

    Attributes
    ----------
    n_components_ : int
        Components in use.
    pca_, xgb_ : fitted estimators
    classes_ : (n_classes,) array
    """

    def __init__(self, *, n_components: int = 25, random_state: int = 0, n_jobs: int = 1):
        self.n_components = n_components
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _fit(self, X, codes):
        self.xgb_ = XGBClassifier(random_state=self.random_state, n_jobs=self.n_jobs).fit(self._reduce(X), codes)

    def _probabilities(self, X):
        return self.xgb_.predict_proba(self.pca_.transform(X))


class XGB(_Baseline):
    """Gradient-boosted trees on the spectrum (XGBoost, default hyper-parameters).

    Parameters
    ----------
    random_state : int
    n_jobs : int
        Threads of XGBoost.

    Attributes
    ----------
    xgb_ : fitted estimator
    classes_ : (n_classes,) array
    """

    def __init__(self, *, random_state: int = 0, n_jobs: int = 1):
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _fit(self, X, codes):
        self.xgb_ = XGBClassifier(random_state=self.random_state, n_jobs=self.n_jobs).fit(X, codes)

    def _probabilities(self, X):
        return self.xgb_.predict_proba(X)


def make_baseline(name: str, *, n_components: int = 25, random_state: int = 0):
    """The baseline of this name, of those in Figure 2a.

    Parameters
    ----------
    name : {"mean-mse", "mean-cosine", "pca-lda", "pca-xgb", "xgb"}
    n_components : int
        For the two that reduce the spectra first.
    random_state : int
        For those in which chance has a part: all but the nearest means.

    Raises
    ------
    SettingsError
        An unknown name.
    """
    makers = {
        "mean-mse": lambda: NearestMean(metric="mse"),
        "mean-cosine": lambda: NearestMean(metric="cosine"),
        "pca-lda": lambda: PCALDA(n_components=n_components, random_state=random_state),
        "pca-xgb": lambda: PCAXGB(n_components=n_components, random_state=random_state),
        "xgb": lambda: XGB(random_state=random_state),
    }
    if name not in makers:
        raise SettingsError(f"there is no baseline {name!r}; choose one of {', '.join(makers)}.")
    return makers[name]()
