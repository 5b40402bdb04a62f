"""A torch module taken apart at its first non-linearity, so that what comes before it is computed once.

An affine map of a perturbed spectrum is its value at the spectrum plus what the noise adds, and the noise is the same
for every spectrum: with a shared bank both are computed once. (Idea: `lime`'s noise does not depend on the spectrum;
Ribeiro, Singh & Guestrin 2016, doi:10.1145/2939672.2939778.)
"""

from __future__ import annotations

from itertools import chain, takewhile

import torch
from torch import nn

# In evaluation mode each of these is an affine map of its input.
AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.BatchNorm1d, nn.Identity, nn.Dropout, nn.Flatten, nn.Unflatten)


def parts_of(module: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """Pairs (affine, rest) such that the module's output is the mean over pairs of ``rest(affine(spectra))``.

    A module may name its own with a method ``parts``, as `ftirlib.classify.vote.Vote` does; a `torch.nn.Sequential`
    is cut after its leading affine layers; of any other the affine part is the identity.

    Parameters
    ----------
    module : nn.Module
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
    """What noise (n, n_wavenumbers) adds to the output of the affine map, whatever it is added to."""
    return affine(noise) - affine(torch.zeros_like(noise[:1]))


def pull_back(affine: nn.Module, gradient: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Gradient with respect to the spectra, (n, n_wavenumbers), of one with respect to the map's output (n, ...).

    Parameters
    ----------
    affine : nn.Module
    gradient : tensor
    like : (any, n_wavenumbers) tensor
        Whose type and device the spectra have.
    """
    if isinstance(affine, nn.Identity):
        return gradient
    with torch.enable_grad():
        anywhere = like.new_zeros(len(gradient), like.shape[1], requires_grad=True)  # its slope is the same everywhere
        return torch.autograd.grad(affine(anywhere), anywhere, gradient)[0]


def first_tensor(module: nn.Module) -> torch.Tensor:
    """A tensor whose type and device the module's input must share: its first floating weight or buffer."""
    found = (t for t in chain(module.parameters(), module.buffers()) if t.is_floating_point())
    return next(found, torch.zeros(()))
