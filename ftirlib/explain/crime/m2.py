"""The semi-supervised autoencoder and its bounds, in nats per spectrum; unknown classes are summed out exactly.

Kingma et al. 2014 (arXiv:1406.5298), model M2, with the networks of Hartigan et al. (paper A).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ftirlib.explain.crime.decoders import PerceptronDecoder, TransformerDecoder
from ftirlib.explain.crime.encoders import ConvEncoder, TransformerEncoder

FEATURES = 64  # what either encoder ends in
CLASSIFIER_HIDDEN = 128
VARIANTS = ("CP", "CT", "TT")  # encoder, decoder: Convolutional, Transformer, Perceptron
DECODER_INPUTS = ("latent", "latent+class")
SMALLEST_NOISE = 0.01  # of the standard deviation of the data; a half that is constant would send the noise to zero


@dataclass(frozen=True)
class M2Settings:
    """What the network is built from; see `ftirlib.explain.crime.vae.CrimeVAE`."""

    n_wavenumbers: int
    n_classes: int
    variant: str = "CP"
    latent: int = 4
    kernels: tuple[int, ...] = (3, 300)
    patch: int = 1
    decoder_input: str = "latent"
    bfloat16: bool = False


@dataclass
class Terms:
    """The parts of minus the bound, each (n,) nats, and the squared error of the two halves, each (n,)."""

    reconstruction: Tensor
    kl: Tensor
    label: Tensor
    squared_error: Tensor  # (2, n)

    def negative(self, beta: float) -> Tensor:
        return self.reconstruction + beta * self.kl + self.label


def best_noise(mean_square: Tensor) -> Tensor:
    """The standard deviation at which the likelihood is largest: the root of the mean square error, of each half.

    Rybkin et al. 2021 (arXiv:2006.13202), with one value per half and per epoch.
    """
    return mean_square.sqrt().clamp_min(SMALLEST_NOISE)


class M2(nn.Module):
    """q(y|x), q(z|x, y) and p(x|z) or p(x|z, y) for x = (scaled spectrum, scaled weights).

    - features h = encoder(x); q(y|x) = softmax of FC 64 -> 128 -> classes, ReLU between.
    - q(z|x, y) is normal; its mean and log-variance are one linear map of (y, h), y one-hot. Being linear,
      with the probabilities q(y|x) in the place of y it gives the expected mean and log-variance over q(y|x).
    - p(x|...) is normal about the decoder's output, with one standard deviation `noise` for the spectrum and
      one for the weights; p(y) is uniform; p(z) standard normal.
    """

    def __init__(self, settings: M2Settings):
        super().__init__()
        self.settings = s = settings
        if s.variant[0] == "C":
            self.encoder = ConvEncoder(s.n_wavenumbers, s.kernels, FEATURES)
        else:
            self.encoder = TransformerEncoder(s.n_wavenumbers, s.kernels, FEATURES, patch=s.patch, bfloat16=s.bfloat16)
        self.classifier = nn.Sequential(
            nn.Linear(FEATURES, CLASSIFIER_HIDDEN), nn.ReLU(), nn.Linear(CLASSIFIER_HIDDEN, s.n_classes)
        )
        self.posterior = nn.Linear(s.n_classes + FEATURES, 2 * s.latent)
        inputs = s.latent + (s.n_classes if s.decoder_input == "latent+class" else 0)
        if s.variant[1] == "P":
            self.decoder = PerceptronDecoder(inputs, 2 * s.n_wavenumbers)
        else:
            self.decoder = TransformerDecoder(inputs, 2 * s.n_wavenumbers, patch=s.patch, bfloat16=s.bfloat16)
        self.register_buffer("noise", torch.ones(2))  # of the spectrum and of the weights

    def embed(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of z, each (..., latent), from classes (..., classes) and features (..., 64)."""
        of_class, of_features = self.posterior.weight.split([self.settings.n_classes, FEATURES], dim=1)
        out = F.linear(y, of_class) + F.linear(h, of_features, self.posterior.bias)  # FC of (y, h), broadcast
        return out.chunk(2, dim=-1)

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """Expected x, (..., 2 n), from z (..., latent) and y (..., classes)."""
        if self.settings.decoder_input == "latent+class":
            z = torch.cat([z, y.expand(*z.shape[:-1], -1)], dim=-1)
        return self.decoder(z)

    def given_class(self, x: Tensor, h: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """-log p(x|z, y), KL(q(z|x, y) || p(z)) and squared errors, for x (..., 2 n) and one-hot y (..., classes).

        z is one draw: mean + SD times `noise` (..., latent).
        """
        mean, log_variance = self.embed(y, h)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)
        expected = self.decode(mean + torch.exp(0.5 * log_variance) * noise, y)
        halves = (x - expected).square().unflatten(-1, (2, -1)).sum(-1)  # (..., 2)
        return self.reconstruction(halves, self.noise), kl, halves

    def reconstruction(self, halves: Tensor, noise: Tensor) -> Tensor:
        """-log p(x|z), (...), from the squared errors of the two halves (..., 2) and a noise for each (2,)."""
        constant = self.settings.n_wavenumbers * (math.log(2 * math.pi) + noise.log().sum())
        return (0.5 * halves / noise.square()).sum(-1) + constant

    def labelled(self, x: Tensor, h: Tensor, label: Tensor, noise: Tensor) -> Terms:
        """Terms of -log p(x, y) for known classes `label` (n,); the label term is -log p(y)."""
        classes = self.settings.n_classes
        nll, kl, halves = self.given_class(x, h, F.one_hot(label, classes).to(x.dtype), noise)
        return Terms(nll, kl, torch.full_like(nll, math.log(classes)), halves.T)

    def unlabelled(self, x: Tensor, h: Tensor, logits: Tensor, noise: Tensor) -> Terms:
        """Terms of -log p(x), every class tried and weighted by q(y|x); the label term is KL(q(y|x) || p(y))."""
        classes = self.settings.n_classes
        every = torch.eye(classes, dtype=x.dtype, device=x.device)[None]  # (1, classes, classes)
        nll, kl, halves = self.given_class(x[:, None], h[:, None], every, noise[:, None])  # (n, classes)
        log_q = logits.log_softmax(-1)
        q = log_q.exp()
        label = (q * log_q).sum(-1) + math.log(classes)
        return Terms((q * nll).sum(-1), (q * kl).sum(-1), label, (q[..., None] * halves).sum(1).T)

    def set_noise(self, mean_square: Tensor) -> None:
        """Set the two standard deviations to those that suit these mean square errors (2,) best."""
        self.noise.copy_(best_noise(mean_square))

    @torch.no_grad()
    def layer_table(self) -> list[dict]:
        """Every layer with parameters as the live network applies it to one spectrum.

        Returns
        -------
        list of dict
            ``layer``, ``kind``, ``shapes`` (of its parameters), ``output`` (for one spectrum) and ``parameters``.
        """
        layers = {name: m for name, m in self.named_modules() if any(True for _ in m.parameters(recurse=False))}
        outputs: dict[str, tuple] = {"posterior": (2 * self.settings.latent,)}  # applied in two parts, see `embed`
        hooks = [
            m.register_forward_hook(lambda m, i, out, name=name: outputs.update({name: tuple(out.shape[1:])}))
            for name, m in layers.items()
        ]
        try:
            features = self.encoder(self.posterior.weight.new_zeros(1, 2 * self.settings.n_wavenumbers))
            q = self.classifier(features).softmax(-1)
            self.decode(self.embed(q, features)[0], q)
        finally:
            for hook in hooks:
                hook.remove()
        return [
            {
                "layer": name,
                "kind": type(layer).__name__,
                "shapes": {part: tuple(p.shape) for part, p in layer.named_parameters(recurse=False)},
                "output": outputs[name],
                "parameters": sum(p.numel() for p in layer.parameters(recurse=False)),
            }
            for name, layer in layers.items()
        ]
