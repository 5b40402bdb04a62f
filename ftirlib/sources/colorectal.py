"""The public colorectal cohort: which cores there are, and the spectra of one core.

Borkovits et al. 2025, doi:10.5281/zenodo.17790337: tissue micro-arrays of 130 patients, one class a core.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ftirlib.errors import DataError

DOI = "10.5281/zenodo.17790337"
CLASSES = ("NC", "CRC", "CRLM")  # in order of severity; the table has a few others, such as simple liver
POSITIVE = ("CRC", "CRLM")
PITCH_UM = 25.0
COLUMNS = ("cores", "cancer", "patient", "has_MIR")
GEOMETRY = ("n_x", "n_y", "n_z", "x_delta", "y_delta", "x_init", "y_init", "z_start", "z_end", "z_delta")
HEADER_LIMIT = 1 << 20  # bytes; the longest header known has 6 kB
OFF_GRID = 0.01  # of a pixel
LINES = 1024  # of a text file read at a time: 7 MB of float64 at 817 columns


@dataclass(frozen=True)
class Core:
    """A core of an array: what the table says of it and where its spectra lie."""

    array: int
    position: str
    label: str
    patient: str
    spectra: Path

    @property
    def name(self) -> str:
        """Such as TMA1_B3."""
        return f"TMA{self.array}_{self.position}"

    @property
    def metadata(self) -> Path:
        """The instrument's own description, which may be absent."""
        return self.spectra.parents[1] / "metadata" / f"{self.spectra.stem}.json"

    def files(self) -> list[tuple[str, int, int]]:
        """Name, size and time of change of its files."""
        stats = [(path.name, path.stat()) for path in (self.spectra, self.metadata) if path.is_file()]
        return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def is_colorectal(folder: str | os.PathLike) -> bool:
    """Whether a folder has the cohort's layout: some ``TMA<n>/TMA<n>_core_metadata.csv`` in it."""
    return bool(_arrays(Path(folder)))


def _arrays(folder: Path) -> dict[int, Path]:
    """Tables of the arrays by the array's number."""
    found = {}
    if folder.is_dir():
        for path in folder.iterdir():
            if match := re.fullmatch(r"TMA(\d+)", path.name):
                table = path / f"{path.name}_core_metadata.csv"
                if table.is_file():
                    found[int(match[1])] = table
    return dict(sorted(found.items()))


def list_cores(
    folder: str | os.PathLike,
    *,
    arrays: Sequence[int] = (),
    cores: Sequence[str] = (),
    classes: Sequence[str] = CLASSES,
) -> tuple[list[Core], list[str]]:
    """The cores whose spectra lie in a folder of the cohort's layout.

    Parameters
    ----------
    folder : path
        With ``TMA1``, ``TMA2``... in it; some may be absent.
    arrays : sequence of int
        Arrays to keep; none: all.
    cores : sequence of str
        Positions (``B3``) or full names (``TMA1_B3``) to keep; none: all.
    classes : sequence of str
        Classes to keep, in order of severity.

    Returns
    -------
    list of Core
        By array and position. A patient's id is written with "/" in all arrays, since one patient may lie in two.
    list of str
        What was left out and which spellings of a patient's id were taken for one.

    Raises
    ------
    DataError
        No such layout, a choice that matches nothing, a table or folder that contradicts itself.
    """
    folder = Path(folder)
    tables = _arrays(folder)
    if not tables:
        raise DataError(
            f"'{folder}' holds no TMA<n>/TMA<n>_core_metadata.csv; give the folder that has the arrays in it."
        )
    if absent := sorted(set(arrays) - set(tables)):
        raise DataError(f"there is no array {absent[0]} in '{folder}'; there are {list(tables)}.")
    chosen, notes, spellings, wanted = [], [], {}, {name.upper() for name in cores}
    left_out: dict[str, list[str]] = {}
    for array in arrays or tables:
        files = _spectra_files(tables[array].parent, array)
        rows = _read_table(tables[array])
        if nameless := sorted(set(files) - {row["cores"] for row in rows}):
            raise DataError(
                f"'{files[nameless[0]].name}' has no line in '{tables[array].name}' ({len(nameless)} such file(s)); "
                "add its class and patient there, or move the file away."
            )
        for row in rows:
            position, patient = row["cores"], normalise_patient(row["patient"])
            name = f"TMA{array}_{position}"
            if wanted and not wanted & {position, name.upper()}:
                continue
            if row["cancer"] not in classes:
                left_out.setdefault(f"class '{row['cancer']}'", []).append(name)
            elif row["has_MIR"].lower() != "yes":
                left_out.setdefault("no infrared image, as the table says", []).append(name)
            elif position not in files:
                left_out.setdefault("no file of spectra here", []).append(name)
            elif not patient:
                raise DataError(f"'{tables[array].name}' names no patient for core {position}; fill it in.")
            else:
                spellings.setdefault(patient, {}).setdefault(row["patient"], []).append(name)
                chosen.append(Core(array, position, row["cancer"], patient, files[position]))
    notes += [f"left out, {why}: {_few(names)}" for why, names in left_out.items()]
    if not chosen:
        raise DataError(f"no core in '{folder}' fits the choice ({'; '.join(notes) or 'no such core'}).")
    for patient, written in sorted(spellings.items()):
        if len(written) > 1:
            spelt = " and ".join(f"'{raw}' ({_few(names)})" for raw, names in sorted(written.items()))
            notes.append(f"patient {spelt} is taken for one, {patient}")
        if len(over := sorted({core.array for core in chosen if core.patient == patient})) > 1:
            notes.append(f"patient {patient} lies in arrays {', '.join(map(str, over))} and stays one group")
    return sorted(chosen, key=lambda core: (core.array, core.position)), notes


def normalise_patient(text: str) -> str:
    """A patient's id with "/" for any separator and no spaces.

    Examples
    --------
    >>> normalise_patient(" 2941_00")
    '2941/00'
    """
    return re.sub(r"[_/\\]", "/", re.sub(r"\s", "", text))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _spectra_files(folder: Path, array: int) -> dict[str, Path]:
    """Files of spectra of an array by the core's position."""
    found: dict[str, Path] = {}
    for path in sorted((folder / "MIR" / "spectra").glob("*.txt")):
        match = re.match(r"tma(\d+)_([a-z]\d+)_", path.name, flags=re.IGNORECASE)
        if match is None or int(match[1]) != array:
            raise DataError(f"'{path}' is not named tma{array}_<core>_*.txt; correct its name or move it away.")
        position = match[2].upper()
        if position in found:
            raise DataError(f"core TMA{array}_{position} has two files, '{found[position].name}' and '{path.name}'.")
        found[position] = path
    return found


def _read_table(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is not text in UTF-8; save it again as CSV in UTF-8.") from None
    if not rows or (missing := [name for name in COLUMNS if name not in rows[0]]):
        raise DataError(f"'{path}' has no {'lines' if not rows else f'column {missing[0]}'}; it needs {COLUMNS}.")
    rows = [{name: (row[name] or "").strip() for name in COLUMNS} for row in rows]
    seen = set()
    for row in rows:
        row["cores"] = row["cores"].upper()
        if not row["cores"] or row["cores"] in seen:
            raise DataError(f"'{path}' has core '{row['cores']}' twice or without a name; keep one line for each core.")
        seen.add(row["cores"])
    return rows


def read_metadata(path: str | os.PathLike) -> dict[str, float]:
    """The geometry in an instrument's JSON; its other keys hold junk and its texts may end in NUL characters.

    Returns
    -------
    dict
        Those of `GEOMETRY` that are numbers.
    """
    path = Path(path)
    try:
        text = path.read_bytes().rstrip(b"\0 \r\n").decode("utf-8", "replace")
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        raise DataError(f"'{path}' cannot be read as JSON ({error}); copy it again or remove it.") from None
    if not isinstance(found, Mapping):
        raise DataError(f"'{path}' holds no names and values; copy it again or remove it.")
    numbers = {}
    for key in GEOMETRY:
        try:
            numbers[key] = float(str(found[key]).strip("\0 "))
        except (KeyError, ValueError):
            continue
    return numbers


def read_axis(path: str | os.PathLike) -> np.ndarray:
    """Wavenumbers of a file of spectra, (n_wavenumbers,) cm-1 in its own order, from its header alone."""
    with open(path, "rb") as file:
        return _axis(file.readline(HEADER_LIMIT), Path(path))


def _axis(line: bytes, path: Path) -> np.ndarray:
    cells = [cell.strip().strip('"') for cell in line.decode("ascii", "replace").split(",")]
    if not line.endswith(b"\n") or len(cells) < 5 or cells[0] or [c.upper() for c in cells[1:3]] != ["X", "Y"]:
        raise DataError(
            f"'{path}' does not begin with a line of '', X, Y and wavenumbers but with {line[:40]!r}; "
            "it is no file of this cohort, or a torn one."
        )
    try:
        axis = np.array([float(cell) for cell in cells[3:]])
    except ValueError as error:
        raise DataError(f"the header of '{path}' holds a wavenumber that is no number ({error}).") from None
    steps = np.diff(axis)
    if not np.isfinite(axis).all() or not (np.all(steps < 0) or np.all(steps > 0)):
        raise DataError(f"the wavenumbers in the header of '{path}' are not in order; copy the file again.")
    return axis


@dataclass(frozen=True)
class CoreSpectra:
    """Spectra of a core as its file holds them: (n, n_wavenumbers) float32 per cent, and each one's pixel."""

    wavenumber: np.ndarray
    percent: np.ndarray
    row: np.ndarray
    col: np.ndarray


def read_numbers(file: BinaryIO, n_columns: int, *, name: str = "the text") -> np.ndarray:
    """Lines of comma-separated numbers as an array.

    Parameters
    ----------
    file : binary file
        Read from where it stands to its end; every line `n_columns` numbers, no header, no empty cells.
    n_columns : int
    name : str
        Of the source, for the errors.

    Returns
    -------
    (n_lines, n_columns) float32 array
        Each the float32 nearest to the float64 nearest to the text.

    Raises
    ------
    DataError
        Naming the line and the cell that is no number, or the line that is too short or too long.

    Examples
    --------
    >>> import io
    >>> read_numbers(io.BytesIO(b"1,2.5\\n-3,4e-1\\n"), 2)
    array([[ 1. ,  2.5],
           [-3. ,  0.4]], dtype=float32)
    """
    import pandas as pd

    start = file.tell()
    try:
        parts = pd.read_csv(
            file,
            header=None,
            dtype=np.float64,
            chunksize=LINES,
            na_filter=False,
            skip_blank_lines=False,
            lineterminator="\n",
            quoting=csv.QUOTE_NONE,
            encoding="latin-1",
        )
        numbers = _stacked(part.to_numpy() for part in parts)
        if numbers.shape[1] == n_columns:
            return numbers
    except ValueError:  # which does not say where
        pass
    file.seek(start)
    return _read_lines(file, n_columns, name)


def _stacked(parts: Iterable[np.ndarray]) -> np.ndarray:
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused as such
        return np.concatenate([np.asarray(part, np.float64).astype(np.float32) for part in parts])


def _read_lines(file: BinaryIO, n_columns: int, name: str) -> np.ndarray:
    """The numbers as Python reads them, a line at a time: slowly, with errors that name the cell."""
    lines = [np.empty((0, n_columns))]
    for k, line in enumerate(file, 1):
        cells = line.removesuffix(b"\n").split(b",")
        values = np.empty((1, n_columns))
        for column, cell in enumerate(cells[:n_columns]):
            try:
                values[0, column] = float(cell.replace(b"_", b"?"))  # Python groups digits by it, a table does not
            except ValueError:
                cell = cell.strip()
                shown = repr(cell[:20].decode("ascii", "replace")) if cell else "empty"
                raise DataError(
                    f"{name}: cell {column + 1} of line {k} of the numbers is {shown}, no number."
                ) from None
        if len(cells) != n_columns:
            raise DataError(
                f"{name}: line {k} of the numbers has {'more' if len(cells) > n_columns else 'fewer'} than "
                f"{n_columns} cells; the file is torn: copy it again."
            )
        lines.append(values)
    return _stacked(lines)


def read_spectra(path: str | os.PathLike) -> CoreSpectra:
    """Read the text file of one core.

    Parameters
    ----------
    path : path
        Comma-separated: row number, X and Y in um, then one value in per cent for each wavenumber.

    Returns
    -------
    CoreSpectra
        Row 0 has the greatest Y and column 0 the least X, as in the file.

    Raises
    ------
    DataError
        A header, a number or a line that is wrong, or pixels that lie on no grid of 25 um.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no file at '{path}'; check the path.")
    with open(path, "rb") as file:
        axis = _axis(file.readline(HEADER_LIMIT), path)
        if path.stat().st_size == file.tell():
            raise DataError(f"'{path}' has a header and no spectra; copy it again.")
        numbers = read_numbers(file, axis.size + 3, name=f"'{path.name}'")
    col, row = (numbers[:, 1] - numbers[:, 1].min()) / PITCH_UM, (numbers[:, 2].max() - numbers[:, 2]) / PITCH_UM
    pixel = np.stack([row, col]).round()
    if not np.abs(pixel - [row, col]).max() <= OFF_GRID:  # NaN is off the grid too
        raise DataError(f"X and Y in '{path}' lie on no grid of {PITCH_UM:g} um; copy the file again.")
    if len(np.unique(pixel, axis=1).T) < len(numbers):
        raise DataError(f"'{path}' holds a pixel twice; copy the file again.")
    return CoreSpectra(axis, numbers[:, 3:], *pixel.astype(np.int64))


def read_core(core: Core) -> CoreSpectra:
    """Read a core's spectra and hold them against the instrument's description, where there is one.

    Raises
    ------
    DataError
        As `read_spectra`; fewer or more pixels than the description says.
    """
    spectra, stated = read_spectra(core.spectra), stated_pixels(core)
    if np.isfinite(stated) and stated != len(spectra.percent):
        raise DataError(
            f"'{core.spectra}' holds {len(spectra.percent)} spectra but its description says {stated:g}; "
            "the file is torn: copy it again."
        )
    return spectra


def stated_pixels(core: Core) -> float:
    """Number of pixels in the description of a core; NaN or infinite where it states no number."""
    geometry = read_metadata(core.metadata) if core.metadata.is_file() else {}
    return geometry.get("n_x", np.nan) * geometry.get("n_y", np.nan)
