"""Stopped from outside: SIGTERM, which queueing systems and `kill` send first, ends a run as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Have SIGTERM raise KeyboardInterrupt, for the time of something that is to be left as after Ctrl-C.

    Only the main thread may say so, and only where nobody else, such as a server, has said what SIGTERM is to do.
    """
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
