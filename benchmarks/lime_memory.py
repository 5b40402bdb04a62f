"""Explanations from disk to disk: peak memory of `SpectralLime.explain_to` over a store larger than it may hold.

A store of random spectra is written piece by piece to a temporary folder; a fresh process explains every one of them
into another store and reports its own peak resident memory, which must stay below the limit. Few gradients a
spectrum: memory does not depend on how many.

    python benchmarks/lime_memory.py [--spectra 200000] [--limit-gb 2] [--gradients 8] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine
from prediction import CHUNK, EMSCNN, open_spectra, write_ensemble, write_store

from ftirlib import SpectralLime
from ftirlib.engine.store import peak_memory_mb
from ftirlib.spectra.model import read_absorbance


def explain_alone(folder: Path, n_gradients: int) -> None:
    """Explain the whole store and print seconds and peak memory as JSON."""
    data = open_spectra(folder / "noise.zarr")
    model = EMSCNN.load(folder / "model")
    lime = SpectralLime(read_absorbance(data, slice(0, CHUNK)), mode="limit", n_samples=n_gradients)
    start = time.perf_counter()
    lime.explain_to(folder / "explained.zarr", model, data)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak_gb": peak_memory_mb() / 1e3}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=200_000)
    parser.add_argument("--gradients", type=int, default=8)
    parser.add_argument("--limit-gb", type=float, default=2.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        explain_alone(options.alone, options.gradients)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_store(folder / "noise.zarr", options.spectra)
        write_ensemble(folder / "model", 1)
        command = [sys.executable, __file__, "--alone", str(folder), "--gradients", str(options.gradients)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        measured = json.loads(done.stdout.splitlines()[-1])
        size = sum(file.stat().st_size for file in (folder / "explained.zarr").rglob("*") if file.is_file())
    result = {"spectra": options.spectra, "gradients": options.gradients, "written_gb": size / 2**30, **measured}
    print(
        f"{options.spectra} spectra, {options.gradients} gradients each: peak {result['peak_gb']:.2f} GB, "
        f"{result['seconds']:.0f} s, {result['written_gb']:.2f} GB written"
    )
    if options.json:
        options.json.write_text(json.dumps({**result, "machine": machine()}, indent=2) + "\n", encoding="utf-8")
    if result["peak_gb"] > options.limit_gb:
        print(f"over the limit of {options.limit_gb} GB")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
