"""From raw spectra to what the models see: a recipe of preparation steps, applied block by block.

The order of steps follows Baker et al. 2014 (Nat. Protoc. 9, 1771; doi:10.1038/nprot.2014.110): quality test, range,
scatter and baseline, normalisation.

A recipe is a list that JSON and YAML can hold, one step each: ``[{"cut": {"low": 1000, "high": 1800}},
{"emsc": {"interferents": ["paraffin"]}}, {"vector": {}}]``. No step learns anything from the spectra, so a
recipe may be applied to a whole data set before the folds are made.

A model sees numbers only: absorbances that were normalised in another way have the same shape and give plausible,
wrong classes. The recipe that a data set carries is therefore compared with the one the model was made from. A plain
array carries none and cannot be checked.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from pydantic import Field

from ftirlib.errors import DataError, SettingsError
from ftirlib.files import plain
from ftirlib.spectra.model import (
    CHUNK,
    SPECTRUM_COORDS,
    has_images,
    open_spectra,
    read_absorbance,
    validate_spectra,
)
from ftirlib.spectra.prepare.emsc import EMSC
from ftirlib.spectra.prepare.me_emsc import MEEMSC
from ftirlib.spectra.prepare.quality import TissueLimits, assess, tissue_mask
from ftirlib.spectra.prepare.steps import (
    SNV,
    AmideINormalise,
    Cut,
    Resample,
    RubberBand,
    SavitzkyGolay,
    SpectralStep,
    VectorNormalise,
)
from ftirlib.spectra.writer import SpectraWriter

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


class PreparationSettings(TissueLimits):
    """From raw absorbance to what the models see; nothing here is learned from the data."""

    recipe: list[dict[str, dict[str, Any]]] = Field([], description="steps in order, each {name: parameters}")
    quality: Literal[QUALITY] = Field("auto", description="which pixels to keep; auto: tissue in raw images")

    @property
    def steps(self) -> dict[str, Any]:
        """The arguments of `Preparation`: recipe, quality, and limits where they count."""
        limits = self.model_dump(include=set(TissueLimits.model_fields))
        return {"recipe": self.recipe, "quality": self.quality, "limits": None if self.quality == "none" else limits}


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


def recipe_of(data: xr.Dataset) -> list[dict]:
    """Every step that a data set has been through, with all its parameters; empty for spectra as imported.

    Raises
    ------
    DataError
        When the attribute ``recipe`` holds steps that do not exist.
    """
    try:
        return full_recipe(data.attrs.get("recipe", []))
    except SettingsError as error:
        raise DataError(f"the data set says it was prepared in a way that is unknown here: {error}") from None


def full_recipe(steps: Sequence) -> list[dict]:
    """A recipe with every parameter spelt out, in plain numbers, texts and lists that JSON can hold.

    Recipes that do the same have equal full ones, and a stored one keeps its meaning should a default ever change.

    Raises
    ------
    SettingsError
        As `check_recipe`.

    Examples
    --------
    >>> full_recipe([{"cut": {"low": 1000}}, {"vector": None}])
    [{'cut': {'low': 1000, 'high': None}}, {'vector': {}}]
    """
    return [{name: plain({**_defaults(name), **parameters})} for name, parameters in check_recipe(steps)]


def recipe_text(steps: Sequence) -> str:
    """A recipe in one line: each step with the parameters that are not its defaults.

    Examples
    --------
    >>> recipe_text([{"cut": {"low": 1000, "high": 1800}}, {"emsc": {"order": 2}}, {"vector": {}}])
    'cut (low 1000, high 1800), emsc, vector'
    """
    texts = []
    for step in full_recipe(steps):
        ((name, parameters),) = step.items()
        defaults = plain(_defaults(name))
        chosen = [f"{key} {_short(value)}" for key, value in parameters.items() if value != defaults[key]]
        texts.append(f"{name} ({', '.join(chosen)})" if chosen else name)
    return ", ".join(texts) or "nothing (spectra as imported)"


def check_prepared(recipe: Sequence | None, data: xr.Dataset | Sequence, *, taker: str = "the model") -> None:
    """Refuse spectra that were not prepared as a model's own were.

    Parameters
    ----------
    recipe : sequence of mappings {name: parameters}, or None
        Of the spectra that the model was made from. None: not recorded, so that nothing can be checked.
    data : xarray.Dataset, or sequence of mappings
        The new spectra, or the steps that they have been and will be through.
    taker : str
        What takes them, for the message.

    Raises
    ------
    DataError
        Naming both recipes.

    Examples
    --------
    >>> check_prepared([{"vector": {}}], [{"snv": {}}])
    Traceback (most recent call last):
    ...
    ftirlib.errors.DataError: the spectra were prepared by: snv; but the model takes spectra prepared by: vector; \
import the spectra anew and prepare them so.
    """
    if recipe is None:
        return
    found = recipe_of(data) if isinstance(data, xr.Dataset) else full_recipe(data)
    wanted = full_recipe(recipe)
    if found == wanted:
        return
    texts = recipe_text(found), recipe_text(wanted)
    where = ""
    if texts[0] == texts[1]:  # they differ in long lists of numbers, which the text only counts
        k = next(k for k, (a, b) in enumerate(zip(found, wanted), 1) if a != b)
        where = f" with other values in step {k}"
    raise DataError(
        f"the spectra were prepared by: {texts[0]}; but {taker} takes spectra prepared by: {texts[1]}{where}; "
        "import the spectra anew and prepare them so."
    )


def absorbance_for(recipe: Sequence | None, spectra, *, taker: str = "the model"):
    """The spectra that a model may take: of a data set, its absorbance, once its recipe is found to be the model's.

    Parameters
    ----------
    recipe, taker
        As in `check_prepared`.
    spectra : xarray.Dataset or (n_spectra, n_wavenumbers) array
        An array carries no recipe: it is passed on as it is, unchecked.

    Returns
    -------
    xarray.DataArray with its ``wavenumber``, or what was given

    Raises
    ------
    DataError
        As `check_prepared`.
    """
    if not isinstance(spectra, xr.Dataset):
        return spectra
    check_prepared(recipe, spectra, taker=taker)
    return spectra["absorbance"]


def _defaults(name: str) -> dict:
    parameters = inspect.signature(STEPS[name]).parameters
    return {key: p.default for key, p in parameters.items() if key != "wavenumber"}


def _short(value) -> str:
    if isinstance(value, list):
        return f"of {len(value)} values" if len(value) > 8 else " and ".join(map(_short, value))
    return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else f"{value}"


class Kept(NamedTuple):
    """What is kept of one block of spectra.

    rows : (n,) int, ascending, their positions in the data set
    absorbance : (n, n_wavenumbers) float32, prepared
    highest_amide : the block's highest amide I band, absorbance units, while none of its walk was kept; else -inf
    """

    rows: np.ndarray
    absorbance: np.ndarray
    highest_amide: float


class Preparation:
    """Which spectra of a data set are kept and what is done to them: in ranges of spectra, then in one store.

    Parameters
    ----------
    data : xarray.Dataset
        As `open_spectra` opens it: what there is one of for each spectrum is read a part at a time.
    recipe, quality, limits
        See `prepare_spectra`.
    onto : (n_wavenumbers,) sequence of float, cm-1, in even steps, optional
        The axis that spectra are interpolated to before anything else is done; not noted in the recipe.

    Attributes
    ----------
    wavenumber : (n_wavenumbers_out,) array, cm-1
        The axis of what is prepared.

    Raises
    ------
    SettingsError
        For an unknown step, parameter or quality test.
    DataError
        When a step does not fit the axis.
    """

    def __init__(
        self,
        data: xr.Dataset,
        *,
        recipe: Sequence[Mapping] = (),
        quality: str = "auto",
        limits: Mapping[str, float] | None = None,
        onto: Sequence[float] | None = None,
    ):
        done = list(data.attrs.get("recipe", []))
        if quality not in QUALITY:
            raise SettingsError(f"quality must be one of {', '.join(QUALITY)}, not {quality!r}.")
        allowed = TissueLimits.model_fields
        if unknown := sorted(set(limits or {}) - set(allowed)):
            raise SettingsError(f"quality has no limit '{unknown[0]}'; it takes {', '.join(allowed)}.")
        if limits and quality == "none":
            raise SettingsError("quality='none' takes no limits; leave them out, or choose quality='tissue'.")
        self._data, self._axis, self._resample = data, data.wavenumber.values, None
        if onto is not None:
            onto = np.asarray(onto, np.float64)
            grid = {"low": onto[0], "high": onto[-1], "step": float(np.median(np.diff(onto)))}
            self._resample, self._axis = Resample(wavenumber=self._axis, **grid).fit(), onto
        self._test = quality if quality != "auto" else "tissue" if has_images(data) and not done else "none"
        self._limits = TissueLimits(**limits or {}).model_dump() if self._test == "tissue" else {}
        self._recipe = build_recipe(recipe, self._axis)
        self._steps = [*done, *({name: parameters} for name, parameters in check_recipe(recipe))]
        self.wavenumber = self._recipe.wavenumber_

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Kept]:
        """Prepare spectra `start` to `stop`, one block in memory at a time.

        Blocks that begin at multiples of `CHUNK` are the same numbers to the last bit, whatever the range.

        Raises
        ------
        DataError
            When a spectrum cannot be prepared.
        """
        nothing_yet = True
        stop = self._data.sizes["spectrum"] if stop is None else stop
        for first in range(start, stop, CHUNK):
            block = self._read(first, min(first + CHUNK, stop))
            highest = -np.inf
            if self._test == "tissue":
                kept = tissue_mask(block, self._axis, **self._limits)
                nothing_yet &= not kept.any()
                if nothing_yet:
                    highest = float(np.nanmax(assess(block, self._axis)["amide"], initial=-np.inf))
            else:
                _refuse_unusable(block, first, self._data)
                kept = np.ones(len(block), bool)
            rows = first + np.flatnonzero(kept)
            yield Kept(rows, self._prepared(block[kept], rows, first, len(block)), highest)

    def _read(self, start: int, stop: int) -> np.ndarray:
        block = read_absorbance(self._data, slice(start, stop))
        if self._resample is None:
            return block
        # spectra that cannot be interpolated stay unusable, and are dropped or named by the quality test
        values = np.full((len(block), self._axis.size), np.nan, np.float32)
        finite = np.isfinite(block).all(axis=1)
        if finite.any():
            values[finite] = self._resample.transform(block[finite])
        return values

    def _prepared(self, spectra: np.ndarray, rows: np.ndarray, first: int, n: int) -> np.ndarray:
        if not len(rows):
            return np.empty((0, self.wavenumber.size), np.float32)
        try:
            return self._recipe.transform(spectra).astype(np.float32)
        except DataError as error:
            raise DataError(f"among the {len(rows)} spectra kept of rows {first}-{first + n - 1}: {error}") from None

    def write(self, path: str | os.PathLike, blocks: Iterable[Kept], *, overwrite: bool = False) -> xr.Dataset:
        """Write what was kept of the whole data set, its blocks in order, as a new one; see `prepare_spectra`."""
        data, names = self._data, self._data.attrs["image_names"]
        truth = [name for name in data.data_vars if name.startswith("truth_")]
        attrs = {**data.attrs, "recipe": self._steps, "recipe_fingerprint": self._recipe.fingerprint}
        kept_per_image = np.zeros(len(names), np.int64)
        highest = -np.inf
        with SpectraWriter(path, self.wavenumber, attrs, overwrite=overwrite) as writer:
            for rows, absorbance, highest_amide in blocks:
                highest = max(highest, float(highest_amide))
                if not len(rows):
                    continue
                columns = {name: _take(data[name].variable, rows) for name in (*SPECTRUM_COORDS, *truth)}
                writer.append(
                    absorbance,
                    {name: columns[name].values for name in SPECTRUM_COORDS},
                    {name: xr.DataArray(columns[name]) for name in truth},
                )
                kept_per_image += np.bincount(columns["image"].values, minlength=kept_per_image.size)
            if not kept_per_image.any():
                raise DataError(
                    f"none of {data.sizes['spectrum']} spectra passed the quality test (the highest amide I band is "
                    f"{highest:.3g} absorbance units); lower its limits, or choose quality='none' if the spectra "
                    "are normalised already."
                )
            present = np.zeros(len(names), bool)
            present[data.image.values] = True
            writer.attrs["quality"] = {
                "test": self._test,
                "limits": self._limits,
                "kept": int(kept_per_image.sum()),
                "given": data.sizes["spectrum"],
                "emptied_images": [names[k] for k in np.flatnonzero(present & (kept_per_image == 0))],
            }
        return open_spectra(path)


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
    preparation = Preparation(data, recipe=recipe, quality=quality, limits=limits)
    return preparation.write(path, preparation.blocks(), overwrite=overwrite)


def _take(variable: xr.Variable, rows: np.ndarray) -> xr.Variable:
    """Of a variable, perhaps on disk, what belongs to some neighbouring rows: read together, then picked."""
    return variable.isel(spectrum=slice(rows[0], rows[-1] + 1)).load().isel(spectrum=rows - rows[0])


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
