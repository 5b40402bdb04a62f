"""PerkinElmer Spotlight images (.fsm): blocks of an identifier, a size and a content, little-endian.

Block 5100 states the grid and its units, each block 5105 is one spectrum; as in specio (G. Lemaitre, BSD-3).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.raw import RawFile, axis_or_refuse, axis_unit_of_text, check_size, takes_no_names
from ftirlib.spectra.importing.formats.raw import unit_of_text as value_unit

MAGIC = b"PEPE"
HEADER = 44  # bytes of magic and description
BLOCK = struct.Struct("<Hi")
GRID = struct.Struct("<10d3i")
IMAGE, SPECTRUM = 5100, 5105


def read_fsm(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """A map from its blocks; the spectra stay on disk until they are taken."""
    takes_no_names(path, names, skip_rows)
    size = path.stat().st_size
    grid = None
    with open(path, "rb") as file:
        if file.read(4) != MAGIC:
            raise DataError(f"'{path}' does not begin with {MAGIC.decode()}; it is no PerkinElmer file.")
        at = HEADER
        while True:
            file.seek(at)
            start = file.read(BLOCK.size)
            if len(start) < BLOCK.size:
                raise DataError(f"'{path}' ends before its first spectrum; it is truncated: copy it again.")
            kind, length = BLOCK.unpack(start)
            if kind == SPECTRUM:
                break
            if length < 0 or at + BLOCK.size + length > size:
                raise DataError(f"'{path.name}': block {kind} at byte {at} states {length} bytes, more than there are.")
            if kind == IMAGE:
                grid = file.read(length)
            at += BLOCK.size + length
    if grid is None:
        raise DataError(f"'{path}' has no block {IMAGE} with the grid of an image; only .fsm images are read.")
    try:
        named = 2 + struct.unpack_from("<h", grid)[0]
        x_step, y_step, z_step, z_first, z_last, *_, n_x, n_y, n_z = GRID.unpack_from(grid, named)
    except struct.error:
        raise DataError(
            f"'{path}': its block {IMAGE} of {len(grid)} bytes is too short; copy the file again."
        ) from None
    if min(n_x, n_y) < 1 or n_z < 2 or not np.isfinite([z_step, z_first, z_last]).all():
        raise DataError(f"'{path.name}' states {n_x} x {n_y} pixels of {n_z} points; copy the file again.")
    if abs(z_first + (n_z - 1) * z_step - z_last) > 0.5 * abs(z_step):
        raise DataError(
            f"'{path.name}' states {n_z} points from {z_first:g} to {z_last:g} by {z_step:g} cm-1, which disagree; "
            "copy the file again."
        )
    block = np.dtype([("kind", "<u2"), ("length", "<i4"), ("y", "<f4", (n_z,))]) if n_z <= size // 4 else None
    itemsize = BLOCK.size + 4 * n_z
    check_size(path, at + n_x * n_y * itemsize, size, f"{n_x} x {n_y} spectra of {n_z} points")
    heads = np.memmap(path, block, "r", at, (n_x * n_y,))
    if (heads["kind"] != SPECTRUM).any() or (heads["length"] != 4 * n_z).any():
        raise DataError(f"'{path.name}': its spectra do not follow one another, or differ in length; copy it again.")
    words = _texts(grid[named + GRID.size :])
    units = [word for word in words if value_unit(word) is not None]
    return RawFile(
        path=path,
        shape=(n_y, n_x, n_z),
        wavenumber=axis_or_refuse(path, names, z_first + z_step * np.arange(n_z), n_z),
        load=lambda: np.memmap(path, block, "r", at, (n_y, n_x))["y"],
        unit=value_unit(units[-1]) if units else None,
        axis_unit=next((unit for unit in map(axis_unit_of_text, words) if unit == "cm-1"), None),
        pixel_size_um=_pixel_size(x_step, y_step),
    )


def _pixel_size(x_step: float, y_step: float) -> float | None:
    """Spacing of the grid in um where it is square; instruments store it with an error of about 1e-7."""
    x, y = abs(x_step), abs(y_step)
    return float(f"{x:.6g}") if np.isfinite([x, y]).all() and x > 0 and abs(x - y) <= 1e-3 * x else None


def _texts(content: bytes) -> list[str]:
    """Texts of a block, each after its length: names of the axes, unit of the axis, unit of the values."""
    found, at = [], 0
    while at + 2 <= len(content):
        length = struct.unpack_from("<h", content, at)[0]
        text = content[at + 2 : at + 2 + length] if 0 < length <= 64 else b""
        if len(text) == length and text.isascii() and length > 0:
            found.append(text.decode("ascii"))
            at += 2 + length
        else:
            at += 1
    return found
