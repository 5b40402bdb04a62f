"""Transformer blocks over the points of a spectrum, shared by the encoder and the decoder.

Vaswani et al. 2017 (arXiv:1706.03762): self-attention, feed-forward layer, sinusoidal positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each added to its input and normalised after.

    Attention is `scaled_dot_product_attention`, which never stores the (tokens x tokens) matrix.

    Parameters
    ----------
    width, heads, hidden : int
        Features per token, attention heads (a divisor of `width`), features of the hidden layer.
    causal : bool
        A token sees itself and those before it only.
    """

    def __init__(self, width: int, heads: int, hidden: int, *, causal: bool):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:  # (batch, tokens, width)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (batch, heads, tokens, w/h)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = self.norm1(x + self.out(seen.transpose(1, 2).flatten(-2)))
        return self.norm2(x + self.feed(x))


class Transformer(nn.Module):
    """Sinusoidal positions, then `layers` blocks; (batch, tokens, width) in and out."""

    def __init__(self, tokens: int, width: int, *, layers: int, heads: int, hidden: int, causal: bool):
        super().__init__()
        self.register_buffer("positions", sinusoids(tokens, width), persistent=False)
        self.blocks = nn.Sequential(*[Block(width, heads, hidden, causal=causal) for _ in range(layers)])

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x + self.positions)


def sinusoids(tokens: int, width: int) -> Tensor:
    """Positions as sines and cosines of falling frequency, (tokens, width); width is even."""
    place = torch.arange(tokens)[:, None]
    rate = torch.exp(-torch.arange(0, width, 2) / width * torch.log(torch.tensor(10_000.0)))
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=-1).flatten(-2)
