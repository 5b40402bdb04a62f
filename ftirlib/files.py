"""Files written whole or not at all, their fingerprints, and values as JSON says them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def written(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path`, for a file or a folder that takes its name only when the block ends well.

    A crash leaves the old file or the new one, never a part. What is written is flushed to the disk before it is
    renamed. An old folder is moved aside first, so that no moment shows half of one.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with written(target) as draft:
    ...     _ = draft.write_text("1 2 3")
    >>> target.read_text()
    '1 2 3'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name[:200]}.{uuid.uuid4().hex[:8]}")
    try:
        yield draft
        for file in files_below(draft) if draft.is_dir() else [draft]:
            with open(file, "rb+") as handle:
                os.fsync(handle.fileno())
        put_in_place(draft, path)
    finally:
        remove(draft)


def put_in_place(draft: Path, path: Path) -> None:
    """Rename a finished file or folder, in the place of what has that name.

    Two processes may finish the same folder at once: either of them stays, whole.
    """
    occupied = (errno.ENOTEMPTY, errno.EEXIST)
    if not path.is_dir() or path.is_symlink():
        try:
            os.replace(draft, path)
            return
        except OSError as error:
            if error.errno not in occupied:
                raise
    old = path.with_name(f".{path.name[:200]}.{uuid.uuid4().hex[:8]}")
    with suppress(FileNotFoundError):  # the other process has moved it
        os.replace(path, old)
    try:
        os.replace(draft, path)
    except OSError as error:
        if error.errno not in occupied:
            with suppress(FileNotFoundError):
                os.replace(old, path)
            raise
    remove(old)


def remove(path: Path) -> None:
    """Remove a file or a folder; nothing when there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file, whole or not at all."""
    with written(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value) -> None:
    """Write a value as JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(plain(value), indent=1, sort_keys=True))


def read_json(path: str | os.PathLike):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def plain(value):
    """A value in the types of JSON: NumPy arrays and tuples become lists, paths text, keys of mappings text.

    Examples
    --------
    >>> plain({"shape": (2, 3), 1: Path("a/b")})
    {'shape': [2, 3], '1': 'a/b'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [plain(part) for part in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return plain(value.tolist())
    return value


def fingerprint(value) -> str:
    """SHA-256 of a value that JSON can say, the same for equal content in any order of keys."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: str | os.PathLike, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file, read a block at a time."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


def files_below(folder: str | os.PathLike) -> list[Path]:
    """All files under a folder, sorted."""
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())
