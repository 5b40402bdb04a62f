"""Rows kept as runs of neighbours say what the rows themselves would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftirlib.errors import DataError
from ftirlib.spectra import runs as module
from ftirlib.spectra.runs import Runs

ROWS = st.sets(st.integers(0, 60)).map(lambda rows: np.array(sorted(rows), np.int64))


@given(rows=ROWS, start=st.integers(0, 70), stop=st.integers(0, 70))
def test_parts_of_the_rows(rows, start, stop):
    runs = Runs.of(rows)
    assert len(runs) == len(rows)
    np.testing.assert_array_equal(runs, rows)
    np.testing.assert_array_equal(runs[start:stop], rows[start:stop])
    np.testing.assert_array_equal(rows[runs.within(start, stop)], rows[(rows >= start) & (rows < stop)])
    places = np.arange(len(rows))[::-1]
    np.testing.assert_array_equal(runs.at(places), rows[places])
    np.testing.assert_array_equal(runs.places(rows[::2]), places[::-1][::2])


@given(rows=ROWS, part=st.integers(1, 9))
def test_values_are_taken_part_by_part(rows, part):
    values = np.random.default_rng(0).normal(size=(61, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART", part)
        np.testing.assert_array_equal(Runs.of(rows).take(values), values[rows])


@given(rows=ROWS, seed=st.integers(0, 99))
def test_pieces_join_to_the_same_runs(rows, seed):
    piece = np.random.default_rng(seed).integers(0, 3, len(rows))
    joined = Runs.join([Runs.of(rows[piece == k]) for k in range(3)])
    np.testing.assert_array_equal(joined.bounds, Runs.of(rows).bounds)


def test_rows_are_int32_where_they_fit():
    last = np.iinfo(np.int32).max
    assert Runs([[last - 1, last]])[:].dtype == np.int32
    far = Runs([[last, last + 2]])
    assert far[:].dtype == np.int64 and far[:].tolist() == [last, last + 1]
    assert Runs([])[:].size == 0 and len(Runs.join([])) == 0


@pytest.mark.parametrize("rows", [[3, 2], [1, 1], [-1, 0]])
def test_rows_that_do_not_ascend_are_refused(rows):
    with pytest.raises(DataError, match="ascend"):
        Runs.of(rows)


@pytest.mark.parametrize("bounds", [[[3, 3]], [[0, 4], [3, 5]], [[5, 6], [0, 2]]])
def test_runs_that_overlap_or_descend_are_refused(bounds):
    with pytest.raises(DataError, match="ascend"):
        Runs(bounds)


def test_a_step_is_refused():
    with pytest.raises(DataError, match="step of 2"):
        Runs.of([1, 2, 3])[::2]


@given(rows=ROWS, start=st.integers(-70, 70), stop=st.integers(-70, 70), step=st.integers(1, 7), part=st.integers(1, 9))
def test_a_column_is_cut_as_the_values_are(rows, start, stop, step, part):
    values = np.random.default_rng(0).integers(-9, 9, 61).astype(np.int16)
    column = Runs.of(rows).column(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART", part)
        found = column[start:stop:step]
    assert found.dtype == column.dtype == np.int16 and column.shape == (len(column),) == (len(rows),)
    np.testing.assert_array_equal(found, values[rows][start:stop:step])
