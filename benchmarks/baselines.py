"""Baselines trained from a file against scikit-learn and XGBoost on the same spectra in memory.

Simulated smooth spectra of four classes are written to a temporary file; each model is trained in a process of its
own, once from the file, block by block, and once by the libraries' own classes from an array. Printed for each: peak
memory of the whole process, processor seconds of training as a ratio, and how far the answers to spectra that neither
has seen differ. Boosted trees on the spectrum take XGBoost hours at the size of a cohort, so they get a few rounds:
memory does not depend on how many. scikit-learn computes components of float32 spectra in float32; trees turn the
fifth digit of a score into other splits.

A last line says what it changes to draw XGBoost's bins from a sample, as is done with many spectra, beside what it
changes to give it all spectra in another order.

    python benchmarks/baselines.py [--spectra 20000] [--rounds 5] [--limit-gb 2] [--streamed-only] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import machine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

from ftirlib.classify import boosting
from ftirlib.classify.baselines import make_baseline
from ftirlib.engine.store import peak_memory_mb
from ftirlib.spectra.rows import Rows

WAVENUMBERS, CLASSES, BANDS, BLOCK = 801, 4, 30, 4096
MODELS = ("mean-mse", "mean-cosine", "pca-lda", "pca-xgb", "xgb")
UNSEEN = 5000
BINNED, EVERY = 60_000, 20  # spectra of the last line, and its wavenumbers: every twentieth


def write_spectra(folder: Path, n: int) -> None:
    """Spectra whose heights of smooth waves differ by class, with noise, and their classes."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, CLASSES, n + UNSEEN)
    order = np.arange(1, BANDS + 1, dtype=np.float32)[:, None]
    waves = np.sin(order * np.linspace(0, 2 * np.pi, WAVENUMBERS, dtype=np.float32)) / order
    heights = rng.standard_normal((CLASSES, BANDS), dtype=np.float32) / 3

    spectra = np.lib.format.open_memmap(folder / "spectra.npy", "w+", np.float32, (len(codes), WAVENUMBERS))
    for start in range(0, len(codes), BLOCK):
        part = codes[start : start + BLOCK]
        noise = rng.standard_normal((len(part), WAVENUMBERS), dtype=np.float32) / 100
        spectra[start : start + BLOCK] = (
            1 + (heights[part] + rng.standard_normal((len(part), BANDS), dtype=np.float32)) @ waves + noise
        )
    np.save(folder / "codes.npy", codes)


def streamed(name: str, file: Rows, codes: np.ndarray, rounds: int):
    rows = Rows.of(file, np.arange(len(codes)))
    if name == "xgb":
        trees = boosting.boost(rows, codes, CLASSES, rounds=rounds)
        return lambda spectra: boosting.probabilities(trees, spectra)
    return make_baseline(name).fit(rows, codes).predict_proba


def in_memory(name: str, spectra: np.ndarray, codes: np.ndarray, rounds: int):
    if name == "mean-cosine":
        return None  # scikit-learn has none
    makers = {
        "mean-mse": NearestCentroid,
        "pca-lda": lambda: make_pipeline(PCA(25, svd_solver="covariance_eigh"), LinearDiscriminantAnalysis()),
        "pca-xgb": lambda: make_pipeline(PCA(25, svd_solver="covariance_eigh"), XGBClassifier(n_jobs=1)),
        "xgb": lambda: XGBClassifier(n_jobs=1, n_estimators=rounds),
    }
    model = makers[name]().fit(spectra, codes)
    if name == "mean-mse":  # its probabilities are of another kind
        return lambda spectra: np.eye(CLASSES)[model.predict(spectra)]
    return model.predict_proba


def train_alone(folder: Path, name: str, kind: str, rounds: int) -> None:
    """In a process of its own: processor seconds and peak memory of training as JSON, answers in a file."""
    file, codes = Rows.of(folder / "spectra.npy"), np.load(folder / "codes.npy")
    seen = slice(0, len(codes) - UNSEEN)
    with threadpool_limits(1):
        spectra = file[seen] if kind == "in_memory" else file
        start = time.process_time()
        answer = {"streamed": streamed, "in_memory": in_memory}[kind](name, spectra, codes[seen], rounds)
        seconds = time.process_time() - start
        peak = peak_memory_mb() / 1e3
        if answer is not None:
            np.save(folder / f"{name}-{kind}.npy", answer(file[seen.stop :]))
    print(json.dumps({"seconds": seconds, "peak_gb": peak} if answer is not None else None))


def compared(folder: Path, name: str, kinds: list[str], rounds: int) -> dict:
    row = {"model": name}
    for kind in kinds:
        words = ["--alone", str(folder), name, kind, "--rounds", str(rounds)]
        done = subprocess.run([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, check=True)
        row[kind] = json.loads(done.stdout.splitlines()[-1])
    if all(row.get(kind) for kind in ("streamed", "in_memory")):
        ours, theirs = (np.load(folder / f"{name}-{kind}.npy") for kind in ("streamed", "in_memory"))
        row["ratio"] = row["streamed"]["seconds"] / row["in_memory"]["seconds"]
        row["other_class"] = float((ours.argmax(axis=1) != theirs.argmax(axis=1)).mean())
        if name != "mean-mse":
            row["largest_difference"] = float(np.abs(ours - theirs).max())
    return row


def sampled_bins(folder: Path) -> dict:
    """Trees with bins from a sample and trees of shuffled spectra, against those of all spectra in order."""
    write_spectra(folder, BINNED)
    file, codes = Rows.of(folder / "spectra.npy"), np.load(folder / "codes.npy")
    spectra = np.concatenate([block[:, ::EVERY] for _, block in file.blocks(BLOCK)])
    seen, unseen = np.arange(BINNED), np.arange(BINNED, BINNED + UNSEEN)

    def answers(rows, sample):
        boosting.SAMPLE = sample
        trees = boosting.boost(Rows.of(spectra, rows), codes[rows], CLASSES)
        return boosting.probabilities(trees, spectra[unseen])

    sample = boosting.SAMPLE
    plain = answers(seen, BINNED)
    found = {
        "spectra": BINNED,
        "sample": len(seen[:: -(-BINNED // sample)]),
        "accuracy": _accuracy(plain, codes[unseen]),
    }
    others = {"sampled": answers(seen, sample), "shuffled": answers(np.random.default_rng(0).permutation(seen), BINNED)}
    for name, other in others.items():
        found[name] = {
            "accuracy": _accuracy(other, codes[unseen]),
            "other_class": float((plain.argmax(axis=1) != other.argmax(axis=1)).mean()),
            "mean_difference": float(np.abs(plain - other).mean()),
        }
    return found


def _accuracy(probability: np.ndarray, codes: np.ndarray) -> float:
    return float((probability.argmax(axis=1) == codes).mean())


def said(row: dict) -> str:
    parts = [f"{row['model']:11} from a file: {row['streamed']['seconds']:7.1f} s, {row['streamed']['peak_gb']:.2f} GB"]
    if row.get("in_memory"):
        parts.append(f"in memory: {row['in_memory']['seconds']:7.1f} s, {row['in_memory']['peak_gb']:.2f} GB")
        parts.append(f"ratio {row['ratio']:.2f}, another class for {row['other_class']:.2%}")
    if "largest_difference" in row:
        parts.append(f"probabilities within {row['largest_difference']:.1e}")
    return "; ".join(parts)


def said_of_bins(found: dict) -> str:
    lines = [f"xgb of {found['spectra']} spectra: accuracy {found['accuracy']:.3f}"]
    for name, change in (("sampled", f"bins from {found['sample']} of them"), ("shuffled", "in another order")):
        one = found[name]
        lines.append(
            f"  {change}: accuracy {one['accuracy']:.3f}, another class for {one['other_class']:.1%}, "
            f"probabilities {one['mean_difference']:.3f} apart on average"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=20_000)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--rounds", type=int, default=5, help="of boosted trees on the spectrum")
    parser.add_argument("--streamed-only", action="store_true", help="leave out what holds all spectra in memory")
    parser.add_argument("--limit-gb", type=float, default=2.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        folder, name, kind = options.alone
        train_alone(Path(folder), name, kind, options.rounds)
        return 0
    kinds = ["streamed"] if options.streamed_only else ["streamed", "in_memory"]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_spectra(Path(folder), options.spectra)
        print(f"{options.spectra} spectra of {WAVENUMBERS} points, one thread; xgb: {options.rounds} rounds")
        for name in options.models:
            rows.append(compared(Path(folder), name, kinds, options.rounds))
            print(said(rows[-1]), flush=True)
    found = {"spectra": options.spectra, "rounds": options.rounds, "models": rows}
    if not options.streamed_only:
        with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
            found["bins"] = sampled_bins(Path(folder))
        print(said_of_bins(found["bins"]))
    if options.json:
        options.json.write_text(json.dumps(found | {"machine": machine()}, indent=1) + "\n", encoding="utf-8")
    over = [row["model"] for row in rows if row["streamed"]["peak_gb"] > options.limit_gb]
    if over:
        print(f"over the limit of {options.limit_gb} GB: {', '.join(over)}")
    return len(over)


if __name__ == "__main__":
    sys.exit(main())
