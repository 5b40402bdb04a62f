"""What happens inside a worker: whose library it has, how many threads it uses, and when it ends."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from multiprocessing.connection import wait
from pathlib import Path

from ftirlib.errors import SettingsError


@cache
def library() -> dict:
    """Version and source of the library in this process, and versions of the packages it depends on.

    Kept from the first call on: a worker that lives longer than the files it was started from says what it runs.
    """
    import ftirlib
    from ftirlib.engine.store import code_fingerprint

    try:
        stated = [line for line in requires("ftirlib") or () if "extra ==" not in line]
    except PackageNotFoundError:  # run from its source
        stated = []
    packages = [re.match(r"[\w.-]+", line)[0] for line in stated]
    return {"version": ftirlib.__version__, **code_fingerprint([Path(ftirlib.__file__).parent], packages)}


def difference(expected: Mapping, found: Mapping | None) -> str | None:
    """What of `expected` a worker does not have, as the rest of a sentence about it; None when nothing.

    Examples
    --------
    >>> difference({"version": "0.2"}, {"version": "0.1"})
    "has ftirlib 0.1 and this driver 0.2; start it in the driver's environment."
    >>> difference({"version": "0.2"}, {"version": "0.2"}) is None
    True
    """
    cure = "start it in the driver's environment."
    if found is None:
        return f"has no ftirlib; {cure}"
    if found["version"] != expected["version"]:
        return f"has ftirlib {found['version']} and this driver {expected['version']}; {cure}"
    if "code" in expected and found.get("code") != expected["code"]:
        return f"has the same version of ftirlib, {expected['version']}, with other source; {cure}"
    here, there = expected.get("packages"), found.get("packages", {})
    for name in sorted(here.keys() | there.keys()) if here is not None else ():
        if here.get(name) != there.get(name):
            return f"has {name} {there.get(name, 'missing')} and this driver {here.get(name, 'none')}; {cure}"
    return None


def check_worker(expected: Mapping) -> None:
    """Refuse to work with another library than the driver's, or with other tasks in the same process.

    Called at the beginning of each task, since workers may join at any time.

    Parameters
    ----------
    expected : mapping
        `library()` of the driver.

    Raises
    ------
    SettingsError
        The worker, and both versions.
    """
    name, threads = _this_worker()
    if wrong := difference(expected, library()) or (too_many(threads) if threads != 1 else None):
        raise SettingsError(f"{name} {wrong}")


def _this_worker() -> tuple[str, int]:
    if distributed := sys.modules.get("distributed"):  # a local worker has not loaded it, and need not
        with suppress(ValueError):  # not in a task of Dask's
            worker = distributed.get_worker()
            return f"the worker at {worker.address}", worker.state.nthreads
    return f"process {os.getpid()}", 1


def too_many(threads: int) -> str:
    return (
        f"has {threads} threads, which share one process: warnings and the threads of linear algebra are a process's; "
        "start it with --nthreads 1, and more workers instead (--nworkers)."
    )


def question() -> Callable[[], dict | None]:
    """A function that says which library a process has.

    Nested, so that it travels as code, not as a name that a process without the library could not look up.
    """

    def answer():
        try:
            import ftirlib
        except ModuleNotFoundError as error:
            if error.name != "ftirlib":
                raise
            return None
        try:
            from ftirlib.engine.worker import library
        except ImportError:
            return {"version": getattr(ftirlib, "__version__", "of an unknown version")}
        return library()

    return answer


def envelope() -> Callable:
    """A function that does a task in a worker that `check_worker` lets pass.

    Nested as in `question`, and the task comes to it as bytes: a worker that cannot read what it is sent would end
    without a word.
    """

    def do(expected, task):
        from distributed import get_worker
        from distributed.protocol.pickle import loads

        try:
            from ftirlib.engine.worker import check_worker
        except ImportError:
            here = get_worker().address
            raise ImportError(f"the worker at {here} has no ftirlib, or another version", name="ftirlib") from None
        check_worker(expected)
        function, arguments, options = loads(task)
        return function(*arguments, **options)

    return do


def live_by(lifeline) -> None:
    """End this worker when the other end of a pipe is closed: by the driver, or with it however it ends.

    A worker waits for tasks on another pipe, which its siblings hold open too, so it would outlive a killed driver.
    Begun with `deaf_workers`, it can be terminated from here on.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def watch():
        wait([lifeline, multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def deaf_workers() -> Iterator[None]:
    """Have processes that are started meanwhile never hear Ctrl-C, nor SIGTERM until `live_by`.

    Either may reach workers as well as their driver, which knows better what to do; it hears what comes meanwhile
    afterwards, when none of them is half started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
