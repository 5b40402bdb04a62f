"""The layers of the MSCNN, laid out so that a processor trains them fast.

Each computes what its stock counterpart computes (https://pytorch.org/docs); the tests compare them. Sources of the
layers themselves: batch-norm, Ioffe & Szegedy 2015 (arXiv:1502.03167); dropout, Srivastava et al. 2014.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Dropout from 16 random bits per value, where torch's own draws a whole float.

    The probability is rounded to a multiple of 1/65536, and what is kept is scaled by the rounded one, so the
    expectation is exact. Four values share one draw of torch's global generator. On a processor the stock layer's
    draws are a fifth of a training step, and these take a seventh of that.

    Parameters
    ----------
    p : float in [0, 1)
        Probability of a value to be set to 0 in training mode.
    """

    LEVELS = 2**16

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x):
        dropped = min(round(self.p * self.LEVELS), self.LEVELS - 1)
        if not self.training or not dropped:
            return x
        size = x.numel()
        draws = torch.empty(math.ceil(size / 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        # compared in place as floats, which hold 16 bits exactly: a boolean mask takes far longer to apply
        keep = draws.view(torch.int16)[:size].to(x.dtype).ge_(dropped - self.LEVELS // 2)
        return x * keep.mul_(self.LEVELS / (self.LEVELS - dropped)).view(x.shape)


class Step(nn.Module):
    """A linear map, its batch-norm, dropout and non-linearity, in the order the authors' code has them."""

    def __init__(self, linear, norm, *, dropout: float = 0.0, activation: nn.Module | None = None):
        super().__init__()
        self.linear, self.norm = linear, norm
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, x):
        return self.activation(self.dropout(self.norm(self.linear(x))))


class CoreStep(Step):
    """A `Step` that keeps channels last in memory: (spectra, length, channels) in and out.

    So laid out, convolutions need no reordering of their input and batch-norm runs over the rows of a matrix.
    The numbers are those of the usual layout, to rounding.
    """

    def forward(self, x):
        conv = self.linear
        if conv.in_channels == 1:
            x = convolve_one_channel(x.squeeze(2), conv.weight.squeeze(1), conv.stride[0])
        else:
            x = x.transpose(1, 2).unsqueeze(2)  # (spectra, channels, 1, length), channels last in memory
            x = F.conv2d(x, conv.weight.unsqueeze(2), stride=(1, conv.stride[0]))
            x = x.squeeze(2).transpose(1, 2)  # (spectra, length, channels)
        # the bias is added here, as its gradient inside a convolution takes as long as the convolution
        rows = x.reshape(-1, x.shape[2]) + conv.bias
        return self.activation(self.dropout(self.norm(rows))).view(x.shape)


def convolve_one_channel(x, kernels, stride: int):
    """Strided convolution of one channel as one matrix product, several positions to a row.

    A kernel is too short and the channels are too few to fill a matrix product. So a row holds the window of two
    neighbouring positions (more where the kernel is long for its stride), and the matrix a copy of the kernels for
    each of them, shifted by the stride.

    Parameters
    ----------
    x : (n_spectra, length) tensor
    kernels : (n_channels, width) tensor
    stride : int

    Returns
    -------
    (n_spectra, n_positions, n_channels) tensor

    Examples
    --------
    >>> convolve_one_channel(torch.tensor([[1.0, 2, 3, 4, 5]]), torch.tensor([[1.0, 0, -1]]), 2).squeeze()
    tensor([-2., -2.])
    """
    (n_spectra, length), (n_channels, width) = x.shape, kernels.shape
    overlap = max(0, width - stride)
    positions = max(2, math.ceil(overlap / stride))  # of a row, so that it reaches into the next row only
    n_positions = (length - width) // stride + 1
    n_rows, step = math.ceil(n_positions / positions), positions * stride
    steps = F.pad(x, (0, max(0, (n_rows + 1) * step - length)))[:, : (n_rows + 1) * step]
    steps = steps.reshape(n_spectra, n_rows + 1, step)
    window = step - stride + width
    rows = torch.cat([steps[:, :-1, :window], steps[:, 1:, :overlap]], dim=2)  # (spectra, rows, window)
    shifted = [F.pad(kernels, (i * stride, window - width - i * stride)) for i in range(positions)]
    out = F.linear(rows, torch.cat(shifted))  # (spectra, rows, positions of a row x channels)
    return out.view(n_spectra, n_rows * positions, n_channels)[:, :n_positions]


class LogisticCurves(nn.Module):
    """One three-parameter logistic curve per class: ``c + (1 - c) / (1 + exp(-a (x - b)))`` as its logit."""

    def __init__(self, width: int, n_classes: int):
        super().__init__()
        self.a, self.b, self.c, self.x = (nn.Linear(width, n_classes) for _ in range(4))

    def forward(self, h):
        c = self.c(h)
        return c + (1 - c) * torch.sigmoid(self.a(h) * (self.x(h) - self.b(h)))
