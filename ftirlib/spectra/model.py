"""What a data set is: one labelled table of absorbance spectra, on disk one Zarr store.

The layout (names, units, what -1 means) is stated once, in `validate_spectra`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.engine.places import file_system, is_remote, resolved
from ftirlib.errors import DataError

SCHEMA = "ftirlib-spectra-1"
CHUNK = 4096  # spectra per Zarr chunk: 13 MB at 801 wavenumbers
SPECTRUM_COORDS = {"image": "int32", "group": "int32", "row": "int32", "col": "int32", "label": "int16"}
UNKNOWN = -1  # a label nobody gave, a row or column of a spectrum that is no pixel
CODES = {"image": ("image_names", 0), "group": ("group_names", 0), "label": ("class_names", UNKNOWN)}  # names, lowest
ATTRIBUTES = {
    "class_names": list,  # in order of severity
    "positive_classes": list,  # of the binary view
    "image_names": list,
    "group_names": list,  # patient where known, else image
    "pixel_size_um": float,  # nan when not an image
    "instrument": str,
    "provenance": str,
    "licence": str,
    "is_simulated": bool,
}


def make_spectra(
    absorbance,
    wavenumber,
    *,
    label=None,
    image=None,
    group=None,
    row=None,
    col=None,
    truth: Mapping[str, xr.DataArray | np.ndarray] | None = None,
    class_names: Sequence[str] | None = None,
    positive_classes: Sequence[str] = (),
    pixel_size_um: float = float("nan"),
    instrument: str = "",
    provenance: str = "",
    licence: str = "",
    is_simulated: bool = False,
    attrs: Mapping | None = None,
) -> xr.Dataset:
    """Build a validated data set from arrays in memory.

    Parameters
    ----------
    absorbance : (n_spectra, n_wavenumbers) array
        Absorbance (not transmittance), any float type; kept as float32.
    wavenumber : (n_wavenumbers,) array
        In cm-1, ascending or descending; kept ascending.
    label, image, group : (n_spectra,) sequence of str, optional
        Class, image and patient of each spectrum; an empty string is an unknown label.
        Without `image` all spectra are of one image per group; without `group`, group is image.
    row, col : (n_spectra,) int, optional
        Pixel position inside the image; left out for spectra that are no pixels.
    truth : mapping, optional
        Arrays named ``truth_*`` whose first axis is the spectrum.
    class_names : sequence of str, optional
        In order of severity; default: sorted names found in `label`.

    Returns
    -------
    xarray.Dataset
        See `validate_spectra` for the layout.

    Raises
    ------
    DataError
        When shapes disagree or the result is not a valid data set.

    Examples
    --------
    >>> import numpy as np
    >>> ds = make_spectra(np.ones((2, 3)), [1200, 1100, 1000], label=["a", "b"], group=["p1", "p2"])
    >>> ds.wavenumber.values
    array([1000., 1100., 1200.])
    """
    absorbance = np.asarray(absorbance, dtype=np.float32)
    wavenumber = np.asarray(wavenumber, dtype=np.float64)
    if absorbance.ndim != 2:
        raise DataError(f"absorbance must be (spectra, wavenumbers); this one has shape {absorbance.shape}.")
    if wavenumber.shape != absorbance.shape[1:]:
        raise DataError(
            f"absorbance has shape {absorbance.shape} but there are {wavenumber.size} wavenumbers; "
            "give one wavenumber per column."
        )
    order = np.argsort(wavenumber, kind="stable")
    n = len(absorbance)

    def codes(values, what, names=None):
        values = np.asarray(values).astype(str)
        if values.shape != (n,):
            raise DataError(f"{what} has {values.size} entries for {n} spectra; give one per spectrum.")
        found = sorted(set(values.tolist()) - {""})
        names = list(found if names is None else names)
        if unknown := [name for name in found if name not in names]:
            raise DataError(f"{what} holds {unknown[:3]}, not among the stated names {names}.")
        lookup = {name: k for k, name in enumerate(names)} | {"": UNKNOWN}
        return np.array([lookup[v] for v in values.tolist()], dtype=np.int32), names

    if label is None:
        label = np.full(n, "")
    if image is None:
        image = group if group is not None else np.full(n, "image")
    if group is None:
        group = image
    label_codes, class_names = codes(label, "label", class_names)
    image_codes, image_names = codes(image, "image")
    group_codes, group_names = codes(group, "group")
    unknown = np.full(n, UNKNOWN)
    columns = {
        "image": image_codes,
        "group": group_codes,
        "row": unknown if row is None else row,
        "col": unknown if col is None else col,
        "label": label_codes,
    }
    data = xr.Dataset(
        {"absorbance": (("spectrum", "wavenumber"), absorbance[:, order])},
        coords={
            "wavenumber": ("wavenumber", wavenumber[order], {"units": "cm-1"}),
            **{k: ("spectrum", np.asarray(v).astype(SPECTRUM_COORDS[k])) for k, v in columns.items()},
        },
        attrs={
            "schema": SCHEMA,
            "class_names": class_names,
            "positive_classes": list(positive_classes),
            "image_names": image_names,
            "group_names": group_names,
            "pixel_size_um": float(pixel_size_um),
            "instrument": instrument,
            "provenance": provenance,
            "licence": licence,
            "is_simulated": bool(is_simulated),
            **(attrs or {}),
        },
    )
    for name, values in (truth or {}).items():
        if isinstance(values, xr.DataArray):
            data[name] = values
        else:
            values = np.asarray(values)
            data[name] = (("spectrum", f"{name}_axis")[: values.ndim], values)
    return validate_spectra(data)


def validate_spectra(data: xr.Dataset, *, values: bool = True, codes: bool = True) -> xr.Dataset:
    """Check that `data` follows the layout below, and say what is wrong and what to do.

    The layout: ``absorbance (spectrum, wavenumber)`` float32; ``wavenumber`` in cm-1, strictly
    ascending; per spectrum the integers ``image``, ``group``, ``label`` (positions in the attribute
    lists ``image_names``, ``group_names``, ``class_names``; label -1 is unknown) and ``row``, ``col``
    (-1 for a spectrum that is no pixel); optional arrays ``truth_*``; the attributes of `ATTRIBUTES`.

    Parameters
    ----------
    data : xarray.Dataset
    values : bool
        Also read every spectrum, block by block, and refuse NaN and infinite values.
    codes : bool
        Also read every image, group and label, and refuse those without a name and images of several labels.

    Returns
    -------
    xarray.Dataset
        The same object.

    Raises
    ------
    DataError
    """
    if "absorbance" not in data:
        raise DataError("the data set has no variable 'absorbance'; import the spectra with 'ftirlib import'.")
    if data.absorbance.dims != ("spectrum", "wavenumber"):
        raise DataError(
            f"absorbance has axes {data.absorbance.dims}; it must have ('spectrum', 'wavenumber'): transpose it."
        )
    if "wavenumber" not in data.coords:
        raise DataError("the data set has no wavenumber axis; give it with --wavenumber when importing.")
    n, n_wavenumbers = data.absorbance.shape
    if n == 0 or n_wavenumbers < 2:
        raise DataError(
            f"the data set holds {n} spectra of {n_wavenumbers} wavenumbers; it needs at least 1 of at least 2."
        )
    axis = data.wavenumber.values
    if not np.all(np.isfinite(axis)) or not np.all(np.diff(axis) > 0):
        raise DataError("wavenumbers must be finite and strictly ascending on disk; import the spectra anew.")
    for name in SPECTRUM_COORDS:
        if name not in data.coords or data[name].dims != ("spectrum",):
            raise DataError(f"the data set has no '{name}' per spectrum; import it with 'ftirlib import'.")
        if not np.issubdtype(data[name].dtype, np.integer):
            raise DataError(f"'{name}' must be integer codes, not {data[name].dtype}; use make_spectra.")
    for name, kind in ATTRIBUTES.items():
        if name not in data.attrs:
            raise DataError(f"the data set has no attribute '{name}'; import it with 'ftirlib import'.")
        value = data.attrs[name]
        if kind is not list and not isinstance(value, (kind, np.generic, int)):
            raise DataError(f"attribute '{name}' must be {kind.__name__}, not {value!r}.")
    if unknown := set(data.attrs["positive_classes"]) - set(data.attrs["class_names"]):
        raise DataError(f"positive class {sorted(unknown)} is not among the classes {list(data.attrs['class_names'])}.")
    if codes:
        _check_codes(data)
    if values:
        for start, block in iter_blocks(data):
            bad = ~np.isfinite(block).all(axis=1)
            if bad.any():
                first = start + int(np.argmax(bad))
                raise DataError(
                    f"spectrum {first} (image '{data.attrs['image_names'][int(data.image[first])]}') holds NaN or "
                    "infinite values; cut those wavenumbers or drop those spectra before saving."
                )
    return data


def _check_codes(data: xr.Dataset) -> None:
    """Refuse codes without a name, and labels that differ inside an image where nothing says that they may."""
    for name, (names, lowest) in CODES.items():
        low, high = data[name].values.min(), data[name].values.max()
        if low < lowest or high >= len(data.attrs[names]):
            raise DataError(
                f"'{name}' holds codes {low}..{high} but there are {len(data.attrs[names])} {names}; "
                "name every one that occurs."
            )
    if data.attrs.get("label_level") == "spectrum":
        return
    image, label = data.image.values, data.label.values
    label_of = np.empty(len(data.attrs["image_names"]), label.dtype)
    label_of[image] = label  # the last of an image stays, so a label that differs shows up
    if (label_of[image] != label).any():
        # Weak labels belong to images. Labels that differ inside an image are allowed, but only when said so.
        raise DataError(
            "some image carries more than one label; weak labels are one per image. "
            "If the labels are truly per spectrum, set the attribute label_level='spectrum'."
        )


def open_spectra(path: str | os.PathLike, *, codes: bool = True) -> xr.Dataset:
    """Open a data set lazily: the axis is read, what there is one of for each spectrum only when asked for.

    Parameters
    ----------
    path : path of a Zarr store written by `ftirlib.spectra.writer`, or its fsspec address
    codes : bool
        As in `validate_spectra`. False for a store that has been opened before, such as in every task of a run:
        opening then takes the same time and memory for any number of spectra.

    Returns
    -------
    xarray.Dataset
        ``absorbance`` and the coordinates of spectra stay where they are until asked for; a coordinate's ``values``
        then stay in memory.

    Raises
    ------
    DataError
        When there is nothing at `path`, it is no Zarr store, or not a data set of this layout.
    """
    path = resolved(path) if is_remote(path) else Path(path)
    there, is_zarr = store_found(path)
    if not there:
        raise DataError(f"there is no data set at '{path}'; check the path, or make one with 'ftirlib import'.")
    if not is_zarr:
        raise DataError(
            f"'{path}' is not a Zarr (version 3) store; import tables and cubes with 'ftirlib import {path} OUT.zarr'."
        )
    try:
        data = xr.open_zarr(path, consolidated=False, chunks=None)
    except Exception as error:
        raise DataError(f"'{path}' cannot be read as a Zarr store ({error}); copy or import it again.") from error
    data = data.set_coords([name for name in SPECTRUM_COORDS if name in data.variables])
    try:
        return validate_spectra(data, values=False, codes=codes)
    except DataError as error:
        raise DataError(f"'{path}': {error}") from None


def store_found(path: Path | str) -> tuple[bool, bool]:
    """Whether there is something at a path or address, and whether it is a Zarr store."""
    if isinstance(path, Path):
        return path.exists(), (path / "zarr.json").is_file()
    fs, place = file_system(path)
    try:
        return fs.exists(place), fs.exists(f"{place}/zarr.json")
    except Exception as error:  # each protocol's package has its own
        raise DataError(f"'{path}' cannot be reached ({type(error).__name__}: {error}).") from None


def iter_blocks(data: xr.Dataset, rows=None, size: int = CHUNK) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (start, absorbance block) so that only `size` spectra are in memory at a time.

    `rows` (sorted positions) restricts the walk; `start` then counts within `rows`.
    """
    n = data.sizes["spectrum"] if rows is None else len(rows)
    for start in range(0, n, size):
        stop = min(start + size, n)
        yield start, read_absorbance(data, slice(start, stop) if rows is None else rows[start:stop])


def read_absorbance(data: xr.Dataset, rows) -> np.ndarray:
    """Absorbance of the given rows as (n_rows, n_wavenumbers) float32 in memory, in the order of `rows`."""
    if not isinstance(rows, slice):
        rows = np.asarray(rows)
        if rows.size and np.all(np.diff(rows) == 1):
            rows = slice(int(rows[0]), int(rows[-1]) + 1)  # a run of rows reads far faster than a list
    # the variable alone: the array's coordinates would be cut to the rows with it
    return np.asarray(data.absorbance.variable.isel(spectrum=rows).values, dtype=np.float32)


def has_images(data: xr.Dataset) -> bool:
    """Whether the spectra are pixels of images (any row and column known)."""
    return all((data[name].values >= 0).any() for name in ("row", "col"))


def has_truth(data: xr.Dataset) -> bool:
    """Whether the true class of every spectrum is known, as in simulated data."""
    return "truth_class" in data


def as_image(data: xr.Dataset, image: int, values, fill=np.nan) -> np.ndarray:
    """Lay per-spectrum `values` (n_spectra of the data set,) out as the pixels of one image (rows, columns)."""
    members = np.flatnonzero(data.image.values == image)
    row, col = (data[name].values[members] for name in ("row", "col"))
    if not len(members) or (row < 0).any():
        raise DataError(f"image {image} has no pixel positions; it cannot be drawn as a picture.")
    values = np.asarray(values)[members]
    picture = np.full((row.max() + 1, col.max() + 1, *values.shape[1:]), fill, np.result_type(values.dtype, type(fill)))
    picture[row, col] = values
    return picture
