"""Limit of LIME around a spectrum with ever more samples: the gradient averaged over Gaussian noise.

Agarwal et al. (2021, arXiv:2102.10618) and Garreau & von Luxburg (2020, arXiv:2001.03447). With a Gaussian
kernel of width w the weighted noise is again Gaussian, its variance smaller by 1 / (1 + 1 / w^2), and the
coefficient of wavenumber j is ``scale_j * E[d f / d x_j]`` (Stein's lemma).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ftirlib.errors import ModelError
from ftirlib.explain.attribution import relative_error
from ftirlib.explain.lime.forward import (
    Forward,
    as_differentiable,
    check_probabilities,
    evaluating,
    pull_back,
    response,
)
from ftirlib.explain.lime.noise import GaussianNoise
from ftirlib.explain.lime.ridge import Fit

PAIRS_PER_ROUND = 16  # opposite pairs between two estimates of the error
PAIRS_PER_GROUP = 4  # the standard error is estimated from the mean gradients of groups
GRADIENT_ROWS = 512  # rows whose gradients are taken together


@dataclass(frozen=True, eq=False)
class LimitFit(Fit):
    """A `Fit` with the standard error of every coefficient, (n, n_labels, n_features)."""

    standard_error: np.ndarray


class GradientForward(Forward):
    """Class probabilities and their gradient with respect to the spectrum.

    Raises
    ------
    ModelError
        When the model is no torch module and has no ``as_module``.
    """

    def __init__(self, model):
        super().__init__(as_differentiable(model))

    def tensor(self, values) -> torch.Tensor:
        """The values in the type and on the device of the module."""
        return torch.as_tensor(values).to(self._like)

    def bases(self, spectra: torch.Tensor) -> list[torch.Tensor]:
        """Values of each part's affine map at the spectra."""
        with evaluating(self.module), torch.no_grad():
            return [affine(spectra) for affine, _ in self._parts]

    def group_gradients(self, bases, noise: torch.Tensor, labels: torch.Tensor, sizes: list[int]):
        """Probabilities around spectra, and their gradients averaged over groups of noise.

        Parameters
        ----------
        bases : list of (n, ...) tensor
            From `bases`.
        noise : (n_pairs, n_wavenumbers) tensor
            Each is added and subtracted.
        labels : (n, n_labels) tensor
        sizes : list of int
            Numbers of consecutive pairs in the groups.

        Returns
        -------
        probabilities : (n, 2 n_pairs, n_labels) array
        gradients : (n, n_groups, n_labels, n_wavenumbers) array, float64
        """
        n, n_labels = labels.shape
        n_pairs = len(noise)
        together = max(1, GRADIENT_ROWS // (2 * n_pairs))
        gradients = np.zeros((n, len(sizes), n_labels, noise.shape[1]))
        whole = None  # probabilities of all classes
        with evaluating(self.module):
            for (affine, remainder), base in zip(self._parts, bases):
                with torch.no_grad():
                    change = response(affine, noise)
                change = torch.cat([change, -change])
                for k in range(0, n, together):
                    rows = base[k : k + together, None] + change
                    n_here = len(rows)
                    rows = rows.flatten(0, 1).requires_grad_(True)
                    label = labels[k : k + together].repeat_interleave(2 * n_pairs, dim=0)
                    probabilities, slopes = _slopes(remainder, rows, label)
                    if whole is None:
                        whole = np.zeros((n, 2 * n_pairs, probabilities.shape[1]))
                    whole[k : k + together] += probabilities.cpu().numpy().reshape(n_here, 2 * n_pairs, -1)
                    means = []
                    for slope in slopes:  # of each label: (n_here * 2 * n_pairs, ...)
                        pairs = slope.view(n_here, 2, n_pairs, *base.shape[1:]).mean(1)
                        means += [group.mean(1) for group in pairs.split(sizes, dim=1)]
                    flat = pull_back(affine, torch.cat(means), noise)  # labels, groups, spectra
                    flat = flat.view(n_labels, len(sizes), n_here, -1).permute(2, 1, 0, 3)
                    gradients[k : k + together] += flat.double().cpu().numpy()
        gradients /= len(self._parts)
        whole /= len(self._parts)
        check_probabilities(whole.reshape(-1, whole.shape[2]), whole.shape[0] * whole.shape[1])
        return np.take_along_axis(whole, labels.cpu().numpy()[:, None, :], axis=2), gradients


def _slopes(remainder, rows, labels) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Probabilities of all classes, and their gradients with respect to the rows for each column of labels."""
    with torch.enable_grad():
        probabilities = remainder(rows)
        if not probabilities.requires_grad:
            raise ModelError(
                "the module's output does not depend on its input through differentiable steps (a hard vote, "
                "perhaps); use soft probabilities, or choose mode 'instance'."
            )
        chosen = probabilities.gather(1, labels)  # (n, n_labels)
        n_labels = labels.shape[1]
        slopes = [
            torch.autograd.grad(chosen[:, k].sum(), rows, retain_graph=k + 1 < n_labels)[0] for k in range(n_labels)
        ]
    return probabilities.detach(), slopes


class AveragedGradient:
    """The gradient averaged over pairs of opposite noise, until the standard error is small enough.

    Parameters
    ----------
    noise : GaussianNoise
        Half its `n_samples` is the number of pairs.
    width : float
        Of the kernel.
    tolerance : float or None
        Stop at this ratio of the norm of the standard errors to the norm of the coefficients.

    Notes
    -----
    All spectra share the noise, so an explanation does not depend on the spectra explained with it; the errors of
    different spectra are therefore correlated, as the stability over several banks shows. The standard error comes
    from the variation between means of a few pairs: a mean, not each gradient, passes backwards through the affine
    part of the model.
    """

    def __init__(self, noise: GaussianNoise, width: float, tolerance: float | None):
        self.noise, self.width, self.tolerance = noise, width, tolerance
        self.draws = noise.narrowed(width, noise.n_samples // 2) * noise.scale  # in units of absorbance

    def shared(self, forward: GradientForward) -> None:
        """None: every gradient is taken around a spectrum of its own."""

    def fit(self, forward: GradientForward, shared: None, spectra, predicted, labels) -> LimitFit:
        noise = forward.tensor(self.draws)
        bases = forward.bases(forward.tensor(spectra))
        label = torch.as_tensor(labels, device=noise.device)
        shape = (*labels.shape, spectra.shape[1])
        total, squares = np.zeros(shape), np.zeros(shape)  # over groups, of the mean gradient times its pairs
        value, value2 = np.zeros(labels.shape), np.zeros(labels.shape)  # over rows, from the spectrum's own value
        pairs, groups = np.zeros(len(spectra), dtype=np.int64), np.zeros(len(spectra), dtype=np.int64)
        origin = np.take_along_axis(predicted, labels, axis=1)  # (n, n_labels)
        active = np.arange(len(spectra))
        for start in range(0, len(noise), PAIRS_PER_ROUND):
            draws = noise[start : start + PAIRS_PER_ROUND]
            sizes = _group_sizes(len(draws), len(noise))
            chosen, gradient = forward.group_gradients([base[active] for base in bases], draws, label[active], sizes)
            gradient = self.noise.averaged(self.noise.scale * gradient)
            weight = np.asarray(sizes, np.float64)[None, :, None, None]
            total[active] += (weight * gradient).sum(1)
            squares[active] += (weight * np.square(gradient)).sum(1)
            change = chosen - origin[active, None]
            value[active] += change.sum(1)
            value2[active] += np.square(change).sum(1)
            pairs[active] += len(draws)
            groups[active] += len(sizes)
            if self.tolerance is not None:
                coef, error = self._estimate(total[active], squares[active], pairs[active], groups[active])
                active = active[(relative_error(coef, error) > self.tolerance).any(1)]
                if not len(active):
                    break
        coef, error = self._estimate(total, squares, pairs, groups)
        rows = 2 * pairs[:, None]
        average = value / rows  # of the probability, less the spectrum's own
        variance = (value2 - rows * average**2) / (rows - 1)
        of_error = (self.noise.narrowed_variance(self.width) * np.square(error)).sum(-1)
        explained = self.noise.variation(coef, self.width) - of_error
        score = np.divide(explained, variance, out=np.ones_like(explained), where=variance > 0)
        local = origin + average
        offset = (spectra - self.noise.mean) / self.noise.scale
        return LimitFit(coef, local - (coef @ offset[:, :, None])[..., 0], score, local, error)

    def _estimate(self, total, squares, pairs, groups):
        """Mean of the gradients, and its standard error from groups of pairs."""
        pairs, groups = pairs[:, None, None], groups[:, None, None]
        average = total / pairs
        variance = np.maximum(squares - pairs * average**2, 0) / (groups - 1)  # below zero is rounding
        return average, np.sqrt(variance / pairs)


def _group_sizes(n_here: int, n_all: int) -> list[int]:
    """Sizes of the groups of pairs in a round; single pairs when there are few in all."""
    size = max(1, min(PAIRS_PER_GROUP, n_all // 8))
    return [size] * (n_here // size) + [n_here % size] * (n_here % size > 0)
