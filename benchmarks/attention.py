"""What a transformer autoencoder costs against the length of its sequence, in time and memory.

Run: python benchmarks/attention.py [--patches 89 45 18 9 4 2 1] [--batch 2] [--limit 8]

A step is forward, backward and one step of Adam on the variant TT, every class summed out. Attention alone is
measured beside it, as the fused kernel does it and as written out with its (tokens x tokens) matrix. Each line
is a process of its own, so that its peak of memory is its own.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from machine import machine

from ftirlib.engine.store import peak_memory_mb
from ftirlib.explain.crime.m2 import M2, NetworkSettings, TransformerDecoder

N_CLASSES, THREADS = 4, 1


def median_seconds(work, repeats):
    """Median of some runs, after one that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def attention(tokens, batch, *, written_out):
    """Seconds of one causal self-attention of the decoder, forward and backward."""
    heads, width = TransformerDecoder.HEADS, TransformerDecoder.WIDTH // TransformerDecoder.HEADS
    q, k, v = (torch.randn(batch * N_CLASSES, heads, tokens, width, requires_grad=True) for _ in range(3))
    hidden = torch.ones(tokens, tokens).triu(1).bool() if written_out else None

    def work():
        if written_out:
            out = (q @ k.transpose(-1, -2) / width**0.5).masked_fill(hidden, -torch.inf).softmax(-1) @ v
        else:
            out = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        out.sum().backward()

    return work


def step(n_wavenumbers, patch, batch, *, losses):
    """One step of training; the loss after each is kept."""
    torch.manual_seed(0)
    network = M2(NetworkSettings(variant="TT", patch=patch), n_wavenumbers, N_CLASSES)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    x, noise = torch.randn(batch, 2 * n_wavenumbers), torch.randn(batch, network.settings.latent)

    def work():
        features = network.encoder(x)
        loss = network.unlabelled(x, features, network.classifier(features), noise).negative(1.0).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    return work, network.decoder.tokens


def measure(n_wavenumbers, patch, batch, what, repeats):
    torch.set_num_threads(THREADS)
    start, losses = peak_memory_mb(), []
    work, tokens = step(n_wavenumbers, patch, batch, losses=losses)
    if what != "step":
        work = attention(tokens, batch, written_out=what == "written out")
    seconds = median_seconds(work, repeats)
    found = {"patch": patch, "tokens": tokens, "what": what, "seconds": seconds, "gb": (peak_memory_mb() - start) / 1e3}
    return found | ({"loss_falls": losses[-1] < losses[0]} if losses else {})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wavenumbers", type=int, default=801)
    parser.add_argument("--patches", type=int, nargs="+", default=[89, 45, 18, 9, 4, 2, 1])
    parser.add_argument("--batch", type=int, default=2, help="spectra in a step")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=8, help="GB that no step may exceed")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # patch and what: a line, in its own process
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.wavenumbers, int(given.one[0]), given.batch, given.one[1], given.repeats)))
        return 0
    rows = []
    sizes = ["--wavenumbers", str(given.wavenumbers), "--batch", str(given.batch), "--repeats", str(given.repeats)]
    print(f"TT, {given.wavenumbers} wavenumbers x 2, {given.batch} spectra x {N_CLASSES} classes a step, 1 thread")
    print(f"{'patch':>6}{'tokens':>8}{'step s':>9}{'step GB':>9}{'attention s':>13}{'written out s':>15}{'GB':>7}")
    for patch in given.patches:
        row = {}
        for what in ("step", "fused", "written out"):
            command = [sys.executable, __file__, *sizes, "--one", str(patch), what]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
            row[what] = json.loads(done.stdout)
        rows += row.values()
        whole, fused, plain = row["step"], row["fused"], row["written out"]
        print(
            f"{patch:>6}{whole['tokens']:>8}{whole['seconds']:>9.3f}{whole['gb']:>9.2f}{fused['seconds']:>13.4f}"
            f"{plain['seconds']:>15.4f}{plain['gb']:>7.2f}",
            flush=True,
        )
    steps = [row for row in rows if row["what"] == "step"]
    for what in ("step", "fused", "written out"):
        chosen = [row for row in rows if row["what"] == what][-3:]
        slope = np.polyfit(np.log([r["tokens"] for r in chosen]), np.log([r["seconds"] for r in chosen]), 1)[0]
        print(f"{what}: seconds grow as tokens to the power {slope:.2f} over the {len(chosen)} longest")
    worst = max(row["gb"] for row in steps)
    held = worst < given.limit and all(row["loss_falls"] for row in steps)
    print(f"largest step {worst:.2f} GB, limit {given.limit:g} GB; the loss falls: {held}")
    if given.json:
        sizes = {"wavenumbers": given.wavenumbers, "batch": given.batch, "limit_gb": given.limit, "threads": THREADS}
        given.json.write_text(json.dumps({"sizes": sizes, "machine": machine(), "rows": rows}, indent=2) + "\n")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
