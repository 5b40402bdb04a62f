"""Executors: processes of this machine, or the workers of a Dask cluster (https://distributed.dask.org).

A worker whose library differs from the driver's would make other results. It is refused when the cluster is opened, and
again at the beginning of each call, since workers may join at any time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from ftirlib.engine import workers as local
from ftirlib.engine.store import code_fingerprint
from ftirlib.errors import FtirlibError, SettingsError, StoreError

CONNECT_SECONDS = 8  # for a scheduler to answer
CHECK_SECONDS = 60  # for all workers to load the library, perhaps from a slow file system, and say what they have
ANSWER_SECONDS = 8  # for a scheduler at work to say how many workers it has
PATIENCE = "distributed.scheduler.worker-ttl"  # in Dask's configuration: how long a scheduler itself waits for a worker
TLS_FILES = ("ca", "cert", "key")


# --- the library of a process --------------------------------------------------------------------------------------


@cache
def library() -> dict:
    """Version and source of the library in this process, and versions of the packages it depends on.

    Kept from the first call on: a worker that lives longer than the files it was started from says what it runs.
    """
    import ftirlib

    try:
        stated = [line for line in requires("ftirlib") or () if "extra ==" not in line]
    except PackageNotFoundError:  # run from its source
        stated = []
    packages = [re.match(r"[\w.-]+", line)[0] for line in stated]
    return {"version": ftirlib.__version__, **code_fingerprint([Path(ftirlib.__file__).parent], packages)}


def difference(expected: Mapping, found: Mapping | None) -> str | None:
    """How the library of a worker differs from `expected`, as the end of a sentence; None when it does not.

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
    """Raise SettingsError in a worker with another library than the driver's, or with several threads.

    Parameters
    ----------
    expected : mapping
        `library()` of the driver.

    Raises
    ------
    SettingsError
        Names the worker and both versions.
    """
    name, threads = f"process {os.getpid()}", 1
    if distributed := sys.modules.get("distributed"):
        with suppress(ValueError):  # not in a task of Dask's
            worker = distributed.get_worker()
            name, threads = f"the worker at {worker.address}", worker.state.nthreads
    if wrong := difference(expected, library()) or (_too_many(threads) if threads != 1 else None):
        raise SettingsError(f"{name} {wrong}")


def _too_many(threads: int) -> str:
    return (
        f"has {threads} threads, which share one process: warnings and the threads of linear algebra are a process's; "
        "start it with --nthreads 1, and more workers instead (--nworkers)."
    )


def _library_asked() -> Callable[[], dict | None]:
    """A function that returns the library of the process in which it is called.

    It is nested so that Dask sends its code: a process without the library could not look up its name.
    """

    def answer():
        try:
            import ftirlib
        except ModuleNotFoundError as error:
            if error.name != "ftirlib":
                raise
            return None
        try:
            from ftirlib.engine.cluster import library
        except ImportError:
            return {"version": getattr(ftirlib, "__version__", "of an unknown version")}
        return library()

    return answer


def _checked_call() -> Callable:
    """A function that makes a pickled call in a worker, after `check_worker`.

    It is nested as in `_library_asked`. It reads the call itself, so that a worker that cannot read it says why.
    """

    def make(expected, call):
        from distributed import get_worker
        from distributed.protocol.pickle import loads

        try:
            from ftirlib.engine.cluster import check_worker
        except ImportError:
            here = get_worker().address
            raise ImportError(f"the worker at {here} has no ftirlib, or another version", name="ftirlib") from None
        check_worker(expected)
        function, arguments, options = loads(call)
        return function(*arguments, **options)

    return make


# --- the workers -----------------------------------------------------------------------------------------------------


@contextmanager
def open_executor(
    scheduler: str | None = None,
    workers: int = 1,
    *,
    tls: Mapping[str, str | os.PathLike] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Iterator[local.LocalWorkers | ClusterWorkers]:
    """Open an executor for the time of a block.

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
    report : callable
        Gets a sentence when nothing can go on for now, such as while a cluster has no worker.

    Raises
    ------
    SettingsError
        When no scheduler answers at the address, when the TLS files do not fit, or when a worker has more than
        one thread or another version of the library.
    """
    if tls and not scheduler:
        raise SettingsError("TLS files are for a cluster: give the address of its scheduler too, tls://host:8786.")
    opened = open_cluster(scheduler, tls, report) if scheduler else local.open_processes(workers, report)
    with local.terminated_like_interrupted(), opened as executor:
        yield executor


@contextmanager
def open_cluster(scheduler: str, tls, report: Callable[[str], None]) -> Iterator[ClusterWorkers]:
    """Connect to a scheduler and check its workers; see `open_executor`."""
    client = _connected(scheduler, tls)
    try:
        cluster = ClusterWorkers(client, scheduler, report)
        cluster.check()
        yield cluster
    finally:
        if client.status != "running":  # it would log its attempts after the last line of the run
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        client.close()


class ClusterWorkers(Executor):
    """The workers of a Dask cluster.

    A call is a few kB, since arrays stay on disk: a worker gets names, paths and settings, and returns notes.

    Parameters
    ----------
    client : distributed.Client
    address : str
        Address of the scheduler.
    report : callable
        See `open_executor`.

    Attributes
    ----------
    count : int
        Number of workers at the last check.
    """

    def __init__(self, client, address: str, report: Callable[[str], None]):
        self._client, self.address, self.report = client, address, report
        self._executor = client.get_executor(pure=False)
        self._checked_call = _checked_call()
        self._silent_since: float | None = None
        self._reported: str | None = None
        self.count = 0

    def submit(self, function, /, *arguments, **options) -> Future:
        """Submit a call; a worker that joined after `check` with another library refuses it."""
        from distributed.protocol.pickle import dumps

        if self._client.status != "running":
            raise self._gone()
        self._reported = None
        future = self._executor.submit(self._checked_call, library(), dumps((function, arguments, options)))
        future.add_done_callback(self._answered)
        return future

    def _answered(self, future=None) -> None:
        self._silent_since = None

    def result_of(self, future: Future, name: str):
        """Result of a call; while it is waited for, reports what keeps the cluster from working."""
        while wait([future], local.ASK_SECONDS).not_done:
            self.report_trouble()
        try:
            return future.result()
        except Exception as error:
            raise self.explained(name, error) from error

    def check(self) -> None:
        """Raise SettingsError when the scheduler or a worker cannot make the calls, or would make them differently."""
        asked = _library_asked()
        try:
            scheduler = self._client.run_on_scheduler(asked, callback_timeout=CHECK_SECONDS)
            threads = self._client.nthreads(callback_timeout=CHECK_SECONDS)
            libraries = self._client.run(asked, on_error="return", callback_timeout=CHECK_SECONDS)
        except (OSError, RuntimeError) as error:  # TimeoutError is an OSError
            raise SettingsError(
                f"the scheduler at {self.address} or one of its workers does not answer ({type(error).__name__}); "
                "start it anew and run again."
            ) from error
        self.count = len(threads)
        # the scheduler makes no calls, but reads what it passes on: its version counts, its packages do not
        if wrong := difference({"version": library()["version"]}, scheduler):
            raise SettingsError(f"the scheduler at {self.address} {wrong}")
        wrong = {worker: _too_many(count) for worker, count in threads.items() if count != 1}
        for worker, theirs in libraries.items():
            if isinstance(theirs, OSError):  # it disconnected before it answered
                continue
            if isinstance(theirs, Exception):
                wrong[worker] = (
                    f"cannot load ftirlib ({type(theirs).__name__}: {theirs}); start it in the driver's environment."
                )
            elif differs := difference(library(), theirs):
                wrong[worker] = differs
        for worker, sentence in wrong.items():
            others = f" ({len(wrong) - 1} more workers are refused too.)" if len(wrong) > 1 else ""
            raise SettingsError(f"the worker at {worker} {sentence}{others}")

    def restart(self) -> None:
        raise self._gone()

    def abandon(self, futures, *, now: bool) -> None:
        """Cancel the calls that wait; a worker finishes the call under way, and keeps it in the results."""
        if self._client.status == "running":
            self._executor.shutdown(wait=False)
            self._executor = self._client.get_executor(pure=False)

    def report_trouble(self) -> None:
        """Report, once, why no call can be made, such as that there is no worker.

        Raises
        ------
        StoreError
            When the scheduler has been silent for too long: one that is frozen keeps its connections.
        """
        trouble = self._trouble()
        if trouble and trouble != self._reported:
            self.report(trouble)
        self._reported = trouble

    def _trouble(self) -> str | None:
        if self._client.status != "running":
            return None  # its futures are about to fail
        asked = time.monotonic()
        try:
            threads = self._client.nthreads(callback_timeout=ANSWER_SECONDS)
        except TimeoutError:
            self._silent_since = self._silent_since or asked
            return self._silence(time.monotonic() - self._silent_since)
        except (OSError, RuntimeError, AttributeError):  # the connection is being closed
            return None
        self._answered()
        if threads:
            return None
        return (
            f"no worker is connected to {self.address}; waiting for one: start it with "
            f"'dask worker {self.address} --nthreads 1'"
        )

    def _silence(self, seconds: float) -> str:
        """A sentence about a silent scheduler; an error when it has been silent for too long."""
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
        """The error of a call as a sentence; an error of Dask's is about the cluster, not the call."""
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
        return local.explained(name, error)

    def _gone(self) -> StoreError:
        return StoreError(
            f"the scheduler at {self.address} is gone; what was finished is kept: start it and its workers, and run "
            "the same command again."
        )


# --- the connection --------------------------------------------------------------------------------------------------


def _connected(scheduler: str, tls: Mapping[str, str | os.PathLike] | None):
    """A `distributed.Client` of the scheduler at an address, with TLS if there are files for it."""
    from distributed import Client

    security = _security(scheduler, tls)
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
    """Open a connection and close it: a client would wait without end for a scheduler that accepts it and is silent."""
    from distributed import Security
    from distributed.comm import connect

    arguments = (security or Security()).get_connection_args("client")
    comm = await asyncio.wait_for(connect(scheduler, timeout=CONNECT_SECONDS, **arguments), CONNECT_SECONDS)
    comm.abort()


def _security(scheduler: str, tls):
    """Settings of a TLS connection for Dask; None leaves them to its configuration."""
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
