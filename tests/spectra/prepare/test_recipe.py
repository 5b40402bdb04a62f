"""Recipes and the preparation of whole data sets: block by block, keeping what passes and saying what was done."""

import json

import numpy as np
import pytest
import xarray as xr

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.bands import component_spectrum, tissue_reference
from ftirlib.spectra.model import make_spectra, open_spectra
from ftirlib.spectra.prepare import recipe
from ftirlib.spectra.prepare.recipe import STEPS, Preparation, build_recipe, check_recipe, prepare_spectra
from ftirlib.spectra.prepare.steps import Resample, VectorNormalise
from ftirlib.spectra.writer import save_spectra

AXIS = np.arange(990.0, 1811.0, 2.0)
RECIPE = [{"cut": {"low": 1000, "high": 1800}}, {"emsc": {"order": 2, "interferents": ["paraffin"]}}, {"vector": {}}]


@pytest.fixture
def tissue(rng):
    """Two images of 5 x 6 pixels; the first pixel of each is empty, the last of the second saturated."""
    n = 60
    amount = rng.uniform(0.4, 1.2, n)
    amount[[0, 30]], amount[59] = 0.0, 3.0
    spectra = amount[:, None] * tissue_reference(AXIS) + rng.uniform(0, 0.2, (n, 1)) * component_spectrum(
        "paraffin", AXIS
    )
    spectra += 1e-3 * rng.standard_normal(spectra.shape)
    row, col = (np.tile(index.ravel(), 2) for index in np.indices((5, 6)))
    return make_spectra(
        spectra,
        AXIS,
        label=np.repeat(["normal", "cancerous"], 30),
        image=np.repeat(["a", "b"], 30),
        row=row,
        col=col,
        truth={"truth_class": np.arange(n, dtype=np.int16), "truth_fraction": rng.random((n, 3))},
        class_names=["normal", "cancerous"],
    )


def test_every_step_can_be_named():
    steps = [{"cut": {"low": 1000}}, {"resample": {"step": 4.0}}, {"savgol": {}}, {"rubberband": None}]
    for last in ("emsc", "me_emsc", "vector", "snv", "amide"):
        recipe = build_recipe([*steps, {last: {}}], AXIS)
        assert recipe.transform(tissue_reference(AXIS)[None]).shape == (1, recipe.wavenumber_.size)
    assert set(STEPS) == {"cut", "resample", "savgol", "rubberband", "emsc", "me_emsc", "vector", "snv", "amide"}


def test_a_recipe_is_its_steps_in_order(tissue):
    spectra = tissue.absorbance.values[1:20]
    recipe = build_recipe([{"cut": {"low": 1000, "high": 1800}}, {"vector": {}}], AXIS)
    inside = (AXIS >= 1000) & (AXIS <= 1800)
    expected = VectorNormalise(wavenumber=AXIS[inside]).fit_transform(spectra[:, inside])
    np.testing.assert_array_equal(recipe.transform(spectra), expected)
    np.testing.assert_array_equal(recipe.wavenumber_, AXIS[inside])


def test_an_empty_recipe_changes_nothing(tissue):
    recipe = build_recipe([], AXIS)
    np.testing.assert_array_equal(recipe.transform(tissue.absorbance.values), tissue.absorbance.values)


def test_the_fingerprint_follows_steps_parameters_order_and_axis():
    base = build_recipe(RECIPE, AXIS).fingerprint
    assert build_recipe(json.loads(json.dumps(RECIPE)), AXIS.copy()).fingerprint == base
    reordered = [RECIPE[0], {"emsc": {"interferents": ["paraffin"], "order": 2}}, RECIPE[2]]
    assert build_recipe(reordered, AXIS).fingerprint == base
    others = [
        build_recipe(RECIPE[:2], AXIS),
        build_recipe([*RECIPE[:2], {"snv": {}}], AXIS),
        build_recipe([RECIPE[1], RECIPE[0], RECIPE[2]], AXIS),
        build_recipe([RECIPE[0], {"emsc": {"order": 1, "interferents": ["paraffin"]}}, RECIPE[2]], AXIS),
        build_recipe(RECIPE, AXIS + 0.5),
    ]
    assert len({base, *(recipe.fingerprint for recipe in others)}) == 6


def test_arrays_may_be_parameters_and_count_in_the_fingerprint():
    with_array = [build_recipe([{"emsc": {"reference": k + tissue_reference(AXIS)}}], AXIS) for k in (0, 1)]
    as_list = build_recipe([{"emsc": {"reference": tissue_reference(AXIS).tolist()}}], AXIS)
    assert with_array[0].fingerprint == as_list.fingerprint != with_array[1].fingerprint


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("vector", "list of steps"),
        ({"vector": {}}, "list of steps"),
        (["vector"], "step 1 must be one"),
        ([{"vector": {}, "snv": {}}], "step 1 must be one"),
        ([{"vector": {}}, {"vektor": {}}], "step 2: there is no step 'vektor'.*vector"),
        ([{"cut": {"lo": 1000}}], "'cut' has no parameter 'lo'; it takes low, high"),
        ([{"cut": {"wavenumber": [1, 2]}}], "no parameter 'wavenumber'"),
        ([{"vector": {"order": 1}}], "'vector' has no parameter 'order'; it takes none"),
        ([{"cut": [1000, 1800]}], "must be a mapping"),
    ],
)
def test_recipes_that_do_not_exist_are_named(steps, words):
    with pytest.raises(SettingsError, match=words):
        check_recipe(steps)


def test_preparing_keeps_tissue_and_its_place(tissue, tmp_path):
    data = prepare_spectra(tissue, tmp_path / "p.zarr", recipe=RECIPE)
    kept = np.setdiff1d(np.arange(60), [0, 30, 59])
    np.testing.assert_array_equal(data.truth_class, kept)
    np.testing.assert_array_equal(data.truth_fraction, tissue.truth_fraction.values[kept])
    for name in ("image", "group", "row", "col", "label"):
        np.testing.assert_array_equal(data[name], tissue[name].values[kept])
    expected = build_recipe(RECIPE, AXIS).transform(tissue.absorbance.values[kept])
    np.testing.assert_allclose(data.absorbance, expected, atol=1e-7)
    np.testing.assert_array_equal(data.wavenumber, np.arange(1000.0, 1801.0, 2.0))
    assert data.attrs["recipe"] == RECIPE
    assert data.attrs["quality"]["kept"] == 57 and data.attrs["quality"]["given"] == 60
    assert data.attrs["quality"]["test"] == "tissue" and data.attrs["quality"]["emptied_images"] == []


def test_block_size_does_not_matter(tissue, tmp_path, monkeypatch):
    whole = prepare_spectra(tissue, tmp_path / "whole.zarr", recipe=RECIPE).load()
    monkeypatch.setattr(recipe, "CHUNK", 7)
    blocks = prepare_spectra(tissue, tmp_path / "blocks.zarr", recipe=RECIPE).load()
    xr.testing.assert_allclose(blocks, whole, rtol=1e-6)


def test_preparing_reads_a_store_and_is_repeatable(tissue, tmp_path):
    save_spectra(tissue, tmp_path / "raw.zarr")
    first = prepare_spectra(open_spectra(tmp_path / "raw.zarr"), tmp_path / "1.zarr", recipe=RECIPE).load()
    again = prepare_spectra(open_spectra(tmp_path / "raw.zarr"), tmp_path / "2.zarr", recipe=RECIPE).load()
    xr.testing.assert_identical(first, again)


def test_prepared_data_are_not_masked_again(tissue, tmp_path):
    once = prepare_spectra(tissue, tmp_path / "1.zarr", recipe=RECIPE)
    twice = prepare_spectra(once, tmp_path / "2.zarr", recipe=[{"snv": {}}])
    assert twice.attrs["quality"]["test"] == "none" and twice.sizes["spectrum"] == 57
    assert twice.attrs["recipe"] == [*RECIPE, {"snv": {}}]


def test_spectra_that_are_no_pixels_are_not_masked(toy_spectra, tmp_path):
    table = toy_spectra.assign_coords(row=-1 + 0 * toy_spectra.row, col=-1 + 0 * toy_spectra.col)
    assert prepare_spectra(table, tmp_path / "p.zarr").attrs["quality"]["test"] == "none"


def test_limits_are_used_and_recorded(tissue, tmp_path):
    data = prepare_spectra(tissue, tmp_path / "p.zarr", limits={"maximum_amide": 9.0})
    assert data.sizes["spectrum"] == 58
    assert data.attrs["quality"]["limits"]["maximum_amide"] == 9.0
    assert set(data.attrs["quality"]["limits"]) == {"minimum_amide", "maximum_amide", "minimum_snr"}


def test_an_image_without_tissue_is_reported(tissue, tmp_path):
    empty = tissue.copy(deep=True)
    empty["absorbance"][:30] = 0
    data = prepare_spectra(empty, tmp_path / "p.zarr", recipe=RECIPE)
    assert data.attrs["quality"]["emptied_images"] == ["a"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"quality": "good"}, SettingsError, "auto, tissue, none"),
        ({"limits": {"minimum": 1}}, SettingsError, "no limit 'minimum'.*minimum_amide"),
        ({"quality": "none", "limits": {"minimum_snr": 1}}, SettingsError, "takes no limits"),
        ({"limits": {"minimum_amide": 1.99}}, DataError, "none of 60 spectra .*highest amide I band is"),
        ({"recipe": [{"cut": {"low": 900}}]}, DataError, "900-1810 cm-1.*990-1810"),
        ({"quality": "none", "recipe": [{"emsc": {}}]}, DataError, "rows 0-59: emsc"),
    ],
)
def test_what_cannot_be_prepared_is_named_and_leaves_nothing(options, error, words, tissue, tmp_path):
    tissue["absorbance"][0] = -tissue.absorbance[1]
    with pytest.raises(error, match=words):
        prepare_spectra(tissue, tmp_path / "p.zarr", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("value", "words"), [(0.0, "zero at every wavenumber"), (np.nan, "NaN")])
def test_unusable_spectra_are_named_without_a_quality_test(value, words, tissue, tmp_path):
    tissue["absorbance"][33] = value
    with pytest.raises(DataError, match=rf"spectrum 33 \(image 'b'\) .*{words}"):
        prepare_spectra(tissue, tmp_path / "p.zarr", quality="none")
    kept = prepare_spectra(tissue, tmp_path / "p.zarr", quality="tissue")
    assert 33 not in kept.truth_class


def test_one_block_is_in_memory_at_a_time(tissue, tmp_path, monkeypatch):
    sizes = []
    real = recipe.tissue_mask

    def watch(block, axis, **limits):
        sizes.append(len(block))
        return real(block, axis, **limits)

    monkeypatch.setattr(recipe, "CHUNK", 16)
    monkeypatch.setattr(recipe, "tissue_mask", watch)
    prepare_spectra(tissue, tmp_path / "p.zarr", recipe=RECIPE)
    assert sizes == [16, 16, 16, 12]


def test_spectra_on_another_axis_are_interpolated_before_they_are_judged(tissue, tmp_path):
    """The same as a store of interpolated spectra, prepared: with those left out that cannot be interpolated."""
    tissue["absorbance"][7, 3] = np.nan
    axis = np.arange(1000.0, 1801.0, 4.0)
    finite = np.isfinite(tissue.absorbance.values).all(axis=1)
    grid = Resample(wavenumber=AXIS, low=1000, high=1800, step=4).fit()
    other = make_spectra(
        grid.transform(tissue.absorbance.values[finite]),
        axis,
        image=np.repeat(["a", "b"], 30)[finite],
        row=tissue.row.values[finite],
        col=tissue.col.values[finite],
    )
    expected = prepare_spectra(other, tmp_path / "1.zarr", recipe=RECIPE[1:])
    preparation = Preparation(tissue, recipe=RECIPE[1:], onto=axis.tolist())
    found = preparation.write(tmp_path / "2.zarr", preparation.blocks())
    np.testing.assert_array_equal(found.absorbance, expected.absorbance)
    np.testing.assert_array_equal(found.wavenumber, axis)
    assert found.attrs["recipe"] == RECIPE[1:] and 7 not in found.truth_class
    with pytest.raises(DataError, match="spectrum 7 .*NaN"):
        list(Preparation(tissue, quality="none", onto=axis).blocks())
    with pytest.raises(DataError, match="reaches outside the spectra"):
        Preparation(tissue, onto=axis + 400)


def test_a_range_of_whole_blocks_is_the_same_to_the_last_bit(tissue, monkeypatch):
    monkeypatch.setattr(recipe, "CHUNK", 8)
    preparation = Preparation(tissue, recipe=RECIPE)
    whole = list(preparation.blocks())
    parts = [one for start in range(0, 60, 16) for one in preparation.blocks(start, min(start + 16, 60))]
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a.rows, b.rows)
        np.testing.assert_array_equal(a.absorbance, b.absorbance)
