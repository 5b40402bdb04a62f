"""Spectra drawn as images: known pixels, invariances, and what cannot be drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ftirlib.classify.fusion.raster import KINDS, Raster
from ftirlib.errors import DataError, SettingsError

AXIS = np.linspace(1000.0, 1800.0, 201)


def walks(n, rng, length=201):
    return rng.standard_normal((n, length)).cumsum(axis=1)


def test_a_ramp_is_a_diagonal_with_high_wavenumbers_on_the_left():
    image = Raster(AXIS, size=32, line_width=1.0).render(AXIS[None])[0]
    assert image.shape == (32, 32)
    darkest = image.argmin(axis=0)
    np.testing.assert_array_equal(darkest, np.arange(32))  # highest absorbance, row 0, at the left edge
    # a slope of 31/32: each column holds a line width of 1 and the rise of the curve
    np.testing.assert_allclose((1 - image).sum(axis=0), 1 + 31 / 32, atol=1e-5)


def test_coverage_is_exact_for_a_flat_stretch():
    spectrum = np.zeros(AXIS.size)
    spectrum[0] = 1.0  # only so that the rest lies at the bottom
    image = Raster(AXIS, size=32, line_width=1.5).render(spectrum[None])[0]
    column = 1 - image[:, 3]
    np.testing.assert_allclose(column[-2:], [0.5, 1.0], atol=1e-6)
    assert column[:-2].max() == 0


def test_a_single_point_peak_is_drawn_to_the_top():
    spectrum = np.zeros(2001)
    spectrum[1000] = 1.0  # far narrower than a column
    image = Raster(np.linspace(1000, 1800, 2001), size=32).render(spectrum[None])[0]
    assert image[0].min() < 0.01
    assert ((1 - image[5]) > 0).sum() <= 2  # in the columns it touches, no others


def test_an_uneven_axis_is_drawn_where_its_wavenumbers_are():
    uneven = np.sort(np.random.default_rng(0).uniform(1000, 1800, 400))
    uneven[[0, -1]] = AXIS[[0, -1]]
    gaussian = [np.exp(-(((a - 1240) / 60) ** 2)) for a in (AXIS, uneven)]
    even, other = (Raster(a, size=48).render(g[None])[0] for a, g in zip((AXIS, uneven), gaussian))
    assert np.abs(even - other).mean() < 0.02


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(
    spectrum=arrays(np.float64, 40, elements=st.floats(-5, 5, width=32), unique=True),
    gain=st.floats(0.1, 50),
    offset=st.floats(-3, 3),
)
def test_gain_and_offset_leave_the_picture_as_it_is(kind, spectrum, gain, offset):
    if np.ptp(spectrum) < 1e-3:
        return
    raster = Raster(np.arange(40.0), size=32, kind=kind)
    image, other = raster.render(spectrum[None]), raster.render(gain * spectrum[None] + offset)
    np.testing.assert_allclose(image, other, atol=2e-3)
    assert 0 <= image.min() <= image.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_spectra_are_drawn_one_by_one(kind, rng):
    X, raster = walks(37, rng), Raster(AXIS, size=40, kind=kind)
    together = raster.render(X)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together[20:21], raster.render(X[20:21]))
    np.testing.assert_array_equal(together[::-1], raster.render(X[::-1]))
    assert raster.render(X[:0]).shape == (0, 40, 40)


def test_gramian_and_recurrence_by_their_formulas(rng):
    axis, X = np.arange(33.0), walks(1, rng, 33)
    scaled = (X[0] - X[0].min()) / np.ptp(X[0])
    means = ((scaled[1:] + scaled[:-1]) / 2)[::-1]  # of the polyline between neighbours, from high to low
    angle = np.arccos(2 * means - 1)
    gramian = Raster(axis, size=32, kind="gramian").render(X)[0]
    np.testing.assert_allclose(gramian, (1 + np.cos(angle[:, None] + angle)) / 2, atol=1e-5)
    recurrence = Raster(axis, size=32, kind="recurrence").render(X)[0]
    np.testing.assert_allclose(recurrence, np.abs(means[:, None] - means), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": 0}, "image size is 0"),
        ({"size": 31}, "at least 32"),
        ({"size": 64.0}, "whole number"),
        ({"size": True}, "whole number"),
        ({"kind": "heat"}, "choose one of line, gramian"),
        ({"line_width": 0}, "line_width is 0"),
        ({"size": 32, "line_width": 40}, "below the image's 32"),
    ],
)
def test_bad_settings_are_refused(options, says):
    with pytest.raises(SettingsError, match=says):
        Raster(AXIS, **options)


def test_bad_spectra_are_refused(rng):
    X, raster = walks(3, rng), Raster(AXIS, size=32)
    with pytest.raises(DataError, match=r"shape \(3, 200\)"):
        raster.render(X[:, 1:])
    with pytest.raises(DataError, match="1 of 3 spectra hold NaN.*number 1"):
        raster.render(np.where(np.arange(3)[:, None] == 1, np.nan, X))
    with pytest.raises(DataError, match="1 of 3 spectra are constant.*number 2"):
        raster.render(np.where(np.arange(3)[:, None] == 2, 0.7, X))
    with pytest.raises(DataError, match="ascend"):
        Raster(AXIS[::-1], size=32)
