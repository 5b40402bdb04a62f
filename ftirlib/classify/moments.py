"""Mean spectra and the scatter about them in one walk, and the components and discriminants that follow from them.

Blocks are joined as in Chan, Golub and LeVeque 1983 (doi:10.1080/00031305.1983.10483115): every product is of
differences from a mean, so that no digits are lost to the spectra's common height. Discriminants as in Hastie,
Tibshirani and Friedman 2009, The Elements of Statistical Learning, 4.3; steps and tolerance are those of scikit-learn's
``LinearDiscriminantAnalysis(solver="svd")``, which needs the scores of all spectra at once, several times over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.special import softmax

from ftirlib.errors import DataError
from ftirlib.spectra.rows import Rows

TOLERANCE = 1e-4  # scikit-learn's: narrower directions, of the whitened spectra or of the centres, are left out


def class_means(spectra: Rows, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Mean spectrum of each class, (n_classes, n_wavenumbers) float64.

    Parameters
    ----------
    spectra : Rows
    codes : (n_spectra,) int array
        Class of each spectrum, 0 to ``n_classes - 1``; every class has one.
    n_classes : int
    """
    sums, counts = np.zeros((n_classes, spectra.shape[1])), np.zeros(n_classes)
    for rows, block in spectra.blocks():
        member = np.eye(n_classes)[codes[rows]]  # (n, n_classes)
        sums += member.T @ block.astype(np.float64)
        counts += member.sum(axis=0)
    return sums / counts[:, None]


@dataclass(frozen=True)
class Moments:
    """What discriminants and principal components need to know of labelled spectra.

    Parameters
    ----------
    counts : (n_classes,) spectra of each class
    means : (n_classes, n_wavenumbers) mean spectra
    within : (n_wavenumbers, n_wavenumbers)
        Sum over spectra of the outer product of their difference from the mean of their class.
    """

    counts: np.ndarray
    means: np.ndarray
    within: np.ndarray

    @classmethod
    def of(cls, spectra: Rows, codes: np.ndarray, n_classes: int) -> Moments:
        """The moments of the rows, in float64; parameters as for `class_means`."""
        p = spectra.shape[1]
        counts, means, within = np.zeros(n_classes), np.zeros((n_classes, p)), np.zeros((p, p))
        for rows, block in spectra.blocks():
            classes = codes[rows]
            member = np.eye(n_classes)[classes]  # (n, n_classes)
            count = member.sum(axis=0)
            block = block.astype(np.float64)
            mean = member.T @ block / np.maximum(count, 1)[:, None]
            block -= mean[classes]
            share = count / np.maximum(counts + count, 1)  # of the block among all spectra so far, by class
            moved = mean - means
            between = np.sqrt(counts * share)[:, None] * moved
            within += block.T @ block + between.T @ between
            means += share[:, None] * moved
            counts += count
        return cls(counts, means, within)

    @property
    def mean(self) -> np.ndarray:
        """Mean of all spectra, (n_wavenumbers,)."""
        return self.counts @ self.means / self.counts.sum()

    @property
    def scatter(self) -> np.ndarray:
        """Sum of outer products of the spectra's differences from the mean of all, (n_wavenumbers, n_wavenumbers)."""
        between = np.sqrt(self.counts)[:, None] * (self.means - self.mean)
        return self.within + between.T @ between


@dataclass(frozen=True)
class Components:
    """Principal components.

    Parameters
    ----------
    mean : (n_wavenumbers,)
    components : (n_components, n_wavenumbers)
        Orthonormal, by falling variance; the largest coefficient of each is positive.
    variance : (n_components,)
        Of the training spectra along each.
    """

    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, moments: Moments, most: int) -> Components:
        """The leading components, at most `most` and no more than there are directions in which the spectra differ.

        A direction counts where its variance is above rounding: the largest times the number of wavenumbers times the
        precision of float64, the convention of `numpy.linalg.matrix_rank`.

        Raises
        ------
        DataError
            Spectra that are all alike.
        """
        covariance = moments.scatter / (moments.counts.sum() - 1)
        p = len(covariance)
        variance, vectors = eigh(covariance, subset_by_index=(max(p - most, 0), p - 1))
        variance, components = variance[::-1], vectors.T[::-1]
        real = variance > variance[0] * p * np.finfo(np.float64).eps
        if not real.any():
            raise DataError("the training spectra are all alike, so they have no principal component; check the data.")
        components = components[real]
        largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
        return cls(moments.mean, components * np.sign(largest), variance[real])

    def scores(self, spectra: np.ndarray) -> np.ndarray:
        """Coordinates of spectra (n, n_wavenumbers) along the components, (n, n_components) float64."""
        return (spectra - self.mean) @ self.components.T


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
            As in `Moments`.

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
