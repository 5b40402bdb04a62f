"""A run: settings, a store, workers, and the rule that nothing current is made twice."""

from __future__ import annotations

import hashlib
import inspect
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftirlib.errors import FtirlibError, StoreError
from ftirlib.run.cluster import one_thread, open_executor
from ftirlib.run.settings import Settings, read_settings
from ftirlib.run.store import Store, fingerprint, room_fingerprint, write_text

SETTINGS = "settings.json"


@dataclass(frozen=True)
class Task:
    """One artefact to be made by a worker.

    Parameters
    ----------
    name : artefact name
    function : module-level function ``(folder, work, **arguments)`` that fills `folder`, and may keep
        checkpoints in `work`
    arguments : plain values (paths as str, numbers, lists)
    settings : what of the settings the result depends on
    inputs : keys of the artefacts it reads
    """

    name: str
    function: Callable
    arguments: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


def execute(root: str, name: str, key: str, made_from: dict, function: Callable, arguments: dict) -> list[str]:
    """What a worker runs: make one artefact with one thread, resuming from its checkpoints.

    Returns
    -------
    list of str
        What the library warned of, for the driver to tell.
    """
    store = Store(Path(root))
    work = store.work(name, key)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        store.make(name, key, made_from, lambda folder: one_thread(_call, function, folder, work, arguments))
    store.done(name, key)
    return [f"{name}: {w.message}" for w in caught if w.category is UserWarning]


def _call(function, folder, work, arguments):
    return function(folder, work, **arguments)


class Run:
    """Settings with a place for their results; stages (`ftirlib.run.stages`) take it as their argument.

    Use as a context manager, or call `close`, to stop its workers.
    """

    def __init__(self, settings: Settings, *, report: Callable[[str], None] | None = None, bar: bool = False):
        self.settings = settings
        self.store = Store(settings.out)
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

        self._make_folder()
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
        """Make one artefact in this process, unless it is current."""
        key, made_from = self._describe(task, room)
        if not self.store.is_current(task.name, key):
            self._make_folder()
            self.report(f"{task.name}: making")
            notes = execute(str(self.store.root), task.name, key, made_from, task.function, dict(task.arguments))
            self._tell(notes)
            self.made.append(task.name)
        self._keys[task.name] = key
        return self.store.path(task.name)

    def artefacts(self, title: str, tasks: Sequence[Task], room: str) -> list[Path]:
        """Make artefacts in parallel; what is current is left alone, what failed stops the rest."""
        described = {task.name: self._describe(task, room) for task in tasks}
        waiting = [task for task in tasks if not self.store.is_current(task.name, described[task.name][0])]
        if waiting:
            self._make_folder()
            self.report(f"{title}: {len(waiting)} of {len(tasks)} to make")
            futures = {
                self.executor.submit(
                    execute, str(self.store.root), task.name, *described[task.name], task.function, dict(task.arguments)
                ): task.name
                for task in waiting
            }
            self._wait(title, futures)
        self._keys |= {name: key for name, (key, _) in described.items()}
        return [self.store.path(task.name) for task in tasks]

    def _tell(self, notes: list[str]) -> None:
        for note in notes:
            self.report(f"  note: {note}")

    def _wait(self, title, futures) -> None:
        with _progress(title, len(futures), self._bar) as advance:
            try:
                for future in as_completed(futures):
                    self._tell(future.result())
                    self.made.append(futures[future])
                    advance()
            except BaseException as error:
                for other in futures:
                    other.cancel()
                if isinstance(error, FtirlibError) or not isinstance(error, Exception):
                    raise
                raise StoreError(
                    f"'{futures[future]}' failed ({type(error).__name__}: {error}); what was finished is kept, "
                    "run again after mending the cause."
                ) from error

    def _make_folder(self) -> None:
        try:
            self.store.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the results folder '{self.store.root}': {error.strerror}.") from None
        if not os.access(self.store.root, os.W_OK):
            raise StoreError(f"the results folder '{self.store.root}' cannot be written; choose another --out.")
        write_text(self.store.root / SETTINGS, self.settings.model_dump_json(indent=1))

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


def read_run_settings(root: Path) -> Settings:
    """Settings of the run in a folder.

    Raises
    ------
    StoreError
        When there is no run, or its settings are of another version of the library.
    """
    path = Path(root) / SETTINGS
    if not path.is_file():
        raise StoreError(f"there is no run at '{root}' (it has no {SETTINGS}); make one with 'ftirlib run'.")
    try:
        return Settings.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError:
        raise StoreError(f"'{path}' was written by another version of ftirlib; run 'ftirlib run' again.") from None


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
