"""ME-EMSC: equal to the published authors' package, exact on what it models, and closer to the truth than EMSC."""

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.bands import component_spectrum, tissue_reference
from ftirlib.spectra.prepare.emsc import EMSC
from ftirlib.spectra.prepare.me_emsc import MEEMSC
from ftirlib.spectra.prepare.mie import dispersion, extinction, sphere_constants
from ftirlib.spectra.simulate.optics import van_de_hulst

AXIS = np.arange(1000.0, 1801.0, 2.0)
REFERENCE_OUTPUT = ROOT / "tests" / "data" / "me_emsc.npz"


def scattering_tissue(rng, n, *, axis=AXIS, noise=1e-3):
    """Absorbance of tissue of varied composition, and the same in absorbing spheres: (pure, measured) of n spectra."""
    pure = rng.uniform(0.3, 1, (n, 1)) * tissue_reference(axis)
    for name in ("nucleic", "collagen"):
        pure += rng.uniform(0, 0.1, (n, 1)) * component_spectrum(name, axis)
    scatter = np.empty_like(pure)
    for k, absorbance in enumerate(pure):
        index = dispersion(absorbance / absorbance.max(), axis)
        constants = sphere_constants([rng.uniform(2, 7)], [rng.uniform(1.1, 1.4)], peak_absorbance=0.25)
        scatter[k] = rng.uniform(0.05, 0.3) * extinction(index, axis, *constants)[0, 0]
    return pure, pure + scatter + noise * rng.standard_normal(pure.shape)


def distance(corrected, pure):
    """What is left of the difference after scale and offset, in units of the pure spectrum's own variation."""
    left = []
    for a, b in zip(corrected, pure):
        terms = np.stack([a, np.ones_like(a)], axis=1)
        left.append(np.std(b - terms @ np.linalg.lstsq(terms, b, rcond=None)[0]) / np.std(b))
    return np.array(left)


@pytest.fixture(scope="module")
def simulated():
    return scattering_tissue(np.random.default_rng(7), 8)


@pytest.fixture(scope="module")
def published():
    with np.load(REFERENCE_OUTPUT) as found:
        return dict(found)


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("default", {}),
        ("seven", {"components": 7}),
        ("three", {"max_iterations": 3}),
        ("windows", {"active": [[0, 1900], [2550, 3700]]}),
    ],
)
def test_equals_the_authors_package(case, options, published):
    axis, reference, spectra = (published[f"{case}_{what}"] for what in ("axis", "reference", "spectra"))
    found = MEEMSC(wavenumber=axis, reference=reference, offset=True, **options).fit().fits(spectra)
    np.testing.assert_allclose(found.corrected, published[f"{case}_corrected"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.rmse, published[f"{case}_rmse"], rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found.iterations, published[f"{case}_iterations"])


@pytest.mark.parametrize("options", [{}, {"max_iterations": 1}, {"offset": True}])
def test_closer_to_the_pure_absorbance_than_emsc(options, simulated):
    pure, measured = simulated
    corrected = distance(MEEMSC(wavenumber=AXIS, **options).fit().transform(measured), pure)
    plain = distance(EMSC(wavenumber=AXIS).fit().transform(measured), pure)
    assert np.median(corrected) < np.median(plain) / 2


def test_more_than_one_regression_comes_no_closer(simulated):
    """The residual joins each guess: the fit improves, the distance to the truth does not."""
    pure, measured = simulated
    once, often = (MEEMSC(wavenumber=AXIS, max_iterations=k).fit().fits(measured) for k in (1, 45))
    assert (often.rmse < once.rmse).all()
    assert np.median(distance(once.corrected, pure)) < np.median(distance(often.corrected, pure))


def test_emsc_stays_closer_where_the_scatterers_do_not_absorb(simulated):
    pure, _ = simulated
    measured = pure + 0.1 * van_de_hulst(AXIS, 4.0, 1.2)
    corrected = distance(MEEMSC(wavenumber=AXIS).fit().transform(measured), pure)
    plain = distance(EMSC(wavenumber=AXIS).fit().transform(measured), pure)
    assert np.median(plain) < np.median(corrected)


def test_scatter_of_the_reference_itself_is_taken_out():
    """Up to what the components leave of the curve, whose part along the reference counts as tissue."""
    pure = tissue_reference(AXIS)
    constants = sphere_constants([4.0], [1.2], peak_absorbance=0.25)  # between the spheres of the model
    curve = extinction(dispersion(pure / pure.max(), AXIS), AXIS, *constants)[0, 0]
    curve -= (curve @ pure) / (pure @ pure) * pure
    spectrum = (0.7 * pure + 0.2 * curve)[None]
    left = []
    for components in (4, 12, 20):
        found = MEEMSC(wavenumber=AXIS, components=components, max_iterations=1).fit().fits(spectrum)
        assert found.scale[0] == pytest.approx(0.7, abs=1e-9)
        left.append(np.abs(found.corrected[0] - pure).max())
    assert left[0] > left[1] > left[2]
    assert left[2] < 1e-5


def test_the_offset_of_the_published_model_leaves_the_scale_undetermined():
    published = MEEMSC(wavenumber=AXIS, offset=True).fit()
    assert published.inflation_ > 100
    assert MEEMSC(wavenumber=AXIS).fit().inflation_ == pytest.approx(1, abs=1e-9)
    # Glycogen-rich tissue among spheres: the published model finds a negative thickness and must refuse.
    pure = 0.5 * tissue_reference(AXIS) + 0.5 * component_spectrum("glycogen", AXIS)
    with pytest.raises(DataError, match="1 of 1 spectra .*offset"):
        published.transform(pure[None])
    assert MEEMSC(wavenumber=AXIS).fit().fits(pure[None]).scale[0] > 0


@settings(max_examples=10, deadline=None)
@given(thickness=st.floats(0.1, 3), offset=st.floats(-0.5, 0.5), paraffin=st.floats(0, 2))
def test_thickness_offset_and_interferents_are_forgotten(thickness, offset, paraffin):
    step = MEEMSC(wavenumber=AXIS, interferents=["paraffin"], offset=True, max_iterations=4).fit()
    spectrum = thickness * tissue_reference(AXIS) + offset + paraffin * component_spectrum("paraffin", AXIS)
    found = step.fits(spectrum[None])
    np.testing.assert_allclose(found.corrected[0], tissue_reference(AXIS), atol=1e-8)
    assert found.scale[0] == pytest.approx(thickness, rel=1e-8)


def test_the_reference_sets_the_scale(simulated):
    _, measured = simulated
    once = MEEMSC(wavenumber=AXIS).fit().transform(measured)
    scaled = MEEMSC(wavenumber=AXIS, reference=3 * tissue_reference(AXIS)).fit().transform(measured)
    np.testing.assert_allclose(scaled, 3 * once, rtol=1e-6, atol=1e-9)


def test_one_alone_is_as_in_company(simulated):
    _, measured = simulated
    step = MEEMSC(wavenumber=AXIS).fit()
    together = step.fits(measured)
    for k in (0, 5):
        alone = step.fits(measured[k : k + 1])
        np.testing.assert_allclose(alone.corrected[0], together.corrected[k], rtol=0, atol=1e-10)
        assert alone.iterations[0] == together.iterations[k]


def test_the_search_says_when_it_was_cut_short(simulated):
    _, measured = simulated
    step = MEEMSC(wavenumber=AXIS, max_iterations=3, tolerance=1e-9).fit()
    found = step.fits(measured)
    assert not found.converged.all() and (found.iterations <= 3).all()
    with pytest.warns(UserWarning, match=rf"{(~found.converged).sum()} of 8 spectra .*after 3 iterations"):
        step.transform(measured)


def test_more_iterations_never_fit_worse(simulated):
    _, measured = simulated
    rmse = [MEEMSC(wavenumber=AXIS, max_iterations=k).fit().fits(measured).rmse for k in (1, 2, 5)]
    assert (rmse[1] <= rmse[0]).all() and (rmse[2] <= rmse[1]).all() and (rmse[2] < rmse[0]).any()


def test_silent_regions_are_damped_only_outside_the_windows():
    axis = np.arange(1000.0, 3001.0, 4.0)
    step = MEEMSC(wavenumber=axis, active=[[0, 1900], [2700, 3700]]).fit()
    guess = step._weighted(np.ones(axis.size))
    assert guess[axis == 2300][0] < 1e-12
    np.testing.assert_allclose(guess[[0, -1]], 1, atol=1e-6)


def test_a_transparent_sphere_scatters_as_in_the_phantom():
    alpha, gamma = sphere_constants([3.0, 6.0], [1.2, 1.3], peak_absorbance=0.25)
    clear = extinction(np.zeros(AXIS.size, complex), AXIS, alpha, gamma)
    for k, (radius, ratio) in enumerate([(3.0, 1.2), (6.0, 1.3)]):
        for same in clear[k]:  # gamma has nothing to act on
            np.testing.assert_allclose(same, van_de_hulst(AXIS, radius, ratio), atol=1e-10)


def test_extinction_is_van_de_hulsts_function(rng):
    alpha, gamma = sphere_constants(rng.uniform(2, 7, 3), rng.uniform(1.1, 1.4, 3), peak_absorbance=0.25)
    index = dispersion(tissue_reference(AXIS), AXIS)
    w = 1j * alpha[:, None, None] * AXIS * (1 + gamma[:, None] * index.conj())
    expected = 4 * (0.5 + np.exp(-w) / w + (np.exp(-w) - 1) / w**2).real
    np.testing.assert_allclose(extinction(index, AXIS, alpha, gamma), expected, atol=1e-11)


def test_dispersion_of_a_lorentzian_is_known():
    axis = np.arange(1000.0, 3001.0)
    centre, half = 2000.0, 15.0
    detuning = axis - centre
    absorbed = half / (detuning**2 + half**2)
    index = dispersion(absorbed * axis, axis)  # absorbance / wavenumber is the Lorentzian
    np.testing.assert_allclose(index.imag, absorbed, atol=1e-12)
    inside = np.abs(detuning) < 300  # far from the ends the transform of the endless line holds
    expected = -detuning / (detuning**2 + half**2)
    np.testing.assert_allclose(index.real[inside], expected[inside], atol=0.01 * np.abs(expected).max())


def test_a_coarse_axis_is_not_continued_past_zero():
    coarse = np.arange(1000.0, 1801.0, 8.0)  # 200 steps below 1000 would be negative
    assert np.isfinite(dispersion(tissue_reference(coarse), coarse)).all()


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"components": 0}, SettingsError, "components must be a whole number from 1"),
        ({"components": 101}, SettingsError, "101 components"),
        ({"max_iterations": 2.5}, SettingsError, "max_iterations"),
        ({"max_iterations": None}, SettingsError, "max_iterations"),
        ({"max_iterations": "many"}, SettingsError, "max_iterations"),
        ({"tolerance": "1e-4"}, SettingsError, "such as 0.001, not '1e-4'"),
        ({"radius_um": ["2", "7"]}, SettingsError, "radius_um"),
        ({"tolerance": 0}, SettingsError, "tolerance"),
        ({"offset": "yes"}, SettingsError, "offset must be true or false"),
        ({"peak_absorbance": -1}, SettingsError, "peak_absorbance"),
        ({"radius_um": 5.0}, SettingsError, r"radius_um must be \[low, high\]"),
        ({"radius_um": [7, 2]}, SettingsError, "radius_um"),
        ({"index_ratio": [1.0, 1.4]}, SettingsError, "1 < low"),
        ({"active": [1000, 1800]}, SettingsError, "list of"),
        ({"active": [[3000, 3500]]}, SettingsError, "lies on the axis"),
        ({"active": [[1800, 1000]]}, SettingsError, "active"),
        ({"reference": -tissue_reference(AXIS)}, SettingsError, "nowhere above zero"),
        ({"reference": np.ones(3)}, SettingsError, r"reference must be 401 .*\(3,\)"),
        ({"interferents": ["wax"]}, SettingsError, "wax"),
        ({"wavenumber": np.delete(AXIS, 50)}, DataError, "evenly spaced.*resample"),
    ],
)
def test_impossible_models_are_named(parameters, error, words):
    with pytest.raises(error, match=words):
        MEEMSC(**{"wavenumber": AXIS, **parameters}).fit()


def test_spectra_without_the_reference_are_named():
    x = (AXIS - 1400) / 400
    spectra = np.array([tissue_reference(AXIS), np.zeros(AXIS.size), -tissue_reference(AXIS) + 0.1 * x])
    with pytest.raises(DataError, match=r"2 of 3 spectra .*row 1"):
        MEEMSC(wavenumber=AXIS).fit().transform(spectra)
