"""Blocks of absorbance of one file: what is read at a time, by the importing process or by its workers.

Conversion of transmittance: A = -log10(T), Beer-Lambert (IUPAC Gold Book, doi:10.1351/goldbook.A00028).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from ftirlib.engine.workers import outcomes
from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.importing.formats import Pixels
from ftirlib.spectra.importing.import_plan import PlannedFile, axis_of, columns_of, positions
from ftirlib.spectra.importing.units import detect_unit, to_absorbance
from ftirlib.spectra.model import CHUNK, UNKNOWN

SAMPLES = 8  # places in a file whose values tell their unit
PART = 4 * CHUNK  # most spectra of a file that a worker reads at a time, where its format allows parts


@dataclass(frozen=True)
class Reading:
    """How spectra become blocks, in plain values that go to a worker with each part of a file.

    Parameters
    ----------
    wanted : mapping
        Names of the arrays; see `import_spectra`, as for all here but the last.
    limits : mapping
        low, high, step.
    names : mapping
        {"label", "group", "image"}: the names that the codes of a block count.
    """

    wanted: Mapping
    limits: Mapping
    names: Mapping[str, Sequence[str]]
    unit: str | None = None
    floor: float | None = None
    wavenumber_unit: str | None = None
    skip_rows: int = 0
    invalid: str = "refuse"


class Block(NamedTuple):
    """Absorbance (n, n_wavenumbers) float32, the coordinates of its spectra, and what was found of the file."""

    absorbance: np.ndarray
    coords: dict[str, np.ndarray]
    notes: list[str]


def files_blocks(
    files: Sequence[PlannedFile], how: Reading, executor: Executor | None = None, ahead: int = 1
) -> Iterator[Iterator[Block]]:
    """The blocks of each file in order, to be taken before those of the next; `ahead` parts are read in advance."""
    if executor is None:
        yield from (read_blocks(file, how) for file in files)
        return
    parts = [(number, file, part) for number, file in enumerate(files) for part in _parts(file)]
    tasks = ((file, how, *part) for _, file, part in parts)
    with closing(outcomes(read_part, tasks, executor, ahead)) as results:
        for _, of_file in groupby(zip(map(itemgetter(0), parts), results), key=itemgetter(0)):
            yield chain.from_iterable(result() for _, result in of_file)


def _parts(file: PlannedFile) -> list[tuple[int, int]]:
    """First spectrum and the one after the last of each part; blocks begin where those of the whole file do."""
    n, most = file.n_spectra, PART if file.in_parts else file.n_spectra
    return [(start, min(start + most, n)) for start in range(0, max(n, 1), max(most, 1))]


def read_part(file: PlannedFile, how: Reading, start: int, stop: int) -> list[Block]:
    """Blocks of spectra `start` to `stop` of a file: the task of a worker."""
    return list(read_blocks(file, how, start, stop))


def read_blocks(file: PlannedFile, how: Reading, start: int = 0, stop: int | None = None) -> Iterator[Block]:
    """Read a file, or the spectra `start` to `stop` of it, `CHUNK` spectra at a time.

    Spectra with NaN or infinite values are left out where `invalid` is "drop"; a block may then be empty.

    Raises
    ------
    DataError, SettingsError
        See `import_spectra`.
    """
    raw = file.read(file.path, how.wanted, skip_rows=how.skip_rows)
    columns = columns_of(raw, file.described, file.name)
    codes = {role: _codes(columns[role], names) for role, names in how.names.items()}
    axis = axis_of(raw, how.wavenumber_unit, **how.limits)
    loaded = raw.load()
    pixels = loaded if isinstance(loaded, Pixels) else Pixels(loaded)
    name, unit, notes = raw.path.name, how.unit, []
    if unit is None:
        unit = detect_unit(_sample(pixels), raw.unit, name, notes)
    if how.floor is not None and unit == "absorbance":
        raise SettingsError(f"'{name}' holds absorbance, to which a floor of the transmittance does not apply.")
    last = len(pixels) if stop is None else stop
    for first in range(start, last, CHUNK):
        block = axis.select(pixels.take(first, min(first + CHUNK, last)))
        usable = np.isfinite(block).all(axis=1)
        if not usable.all():
            if how.invalid == "refuse":
                raise DataError(
                    f"'{name}': spectrum {first + int(np.argmin(usable))} and {(~usable).sum() - 1} more in its block "
                    "hold NaN or infinite values; keep a range without them (--low, --high), or leave the spectra out "
                    "(--invalid drop)."
                )
            block = block[usable]
        if len(block):
            block = axis.resample(to_absorbance(block, unit, floor=how.floor, name=name))
            block = _single_precision(block, name)
        else:
            block = np.empty((0, axis.wavenumber.size), np.float32)
        rows = first + np.flatnonzero(usable)
        coords = {role: codes[role][rows] for role in codes} | positions(raw, columns, rows)
        yield Block(block, coords, notes if first == 0 else [])


def _codes(names: np.ndarray, known: Sequence[str]) -> np.ndarray:
    """Positions of names in a list, UNKNOWN for the empty one."""
    lookup = {name: k for k, name in enumerate(known)} | {"": UNKNOWN}
    if names.size and names.strides == (0,):  # one name for all
        return np.broadcast_to(lookup[str(names[0])], names.shape)
    return np.array([lookup[name] for name in names.tolist()], dtype=np.int64)


def _sample(pixels: Pixels) -> np.ndarray:
    """Spectra from all over a file, 1000 at most, by whose values their unit is told."""
    each = 1000 // SAMPLES
    starts = np.linspace(0, max(len(pixels) - each, 0), SAMPLES).astype(int)
    if len(pixels) <= each * SAMPLES:
        starts, each = [0], len(pixels)
    return np.concatenate([pixels.take(start, min(start + each, len(pixels))) for start in starts])


def _single_precision(values: np.ndarray, name: str) -> np.ndarray:
    """Values as they are stored; what float32 cannot hold is refused."""
    if values.dtype == np.float32:
        return values
    with np.errstate(over="ignore"):
        stored = values.astype(np.float32)
    if not np.isfinite(stored).all():
        raise DataError(
            f"'{name}' holds values up to {np.abs(values).max():.3g}, which are no absorbance; check the file."
        )
    return stored
