"""What LIME around a spectrum converges to with ever more samples: the gradient averaged over Gaussian noise.

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
from ftirlib.explain.forward import (
    MODULE_ROWS,
    Forward,
    as_differentiable,
    check_probabilities,
    evaluating,
    first_tensor,
)
from ftirlib.explain.ridge import Fit

PAIRS_PER_ROUND = 16  # antithetic pairs between two looks at the error


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
        self.module = as_differentiable(model)
        super().__init__(self.module)

    def gradient(self, rows: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities (n, n_labels) of each row's labels, and gradients (n, n_labels, n_wavenumbers)."""
        rows = rows.requires_grad_(True)
        with evaluating(self.module), torch.enable_grad():
            probabilities = self.module(rows)
            if not probabilities.requires_grad:
                raise ModelError(
                    "the module's output does not depend on its input through differentiable steps (a hard vote, "
                    "perhaps); use soft probabilities, or choose mode 'instance'."
                )
            check_probabilities(probabilities.detach().cpu().numpy(), len(rows))
            chosen = probabilities.gather(1, labels)  # (n, n_labels)
            n_labels = labels.shape[1]
            gradients = [
                torch.autograd.grad(chosen[:, k].sum(), rows, retain_graph=k + 1 < n_labels)[0] for k in range(n_labels)
            ]
        return chosen.detach(), torch.stack(gradients, dim=1)


class AveragedGradient:
    """Average the gradient over pairs of opposite noise, until the error asked for is met.

    Parameters
    ----------
    scale : (n_wavenumbers,) array
        Standard deviation of the noise before the kernel narrows it.
    mean : (n_wavenumbers,) array
        Mean of the background, the design's origin.
    n_samples : int
        Most gradients taken per spectrum; even.
    width : float
        Of the kernel.
    seed : int
    tolerance : float or None
        Stop once the standard errors' norm is at most this share of the coefficients' norm.

    Notes
    -----
    The noise is shared by all spectra, so an explanation does not depend on its companions; the errors of
    different spectra are therefore correlated, which is what the stability over several banks shows.
    """

    def __init__(self, scale, mean, *, n_samples, width, seed, tolerance):
        self.scale, self.mean, self.tolerance = scale, mean, tolerance
        self.spread = 1 / (1 + 1 / width**2)  # variance left by the kernel
        noise = np.random.default_rng(seed).standard_normal((n_samples // 2, len(scale)), dtype=np.float32)
        self.noise = noise * np.sqrt(self.spread) * scale

    def shared(self, forward: GradientForward) -> None:
        """Nothing: every gradient is taken around a spectrum of its own."""

    def fit(self, forward: GradientForward, shared: None, spectra, own, labels) -> LimitFit:
        like = first_tensor(forward.module)
        noise = torch.as_tensor(self.noise).to(like)
        centre, label = torch.as_tensor(spectra).to(like), torch.as_tensor(labels, device=like.device)
        shape = (*labels.shape, spectra.shape[1])
        total, squares = np.zeros(shape), np.zeros(shape)  # over pairs, of the pair's mean gradient
        value, value2 = np.zeros(labels.shape), np.zeros(labels.shape)  # over rows, from the spectrum's own value
        pairs = np.zeros(len(spectra), dtype=np.int64)
        origin = np.take_along_axis(own, labels, axis=1)  # (n, n_labels)
        active = np.arange(len(spectra))
        for start in range(0, len(noise), PAIRS_PER_ROUND):
            both = noise[start : start + PAIRS_PER_ROUND]
            n_pairs = len(both)
            both = torch.stack([both, -both])  # (2, n_pairs, n_wavenumbers)
            together = max(1, MODULE_ROWS // (2 * n_pairs))
            for k in range(0, len(active), together):
                who = active[k : k + together]
                rows = (centre[who, None, None] + both).flatten(0, 2)  # (n_who * 2 * n_pairs, n_wavenumbers)
                chosen, gradient = forward.gradient(rows, label[who].repeat_interleave(2 * n_pairs, dim=0))
                gradient = gradient.view(len(who), 2, n_pairs, *shape[1:]).mean(1)
                total[who] += gradient.sum(1, dtype=torch.float64).cpu().numpy()
                squares[who] += gradient.square().sum(1, dtype=torch.float64).cpu().numpy()
                change = chosen.double().cpu().numpy().reshape(len(who), 2 * n_pairs, -1) - origin[who, None]
                value[who] += change.sum(1)
                value2[who] += np.square(change).sum(1)
                pairs[who] += n_pairs
            if self.tolerance is not None:
                coef, error = self._estimate(total[active], squares[active], pairs[active])
                active = active[(relative_error(coef, error) > self.tolerance).any(1)]
                if not len(active):
                    break
        coef, error = self._estimate(total, squares, pairs)
        rows = 2 * pairs[:, None]
        average = value / rows  # of the probability, less the spectrum's own
        variance = (value2 - rows * average**2) / (rows - 1)
        explained = self.spread * (np.square(coef) - np.square(error)).sum(-1)  # the error's own share taken off
        score = np.divide(explained, variance, out=np.ones_like(explained), where=variance > 0)
        local = origin + average
        offset = (spectra - self.mean) / self.scale
        return LimitFit(coef, local - (coef @ offset[:, :, None])[..., 0], score, local, error)

    def _estimate(self, total, squares, pairs):
        pairs = pairs[:, None, None]
        average = total / pairs
        variance = np.maximum(squares - pairs * average**2, 0) / (pairs - 1)  # below zero is rounding
        return self.scale * average, self.scale * np.sqrt(variance / pairs)
