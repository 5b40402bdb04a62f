"""Quality measures on spectra whose band, noise and defects are known."""

import numpy as np
import pytest

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.bands import tissue_reference
from ftirlib.spectra.prepare.quality import MAXIMUM_AMIDE, assess, tissue_mask

AXIS = np.arange(1000.0, 1801.0, 2.0)
BAND = np.exp2(-(((AXIS - 1656.0) / 15.0) ** 2))  # half height 15 cm-1 from the centre


def test_height_is_above_the_local_baseline_not_above_zero():
    slope = 0.3 + 5e-4 * (AXIS - 1000)
    found = assess(np.array([0.8 * BAND, 0.8 * BAND + slope]), AXIS)
    np.testing.assert_allclose(found["amide"], 0.8, atol=2e-3)
    np.testing.assert_allclose(found["peak"], [0.8, 0.8 + slope[np.argmax(BAND)]], atol=1e-3)


def test_noise_is_measured_where_no_band_lies(rng):
    sigma = 2e-3
    tissue = np.tile(0.5 * tissue_reference(AXIS), (400, 1))
    found = assess(tissue + sigma * rng.standard_normal(tissue.shape), AXIS)
    # 18 points, 3 of them spent on the parabola: the mean square over 400 spectra is known to 2 %.
    assert np.sqrt((found["noise"] ** 2).mean()) == pytest.approx(sigma, rel=0.08)
    np.testing.assert_allclose(found["snr"], found["amide"] / found["noise"])


def test_noiseless_tissue_has_no_noise_but_zero_has_no_signal():
    found = assess(np.array([BAND, np.zeros_like(AXIS)]), AXIS)
    assert found["snr"][0] > 1e6 and found["snr"][1] == 0
    assert found["zero"].tolist() == [False, True]


def test_non_finite_spectra_are_reported_not_spread():
    spectra = np.array([BAND, BAND, BAND])
    spectra[1, 3], spectra[2, 0] = np.nan, np.inf
    found = assess(spectra, AXIS)
    assert found["finite"].tolist() == [True, False, False]
    assert np.isnan(found["amide"]).tolist() == [False, True, True]
    assert tissue_mask(spectra, AXIS).tolist() == [True, False, False]


def test_mask_refuses_each_defect(rng):
    good = 0.5 * BAND
    noisy = good + 0.1 * rng.standard_normal(AXIS.size)
    spectra = np.array([good, 0.01 * BAND, 3.0 * BAND, 0.5 * BAND + 1.8, noisy, np.zeros_like(AXIS), -good])
    assert tissue_mask(spectra, AXIS).tolist() == [True] + [False] * 6
    assert tissue_mask(spectra, AXIS, minimum_amide=0.005)[1]
    assert tissue_mask(spectra, AXIS, maximum_amide=4.0)[2:4].all()
    assert tissue_mask(spectra, AXIS, minimum_snr=0.1)[4]


def test_saturation_counts_all_light_lost():
    just = np.array([BAND + MAXIMUM_AMIDE - 1.01, BAND + MAXIMUM_AMIDE - 0.99])
    assert tissue_mask(just, AXIS).tolist() == [True, False]


def test_order_of_wavenumbers_does_not_matter(rng):
    spectra = rng.random((5, 1)) * tissue_reference(AXIS) + 1e-3 * rng.standard_normal((5, AXIS.size))
    shuffle = rng.permutation(AXIS.size)
    straight, mixed = assess(spectra, AXIS), assess(spectra[:, shuffle], AXIS[shuffle])
    for name in straight:
        np.testing.assert_allclose(mixed[name], straight[name], rtol=1e-9)


@pytest.mark.parametrize("axis", [AXIS[AXIS < 1750], AXIS[AXIS > 1620], np.linspace(1500, 1800, 21)])
def test_axis_without_the_windows_is_refused_with_both_ranges(axis):
    with pytest.raises(DataError, match=f"the quality test.* cm-1.*{axis.min():g}-{axis.max():g}"):
        assess(np.ones((1, axis.size)), axis)


def test_wrong_shape_and_impossible_limits_are_refused():
    with pytest.raises(DataError, match="do not fit an axis of 401"):
        assess(np.ones((2, 3)), AXIS)
    with pytest.raises(SettingsError, match="minimum_amide"):
        tissue_mask(BAND[None], AXIS, minimum_amide=3.0)
