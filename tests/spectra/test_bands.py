"""The table of bands: profiles of known shape, substances made of them, names for figures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.errors import SettingsError
from ftirlib.spectra.bands import (
    ARTEFACTS,
    ASSIGNMENTS,
    BANDS,
    SUBSTANCES,
    assign,
    band_sum,
    component_spectrum,
    is_amide_i,
    pseudo_voigt,
    substance_bands,
    tissue_reference,
)

AXIS = np.arange(1000.0, 1801.0)
SOME = settings(max_examples=25, deadline=None)


@SOME
@given(st.floats(1000, 1800), st.floats(4, 60), st.floats(0, 1))
def test_profile_is_one_at_its_centre_and_half_at_half_width(centre, fwhm, eta):
    values = pseudo_voigt([centre - fwhm / 2, centre, centre + fwhm / 2], centre, fwhm, eta=eta)
    np.testing.assert_allclose(values, [0.5, 1.0, 0.5], rtol=1e-9)


def test_profile_has_the_area_of_its_two_parts():
    axis = np.linspace(-4e5, 4e5, 800_001)  # a Lorentzian's tails hold 1 / (pi * half-widths) of its area
    fwhm, eta = 30.0, 0.3
    lorentz, gauss = np.pi / 2 * fwhm, np.sqrt(np.pi / np.log(2)) / 2 * fwhm
    area = np.trapezoid(pseudo_voigt(axis, 0.0, fwhm, eta=eta), axis)
    assert area == pytest.approx(eta * lorentz + (1 - eta) * gauss, rel=1e-4)


@pytest.mark.parametrize("name", SUBSTANCES)
def test_spectrum_is_positive_and_follows_the_axis(name, rng):
    spectrum = component_spectrum(name, AXIS)
    assert spectrum.shape == AXIS.shape and spectrum.dtype == np.float64
    assert (spectrum > 0).all()
    order = rng.permutation(AXIS.size)
    np.testing.assert_array_equal(component_spectrum(name, AXIS[order]), spectrum[order])


def test_spectrum_of_one_band_is_that_band():
    band = next(b for b in BANDS if b.centre == 1740.0)
    np.testing.assert_allclose(band_sum([band], [1740.0, 1740.0 + band.fwhm / 2]), [0.37, 0.185])


def test_unknown_substance_is_named():
    with pytest.raises(SettingsError, match=r"no substance 'keratin'.*protein"):
        component_spectrum("keratin", AXIS)


def test_each_substance_peaks_where_the_field_says():
    def peak(name, low, high):
        part = AXIS[(low <= AXIS) & (high >= AXIS)]
        return part[np.argmax(component_spectrum(name, part))]

    assert abs(peak("protein", 1600, 1700) - 1655) <= 4
    assert abs(peak("protein", 1500, 1600) - 1548) <= 4
    assert abs(peak("lipid", 1700, 1800) - 1740) <= 1
    assert abs(peak("glycogen", 1000, 1100) - 1028) <= 6
    assert abs(peak("nucleic", 1040, 1130) - 1084) <= 4
    assert peak("mucin", 1000, 1300) < 1080
    shift = peak("denatured protein", 1600, 1700) - peak("protein", 1600, 1700)
    assert -15 < shift <= -4  # amide I moves by -4 cm-1 and, with more beta sheet, further


def test_acid_moves_strength_from_carboxylate_to_carboxyl():
    change = component_spectrum("acidic protein", AXIS) - component_spectrum("protein", AXIS)
    at = dict(zip(AXIS.tolist(), change.tolist()))
    assert at[1394] < -0.05 and at[1586] < -0.05 and at[1718] > 0.05
    assert abs(at[1658]) < 0.01


def test_denaturing_keeps_the_strength_of_amide_i():
    def strength(name):
        return sum(b.height for b in substance_bands(name) if is_amide_i(b))

    assert strength("denatured protein") == pytest.approx(strength("protein"))


def test_reference_has_maximum_one_and_is_the_same_on_any_axis():
    whole = tissue_reference(np.arange(1000.0, 1800.5, 0.5))
    assert whole.max() == 1.0
    np.testing.assert_array_equal(tissue_reference(AXIS[::-1][:100]), whole[::2][::-1][:100])


def test_every_band_is_sourced_and_in_the_fingerprint_region():
    for band in BANDS:
        assert band.source and band.assignment
        assert 900 < band.centre < 1800 and 4 <= band.fwhm <= 60 and 0 < band.height <= 1
    parts = {part.removeprefix("denatured ") for made_of in SUBSTANCES.values() for part in made_of}
    assert parts == {band.component for band in BANDS}  # no part of the table is left unused


@SOME
@given(st.floats(900, 1850), st.floats(0, 80))
def test_assign_gives_all_bands_in_reach_nearest_first(wavenumber, tolerance):
    found = assign(wavenumber, tolerance=tolerance)
    distances = [abs(band.centre - wavenumber) for band in found]
    assert distances == sorted(distances)
    in_reach = [b for b in BANDS if b.component not in ARTEFACTS and abs(b.centre - wavenumber) <= tolerance]
    assert sorted(map(repr, found)) == sorted(map(repr, in_reach))


def test_assign_names_no_artefact_and_refuses_a_negative_reach():
    assert not any(band.component in ARTEFACTS for band in ASSIGNMENTS)
    assert assign(1790.0, tolerance=5) == ()
    with pytest.raises(SettingsError, match=r"-1 cm-1"):
        assign(1650.0, tolerance=-1)
