"""The small convolutional network that classifies fused features, trained with Adam.

Abdo et al. 2024 (10.5815/ijisa.2024.04.02) name "a CNN" trained with Adam (Kingma & Ba 2015, arXiv:1412.6980) and no
layers; these are two strided convolutions over the row of features, pooled and read out linearly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ftirlib.errors import SettingsError

PREDICT_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """Shape and training of the head.

    Parameters
    ----------
    channels : tuple of int
        Of each convolution.
    kernel, stride : int
        In features. Neighbours in a row of fused features have no common axis but inside a family: of paths and
        positions in the scattering, of channels of a backbone elsewhere.
    pooled : int
        Positions left before the read-out, at most.
    dropout : float in [0, 1)
    epochs, batch_size : int
    learning_rate : float
    weight_decay : float

    Raises
    ------
    SettingsError
        A value out of its range.
    """

    channels: tuple[int, ...] = (8, 16)
    kernel: int = 9
    stride: int = 4
    pooled: int = 64
    dropout: float = 0.3
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "channels", tuple(self.channels))
        least = {"kernel": 1, "stride": 1, "pooled": 1, "epochs": 1, "batch_size": 2, "weight_decay": 0}
        for name, low in least.items():
            if not getattr(self, name) >= low:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least {low}.")
        if not self.channels or min(self.channels) < 1:
            raise SettingsError(f"channels are {self.channels}; give one whole number above 0 per convolution.")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout is {self.dropout}; it must be at least 0 and below 1.")
        if not 0 < self.learning_rate < float("inf"):
            raise SettingsError(f"learning_rate is {self.learning_rate}; it must be above 0 and finite.")


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
