"""Differences between models: against one reference, on the same draws, decided only where the interval says so."""

import numpy as np
import pytest

from ftirlib.errors import DataError
from ftirlib.report.comparison import paired_table
from ftirlib.report.scores import score_intervals
from ftirlib.report.tally import Tally

NAMES = {"class_names": ["normal", "cancerous"], "positive_classes": ["cancerous"]}


def models(rng):
    y, groups = rng.integers(0, 2, 400), np.arange(400) // 20
    flipped = {name: np.where(rng.random(400) < share, 1 - y, y) for name, share in (("good", 0.05), ("bad", 0.4))}
    return y, {**flipped, "twin": flipped["good"]}, groups


def test_differences_are_those_of_two_tallies_on_the_same_draws(rng):
    y, predictions, groups = models(rng)
    table = paired_table(y, predictions, groups, reference="good", n_resamples=100, **NAMES)
    assert table["model"].unique().tolist() == ["bad", "twin"]
    bad, good = (Tally.of(y, predictions[name], groups=groups, **NAMES) for name in ("bad", "good"))
    expected = score_intervals(bad, good, n_resamples=100)
    row = table[(table.model == "bad") & (table.score == "balanced_accuracy")].iloc[0]
    found = expected["balanced_accuracy"]
    assert (row.difference, row.low, row.high) == (found.estimate, found.low, found.high)
    assert row.difference < 0
    assert row.decided
    twin = table[table.model == "twin"]
    assert (twin[["difference", "low", "high"]] == 0).all(axis=None)
    assert not twin["decided"].any()


def test_bad_input_is_refused(rng):
    y, predictions, groups = models(rng)
    with pytest.raises(DataError, match="reference 'none'"):
        paired_table(y, predictions, groups, reference="none", **NAMES)
    with pytest.raises(DataError, match="at least one other model"):
        paired_table(y, {"good": y}, groups, reference="good", **NAMES)
    with pytest.raises(DataError, match="'beauty' is not a score"):
        paired_table(y, predictions, groups, reference="good", scores=["beauty"], n_resamples=40, **NAMES)
