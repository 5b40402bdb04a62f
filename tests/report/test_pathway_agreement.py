"""Contexts against pathways over folds: equal to their definitions, and to scikit-learn's index."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from ftirlib.errors import DataError
from ftirlib.report.truth.pathway_agreement import MEASURES, pathway_agreement, within_classes
from ftirlib.report.truth.truth import context_agreement, counted_agreement

BOOTSTRAP = {"n_resamples": 50, "confidence": 0.95, "random_state": 0}


def cohort(rng, n=800):
    """Two folds of four patients each; pathways 0 and 1 lead to class 0, pathway 2 to class 1."""
    groups = np.arange(n) % 8
    pathways = rng.integers(0, 3, n)
    return pathways, pathways // 2, groups, groups // 4


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 6), st.integers(1, 6))
def test_the_index_is_scikit_learns(seed, n, n_contexts, n_pathways):
    rng = np.random.default_rng(seed)
    contexts, pathways = rng.integers(0, n_contexts, n), rng.integers(0, n_pathways, n)
    found = context_agreement(contexts, pathways)["adjusted_rand"]
    assert found == pytest.approx(adjusted_rand_score(pathways, contexts), abs=1e-9)


def test_classes_without_pathways_do_not_separate_them(rng):
    pathways, classes, groups, folds = cohort(rng)
    kinds = {"pathways": pathways, "classes": classes, "chance": rng.permutation(pathways)}
    pairs = [("pathways", "classes"), ("chance", "chance")]
    values, differences = pathway_agreement(kinds, pathways, classes, groups, folds, pairs=pairs, **BOOTSTRAP)
    wide = values.pivot(index="contexts", columns="measure", values="value")
    assert (wide.loc["pathways"] == 1).all()
    assert wide.within["classes"] == 0 < wide.adjusted_rand["classes"]
    assert abs(wide.within["chance"]) < 0.02
    assert (values.low <= values.high).all()
    lead = differences.set_index(["contexts", "less", "measure"]).sort_index()
    assert lead.loc["pathways", "classes", "within"].tolist() == [1, 1, 1]
    assert (lead.loc["chance", "chance"] == 0).all(axis=None)


def test_values_are_means_over_the_folds(rng):
    pathways, classes, groups, folds = cohort(rng)
    contexts = np.where(rng.random(len(groups)) < 0.5, pathways, rng.integers(0, 5, len(groups)))
    values, _ = pathway_agreement({"a": contexts}, pathways, classes, groups, folds, **BOOTSTRAP)
    found = values.set_index("measure").value
    each = [context_agreement(contexts[folds == k], pathways[folds == k]) for k in (0, 1)]
    for measure in ("purity", "adjusted_rand"):
        assert found[measure] == pytest.approx(np.mean([one[measure] for one in each]))
    mine = [(folds == k) & (classes == 0) for k in (0, 1)]
    assert found["within"] == pytest.approx(np.mean([adjusted_rand_score(pathways[m], contexts[m]) for m in mine]))


def test_background_counts_but_not_within_a_class(rng):
    pathways, classes, groups, folds = cohort(rng)
    contexts, none = rng.integers(0, 4, len(groups)), rng.random(len(groups)) < 0.3
    values, _ = pathway_agreement({"a": contexts}, pathways, np.where(none, -1, classes), groups, folds, **BOOTSTRAP)
    some, _ = pathway_agreement({"a": contexts[~none]}, *(v[~none] for v in (pathways, classes, groups, folds)))
    every, _ = pathway_agreement({"a": contexts}, pathways, classes, groups, folds)
    found, some, every = (table.set_index("measure").value for table in (values, some, every))
    assert found["within"] == pytest.approx(some["within"])
    assert found["purity"] == pytest.approx(every["purity"])


def test_one_pathway_a_class_leaves_nothing_to_tell_apart(rng):
    pathways, _, groups, folds = cohort(rng)
    values, _ = pathway_agreement({"a": pathways}, pathways, pathways, groups, folds, **BOOTSTRAP)
    assert np.isnan(values.set_index("measure").loc["within"][["value", "low", "high"]].astype(float)).all()
    assert np.isnan(within_classes(np.zeros((2, 3, 4))))
    assert all(np.isnan(value) for value in counted_agreement(np.zeros((2, 2))).values())


def test_names_of_contexts_and_order_of_spectra_do_not_matter(rng):
    pathways, classes, groups, folds = cohort(rng)
    contexts, order = rng.integers(0, 4, len(groups)), rng.permutation(len(groups))
    one, _ = pathway_agreement({"a": contexts}, pathways, classes, groups, folds, **BOOTSTRAP)
    other, _ = pathway_agreement(
        {"a": 3 - contexts[order]}, *(v[order] for v in (pathways, classes, groups, folds)), **BOOTSTRAP
    )
    np.testing.assert_allclose(one[["value", "low", "high"]], other[["value", "low", "high"]], atol=1e-12)
    assert tuple(one.measure) == MEASURES


def test_bad_input_is_refused(rng):
    pathways, classes, groups, folds = cohort(rng)
    known = pathways, classes, groups, folds
    for message, call in {
        "one context, pathway": lambda: pathway_agreement({"a": pathways[1:]}, *known),
        "'b' is to be compared": lambda: pathway_agreement({"a": pathways}, *known, pairs=[("a", "b")]),
        "some number is below": lambda: pathway_agreement({"a": pathways - 1}, *known),
        "in two folds": lambda: pathway_agreement({"a": pathways}, pathways, classes, groups, np.arange(800) // 400),
    }.items():
        with pytest.raises(DataError, match=message):
            call()
