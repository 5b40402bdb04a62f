"""The leak experiment: who is on both sides of a split is counted right, and copies flatter a model that memorises."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neighbors import KNeighborsClassifier

from ftirlib.classify.fusion.fused import oversample
from ftirlib.classify.fusion.leak import leak_experiment
from ftirlib.errors import DataError, SettingsError


class Memory(ClassifierMixin, BaseEstimator):
    """Nearest neighbour, with the one option the experiment turns."""

    def __init__(self, oversampling="random"):
        self.oversampling = oversampling

    def fit(self, X, y):
        classes, codes = np.unique(y, return_inverse=True)
        X, codes, _ = oversample(X, codes, method=self.oversampling)
        self.model_ = KNeighborsClassifier(1).fit(X, codes)
        self.classes_ = classes
        return self

    def predict(self, X):
        return self.classes_[self.model_.predict(X)]


def memorable(rng, n_groups=24, each=5):
    """Groups with a signature of their own that says nothing of their class."""
    groups = np.repeat(np.arange(n_groups), each)
    labels = np.array(["common", "common", "rare"])[np.arange(n_groups) % 3]
    signature = rng.standard_normal((n_groups, 6))
    return signature[groups] + 0.3 * rng.standard_normal((len(groups), 6)), labels[groups], groups


@pytest.fixture(scope="module")
def results():
    X, y, groups = memorable(np.random.default_rng(0))
    found = leak_experiment(X, y, groups, Memory())
    return {(r.oversampled, r.split): r for r in found}, y, groups


def test_four_protocols_score_every_spectrum_once_and_copies_where_they_say(results):
    found, y, groups = results
    assert list(found) == [("inside", "grouped"), ("inside", "random"), ("before", "grouped"), ("before", "random")]
    for (oversampled, _), r in found.items():
        originals = r.row[~r.is_copy]
        np.testing.assert_array_equal(np.sort(originals), np.arange(len(y)))
        assert r.is_copy.any() == (oversampled == "before")
        np.testing.assert_array_equal(r.y_true, y[r.row])
        np.testing.assert_array_equal(r.group, groups[r.row])
        if oversampled == "before":
            assert len(set(np.unique(r.y_true, return_counts=True)[1])) == 1


def test_who_is_on_both_sides(results):
    found, _, _ = results
    assert not found["inside", "grouped"].group_in_training.any()
    assert not found["before", "grouped"].group_in_training.any()
    assert found["inside", "random"].group_in_training.mean() > 0.9
    assert not found["inside", "random"].twin_in_training.any()
    assert found["before", "random"].twin_in_training.any()
    rare = found["before", "random"].y_true == "rare"
    assert found["before", "random"].twin_in_training[rare].mean() > 0.5


def test_leaks_flatter_a_model_that_memorises(results):
    found, _, _ = results
    accuracy = {key: (r.predicted == r.y_true).mean() for key, r in found.items()}
    # the signatures say nothing of the class, so what random splits add is memory: more than chance, by 3 SE
    error = np.sqrt(sum(a * (1 - a) for key, a in accuracy.items() if key[0] == "inside") / len(results[1]))
    assert accuracy["inside", "random"] > accuracy["inside", "grouped"] + 3 * error
    assert accuracy["before", "random"] >= accuracy["inside", "random"]
    twins = found["before", "random"].twin_in_training
    assert (found["before", "random"].predicted == found["before", "random"].y_true)[twins].all()


def test_it_is_repeatable_and_shows_progress(rng):
    X, y, groups = memorable(rng)
    seen = []
    one = leak_experiment(X, y, groups, Memory(), random_state=4, progress=lambda k, n: seen.append((k, n)))
    other = leak_experiment(X, y, groups, Memory(), random_state=4)
    assert seen == [(k, 16) for k in range(1, 17)]
    for a, b in zip(one, other):
        np.testing.assert_array_equal(a.predicted, b.predicted)
        np.testing.assert_array_equal(a.row, b.row)


def test_a_protocol_alone_is_as_among_the_others(results):
    X, y, groups = memorable(np.random.default_rng(0))
    (alone,) = leak_experiment(X, y, groups, Memory(), protocols=[("before", "random")])
    np.testing.assert_array_equal(alone.predicted, results[0]["before", "random"].predicted)
    np.testing.assert_array_equal(alone.row, results[0]["before", "random"].row)


def test_bad_input_is_refused(rng):
    X, y, groups = memorable(rng)
    with pytest.raises(SettingsError, match=r"no protocol \('after', 'random'\)"):
        leak_experiment(X, y, groups, Memory(), protocols=[("after", "random")])
    with pytest.raises(DataError, match="120 rows of features, 119 labels"):
        leak_experiment(X, y[1:], groups, Memory())
    with pytest.raises(DataError, match=r"class rare occurs in 1 group\(s\) for 4 splits"):
        leak_experiment(X, np.where(groups == 0, "rare", "common"), groups, Memory())
