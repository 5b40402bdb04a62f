"""Memory of a cohort's tasks: lines through what `benchmarks/cohort_memory.py` measured, and their extension."""

from __future__ import annotations

import numpy as np
import pandas as pd

COHORT_PARTS = {
    "open": "opening and checking a data set",
    "folds": "folds",
    "baseline": "a nearest-mean baseline",
    "trees": "boosted trees",
    "network": "a network",
    "ensemble": "an ensemble",
    "explanations": "a shard of explanations",
    "scores": "scores of one model",
    "driver": "the driver, between stages",
}
BOUND = 10_000_000  # spectra, the most that a run is made for


def memory_line(result: dict, part: str) -> tuple[float, float]:
    """Memory of a part that does not grow, MB, and bytes that each spectrum adds (least squares over the sizes).

    `result` is the JSON that `benchmarks/cohort_memory.py` writes.
    """
    rows = result["measured"]
    n = [row["spectra"] for row in rows]
    slope, fixed = np.polyfit(n, [row["parts"][part]["memory_mb"] for row in rows], 1)
    return float(fixed), float(slope * 1e6)


def memory_needed(result: dict, part: str, spectra: float) -> float:
    """GB that a part needs for a cohort of so many spectra, along the measured line: extrapolated beyond its sizes."""
    fixed, each = memory_line(result, part)
    return (fixed + max(each, 0.0) * spectra / 1e6) / 1e3


def first_beyond(result: dict, gb: float) -> tuple[str, float]:
    """The task whose memory reaches `gb` GB first as a cohort grows, and the number of spectra at which it does."""
    reached = {}
    for part in result["measured"][-1]["parts"]:
        fixed, each = memory_line(result, part)
        reached[part] = (gb * 1e3 - fixed) / each * 1e6 if each > 0 else np.inf
    part = min(reached, key=reached.get)
    return COHORT_PARTS[part], float(reached[part])


def cohort_memory(result: dict, spectra: int = BOUND) -> pd.DataFrame:
    """Table with a row per task: memory at the largest size measured, bytes a spectrum, memory at `spectra`."""
    largest = result["measured"][-1]
    table = []
    for part, name in COHORT_PARTS.items():
        if part not in largest["parts"]:
            continue
        row = {
            "task": name,
            f"{largest['spectra']:,} spectra (measured)": f"{largest['parts'][part]['memory_mb'] / 1e3:.2f} GB",
            "bytes a spectrum": f"{max(memory_line(result, part)[1], 0.0):.1f}",
            f"{spectra:,} (extrapolated)": f"{memory_needed(result, part, spectra):.2f} GB",
        }
        table.append(row)
    return pd.DataFrame(table)
