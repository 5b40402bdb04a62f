"""Faithfulness: a logistic model whose answers are known, what must not matter, and hostile input."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from ftirlib.errors import DataError, ModelError, SettingsError, StoreError
from ftirlib.explain.attribution import Attribution
from ftirlib.explain.faithfulness import (
    BandRemoval,
    GaussianShift,
    Infidelity,
    PerturbationCurves,
    Sensitivity,
    changes,
    infidelity,
    max_sensitivity,
    perturbation_curves,
    reference_and_scale,
    subject,
)
from ftirlib.explain.faithfulness.curves import _interpolate
from ftirlib.explain.lime.lime import SpectralLime
from ftirlib.report.figures.curves import draw_perturbation_curves
from ftirlib.spectra.model import make_spectra

P = 12
AXIS = np.linspace(1000.0, 1110.0, P)
SLOPE = np.random.default_rng(5).normal(size=P)
SCALE = np.linspace(0.5, 1.5, P)


def odds(spectra):
    """Summed spectrum by spectrum, so that the batch leaves no trace in the last digit."""
    return np.einsum("ij,j->i", np.asarray(spectra, np.float64), SLOPE)


def logistic(spectra):
    p = expit(odds(spectra))
    return np.stack([1 - p, p], axis=1)


def linear(spectra):
    """Probabilities that are linear in the spectrum, as long as it is small."""
    p = 0.5 + 0.01 * odds(spectra)
    return np.stack([1 - p, p], axis=1)


def attribute(weights, labels=None, rows=None, axis=AXIS, mode="other"):
    weights = np.asarray(weights, np.float64)
    shape = weights.shape[:2]
    return Attribution(
        weights=weights,
        intercept=np.zeros(shape),
        score=np.ones(shape),
        local_prediction=np.zeros(shape),
        labels=np.ones(shape, np.int64) if labels is None else np.asarray(labels, np.int64),
        wavenumber=axis,
        rows=np.arange(len(weights)) if rows is None else np.asarray(rows),
        settings={"mode": mode, "n_samples": 8},
    )


def gradient(spectra, labels):
    """The exact limit for small noise: scale times gradient."""
    p = expit(odds(spectra))
    sign = np.where(labels == 1, 1.0, -1.0)  # (n, n_labels)
    return attribute((sign * (p * (1 - p))[:, None])[..., None] * SLOPE * SCALE, labels)


@pytest.fixture
def spectra(rng):
    return rng.normal(size=(9, P))


@pytest.fixture
def explained(spectra):
    return gradient(spectra, np.tile([1, 0], (len(spectra), 1)))


def assert_same(a, b, rtol=0):
    for name in a.dims:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=0, err_msg=name)


# --- deletion and insertion


def test_curves_of_a_logistic_model_are_what_its_formula_says(spectra, explained):
    reference = np.linspace(-1, 1, P)
    found = perturbation_curves(
        explained, logistic, spectra, reference=reference, scale=SCALE, n_steps=P, random_state=3
    )
    gain = SLOPE * (spectra - reference)  # exact contribution of each wavenumber to the odds
    for k, sign in ((0, 1), (1, -1)):
        ranked = -np.sort(-sign * gain, axis=1)
        taken = np.concatenate([np.zeros((len(spectra), 1)), np.cumsum(ranked, axis=1)], axis=1)
        full, empty = (sign * odds(x)[:, None] for x in (spectra, reference[None]))
        np.testing.assert_allclose(found.deletion[:, k], expit(full - taken), rtol=1e-12)
        np.testing.assert_allclose(found.insertion[:, k], expit(empty + taken), rtol=1e-12)
    np.testing.assert_allclose(found.share, np.arange(P + 1) / P)
    np.testing.assert_allclose(
        found.area("deletion"), (found.deletion[..., 1:] + found.deletion[..., :-1]).mean(-1) / 2
    )


def test_no_order_beats_the_exact_contributions(spectra, explained):
    found = perturbation_curves(explained, logistic, spectra, reference=np.zeros(P), scale=SCALE, n_steps=P)
    assert (found.deletion <= found.deletion_control + 1e-12).all()
    assert (found.insertion >= found.insertion_control - 1e-12).all()
    assert (found.deletion_gain > 0).all() and (found.insertion_gain > 0).all()
    against = perturbation_curves(
        replace(explained, weights=-explained.weights), logistic, spectra, reference=np.zeros(P), scale=SCALE, n_steps=P
    )
    assert (against.deletion_gain < 0).all() and (against.insertion_gain < 0).all()


def test_slopes_mislead_below_the_reference_and_contributions_do_not():
    below = np.full((1, P), -1.0)
    found = attribute((np.abs(SLOPE) * SCALE)[None, None], mode="limit")

    def rising(rows):
        p = expit(np.einsum("ij,j->i", rows, np.abs(SLOPE)))
        return np.stack([1 - p, p], axis=1)

    by_weight = perturbation_curves(found, rising, below, reference=np.zeros(P), n_steps=P)
    by_worth = perturbation_curves(found, rising, below, reference=np.zeros(P), scale=np.ones(P), n_steps=P)
    assert by_weight.deletion_gain < 0 < by_worth.deletion_gain
    opposed = replace(found, weights=-found.weights)
    by_size = perturbation_curves(opposed, rising, below, reference=np.zeros(P), n_steps=P, absolute=True)
    np.testing.assert_array_equal(by_size.deletion, by_weight.deletion)  # one order, whatever the sign


def test_weights_that_know_nothing_do_as_well_as_chance(rng):
    spectra = rng.normal(size=(400, P))
    found = perturbation_curves(
        attribute(rng.normal(size=(400, 1, P))), logistic, spectra, reference=np.zeros(P), n_steps=6, n_controls=3
    )
    for gain in (found.deletion_gain, found.insertion_gain):
        assert abs(gain.mean()) < 3 * gain.std() / np.sqrt(gain.size)


def test_equal_weights_are_a_random_order(spectra):
    flat, options = attribute(np.zeros((len(spectra), 1, P))), {"reference": np.zeros(P), "n_steps": P}
    one, other, again = (perturbation_curves(flat, logistic, spectra, **options, random_state=k) for k in (0, 1, 0))
    assert_same(one, again)
    assert not np.allclose(one.deletion, other.deletion)


def test_moved_control_keeps_the_runs_and_loses_their_place():
    """A model that sees one band; the explanation is that band; moved by k of P it overlaps less and less."""
    band = (np.arange(P) < 4).astype(float)

    def seen(rows):
        p = expit(rows @ band - 2)
        return np.stack([1 - p, p], axis=1)

    spectra = np.ones((200, P))
    found = perturbation_curves(
        attribute(np.tile(band, (200, 1, 1))), seen, spectra, reference=np.zeros(P), n_steps=3, control="moved"
    )
    assert found.deletion[0, 0].tolist() == pytest.approx([expit(2), expit(-2), expit(-2), expit(-2)])
    # after the first step the moved order has taken 4, 3, 2, 1 or 0 of the band's 4: averaged over the P distances
    taken = np.array([np.roll(band, s) @ band for s in range(P)])
    assert found.deletion_control[:, 0, 1].mean() == pytest.approx(expit(2 - taken).mean(), abs=0.02)


def test_interpolation_is_numpy_s(rng):
    axis = np.sort(rng.uniform(900, 1800, 15))
    x, removed = rng.normal(size=(2, 15)), rng.random((2, 1, 4, 13)) < 0.7
    removed[0, 0, 0], removed[0, 0, 1] = True, False
    found = _interpolate(axis, x, removed)
    for n in range(2):
        for s in range(4):
            kept = np.r_[True, ~removed[n, 0, s], True]
            np.testing.assert_allclose(found[n, 0, s], np.interp(axis, axis[kept], x[n][kept]), rtol=1e-12)
            np.testing.assert_array_equal(found[n, 0, s][kept], x[n][kept])


def test_interpolated_curves_never_remove_the_ends(spectra, explained):
    seen = []

    def watching(rows):
        seen.append(np.array(rows))
        return logistic(rows)

    found = perturbation_curves(explained, watching, spectra, reference="interpolate", n_steps=P - 2)
    rows = np.concatenate(seen)
    ends = np.unique(spectra[:, [0, -1]], axis=0)
    assert np.array_equal(np.unique(rows[:, [0, -1]], axis=0), ends)
    line = logistic(np.linspace(spectra[:, 0], spectra[:, -1], P, axis=1))
    np.testing.assert_allclose(found.deletion[:, 0, -1], line[:, 1], rtol=1e-12)
    np.testing.assert_array_equal(found.insertion[:, :, 0], found.deletion[:, :, -1])
    np.testing.assert_array_equal(found.insertion[:, :, -1], found.deletion[:, :, 0])
    assert found.share.tolist() == [k / (P - 2) for k in range(P - 1)]


# --- infidelity


def test_linear_model_is_explained_without_infidelity(spectra):
    exact = attribute(np.tile(0.01 * SLOPE * SCALE, (len(spectra), 1, 1)))
    for perturbation in (GaussianShift(SCALE), BandRemoval(np.ones(P), SCALE)):
        found = infidelity(exact, linear, spectra, perturbation, n_samples=20)
        np.testing.assert_allclose(found.relative, 0, atol=1e-20)
        twice = infidelity(replace(exact, weights=2 * exact.weights), linear, spectra, perturbation, n_samples=20)
        np.testing.assert_allclose(twice.relative, 1, rtol=1e-9)  # foretells twice the change
        np.testing.assert_allclose(twice.relative_scaled, 0, atol=1e-12)
        silent = infidelity(replace(exact, weights=0 * exact.weights), linear, spectra, perturbation, n_samples=20)
        np.testing.assert_array_equal(silent.infidelity, silent.change)
        np.testing.assert_array_equal(silent.relative_scaled, 1)


def test_gaussian_infidelity_of_a_logistic_model_is_an_integral(spectra, explained):
    """Weights and model see the shift through one normal number alone: Gauss-Hermite quadrature."""
    radius = 0.7
    node, weight = np.polynomial.hermite_e.hermegauss(80)
    along = node * radius * np.linalg.norm(SLOPE * SCALE)
    before = odds(spectra)[:, None]
    p = expit(before)
    exact = (np.square(p * (1 - p) * along - (expit(before + along) - p)) @ weight) / weight.sum()
    found = infidelity(explained, logistic, spectra, GaussianShift(SCALE, radius), n_samples=4000, random_state=1)
    for k in (0, 1):  # two classes mirror each other
        assert (np.abs(found.infidelity[:, k] - exact) < 4 * found.standard_error[:, k]).all()
    assert (found.standard_error < 0.1 * found.infidelity.max()).all()


def test_band_removal_draws_every_band_alike():
    perturbation = BandRemoval(np.zeros(5))
    rows, factors = perturbation.draw(np.random.default_rng(0), 15_000, np.ones(5))
    np.testing.assert_array_equal(factors, rows - 1)
    bands, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(bands) == 15  # 5 * 6 / 2 runs
    assert np.square(counts - 1000).sum() / 1000 < 42.6  # chi square of 14 degrees at .0001
    assert all(np.abs(np.diff(np.r_[1, band, 1])).sum() == 2 for band in bands)


def test_band_infidelity_of_a_logistic_model_is_a_sum_over_bands(spectra):
    reference, weights = np.linspace(0, 1, P), np.linspace(-0.2, 0.3, P)  # contributions, made up
    found = infidelity(
        attribute(np.tile(weights, (len(spectra), 1, 1)), mode="decile"),
        logistic,
        spectra,
        BandRemoval(reference),
        n_samples=4000,
    )
    for x, value, error in zip(spectra, found.infidelity[:, 0], found.standard_error[:, 0]):
        squares = []
        for a in range(P):
            for b in range(a + 1, P + 1):
                y = x.copy()
                y[a:b] = reference[a:b]
                squares.append((-weights[a:b].sum() - (expit(y @ SLOPE) - expit(x @ SLOPE))) ** 2)
        assert abs(value - np.mean(squares)) < 4 * error


def test_a_model_that_never_reacts_has_no_relative_infidelity(spectra, explained):
    found = infidelity(explained, lambda x: np.full((len(x), 2), 0.5), spectra, GaussianShift(SCALE), n_samples=4)
    assert np.isinf(found.relative).all() and (found.change == 0).all()


# --- max-sensitivity


def test_sensitivity_of_a_logistic_model(spectra, explained):
    drawn = []

    def explain(rows, labels):
        drawn.append(rows.reshape(-1, 6, P))
        return gradient(rows, labels)

    found = max_sensitivity(explained, explain, spectra, scale=SCALE, radius=0.3, n_draws=5)
    copies = np.concatenate(drawn)
    np.testing.assert_array_equal(copies[:, 0], spectra)
    assert (np.abs(copies - spectra[:, None]) <= 0.3 * SCALE + 1e-12).all()
    slope = expit(copies @ SLOPE) * expit(-copies @ SLOPE)
    length = np.linalg.norm(SLOPE * SCALE)
    exact = length * np.abs(slope[:, 1:] - slope[:, :1]).max(1)
    for k in (0, 1):
        np.testing.assert_allclose(found.sensitivity[:, k], exact, rtol=1e-9)
        np.testing.assert_allclose(found.norm[:, k], length * slope[:, 0], rtol=1e-12)
    more = max_sensitivity(explained, gradient, spectra, scale=SCALE, radius=0.6, n_draws=5)
    assert (more.sensitivity.mean() > found.sensitivity.mean()) and (more.relative > 0).all()


def test_constant_explanations_are_not_sensitive(spectra, explained):
    def constant(rows, labels):
        return attribute(np.tile(SLOPE, (*labels.shape, 1)), labels)

    assert (max_sensitivity(explained, constant, spectra, scale=SCALE).relative == 0).all()

    def nothing(rows, labels):
        return attribute(np.zeros((*labels.shape, P)), labels)

    assert np.isnan(max_sensitivity(explained, nothing, spectra, scale=SCALE).relative).all()


# --- what must not matter


def all_measures(explained, spectra, model=logistic, **options):
    return (
        perturbation_curves(explained, model, spectra, reference=np.zeros(P), n_steps=4, n_controls=2, **options),
        perturbation_curves(explained, model, spectra, reference="interpolate", n_steps=4, control="moved", **options),
        infidelity(explained, model, spectra, GaussianShift(SCALE), n_samples=8, **options),
        infidelity(explained, model, spectra, BandRemoval(np.zeros(P), SCALE), n_samples=8, **options),
        max_sensitivity(explained, gradient, spectra, scale=SCALE, n_draws=3, **options),
    )


@pytest.mark.parametrize("rows", [1, 40, 100])
def test_blocks_of_any_size_give_the_same(monkeypatch, spectra, explained, rows):
    whole = all_measures(explained, spectra)
    monkeypatch.setattr(subject, "ROWS", rows)
    monkeypatch.setattr(changes, "ROWS", rows)  # 1: the draws of one spectrum come one by one
    for a, b in zip(all_measures(explained, spectra), whole):
        assert_same(a, b, rtol=1e-12)


@given(st.permutations(range(9)), st.integers(1, 9))
@settings(max_examples=10, deadline=None)
def test_order_and_company_of_the_explanations_do_not_matter(order, n):
    spectra = np.random.default_rng(0).normal(size=(9, P))
    explained = gradient(spectra, np.tile([1, 0], (9, 1)))
    order = np.array(order[:n])
    for part, whole in zip(all_measures(explained.select(order), spectra), all_measures(explained, spectra)):
        for name, dims in part.dims.items():
            wanted = getattr(whole, name)
            np.testing.assert_allclose(
                getattr(part, name), wanted[order] if dims[0] == "spectrum" else wanted, rtol=1e-12, err_msg=name
            )


def test_the_length_of_weights_does_not_change_curves(spectra, explained):
    long = replace(explained, weights=7 * explained.weights)
    assert_same(
        *(perturbation_curves(e, logistic, spectra, reference=np.zeros(P), n_steps=5) for e in (explained, long))
    )


def test_seeds_repeat_and_differ(spectra, explained):
    one, again, other = (all_measures(explained, spectra, random_state=k) for k in (3, 3, 4))
    for a, b in zip(one, again):
        assert_same(a, b)
    assert not np.allclose(one[0].deletion_control, other[0].deletion_control)
    assert not np.allclose(one[2].infidelity, other[2].infidelity)
    assert not np.allclose(one[4].sensitivity, other[4].sensitivity)


def test_stores_and_data_sets_give_what_arrays_give(tmp_path, monkeypatch, spectra, explained):
    monkeypatch.setattr(subject, "STORED", 4)
    monkeypatch.setattr(subject, "ROWS", 20)  # two spectra a block at most
    spectra = spectra.astype(np.float32)  # as data sets hold them
    path = explained.save(tmp_path / "a.zarr")
    data = make_spectra(spectra, AXIS, label=["a"] * 9, class_names=["a", "b"])
    for a, b in zip(all_measures(path, data), all_measures(explained, spectra)):
        assert_same(a, b)


@pytest.mark.parametrize("k", range(5))
def test_results_are_saved_with_rows_and_labels(tmp_path, spectra, explained, k):
    part = explained.select([7, 2])
    found = all_measures(part, spectra)[k]
    kind = type(found)
    assert isinstance(found, (PerturbationCurves, Infidelity, Sensitivity)) and len(found) == 2
    back = kind.load(found.save(tmp_path / "m.zarr"))
    assert_same(back, found)
    assert back.rows.tolist() == [7, 2] and back.labels.tolist() == [[1, 0]] * 2
    assert dict(back.settings) == found.settings and back.settings["attribution"] == part.settings
    assert set(found.to_dataset().dims) >= {"spectrum", "explained"}
    with pytest.raises(StoreError, match="exists"):
        found.save(tmp_path / "m.zarr")
    found.save(tmp_path / "m.zarr", overwrite=True)
    other = Sensitivity if kind is not Sensitivity else Infidelity
    with pytest.raises(StoreError, match="measure again"):
        other.load(tmp_path / "m.zarr")
    with pytest.raises(StoreError, match="measure again"):
        kind.load(tmp_path / "nothing.zarr")


def test_a_torch_module_and_its_function_agree(spectra, explained):
    layer = torch.nn.Linear(P, 2).double()
    with torch.no_grad():
        layer.weight[:] = torch.as_tensor(np.stack([0 * SLOPE, SLOPE]))
        layer.bias[:] = 0
    module = torch.nn.Sequential(layer, torch.nn.Softmax(dim=1))
    for a, b in zip(all_measures(explained, spectra, module), all_measures(explained, spectra)):
        assert_same(a, b, rtol=1e-9)


def softmax_of(slope):
    module = torch.nn.Sequential(torch.nn.Linear(P, 2, bias=False).double(), torch.nn.Softmax(dim=1))
    with torch.no_grad():
        module[0].weight[:] = torch.as_tensor(np.stack([0 * slope, slope]))
    return module


def test_the_limit_of_lime_has_the_least_infidelity(spectra, rng):
    """Under its own noise no weights foretell better than the averaged gradient; the rest is an integral."""
    module = softmax_of(0.5 * SLOPE)
    background = rng.normal(size=(200, P)) * SCALE
    _, scale = reference_and_scale(background)
    lime = SpectralLime(background, mode="limit", n_samples=2000, kernel_width=100.0)  # so wide that it weighs nothing
    found = lime.explain(module, spectra, labels=1)
    shift = GaussianShift(scale)
    limit = infidelity(found, module, spectra, shift, n_samples=4000)

    node, weight = np.polynomial.hermite_e.hermegauss(80)
    weight = weight / weight.sum()
    length, before = np.linalg.norm(0.5 * SLOPE * scale), spectra @ (0.5 * SLOPE)
    change = expit(before[:, None] + node * length) - expit(before)[:, None]
    least = np.square(change) @ weight - np.square((change * node) @ weight)
    assert (np.abs(limit.infidelity[:, 0] - least) < 4 * limit.standard_error[:, 0]).all()

    p = expit(before)[:, None, None]
    at_the_spectrum = replace(found, weights=p * (1 - p) * 0.5 * SLOPE * scale)
    assert (limit.infidelity < infidelity(at_the_spectrum, module, spectra, shift, n_samples=4000).infidelity).all()


@pytest.mark.parametrize("mode", ["instance", "limit", "decile"])
def test_lime_is_more_faithful_than_its_weights_elsewhere(spectra, rng, mode):
    module = softmax_of(0.3 * SLOPE)
    background = rng.normal(size=(200, P)) * SCALE
    mean, scale = reference_and_scale(background)
    lime = SpectralLime(background, mode=mode, n_samples=2000)
    found = lime.explain(module, spectra)
    worth = None if mode == "decile" else scale
    curves = perturbation_curves(found, module, spectra, reference=mean, scale=worth, n_steps=P)
    assert curves.deletion_gain.mean() > 0 and curves.insertion_gain.mean() > 0
    elsewhere = replace(found, weights=np.roll(found.weights, 5, axis=2))
    here, there = (infidelity(e, module, spectra, BandRemoval(mean, worth)) for e in (found, elsewhere))
    assert here.relative_scaled.mean() < there.relative_scaled.mean()
    if mode != "decile":  # a bin's edge is crossed or not, however small the step
        near, far = (
            max_sensitivity(
                found, lambda x, y: lime.explain(module, x, y), spectra, scale=scale, radius=radius, n_draws=2
            )
            for radius in (0.01, 0.1)
        )
        assert (near.sensitivity < far.sensitivity).all()


# --- hostile input


def test_bad_input_is_named(spectra, explained, tmp_path):
    zero = np.zeros(P)

    def curves(explained=explained, model=logistic, data=spectra, **options):
        return perturbation_curves(explained, model, data, **{"reference": zero, "n_steps": 4, **options})

    def foretold(explained=explained, perturbation=None, **options):
        return infidelity(explained, logistic, spectra, perturbation or GaussianShift(SCALE), **options)

    def moved(explain=gradient, **options):
        return max_sensitivity(explained, explain, spectra, **{"scale": SCALE, **options})

    decile = replace(explained, settings={"mode": "decile"})
    limit = replace(explained, settings={"mode": "limit"})
    nan = replace(explained, weights=np.where(np.arange(9)[:, None, None] == 4, np.nan, explained.weights))
    shifted = make_spectra(spectra, AXIS + 2, label=["a"] * 9, class_names=["a", "b"])
    two = attribute(np.ones((9, 1, 2)), axis=None)
    cases = [
        (DataError, "11 wavenumbers .* 12", lambda: curves(data=spectra[:, :-1])),
        (DataError, "different axes", lambda: curves(data=shifted)),
        (DataError, r"rows 0\.\.8, but there are 5", lambda: curves(data=spectra[:5])),
        (DataError, "no explanations", lambda: curves(explained.select(slice(0)))),
        (DataError, "weights of spectrum 4", lambda: curves(nan)),
        (DataError, "NaN", lambda: curves(data=np.where(np.eye(9, P) == 1, np.nan, spectra))),
        (DataError, r"reference has shape \(11,\)", lambda: curves(reference=zero[1:])),
        (DataError, "reference must be finite", lambda: curves(reference=zero * np.nan)),
        (SettingsError, "'mean'", lambda: curves(reference="mean")),
        (SettingsError, "scale ranks by", lambda: curves(reference="interpolate", scale=SCALE)),
        (
            DataError,
            "to interpolate over",
            lambda: curves(replace(explained, wavenumber=None), reference="interpolate"),
        ),
        (
            DataError,
            "between the two ends",
            lambda: perturbation_curves(
                two,
                logistic,
                make_spectra(spectra[:, :2], AXIS[:2], label=["a"] * 9, class_names=["a"]),
                reference="interpolate",
            ),
        ),
        (DataError, "scale must be positive and finite", lambda: curves(scale=zero)),
        (SettingsError, "staying in a bin", lambda: curves(decile, scale=SCALE)),
        (SettingsError, "n_steps=13", lambda: curves(n_steps=13)),
        (SettingsError, "n_steps must be", lambda: curves(n_steps=0)),
        (SettingsError, "n_controls", lambda: curves(n_controls=True)),
        (SettingsError, "random_state", lambda: curves(random_state=-1)),
        (SettingsError, "control 'none'", lambda: curves(control="none")),
        (SettingsError, "labels run from 0 to 5", lambda: curves(replace(explained, labels=explained.labels * 5))),
        (ModelError, "not to 1", lambda: curves(model=lambda x: 2 * logistic(x))),
        (ModelError, "NaN", lambda: curves(model=lambda x: np.nan * logistic(x))),
        (ModelError, "no classifier", lambda: curves(model=3)),
        (StoreError, "no explanations", lambda: curves(tmp_path / "none.zarr")),
        (SettingsError, "'decile' predict no", lambda: foretold(decile)),
        (SettingsError, "give its scale", lambda: foretold(limit, BandRemoval(zero))),
        (SettingsError, "leave scale out", lambda: foretold(decile, BandRemoval(zero, SCALE))),
        (DataError, "scale has shape", lambda: foretold(perturbation=GaussianShift(SCALE[1:]))),
        (SettingsError, "radius", lambda: foretold(perturbation=GaussianShift(SCALE, 0))),
        (SettingsError, "perturbation must be", lambda: foretold(perturbation="gaussian")),
        (SettingsError, "n_samples", lambda: foretold(n_samples=1)),
        (SettingsError, "radius", lambda: moved(radius=-1.0)),
        (SettingsError, "n_draws", lambda: moved(n_draws=0)),
        (ModelError, "ndarray", lambda: moved(lambda x, labels: gradient(x, labels).weights)),
        (ModelError, "other labels", lambda: moved(lambda x, labels: gradient(x, 1 - labels))),
        (ModelError, "shape", lambda: moved(lambda x, labels: gradient(x[1:], labels[1:]))),
        (DataError, "not finite", lambda: moved(lambda x, y: attribute(np.full((*y.shape, P), np.nan), y))),
    ]
    for kind, says, call in cases:
        with pytest.raises(kind, match=says):
            call()


def test_parts_that_disagree_are_refused(spectra, explained):
    found = infidelity(explained, logistic, spectra, GaussianShift(SCALE), n_samples=2)
    with pytest.raises(DataError, match="'change' has shape"):
        replace(found, change=found.change[1:])
    with pytest.raises(DataError, match="schema"):
        Infidelity.from_dataset(explained.to_dataset())


# --- the figure


def test_the_figure_draws_what_it_is_given():
    share = np.array([0, 0.5, 1])
    _, ax = plt.subplots()
    curves = {"limit": ([0.9, 0.4, 0.1], 0.45, [0.8, 0.3, 0.0], [1.0, 0.5, 0.2]), "decile": ([0.9, 0.6, 0.1],)}
    assert draw_perturbation_curves(ax, share, curves, controls={"random": ([0.9, 0.8, 0.1], None)}) is ax
    assert [list(line.get_ydata()) for line in ax.lines] == [[0.9, 0.8, 0.1], [0.9, 0.4, 0.1], [0.9, 0.6, 0.1]]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["random", "limit, area 0.45", "decile"]
    assert len(ax.collections) == 1 and ax.get_xlabel() == "Share of wavenumbers deleted"
    _, other = plt.subplots()
    draw_perturbation_curves(other, share, curves, what="inserted")
    assert other.get_xlabel() == "Share of wavenumbers inserted"
    for says, call in {
        "what='gone'": lambda: draw_perturbation_curves(ax, share, curves, what="gone"),
        "0 curves": lambda: draw_perturbation_curves(ax, share, {}),
        "limit has shape": lambda: draw_perturbation_curves(ax, share, {"limit": ([0.5],)}),
        "at least two": lambda: draw_perturbation_curves(ax, share[:1], {"limit": ([0.5],)}),
    }.items():
        with pytest.raises(DataError, match=says):
            call()
    plt.close("all")
