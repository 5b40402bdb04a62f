"""Which files an import reads: one, several, a folder or a pattern; and which it leaves out, with the reason.

Patterns as in Python's glob; files that belong to another (the data of a header, the tiles of a mosaic) come with it.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.registry import FORMATS, READ, Format, recognise


@dataclass(frozen=True)
class Found:
    """Files to read with their formats, the folder they are named relative to, and (name, reason) of others."""

    files: list[tuple[Path, Format]]
    folder: Path
    skipped: list[tuple[str, str]]

    def name(self, path: Path) -> str:
        """The path relative to the folder, with '/'."""
        return path.resolve().relative_to(self.folder.resolve()).as_posix()


def find_files(source, *leave_out) -> Found:
    """The files to read.

    Parameters
    ----------
    source : path, pattern, or sequence of paths
        In folders and patterns, files of no known format are left out and reported; a single file is refused.
    *leave_out : path or None
        Files that are not spectra, such as the table of labels.

    Raises
    ------
    DataError
        When there is nothing to read.
    """
    wanted_by_name = False
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            if (path / "zarr.json").is_file():
                raise DataError(f"'{path}' is a data set already; open it with open_spectra.")
            folder, paths = path, _walk(path)
        elif path.exists():
            folder, paths, wanted_by_name = path.parent, [path], True
        elif glob.has_magic(str(source)):
            paths = sorted(Path(p) for p in glob.glob(str(source), recursive=True) if os.path.isfile(p))
            if not paths:
                raise DataError(f"no file fits the pattern '{source}'; check it.")
            folder = _common_folder(paths)
        else:
            raise DataError(f"there is nothing at '{path}'; check the path.")
    else:
        paths, wanted_by_name = [Path(p) for p in source], True
        if not paths:
            raise DataError("no files were given to import.")
        if missing := [p for p in paths if not p.is_file()]:
            raise DataError(f"there is no file at '{missing[0]}'; check the path.")
        folder = _common_folder(paths)
    others = {Path(p).resolve() for p in leave_out if p is not None}
    paths = [p for p in paths if p.resolve() not in others]
    recognised: dict[Path, Format] = {}
    skipped = []
    for path in paths:
        try:
            start, form = recognise(path)
        except DataError as error:
            if wanted_by_name:
                raise
            skipped.append((path, str(error).partition("; read are ")[0]))
            continue
        if start == path or wanted_by_name or start not in paths:
            recognised.setdefault(start, form)
    owners = {
        part.resolve(): path
        for form in FORMATS
        for path, own in recognised.items()
        if own is form
        for part in form.companions(path)
    }
    # Where two index files claim each other (an Agilent image and an ENVI header of it), the first format has it.
    rank = {form: k for k, form in enumerate(FORMATS)}
    files = []
    for path, form in sorted(recognised.items()):
        owner = owners.get(path.resolve())
        if owner is not None and owner != path and rank[recognised[owner]] < rank[form]:
            skipped.append((path, f"it belongs to '{owner.name}', which is read."))
        else:
            files.append((path, form))
    skipped = [(path, why) for path, why in skipped if path.resolve() not in owners or path in recognised]
    found = Found(files, folder, [])
    found.skipped.extend((found.name(path), why) for path, why in sorted(skipped))
    if not files:
        raise DataError(
            f"the folder '{folder}' holds no file of a format that is read: {READ}; "
            f"it holds {len(skipped)} other files."
        )
    return found


def _walk(folder: Path) -> list[Path]:
    """Files under a folder, without hidden ones, and not those of Zarr stores."""
    paths = []
    for here, below, names in os.walk(folder):
        below[:] = [b for b in below if not b.startswith(".") and not (Path(here, b) / "zarr.json").is_file()]
        paths += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(paths)


def _common_folder(paths: list[Path]) -> Path:
    return Path(os.path.commonpath([p.resolve().parent for p in paths]))
