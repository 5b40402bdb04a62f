"""The seam for parallel work: plain functions with plain arguments, given to a `concurrent.futures.Executor`.

Local processes by default; the same tasks on a Dask cluster when a scheduler's address is given.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

from ftirlib.errors import SettingsError

CONNECT_SECONDS = 8


@contextmanager
def open_executor(scheduler: str | None = None, workers: int = 1) -> Iterator[Executor]:
    """An executor for the time of a run.

    Parameters
    ----------
    scheduler : str, optional
        Address such as ``tcp://host:8786`` of a running Dask scheduler, whose workers see the same
        file system; without it, `workers` local processes.
    workers : int

    Raises
    ------
    SettingsError
        When no scheduler answers at the address.
    """
    if not scheduler:
        # spawn: a forked child of a process that has used torch's threads can hang
        pool = ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
        )
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    from distributed import Client

    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"no Dask scheduler answers at '{scheduler}' ({type(error).__name__}); start one with 'dask scheduler', "
            "or leave --scheduler out to use this machine."
        ) from None
    with client, client.get_executor(pure=False) as executor:
        yield executor


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone.

    A worker waits for tasks on a pipe that its siblings hold open too, so it would outlive a killed driver.
    """

    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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
