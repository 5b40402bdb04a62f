"""The small convolutional network that classifies fused features, trained with Adam.

Abdo et al. 2024 (10.5815/ijisa.2024.04.02) name "a CNN" trained with Adam (Kingma & Ba 2015, arXiv:1412.6980) and no
layers; these are two strided convolutions over the row of features, pooled and read out linearly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import nn

from ftirlib.settings import Group

PREDICT_ROWS = 4096


class HeadSettings(Group):
    """Shape and training of the head.

    Neighbours in a row of fused features have no common axis but inside a family: of paths and positions in the
    scattering, of channels of a backbone elsewhere.
    """

    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field((8, 16), min_length=1, description="of each convolution")
    kernel: int = Field(9, ge=1, description="width of a convolution, features")
    stride: int = Field(4, ge=1, description="of a convolution, features")
    pooled: int = Field(64, ge=1, description="most positions left before the read-out")
    dropout: float = Field(0.3, ge=0, lt=1, description="before the read-out")
    epochs: int = Field(40, ge=1)
    batch_size: int = Field(64, ge=2, description="least spectra in a step, as far as there are as many")
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, description="of Adam")


class HeadCNN(nn.Module):
    """Convolutions over a row of features.

    Examples
    --------
    >>> HeadCNN(HeadSettings(), n_features=500, n_classes=6)(torch.zeros(2, 500)).shape
    torch.Size([2, 6])
    """

    def __init__(self, settings: HeadSettings, n_features: int, n_classes: int, *, random_state: int = 0):
        super().__init__()
        self.settings = settings
        layers, before, length = [], 1, n_features
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_state)
            for channels in settings.channels:
                conv = nn.Conv1d(before, channels, settings.kernel, settings.stride, padding=settings.kernel // 2)
                layers += [conv, nn.BatchNorm1d(channels), nn.ReLU()]
                length = (length + 2 * (settings.kernel // 2) - settings.kernel) // settings.stride + 1
                before = channels
            pooled = min(settings.pooled, length)
            self.convolutions = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(pooled))
            self.output = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(before * pooled, n_classes))

    def forward(self, features):
        """Logits (n, n_classes) of features (n, n_features)."""
        x = self.convolutions(features[:, None])  # (n, channels, pooled)
        return self.output(x.flatten(1))


def train_head(
    features: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    settings: HeadSettings,
    *,
    random_state: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[dict], None] | None = None,
) -> tuple[HeadCNN, list[float]]:
    """Train a head on scaled features (n, n_features) with class codes (n,).

    Returns
    -------
    model : HeadCNN
        In evaluation mode, after the last epoch: nothing is held out to choose an earlier one by.
    losses : list of float
        Mean cross-entropy of each epoch.
    """
    model = HeadCNN(settings, features.shape[1], n_classes, random_state=random_state).to(device).train()
    x = torch.from_numpy(np.ascontiguousarray(features, np.float32)).to(device)
    y = torch.from_numpy(np.ascontiguousarray(codes, np.int64)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    n_batches = max(1, len(x) // settings.batch_size)  # none smaller than asked for: a norm needs more than one row
    losses = []
    with torch.random.fork_rng(devices=[x.device] if x.device.type == "cuda" else []):
        torch.manual_seed(random_state)
        for epoch in range(settings.epochs):
            total = 0.0
            for rows in torch.randperm(len(x)).to(x.device).tensor_split(n_batches):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)
            losses.append(total / len(x))
            if progress is not None:
                progress({"epoch": epoch, "loss": losses[-1]})
    return model.eval(), losses


def head_probabilities(model: HeadCNN, features: np.ndarray) -> np.ndarray:
    """Class probabilities (n, n_classes) float64 of scaled features (n, n_features)."""
    device = next(model.parameters()).device
    x = torch.from_numpy(np.ascontiguousarray(features, np.float32))
    with torch.inference_mode():
        logits = [model(rows.to(device)).cpu() for rows in x.split(PREDICT_ROWS)]
    return torch.cat(logits).double().softmax(dim=1).numpy()
