"""Preparation by many workers: ranges of spectra are prepared apart, then joined to one data set."""

from __future__ import annotations

from dataclasses import replace

from ftirlib.engine.driver import Driver
from ftirlib.engine.task import Task
from ftirlib.files import fingerprint
from ftirlib.method import tasks

PARTS = "preparation"  # where they lie until they are joined


def prepared_store(driver: Driver, task: Task, *, n: int, shard: int) -> str:
    """Path or address of the prepared data set; what a killed driver's workers had prepared is not prepared again.

    The data set is the same to the last byte whatever the size of a part, which therefore is not in its key.

    Parameters
    ----------
    driver : Driver
    task : Task
        Of `ftirlib.method.tasks.prepare`.
    n : int
        Spectra of its source.
    shard : int
        Spectra of a part, a multiple of `ftirlib.spectra.model.CHUNK`; what is one part is prepared here at once.
    """
    if n > shard and not driver.is_current(task, "spectra"):
        parts = driver.artefacts(PARTS, [_part(task, [k, min(k + shard, n)]) for k in range(0, n, shard)], "spectra")
        task = replace(task, arguments={**task.arguments, "parts": [str(path) for path in parts]})
    path = driver.dataset(task, "spectra")
    left = driver.store.path(PARTS)
    if left.is_dir() and any(left.iterdir()):  # also where a driver was killed after joining them
        driver.store.prune(PARTS, keep=set())
    return path


def _part(task: Task, rows: list[int]) -> Task:
    """Task that prepares spectra `rows` (from, to), named after what goes into it."""
    settings = {**task.settings, "rows": rows}
    content = fingerprint({"settings": settings, "inputs": dict(task.inputs)})
    return replace(
        task,
        name=f"{PARTS}/{content[:16]}",
        function=tasks.prepare_part,
        arguments={**task.arguments, "rows": rows},
        settings=settings,
    )
