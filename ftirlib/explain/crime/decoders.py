"""From the latent space back to a spectrum and its LIME weights: the perceptron and the transformer decoder.

Hartigan et al. (paper A), "Modified CRIME Framework".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ftirlib.explain.crime.attention import Transformer


class ScaledTanh(nn.Module):
    """SBT, the scaled and biased tanh: s * tanh(x) + b, with s and b learned for each output feature.

    Starts at b = 0 and s = 3: three standard deviations of the scaled data to each side.
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
        nn.init.xavier_uniform_(self.out.weight)  # made for tanh: draws of z begin as small ripples, not as noise
        self.squash = ScaledTanh(outputs)

    def forward(self, z: Tensor) -> Tensor:  # (..., inputs)
        return self.squash(self.out(z))  # (..., outputs)


class TransformerDecoder(nn.Module):
    """T: a fully connected layer to the tokens, a causal transformer, `patch` output features per token, SBT."""

    WIDTH, LAYERS, HEADS, HIDDEN = 64, 3, 4, 256

    def __init__(self, inputs: int, outputs: int, *, patch: int, bfloat16: bool = False):
        super().__init__()
        self.outputs = outputs
        self.tokens = math.ceil(outputs / patch)  # the last token's surplus features are cut off
        self.project = nn.Linear(inputs, self.tokens * self.WIDTH)
        self.transformer = Transformer(
            self.tokens,
            self.WIDTH,
            layers=self.LAYERS,
            heads=self.HEADS,
            hidden=self.HIDDEN,
            causal=True,
            bfloat16=bfloat16,
        )
        self.out = nn.Linear(self.WIDTH, patch)
        nn.init.normal_(self.out.weight, std=0.02)  # small, for the same reason
        self.squash = ScaledTanh(outputs)

    def forward(self, z: Tensor) -> Tensor:  # (..., inputs)
        lead = z.shape[:-1]
        tokens = self.project(z).reshape(-1, self.tokens, self.WIDTH)  # (rows, tokens, 64)
        points = self.out(self.transformer(tokens)).flatten(1)[:, : self.outputs]  # (rows, outputs)
        return self.squash(points.reshape(*lead, self.outputs))
