"""The seam for parallel work: plain functions with plain arguments, given to a `concurrent.futures.Executor`.

Local processes by default; the same tasks on a Dask cluster when a scheduler's address is given
(https://distributed.dask.org). Tasks can be repeated, so what dies is started again.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from ftirlib.errors import FtirlibError, SettingsError, StoreError
from ftirlib.run.worker import difference, library, live_by, question, too_many

CONNECT_SECONDS = 8  # for a scheduler to answer
CHECK_SECONDS = 60  # for all workers to load the library, perhaps from a slow file system, and say what they have
ASK_SECONDS = 3  # without a finished task, until the cluster is asked how it is
RESTARTS = 3  # of local workers that were killed
TLS_FILES = ("ca", "cert", "key")
__all__ = ["ClusterWorkers", "LocalWorkers", "open_executor", "wait_for"]


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
    if not scheduler:
        if tls:
            raise SettingsError("TLS files are for a cluster: give the address of its scheduler too, tls://host:8786.")
        pool = LocalWorkers(workers)
        try:
            yield pool
        except KeyboardInterrupt:
            pool.abandon((), now=True)
            raise
        finally:
            pool.shutdown()
        return
    client = _connect(scheduler, _security(scheduler, tls))
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
        When a call failed in another way, workers are killed again and again, or the scheduler is gone.
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
    names, lost, told = {}, [], None
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
                trouble = executor.trouble()
                if trouble and trouble != told:
                    report(trouble)
                told = trouble
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


class LocalWorkers(Executor):
    """Processes of this machine that end with the process that started them.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int):
        self._workers = workers
        self._start()

    def _start(self) -> None:
        # spawn: a forked child of a process that has used torch's threads can hang
        context = multiprocessing.get_context("spawn")
        ends_when_closed, self._lifeline = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(
            self._workers, mp_context=context, initializer=live_by, initargs=(ends_when_closed,)
        )

    def submit(self, function, /, *arguments, **options) -> Future:
        return self._pool.submit(function, *arguments, **options)

    def restart(self) -> None:
        """New processes in the place of those of which one was killed."""
        self.shutdown()
        self._start()

    def abandon(self, futures, *, now: bool) -> None:
        """Leave what waits undone, and what is being done too if `now`."""
        for future in futures:
            future.cancel()
        if now:
            self._lifeline.close()

    def trouble(self) -> None:
        """Nothing keeps local workers from working."""

    def explained(self, name: str, error: Exception) -> FtirlibError:
        """A call's error as a sentence."""
        return _explained(name, error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)
        self._lifeline.close()


class ClusterWorkers(Executor):
    """The workers of a Dask cluster.

    What travels per task: the function's module and name, its arguments (paths, numbers and names; arrays stay on
    disk), the key and its ingredients, a few kB in all, and back the notes for the driver.

    Parameters
    ----------
    client : distributed.Client
    address : str
        Of its scheduler.
    """

    def __init__(self, client, address: str):
        self._client, self.address = client, address
        self._executor = client.get_executor(pure=False)

    def submit(self, function, /, *arguments, **options) -> Future:
        if self._client.status != "running":
            raise self._gone()
        return self._executor.submit(function, *arguments, **options)

    def check(self) -> None:
        """Refuse a scheduler and workers that could not do the tasks, or would do them differently."""
        with self._answering():
            asked = question()
            scheduler = self._client.run_on_scheduler(asked, callback_timeout=CHECK_SECONDS)
            threads = self._client.nthreads(callback_timeout=CHECK_SECONDS)
            libraries = self._client.run(asked, on_error="return", callback_timeout=CHECK_SECONDS)
        # the scheduler reads what it passes on, and makes nothing
        if wrong := difference({"version": library()["version"]}, scheduler):
            raise SettingsError(f"the scheduler at {self.address} {wrong}")
        wrong = {worker: too_many(count) for worker, count in threads.items() if count != 1}
        for worker, found in libraries.items():
            if isinstance(found, OSError):  # it went while it was asked
                continue
            if isinstance(found, Exception):
                wrong[worker] = (
                    f"cannot load ftirlib ({type(found).__name__}: {found}); start it in the driver's environment."
                )
            elif differs := difference(library(), found):
                wrong[worker] = differs
        for worker, sentence in wrong.items():
            others = f" ({len(wrong) - 1} more workers are refused too.)" if len(wrong) > 1 else ""
            raise SettingsError(f"the worker at {worker} {sentence}{others}")

    def restart(self) -> None:
        raise self._gone()

    def abandon(self, futures, *, now: bool) -> None:
        """Leave what waits undone; what a worker is doing it ends, and keeps in the results."""
        if self._client.status == "running":
            self._executor.shutdown(wait=False)
            self._executor = self._client.get_executor(pure=False)

    def trouble(self) -> str | None:
        """What keeps tasks from being done, such as that there is no worker."""
        if self._client.status != "running":
            return None  # its futures are about to say so
        try:
            threads = self._client.nthreads(callback_timeout=CONNECT_SECONDS)
        except TimeoutError:
            return f"the scheduler at {self.address} does not answer; waiting for it"
        except (OSError, RuntimeError, AttributeError):  # the connection is being closed
            return None
        if threads:
            return None
        return (
            f"no worker is connected to {self.address}; waiting for one: start it with "
            f"'dask worker {self.address} --nthreads 1'"
        )

    def explained(self, name: str, error: Exception) -> FtirlibError:
        """A call's error as a sentence; Dask's own are those of the cluster, not of the call."""
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        if isinstance(error, CancelledError | CommClosedError):
            return self._gone()
        if isinstance(error, KilledWorker):
            return StoreError(
                f"'{name}' was given up after {error.allowed_failures + 1} workers died while making it, most often "
                "for want of memory; give workers more (--memory-limit) and run again: what was finished is kept."
            )
        elsewhere = isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == "ftirlib"
        if elsewhere or "deserialization of the task graph" in str(error):
            return SettingsError(
                f"a worker or the scheduler at {self.address} that joined later has no ftirlib, or not this version; "
                "start all of them in the driver's environment and run again: what was finished is kept."
            )
        return _explained(name, error)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:  # TimeoutError is an OSError
            if isinstance(error, FtirlibError):
                raise
            raise SettingsError(
                f"the scheduler at {self.address} or one of its workers does not answer ({type(error).__name__}); "
                "start it anew and run again."
            ) from error

    def _gone(self) -> StoreError:
        return StoreError(
            f"the scheduler at {self.address} is gone; what was finished is kept: start it and its workers, and run "
            "the same command again."
        )


def _explained(name: str, error: Exception) -> FtirlibError:
    if isinstance(error, FtirlibError):
        return error
    return StoreError(
        f"'{name}' failed ({type(error).__name__}: {error}); what was finished is kept, "
        "run again after mending the cause."
    )


def _connect(scheduler: str, security):
    from distributed import Client

    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook has a loop of its own in this one
            thread.submit(asyncio.run, _greet(scheduler, security)).result()
        return Client(scheduler, timeout=CONNECT_SECONDS, security=security)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        advice = (
            "see that it is there and that its certificates and yours are of one authority"
            if scheduler.startswith("tls://")
            else "start one with 'dask scheduler' (tls:// if it wants certificates)"
        )
        raise SettingsError(
            f"no Dask scheduler answers at '{scheduler}' ({type(error).__name__}); {advice}, "
            "or leave --scheduler out to use this machine."
        ) from None


async def _greet(scheduler: str, security) -> None:
    """Have a word with a scheduler; a client waits without end for one that lets it in and says nothing."""
    from distributed import Security
    from distributed.comm import connect

    arguments = (security or Security()).get_connection_args("client")
    comm = await asyncio.wait_for(connect(scheduler, timeout=CONNECT_SECONDS, **arguments), CONNECT_SECONDS)
    comm.abort()


def _security(scheduler: str, tls):
    """Dask's settings of a TLS connection; None leaves them to its configuration."""
    if tls is None:
        return None
    from distributed import Security

    if not scheduler.startswith("tls://"):
        raise SettingsError(f"TLS files do nothing for '{scheduler}'; write the address as tls://host:8786.")
    if missing := [name for name in TLS_FILES if not tls.get(name)]:
        raise SettingsError(f"TLS needs the files {', '.join(TLS_FILES)}; {', '.join(missing)} is not given.")
    if unknown := sorted(set(tls) - set(TLS_FILES)):
        raise SettingsError(f"TLS needs the files {', '.join(TLS_FILES)}, and knows no '{unknown[0]}'.")
    for name in TLS_FILES:
        if not Path(tls[name]).is_file():
            raise SettingsError(f"there is no TLS file '{tls[name]}' ({name}); give the path of a PEM file.")
    return Security(
        require_encryption=True,
        tls_ca_file=str(tls["ca"]),
        tls_client_cert=str(tls["cert"]),
        tls_client_key=str(tls["key"]),
    )
