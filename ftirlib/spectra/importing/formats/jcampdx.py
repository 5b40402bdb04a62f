"""JCAMP-DX spectra, compressed (ASDF) or not, read with jcamp.

R. S. McDonald, P. A. Wilks, Appl. Spectrosc. 42 (1988) 151, doi:10.1366/0003702884428734.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.raw import (
    RawFile,
    axis_unit_of_text,
    given_axis,
    listed,
    reading,
    takes_no_names,
    unit_of_text,
)

LARGEST = 1 << 25  # bytes of text: a spectrum of a million points has about 10 MB


def is_jcamp(start: bytes) -> bool:
    """Whether a file begins as JCAMP-DX: its first line that is no comment is the title."""
    for line in start.removeprefix(b"\xef\xbb\xbf").splitlines():
        line = line.strip().upper()
        if line and not line.startswith(b"$$"):
            return line.startswith(b"##") and line[2:].lstrip().startswith((b"TITLE", b"JCAMP"))
    return False


def read_jcamp(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """The spectrum of a file, or the spectra of a compound file when they share an axis."""
    import jcamp

    takes_no_names(path, names, skip_rows)
    if (size := path.stat().st_size) > LARGEST:
        raise DataError(f"'{path.name}' has {size} bytes, too many for JCAMP-DX text; export it as ENVI.")
    content = path.read_bytes()
    if not is_jcamp(content[:4096]):
        raise DataError(f"'{path}' does not begin with ##TITLE as JCAMP-DX does; copy it again.")
    _check_counts(path, content)
    said = io.StringIO()
    with reading(path, "JCAMP-DX", "export it again, uncompressed (AFFN)"), contextlib.redirect_stdout(said):
        whole = jcamp.read(io.BytesIO(content))
        spectra = [_spectrum(path, part) for part in whole.get("children") or [whole]]
    if not spectra:
        raise DataError(f"'{path.name}' holds no spectrum; export it again.")
    axis, _, unit, axis_unit = spectra[0]
    for other in spectra[1:]:
        if other[0].shape != axis.shape or not np.allclose(other[0], axis) or other[2:] != (unit, axis_unit):
            raise DataError(
                f"'{path.name}' holds {len(spectra)} spectra on different axes or in different units "
                f"({', '.join(f'{s[0].size} points' for s in spectra[:6])}); export each to its own file."
            )
    own = given_axis(names, path)
    notes = [f"{path.name}: {line}" for line in said.getvalue().splitlines()[:3] if "failed" in line]
    if own is not None and own.shape != axis.shape:
        raise DataError(f"'{path.name}' has {axis.size} points but there are {own.size} wavenumbers.")
    values = np.stack([spectrum[1] for spectrum in spectra])
    return RawFile(
        path=path,
        shape=values.shape,
        wavenumber=axis if own is None else own,
        load=lambda: values,
        unit=unit,
        axis_unit=axis_unit,
        notes=notes,
    )


def _check_counts(path: Path, content: bytes) -> None:
    """No count of points beyond what the text can hold: each takes a character at least, nine with ASDF's repeats."""
    for line in content.decode("utf-8", "ignore").splitlines():
        name, _, value = line.strip("#").partition("=")
        value = value.strip()
        if name.strip().lower() == "npoints" and value.isdigit() and (len(value) > 12 or int(value) > 9 * len(content)):
            raise DataError(f"'{path.name}' states {value[:16]} points in {len(content)} bytes; copy it again.")


def _spectrum(path: Path, part: Mapping) -> tuple[np.ndarray, np.ndarray, str | None, str | None]:
    """Axis, values, unit and axis unit of one block."""
    x, y = np.asarray(part.get("x", ()), np.float64), np.asarray(part.get("y", ()), np.float64)
    stated = part.get("npoints", x.size)
    if y.size < 2 or x.shape != y.shape or stated != y.size:
        raise DataError(
            f"'{path.name}' states {stated} points but {y.size} values could be read; it is truncated or of a form "
            "that is not read (only (X++(Y..Y)) and (XY..XY) are): export it again."
        )
    kind = str(part.get("data type", part.get("datatype", "infrared"))).lower()
    if "infrared" not in kind and "ir" not in kind.split():
        raise DataError(f"'{path.name}' holds '{kind}', not an infrared spectrum; take it out of the folder.")
    written = str(part.get("xunits", ""))
    axis_unit = axis_unit_of_text(written)
    if written and axis_unit is None:
        raise DataError(f"the axis of '{path.name}' is in {listed([written])}; wavenumbers are 1/CM or MICROMETERS.")
    return x, y, unit_of_text(str(part.get("yunits", ""))), axis_unit
