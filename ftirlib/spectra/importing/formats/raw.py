"""What one file holds, before any value is interpreted: arrays, and the part that each plays.

Spectral axis last; names as they are usual in exports of the field. Nothing is ever unpickled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError, FtirlibError

# Names under which files keep each part, compared in lower case; the user's own name always comes first.
COMMON_NAMES = {
    "absorbance": (
        *("absorbance", "percentt", "percent_t", "%t", "percent_transmittance", "transmittance"),
        *("spectra", "spectrum", "x", "data", "cube", "hypercube"),
    ),
    "wavenumber": ("wavenumber", "wavenumbers", "wn", "wns", "fea_x", "x_axis", "xaxis"),
    "label": ("label", "labels", "class", "classes", "type", "diagnosis", "y", "target"),
    "group": ("group", "groups", "patient", "patients", "patient_id", "subject", "donor", "groupcodes"),
    "image": ("image", "images", "core", "sample"),
    "row": ("row",),
    "col": ("col", "column"),
    "pixel_size_um": ("pixel_size_um", "pixel_um"),
}
UNIT_OF_NAME = {
    "absorbance": "absorbance",
    "transmittance": "transmittance",
    **dict.fromkeys(("percentt", "percent_t", "%t", "percent_transmittance"), "percent"),
}
# Deflate packs at most 1032 : 1 (RFC 1951); a header that claims more than that cannot be honest.
MOST_PACKED = 1032
TILE = (200, 256)  # bands and pixels turned at a time from bands first to bands last: 200 kB, which caches hold
LINE = 16  # values in a line of the cache


@dataclass
class RawFile:
    """What one file holds.

    Attributes
    ----------
    path : Path
    shape : tuple of int
        (n_spectra, n_wavenumbers) of a table, (rows, columns, n_wavenumbers) of a cube.
    wavenumber : (n_wavenumbers,) float64 array
        As in the file: any order, any unit.
    load : callable
        Gives the spectra: an array of `shape` (which may lie on disk), or `Pixels`.
    unit : str or None
        What the file says its values are; None when it says nothing.
    axis_unit : str or None
        What the file says its axis is in, of `units.AXIS_UNITS`.
    columns : dict
        label, group, image : (n_spectra,) str arrays; row, col : (n_spectra,) int arrays; only those present.
        Rows and columns of a cube follow from its shape.
    pixel_size_um : float or None
    notes : list of str
        What was taken for what.
    sources : tuple of Path
        Every file that was read, when it is not `path` alone.
    """

    path: Path
    shape: tuple[int, ...]
    wavenumber: np.ndarray
    load: Callable[[], np.ndarray | Pixels]
    unit: str | None = None
    axis_unit: str | None = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    pixel_size_um: float | None = None
    notes: list[str] = field(default_factory=list)
    sources: tuple[Path, ...] = ()

    @property
    def n_spectra(self) -> int:
        return int(np.prod(self.shape[:-1]))


class Pixels:
    """Spectra by their number, whatever the order of axes in which they are stored.

    Parameters
    ----------
    values : (n, n_wavenumbers) or (rows, columns, n_wavenumbers) array
        Any strides; may be a memory map, of which only what is taken is read.
    """

    def __init__(self, values: np.ndarray):
        self.values = np.asarray(values)  # slices of a plain array cost less than those of a memory map

    def __len__(self):
        return int(np.prod(self.values.shape[:-1]))

    def take(self, start: int, stop: int) -> np.ndarray:
        """Spectra `start` to `stop`, (n, n_wavenumbers)."""
        values = self.values
        if values.ndim == 2:
            return np.asarray(values[start:stop])
        n_wavenumbers = values.shape[-1]
        bands_first = values.transpose(2, 0, 1)
        if bands_first.flags.c_contiguous:
            return bands_last(bands_first.reshape(n_wavenumbers, -1)[:, start:stop])
        width = values.shape[1]
        first, last = start // width, -(-stop // width)
        if values.strides[-1] == values.itemsize:
            rows = values[first:last].reshape(-1, n_wavenumbers)
        else:
            rows = np.empty((last - first, width, n_wavenumbers), values.dtype)
            for row in range(first, last):
                bands_last(values[row].T, rows[row - first])
            rows = rows.reshape(-1, n_wavenumbers)
        return rows[start - first * width : stop - first * width]


def bands_last(values: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """(n_wavenumbers, n) to (n, n_wavenumbers), in `out` where it is given: several times faster than ``values.T``.

    A tile is copied before it is turned. Its rows then lie an odd number of cache lines apart, while those of an
    image of 128 x 128 pixels are 64 kB apart, and all would fall on the same few lines of the cache.
    """
    n_bands, n_pixels = values.shape
    if out is None:
        out = np.empty((n_pixels, n_bands), values.dtype)
    bands, pixels = TILE
    tile = np.empty((bands, pixels + LINE), values.dtype)
    for pixel in range(0, n_pixels, pixels):
        for band in range(0, n_bands, bands):
            part = values[band : band + bands, pixel : pixel + pixels]
            copy = tile[: part.shape[0], : part.shape[1]]
            copy[...] = part
            out[pixel : pixel + pixels, band : band + bands] = copy.T
    return out


@contextmanager
def reading(path: Path, what: str, remedy: str) -> Iterator[None]:
    """The seam around another library's reader: on damaged bytes those raise nearly every error there is."""
    try:
        yield
    except FtirlibError:
        raise
    except Exception as error:
        said = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise DataError(f"'{path}' cannot be read as {what} ({said}); {remedy}.") from None


def check_size(path: Path, claimed: int, present: int, what: str) -> None:
    """Refuse a header that claims more bytes than there are, before anything is allocated for them."""
    if claimed > present:
        raise DataError(
            f"'{path.name}' states {what}, which take {claimed} bytes, but holds {present}: it is truncated or its "
            "header is wrong; copy it again."
        )


def find_name(present, role: str, wanted: str | None, path: Path) -> str | None:
    """The name in `present` that plays `role`: the one asked for, or the only common one.

    An empty `wanted` says that the file has none; None asks to detect it. Of a name with points (a property of an
    object) the last part counts.

    Raises
    ------
    DataError
        When the name asked for is absent, or several common names are present.
    """
    present = list(present)
    if wanted == "":
        return None
    if wanted is not None:
        if wanted not in present:
            raise DataError(f"'{path.name}' has no '{wanted}' for the {role}; it holds {listed(present)}.")
        return wanted
    found = [name for name in present if name.lower().rpartition(".")[2] in COMMON_NAMES[role]]
    if len(found) > 1:
        raise DataError(f"'{path.name}' holds {listed(found)}: say which is the {role} with --{role} NAME.")
    return found[0] if found else None


def listed(names) -> str:
    """Names in quotes, the first dozen of them."""
    names = [repr(str(name)) for name in names]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def unit_of_text(text: str) -> str | None:
    """The unit of values from how files write it: '%T', 'Absorbance', 'TRANSMITTANCE'; None when it is none of them.

    Reflectance is taken like transmittance: absorbance is then log(1/R).
    """
    text = re.sub(r"[\s_.\-]", "", text.lower())
    if text in ("%t", "%r") or re.match(r"(%|percent)(trans|refl)", text):
        return "percent"
    if text in ("a", "abs", "au", "log(1/r)", "log(1/t)") or text.startswith("absorbance"):
        return "absorbance"
    return "transmittance" if text in ("t", "r") or text.startswith(("transm", "reflec")) else None


def axis_unit_of_text(text: str) -> str | None:
    """The unit of an axis from how files write it: '1/CM', 'Micrometers'; None when it is none of them."""
    text = re.sub(r"[\s_^{}()\-]", "", text.lower())
    if text in ("1/cm", "cm1", "wavenumber", "wavenumbers", "wavenumbercm1", "wavenumberscm1"):
        return "cm-1"
    if text in ("um", "µm", "μm", "micron", "microns") or text.startswith(("micromet", "wavelengthmicromet")):
        return "um"
    return "nm" if text == "nm" or text.startswith("nanomet") else None


def as_text(values) -> np.ndarray:
    """Names as one str each: bytes decoded, whole numbers without a point, NaN and blanks empty (unknown)."""
    values = np.asarray(values).reshape(-1)
    if values.dtype.kind == "f":
        known = np.isfinite(values)
        whole = np.where(known, values, 0)
        text = whole.astype(np.int64).astype(str) if (whole == np.round(whole)).all() else values.astype(str)
        return np.where(known, text, "")
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    return np.char.strip(values.astype(str))


def given_axis(names: Mapping, path: Path) -> np.ndarray | None:
    """The axis that the user gave as numbers; refuses a name, for formats in which arrays have none."""
    wanted = names.get("wavenumber")
    if isinstance(wanted, str):
        raise DataError(f"the arrays of '{path.name}' have no names; leave out --wavenumber {wanted}.")
    return None if wanted is None else np.asarray(wanted, np.float64).reshape(-1)


def takes_no_names(path: Path, names: Mapping, skip_rows: int, roles=("absorbance",)) -> None:
    """Refuse options that have no meaning for a format without named arrays and without lines."""
    takes_no_skip(path, skip_rows)
    for role in (*roles, "label", "group", "image"):
        if names.get(role):
            raise DataError(
                f"'{path.name}' holds no '{names[role]}' for the {role}; leave out --{role}, and describe files with "
                "a table of labels."
            )


def takes_no_skip(path: Path, skip_rows: int) -> None:
    """Refuse to pass over lines of a file that has none."""
    if skip_rows:
        raise DataError(f"'{path.name}' is no text table, so there are no lines to pass over; leave out --skip-rows.")


def axis_or_refuse(path: Path, names: Mapping, own: np.ndarray | None, n: int) -> np.ndarray:
    """The axis of a cube without names: the user's, else the file's own, of the right length."""
    axis = given_axis(names, path)
    axis = own if axis is None else axis
    if axis is None:
        raise DataError(
            f"'{path.name}' states no wavenumbers for its {n} bands; export it with them, or give them from Python "
            "(wavenumber=...)."
        )
    if axis.shape != (n,):
        raise DataError(f"'{path.name}' has {n} bands but there are {axis.size} wavenumbers; give one for each band.")
    return axis
