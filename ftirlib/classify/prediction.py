"""Prediction by trained MSCNNs: the same function in fewer operations, votes, and data sets block by block.

Batch-norm in evaluation mode is an affine map (Ioffe & Szegedy 2015, arXiv:1502.03167), so whatever stands between
two non-linearities folds into one map. Hartigan et al. (paper A) have none before the first core convolution; voting
as in "MSCNN Performance" there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
import xarray as xr
from torch import nn
from torch.nn import functional as F

from ftirlib.classify.checks import check_grid
from ftirlib.classify.layers import convolve_one_channel
from ftirlib.classify.mscnn import MSCNN
from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.model import CHUNK, iter_blocks


class FoldedMSCNN(nn.Module):
    """Logits of a trained MSCNN, ``rest(affine(spectra))``; equal to ``model.eval()`` to rounding.

    Parameters
    ----------
    model : MSCNN
        Copied; later training does not reach the folded one.

    Attributes
    ----------
    affine : nn.Module
        Spectra (n, n_wavenumbers) to all that stands before the first non-linearity. What it makes of a sum of
        spectra is the sum of what it makes of each, less its value at zero.
    rest : nn.Module
        From there to the logits (n, n_classes).
    """

    def __init__(self, model: MSCNN):
        super().__init__()
        with torch.no_grad():
            self.affine = FirstMap(model)
            nothing = model.skip.weight.new_zeros(1, model.wavenumber.size)
            self.rest = Rest(model, self.affine(nothing).shape[1])
        self.requires_grad_(False).eval()

    def forward(self, spectra):
        return self.rest(self.affine(spectra))


def _folded(step) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a step's convolution or matrix with its batch-norm in evaluation mode."""
    norm, linear = step.norm, step.linear
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = linear.weight * scale.view(-1, *[1] * (linear.weight.ndim - 1))
    return weight, (linear.bias - norm.running_mean) * scale + norm.bias


class FirstMap(nn.Module):
    """The parallel wide kernels, the spectrum itself beside them, and the first core convolution over both."""

    def __init__(self, model: MSCNN):
        super().__init__()
        self.strides = [head.linear.stride[0] for head in model.heads]
        for i, head in enumerate(model.heads):
            weight, bias = _folded(head)
            self.register_buffer(f"kernels_{i}", weight)
            self.register_buffer(f"bias_{i}", bias)
        skip = model.skip
        scale = skip.weight / torch.sqrt(skip.running_var + skip.eps)
        self.register_buffer("skip_scale", scale)
        self.register_buffer("skip_shift", skip.bias - skip.running_mean * scale)
        weight, bias = _folded(model.core[0])
        self.stride = model.core[0].linear.stride[0]
        self.register_buffer("weight", weight.squeeze(1))
        self.register_buffer("bias", bias)

    def forward(self, spectra):
        """(n, length, channels): channels last in memory, as the convolutions after it want them."""
        x = spectra.unsqueeze(1)
        heads = [
            F.conv1d(x, getattr(self, f"kernels_{i}"), getattr(self, f"bias_{i}"), stride)
            for i, stride in enumerate(self.strides)
        ]
        skip = spectra * self.skip_scale + self.skip_shift
        joined = torch.cat([torch.cat(heads, dim=2).flatten(1), skip], dim=1)
        return convolve_one_channel(joined, self.weight, self.stride) + self.bias


class Rest(nn.Module):
    """From the first non-linearity to the logits.

    ``tanh(z) = 2 (sigmoid(2 z) - 1/2)``, and a processor computes the sigmoid several times faster; both factors
    of two go into the maps before and after. The last convolution and the first matrix have no non-linearity
    between them and become one matrix.

    Parameters
    ----------
    model : MSCNN
    length : int
        Positions that come in.
    """

    def __init__(self, model: MSCNN, length: int):
        super().__init__()
        self.leak = model.settings.leak
        *middle, last = model.core
        # A single core convolution stands in the first map, so that nothing is left of it here.
        self.starts_bent, middle = bool(middle), middle[1:]
        self.strides = [step.linear.stride[0] for step in middle]
        gain = 1.0  # of what comes in: the half-height tanh of the map before
        for i, step in enumerate(middle):
            weight, bias = _folded(step)
            self.register_buffer(f"kernels_{i}", (2 * gain * weight).unsqueeze(2))
            self.register_buffer(f"bias_{i}", 2 * bias)
            gain = 2.0
            length = (length - weight.shape[2]) // self.strides[i] + 1
        first, *others = model.dense
        weight, bias = _joined(last, first, length) if self.starts_bent else _unjoined(first, last)
        self.register_buffer("matrix_0", 2 * gain * weight)
        self.register_buffer("shift_0", 2 * bias)
        for i, step in enumerate(others, start=1):
            weight, bias = _folded(step)
            self.register_buffer(f"matrix_{i}", 4 * weight)
            self.register_buffer(f"shift_{i}", 2 * bias)
        self.n_dense = 1 + len(others)
        curves = [getattr(model.output, name) for name in "abcx"]  # four matrices that share an input
        self.register_buffer("curves", 2 * torch.cat([part.weight for part in curves]))
        self.register_buffer("curve_bias", torch.cat([part.bias for part in curves]))

    def _bend(self, x):
        """Half of ``leaky_relu(tanh(x / 2))``."""
        return F.leaky_relu(torch.sigmoid(x) - 0.5, self.leak)

    def forward(self, h):
        if self.starts_bent:
            h = F.leaky_relu(h, self.leak)
        for i, stride in enumerate(self.strides):
            x = h.transpose(1, 2).unsqueeze(2)  # (n, channels, 1, length), channels last in memory
            x = F.conv2d(x, getattr(self, f"kernels_{i}"), getattr(self, f"bias_{i}"), stride=(1, stride))
            h = self._bend(x.squeeze(2).transpose(1, 2))
        h = h.flatten(1)  # position by position
        for i in range(self.n_dense):
            h = self._bend(F.linear(h, getattr(self, f"matrix_{i}"), getattr(self, f"shift_{i}")))
        a, b, c, x = F.linear(h, self.curves, self.curve_bias).chunk(4, dim=1)
        return c + (1 - c) * torch.sigmoid(a * (x - b))


def _joined(last, first, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrix and bias of the last core convolution with the first dense layer, from inputs position by position."""
    kernels, bias = _folded(last)  # (channels out, channels in, width)
    matrix, shift = _folded(first)
    n_out, n_in, width = kernels.shape
    stride = last.linear.stride[0]
    n_positions = matrix.shape[1] // n_out
    matrix = matrix.view(len(matrix), n_out, n_positions)  # the dense layer reads channel by channel
    whole = matrix.new_zeros(len(matrix), length, n_in)
    for k in range(width):  # each tap of the kernel moves the positions it reads
        reached = slice(k, k + stride * (n_positions - 1) + 1, stride)
        whole[:, reached] += torch.einsum("dop,oi->dpi", matrix, kernels[:, :, k])
    return whole.flatten(1), shift + torch.einsum("dop,o->d", matrix, bias)


def _unjoined(first, last) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrix and bias of the first dense layer alone, from inputs position by position."""
    matrix, shift = _folded(first)
    n_out = last.linear.out_channels
    return matrix.view(len(matrix), n_out, -1).transpose(1, 2).flatten(1), shift


class Vote(nn.Module):
    """Mean over networks of their class probabilities, or of their votes, (n, n_wavenumbers) to (n, n_classes).

    Parameters
    ----------
    networks : list of FoldedMSCNN
    columns : list of (its classes,) int arrays
        Where each of a network's classes belongs among the `n_classes`.
    n_classes : int
    hard : bool
        Each network gives its best class one vote, instead of its probabilities. Votes have no gradient.
    """

    def __init__(self, networks: list[FoldedMSCNN], columns, n_classes: int, *, hard: bool = False):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.ballots = nn.ModuleList(
            Ballot(net.rest, column, n_classes, hard) for net, column in zip(networks, columns)
        )

    def forward(self, spectra):
        return sum(ballot(net.affine(spectra)) for net, ballot in zip(self.networks, self.ballots)) / len(self.networks)

    def parts(self) -> list[tuple[nn.Module, nn.Module]]:
        """Pairs (affine, rest) whose ``rest(affine(spectra))`` have this module's output as their mean."""
        return [(net.affine, ballot) for net, ballot in zip(self.networks, self.ballots)]


class Ballot(nn.Module):
    """One network's answer in the columns of all classes, from what stands before its first non-linearity."""

    def __init__(self, rest: nn.Module, column, n_classes: int, hard: bool):
        super().__init__()
        self.rest, self.n_classes, self.hard = rest, n_classes, hard
        column = torch.as_tensor(column)
        self.is_whole = len(column) == n_classes  # ascending classes without a gap: already in place
        self.register_buffer("column", column.to(next(rest.buffers()).device))

    def forward(self, h):
        logits = self.rest(h)
        answer = F.one_hot(logits.argmax(dim=1), logits.shape[1]).to(logits) if self.hard else logits.softmax(dim=1)
        if self.is_whole:
            return answer
        return answer.new_zeros(len(answer), self.n_classes).index_copy(1, self.column, answer)


def predict_blocks(model, data: xr.Dataset, *, rows=None, batch: int = CHUNK) -> np.ndarray:
    """Class probabilities of a data set, with only `batch` spectra in memory at a time.

    Parameters
    ----------
    model : fitted classifier
        Anything with ``predict_proba``; where it has ``wavenumber_`` the grid is checked.
    data : xarray.Dataset
        As `open_spectra` opens it: absorbances may lie on disk.
    rows : ascending (n,) int, optional
        Spectra to predict; default all.
    batch : int
        Spectra read and predicted at a time.

    Returns
    -------
    (n, n_classes) float32 array
        In the order of `rows`; columns in the order of ``model.classes_``.

    Raises
    ------
    DataError
        Spectra on another grid than the model's, or rows that are out of range or not ascending.
    SettingsError
        A batch below 1.
    """
    rows = _checked(model, data, rows, batch)
    result = np.empty((data.sizes["spectrum"] if rows is None else len(rows), len(model.classes_)), np.float32)
    for start, block in iter_blocks(data, rows, batch):
        result[start : start + len(block)] = model.predict_proba(block)
    return result


def iter_predictions(model, data: xr.Dataset, *, rows=None, batch: int = CHUNK) -> Iterator[np.ndarray]:
    """What `predict_blocks` gives, a block of at most `batch` spectra after the other: for more than memory holds.

    Parameters and errors as there; blocks are (n_block, n_classes), of the type that the model gives.
    """
    rows = _checked(model, data, rows, batch)
    return (model.predict_proba(block) for _, block in iter_blocks(data, rows, batch))


def save_probabilities(path, model, data: xr.Dataset, sides: Mapping[str, np.ndarray]) -> None:
    """Write the probabilities of some spectra, an ``.npz`` array (n, n_classes) float32 for each side.

    Parameters
    ----------
    path : path of the file to make
    model : fitted classifier
        Whose classes are positions in the data set's ``class_names``.
    data : xarray.Dataset
    sides : mapping
        Name to rows, as `predict_blocks` takes them.
    """
    n_classes = len(data.attrs["class_names"])
    blocks = {side: predict_blocks(model, data, rows=rows) for side, rows in sides.items()}
    np.savez(path, **{side: full_probabilities(model, found, n_classes) for side, found in blocks.items()})


def full_probabilities(model, probabilities: np.ndarray, n_classes: int) -> np.ndarray:
    """Probabilities (n, n_classes) with zero columns for classes that the training set lacked."""
    full = np.zeros((len(probabilities), n_classes), np.float32)
    full[:, np.asarray(model.classes_, int)] = probabilities
    return full


def _checked(model, data: xr.Dataset, rows, batch: int) -> np.ndarray | None:
    """The rows to predict; None for all."""
    if batch < 1:
        raise SettingsError(f"batch is {batch}; it must be at least 1.")
    if hasattr(model, "wavenumber_"):
        check_grid(data.wavenumber.values, model.wavenumber_)
    if rows is None:
        return None
    rows = np.asarray(rows)
    rows = rows if rows.size else rows.astype(np.int64)  # an empty list has no type of its own
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or (np.diff(rows) <= 0).any():
        raise DataError("rows must be a list of whole numbers, ascending without repeats; sort them.")
    n = data.sizes["spectrum"]
    if rows.size and (rows[0] < 0 or rows[-1] >= n):
        raise DataError(f"rows run from {rows[0]} to {rows[-1]}, but the data set has spectra 0 to {n - 1}.")
    return rows
