"""Import of spectra: from instrument exports and tables to one data set, with nothing guessed in silence.

Conversion of transmittance: A = -log10(T), Beer-Lambert (IUPAC Gold Book, doi:10.1351/goldbook.A00028).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.formats import READERS, RawFile, as_text
from ftirlib.spectra.model import (
    CHUNK,
    SCHEMA,
    SPECTRUM_COORDS,
    UNKNOWN,
    SpectraWriter,
    open_spectra,
    validate_spectra,
)
from ftirlib.spectra.units import AXIS_UNITS, UNITS, StoredAxis, detect_unit, to_absorbance

NAMED = {"label": "class_names", "group": "group_names", "image": "image_names"}


def import_spectra(
    source,
    out: str | os.PathLike | None = None,
    *,
    absorbance: str | None = None,
    wavenumber=None,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    sheet: str | os.PathLike | None = None,
    unit: str | None = None,
    floor: float | None = None,
    wavenumber_unit: str = "cm-1",
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    skip_rows: int = 0,
    invalid: str = "refuse",
    class_names: Sequence[str] | None = None,
    positive_classes: Sequence[str] = (),
    pixel_size_um: float | None = None,
    instrument: str = "",
    provenance: str = "",
    licence: str = "",
    overwrite: bool = False,
) -> xr.Dataset:
    """Read spectra from files into one data set.

    Parameters
    ----------
    source : path, or sequence of paths
        A file of a format in `formats.READERS`, a folder of such files, or several files.
    out : path, optional
        Zarr store to write, a block at a time; left out: the data set stays in memory.
    absorbance, label, group, image : str, optional
        Name of the array or column; left out: the common names of `formats.COMMON_NAMES` are tried and what was
        found is stated in the attribute ``import_notes``; an empty string: there is none.
    wavenumber : str or (n_wavenumbers,) array, optional
        Name of the axis, or the axis itself where the files hold none.
    sheet : path, optional
        CSV table that describes whole files: column ``file`` and any of ``label``, ``group``, ``image``.
        What it gives takes the place of what the files hold.
    unit : {"absorbance", "transmittance", "percent"}, optional
        What the values are; left out: what the file says, refused where the values contradict it or cannot tell.
    floor : float, optional
        Smallest transmittance, in the unit of the values, that is told from zero; smaller ones are set to it.
        Left out: transmittances of zero or less are refused.
    wavenumber_unit : {"cm-1", "um"}
        Unit of the axis; micrometres become 10000 / value.
    low, high : float, optional
        Part of the axis to keep, cm-1, both ends included.
    step : float, optional
        Resample on an even grid, cm-1; see `Resample`. Needed where files differ in their axes.
    skip_rows : int
        Lines under the header of a text table that hold no spectra.
    invalid : {"refuse", "drop"}
        What to do with spectra that hold NaN or infinite values.
    class_names : sequence of str, optional
        In order of severity; left out: sorted.
    positive_classes : sequence of str
        Of the binary view.
    pixel_size_um : float, optional
        Left out: what the file says, else NaN.
    instrument, provenance, licence : str
    overwrite : bool
        Replace what is at `out`.

    Returns
    -------
    xarray.Dataset
        See `validate_spectra`. A cube is one image named after its file; so are the spectra of a table with neither
        image nor group. Without a group, each image is its own. Labels that differ within an image set the
        attribute ``label_level`` to "spectrum".

    Raises
    ------
    DataError, SettingsError
        Saying which file, what is wrong with it and which option settles it.
    """
    _check_choice("unit", unit, (None, *UNITS))
    _check_choice("wavenumber_unit", wavenumber_unit, AXIS_UNITS)
    _check_choice("invalid", invalid, ("refuse", "drop"))
    if floor is not None and (unit == "absorbance" or not floor > 0):
        raise SettingsError(f"floor is the smallest transmittance, above zero, and not for absorbance; not {floor}.")
    wanted = {"absorbance": absorbance, "wavenumber": wavenumber, "label": label, "group": group, "image": image}
    paths, folder = list_files(source, sheet)
    files = [READERS[path.suffix.lower()](path, wanted, skip_rows=skip_rows) for path in paths]
    notes = [note for file in files for note in file.notes]
    described = None if sheet is None else _read_sheet(Path(sheet), paths, folder)
    columns = [
        _columns(file, None if described is None else described[k], folder, notes) for k, file in enumerate(files)
    ]
    names = {role: sorted({str(name) for one in columns for name in np.unique(one[role])} - {""}) for role in NAMED}
    if class_names is not None:
        if unknown := sorted(set(names["label"]) - set(class_names)):
            raise DataError(
                f"the files hold the label '{unknown[0]}', not among the stated classes {list(class_names)}."
            )
        names["label"] = list(class_names)
    if unknown := sorted(set(positive_classes) - set(names["label"])):
        raise DataError(f"positive class '{unknown[0]}' is not among the classes {names['label']}.")
    pixel_sizes = {file.pixel_size_um for file in files if file.pixel_size_um is not None}
    if pixel_size_um is None and len(pixel_sizes) > 1:
        raise DataError(f"the files state pixel sizes {sorted(pixel_sizes)} um; say which holds with --pixel-size-um.")
    attrs = {
        "schema": SCHEMA,
        **{NAMED[role]: names[role] for role in NAMED},
        "positive_classes": list(positive_classes),
        "pixel_size_um": float(next(iter(pixel_sizes), np.nan) if pixel_size_um is None else pixel_size_um),
        "instrument": instrument,
        "provenance": provenance or "imported from " + ", ".join(_listed(path.name for path in paths)),
        "licence": licence,
        "is_simulated": False,
    }
    if _labels_differ(columns):
        attrs["label_level"] = "spectrum"
        notes.append("labels differ within an image: they are taken as labels of single spectra")
    lookup = {role: {name: k for k, name in enumerate(names[role])} | {"": UNKNOWN} for role in NAMED}
    axes = [
        StoredAxis(file.wavenumber, unit=wavenumber_unit, low=low, high=high, step=step, name=file.path.name)
        for file in files
    ]
    for file, axis in zip(files, axes):
        if not axis.agrees_with(axes[0]):
            raise DataError(
                f"'{files[0].path.name}' has {axes[0]} and '{file.path.name}' has {axis}; bring them to one grid "
                "with --low, --high and --step."
            )

    def pieces() -> Iterator[tuple[np.ndarray, dict]]:
        for file, axis, of_file in zip(files, axes, columns):
            for spectra, rows in _blocks(file, axis, unit, floor, invalid, notes):
                coords = {
                    role: np.array([lookup[role][name] for name in of_file[role][rows].tolist()]) for role in NAMED
                }
                yield spectra, {**coords, "row": of_file["row"][rows], "col": of_file["col"][rows]}

    if out is None:
        return _in_memory(pieces(), axes[0].wavenumber, {**attrs, "import_notes": notes})
    with SpectraWriter(out, axes[0].wavenumber, attrs, overwrite=overwrite) as writer:
        for spectra, coords in pieces():
            writer.append(spectra, coords)
        writer.attrs["import_notes"] = notes
    return open_spectra(out)


def _in_memory(pieces, wavenumber, attrs) -> xr.Dataset:
    found = list(pieces)
    if not found:
        raise DataError("no spectrum is left after leaving out those with NaN or infinite values.")
    coords = {name: np.concatenate([c[name] for _, c in found]) for name in SPECTRUM_COORDS}
    data = xr.Dataset(
        {"absorbance": (("spectrum", "wavenumber"), np.concatenate([spectra for spectra, _ in found]))},
        coords={
            "wavenumber": ("wavenumber", wavenumber, {"units": "cm-1"}),
            **{name: ("spectrum", values.astype(SPECTRUM_COORDS[name])) for name, values in coords.items()},
        },
        attrs=attrs,
    )
    return validate_spectra(data)


def _check_choice(name, value, allowed) -> None:
    if value not in allowed:
        raise SettingsError(f"{name} must be one of {', '.join(map(str, allowed))}, not {value!r}.")


def _listed(names) -> list[str]:
    names = list(names)
    return names if len(names) <= 5 else [*names[:4], f"{len(names) - 4} more"]


def list_files(source, sheet=None) -> tuple[list[Path], Path]:
    """The files to read, sorted, and the folder that they are named relative to."""
    if isinstance(source, (str, os.PathLike)):
        source = Path(source)
        if not source.exists():
            raise DataError(f"there is nothing at '{source}'; check the path.")
        if source.is_dir() and (source / "zarr.json").is_file():
            raise DataError(f"'{source}' is a data set already; open it with open_spectra.")
        folder = source if source.is_dir() else source.parent
        own = None if sheet is None else Path(sheet).resolve()
        paths = (
            sorted(p for p in source.rglob("*") if p.suffix.lower() in READERS and p.resolve() != own)
            if source.is_dir()
            else [source]
        )
        if not paths:
            raise DataError(f"the folder '{source}' holds no file of a format that is read: {', '.join(READERS)}.")
    else:
        paths = [Path(p) for p in source]
        if not paths:
            raise DataError("no files were given to import.")
        folder = Path(os.path.commonpath([p.resolve().parent for p in paths]))
        paths = [p.resolve() for p in paths]
    for path in paths:
        if not path.is_file():
            raise DataError(f"there is no file at '{path}'; check the path.")
        if path.suffix.lower() not in READERS:
            raise DataError(
                f"'{path.name}' is of a format that is not read ('{path.suffix}'); read are {', '.join(READERS)}: "
                "export the spectra to one of them."
            )
    return paths, folder


def _read_sheet(sheet: Path, paths: list[Path], folder: Path) -> list[dict[str, str]]:
    """One {label, group, image} per file."""
    import pandas as pd

    if not sheet.is_file():
        raise DataError(f"there is no sheet at '{sheet}'; check the path.")
    table = pd.read_csv(sheet, dtype=str, keep_default_na=False, skipinitialspace=True)
    roles = [role for role in NAMED if role in table.columns]
    if "file" not in table.columns or not roles:
        raise DataError(
            f"the sheet '{sheet.name}' has columns {list(table.columns)}; it needs 'file' and any of {list(NAMED)}."
        )
    if (twice := table.file[table.file.duplicated()]).size:
        raise DataError(f"the sheet '{sheet.name}' names '{twice.iloc[0]}' twice; keep one line for each file.")
    rows = {row["file"].strip(): row for row in table.to_dict("records")}
    keys = [path.resolve().relative_to(folder.resolve()).as_posix() for path in paths]
    if missing := [key for key in keys if key not in rows]:
        raise DataError(f"the sheet '{sheet.name}' has no line for '{missing[0]}' ({len(missing)} such files); add it.")
    if extra := sorted(set(rows) - set(keys)):
        raise DataError(f"the sheet '{sheet.name}' names '{extra[0]}', which is not among the files; correct its name.")
    return [{role: rows[key][role].strip() for role in roles} for key in keys]


def _columns(file: RawFile, described: Mapping | None, folder: Path, notes: list[str]) -> dict[str, np.ndarray]:
    """Label, group, image, row and column of each spectrum of a file."""
    n = int(np.prod(file.shape[:-1]))
    found = dict(file.columns)
    for role, name in (described or {}).items():
        if role in found:
            notes.append(f"{file.path.name}: the sheet's {role} takes the place of the file's")
        found[role] = np.broadcast_to(as_text([name]), n)
    for role in ("group", "image"):
        if role in found and (nameless := found[role] == "").any():
            raise DataError(
                f"'{file.path.name}': {nameless.sum()} of {n} spectra have no {role}; fill it in, or leave the "
                f"{role} out with --{role} ''."
            )
    own = np.broadcast_to(file.path.resolve().relative_to(folder.resolve()).with_suffix("").as_posix(), n)
    found.setdefault("image", found.get("group", own) if len(file.shape) == 2 else own)
    found.setdefault("group", found["image"])
    found.setdefault("label", np.broadcast_to("", n))
    for role in ("row", "col"):
        found.setdefault(role, np.broadcast_to(UNKNOWN, n))
    return found


def _labels_differ(columns: list[dict]) -> bool:
    """Whether some image carries more than one label."""
    pairs = set().union(*(zip(one["image"].tolist(), one["label"].tolist()) for one in columns))
    return len(pairs) > len({image for image, _ in pairs})


def _blocks(file: RawFile, axis: StoredAxis, unit, floor, invalid, notes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Absorbance (n, n_wavenumbers) float32 on the data set's axis, and the rows of the file that it is."""
    values = file.load()
    values = values.reshape(-1, values.shape[-1])
    name = file.path.name
    if unit is None:
        unit = detect_unit(values, file.unit, name, notes)
    if floor is not None and unit == "absorbance":
        raise SettingsError(f"'{name}' holds absorbance, to which a floor of the transmittance does not apply.")
    dropped = 0
    for start in np.arange(0, len(values), CHUNK):
        block = axis.select(values[start : start + CHUNK])
        usable = np.isfinite(block).all(axis=1)
        if not usable.all():
            if invalid == "refuse":
                raise DataError(
                    f"'{name}': spectrum {start + int(np.argmin(usable))} and {(~usable).sum() - 1} more in its block "
                    "hold NaN or infinite values; keep a range without them (--low, --high), or leave the spectra out "
                    "(--invalid drop)."
                )
            dropped += int((~usable).sum())
            if not usable.any():
                continue
        block = axis.resample(to_absorbance(block[usable], unit, floor=floor, name=name))
        yield block.astype(np.float32), start + np.flatnonzero(usable)
    if dropped:
        notes.append(f"{name}: {dropped} of {len(values)} spectra with NaN or infinite values were left out")


def describe(data: xr.Dataset) -> dict:
    """What a data set holds, in plain types, without reading the spectra.

    Returns
    -------
    dict
        spectra, images, groups, labelled : counts; wavenumbers : {count, low, high, spacing} (cm-1; median spacing);
        classes : {class: {"spectra", "images", "groups"}}, unlabelled ones under "unknown"; notes : list of str.
    """
    label, image, group = (data[name].values for name in ("label", "image", "group"))
    axis = data.wavenumber.values
    classes = {}
    for code, name in [*enumerate(data.attrs["class_names"]), (UNKNOWN, "unknown")]:
        rows = label == code
        if rows.any() or code != UNKNOWN:
            classes[name] = {
                "spectra": int(rows.sum()),
                "images": len(np.unique(image[rows])),
                "groups": len(np.unique(group[rows])),
            }
    return {
        "spectra": int(data.sizes["spectrum"]),
        "images": len(np.unique(image)),
        "groups": len(np.unique(group)),
        "labelled": int((label != UNKNOWN).sum()),
        "wavenumbers": {
            "count": int(axis.size),
            "low": float(axis[0]),
            "high": float(axis[-1]),
            "spacing": float(np.median(np.diff(axis))),
        },
        "classes": classes,
        "notes": list(data.attrs.get("import_notes", [])),
    }
