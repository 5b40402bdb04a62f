"""Controls change the one thing they are named after, and their contexts are scored as the real ones are."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from ftirlib.errors import DataError, SettingsError
from ftirlib.explain.crime.context_controls import (
    PLAIN,
    TRAINED,
    Assigned,
    cluster,
    context_controls,
    control_input,
    nearest,
    plain_points,
)
from ftirlib.spectra.rows import Rows


@pytest.fixture
def planted(rng):
    """Spectra of two kinds and weights of two kinds, crossed: four pathways that only both together tell apart."""
    kind, look = rng.integers(0, 2, 200), rng.integers(0, 2, 200)
    spectra = 3.0 * kind[:, None] + 0.1 * rng.normal(size=(200, 12))
    weights = 3.0 * look[:, None] + 0.1 * rng.normal(size=(200, 12))
    return spectra, weights, kind, look


@pytest.mark.parametrize("control", TRAINED)
def test_a_control_changes_only_what_it_is_named_after(planted, control):
    spectra, weights, labels, _ = planted
    out = control_input(control, spectra, weights, labels, random_state=3)
    changed = {"permuted labels": 2, "shuffled weights": 1, "spectra alone": 1, "weights alone": 0}[control]
    for place, (before, after) in enumerate(zip((spectra, weights, labels), out)):
        assert np.array_equal(before, after[:]) == (place != changed)
        assert after.shape == before.shape
        np.testing.assert_allclose(after[:].mean(0), before.mean(0))  # nothing is added
    for first, second in zip(out, control_input(control, spectra, weights, labels, random_state=3)):
        np.testing.assert_array_equal(first[:], second[:])


def test_halves_that_say_nothing_are_constant(planted):
    spectra, weights, labels, _ = planted
    assert np.ptp(control_input("spectra alone", spectra, weights, labels)[1], axis=0).max() == 0
    assert np.ptp(control_input("weights alone", spectra, weights, labels)[0], axis=0).max() == 0


def test_what_says_nothing_says_the_same_to_further_spectra(planted):
    spectra, weights, labels, _ = planted
    known, other = slice(0, 120), slice(120, None)
    means = spectra[known], weights[known]
    before = control_input("spectra alone", *means, labels[known])
    after = control_input("spectra alone", spectra[other], weights[other], labels[other], means=means)
    np.testing.assert_array_equal(before[1][0], after[1][0])
    np.testing.assert_array_equal(after[0], spectra[other])
    with pytest.raises(DataError, match="11 wavenumbers"):
        control_input("spectra alone", spectra, weights, labels, means=(spectra[:, 1:], weights[:, 1:]))


def test_controls_see_what_they_are_given_and_no_more(planted):
    spectra, weights, kind, look = planted
    both = 2 * kind + look
    real = Assigned(both, both)
    found = {n: c.tried for n, c in context_controls(spectra, weights, n_contexts=4, real=real).items()}
    assert list(found) == list(PLAIN)
    two = {n: c.tried for n, c in context_controls(spectra, weights, n_contexts=2).items()}
    assert adjusted_rand_score(kind, two["K-means of the spectra"]) == 1
    assert adjusted_rand_score(look, two["K-means of the weights"]) == 1
    assert adjusted_rand_score(both, found["PCA of both"]) == 1
    assert adjusted_rand_score(both, found["PCA, weights shuffled"]) < 0.7
    assert abs(adjusted_rand_score(both, found["sizes alone"])) < 0.1
    assert np.bincount(found["sizes alone"]).tolist() == np.bincount(both).tolist()


def test_contexts_are_found_on_one_set_and_tried_on_another(planted):
    spectra, weights, kind, _ = planted
    tried = (spectra[:30] + 0.01, weights[:30])
    found = context_controls(spectra, weights, n_contexts=2, tried=tried)["K-means of the spectra"]
    assert found.known.shape == (200,)
    assert adjusted_rand_score(kind[:30], found.tried) == 1
    again = context_controls(spectra, weights, n_contexts=2, tried=tried)["K-means of the spectra"]
    np.testing.assert_array_equal(found.tried, again.tried)


def test_what_lies_in_files_is_clustered_as_arrays_are(planted, tmp_path):
    halves = [half.astype(np.float32) for half in planted[:2]]
    files = [Rows.of(half).to_file(tmp_path / f"{k}.npy") for k, half in enumerate(halves)]
    found, same = (context_controls(*pair, n_contexts=5) for pair in (halves, files))
    for control, assigned in found.items():
        np.testing.assert_array_equal(assigned, same[control])
    for control in TRAINED:
        pairs = [control_input(control, *pair, planted[2]) for pair in (halves, files)]
        for one, other in zip(*pairs):
            np.testing.assert_array_equal(one[:], other[:])


def test_points_of_both_are_the_components_of_the_scaled_halves(planted):
    known, tried = (
        [half[rows] * [[5.0] + 11 * [1.0]] for half in planted[:2]] for rows in (slice(150), slice(150, 200))
    )
    known[0][:, 3] = tried[0][:, 3] = 0.1  # never varies: centred only
    scaler = StandardScaler().fit(np.hstack(known))
    pca = PCA(3).fit(scaler.transform(np.hstack(known)))
    for points, halves in zip(plain_points("PCA of both", known, tried, n_components=3), (known, tried)):
        expected = pca.transform(scaler.transform(np.hstack(halves)))
        np.testing.assert_allclose(np.abs(points[:]), np.abs(expected), atol=1e-9)
    rows = [[Rows.of(half) for half in halves] for halves in (known, tried)]
    for one, other in zip(plain_points("PCA of both", known, tried), plain_points("PCA of both", *rows)):
        np.testing.assert_array_equal(one[:], other[:])


def test_of_many_spectra_evenly_spaced_ones_are_clustered(planted, monkeypatch):
    spectra, _, kind, _ = planted
    monkeypatch.setattr("ftirlib.explain.crime.context_controls.CLUSTERED", 60)
    rows = Rows.of(spectra)
    found = nearest(cluster(rows, 2), rows)
    assert adjusted_rand_score(kind, found) == 1
    some = KMeans(2, n_init=10, random_state=0).fit(spectra[::4].astype(np.float32))
    np.testing.assert_array_equal(found, some.predict(spectra.astype(np.float32)))


def test_bad_input_is_refused(planted):
    spectra, weights, labels, _ = planted
    for act, error, message in (
        (lambda: control_input("none", spectra, weights, labels), SettingsError, "control 'none' is unknown"),
        (lambda: control_input(TRAINED[0], spectra, weights[:9], labels), DataError, r"\(200, 12\).*\(9, 12\)"),
        (lambda: control_input(TRAINED[0], spectra, weights, labels[:9]), DataError, r"labels have shape \(9,\)"),
        (lambda: context_controls(spectra, weights, n_contexts=201), DataError, "201 contexts were asked of 200"),
        (lambda: context_controls(spectra, weights, n_contexts=0), DataError, "0 contexts"),
        (
            lambda: context_controls(spectra, weights, n_contexts=2, tried=(spectra[:, :5], weights[:, :5])),
            DataError,
            "found at 12 wavenumbers but tried at 5",
        ),
        (
            lambda: context_controls(spectra, weights, n_contexts=2, real=Assigned(labels[:9], labels)),
            DataError,
            "real contexts are of 9 and 200 spectra",
        ),
    ):
        with pytest.raises(error, match=message):
            act()
