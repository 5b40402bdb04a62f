"""Seconds to import cubes of each layout, beside reading the same bytes with NumPy: the fastest of several.

python benchmarks/importing_files.py [--pixels 128] [--points 800] [--images 8] [--repeats 3] [--json FILE]

"raw" is numpy.fromfile; "read" gives every spectrum as a row in memory through the reader; "memory" also tells the
unit, checks the values and converts them to absorbance; "store" writes the compressed store besides. Files are in the
system's cache, which is the hardest case; the values are noise, which packs worst. Last, a folder of images is
imported without workers, and by one and by two of them, their start included.
"""

import argparse
import json
import mmap
import shutil
import struct
import tempfile
import time
from pathlib import Path

import numpy as np

from ftirlib.engine.cluster import open_executor
from ftirlib.spectra.importing.formats import Pixels, recognise
from ftirlib.spectra.importing.readers import import_spectra
from ftirlib.spectra.model import CHUNK

FIRST, STEP = 900, 4.0  # first point and spacing, cm-1


def write_envi(folder: Path, cube: np.ndarray, interleave: str) -> tuple[Path, Path]:
    """An ENVI image of a (rows, columns, points) cube."""
    rows, columns, points = cube.shape
    order = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}[interleave]
    data = folder / f"{interleave}.dat"
    np.ascontiguousarray(cube.transpose(order)).tofile(data)
    header = folder / f"{interleave}.hdr"
    axis = ", ".join(f"{FIRST + STEP * k:g}" for k in range(points))
    header.write_text(
        f"ENVI\nsamples = {columns}\nlines = {rows}\nbands = {points}\nheader offset = 0\ndata type = 4\n"
        f"interleave = {interleave}\nbyte order = 0\nwavelength units = Wavenumber\nwavelength = {{ {axis} }}\n"
    )
    return header, data


def write_agilent(folder: Path, cube: np.ndarray) -> tuple[Path, Path]:
    """A single Agilent tile of a square cube whose side is a power of two."""
    points = cube.shape[2]
    index = bytearray(4096)
    index[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<d", index, 2216, STEP)
    struct.pack_into("<i", index, 2228, int(FIRST / STEP))
    struct.pack_into("<i", index, 2236, points)
    path = folder / "tile.bsp"
    path.write_bytes(index)
    data = folder / "tile.dat"
    with open(data, "wb") as file:
        np.zeros(255, "<f4").tofile(file)
        np.ascontiguousarray(cube.transpose(2, 0, 1)).tofile(file)
    return path, data


def write_fsm(folder: Path, cube: np.ndarray) -> tuple[Path, Path]:
    """A PerkinElmer image of a cube in per cent."""
    rows, columns, points = cube.shape
    name, last = b"Image", FIRST + STEP * (points - 1)
    texts = b"".join(struct.pack("<h", len(t)) + t for t in (b"Y - micrometers", b"X - micrometers", b"cm-1", b"%T"))
    grid = struct.pack("<h", len(name)) + name
    grid += struct.pack("<10d3i", 6.25, 6.25, STEP, FIRST, last, 0, 0, 0, 0, FIRST, columns, rows, points) + texts
    blocks = np.zeros(rows * columns, np.dtype([("kind", "<u2"), ("length", "<i4"), ("y", "<f4", (points,))]))
    blocks["kind"], blocks["length"], blocks["y"] = 5105, 4 * points, cube.reshape(-1, points)
    path = folder / "map.fsm"
    with open(path, "wb") as file:
        file.write(b"PEPE" + b"DataSet - 4DConst3DInterval".ljust(40, b"\0"))
        file.write(struct.pack("<Hi", 5100, len(grid)) + grid)
        blocks.tofile(file)
    return path, path


def read_all(path: Path) -> int:
    """Every spectrum of a file as a row in memory, block by block; their number."""
    start, form = recognise(path)
    file = form.read(start, {})
    loaded = file.load()
    pixels = loaded if isinstance(loaded, Pixels) else Pixels(loaded)
    for first in range(0, len(pixels), CHUNK):
        block = pixels.take(first, min(first + CHUNK, len(pixels)))
        if lies_on_disk(block):
            block = block.copy()
    return len(pixels)


def lies_on_disk(values: np.ndarray) -> bool:
    """Whether an array is a view of a memory map, whose values are read when they are used."""
    while isinstance(values, np.ndarray):
        values = values.base
    return isinstance(values, mmap.mmap)


def fastest(works: dict, repeats: int) -> dict[str, float]:
    """Least seconds of a call of each, taken in turns, so that what else the machine does strikes all alike."""
    least = dict.fromkeys(works, float("inf"))
    for _ in range(repeats):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            least[name] = min(least[name], time.perf_counter() - started)
    return least


def import_by(workers: int, folder: Path, store: Path) -> None:
    """Import a folder, read by so many processes; 0: by this one."""
    if not workers:
        import_spectra(folder, store, overwrite=True)
        return
    with open_executor(workers=workers) as executor:
        import_spectra(folder, store, overwrite=True, executor=executor, ahead=2 * workers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=128, help="along each side, a power of two")
    parser.add_argument("--points", type=int, default=800)
    parser.add_argument("--images", type=int, default=8, help="of the folder that workers read")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    shape = (arguments.pixels, arguments.pixels, arguments.points)
    percent = np.random.default_rng(0).uniform(5, 95, shape).astype(np.float32)
    absorbance = -np.log10(percent / 100)
    folder = Path(tempfile.mkdtemp())
    try:
        files = {f"ENVI {kind}": write_envi(folder, absorbance, kind) for kind in ("bip", "bil", "bsq")}
        files |= {"Agilent": write_agilent(folder, absorbance), "PerkinElmer .fsm": write_fsm(folder, percent)}
        found = {}
        print(f"{shape[0]} x {shape[1]} pixels x {shape[2]} points, {absorbance.nbytes / 1e6:.0f} MB")
        print(f"{'seconds':18}" + "".join(f"{name:>9}" for name in ("raw", "read", "memory", "store", "raw/read")))
        for name, (path, data) in files.items():
            store = folder / "out.zarr"
            works = {
                "raw": lambda data=data: np.fromfile(data, np.uint8),
                "read": lambda path=path: read_all(path),
                "memory": lambda path=path: import_spectra(path),
                "store": lambda path=path, store=store: import_spectra(path, store, overwrite=True),
            }
            took = fastest(works, arguments.repeats)
            found[name] = took
            print(f"{name:18}" + "".join(f"{t:9.3f}" for t in [*took.values(), took["raw"] / took["read"]]))
        many = folder / "many"
        many.mkdir()
        header, data = write_envi(folder, absorbance, "bil")
        for k in range(arguments.images):
            (many / f"{k}.hdr").write_text(header.read_text())
            (many / f"{k}.dat").symlink_to(data)
        works = {f"{n} workers": lambda n=n: import_by(n, many, store) for n in (0, 1, 2)}
        found["folder"] = fastest(works, arguments.repeats)
        print(f"store of {arguments.images} images, ENVI bil:")
        for name, seconds in found["folder"].items():
            print(f"{name:18}{seconds:9.3f}")
    finally:
        shutil.rmtree(folder)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
