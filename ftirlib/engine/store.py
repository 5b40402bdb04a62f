"""Results on disk that can be trusted: each with a manifest, written whole or not at all.

An artefact is a folder with a ``manifest.json`` that states the key it was made under, what went into
the key (settings, inputs, code, package versions) and a checksum of every file. The folder is built
under another name, flushed, and renamed when complete.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ftirlib.engine.memory import peak_memory_mb
from ftirlib.engine.places import file_system, is_remote
from ftirlib.errors import StoreError

MANIFEST = "manifest.json"
ROOMS = ("spectra", "sources", "classify", "explain", "report", "method", "command")
PACKAGES = {
    "spectra": ["numpy", "scipy", "xarray", "zarr", "pybaselines"],
    "sources": ["pandas"],
    "classify": ["torch", "scikit-learn", "xgboost-cpu", "xgboost", "kymatio", "imbalanced-learn"],
    "explain": ["umap-learn"],
    "report": ["pandas"],
    "method": [],
    "command": [],
}


def fingerprint(value) -> str:
    """Hash of anything JSON can say, the same for equal content in any order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def room_fingerprint(room: str) -> dict:
    """Source and package versions of a room and of all rooms above it: what its results depend on."""
    rooms = ROOMS[: ROOMS.index(room) + 1]
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for name in rooms:
        for path in sorted((package / name).rglob("*.py")):
            digest.update(str(path.relative_to(package)).encode())
            digest.update(path.read_bytes())
    versions = {}
    for name in rooms:
        for distribution in PACKAGES[name]:
            try:
                versions[distribution] = version(distribution)
            except PackageNotFoundError:
                continue
    return {"code": digest.hexdigest(), "packages": versions}


def file_hash(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def folder_fingerprint(folder: str | os.PathLike) -> str:
    """Hash of the names and content of every file under a folder, such as a Zarr store.

    Of a remote one, the content is told by what its file system states: size, and tag or time of each object.
    """
    if is_remote(folder):
        fs, base = file_system(str(folder))
        found = fs.find(base, detail=True)
        told = {path: {k: facts.get(k) for k in ("size", "ETag", "mtime", "created")} for path, facts in found.items()}
        return fingerprint({path.removeprefix(f"{base}/"): facts for path, facts in told.items()})
    files = sorted(p for p in Path(folder).rglob("*") if p.is_file())
    return fingerprint({str(p.relative_to(folder)): file_hash(p) for p in files})


class Store:
    """The artefacts of one run, by name (``members/fold0-seed1``)."""

    def __init__(self, root: Path):
        self.root = Path(root)
        self._checked: dict[str, str] = {}

    def path(self, name: str) -> Path:
        return self.root / name

    @property
    def address(self) -> str:
        return str(self.root)

    def fetch(self, name: str) -> Path:
        """Folder of an artefact; a store that is not on this machine brings a copy first."""
        return self.path(name)

    def dataset(self, name: str, file: str) -> str:
        """Path of a Zarr store in an artefact."""
        return str(self.path(name) / file)

    def manifest(self, name: str) -> dict | None:
        """What is known of an artefact, or None when there is none or its manifest is unreadable."""
        try:
            return json.loads((self.path(name) / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def is_current(self, name: str, key: str) -> bool:
        """Whether the artefact was made under `key` and every file is as it was written."""
        if self._checked.get(name) == key:
            return True
        manifest = self.manifest(name)
        if manifest is None or manifest.get("key") != key or self.damaged(name):
            return False
        self._checked[name] = key
        return True

    def damaged(self, name: str) -> list[str]:
        """Files of an artefact that are missing or differ from their checksum."""
        manifest = self.manifest(name)
        if manifest is None:
            return [MANIFEST]
        folder = self.path(name)
        wrong = []
        for file, facts in manifest["files"].items():
            path = folder / file
            if not path.is_file() or path.stat().st_size != facts["size"] or file_hash(path) != facts["sha256"]:
                wrong.append(file)
        return wrong

    def names(self) -> list[str]:
        """All artefacts of the run."""
        return sorted(
            str(p.parent.relative_to(self.root))
            for p in self.root.rglob(MANIFEST)
            if not any(part.startswith(".") for part in p.relative_to(self.root).parts)
        )

    def make(self, name: str, key: str, made_from: Mapping, build: Callable[[Path], None]) -> Path:
        """Return the artefact's folder; build it first unless it is there, current and whole.

        Parameters
        ----------
        name : str
        key : str
            Fingerprint of `made_from`.
        made_from : mapping
            What the artefact depends on, kept in the manifest.
        build : callable
            Gets an empty folder and fills it.

        Raises
        ------
        StoreError
            When the disk is full or cannot be written.
        """
        target = self.path(name)
        if self.is_current(name, key):
            return target
        temporary = self.root / ".building" / f"{name.replace('/', '-')}-{uuid.uuid4().hex[:8]}"
        started = time.time()
        try:
            temporary.mkdir(parents=True)
            build(temporary)
            files = {}
            for path in sorted(p for p in temporary.rglob("*") if p.is_file()):
                _flush(path)
                files[str(path.relative_to(temporary))] = {"size": path.stat().st_size, "sha256": file_hash(path)}
            manifest = {
                "name": name,
                "key": key,
                "made_from": made_from,
                "seconds": round(time.time() - started, 2),
                "memory_mb": round(peak_memory_mb(), 1),
                "files": files,
            }
            write_text(temporary / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True, default=str))
            self.place(temporary, name)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
                raise StoreError(
                    f"cannot write '{name}' under '{self.root}': {error.strerror}; make room or choose another --out, "
                    "then run again: what was finished is kept."
                ) from error
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._checked[name] = key
        return target

    def place(self, folder: Path, name: str) -> None:
        """Give a finished folder the artefact's name, in place of what had it.

        Two tasks may finish the same artefact, as when a worker was thought to be lost: one of them stays.
        """
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(folder, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            old = self.root / ".building" / f"old-{uuid.uuid4().hex[:8]}"
            with contextlib.suppress(FileNotFoundError):
                os.replace(target, old)  # a rename, so that no moment shows half of it
            try:
                os.replace(folder, target)
            except OSError as again:
                if again.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            shutil.rmtree(old, ignore_errors=True)

    def prune(self, folder: str, keep: set[str]) -> None:
        """Remove the artefacts under a folder that are not among `keep`."""
        for name in {n for n in self.names() if n.startswith(f"{folder}/")} - keep:
            shutil.rmtree(self.path(name), ignore_errors=True)

    def read_text(self, file: str) -> str | None:
        """A small file beside the artefacts, None when there is none."""
        try:
            return (self.root / file).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write_text(self, file: str, text: str) -> None:
        write_text(self.root / file, text)

    def check_writable(self) -> None:
        """Raise StoreError when nothing can be written there."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the results folder '{self.root}': {error.strerror}.") from None
        if not os.access(self.root, os.W_OK):
            raise StoreError(f"the results folder '{self.root}' cannot be written; choose another --out.")

    def work(self, name: str, key: str) -> Path:
        """Folder for checkpoints of a long task, found again by a task with the same key after a kill."""
        folder = self.root / ".work" / f"{name.replace('/', '-')}-{key[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def done(self, name: str, key: str) -> None:
        """Remove the checkpoints of a finished task."""
        shutil.rmtree(self.root / ".work" / f"{name.replace('/', '-')}-{key[:16]}", ignore_errors=True)


def _flush(path: Path) -> None:
    with open(path, "rb+") as handle:
        os.fsync(handle.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a small file so that it is either the old one or the new one, never half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with open(temporary, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)
