"""Prediction from disk: speed and peak memory of `predict_blocks` over a store larger than it may hold.

A store of random spectra is written piece by piece to a temporary folder; a fresh process opens it, predicts every
spectrum and reports its own peak resident memory, which must stay below the limit.

    python benchmarks/prediction.py [--spectra 200000] [--limit-gb 1.5] [--members 1] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ftirlib.classify.ensemble import EMSCNN
from ftirlib.classify.loop import TrainingSettings
from ftirlib.classify.prediction import predict_blocks
from ftirlib.classify.training import MSCNNClassifier
from ftirlib.engine.store import peak_memory_mb
from ftirlib.spectra.model import CHUNK, open_spectra
from ftirlib.spectra.writer import SpectraWriter

WAVENUMBER = np.arange(1000.0, 1801.0)
CLASSES = ["normal", "hyperplastic", "adenomatous", "cancerous"]


def random_spectra(n, rng):
    return rng.standard_normal((n, WAVENUMBER.size), dtype=np.float32)


def write_store(path, n_spectra):
    attrs = {
        "class_names": CLASSES,
        "positive_classes": CLASSES[-1:],
        "image_names": ["noise"],
        "group_names": ["noise"],
        "pixel_size_um": float("nan"),
        "instrument": "",
        "provenance": "random numbers for a benchmark",
        "licence": "",
        "is_simulated": True,
    }
    rng = np.random.default_rng(0)
    with SpectraWriter(path, WAVENUMBER, attrs) as writer:
        for start in range(0, n_spectra, CHUNK):
            block = random_spectra(min(CHUNK, n_spectra - start), rng)
            writer.append(block, {"image": 0, "group": 0, "row": -1, "col": -1, "label": -1})


def write_ensemble(path, n_members):
    """Members that have seen an epoch of noise: speed and memory do not depend on what was learnt."""
    rng = np.random.default_rng(1)
    X, y = random_spectra(64, rng), np.arange(64) % len(CLASSES)
    settings = TrainingSettings(epochs=1)
    members = [
        MSCNNClassifier(WAVENUMBER, training=settings, random_state=seed).fit(X, y, validation=(X, y))
        for seed in range(n_members)
    ]
    EMSCNN(members, threshold=None).fit().save(path)


def predict(store, ensemble):
    """Run in a process of its own, so that the peak is that of prediction alone."""
    model, data = EMSCNN.load(ensemble), open_spectra(store)
    start = time.perf_counter()
    probability = predict_blocks(model, data)
    seconds = time.perf_counter() - start
    assert np.allclose(probability.sum(axis=1), 1, atol=1e-5)
    print(json.dumps({"spectra": len(probability), "seconds": seconds, "peak_gb": peak_memory_mb() / 1e3}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=200_000)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--limit-gb", type=float, default=1.5)
    parser.add_argument("--json", help="also write the figures to this file")
    parser.add_argument("--predict", nargs=2, metavar=("STORE", "ENSEMBLE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.predict:
        return predict(*options.predict)
    with tempfile.TemporaryDirectory() as folder:
        store, ensemble = Path(folder) / "noise.zarr", Path(folder) / "ensemble"
        write_store(store, options.spectra)
        write_ensemble(ensemble, options.members)
        command = [sys.executable, __file__, "--predict", str(store), str(ensemble)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found |= {"members": options.members, "spectra_per_s": found["spectra"] / found["seconds"]}
    print(
        f"{found['spectra']} spectra, {found['members']} member(s): {found['seconds']:.1f} s, "
        f"{found['spectra_per_s']:.0f} spectra/s, peak {found['peak_gb']:.2f} GB (limit {options.limit_gb:g})"
    )
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1), encoding="utf-8")
    return int(found["peak_gb"] > options.limit_gb)


if __name__ == "__main__":
    sys.exit(main())
