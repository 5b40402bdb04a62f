"""The eight scores of many classes: against scikit-learn, by hand, and under resampling of groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
)

from ftirlib.errors import DataError
from ftirlib.report.comparison import multiclass_table
from ftirlib.report.scores import (
    MULTICLASS_TITLES,
    multiclass,
    multiclass_intervals,
    multiclass_scores,
    score_intervals,
)
from ftirlib.report.tally import Tally, scores_from_confusion
from ftirlib.report.uncertainty import grouped_bootstrap
from ftirlib.spectra.folds import Fold

NAMES = ["a", "b", "c"]


@settings(max_examples=40, deadline=None)
@given(arrays(int, 30, elements=st.integers(0, 2)), arrays(int, 30, elements=st.integers(0, 2)))
def test_agrees_with_scikit_learn(y_true, predicted):
    scores = multiclass_scores(y_true, predicted, class_names=NAMES)
    options = {"labels": np.unique(y_true), "average": "macro", "zero_division": 0}
    np.testing.assert_allclose(scores["accuracy"], accuracy_score(y_true, predicted))
    np.testing.assert_allclose(scores["error"], 1 - accuracy_score(y_true, predicted))
    np.testing.assert_allclose(scores["sensitivity"], recall_score(y_true, predicted, **options))
    np.testing.assert_allclose(scores["precision"], precision_score(y_true, predicted, **options))
    np.testing.assert_allclose(scores["f1"], f1_score(y_true, predicted, **options))
    if np.isnan(scores["mcc"]):  # scikit-learn calls it 0
        assert len(np.unique(y_true)) == 1 or len(np.unique(predicted)) == 1
    else:
        np.testing.assert_allclose(scores["mcc"], matthews_corrcoef(y_true, predicted), atol=1e-12)
        np.testing.assert_allclose(scores["kappa"], cohen_kappa_score(y_true, predicted), atol=1e-12)


def test_false_positive_rate_by_hand():
    # negatives of a: 3, of which 1 is called a; of b: 3 and 0; of c: 2 and 1
    scores = multiclass_scores([0, 1, 2, 2], [0, 2, 2, 0], class_names=NAMES)
    np.testing.assert_allclose(scores["false_positive_rate"], (1 / 3 + 0 + 1 / 2) / 3)


def test_perfect_and_always_wrong():
    y = np.array([0, 1, 2] * 4)
    best, worst = (multiclass_scores(y, p, class_names=NAMES) for p in (y, (y + 1) % 3))
    assert list(best) == list(MULTICLASS_TITLES)
    assert all(best[name] == (0 if name in ("error", "false_positive_rate") else 1) for name in best)
    assert worst["accuracy"] == worst["f1"] == 0
    assert worst["error"] == 1
    assert worst["kappa"] < 0


def test_a_class_never_predicted_costs_precision_and_an_unseen_class_does_not():
    assert multiclass_scores([0, 0, 1, 1], [0, 0, 0, 0], class_names=NAMES)["precision"] == 0.25
    assert multiclass_scores([0, 0, 1, 1], [0, 0, 1, 1], class_names=NAMES)["precision"] == 1


def test_undefined_scores_say_why():
    scores = multiclass_scores([0, 0], [0, 0], class_names=NAMES)
    assert {name for name, value in scores.items() if np.isnan(value)} == set(scores.reasons)
    assert scores.reasons["false_positive_rate"] == "every spectrum is labelled with one class"
    assert np.isnan(scores["kappa"])


def test_many_matrices_at_once(rng):
    matrices = rng.integers(0, 9, (2, 5, 3, 3))
    nothing = np.zeros(3, bool)
    together = multiclass(scores_from_confusion(matrices, positive=nothing))
    for name, values in together.items():
        assert values.shape == (2, 5)
        alone = multiclass(scores_from_confusion(matrices[1, 3], positive=nothing))
        np.testing.assert_array_equal(values[1, 3], alone[name])


def test_bootstrap_is_that_of_the_spectra_themselves(rng):
    y, groups = rng.integers(0, 3, 120), np.repeat(np.arange(12), 10)
    predicted = np.where(rng.random(120) < 0.7, y, rng.integers(0, 3, 120))
    tally = Tally.of(y, predicted, groups=groups, class_names=NAMES, positive_classes=())
    found = multiclass(score_intervals(tally, n_resamples=200, random_state=3))

    def kappa(a, b):
        return multiclass_scores(a, b, class_names=NAMES)["kappa"]

    slow = grouped_bootstrap(kappa, groups, y, predicted, n_resamples=200, random_state=3)
    assert found["kappa"].estimate == slow.estimate
    np.testing.assert_allclose([found["kappa"].low, found["kappa"].high], [slow.low, slow.high])
    for name, interval in found.items():
        assert interval.low <= interval.estimate <= interval.high, name
        assert interval.n_groups == 12


def test_table_is_of_each_model_and_score(rng):
    y, group = rng.integers(0, 3, 80), np.repeat(np.arange(16), 5)
    folds = [
        Fold(train=np.flatnonzero(group % 4 != k), validation=[], test=np.flatnonzero(group % 4 == k)) for k in range(4)
    ]
    right, wrong = [y[f.test] for f in folds], [(y[f.test] + 1) % 3 for f in folds]
    options = {
        "label": y,
        "group": group,
        "class_names": NAMES,
        "n_resamples": 100,
        "confidence": 0.9,
        "random_state": 0,
    }
    table = multiclass_table({"right": right, "wrong": wrong}, folds=folds, **options)
    assert list(table.columns) == ["model", "score", "mean", "sd", "low", "high", "majority"]
    rows = table.set_index(["model", "score"])
    assert rows["mean"]["right", "mcc"] == rows.low["right", "mcc"] == 1
    assert rows["mean"]["wrong", "accuracy"] == rows.sd["wrong", "accuracy"] == 0
    common = [np.bincount(y[f.train]).argmax() for f in folds]
    expected = np.mean([(y[f.test] == c).mean() for f, c in zip(folds, common)])
    assert rows.majority["right", "accuracy"] == pytest.approx(expected)


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="negative code"):
        multiclass_scores([0, -1], [0, 1], class_names=NAMES)
    with pytest.raises(DataError, match="2 groups for 3 spectra"):
        Tally.of([0, 1, 2], [0, 1, 2], groups=[0, 1], class_names=NAMES, positive_classes=())


def test_interval_of_a_difference_is_that_of_paired_draws(rng):
    truth, first, second = rng.integers(0, 3, (3, 60))
    group, bootstrap = np.repeat(np.arange(12), 5), {"n_resamples": 200, "random_state": 3}

    def difference(y, a, b):
        one, two = (multiclass_scores(y, answers, class_names=["a", "b", "c"])["mcc"] for answers in (a, b))
        return one - two

    found = multiclass_intervals(truth, first, group, less=second, class_names=["a", "b", "c"], **bootstrap)["mcc"]
    wanted = grouped_bootstrap(difference, group, truth, first, second, **bootstrap)
    np.testing.assert_allclose(
        [found.estimate, found.low, found.high], [wanted.estimate, wanted.low, wanted.high], atol=1e-12
    )
