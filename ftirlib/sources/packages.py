"""One file out of a published Python package: fetched by pip, checked by hash, never imported.

pip in hash-checking mode refuses an archive before anything in it is looked at
(https://pip.pypa.io/en/stable/topics/secure-installs/).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from ftirlib.engine.cache import BLOCK, file_digest, written_whole
from ftirlib.engine.places import cache_folder
from ftirlib.errors import DataError
from ftirlib.sources.catalogue import PackageSet

TIMEOUT = 3600  # seconds for a download


def get_package_set(
    wanted: PackageSet, *, folder: str | os.PathLike | None = None, archive: str | os.PathLike | None = None
) -> Path:
    """The file of a set, from the cache or fetched.

    Parameters
    ----------
    wanted : PackageSet
    folder : path, optional
        Cache to use; left out: `cache_folder`.
    archive : path, optional
        The package's archive, fetched by other means where this machine's pip cannot.

    Returns
    -------
    Path
        Beside it lies ``<name>.source.json``: package, licence, hashes.

    Raises
    ------
    DataError
        No pip, no such package in its index, or a file that is not what the catalogue says.
    """
    home = (cache_folder() if folder is None else Path(folder)) / wanted.requirement.replace("==", "-")
    path, note = home / wanted.file, home / f"{wanted.file}.source.json"
    if path.is_file() and _noted(note) == file_digest(path):
        return path
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".fetch-") as scratch:
        source = _download(wanted, Path(scratch)) if archive is None else Path(archive)
        if not source.is_file():
            raise DataError(f"there is no archive at '{source}'; give the file of {wanted.requirement}.")
        if (found := file_digest(source)) != wanted.archive_sha256:
            raise DataError(
                f"'{source.name}' has SHA-256 {found[:12]}..., not {wanted.archive_sha256[:12]}... of "
                f"{wanted.requirement} ({wanted.kind}); nothing of it is used: fetch it again."
            )
        with written_whole(path) as file:
            _take(wanted, source, file)
    with written_whole(note) as file:
        record = {
            "name": wanted.name,
            "package": wanted.requirement,
            "archive_sha256": wanted.archive_sha256,
            "member": wanted.member,
            "member_sha256": wanted.sha256,
            "licence": wanted.licence,
            "sha256": file_digest(path),
        }
        file.write(json.dumps(record, indent=1).encode())
    return path


def _noted(note: Path) -> str | None:
    """Digest that was noted of the file in the cache; None for a torn note."""
    try:
        return json.loads(note.read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _download(wanted: PackageSet, scratch: Path) -> Path:
    """The package's archive, fetched by this Python's pip from the index that pip is configured for."""
    if importlib.util.find_spec("pip") is None:
        raise DataError(
            f"'{wanted.name}' is fetched by pip, which this Python ('{sys.executable}') lacks; add it with "
            f"'{Path(sys.executable).name} -m ensurepip' or 'uv pip install pip', or fetch {wanted.requirement} "
            f"({wanted.kind}) by hand and name the file with --archive."
        )
    requirements, out = scratch / "requirements.txt", scratch / "archive"
    requirements.write_text(f"{wanted.requirement} --hash=sha256:{wanted.archive_sha256}\n", encoding="utf-8")
    form = "--no-binary" if wanted.kind == "sdist" else "--only-binary"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", form, wanted.package, "--require-hashes"]
    command += ["--no-input", "--disable-pip-version-check", "-r", str(requirements), "-d", str(out)]
    if wanted.kind == "wheel":  # of use on any machine, so a tag for another one must not hinder
        command += ["--ignore-requires-python"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise DataError(f"pip did not fetch {wanted.requirement} within {TIMEOUT} s; try again.") from None
    files = sorted(out.glob("*")) if out.is_dir() else []
    if done.returncode or len(files) != 1:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise DataError(
            f"pip could not fetch {wanted.requirement} ({wanted.kind}): {' '.join(said[-2:]) or 'no reason given'}; "
            "check the network and pip's index (pip config list), or name a file fetched by hand with --archive."
        )
    return files[0]


def _take(wanted: PackageSet, archive: Path, file: BinaryIO) -> None:
    """Write the one member to `file`; its path inside the archive is only compared, never written to."""
    digest = hashlib.sha256()
    try:
        with _member(archive, wanted.member) as packed, _unpacked(packed, wanted) as stream:
            pieces = _hashed(stream, digest, wanted)
            for piece in pieces if wanted.group is None else _with_column(pieces, *wanted.group):
                file.write(piece)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError) as error:
        raise DataError(f"'{archive.name}' is damaged ({error}); fetch it again.") from None
    if digest.hexdigest() != wanted.sha256:
        raise DataError(f"'{wanted.member}' in '{archive.name}' is not the file that the catalogue names.")


@contextmanager
def _member(archive: Path, name: str) -> Iterator[BinaryIO]:
    """A regular file inside a tar or zip archive, as a stream."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as whole:
            if name not in whole.namelist():
                raise DataError(f"'{archive.name}' holds no file '{name}'.")
            with whole.open(name) as file:
                yield file
        return
    with tarfile.open(archive, "r|*") as whole:
        for entry in whole:
            if entry.name == name:
                if not entry.isreg():
                    raise DataError(f"'{name}' in '{archive.name}' is no regular file.")
                with whole.extractfile(entry) as file:
                    yield file
                return
    raise DataError(f"'{archive.name}' holds no file '{name}'.")


def _unpacked(packed: BinaryIO, wanted: PackageSet):
    """The member's own stream, or what its compression holds where the set's file name says so."""
    if wanted.member.endswith(".xz") and not wanted.file.endswith(".xz"):
        return lzma.open(packed)
    return nullcontext(packed)


def _hashed(stream: BinaryIO, digest, wanted: PackageSet) -> Iterator[bytes]:
    """Pieces of a stream, hashed, and no more of them than the catalogue says there are."""
    size = 0
    while piece := stream.read(BLOCK):
        size += len(piece)
        if size > wanted.size:
            raise DataError(f"'{wanted.member}' is larger than the {wanted.size} bytes of the catalogue.")
        digest.update(piece)
        yield piece


def _with_column(pieces: Iterator[bytes], new: str, source: str, pattern: str) -> Iterator[bytes]:
    """A plain comma-separated table with one more column in front: the part of `source` that the pattern finds."""
    at, rest = None, b""
    for piece in [*pieces, b"\n"]:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        for line in filter(None, lines):
            cells = line.decode("utf-8").split(",", 16 if at is None else at + 1)
            if at is None:
                at = cells.index(source)
                yield f"{new},".encode() + line + b"\n"
            elif found := re.search(pattern, cells[at]):
                yield f"{found[0]},".encode() + line + b"\n"
            else:
                raise DataError(f"'{cells[at]}' in column {source} has no part that names the {new}.")
