"""How long the phantom takes and how much memory it needs, for one process or several.

Prints a table and one line of JSON: ``python benchmarks/phantom.py --images 6 --side 115``; ``--paper`` for 90 images.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from ftirlib.spectra.model import validate_spectra
from ftirlib.spectra.simulate.colon import PhantomSettings, simulate_colon

PAPER = PhantomSettings(images=90, side=115, images_per_patient=3)


def peak_mb(who) -> float:
    """Largest resident memory so far, MB; of children it is that of the largest one."""
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--paper", action="store_true", help="90 images of 115 x 115 pixels; overrides the two above")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    settings = PAPER if options.paper else PhantomSettings(images=options.images, side=options.side)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spectra.zarr"
        started = time.perf_counter()
        if options.workers == 1:
            data = simulate_colon(path, settings=settings)
        else:
            with ProcessPoolExecutor(options.workers) as pool:
                data = simulate_colon(path, settings=settings, map=pool.map)
        seconds = time.perf_counter() - started
        own, child = peak_mb(resource.RUSAGE_SELF), peak_mb(resource.RUSAGE_CHILDREN)
        validate_spectra(data)
        stored = sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) / 1e6
        spectra, wavenumbers = data.absorbance.shape

    result = {
        "images": settings.images,
        "side": settings.side,
        "spectra": spectra,
        "wavenumbers": wavenumbers,
        "workers": options.workers,
        "seconds": round(seconds, 2),
        "seconds_per_image": round(seconds / settings.images, 3),
        "spectra_per_second": round(spectra / seconds),
        "peak_memory_mb": round(own),
        "peak_memory_of_a_worker_mb": round(child) if options.workers > 1 else None,
        "store_mb": round(stored, 1),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
    for name, value in result.items():
        print(f"{name:28s}{value}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
