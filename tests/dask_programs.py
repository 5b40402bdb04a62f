"""Dask's own programs, started on loopback as a user would start them, and stopped whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DASK = str(Path(sys.executable).with_name("dask"))
START_SECONDS = 60


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

    def scheduler(self, *options, protocol="tcp", environment=None):
        """Start ``dask scheduler`` on a free port.

        Returns
        -------
        (subprocess.Popen, Path)
            The program, and the file in which it says its address; see `address`.
        """
        file = self._folder / f"scheduler-{len(self._started)}.json"
        # alone, if these tests are killed, it ends by itself
        words = ["scheduler", "--protocol", protocol, "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        words += ["--scheduler-file", str(file), "--idle-timeout", "5 minutes"]
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
                [DASK, *words],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {}),
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
