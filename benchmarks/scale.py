"""The same run on more spectra and on more workers: time, memory, and what a task costs beside its work.

Five parts, each kept in the JSON as it is finished (``--parts``; the others stay as they were):

size      simulated cohorts of growing size through every stage that a cohort's size decides, two local processes;
          seconds and peak memory of every task, from the manifests, and the driver's own
workers   the same run on one, two and three single-thread workers of a Dask cluster, started as programs of their own,
          and on two local processes: seconds of the stages, and whether the files are the same bytes
cores     matrix products, and copies in memory, of one, two and three processes: what the machine gives side by side
whole     every stage of the quick profile on two local processes and on two workers of a Dask cluster, in turn
tasks     what the scheduler takes for a task that does nothing

    python benchmarks/scale.py [--parts size workers cores whole tasks] [--sizes 10000 100000 1190250]
        [--stages spectra prepared ...] [--turns 3] [--json FILE]
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from machine import machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from dask_programs import Programs, address  # noqa: E402
from small_runs import checksums  # noqa: E402

from ftirlib.engine.progress import read_progress  # noqa: E402
from ftirlib.engine.store import Store  # noqa: E402
from ftirlib.method.data import PARTS  # noqa: E402

COMMAND = str(Path(sys.executable).with_name("ftirlib"))
WORKERS = 2  # local processes
SIDE = 115  # pixels, as in the published cohort
STAGES = ("spectra", "prepared", "folds", "baselines", "members", "ensemble", "explanations")
STAGES += ("vaes", "contexts", "cards")
SIZED = {  # one network and one autoencoder a fold, and one epoch: the others cost the same again
    "phantom.side": SIDE,
    "phantom.images_per_patient": 1,
    "workers": WORKERS,
    "baselines.models": ["mean-mse", "pca-lda", "pca-xgb"],
    "members.count": 1,
    "members.epochs": 1,
    "members.batch_size": 3584,
    "ensemble.threshold": None,
    "explanations.mode": "limit",
    "explanations.samples": 8,
    "explanations.tolerance": None,
    "explanations.shard": 12500,
    "vaes.variants": ["CP"],
    "vaes.supervision": [0.2],
    "vaes.epochs": 1,
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
SIDES = {"products": (256, 256), "copies": (4096, 4096)}  # a product stays in a core's own cache, a copy in none
PERIOD = 10.0  # seconds


def words(profile: str, out: Path, changes: dict, *options: str) -> list[str]:
    flags = [f"--set={name}={'null' if value is None else value}" for name, value in changes.items()]
    return [COMMAND, "run", "--profile", profile, "--out", str(out), *flags, *options]


def run(out: Path, changes: dict, *options: str, profile: str = "paper") -> tuple[float, float, float]:
    """Seconds of a run, and the most memory of its driver and of a local worker, MB."""
    start = time.perf_counter()
    command = words(profile, out, changes, *options)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, stdout=subprocess.PIPE)
    driver = worker = 0.0
    said = []
    reader = threading.Thread(target=lambda: said.append(process.communicate()))
    reader.start()
    while reader.is_alive():
        with suppress(OSError):  # it ends while it is looked at
            driver = max(driver, _peak_mb(process.pid))
            for children in Path(f"/proc/{process.pid}/task").glob("*/children"):
                worker = max([worker, *(_peak_mb(int(pid)) for pid in children.read_text().split())])
        reader.join(0.2)
    if process.returncode:
        sys.exit(f"a run failed:\n{said[0][1][-3000:]}")
    return time.perf_counter() - start, driver, worker


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return max((int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmHWM")), default=0.0)


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


def by_size(sizes: list[int], explained: int, stages: list[str], before: list[dict], folder: Path) -> list[dict]:
    """Rows of the sizes; stages that are not to be measured are those of the row `before` with as many pixels."""
    rows = []
    for size in sizes:
        out = folder / str(size)
        images = max(24, round(size / SIDE**2))  # the rarest class in each of four folds
        side = min(SIDE, round((size / images) ** 0.5))
        changes = SIZED | {"phantom.images": images, "phantom.side": side, "explanations.spectra": explained}
        pixels = images * side**2
        known = next((row for row in before if row["pixels"] == pixels), None)
        if known is None and set(STAGES) - set(stages):
            sys.exit(f"--stages: no numbers of the others are there for {pixels} pixels; leave it out, or give --json")
        facts, driver = dict(known["stages"]) if known else {}, known["driver_mb"] if known else 0.0
        for stage in stages:  # processes of their own, so that memory is the stage's
            _, peak, of_worker = run(out, changes, "--until", stage)
            driver = max(driver, peak)
            facts[stage] = stage_facts(out)[stage]
            if stage == "prepared":
                _add_parts(facts[stage], out, of_worker)
        prepared = _count(out)
        counts = {"pixels": pixels, "spectra": prepared}
        counts["explained"] = _explained(out) if "explanations" in stages else known["explained"]
        rows.append(counts | {"driver_mb": driver, "stages": facts})
        shutil.rmtree(out)
        print(f"\n{pixels} pixels, {prepared} spectra of tissue; driver at most {driver:.0f} MB")
        for stage, one in facts.items():
            print(
                f"  {stage:13} {one['task_seconds']:8.1f} s in {one['tasks']:3} tasks, at most "
                f"{one['memory_mb']:5.0f} MB, {one['bytes'] / 1e6:7.0f} MB written"
            )
    return rows


def _add_parts(facts: dict, out: Path, memory_mb: float) -> None:
    """Count the parts of the preparation, which are gone once they are joined: their seconds are of all workers."""
    parts = read_progress(out)["stages"].get(PARTS)
    if parts is not None:
        facts["task_seconds"] += WORKERS * parts.seconds
        facts["tasks"] += parts.total
        facts["memory_mb"] = max(facts["memory_mb"], memory_mb)


def _count(out: Path) -> int:
    from ftirlib.spectra.model import open_spectra

    return open_spectra(out / "prepared" / "spectra.zarr").sizes["spectrum"]


def _explained(out: Path) -> int:
    """Spectra explained, counted once for each side of each fold."""
    import zarr

    return sum(zarr.open(path)["rows"].shape[0] for path in (out / "explanations").rglob("attribution.zarr"))


def by_workers(turns: int, folder: Path) -> list[dict]:
    prepared = folder / "prepared"
    run(prepared, WORKED, "--until", "folds")

    def rest(out, options):
        shutil.copytree(prepared, out)
        return run(out, WORKED, "--until", "explanations", *options)

    return _in_turn([("local", 2), ("dask", 1), ("dask", 2), ("dask", 3)], turns, folder, rest)


def by_cores() -> list[dict]:
    rows = []
    for n in (1, 2, 3):
        rows.append({"processes": n})
        for work in ("products", "copies"):
            start = time.time() + 10  # all are there by then
            with ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn")) as processes:
                rows[-1][work] = sum(processes.map(_times, [work] * n, [start] * n)) / PERIOD
            print(f"{n} processes: {rows[-1][work]:.0f} {work} a second")
    return rows


def _times(work: str, start: float) -> int:
    """How often a piece of work is done in the seconds that follow a moment (of `time.time`)."""
    import torch

    torch.set_num_threads(1)
    a, b = torch.rand(2, *SIDES[work])
    out, n = torch.empty_like(a), 0
    do = {"products": lambda: torch.mm(a, b, out=out), "copies": lambda: out.copy_(a)}[work]
    do()
    if time.time() > start:
        raise RuntimeError("a process came too late to be measured beside the others")
    time.sleep(start - time.time())
    while time.time() < start + PERIOD:
        do()
        n += 1
    return n


def whole_run(turns: int, folder: Path) -> list[dict]:
    kinds = [("local", 2), ("dask", 2)]
    return _in_turn(kinds, turns, folder, lambda out, options: run(out, {}, *options, profile="quick"))


def _in_turn(kinds: list[tuple[str, int]], turns: int, folder: Path, run_into) -> list[dict]:
    """A row for each run, by each kind and number of workers in each turn; `run_into` takes a folder and options."""
    rows, first = [], None
    for turn in range(turns):
        for kind, n in kinds[:: 1 if turn % 2 == 0 else -1]:  # none is always the warmer
            out = folder / f"{kind}{n}-{turn}"
            with _workers(folder / f"programs-{kind}{n}-{turn}", kind, n) as options:
                seconds, driver, _ = run_into(out, options)
            facts, bytes_ = stage_facts(out), checksums(out)
            first = first or bytes_
            rows.append({"kind": kind, "workers": n, "seconds": seconds, "driver_mb": driver, "stages": facts})
            rows[-1]["same_bytes"] = bytes_ == first
            shown = ", ".join(f"{s} {facts[s]['seconds']:.1f} s" for s in ("members", "explanations"))
            print(f"{kind} {n} workers: {seconds:.1f} s; {shown}; the same bytes as the first: {bytes_ == first}")
            shutil.rmtree(out)
    return rows


@contextmanager
def _workers(folder: Path, kind: str, n: int):
    """Options of a run on local processes, or on a cluster that is there for the time of the block."""
    if kind == "local":
        yield [f"--set=workers={n}"]
        return
    folder.mkdir()
    with Programs(folder) as programs:
        _, file = programs.scheduler()
        where = address(file)
        for _ in range(n):
            programs.worker(where)
        _wait_for_workers(where, n)
        yield ["--scheduler", where]


def _wait_for_workers(where: str, n: int) -> None:
    from distributed import Client

    with Client(where) as client:
        client.wait_for_workers(n, timeout=60)
        client.run(_warm)  # imports are paid once in a worker's life, not in each run


def _warm() -> None:
    import ftirlib.classify.training
    import ftirlib.explain.lime.lime  # noqa: F401


def per_task(folder: Path) -> dict:
    from ftirlib.engine.cluster import open_executor
    from ftirlib.engine.workers import wait_for

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
    parser.add_argument("--parts", nargs="+", default=["size", "workers", "cores", "whole", "tasks"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 100_000, 1_190_250])
    parser.add_argument("--stages", nargs="+", default=list(STAGES), help="of the part size, to measure anew")
    parser.add_argument("--turns", type=int, default=3, help="runs of each kind, of the parts workers and whole")
    parser.add_argument("--explained", type=int, default=130_000, help="most spectra explained per fold and side")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker has one thread
    result = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    before = result.get("size", {}).get("measured", [])
    parts = {
        "size": lambda folder: by_size(options.sizes, options.explained, options.stages, before, folder),
        "workers": lambda folder: by_workers(options.turns, folder),
        "cores": lambda _: by_cores(),
        "whole": lambda folder: whole_run(options.turns, folder),
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
