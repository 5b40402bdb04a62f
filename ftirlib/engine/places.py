"""Where data lie: a path of this machine, or the address of an object store or another machine, ``s3://bucket/name``.

Addresses are fsspec's (https://filesystem-spec.readthedocs.io); keys and endpoints come from its own configuration
files and environment variables, never from a run's settings, which are written beside the results.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ftirlib.errors import DataError
from ftirlib.files import files_below


def is_remote(address: str | os.PathLike) -> bool:
    """Whether `address` names a place that is reached through fsspec.

    Examples
    --------
    >>> is_remote("s3://bucket/colon.zarr"), is_remote("data/colon.zarr"), is_remote("file:///data/colon.zarr")
    (True, False, False)
    """
    return "://" in str(address) and not str(address).startswith("file://")


def resolved(address: str | os.PathLike) -> str:
    """An absolute path of this machine, or a remote address without a slash at its end."""
    if is_remote(address):
        return str(address).rstrip("/")
    return str(Path(str(address).removeprefix("file://")).resolve())


def place_name(address: str | os.PathLike) -> str:
    """The last part of an address, without ``.zarr``.

    Examples
    --------
    >>> place_name("s3://bucket/colon.zarr")
    'colon'
    """
    return str(address).rstrip("/").rsplit("/", 1)[-1].removesuffix(".zarr")


def file_system(address: str | os.PathLike):
    """The fsspec file system of a path or a remote address, and the path on it.

    Returns
    -------
    (fsspec.AbstractFileSystem, str)

    Raises
    ------
    DataError
        When the protocol is unknown, or its package is not installed.
    """
    import fsspec

    if not is_remote(address):
        return fsspec.filesystem("file"), Path(str(address).removeprefix("file://")).absolute().as_posix()
    try:
        # another process may have changed what lies there: no listing is kept
        fs, path = fsspec.core.url_to_fs(str(address), use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise DataError(
            f"'{address}' cannot be reached ({error}); for s3:// install the package s3fs (pip install 'ftirlib[s3]')."
        ) from None
    return fs, path.rstrip("/")


def send_store(folder: Path, address: str) -> None:
    """Bring a Zarr store to a remote address, in the place of one that is there; whole or not to be opened.

    Its ``zarr.json``, without which it is none, is removed first and sent last.

    Raises
    ------
    DataError
        When the address cannot be written.
    """
    fs, base = file_system(address)
    root = "zarr.json"
    try:
        if fs.exists(f"{base}/{root}"):
            fs.rm_file(f"{base}/{root}")
            fs.rm(base, recursive=True)
        files = [path.relative_to(folder).as_posix() for path in files_below(folder)]
        for file in [*(f for f in files if f != root), root]:
            fs.put_file(str(Path(folder) / file), f"{base}/{file}")
    except Exception as error:  # each protocol's package has its own
        raise DataError(f"'{address}' cannot be written ({type(error).__name__}: {error}).") from error


def cache_folder() -> Path:
    """The user's folder for fetched data, which may not exist yet; FTIRLIB_CACHE names another.

    It follows each system's custom (XDG Base Directory Specification on Linux).
    """
    if named := os.environ.get("FTIRLIB_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ftirlib"
