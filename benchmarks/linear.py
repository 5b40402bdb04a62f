"""How fast the linear model is, and how far from a loop over spectra and contexts.

Run: python benchmarks/linear.py [--spectra 100000] [--contexts 100] [--wavenumbers 801]
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from ftirlib.explain.linear.linear import LinearClassifier


def make(n_spectra, n_contexts, n_wavenumbers, seed=0):
    """Smooth random spectra, and a model whose contexts are the means of some of them."""
    rng = np.random.default_rng(seed)
    spectra = rng.standard_normal((n_spectra, n_wavenumbers), dtype=np.float32).cumsum(axis=1)
    means = np.stack([part.mean(axis=0) for part in np.array_split(spectra[: 5 * n_contexts], n_contexts)])
    model = LinearClassifier.from_contexts(
        means,
        rng.standard_normal(means.shape),
        rng.integers(0, 4, n_contexts),
        ["normal", "hyperplastic", "adenomatous", "cancerous"],
        np.linspace(1000, 1800, n_wavenumbers),
    )
    return model, spectra


def by_loop(model, spectra):
    """The similarity straight from its formula, in float64."""

    def unit(v):
        return 2 * (v - v.min()) / (v.max() - v.min()) - 1

    out = np.empty((len(spectra), len(model.labels)))
    for i, x in enumerate(spectra.astype(float)):
        for k, (m, w) in enumerate(zip(model.mean_spectra.astype(float), model.mean_weights.astype(float))):
            left, right = unit(w) * unit(m), unit(w) * unit(x)
            out[i, k] = left @ right / np.sqrt((left @ left) * (right @ right))
    return out


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--spectra", type=int, default=100_000)
    arguments.add_argument("--contexts", type=int, default=100)
    arguments.add_argument("--wavenumbers", type=int, default=801)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--compared", type=int, default=500, help="spectra also done by the loop")
    arguments.add_argument("--json", type=Path, help="also write the numbers here")
    given = arguments.parse_args()
    model, spectra = make(given.spectra, given.contexts, given.wavenumbers)
    seconds = []
    for _ in range(given.repeats):
        started = time.perf_counter()
        model.predict(spectra)
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    expected = by_loop(model, spectra[: given.compared])
    loop = (time.perf_counter() - started) / given.compared * given.spectra
    error = np.abs(model.similarity(spectra[: given.compared]) - expected).max()
    print(
        f"{given.spectra} spectra x {given.contexts} contexts x {given.wavenumbers} wavenumbers, {os.cpu_count()} cores"
    )
    print(f"predict: best {min(seconds):.2f} s, median {np.median(seconds):.2f} s of {given.repeats}")
    print(f"loop: {loop:.0f} s (extrapolated from {given.compared} spectra); largest difference {error:.1e}")
    if given.json:
        found = {"spectra": given.spectra, "contexts": given.contexts, "best_s": min(seconds), "loop_s": loop}
        given.json.write_text(json.dumps(found | {"largest_difference": float(error)}, indent=1))


if __name__ == "__main__":
    main()
