"""A data set written over several attempts: what a killed import had finished is kept and continued.

Beside the spectra in ``<path>.partial`` lies a small JSON that says how many of them are complete, and of what.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError
from ftirlib.files import fingerprint, write_text
from ftirlib.spectra.model import SPECTRUM_COORDS
from ftirlib.spectra.writer import SpectraWriter

PROGRESS = "import.json"


def import_fingerprint(paths, settings: Mapping) -> str:
    """A digest of files (path, size, time of change) and settings: equal when an import would be the same."""
    stats = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in map(Path, paths)]
    return fingerprint([stats, settings])


class ResumingWriter(SpectraWriter):
    """`SpectraWriter` that continues where an earlier attempt of the same import was interrupted.

    Parameters
    ----------
    path, wavenumber, attrs, overwrite
        See `SpectraWriter`.
    of : str
        `import_fingerprint` of what is imported; what an earlier attempt at something else left behind is removed.

    Attributes
    ----------
    file : int
        Sources that are complete, to be passed over.
    skip : int
        Spectra of the source after these that are complete too.
    state : dict
        Whatever the caller wants kept with the progress, in JSON's types.
    """

    def __init__(self, path, wavenumber, attrs: Mapping, *, of: str, overwrite: bool = False):
        super().__init__(path, wavenumber, attrs, overwrite=overwrite)
        self._of = of
        self.file, self.skip, self.state = 0, 0, {}

    def __enter__(self):
        import zarr

        found = self._earlier()
        if found is None:
            if self._partial.exists() and not self._is_ours():
                raise DataError(f"'{self._partial}' is in the way and no unfinished import; move it elsewhere.")
            super().__enter__()
        else:
            self._root = zarr.open_group(self._partial, mode="r+")
            self._arrays = {name: self._root[name] for name in ("absorbance", *SPECTRUM_COORDS)}
            for array in self._arrays.values():
                array.resize((found["spectra"], *array.shape[1:]))
            self._written = found["spectra"]
            self.file, self.skip, self.state = found["file"], found["skip"], found["state"]
        self._starts = {self.file: self._written - self.skip}  # of each source: its first spectrum in the store
        return self

    def begin(self, file: int) -> None:
        """Say that the spectra to come are of source number `file`."""
        self._starts.setdefault(file, self._written)
        if self._written and not self._rows:
            self._note()

    def recode(self, name: str, codes: np.ndarray) -> None:
        """Replace each value k of a coordinate, written or not, by ``codes[k]``; from here on nothing is continued."""
        (self._partial / PROGRESS).unlink(missing_ok=True)  # a second attempt would replace what is replaced
        if name in self._arrays:
            array = self._arrays[name]
            array[:] = codes[array[:]].astype(array.dtype)
        for piece in self._pending:
            piece[name] = codes[piece[name]].astype(piece[name].dtype)

    def _earlier(self) -> dict | None:
        """Progress of an interrupted attempt at the same import."""
        try:
            found = json.loads((self._partial / PROGRESS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if found.get("of") == self._of else None

    def _is_ours(self) -> bool:
        return (self._partial / "zarr.json").is_file() or not any(self._partial.iterdir())

    def _flush(self, *, final: bool) -> None:
        before = self._rows
        super()._flush(final=final)
        if not final and self._rows < before:
            self._note()

    def _note(self) -> None:
        """Say on disk how far the spectra on disk are complete."""
        complete = self._written - self._rows
        file = max(k for k, start in self._starts.items() if start <= complete)
        self._starts = {k: start for k, start in self._starts.items() if k >= file}
        progress = {
            "of": self._of,
            "spectra": complete,
            "file": file,
            "skip": complete - self._starts[file],
            "state": self.state,
        }
        # Written anew and renamed, after the spectra it speaks of: whenever the power fails, it tells the truth.
        write_text(self._partial / PROGRESS, json.dumps(progress))  # notes keep their order

    def __exit__(self, kind, error, trace):
        if kind is not None:
            if not (self._partial / PROGRESS).is_file():
                shutil.rmtree(self._partial, ignore_errors=True)
            return
        (self._partial / PROGRESS).unlink(missing_ok=True)
        super().__exit__(kind, error, trace)
