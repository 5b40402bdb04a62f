"""Tables made of a run's artefacts: scores, settings, times, machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable

import numpy as np
import pandas as pd

from ftirlib.run import stages
from ftirlib.run.runner import Run


def wide_scores(table: pd.DataFrame, scores, titles) -> pd.DataFrame:
    """The tidy table as a page shows it: a row per model, "mean ± sd" and "[low, high]" per score."""
    table = table[table.score.isin(scores)].copy()
    table["text"] = [_score_text(row) for row in table.to_dict("records")]
    wide = table.pivot(index="model", columns="score", values="text").rename_axis(None).rename_axis(None, axis=1)
    order = list(dict.fromkeys(table.model))
    return wide.loc[order, [s for s in scores if s in wide]].rename(columns=titles)


def _score_text(row: dict) -> str:
    mean = f"{row['mean']:.2f} ± {row['sd']:.2f}" if np.isfinite(row["mean"]) else "undefined"
    text = f"{mean}\n[{row['low']:.2f}, {row['high']:.2f}]" if np.isfinite(row["low"]) else mean
    return text.replace("-", "−")


def with_target(table: pd.DataFrame) -> pd.DataFrame:
    """The tidy table with the target in the model's name: "CP-0.2 (L)" against labels, "(M)" the ensemble."""
    return table.assign(model=table.model + table.target.map({"labels": " (L)", "ensemble": " (M)"}))


def interval_cell(value: float, low: float, high: float, digits: int = 2) -> str:
    """An estimate over its interval, two lines of one cell; "undefined" where there is none.

    Examples
    --------
    >>> print(interval_cell(0.5, 0.4, 0.61))
    0.50
    [0.40, 0.61]
    """
    if not np.isfinite(value):
        return "undefined"
    between = f"[{low:.{digits}f}, {high:.{digits}f}]" if np.isfinite(low) else "too few groups"
    return f"{value:.{digits}f}\n{between}"


def difference_cell(value: float, low: float, high: float, digits: int = 2) -> str:
    """A difference over its interval, with a star where the interval leaves out 0.

    Examples
    --------
    >>> print(difference_cell(0.05, 0.01, 0.09))
    +0.05 *
    [+0.01, +0.09]
    """
    if not np.isfinite(value):
        return "undefined"
    star = " *" if low > 0 or high < 0 else ""
    return f"{value:+.{digits}f}{star}\n[{low:+.{digits}f}, {high:+.{digits}f}]"


def cells(frame: pd.DataFrame, index: bool = False):
    """A frame of such cells as a page shows it: lines kept as they are, and nothing wrapped."""
    shown = frame.style.set_properties(**{"white-space": "pre"})
    return shown if index else shown.hide(axis="index")


def markdown(frame: pd.DataFrame) -> str:
    """A data frame as a Markdown table."""
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "|" + "---|" * frame.shape[1]]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in frame.itertuples(index=False)]
    return "\n".join(lines) + "\n"


def settings_table(run: Run) -> str:
    """Every setting of the run and its value, as Markdown."""
    rows = []
    for name, value in run.settings.model_dump(mode="json", exclude={"out", "scheduler", "data"}).items():
        inner = value.items() if isinstance(value, dict) else [(None, value)]
        rows += [(f"`{name}.{k}`" if k else f"`{name}`", f"`{v}`") for k, v in inner]
    return markdown(pd.DataFrame(rows, columns=["setting", "value"]))


def time_table(run: Run) -> str:
    """Seconds of work per stage, added up over its artefacts, as Markdown."""
    seconds: dict[str, list[float]] = {}
    for name in run.store.names():
        manifest = run.store.manifest(name)
        if manifest:
            seconds.setdefault(name.split("/")[0], []).append(manifest["seconds"])
    order = [*stages.STAGES, "fusion", "executed"]
    rows = [(stage, len(seconds[stage]), f"{sum(seconds[stage]):.0f}") for stage in order if stage in seconds]
    return markdown(pd.DataFrame(rows, columns=["stage", "artefacts", "seconds of one core, added up"]))


def machine_table() -> str:
    """The machine that built the book, as Markdown."""
    import torch

    rows = [
        ("processor", processor_name()),
        ("cores", os.cpu_count()),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("Python", platform.python_version()),
        ("torch", torch.__version__),
        ("accelerator", torch.cuda.get_device_name() if torch.cuda.is_available() else "none used"),
    ]
    return markdown(pd.DataFrame(rows, columns=["what", "value"]))


def processor_name() -> str:
    """The processor's own name where the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as handle:
            return next(line.split(":", 1)[1].strip() for line in handle if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def best(table: pd.DataFrame, score: str, models: Callable[[str], bool] = lambda name: True) -> pd.Series:
    """The row of the model with the highest mean of a score against the labels."""
    rows = table[(table.score == score) & (table.target == "labels") & table.model.map(models)]
    return rows.loc[rows["mean"].idxmax()]


def value_of(table: pd.DataFrame, model: str, score: str, target: str = "labels") -> pd.Series:
    """The row of one score of one model."""
    rows = table[(table.model == model) & (table.score == score) & (table.target == target)]
    return rows.iloc[0]
