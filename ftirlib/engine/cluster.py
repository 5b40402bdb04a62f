"""The seam for parallel work: plain functions with plain arguments, given to a `concurrent.futures.Executor`.

Local processes by default; the same tasks on a Dask cluster when a scheduler's address is given
(https://distributed.dask.org). Tasks can be repeated, so what dies is started again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from ftirlib.engine.connect import connect
from ftirlib.engine.executors import ClusterWorkers, LocalWorkers
from ftirlib.engine.stopping import terminated_like_interrupted
from ftirlib.errors import SettingsError, StoreError

CONNECT_SECONDS = 8  # for a scheduler to answer
ASK_SECONDS = 3  # without a finished task, until the cluster is asked how it is
RESTARTS = 3  # of local workers that were killed


@contextmanager
def open_executor(
    scheduler: str | None = None, workers: int = 1, *, tls: Mapping[str, str | os.PathLike] | None = None
) -> Iterator[Executor]:
    """An executor for the time of a run.

    Parameters
    ----------
    scheduler : str, optional
        Address such as ``tcp://host:8786`` of a running Dask scheduler, whose workers see the same
        files; without it, `workers` local processes.
    workers : int
        Local processes; a cluster has the workers it has.
    tls : mapping, optional
        Paths of PEM files ``ca``, ``cert`` and ``key``, for a ``tls://`` address; without it such an address
        is reached as Dask's own configuration says (https://distributed.dask.org/en/stable/tls.html).

    Raises
    ------
    SettingsError
        When no scheduler answers at the address, when the TLS files do not fit, or when a worker has more than
        one thread or another version of the library.
    """
    if tls and not scheduler:
        raise SettingsError("TLS files are for a cluster: give the address of its scheduler too, tls://host:8786.")
    opened = _opened_cluster(scheduler, tls) if scheduler else _opened_processes(workers)
    with terminated_like_interrupted(), opened as executor:
        yield executor


@contextmanager
def _opened_processes(workers: int) -> Iterator[LocalWorkers]:
    pool = LocalWorkers(workers)
    try:
        yield pool
    except KeyboardInterrupt:
        pool.abandon((), now=True)
        raise
    finally:
        pool.shutdown()


@contextmanager
def _opened_cluster(scheduler: str, tls) -> Iterator[ClusterWorkers]:
    client = connect(scheduler, tls, CONNECT_SECONDS)
    try:
        cluster = ClusterWorkers(client, scheduler)
        cluster.check()
        yield cluster
    finally:
        if client.status != "running":  # it would go on trying, and say so after the run's own last word
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        client.close()


def wait_for(
    executor: LocalWorkers | ClusterWorkers,
    calls: Mapping[str, tuple],
    on_done: Callable[[str, object], None],
    *,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Have calls made by workers and wait for all of them, whatever happens to the workers.

    Parameters
    ----------
    executor : what `open_executor` gave
    calls : mapping
        Name -> (function, argument, ...); each may be made more than once, when a worker dies.
    on_done : callable
        Gets the name and the result of each call as it finishes.
    report : callable
        Told in a sentence when nothing can go on for now, such as while a cluster has no worker.

    Raises
    ------
    FtirlibError
        The first that a call raised.
    StoreError
        When a call failed in another way, workers are killed again and again, or the scheduler is gone or has long
        been silent.
    """
    for _ in range(RESTARTS + 1):
        calls = {name: calls[name] for name in _wait_once(executor, calls, on_done, report)}
        if not calls:
            return
        executor.restart()
        report(f"a worker process was killed, most often for want of memory; {len(calls)} tasks are started again")
    named = ", ".join(f"'{name}'" for name in list(calls)[:3])
    raise StoreError(
        f"worker processes were killed {RESTARTS + 1} times with {len(calls)} tasks left ({named}), most often for "
        "want of memory; use fewer (--set workers=1) and run again: what was finished is kept."
    )


def _wait_once(executor, calls, on_done, report) -> list[str]:
    """Names of the calls that were lost with their workers."""
    finished: SimpleQueue[Future] = SimpleQueue()  # as_completed cannot be asked again after it timed out
    names, lost, watch = {}, [], _Watch(executor, report)
    try:
        for name, (function, *arguments) in calls.items():
            try:
                future = executor.submit(function, *arguments)
            except BrokenExecutor:
                lost.append(name)
                continue
            names[future] = name
            future.add_done_callback(finished.put)
        while names:
            try:
                future = finished.get(timeout=ASK_SECONDS)
            except Empty:
                watch.ask()
                continue
            name = names.pop(future)
            try:
                result = future.result()
            except BrokenExecutor:
                lost.append(name)
            except Exception as error:
                raise executor.explained(name, error) from error
            else:
                on_done(name, result)
    except BaseException as error:
        executor.abandon(names, now=not isinstance(error, Exception))
        raise
    return lost


class _Watch:
    """Asks workers how they are, while nothing comes of them, and reports what has changed."""

    def __init__(self, executor, report):
        self._executor, self._report, self._told = executor, report, None

    def ask(self) -> None:
        trouble = self._executor.trouble()
        if trouble and trouble != self._told:
            self._report(trouble)
        self._told = trouble


class Attended(Executor):
    """The workers of a cluster, for one who takes one result after another as of any executor, such as an import.

    What `wait_for` reports and raises, the results of these futures do.

    Parameters
    ----------
    workers : ClusterWorkers
    report : callable
        See `wait_for`.
    """

    def __init__(self, workers: ClusterWorkers, report: Callable[[str], None]):
        self._workers, self._watch = workers, _Watch(workers, report)

    def submit(self, function, /, *arguments, **options) -> Future:
        name = getattr(next(iter(arguments), None), "name", function.__name__)  # such as of the file that is read
        return _Attended(self._workers.submit(function, *arguments, **options), name, self._workers, self._watch)


class _Attended(Future):
    """The future of a worker's, whose taker asks how the worker is while there is no result."""

    def __init__(self, future: Future, name: str, workers: ClusterWorkers, watch: _Watch):
        super().__init__()
        self._future, self._name, self._workers, self._watch = future, name, workers, watch
        self.set_running_or_notify_cancel()
        future.add_done_callback(self._settle)

    def cancel(self) -> bool:
        return self._future.cancel()

    def result(self, timeout: float | None = None):
        while timeout is None and wait([self], ASK_SECONDS).not_done:
            self._watch.ask()
        return super().result(timeout)

    def _settle(self, future: Future) -> None:
        try:
            self.set_result(future.result())
        except Exception as error:
            self.set_exception(self._workers.explained(self._name, error))
