"""Artefacts and the driver that has them made: once, whole, by any workers, and not again while they are current.

A task is a function and its arguments. An argument that is an `Artefact` is an input: its key goes into the key of what
is made, its path to the worker. Every other argument is a value and goes into the key; `untracked(x)` does not.
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
from typing import Any, NamedTuple, Self, TypeVar

from ftirlib.engine.lock import Hold, hold
from ftirlib.engine.places import resolved
from ftirlib.engine.progress import Progress, stage_of
from ftirlib.engine.store import MANIFEST, Store, folder_fingerprint
from ftirlib.engine.workers import one_thread, open_executor, wait_for
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
        The part of the folder that is meant; ``artefact / "model"`` names one.
    """

    root: str
    name: str
    key: str
    inside: str = ""

    @classmethod
    def given(cls, path: str | os.PathLike) -> Artefact:
        """A data set that the user brings: its content is its key, wherever it lies."""
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
        """Where a Zarr store lies: its chunks are read from there, not fetched."""
        return opened_store(self.root).dataset(self.name, self.inside) if self.root else self.name

    def located(self) -> str:
        """What a worker is given: the address of a Zarr store, the path of anything else."""
        return self.address if f"{self.name}/{self.inside}".endswith(".zarr") else str(self.path)

    @property
    def content(self) -> str:
        """What stands for it in the key of what is made from it."""
        return f"{self.key}/{self.inside}".rstrip("/")


@lru_cache(maxsize=8)
def opened_store(root: str):
    """A store that remembers which of its fetched copies it has checked."""
    return Store(root)


@dataclass(frozen=True)
class Untracked:
    """An argument that changes how a result is made, and not the result."""

    value: Any


def untracked(value: Any) -> Untracked:
    """Keep an argument out of the key."""
    return Untracked(value)


class Task:
    """One artefact to be made.

    Parameters
    ----------
    name : str
        Of the artefact.
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
    """Arguments as the key sees them."""
    if isinstance(value, Artefact):
        return {"input": value.content}
    if isinstance(value, Mapping):
        return {str(k): _tracked(part) for k, part in value.items() if not isinstance(part, Untracked)}
    if isinstance(value, list | tuple):
        return [_tracked(part) for part in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else plain(value)


def _located(value: Any) -> Any:
    """Arguments as the worker gets them: artefacts as their places."""
    if isinstance(value, Untracked):
        return _located(value.value)
    if isinstance(value, Artefact):
        return value.located()
    if isinstance(value, Mapping):
        return {k: _located(part) for k, part in value.items()}
    return [_located(part) for part in value] if isinstance(value, list | tuple) else value


def key_of(place: str | os.PathLike) -> str:
    """Key of the artefact in whose folder a file or folder lies, for workers that keep what they have loaded.

    The same path may hold another artefact later, in a worker that lives on.
    """
    for folder in (Path(place), *Path(place).parents):
        if (folder / MANIFEST).is_file():
            return read_json(folder / MANIFEST)["key"]
    raise StoreError(f"'{place}' lies in no artefact.")


def execute(address: str, task: Task, key: str, made_from: dict) -> list[str]:
    """Make one artefact, with one thread, from the checkpoints of an earlier attempt where there are any.

    Workers run this.

    Parameters
    ----------
    address : of the store
    task : Task
    key, made_from : what the artefact is made under

    Returns
    -------
    list of str
        Warnings of the library, for the driver to report.
    """
    store = Store(address)
    work = store.work(task.name, key)
    arguments = _located(task.arguments)

    def build(folder: Path) -> None:
        one_thread(lambda: task.function(folder, work, **arguments))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        store.make(task.name, key, made_from, build)
    store.done(task.name, key)
    return [f"{task.name}: {w.message}" for w in caught if w.category is UserWarning]


class _Call(NamedTuple):
    task: Task
    artefact: Artefact
    made_from: dict


class Driver:
    """Has artefacts made, in a folder in which only one driver at a time makes something.

    The folder is locked inside ``with`` from the first thing made to the end, else only while something is made, so
    that an open notebook keeps nobody out.

    Parameters
    ----------
    out : path or fsspec address
        Folder of the artefacts.
    about : mapping
        Small files written beside the artefacts, name to content: what they are of.
    code : callable, optional
        From a task's function to what of the library's source its result depends on, as a mapping.
    studies : collection of str
        See `ftirlib.engine.progress.stage_of`.
    workers : int
        Local processes.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers are used instead.
    tls : mapping, optional
        PEM files for a ``tls://`` scheduler, as in `open_executor`.
    report : callable, optional
        Gets a sentence about each thing that is made.
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
        self._lock, self._held = ExitStack(), None
        self._running = ExitStack()
        self._executor: Executor | None = None

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(self, kind, error, trace):
        self._entered = False
        self._running.__exit__(kind, error, trace)
        self._executor = None
        self._release(error)

    def close(self) -> None:
        """Stop the workers and let others drive the folder."""
        self.__exit__(None, None, None)

    def stop_workers(self) -> None:
        """Free the memory of the workers; they start again when needed."""
        self._running.close()
        self._executor = None

    @property
    def executor(self) -> Executor:
        """Workers, started when first needed and kept until the driver is closed."""
        if self._executor is None:
            opened = open_executor(self._scheduler, self._workers, tls=self._tls)
            self._executor = self._running.enter_context(opened)
        return self._executor

    @contextmanager
    def driving(self) -> Iterator[Progress]:
        """Lock the folder, before anything is made in it."""
        if self._held is None:
            self._take()
        self._held.check()
        try:
            yield self._progress
        finally:
            if not self._entered:
                self._release(sys.exc_info()[1])

    def _take(self) -> None:
        self.store.check_writable()
        self._held: Hold = self._lock.enter_context(hold(self.store.address))
        self._progress = Progress(self.store.address, run=self._held.token, bar=self._bar)
        for file, text in self._about.items():
            self.store.write_text(file, text)

    def _release(self, error: BaseException | None) -> None:
        if self._held is not None and not self._held.inherited:
            how = "finished" if error is None else str(error) if isinstance(error, FtirlibError) else "stopped"
            with suppress(StoreError):  # the disk may be why it ends
                self._progress.end(how)
        self._held = None
        self._lock.close()

    def is_current(self, task: Task) -> bool:
        """Whether an artefact is there, whole, and what the task would make."""
        return self._is_current(self._call(task))

    def make(self, task: Task) -> Artefact:
        """Make one artefact in this process, unless it is current."""
        return self._make(task.name, {0: task}, True)[0]

    def make_all(
        self,
        title: str,
        tasks: Mapping[Key, Task],
        *,
        here: bool = False,
        on_ready: Callable[[Key], None] = lambda key: None,
    ) -> dict[Key, Artefact]:
        """Have artefacts made by the workers, unless they are current; the first that fails ends it.

        A single one is made in this process where the workers would be of this machine: it is not worth their start.

        Parameters
        ----------
        title : str
            Of the stage, for the user.
        tasks : mapping
        here : bool
            Make them all in this process.
        on_ready : callable
            Gets the key of each task when its artefact is there, those that are current first.
        """
        return self._make(title, tasks, here or (len(tasks) == 1 and self._scheduler is None), on_ready)

    def _make(self, title: str, tasks: Mapping, here: bool, on_ready: Callable = lambda key: None) -> dict:
        calls = {key: self._call(task) for key, task in tasks.items()}
        missing = {call.task.name: key for key, call in calls.items() if not self._is_current(call)}
        waiting = [calls[key] for key in missing.values()]
        for key, call in calls.items():
            if call.task.name not in missing:
                on_ready(key)
        if waiting:
            stage, earlier = stage_of(waiting[0].task.name, self._studies), len(calls) - len(waiting)
            with (
                self.driving() as progress,
                progress.stage(stage, len(calls), earlier=earlier, title=title) as advance,
            ):
                alone = here and len(calls) == 1
                self.report(f"{title}: making" if alone else f"{title}: {len(waiting)} of {len(calls)} to make")

                def done(name: str, notes: list[str]) -> None:
                    self._held.check()
                    for note in notes:
                        self.report(f"  note: {note}")
                    self.made.append(name)
                    advance()
                    on_ready(missing[name])

                arguments = {c.task.name: (self.store.address, c.task, c.artefact.key, c.made_from) for c in waiting}
                if here:
                    for name, call in arguments.items():
                        done(name, execute(*call))
                else:
                    wait_for(
                        self.executor,
                        {name: (execute, *call) for name, call in arguments.items()},
                        done,
                        report=self.report,
                    )
        return {key: call.artefact for key, call in calls.items()}

    def _call(self, task: Task) -> _Call:
        made_from = task.made_from(self._code(task.function))
        return _Call(task, Artefact(self.store.address, task.name, fingerprint(made_from)), made_from)

    def _is_current(self, call: _Call) -> bool:
        return self.store.is_current(call.artefact.name, call.artefact.key)

    def prune(self, folder: str, keep: Collection[Artefact] = ()) -> None:
        """Remove the artefacts under a folder that are not among those to keep."""
        self.store.prune(folder, {artefact.name for artefact in keep})


def once(stage: Callable) -> Callable:
    """Have a function of a driver (and plain arguments) computed at most once in a process."""

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
