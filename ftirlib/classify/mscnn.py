"""The multi-scale convolutional network (MSCNN): first-layer kernels as wide as infrared bands.

Hartigan et al. (paper A), Figure 1 and "Model Architecture"; layer sizes as its authors' public code runs them.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from pydantic import Field, model_validator
from torch import nn

from ftirlib.classify.checks import check_wavenumber, grid_text
from ftirlib.classify.layers import CoreStep, LogisticCurves, Step
from ftirlib.errors import ModelError
from ftirlib.settings import Group

Width = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, Field(gt=0)]


class MSCNNSettings(Group):
    """Shape of an MSCNN; the defaults are the published network."""

    n_classes: int = Field(4, ge=2, description="outputs")
    head_widths: tuple[Width, ...] = Field(
        (8.0, 25.0, 50.0),
        min_length=1,
        description="kernel widths of the parallel first-layer convolutions, cm-1; on a grid, the nearest whole points",
    )
    head_strides: tuple[Width, ...] = Field((4.0, 12.0, 25.0), description="their strides, cm-1, one for each width")
    head_channels: int = Field(8, ge=1, description="channels of each first-layer convolution")
    core: tuple[tuple[Size, Size, Size], ...] = Field(
        ((8, 15, 7), (16, 9, 4), (32, 9, 4), (64, 2, 1)),
        min_length=1,
        description="convolutions over the joined heads, each (channels, kernel, stride) in points of its own input, "
        "which has no unit",
    )
    dense: tuple[Size, ...] = Field(
        (32, 16), min_length=1, description="widths of the fully connected layers before the output"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="the authors' sweep preferred 0.01 to 0.2")
    leak: float = Field(
        0.38, allow_inf_nan=False, description="negative slope of LeakyReLU; the authors' sweep preferred 0.2 to 0.56"
    )

    @model_validator(mode="after")
    def _one_stride_a_width(self):
        if len(self.head_widths) != len(self.head_strides):
            raise ValueError(
                f"there are {len(self.head_widths)} head widths and {len(self.head_strides)} head strides; "
                "give one stride per width, and at least one of each."
            )
        return self


class MSCNN(nn.Module):
    """Multi-scale CNN for spectra: parallel wide kernels and the spectrum itself, joined and reduced to logits.

    Parameters
    ----------
    settings : MSCNNSettings
    wavenumber : (n_wavenumbers,) array, cm-1, ascending
        The grid it is built for; kernels given in cm-1 become the nearest whole number of points at its median
        spacing, strides likewise but at least one point. A kernel crosses a gap (a region cut out) as if the
        spectra were joined there.
    random_state : int
        Seed of the initial weights.

    Raises
    ------
    ModelError
        When the grid is not an ascending, mostly even axis, or so coarse or short that a kernel vanishes.

    Examples
    --------
    >>> model = MSCNN(MSCNNSettings(n_classes=4), np.arange(1000.0, 1801.0))
    >>> model(torch.zeros(2, 801)).shape
    torch.Size([2, 4])
    >>> sum(p.numel() for p in model.parameters())
    63202
    """

    def __init__(self, settings: MSCNNSettings, wavenumber, *, random_state: int = 0):
        super().__init__()
        self.settings = settings
        self.wavenumber = check_wavenumber(wavenumber)
        kernels, lengths = first_layer(settings, self.wavenumber)
        act = nn.LeakyReLU(settings.leak)
        tanh = nn.Sequential(nn.Tanh(), nn.LeakyReLU(settings.leak))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_state)
            width = settings.head_channels
            self.heads = nn.ModuleList(Step(nn.Conv1d(1, width, k, s), nn.BatchNorm1d(width)) for k, s in kernels)
            self.skip = nn.BatchNorm1d(1)
            self.core = nn.ModuleList()
            length, before = width * sum(lengths) + self.wavenumber.size, 1
            for i, (channels, kernel, stride) in enumerate(settings.core):
                if length < kernel:
                    raise ModelError(
                        f"core convolution {i + 1} spans {kernel} points but only {length} reach it from "
                        f"{grid_text(self.wavenumber)}; bring spectra on a finer or longer grid, or shorten the core."
                    )
                length = (length - kernel) // stride + 1
                # the first step is without tanh, the last is linear
                last = i + 1 == len(settings.core)
                self.core.append(
                    CoreStep(
                        nn.Conv1d(before, channels, kernel, stride),
                        nn.BatchNorm1d(channels),
                        dropout=settings.dropout,
                        activation=None if last else act if i == 0 else tanh,
                    )
                )
                before = channels
            self.dense = nn.ModuleList()
            before *= length
            for width in settings.dense:
                norm = nn.BatchNorm1d(width)
                self.dense.append(Step(nn.Linear(before, width), norm, dropout=settings.dropout, activation=tanh))
                before = width
            self.output = LogisticCurves(before, settings.n_classes)

    def forward(self, spectra):
        """Logits (n_spectra, n_classes) of spectra (n_spectra, n_wavenumbers)."""
        x = spectra.unsqueeze(1)  # (spectra, 1, wavenumbers)
        heads = torch.cat([head(x) for head in self.heads], dim=2)  # (spectra, head channels, positions)
        x = torch.cat([heads.flatten(1), self.skip(x).squeeze(1)], dim=1).unsqueeze(2)  # (spectra, joined length, 1)
        for step in self.core:
            x = step(x)  # (spectra, length, channels)
        x = x.transpose(1, 2).flatten(1)  # channel by channel, as the authors' layers are ordered
        for step in self.dense:
            x = step(x)
        return self.output(x)


def first_layer(settings: MSCNNSettings, wavenumber: np.ndarray) -> tuple[list[tuple[int, int]], list[int]]:
    """Kernels and strides in points, and the output length, of each first-layer convolution on this grid."""
    step = float(np.median(np.diff(wavenumber)))
    kernels, lengths = [], []
    for width, stride in zip(settings.head_widths, settings.head_strides):
        kernel, stride = math.floor(width / step + 0.5), max(1, math.floor(stride / step + 0.5))
        if kernel < 1:
            raise ModelError(
                f"the {width:g} cm-1 kernel is less than half a point of {grid_text(wavenumber)} and vanishes; "
                "bring spectra on a finer grid or widen head_widths."
            )
        if kernel > wavenumber.size:
            raise ModelError(
                f"the {width:g} cm-1 kernel is {kernel} points and longer than {grid_text(wavenumber)}; "
                "bring spectra of a longer range or narrow head_widths."
            )
        kernels.append((kernel, stride))
        lengths.append((wavenumber.size - kernel) // stride + 1)
    return kernels, lengths


def layer_table(model: MSCNN) -> pd.DataFrame:
    """The network, step by step, read off the live model.

    Parameters
    ----------
    model : MSCNN

    Returns
    -------
    pandas.DataFrame
        Columns ``step``, ``layer``, ``output`` (channels x length) and ``parameters``. After the steps come the
        sum in use; the convolutions that the authors' class declares besides but never calls, one after each
        inner core step; and the sum with them: 74 866 for the defaults at 801 wavenumbers, the published count.
    """
    shapes, hooks = {}, []
    for name, module in model.named_modules():
        hooks.append(module.register_forward_hook(lambda m, i, out, name=name: shapes.update({name: out.shape[1:]})))
    # a copy in evaluation mode would not be the live model: only its mode is changed, and put back
    training = model.training
    try:
        with torch.no_grad():
            some = next(model.parameters())
            model.eval()(some.new_zeros(1, model.wavenumber.size))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()

    def row(step, name, module):
        shape = shapes[name][::-1] if isinstance(module, CoreStep) else shapes[name]  # channels first, as published
        shape = " x ".join(str(size) for size in shape)
        return step, _describe(module), shape, _count(module)

    rows = [row(f"head {i + 1}", f"heads.{i}", m) for i, m in enumerate(model.heads)]
    rows.append(row("skip", "skip", model.skip))
    heads = sum(math.prod(shapes[f"heads.{i}"]) for i in range(len(model.heads)))
    joined = heads + math.prod(shapes["skip"])
    rows.append(("join", "heads end to end, then the spectrum", f"1 x {joined}", 0))
    rows += [row(f"core {i + 1}", f"core.{i}", m) for i, m in enumerate(model.core)]
    rows += [row(f"dense {i + 1}", f"dense.{i}", m) for i, m in enumerate(model.dense)]
    rows.append(row("output", "output", model.output))
    used = _count(model)
    rows.append(("in use", "", "", used))
    idle = []
    for i, (channels, kernel, stride) in list(enumerate(model.settings.core))[1:-1]:
        block = Step(nn.Conv1d(channels, channels, kernel, stride), nn.BatchNorm1d(channels))
        idle.append((f"never called, after core {i + 1}", _describe(block), "", _count(block)))
    rows += idle
    rows.append(("as declared", "in use and never called", "", used + sum(r[3] for r in idle)))
    return pd.DataFrame(rows, columns=["step", "layer", "output", "parameters"])


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _describe(module: nn.Module) -> str:
    """Short text of a module in the paper's notation."""
    if isinstance(module, nn.Conv1d):
        return f"C1D({module.in_channels}, {module.out_channels}, {module.kernel_size[0]}, {module.stride[0]})"
    if isinstance(module, nn.Linear):
        return f"FC({module.in_features}, {module.out_features})"
    if isinstance(module, nn.BatchNorm1d):
        return f"BN({module.num_features})"
    if isinstance(module, LogisticCurves):
        return f"4 x {_describe(module.a)}: a, b, c, x; logistic curve"
    if isinstance(module, nn.Identity):
        return ""
    if isinstance(module, (Step, nn.Sequential)):
        return ", ".join(text for child in module.children() if (text := _describe(child)))
    return {nn.Tanh: "tanh"}.get(type(module), type(module).__name__.lower().replace("leakyrelu", "LeakyReLU"))
