"""Preparation steps: against chemotools, against known answers, and fed shuffled, zero and NaN spectra."""

import numpy as np
import pytest
from chemotools.derivative import SavitzkyGolay as ReferenceSavitzkyGolay
from chemotools.scatter import StandardNormalVariate
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.bands import tissue_reference
from ftirlib.spectra.prepare.emsc import EMSC
from ftirlib.spectra.prepare.me_emsc import MEEMSC
from ftirlib.spectra.prepare.steps import (
    SNV,
    AmideINormalise,
    Cut,
    Resample,
    RubberBand,
    SavitzkyGolay,
    VectorNormalise,
    check_axis,
)

AXIS = np.arange(1000.0, 1801.0, 4.0)
ALL_STEPS = [
    Cut(wavenumber=AXIS, low=1100, high=1700),
    Resample(wavenumber=AXIS, step=5),
    Resample(wavenumber=AXIS, low=1002, high=1799, step=1, degree=1),
    VectorNormalise(wavenumber=AXIS),
    SNV(wavenumber=AXIS),
    AmideINormalise(wavenumber=AXIS),
    SavitzkyGolay(wavenumber=AXIS, window=28, derivative=1),
    RubberBand(wavenumber=AXIS),
    EMSC(wavenumber=AXIS, interferents=["paraffin"]),
    MEEMSC(wavenumber=AXIS, interferents=["paraffin"], max_iterations=2),
]
each_step = pytest.mark.parametrize("step", ALL_STEPS, ids=lambda step: type(step).__name__)


@pytest.fixture
def tissue(rng):
    """Twelve spectra of tissue, each of its own thickness and offset, with noise."""
    thickness, offset = rng.uniform(0.3, 1.2, (12, 1)), rng.uniform(0, 0.3, (12, 1))
    return thickness * tissue_reference(AXIS) + offset + 1e-3 * rng.standard_normal((12, AXIS.size))


@each_step
def test_axis_after_the_step_fits_the_spectra(step, tissue):
    fitted = clone(step).fit()
    assert fitted.wavenumber_.shape == fitted.transform(tissue).shape[1:]


@each_step
def test_order_of_wavenumbers_does_not_matter(step, tissue, rng):
    shuffle = rng.permutation(AXIS.size)
    straight = clone(step).fit()
    mixed = clone(step).set_params(wavenumber=AXIS[shuffle]).fit()
    a, b = np.argsort(straight.wavenumber_), np.argsort(mixed.wavenumber_)
    np.testing.assert_allclose(mixed.wavenumber_[b], straight.wavenumber_[a], rtol=1e-12)
    np.testing.assert_allclose(
        mixed.transform(tissue[:, shuffle])[:, b], straight.transform(tissue)[:, a], rtol=1e-7, atol=1e-9
    )


@each_step
def test_each_spectrum_is_treated_on_its_own(step, tissue):
    fitted = clone(step).fit(tissue)
    together = fitted.transform(tissue)
    alone = np.concatenate([clone(step).fit(one[None]).transform(one[None]) for one in tissue])
    np.testing.assert_allclose(alone, together, rtol=1e-9, atol=1e-12)
    assert fitted.transform(tissue[:0]).shape == (0, together.shape[1])


@each_step
def test_input_is_left_as_it_is(step, tissue):
    before = tissue.copy()
    clone(step).fit_transform(tissue)[:] = 0
    np.testing.assert_array_equal(tissue, before)


@each_step
@pytest.mark.parametrize("where", [0, 60, -1], ids=["first", "middle", "last"])
def test_nan_is_refused_naming_row_and_wavenumber(step, where, tissue):
    tissue[3, where] = np.nan
    with pytest.raises(DataError, match=f"1 of 12 .*row 3.*{AXIS[where]:g}"):
        clone(step).fit().transform(tissue)


@each_step
def test_spectra_of_another_axis_are_refused(step, tissue):
    with pytest.raises(DataError, match=r"\(12, 200\).*201 wavenumbers"):
        clone(step).fit().transform(tissue[:, 1:])


@each_step
def test_a_step_needs_its_axis(step):
    with pytest.raises(SettingsError, match=r"wavenumber="):
        clone(step).set_params(wavenumber=None).fit()


@each_step
def test_steps_are_scikit_learn_estimators(step, tissue):
    copy = clone(step)
    assert copy is not step and set(copy.get_params()) == set(step.get_params())
    assert make_pipeline(copy, PCA(2)).fit_transform(tissue).shape == (12, 2)


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ([1000.0], r"\(1,\)"),
        ([[1000.0, 1100.0]], r"\(1, 2\)"),
        ([1000.0, np.nan], "not finite"),
        ([-1000.0, 1000.0], "positive"),
        ([1000.0, 1100.0, 1000.0], "1000 occurs twice"),
    ],
)
def test_bad_axes_are_named(axis, words):
    with pytest.raises(DataError, match=words):
        check_axis(axis)


def test_snv_agrees_with_chemotools(tissue):
    np.testing.assert_allclose(
        SNV(wavenumber=AXIS).fit_transform(tissue), StandardNormalVariate().fit_transform(tissue), rtol=1e-12
    )


@pytest.mark.parametrize("derivative", [0, 1, 2])
def test_savitzky_golay_agrees_with_chemotools(derivative, tissue):
    ours = SavitzkyGolay(wavenumber=AXIS, window=36, order=3, derivative=derivative).fit()
    assert ours.n_points_ == 9
    theirs = ReferenceSavitzkyGolay(window_length=9, polyorder=3, deriv=derivative, mode="interp").fit_transform(tissue)
    np.testing.assert_allclose(ours.transform(tissue), theirs / 4.0**derivative, rtol=1e-9, atol=1e-12)


def test_savitzky_golay_differentiates_with_respect_to_wavenumber():
    line = SavitzkyGolay(wavenumber=AXIS, derivative=1).fit_transform(2e-3 * AXIS[None])
    np.testing.assert_allclose(line, 2e-3)
    parabola = SavitzkyGolay(wavenumber=AXIS, window=20, derivative=2).fit_transform(3e-5 * (AXIS[None] - 1400) ** 2)
    np.testing.assert_allclose(parabola, 6e-5)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"window": 2.0}, "do not go together"),
        ({"window": 5000.0}, "do not go together"),
        ({"derivative": 3}, "derivative 3, order 2"),
    ],
)
def test_savitzky_golay_refuses_impossible_windows(parameters, words):
    with pytest.raises(SettingsError, match=words):
        SavitzkyGolay(wavenumber=AXIS, **parameters).fit()


def test_savitzky_golay_refuses_an_uneven_axis():
    with pytest.raises(DataError, match=r"not evenly spaced.*resample"):
        SavitzkyGolay(wavenumber=np.delete(AXIS, 50)).fit()


def test_cut_keeps_both_ends():
    step = Cut(wavenumber=AXIS, low=1100, high=1200).fit()
    np.testing.assert_array_equal(step.wavenumber_, np.arange(1100.0, 1201.0, 4.0))
    np.testing.assert_array_equal(step.transform(AXIS[None])[0], step.wavenumber_)


def test_cut_may_overreach_by_less_than_a_spacing():
    assert Cut(wavenumber=AXIS, low=997, high=1803).fit().wavenumber_.size == AXIS.size
    with pytest.raises(DataError, match=r"900-1800 cm-1.*1000-1800 cm-1"):
        Cut(wavenumber=AXIS, low=900, high=1800).fit()
    with pytest.raises(SettingsError, match=r"low \(1800\) must be below high \(1000\)"):
        Cut(wavenumber=AXIS, low=1800, high=1000).fit()


@settings(max_examples=25, deadline=None)
@given(
    step=st.sampled_from([0.5, 1.0, 2.0, 3.857, 8.0]),
    start=st.floats(0, 20),
    degree=st.sampled_from([1, 3]),
)
def test_resampling_reproduces_polynomials_of_its_degree(step, start, degree):
    axis = np.sort(np.r_[AXIS + start, AXIS[:-1] + start + 1.3])
    fitted = Resample(wavenumber=axis, step=step, degree=degree).fit()
    assert fitted.wavenumber_.min() >= axis.min() - 1e-5 and fitted.wavenumber_.max() <= axis.max() + 1e-5
    scaled = lambda x: ((x - 1400) / 400) ** degree  # noqa: E731
    np.testing.assert_allclose(fitted.transform(scaled(axis)[None])[0], scaled(fitted.wavenumber_), atol=1e-6)


def test_resampling_on_the_same_grid_changes_nothing(tissue):
    np.testing.assert_allclose(Resample(wavenumber=AXIS, step=4).fit_transform(tissue), tissue, atol=1e-12)


def test_cubic_resampling_keeps_the_height_of_a_band():
    coarse = np.arange(1600.0, 1700.0, 3.857)
    fine = Resample(wavenumber=coarse, step=1).fit()
    band = lambda x: np.exp2(-(((x - 1651.7) / 8.0) ** 2))  # noqa: E731
    assert fine.transform(band(coarse)[None]).max() == pytest.approx(band(fine.wavenumber_).max(), abs=0.01)


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"low": 990, "step": 2}, DataError, "grid 990-1800 .*1000-1800"),
        ({"high": 1801, "step": 1}, DataError, "never extrapolated"),
        ({"low": 1000, "high": 1800, "step": 3}, SettingsError, "no whole number of steps"),
        ({"step": 0}, SettingsError, "positive"),
        ({"step": 1, "degree": 2}, SettingsError, "degree"),
    ],
)
def test_impossible_grids_are_named(parameters, error, words):
    with pytest.raises(error, match=words):
        Resample(wavenumber=AXIS, **parameters).fit()


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-3, 1e3))
def test_normalisations_forget_the_thickness(scale):
    spectrum = tissue_reference(AXIS)[None]
    for step in (VectorNormalise(wavenumber=AXIS), SNV(wavenumber=AXIS), AmideINormalise(wavenumber=AXIS)):
        np.testing.assert_allclose(step.fit_transform(scale * spectrum), step.fit_transform(spectrum), rtol=1e-9)


def test_normalised_lengths(tissue):
    np.testing.assert_allclose(np.linalg.norm(VectorNormalise(wavenumber=AXIS).fit_transform(tissue), axis=1), 1)
    amide = AmideINormalise(wavenumber=AXIS).fit_transform(tissue)
    np.testing.assert_allclose(amide[:, (AXIS >= 1600) & (AXIS <= 1700)].max(axis=1), 1)


@pytest.mark.parametrize("step", [VectorNormalise, SNV, AmideINormalise, EMSC, MEEMSC])
def test_a_zero_spectrum_is_named(step, tissue):
    tissue[5] = 0
    with pytest.raises(DataError, match=r"1 of 12 spectra .*row 5"):
        step(wavenumber=AXIS).fit().transform(tissue)


def test_snv_refuses_a_constant():
    with pytest.raises(DataError, match=r"constant"):
        SNV(wavenumber=AXIS).fit().transform(np.full((1, AXIS.size), 0.1))


def test_rubber_band_takes_a_line_away_and_touches_zero(tissue):
    line = 0.4 - 2e-4 * (AXIS - 1000)
    step = RubberBand(wavenumber=AXIS).fit()
    corrected = step.transform(tissue)
    np.testing.assert_allclose(step.transform(tissue + line), corrected, atol=1e-12)
    assert corrected.min() >= -1e-12
    np.testing.assert_allclose(corrected[:, [0, -1]], 0, atol=1e-12)
    np.testing.assert_allclose(step.transform(line[None]), 0, atol=1e-12)
