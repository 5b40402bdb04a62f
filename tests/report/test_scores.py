"""Scores against known answers, scikit-learn and algebra; what is undefined says so; bad input is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from ftirlib.errors import DataError, SettingsError
from ftirlib.report.scores import (
    BINARY_SCORES,
    PROBABILITY_SCORES,
    SCORE_TITLES,
    classification_scores,
    majority_scores,
)
from ftirlib.report.tally import class_sensitivities, confusion_counts, rank_bins, reliability, scores_from_confusion

NAMES = ["normal", "hyperplastic", "adenomatous", "cancerous"]
FOUR = {"class_names": NAMES, "positive_classes": ["cancerous"]}


def random_answers(rng, n=400, n_classes=4, noise=1.0):
    y_true = rng.integers(n_classes, size=n)
    probabilities = rng.dirichlet(np.ones(n_classes), n) + np.eye(n_classes)[y_true] / (1 + noise)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return y_true, probabilities.argmax(axis=1), probabilities


def test_known_answer():
    # labels: 3 of a, 1 of b, 2 of c; b is never right and never predicted
    scores = classification_scores(
        [0, 0, 0, 1, 2, 2], [0, 0, 2, 0, 2, 0], class_names=["a", "b", "c"], positive_classes=["c"]
    )
    assert scores["accuracy"] == pytest.approx(3 / 6)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 0 + 1 / 2) / 3)
    assert scores["sensitivity"] == pytest.approx(1 / 2)
    assert scores["specificity"] == pytest.approx(3 / 4)
    assert scores["precision"] == pytest.approx(1 / 2)
    assert scores["f1"] == pytest.approx(1 / 2)
    assert scores["binary_accuracy"] == pytest.approx(4 / 6)
    assert [scores[f"sensitivity_{c}"] for c in "abc"] == pytest.approx([2 / 3, 0, 1 / 2])


@pytest.mark.parametrize("positive", [["cancerous"], ["adenomatous", "cancerous"], NAMES[:3]])
def test_agrees_with_scikit_learn(rng, positive):
    y, p, q = random_answers(rng)
    scores = classification_scores(y, p, q, class_names=NAMES, positive_classes=positive)
    codes = [NAMES.index(name) for name in positive]
    yb, pb, qb = np.isin(y, codes), np.isin(p, codes), q[:, codes].sum(axis=1)
    expected = {
        "accuracy": metrics.accuracy_score(y, p),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, p),
        "mcc": metrics.matthews_corrcoef(y, p),
        "binary_accuracy": metrics.accuracy_score(yb, pb),
        "sensitivity": metrics.recall_score(yb, pb),
        "specificity": metrics.recall_score(~yb, ~pb),
        "precision": metrics.precision_score(yb, pb),
        "f1": metrics.f1_score(yb, pb),
        "auroc": metrics.roc_auc_score(yb, rank_bins(qb)),
        "auprc": metrics.average_precision_score(yb, rank_bins(qb)),
        "brier": np.mean(((q - np.eye(4)[y]) ** 2).sum(axis=1)),
    }
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, abs=1e-12), name
    assert scores["auroc"] == pytest.approx(metrics.roc_auc_score(yb, qb), abs=1e-4)
    assert scores["auprc"] == pytest.approx(metrics.average_precision_score(yb, qb), abs=5e-4)
    assert not scores.reasons
    np.testing.assert_array_equal(confusion_counts(y, p, class_names=NAMES), metrics.confusion_matrix(y, p))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_sample_weighted_sensitivity_is_accuracy(pairs):
    y, p = np.array(pairs).T
    scores = classification_scores(y, p, **FOUR)
    shares = np.bincount(y, minlength=4) / len(y)
    sws = sum(share * scores[f"sensitivity_{name}"] for name, share in zip(NAMES, shares) if share)
    assert sws == pytest.approx(scores["accuracy"])
    positive = (y == 3).mean()
    parts = [(positive, scores["sensitivity"]), (1 - positive, scores["specificity"])]
    assert sum(share * s for share, s in parts if share) == pytest.approx(scores["binary_accuracy"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), st.booleans())
def test_every_nan_has_a_reason_and_nothing_else_has(pairs, binary):
    y, p = np.array(pairs).T
    scores = classification_scores(y, p, class_names=NAMES, positive_classes=["cancerous"] if binary else [])
    assert {name for name, value in scores.items() if math.isnan(value)} == set(scores.reasons)
    assert all(reason for reason in scores.reasons.values())
    assert all(isinstance(value, float) for value in scores.values())
    assert set(SCORE_TITLES) <= set(scores)


def test_order_of_spectra_and_of_classes_does_not_matter(rng):
    y, p, q = random_answers(rng)
    scores = classification_scores(y, p, q, **FOUR)
    order = rng.permutation(len(y))
    shuffled = classification_scores(y[order], p[order], q[order], **FOUR)
    new = rng.permutation(4)  # class k becomes class new[k]
    names = [NAMES[k] for k in np.argsort(new)]
    renamed = classification_scores(
        new[y], new[p], q[:, np.argsort(new)], class_names=names, positive_classes=["cancerous"]
    )
    for name, value in scores.items():
        assert shuffled[name] == pytest.approx(value, abs=1e-12), name
        assert renamed[name] == pytest.approx(value, abs=1e-12), name


def test_undefined_scores_are_nan_with_their_reason():
    scores = classification_scores([0, 0], [0, 0], [[0.9, 0.1], [0.6, 0.4]], class_names="ab", positive_classes=["b"])
    undefined = {"mcc", "sensitivity", "precision", "f1", "auroc", "auprc", "sensitivity_b"}
    assert set(scores.reasons) == undefined | {"kappa", "false_positive_rate"}
    assert scores["specificity"] == scores["binary_accuracy"] == scores["accuracy"] == 1
    assert scores.reasons["sensitivity_b"] == "no spectrum is labelled b"
    missed = classification_scores([0, 1], [0, 0], class_names="ab", positive_classes=["b"])
    assert missed["f1"] == 0 and math.isnan(missed["precision"])  # one is wrong, the other is unknown


def test_balanced_accuracy_is_over_the_classes_that_occur():
    scores = classification_scores([0, 0, 1, 1], [0, 0, 1, 3], **FOUR)  # classes 2 and 3 are never labelled
    assert scores["balanced_accuracy"] == 0.75
    assert set(scores.reasons) >= {"sensitivity_adenomatous", "sensitivity_cancerous"}


def test_without_positive_class_there_is_no_binary_view(rng):
    y, p, q = random_answers(rng)
    scores = classification_scores(y, p, q, class_names=NAMES, positive_classes=[])
    assert set(scores.reasons) == set(BINARY_SCORES)
    assert scores["brier"] > 0 and scores["ece"] >= 0


def test_without_probabilities_their_scores_are_undefined(rng):
    y, p, _ = random_answers(rng)
    assert set(classification_scores(y, p, **FOUR).reasons) == set(PROBABILITY_SCORES)


def test_many_confusions_at_once_equal_one_at_a_time(rng):
    positive = np.array([False, False, True, True])
    many = rng.integers(0, 5, (3, 7, 4, 4))
    many[0, 0] = 0
    many[0, 0, 1, 1] = 4  # one class only
    together = scores_from_confusion(many, positive=positive)
    for place in np.ndindex(3, 7):
        alone = scores_from_confusion(many[place], positive=positive)
        for name, value in alone.items():
            np.testing.assert_array_equal(together[name][place], value)
        np.testing.assert_array_equal(class_sensitivities(many)[place], class_sensitivities(many[place]))


def test_the_majority_is_the_score_of_no_knowledge(rng):
    y = rng.integers(4, size=500)
    scores = majority_scores(np.bincount(y), [10, 40, 20, 30], **FOUR)
    assert scores["accuracy"] == (y == 1).mean()
    assert scores["balanced_accuracy"] == 0.25
    assert scores["auroc"] == 0.5
    assert scores["auprc"] == pytest.approx((y == 3).mean())
    assert (scores["sensitivity"], scores["specificity"], scores["f1"]) == (0, 1, 0)
    shares = np.array([0.1, 0.4, 0.2, 0.3])
    assert scores["brier"] == pytest.approx(np.mean([((shares - np.eye(4)[k]) ** 2).sum() for k in y]))
    assert majority_scores([1, 1], [2, 2], class_names="ab")["sensitivity_a"] == 1  # first of equals


def test_reliability_known_answer():
    probabilities = [[0.75, 0.25], [0.75, 0.25], [0.4, 0.6], [1.0, 0.0]]
    curve = reliability([0, 1, 1, 0], probabilities, n_bins=4)
    np.testing.assert_array_equal(curve.edges, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(curve.count, [0, 0, 3, 1])  # 0.75 closes its bin
    np.testing.assert_allclose(curve.confidence, [np.nan, np.nan, 0.7, 1])
    np.testing.assert_allclose(curve.accuracy, [np.nan, np.nan, 2 / 3, 1])
    assert curve.error == pytest.approx(3 / 4 * abs(2 / 3 - 0.7))


def test_calibration_error_vanishes_when_probabilities_are_true(rng):
    _, _, q = random_answers(rng, n=40_000)
    y = (rng.random((len(q), 1)) > q.cumsum(axis=1)).sum(axis=1)
    honest, boastful = reliability(y, q).error, reliability(y, q**3 / (q**3).sum(axis=1, keepdims=True)).error
    assert honest < 0.01 < 0.1 < boastful


@pytest.mark.parametrize(
    ("y", "p", "q", "says"),
    [
        ([0, -1], [0, 0], None, "negative"),
        ([0, 1], [0, -1], None, "negative"),
        ([0, 4], [0, 0], None, "code 4"),
        ([0, 1, 1], [0, 1], None, "3 entries"),
        ([], [], None, "at least one"),
        ([[0, 1]], [[0, 1]], None, "shape"),
        ([0.0, 1.0], [0, 1], None, "integer"),
        (["a", "b"], [0, 1], None, "integer"),
        ([0, 1], [0, 1], [[0.5, 0.5], [0.5, 0.5]], "shape"),
        ([0, 1], [0, 1], [[1, 0, 0, 0], [2, -1, 0, 0]], "spectrum 1"),
        ([0, 1], [0, 1], [[1, 0, 0, 0], [np.nan, 1, 0, 0]], "spectrum 1"),
        ([0, 1], [0, 1], [[3, 1, 0, 0], [0, 1, 0, 0]], "sum to 1"),
    ],
)
def test_bad_input_is_refused(y, p, q, says):
    with pytest.raises(DataError, match=says):
        classification_scores(y, p, q, **FOUR)


def test_positive_classes_must_be_classes():
    with pytest.raises(DataError, match="'tumour' is not among"):
        classification_scores([0], [0], class_names=NAMES, positive_classes=["tumour"])
    with pytest.raises(DataError, match="give a list"):
        classification_scores([0], [0], class_names=NAMES, positive_classes="cancerous")


def test_bins_must_be_some():
    with pytest.raises(SettingsError, match="n_bins"):
        reliability([0], [[1.0, 0.0]], n_bins=0)
    with pytest.raises(DataError):
        reliability([0], [1.0])
