"""The two kinds of workers, as Python's executors: processes of this machine, and those of a Dask cluster.

Beside what every executor can, both say what keeps them from working, leave work undone, and put errors in a sentence.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager

from ftirlib.engine.worker import deaf_workers, difference, envelope, library, live_by, question, too_many
from ftirlib.errors import FtirlibError, SettingsError, StoreError

CHECK_SECONDS = 60  # for all workers to load the library, perhaps from a slow file system, and say what they have
ANSWER_SECONDS = 8  # for a scheduler at work to say how many workers it has
PATIENCE = "distributed.scheduler.worker-ttl"  # in Dask's configuration: how long a scheduler itself waits for a worker


class LocalWorkers(Executor):
    """Processes of this machine that end with the process that started them.

    Parameters
    ----------
    workers : int

    Attributes
    ----------
    count : int
        Processes.
    """

    def __init__(self, workers: int):
        self.count = workers
        self._start()

    def _start(self) -> None:
        # spawn: a forked child of a process that has used torch's threads can hang
        context = multiprocessing.get_context("spawn")
        ends_when_closed, self._lifeline = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(
            self.count, mp_context=context, initializer=live_by, initargs=(ends_when_closed,)
        )

    def submit(self, function, /, *arguments, **options) -> Future:
        with deaf_workers():  # the first call starts them
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

    Attributes
    ----------
    count : int
        Workers that were there when they were checked.
    """

    def __init__(self, client, address: str):
        self._client, self.address = client, address
        self._executor = client.get_executor(pure=False)
        self._envelope = envelope()
        self._silent_since: float | None = None
        self.count = 0

    def submit(self, function, /, *arguments, **options) -> Future:
        """As of any executor; a worker refuses that has joined since `check` with another library."""
        from distributed.protocol.pickle import dumps

        if self._client.status != "running":
            raise self._gone()
        future = self._executor.submit(self._envelope, library(), dumps((function, arguments, options)))
        future.add_done_callback(self._hear)
        return future

    def _hear(self, future=None) -> None:
        self._silent_since = None

    def check(self) -> None:
        """Refuse a scheduler and workers that could not do the tasks, or would do them differently."""
        with self._answering():
            asked = question()
            scheduler = self._client.run_on_scheduler(asked, callback_timeout=CHECK_SECONDS)
            threads = self._client.nthreads(callback_timeout=CHECK_SECONDS)
            libraries = self._client.run(asked, on_error="return", callback_timeout=CHECK_SECONDS)
        self.count = len(threads)
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
        """What keeps tasks from being done, such as that there is no worker.

        Raises
        ------
        StoreError
            When the scheduler has been silent for too long: one that is frozen keeps its connections.
        """
        if self._client.status != "running":
            return None  # its futures are about to say so
        asked = time.monotonic()
        try:
            threads = self._client.nthreads(callback_timeout=ANSWER_SECONDS)
        except TimeoutError:
            self._silent_since = self._silent_since or asked
            return self._silence(time.monotonic() - self._silent_since)
        except (OSError, RuntimeError, AttributeError):  # the connection is being closed
            return None
        self._hear()
        if threads:
            return None
        return (
            f"no worker is connected to {self.address}; waiting for one: start it with "
            f"'dask worker {self.address} --nthreads 1'"
        )

    def _silence(self, seconds: float) -> str:
        """What to say of it, until it is too long."""
        import dask

        patience = dask.config.get(PATIENCE)  # None: without end
        if patience is not None and seconds >= dask.utils.parse_timedelta(patience):
            raise StoreError(
                f"the scheduler at {self.address} is there but has not answered for {seconds:.0f} s; what was finished "
                "is kept: start it and its workers anew and run the same command again, or have it waited for longer "
                f"(Dask's {PATIENCE}, {patience})."
            )
        return f"the scheduler at {self.address} does not answer; waiting for it, {patience or 'without end'}"

    def explained(self, name: str, error: Exception) -> FtirlibError:
        """A call's error as a sentence; Dask's own are those of the cluster, not of the call."""
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        if isinstance(error, CancelledError | CommClosedError):
            return self._gone()
        if isinstance(error, KilledWorker):
            killed = error.allowed_failures + 1
            return StoreError(
                f"'{name}' was given up after {killed} worker{'s' * (killed > 1)} died while making it, most often for "
                "want of memory; give workers more (--memory-limit) and run again: what was finished is kept."
            )
        if isinstance(error, ImportError) and error.name == "ftirlib":
            return SettingsError(
                f"{error}; start it in the driver's environment and run again: what was finished is kept."
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
