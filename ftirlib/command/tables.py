"""Markdown tables that the book's builder writes: a run's settings, its times, the machine."""

from __future__ import annotations

import os
import platform

import pandas as pd

from ftirlib.method import stages
from ftirlib.method.run import Run


def markdown(frame: pd.DataFrame) -> str:
    """A data frame as a Markdown table."""
    rows = [frame.columns, *frame.itertuples(index=False)]
    head, *lines = ["| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * frame.shape[1], *lines]) + "\n"


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
