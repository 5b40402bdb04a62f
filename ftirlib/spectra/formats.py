"""File formats: from one file to its arrays, each with the part it plays, before any value is interpreted.

NPZ (https://numpy.org/doc/stable/reference/generated/numpy.savez.html), CSV/TSV with one spectrum a row, and
plain variables of MATLAB files up to version 7. Nothing is ever unpickled.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from ftirlib.errors import DataError

# Names under which files keep each part, compared in lower case; the user's own name always comes first.
COMMON_NAMES = {
    "absorbance": (
        *("absorbance", "percentt", "percent_t", "%t", "percent_transmittance", "transmittance"),
        *("spectra", "spectrum", "x", "data", "cube", "hypercube"),
    ),
    "wavenumber": ("wavenumber", "wavenumbers", "wn", "wns", "fea_x", "x_axis", "xaxis"),
    "label": ("label", "labels", "class", "classes", "type", "diagnosis", "y", "target"),
    "group": ("group", "groups", "patient", "patients", "patient_id", "subject", "donor", "groupcodes"),
    "image": ("image", "images", "core", "sample"),
    "row": ("row",),
    "col": ("col", "column"),
    "pixel_size_um": ("pixel_size_um", "pixel_um"),
}
UNIT_OF_NAME = {
    "absorbance": "absorbance",
    "transmittance": "transmittance",
    **dict.fromkeys(("percentt", "percent_t", "%t", "percent_transmittance"), "percent"),
}


@dataclass
class RawFile:
    """What one file holds.

    Attributes
    ----------
    path : Path
    shape : tuple of int
        (n_spectra, n_wavenumbers) of a table, (rows, columns, n_wavenumbers) of a cube.
    wavenumber : (n_wavenumbers,) float64 array
        As in the file: any order, any unit.
    load : callable
        Reads the spectra, of `shape`.
    unit : str or None
        What the file says its values are; None when it says nothing.
    columns : dict
        label, group, image : (n_spectra,) str arrays; row, col : (n_spectra,) int arrays; only those present.
    pixel_size_um : float or None
    notes : list of str
        What was taken for what.
    """

    path: Path
    shape: tuple[int, ...]
    wavenumber: np.ndarray
    load: Callable[[], np.ndarray]
    unit: str | None = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    pixel_size_um: float | None = None
    notes: list[str] = field(default_factory=list)


def find_name(present, role: str, wanted: str | None, path: Path) -> str | None:
    """The name in `present` that plays `role`: the one asked for, or the only common one.

    An empty `wanted` says that the file has none; None asks to detect it.

    Raises
    ------
    DataError
        When the name asked for is absent, or several common names are present.
    """
    present = list(present)
    if wanted == "":
        return None
    if wanted is not None:
        if wanted not in present:
            raise DataError(f"'{path.name}' has no '{wanted}' for the {role}; it holds {_listed(present)}.")
        return wanted
    found = [name for name in present if name.lower() in COMMON_NAMES[role]]
    if len(found) > 1:
        raise DataError(f"'{path.name}' holds {_listed(found)}: say which is the {role} with --{role} NAME.")
    return found[0] if found else None


def _listed(names) -> str:
    names = [repr(str(name)) for name in names]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def as_text(values) -> np.ndarray:
    """Names as one str each: bytes decoded, whole numbers without a point, NaN and blanks empty (unknown)."""
    values = np.asarray(values).reshape(-1)
    if values.dtype.kind == "f":
        known = np.isfinite(values)
        whole = np.where(known, values, 0)
        text = whole.astype(np.int64).astype(str) if (whole == np.round(whole)).all() else values.astype(str)
        return np.where(known, text, "")
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    return np.char.strip(values.astype(str))


def read_npz(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """A NumPy archive of named arrays; see `from_arrays`."""
    _takes_no_skip(path, skip_rows)
    try:
        with np.load(path, allow_pickle=False) as archive:
            shapes = {name: _npy_shape(archive.zip, name) for name in archive.files}
    except AttributeError:  # np.load gave a bare array
        raise DataError(
            f"'{path}' holds one array without names; write it with numpy.savez, beside its wavenumbers."
        ) from None
    except (OSError, ValueError, EOFError, BadZipFile, KeyError) as error:
        raise DataError(f"'{path}' cannot be read as a NumPy archive ({error}); write it with numpy.savez.") from None

    def read(name):
        try:
            with np.load(path, allow_pickle=False) as archive:
                return archive[name]
        except ValueError:
            raise DataError(
                f"'{name}' in '{path}' holds Python objects, which are not read; save it as plain text or numbers."
            ) from None
        except (OSError, BadZipFile, zlib.error) as error:
            raise DataError(f"'{name}' in '{path}' is damaged ({error}); copy the file again.") from None

    return from_arrays(path, shapes, read, names)


def _npy_shape(archive: ZipFile, name: str) -> tuple[int, ...]:
    """Shape of a member from its header, so that spectra are read once, when they are used."""
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return header(member)[0]


def read_mat(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """Plain variables of a MATLAB file (version 4 to 7); see `from_arrays`."""
    from scipy.io import loadmat, whosmat

    _takes_no_skip(path, skip_rows)
    try:
        kinds = {name: (shape, kind) for name, shape, kind in whosmat(path)}
    except NotImplementedError:
        raise DataError(f"'{path}' is a MATLAB 7.3 file; save it again in MATLAB with save(..., '-v7').") from None
    except (ValueError, OSError) as error:
        raise DataError(f"'{path}' cannot be read as a MATLAB file ({error}); copy it again.") from None
    except TypeError:  # how scipy fails on the header of a class object
        kinds = {"?": ((), "opaque")}
    if any(kind in ("opaque", "object", "unknown") for _, kind in kinds.values()):
        raise DataError(
            f"'{path}' holds a MATLAB class object, which only its own class can read; save its matrices as plain "
            "variables in MATLAB with save(..., '-v7')."
        )

    def read(name):
        values = np.asarray(loadmat(path, variable_names=[name], simplify_cells=True)[name])
        shape = kinds[name][0]
        return values.reshape(shape) if values.size == np.prod(shape) else values  # undo squeezing, not of text

    return from_arrays(path, {name: shape for name, (shape, _) in kinds.items()}, read, names)


def from_arrays(path: Path, shapes: Mapping[str, tuple], read: Callable[[str], np.ndarray], names: Mapping) -> RawFile:
    """Give the named arrays of a file their parts; only the small ones are read.

    Spectra are (n_spectra, n_wavenumbers) or (rows, columns, n_wavenumbers). Label, group and image are one value
    per spectrum, or one for the whole file.
    """
    notes = []

    def find(role):
        name = find_name(shapes, role, names.get(role), path)
        if name is not None and names.get(role) is None:
            notes.append(f"{path.name}: {role} is '{name}'")
        return name

    spectra_name = find("absorbance")
    if spectra_name is None:
        raise DataError(f"'{path.name}' holds {_listed(shapes)}: say which are the spectra with --absorbance NAME.")
    if names.get("wavenumber") is None or isinstance(names["wavenumber"], str):
        axis_name = find("wavenumber")
        if axis_name is None:
            raise DataError(
                f"'{path.name}' has no wavenumber axis among {_listed(shapes)}; name it with --wavenumber NAME."
            )
        axis = read(axis_name)
        if axis.dtype.kind not in "fiu":
            raise DataError(f"'{axis_name}' in '{path.name}' is {axis.dtype}; a wavenumber axis is numbers, in cm-1.")
    else:
        axis = names["wavenumber"]
    axis = np.asarray(axis, np.float64).reshape(-1)
    shape = tuple(shapes[spectra_name])
    if len(shape) not in (2, 3):
        raise DataError(
            f"'{spectra_name}' in '{path.name}' has shape {shape}; spectra are (spectra, wavenumbers) or "
            "(rows, columns, wavenumbers): name another array with --absorbance NAME."
        )
    if shape[-1] != axis.size:
        where = [k for k, size in enumerate(shape) if size == axis.size]
        hint = f"they are on axis {where[0]}: put the spectral axis last" if where else "check which axis belongs to it"
        raise DataError(
            f"'{spectra_name}' in '{path.name}' has shape {shape} but there are {axis.size} wavenumbers; {hint}."
        )
    n = int(np.prod(shape[:-1]))
    columns = {}
    for role in ("label", "group", "image", "row", "col"):
        name = None if len(shape) == 3 and role in ("row", "col") else find(role)
        if name is None:
            continue
        values = as_text(read(name)) if role in ("label", "group", "image") else _as_index(read(name), name, path)
        if values.size not in (1, n):
            raise DataError(
                f"'{name}' in '{path.name}' has {values.size} values for {n} spectra; the {role} needs one each, or "
                f"one for all (leave it out with --{role} '')."
            )
        columns[role] = np.broadcast_to(values, n)
    if len(shape) == 3:
        columns["row"], columns["col"] = (index.ravel() for index in np.indices(shape[:2]))
    _both_or_none(columns, notes, path)
    pixel_name = find_name(shapes, "pixel_size_um", None, path)

    def load():
        values = read(spectra_name)
        if values.dtype.kind not in "fiu":
            raise DataError(f"'{spectra_name}' in '{path.name}' is {values.dtype}; spectra are real numbers.")
        return values

    return RawFile(
        path=path,
        shape=shape,
        wavenumber=axis,
        load=load,
        unit=UNIT_OF_NAME.get(spectra_name.lower()),
        columns=columns,
        pixel_size_um=None if pixel_name is None else float(np.squeeze(read(pixel_name))),
        notes=notes,
    )


def _as_index(values, name: str, path: Path) -> np.ndarray:
    """Pixel positions as whole numbers."""
    try:
        numbers = np.asarray(values).reshape(-1).astype(np.float64)
        whole = numbers.astype(np.int64)
    except ValueError:
        whole = numbers = np.array([np.nan])
    if not np.isfinite(numbers).all() or (whole != numbers).any() or (whole < 0).any():
        raise DataError(f"'{name}' in '{path.name}' must be pixel positions, whole numbers from 0; rename it if not.")
    return whole


def _both_or_none(columns: dict, notes: list[str], path: Path) -> None:
    """A row is a position only together with a column."""
    if ("row" in columns) != ("col" in columns):
        only = "row" if "row" in columns else "col"
        del columns[only]
        notes.append(f"{path.name}: '{only}' is left out, since a pixel position needs both row and col")


def read_table(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """A text table, one spectrum a row; the header names the wavenumbers, other columns describe the spectrum.

    `skip_rows` lines under the header are left out. Comma, semicolon or tab is recognised from the header.
    """
    import pandas as pd

    if names.get("absorbance") or names.get("wavenumber") is not None:
        raise DataError(
            f"'{path.name}' is a table, whose header names the wavenumbers and whose cells are the spectra; "
            "leave out --absorbance and --wavenumber."
        )
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            line = file.readline()
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is not text in UTF-8; export it again as CSV.") from None
    separator = max(",;\t", key=line.count)
    header = [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    spectral = [k for k, cell in enumerate(header) if _is_number(cell)]
    if len(spectral) < 2:
        raise DataError(
            f"the header of '{path.name}' names {len(spectral)} wavenumbers; a table has one spectrum a row and its "
            "wavenumbers as column names: transpose it if they run down the first column."
        )
    other = [k for k in range(len(header)) if k not in set(spectral)]
    described = [header[k] for k in other if header[k]]
    options = {"sep": separator, "header": None, "skiprows": 1 + skip_rows, "encoding": "utf-8-sig"}
    try:
        text = pd.read_csv(path, usecols=other or spectral[:1], dtype=str, keep_default_na=False, **options)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"'{path}' cannot be read as a table ({error}); export it again as CSV.") from None

    def numbers(**limits):
        try:
            return pd.read_csv(path, usecols=spectral, dtype=np.float64, **options, **limits).to_numpy()
        except ValueError as error:
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
        columns[role] = values if role in ("label", "group", "image") else _as_index(values, name, path)
    _both_or_none(columns, notes, path)

    axis = np.array([float(header[k]) for k in spectral])
    return RawFile(path=path, shape=(len(text), axis.size), wavenumber=axis, load=numbers, columns=columns, notes=notes)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _takes_no_skip(path: Path, skip_rows: int) -> None:
    if skip_rows:
        raise DataError(f"'{path.name}' is no text table, so there are no lines to pass over; leave out --skip-rows.")


READERS = {".npz": read_npz, ".csv": read_table, ".tsv": read_table, ".mat": read_mat}
