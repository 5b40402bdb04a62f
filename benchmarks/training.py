"""Training speed: ftirlib's MSCNN against the barest loop over the same network of stock torch layers.

Both train the same number of steps on the same tensors in memory, turn by turn, so that whatever else the machine
does falls on both; the ratio of the best turns is the result.

    python benchmarks/training.py [--spectra 2048] [--batch 512] [--turns 5] [--threads 1] [--json FILE]
"""

import argparse
import json
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ftirlib.classify.loop import train
from ftirlib.classify.mscnn import MSCNN
from ftirlib.classify.settings import MSCNNSettings, TrainingSettings

WAVENUMBER = np.arange(1000.0, 1801.0)


class StockCurves(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.a, self.b, self.c, self.x = (nn.Linear(16, n_classes) for _ in range(4))

    def forward(self, h):
        c = self.c(h)
        return c + (1 - c) / (1 + torch.exp(-self.a(h) * (self.x(h) - self.b(h))))


class StockMSCNN(nn.Module):
    """The network at 801 wavenumbers, written down layer by layer with stock modules; the reference of the tests."""

    def __init__(self, *, dropout=0.1, leak=0.38, n_classes=4):
        super().__init__()

        def after(norm, *activations):
            return [norm, nn.Dropout(dropout), *activations]

        def tanh():
            return nn.Tanh(), nn.LeakyReLU(leak)

        self.heads = nn.ModuleList(
            nn.Sequential(nn.Conv1d(1, 8, k, s), nn.BatchNorm1d(8)) for k, s in ((8, 4), (25, 12), (50, 25))
        )
        self.skip = nn.BatchNorm1d(1)
        self.core = nn.Sequential(
            nn.Sequential(nn.Conv1d(1, 8, 15, 7), *after(nn.BatchNorm1d(8), nn.LeakyReLU(leak))),
            nn.Sequential(nn.Conv1d(8, 16, 9, 4), *after(nn.BatchNorm1d(16), *tanh())),
            nn.Sequential(nn.Conv1d(16, 32, 9, 4), *after(nn.BatchNorm1d(32), *tanh())),
            nn.Sequential(nn.Conv1d(32, 64, 2, 1), *after(nn.BatchNorm1d(64))),
        )
        self.dense = nn.Sequential(
            nn.Sequential(nn.Linear(1600, 32), *after(nn.BatchNorm1d(32), *tanh())),
            nn.Sequential(nn.Linear(32, 16), *after(nn.BatchNorm1d(16), *tanh())),
        )
        self.output = StockCurves(n_classes)

    def forward(self, spectra):
        x = spectra.unsqueeze(1)
        heads = torch.cat([head(x) for head in self.heads], dim=2)
        x = torch.cat([heads.flatten(1).unsqueeze(1), self.skip(x)], dim=2)
        return self.output(self.dense(self.core(x).flatten(1)))


def stock_epoch(model, x, y, optimizer, batch):
    """The barest loop: no validation, no history, batches cut in the order they lie."""
    model.train()
    for start in range(0, len(x), batch):
        rows = slice(start, start + batch)
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows], label_smoothing=0.2).backward()
        optimizer.step()


def measure(n_spectra, batch, turns, clock):
    """Best seconds per spectrum of each loop; ours includes shuffling, a validation of 1 in 8 and the history."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_spectra, WAVENUMBER.size), dtype=np.float32)
    y = rng.integers(0, 4, n_spectra)
    held = n_spectra // 8
    xt, yt = torch.from_numpy(x), torch.from_numpy(y)
    stock = StockMSCNN()
    optimizer = torch.optim.AdamW(stock.parameters(), 8e-4, weight_decay=0.15)
    model = MSCNN(MSCNNSettings(), WAVENUMBER)
    settings = TrainingSettings(epochs=1, batch_size=batch)
    contenders = {
        "stock": lambda: stock_epoch(stock, xt, yt, optimizer, batch),
        "ftirlib": lambda: train(model, xt, yt, (xt[:held], yt[:held]), settings),
    }
    best = dict.fromkeys(contenders, np.inf)
    for _ in range(turns + 1):
        for name, run in contenders.items():
            start = clock()
            run()
            best[name] = min(best[name], (clock() - start) / n_spectra)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=2048)
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 512, 2048])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--cpu-time", action="store_true", help="count processor time, for a busy machine")
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    results = []
    print(f"{'threads':>7} {'batch':>6} {'stock/s':>9} {'ftirlib/s':>10} {'ratio':>6}")
    for threads in options.threads:
        torch.set_num_threads(threads)
        for batch in options.batch:
            best = measure(options.spectra, batch, options.turns, clock)
            row = {
                "threads": threads,
                "batch": batch,
                "stock_spectra_per_s": 1 / best["stock"],
                "ftirlib_spectra_per_s": 1 / best["ftirlib"],
                "speed_ratio": best["stock"] / best["ftirlib"],
            }
            results.append(row)
            print(
                f"{threads:7d} {batch:6d} {row['stock_spectra_per_s']:9.0f} {row['ftirlib_spectra_per_s']:10.0f} "
                f"{row['speed_ratio']:6.2f}"
            )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"clock": clock.__name__, "spectra": options.spectra, "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
