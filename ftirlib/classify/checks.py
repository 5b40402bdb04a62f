"""What spectra, wavenumbers, labels and devices must be before a network sees them.

The grid is part of a model: its kernels are bands of so many cm-1, so another grid is refused, never resampled. Devices
go by the names of PyTorch (https://pytorch.org/docs/stable/tensor_attributes.html).
"""

from __future__ import annotations

import numpy as np
import torch

from ftirlib.errors import DataError, ModelError, SettingsError
from ftirlib.spectra.prepare.recipe import absorbance_for


def check_wavenumber(wavenumber) -> np.ndarray:
    """The axis as float64, refused unless it ascends in mostly even steps."""
    wavenumber = np.asarray(wavenumber, dtype=np.float64)
    if wavenumber.ndim != 1 or wavenumber.size < 2 or not np.all(np.isfinite(wavenumber)):
        raise ModelError(f"wavenumbers must be a finite axis of two or more points, not shape {wavenumber.shape}.")
    spacing = np.diff(wavenumber)
    if not np.all(spacing > 0):
        raise ModelError("wavenumbers must ascend strictly; sort them, and the spectra with them.")
    step = np.median(spacing)
    if np.mean(np.abs(spacing - step) > step / 10) > 1 / 10:
        raise ModelError(
            f"more than a tenth of the spacings of {grid_text(wavenumber)} are over 10 % away from the median "
            f"{step:.4g} cm-1, so no kernel has one width in cm-1; interpolate the spectra to an even grid."
        )
    return wavenumber


def check_spectra(spectra, wavenumber: np.ndarray, *, what: str = "given", recipe=None) -> np.ndarray:
    """Spectra as finite float32 (n, n_wavenumbers) on the model's grid, or an error that states both grids.

    Parameters
    ----------
    spectra : (n_spectra, n_wavenumbers) array, tensor, xarray.DataArray or data set
        A DataArray's own ``wavenumber`` is compared with the model's, and so is the recipe of a data set; other
        arrays carry neither.
    wavenumber : (n_wavenumbers,) array, cm-1
        The grid of the model.
    what : str
        Which spectra these are, for the message.
    recipe : sequence of mappings, optional
        How the model's own spectra were prepared, where that is known.
    """
    spectra = absorbance_for(recipe, spectra)
    if "wavenumber" in getattr(spectra, "coords", ()):
        check_grid(spectra["wavenumber"].values, wavenumber)
    x = np.asarray(spectra)
    check_width(x, wavenumber, what=what)
    x = np.require(x, np.float32, ["C", "W"])  # torch shares memory with writable arrays only
    # a sum is finite only where every term is, and reads the block once without a mask of its size
    if not np.isfinite(x.sum(dtype=np.float64)):
        bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
        raise DataError(
            f"{len(bad)} of the {len(x)} {what} spectra hold NaN or infinite values, the first is number {bad[0]}; "
            "cut those wavenumbers or leave those spectra out."
        )
    return x


def check_width(x, wavenumber: np.ndarray, *, what: str = "given") -> None:
    """Refuse spectra whose shape is not (n, n_wavenumbers)."""
    if len(x.shape) != 2 or x.shape[1] != wavenumber.size:
        raise DataError(
            f"the {what} spectra have shape {tuple(x.shape)}, but the model takes (spectra, {wavenumber.size}): "
            f"{wavenumber[0]:g} to {wavenumber[-1]:g} cm-1; cut or interpolate them to that grid."
        )


def class_codes(labels: np.ndarray, classes: np.ndarray, *, what: str = "training") -> np.ndarray:
    """The place of each label among the classes (ascending), (n,): a byte each where the classes are few.

    Raises
    ------
    DataError
        A label that is none of the classes.
    """
    codes = np.searchsorted(classes, labels)
    known = classes[np.minimum(codes, len(classes) - 1)] == labels
    if not known.all():
        strange = np.unique(labels[~known])[:3].tolist()
        raise DataError(f"the {what} labels hold {strange}, which no training spectrum has.")
    return codes.astype(np.uint8 if len(classes) <= 1 << 8 else np.int64)


def check_grid(found, wavenumber: np.ndarray) -> None:
    """Refuse an axis that is not the model's, to a hundredth of a spacing."""
    found = np.asarray(found, np.float64)
    if found.shape == wavenumber.shape:
        gap = np.abs(found - wavenumber).max()
        if gap <= np.diff(wavenumber).min() / 100:
            return
    raise DataError(
        f"the spectra are on {found.size} wavenumbers, {found[0]:g} to {found[-1]:g} cm-1, but the model is for "
        f"{wavenumber.size}, {wavenumber[0]:g} to {wavenumber[-1]:g} cm-1; interpolate them to the model's grid."
    )


def grid_text(wavenumber: np.ndarray) -> str:
    """The grid in a few words, for messages."""
    step = np.median(np.diff(wavenumber))
    return f"the grid of {wavenumber.size} points, {wavenumber[0]:g} to {wavenumber[-1]:g} cm-1 by {step:.4g}"


def choose_device(device: str) -> torch.device:
    """The device named, or for "auto" the accelerator that torch finds, else the processor.

    Raises
    ------
    SettingsError
        A device that is not there.
    """
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"the device {device!r} cannot be used ({reason}); choose 'auto' or 'cpu'.") from None
