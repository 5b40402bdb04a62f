"""Transformer blocks over the points of a spectrum, shared by the encoder and the decoder.

Vaswani et al. 2017 (arXiv:1706.03762): self-attention, feed-forward layer, sinusoidal positions; normalised
before each, not after, as Xiong et al. 2020 (arXiv:2002.04745) advise.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each given its input normalised and added to it as it was.

    Attention is `scaled_dot_product_attention`, which never stores the (tokens x tokens) matrix.

    Paper A does not say where the norms stand. After the sums, as in Vaswani et al., they take the amplitude out
    of the encoder's tokens of four features, and training starts with some hundred steps in which the
    transformer decodes the mean spectrum whatever z is. Before them, amplitudes pass and those steps are few.

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

    With `bfloat16` the products inside are of bfloat16 numbers, at half the memory; parameters, norms and what
    comes out stay in the precision of the input.
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
    place = torch.arange(tokens)[:, None]
    rate = torch.exp(-torch.arange(0, width, 2) / width * torch.log(torch.tensor(10_000.0)))
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=-1).flatten(-2)
