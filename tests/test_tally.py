"""Tallies in parts are tallies at once; ranking is exact while it can be, and within its stated bounds beyond."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from ftirlib.errors import DataError
from ftirlib.report.comparison import SHOWN_SCORES, score_table
from ftirlib.report.ranking import Ranking
from ftirlib.report.scores import classification_scores, majority_scores, tally_scores
from ftirlib.report.tally import Tally
from ftirlib.report.uncertainty import bootstrap_scores, bootstrap_tally

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


def ranked(probability, positive, most, cuts=(), groups=None):
    found = Ranking(4, most=most)
    groups = np.zeros(len(probability), int) if groups is None else groups
    for part in zip(*(np.split(one, cuts) for one in (probability, groups, positive))):
        found.add(*part)
    return found


def state(found: Ranking):
    return found._given_up, found._levels.tolist(), found._counts.toarray().tolist()


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
        assert state(other.ranking) == state(whole.ranking)
        for name, value in tally_scores(whole).items():
            assert tally_scores(other)[name] == pytest.approx(value, abs=1e-12), name


def test_intervals_of_a_tally_are_those_of_its_arrays(answers):
    y, p, q, patient = answers
    options = {"n_resamples": 80, "random_state": 5}
    arrays = bootstrap_scores(y, p, patient, q, **NAMES, **options)
    parts = bootstrap_tally(tallied(answers, [100, 400]), **options)  # four patients of nine have no spectra
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


shares = st.one_of(  # what a distribution to a thousandth may hold
    *(st.floats(low, high) for low, high in ((0, 1), (0.3, 0.4), (1 - 1e-9, 1), (0, 1e-30), (-1e-3, 0), (1, 1.001)))
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(shares, st.booleans(), st.integers(0, 3)), min_size=2, max_size=60), st.integers(3, 40))
def test_exact_while_the_cells_suffice_and_within_bounds_beyond(rows, most):
    probability, positive, groups = (np.array(one) for one in zip(*rows))
    assume(positive.any() and not positive.all())
    true = roc_auc_score(positive, probability), average_precision_score(positive, probability)
    for limit in (most, 1 << 21):
        found = ranked(probability, positive, limit, groups=groups)
        cells = len(set(zip(probability.tolist(), positive.tolist(), groups.tolist())))
        assert found.is_exact == (cells <= limit or len(set(probability.tolist())) <= 2)
        once = np.ones((1, 4), int)
        for score, bound, exact in zip(found.scores(once), found.bounds(once), true):
            assert abs(score[0] - exact) <= bound[0] + 1e-12
            assert bound[0] == 0 or not found.is_exact


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(shares, st.booleans(), st.integers(0, 3)), min_size=3, max_size=60),
    st.integers(3, 30),
    st.lists(st.integers(0, 60), max_size=4),
    st.randoms(),
)
def test_rounding_does_not_depend_on_parts_or_order(rows, most, cuts, random):
    probability, positive, groups = (np.array(one) for one in zip(*rows))
    once = ranked(probability, positive, most, groups=groups)
    order = random.sample(range(len(rows)), len(rows))
    parts = ranked(probability[order], positive[order], most, sorted(cuts), groups[order])
    halves = slice(None, len(rows) // 3), slice(len(rows) // 3, None)
    first, second = (ranked(probability[half], positive[half], most, groups=groups[half]) for half in halves)
    other = ranked(probability[halves[0]], positive[halves[0]], most, groups=groups[halves[0]])
    other.merge(second)
    second.merge(first)
    assert state(once) == state(parts) == state(second) == state(other)
    assert once._counts.nnz <= most or len(once._levels) <= 2


@pytest.mark.parametrize("better", ["positive", "negative"])
def test_bounds_are_reached_by_the_worst_order_in_a_level(better):
    """Two of each side in one level: 0.5 is between 1 and 0; precision 1/2 between 1 and that of ranks 3 and 4."""
    probability = np.array([0.7, 0.7 + 1e-9, 0.7 + 2e-9, 0.7 + 3e-9])
    positive = np.array([better == "negative"] * 2 + [better == "positive"] * 2)
    found, once = ranked(probability, positive, 2), np.ones((1, 4), int)
    (auroc, auprc), bounds = found.scores(once), found.bounds(once)
    assert (auroc[0], auprc[0]) == (0.5, 0.5)
    assert (bounds[0][0], bounds[1][0]) == (0.5, pytest.approx(max(1 - 1 / 2, 1 / 2 - (1 / 3 + 2 / 4) / 2)))
    assert abs(auroc[0] - roc_auc_score(positive, probability)) == bounds[0][0]


def test_bound_of_precision_is_reached_from_below():
    """Positives one after the other behind 20 negatives: the first has a precision of 1/21, not the level's 4/24."""
    probability = np.append(np.full(20, 0.9), [0.2, 0.2 + 1e-9, 0.2 + 2e-9, 0.2 + 3e-9])
    found, once = ranked(probability, np.arange(24) >= 20, 2), np.ones((1, 4), int)
    rounded, bound = found.scores(once)[1][0], found.bounds(once)[1][0]
    assert rounded == pytest.approx(4 / 24)
    assert bound == pytest.approx(rounded - average_precision_score(np.arange(24) >= 20, probability))


def test_a_rounded_ranking_is_close_and_small(rng):
    n = 40_000
    positive = rng.random(n) < 0.3
    probability = 1 / (1 + np.exp(-rng.normal(2 * positive - 1, 3)))  # many near 0 and near 1
    found, once = ranked(probability, positive, 2_000), np.ones((1, 4), int)
    (auroc, auprc), bounds = found.scores(once), found.bounds(once)
    assert found._counts.nnz <= 2_000 and not found.is_exact
    assert 0 < abs(auroc[0] - roc_auc_score(positive, probability)) <= bounds[0][0] < 5e-3
    assert 0 < abs(auprc[0] - average_precision_score(positive, probability)) <= bounds[1][0] < 5e-3


def test_what_is_rounded_is_said(answers, monkeypatch):
    y, p, q, patient = answers
    monkeypatch.setattr(Ranking.__init__, "__kwdefaults__", {"most": 100})
    with pytest.warns(UserWarning, match=r"AUROC is within 0\.\d+ and AUPRC"):
        rounded = classification_scores(y, p, q, **NAMES)
    with pytest.warns(UserWarning, match="too many distinct"):
        bootstrap_scores(y, p, patient, q, n_resamples=40, **NAMES)
    with pytest.warns(UserWarning, match="too many distinct"):
        score_table({"m": {"labels": [tallied(answers), tallied(answers)]}}, np.ones((2, 3)), n_resamples=40)
    assert rounded["auroc"] == pytest.approx(roc_auc_score(y > 0, q[:, 1:].sum(axis=1)), abs=0.02)


def test_table_is_the_scores_of_the_folds_and_of_all(answers):
    y, p, q, patient = answers
    here = [patient < 4, patient >= 4]
    folds = [tallied([one[side] for one in answers]) for side in here]
    train = [np.bincount(y[side], minlength=3) for side in here[::-1]]
    table = score_table({"m": {"labels": folds}}, train, n_resamples=60, random_state=1).set_index("score")
    each = [classification_scores(y[side], p[side], q[side], **NAMES) for side in here]
    majority = [majority_scores(np.bincount(y[side], minlength=3), t, **NAMES) for side, t in zip(here, train)]
    intervals = bootstrap_scores(y, p, patient, q, n_resamples=60, random_state=1, **NAMES)
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
        bootstrap_tally(tallied([one[patient == 0] for one in answers]))
