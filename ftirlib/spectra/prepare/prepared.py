"""How spectra were prepared, kept beside a model, so that it refuses spectra prepared otherwise.

A model sees numbers only: absorbances that were normalised in another way have the same shape and give plausible,
wrong classes. The recipe (`ftirlib.spectra.prepare.preprocess`) that a data set carries is therefore compared with the
one the model was made from. A plain array carries none and cannot be checked.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import numpy as np
import xarray as xr

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.prepare.preprocess import STEPS, check_recipe


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
    return [{name: _plain({**_defaults(name), **parameters})} for name, parameters in check_recipe(steps)]


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
        defaults = _plain(_defaults(name))
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


def _plain(value):
    """Tuples and arrays as lists, NumPy's numbers as Python's."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _short(value) -> str:
    if isinstance(value, list) and len(value) > 8:
        return f"of {len(value)} values"
    return (
        " and ".join(map(_short, value))
        if isinstance(value, list)
        else f"{value:g}"
        if _is_number(value)
        else f"{value}"
    )


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
