"""Results in an object store or on another machine: the same artefacts as in a folder, at an fsspec address.

An object store has no rename, but an object appears whole or not at all. The files of an artefact lie under its
name and key; its manifest names the key and is written last. So it is the manifest that makes an artefact current,
and what a killed writer left is named by none. Each machine works on copies in a folder of its own, the mirror,
checked against the manifest when they are fetched.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from ftirlib.engine.places import file_system, is_remote, resolved
from ftirlib.engine.store import MANIFEST, Store, file_hash, write_text
from ftirlib.errors import StoreError

BLOCK = 1 << 22  # bytes read at a time when checking
KEY = 16  # characters of an artefact's key in the name of its folder


def open_store(root: str | os.PathLike) -> Store | RemoteStore:
    """The results at a path or an fsspec address."""
    return RemoteStore(str(root)) if is_remote(root) else Store(Path(root))


def mirror_folder(address: str) -> Path:
    """This machine's folder for copies of what lies at an address; FTIRLIB_MIRROR names another place for all."""
    base = os.environ.get("FTIRLIB_MIRROR") or Path(tempfile.gettempdir()) / f"ftirlib-mirror-{getpass.getuser()}"
    return Path(base) / hashlib.sha256(address.encode()).hexdigest()[:16]


class RemoteStore:
    """The artefacts of one run at an fsspec address; the interface of `ftirlib.engine.store.Store`.

    Attributes
    ----------
    address : str
    root : Path
        Of the mirror.
    """

    def __init__(self, address: str):
        self.address = resolved(address)
        self.fs, self._base = file_system(self.address)
        self._mirror = Store(mirror_folder(self.address))
        self.root = self._mirror.root
        self._checked: dict[str, str] = {}

    def path(self, name: str) -> Path:
        """Where the artefact lies in the mirror, once `fetch` has brought it there."""
        return self._mirror.path(name)

    def dataset(self, name: str, file: str) -> str:
        """Address of a Zarr store in an artefact, to be read from where it is."""
        return f"{self.address}/{name}/{self._manifest(name)['key'][:KEY]}/{file}"

    def manifest(self, name: str) -> dict | None:
        """What is known of an artefact, or None when there is none or its manifest is unreadable."""
        try:
            return json.loads(self.fs.cat_file(f"{self._base}/{name}/{MANIFEST}"))
        except (FileNotFoundError, ValueError):
            return None
        except Exception as error:  # each protocol's package has its own
            raise self._unreachable(error) from error

    def _manifest(self, name: str) -> dict:
        manifest = self.manifest(name)
        if manifest is None:
            raise StoreError(f"there is no '{name}' at '{self.address}'; run 'ftirlib run' again to make it.")
        return manifest

    def _folder(self, name: str, key: str) -> str:
        return f"{self._base}/{name}/{key[:KEY]}"

    def is_current(self, name: str, key: str) -> bool:
        """Whether the artefact was made under `key` and every file is there in its full size."""
        if self._checked.get(name) == key:
            return True
        manifest = self.manifest(name)
        if manifest is None or manifest.get("key") != key:
            return False
        folder = self._folder(name, key)
        there = {path.removeprefix(f"{folder}/"): facts["size"] for path, facts in self._found(folder).items()}
        if any(there.get(file) != facts["size"] for file, facts in manifest["files"].items()):
            return False
        self._checked[name] = key
        return True

    def _found(self, folder: str) -> dict[str, dict]:
        try:
            return self.fs.find(folder, detail=True)
        except FileNotFoundError:
            return {}

    def damaged(self, name: str) -> list[str]:
        """Files of an artefact that are missing or differ from their checksum; each is read."""
        manifest = self.manifest(name)
        if manifest is None:
            return [MANIFEST]
        folder = self._folder(name, manifest["key"])
        return [file for file, facts in manifest["files"].items() if self._hash(f"{folder}/{file}") != facts["sha256"]]

    def _hash(self, path: str) -> str | None:
        digest = hashlib.sha256()
        try:
            with self.fs.open(path, "rb") as handle:
                while block := handle.read(BLOCK):
                    digest.update(block)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def names(self) -> list[str]:
        """All artefacts of the run."""
        places = [path.removeprefix(f"{self._base}/") for path in self._found(self._base)]
        return sorted(p.removesuffix(f"/{MANIFEST}") for p in places if p.endswith(f"/{MANIFEST}") and p[0] != ".")

    def fetch(self, name: str) -> Path:
        """Folder in the mirror with a whole copy of the artefact.

        Raises
        ------
        StoreError
            When there is no such artefact, or it is torn.
        """
        manifest = self._manifest(name)
        target = self._mirror.path(name)
        if self._mirror.is_current(name, manifest["key"]):
            return target
        draft = self.root / ".building" / f"{name.replace('/', '-')}-{uuid.uuid4().hex[:8]}"
        try:
            for file, facts in manifest["files"].items():
                (draft / file).parent.mkdir(parents=True, exist_ok=True)
                self._download(f"{self._folder(name, manifest['key'])}/{file}", draft / file)
                if file_hash(draft / file) != facts["sha256"]:
                    raise StoreError(
                        f"'{file}' of '{name}' at '{self.address}' is not what was written; "
                        "run 'ftirlib verify' on it, then 'ftirlib run' to make it again."
                    )
            draft.mkdir(parents=True, exist_ok=True)
            write_text(draft / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
            self._mirror.place(draft, name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return target

    def _download(self, source: str, target: Path) -> None:
        try:
            self.fs.get_file(source, str(target))
        except FileNotFoundError:
            target.touch()  # its checksum tells
        except Exception as error:
            raise self._unreachable(error) from error

    def make(self, name: str, key: str, made_from: Mapping, build: Callable[[Path], None]) -> Path:
        """Build the artefact in the mirror unless it is current, and bring it to the address, its manifest last.

        Returns
        -------
        Path
            Its folder in the mirror.

        Raises
        ------
        StoreError
            When the address cannot be written, or the mirror's disk is full.
        """
        if self.is_current(name, key):
            return self.fetch(name)
        folder = self._mirror.make(name, key, made_from, build)
        manifest = self._mirror.manifest(name)
        try:
            for file in manifest["files"]:
                self.fs.put_file(str(folder / file), f"{self._folder(name, key)}/{file}")
            self.fs.pipe_file(f"{self._base}/{name}/{MANIFEST}", (folder / MANIFEST).read_bytes())
            self._remove_others(name, key)
        except Exception as error:
            raise self._unreachable(error) from error
        self._checked[name] = key
        return folder

    def _remove_others(self, name: str, key: str) -> None:
        """Remove what the artefact was before, which no manifest names any more."""
        here = f"{self._base}/{name}/"
        for path in self._found(here.rstrip("/")):
            folder, slash, _ = path.removeprefix(here).partition("/")
            if slash and folder != key[:KEY] and len(folder) == KEY and all(c in "0123456789abcdef" for c in folder):
                self.fs.rm_file(path)

    def prune(self, folder: str, keep: set[str]) -> None:
        """Remove the artefacts under a folder that are not among `keep`."""
        here = f"{self._base}/"
        for name in {n for n in self.names() if n.startswith(f"{folder}/")} - keep:
            self.fs.rm(here + name, recursive=True)
        self._mirror.prune(folder, keep)

    def work(self, name: str, key: str) -> Path:
        """Folder of this machine for checkpoints: a task that moves to another machine begins anew."""
        return self._mirror.work(name, key)

    def done(self, name: str, key: str) -> None:
        self._mirror.done(name, key)

    def read_text(self, file: str) -> str | None:
        """A small file beside the artefacts, None when there is none."""
        try:
            return self.fs.cat_file(f"{self._base}/{file}").decode()
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._unreachable(error) from error

    def write_text(self, file: str, text: str) -> None:
        try:
            self.fs.pipe_file(f"{self._base}/{file}", text.encode())
        except Exception as error:
            raise self._unreachable(error) from error

    def check_writable(self) -> None:
        """Raise StoreError when nothing can be written there."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.write_text(".writable", "")

    def _unreachable(self, error: Exception) -> StoreError:
        return StoreError(
            f"'{self.address}' cannot be reached or written ({type(error).__name__}: {error}); "
            "check the address and its keys, then run again: what was finished is kept."
        )
