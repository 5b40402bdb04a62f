"""Worker processes, which call functions of modules with plain arguments.

`LocalWorkers` are processes of this machine; `ftirlib.engine.cluster.open_executor` opens them or, at the address of a
scheduler, a Dask cluster. Both are executors in the sense of `concurrent.futures`. `wait_for` waits for all of many
calls and repeats the calls of a worker that died; `outcomes` yields results in order and keeps a few calls ahead.

Local processes are a pool of the standard library: Dask's own take twenty times as long to start.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from queue import Empty, SimpleQueue
from typing import Any

from ftirlib.errors import FtirlibError, StoreError

AHEAD = 4  # calls submitted before the first result is taken, which keeps two workers busy
ASK_SECONDS = 3  # without a finished call, before a cluster is asked whether it can work
RESTARTS = 3  # of local workers, after one was killed


@contextmanager
def open_processes(workers: int, report: Callable[[str], None]) -> Iterator[LocalWorkers]:
    pool = LocalWorkers(workers, report)
    try:
        yield pool
    except KeyboardInterrupt:
        pool.abandon((), now=True)
        raise
    finally:
        pool.shutdown()


class LocalWorkers(Executor):
    """Processes of this machine that end with the process that started them.

    Parameters
    ----------
    workers : int
    report : callable
        See `open_executor`.

    Attributes
    ----------
    count : int
        Number of processes.
    """

    def __init__(self, workers: int, report: Callable[[str], None]):
        self.count, self.report = workers, report
        self._start()

    def _start(self) -> None:
        # spawn: a forked child of a process that has used torch's threads can hang
        context = multiprocessing.get_context("spawn")
        ends_when_closed, self._lifeline = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(
            self.count, mp_context=context, initializer=_end_with_driver, initargs=(ends_when_closed,)
        )

    def submit(self, function, /, *arguments, **options) -> Future:
        call = bytes(ForkingPickler.dumps((function, arguments, options)))
        with _signals_blocked():  # the first call starts the processes
            return self._pool.submit(_read_and_make, call)

    def restart(self) -> None:
        """Start new processes after one was killed."""
        self.shutdown()
        self._start()

    def abandon(self, futures: Iterable[Future], *, now: bool) -> None:
        """Cancel the waiting calls; if `now`, end the workers too."""
        for future in futures:
            future.cancel()
        if now:
            self._lifeline.close()

    def report_trouble(self) -> None:
        """Do nothing: local workers can always work."""

    def explained(self, name: str, error: Exception) -> FtirlibError:
        """The error of a call as a sentence."""
        return explained(name, error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)
        self._lifeline.close()


def _read_and_make(call: bytes):
    """Make a call that came pickled.

    The pool ends a worker that cannot read a call, such as one of a module that is missing here; read in this function,
    the call fails with its own error.
    """
    function, arguments, options = ForkingPickler.loads(call)
    return function(*arguments, **options)


def _end_with_driver(lifeline) -> None:
    """End this worker when the other end of a pipe is closed: by the driver, or with it however it ends.

    A worker waits for calls on another pipe, which its siblings hold open too, so it would outlive a killed driver.
    Started under `_signals_blocked`, it can be terminated from here on.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def watch():
        wait([lifeline, multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block SIGINT and SIGTERM here and in the processes that are started meanwhile.

    Either signal may reach workers as well as their driver, which knows better what to do; the driver gets it
    afterwards, when no worker is half started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Have SIGTERM, which queueing systems and `kill` send first, raise KeyboardInterrupt as Ctrl-C does.

    Only the main thread may set this, and only where no other program, such as a server, has set what SIGTERM does.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def wait_for(
    executor: Executor,
    calls: Mapping[str, tuple],
    on_done: Callable[[str, object], None],
) -> None:
    """Have workers make calls, and wait until all are made, also when workers die.

    Parameters
    ----------
    executor : of `open_executor`
    calls : mapping
        Name -> (function, argument, ...); each may be made more than once, when a worker dies.
    on_done : callable
        Gets the name and the result of each call as it finishes.

    Raises
    ------
    FtirlibError
        The first one that a call raised.
    StoreError
        When a call failed in another way, workers are killed again and again, or the scheduler is gone or has long
        been silent.
    """
    for _ in range(RESTARTS + 1):
        calls = {name: calls[name] for name in _wait_once(executor, calls, on_done)}
        if not calls:
            return
        executor.restart()
        executor.report(
            f"a worker process was killed, most often for want of memory; {len(calls)} tasks are started again"
        )
    named = ", ".join(f"'{name}'" for name in list(calls)[:3])
    raise StoreError(
        f"worker processes were killed {RESTARTS + 1} times with {len(calls)} tasks left ({named}), most often for "
        "want of memory; use fewer (--set workers=1) and run again: what was finished is kept."
    )


def _wait_once(executor, calls, on_done) -> list[str]:
    """Make the calls; return the names of those that were lost with their workers."""
    finished: SimpleQueue[Future] = SimpleQueue()  # as_completed cannot be asked again after it timed out
    names, lost = {}, []
    try:
        for name, (function, *arguments) in calls.items():
            try:
                future = executor.submit(function, *arguments)
            except BrokenExecutor:
                lost.append(name)
                continue
            except Exception as error:  # such as of a function that cannot be pickled
                raise executor.explained(name, error) from error
            names[future] = name
            future.add_done_callback(finished.put)
        while names:
            try:
                future = finished.get(timeout=ASK_SECONDS)
            except Empty:
                executor.report_trouble()
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


def outcomes(
    function: Callable, tasks: Iterable[tuple], executor: Executor | None = None, ahead: int = AHEAD
) -> Iterator[Callable[[], Any]]:
    """Yield for each task, in order, a function that returns its result or raises its error.

    Parameters
    ----------
    function : callable
        Function of a module, so that other processes find it.
    tasks : iterable of tuple
        Arguments of the function, plain values.
    executor : concurrent.futures.Executor, optional
        Left out: a task is done here when its result is asked for.
    ahead : int
        Tasks submitted before the result of the first has been taken; this bounds the memory.

    Raises
    ------
    FtirlibError
        When a worker ends before its task does.
    """
    if executor is None:
        for task in tasks:
            yield partial(function, *task)
        return
    result_of = getattr(executor, "result_of", _result_of)
    waiting: deque[tuple[Future, str]] = deque()
    try:
        for task in tasks:
            if len(waiting) >= ahead:
                yield partial(result_of, *waiting.popleft())
            name = getattr(next(iter(task), None), "name", function.__name__)  # such as of the file that is read
            waiting.append((executor.submit(function, *task), name))
        while waiting:
            yield partial(result_of, *waiting.popleft())
    finally:
        for future, _ in waiting:
            future.cancel()


def _result_of(future: Future, name: str):
    try:
        return future.result()
    except BrokenExecutor as error:
        raise FtirlibError(
            f"a worker ended before its task did ({error}), most often for want of memory; take fewer with --workers "
            "and import again: what was finished is kept."
        ) from None


def explained(name: str, error: Exception) -> FtirlibError:
    """The error of a call as a sentence; an error of the library is returned as it is."""
    if isinstance(error, FtirlibError):
        return error
    return StoreError(
        f"'{name}' failed ({type(error).__name__}: {error}); what was finished is kept, "
        "run again after mending the cause."
    )


def one_thread(function: Callable, *arguments):
    """Call a function with one thread for linear algebra, so that its bytes depend on no machine's core count."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            return function(*arguments)
    finally:
        torch.set_num_threads(before)
