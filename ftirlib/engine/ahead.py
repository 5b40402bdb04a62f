"""Work done ahead of the one who takes its results in order, a bounded number of tasks at a time.

The executor is any of Python's `concurrent.futures`: local processes, or those of a cluster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from typing import Any

from ftirlib.errors import FtirlibError

AHEAD = 4  # tasks under way or waiting to be taken, which keeps two workers busy


def outcomes(
    function: Callable, tasks: Iterable[tuple], executor: Executor | None = None, ahead: int = AHEAD
) -> Iterator[Callable[[], Any]]:
    """For each task, in order, the call that gives its result or raises its error.

    Parameters
    ----------
    function : callable
        Of a module, so that other processes find it.
    tasks : iterable of tuple
        Its arguments, plain values.
    executor : concurrent.futures.Executor, optional
        Left out: a task is done here when its result is asked for.
    ahead : int
        Tasks handed to the executor before the first of them has been taken; this bounds the memory.

    Raises
    ------
    FtirlibError
        When a worker ends before its task does.
    """
    if executor is None:
        for task in tasks:
            yield partial(function, *task)
        return
    waiting: deque[Future] = deque()
    try:
        for task in tasks:
            if len(waiting) >= ahead:
                yield partial(_result, waiting.popleft())
            waiting.append(executor.submit(function, *task))
        while waiting:
            yield partial(_result, waiting.popleft())
    finally:
        for future in waiting:
            future.cancel()


def _result(future: Future):
    try:
        return future.result()
    except BrokenExecutor as error:
        raise FtirlibError(
            f"a worker ended before its task did ({error}), most often for want of memory; take fewer with --workers "
            "and import again: what was finished is kept."
        ) from None
