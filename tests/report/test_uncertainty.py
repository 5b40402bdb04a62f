"""The bootstrap draws patients, says what it left out, covers what it should, and counts as fast as promised."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.errors import DataError, SettingsError
from ftirlib.report.scores import classification_scores, score_intervals
from ftirlib.report.tally import Tally
from ftirlib.report.uncertainty import fold_summary, grouped_bootstrap

NAMES = {"class_names": ["a", "b", "c"], "positive_classes": ["b", "c"]}


def bootstrap_scores(y, p, groups, q=None, *, class_names, positive_classes, **bootstrap):
    """Intervals of all scores of arrays of answers."""
    tally = Tally.of(y, p, q, groups=groups, class_names=class_names, positive_classes=positive_classes)
    return score_intervals(tally, **bootstrap)


@pytest.fixture
def answers(rng):
    """300 spectra of 12 patients: labels, predictions, probabilities (with ties) and patients."""
    patient = np.sort(rng.integers(12, size=300))
    y = rng.integers(3, size=12)[patient]
    votes = np.stack([rng.multinomial(10, np.full(3, 0.2) + 0.4 * np.eye(3)[k]) for k in y])
    return y, votes.argmax(axis=1), patient, votes / 10


def test_counting_gives_what_resampling_spectra_gives(answers):
    y, p, patient, q = answers
    fast = bootstrap_scores(y, p, patient, q, n_resamples=50, random_state=3, **NAMES)

    def statistic(*arrays):
        return np.array(list(classification_scores(*arrays, **NAMES).values()))

    slow = grouped_bootstrap(statistic, patient, y, p, q, n_resamples=50, random_state=3)
    for k, name in enumerate(fast):
        for part in ("estimate", "low", "high", "standard_error", "n_undefined"):
            assert getattr(fast[name], part) == pytest.approx(getattr(slow, part)[k], abs=1e-10, nan_ok=True), name


def test_same_seed_same_interval_another_seed_another(answers):
    y, p, patient, q = answers
    one, two, other = (bootstrap_scores(y, p, patient, q, random_state=seed, **NAMES) for seed in (0, 0, 1))
    assert one == two
    assert one["accuracy"].low != other["accuracy"].low or one["accuracy"].high != other["accuracy"].high


def test_order_of_spectra_and_names_of_patients_do_not_matter(answers, rng):
    y, p, patient, q = answers
    order = rng.permutation(len(y))
    plain = bootstrap_scores(y, p, patient, q, n_resamples=80, **NAMES)
    named = np.array([f"patient {k:02d}" for k in patient])
    shuffled = bootstrap_scores(y[order], p[order], named[order], q[order], n_resamples=80, **NAMES)
    for name in plain:
        assert shuffled[name].low == pytest.approx(plain[name].low, abs=1e-12), name
        assert shuffled[name].high == pytest.approx(plain[name].high, abs=1e-12), name


def test_whole_groups_are_drawn():
    group = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])
    seen = []
    grouped_bootstrap(lambda rows: seen.append(rows) or 0.0, group, np.arange(len(group)), n_resamples=40)
    for rows in seen:
        times = np.bincount(rows, minlength=len(group))
        for k in range(6):
            assert len(set(times[group == k])) == 1  # all of a patient's spectra, equally often
        assert sum(times[group == k][0] for k in range(6)) == 6


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=20), st.integers(0, 5))
def test_interval_lies_within_the_groups_and_moves_with_them(values, seed):
    values = np.array(values)
    group = np.arange(len(values))
    one = grouped_bootstrap(np.mean, group, values, n_resamples=60, random_state=seed)
    two = grouped_bootstrap(np.mean, group, 2 * values + 5, n_resamples=60, random_state=seed)
    assert values.min() - 1e-9 <= one.low <= one.high <= values.max() + 1e-9
    assert (two.low, two.high) == pytest.approx((2 * one.low + 5, 2 * one.high + 5), abs=1e-6)


def test_coverage_is_near_nominal_for_patients_and_far_off_for_pixels():
    rng = np.random.default_rng(0)
    n_patients, n_pixels, n_trials = 30, 8, 150
    patient = np.repeat(np.arange(n_patients), n_pixels)
    options = {"class_names": ["a", "b"], "positive_classes": [], "n_resamples": 200}
    covered = {"patients": 0, "pixels": 0}
    for trial in range(n_trials):
        wrong = rng.random(len(patient)) > rng.beta(1, 1, n_patients)[patient]  # true accuracy 1/2
        for what, units in (("patients", patient), ("pixels", np.arange(len(patient)))):
            y = np.zeros(len(patient), int)
            interval = bootstrap_scores(y, wrong.astype(int), units, random_state=trial, **options)["accuracy"]
            covered[what] += interval.low <= 0.5 <= interval.high
    assert 0.88 <= covered["patients"] / n_trials <= 0.98
    assert covered["pixels"] / n_trials < 0.85


def test_undefined_resamples_are_counted_and_left_out():
    y, patient = np.array([0, 0, 0, 0, 1]), np.arange(5)  # one positive patient: often not drawn
    options = {"class_names": ["a", "b"], "positive_classes": ["b"], "n_resamples": 400}
    interval = bootstrap_scores(y, y, patient, **options)["sensitivity"]
    assert interval.n_undefined / 400 == pytest.approx(0.8**5, abs=0.08)
    assert (interval.estimate, interval.low, interval.high) == (1, 1, 1)
    never = bootstrap_scores(y, y, patient, **options)["auroc"]
    assert never.n_undefined == 400 and np.isnan(never.low)


def test_pair_of_equal_models_differs_by_nothing(answers):
    y, p, patient, q = answers
    first, second = (Tally.of(y, p, q, groups=patient, **NAMES) for _ in range(2))
    pair = score_intervals(first, second, n_resamples=60)
    for name, interval in pair.items():
        assert (interval.estimate, interval.low, interval.high) == (0, 0, 0), name


def test_pairing_sees_a_difference_that_two_intervals_hide(rng):
    patient = np.repeat(np.arange(20), 50)
    y = np.zeros(len(patient), int)
    chance = rng.uniform(0.3, 0.95, 20)[patient]  # patients differ in difficulty, for both models alike
    draw = rng.random(len(patient))
    better, worse = (draw > chance).astype(int), (draw > chance - 0.08).astype(int)
    options = {"class_names": ["a", "b"], "positive_classes": []}
    high, low = (Tally.of(y, p, groups=patient, **options) for p in (better, worse))
    alone = [score_intervals(tally)["accuracy"] for tally in (high, low)]
    pair = score_intervals(high, low)["accuracy"]
    assert alone[0].low < alone[1].high  # they overlap
    assert pair.low > 0
    assert pair.estimate == pytest.approx(alone[0].estimate - alone[1].estimate)
    swapped = score_intervals(low, high)["accuracy"]
    assert (swapped.low, swapped.high) == pytest.approx((-pair.high, -pair.low))


def test_spectra_of_one_patient_are_not_independent(shared_data):
    """On real tissue, errors come by patient: drawing spectra instead makes the interval far too narrow."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    with np.load(shared_data / "brain_atr" / "brain_atr.npz", allow_pickle=False) as data:
        spectra, patient = data["absorbance"], data["patient"]
        names, y = np.unique(data["label"], return_inverse=True)
    model = make_pipeline(PCA(25, random_state=0), LinearDiscriminantAnalysis())
    p = cross_val_predict(model, spectra, y, groups=patient, cv=GroupKFold(5))
    options = {"class_names": list(names), "positive_classes": [], "random_state": 0}
    of_patients = bootstrap_scores(y, p, patient, **options)["balanced_accuracy"]
    of_spectra = bootstrap_scores(y, p, np.arange(len(y)), **options)["balanced_accuracy"]
    assert of_patients.estimate == of_spectra.estimate
    assert of_patients.standard_error > 2 * of_spectra.standard_error


def test_a_thousand_resamples_of_twenty_thousand_spectra_take_under_a_second(rng):
    patient = rng.integers(90, size=20_000)
    y, p = rng.integers(3, size=(2, 20_000))
    start = time.process_time()  # of this process alone, however busy the machine is
    bootstrap_scores(y, p, patient, n_resamples=1000, **NAMES)
    assert time.process_time() - start < 1


def test_fold_summary():
    assert fold_summary([1, 2, 3, 4]) == (2.5, pytest.approx(np.sqrt(5 / 3)))
    assert np.isnan(fold_summary([1.0]).sd) and fold_summary([1.0]).mean == 1
    assert np.isnan(fold_summary([1.0, np.nan])).all()
    for bad in ([], [[1.0, 2.0]], 3.0):
        with pytest.raises(DataError, match="one number per fold"):
            fold_summary(bad)


def test_bad_input_is_refused(answers):
    y, p, patient, q = answers
    with pytest.raises(DataError, match="1 group"):
        grouped_bootstrap(np.mean, np.zeros(5), np.arange(5.0))
    with pytest.raises(DataError, match="array 1"):
        grouped_bootstrap(lambda a, b: 0.0, [0, 1, 2], np.arange(3), np.arange(4))
    with pytest.raises(DataError, match="no arrays"):
        grouped_bootstrap(np.mean, [0, 1, 2])
    with pytest.raises(DataError, match="one group"):
        grouped_bootstrap(np.mean, [[0, 1]], np.arange(2))
    with pytest.raises(DataError, match="groups for"):
        bootstrap_scores(y, p, patient[1:], q, **NAMES)
    with pytest.raises(DataError, match="both or none"):
        score_intervals(*(Tally.of(y, p, votes, groups=patient, **NAMES) for votes in (q, None)))
    with pytest.raises(SettingsError, match="between 0 and 1"):
        grouped_bootstrap(np.mean, [0, 1], np.arange(2), confidence=95)
    with pytest.raises(SettingsError, match="40 or more"):
        grouped_bootstrap(np.mean, [0, 1], np.arange(2), n_resamples=10)
