"""Controls change the one thing they are named after, and their contexts are scored as the real ones are."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ftirlib.errors import DataError, SettingsError
from ftirlib.report.context_controls import (
    PLAIN,
    TRAINED,
    Assigned,
    context_controls,
    control_input,
)


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
        assert np.array_equal(before, after) == (place != changed)
        assert after.shape == before.shape
        np.testing.assert_allclose(after.mean(0), before.mean(0))  # nothing is added
    for first, second in zip(out, control_input(control, spectra, weights, labels, random_state=3)):
        np.testing.assert_array_equal(first, second)


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
    assert found.found.shape == (200,)
    assert adjusted_rand_score(kind[:30], found.tried) == 1
    again = context_controls(spectra, weights, n_contexts=2, tried=tried)["K-means of the spectra"]
    np.testing.assert_array_equal(found.tried, again.tried)


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
