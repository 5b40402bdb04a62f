"""The local models of LIME on spectra, one class a mode, and their parts that all spectra share.

Three variants of Ribeiro, Singh & Guestrin (2016, doi:10.1145/2939672.2939778), each equal to the `lime` package
to rounding: noise around the spectrum, noise around the background's mean, and values drawn from quantile bins.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ftirlib.explain.lime.forward import Forward
from ftirlib.explain.lime.noise import BinnedNoise, GaussianNoise
from ftirlib.explain.lime.ridge import Fit, RidgeOperator, SharedRows, kernel, weighted_ridge
from ftirlib.explain.lime.selection import RANKING_RIDGE, Selection


def _targets(predicted: np.ndarray, perturbed: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Targets (n, n_samples, n_labels): probabilities of the spectrum, then of its perturbed copies.

    `predicted` is (n, n_classes), `perturbed` (n or 1, n_samples - 1, n_classes), `labels` (n, n_labels).
    """
    perturbed = np.broadcast_to(perturbed, (len(predicted), *perturbed.shape[1:]))
    both = np.concatenate([predicted[:, None], perturbed], axis=1)
    return np.take_along_axis(both, labels[:, None, :], axis=2)


def _joined(fits: list[Fit]) -> Fit:
    return Fit(*(np.concatenate([getattr(fit, name) for fit in fits]) for name in Fit.__dataclass_fields__))


class AroundInstance:
    """Gaussian noise around each spectrum: design and weights are the same for all, hence one solve matrix."""

    def __init__(self, noise: GaussianNoise, width: float, ridge: float, selection: Selection | None):
        self.noise, self.ridge, self.selection = noise, ridge, selection
        self.weights = kernel(np.square(noise.design).sum(1), width)
        if selection is None or selection.is_by_rank:
            alpha = ridge if selection is None else RANKING_RIDGE
            self.operator = RidgeOperator(noise.design, self.weights, alpha).keep_matrix()

    def shared(self, forward: Forward) -> None:
        """None: every spectrum has perturbed spectra of its own."""

    def fit(self, forward: Forward, shared: None, spectra, predicted, labels) -> Fit:
        targets = _targets(predicted, forward.around(spectra, self.noise.scaled[1:]), labels)
        first = self.noise.features(spectra)
        fit = self.operator(targets) if self.selection is None else self._selected(targets, first)
        # The shared design is centred on the spectrum; the package's is centred on the background's mean.
        intercept = fit.intercept - (fit.coef @ first[:, :, None])[..., 0]
        return replace(fit, coef=self.noise.by_wavenumber(fit.coef), intercept=intercept)

    def _selected(self, targets, first) -> Fit:
        rankings = self.operator(targets).coef if self.selection.is_by_rank else [None] * len(targets)
        design, weights = self.noise.design, self.weights
        return _joined(
            [
                self.selection.fit(design, weights, target, self.ridge, first=row, ranking=ranking)
                for target, row, ranking in zip(targets, first, rankings)
            ]
        )


class AroundMean:
    """Gaussian noise around the background's mean: the perturbed spectra and their predictions are shared."""

    def __init__(self, noise: GaussianNoise, width: float, ridge: float, selection: Selection | None):
        self.noise, self.width, self.ridge, self.selection = noise, width, ridge, selection
        self.rows = noise.scaled + noise.mean
        if selection is None or selection.is_by_rank:
            self.system = SharedRows(noise.design, ridge if selection is None else RANKING_RIDGE)

    def shared(self, forward: Forward) -> np.ndarray:
        return forward(self.rows[1:])[None]

    def fit(self, forward: Forward, shared: np.ndarray, spectra, predicted, labels) -> Fit:
        targets, first = _targets(predicted, shared, labels), self.noise.features(spectra.astype(np.float64))
        weights = kernel(squared_distance(self.noise.design, first), self.width)  # (n_samples, n)
        if self.selection is None:
            fit = self.system.solve(first, weights, targets)
        else:
            fit = self._selected(targets, first, weights)
        return replace(fit, coef=self.noise.by_wavenumber(fit.coef))

    def _selected(self, targets, first, weights) -> Fit:
        is_ranked = self.selection.is_by_rank
        rankings = self.system.solve(first, weights, targets).coef if is_ranked else [None] * len(targets)
        design, fits = self.noise.design.copy(), []
        for k, (target, ranking) in enumerate(zip(targets, rankings)):
            design[0] = first[k]
            fits.append(self.selection.fit(design, weights[:, k], target, self.ridge, ranking=ranking))
        return _joined(fits)


class Binned:
    """Every wavenumber drawn anew from the background's bins; the design is 1 in the spectrum's bin, else 0."""

    def __init__(self, noise: BinnedNoise, width: float, ridge: float, selection: Selection | None):
        self.noise, self.width, self.ridge, self.selection = noise, width, ridge, selection

    def shared(self, forward: Forward) -> np.ndarray:
        return forward(self.noise.rows)[None]

    def fit(self, forward: Forward, shared: np.ndarray, spectra, predicted, labels) -> Fit:
        targets = _targets(predicted, shared, labels)
        solve = weighted_ridge if self.selection is None else self.selection.fit
        n_samples, n_wavenumbers = targets.shape[1], spectra.shape[1]
        fits = []
        design = np.ones((n_samples, n_wavenumbers))
        for bins, target in zip(self.noise.bins_of(spectra), targets):
            same = self.noise.bins == bins
            design[1:] = same
            changed = np.append(0, n_wavenumbers - same.sum(1))  # wavenumbers that left the bin: the squared distance
            fits.append(solve(design, kernel(changed, self.width), target, self.ridge))
        return _joined(fits)


def squared_distance(design: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(n_samples, n) of every row of the design to each spectrum's own `first` (n, n_features); zero in row 0."""
    squared = np.square(design).sum(1)[:, None] - 2 * (design @ first.T) + np.square(first).sum(1)
    squared[0] = 0
    return np.maximum(squared, 0)  # below zero is rounding
