"""Commands that report on a run: its progress, its scores, and whether its files are whole."""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from ftirlib.engine.lock import holder_of
from ftirlib.engine.places import is_remote
from ftirlib.engine.progress import Stage, read_progress, stage_of
from ftirlib.engine.store import Store
from ftirlib.errors import StoreError
from ftirlib.method import Run
from ftirlib.method.run import STUDIES

HEADER = ("stage", "done", "rate", "remaining")


def status_text(root: str | os.PathLike) -> str:
    """State of a run, or how it ended, and a table of its stages, from the files that it leaves.

    Parameters
    ----------
    root : path or fsspec address
        Output folder of the run.

    Raises
    ------
    StoreError
        When there is no run.
    """
    progress, lock = read_progress(root), holder_of(root)
    names = Store(root).names()
    if progress is None and lock is None and not names:
        raise StoreError(f"there is no run at '{root}'; make one with 'ftirlib run'.")
    now = time.time()
    stages = progress["stages"] if progress else {}
    alive = lock is not None and lock[2] and (progress is None or progress["run"] == lock[0].token)
    on_disk = Counter(stage_of(name, STUDIES) for name in names)
    rows = [(name, *_row(stages.get(name), on_disk[name], alive, now)) for name in _order(stages.keys() | on_disk)]
    return f"{root}: {_state(progress, lock, now)}\n{_aligned([HEADER, *rows])}"


def _order(begun: set[str]) -> list[str]:
    """Names of all stages of the method in order, then of the begun stages of the second study, then of any others."""
    from ftirlib.method.data import PARTS
    from ftirlib.method.stages import FUSION_STAGES, STAGES

    first = [name for stage in STAGES for name in ((PARTS, stage) if stage == "prepared" else (stage,))]
    first = [name for name in first if name != PARTS or name in begun]
    second = [name for name in FUSION_STAGES if name in begun]
    return [*first, *second, *sorted(begun - {*first, *second})]


def _state(progress, lock, now: float) -> str:
    if lock is not None:
        holder, age, alive = lock
        last_sign = f"last sign of life {length(age)} ago"
        return f"running ({holder}; {last_sign})" if alive else f"stopped without a word ({holder}; {last_sign})"
    if progress is None:
        return "made by an older version, which left no word of how it ended"
    if progress["ended"] is None:
        updated = progress["updated"]
        return f"not running; last heard of {moment(updated)} ({length(now - updated)} ago)"
    return f"{progress['ended']['how']} {moment(progress['ended']['at'])}"


def _row(stage: Stage | None, on_disk: int, alive: bool, now: float) -> tuple[str, str, str]:
    """Number done of the total, rate, and remaining time or state of a stage."""
    if stage is None:
        return (str(on_disk), "", "made earlier") if on_disk else ("", "", "")
    done = f"{stage.earlier + stage.done}/{stage.total}"
    if stage.done == 0:
        waiting = "under way" if alive else "stopped"
        return done, "", waiting if stage.left else "made earlier"
    rate = per_time(stage.done / stage.seconds) if stage.seconds > 0 else ""
    if stage.left == 0:
        return done, rate, f"made in {length(stage.seconds)}"
    if not alive:
        return done, rate, "stopped"
    since = now - stage.updated
    remaining = stage.left * stage.seconds / stage.done - since
    return done, rate, length(remaining) if remaining > 0 else f"nothing new for {length(since)}"


def per_time(rate: float) -> str:
    """A rate, given per second, as text in the unit that suits it.

    Examples
    --------
    >>> per_time(2.5), per_time(0.05), per_time(0.001)
    ('2.5/s', '3.0/min', '3.6/h')
    """
    for seconds, unit in ((1, "s"), (60, "min")):
        if rate * seconds >= 1:
            return f"{rate * seconds:.1f}/{unit}"
    return f"{rate * 3600:.1f}/h"


def length(seconds: float) -> str:
    """A length of time as text, in the two largest units.

    Examples
    --------
    >>> length(5.2), length(75), length(7300), length(200000)
    ('5 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    whole = round(max(seconds, 0))
    for unit, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // smaller} {smaller_name}"
    return f"{whole} s"


def moment(seconds: float) -> str:
    """A time, in seconds since 1970, as text."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _aligned(rows) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(row, widths)).rstrip() for row in rows)


def verify_run(root: str | Path) -> tuple[str, bool]:
    """Compare every file of a run with its manifest; returns the text, and whether all artefacts are whole."""
    store = Store(root)
    if not is_remote(root) and not store.root.is_dir():
        raise StoreError(f"there is no run at '{root}'.")
    names = store.names()
    if not names:
        raise StoreError(f"'{root}' holds no artefacts; is it the folder of a run?")
    damaged = {name: files for name in names if (files := store.damaged(name))}
    lines = [f"torn: {name}: {', '.join(files[:3])}" for name, files in damaged.items()]
    lines.append(f"{len(names) - len(damaged)} of {len(names)} artefacts are whole")
    return "\n".join(lines), not damaged


def summary(run: Run, seconds: float, *, scored: bool = True) -> str:
    """Number of artefacts that a run made and, a line for each model, its scores."""
    lines = [f"{run.settings.out}: {len(run.made)} artefacts made, the rest was current ({seconds:.0f} s)"]
    if scored:
        from ftirlib.method import model_scores

        table = model_scores(run)
        table = table[table.score == "balanced_accuracy"]
        for row in table.itertuples():
            spread = f"{row.mean:.3f} ± {row.sd:.3f} over folds, {row.low:.2f}-{row.high:.2f} over groups"
            lines.append(f"  {row.model:12} balanced accuracy against {row.target}: {spread}")
    return "\n".join(lines)
