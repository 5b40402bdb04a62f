"""Linear discriminant analysis from class means and the scatter within classes, without the spectra.

Hastie, Tibshirani and Friedman 2009, The Elements of Statistical Learning, 4.3; steps and tolerance are those of
scikit-learn's ``LinearDiscriminantAnalysis(solver="svd")``, which needs all spectra at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from ftirlib.errors import DataError

TOLERANCE = 1e-4  # scikit-learn's: narrower directions, of the whitened spectra or of the centres, are left out


@dataclass(frozen=True)
class Discriminant:
    """Gaussian classes of one covariance, with the training set's frequencies as priors.

    Parameters
    ----------
    coef : (n_classes, n_features)
    intercept : (n_classes,)
    """

    coef: np.ndarray
    intercept: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray, means: np.ndarray, within: np.ndarray) -> Discriminant:
        """The discriminant of classes with these moments.

        Parameters
        ----------
        counts : (n_classes,)
        means : (n_classes, n_features)
        within : (n_features, n_features)
            As in `ftirlib.classify.moments.Moments`.

        Raises
        ------
        DataError
            As many classes as spectra, or classes without any spread: there is nothing to measure distances by.
        """
        n, k = counts.sum(), len(counts)
        if n == k:
            raise DataError(f"{int(n)} spectra of {k} classes show no spread within a class; give more of each class.")
        priors = counts / n
        centre = priors @ means
        variance = np.diag(within) / n
        # what is left by rounding is no spread: scaled up, it would outweigh the features that have some
        total = variance + priors @ np.square(means - centre)
        narrow = variance <= total * len(variance) * np.finfo(np.float64).eps
        spread = np.full(len(variance), np.inf)  # which leaves a feature out
        np.sqrt(variance, out=spread, where=~narrow)
        if narrow.all():
            raise DataError("the spectra of each class are all alike, so the classes have no spread; check the data.")
        values, vectors = np.linalg.eigh(within / n / np.outer(spread, spread))
        kept = values > TOLERANCE**2
        whiten = vectors[:, kept] / spread[:, None] / np.sqrt(values[kept])  # (n_features, rank)
        centres = (means - centre) @ whiten  # (n_classes, rank)
        _, sizes, axes = np.linalg.svd(np.sqrt(counts)[:, None] * centres, full_matrices=False)
        axes = axes[sizes > TOLERANCE * sizes[0]]  # none where all centres are the same: the priors decide
        coordinates = centres @ axes.T
        coef = coordinates @ (whiten @ axes.T).T
        intercept = np.log(priors) - np.square(coordinates).sum(axis=1) / 2 - coef @ centre
        return cls(coef, intercept)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Class probabilities (n, n_classes) of features (n, n_features)."""
        return softmax(features @ self.coef.T + self.intercept, axis=1)
