"""The autoencoder whose latent space holds the contexts: fitted to spectra and their LIME weights together.

Hartigan et al. (paper A), "Modified CRIME Framework": CRIME (Zaki et al. 2024) with the M2 model of Kingma
et al. 2014 (arXiv:1406.5298).
"""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch.nn import functional as F

from ftirlib.classify.weights import load_json, load_tensors, put_weights, save_json, save_tensors
from ftirlib.errors import DataError, ModelError, SettingsError
from ftirlib.explain.crime import STABILITY_FLOOR, check_stability
from ftirlib.explain.m2 import DECODER_INPUTS, M2, VARIANTS, M2Settings, Terms

UNKNOWN = -1  # a label nobody gave
ROWS = 1024  # spectra encoded at once


class CrimeVAE(BaseEstimator):
    """Semi-supervised variational autoencoder of spectra and explanations.

    The input is a spectrum followed by its LIME weights. Each of its 2 n values is scaled to mean 0 and
    standard deviation 1 over the training spectra; a value that never varies is centred only. The scaling is
    kept with the model.

    The objective per spectrum, in nats, is minus the labelled bound of M2 where the class is seen, minus the
    unlabelled bound with the class summed out elsewhere, plus `alpha` times the mean cross-entropy of the
    classifier head over the spectra whose class is seen (alpha N / N_labelled times the sum, over N).

    Parameters
    ----------
    variant : {"CP", "CT", "TT"}
        Encoder and decoder: Convolutional, Transformer, Perceptron (`encoders`, `decoders`).
    supervision : float in 0..1
        Share of the spectra of known class whose class the objective sees, drawn by `random_state` from each
        class alike and at least one of each. 0: unsupervised, no label is read.
    latent : int
        Dimensions of z.
    beta : float
        Weight of the divergence of z from its prior.
    alpha : float
        Weight of the classification loss.
    epochs, batch : int
    learning_rate : float
        Of Adam.
    kernels : tuple of int
        Widths of the first convolutions, in points of an axis of 801; on another they keep their share of
        the axis (`scaled_kernels`).
    patch : int
        Points per token of the transformers: 1 as in the paper; attention costs its inverse squared.
        The perceptron and the convolutional encoder have no tokens and take 1 only.
    noise : "learned" or float
        Standard deviation of the likelihood, in units of the scaled input. Learned: one for the spectrum and
        one for the weights, set after each epoch to that epoch's root mean square error (at least 0.01);
        the first epoch uses 1.
    decoder_input : {"latent", "latent+class"}
        What the decoder sees. M2 as first published gives it the class beside z, so that z is freed of the
        class. Contexts are sought in z and must tell classes apart: by default all the decoder learns of the
        class comes through z, into which the class probabilities enter.
    holdout : float in 0..0.5
        Share of the spectra that `fit` sets aside to choose the epoch when it is given no validation set;
        0 keeps the last epoch.
    random_state : int
        Seed of initial weights, hold-out, supervised spectra, order and draws of z.
    device : str

    Attributes
    ----------
    network_ : M2
        In evaluation mode, with the weights of the best epoch.
    history_ : list of dict
        Per epoch, in nats per spectrum: reconstruction, kl, label, classification (mean cross-entropy),
        total = reconstruction + beta kl + label + alpha classification, validation (minus the unlabelled
        bound), and the two noise levels after it.
    best_epoch_ : int
        The epoch, from 1, with the least `validation`.
    labelled_ : (n_labelled,) int
        Rows whose class the objective saw.
    heldout_ : (n_heldout,) int
        Rows set aside.
    mean_, scale_ : (2 n_wavenumbers,) float32
    n_wavenumbers_, n_classes_ : int

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 30)).astype("float32")
    >>> model = CrimeVAE(supervision=0, epochs=2).fit(x, x**2, n_classes=2)
    >>> [part.shape for part in model.encode(x, x**2)]
    [(60, 4), (60, 4)]
    """

    def __init__(
        self,
        *,
        variant: str = "CP",
        supervision: float = 0.2,
        latent: int = 4,
        beta: float = 1.0,
        alpha: float = 0.1,
        epochs: int = 60,
        batch: int = 256,
        learning_rate: float = 1e-3,
        kernels: tuple[int, ...] = (3, 300),
        patch: int = 1,
        noise: float | str = "learned",
        decoder_input: str = "latent",
        holdout: float = 0.1,
        random_state: int = 0,
        device: str = "cpu",
    ):
        self.variant = variant
        self.supervision = supervision
        self.latent = latent
        self.beta = beta
        self.alpha = alpha
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.kernels = kernels
        self.patch = patch
        self.noise = noise
        self.decoder_input = decoder_input
        self.holdout = holdout
        self.random_state = random_state
        self.device = device

    # --- fitting -----------------------------------------------------------------------------------------

    def fit(
        self,
        spectra,
        weights,
        labels=None,
        *,
        n_classes: int | None = None,
        validation: tuple | None = None,
        groups=None,
        stability=None,
        stability_floor: float | None = STABILITY_FLOOR,
        checkpoint: str | os.PathLike | None = None,
        progress: Callable[[dict], None] | None = None,
    ) -> CrimeVAE:
        """Train on spectra with one explanation each.

        Parameters
        ----------
        spectra, weights : (n_spectra, n_wavenumbers) array
        labels : (n_spectra,) int, optional
            Class of each spectrum, -1 where unknown; not needed and not read when `supervision` is 0.
        n_classes : int, optional
            Default: one more than the largest label. A class that no spectrum has keeps its place; the
            classifier head merely never sees it, and a warning says so.
        validation : (spectra, weights), optional
            Chooses the epoch. Default: a share `holdout` of the spectra, whole groups where `groups` is given.
        groups : (n_spectra,) int, optional
            Patient of each spectrum; without it single spectra are held out, neighbours of those trained on.
        stability : (n_spectra,) float, optional
            Stability of each explanation; refused when low, as `check_stability` says.
        stability_floor : float or None
            None: use the weights whatever their stability.
        checkpoint : path, optional
            File written whole after every epoch; training goes on from it where it exists, to the same bytes
            as training never interrupted. `epochs` may be raised in between, anything else must be the same.
        progress : callable, optional
            Called with the history's entry after every epoch.

        Returns
        -------
        CrimeVAE

        Raises
        ------
        SettingsError
            A parameter out of its range, or labels missing where supervision needs them.
        DataError
            Arrays that disagree, are not finite, or labels out of range; unstable explanations.
        ModelError
            A checkpoint made from something else, or a loss that is not finite.
        """
        self._check_settings()
        x = _joined(spectra, weights)
        check_stability(stability, stability_floor, len(x))
        labels, n_classes = self._check_labels(labels, n_classes, len(x))
        train, heldout = self._hold_out(len(x), groups, validation)
        outside = x[heldout] if validation is None else _joined(*validation, like=x)
        labelled = self._choose_labelled(labels, train)

        self.n_wavenumbers_, self.n_classes_ = x.shape[1] // 2, n_classes
        self.heldout_, self.labelled_ = heldout, labelled
        self.mean_, self.scale_ = _scaling(x[train])
        self.network_ = self._build()
        seen = np.full(len(x), UNKNOWN)
        seen[labelled] = labels[labelled]
        made_from = self._made_from(x, seen, train, outside) if checkpoint else None
        self._train(self._tensor(x[train]), torch.from_numpy(seen[train]), self._tensor(outside), made_from, checkpoint,
                    progress)
        return self

    def _train(self, x, seen, outside, made_from, checkpoint, progress) -> None:
        network, history, best = self.network_, [], {}
        seen = seen.to(self.device)
        optimizer = torch.optim.Adam(network.parameters(), self.learning_rate)
        if checkpoint and Path(checkpoint).exists():
            history, best = _resume(checkpoint, network, optimizer, made_from)
        if self.noise != "learned":
            network.noise.fill_(float(self.noise))
        while len(history) < self.epochs:
            chance = torch.Generator().manual_seed(_seed(self.random_state, len(history)))
            entry = {"epoch": len(history) + 1, **self._one_epoch(x, seen, optimizer, chance)}
            entry["validation"] = -self._bound(outside).mean().item() if len(outside) else None
            entry["noise_spectrum"], entry["noise_weights"] = network.noise.tolist()
            score = entry["total"] if entry["validation"] is None else entry["validation"]
            if not (math.isfinite(entry["total"]) and math.isfinite(score)):
                raise ModelError(
                    f"the loss of epoch {entry['epoch']} is not finite; lower learning_rate (now {self.learning_rate}) "
                    "or look for extreme values in the spectra or weights."
                )
            history.append(entry)
            if not best or not len(outside) or score < min(e["validation"] for e in history[:-1]):
                best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
                best_epoch = entry["epoch"]
            if checkpoint:
                _save_checkpoint(checkpoint, network, optimizer, made_from, history, best)
            if progress:
                progress(entry)
        network.load_state_dict(best)
        network.eval()
        self.history_ = history
        scores = [e["validation"] for e in history]
        self.best_epoch_ = len(history) if None in scores else 1 + int(np.argmin(scores))

    def _one_epoch(self, x, seen, optimizer, chance) -> dict:
        """One pass in random order; the mean of each term per spectrum."""
        network, n, n_labelled = self.network_.train(), len(x), int((seen >= 0).sum())
        share = n / n_labelled if n_labelled else 0.0
        sums = torch.zeros(4, device=self.device)
        squared_error = torch.zeros(2, device=self.device)
        order = torch.randperm(n, generator=chance).to(self.device)
        for rows in order.split(self.batch):
            loss, terms, cross_entropy = self._loss(x[rows], seen[rows], share, chance)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                sums += torch.stack([terms.reconstruction.sum(), terms.kl.sum(), terms.label.sum(), cross_entropy])
                squared_error += terms.squared_error.sum(1)
        if self.noise == "learned":
            network.set_noise(squared_error / (n * self.n_wavenumbers_))
        network.eval()
        reconstruction, kl, label, cross_entropy = sums.tolist()
        parts = {"reconstruction": reconstruction / n, "kl": kl / n, "label": label / n}
        parts["classification"] = cross_entropy / max(n_labelled, 1)
        total = parts["reconstruction"] + self.beta * parts["kl"] + parts["label"]
        return parts | {"total": total + self.alpha * parts["classification"]}

    def _loss(self, x, seen, share, chance):
        """Objective of one batch per spectrum, its terms, and the summed cross-entropy of its labelled spectra."""
        network = self.network_
        features = network.encoder(x)
        logits = network.classifier(features)
        noise = torch.randn(len(x), self.latent, generator=chance).to(x)
        known = seen >= 0
        parts = []
        cross_entropy = x.new_zeros(())
        if known.any():
            parts.append(network.labelled(x[known], features[known], seen[known], noise[known]))
            cross_entropy = F.cross_entropy(logits[known], seen[known], reduction="sum")
        if not known.all():
            free = ~known
            parts.append(network.unlabelled(x[free], features[free], logits[free], noise[free]))
        terms = Terms(*(torch.cat([getattr(p, f) for p in parts], dim=-1) for f in Terms.__dataclass_fields__))
        loss = terms.negative_bound(self.beta).mean() + self.alpha * share * cross_entropy / len(x)
        return loss, terms, cross_entropy.detach()

    # --- use ---------------------------------------------------------------------------------------------

    def encode(self, spectra, weights) -> tuple[np.ndarray, np.ndarray]:
        """Latent means and log-variances, each (n_spectra, latent) float32, expected over q(y|x)."""
        mean, log_variance, _ = self._encode(spectra, weights)
        return mean, log_variance

    def class_probabilities(self, spectra, weights) -> np.ndarray:
        """q(y|x) of the classifier head, (n_spectra, n_classes); untrained when supervision is 0."""
        return self._encode(spectra, weights)[2]

    def reconstruct(self, spectra, weights) -> tuple[np.ndarray, np.ndarray]:
        """Spectra and weights, each (n_spectra, n_wavenumbers) in their own units, decoded from the latent means."""
        mean, _, probabilities = self._encode(spectra, weights)
        with torch.no_grad():
            pieces = [
                self.network_.decode(z.to(self.device), y.to(self.device)).cpu()
                for z, y in zip(torch.from_numpy(mean).split(ROWS), torch.from_numpy(probabilities).split(ROWS))
            ]
        x = torch.cat(pieces).numpy() * self.scale_ + self.mean_
        return x[:, : self.n_wavenumbers_], x[:, self.n_wavenumbers_ :]

    def bound(self, spectra, weights) -> np.ndarray:
        """Lower bound on log p(x) of each spectrum with its weights, (n_spectra,) nats of the scaled input.

        One seeded draw of z per spectrum, classes summed out.
        """
        return self._bound(self._tensor(self._input(spectra, weights))).cpu().numpy()

    @torch.no_grad()
    def _bound(self, x: torch.Tensor) -> torch.Tensor:
        chance = torch.Generator().manual_seed(_seed(self.random_state, UNKNOWN))
        noise = torch.randn(len(x), self.latent, generator=chance).to(x)
        out = []
        for rows, draw in zip(x.split(self.batch), noise.split(self.batch)):
            features = self.network_.encoder(rows)
            terms = self.network_.unlabelled(rows, features, self.network_.classifier(features), draw)
            out.append(-terms.negative_bound(self.beta))
        return torch.cat(out)

    @torch.no_grad()
    def _encode(self, spectra, weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = self._input(spectra, weights)
        parts = []
        for start in range(0, len(x), ROWS):
            features = self.network_.encoder(self._tensor(x[start : start + ROWS]))
            q = self.network_.classifier(features).softmax(-1)
            parts.append([t.cpu() for t in (*self.network_.embed(q, features), q)])
        return tuple(torch.cat(part).numpy() for part in zip(*parts))

    def _input(self, spectra, weights) -> np.ndarray:
        if not hasattr(self, "history_"):
            raise ModelError("this CrimeVAE is not fitted; call fit or load one.")
        x = _joined(spectra, weights)
        if x.shape[1] != 2 * self.n_wavenumbers_:
            raise ModelError(
                f"spectra have {x.shape[1] // 2} wavenumbers but this autoencoder was fitted to "
                f"{self.n_wavenumbers_}; bring them to its axis first."
            )
        return x

    def _tensor(self, x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy((x - self.mean_) / self.scale_).to(self.device)
