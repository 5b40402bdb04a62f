"""Public sets by name: a file out of a published Python package, fetched by pip, checked by hash, never imported.

pip in hash-checking mode refuses an archive before anything in it is looked at
(https://pip.pypa.io/en/stable/topics/secure-installs/).
"""

from __future__ import annotations

import hashlib
import importlib.util
import lzma
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import xarray as xr

from ftirlib.engine.places import cache_folder
from ftirlib.errors import DataError
from ftirlib.files import file_hash, read_json, write_json, written
from ftirlib.sources.catalogue import PackageSet, find_set
from ftirlib.spectra.importing.readers import import_spectra

TIMEOUT = 3600  # seconds for a download


def get_public_set(
    name: str, *, folder: str | os.PathLike | None = None, archive: str | os.PathLike | None = None
) -> Path:
    """The file of a public set, fetched when it is not in the cache, and checked by its hash.

    Parameters
    ----------
    name : str
        Such as ``tissue-components``; `ftirlib get --list` shows all.
    folder : path, optional
        Cache to use; left out: the user's, or that of the environment variable FTIRLIB_CACHE.
    archive : path, optional
        The package's archive, fetched by other means.

    Returns
    -------
    Path
        Beside it lies ``<name>.source.json``: package, licence, hashes.

    Raises
    ------
    DataError
        No such set, no network, or a file that is not what the catalogue says.
    """
    return get_package_set(_package_set(name), folder=folder, archive=archive)


def import_public_set(
    name: str,
    out: str | os.PathLike | None = None,
    *,
    folder: str | os.PathLike | None = None,
    archive: str | os.PathLike | None = None,
    **options,
) -> xr.Dataset:
    """A public set as a data set: fetched, and imported with the options that fit it.

    Parameters
    ----------
    name, folder, archive
        See `get_public_set`.
    out, **options
        See `import_spectra`; an option given here takes the place of the catalogue's.

    Returns
    -------
    xarray.Dataset
        Its attributes ``licence`` and ``provenance`` are the catalogue's.

    Raises
    ------
    DataError, SettingsError
    """
    path = get_public_set(name, folder=folder, archive=archive)
    return import_spectra(path, out, **import_options(name) | options)


def import_options(name: str) -> dict[str, object]:
    """The options of `import_spectra` that fit a public set, its licence and provenance among them."""
    wanted = _package_set(name)
    stated = {"licence": wanted.licence, "provenance": f"{wanted.member} of {wanted.requirement}"}
    return stated | dict(wanted.options)


def _package_set(name: str) -> PackageSet:
    wanted = find_set(name)
    if not isinstance(wanted, PackageSet):
        raise DataError(
            f"'{name}' is a record of many cores: fetch some with 'ftirlib get {name} --cores' and import their folder."
        )
    return wanted


def get_package_set(
    wanted: PackageSet, *, folder: str | os.PathLike | None = None, archive: str | os.PathLike | None = None
) -> Path:
    """The file of a set of the catalogue; parameters, result and errors are those of `get_public_set`."""
    home = (cache_folder() if folder is None else Path(folder)) / wanted.requirement.replace("==", "-")
    path, note = home / wanted.file, home / f"{wanted.file}.source.json"
    if path.is_file() and _noted(note) == file_hash(path):
        return path
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".fetch-") as scratch:
        source = _download(wanted, Path(scratch)) if archive is None else Path(archive)
        if not source.is_file():
            raise DataError(f"there is no archive at '{source}'; give the file of {wanted.requirement}.")
        if (found := file_hash(source)) != wanted.archive_sha256:
            raise DataError(
                f"'{source.name}' has SHA-256 {found[:12]}..., not {wanted.archive_sha256[:12]}... of "
                f"{wanted.requirement} ({wanted.kind}); nothing of it is used: fetch it again."
            )
        content = _content(wanted, source)
        with written(path) as draft:
            draft.write_bytes(content if wanted.group is None else _with_column(content, *wanted.group))
    record = {
        "name": wanted.name,
        "package": wanted.requirement,
        "archive_sha256": wanted.archive_sha256,
        "member": wanted.member,
        "member_sha256": wanted.sha256,
        "licence": wanted.licence,
        "sha256": file_hash(path),
    }
    write_json(note, record)
    return path


def _noted(note: Path) -> str | None:
    """Hash that was noted of the file in the cache; None for a torn note."""
    try:
        return read_json(note)["sha256"]
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
        lines = done.stderr.splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines
        raise DataError(
            f"pip could not fetch {wanted.requirement} ({wanted.kind}): {' '.join(errors[-2:]) or 'no reason given'}; "
            "check the network and pip's index (pip config list), or name a file fetched by hand with --archive."
        )
    return files[0]


def _content(wanted: PackageSet, archive: Path) -> bytes:
    """The set's file out of an archive, unpacked, and no more of it than the catalogue says there is."""
    try:
        with _member(archive, wanted.member) as packed:
            is_packed = wanted.member.endswith(".xz") and not wanted.file.endswith(".xz")
            with lzma.open(packed) if is_packed else packed as stream:
                content = stream.read(wanted.size + 1)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError) as error:
        raise DataError(f"'{archive.name}' is damaged ({error}); fetch it again.") from None
    if len(content) > wanted.size:
        raise DataError(f"'{wanted.member}' is larger than the {wanted.size} bytes of the catalogue.")
    if hashlib.sha256(content).hexdigest() != wanted.sha256:
        raise DataError(f"'{wanted.member}' in '{archive.name}' is not the file that the catalogue names.")
    return content


@contextmanager
def _member(archive: Path, name: str) -> Iterator[BinaryIO]:
    """A regular file inside a tar or zip archive, as a stream; its name is only compared, never written to."""
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


def _with_column(table: bytes, new: str, source: str, pattern: str) -> bytes:
    """A plain comma-separated table with one more column in front: the part of `source` that the pattern finds."""
    header, *lines = filter(None, table.split(b"\n"))
    at = header.decode("utf-8").split(",").index(source)
    rows = [f"{new},".encode() + header]
    for line in lines:
        cell = line.decode("utf-8").split(",", at + 1)[at]
        match = re.search(pattern, cell)
        if match is None:
            raise DataError(f"'{cell}' in column {source} has no part that names the {new}.")
        rows.append(f"{match[0]},".encode() + line)
    return b"\n".join([*rows, b""])
