"""Weighted ridge regression with an intercept: single fits, and many fits that share their design.

The model `lime` fits (Ribeiro, Singh & Guestrin 2016, doi:10.1145/2939672.2939778): minimise
``sum_i w_i (y_i - b - D_i c)^2 + ridge |c|^2`` over the coefficients c and the intercept b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

TOLERANCE = 1e-13  # of the preconditioned residual; the solve then stands at rounding error
MAX_ITERATIONS = 60  # more than a good preconditioner needs; beyond it each spectrum is solved alone


@dataclass(frozen=True, eq=False)
class Fit:
    """Local linear models: `coef` (n, n_labels, n_features), the other arrays (n, n_labels).

    `intercept` is the model's value at design zero, `local_prediction` its value at the spectrum itself (row 0),
    `score` the weighted coefficient of determination.
    """

    coef: np.ndarray
    intercept: np.ndarray
    score: np.ndarray
    local_prediction: np.ndarray


def kernel(squared_distance: np.ndarray, width: float) -> np.ndarray:
    """Weight of a perturbed spectrum: the square root of a Gaussian, as in `lime`."""
    return np.exp(-0.5 * squared_distance / width**2)


def determination(residual: np.ndarray, target: np.ndarray, axis: int) -> np.ndarray:
    """1 - residual variation / variation of the (weighted, centred) targets; 1 where the target never varies."""
    unexplained, total = np.square(residual).sum(axis), np.square(target).sum(axis)
    return 1 - np.divide(unexplained, total, out=np.zeros_like(total), where=total > 0)


def weighted_ridge(design: np.ndarray, weights: np.ndarray, targets: np.ndarray, ridge: float) -> Fit:
    """Fit one design to several targets directly, through the smaller of the two Gram matrices.

    Parameters
    ----------
    design : (n_samples, n_features) array
        Row 0 is the spectrum itself.
    weights : (n_samples,) array
    targets : (n_samples, n_labels) array
    ridge : float

    Returns
    -------
    Fit
        With a leading axis of length 1.
    """
    solve = RidgeOperator(design, weights, ridge)
    return solve(targets[None])


class RidgeOperator:
    """Solver of one design and one set of weights, for any number of targets.

    Parameters
    ----------
    design : (n_samples, n_features) array
        Row 0 is the spectrum itself.
    weights : (n_samples,) array
    ridge : float

    Notes
    -----
    With many targets to come, `matrix` (n_features, n_samples) is formed once: coefficients are then
    ``matrix @ (sqrt(w) * centred targets)``.
    """

    def __init__(self, design, weights, ridge):
        self.weights = weights / weights.sum()
        self.root = np.sqrt(weights)
        self.centre = self.weights @ design  # (n_features,)
        self.first = design[0]
        self.design = design - self.centre
        self.design *= self.root[:, None]  # in place: a copy takes as long as the arithmetic
        n_samples, n_features = design.shape
        self.is_primal = n_samples >= n_features
        gram = self.design.T @ self.design if self.is_primal else self.design @ self.design.T
        gram[np.diag_indices_from(gram)] += ridge
        self.factor = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
        self.matrix = None

    def keep_matrix(self) -> RidgeOperator:
        """Form the solve matrix, so that a further target costs one matrix product."""
        if self.is_primal:
            self.matrix = linalg.cho_solve(self.factor, self.design.T, check_finite=False)
        else:
            self.matrix = linalg.cho_solve(self.factor, self.design, check_finite=False).T
        return self

    def __call__(self, targets: np.ndarray) -> Fit:
        """Fit targets (n, n_samples, n_labels)."""
        n, n_samples, n_labels = targets.shape
        flat = targets.transpose(1, 0, 2).reshape(n_samples, n * n_labels)
        origin = flat[0]  # subtracted first, so that a constant target is exactly zero
        flat = flat - origin
        mean = self.weights @ flat
        flat = (flat - mean) * self.root[:, None]  # (n_samples, n * n_labels)
        if self.matrix is not None:
            coef = self.matrix @ flat
        elif self.is_primal:
            coef = linalg.cho_solve(self.factor, self.design.T @ flat, check_finite=False)
        else:
            coef = self.design.T @ linalg.cho_solve(self.factor, flat, check_finite=False)
        score = determination(flat - self.design @ coef, flat, axis=0)
        intercept = mean + origin - self.centre @ coef
        local = mean + origin + (self.first - self.centre) @ coef
        shape = (n, n_labels)
        return Fit(coef.T.reshape(*shape, -1), intercept.reshape(shape), score.reshape(shape), local.reshape(shape))


class SharedRows:
    """Solver of ridge fits with the same design for every spectrum save row 0, and different weights.

    Conjugate gradients on all spectra and labels at once, preconditioned with the unweighted solve (one
    eigendecomposition for all): weights that vary little make it converge in a few steps.

    Parameters
    ----------
    design : (n_samples, n_features) array
        Row 0 is not read: it belongs to the spectrum.
    ridge : float
    """

    def __init__(self, design, ridge):
        self.design = design.copy()
        self.design[0] = 0
        self.ridge = ridge
        centred = self.design[1:] - self.design[1:].mean(0)
        values, self.vectors = np.linalg.eigh(centred.T @ centred)
        self.values = np.maximum(values, 0)  # eigenvalues of a Gram matrix below zero are rounding

    def solve(self, first: np.ndarray, weights: np.ndarray, targets: np.ndarray) -> Fit:
        """Fit every spectrum.

        Parameters
        ----------
        first : (n, n_features) array
            Row 0 of each spectrum's design.
        weights : (n_samples, n) array
        targets : (n, n_samples, n_labels) array
        """
        n, n_samples, n_labels = targets.shape
        wide = np.repeat(weights, n_labels, axis=1)  # (n_samples, n * n_labels), as every matrix below
        rows = np.repeat(first.T, n_labels, axis=1)  # (n_features, n * n_labels)
        total = wide.sum(0)
        flat = targets.transpose(1, 0, 2).reshape(n_samples, n * n_labels)
        origin = flat[0]
        flat = flat - origin
        mean = (wide * flat).sum(0) / total
        flat = flat - mean
        centre = np.repeat((self.design.T @ weights + weights[0] * first.T) / weights.sum(0), n_labels, axis=1)

        def forward(v):  # centred design times v
            out = self.design @ v
            out[0] = (rows * v).sum(0)
            return out - (centre * v).sum(0)

        def backward(t):  # design, transposed, times t; t is centred under the weights, so the centre drops out
            return self.design.T @ t + rows * t[0]

        flatness = np.repeat(weights[1:].mean(0), n_labels) * self.values[:, None] + self.ridge

        def precondition(r):
            return self.vectors @ ((self.vectors.T @ r) / flatness)

        residual = backward(wide * flat)
        search = precondition(residual)
        inner = (residual * search).sum(0)
        start = inner.copy()
        coef = np.zeros_like(residual)
        for _ in range(MAX_ITERATIONS):
            image = backward(wide * forward(search)) + self.ridge * search
            curvature = (search * image).sum(0)
            step = np.divide(inner, curvature, out=np.zeros_like(inner), where=curvature > 0)
            coef += step * search
            residual -= step * image
            conditioned = precondition(residual)
            previous, inner = inner, (residual * conditioned).sum(0)
            unfinished = inner > TOLERANCE**2 * start
            if not unfinished.any():
                break
            ratio = np.divide(inner, previous, out=np.zeros_like(inner), where=previous > 0)
            search = conditioned + ratio * search
        score = determination(np.sqrt(wide) * (flat - forward(coef)), np.sqrt(wide) * flat, axis=0)
        local = mean + origin + ((rows - centre) * coef).sum(0)
        intercept = mean + origin - (centre * coef).sum(0)
        shape = (n, n_labels)
        fit = Fit(coef.T.reshape(*shape, -1), intercept.reshape(shape), score.reshape(shape), local.reshape(shape))
        for k in np.flatnonzero(unfinished.reshape(shape).any(1)):  # steep weights: a spectrum far from the background
            design = self.design.copy()
            design[0] = first[k]
            alone = weighted_ridge(design, weights[:, k], targets[k], self.ridge)
            for name in ("coef", "intercept", "score", "local_prediction"):
                getattr(fit, name)[k] = getattr(alone, name)[0]
        return fit
