"""The spectra that are explained: as many from each image, by the seed alone, however they are read."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.run import tasks
from ftirlib.spectra import runs
from ftirlib.spectra.runs import Runs


def by_sorting_everything(image, rows, most, seed):
    """The definition: the first of each image in a random order of all rows, image after image in rounds."""
    if len(rows) <= most:
        return rows
    shuffled = np.random.default_rng(seed).permutation(rows)
    shuffled = shuffled[np.argsort(image[shuffled], kind="stable")]
    _, start, count = np.unique(image[shuffled], return_index=True, return_counts=True)
    rank = np.arange(len(shuffled)) - np.repeat(start, count)
    return np.sort(shuffled[np.argsort(rank, kind="stable")[:most]])


@settings(max_examples=40, deadline=None)
@given(
    image=st.lists(st.integers(0, 9), min_size=1, max_size=200),
    most=st.integers(1, 60),
    seed=st.integers(0, 99),
    part=st.integers(1, 50),
)
def test_rows_are_those_of_the_definition(image, most, seed, part):
    image = np.array(image, np.int32)
    rows = np.flatnonzero(np.random.default_rng(seed).random(image.size) < 0.7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "PART", part)
        patch.setattr(runs, "PART", part)
        found = tasks.explained_rows(xr.Variable("spectrum", image), Runs.of(rows), most, seed)
    np.testing.assert_array_equal(found, by_sorting_everything(image, rows, most, seed))


def test_small_images_give_all_they_have():
    image = np.repeat([0, 1, 2], [3, 50, 50])
    found = tasks.explained_rows(image, np.arange(103), 24, 0)
    assert np.bincount(image[found]).tolist() == [3, 11, 10]
