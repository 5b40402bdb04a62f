"""Rows wherever they lie: the same numbers as in memory, in any order, and no more of them read than are asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftirlib.errors import DataError
from ftirlib.spectra.model import CHUNK, make_spectra, open_spectra
from ftirlib.spectra.rows import Rows, hstack, vstack
from ftirlib.spectra.writer import save_spectra

N, WIDTH = CHUNK + 70, 3
VALUES = np.random.default_rng(0).normal(size=(N, WIDTH)).astype(np.float32)
SOURCES = ["array", "file", "store", "rows", "stacked", "beside"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    save_spectra(make_spectra(VALUES, np.linspace(1000, 1800, WIDTH)), folder / "spectra.zarr")
    store = open_spectra(folder / "spectra.zarr")
    file = Rows.of(VALUES).to_file(folder / "spectra.npy")
    return {
        "array": Rows.of(VALUES),
        "file": Rows.of(folder / "spectra.npy"),
        "store": Rows.of(store),
        "rows": Rows.of(Rows.of(file, np.arange(N)[::-1]), np.arange(N)[::-1]),
        "stacked": vstack([Rows.of(VALUES[:9]), Rows.of(store, np.arange(9, 4000)), Rows.of(file, np.arange(4000, N))]),
        "beside": hstack([Rows.of(VALUES[:, :1]), Rows.of(file).through(lambda block: block[:, 1:])]),
    }


@pytest.mark.parametrize("source", SOURCES)
@given(rows=st.lists(st.integers(0, N - 1), max_size=40))
def test_rows_in_any_order_and_number(source, sources, rows):
    found = sources[source][rows]
    assert found.dtype == np.float32 and np.array_equal(found, VALUES[rows] if rows else VALUES[:0])


@pytest.mark.parametrize("source", SOURCES)
@given(start=st.integers(-20, 20), stop=st.integers(-20, N + 20), step=st.sampled_from([1, 700, -1000]))
def test_slices_are_those_of_an_array(source, sources, start, stop, step):
    assert np.array_equal(sources[source][start:stop:step], VALUES[start:stop:step])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", [100, CHUNK, 10 * CHUNK])
def test_blocks_are_the_rows_in_order(source, size, sources):
    rows = sources[source]
    assert rows.shape == VALUES.shape and len(rows) == N
    blocks = list(rows.blocks(size))
    assert [len(block) for _, block in blocks[:-1]] == [size] * (N // size)
    for which, block in blocks:
        assert block.flags.c_contiguous
        np.testing.assert_array_equal(block, VALUES[which])
    assert blocks[-1][0].stop == N


@given(
    rows=st.lists(st.integers(0, 40), min_size=1),
    step=st.integers(1, 50),
    size=st.integers(1, 40),
)
def test_some_of_some_rows_are_those_of_an_array(rows, step, size):
    spectra = np.arange(82.0).reshape(41, 2)
    some = Rows.of(Rows.of(spectra, rows), np.arange(0, len(rows), step))
    expected = spectra[rows][::step]
    assert some.shape == expected.shape
    np.testing.assert_array_equal(np.concatenate([block for _, block in some.blocks(size)]), expected)


def test_only_what_is_asked_for_is_read():
    asked = []

    def read(which):
        asked.append(which)
        return VALUES[which]

    rows = Rows.of(Rows(read, VALUES.shape), np.arange(N)[::-1]).through(np.square)
    assert not asked
    np.testing.assert_array_equal(rows[2:5], np.square(VALUES[::-1][2:5]))
    np.testing.assert_array_equal(rows[np.array([4, 0])], np.square(VALUES[::-1][[4, 0]]))
    assert [len(which) for which in asked] == [3, 2]


def test_many_small_blocks_are_read_together():
    asked = []
    rows = Rows(lambda which: asked.append(which) or VALUES[which], VALUES.shape)
    assert [len(block) for _, block in rows.blocks(100)] == 41 * [100] + [66]
    assert [which.start for which in asked] == [0, 4000]


def test_neighbours_are_read_as_a_slice():
    asked = []
    rows = Rows(lambda which: asked.append(which) or VALUES[which], VALUES.shape)
    rows[[7, 8, 9]]
    assert asked == [slice(7, 10)]


def test_a_row_that_is_not_finite_is_named(tmp_path):
    spoilt = VALUES.astype(np.float64)
    spoilt[CHUNK + 2, 1] = np.nan
    for size in (7, CHUNK):
        with pytest.raises(DataError, match=f"spectrum {CHUNK + 2} holds NaN or infinite values"):
            list(Rows.of(spoilt).blocks(size))
    spoilt[CHUNK + 2, 1] = 1e300  # finite, but not in float32
    list(Rows.of(spoilt).blocks())
    with pytest.raises(DataError, match=f"spectrum {CHUNK + 2} holds NaN or infinite values"):
        Rows.of(spoilt).to_file(tmp_path / "spectra.npy")


def test_large_values_are_not_taken_for_infinite_values():
    huge = np.full((3, WIDTH), np.finfo(np.float32).max)
    assert [which for which, _ in Rows.of(huge).blocks()] == [slice(0, 3)]


def test_a_file_is_numpys_and_a_torn_file_is_refused(tmp_path):
    path = tmp_path / "spectra.npy"
    Rows.of(VALUES.astype(np.float64)).to_file(path)
    found = np.load(path)
    assert found.dtype == np.float32 and np.array_equal(found, VALUES)
    path.write_bytes(path.read_bytes()[:-1])
    for act in (lambda: Rows.of(path), lambda: Rows.of(tmp_path / "none.npy")):
        with pytest.raises(DataError, match="no whole NumPy file of spectra"):
            act()


def test_what_is_read_of_a_file_is_no_map_of_it(tmp_path):
    """A map that stays open would count as the process's memory, and a block as what was on disk when it was read."""
    rows = Rows.of(VALUES).to_file(tmp_path / "spectra.npy")
    for found in (rows[:5], rows[[3, 1]], next(rows.blocks())[1]):
        while found is not None:
            assert not isinstance(found, np.memmap)
            found = found.base


@pytest.mark.parametrize("rows", [np.ones(75, bool), [0.0, 1.0], [[0, 1]]])
def test_rows_that_are_no_whole_numbers_are_refused(rows):
    for act in (lambda: Rows.of(VALUES, rows), lambda: Rows.of(VALUES)[rows]):
        with pytest.raises(DataError, match="rows must be a list of whole numbers, not"):
            act()


@pytest.mark.parametrize("rows", [[0, N], [-1, 0]])
def test_rows_out_of_range_are_refused(rows):
    for act in (lambda: Rows.of(VALUES, rows), lambda: Rows.of(VALUES)[rows]):
        with pytest.raises(DataError, match=f"beyond the {N} spectra"):
            act()


def test_sources_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"shape \(4,\)"):
        Rows.of(np.ones(4))
