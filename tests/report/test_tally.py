"""Tallies in parts are tallies at once; ranking is exact for shares of votes and within its stated bound elsewhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from ftirlib.errors import DataError
from ftirlib.report.comparison import SHOWN_SCORES, score_table
from ftirlib.report.scores import classification_scores, majority_scores, score_intervals, tally_scores
from ftirlib.report.tally import RANKS, Tally, rank_bins

NAMES = {"class_names": ["a", "b", "c"], "positive_classes": ["b", "c"]}
N_GROUPS = 9


@pytest.fixture
def answers(rng):
    """600 spectra of the even ones of nine patients: labels, predictions, probabilities and patients."""
    patient = 2 * rng.integers(5, size=600)
    y = rng.integers(3, size=600)
    q = rng.dirichlet(np.ones(3), 600) + 0.5 * np.eye(3)[y]
    q /= q.sum(axis=1, keepdims=True)
    return y, q.argmax(axis=1), q, patient


def tallied(answers, cuts=()):
    tally = Tally(**NAMES, n_groups=N_GROUPS)
    for y, p, q, group in zip(*(np.split(one, cuts) for one in answers)):
        tally.add(y, p, q, groups=group)
    return tally


def test_known_answer():
    tally = Tally(**NAMES, n_groups=2)
    tally.add([0, 1], [0, 1], [[1, 0, 0], [0.2, 0.8, 0]], groups=[0, 1])
    tally.add([2], [0], [[0.5, 0.25, 0.25]], groups=[0], count=[2])
    once = tally.scores()
    assert once["accuracy"] == 0.5 and once["auroc"] == 1
    assert once["brier"] == pytest.approx((0 + 0.08 + 2 * 0.875) / 4)
    assert tally.scores(np.array([[1, 0], [1, 3], [0, 1]]))["accuracy"] == pytest.approx([1 / 3, 4 / 6, 1])


def test_parts_and_their_order_do_not_matter(answers, rng):
    order = rng.permutation(600)
    whole, parts = tallied(answers), tallied([one[order] for one in answers], [1, 50, 333])
    folds = [tallied([one[here] for one in answers]) for here in (slice(0, 200), slice(200, 210), slice(210, None))]
    for other in (parts, Tally.join(folds)):
        np.testing.assert_array_equal(other.confusion, whole.confusion)
        np.testing.assert_array_equal(other.ranks.toarray(), whole.ranks.toarray())
        for name, value in tally_scores(whole).items():
            assert tally_scores(other)[name] == pytest.approx(value, abs=1e-12), name


def test_intervals_of_a_tally_are_those_of_its_arrays(answers):
    y, p, q, patient = answers
    options = {"n_resamples": 80, "random_state": 5}
    arrays = score_intervals(Tally.of(y, p, q, groups=patient, **NAMES), **options)
    parts = score_intervals(tallied(answers, [100, 400]), **options)  # four patients of nine have no spectra
    for name, one in arrays.items():
        assert (parts[name].n_groups, parts[name].n_undefined) == (5, one.n_undefined)
        for end in ("estimate", "low", "high", "standard_error"):
            assert getattr(parts[name], end) == pytest.approx(getattr(one, end), abs=1e-12), name


def test_a_row_may_stand_for_many(answers, rng):
    count = rng.integers(1, 4, size=600)
    counted, repeated = Tally(**NAMES, n_groups=N_GROUPS), tallied([np.repeat(one, count, axis=0) for one in answers])
    counted.add(*answers[:3], groups=answers[3], count=count)
    for name, value in tally_scores(repeated).items():
        assert tally_scores(counted)[name] == pytest.approx(value, abs=1e-12), name


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3600), st.integers(2, 5), st.integers(0, 1000))
def test_shares_of_votes_are_ranked_exactly(n_voters, n_classes, seed):
    rng = np.random.default_rng(seed)
    y = np.append(rng.integers(n_classes, size=60), [0, n_classes - 1])
    votes = rng.multinomial(n_voters, 0.5 / n_classes + 0.5 * np.eye(n_classes)[y])
    names, n_positive = [str(k) for k in range(n_classes)], rng.integers(1, n_classes)
    q = votes / n_voters
    scores = classification_scores(y, q.argmax(1), q, class_names=names, positive_classes=names[-n_positive:])
    positive, score = y >= n_classes - n_positive, votes[:, -n_positive:].sum(axis=1)
    assert scores["auroc"] == pytest.approx(roc_auc_score(positive, score), abs=1e-12)
    assert scores["auprc"] == pytest.approx(average_precision_score(positive, score), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 20), st.integers(0, 1000))
def test_other_probabilities_are_ranked_within_half_the_pairs_that_share_a_bin(sharpness, seed):
    rng = np.random.default_rng(seed)
    positive = np.append(rng.random(400) < 0.3, [True, False])
    probability = 1 / (1 + np.exp(-sharpness * rng.normal(2 * positive - 1, 3)))
    q = np.stack([1 - probability, probability], axis=1)
    options = {"class_names": ["a", "b"], "positive_classes": ["b"]}
    scores = classification_scores(positive.astype(int), q.argmax(1), q, **options)
    of_positive, of_negative = (
        np.bincount(rank_bins(probability[side]), minlength=RANKS) for side in (positive, ~positive)
    )
    bound = (of_positive * of_negative).sum() / (2 * positive.sum() * (~positive).sum())
    assert abs(scores["auroc"] - roc_auc_score(positive, probability)) <= bound + 1e-12
    assert bound < 1e-3 or sharpness > 5  # many probabilities are then 0 or 1 to the last bit
    assert scores["auprc"] == pytest.approx(
        average_precision_score(positive, probability), abs=5e-3 if sharpness < 1 else 0.02
    )


@pytest.mark.parametrize("spread", [0.3, 1.5])
@pytest.mark.parametrize(("n", "auroc", "auprc"), [(300, 5e-4, 2.5e-3), (2000, 1.5e-4, 1e-3), (20_000, 1e-5, 5e-4)])
def test_soft_probabilities_of_a_weak_model_are_ranked_almost_exactly(rng, spread, n, auroc, auprc):
    positive = rng.random(n) < 0.25
    probability = 1 / (1 + np.exp(-spread * rng.normal(0.8 * positive)))
    q = np.stack([1 - probability, probability], axis=1)
    options = {"class_names": ["a", "b"], "positive_classes": ["b"]}
    scores = classification_scores(positive.astype(int), q.argmax(1), q, **options)
    assert scores["auroc"] == pytest.approx(roc_auc_score(positive, probability), abs=auroc)
    assert scores["auprc"] == pytest.approx(average_precision_score(positive, probability), abs=auprc)


def test_bins_are_as_fine_near_0_as_near_1_and_take_all_that_passes_as_a_probability():
    assert rank_bins([-1e-3, 0, 0.5, 1, 1.001]).tolist() == [0, 0, (RANKS - 1) // 2, RANKS - 1, RANKS - 1]
    small = np.logspace(-15, -1, 200)
    assert (np.diff(rank_bins(small)) > 0).all()
    assert np.abs(rank_bins(small[100:]) + rank_bins(1 - small[100:]) - (RANKS - 1)).max() <= 1
    assert np.ptp(rank_bins([0.5 - 1e-16, 0.5, 0.5 + 1e-16])) == 0


def test_table_is_the_scores_of_the_folds_and_of_all(answers):
    y, p, q, patient = answers
    here = [patient < 4, patient >= 4]
    folds = [tallied([one[side] for one in answers]) for side in here]
    train = [np.bincount(y[side], minlength=3) for side in here[::-1]]
    table = score_table({"m": {"labels": folds}}, train, n_resamples=60, random_state=1).set_index("score")
    each = [classification_scores(y[side], p[side], q[side], **NAMES) for side in here]
    majority = [majority_scores(np.bincount(y[side], minlength=3), t, **NAMES) for side, t in zip(here, train)]
    intervals = score_intervals(Tally.of(y, p, q, groups=patient, **NAMES), n_resamples=60, random_state=1)
    assert list(table.index) == list(SHOWN_SCORES)
    for name, row in table.iterrows():
        assert row["mean"] == pytest.approx(np.mean([one[name] for one in each]), abs=1e-12)
        assert row["sd"] == pytest.approx(np.std([one[name] for one in each], ddof=1), abs=1e-12)
        assert row["majority"] == pytest.approx(np.mean([one[name] for one in majority]), abs=1e-12, nan_ok=True)
        assert (row["low"], row["high"]) == pytest.approx((intervals[name].low, intervals[name].high), abs=1e-12)


def test_bad_parts_are_refused(answers):
    y, p, q, patient = answers
    tally = tallied(answers)
    with pytest.raises(DataError, match="all or for none"):
        tally.add(y, p, groups=patient)
    with pytest.raises(DataError, match="groups for"):
        tally.add(y, p, q, groups=patient[1:])
    with pytest.raises(DataError, match="to group 9"):
        tally.add(y[:1], p[:1], q[:1], groups=[9])
    with pytest.raises(DataError, match="no spectra"):
        tally_scores(Tally(**NAMES))
    with pytest.raises(DataError, match="1 group"):
        score_intervals(tallied([one[patient == 0] for one in answers]))
