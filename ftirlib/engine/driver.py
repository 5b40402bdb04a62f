"""Artefacts, tasks that make them, and the driver, which runs the tasks whose artefacts are not current.

A task is a function and its arguments. An `Artefact` among the arguments is an input: its key goes into the key of the
new artefact, and the worker gets its path. Every other argument is a value, which goes into the key unless it is
wrapped in `untracked`.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, Self, TypeVar

from ftirlib.engine.cluster import open_executor
from ftirlib.engine.lock import Hold, hold
from ftirlib.engine.places import resolved
from ftirlib.engine.progress import Progress, stage_of
from ftirlib.engine.store import MANIFEST, Store, folder_fingerprint
from ftirlib.engine.workers import one_thread, wait_for
from ftirlib.errors import FtirlibError, StoreError
from ftirlib.files import fingerprint, plain, read_json

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Artefact:
    """A folder of results in a store, or a part of it.

    Parameters
    ----------
    root : str
        Path or address of the store; empty for a data set that the user gave, whose path is its `name`.
    name : str
        Such as ``members/fold0-seed1``.
    key : str
        Fingerprint of everything it was made from.
    inside : str
        Path of a part inside the folder, as in ``artefact / "model"``; empty for the whole folder.
    """

    root: str
    name: str
    key: str
    inside: str = ""

    @classmethod
    def given(cls, path: str | os.PathLike) -> Artefact:
        """A data set that the user gave; its key is the fingerprint of its content, wherever it lies."""
        path = resolved(path)
        return cls("", path, folder_fingerprint(path))

    def __truediv__(self, part: str) -> Artefact:
        return replace(self, inside=f"{self.inside}/{part}".lstrip("/"))

    @property
    def path(self) -> Path:
        """The folder or file on this machine, fetched first where the store is elsewhere."""
        return (opened_store(self.root).fetch(self.name) if self.root else Path(self.name)) / self.inside

    @property
    def address(self) -> str:
        """Path or address of a Zarr store, whose chunks are read from there and not fetched."""
        return opened_store(self.root).dataset(self.name, self.inside) if self.root else self.name


@lru_cache(maxsize=8)
def opened_store(root: str):
    """A store, kept because it remembers which of its fetched copies it has checked."""
    return Store(root)


@dataclass(frozen=True)
class Untracked:
    """An argument that changes how a result is made, and not the result."""

    value: Any


def untracked(value: Any) -> Untracked:
    """Keep an argument out of the key."""
    return Untracked(value)


class Task:
    """A function that makes one artefact, and its arguments.

    Parameters
    ----------
    name : str
        Name of the artefact.
    function : module-level function ``(out, work, **arguments)``
        Fills the folder `out`, and may keep checkpoints in `work`.
    **arguments
        Plain values, settings groups and artefacts, also in mappings and lists.
    """

    def __init__(self, name: str, function: Callable, /, **arguments):
        self.name, self.function, self.arguments = name, function, arguments

    def made_from(self, code: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that the artefact depends on, in the types of JSON."""
        source = hashlib.sha256(inspect.getsource(self.function).encode()).hexdigest()
        return {"task": self.name, "function": source, "arguments": _tracked(self.arguments), **code}


def _tracked(value: Any) -> Any:
    """Arguments as they go into the key."""
    if isinstance(value, Artefact):
        return {"input": f"{value.key}/{value.inside}".rstrip("/")}
    if isinstance(value, Mapping):
        return {str(k): _tracked(part) for k, part in value.items() if not isinstance(part, Untracked)}
    if isinstance(value, list | tuple):
        return [_tracked(part) for part in value if not isinstance(part, Untracked)]
    return plain(value.model_dump()) if hasattr(value, "model_dump") else plain(value)


def _located(value: Any) -> Any:
    """Arguments as the worker gets them: of an artefact the address of a Zarr store, or the path of anything else."""
    if isinstance(value, Untracked):
        return _located(value.value)
    if isinstance(value, Artefact):
        is_read_in_place = not value.root or value.inside.endswith(".zarr")
        return value.address if is_read_in_place else str(value.path)
    if isinstance(value, Mapping):
        return {k: _located(part) for k, part in value.items()}
    return [_located(part) for part in value] if isinstance(value, list | tuple) else value


def key_of(place: str | os.PathLike) -> str:
    """Key of the artefact in whose folder a file or folder lies.

    Workers that keep loaded models know them by it: the same path may hold another artefact later.
    """
    for folder in (Path(place), *Path(place).parents):
        if (folder / MANIFEST).is_file():
            return read_json(folder / MANIFEST)["key"]
    raise StoreError(f"'{place}' lies in no artefact.")


def execute(task: Task, artefact: Artefact, made_from: dict) -> list[str]:
    """Make one artefact in a worker, with one thread, from the checkpoints of an earlier attempt if there are any.

    Parameters
    ----------
    task : Task
    artefact : Artefact
        States the store, and the key to make the artefact under.
    made_from : dict
        What the key is the fingerprint of.

    Returns
    -------
    list of str
        Warnings of the library, for the driver to report.
    """
    store = Store(artefact.root)
    work = store.work(task.name, artefact.key)
    arguments = _located(task.arguments)

    def build(folder: Path) -> None:
        one_thread(lambda: task.function(folder, work, **arguments))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        store.make(task.name, artefact.key, made_from, build)
    store.done(task.name, artefact.key)
    return [f"{task.name}: {w.message}" for w in caught if w.category is UserWarning]


class Driver:
    """Has tasks run by workers and keeps their artefacts in a folder, which only one driver at a time may change.

    Inside ``with`` the folder is locked from the first task to the end of the block; otherwise only while tasks run, so
    that an open notebook does not block other drivers.

    Parameters
    ----------
    out : path or fsspec address
        Folder of the artefacts.
    about : mapping
        Small files to write beside the artefacts, name to content, such as the settings.
    code : callable, optional
        Maps a task's function to a mapping of the source that its result depends on, which goes into the key.
    studies : collection of str
        See `ftirlib.engine.progress.stage_of`.
    workers : int
        Local processes.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers are used instead.
    tls : mapping, optional
        PEM files for a ``tls://`` scheduler, as in `open_executor`.
    report : callable, optional
        Gets a sentence about each step.
    bar : bool
        Whether to draw progress on the terminal.

    Attributes
    ----------
    made : list of str
        Names of the artefacts that this driver has made.
    """

    def __init__(
        self,
        out: str | os.PathLike,
        *,
        about: Mapping[str, str],
        workers: int,
        code: Callable[[Callable], Mapping[str, Any]] = lambda function: {},
        studies: Collection[str] = (),
        scheduler: str | None = None,
        tls: Mapping[str, str] | None = None,
        report: Callable[[str], None] | None = None,
        bar: bool = False,
    ):
        self.store = Store(out)
        self.report = report or (lambda line: None)
        self.made: list[str] = []
        self.results: dict[Hashable, Any] = {}  # of stages, see `once`
        self._about, self._code, self._studies, self._bar = about, code, studies, bar
        self._workers, self._scheduler, self._tls = workers, scheduler, tls
        self._entered = False
        self._lock = ExitStack()
        self._held: Hold | None = None
        self._running = ExitStack()
        self._executor: Executor | None = None

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(self, kind, error, trace):
        self._entered = False
        try:
            self.stop_workers(error)
        finally:
            self._release(error)

    def close(self) -> None:
        """Stop the workers and let others drive the folder."""
        self.__exit__(None, None, None)

    def stop_workers(self, error: BaseException | None = None) -> None:
        """Free the memory of the workers; they start again when needed."""
        self._executor = None
        self._running.__exit__(error and type(error), error, error and error.__traceback__)

    @property
    def executor(self) -> Executor:
        """Workers, started when first needed and kept until the driver is closed."""
        if self._executor is None:
            opened = open_executor(self._scheduler, self._workers, tls=self._tls, report=self.report)
            self._executor = self._running.enter_context(opened)
        return self._executor

    @contextmanager
    def driving(self) -> Iterator[Progress]:
        """Lock the folder for the time of a block; yields the progress of the run."""
        outermost = self._held is None
        if outermost:
            self._take()
        try:
            self._held.check()
            yield self._progress
        finally:
            if outermost and not self._entered:
                self._release(sys.exc_info()[1])

    def _take(self) -> None:
        self.store.check_writable()
        with ExitStack() as lock:  # released if the folder cannot be written after all
            held = lock.enter_context(hold(self.store.address))
            self._progress = Progress(self.store.address, run=held.token, bar=self._bar)
            for file, text in self._about.items():
                self.store.write_text(file, text)
            self._held, self._lock = held, lock.pop_all()

    def _release(self, error: BaseException | None) -> None:
        held, self._held = self._held, None
        with self._lock:
            if held is not None and not held.inherited:
                how = "finished" if error is None else str(error) if isinstance(error, FtirlibError) else "stopped"
                with suppress(StoreError):  # the full disk may be the error that ends the run
                    self._progress.end(how)

    def is_current(self, task: Task) -> bool:
        """Whether the artefact of a task is there, whole, and made from the same."""
        return self._is_current(self._planned(task)[0])

    def make(self, task: Task) -> Artefact:
        """Run one task in this process, unless its artefact is current."""
        return self.make_all(task.name, {0: task}, here=True)[0]

    def make_all(
        self,
        title: str,
        tasks: Mapping[Key, Task],
        *,
        here: bool = False,
        on_ready: Callable[[Key], None] = lambda key: None,
    ) -> dict[Key, Artefact]:
        """Have the workers run the tasks whose artefacts are not current; the first that fails ends the others.

        A single task runs in this process, unless there is a cluster: it is not worth the start of local workers.

        Parameters
        ----------
        title : str
            Name of the stage, for the user.
        tasks : mapping
        here : bool
            Run all of them in this process.
        on_ready : callable
            Gets the key of each task when its artefact is there; the keys of current artefacts come first.
        """
        here = here or (len(tasks) == 1 and self._scheduler is None)
        planned = {key: self._planned(task) for key, task in tasks.items()}
        missing = {artefact.name: key for key, (artefact, _) in planned.items() if not self._is_current(artefact)}
        for key, (artefact, _) in planned.items():
            if artefact.name not in missing:
                on_ready(key)
        if missing:
            stage, earlier = stage_of(next(iter(missing)), self._studies), len(planned) - len(missing)
            with (
                self.driving() as progress,
                progress.stage(stage, len(planned), earlier=earlier, title=title) as advance,
            ):
                alone = here and len(planned) == 1
                self.report(f"{title}: making" if alone else f"{title}: {len(missing)} of {len(planned)} to make")

                def done(name: str, notes: list[str]) -> None:
                    self._held.check()
                    for note in notes:
                        self.report(f"  note: {note}")
                    self.made.append(name)
                    advance()
                    on_ready(missing[name])

                calls = {name: planned[key][1] for name, key in missing.items()}
                if here:
                    for name, (function, *arguments) in calls.items():
                        done(name, function(*arguments))
                else:
                    self._wait_for(calls, done)
        return {key: artefact for key, (artefact, _) in planned.items()}

    def _wait_for(self, calls: Mapping[str, tuple], done: Callable[[str, list[str]], None]) -> None:
        try:
            wait_for(self.executor, calls, done)
        except KeyboardInterrupt as error:  # the workers have been ended; a notebook may go on with new ones
            self.stop_workers(error)
            raise

    def _planned(self, task: Task) -> tuple[Artefact, tuple]:
        """The artefact of a task, and the call that makes it."""
        made_from = task.made_from(self._code(task.function))
        artefact = Artefact(self.store.address, task.name, fingerprint(made_from))
        return artefact, (execute, task, artefact, made_from)

    def _is_current(self, artefact: Artefact) -> bool:
        return self.store.is_current(artefact.name, artefact.key)

    def prune(self, folder: str, keep: Collection[Artefact] = ()) -> None:
        """Remove the artefacts under a folder, except those in `keep`."""
        self.store.prune(folder, {artefact.name for artefact in keep})


def once(stage: Callable) -> Callable:
    """Keep the result of a function of a driver and plain arguments, in the driver."""

    signature = inspect.signature(stage)

    @wraps(stage)
    def computed(driver: Driver, *arguments):
        bound = signature.bind(driver, *arguments)
        bound.apply_defaults()
        key = (stage.__module__, stage.__name__, *bound.args[1:])
        if key not in driver.results:
            driver.results[key] = stage(*bound.args)
        return driver.results[key]

    return computed
