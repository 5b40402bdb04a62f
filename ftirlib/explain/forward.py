"""A classifier as the explainers see it: a checked function from spectra to class probabilities.

Accepts what the field passes around: an estimator, a function, or a torch module (PyTorch, arXiv:1912.01703).
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain

import numpy as np
import torch

from ftirlib.errors import ModelError

PREDICT_ROWS = 8192  # rows handed to a function at a time: 52 MB of float64 at 801 wavenumbers
MODULE_ROWS = 1024  # rows a module sees at a time: its activations then stay in cache


class Forward:
    """Class probabilities of spectra, (n, n_wavenumbers) to (n, n_classes) float64, checked at each call.

    Parameters
    ----------
    model : object with predict_proba, torch.nn.Module, or callable
        A module maps (n, n_wavenumbers) to probabilities and runs in evaluation mode.

    Raises
    ------
    ModelError
        When `model` is none of these, or what it returns is no table of probabilities.
    """

    def __init__(self, model):
        if isinstance(model, torch.nn.Module):
            self._call, self.block = self._from_module(model), MODULE_ROWS
        elif hasattr(model, "predict_proba"):
            self._call, self.block = model.predict_proba, PREDICT_ROWS
        elif callable(model):
            self._call, self.block = model, PREDICT_ROWS
        else:
            raise ModelError(
                f"{type(model).__name__} is no classifier; give an estimator with predict_proba, "
                "a function returning probabilities, or a torch module."
            )

    @staticmethod
    def _from_module(module):
        like = first_tensor(module)

        def call(rows):
            with evaluating(module), torch.no_grad():
                return module(torch.as_tensor(rows).to(like)).cpu().numpy()

        return call

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        blocks = [rows[k : k + self.block] for k in range(0, len(rows), self.block)]
        return np.concatenate([check_probabilities(self._call(block), len(block)) for block in blocks])


def check_probabilities(values, n_rows: int) -> np.ndarray:
    """The values as float64 (n_rows, n_classes), or a ModelError that says why they are no probabilities."""
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


def as_differentiable(model) -> torch.nn.Module:
    """The torch module inside `model`, for explanations that need its gradient.

    Raises
    ------
    ModelError
        When `model` is no module and has no ``as_module``.
    """
    if isinstance(model, torch.nn.Module):
        return model
    if hasattr(model, "as_module"):
        return model.as_module()
    raise ModelError(
        f"mode 'limit' averages gradients, and {type(getattr(model, '__self__', model)).__name__} has none; "
        "give a torch module or an estimator with as_module, or choose mode 'instance'."
    )


def first_tensor(module: torch.nn.Module) -> torch.Tensor:
    """A tensor whose type and device the module's input must share: its first floating weight or buffer."""
    found = (t for t in chain(module.parameters(), module.buffers()) if t.is_floating_point())
    return next(found, torch.zeros(()))


@contextmanager
def evaluating(module: torch.nn.Module):
    """Run `module` in evaluation mode, and leave every part in the mode it was found in."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield module
    finally:
        for part in training:
            part.training = True
