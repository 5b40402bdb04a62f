"""One driver per output folder: a lock file in it names the holder and shows whether it still lives.

The file is created under the condition that there is none (O_EXCL on a file system, `If-None-Match` in S3). An object
store without such a condition keeps the last of two: there, two drivers that start at the same moment may both get in,
until the first gives its next sign of life and reads the other's lock.

The time of the file's last change is the holder's sign of life. Ages are taken from the clock of the file system or the
store itself, so that the clocks of two machines need not agree. An object store tells the time to a second and cannot
change a file under a condition: a holder that was asleep for as long as it takes to be thought gone, and wakes between
reading its lock and touching it, takes it back, and the other holder notices that it has lost it.

Artefacts are written whole and are the same whoever makes them, so the worst of two drivers is double work.
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

from ftirlib.engine.places import file_system, is_remote
from ftirlib.engine.workers import terminated_like_interrupted
from ftirlib.errors import FtirlibError, StoreError

LOCK = "lock.json"
VARIABLE = "FTIRLIB_LOCK"  # of the environment: tokens that let the holder's child processes in
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
        Known to the holder and its child processes.
    """

    host: str
    machine: str
    pid: int
    started: float
    since: float
    token: str

    @classmethod
    def this_process(cls) -> Holder:
        """A holder with a new token."""
        import psutil

        started = psutil.Process().create_time()
        return cls(socket.gethostname(), _machine(), os.getpid(), started, time.time(), uuid.uuid4().hex)

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


class LockFile:
    """The lock of an output folder, or another small file beside it.

    Parameters
    ----------
    root : path or fsspec address of the folder
    name : str
    """

    def __init__(self, root: str | os.PathLike, name: str = LOCK):
        self.root = root
        self.fs, self.folder = file_system(root)
        self.path = f"{self.folder}/{name}"

    def read(self) -> Holder | None:
        """The holder; of a file that cannot be read, an unknown holder, who lives as long as it is touched."""
        try:
            return Holder(**json.loads(self.fs.cat_file(self.path)))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return Holder("an unknown machine", "", 0, 0.0, 0.0, "unreadable")

    def age(self) -> float:
        """Seconds since the file was last written or touched, by the clock of the file system or the store."""
        try:
            touched = self.fs.modified(self.path)
        except FileNotFoundError:
            return 0.0
        draft = f"{self.folder}/.draft-{uuid.uuid4().hex[:8]}"
        try:
            self.fs.pipe_file(draft, b"")
            now = self.fs.modified(draft)
        except Exception:  # a reader who may not write; each protocol has its own words for that
            now = datetime.now(touched.tzinfo)
        finally:
            with contextlib.suppress(Exception):
                self.fs.rm_file(draft)
        return (now - touched).total_seconds()

    def create(self, holder: Holder) -> bool:
        """Write the file unless there is one; whether it was written."""
        if not is_remote(self.root):
            self.fs.makedirs(self.folder, exist_ok=True)
        try:
            self.fs.pipe_file(self.path, _text(holder), mode="create")
        except FileExistsError:
            return False
        except OSError:  # such as a full disk, after the file was opened
            with contextlib.suppress(Exception):
                self.delete()
            raise
        return self.read() == holder  # a store without conditions keeps the last of two

    def write(self, holder: Holder) -> None:
        """Write the file, in the place of one that is there."""
        self.fs.pipe_file(self.path, _text(holder))

    def touch(self, holder: Holder) -> None:
        """Give a sign of life of the holder, which the file names."""
        if is_remote(self.root):
            self.write(holder)
        else:
            os.utime(self.path)

    def delete(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self.path)


def _text(holder: Holder) -> bytes:
    return json.dumps(asdict(holder)).encode()


def holder_of(root: str | os.PathLike) -> tuple[Holder, float, bool] | None:
    """Holder of an output folder, seconds since its last sign of life, and whether it lives; None without a holder."""
    lock = LockFile(root)
    if (holder := lock.read()) is None:
        return None
    age = lock.age()
    return holder, age, holder.lives(age)


@dataclass
class Hold:
    """An output folder that is held.

    Attributes
    ----------
    token : str
        Of the lock: the same for the driver and its child processes.
    inherited : bool
        Whether the lock is that of a parent process.
    lost : threading.Event
        Set when another driver took the lock, as after this machine has slept for long, or when it was removed.
    taken_by : Holder, optional
        The other driver.
    """

    root: str
    token: str
    inherited: bool
    lost: threading.Event = field(default_factory=threading.Event)
    taken_by: Holder | None = None

    def check(self) -> None:
        """Raise StoreError when the folder is no longer held."""
        if not self.lost.is_set():
            return
        if self.taken_by is None:
            raise StoreError(
                f"'{self.root}' or the lock in it was removed under this run; see who did, and run again: what is "
                "still there is kept."
            )
        raise StoreError(
            f"'{self.root}' was taken over by another run ({self.taken_by}) while this one gave no sign of life; what "
            "was finished is kept: wait for the other to end, and run again."
        )


@contextlib.contextmanager
def hold(root: str | os.PathLike) -> Iterator[Hold]:
    """Be the only driver of an output folder, for the time of a run; child processes come in with the holder.

    Parameters
    ----------
    root : path or fsspec address

    Raises
    ------
    StoreError
        When another driver holds it, with its name, or when no lock can be written.
    """
    with _errors_in_a_sentence(root):
        lock = LockFile(root)
        holder = lock.read()
    if holder is not None and holder.token in os.environ.get(VARIABLE, "").split(","):
        yield Hold(str(root), holder.token, True)
        return
    me = Holder.this_process()
    with terminated_like_interrupted():
        with _errors_in_a_sentence(root):
            _take(lock, me)
        held, ended = Hold(str(root), me.token, False), threading.Event()
        signs_of_life = threading.Thread(target=_give_signs_of_life, args=(lock, me, ended, held), daemon=True)
        signs_of_life.start()
        _set_tokens(lambda tokens: [*tokens, me.token])
        try:
            yield held
        finally:
            _set_tokens(lambda tokens: [token for token in tokens if token != me.token])
            ended.set()
            signs_of_life.join()
            with contextlib.suppress(Exception):  # the folder may be gone, the disk or the network away
                if not held.lost.is_set() and lock.read() == me:
                    lock.delete()


def _set_tokens(change) -> None:
    """Change the tokens that child processes inherit."""
    tokens = change([token for token in os.environ.get(VARIABLE, "").split(",") if token])
    if tokens:
        os.environ[VARIABLE] = ",".join(tokens)
    else:
        os.environ.pop(VARIABLE, None)


def _take(lock: LockFile, me: Holder) -> None:
    """Create the lock, or write it in the place of one whose holder is gone.

    Of several drivers that find the same stale lock, only the one that creates the file named after its token may
    replace it, and only while the lock is the one that was found: a lock that came since has a living holder.
    """
    for _ in range(3):  # it may be released while it is read
        if lock.create(me):
            return
        holder, age = lock.read(), lock.age()
        if holder is not None:
            break
    if holder is None or holder.lives(age):
        raise _refusal(lock, holder, age)
    claim = LockFile(lock.root, f"{LOCK}.{holder.token}")
    if not claim.create(me):
        if claim.age() >= STALE_SECONDS:  # its maker was killed before it replaced the lock
            claim.delete()
        raise _refusal(lock, None, 0.0)
    try:
        if (now := lock.read()) != holder:
            raise _refusal(lock, now, lock.age())
        lock.write(me)
    finally:
        claim.delete()


def _refusal(lock: LockFile, holder: Holder | None, age: float) -> StoreError:
    who = "another run that has just begun" if holder is None else f"{holder}, last sign of life {age:.0f} s ago"
    return StoreError(
        f"'{lock.root}' is in use by {who}; wait for it to end, stop it, or choose another --out. A holder on another "
        f"machine counts as gone after {STALE_SECONDS} s without a sign."
    )


def _give_signs_of_life(lock: LockFile, me: Holder, ended: threading.Event, held: Hold) -> None:
    """Touch the lock until it is released; a file system that is away for a moment is asked again."""
    while not ended.wait(REFRESH_SECONDS):
        with contextlib.suppress(Exception):  # each protocol of addresses has its own
            holder = lock.read()
            if holder != me:
                held.taken_by = holder
                held.lost.set()
                return
            lock.touch(me)


@contextlib.contextmanager
def _errors_in_a_sentence(root) -> Iterator[None]:
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
