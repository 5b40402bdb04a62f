"""One driver per output folder: a lock file says who holds it, and shows whether they still live.

The file is made by linking a finished one to its name, which either succeeds or finds another there, on any
POSIX file system and on NFS (link(2)); where hard links do not exist, it is opened with O_EXCL instead. In an object
store it is written under the condition that there is none (for S3, `If-None-Match`). A store that knows no such
condition keeps the last of two: there, two drivers that start at the same moment may both get in, until the first
gives its next sign of life and finds the other's lock.

The time of its last change is the holder's sign of life; ages are taken from the clock of the file system or the store
itself, so that the clocks of two machines need not agree. An object store tells the time to a second, and offers no
change under a condition that all of them know: a holder that was asleep for as long as it takes to be thought gone, and
wakes between looking at its lock and touching it, takes it back, and it is the other that finds it lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ftirlib.engine.lock_places import LocalPlace, Place, RemotePlace
from ftirlib.engine.places import file_system, is_remote
from ftirlib.engine.stopping import terminated_like_interrupted
from ftirlib.errors import FtirlibError, StoreError

LOCK = "lock.json"
VARIABLE = "FTIRLIB_LOCK"  # tokens that let the holder's children in
REFRESH_SECONDS = 5
STALE_SECONDS = 60
SAME_START = 2  # seconds; a process's start is told to a hundredth, but from a clock that may be set


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Parameters
    ----------
    host : str
    machine : str
        Tells machines and containers of one host name apart, where the system lets them be told.
    pid : int
    started : float
        When the process started, seconds since 1970: another process may get the same number.
    since : float
        When the lock was taken, seconds since 1970.
    token : str
        Known to the holder and its children.
    """

    host: str
    machine: str
    pid: int
    started: float
    since: float
    token: str

    @classmethod
    def this_process(cls) -> Holder:
        import psutil

        return cls(
            host=socket.gethostname(),
            machine=_machine(),
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            since=time.time(),
            token=uuid.uuid4().hex,
        )

    @classmethod
    def read(cls, text: bytes) -> Holder:
        """Raises ValueError when the text is no holder's."""
        try:
            return cls(**json.loads(text))
        except TypeError:
            raise ValueError("no holder") from None

    def lives(self, age: float) -> bool:
        """Whether the holder is at work, as far as this machine can tell, `age` seconds after its last sign."""
        if (self.host, self.machine) != (socket.gethostname(), _machine()):
            return age < STALE_SECONDS
        import psutil

        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < SAME_START
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:  # it is there, of another user
            return True

    def __str__(self):
        if not self.pid:
            return f"a process on {self.host}"
        since = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"process {self.pid} on {self.host}, since {since}"


def _machine() -> str:
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))  # containers have processes of their own
    return " ".join(parts)


def place_of(root: str | os.PathLike) -> Place:
    """Where the lock of an output folder lies."""
    if is_remote(root):
        fs, path = file_system(str(root))
        return RemotePlace(fs, f"{path}/{LOCK}")
    return LocalPlace(Path(root) / LOCK)


def holder_of(root: str | os.PathLike) -> tuple[Holder, float, bool] | None:
    """Who holds an output folder, seconds since their last sign of life, and whether they live; None when nobody."""
    place = place_of(root)
    if (holder := _read(place)) is None:
        return None
    age = place.age()
    return holder, age, holder.lives(age)


@dataclass
class Hold:
    """An output folder that is held.

    Attributes
    ----------
    token : str
        Of the lock: the same for the driver and its children.
    inherited : bool
        Whether the lock is that of a parent process.
    lost : threading.Event
        Set when somebody else took the lock, as after a machine has slept for long, or removed it.
    by : Holder, optional
        Who took it.
    """

    root: str
    token: str
    inherited: bool
    lost: threading.Event = field(default_factory=threading.Event)
    by: Holder | None = None

    def check(self) -> None:
        """Raise StoreError when the folder is no longer held."""
        if not self.lost.is_set():
            return
        if self.by is None:
            raise StoreError(
                f"'{self.root}' or the lock in it was removed under this run; see who did, and run again: what is "
                "still there is kept."
            )
        raise StoreError(
            f"'{self.root}' was taken over by another run ({self.by}) while this one gave no sign of life; what was "
            "finished is kept: wait for the other to end, and run again."
        )


@contextlib.contextmanager
def hold(root: str | os.PathLike) -> Iterator[Hold]:
    """Be the only driver of an output folder, for the time of a run; the holder's children come in with it.

    Parameters
    ----------
    root : path or fsspec address

    Raises
    ------
    StoreError
        When another driver holds it, with who it is, or when no lock can be written.
    """
    place, me = place_of(root), Holder.this_process()
    before = os.environ.get(VARIABLE, "")
    with _said(root):
        found = _read(place)
    if found is not None and found.token in before.split(","):
        yield Hold(str(root), found.token, True)
        return
    with terminated_like_interrupted(), _kept(place, me, root) as held:
        os.environ[VARIABLE] = ",".join(filter(None, [before, me.token]))
        try:
            yield held
        finally:
            left = [token for token in os.environ.get(VARIABLE, "").split(",") if token not in ("", me.token)]
            os.environ[VARIABLE] = ",".join(left)
            if not left:
                del os.environ[VARIABLE]


@contextlib.contextmanager
def _kept(place: Place, me: Holder, root) -> Iterator[Hold]:
    """Take the lock, give signs of life, and release it."""
    with _said(root):
        _take(place, me, root)
    held, ended = Hold(str(root), me.token, False), threading.Event()
    keeper = threading.Thread(target=_keep, args=(place, me, ended, held), daemon=True)
    keeper.start()
    try:
        yield held
    finally:
        ended.set()
        keeper.join()
        if not held.lost.is_set():
            with contextlib.suppress(Exception):  # the folder may be gone, the disk or the network away
                if (found := _read(place)) is not None and found.token == me.token:
                    place.delete()


def _take(place: Place, me: Holder, root) -> None:
    """Make the lock, in the place of one whose holder is gone.

    Of several that find the same stale lock, only the one that holds the lock named after it may replace it, and
    only while it still is what was found: what came there since is somebody's who lives.
    """
    text = json.dumps(asdict(me)).encode()
    for _ in range(3):  # it may be released while it is read
        if place.write_new(text):
            return
        found, age = _read(place), place.age()
        if found is not None:
            break
    if found is None or found.lives(age):
        raise _refusal(root, found, age)
    claim = place.beside(f"{LOCK}.{found.token}")
    _take(claim, me, root)
    try:
        now = _read(place)
        if now != found:
            raise _refusal(root, now, place.age())
        place.replace(text)
    finally:
        claim.delete()


def _read(place: Place) -> Holder | None:
    """Who holds a lock; of a file that cannot be read, somebody unknown, who lives as long as it is touched."""
    try:
        text = place.read()
        return None if text is None else Holder.read(text)
    except (ValueError, KeyError):
        return Holder("an unknown machine", "", 0, 0.0, 0.0, "unreadable")


def _refusal(root, holder: Holder | None, age: float) -> StoreError:
    who = "another run that has just begun" if holder is None else f"{holder}, last sign of life {age:.0f} s ago"
    return StoreError(
        f"'{root}' is in use by {who}; wait for it to end, stop it, or choose another --out. A holder on another "
        f"machine counts as gone after {STALE_SECONDS} s without a sign."
    )


def _keep(place: Place, me: Holder, ended: threading.Event, held: Hold) -> None:
    """Touch the lock until it is released; a file system that is away for a moment is asked again."""
    text = json.dumps(asdict(me)).encode()
    while not ended.wait(REFRESH_SECONDS):
        with contextlib.suppress(Exception):  # each protocol of addresses has its own
            found = _read(place)
            if found is None or found.token != me.token:
                held.by = found
                held.lost.set()
                return
            place.touch(text)


@contextlib.contextmanager
def _said(root) -> Iterator[None]:
    try:
        yield
    except FtirlibError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not is_remote(root):
            raise
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StoreError(
            f"cannot write the lock of '{root}' ({why}); make room, check the address and its keys, or choose another "
            "--out."
        ) from error
