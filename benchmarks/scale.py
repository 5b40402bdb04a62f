"""The same run on more spectra and on more workers: time, memory, and what a task costs beside its work.

Three parts, each kept in the JSON as it is finished (``--parts``; the others stay as they were):

size      simulated cohorts of growing size through every stage that a cohort's size decides, two local processes;
          seconds and peak memory of every task, from the manifests, and the driver's own
workers   the same run on one, two and three single-thread workers of a Dask cluster, started as programs of their own,
          and on two local processes: seconds of the stages, and whether the files are the same bytes
tasks     what the scheduler takes for a task that does nothing

    python benchmarks/scale.py [--parts size workers tasks] [--sizes 10000 100000 1190250] [--json FILE]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from machine import machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from dask_programs import Programs, address  # noqa: E402
from small_runs import checksums  # noqa: E402

from ftirlib.run.progress import read_progress  # noqa: E402
from ftirlib.run.store import Store  # noqa: E402

COMMAND = str(Path(sys.executable).with_name("ftirlib"))
SIDE = 115  # pixels, as in the published cohort
STAGES = ("spectra", "prepared", "folds", "baselines", "members", "ensemble", "explanations")
SIZED = {  # one network a fold and one epoch: the others cost the same again
    "phantom.side": SIDE,
    "phantom.images_per_patient": 1,
    "baselines.models": ["mean-mse", "pca-lda"],
    "members.count": 1,
    "members.epochs": 1,
    "members.batch_size": 3584,
    "ensemble.threshold": None,
    "explanations.mode": "limit",
    "explanations.samples": 8,
    "explanations.tolerance": None,
    "explanations.shard": 12500,
}
WORKED = {  # enough shards and networks for three workers
    "phantom.images": 24,
    "phantom.images_per_patient": 1,
    "phantom.side": 16,
    "baselines.models": ["mean-mse"],
    "members.count": 3,
    "members.epochs": 4,
    "ensemble.threshold": None,
    "explanations.mode": "limit",
    "explanations.samples": 32,
    "explanations.tolerance": None,
    "explanations.spectra": 600,
    "explanations.shard": 100,
}
IDLE_TASKS = 1000


def words(out: Path, changes: dict, *options: str) -> list[str]:
    flags = [f"--set={name}={'null' if value is None else value}" for name, value in changes.items()]
    return [COMMAND, "run", "--profile", "paper", "--out", str(out), *flags, *options]


def run(out: Path, changes: dict, *options: str) -> tuple[float, float]:
    """Seconds of a run, and the most memory of its driver, MB."""
    start = time.perf_counter()
    process = subprocess.Popen(words(out, changes, *options), stderr=subprocess.PIPE, text=True, stdout=subprocess.PIPE)
    peak = 0.0
    said = []
    reader = threading.Thread(target=lambda: said.append(process.communicate()))
    reader.start()
    while reader.is_alive():
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak] + [int(s.split()[1]) * 1024 / 1e6 for s in status.splitlines() if s.startswith("VmHWM")])
        except OSError:
            pass
        reader.join(0.2)
    if process.returncode:
        sys.exit(f"a run failed:\n{said[0][1][-3000:]}")
    return time.perf_counter() - start, peak


def stage_facts(out: Path) -> dict:
    """Of every stage: wall seconds, seconds summed over tasks, tasks, and the most memory that one of them needed."""
    store, stages = Store(out), read_progress(out)["stages"]
    facts = {}
    for name in store.names():
        manifest = store.manifest(name)
        one = facts.setdefault(name.partition("/")[0], {"task_seconds": 0.0, "tasks": 0, "memory_mb": 0.0})
        one["task_seconds"] += manifest["seconds"]
        one["tasks"] += 1
        one["memory_mb"] = max(one["memory_mb"], manifest["memory_mb"])
        one["bytes"] = one.get("bytes", 0) + sum(file["size"] for file in manifest["files"].values())
    for name, one in facts.items():
        if name in stages:
            one["seconds"] = stages[name].seconds
    return facts


def by_size(sizes: list[int], explained: int, folder: Path) -> list[dict]:
    rows = []
    for size in sizes:
        out = folder / str(size)
        images = max(24, round(size / SIDE**2))  # the rarest class in each of four folds
        side = min(SIDE, round((size / images) ** 0.5))
        changes = SIZED | {"phantom.images": images, "phantom.side": side, "explanations.spectra": explained}
        facts, driver = {}, 0.0
        for stage in STAGES:  # processes of their own, so that memory is the stage's
            _, peak = run(out, changes, "--until", stage)
            driver = max(driver, peak)
            facts[stage] = stage_facts(out)[stage]
        pixels = images * side**2
        prepared = _count(out)
        counts = {"pixels": pixels, "spectra": prepared, "explained": _explained(out)}
        rows.append(counts | {"driver_mb": driver, "stages": facts})
        shutil.rmtree(out)
        print(f"\n{pixels} pixels, {prepared} spectra of tissue; driver at most {driver:.0f} MB")
        for stage, one in facts.items():
            print(
                f"  {stage:13} {one['task_seconds']:8.1f} s in {one['tasks']:3} tasks, at most "
                f"{one['memory_mb']:5.0f} MB, {one['bytes'] / 1e6:7.0f} MB written"
            )
    return rows


def _count(out: Path) -> int:
    from ftirlib.spectra.model import open_spectra

    return open_spectra(out / "prepared" / "spectra.zarr").sizes["spectrum"]


def _explained(out: Path) -> int:
    """Spectra explained, counted once for each side of each fold."""
    import zarr

    return sum(zarr.open(path)["rows"].shape[0] for path in (out / "explanations").rglob("attribution.zarr"))


def by_workers(folder: Path) -> list[dict]:
    rows, bytes_ = [], []
    prepared = folder / "prepared"
    run(prepared, WORKED, "--until", "folds")
    for kind, n in (("local", 2), ("dask", 1), ("dask", 2), ("dask", 3)):
        out = folder / f"{kind}{n}"
        shutil.copytree(prepared, out)
        (folder / f"programs-{kind}{n}").mkdir()
        with Programs(folder / f"programs-{kind}{n}") as programs:
            options = [f"--set=workers={n}"]
            if kind == "dask":
                _, file = programs.scheduler()
                where = address(file)
                for _ in range(n):
                    programs.worker(where)
                options = ["--scheduler", where]
                _wait_for_workers(where, n)
            seconds, driver = run(out, WORKED, "--until", "explanations", *options)
        facts = stage_facts(out)
        bytes_.append(checksums(out))
        rows.append({"kind": kind, "workers": n, "seconds": seconds, "driver_mb": driver, "stages": facts})
        shown = ", ".join(f"{s} {facts[s]['seconds']:.1f} s" for s in ("members", "explanations"))
        print(f"{kind} {n} workers: {seconds:.1f} s; {shown}; the same bytes as the first: {bytes_[-1] == bytes_[0]}")
    for row, found in zip(rows, bytes_):
        row["same_bytes"] = found == bytes_[0]
    return rows


def _wait_for_workers(where: str, n: int) -> None:
    from distributed import Client

    with Client(where) as client:
        client.wait_for_workers(n, timeout=60)
        client.run(_warm)  # imports are paid once in a worker's life, not in each run


def _warm() -> None:
    import ftirlib.classify.training
    import ftirlib.explain.lime  # noqa: F401


def per_task(folder: Path) -> dict:
    from ftirlib.run.cluster import open_executor, wait_for

    with Programs(folder) as programs:
        _, file = programs.scheduler()
        where = address(file)
        for _ in range(2):
            programs.worker(where)
        _wait_for_workers(where, 2)
        done = []
        with open_executor(where) as executor:
            wait_for(executor, {"first": (time.sleep, 0)}, lambda name, result: None)
            start = time.perf_counter()
            calls = {f"task {i}": (time.sleep, 0) for i in range(IDLE_TASKS)}
            wait_for(executor, calls, lambda name, result: done.append(name))
            seconds = time.perf_counter() - start
    assert len(done) == IDLE_TASKS
    print(f"{IDLE_TASKS} tasks that do nothing: {seconds / IDLE_TASKS * 1e3:.2f} ms each")
    return {"tasks": IDLE_TASKS, "seconds_per_task": seconds / IDLE_TASKS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["size", "workers", "tasks"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 100_000, 1_190_250])
    parser.add_argument("--explained", type=int, default=130_000, help="most spectra explained per fold and side")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker has one thread
    result = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    parts = {
        "size": lambda folder: by_size(options.sizes, options.explained, folder),
        "workers": by_workers,
        "tasks": per_task,
    }
    for part in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            result[part] = {"machine": machine(), "measured": parts[part](Path(folder))}
        if options.json:
            options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
