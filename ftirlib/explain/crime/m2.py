"""M2: the semi-supervised autoencoder of spectra and LIME weights, its networks and its bounds in nats per spectrum.

Kingma et al. 2014 (arXiv:1406.5298), model M2; unknown classes are summed out exactly. The networks are those of
Hartigan et al. (paper A), "Modified CRIME Framework"; strides and joined positions follow the paper's MSCNN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ftirlib.settings import Group

FEATURES = 64  # of a spectrum with its weights, from either encoder
CLASSIFIER_HIDDEN = 128
REFERENCE = 801  # wavenumbers of the published axis, for which kernel widths are given
CHANNELS = 8  # filters per kernel, as in the MSCNN
SMALLEST_NOISE = 0.01  # of the standard deviation of the data; a half that is constant would send the noise to zero

Variant = Literal["CP", "CT", "TT"]  # encoder, decoder: Convolutional, Transformer, Perceptron


class NetworkSettings(Group):
    """Settings of the networks of the autoencoder.

    As first published, the decoder of M2 gets the class beside z, so that z is freed of the class. Contexts are sought
    in z and must tell classes apart: by default z alone carries the class, which enters it by the class probabilities.
    """

    variant: Variant = Field("CP", description="encoder and decoder: Convolutional, Transformer, Perceptron")
    latent: int = Field(4, ge=1, description="dimensions of z")
    kernels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (3, 300),
        min_length=1,
        description="widths of the first convolutions, in points of an axis of 801; they keep their share of another",
    )
    patch: int = Field(
        1,
        ge=1,
        description="points per token of the transformers: 1 as in the paper; attention costs its inverse squared, the "
        "rest its inverse; CP has no tokens and takes 1 only",
    )
    decoder_input: Literal["latent", "latent+class"] = Field("latent", description="input of the decoder")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="of the products inside the transformers, everything else is float32; auto: bfloat16 on a GPU that "
        "has it, float32 elsewhere (bfloat16 was measured to be slower on processors)",
    )

    @model_validator(mode="after")
    def _check_perceptron(self):
        if self.variant == "CP" and self.patch != 1:
            raise ValueError(f"patch is {self.patch}, but variant 'CP' has no tokens; leave it at 1.")
        if self.variant == "CP" and self.precision == "bfloat16":
            raise ValueError("precision is 'bfloat16', but variant 'CP' has no transformer; leave it at 'auto'.")
        return self


# --- transformer blocks over the points of a spectrum ----------------------------------------------------------------


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each a residual of its normalised input (Vaswani et al. 2017).

    Attention is `scaled_dot_product_attention`, which never stores the (tokens x tokens) matrix. `heads` divides
    `width`; in a causal block a token sees itself and the tokens before it only.

    Paper A does not state the place of the norms. After the sums, as in Vaswani et al., they take the amplitude out
    of the encoder's tokens of four features, and for some hundred steps the transformer decodes the mean spectrum
    for any z. Before the layers (Xiong et al. 2020, arXiv:2002.04745) amplitudes pass and these steps are few.
    """

    def __init__(self, width: int, heads: int, hidden: int, *, causal: bool):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:  # (batch, tokens, width)
        qkv = self.qkv(self.before_attention(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (batch, heads, tokens, width / heads) each
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(seen.transpose(1, 2).flatten(-2))
        return x + self.feed(self.before_feed(x))


class Transformer(nn.Module):
    """Sinusoidal positions, then `layers` blocks; (batch, tokens, width) in and out.

    With `bfloat16` the products inside are of bfloat16 numbers, at half the memory; parameters, norms and output stay
    in the precision of the input.
    """

    def __init__(
        self, tokens: int, width: int, *, layers: int, heads: int, hidden: int, causal: bool, bfloat16: bool = False
    ):
        super().__init__()
        self.bfloat16 = bfloat16
        self.register_buffer("positions", sinusoids(tokens, width), persistent=False)
        self.blocks = nn.Sequential(*[Block(width, heads, hidden, causal=causal) for _ in range(layers)])

    def forward(self, x: Tensor) -> Tensor:
        if not self.bfloat16:
            return self.blocks(x + self.positions)
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.blocks(x + self.positions).to(x.dtype)


def sinusoids(tokens: int, width: int) -> Tensor:
    """Positions as sines and cosines of falling frequency, (tokens, width); width is even."""
    position = torch.arange(tokens)[:, None]
    rate = torch.exp(-torch.arange(0, width, 2) / width * torch.log(torch.tensor(10_000.0)))
    return torch.stack([torch.sin(position * rate), torch.cos(position * rate)], dim=-1).flatten(-2)


# --- encoders: a spectrum and its weights, end to end, to 64 features ------------------------------------------------


def scaled_kernels(kernels: tuple[int, ...], n_wavenumbers: int) -> list[int]:
    """Kernel widths in points of an axis of `n_wavenumbers`, from widths in points of an axis of 801.

    A width keeps its share of the spectrum, and is at least three points, the fewest that detect a bend.

    Examples
    --------
    >>> scaled_kernels((3, 300), 801), scaled_kernels((3, 300), 208)
    ([3, 300], [3, 78])
    """
    return [max(3, round(width * n_wavenumbers / REFERENCE)) for width in kernels]


class MultiScale(nn.Module):
    """First layer of both encoders: a convolution per kernel width, joined along the positions.

    As in the MSCNN, each has 8 filters and a stride of half its width, without padding. The input is one channel of
    2 n points, the spectrum followed by its weights.
    """

    def __init__(self, n_wavenumbers: int, kernels: tuple[int, ...], *, patch: int = 1):
        super().__init__()
        widths = [max(width, patch) for width in scaled_kernels(kernels, n_wavenumbers)]
        strides = [max(width // 2, patch) for width in widths]
        self.heads = nn.ModuleList(nn.Conv1d(1, CHANNELS, w, s) for w, s in zip(widths, strides))
        self.positions = sum((2 * n_wavenumbers - w) // s + 1 for w, s in zip(widths, strides))

    def forward(self, x: Tensor) -> Tensor:  # (batch, 2 n)
        x = x[:, None]  # (batch, 1, 2 n)
        return torch.cat([head(x) for head in self.heads], dim=-1)  # (batch, 8, positions)


class ConvEncoder(nn.Module):
    """C: multi-scale convolutions, ReLU, one fully connected layer, ReLU."""

    def __init__(self, n_wavenumbers: int, kernels: tuple[int, ...], features: int):
        super().__init__()
        self.first = MultiScale(n_wavenumbers, kernels)
        self.out = nn.Linear(CHANNELS * self.first.positions, features)

    def forward(self, x: Tensor) -> Tensor:  # (batch, 2 n)
        return torch.relu(self.out(torch.relu(self.first(x)).flatten(1)))  # (batch, features)


class TransformerEncoder(nn.Module):
    """T: the same first layer, each position projected to 4 dimensions, a transformer, one fully connected layer.

    `patch` is the least number of points from one position to the next: 1 as in the paper, more for speed.
    """

    WIDTH, LAYERS, HEADS, HIDDEN = 4, 3, 4, 64

    def __init__(
        self, n_wavenumbers: int, kernels: tuple[int, ...], features: int, *, patch: int, bfloat16: bool = False
    ):
        super().__init__()
        self.first = MultiScale(n_wavenumbers, kernels, patch=patch)
        self.tokens = self.first.positions
        self.project = nn.Linear(CHANNELS, self.WIDTH)
        sizes = {"layers": self.LAYERS, "heads": self.HEADS, "hidden": self.HIDDEN}
        self.transformer = Transformer(self.tokens, self.WIDTH, **sizes, causal=False, bfloat16=bfloat16)
        self.out = nn.Linear(self.tokens * self.WIDTH, features)

    def forward(self, x: Tensor) -> Tensor:  # (batch, 2 n)
        tokens = self.project(torch.relu(self.first(x)).transpose(1, 2))  # (batch, tokens, 4)
        return torch.relu(self.out(self.transformer(tokens).flatten(1)))  # (batch, features)


# --- decoders: from the latent space back to a spectrum and its weights ----------------------------------------------


class ScaledTanh(nn.Module):
    """SBT, the scaled and biased tanh: s * tanh(x) + b, with s and b learned for each output feature.

    It starts at b = 0 and s = 3: three standard deviations of the scaled data to each side.
    """

    def __init__(self, features: int):
        super().__init__()
        self.scale = nn.Parameter(torch.full((features,), 3.0))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:  # (..., features)
        return self.scale * torch.tanh(x) + self.bias


class PerceptronDecoder(nn.Module):
    """P: one fully connected layer and SBT."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.out = nn.Linear(inputs, outputs)
        nn.init.xavier_uniform_(self.out.weight)  # suits tanh: decoded draws of z begin as small ripples
        self.squash = ScaledTanh(outputs)

    def forward(self, z: Tensor) -> Tensor:  # (..., inputs)
        return self.squash(self.out(z))  # (..., outputs)


class TransformerDecoder(nn.Module):
    """T: a fully connected layer to the tokens, a causal transformer, `patch` output features per token, SBT."""

    WIDTH, LAYERS, HEADS, HIDDEN = 64, 3, 4, 256

    def __init__(self, inputs: int, outputs: int, *, patch: int, bfloat16: bool = False):
        super().__init__()
        self.outputs = outputs
        self.tokens = math.ceil(outputs / patch)  # surplus features of the last token are cut off
        self.project = nn.Linear(inputs, self.tokens * self.WIDTH)
        sizes = {"layers": self.LAYERS, "heads": self.HEADS, "hidden": self.HIDDEN}
        self.transformer = Transformer(self.tokens, self.WIDTH, **sizes, causal=True, bfloat16=bfloat16)
        self.out = nn.Linear(self.WIDTH, patch)
        nn.init.normal_(self.out.weight, std=0.02)  # small, so that decoded draws begin as small ripples
        self.squash = ScaledTanh(outputs)

    def forward(self, z: Tensor) -> Tensor:  # (..., inputs)
        lead = z.shape[:-1]
        tokens = self.project(z).reshape(-1, self.tokens, self.WIDTH)  # (rows, tokens, 64)
        points = self.out(self.transformer(tokens)).flatten(1)[:, : self.outputs]  # (rows, outputs)
        return self.squash(points.reshape(*lead, self.outputs))


# --- the model -------------------------------------------------------------------------------------------------------


@dataclass
class Terms:
    """Terms of minus the bound, each (n,) nats, and the squared errors of spectrum and weights."""

    reconstruction: Tensor
    kl: Tensor
    label: Tensor
    squared_error: Tensor  # (2, n)

    def negative(self, beta: float) -> Tensor:
        return self.reconstruction + beta * self.kl + self.label


def best_noise(mean_square: Tensor) -> Tensor:
    """Standard deviation of the largest likelihood for each half: the root of its mean square error.

    Rybkin et al. 2021 (arXiv:2006.13202), with a value per half and epoch.
    """
    return mean_square.sqrt().clamp_min(SMALLEST_NOISE)


class M2(nn.Module):
    """q(y|x), q(z|x, y) and p(x|z) or p(x|z, y) for x = (scaled spectrum, scaled weights).

    - features h = encoder(x); q(y|x) = softmax of FC 64 -> 128 -> classes, ReLU between.
    - q(z|x, y) is normal; its mean and log-variance are one linear map of (y, h), y one-hot. Being linear,
      with the probabilities q(y|x) in the place of y it gives the expected mean and log-variance over q(y|x).
    - p(x|...) is normal about the decoder's output, with one standard deviation `noise` for the spectrum and
      one for the weights; p(y) is uniform; p(z) standard normal.

    Parameters
    ----------
    settings : NetworkSettings
    n_wavenumbers, n_classes : int
    bfloat16 : bool
        Precision of the products inside the transformers.
    """

    def __init__(self, settings: NetworkSettings, n_wavenumbers: int, n_classes: int, *, bfloat16: bool = False):
        super().__init__()
        self.settings, self.n_wavenumbers, self.n_classes = settings, n_wavenumbers, n_classes
        kernels, patch, latent = settings.kernels, settings.patch, settings.latent
        if settings.variant[0] == "C":
            self.encoder = ConvEncoder(n_wavenumbers, kernels, FEATURES)
        else:
            self.encoder = TransformerEncoder(n_wavenumbers, kernels, FEATURES, patch=patch, bfloat16=bfloat16)
        self.classifier = nn.Sequential(
            nn.Linear(FEATURES, CLASSIFIER_HIDDEN), nn.ReLU(), nn.Linear(CLASSIFIER_HIDDEN, n_classes)
        )
        self.posterior = nn.Linear(n_classes + FEATURES, 2 * latent)
        inputs = latent + (n_classes if settings.decoder_input == "latent+class" else 0)
        if settings.variant[1] == "P":
            self.decoder = PerceptronDecoder(inputs, 2 * n_wavenumbers)
        else:
            self.decoder = TransformerDecoder(inputs, 2 * n_wavenumbers, patch=patch, bfloat16=bfloat16)
        self.register_buffer("noise", torch.ones(2))  # of the spectrum and of the weights

    def embed(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of z, each (..., latent), from classes (..., classes) and features (..., 64)."""
        of_class, of_features = self.posterior.weight.split([self.n_classes, FEATURES], dim=1)
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
        constant = self.n_wavenumbers * (math.log(2 * math.pi) + noise.log().sum())
        return (0.5 * halves / noise.square()).sum(-1) + constant

    def labelled(self, x: Tensor, h: Tensor, label: Tensor, noise: Tensor) -> Terms:
        """Terms of -log p(x, y) for known classes `label` (n,); the label term is -log p(y)."""
        nll, kl, halves = self.given_class(x, h, F.one_hot(label, self.n_classes).to(x.dtype), noise)
        return Terms(nll, kl, torch.full_like(nll, math.log(self.n_classes)), halves.T)

    def unlabelled(self, x: Tensor, h: Tensor, logits: Tensor, noise: Tensor) -> Terms:
        """Terms of -log p(x), the mean over all classes weighted by q(y|x); the label term is KL(q(y|x) || p(y))."""
        every = torch.eye(self.n_classes, dtype=x.dtype, device=x.device)[None]  # (1, classes, classes)
        nll, kl, halves = self.given_class(x[:, None], h[:, None], every, noise[:, None])  # (n, classes)
        log_q = logits.log_softmax(-1)
        q = log_q.exp()
        label = (q * log_q).sum(-1) + math.log(self.n_classes)
        return Terms((q * nll).sum(-1), (q * kl).sum(-1), label, (q[..., None] * halves).sum(1).T)

    def set_noise(self, mean_square: Tensor) -> None:
        """Set the two standard deviations to the best for these mean square errors (2,)."""
        self.noise.copy_(best_noise(mean_square))

    @torch.no_grad()
    def layer_table(self) -> list[dict]:
        """Table of the layers with parameters, with their output for one spectrum.

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
            features = self.encoder(self.posterior.weight.new_zeros(1, 2 * self.n_wavenumbers))
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
