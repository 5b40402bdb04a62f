"""Rows at random: the same from an array, a file or a walk, and no more of them than are asked for."""

import numpy as np
import pytest

from ftirlib.classify.walk import Walk
from ftirlib.spectra.model import CHUNK
from ftirlib.spectra.rowfile import RowFile
from ftirlib.spectra.rows import Rows


@pytest.fixture
def values(rng):
    return rng.normal(size=(CHUNK + 70, 3)).astype(np.float32)


@pytest.mark.parametrize("source", ["array", "file", "walk", "rows"])
def test_blocks_are_those_of_the_array(values, source, tmp_path):
    file = RowFile.write(tmp_path / "rows", [values], 3)
    rows = Rows.over({"array": values, "file": file, "walk": Walk.over(file), "rows": Rows.over(file)}[source])
    assert rows.shape == values.shape and len(rows) == len(values)
    for size in (100, CHUNK, 10 * CHUNK):
        blocks = list(rows.blocks(size))
        assert [len(block) for block in blocks[:-1]] == [size] * (len(values) // size)
        np.testing.assert_array_equal(np.concatenate(blocks), values)
    assert rows[:0].shape == (0, 3) and rows[:0].dtype == np.float32
    if source != "walk":  # which is read in order
        np.testing.assert_array_equal(rows[np.array([7, 2, 7])], values[[7, 2, 7]])


def test_places_and_functions_are_applied_to_what_is_asked_for(values):
    asked = []

    def read(which):
        asked.append(which)
        return values[which]

    order = np.arange(len(values))[::-1]
    rows = Rows(read, values.shape).at(order).through(np.square)
    assert not asked
    np.testing.assert_array_equal(rows[2:5], np.square(values[::-1][2:5]))
    np.testing.assert_array_equal(rows[np.array([4, 0])], np.square(values[::-1][[4, 0]]))
    assert [len(which) for which in asked] == [3, 2]


def test_many_small_blocks_are_read_together(values):
    asked = []
    rows = Rows(lambda which: asked.append(which) or values[which], values.shape)
    assert [len(block) for block in rows.blocks(100)] == 41 * [100] + [66]
    assert [which.start for which in asked] == [0, 4000]
