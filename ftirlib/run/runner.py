"""A run: settings, a store, workers, and the rule that nothing current is made twice."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftirlib.errors import StoreError
from ftirlib.run.cluster import library, open_executor, wait_for
from ftirlib.run.remote import open_store
from ftirlib.run.settings import Settings, read_settings
from ftirlib.run.store import fingerprint, room_fingerprint
from ftirlib.run.task import Task, execute, sent

SETTINGS = "settings.json"
DATASET = "spectra.zarr"  # of an artefact that is a data set


class Run:
    """Settings with a place for their results; stages (`ftirlib.run.stages`) take it as their argument.

    Use as a context manager, or call `close`, to stop its workers.
    """

    def __init__(self, settings: Settings, *, report: Callable[[str], None] | None = None, bar: bool = False):
        self.settings = settings
        self.store = open_store(settings.out)
        self.report = report or (lambda line: None)
        self.made: list[str] = []
        self._bar = bar
        self._results: dict[str, Any] = {}
        self._keys: dict[str, str] = {}
        self._stack = ExitStack()
        self._executor: Executor | None = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self) -> None:
        self._stack.close()
        self._executor = None

    @property
    def executor(self) -> Executor:
        """Workers, started when first needed and kept until the run is closed."""
        if self._executor is None:
            self._executor = self._stack.enter_context(open_executor(self.settings.scheduler, self.settings.workers))
        return self._executor

    @property
    def figure_folder(self) -> Path:
        """Where published figures go."""
        return self.store.root / "figures"

    def publish(self, figure, name: str) -> None:
        """Save a figure as SVG and PDF under the name it has in the book."""
        from ftirlib.report.figures.style import publish

        self._begin()
        self.figure_folder.mkdir(exist_ok=True)
        publish(figure, self.figure_folder / name)

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """Result of a stage, computed at most once in this process."""
        if name not in self._results:
            self._results[name] = compute()
        return self._results[name]

    def key(self, name: str) -> str:
        """Key under which an artefact was made or found by this run."""
        return self._keys[name]

    def remember(self, name: str, key: str) -> None:
        """State the key of an input that is not made here, such as the user's data set."""
        self._keys[name] = key

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
            self._begin()
            self.report(f"{task.name}: making")
            self._tell(execute(self.store.address, self._sent(task), key, made_from))
            self.made.append(task.name)
        self._keys[task.name] = key

    def artefacts(self, title: str, tasks: Sequence[Task], room: str) -> list[Path]:
        """Make artefacts in parallel; what is current is left alone, what failed stops the rest."""
        described = {task.name: self._describe(task, room) for task in tasks}
        waiting = [task for task in tasks if not self.store.is_current(task.name, described[task.name][0])]
        if waiting:
            self._begin()
            self.report(f"{title}: {len(waiting)} of {len(tasks)} to make")
            facts = library() if self.settings.scheduler else None
            calls = {
                task.name: (execute, self.store.address, self._sent(task), *described[task.name], facts)
                for task in waiting
            }
            with _progress(title, len(calls), self._bar) as advance:

                def done(name: str, notes: list[str]) -> None:
                    self._tell(notes)
                    self.made.append(name)
                    advance()

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

    def _begin(self) -> None:
        self.store.check_writable()
        self.store.write_text(SETTINGS, self.settings.model_dump_json(indent=1))

    def _describe(self, task: Task, room: str) -> tuple[str, dict]:
        made_from = {
            "task": task.name,
            "function": hashlib.sha256(inspect.getsource(task.function).encode()).hexdigest(),
            "settings": dict(task.settings),
            "inputs": dict(task.inputs),
            "seed": self.settings.seed,
            **room_fingerprint(room),
        }
        return fingerprint(made_from), made_from


class _progress:
    """A progress bar with rate and remaining time where somebody watches; nothing elsewhere."""

    def __init__(self, title: str, total: int, shown: bool):
        self._title, self._total, self._shown = title, total, shown

    def __enter__(self):
        if not self._shown:
            return lambda: None
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (
            TextColumn("{task.description:>14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            Remaining(),
        )
        self._progress = Progress(*columns)
        self._progress.start()
        task = self._progress.add_task(self._title, total=self._total)
        return lambda: self._progress.advance(task)

    def __exit__(self, *exc):
        if self._shown:
            self._progress.stop()


def read_run_settings(root: str | os.PathLike) -> Settings:
    """Settings of the run at a path or address.

    Raises
    ------
    StoreError
        When there is no run, or its settings are of another version of the library.
    """
    text = open_store(root).read_text(SETTINGS)
    if text is None:
        raise StoreError(f"there is no run at '{root}' (it has no {SETTINGS}); make one with 'ftirlib run'.")
    try:
        return Settings.model_validate_json(text)
    except ValueError:
        raise StoreError(
            f"'{SETTINGS}' of '{root}' was written by another version of ftirlib; run 'ftirlib run' again."
        ) from None


def open_run(
    profile: str = "quick",
    *,
    data: str | None = None,
    out: str | None = None,
    seed: int = 0,
    scheduler: str | None = None,
    changes: Mapping[str, Any] | None = None,
    **shown,
) -> Run:
    """Open a run for a profile; see `ftirlib.run.settings.read_settings` for the parameters.

    Examples
    --------
    >>> open_run("smoke").settings.members.count > 0
    True
    """
    settings = read_settings(profile, data=data, out=out, seed=seed, scheduler=scheduler, changes=changes)
    return Run(settings, **shown)
