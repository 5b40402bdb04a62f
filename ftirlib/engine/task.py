"""A task: what a worker is given, as plain values, and what it does with them.

Arguments name artefacts by their place in the run (``{run}/folds``), so that the same task runs on a machine
where the results lie in another folder, or are fetched from an object store.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ftirlib.engine import workers
from ftirlib.engine.store import Store

RUN = "{run}"  # stands for the folder of the results


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


def execute(address: str, task: Task, key: str, made_from: dict) -> list[str]:
    """What a worker runs: make one artefact with one thread, resuming from its checkpoints.

    Parameters
    ----------
    address : of the results
    task : Task
        With the arguments of `sent`.
    key, made_from : what the artefact is made under

    Returns
    -------
    list of str
        What the library warned of, for the driver to tell.
    """
    store = Store(address)
    work = store.work(task.name, key)
    arguments = _with_paths(task.arguments, store, task.inputs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        store.make(
            task.name, key, made_from, lambda folder: workers.one_thread(_call, task.function, folder, work, arguments)
        )
    store.done(task.name, key)
    return [f"{task.name}: {w.message}" for w in caught if w.category is UserWarning]


def _call(function, folder, work, arguments):
    return function(folder, work, **arguments)


def sent(arguments: Any, root: str) -> Any:
    """Arguments with the results' folder on this machine replaced by `RUN`.

    Examples
    --------
    >>> sent({"folds": "/data/run/folds", "seed": 1}, "/data/run")
    {'folds': '{run}/folds', 'seed': 1}
    """
    return _walk(arguments, lambda text: RUN + text[len(root) :] if text.startswith(f"{root}/") else text)


def _with_paths(arguments: Any, store, inputs) -> Any:
    """Arguments with paths on this machine; what is not here is fetched."""

    def locate(text: str) -> str:
        if not text.startswith(f"{RUN}/"):
            return text
        place = text[len(RUN) + 1 :]
        parts = place.split("/")
        names = ["/".join(parts[:i]) for i in range(len(parts), 0, -1)]
        name = next((n for n in names if n in inputs), None)
        if name is None:
            return str(store.root / place)
        return str(store.fetch(name)) + place[len(name) :]

    return _walk(arguments, locate)


def _walk(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _walk(part, change) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_walk(part, change) for part in value]
    return value
