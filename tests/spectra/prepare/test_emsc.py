"""EMSC: exact least squares, and blind to thickness, baseline and interferents."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.bands import component_spectrum, tissue_reference
from ftirlib.spectra.prepare.emsc import EMSC

AXIS = np.arange(1000.0, 1801.0, 2.0)
PARAFFIN = component_spectrum("paraffin", AXIS)


@settings(max_examples=30, deadline=None)
@given(
    thickness=st.floats(0.05, 5),
    offset=st.floats(-1, 1),
    slope=st.floats(-1, 1),
    curvature=st.floats(-1, 1),
    paraffin=st.floats(-1, 3),
)
def test_a_distorted_reference_becomes_the_reference(thickness, offset, slope, curvature, paraffin):
    emsc = EMSC(wavenumber=AXIS, order=2, interferents=["paraffin"]).fit()
    x = (AXIS - 1400) / 400
    distorted = thickness * tissue_reference(AXIS) + offset + slope * x + curvature * x**2 + paraffin * PARAFFIN
    np.testing.assert_allclose(emsc.transform(distorted[None])[0], tissue_reference(AXIS), atol=1e-9)
    named = dict(zip(emsc.terms_, emsc.coefficients(distorted[None])[0]))
    assert named["reference"] == pytest.approx(thickness, abs=1e-9)
    assert named["paraffin"] == pytest.approx(paraffin, abs=1e-9)


def test_agrees_with_ordinary_least_squares(rng):
    spectra = tissue_reference(AXIS) * rng.uniform(0.2, 1, (30, 1)) + 0.05 * rng.standard_normal((30, AXIS.size))
    other = np.exp(-(((AXIS - 1300) / 50) ** 2))
    emsc = EMSC(wavenumber=AXIS, order=3, interferents=["paraffin", other]).fit()
    design = np.stack([tissue_reference(AXIS), PARAFFIN, other, *(((AXIS - 1400) / 100) ** p for p in range(4))], 1)
    weights = np.linalg.lstsq(design, spectra.T, rcond=None)[0]
    expected = (spectra.T - design[:, 1:] @ weights[1:]) / weights[0]
    np.testing.assert_allclose(emsc.transform(spectra), expected.T, atol=1e-10)
    np.testing.assert_allclose(emsc.residuals(spectra), (spectra.T - design @ weights).T, atol=1e-10)
    assert emsc.terms_[:3] == ["reference", "paraffin", "interferent 1"]


def test_chemistry_outside_the_model_survives():
    band = 0.1 * np.exp(-(((AXIS - 1080) / 20) ** 2))
    emsc = EMSC(wavenumber=AXIS).fit()
    reference = tissue_reference(AXIS)
    for thickness in (0.5, 2.0):
        change = emsc.transform((thickness * (reference + band) + 0.3)[None])[0] - reference
        assert AXIS[np.argmax(change)] == pytest.approx(1080, abs=6)


def test_own_reference_sets_the_scale():
    own = 7 * tissue_reference(AXIS)
    emsc = EMSC(wavenumber=AXIS, reference=own, order=0).fit()
    np.testing.assert_allclose(emsc.transform(own[None] / 3 + 1)[0], own)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"order": -1}, "order"),
        ({"order": 1.5}, "order"),
        ({"interferents": "paraffin"}, r"\['paraffin'\]"),
        ({"interferents": ["wax"]}, "wax"),
        ({"interferents": [np.ones(3)]}, r"interferent 0 must be 401 .*\(3,\)"),
        ({"interferents": [np.ones(401)]}, "not independent"),
        ({"interferents": ["paraffin", "paraffin"]}, "not independent"),
        ({"interferents": [np.zeros(401)]}, "not independent"),
        ({"reference": np.full(401, np.nan)}, "reference must be 401 finite"),
    ],
)
def test_impossible_models_are_refused(parameters, words):
    with pytest.raises(SettingsError, match=words):
        EMSC(wavenumber=AXIS, **parameters).fit()


def test_a_spectrum_without_the_reference_is_refused():
    x = (AXIS - 1400) / 400
    spectra = np.array([tissue_reference(AXIS), 0.2 + 0.1 * x, -tissue_reference(AXIS)])
    with pytest.raises(DataError, match=r"2 of 3 spectra .*row 1"):
        EMSC(wavenumber=AXIS).fit().transform(spectra)
