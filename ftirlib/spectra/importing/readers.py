"""Import of spectra: from instrument files and tables to one data set, with nothing guessed in silence.

Files are planned by their headers (`import_plan`), read in blocks (`blocks`) and written by one writer (`resume`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import replace

import numpy as np
import xarray as xr

from ftirlib.engine.workers import AHEAD
from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.importing.blocks import Block, Reading, files_blocks
from ftirlib.spectra.importing.import_plan import ImportPlan, PlannedFile, make_plan
from ftirlib.spectra.importing.resume import ResumingWriter, import_fingerprint
from ftirlib.spectra.importing.units import AXIS_UNITS, UNITS
from ftirlib.spectra.model import SCHEMA, SPECTRUM_COORDS, UNKNOWN, open_spectra, validate_spectra

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
    wavenumber_unit: str | None = None,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    skip_rows: int = 0,
    invalid: str = "refuse",
    skip_bad: bool = False,
    class_names: Sequence[str] | None = None,
    positive_classes: Sequence[str] = (),
    pixel_size_um: float | None = None,
    instrument: str = "",
    provenance: str = "",
    licence: str = "",
    overwrite: bool = False,
    executor: Executor | None = None,
    ahead: int = AHEAD,
) -> xr.Dataset:
    """Read spectra from files into one data set.

    Parameters
    ----------
    source : path, pattern, or sequence of paths
        A file of a format in `formats.FORMATS`, a folder of such files, a pattern such as ``cores/*.hdr``, or
        several files. Formats are recognised by content. In folders and patterns other files are left out, and noted.
    out : path, optional
        Zarr store to write, a block at a time, an image after the other; left out: the data set stays in memory.
        What a killed import had finished lies in ``<out>.partial``; the same call continues it.
    absorbance, label, group, image : str, optional
        Name of the array or column; left out: the common names of `formats.COMMON_NAMES` are tried and what was
        found is stated in the attribute ``import_notes``; an empty string: there is none.
    wavenumber : str or (n_wavenumbers,) array, optional
        Name of the axis, or the axis itself where the files hold none.
    sheet : path, optional
        Table of labels that describes whole files (CSV, TSV or Excel): column ``file`` (or ``core``) and any of
        ``label`` (or ``class``), ``group`` (or ``patient``), ``image`` and ``batch``. What it gives takes the place
        of what the files hold; batches become the attribute ``image_batches``, one for each of ``image_names``.
    unit : {"absorbance", "transmittance", "percent"}, optional
        What the values are (reflectance counts as transmittance); left out: what the file says, refused where the
        values contradict it or cannot tell.
    floor : float, optional
        Smallest transmittance, in the unit of the values, that is told from zero; smaller ones are set to it.
        Left out: transmittances of zero or less are refused.
    wavenumber_unit : {"cm-1", "um", "nm"}, optional
        Unit of the axis; micrometres become 10000 / value. Left out: what the file says, else cm-1.
    low, high : float, optional
        Part of the axis to keep, cm-1, both ends included.
    step : float, optional
        Resample on an even grid, cm-1; see `Resample`. Needed where files differ in their axes.
    skip_rows : int
        Lines under the header of a text table that hold no spectra.
    invalid : {"refuse", "drop"}
        What to do with spectra that hold NaN or infinite values.
    skip_bad : bool
        Leave out, and note, files that cannot be read, or that the table of labels or the axis of the first does not
        fit; otherwise the first of them is refused.
    class_names : sequence of str, optional
        In order of severity; left out: sorted.
    positive_classes : sequence of str
        Of the binary view.
    pixel_size_um : float, optional
        Left out: what the file says, else NaN.
    instrument, provenance, licence : str
    overwrite : bool
        Replace what is at `out`.
    executor : concurrent.futures.Executor, optional
        Whose workers read the files while this process writes; they see the same file system. The data set is the
        same to the byte with any number of them.
    ahead : int
        Files, or parts of large cubes, that may be read before they are written; twice the workers keep all busy.

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
    _check_choice("wavenumber_unit", wavenumber_unit, (None, *AXIS_UNITS))
    _check_choice("invalid", invalid, ("refuse", "drop"))
    if floor is not None and (unit == "absorbance" or not floor > 0):
        raise SettingsError(f"floor is the smallest transmittance, above zero, and not for absorbance; not {floor}.")
    wanted = {"absorbance": absorbance, "wavenumber": wavenumber, "label": label, "group": group, "image": image}
    grid = {"low": low, "high": high, "step": step}
    if not ahead >= 1:
        raise SettingsError(f"ahead must be one part of a file or more, not {ahead!r}.")
    plan = make_plan(
        source if executor is None else _absolute(source),  # a worker may have another working folder
        wanted,
        sheet=sheet,
        unit=unit,
        wavenumber_unit=wavenumber_unit,
        **grid,
        skip_rows=skip_rows,
        skip_bad=skip_bad,
    )
    attrs = _attributes(plan, class_names, positive_classes, pixel_size_um)
    attrs |= {"instrument": instrument, "licence": licence, "is_simulated": False}
    attrs["provenance"] = provenance or "imported from " + ", ".join(_listed(file.path.name for file in plan.files))

    how = Reading(
        wanted,
        grid,
        {role: attrs[NAMED[role]] for role in NAMED},
        unit=unit,
        floor=floor,
        wavenumber_unit=wavenumber_unit,
        skip_rows=skip_rows,
        invalid=invalid,
    )

    def blocks_from(number: int):
        """The blocks of each file from this one on."""
        return closing(files_blocks(plan.files[number:], how, executor, ahead))

    if out is None:
        return _in_memory(plan, blocks_from, attrs, skip_bad)
    settings = {**wanted, **grid, "unit": unit, "floor": floor, "wavenumber_unit": wavenumber_unit, **attrs}
    settings |= {"skip_rows": skip_rows, "invalid": invalid, "described": [file.described for file in plan.files]}
    of = import_fingerprint([path for file in plan.files for path in file.sources], settings)
    with ResumingWriter(out, plan.wavenumber, attrs, of=of, overwrite=overwrite) as writer:
        _write(plan, blocks_from, writer, skip_bad)
    return open_spectra(out)


def plan_import(
    source,
    *,
    absorbance: str | None = None,
    wavenumber=None,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    sheet: str | os.PathLike | None = None,
    unit: str | None = None,
    wavenumber_unit: str | None = None,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    skip_rows: int = 0,
    skip_bad: bool = True,
) -> ImportPlan:
    """Say what `import_spectra` would read, from the files' headers alone.

    The parameters are those of `import_spectra`; here bad files are listed rather than refused, unless `skip_bad` is
    false.

    Returns
    -------
    ImportPlan
        ``print(plan)`` shows images, spectra, axis, units, classes, groups, and what is left out and why.

    Raises
    ------
    DataError, SettingsError
        When nothing can be read, or an option has no meaning.
    """
    _check_choice("unit", unit, (None, *UNITS))
    _check_choice("wavenumber_unit", wavenumber_unit, (None, *AXIS_UNITS))
    wanted = {"absorbance": absorbance, "wavenumber": wavenumber, "label": label, "group": group, "image": image}
    options = {"unit": unit, "wavenumber_unit": wavenumber_unit, "low": low, "high": high, "step": step}
    return make_plan(source, wanted, sheet=sheet, **options, skip_rows=skip_rows, skip_bad=skip_bad)


def _attributes(plan: ImportPlan, class_names, positive_classes, pixel_size_um) -> dict:
    """The attributes that the headers settle."""
    names = {"label": sorted(set(plan.classes) - {""}), "group": plan.groups, "image": plan.images}
    if class_names is not None:
        if unknown := sorted(set(names["label"]) - set(class_names)):
            raise DataError(
                f"the files hold the label '{unknown[0]}', not among the stated classes {list(class_names)}."
            )
        names["label"] = list(class_names)
    if unknown := sorted(set(positive_classes) - set(names["label"])):
        raise DataError(f"positive class '{unknown[0]}' is not among the classes {names['label']}.")
    pixel_sizes = {file.pixel_size_um for file in plan.files if file.pixel_size_um is not None}
    if pixel_size_um is None and len(pixel_sizes) > 1:
        raise DataError(f"the files state pixel sizes {sorted(pixel_sizes)} um; say which holds with --pixel-size-um.")
    attrs = {
        "schema": SCHEMA,
        **{NAMED[role]: names[role] for role in NAMED},
        "positive_classes": list(positive_classes),
        "pixel_size_um": float(next(iter(pixel_sizes), np.nan) if pixel_size_um is None else pixel_size_um),
    }
    if plan.labels_differ:
        attrs["label_level"] = "spectrum"
    if batches := plan.batches:
        attrs["image_batches"] = [batches.get(image, "") for image in names["image"]]
    return attrs


def _write(plan: ImportPlan, blocks_from, writer: ResumingWriter, skip_bad: bool) -> None:
    """Add the files to a store, one after the other, from where an earlier attempt stopped."""
    said = writer.state.setdefault("notes", {})  # of each file, by its number: a file read again says it once
    bad = writer.state.setdefault("bad", {})
    done = writer.skip  # spectra of the first file that an earlier attempt has written
    with blocks_from(writer.file) as files:
        for number, blocks in enumerate(files, writer.file):
            notes: list[str] = []
            writer.begin(number)
            try:
                blocks = _noted(blocks, plan.files[number], notes)
                # A file that may turn out bad is read whole before any of it is written.
                for spectra, coords, _ in list(blocks) if skip_bad else blocks:
                    passed = min(done, len(spectra))
                    done -= passed
                    if passed < len(spectra):
                        writer.append(spectra[passed:], {name: values[passed:] for name, values in coords.items()})
            except DataError as error:
                if not skip_bad:
                    raise
                bad[str(number)] = str(error)
            said[str(number)] = notes
            done = 0
    _finish(plan, writer.attrs, [n for notes in said.values() for n in notes], bad, writer.recode)


def _noted(blocks: Iterator[Block], file: PlannedFile, notes: list[str]) -> Iterator[Block]:
    """The blocks of a file; `notes` gets what was found of it, and how many spectra were left out."""
    kept = 0
    for block in blocks:
        notes += block.notes
        kept += len(block.absorbance)
        yield block
    if dropped := file.n_spectra - kept:
        notes.append(
            f"{file.path.name}: {dropped} of {file.n_spectra} spectra with NaN or infinite values were left out"
        )


def _finish(plan: ImportPlan, attrs: dict, notes: list[str], bad: dict[str, str], recode) -> None:
    """Complete the attributes by what reading the values has shown; bad files leave no names behind."""
    left_out = [f"left out: {plan.files[int(number)].name}: {why}" for number, why in bad.items()]
    if len(bad) == len(plan.files):
        raise DataError(f"none of the {len(bad)} files can be read; the first: {left_out[0]}")
    if bad:
        kept = replace(plan, files=[file for k, file in enumerate(plan.files) if str(k) not in bad])
        for role, names in (("image", kept.images), ("group", kept.groups)):
            old = attrs[NAMED[role]]
            recode(role, np.array([names.index(name) if name in names else UNKNOWN for name in old]))
            if role == "image" and "image_batches" in attrs:
                attrs["image_batches"] = [b for name, b in zip(old, attrs["image_batches"]) if name in names]
            attrs[NAMED[role]] = names
    if plan.labels_differ:
        notes = [*notes, "labels differ within an image: they are taken as labels of single spectra"]
    attrs["import_notes"] = [*plan.notes, *notes, *left_out]


def _in_memory(plan: ImportPlan, blocks_from, attrs: dict, skip_bad: bool) -> xr.Dataset:
    found, notes, bad = [], [], {}
    with blocks_from(0) as files:
        for number, blocks in enumerate(files):
            try:
                found += list(_noted(blocks, plan.files[number], notes))
            except DataError as error:
                if not skip_bad:
                    raise
                bad[str(number)] = str(error)
    if not any(len(block.absorbance) for block in found) and not bad:
        raise DataError("no spectrum is left after leaving out those with NaN or infinite values.")
    coords = {name: np.concatenate([block.coords[name] for block in found] or [[]]) for name in SPECTRUM_COORDS}

    def recode(role, codes):
        coords[role] = codes[coords[role].astype(int)]

    _finish(plan, attrs, notes, bad, recode)
    data = xr.Dataset(
        {"absorbance": (("spectrum", "wavenumber"), np.concatenate([block.absorbance for block in found]))},
        coords={
            "wavenumber": ("wavenumber", plan.wavenumber, {"units": "cm-1"}),
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


def _absolute(source):
    """A path, pattern or several paths, whatever the working folder."""
    if isinstance(source, (str, os.PathLike)):
        return os.path.abspath(source)
    return [os.path.abspath(path) for path in source]


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
