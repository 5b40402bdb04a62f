"""A classifier as the explainers see it: a checked function from spectra to class probabilities.

It may be an estimator, a function, or a torch module (PyTorch, arXiv:1912.01703). A module is cut at its first
non-linearity: an affine map of a perturbed spectrum is its value at the spectrum plus the response to the noise, and
with one noise bank for all spectra (as `lime` draws it) both are computed once.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain, takewhile

import numpy as np
import torch
from torch import nn

from ftirlib.errors import ModelError

PREDICT_ROWS = 8192  # rows given to a function at a time: 52 MB of float64 at 801 wavenumbers
MODULE_ROWS = 512  # rows given to a module at a time: its activations then stay in the processor's cache
RESPONSE_VALUES = 2**25  # responses to the noise in memory at a time: 128 MB in single precision
# In evaluation mode each of these is an affine map of its input.
AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.BatchNorm1d, nn.Identity, nn.Dropout, nn.Flatten, nn.Unflatten)


class Forward:
    """Class probabilities of spectra, (n, n_wavenumbers) to (n, n_classes) float64, checked at each call.

    Parameters
    ----------
    model : object with predict_proba, nn.Module, or callable
        A module maps (n, n_wavenumbers) to probabilities and runs in evaluation mode. An estimator with a method
        ``prediction_module`` names the module that computes its ``predict_proba``.

    Raises
    ------
    ModelError
        When `model` is none of these, or its output is no table of probabilities.
    """

    def __init__(self, model):
        if hasattr(model, "prediction_module"):
            model = model.prediction_module()
        self.module = model if isinstance(model, nn.Module) else None
        if self.module is not None:
            self._parts, self._like = parts_of(model), first_tensor(model)
            self._call, self.block = self._from_module, MODULE_ROWS
        elif hasattr(model, "predict_proba"):
            self._call, self.block = model.predict_proba, PREDICT_ROWS
        elif callable(model):
            self._call, self.block = model, PREDICT_ROWS
        else:
            raise ModelError(
                f"{type(model).__name__} is no classifier; give an estimator with predict_proba, "
                "a function returning probabilities, or a torch module."
            )

    def _from_module(self, rows):
        with evaluating(self.module), torch.no_grad():
            return self.module(torch.as_tensor(rows).to(self._like)).cpu().numpy()

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        blocks = [rows[k : k + self.block] for k in range(0, len(rows), self.block)]
        return np.concatenate([check_probabilities(self._call(block), len(block)) for block in blocks])

    def around(self, spectra: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Probabilities (n, n_noise, n_classes) of every spectrum (n, n_wavenumbers) with every noise added.

        Parameters
        ----------
        spectra : (n, n_wavenumbers) array
        noise : (n_noise, n_wavenumbers) array
            In units of absorbance.
        """
        if self.module is not None:
            return self._around_by_parts(spectra, noise)
        together = max(1, self.block // len(noise))  # spectra that share one call of the model
        parts = []
        for k in range(0, len(spectra), together):
            rows = spectra[k : k + together, None, :].astype(np.float64) + noise
            parts.append(self(rows.reshape(-1, noise.shape[1])).reshape(len(rows), len(noise), -1))
        return np.concatenate(parts)

    def _around_by_parts(self, spectra, noise):
        spectra, noise = torch.as_tensor(spectra).to(self._like), torch.as_tensor(noise).to(self._like)
        total = None
        with evaluating(self.module), torch.no_grad():
            for affine, remainder in self._parts:
                base = affine(spectra)
                run = max(1, RESPONSE_VALUES // base[0].numel())
                for start in range(0, len(noise), run):
                    change = response(affine, noise[start : start + run])
                    for k in range(len(spectra)):
                        for first in range(0, len(change), self.block):
                            probabilities = remainder(base[k] + change[first : first + self.block])
                            if total is None:
                                total = np.zeros((len(spectra), len(noise), probabilities.shape[1]))
                            rows = slice(start + first, start + first + len(probabilities))
                            total[k, rows] += probabilities.cpu().numpy()
        total /= len(self._parts)
        check_probabilities(total.reshape(-1, total.shape[2]), total.shape[0] * total.shape[1])
        return total


def check_probabilities(values, n_rows: int) -> np.ndarray:
    """The values as float64 (n_rows, n_classes); a ModelError where they are no probabilities."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or len(values) != n_rows or values.shape[1] < 2:
        raise ModelError(
            f"the model returned shape {values.shape} for {n_rows} spectra; it must return ({n_rows}, n_classes) "
            "probabilities of at least two classes."
        )
    if not np.isfinite(values).all():
        raise ModelError(
            f"the model returned NaN or infinite probabilities for {(~np.isfinite(values).all(1)).sum()} of {n_rows} "
            "perturbed spectra; look for a division by zero or an overflow in its preprocessing."
        )
    sums = values.sum(1)
    if not np.allclose(sums, 1.0):
        raise ModelError(
            f"the model's rows sum to {sums.min():.6g}..{sums.max():.6g}, not to 1; "
            "pass probabilities (predict_proba or a softmax), not scores or logits."
        )
    return values


def as_differentiable(model) -> nn.Module:
    """The torch module inside `model`, for explanations that need its gradient.

    Raises
    ------
    ModelError
        When `model` is no module and has no ``as_module``.
    """
    if isinstance(model, nn.Module):
        return model
    if hasattr(model, "as_module"):
        return model.as_module()
    raise ModelError(
        f"mode 'limit' averages gradients, and {type(getattr(model, '__self__', model)).__name__} has none; "
        "give a torch module or an estimator with as_module, or choose mode 'instance'."
    )


@contextmanager
def evaluating(module: nn.Module):
    """Run `module` in evaluation mode, then restore the mode of every part."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield module
    finally:
        for part in training:
            part.training = True


def parts_of(module: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """Pairs (affine, remainder): the module's output is the mean over them of ``remainder(affine(spectra))``.

    A module may give its own by a method ``parts``; a `torch.nn.Sequential` is cut after its leading affine layers; of
    any other module the affine part is the identity.
    """
    if hasattr(module, "parts"):
        return module.parts()
    layers = list(_layers(module))
    leading = len(list(takewhile(lambda layer: isinstance(layer, AFFINE), layers)))
    if not leading:
        return [(nn.Identity(), module)]
    return [(nn.Sequential(*layers[:leading]), nn.Sequential(*layers[leading:]))]


def _layers(module):
    """The layers of nested `torch.nn.Sequential`s in order, or the module alone."""
    if type(module) is not nn.Sequential:
        yield module
        return
    for child in module:
        yield from _layers(child)


def response(affine: nn.Module, noise: torch.Tensor) -> torch.Tensor:
    """Change of the affine map's output by noise (n, n_wavenumbers), the same at every spectrum."""
    return affine(noise) - affine(torch.zeros_like(noise[:1]))


def pull_back(affine: nn.Module, gradient: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Gradient with respect to the spectra, (n, n_wavenumbers), from the gradient at the map's output (n, ...).

    `like` (any, n_wavenumbers) has the type and device of the spectra.
    """
    if isinstance(affine, nn.Identity):
        return gradient
    with torch.enable_grad():
        anywhere = like.new_zeros(len(gradient), like.shape[1], requires_grad=True)  # the slope is the same everywhere
        return torch.autograd.grad(affine(anywhere), anywhere, gradient)[0]


def first_tensor(module: nn.Module) -> torch.Tensor:
    """A tensor whose type and device the module's input must share: its first floating weight or buffer."""
    tensors = (t for t in chain(module.parameters(), module.buffers()) if t.is_floating_point())
    return next(tensors, torch.zeros(()))
