"""A run's progress: a bar where somebody watches, and a small file that another terminal can read, from one source."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from typing import Any

from ftirlib.engine.store import Store
from ftirlib.errors import StoreError

PROGRESS = "progress.json"
LEAST_SECONDS = 1  # between two writings
PAPERS = ("fusion",)  # whose stages are a level deeper: each is a classifier's whole road


def stage_of(name: str) -> str:
    """The stage that an artefact's name begins with.

    Examples
    --------
    >>> stage_of("members/fold0-seed1"), stage_of("fusion/models/all-fold0"), stage_of("fusion/map")
    ('members', 'fusion-models', 'fusion-map')
    """
    parts = name.split("/")
    return "-".join(parts[: 2 if parts[0] in PAPERS else 1])


@dataclass
class Stage:
    """How far a stage is.

    Parameters
    ----------
    total : int
        Artefacts of the stage.
    earlier : int
        Of them, those that were there when it began.
    done : int
        Of them, those made since.
    started, updated : float
        When it began, and when something of it was last finished; seconds since 1970.
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
        """From its beginning to the last artefact finished."""
        return self.updated - self.started


class Progress:
    """The progress of one run, written by its driver.

    Parameters
    ----------
    root : path or fsspec address
        Output folder.
    run : str, optional
        Who drives it (`ftirlib.engine.lock.Hold.token`); what the file says of another run is dropped, what it says
        of this one, as when a notebook asks for its stages again, is kept.
    bar : bool
        Whether to draw a bar on the terminal too.
    """

    def __init__(self, root: str | os.PathLike, *, run: str | None = None, bar: bool = False):
        self._store = Store(root)
        self._run = run or uuid.uuid4().hex
        self._bar = bar
        before = read_progress(root)
        mine = before is not None and before["run"] == self._run
        self.started: float = before["started"] if mine else time.time()
        self.stages: dict[str, Stage] = before["stages"] if mine else {}
        self._ended: dict | None = None
        self._written = 0.0

    @contextmanager
    def stage(self, name: str, total: int, *, earlier: int = 0, title: str | None = None) -> Iterator[Callable]:
        """Follow a stage, for the time that it takes.

        Parameters
        ----------
        name : str
            As `stage_of` says. A finished one stays so when it, or a part of it, is asked for again, as by a later
            stage or a notebook.
        total : int
            Its artefacts.
        earlier : int
            Those that are there already.
        title : str, optional
            Shown beside the bar; the name without it.

        Yields
        ------
        callable
            To be called, without arguments, for each artefact as it is finished.
        """
        known = self.stages.get(name)
        if known is not None and known.left == 0:
            beside = max(known.total - total, 0)
            total, earlier = total + beside, earlier + beside
            if earlier == total == known.total:
                yield lambda: None  # how it was made is worth more than that it is there
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
        said = read_progress(self._store.address)
        if said is not None and said["run"] == self._run:  # its children, such as notebooks, made stages of their own
            self.stages = said["stages"] | self.stages
        self._ended = {"at": time.time(), "how": how}
        self._write()

    def _write(self) -> None:
        self._written = time.time()
        said: dict[str, Any] = {
            "run": self._run,
            "started": self.started,
            "updated": self._written,
            "ended": self._ended,
            "stages": {name: asdict(stage) for name, stage in self.stages.items()},
        }
        try:
            self._store.write_text(PROGRESS, json.dumps(said, indent=1))
        except OSError as error:
            raise StoreError(
                f"cannot write '{PROGRESS}' of '{self._store.root}' ({error.strerror}); make room and run again: "
                "what was finished is kept."
            ) from error


def read_progress(root: str | os.PathLike) -> dict | None:
    """What a run's file says, its ``stages`` as `Stage`; None when there is none that can be read."""
    text = Store(root).read_text(PROGRESS)
    try:
        said = json.loads(text)
        names = {field.name for field in fields(Stage)}
        stages = {n: Stage(**{k: v for k, v in s.items() if k in names}) for n, s in said["stages"].items()}
        return {key: said[key] for key in ("run", "started", "updated", "ended")} | {"stages": stages}
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
