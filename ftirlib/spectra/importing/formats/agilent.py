"""Agilent focal-plane-array images: single tiles (.bsp, .seq beside .dat) and mosaics (.dmt beside .dmd tiles).

Layout: A. Henderson, agilent-file-formats (bitbucket.org/AlexHenderson/agilent-file-formats), as in agilent-format.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.raw import (
    Pixels,
    RawFile,
    axis_or_refuse,
    bands_last,
    check_size,
    reading,
    takes_no_names,
)

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PREAMBLE = 255  # floats before the first band of a tile
TILE_SIDES = tuple(2**k for k in range(1, 8))


def _beside(path: Path) -> dict[str, Path]:
    return {p.name.lower(): p for p in path.parent.iterdir() if p.is_file()}


def companions(path: Path) -> set[Path]:
    """The files that belong to an index file: tiles, previews, interferograms, and an ENVI header of the same image."""
    stem = re.escape(path.stem.lower())
    belongs = re.compile(rf"{stem}(_\d{{4}}_\d{{4}})?\.(dat|seq|hdr|dms|dmd|drd|bsp|dmt|bmp)")
    return {p for name, p in _beside(path).items() if belongs.fullmatch(name)} - {path}


def index_file(data: Path) -> Path | None:
    """The index file that a data file or interferogram belongs to, where there is one."""
    beside = _beside(data)
    stem = re.sub(r"_\d{4}_\d{4}$", "", data.stem.lower())
    return next((beside[stem + suffix] for suffix in (".bsp", ".dmt") if stem + suffix in beside), None)


def read_agilent(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """A tile or mosaic from its index file; the values stay on disk until they are taken.

    Rows are in the order of the file, as agilent-format gives them.
    """
    takes_no_names(path, names, skip_rows)
    with open(path, "rb") as file:
        header = file.read()
    if not header.startswith(OLE) or len(header) < 2240:
        raise DataError(f"'{path}' is no Agilent index file, or a truncated one; copy the whole folder again.")
    step, first, n = (
        struct.unpack_from(kind, header, at)[0] for kind, at in (("<d", 2216), ("<i", 2228), ("<i", 2236))
    )
    if n < 2 or not np.isfinite(step) or step <= 0 or first < 0:
        raise DataError(f"'{path.name}' states {n} points from {first} by {step:g} cm-1; copy the folder again.")
    beside = _beside(path)
    stem = path.stem.lower()
    if path.suffix.lower() == ".dmt":
        places = {}
        for name, tile in beside.items():
            if found := re.fullmatch(re.escape(stem) + r"_(\d{4})_(\d{4})\.dmd", name):
                places[int(found[1]), int(found[2])] = tile
        if not places:
            raise DataError(f"there are no tiles '{path.stem}_0000_0000.dmd' beside '{path}'; copy the whole folder.")
        n_x, n_y = (max(place[k] for place in places) + 1 for k in (0, 1))
        for place in np.ndindex(n_x, n_y):
            if place not in places:
                raise DataError(
                    f"the mosaic '{path.name}' lacks the tile {place[0]:04d}_{place[1]:04d}; copy it again."
                )
        tiles = [[places[x, y] for x in range(n_x)] for y in range(n_y)]
    elif (data := beside.get(stem + ".dat")) is not None:
        tiles = [[data]]
    else:
        raise DataError(f"there is no '{path.stem}.dat' with the spectra beside '{path}'; copy the whole folder.")
    side = _side(tiles[0][0], n)
    for tile in (tile for line in tiles for tile in line):
        what = f"{side} x {side} pixels x {n} points"
        check_size(tile, 4 * (PREAMBLE + side * side * n), tile.stat().st_size, what)
    return RawFile(
        path=path,
        shape=(len(tiles) * side, len(tiles[0]) * side, n),
        wavenumber=axis_or_refuse(path, names, step * (first + np.arange(n)), n),
        load=lambda: _Mosaic(tiles, side, n),
        axis_unit="cm-1",
        pixel_size_um=_pixel_size(path, header),
        sources=(path, *(tile for line in tiles for tile in line)),
    )


def _side(tile: Path, n: int) -> int:
    """Pixels along a tile's edge, from the file's size: 2 to 128, a power of two."""
    size = tile.stat().st_size
    for side in TILE_SIDES:
        if size == 4 * (PREAMBLE + side * side * n):
            return side
    raise DataError(
        f"'{tile.name}' holds {size} bytes, which is no square tile of 2 to 128 pixels with {n} points each: it is "
        "truncated or belongs to another image; copy the folder again."
    )


def _pixel_size(path: Path, header: bytes) -> float | None:
    """Width of a pixel of the array times the pixels that were added up into one; None where the file lacks it."""
    from agilent_format import agilent

    try:
        with reading(path, "an Agilent index file", ""), open(path, "rb") as file:
            found = agilent._get_params(file)
        width, added = float(found["FPA Pixel Size"]), int(found.get("PixelAggregationSize", 1))
    except (DataError, KeyError, ValueError, OverflowError):
        return None
    return width * added if 0.1 <= width <= 100 and 1 <= added <= 128 else None


class _Mosaic(Pixels):
    """Pixels of square tiles, of which only those touched are read."""

    def __init__(self, tiles, side: int, n: int):
        self.tiles, self.side, self.n = tiles, side, n
        self._open: dict[Path, np.ndarray] = {}

    def __len__(self):
        return len(self.tiles) * len(self.tiles[0]) * self.side**2

    def take(self, start: int, stop: int) -> np.ndarray:
        side, n = self.side, self.n
        width = len(self.tiles[0]) * side
        first, last = start // width, -(-stop // width)
        rows = np.empty((last - first, width, n), np.float32)
        for row in range(first, last):
            line, inside = divmod(row, side)
            for x, tile in enumerate(self.tiles[len(self.tiles) - 1 - line]):  # tiles are numbered from the top
                bands = self._bands(tile)[:, inside * side : (inside + 1) * side]
                bands_last(bands, rows[row - first, x * side : (x + 1) * side])
        return rows.reshape(-1, n)[start - first * width : stop - first * width]

    def _bands(self, tile: Path) -> np.ndarray:
        if tile not in self._open:
            if len(self._open) > len(self.tiles[0]):  # one line of tiles at a time
                self._open.clear()
            self._open[tile] = np.asarray(np.memmap(tile, "<f4", "r", 4 * PREAMBLE, (self.n, self.side**2)))
        return self._open[tile]
