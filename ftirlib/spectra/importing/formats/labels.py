"""The table of labels: what is known of whole files, such as class, patient and batch.

CSV, TSV or Excel, a line a file (or core); weak labels are of this kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.raw import COMMON_NAMES, listed
from ftirlib.spectra.importing.formats.tables import open_sheet

KEYS = ("file", "core", "filename", "path")
BATCH = ("batch", "array", "plate", "slide")
ROLES = ("label", "group", "image", "batch")


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
