"""Where a lock file lies: on a file system or in an object store, with the few things that a lock asks of either."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol


class Place(Protocol):
    """Where a lock file lies; the few things it needs of it."""

    def read(self) -> bytes | None:
        """Content, None when there is no file."""

    def age(self) -> float:
        """Seconds since it was last written or touched."""

    def write_new(self, text: bytes) -> bool:
        """Whether the file was made; False when there is one."""

    def replace(self, text: bytes) -> None: ...

    def touch(self, text: bytes) -> None:
        """Give a sign of life; `text` is what the file holds."""

    def delete(self) -> None: ...

    def beside(self, name: str) -> Place:
        """Another file in the same folder."""


class LocalPlace:
    """A file of this machine, or of a file system it shares with others."""

    def __init__(self, path: Path):
        self.path = Path(path)

    def read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def age(self) -> float:
        try:
            touched = self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0
        try:
            with self._draft(b"") as draft:  # its time is of the same clock
                now = draft.stat().st_mtime
        except OSError:  # a reader who may not write
            now = time.time()
        return now - touched

    def write_new(self, text: bytes) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._draft(text) as draft:
            try:
                os.link(draft, self.path)
            except FileExistsError:
                return False
            except OSError:
                return self._write_exclusively(text)
        return True

    def _write_exclusively(self, text: bytes) -> bool:
        try:
            with open(self.path, "xb") as handle:
                handle.write(text)
        except FileExistsError:
            return False
        return True

    def replace(self, text: bytes) -> None:
        with self._draft(text) as draft:
            os.replace(draft, self.path)

    def touch(self, text: bytes) -> None:
        os.utime(self.path)

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)

    def beside(self, name: str) -> LocalPlace:
        return LocalPlace(self.path.with_name(name))

    @contextlib.contextmanager
    def _draft(self, text: bytes) -> Iterator[Path]:
        draft = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex[:8]}")
        draft.write_bytes(text)
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)


class RemotePlace:
    """An object at an fsspec address."""

    def __init__(self, fs, path: str):
        self.fs, self.path = fs, path

    def read(self) -> bytes | None:
        try:
            return self.fs.cat_file(self.path)
        except FileNotFoundError:
            return None

    def age(self) -> float:
        try:
            touched = self.fs.modified(self.path)
        except FileNotFoundError:
            return 0.0
        draft = self.beside(f".draft-{uuid.uuid4().hex[:8]}")
        try:
            draft.replace(b"")
            now = self.fs.modified(draft.path)  # of the same clock
        except Exception:  # a reader who may not write; each protocol has its own words for that
            now = datetime.now(touched.tzinfo)
        finally:
            with contextlib.suppress(Exception):
                draft.delete()
        return (now - touched).total_seconds()

    def write_new(self, text: bytes) -> bool:
        try:
            self.fs.pipe_file(self.path, text, mode="create")
        except FileExistsError:
            return False
        return self.read() == text  # a store without conditions keeps the last of two

    def replace(self, text: bytes) -> None:
        self.fs.pipe_file(self.path, text)

    touch = replace

    def delete(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self.path)

    def beside(self, name: str) -> RemotePlace:
        return RemotePlace(self.fs, f"{self.path.rpartition('/')[0]}/{name}")
