"""Bruker OPUS files: the absorbance, transmittance or reflectance among a file's blocks, read with brukeropus.

Block types and parameters: brukeropus (joshduran.github.io/brukeropus).
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats.raw import RawFile, check_size, given_axis, listed, reading, takes_no_names

MAGIC = b"\n\n\xfe\xfe"
LARGEST = 1 << 28  # bytes: blocks are held in memory
# What a result block is called in brukeropus, the unit of its values, in the order of choice.
RESULTS = {"a": "absorbance", "t": "transmittance", "r": "transmittance", "logr": "absorbance", "atr": None}
AXIS = {"WN": "cm-1", "MI": "um"}


def read_opus(path: Path, names: Mapping, *, skip_rows: int = 0) -> RawFile:
    """One spectrum of an OPUS file; ``absorbance`` names the block where several could be meant."""
    takes_no_names(path, names, skip_rows, roles=())
    size = path.stat().st_size
    if size > LARGEST:
        raise DataError(f"'{path.name}' has {size} bytes; export spectra from so large an OPUS file as ENVI.")
    content = path.read_bytes()
    if not content.startswith(MAGIC):
        raise DataError(f"'{path}' does not begin as OPUS files do; copy it again.")
    with reading(path, "an OPUS file", "save it again in OPUS"), contextlib.redirect_stdout(io.StringIO()):
        found = _result_blocks(path, content)
    wanted = names.get("absorbance")
    if wanted is None:
        choice = next((kind for kind in RESULTS if kind in found), None)
        if choice is None:
            raise DataError(
                f"'{path.name}' holds {listed(found) or 'no spectrum'}, none of them absorbance, transmittance or "
                "reflectance; save the result of the measurement in OPUS, or name a block with --absorbance."
            )
        if alike := [name for name in found if name.startswith(choice + "_")]:
            raise DataError(f"'{path.name}' holds {listed([choice, *alike])}: say which with --absorbance NAME.")
    elif wanted in found:
        choice = wanted
    else:
        raise DataError(f"'{path.name}' has no block '{wanted}'; it holds {listed(found)}.")
    x, y, axis_unit = found[choice]
    if axis_unit not in AXIS:
        raise DataError(
            f"block '{choice}' of '{path.name}' is over '{axis_unit}', not over wavenumbers; choose another."
        )
    axis = given_axis(names, path)
    axis = x if axis is None else axis
    if axis.shape != y.shape:
        raise DataError(f"'{path.name}' has {y.size} points but there are {axis.size} wavenumbers.")
    kind = choice.split("_")[0]
    return RawFile(
        path=path,
        shape=(1, y.size),
        wavenumber=axis,
        load=lambda: y[None],
        unit=RESULTS.get(kind),
        axis_unit=AXIS[axis_unit],
        notes=[f"{path.name}: spectrum is block '{choice}' of {listed(found)}"],
    )


def _result_blocks(path: Path, content: bytes) -> dict[str, tuple[np.ndarray, np.ndarray, str]]:
    """Axis, values and axis unit of each single spectrum in a file, by brukeropus' name of it."""
    from brukeropus.file.block import FileBlock, pair_data_and_status_blocks
    from brukeropus.file.data import Data
    from brukeropus.file.parse import parse_directory, parse_header

    _, start, most, _ = parse_header(content)
    if not 0 < start < len(content) or not 0 < most <= len(content) // 12:
        raise DataError(f"'{path}' states a directory of {most} blocks at byte {start}; it is damaged: copy it again.")
    blocks = []
    for kind, size, at in parse_directory(content[start : start + 12 * most]):
        block = FileBlock(filebytes=b"", block_type=kind, size=size, start=at)
        if not (block.is_data_status() or block.is_data()):
            continue  # reports, logs, optics: not needed
        if size < 0:
            raise DataError(f"'{path}' states a block of {size} bytes; it is damaged: copy it again.")
        check_size(path, at + size, len(content), f"a block at byte {at}")
        part = content[at : at + size]
        if block.is_data_status():
            _check_parameters(path, part)
        block = FileBlock(filebytes=content, block_type=kind, size=size, start=at)
        block.parse()
        if not block.parse_error:
            blocks.append(block)
    found = {}
    for values, status in pair_data_and_status_blocks(blocks):
        points = status.data["npt"]
        if not 0 < points <= len(values.data):
            raise DataError(f"'{path.name}' states {points} points in a block of {len(values.data)}; copy it again.")
        key = name = values.get_data_key()
        number = 2
        while name in found:
            name, number = f"{key}_{number}", number + 1
        # brukeropus empties the blocks it has made a spectrum of, and one set of parameters may belong to several.
        kept = dict(status.data)
        spectrum = Data(values, status, key=name, vel=0)
        found[name] = (np.asarray(spectrum.x, np.float64), np.asarray(spectrum.y), str(spectrum.params["dxu"]))
        status.data = kept
    return found


def _check_parameters(path: Path, content: bytes) -> None:
    """Walk the parameters as brukeropus will: forwards, inside the block, no count beyond the file."""
    at = 0
    while at < len(content) and content[at : at + 3] != b"END":
        if at + 8 > len(content):
            raise DataError(f"'{path}' has a block of parameters that is cut off; copy it again.")
        kind, half = struct.unpack_from("<2h", content, at + 4)
        if half < 0:
            raise DataError(f"'{path}' has a parameter of negative length; it is damaged: copy it again.")
        if content[at : at + 3].upper() == b"NPT" and kind == 0 and at + 12 <= len(content):
            points = struct.unpack_from("<i", content, at + 8)[0]
            check_size(path, 4 * points, path.stat().st_size, f"{points} points")
        at += 2 * half + 8
