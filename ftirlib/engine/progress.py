"""A run's progress: a bar where somebody watches, and a small file that another terminal can read, from one source."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from typing import Any

from ftirlib.engine.store import Store

PROGRESS = "progress.json"
LEAST_SECONDS = 1  # between two writings


def stage_of(name: str, studies: Collection[str] = ()) -> str:
    """The stage of an artefact: the folder that its name begins with.

    Parameters
    ----------
    name : str
        Of the artefact.
    studies : collection of str
        Folders that hold the stages of a study of their own, each in a folder below.

    Examples
    --------
    >>> stage_of("members/fold0-seed1"), stage_of("explanations/fold0/test/rows0-9"), stage_of("folds")
    ('members', 'explanations', 'folds')
    >>> stage_of("survey/models/all-fold0", ["survey"]), stage_of("survey/map", ["survey"])
    ('survey-models', 'survey-map')
    """
    parts = name.split("/")
    return "-".join(parts[: 2 if parts[0] in studies else 1])


@dataclass
class Stage:
    """How far a stage is.

    Parameters
    ----------
    total : int
        Artefacts of the stage.
    earlier : int
        Artefacts that were there when the stage began.
    done : int
        Artefacts made since.
    started, updated : float
        When the stage began, and when its last artefact was finished; seconds since 1970.
    """

    total: int
    earlier: int
    done: int
    started: float
    updated: float

    @property
    def left(self) -> int:
        return self.total - self.earlier - self.done

    @property
    def seconds(self) -> float:
        """Time from the beginning of the stage to its last artefact."""
        return self.updated - self.started


class Progress:
    """The progress of one run, written by its driver.

    Parameters
    ----------
    root : path or fsspec address
        Output folder.
    run : str, optional
        Token of its driver (`ftirlib.engine.lock.Hold.token`). A file of the same run is continued, as when a notebook
        asks for stages again; that of another run is replaced.
    bar : bool
        Whether to draw a bar on the terminal too.
    """

    def __init__(self, root: str | os.PathLike, *, run: str | None = None, bar: bool = False):
        self._store = Store(root)
        self._run = run or uuid.uuid4().hex
        self._bar = bar
        before = self._written_by_this_run()
        self.started: float = before["started"] if before else time.time()
        self.stages: dict[str, Stage] = before["stages"] if before else {}
        self._ended: dict | None = None
        self._written = 0.0

    @contextmanager
    def stage(self, name: str, total: int, *, earlier: int = 0, title: str | None = None) -> Iterator[Callable]:
        """Follow a stage, for the time that it takes.

        Parameters
        ----------
        name : str
            See `stage_of`. A finished stage stays finished when it, or a part of it, is asked for again, as by a later
            stage or a notebook.
        total : int
            Number of its artefacts.
        earlier : int
            Number of artefacts that are there already.
        title : str, optional
            Shown beside the bar in place of the name.

        Yields
        ------
        callable
            To be called, without arguments, after each artefact that is finished.
        """
        known = self.stages.get(name)
        if known is not None and known.left == 0:
            beside = max(known.total - total, 0)
            total, earlier = total + beside, earlier + beside
            if earlier == total == known.total:
                yield lambda: None  # all are there; the file keeps the times at which they were made
                return
        now = time.time()
        stage = self.stages[name] = Stage(total, earlier, 0, now, now)
        self._write()
        shown = _bar(title or name, total, earlier) if self._bar and stage.left else nullcontext(lambda: None)
        try:
            with shown as draw:

                def advance():
                    stage.done += 1
                    stage.updated = time.time()
                    draw()
                    if stage.updated - self._written >= LEAST_SECONDS:
                        self._write()

                yield advance
        finally:
            self._write()

    def end(self, how: str = "finished") -> None:
        """State that the run has ended: "finished", "stopped", or the sentence of its error."""
        if latest := self._written_by_this_run():  # child processes, such as notebooks, add stages of their own
            self.stages = latest["stages"] | self.stages
        self._ended = {"at": time.time(), "how": how}
        self._write()

    def _written_by_this_run(self) -> dict | None:
        state = read_progress(self._store.address)
        return state if state is not None and state["run"] == self._run else None

    def _write(self) -> None:
        self._written = time.time()
        state: dict[str, Any] = {
            "run": self._run,
            "started": self.started,
            "updated": self._written,
            "ended": self._ended,
            "stages": {name: asdict(stage) for name, stage in self.stages.items()},
        }
        self._store.write_text(PROGRESS, json.dumps(state, indent=1))


def read_progress(root: str | os.PathLike) -> dict | None:
    """Content of a run's progress file, with a `Stage` for each stage; None when no file can be read."""
    text = Store(root).read_text(PROGRESS)
    try:
        state = json.loads(text)
        names = {field.name for field in fields(Stage)}
        stages = {n: Stage(**{k: v for k, v in s.items() if k in names}) for n, s in state["stages"].items()}
        return {key: state[key] for key in ("run", "started", "updated", "ended")} | {"stages": stages}
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


@contextmanager
def _bar(title: str, total: int, earlier: int) -> Iterator[Callable]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:>14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns) as bars:
        task = bars.add_task(title, total=total, completed=earlier)
        yield lambda: bars.advance(task)
