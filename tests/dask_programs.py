"""Dask's own programs, started on loopback as a user would start them, and stopped whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ftirlib.errors import DataError

# the command dask, which ends when its standard input does: with these tests, however they end
DASK = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(1)), daemon=True).start()
from dask.__main__ import main
main()
"""
HERE = str(Path(__file__).resolve().parent)
# the programs are to find this module, and the library that the tests find
PATHS = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")]))
START_SECONDS = 60
# as the guide has workers started
THEIRS = {"OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS, "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
# the last word of a command that is stopped
STOPPED = "ftirlib: stopped; what was finished is kept, the same command goes on from there."


class Programs:
    """Schedulers and workers started by one test or module; a context manager that kills all of them at its end.

    Parameters
    ----------
    folder : Path
        For what they write: addresses, logs, scratch.
    """

    def __init__(self, folder):
        self._folder = Path(folder)
        self._started = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for program in self._started:
            if program.poll() is None:
                program.kill()
        for program in self._started:
            program.wait()
            program.stdin.close()

    def scheduler(self, *options, protocol="tcp", port=0, environment=None):
        """Start ``dask scheduler``, without `port` on a free one.

        Returns
        -------
        (subprocess.Popen, Path)
            The program, and the file in which it says its address; see `address`.
        """
        file = self._folder / f"scheduler-{len(self._started)}.json"
        words = ["scheduler", "--protocol", protocol, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        words += ["--scheduler-file", str(file)]
        return self._start([*words, *options], environment), file

    def worker(self, address, *options, threads=1, environment=None):
        """Start ``dask worker``, one process; `address` is a scheduler's, or the file in which it says it."""
        where = ["--scheduler-file", str(address)] if isinstance(address, Path) else [address]
        scratch = self._folder / f"worker-{len(self._started)}"
        words = ["worker", *where, "--nthreads", str(threads), "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        words += ["--local-directory", str(scratch), "--death-timeout", "60"]
        return self._start([*words, *options], environment)

    def _start(self, words, environment):
        with open(self._folder / f"log-{len(self._started)}.txt", "wb") as log:
            program = subprocess.Popen(
                [sys.executable, "-P", "-c", DASK, *words],  # -P: not what lies in the working folder
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | THEIRS | (environment or {}),
            )
        self._started.append(program)
        return program


def address(file):
    """Address that a scheduler has written, once it has."""
    return until(lambda: json.loads(file.read_text())["address"])


def kill(program):
    """End a program as want of memory or a power cut would."""
    program.send_signal(signal.SIGKILL)
    program.wait()


def until(ask, seconds=START_SECONDS):
    """The first answer that is true, asking again while there is none."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answer := ask():
                return answer
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.05)
    raise AssertionError("nothing came in time")


def work(log, seconds):
    """A task that says where it runs, and takes its time.

    Returns
    -------
    int
        Number of the process.
    """
    with open(log, "a") as handle:
        handle.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return os.getpid()


def die(log, lives):
    """A task whose process is killed the first times that it is done, as by a system that is short of memory."""
    with open(log, "a") as handle:
        handle.write("tried\n")
    if len(Path(log).read_text().splitlines()) <= lives:
        os.kill(os.getpid(), signal.SIGKILL)
    return "made"


def fail(message):
    raise MemoryError(message)


def refuse():
    raise DataError("spectrum 3 is not finite.")
