"""From raw spectra to what the models see: a recipe of preparation steps, applied block by block.

The order of steps follows Baker et al. 2014 (Nat. Protoc. 9, 1771; doi:10.1038/nprot.2014.110): quality test, range,
scatter and baseline, normalisation.

A recipe is a list that JSON and YAML can hold, one step each: ``[{"cut": {"low": 1000, "high": 1800}},
{"emsc": {"interferents": ["paraffin"]}}, {"vector": {}}]``. No step learns anything from the spectra, so a
recipe may be applied to a whole data set before the folds are made.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.emsc import EMSC
from ftirlib.spectra.me_emsc import MEEMSC
from ftirlib.spectra.model import (
    CHUNK,
    SPECTRUM_COORDS,
    SpectraWriter,
    has_images,
    iter_blocks,
    open_spectra,
    validate_spectra,
)
from ftirlib.spectra.quality import assess, tissue_mask
from ftirlib.spectra.steps import (
    SNV,
    AmideINormalise,
    Cut,
    Resample,
    RubberBand,
    SavitzkyGolay,
    SpectralStep,
    VectorNormalise,
)

STEPS: dict[str, type[SpectralStep]] = {
    "cut": Cut,
    "resample": Resample,
    "savgol": SavitzkyGolay,
    "rubberband": RubberBand,
    "emsc": EMSC,
    "me_emsc": MEEMSC,
    "vector": VectorNormalise,
    "snv": SNV,
    "amide": AmideINormalise,
}
QUALITY = ("auto", "tissue", "none")


class Recipe(SpectralStep):
    """Preparation steps in order, each on the axis that the one before leaves.

    Parameters
    ----------
    steps : sequence of mappings {name: parameters}
        Names and parameters of `STEPS`; an empty sequence changes nothing.
    wavenumber : (n_wavenumbers,) array, cm-1, any order

    Attributes
    ----------
    wavenumber_ : (n_wavenumbers_out,) array
    steps_ : list of fitted transformers

    Examples
    --------
    >>> import numpy as np
    >>> recipe = build_recipe([{"cut": {"low": 1000, "high": 1800}}, {"vector": {}}], np.arange(900.0, 1901.0))
    >>> recipe.transform(np.ones((2, 1001))).shape
    (2, 801)
    """

    def __init__(self, *, steps=(), wavenumber=None):
        self.steps = steps
        self.wavenumber = wavenumber

    def _prepare(self, axis):
        self.steps_ = []
        for name, parameters in check_recipe(self.steps):
            self.steps_.append(STEPS[name](wavenumber=axis, **parameters).fit())
            axis = self.steps_[-1].wavenumber_
        self.wavenumber_ = axis

    def _apply(self, spectra):
        for step in self.steps_:
            spectra = step.transform(spectra)
        return spectra

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the steps, their parameters and the axis: equal recipes on equal axes have equal ones."""
        text = json.dumps(check_recipe(self.steps), sort_keys=True, default=lambda array: np.asarray(array).tolist())
        return hashlib.sha256(text.encode() + np.asarray(self._axis, "<f8").tobytes()).hexdigest()


def check_recipe(steps) -> list[tuple[str, dict]]:
    """The steps as (name, parameters), refusing a step or a parameter that does not exist.

    Raises
    ------
    SettingsError
        Naming what is unknown and what is allowed.
    """
    if isinstance(steps, (str, Mapping)) or not isinstance(steps, Sequence):
        raise SettingsError(f"a recipe is a list of steps such as [{{'vector': {{}}}}], not {steps!r}.")
    checked = []
    for k, step in enumerate(steps, 1):
        if not isinstance(step, Mapping) or len(step) != 1:
            raise SettingsError(f"recipe step {k} must be one {{name: parameters}}, not {step!r}.")
        ((name, parameters),) = step.items()
        if name not in STEPS:
            raise SettingsError(f"recipe step {k}: there is no step '{name}'; choose one of {', '.join(STEPS)}.")
        parameters = {} if parameters is None else parameters  # YAML's "vector:" has no value
        if not isinstance(parameters, Mapping):
            raise SettingsError(f"recipe step {k}: the parameters of '{name}' must be a mapping, not {parameters!r}.")
        allowed = [p for p in inspect.signature(STEPS[name]).parameters if p != "wavenumber"]
        if unknown := sorted(map(str, set(parameters) - set(allowed))):
            raise SettingsError(
                f"recipe step {k}: '{name}' has no parameter '{unknown[0]}'; it takes {', '.join(allowed) or 'none'}."
            )
        checked.append((name, dict(parameters)))
    return checked


def build_recipe(steps, wavenumber) -> Recipe:
    """A fitted `Recipe` for spectra on `wavenumber` (cm-1)."""
    return Recipe(steps=steps, wavenumber=wavenumber).fit()


def prepare_spectra(
    data: xr.Dataset,
    path: str | os.PathLike,
    *,
    recipe: Sequence[Mapping] = (),
    quality: str = "auto",
    limits: Mapping[str, float] | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    """Keep the usable spectra, apply a recipe, and write the result as a new data set.

    One block of spectra is in memory at a time. Row, column, labels and truth stay with their spectra, so a
    picture of the result shows dropped pixels as gaps.

    Parameters
    ----------
    data : xarray.Dataset
        Of the layout of `validate_spectra`; may be open lazily.
    path : path of the store to make
    recipe : sequence of mappings
        See `Recipe`.
    quality : {"auto", "tissue", "none"}
        "tissue" keeps what `tissue_mask` keeps. "none" keeps all, and refuses NaN, infinite and all-zero spectra.
        "auto" is "tissue" for images that no recipe has been applied to, else "none".
    limits : mapping, optional
        Of `tissue_mask`: minimum_amide, maximum_amide, minimum_snr.
    overwrite : bool
        Replace what is at `path`.

    Returns
    -------
    xarray.Dataset
        The new data set, open lazily; attributes ``recipe`` (all steps ever applied), ``recipe_fingerprint`` and
        ``quality`` (test, limits, spectra kept and given, images that lost all their pixels).

    Raises
    ------
    SettingsError
        For an unknown step, parameter or quality test.
    DataError
        When no spectrum passes, or a spectrum cannot be prepared.
    """
    validate_spectra(data, values=False)
    prepared = list(data.attrs.get("recipe", []))
    if quality not in QUALITY:
        raise SettingsError(f"quality must be one of {', '.join(QUALITY)}, not {quality!r}.")
    allowed = [name for name, p in inspect.signature(tissue_mask).parameters.items() if p.kind is p.KEYWORD_ONLY]
    if unknown := sorted(set(limits or {}) - set(allowed)):
        raise SettingsError(f"quality has no limit '{unknown[0]}'; it takes {', '.join(allowed)}.")
    if limits and quality == "none":
        raise SettingsError("quality='none' takes no limits; leave them out, or choose quality='tissue'.")
    test = quality if quality != "auto" else "tissue" if has_images(data) and not prepared else "none"
    axis = data.wavenumber.values
    fitted = build_recipe(recipe, axis)
    truth = [name for name in data.data_vars if name.startswith("truth_")]
    attrs = {
        **data.attrs,
        "recipe": [*prepared, *({name: parameters} for name, parameters in check_recipe(recipe))],
        "recipe_fingerprint": fitted.fingerprint,
    }
    kept_per_image = np.zeros(len(data.attrs["image_names"]), np.int64)
    best_amide = -np.inf
    with SpectraWriter(path, fitted.wavenumber_, attrs, overwrite=overwrite) as writer:
        for start, block in iter_blocks(data, size=CHUNK):
            if test == "tissue":
                kept = tissue_mask(block, axis, **(limits or {}))
                if not kept_per_image.any() and not kept.any():
                    best_amide = np.nanmax(assess(block, axis)["amide"], initial=best_amide)
            else:
                _refuse_unusable(block, start, data)
                kept = np.ones(len(block), bool)
            if not kept.any():
                continue
            rows = start + np.flatnonzero(kept)
            try:
                spectra = fitted.transform(block[kept])
            except DataError as error:
                raise DataError(
                    f"among the {len(rows)} spectra kept of rows {start}-{start + len(block) - 1}: {error}"
                ) from None
            writer.append(
                spectra,
                {name: data[name].values[rows] for name in SPECTRUM_COORDS},
                {name: data[name].isel(spectrum=rows) for name in truth},
            )
            kept_per_image += np.bincount(data.image.values[rows], minlength=kept_per_image.size)
        if not kept_per_image.any():
            raise DataError(
                f"none of {data.sizes['spectrum']} spectra passed the quality test (the highest amide I band is "
                f"{best_amide:.3g} absorbance units); lower its limits, or choose quality='none' if the spectra "
                "are normalised already."
            )
        present = np.bincount(data.image.values, minlength=kept_per_image.size) > 0
        emptied = [data.attrs["image_names"][k] for k in np.flatnonzero(present & (kept_per_image == 0))]
        writer.attrs["quality"] = {
            "test": test,
            "limits": {**_limit_defaults(allowed), **(limits or {})} if test == "tissue" else {},
            "kept": int(kept_per_image.sum()),
            "given": data.sizes["spectrum"],
            "emptied_images": emptied,
        }
    return open_spectra(path)


def _limit_defaults(names) -> dict[str, float]:
    parameters = inspect.signature(tissue_mask).parameters
    return {name: parameters[name].default for name in names}


def _refuse_unusable(block: np.ndarray, start: int, data: xr.Dataset) -> None:
    """Without a quality test, a spectrum that cannot be used is an error that names it."""
    for bad, what in (
        (~np.isfinite(block).all(axis=1), "holds NaN or infinite values"),
        ((block == 0).all(axis=1), "is zero at every wavenumber"),
    ):
        if bad.any():
            row = start + int(np.argmax(bad))
            image = data.attrs["image_names"][int(data.image[row])]
            raise DataError(
                f"spectrum {row} (image '{image}') {what}, as do {bad.sum() - 1} more in its block; "
                "drop such spectra before, or choose quality='tissue'."
            )
