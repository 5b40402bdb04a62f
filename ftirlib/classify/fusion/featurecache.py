"""Features on disk, found by the content of the spectrum they belong to.

One folder a recipe (what computes the features), in it NumPy files of records (key, features) that are written whole,
never changed, and never unpickled.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ftirlib.classify.weights import write_whole

ROWS = 1024  # spectra held back before a file is written
KEY_BYTES = 16


class FeatureCache:
    """Features by the 16-byte key of their spectrum.

    Parameters
    ----------
    folder : path
        Shared by any number of recipes and processes; files of others that appear later are seen by the next cache.
    recipe : str
        Hash of everything else that the features depend on.
    """

    def __init__(self, folder, recipe: str):
        self._folder = Path(folder) / recipe
        self._where: dict[bytes, tuple[np.ndarray, int]] = {}
        self._waiting: dict[bytes, np.ndarray] = {}
        for file in sorted(self._folder.glob("*.npy")):
            if (records := _read(file)) is not None:
                self._where |= {key.tobytes(): (records, k) for k, key in enumerate(records["key"])}

    def __contains__(self, key: bytes) -> bool:
        return key in self._where or key in self._waiting

    def get(self, keys: Sequence[bytes]) -> np.ndarray:
        """Features (n, n_features) float32 of keys that are known."""
        return np.stack([self._waiting[k] if k in self._waiting else self._from_disk(k) for k in keys])

    def _from_disk(self, key):
        records, k = self._where[key]
        return records["features"][k]

    def add(self, keys: Sequence[bytes], features: np.ndarray) -> None:
        """Keep features (n, n_features); they reach the disk in files of about a thousand."""
        self._waiting |= dict(zip(keys, features))
        if len(self._waiting) >= ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        features = np.stack(list(self._waiting.values())).astype(np.float32)
        kind = np.dtype([("key", f"V{KEY_BYTES}"), ("features", np.float32, features.shape[1:])])
        records = np.empty(len(features), kind)
        records["key"] = np.frombuffer(b"".join(self._waiting), f"V{KEY_BYTES}")
        records["features"] = features
        content = io.BytesIO()
        np.save(content, records, allow_pickle=False)
        # the name is the content's own hash: a file that does not match it is torn
        file = self._folder / f"{hashlib.sha256(content.getvalue()).hexdigest()}.npy"
        write_whole(file, content.getvalue())
        records = _mapped(file)
        self._where |= {key: (records, k) for k, key in enumerate(self._waiting)}
        self._waiting = {}


def _read(file: Path) -> np.ndarray | None:
    """Records of a file; None where it is not what its name says, as then it is computed again."""
    with file.open("rb") as stream:
        whole = hashlib.file_digest(stream, "sha256").hexdigest() == file.stem
    return _mapped(file) if whole else None


def _mapped(file: Path) -> np.ndarray:
    """Records left on disk until they are asked for: there may be more of them than memory holds."""
    return np.load(file, mmap_mode="r", allow_pickle=False)
