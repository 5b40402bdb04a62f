"""A driver: a store, workers, and the rule that nothing current is made twice."""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from ftirlib.engine.lock import Hold, hold
from ftirlib.engine.progress import Progress, stage_of
from ftirlib.engine.store import Store
from ftirlib.engine.task import Task, execute, sent
from ftirlib.engine.workers import open_executor, wait_for
from ftirlib.errors import FtirlibError, StoreError
from ftirlib.files import fingerprint

DATASET = "spectra.zarr"  # of an artefact that is a data set


class Driver:
    """Has artefacts made by workers, in a folder that only one driver at a time makes something in.

    The folder is held inside ``with`` from the first thing made to the end, else only while something is made, so
    that an open notebook keeps nobody out.

    Parameters
    ----------
    out : path or fsspec address
        Folder of the artefacts.
    about : mapping
        Small files written beside the artefacts, name to content: what they are of.
    seed : int
        Goes into the key of every artefact.
    workers : int
        Local processes.
    code : callable, optional
        From the room of a task to what of the library's source and packages its result depends on.
    studies : collection of str
        See `ftirlib.engine.progress.stage_of`.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers are used instead.
    tls : mapping, optional
        PEM files for a ``tls://`` scheduler, as in `ftirlib.engine.workers.open_executor`.
    report : callable, optional
        Told in a sentence what is being made.
    bar : bool
        Whether to draw progress on the terminal.
    """

    def __init__(
        self,
        out: str | os.PathLike,
        *,
        about: Mapping[str, str],
        seed: int,
        workers: int,
        code: Callable[[str], Mapping] = lambda room: {},
        studies: Collection[str] = (),
        scheduler: str | None = None,
        tls: Mapping[str, str] | None = None,
        report: Callable[[str], None] | None = None,
        bar: bool = False,
    ):
        self.store = Store(out)
        self.report = report or (lambda line: None)
        self.made: list[str] = []
        self._about, self._seed, self._bar = about, seed, bar
        self._code, self._studies = code, studies
        self._workers, self._scheduler, self._tls = workers, scheduler, tls
        self._keys: dict[str, str] = {}
        self._entered = False
        self._held: Hold | None = None
        self._driving = ExitStack()
        self._working = ExitStack()
        self._executor: Executor | None = None

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(self, kind, error, trace):
        self._entered = False
        self._working.__exit__(kind, error, trace)
        self._executor = None
        self._driving.__exit__(kind, error, trace)

    def close(self) -> None:
        """Stop the workers and let others drive the folder."""
        self.__exit__(None, None, None)

    def rest(self) -> None:
        """Stop the workers, which hold memory; they start again when needed."""
        self._working.close()
        self._executor = None

    @property
    def executor(self) -> Executor:
        """Workers, started when first needed and kept until the run is closed."""
        if self._executor is None:
            workers = open_executor(self._scheduler, self._workers, tls=self._tls)
            self._executor = self._working.enter_context(workers)
        return self._executor

    @contextmanager
    def driving(self) -> Iterator[Progress]:
        """Be the driver of the folder of results, which is asked for before anything is made in it."""
        if self._held is None:
            self.store.check_writable()
            self._held = self._driving.enter_context(hold(self.store.address))
            self._driving.callback(setattr, self, "_held", None)
            self._progress = Progress(self.store.address, run=self._held.token, bar=self._bar)
            if not self._held.inherited:
                self._driving.push(self._say_how_it_ended)
            for file, text in self._about.items():
                self.store.write_text(file, text)
        self._held.check()
        try:
            yield self._progress
        finally:
            if not self._entered:
                self._driving.__exit__(*sys.exc_info())

    def _say_how_it_ended(self, kind, error, trace) -> None:
        how = "finished" if kind is None else str(error) if isinstance(error, FtirlibError) else "stopped"
        with suppress(StoreError):  # the disk may be why it ends
            self._progress.end(how)

    def key(self, name: str) -> str:
        """Key under which an artefact was made or found by this run."""
        return self._keys[name]

    def remember(self, name: str, key: str) -> None:
        """State the key of an input that is not made here, such as the user's data set."""
        self._keys[name] = key

    def is_current(self, task: Task, room: str) -> bool:
        """Whether an artefact is there, whole, and what the task would make."""
        return self.store.is_current(task.name, self._describe(task, room)[0])

    def artefact(self, task: Task, room: str) -> Path:
        """Make one artefact in this process, unless it is current; returns its folder on this machine."""
        self._make(task, room)
        return self.store.fetch(task.name)

    def dataset(self, task: Task, room: str) -> str:
        """Make an artefact that is a data set, unless it is current; returns its path or address."""
        self._make(task, room)
        return self.store.dataset(task.name, DATASET)

    def _make(self, task: Task, room: str) -> None:
        key, made_from = self._describe(task, room)
        if not self.store.is_current(task.name, key):
            with self.driving() as progress, progress.stage(stage_of(task.name, self._studies), 1) as advance:
                self.report(f"{task.name}: making")
                self._tell(execute(self.store.address, self._sent(task), key, made_from))
                advance()
            self.made.append(task.name)
        self._keys[task.name] = key

    def artefacts(self, title: str, tasks: Sequence[Task], room: str) -> list[Path]:
        """Make artefacts in parallel; what is current is left alone, what failed stops the rest."""
        described = {task.name: self._describe(task, room) for task in tasks}
        waiting = [task for task in tasks if not self.store.is_current(task.name, described[task.name][0])]
        if waiting:
            made, stage = len(tasks) - len(waiting), stage_of(tasks[0].name, self._studies)
            with (
                self.driving() as progress,
                progress.stage(stage, len(tasks), earlier=made, title=title) as advance,
            ):
                self.report(f"{title}: {len(waiting)} of {len(tasks)} to make")

                def done(name: str, notes: list[str]) -> None:
                    self._held.check()
                    self._tell(notes)
                    self.made.append(name)
                    advance()

                calls = {
                    task.name: (execute, self.store.address, self._sent(task), *described[task.name])
                    for task in waiting
                }
                wait_for(self.executor, calls, done, report=self.report)
        self._keys |= {name: key for name, (key, _) in described.items()}
        return [self.store.fetch(task.name) for task in tasks]

    def prune(self, folder: str, tasks: Sequence[Task]) -> None:
        """Remove the artefacts under a folder that these tasks have replaced."""
        if any(name.startswith(f"{folder}/") for name in self.made):
            self.store.prune(folder, {task.name for task in tasks})

    def _sent(self, task: Task) -> Task:
        return replace(task, arguments=sent(dict(task.arguments), str(self.store.root)))

    def _tell(self, notes: list[str]) -> None:
        for note in notes:
            self.report(f"  note: {note}")

    def _describe(self, task: Task, room: str) -> tuple[str, dict]:
        made_from = {
            "task": task.name,
            "function": hashlib.sha256(inspect.getsource(task.function).encode()).hexdigest(),
            "settings": dict(task.settings),
            "inputs": dict(task.inputs),
            "seed": self._seed,
            **self._code(room),
        }
        return fingerprint(made_from), made_from
