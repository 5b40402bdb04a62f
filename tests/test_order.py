"""The order of an epoch that is computed: a permutation, the same in any parts, and as even as one that is drawn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.classify import order as module
from ftirlib.classify.order import ComputedOrder, random_order


def computed(n, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ComputedOrder(n)


@given(n=st.integers(2, 3000), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_every_number_comes_once(n, seed):
    assert computed(n, seed)[:].sort().values.tolist() == list(range(n))


@given(n=st.integers(2, 500), start=st.integers(0, 500), stop=st.integers(0, 500))
def test_parts_are_those_of_the_whole(n, start, stop):
    order = computed(n)
    assert order[start:stop].tolist() == order[:][start:stop].tolist() and len(order) == n


def test_the_generator_decides():
    assert computed(999, 1)[:].tolist() == computed(999, 1)[:].tolist() != computed(999, 2)[:].tolist()


@pytest.mark.parametrize("n", [10**10 + 7, 2**62])
def test_of_very_many_a_part_is_had_alone(n):
    part = computed(n)[n - 1000 :]
    assert len(part.unique()) == len(part) == 1000 and part.min() >= 0 and part.max() < n
    assert part.double().mean() / n == pytest.approx(0.5, abs=0.05)  # 5.5 standard deviations


def test_places_and_neighbours_are_as_chance_has_them():
    n = 1 << 12
    found = np.stack([computed(n, seed)[:].numpy() for seed in range(64)])
    counts = np.stack([np.bincount(one, minlength=16) for one in (found[:, :256].reshape(64, -1) * 16 // n)])
    chi2 = ((counts - 16) ** 2 / 16).sum() / (64 * 15 * (1 - 256 / n))  # without replacement
    assert chi2 == pytest.approx(1, abs=5 * np.sqrt(2 / (64 * 15)))
    step = np.abs(np.diff(found, axis=1)) / n  # the mean distance of two random places is a third
    assert step.mean() == pytest.approx(1 / 3, abs=5 * np.sqrt(1 / 18 / step.size * 2))
    fixed = (found == np.arange(n)).sum()  # one an order, on average
    assert fixed == pytest.approx(64, abs=5 * 8)


def test_a_few_million_are_drawn_by_torch(monkeypatch):
    monkeypatch.setattr(module, "DRAWN", 100)
    torch.manual_seed(3)
    drawn = random_order(100)
    torch.manual_seed(3)
    assert drawn.tolist() == torch.randperm(100).tolist()
    assert isinstance(random_order(101), ComputedOrder)
