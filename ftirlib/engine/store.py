"""Results that can be trusted: each with a manifest, written whole or not at all, in a folder or an object store.

An artefact is a set of files with a ``manifest.json`` that states the key it was made under, what went into the key
(settings, inputs, code, package versions) and a checksum of every file.

In a folder, an artefact is built under another name, flushed, and renamed when complete. An object store has no rename,
but an object appears whole or not at all: there, the files of an artefact lie under its name and key, and its manifest,
which names the key, is written last. It makes the artefact current, and no manifest names what a killed writer left.
Each machine works on copies in a folder of its own, the mirror, checked against the manifest when they are fetched.
"""

from __future__ import annotations

import errno
import getpass
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ftirlib.engine.places import file_system, is_remote, resolved
from ftirlib.errors import StoreError
from ftirlib.files import file_hash, files_below, fingerprint, read_json, remove, write_json, write_text, written

MANIFEST = "manifest.json"
KEY = 16  # characters of an artefact's key in the name of its folder in an object store


def code_fingerprint(folders: Sequence[str | os.PathLike], packages: Sequence[str] = ()) -> dict:
    """Digest of the Python source in folders, and the versions of packages that are installed."""
    digest = hashlib.sha256()
    for folder in map(Path, folders):
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{folder.name}/{path.relative_to(folder).as_posix()}".encode())
            digest.update(path.read_bytes())
    versions = {}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"code": digest.hexdigest(), "packages": versions}


def folder_fingerprint(folder: str | os.PathLike) -> str:
    """Digest of the names and content of every file under a folder, such as a Zarr store.

    At an address, the size, and tag or time, that its file system states of each object stand for the content.
    """
    if is_remote(folder):
        fs, base = file_system(str(folder))
        stated = ("size", "ETag", "mtime", "created")
        objects = fs.find(base, detail=True)
        return fingerprint({p.removeprefix(f"{base}/"): {k: o.get(k) for k in stated} for p, o in objects.items()})
    return fingerprint({str(path.relative_to(folder)): file_hash(path) for path in files_below(folder)})


def mirror_folder(address: str) -> Path:
    """This machine's folder for copies of what lies at an address; FTIRLIB_MIRROR names another place for all."""
    base = os.environ.get("FTIRLIB_MIRROR") or Path(tempfile.gettempdir()) / f"ftirlib-mirror-{getpass.getuser()}"
    return Path(base) / hashlib.sha256(address.encode()).hexdigest()[:16]


class Store:
    """The artefacts of one run, by name (``members/fold0-seed1``).

    Parameters
    ----------
    root : path or fsspec address

    Attributes
    ----------
    address : str
        Path or address of the store.
    root : Path
        Its folder on this machine; of a store at an address, the mirror.
    """

    def __init__(self, root: str | os.PathLike):
        self.remote = is_remote(root)
        self.address = resolved(root) if self.remote else str(root).removeprefix("file://")
        self.root = mirror_folder(self.address) if self.remote else Path(self.address)
        self.fs, self._base = file_system(self.address)
        self._mirror = Store(self.root) if self.remote else None
        self._checked: dict[str, str] = {}

    def path(self, name: str) -> Path:
        """Where the artefact lies on this machine, once `fetch` has brought it there."""
        return self.root / name

    def dataset(self, name: str, file: str) -> str:
        """Path or address of a Zarr store in an artefact, to be read from where it is."""
        if not self.remote:
            return str(self.path(name) / file)
        return f"{self.address}/{name}/{self._known(name)['key'][:KEY]}/{file}"

    def manifest(self, name: str) -> dict | None:
        """Manifest of an artefact, None when there is none or it is unreadable."""
        try:
            text = self.read_text(f"{name}/{MANIFEST}")
            return None if text is None else json.loads(text)
        except (OSError, ValueError):
            return None

    def _known(self, name: str) -> dict:
        manifest = self.manifest(name)
        if manifest is None:
            raise StoreError(f"there is no '{name}' at '{self.address}'; run 'ftirlib run' again to make it.")
        return manifest

    def _folder(self, name: str, key: str) -> str:
        """Where the files of an artefact lie, on the store's file system."""
        return f"{self._base}/{name}/{key[:KEY]}" if self.remote else f"{self._base}/{name}"

    def is_current(self, name: str, key: str) -> bool:
        """Whether the artefact was made under `key` and every file is as it was written.

        At an address the files' sizes are compared; their checksums are when they are fetched.
        """
        if self._checked.get(name) == key and (self.remote or self.path(name).is_dir()):  # another process may prune
            return True
        manifest = self.manifest(name)
        if manifest is None or manifest.get("key") != key:
            return False
        if self.remote:
            folder = self._folder(name, key)
            sizes = {path.removeprefix(f"{folder}/"): facts["size"] for path, facts in self._objects(folder).items()}
            if any(sizes.get(file) != facts["size"] for file, facts in manifest["files"].items()):
                return False
        elif self.damaged(name):
            return False
        self._checked[name] = key
        return True

    def damaged(self, name: str) -> list[str]:
        """Files of an artefact that are missing or differ from their checksum; each is read."""
        manifest = self.manifest(name)
        if manifest is None:
            return [MANIFEST]
        folder = self._folder(name, manifest["key"])
        return [file for file, facts in manifest["files"].items() if self._hash(f"{folder}/{file}") != facts["sha256"]]

    def _hash(self, path: str) -> str | None:
        try:
            with self.fs.open(path, "rb") as handle:
                return hashlib.file_digest(handle, "sha256").hexdigest()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def _objects(self, folder: str) -> dict[str, dict]:
        try:
            return self.fs.find(folder, detail=True)
        except FileNotFoundError:
            return {}

    def names(self) -> list[str]:
        """All artefacts of the run."""
        if self.remote:
            places = [path.removeprefix(f"{self._base}/") for path in self._objects(self._base)]
        else:
            places = [path.relative_to(self.root).as_posix() for path in self.root.rglob(MANIFEST)]
        manifests = [place for place in places if place.endswith(f"/{MANIFEST}")]
        return sorted(p.removesuffix(f"/{MANIFEST}") for p in manifests if "/." not in f"/{p}")

    def fetch(self, name: str) -> Path:
        """Folder of an artefact on this machine; a whole copy is brought first from a store at an address.

        Raises
        ------
        StoreError
            When there is no such artefact at the address, or it is torn.
        """
        if not self.remote:
            return self.path(name)
        manifest = self._known(name)
        if self._mirror.is_current(name, manifest["key"]):
            return self.path(name)
        with written(self.path(name)) as draft:
            draft.mkdir()
            for file, facts in manifest["files"].items():
                (draft / file).parent.mkdir(parents=True, exist_ok=True)
                self._download(f"{self._folder(name, manifest['key'])}/{file}", draft / file)
                if file_hash(draft / file) != facts["sha256"]:
                    raise StoreError(
                        f"'{file}' of '{name}' at '{self.address}' is not what was written; "
                        "run 'ftirlib verify' on it, then 'ftirlib run' to make it again."
                    )
            write_json(draft / MANIFEST, manifest)
        return self.path(name)

    def _download(self, source: str, target: Path) -> None:
        with self._reaching():
            try:
                self.fs.get_file(source, str(target))
            except FileNotFoundError:
                target.touch()  # its checksum differs

    def make(self, name: str, key: str, made_from: Mapping, build: Callable[[Path], None]) -> Path:
        """Return the artefact's folder on this machine; build it first unless it is there, current and whole.

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
            When the disk is full or cannot be written, or the address cannot be reached.
        """
        if self.is_current(name, key):
            return self.fetch(name)
        if self.remote:
            self._send(name, key, self._mirror.make(name, key, made_from, build))
        else:
            self._build(name, key, made_from, build)
        self._checked[name] = key
        return self.path(name)

    def _build(self, name: str, key: str, made_from: Mapping, build: Callable[[Path], None]) -> None:
        started = time.time()
        try:
            with written(self.path(name)) as draft:
                draft.mkdir()
                build(draft)
                files = {
                    path.relative_to(draft).as_posix(): {"size": path.stat().st_size, "sha256": file_hash(path)}
                    for path in files_below(draft)
                }
                manifest = {
                    "name": name,
                    "key": key,
                    "made_from": made_from,
                    "seconds": round(time.time() - started, 2),
                    "memory_mb": round(peak_memory_mb(), 1),
                    "files": files,
                }
                text = json.dumps(manifest, indent=1, sort_keys=True, default=str)
                (draft / MANIFEST).write_text(text, encoding="utf-8")
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
                raise StoreError(
                    f"cannot write '{name}' under '{self.root}': {error.strerror}; make room or choose another --out, "
                    "then run again: what was finished is kept."
                ) from error
            raise

    def _send(self, name: str, key: str, folder: Path) -> None:
        """Bring an artefact of the mirror to the address, its manifest last, and remove what was there before."""
        here = f"{self._base}/{name}/"
        with self._reaching():
            for file in read_json(folder / MANIFEST)["files"]:
                self.fs.put_file(str(folder / file), f"{self._folder(name, key)}/{file}")
            self.fs.pipe_file(f"{here}{MANIFEST}", (folder / MANIFEST).read_bytes())
            for path in self._objects(here.rstrip("/")):
                old, slash, _ = path.removeprefix(here).partition("/")
                if slash and old != key[:KEY] and len(old) == KEY and set(old) <= set("0123456789abcdef"):
                    self.fs.rm_file(path)

    def prune(self, folder: str, keep: set[str]) -> None:
        """Remove the artefacts under a folder that are not among `keep`."""
        for name in {name for name in self.names() if name.startswith(f"{folder}/")} - keep:
            if self.remote:
                with self._reaching():
                    self.fs.rm(f"{self._base}/{name}", recursive=True)
            remove(self.path(name))
            self._checked.pop(name, None)

    def read_text(self, file: str) -> str | None:
        """A small file beside the artefacts, None when there is none."""
        with self._reaching():
            try:
                return self.fs.cat_file(f"{self._base}/{file}").decode()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def write_text(self, file: str, text: str) -> None:
        """Write a small file beside the artefacts, whole or not at all."""
        if self.remote:
            with self._reaching():
                self.fs.pipe_file(f"{self._base}/{file}", text.encode())
            return
        try:
            write_text(self.root / file, text)
        except OSError as error:
            raise StoreError(
                f"cannot write '{file}' of '{self.root}' ({error.strerror}); make room and run again: what was "
                "finished is kept."
            ) from error

    def check_writable(self) -> None:
        """Raise StoreError when nothing can be written there."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the results folder '{self.root}': {error.strerror}.") from None
        if self.remote:
            self.write_text(".writable", "")
        elif not os.access(self.root, os.W_OK):
            raise StoreError(f"the results folder '{self.root}' cannot be written; choose another --out.")

    def work(self, name: str, key: str) -> Path:
        """Folder of this machine for checkpoints of a long task, found again by a task of the same key after a kill."""
        folder = self._work(name, key)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def done(self, name: str, key: str) -> None:
        """Remove the checkpoints of a finished task."""
        shutil.rmtree(self._work(name, key), ignore_errors=True)

    def _work(self, name: str, key: str) -> Path:
        return self.root / ".work" / f"{name.replace('/', '-')}-{key[:16]}"

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Put the errors of an address in a sentence: each protocol's package has its own."""
        try:
            yield
        except Exception as error:
            if not self.remote or isinstance(error, StoreError | UnicodeDecodeError):
                raise
            raise StoreError(
                f"'{self.address}' cannot be reached or written ({type(error).__name__}: {error}); "
                "check the address and its keys, then run again: what was finished is kept."
            ) from error


def peak_memory_mb(*, children: bool = False) -> float:
    """Most memory this process has used since it began, MB (nan where the system cannot tell).

    Parameters
    ----------
    children : bool
        The most of it and of each of its finished children.
    """
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    processes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) if children else (resource.RUSAGE_SELF,)
    return max(resource.getrusage(which).ru_maxrss for which in processes) * unit / 1e6
