"""The spectra that are explained: as many from each image, by the seed alone, however they are read."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib import method


def by_image(image, rows, most, seed):
    """The definition: of each image, in order, so many of its rows by chance, and of the first images one more."""
    if len(rows) <= most:
        return rows
    members = [rows[image[rows] == k] for k in range(image.max() + 1)]
    wanted = [0] * len(members)
    while sum(wanted) < most:
        for k, one in enumerate(members):
            if (
                wanted[k] < len(one)
                and sum(wanted) < most
                and wanted[k] == min(w for w, m in zip(wanted, members) if w < len(m))
            ):
                wanted[k] += 1
    rng = np.random.default_rng(seed)
    chosen = [one[rng.choice(len(one), n, replace=False, shuffle=False)] for one, n in zip(members, wanted) if n]
    return np.sort(np.concatenate(chosen))


@settings(max_examples=40, deadline=None)
@given(
    image=st.lists(st.integers(0, 9), min_size=1, max_size=200),
    most=st.integers(1, 60),
    seed=st.integers(0, 99),
)
def test_rows_are_those_of_the_definition(image, most, seed):
    image = np.array(image)
    rows = np.flatnonzero(image % 4 != 1) if (image % 4 != 1).any() else np.arange(len(image))
    np.testing.assert_array_equal(method.explained_rows(image, rows, most, seed), by_image(image, rows, most, seed))


def test_small_images_give_all_they_have():
    image = np.repeat([0, 1, 2], [3, 50, 50])
    found = method.explained_rows(image, np.arange(103), 24, 0)
    assert np.bincount(image[found]).tolist() == [3, 11, 10]


def test_every_row_of_an_image_is_as_likely():
    image = np.zeros(20, int)
    drawn = np.concatenate([method.explained_rows(image, np.arange(20), 5, seed) for seed in range(2000)])
    share = np.bincount(drawn, minlength=20) / 2000
    assert np.abs(share - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 2000)
