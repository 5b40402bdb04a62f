"""From a spectrum and its LIME weights, end to end, to 64 features: the convolutional and the transformer encoder.

Hartigan et al. (paper A), "Modified CRIME Framework"; strides and join follow the paper's MSCNN.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ftirlib.explain.crime.attention import Transformer

REFERENCE = 801  # wavenumbers of the published axis, for which kernel widths are given
CHANNELS = 8  # filters per kernel, as in the MSCNN


def scaled_kernels(kernels: tuple[int, ...], n_wavenumbers: int) -> list[int]:
    """Kernel widths in points of an axis of `n_wavenumbers`, given for one of 801.

    A width keeps its share of the spectrum, and is at least three points, the fewest that see a bend.

    Examples
    --------
    >>> scaled_kernels((3, 300), 801), scaled_kernels((3, 300), 208)
    ([3, 300], [3, 78])
    """
    return [max(3, round(width * n_wavenumbers / REFERENCE)) for width in kernels]


class MultiScale(nn.Module):
    """The first layer of both encoders: one convolution per kernel width, joined along the positions.

    As in the MSCNN, each has 8 filters, steps by half its width, and pads nothing. The input is one channel
    of 2 n points, the spectrum followed by its weights.
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
        self.transformer = Transformer(
            self.tokens,
            self.WIDTH,
            layers=self.LAYERS,
            heads=self.HEADS,
            hidden=self.HIDDEN,
            causal=False,
            bfloat16=bfloat16,
        )
        self.out = nn.Linear(self.tokens * self.WIDTH, features)

    def forward(self, x: Tensor) -> Tensor:  # (batch, 2 n)
        tokens = self.project(torch.relu(self.first(x)).transpose(1, 2))  # (batch, tokens, 4)
        return torch.relu(self.out(self.transformer(tokens).flatten(1)))  # (batch, features)
