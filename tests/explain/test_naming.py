"""Peaks of the weights are found where they are, with their sign, and named by the published band nearest to them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.errors import DataError, SettingsError
from ftirlib.explain.linear.naming import name_peaks, naming_table
from ftirlib.spectra.bands import ASSIGNMENTS

AXIS = np.arange(1000.0, 1801.0)


def bumps(*centres_and_heights):
    return sum(height * np.exp(-(((AXIS - centre) / 8) ** 2)) for centre, height in centres_and_heights)


def test_planted_bands_are_named_with_sign_and_source():
    found = name_peaks(AXIS, bumps((1740, 1.0), (1548, -2.0), (1082, 0.5)))
    assert [(p.wavenumber, np.sign(p.weight)) for p in found] == [(1548, -1), (1740, 1), (1082, 1)]
    assert [p.bands[0].assignment for p in found] == ["amide II", "ester C=O", "PO2- symmetric"]
    assert all("doi" in band.source for p in found for band in p.bands)
    assert str(found[0]) == "-1548 (amide II)"


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(ASSIGNMENTS), st.floats(0.1, 10), st.booleans())
def test_every_band_of_the_table_is_found_at_its_centre(band, height, negative):
    if not AXIS[0] <= band.centre <= AXIS[-1]:
        return
    (peak,) = name_peaks(AXIS, bumps((band.centre, -height if negative else height)), n_peaks=1)
    assert peak.wavenumber == band.centre
    assert peak.bands[0].centre == band.centre
    assert (peak.weight < 0) == negative


def test_where_no_band_is_near_none_is_named():
    (peak,) = name_peaks(AXIS, bumps((1790, 1.0)))
    assert peak.bands == ()
    assert str(peak) == "+1790"
    assert name_peaks(AXIS, bumps((1745, 1.0)), tolerance=4)[0].bands == ()


def test_shoulders_and_near_neighbours_are_no_peaks_of_their_own():
    assert len(name_peaks(AXIS, bumps((1740, 1.0), (1728, 0.4)))) == 1
    twins = bumps((1740, 1.0), (1715, 0.9))
    assert [p.wavenumber for p in name_peaks(AXIS, twins, apart=20)] == [1740, 1715]
    assert [p.wavenumber for p in name_peaks(AXIS, twins, apart=30)] == [1740]
    assert name_peaks(AXIS, np.linspace(0, 1, AXIS.size))[0].wavenumber == 1800  # an end can be a peak


def test_empty_or_flat_weights_have_no_peaks():
    assert name_peaks(AXIS, np.full(AXIS.size, np.nan)) == ()
    assert name_peaks(AXIS, np.zeros(AXIS.size)) == ()
    assert name_peaks(AXIS, bumps((1740, 1.0)), n_peaks=0) == ()


def test_table_has_a_row_for_each_peak_of_each_context():
    weights = np.stack([bumps((1740, 1.0)), np.full(AXIS.size, np.nan), bumps((1548, -1.0), (1790, 0.5))])
    table = naming_table(AXIS, weights, [1, -1, 0], ["normal", "cancerous"])
    assert table["context"].tolist() == [0, 2, 2]
    assert table["class"].tolist() == ["cancerous", "normal", "normal"]
    assert table["assignment"].tolist() == ["ester C=O", "amide II", ""]
    assert table["offset"].isna().tolist() == [False, False, True]
    assert naming_table(AXIS, weights[1:2], [-1], ["normal"]).empty


@pytest.mark.parametrize(
    "axis, n, options, error, message",
    [
        (AXIS, 800, {}, DataError, r"shape \(800,\)"),
        (AXIS[::-1], 801, {}, DataError, "do not ascend"),
        (AXIS, 801, {"n_peaks": -1}, SettingsError, "n_peaks is -1"),
        (AXIS, 801, {"apart": float("nan")}, SettingsError, "apart nan"),
        (AXIS, 801, {"tolerance": -1.0}, SettingsError, "tolerance is -1"),
    ],
)
def test_bad_input_is_refused(axis, n, options, error, message):
    with pytest.raises(error, match=message):
        name_peaks(axis, bumps((1740, 1.0))[:n], **options)


def test_labels_must_fit_the_contexts():
    with pytest.raises(DataError, match="one row per context"):
        naming_table(AXIS, np.zeros((2, 801)), [0], ["normal"])
