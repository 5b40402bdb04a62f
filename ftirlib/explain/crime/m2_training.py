"""Training of the autoencoder: a batch in memory, the best epoch by validation bound, resumable.

Kingma et al. 2014 (arXiv:1406.5298), equation 9, with Adam (Kingma & Ba 2015, arXiv:1412.6980).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn import functional as F

from ftirlib.classify.loop import resume, save_checkpoint
from ftirlib.errors import ModelError
from ftirlib.explain.crime.m2 import M2, Terms, best_noise
from ftirlib.settings import Group
from ftirlib.spectra.model import UNKNOWN
from ftirlib.spectra.rows import Rows

TOKENS_AT_ONCE = 2**15  # decoded tokens, over spectra and classes, whose activations are in memory: some 0.4 GB


class Objective(Group):
    """Settings of the objective and its optimisation.

    The bound sums over all 2 n input values, hundreds of nats, and where the class is not seen the classifier head is
    also drawn to the class that is decoded best: below full supervision it may follow its labels only at a larger
    `alpha` than that of Kingma et al., the default. Look at the history's classification, which is log(n_classes) for a
    head that has learned nothing. With full supervision and some hundred steps the head agrees with the labels it saw
    as well as logistic regression of the same input, as long as there are more spectra than input values; with fewer,
    regression learns any labels by heart.
    """

    beta: float = Field(1.0, ge=0, description="weight of the divergence of z from its prior")
    alpha: float = Field(0.1, ge=0, description="weight of the classification loss")
    epochs: int = Field(60, ge=1)
    batch: int = Field(128, ge=2, description="spectra per step")
    learning_rate: float = Field(3e-3, gt=0, description="of Adam")
    noise: float | str = Field(
        "learned",
        description="standard deviation of the likelihood, in units of the scaled input; learned: one for the spectrum "
        "and one for the weights, 1 in the first epoch, then the root mean square error of the last (at least 0.01)",
    )

    @field_validator("noise")
    @classmethod
    def _check_noise(cls, value):
        if value != "learned" and (isinstance(value, str) or not value > 0):
            raise ValueError("it must be 'learned' or a number above 0")
        return value


def train(
    network: M2,
    x: np.ndarray | Rows,
    seen: Tensor,
    outside: np.ndarray | Rows,
    objective: Objective,
    random_state: int,
    *,
    checkpoint: str | os.PathLike | None = None,
    made_from: Mapping | None = None,
    progress: Callable[[dict], None] | None = None,
) -> list[dict]:
    """Train in place; the network ends in evaluation mode with the weights of its best epoch.

    The order of the spectra and the draws of z depend on the seed and the epoch's number alone, so that resumed
    training gives the same bytes as training without an interruption.

    Parameters
    ----------
    x : (n_spectra, 2 n_wavenumbers) array or Rows
        Scaled input; of `Rows` of a file, only a batch is in memory.
    seen : (n_spectra,) int tensor
        Class, or -1 where it is summed out, on the network's device.
    outside : (n_validation, 2 n_wavenumbers) array or Rows
        Chooses the epoch (`held_out`); without rows the last epoch is kept.
    objective : Objective
    random_state : int
    checkpoint : path, optional
    made_from : mapping
        Settings and data of the checkpoint; training goes on only from the same.
    progress : callable, optional

    Returns
    -------
    list of dict
        One entry per epoch.

    Raises
    ------
    ModelError
        A checkpoint made from other settings or data, or a loss that is not finite.
    """
    optimizer = torch.optim.Adam(network.parameters(), objective.learning_rate)
    if objective.noise != "learned":
        network.noise.fill_(objective.noise)
    history, best = [], {}
    if checkpoint and Path(checkpoint).exists():
        result, best = resume(checkpoint, network, optimizer, made_from)
        history = result["history"]
    while len(history) < objective.epochs:
        chance = generator(random_state, len(history))
        entry = {"epoch": len(history) + 1, **_train_epoch(network, x, seen, optimizer, objective, chance)}
        if len(outside):
            entry["validation"] = held_out(network, outside, objective, random_state)
        entry["noise_spectrum"], entry["noise_weights"] = network.noise.tolist()
        if not all(math.isfinite(value) for value in entry.values()):
            raise ModelError(
                f"the loss of epoch {entry['epoch']} is not finite; lower learning_rate "
                f"(now {objective.learning_rate}) or look for extreme values in the spectra or weights."
            )
        history.append(entry)
        if best_epoch(history) == entry["epoch"]:
            best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        if checkpoint:
            save_checkpoint(checkpoint, network, optimizer, made_from, {"history": history}, best)
        if progress:
            progress(entry)
    network.load_state_dict(best)
    network.eval()
    return history


def best_epoch(history: list[dict]) -> int:
    """Epoch, from 1, of the least validation value (the first of equals); the last epoch without validation."""
    if "validation" not in history[-1]:
        return len(history)
    return 1 + int(np.argmin([entry["validation"] for entry in history]))


@torch.no_grad()
def bound(network: M2, x: np.ndarray | Rows, objective: Objective, random_state: int) -> Tensor:
    """The unlabelled bound of each spectrum (n,), with one draw of z each, the same at every call."""
    return -_unlabelled(network, x, objective, random_state).negative(objective.beta)


@torch.no_grad()
def held_out(network: M2, x: np.ndarray | Rows, objective: Objective, random_state: int) -> float:
    """Minus the mean unlabelled bound of held-out spectra, where noise is learned at their own best noise.

    A new patient is decoded worse than the patients trained on. At their noise, which falls from epoch to epoch, its
    bound falls too even while z comes to carry more of its spectra, and the first epoch would be kept. The noise takes
    no part in the encoder, so its value is no reason to keep an epoch.
    """
    terms = _unlabelled(network, x, objective, random_state)
    if objective.noise == "learned":
        halves = terms.squared_error.mean(1)  # (2,)
        terms.reconstruction = network.reconstruction(halves, best_noise(halves / network.n_wavenumbers))
    return terms.negative(objective.beta).mean().item()


def _unlabelled(network: M2, x: np.ndarray | Rows, objective: Objective, random_state: int) -> Terms:
    """Terms of the unlabelled bound of each spectrum, some spectra at a time."""
    device = network.noise.device
    draws = _normal(len(x), network, generator(random_state, None))  # all at once, independent of the batch
    whole = {}
    for rows, block in Rows.of(x).blocks(min(objective.batch, spectra_at_once(network))):
        spectra = torch.from_numpy(block).to(device)
        features = network.encoder(spectra)
        terms = network.unlabelled(spectra, features, network.classifier(features), draws[rows])
        for f in fields(Terms):  # into arrays made once: many kept pieces would fragment memory
            part = getattr(terms, f.name)
            if f.name not in whole:
                whole[f.name] = part.new_empty((*part.shape[:-1], len(x)))
            whole[f.name][..., rows] = part
    return Terms(**whole)


def _joined(parts: list[Terms]) -> Terms:
    return Terms(**{f.name: torch.cat([getattr(part, f.name) for part in parts], dim=-1) for f in fields(Terms)})


def generator(seed: int, epoch: int | None) -> torch.Generator:
    """Random generator of an epoch, or of the bound (None), independent of all others."""
    words = np.random.SeedSequence([seed, 0 if epoch is None else epoch + 1]).generate_state(2)
    return torch.Generator().manual_seed(int(words[0]) << 31 ^ int(words[1]))


def spectra_at_once(network: M2) -> int:
    """Spectra whose activations are in memory at once, so that memory does not grow with the batch.

    A transformer decodes every class of every spectrum to `tokens` tokens; the perceptron counts as one token.
    """
    return max(1, TOKENS_AT_ONCE // (network.n_classes * getattr(network.decoder, "tokens", 1)))


def _normal(n: int, network: M2, chance: torch.Generator) -> Tensor:
    return torch.randn(n, network.settings.latent, generator=chance).to(network.noise.device)


def _train_epoch(network, x, seen, optimizer, objective, chance) -> dict:
    """Train on all spectra once; mean of each term per spectrum (of the cross-entropy per labelled spectrum)."""
    network.train()
    x, device = Rows.of(x), seen.device
    n, n_labelled = len(x), int((seen != UNKNOWN).sum())
    weight = objective.alpha * n / max(n_labelled, 1)
    sums, squared_error = (torch.zeros(count, dtype=torch.float64, device=device) for count in (5, 2))
    for batch in torch.randperm(n, generator=chance).split(objective.batch):
        noise = _normal(len(batch), network, chance)
        optimizer.zero_grad()
        pieces = spectra_at_once(network)  # their gradients add up to the batch's
        for rows, noise_of_rows in zip(batch.split(pieces), noise.split(pieces)):
            spectra = torch.from_numpy(x[rows.numpy()]).to(device)
            terms, cross_entropy = _terms(network, spectra, seen[rows.to(device)], noise_of_rows)
            loss = terms.negative(objective.beta).sum() + weight * cross_entropy
            (loss / len(batch)).backward()
            with torch.no_grad():
                parts = (terms.reconstruction.sum(), terms.kl.sum(), terms.label.sum(), cross_entropy, loss)
                sums += torch.stack(parts)
                squared_error += terms.squared_error.sum(1)
        optimizer.step()
    if objective.noise == "learned":
        network.set_noise(squared_error / (n * network.n_wavenumbers))
    network.eval()
    names = ("reconstruction", "kl", "label", "classification", "total")
    return dict(zip(names, (sums / sums.new_tensor([n, n, n, max(n_labelled, 1), n])).tolist()))


def _terms(network: M2, x: Tensor, seen: Tensor, noise: Tensor) -> tuple[Terms, Tensor]:
    """Terms of one batch, its labelled spectra first, and their summed cross-entropy."""
    features = network.encoder(x)
    logits = network.classifier(features)
    known = seen != UNKNOWN
    parts = []
    cross_entropy = x.new_zeros(())
    if known.any():
        parts.append(network.labelled(x[known], features[known], seen[known], noise[known]))
        cross_entropy = F.cross_entropy(logits[known], seen[known], reduction="sum")
    if not known.all():
        unknown = ~known
        parts.append(network.unlabelled(x[unknown], features[unknown], logits[unknown], noise[unknown]))
    return _joined(parts), cross_entropy
