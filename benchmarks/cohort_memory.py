"""What each task holds that grows with the cohort: peak memory and seconds against the number of spectra.

A cohort of images as large as the published ones is simulated with very few wavenumbers, as absorbances are never in
memory all at once: what grows is labels, rows and answers. The tasks of a run work on it as they are, each in a process
of its own, with a network of very few weights; the slope of a task's peak memory is what a spectrum costs it. The line
is extended to 10 million spectra, the most that a run is made for. In the JSON, parts that are not measured stay as
they were.

    python benchmarks/cohort_memory.py [--sizes 1000000 3000000] [--parts open folds ...] [--json FILE]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from machine import machine

from ftirlib.classify.boosting import boost
from ftirlib.classify.settings import MSCNNSettings, TrainingSettings
from ftirlib.engine.store import peak_memory_mb
from ftirlib.files import write_json
from ftirlib.method import data as data_stages
from ftirlib.method import lime, models
from ftirlib.method import scores as score_stages
from ftirlib.report.memory import cohort_memory
from ftirlib.spectra.folds import N_SETS
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.rows import Rows
from ftirlib.spectra.writer import SpectraWriter

PIXELS = 115**2  # of an image, as published
IMAGES_PER_PATIENT = 3
WAVENUMBER = np.linspace(1000.0, 1800.0, 8)
SHADES = np.linspace(0.9, 1.1, 64, dtype=np.float32)
CLASSES = ["normal", "hyperplastic", "adenomatous", "cancerous"]
NETWORK = {  # a few weights
    "head_widths": [114.0],
    "head_strides": [228.0],
    "head_channels": 1,
    "core": [[1, 2, 1]],
    "dense": [4],
    "dropout": 0.0,
    "leak": 0.38,
}
TRAINING = {"epochs": 1, "batch_size": 16384, "learning_rate": 1e-3}
EXPLAINED = {"mode": "limit", "samples": 4, "tolerance": None, "spectra": 2000, "background": 100}
SEED = 0


def write_cohort(path: Path, n_spectra: int) -> None:
    """Images one after the other; a class for each patient."""
    images = -(-n_spectra // PIXELS)
    attrs = {
        "class_names": CLASSES,
        "positive_classes": CLASSES[-1:],
        "image_names": [f"image {k}" for k in range(images)],
        "group_names": [f"patient {k}" for k in range(-(-images // IMAGES_PER_PATIENT))],
        "pixel_size_um": 5.5,
        "instrument": "",
        "provenance": "a few repeated curves for a benchmark",
        "licence": "",
        "is_simulated": True,
    }
    pixel = np.arange(PIXELS)
    with SpectraWriter(path, WAVENUMBER, attrs) as writer:
        for image in range(images):
            here = pixel[: min(PIXELS, n_spectra - image * PIXELS)]
            patient = image // IMAGES_PER_PATIENT
            label = patient % len(CLASSES)
            band = np.exp(-(((WAVENUMBER - 1200 - 100 * label) / 150) ** 2)).astype(np.float32)
            coords = {"image": image, "group": patient, "row": here // 115, "col": here % 115, "label": label}
            writer.append(SHADES[here % SHADES.size, None] * band, coords)


def opened(folder: Path, common: dict) -> None:
    open_spectra(common["spectra"])


def folds(folder: Path, common: dict) -> None:
    data_stages.split(_made(folder / "folds"), folder, spectra=common["spectra"], seed=SEED)


def baseline(folder: Path, common: dict) -> None:
    models.baseline(_made(folder / "baseline"), folder, **common, fold=0, model="mean-mse", components=2)


def trees(folder: Path, common: dict) -> None:
    """Two of the rounds that boosting takes, as the memory of each is the same."""
    data, rows = open_spectra(common["spectra"], codes=False), data_stages.read_fold(common["folds"], 0).train
    boost(Rows.of(data, rows), data.label.values[rows], len(CLASSES), rounds=2)


def network(folder: Path, common: dict) -> None:
    models.member(
        _made(folder / "member"),
        _made(folder / "work"),
        **common,
        fold=0,
        training=TrainingSettings(**TRAINING),
        network=MSCNNSettings(**NETWORK),
        device="cpu",
        seed=SEED,
    )


def ensemble(folder: Path, common: dict) -> None:
    out = _made(folder / "ensemble")
    models.vote_together(out, folder, members=[[str(folder / "member")]], threshold=None, voting="hard")
    write_json(out / "manifest.json", {"key": "of this benchmark"})


def explanations(folder: Path, common: dict) -> None:
    lime.explain(
        _made(folder / "explained"),
        folder,
        **common,
        voters=str(folder / "ensemble" / "fold0"),
        fold=0,
        side="test",
        device="cpu",
        seed=SEED,
        rows=(0, 1000),
        settings=EXPLAINED,
    )


def scores(folder: Path, common: dict) -> None:
    score_stages.score(
        _made(folder / "scores"),
        folder,
        **common,
        model="mean-mse",
        answers=[str(folder / "baseline")],
        ensemble=None,
        bootstrap={"n_resamples": 40, "confidence": 0.95, "random_state": SEED},
    )


def driver(folder: Path, common: dict) -> None:
    """What the driver keeps from stage to stage: the data set, the four folds, and where the answers of a model lie."""
    held = [open_spectra(common["spectra"]), np.load(folder / "ensemble" / "fold0" / "probabilities.npz")]
    held += [data_stages.read_fold(common["folds"], k) for k in range(N_SETS)]


PARTS = {
    "open": opened,
    "folds": folds,
    "baseline": baseline,
    "trees": trees,
    "network": network,
    "ensemble": ensemble,
    "explanations": explanations,
    "scores": scores,
    "driver": driver,
}  # in this order: each may need what those before it made


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def alone(part: str, folder: Path) -> None:
    """Do one part and print seconds and peak memory as JSON."""
    common = {"spectra": str(folder / "spectra.zarr"), "folds": str(folder / "folds")}
    warnings.simplefilter("ignore")  # of what was learnt, which is of no interest here
    start = time.perf_counter()
    PARTS[part](folder, common)
    print(json.dumps({"seconds": time.perf_counter() - start, "memory_mb": peak_memory_mb()}))


def measure(n_spectra: int, parts: list[str]) -> dict:
    facts = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_cohort(folder / "spectra.zarr", n_spectra)
        for part in parts:
            done = subprocess.run(
                [sys.executable, __file__, "--alone", part, str(folder)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"'{part}' failed with {n_spectra} spectra:\n{done.stderr[-3000:]}")
            facts[part] = json.loads(done.stdout.splitlines()[-1])
            print(f"{n_spectra:>11,} {part:13} {facts[part]['seconds']:7.1f} s {facts[part]['memory_mb']:6.0f} MB")
    return {"spectra": n_spectra, "parts": facts}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_000_000, 3_000_000])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", nargs=2, metavar=("PART", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if len(set(options.sizes)) < 2:
        parser.error("a line goes through two sizes or more; give another")
    if options.alone:
        alone(options.alone[0], Path(options.alone[1]))
        return 0
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as a worker has
    before = json.loads(options.json.read_text())["measured"] if options.json and options.json.exists() else []
    known = {row["spectra"]: row["parts"] for row in before}
    rows = [measure(size, options.parts) for size in sorted(options.sizes)]
    rows = [row | {"parts": known.get(row["spectra"], {}) | row["parts"]} for row in rows]
    result = {"machine": machine(), "measured": rows}
    print(cohort_memory(result).to_string(index=False))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
