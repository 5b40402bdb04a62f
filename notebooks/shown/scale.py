"""What the scale chapter shows: time and memory by number of spectra and of workers, and what many more would cost.

Read from the numbers that `benchmarks/scale.py` left; what is measured and what is extended from it are kept apart.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftirlib.method.settings import read_settings
from ftirlib.report.memory import BOUND, first_beyond
from shown.measured import measured, seconds_text

NAMES = {
    "spectra": "simulation",
    "prepared": "preparation",
    "baselines": "three baselines, four folds",
    "members": "one network a fold, one epoch",
    "explanations": "explanations, 2 x 8 gradients each",
    "vaes": "one autoencoder a fold, one epoch",
    "contexts": "contexts, linear models",
}
POINTS = 801  # wavenumbers of the published spectra
SHARD = 20_000  # spectra of a task, as in the profiles
LEAST = 1e-9  # seconds; below, a stage was not timed


def numbers() -> dict[str, str]:
    """Numbers and names of the chapter."""
    scale, cohort, paper = measured("scale"), measured("cohort_memory"), read_settings("paper")
    largest = scale["size"]["measured"][-1]
    found = {
        "cohort-day": cohort["machine"]["day"],
        "cohort-limit": limit_text(cohort, 2.0),
        "paper-networks": f"{paper.members.count}",
        "paper-epochs": f"{paper.members.epochs}",
        "paper-hours": f"{network_hours(scale, paper.members.epochs):.0f} hours",
        "paper-mode": paper.explanations.mode,
        "pixels": f"{largest['pixels']:,}",
        "spectra": f"{largest['spectra']:,}",
        "explained": f"{largest['explained']:,}",
        "driver": f"{largest['driver_mb'] / 1e3:.2f} GB",
        "turns": f"{worker_rows(scale)[0]['runs']}",
        "whole-turns": f"{sum(row['kind'] == 'dask' for row in scale['whole']['measured'])}",
        "overhead": f"{overhead(scale):+.1%}",
        "whole": f"{whole_overhead(scale):+.1%}",
        "growth": f"{growth(scale, 'explanations'):.2f}",
        "same": "the same bytes" if all_the_same(scale) else "NOT the same bytes",
    }
    found |= {f"{part}-when": when(scale, part) for part in ("size", "workers", "cores", "whole")}
    for stage in ("members", "explanations", "baselines"):
        found[f"memory-{stage}"] = f"{largest['stages'][stage]['memory_mb'] / 1e3:.2f} GB"
    for stage in ("members", "explanations"):
        found[stage] = f"{speed_up(scale, stage, 2):.2f}"
        found[f"busy-{stage}"] = f"{busy(scale, stage, 2):.0%}"
        found[f"slower-{stage}"] = f"{slower_beside(scale, stage, 2):+.0%}"
    return found


def _per(row: dict, stage: str) -> int:
    """Spectra that a stage dealt with: pixels before the tissue is found, explained spectra where they are fewer."""
    if stage in ("spectra", "prepared"):
        return row["pixels"]
    return row["explained"] if stage in ("explanations", "vaes", "contexts") else row["spectra"]


def curves(scale: dict, of: str) -> dict[str, tuple[list, list]]:
    """Seconds over all tasks ("task_seconds") or peak memory ("memory_mb") of each stage, against its spectra."""
    rows = scale["size"]["measured"]
    return {
        name: ([_per(row, stage) for row in rows], [max(row["stages"][stage][of], LEAST) for row in rows])
        for stage, name in NAMES.items()
    }


def size_table(scale: dict) -> pd.DataFrame:
    """A row per stage at the largest size: spectra, seconds of work, rate of one thread, and the most memory."""
    row = scale["size"]["measured"][-1]
    table = []
    for stage, name in NAMES.items():
        facts, n = row["stages"][stage], _per(row, stage)
        table.append(
            {
                "stage": name,
                "spectra": f"{n:,}",
                "tasks": facts["tasks"],
                "work of one thread": seconds_text(facts["task_seconds"]),
                "spectra/s and thread": f"{n / facts['task_seconds']:,.0f}",
                "most memory of a task": f"{facts['memory_mb'] / 1e3:.2f} GB",
                "written": f"{facts['bytes'] / 1e9:.2f} GB",
            }
        )
    return pd.DataFrame(table)


def when(scale: dict, part: str) -> str:
    """Day and machine on which a part of the numbers was measured."""
    machine = scale[part]["machine"]
    return f"{machine['day']} ({machine['processor']}, {machine['cores']} cores)"


def worker_rows(scale: dict) -> list[dict]:
    """A row per kind and number of workers: median times and most memory of its runs, and whether all left one set of
    bytes."""
    runs = {}
    for row in scale["workers"]["measured"]:
        runs.setdefault((row["kind"], row["workers"]), []).append(row)
    rows = []
    for (kind, workers), same in runs.items():
        stages = {
            stage: {
                "seconds": float(np.median([row["stages"][stage]["seconds"] for row in same])),
                "task_seconds": float(np.median([row["stages"][stage]["task_seconds"] for row in same])),
                "memory_mb": max(row["stages"][stage]["memory_mb"] for row in same),
            }
            for stage in ("baselines", "members", "explanations")
        }
        rows.append(
            {
                "kind": kind,
                "workers": workers,
                "runs": len(same),
                "seconds": float(np.median([row["seconds"] for row in same])),
                "driver_mb": max(row["driver_mb"] for row in same),
                "stages": stages,
                "same_bytes": all(row["same_bytes"] for row in same),
            }
        )
    return rows


def speed_up(scale: dict, stage: str, workers: int) -> float:
    """Seconds of a stage on one worker of the cluster over those on several."""
    one, several = (_on_cluster(scale, n)["stages"][stage]["seconds"] for n in (1, workers))
    return one / several


def machine_speed_up(scale: dict, work: str, processes: int) -> float:
    """How often several processes do a piece of work ("products" in a core's cache, "copies" in memory), over one."""
    rates = {row["processes"]: row[work] for row in scale["cores"]["measured"]}
    return rates[processes] / rates[1]


def busy(scale: dict, stage: str, workers: int) -> float:
    """Share of a stage's time in which the workers of the cluster had a task."""
    facts = _on_cluster(scale, workers)["stages"][stage]
    return facts["task_seconds"] / (workers * facts["seconds"])


def slower_beside(scale: dict, stage: str, workers: int) -> float:
    """Share of time that a stage's tasks take longer beside those of other workers than alone."""
    alone, beside = (_on_cluster(scale, n)["stages"][stage]["task_seconds"] for n in (1, workers))
    return beside / alone - 1


def _on_cluster(scale: dict, workers: int) -> dict:
    return next(row for row in worker_rows(scale) if row["kind"] == "dask" and row["workers"] == workers)


def speed_up_curves(scale: dict) -> dict[str, tuple[list, list]]:
    """Times faster than one worker, by stage, against the number of workers; and what processors and memory give."""
    numbers = sorted(row["workers"] for row in worker_rows(scale) if row["kind"] == "dask")
    found = {
        name: (numbers, [speed_up(scale, stage, n) for n in numbers])
        for stage, name in (("members", "training of networks"), ("explanations", "explanations"))
    }
    bare = {"matrix products in a core's cache": "products", "copies in memory": "copies"}
    return found | {name: (numbers, [machine_speed_up(scale, work, n) for n in numbers]) for name, work in bare.items()}


def worker_table(scale: dict) -> pd.DataFrame:
    """A row per way to run: seconds of the two stages, memory, and whether the bytes are those of the first."""
    return pd.DataFrame(
        [
            {
                "workers": f"{row['workers']} {'of a Dask cluster' if row['kind'] == 'dask' else 'local processes'}",
                "training of networks": seconds_text(row["stages"]["members"]["seconds"]),
                "explanations": seconds_text(row["stages"]["explanations"]["seconds"]),
                "whole run": seconds_text(row["seconds"]),
                "most memory of a worker": f"{_worker_memory(row) / 1e3:.2f} GB",
                "driver": f"{row['driver_mb'] / 1e3:.2f} GB",
                "same bytes": "yes" if row["same_bytes"] else "NO",
            }
            for row in worker_rows(scale)
        ]
    )


def _worker_memory(row: dict) -> float:
    return max(facts["memory_mb"] for facts in row["stages"].values())


def overhead(scale: dict) -> float:
    """Share of time that two workers of a cluster need more than two local processes, in the stages they share."""
    seconds = {
        row["kind"]: sum(row["stages"][stage]["seconds"] for stage in ("members", "explanations"))
        for row in worker_rows(scale)
        if row["workers"] == 2
    }
    return seconds["dask"] / seconds["local"] - 1


def whole_overhead(scale: dict) -> float:
    """Share of time that a whole run of the quick profile needs more on a cluster of two workers than on two processes.

    The medians where there are several runs of each, taken in turn.
    """
    seconds = {
        kind: float(np.median([row["seconds"] for row in scale["whole"]["measured"] if row["kind"] == kind]))
        for kind in ("local", "dask")
    }
    return seconds["dask"] / seconds["local"] - 1


def limit_text(found: dict, gb: float) -> str:
    """Sentence that says whether a task's line reaches `gb` GB before `BOUND` spectra."""
    part, spectra = first_beyond(found, gb)
    if spectra >= BOUND:
        return f"Along these lines none of them reaches {gb:g} GB for {BOUND:,} spectra"
    return f"Along these lines {part} is the first to reach {gb:g} GB, at about {spectra / 1e6:,.1f} million spectra"


def growth(scale: dict, stage: str) -> float:
    """Exponent with which a stage's work grows with its spectra, between the two largest sizes: 1 is proportional."""
    n, seconds = curves(scale, "task_seconds")[NAMES[stage]]
    return float(np.log(seconds[-1] / seconds[-2]) / np.log(n[-1] / n[-2]))


def network_hours(scale: dict, epochs: int) -> float:
    """Hours of one thread that a network of the largest size takes for so many epochs, extended from those of one."""
    facts = scale["size"]["measured"][-1]["stages"]["members"]
    return facts["task_seconds"] / facts["tasks"] * epochs / 3600


def cost_table(scale: dict, wanted: float = BOUND) -> pd.DataFrame:
    """What `wanted` spectra would cost, each row from the rate measured at the largest size."""
    row = scale["size"]["measured"][-1]

    def hours(stage: str) -> float:
        return row["stages"][stage]["task_seconds"] / _per(row, stage) * wanted / 3600

    written = row["stages"]["explanations"]["bytes"] / row["explained"]
    per_task, tasks = scale["tasks"]["measured"]["seconds_per_task"], wanted / SHARD
    lines = [
        ("spectra on disk, uncompressed", f"{POINTS * 4:,} bytes a spectrum", f"{wanted * POINTS * 4 / 1e9:.1f} GB"),
        ("preparation", _rate(row, "prepared"), f"{hours('prepared'):,.0f} core hours"),
        ("one network, one epoch", _rate(row, "members"), f"{hours('members') / 4:,.0f} core hours a fold"),
        ("explanations, 2 x 8 gradients", _rate(row, "explanations"), f"{hours('explanations'):,.0f} core hours"),
        ("explanations on disk", f"{written:,.0f} bytes a spectrum", f"{wanted * written / 1e9:.1f} GB"),
        (f"tasks of {SHARD:,} spectra", "", f"{tasks:,.0f}"),
        ("their scheduling", f"{per_task * 1e3:.2f} ms a task", seconds_text(tasks * per_task)),
    ]
    return pd.DataFrame(lines, columns=["what", "measured", f"for {wanted:,.0f} spectra (extrapolated)"])


def _rate(row: dict, stage: str) -> str:
    return f"{_per(row, stage) / row['stages'][stage]['task_seconds']:,.0f} spectra/s and thread"


def all_the_same(scale: dict) -> bool:
    """Whether every number of workers left the bytes of the first."""
    return all(row["same_bytes"] for row in [*worker_rows(scale), *scale["whole"]["measured"]])
