"""Tables of spectra, one a row or one as two columns of numbers, and tables of labels; CSV, TSV, DPT, TXT and Excel.

CSV: RFC 4180; comma, semicolon and tab are recognised. Excel sheets are read with openpyxl, the first sheet.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import iterparse
from zipfile import BadZipFile, ZipFile

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.arrays import as_index, both_or_none
from ftirlib.spectra.importing.formats.raw import (
    COMMON_NAMES,
    MOST_PACKED,
    RawFile,
    as_text,
    check_size,
    find_name,
    given_axis,
    listed,
    reading,
)

SPARSE = 10**4  # cells that a sheet may leave empty, whatever its size
KEYS = ("file", "core", "filename", "path")
BATCH = ("batch", "array", "plate", "slide")
ROLES = ("label", "group", "image", "batch")


def open_sheet(path: Path, *, what: str):
    """A table of text cells, (n_rows, n_columns) data frame without header, of a CSV, TSV or Excel file.

    Raises
    ------
    DataError
        When the file is damaged or not text in UTF-8.
    """
    import pandas as pd

    if path.suffix.lower() == ".xlsx":
        _check_workbook(path)
        with reading(path, "an Excel sheet", "save it again, or as CSV"):
            table = pd.read_excel(path, header=None, dtype=object, engine="openpyxl")
            return table.map(lambda cell: "" if pd.isna(cell) else str(cell).strip())
    try:
        separator = _separator(_first_line(path))
        return pd.read_csv(
            path, sep=separator, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        ).map(str.strip)
    except UnicodeDecodeError:
        raise DataError(f"{what} '{path}' is not text in UTF-8; save it again as CSV in UTF-8.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{what} '{path}' cannot be read ({error}); save it again as CSV.") from None


def _check_workbook(path: Path) -> None:
    """A packed workbook opens to no more than deflate can hold, and its sheets reach no further than they are filled.

    The reader makes a cell of every place up to the last row and column that a sheet names.
    """
    try:
        with ZipFile(path) as archive:
            for info in archive.infolist():
                check_size(path, info.file_size, MOST_PACKED * info.compress_size + 64, f"a part '{info.filename}'")
            for info in archive.infolist():
                if re.fullmatch(r"xl/worksheets/[^/]+\.xml", info.filename):
                    with reading(path, "an Excel sheet", "save it again, or as CSV"), archive.open(info) as sheet:
                        rows, columns = _extent(sheet)
                    if rows * columns > max(SPARSE, info.file_size):
                        raise DataError(
                            f"'{path.name}' has a sheet of {rows} rows and {columns} columns that is all but empty; "
                            "delete the cells far from the table, or save the table as CSV."
                        )
    except BadZipFile as error:
        raise DataError(f"'{path}' is no Excel workbook ({error}); save it again, or as CSV.") from None


def _extent(sheet) -> tuple[int, int]:
    """Last row and column that the XML of a sheet names."""
    rows = columns = 0
    for _, element in iterparse(sheet):
        kind, place = element.tag.rpartition("}")[2], element.get("r", "")
        if kind == "row":
            rows = max(rows, int(float(place or rows + 1)))
            element.clear()
        elif kind == "c" and (letters := re.match(r"[A-Z]{1,3}(?=\d)", place)):
            columns = max(columns, sum((ord(c) - 64) * 26**k for k, c in enumerate(reversed(letters[0]))))
    return rows, columns


def _first_line(path: Path) -> str:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.readline(1 << 22)
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is not text in UTF-8; export it again as CSV.") from None


def _separator(line: str) -> str:
    return max(",;\t", key=line.count)


def is_two_columns(start: str) -> bool:
    """Whether the text is pairs of numbers, one a line: the export of a single spectrum."""
    lines = [line for line in start.splitlines()[:-1] if line.strip() and not line.startswith(("#", ";"))][:8]
    return len(lines) > 1 and all(
        len(cells := re.split(r"[,;\s]+", line.strip())) == 2 and all(map(_is_number, cells)) for line in lines
    )


def looks_spectral(start: bytes) -> bool:
    """Whether text begins as a spectrum in two columns, or with a header of wavenumbers."""
    try:
        text = start.decode("utf-8-sig", "strict" if len(start) < 4000 else "ignore")
    except UnicodeDecodeError:
        return False
    header = text.split("\n", 1)[0]
    cells = header.split(_separator(header))
    return "\0" not in text and (is_two_columns(text) or sum(map(_is_number, cells)) > max(2, len(cells) // 2))


def read_xy(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """One spectrum as two columns, wavenumber and value, after comma, tab or blanks; # or ; begins a comment."""
    if any(names.get(role) for role in ("absorbance", "label", "group", "image")) or skip_rows:
        raise DataError(f"'{path.name}' is two columns of numbers, without names; describe it with a table of labels.")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is not text in UTF-8; export it again.") from None
    lines = [line.strip() for line in content.splitlines()]
    lines = [re.split(r"[,;\s]+", line) for line in lines if line and not line.startswith(("#", ";"))]
    try:
        numbers = np.array([[float(cell) for cell in line] for line in lines])
    except ValueError as error:
        raise DataError(f"'{path}' is not two columns of numbers throughout ({error}); export it again.") from None
    if numbers.ndim != 2 or numbers.shape[1] != 2 or len(numbers) < 2:
        raise DataError(f"'{path}' is not two columns of numbers throughout; export it again.")
    own = given_axis(names, path)
    axis = numbers[:, 0] if own is None else own
    if axis.shape != (len(numbers),):
        raise DataError(f"'{path.name}' has {len(numbers)} points but there are {axis.size} wavenumbers.")
    return RawFile(path=path, shape=(1, axis.size), wavenumber=axis, load=lambda: numbers[None, :, 1])


def read_table(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """A table, one spectrum a row; the header names the wavenumbers, other columns describe the spectrum.

    `skip_rows` lines under the header are left out. Comma, semicolon or tab is recognised from the header.
    """
    import pandas as pd

    if path.suffix.lower() != ".xlsx":
        with open(path, "rb") as file:
            if is_two_columns(file.read(4096).decode("utf-8-sig", "ignore")):
                return read_xy(path, names, skip_rows=skip_rows)
    if names.get("absorbance") or names.get("wavenumber") is not None:
        raise DataError(
            f"'{path.name}' is a table, whose header names the wavenumbers and whose cells are the spectra; "
            "leave out --absorbance and --wavenumber."
        )
    sheet = open_sheet(path, what="the table") if path.suffix.lower() == ".xlsx" else None
    if sheet is not None:
        header = [str(cell) for cell in sheet.iloc[0]] if len(sheet) else []
    else:
        line = _first_line(path)
        separator = _separator(line)
        with reading(path, "a table", "export it again as CSV"):
            header = [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    spectral = [k for k, cell in enumerate(header) if _is_number(cell)]
    if len(spectral) < 2:
        raise DataError(
            f"the header of '{path.name}' names {len(spectral)} wavenumbers; a table has one spectrum a row and its "
            "wavenumbers as column names: transpose it if they run down the first column."
        )
    other = [k for k in range(len(header)) if k not in set(spectral)]
    described = [header[k] for k in other if header[k]]

    def cells(columns, **options):
        if sheet is not None:
            rows = sheet.iloc[1 + skip_rows :].iloc[: options.pop("nrows", None), columns]
            return rows.astype(options.get("dtype", str))
        settings = {"sep": separator, "header": None, "skiprows": 1 + skip_rows, "encoding": "utf-8-sig"}
        return pd.read_csv(path, usecols=columns, **settings, **options)

    try:
        text = cells(other or spectral[:1], dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read as a table ({error}); export it again as CSV in UTF-8.") from None

    def numbers(**limits):
        try:
            return cells(spectral, dtype=np.float64, **limits).to_numpy()
        except (ValueError, OverflowError) as error:
            raise DataError(
                f"'{path.name}' has cells under its wavenumbers that are no numbers ({error}); if lines under the "
                "header are no spectra, pass over them with --skip-rows N."
            ) from None

    numbers(nrows=4)  # further header lines show at once, before anything is made of their cells
    notes = [f"{path.name}: {len(spectral)} wavenumbers in the header, described by {described or 'nothing else'}"]
    columns = {}
    for role in ("label", "group", "image", "row", "col"):
        name = find_name(described, role, names.get(role), path)
        if name is None:
            continue
        if names.get(role) is None:
            notes.append(f"{path.name}: {role} is column '{name}'")
        values = as_text(text[header.index(name)].to_numpy(str))
        columns[role] = values if role in ("label", "group", "image") else as_index(values, name, path)
    both_or_none(columns, notes, path)

    axis = np.array([float(header[k]) for k in spectral])
    return RawFile(path=path, shape=(len(text), axis.size), wavenumber=axis, load=numbers, columns=columns, notes=notes)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def read_labels(sheet: Path, names: list[str]) -> list[dict[str, str] | None]:
    """What the table says of each file.

    Parameters
    ----------
    sheet : path
        A column ``file`` or ``core`` and any of label (or class), group (or patient), image, batch. A file is named
        by its path in the folder, by its name, or by either without the suffix.
    names : list of str
        Paths of the files relative to their folder.

    Returns
    -------
    list of (dict or None)
        {role: text}; None for a file of which the table says nothing.

    Raises
    ------
    DataError
        When the table cannot be read, names a file twice or none, or one that is not there.
    """
    if not sheet.is_file():
        raise DataError(f"there is no sheet at '{sheet}'; check the path.")
    table = open_sheet(sheet, what="the sheet")
    header = [str(cell).strip() for cell in table.iloc[0]] if len(table) else []
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise DataError(f"the sheet '{sheet.name}' has two columns '{twice[0]}'; keep one.")
    key = _column(header, KEYS, sheet)
    roles = {role: _column(header, BATCH if role == "batch" else COMMON_NAMES[role], sheet) for role in ROLES}
    if key == roles["image"]:
        roles["image"] = None
    roles = {role: name for role, name in roles.items() if name is not None}
    if key is None or not roles:
        raise DataError(
            f"the sheet '{sheet.name}' has columns {header}; it needs 'file' (or 'core') and any of {list(ROLES)}."
        )
    places = _places(names)
    found: list[dict[str, str] | None] = [None] * len(names)
    for row in table.iloc[1:].itertuples(index=False):
        cells = dict(zip(header, map(str, row)))
        named = cells[key].strip()
        if not named and not any(cells.values()):
            continue
        matching = places.get(named.replace("\\", "/"), ())
        if not matching:
            raise DataError(
                f"the sheet '{sheet.name}' names '{named}', which is not among the files; correct its name."
            )
        if len(matching) > 1:
            raise DataError(
                f"the sheet '{sheet.name}' names '{named}', which is any of {listed(names[k] for k in matching)}; "
                "give the path."
            )
        if found[matching[0]] is not None:
            raise DataError(f"the sheet '{sheet.name}' names '{named}' twice; keep one line for each file.")
        found[matching[0]] = {role: cells[name].strip() for role, name in roles.items()}
    return found


def _column(header: list[str], allowed, sheet: Path) -> str | None:
    found = [name for name in header if name.lower() in allowed]
    if len(found) > 1:
        raise DataError(f"the sheet '{sheet.name}' has columns {listed(found)} for one thing; keep one of them.")
    return found[0] if found else None


def _places(names: list[str]) -> Mapping[str, tuple[int, ...]]:
    """Positions of the files that a text may name; a full path always means its own file."""
    places: dict[str, tuple[int, ...]] = {}
    for k, name in enumerate(names):
        path = Path(name)
        for short in {path.with_suffix("").as_posix(), path.name, path.stem}:
            places[short] = (*places.get(short, ()), k)
    return places | {name: (k,) for k, name in enumerate(names)}
