"""Galactic SPC files (new format, little-endian), read with spc-io.

Layout: Thermo Galactic, A Brief Guide to SPC File Format and Using GSPCIO.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.raw import RawFile, check_size, given_axis, reading, takes_no_names

VERSIONS = {0x4B: "new", 0x4C: "new, big-endian", 0x4D: "old"}
HEADER = struct.Struct("<BBBbiddi")  # flags, version, experiment, exponent, points, first, last, spectra
SIXTEEN_BIT, OWN_AXES, UNEVEN = 0x01, 0x40, 0x80
SUBHEADER = 32
SIZE_OF_HEADER = 512
AXIS = {0: None, 1: "cm-1", 2: "um", 3: "nm"}
OTHER_AXES = {4: "seconds", 9: "mass", 13: "Raman shift"}
UNIT = {0: None, 2: "absorbance", 10: "absorbance", 11: "percent", 128: "transmittance", 129: "transmittance"}


def is_spc(start: bytes) -> bool:
    """Whether the second byte is a version of SPC; alone this says little, beside the suffix enough."""
    return len(start) > 1 and start[1] in VERSIONS


def read_spc(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """The spectra of a file on their common axis."""
    from spc_io import SpcRaw

    takes_no_names(path, names, skip_rows)
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(SIZE_OF_HEADER)
    if len(start) < SIZE_OF_HEADER or not is_spc(start):
        raise DataError(f"'{path}' is no SPC file, or a truncated one; copy it again.")
    flags, version, _, _, points, first, last, count = HEADER.unpack_from(start)
    x_kind, y_kind = start[28], start[29]
    if version != 0x4B:
        raise DataError(f"'{path.name}' is SPC of the {VERSIONS[version]} format, which is not read; export it as new.")
    if x_kind not in AXIS:
        what = OTHER_AXES.get(x_kind, f"quantity {x_kind}")
        raise DataError(
            f"the axis of '{path.name}' is {what}, so it is no infrared spectrum; take it out of the folder."
        )
    if y_kind not in UNIT:
        raise DataError(f"the values of '{path.name}' are of kind {y_kind}, neither absorbance nor transmittance.")
    if flags & OWN_AXES:
        raise DataError(f"each spectrum of '{path.name}' has an axis of its own; export them on a common one.")
    if points < 2 or count < 1:
        raise DataError(f"'{path.name}' states {count} spectra of {points} points; copy it again.")
    width = 2 if flags & SIXTEEN_BIT else 4
    claimed = SIZE_OF_HEADER + (4 * points if flags & UNEVEN else 0) + count * (SUBHEADER + width * points)
    check_size(path, claimed, size, f"{count} spectra of {points} points")

    def spectra():
        silent = contextlib.redirect_stdout(io.StringIO())  # spc-io prints what it passes over
        with reading(path, "an SPC file", "export it again"), open(path, "rb") as file, silent:
            raw = SpcRaw.from_bytes_io(file)
            own = np.array(raw._xarray, np.float64) if flags & UNEVEN else None
            return own, np.stack([np.asarray(sub.yarray, np.float64) for sub in raw.subs])

    axis = given_axis(names, path)
    if axis is None:
        axis = spectra()[0] if flags & UNEVEN else np.linspace(first, last, points)
    if axis.size != points:
        raise DataError(f"'{path.name}' has {points} points but there are {axis.size} wavenumbers.")
    return RawFile(
        path=path,
        shape=(count, points),
        wavenumber=axis,
        load=lambda: spectra()[1],
        unit=UNIT[y_kind],
        axis_unit=AXIS[x_kind],
    )
