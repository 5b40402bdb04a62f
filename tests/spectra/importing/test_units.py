"""Units and axes: exact conversion, and refusal wherever a file does not settle what it holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.bands import tissue_reference
from ftirlib.spectra.importing.units import StoredAxis, detect_unit, to_absorbance

AXIS = np.arange(1000.0, 1801.0, 4.0)
TISSUE = 0.8 * tissue_reference(AXIS)[None]


@settings(max_examples=30, deadline=None)
@given(absorbance=st.floats(-1, 6))
def test_transmittance_of_an_absorbance_gives_it_back(absorbance):
    assert to_absorbance([10**-absorbance], "transmittance")[0] == pytest.approx(absorbance, abs=1e-12)
    assert to_absorbance([100 * 10**-absorbance], "percent")[0] == pytest.approx(absorbance, abs=1e-12)


def test_transmittance_of_zero_needs_a_floor():
    values = [[50.0, 0.0], [-0.1, 100.0]]
    with pytest.raises(DataError, match=r"2 transmittances .*lowest -0.1.*--floor"):
        to_absorbance(values, "percent")
    np.testing.assert_allclose(to_absorbance(values, "percent", floor=0.01), [[np.log10(2), 4], [4, 0]], atol=1e-12)


def test_an_unknown_unit_is_refused():
    with pytest.raises(SettingsError, match=r"absorbance, transmittance, percent"):
        to_absorbance([1.0], "reflectance")


@pytest.mark.parametrize(
    ("values", "stated", "found"),
    [
        (TISSUE, "absorbance", "absorbance"),
        (TISSUE, None, "absorbance"),
        (10**-TISSUE, "transmittance", "transmittance"),
        (100 * 10**-TISSUE, "percent", "percent"),
    ],
)
def test_the_unit_is_stated(values, stated, found):
    notes = []
    assert detect_unit(values, stated, "file", notes) == found
    assert len(notes) == 1 and found in notes[0]


@pytest.mark.parametrize(
    ("values", "stated"),
    [
        (100 * 10**-TISSUE, None),
        (10**-TISSUE, None),
        (100 * 10**-TISSUE, "absorbance"),
        (100 * 10**-TISSUE, "transmittance"),
        (10**-TISSUE, "percent"),
    ],
)
def test_an_unsettled_unit_names_the_option(values, stated):
    with pytest.raises(DataError, match=r"'file' .*--unit"):
        detect_unit(values, stated, "file", [])


def test_values_without_a_number_are_refused():
    with pytest.raises(DataError, match=r"no finite value"):
        detect_unit(np.full((2, 3), np.nan), None, "file", [])


def test_any_order_and_micrometres_give_the_same_axis(rng):
    stored = rng.permutation(AXIS)
    as_stored, in_um = StoredAxis(stored), StoredAxis(1e4 / stored, unit="um")
    np.testing.assert_array_equal(as_stored.wavenumber, AXIS)
    assert in_um.agrees_with(as_stored)
    np.testing.assert_array_equal(as_stored.select(stored[None])[0], AXIS)


def test_micrometres_are_recognised_but_not_assumed():
    with pytest.raises(DataError, match=r"'file': .*5.55556-10.*--wavenumber-unit um"):
        StoredAxis(1e4 / AXIS, name="file")


def test_limits_and_grid():
    cut = StoredAxis(AXIS[::-1], low=1100, high=1200)
    assert (cut.wavenumber[0], cut.wavenumber[-1], cut.wavenumber.size) == (1100, 1200, 26)
    grid = StoredAxis(AXIS[::-1], low=1101, high=1199, step=1)
    np.testing.assert_array_equal(grid.wavenumber, np.arange(1101.0, 1200.0))
    spectra = tissue_reference(AXIS[::-1])[None]
    np.testing.assert_allclose(grid.resample(grid.select(spectra))[0], tissue_reference(grid.wavenumber), atol=1e-3)


def test_a_blind_stretch_outside_the_grid_has_no_part_in_it():
    values = TISSUE.copy()
    values[:, AXIS > 1700] = np.nan
    grid = StoredAxis(AXIS, low=1000, high=1600, step=2)
    assert np.isfinite(grid.resample(grid.select(values))).all()


@pytest.mark.parametrize("step", [None, 1.0])
def test_limits_outside_the_axis_name_both_ranges(step):
    with pytest.raises(DataError, match=r"'file': .*900-1800 cm-1.*1000-1800 cm-1"):
        StoredAxis(AXIS, low=900, high=1800, step=step, name="file")


def test_axes_agree_but_for_rounding():
    base = StoredAxis(AXIS)
    assert base.agrees_with(StoredAxis(AXIS.astype(np.float32) + 5e-4))
    assert not base.agrees_with(StoredAxis(AXIS + 0.01))
    assert not base.agrees_with(StoredAxis(AXIS[1:]))
