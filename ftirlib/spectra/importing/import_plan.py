"""What an import would read: every file by its header, before a spectrum is touched.

The plan is made first of all, printed by a dry run and followed by `readers.import_spectra`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.finding import Found, find_files
from ftirlib.spectra.importing.formats.raw import RawFile, as_text
from ftirlib.spectra.importing.formats.tables import read_labels
from ftirlib.spectra.importing.units import StoredAxis
from ftirlib.spectra.model import UNKNOWN

ROLES = ("label", "group", "image")


@dataclass(frozen=True)
class PlannedFile:
    """A file that is read.

    Attributes
    ----------
    path : Path
    name : str
        The path relative to the folder.
    format : str
    read : callable
        Its reader; see `formats.registry`.
    shape : tuple of int
        See `RawFile`.
    axis : str
        Its axis as it is kept, in words.
    unit : str or None
        What the user, else the file says its values are; None: to be settled from the values.
    described : dict
        What the table of labels says of it.
    counts : Counter
        Spectra of each (label, group, image).
    pixel_size_um : float or None
    sources : tuple of Path
        Every file that belongs to it.
    notes : list of str
    in_parts : bool
        Whether some of its spectra can be read without the others.
    """

    path: Path
    name: str
    format: str
    read: Callable[..., RawFile]
    shape: tuple[int, ...]
    axis: str
    unit: str | None
    described: dict[str, str]
    counts: Counter
    pixel_size_um: float | None
    sources: tuple[Path, ...]
    notes: list[str]
    in_parts: bool = False

    @property
    def n_spectra(self) -> int:
        return int(np.prod(self.shape[:-1]))


@dataclass(frozen=True)
class ImportPlan:
    """What an import would read; ``print(plan)`` is made to be read.

    Attributes
    ----------
    files : list of PlannedFile
    skipped : list of (str, str)
        Files that are no spectra of a format that is read, or that belong to another file: (name, why).
    bad : list of (str, str)
        Files that cannot be read, or do not fit the others: refused, unless bad files are skipped.
    wavenumber : (n_wavenumbers,) float64 array
        The axis of the data set, cm-1, ascending.
    """

    files: list[PlannedFile]
    skipped: list[tuple[str, str]]
    bad: list[tuple[str, str]]
    wavenumber: np.ndarray
    folder: Path = field(repr=False)

    def __post_init__(self):
        total = Counter()
        for file in self.files:
            total.update(file.counts)
        object.__setattr__(self, "_counts", total)

    @property
    def spectra(self) -> int:
        """Spectra in all files, those with NaN included."""
        return sum(self._counts.values())

    @property
    def images(self) -> list[str]:
        return sorted({image for _, _, image in self._counts})

    @property
    def groups(self) -> list[str]:
        return sorted({group for _, group, _ in self._counts})

    @property
    def classes(self) -> dict[str, dict[str, int]]:
        """{class: {"spectra", "images", "groups"}}; spectra without a label under the name ''."""
        found = {}
        for name in sorted({label for label, _, _ in self._counts}):
            rows = [(group, image, n) for (label, group, image), n in self._counts.items() if label == name]
            found[name] = {
                "spectra": sum(n for *_, n in rows),
                "images": len({image for _, image, _ in rows}),
                "groups": len({group for group, _, _ in rows}),
            }
        return found

    @property
    def units(self) -> list[str]:
        """What the values are said to be, where something says it."""
        return sorted({file.unit or "not stated: settled from the values when they are read" for file in self.files})

    @property
    def labels_differ(self) -> bool:
        """Whether some image carries more than one label."""
        return len({(image, label) for label, _, image in self._counts}) > len(self.images)

    @property
    def batches(self) -> dict[str, str]:
        """The batch of each image, where the table of labels states it."""
        return {
            image: file.described["batch"]
            for file in self.files
            if file.described.get("batch")
            for _, _, image in file.counts
        }

    @property
    def notes(self) -> list[str]:
        """What was taken for what, and what was left out."""
        return [note for file in self.files for note in file.notes] + [
            f"left out: {name}: {why}" for name, why in [*self.skipped, *self.bad]
        ]

    def __str__(self):
        formats = Counter(file.format for file in self.files)
        axis = self.wavenumber
        lines = [
            f"{len(self.files)} files ({', '.join(f'{n} {name}' for name, n in formats.items())}), "
            f"{len(self.images)} images, {self.spectra} spectra, {len(self.groups)} groups",
            f"axis: {axis.size} wavenumbers over {axis[0]:g}-{axis[-1]:g} cm-1",
            f"values: {'; '.join(self.units)}",
        ]
        for name, n in self.classes.items():
            lines.append(
                f"class {name!r}: {n['spectra']} spectra, {n['images']} images, {n['groups']} groups"
                if name
                else f"without a label: {n['spectra']} spectra, {n['images']} images"
            )
        if batches := Counter(self.batches.values()):
            lines.append("batches: " + ", ".join(f"{name} ({n} images)" for name, n in sorted(batches.items())))
        if self.labels_differ:
            lines.append("labels differ within an image: they are taken as labels of single spectra")
        lines += [f"detected: {note}" for file in self.files for note in file.notes]
        lines += [f"left out: {name}: {why}" for name, why in self.skipped]
        lines += [f"bad: {name}: {why}" for name, why in self.bad]
        if self.bad:
            lines.append(f"{len(self.bad)} bad files: the import refuses them; --skip-bad leaves them out")
        return "\n".join(lines)


def make_plan(
    source,
    wanted: Mapping,
    *,
    sheet=None,
    unit=None,
    wavenumber_unit=None,
    low=None,
    high=None,
    step=None,
    skip_rows=0,
    skip_bad=False,
) -> ImportPlan:
    """Read the headers of all files; the parameters are those of `import_spectra`."""
    found = find_files(source, sheet)
    names = [found.name(path) for path, _ in found.files]
    described = [{} for _ in names] if sheet is None else read_labels(Path(sheet), names)
    files, bad = [], []
    first = None
    for (path, form), name, says in zip(found.files, names, described):
        try:
            if says is None:
                count = sum(d is None for d in described)
                raise DataError(
                    f"the sheet '{Path(sheet).name}' has no line for '{name}' ({count} such files); add it."
                )
            file = form.read(path, wanted, skip_rows=skip_rows)
            axis = axis_of(file, wavenumber_unit, low=low, high=high, step=step)
            if first is not None and not axis.agrees_with(first[1]):
                raise DataError(
                    f"'{first[0]}' has {first[1]} and '{path.name}' has {axis}; bring them to one grid "
                    "with --low, --high and --step."
                )
            planned = _planned(file, form, name, axis, says, unit, found)
        except DataError as error:
            if not skip_bad:
                raise
            bad.append((name, str(error)))
            continue
        first = first or (path.name, axis)
        files.append(planned)
    if not files:
        raise DataError(f"none of the {len(names)} files can be read; the first: {bad[0][1]}")
    _one_file_an_image(files)
    return ImportPlan(files, found.skipped, bad, first[1].wavenumber, found.folder)


def axis_of(file: RawFile, unit: str | None, **limits) -> StoredAxis:
    """The way from a file's axis to the data set's, in the unit that the user, else the file states, else cm-1."""
    return StoredAxis(file.wavenumber, unit=unit or file.axis_unit or "cm-1", name=file.path.name, **limits)


def _planned(file: RawFile, form, name: str, axis: StoredAxis, says: Mapping, unit, found: Found) -> PlannedFile:
    notes = list(file.notes)
    notes += [
        f"{file.path.name}: the sheet's {role} takes the place of the file's" for role in says if role in file.columns
    ]
    if file.axis_unit not in (None, "cm-1"):
        notes.append(f"{file.path.name}: the axis is in {file.axis_unit}, as the file says")
    columns = columns_of(file, says, name)
    if all(_is_one(columns[role]) for role in ROLES):
        counts = Counter({tuple(str(columns[role][0]) for role in ROLES): file.n_spectra} if file.n_spectra else {})
    else:
        counts = Counter(zip(*(columns[role].tolist() for role in ROLES)))
    return PlannedFile(
        path=file.path,
        name=name,
        format=form.name,
        read=form.read,
        shape=file.shape,
        axis=str(axis),
        unit=unit or file.unit,
        described=dict(says),
        counts=counts,
        pixel_size_um=file.pixel_size_um,
        sources=file.sources or (file.path,),
        notes=notes,
        in_parts=form.in_parts,
    )


def _is_one(column: np.ndarray) -> bool:
    return column.size > 0 and column.strides == (0,)


def columns_of(file: RawFile, says: Mapping, name: str) -> dict[str, np.ndarray]:
    """Label, group and image of each spectrum of a file, (n_spectra,) str; row and column where the file has them.

    What the table of labels says takes the place of what the file holds. A cube is one image named after its file,
    and so are the spectra of a table with neither image nor group.
    """
    n = file.n_spectra
    found = dict(file.columns)
    for role in ROLES:
        if role in says:
            found[role] = np.broadcast_to(as_text([says[role]])[0], n)
    for role in ("group", "image"):
        if role in found and (nameless := found[role] == "").any():
            raise DataError(
                f"'{file.path.name}': {nameless.sum()} of {n} spectra have no {role}; fill it in, or leave the "
                f"{role} out with --{role} ''."
            )
    own = np.broadcast_to(np.array(Path(name).with_suffix("").as_posix()), n)
    is_cube = len(file.shape) == 3
    found.setdefault("image", found.get("group", own) if not is_cube and n > 1 else own)
    found.setdefault("group", found["image"])
    found.setdefault("label", np.broadcast_to(np.array(""), n))
    return found


def positions(file: RawFile, columns: Mapping, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Row and column of the spectra number `rows` of a file; UNKNOWN for spectra that are no pixels."""
    if len(file.shape) == 3:
        return dict(zip(("row", "col"), np.divmod(rows, file.shape[1])))
    return {axis: columns[axis][rows] if axis in columns else np.full(len(rows), UNKNOWN) for axis in ("row", "col")}


def _one_file_an_image(files: list[PlannedFile]) -> None:
    """Pixels of two files under one image's name would lie on top of each other."""
    owner: dict[str, PlannedFile] = {}
    for file in files:
        for image in {image for _, _, image in file.counts}:
            other = owner.setdefault(image, file)
            if other is not file and (len(file.shape) == 3 or len(other.shape) == 3 or "image" in file.described):
                raise DataError(
                    f"'{other.name}' and '{file.name}' both give the image '{image}'; rename one, or give each an "
                    "image of its own in the table of labels."
                )
