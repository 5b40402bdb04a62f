"""The classical classifiers that the network is compared with.

Hartigan et al. (paper A), "MSCNN Performance" and Figure 2a: nearest class-mean by mean square error and by
cosine similarity, PCA (25) into LDA, PCA (25) into XGBoost, XGBoost on the spectrum; default hyper-parameters.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ftirlib.classify.boosting import boost, probabilities
from ftirlib.classify.checks import class_codes
from ftirlib.classify.moments import Components, Discriminant, Moments, class_means
from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.rows import Rows

METRICS = ("mse", "cosine")


class _Baseline(ClassifierMixin, BaseEstimator):
    """What the four share: checked input, integer class codes, and the most probable class as the prediction."""

    def fit(self, X, y):
        """Fit on spectra with one label each.

        Parameters
        ----------
        X : (n_spectra, n_wavenumbers) array, or Rows
            `ftirlib.spectra.rows.Rows` are read from disk, a block in memory at a time; the result is the same bytes
            as from an array of the same values.
        y : (n_spectra,) labels

        Returns
        -------
        The estimator.

        Raises
        ------
        DataError, ValueError
            Spectra that are not finite, another number of labels, or fewer than two classes.
        """
        if isinstance(X, Rows):
            y = column_or_1d(y)
            if len(y) != len(X) or len(X) < 2:
                raise DataError(f"{len(y)} labels for {len(X)} spectra; give two or more spectra and a label for each.")
            validate_data(self, X, skip_check_array=True)  # notes the number of wavenumbers
        else:
            X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_min_samples=2)
            X = Rows.of(X)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs spectra of at least two classes; these are of {len(self.classes_)} "
                f"class ({self.classes_[0]!r})."
            )
        self._fit(X, class_codes(y, self.classes_))
        return self

    def predict_proba(self, X):
        """Class probabilities (n_spectra, n_classes), columns in the order of ``classes_``."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return np.concatenate([self._probabilities(block) for _, block in Rows.of(X).blocks()])

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
        self.means_ = class_means(X, codes, len(self.classes_))

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

    def _reduce(self, X, codes):
        if self.n_components < 1:
            raise SettingsError(f"n_components is {self.n_components}; it must be at least 1.")
        moments = Moments.of(X, codes, len(self.classes_))
        self.components_ = Components.of(moments, min(self.n_components, *X.shape))
        self.n_components_ = len(self.components_.variance)
        if self.n_components > self.n_components_:
            warnings.warn(
                f"{type(self).__name__} uses {self.n_components_} principal components, not the {self.n_components} "
                f"asked for: the training set is {X.shape[0]} spectra of {X.shape[1]} wavenumbers, and differs in no "
                "more directions.",
                stacklevel=4,
            )
        return moments


class PCALDA(_Reduced):
    """Principal components into linear discriminant analysis.

    Both follow from the mean spectra of the classes and the scatter about them, so that the spectra are read once.

    Parameters
    ----------
    n_components : int
        Lowered, with a warning, to the number of directions in which the training spectra differ.

    Attributes
    ----------
    n_components_ : int
        Components in use.
    components_ : Components
    discriminant_ : Discriminant
        In the space of the components.
    classes_ : (n_classes,) array
    """

    def __init__(self, *, n_components: int = 25):
        self.n_components = n_components

    def _fit(self, X, codes):
        moments = self._reduce(X, codes)
        along = self.components_.components
        self.discriminant_ = Discriminant.of(
            moments.counts, self.components_.scores(moments.means), along @ moments.within @ along.T
        )

    def _probabilities(self, X):
        return self.discriminant_.probabilities(self.components_.scores(X))


class PCAXGB(_Reduced):
    """Principal components into gradient-boosted trees (XGBoost, default hyper-parameters).

    Parameters
    ----------
    n_components : int
        Lowered, with a warning, to the number of directions in which the training spectra differ.
    n_jobs : int
        Threads of XGBoost.

    Attributes
    ----------
    n_components_ : int
        Components in use.
    components_ : Components
    booster_ : xgboost.Booster
    classes_ : (n_classes,) array

    See Also
    --------
    ftirlib.classify.boosting.boost : what is the same as with `xgboost.XGBClassifier`, and memory.
    """

    def __init__(self, *, n_components: int = 25, n_jobs: int = 1):
        self.n_components = n_components
        self.n_jobs = n_jobs

    def _fit(self, X, codes):
        self._reduce(X, codes)
        with tempfile.TemporaryDirectory() as folder:  # XGBoost reads the scores several times
            scores = X.through(self.components_.scores).to_file(Path(folder) / "scores.npy")
            self.booster_ = boost(scores, codes, len(self.classes_), n_jobs=self.n_jobs)

    def _probabilities(self, X):
        return probabilities(self.booster_, self.components_.scores(X))


class XGB(_Baseline):
    """Gradient-boosted trees on the spectrum (XGBoost, default hyper-parameters).

    Parameters
    ----------
    n_jobs : int
        Threads of XGBoost.

    Attributes
    ----------
    booster_ : xgboost.Booster
    classes_ : (n_classes,) array

    See Also
    --------
    ftirlib.classify.boosting.boost : what is the same as with `xgboost.XGBClassifier`, and memory.
    """

    def __init__(self, *, n_jobs: int = 1):
        self.n_jobs = n_jobs

    def _fit(self, X, codes):
        self.booster_ = boost(X, codes, len(self.classes_), n_jobs=self.n_jobs)

    def _probabilities(self, X):
        return probabilities(self.booster_, X)


# What makes each baseline from the number of its components.
BASELINES: dict[str, Callable[[int], ClassifierMixin]] = {
    "mean-mse": lambda n_components: NearestMean(metric="mse"),
    "mean-cosine": lambda n_components: NearestMean(metric="cosine"),
    "pca-lda": lambda n_components: PCALDA(n_components=n_components),
    "pca-xgb": lambda n_components: PCAXGB(n_components=n_components),
    "xgb": lambda n_components: XGB(),
}


def make_baseline(name: str, *, n_components: int = 25):
    """The baseline of this name, of those in Figure 2a.

    Parameters
    ----------
    name : {"mean-mse", "mean-cosine", "pca-lda", "pca-xgb", "xgb"}
    n_components : int
        For the two that reduce the spectra first.

    Raises
    ------
    SettingsError
        An unknown name.
    """
    if name not in BASELINES:
        raise SettingsError(f"there is no baseline {name!r}; choose one of {', '.join(BASELINES)}.")
    return BASELINES[name](n_components)
