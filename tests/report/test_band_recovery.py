"""Band recovery: bands that are hit, missed and met by luck; what must not matter; hostile input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ftirlib.errors import DataError, SettingsError
from ftirlib.report.truth.band_recovery import COLUMNS, band_recovery_table
from ftirlib.report.truth.truth import band_mask, band_recovery
from ftirlib.report.uncertainty import grouped_bootstrap
from ftirlib.spectra.simulate.colon import PhantomSettings, planted_bands

AXIS = np.arange(1000.0, 1101.0)
BANDS = [
    {"pathway": "a", "centre": 1030.0, "fwhm": 20.0},
    {"pathway": "b", "centre": 1080.0, "fwhm": 20.0},
]
NAMES = ["none", "a", "b"]
N, GROUPS = 60, np.repeat(["p1", "p2", "p3", "p4", "p5", "p6"], 10)
PATHWAY = np.tile([0, 1, 2, -1], 15)


def table(weights, pathway=PATHWAY, groups=GROUPS, **options):
    options = {"wavenumber": AXIS, "bands": BANDS, "pathway_names": NAMES, "n_resamples": 100, **options}
    return band_recovery_table(weights, pathway, groups, **options)


def peak(centre):
    return np.exp(-(((AXIS - centre) / 10) ** 2))


@pytest.fixture
def noisy(rng):
    """Weights of either sign on the pathway's own band, in noise as large."""
    centre = np.array([1050.0, 1030.0, 1080.0, 1050.0])[np.tile(np.arange(4), 15)]
    return np.exp(-(((AXIS - centre[:, None]) / 10) ** 2)) + rng.normal(size=(N, AXIS.size))


@pytest.mark.parametrize("of", ["mean", "spectra"])
def test_found_missed_and_flat(of):
    right = np.select([PATHWAY[:, None] == 1, PATHWAY[:, None] == 2], [-peak(1030), 5 * peak(1080)], 0.0)
    found = table({"right": right, "reversed": 10 - np.abs(right), "flat": np.ones((N, AXIS.size))}, of=of)
    assert list(found.columns) == list(COLUMNS)
    assert found.attribution.tolist() == ["right"] * 2 + ["reversed"] * 2 + ["flat"] * 2
    assert found.pathway.tolist() == ["a", "b"] * 3  # nothing is planted for 'none', and -1 is left out
    assert found.auroc.tolist() == [1, 1, 0, 0, 0.5, 0.5]
    assert found.low.tolist() == found.high.tolist() == found.auroc.tolist()
    assert (found.spectra == 15).all() and (found.groups == 6).all()
    best = found[found.attribution == "right"]
    assert (best.moved_share == 1 / AXIS.size).all()
    assert (found[found.attribution == "flat"].moved_share == 1).all()
    assert (found[found.attribution == "flat"].moved_sd == 0).all()


def test_it_is_scikit_learn_s_area(noisy):
    found = table({"w": noisy}, of="mean").set_index("pathway")
    each = table({"w": noisy}, of="spectra").set_index("pathway")
    for code, name in ((1, "a"), (2, "b")):
        mask, mine = band_mask(AXIS, BANDS, name), noisy[code == PATHWAY]
        assert found.auroc[name] == pytest.approx(roc_auc_score(mask, np.abs(mine.mean(0))))
        assert each.auroc[name] == pytest.approx(np.mean([roc_auc_score(mask, np.abs(w)) for w in mine]))
    assert (found.auroc > each.auroc).all()  # noise averages out
    assert (each.low < each.auroc).all() and (each.auroc < each.high).all()


def test_resampled_means_are_noisier_as_documented(rng):
    """Patients drawn twice average nothing out, so the interval of a mean of noisy weights lies low."""
    weights = peak(1030) + 2 * rng.normal(size=(N, AXIS.size))
    row = table({"w": weights}, np.ones(N, int), of="mean", n_resamples=400).iloc[0]
    assert row.auroc > (row.low + row.high) / 2


@pytest.mark.parametrize("of", ["mean", "spectra"])
def test_interval_is_that_of_the_spectra_themselves(noisy, of):
    """Sums per group give what resampling every spectrum gives."""
    mask, mine = band_mask(AXIS, BANDS, "a"), PATHWAY == 1

    def statistic(weights):
        return band_recovery(weights.mean(0) if of == "mean" else weights, mask).mean()

    slow = grouped_bootstrap(statistic, GROUPS[mine], noisy[mine], n_resamples=100, random_state=4)
    fast = table({"w": noisy}, of=of, random_state=4).iloc[0]
    assert (fast.auroc, fast.low, fast.high, fast.standard_error) == pytest.approx(
        (slow.estimate, slow.low, slow.high, slow.standard_error)
    )


@pytest.mark.parametrize("of", ["mean", "spectra"])
def test_moved_weights_are_moved(noisy, of):
    mask, mine = band_mask(AXIS, BANDS, "b"), noisy[PATHWAY == 2]
    shifted = []
    for shift in range(AXIS.size):
        weights = np.roll(mine, shift, axis=1)
        shifted.append(band_recovery(weights.mean(0) if of == "mean" else weights, mask).mean())
    row = table({"w": noisy}, of=of).iloc[1]
    assert row.moved_sd == pytest.approx(np.std(shifted))
    assert row.moved_share == pytest.approx(np.mean(np.array(shifted) >= shifted[0] - 1e-12))
    assert np.mean(shifted) == pytest.approx(0.5)  # what chance is, exactly


@given(st.permutations(range(N)), st.floats(0.01, 100))
@settings(max_examples=5, deadline=None)
def test_order_sign_and_scale_do_not_matter(order, factor):
    weights = np.random.default_rng(1).normal(size=(N, AXIS.size))
    order = np.array(order)
    for of in ("mean", "spectra"):
        one, other = (
            table({"w": weights}, of=of),
            table({"w": -factor * weights[order]}, PATHWAY[order], GROUPS[order], of=of),
        )
        np.testing.assert_allclose(one[list(COLUMNS[2:])].values, other[list(COLUMNS[2:])].values, rtol=1e-9)


def test_a_single_patient_has_no_interval(noisy):
    row = table({"w": noisy}, groups=np.zeros(N, int)).iloc[0]
    assert row.groups == 1 and 0 <= row.auroc <= 1
    assert np.isnan([row.low, row.high, row.standard_error]).all()


def test_bands_of_the_phantom_are_found_by_what_was_planted():
    phantom = PhantomSettings()
    bands, names, axis = planted_bands(phantom), phantom.pathway_names, np.asarray(phantom.wavenumber)
    weights = np.stack([band_mask(axis, bands, name) for name in names]).astype(float)
    codes = np.repeat(np.arange(len(names)), 2)
    found = band_recovery_table(
        {"planted": weights[codes]},
        codes,
        np.tile(["p", "q"], len(names)),
        wavenumber=axis,
        bands=bands,
        pathway_names=names,
        n_resamples=40,
    )
    assert len(found) == len({band["pathway"] for band in bands}) > 2
    assert (found.auroc == 1).all() and (found.moved_share < 0.1).all()


def test_nothing_to_score_is_an_empty_table(noisy):
    empty = table({"w": noisy}, np.zeros(N, int))
    assert empty.empty and list(empty.columns) == list(COLUMNS)


def test_bad_input_is_named(noisy):
    broken = noisy.copy()
    broken[3, 4] = np.nan
    cases = [
        (SettingsError, "of='median'", lambda: table({"w": noisy}, of="median")),
        (DataError, r"'w' have shape \(60, 100\)", lambda: table({"w": noisy[:, 1:]})),
        (DataError, "not finite for 1 spectra", lambda: table({"w": broken})),
        (DataError, "groups have shape", lambda: table({"w": noisy}, groups=GROUPS[1:])),
        (DataError, "float64", lambda: table({"w": noisy}, PATHWAY / 2)),
        (DataError, "run from -1 to 2, but there are 2", lambda: table({"w": noisy}, pathway_names=["none", "a"])),
        (DataError, "run from -2", lambda: table({"w": noisy}, PATHWAY - 1)),
        (SettingsError, "resamples", lambda: table({"w": noisy}, n_resamples=3)),
    ]
    for kind, says, call in cases:
        with pytest.raises(kind, match=says):
            call()
