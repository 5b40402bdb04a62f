"""ENVI images: a text header (.hdr) beside a plain binary file.

Header: https://www.nv5geospatialsoftware.com/docs/ENVIHeaderFiles.html, read with Spectral Python.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.raw import (
    RawFile,
    axis_or_refuse,
    axis_unit_of_text,
    check_size,
    reading,
    takes_no_names,
    unit_of_text,
)

NEEDED = ("samples", "lines", "bands", "data type", "interleave", "byte order")
SUFFIXES = ("", ".dat", ".img", ".raw", ".bin", ".bsq", ".bil", ".bip", ".cube")


def data_file(header: Path) -> Path | None:
    """The binary file that belongs to a header, by name: 'x.hdr' or 'x.dat.hdr' beside 'x.dat'."""
    wanted = [header.stem.lower() + suffix for suffix in SUFFIXES]
    beside = {p.name.lower(): p for p in header.parent.iterdir() if p.is_file() and p.suffix.lower() != ".hdr"}
    return next((beside[name] for name in wanted if name in beside), None)


def header_file(data: Path) -> Path | None:
    """The header that belongs to a binary file, where there is one."""
    for header in (data.with_suffix(".hdr"), data.with_name(data.name + ".hdr"), data.with_suffix(".HDR")):
        if header.is_file():
            return header
    return None


def read_envi(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """A cube from its header; the values stay on disk until they are taken."""
    from spectral.io import envi

    takes_no_names(path, names, skip_rows)
    with warnings.catch_warnings(), reading(path, "an ENVI header", "export the image again"):
        warnings.simplefilter("ignore")  # of field names in capitals
        header = {key.lower(): value for key, value in envi.read_envi_header(str(path)).items()}
    if missing := [name for name in NEEDED if not header.get(name)]:
        raise DataError(
            f"the ENVI header '{path.name}' has no field {' and no '.join(map(repr, missing))}; add it as a line of "
            "the header (byte order is 0 for files of Intel machines, 1 for big-endian ones)."
        )
    with reading(path, "an ENVI header", "correct the field, or export the image again"):
        samples, lines, bands = (int(header[name]) for name in ("samples", "lines", "bands"))
        offset, order = int(header.get("header offset") or 0), int(header["byte order"])
        code = envi.envi_to_dtype.get(str(int(header["data type"])))
        envi.check_compatibility(header)
    interleave = str(header["interleave"]).lower()
    if min(samples, lines, bands) < 1 or offset < 0 or order not in (0, 1) or interleave not in ("bsq", "bil", "bip"):
        raise DataError(
            f"the ENVI header '{path.name}' states {samples} samples, {lines} lines, {bands} bands, offset {offset}, "
            f"byte order {order}, interleave '{interleave}'; correct what cannot be."
        )
    if code is None or np.dtype(code).kind not in "fiu":
        raise DataError(f"the ENVI header '{path.name}' states data type {header['data type']}; spectra are real.")
    binary = data_file(path)
    if binary is None:
        raise DataError(f"there is no image beside '{path}'; put its data file there, named '{path.stem}.dat'.")
    dtype = np.dtype(code).newbyteorder("<>"[order])
    what = f"{lines} lines x {samples} samples x {bands} bands from byte {offset}"
    check_size(binary, offset + lines * samples * bands * dtype.itemsize, binary.stat().st_size, what)
    own = None
    if header.get("wavelength"):
        with reading(path, "an ENVI header", "correct its field 'wavelength'"):
            own = np.array([float(value) for value in header["wavelength"]])
    units = header.get("wavelength units", "")
    stored, turn = {
        "bsq": ((bands, lines, samples), (1, 2, 0)),
        "bil": ((lines, bands, samples), (0, 2, 1)),
        "bip": ((lines, samples, bands), (0, 1, 2)),
    }[interleave]
    ignored = header.get("data ignore value")
    notes = [f"{path.name}: the header's 'data ignore value' {ignored} is not applied"] if ignored else []
    return RawFile(
        path=path,
        shape=(lines, samples, bands),
        wavenumber=axis_or_refuse(path, names, own, bands),
        load=lambda: np.memmap(binary, dtype, "r", offset, stored).transpose(turn),
        unit=unit_of_text(str(header.get("data units", ""))),
        axis_unit=axis_unit_of_text(str(units)),
        notes=notes,
        sources=(path, binary),
    )
