"""Arrays written and read a part at a time are those that NumPy writes and reads whole."""

import numpy as np
import pytest

from ftirlib.errors import StoreError
from ftirlib.method.arrays import StoredArrays, write_arrays


@pytest.fixture
def whole():
    rng = np.random.default_rng(0)
    return {"test": rng.random((11, 4), np.float32), "rows": np.arange(5), "nothing": np.empty((0, 3), np.float32)}


def blocks(array, size=3):
    return (array.shape, array.dtype, (array[i : i + size] for i in range(0, len(array), size)))


def test_blocks_leave_the_bytes_that_numpy_leaves(whole, tmp_path):
    np.savez(tmp_path / "numpy.npz", **whole)
    write_arrays(tmp_path / "ours.npz", {name: blocks(array) for name, array in whole.items()})
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "numpy.npz").read_bytes()


def test_rows_are_read_from_where_they_lie(whole, tmp_path):
    np.savez(tmp_path / "a.npz", **whole)
    stored = StoredArrays(tmp_path / "a.npz")
    assert list(stored) == list(whole) and len(stored) == 3
    for name, array in whole.items():
        np.testing.assert_array_equal(stored[name], array)
        one = stored.on_disk(name)
        assert one.shape == array.shape and one.dtype == array.dtype
        for part in (slice(None), slice(2, 4), slice(4, 99), slice(3, 1)):
            np.testing.assert_array_equal(one[part], array[part])
    with pytest.raises(KeyError):
        stored["validation"]


def test_blocks_of_another_shape_are_refused(whole, tmp_path):
    array = whole["test"]
    with pytest.raises(StoreError, match=r"\(12, 4\), but what came has \(11, 4\)"):
        write_arrays(tmp_path / "a.npz", {"test": ((12, 4), np.float32, [array])})
    with pytest.raises(StoreError, match=r"\(11, 3\)"):
        write_arrays(tmp_path / "a.npz", {"test": ((11, 3), np.float32, [array])})


def test_a_compressed_file_says_why_it_cannot_be_read_in_part(whole, tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **whole)
    np.testing.assert_array_equal(StoredArrays(tmp_path / "a.npz")["test"], whole["test"])
    with pytest.raises(StoreError, match="compressed"):
        StoredArrays(tmp_path / "a.npz").on_disk("test")
