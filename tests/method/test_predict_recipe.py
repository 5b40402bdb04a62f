"""A model takes spectra prepared as its own were, and refuses all others, naming both recipes."""

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.bands import tissue_reference
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.prepare.recipe import (
    STEPS,
    absorbance_for,
    build_recipe,
    check_prepared,
    full_recipe,
    prepare_spectra,
    recipe_of,
    recipe_text,
)

RECIPE = [{"cut": {"low": 1000, "high": 1800}}, {"emsc": {"order": 2, "interferents": ["paraffin"]}}, {"vector": {}}]
AXIS = np.arange(1000.0, 1801.0, 2.0)


def test_prepared_spectra_pass_and_all_others_are_refused(toy_spectra, tmp_path):
    prepared = prepare_spectra(toy_spectra, tmp_path / "p.zarr", recipe=[{"vector": {}}], quality="none")
    check_prepared(recipe_of(prepared), prepared)
    other = prepare_spectra(
        toy_spectra, tmp_path / "o.zarr", recipe=[{"cut": {"low": 1100}}, {"snv": {}}], quality="none"
    )
    with pytest.raises(DataError, match=r"by: cut \(low 1100\), snv; but the classifier takes .* by: vector;"):
        check_prepared(recipe_of(prepared), other, taker="the classifier")
    with pytest.raises(DataError, match=r"by: nothing \(spectra as imported\); but the model takes .*vector"):
        check_prepared(recipe_of(prepared), toy_spectra)
    with pytest.raises(DataError, match=r"by: vector; but .*nothing \(spectra as imported\)"):
        check_prepared([], prepared)


def test_what_a_store_says_is_what_was_done(toy_spectra, tmp_path):
    first = prepare_spectra(toy_spectra, tmp_path / "1.zarr", recipe=[{"cut": {"high": 1700}}], quality="none")
    prepare_spectra(first, tmp_path / "2.zarr", recipe=[{"vector": None}], quality="none")
    check_prepared([{"cut": {"high": 1700}}, {"vector": {}}], open_spectra(tmp_path / "2.zarr"))
    check_prepared([*recipe_of(first), {"vector": {}}], [{"cut": {"low": None, "high": 1700.0}}, {"vector": {}}])


@pytest.mark.parametrize("name", STEPS)
def test_defaults_spelt_out_or_left_out_are_one_recipe(name):
    (full,) = full_recipe([{name: {}}])
    check_prepared([{name: {}}], [full])
    assert full_recipe([full]) == [full] and recipe_text([full]) == name


def test_a_stored_recipe_does_the_same_after_json(tmp_path):
    steps = [
        {"cut": {"low": np.int64(1000), "high": 1800}},
        {"emsc": {"reference": tissue_reference(AXIS)}},
        {"snv": {}},
    ]
    stored = json.loads(json.dumps(full_recipe(steps)))
    check_prepared(stored, steps)
    spectra = 0.5 * tissue_reference(AXIS)[None] + 0.1
    np.testing.assert_array_equal(
        build_recipe(stored, AXIS).transform(spectra), build_recipe(steps, AXIS).transform(spectra)
    )


@given(st.permutations(RECIPE))
def test_the_order_of_steps_counts(steps):
    if list(steps) == RECIPE:
        check_prepared(RECIPE, steps)
    else:
        with pytest.raises(DataError):
            check_prepared(RECIPE, steps)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (
            [RECIPE[0], {"emsc": {"order": 1, "interferents": ["paraffin"]}}, RECIPE[2]],
            "emsc .order 1, interferents paraffin",
        ),
        ([RECIPE[0], {"emsc": {}}, RECIPE[2]], "emsc, vector; but"),
        (RECIPE[:2], "interferents paraffin.; but"),
        ([*RECIPE, {"vector": {}}], "vector, vector; but"),
    ],
)
def test_any_difference_is_refused_and_both_are_named(steps, words):
    with pytest.raises(DataError, match=words) as caught:
        check_prepared(RECIPE, steps)
    assert "cut (low 1000, high 1800), emsc (interferents paraffin), vector;" in str(caught.value)


def test_long_lists_are_counted_and_their_step_is_named():
    steps = [[{"cut": {}}, {"emsc": {"reference": k + tissue_reference(AXIS)}}] for k in (0, 1)]
    assert recipe_text(steps[0]) == "cut, emsc (reference of 401 values)"
    with pytest.raises(DataError, match="other values in step 2"):
        check_prepared(*steps)


def test_arrays_and_models_without_a_recipe_cannot_be_checked(toy_spectra):
    values = toy_spectra.absorbance.values
    assert absorbance_for(RECIPE, values) is values
    assert absorbance_for(RECIPE, toy_spectra.absorbance) is not None  # a DataArray carries no recipe either
    xr.testing.assert_identical(absorbance_for(None, toy_spectra), toy_spectra.absorbance)
    with pytest.raises(DataError, match="as imported"):
        absorbance_for(RECIPE, toy_spectra)


def test_unknown_recipes_are_named(toy_spectra):
    with pytest.raises(DataError, match="unknown here.*'wavelet'"):
        check_prepared(RECIPE, toy_spectra.assign_attrs(recipe=[{"wavelet": {}}]))
    with pytest.raises(SettingsError, match="list of steps"):
        full_recipe("vector")
