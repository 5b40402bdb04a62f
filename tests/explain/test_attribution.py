"""The result every explainer returns: parts that fit, selection, joining, and the store on disk."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from ftirlib.errors import DataError, StoreError
from ftirlib.explain import attribution
from ftirlib.explain.attribution import Attribution, read_parts, relative_error, save_pieces, weight_rows

ARRAYS = ("weights", "intercept", "score", "local_prediction", "labels", "rows", "standard_error", "stability")


def make(n=7, n_labels=2, n_wavenumbers=5, start=0, error=True, seed=0):
    rng = np.random.default_rng(seed)
    shape = (n, n_labels)
    return Attribution(
        weights=rng.normal(size=(*shape, n_wavenumbers)),
        intercept=rng.normal(size=shape),
        score=rng.random(shape),
        local_prediction=rng.random(shape),
        labels=rng.integers(0, 4, shape),
        wavenumber=np.linspace(1000.0, 1800.0, n_wavenumbers),
        rows=np.arange(start, start + n),
        standard_error=rng.random((*shape, n_wavenumbers)) if error else None,
        stability=rng.random(shape) if error else None,
        settings={"mode": "limit", "tolerance": None, "n_samples": 64},
    )


def assert_same(a, b):
    for name in ARRAYS:
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            assert x.dtype == y.dtype, name
            np.testing.assert_array_equal(x, y, err_msg=name)
    np.testing.assert_array_equal(a.wavenumber, b.wavenumber)
    assert dict(a.settings) == dict(b.settings)


@pytest.mark.parametrize("error", [True, False])
def test_saved_and_loaded_is_the_same(tmp_path, error):
    whole = make(error=error)
    path = whole.save(tmp_path / "a.zarr")
    assert_same(Attribution.load(path), whole)
    assert_same(Attribution.load(path, slice(2, 5)), whole.select(slice(2, 5)))


def test_without_an_axis(tmp_path):
    whole = replace(make(), wavenumber=None)
    assert Attribution.load(whole.save(tmp_path / "a.zarr")).wavenumber is None


@pytest.mark.parametrize("sizes", [[1], [3, 3, 3, 3], [1, 9, 2, 1, 1, 5], [4, 4]])
def test_pieces_of_any_size_make_the_same_store(tmp_path, monkeypatch, sizes):
    monkeypatch.setattr(attribution, "CHUNK", 4)
    whole = make(n=sum(sizes))
    ends = np.cumsum(sizes)
    pieces = (whole.select(slice(end - size, end)) for size, end in zip(sizes, ends))
    assert_same(Attribution.load(save_pieces(pieces, tmp_path / "a.zarr")), whole)


def test_xarray_opens_the_store(tmp_path):
    whole = make()
    with xr.open_zarr(whole.save(tmp_path / "a.zarr"), consolidated=False, chunks=None) as data:
        assert data.weights.dims == ("spectrum", "explained", "wavenumber")
        assert data.wavenumber.attrs["units"] == "cm-1"


def test_select_takes_slices_masks_and_positions():
    whole = make()
    mask = whole.rows % 2 == 1
    assert_same(whole.select(mask), whole.select(np.flatnonzero(mask)))
    assert len(whole.select(slice(1, 4))) == 3
    assert whole.select([5]).rows.tolist() == [5]


def test_concatenate_undoes_select():
    whole = make()
    assert_same(Attribution.concatenate([whole.select(slice(0, 2)), whole.select(slice(2, None))]), whole)


@pytest.mark.parametrize(
    "other",
    [
        make(n_labels=1),
        make(n_wavenumbers=6),
        replace(make(), wavenumber=make().wavenumber + 1),
        replace(make(), wavenumber=None),
        replace(make(), settings={"mode": "decile"}),
    ],
)
def test_unlike_pieces_are_not_joined(tmp_path, other):
    with pytest.raises(DataError, match="cannot be joined"):
        Attribution.concatenate([make(), other])
    with pytest.raises(DataError, match="cannot be joined"):
        save_pieces([make(), other], tmp_path / "a.zarr")
    assert not list(tmp_path.iterdir())  # nothing half-written stays


def test_nothing_to_join():
    with pytest.raises(DataError, match="no explanations"):
        Attribution.concatenate([])


def test_parts_that_do_not_fit():
    whole = make()
    with pytest.raises(DataError, match=r"'score' has shape \(7, 1\)"):
        replace(whole, score=whole.score[:, :1])
    with pytest.raises(DataError, match=r"'wavenumber' has shape \(4,\)"):
        replace(whole, wavenumber=whole.wavenumber[:4])
    with pytest.raises(DataError, match="must be"):
        replace(whole, weights=whole.weights[0])


def test_store_errors_say_what_to_do(tmp_path):
    path = tmp_path / "a.zarr"
    with pytest.raises(StoreError, match="check the path"):
        Attribution.load(path)
    (tmp_path / ".a.zarr.12345678").mkdir()
    with pytest.raises(StoreError, match="interrupted"):
        Attribution.load(path)
    make().save(path)
    with pytest.raises(StoreError, match="overwrite=True"):
        make().save(path)
    make(n=3).save(path, overwrite=True)
    assert len(Attribution.load(path)) == 3


@pytest.mark.parametrize("lost", ["zarr.json", "weights"])
def test_a_torn_store_is_refused(tmp_path, lost):
    import shutil

    path = make().save(tmp_path / "a.zarr")
    target = path / lost
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    with pytest.raises(StoreError, match="explain again"):
        Attribution.load(path)


def test_another_kind_of_store_is_refused(tmp_path):
    xr.Dataset({"weights": ("x", np.ones(3))}).to_zarr(tmp_path / "a.zarr", consolidated=False)
    with pytest.raises(StoreError, match="schema"):
        Attribution.load(tmp_path / "a.zarr")


def test_an_interrupted_run_leaves_the_old_store(tmp_path, monkeypatch):
    monkeypatch.setattr(attribution, "CHUNK", 2)
    path = make(n=4).save(tmp_path / "a.zarr")

    def pieces():
        yield make(n=2, seed=1)
        yield make(n=2, seed=2)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        save_pieces(pieces(), path, overwrite=True)
    assert_same(Attribution.load(path), make(n=4))


def test_relative_error_known_answers():
    coef = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    error = np.array([[1.0, 2.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(relative_error(coef, error), [np.sqrt(5 / 20), np.inf, 0, np.inf])
    with pytest.raises(DataError, match="mode='limit'"):
        _ = make(error=False).relative_error


def test_parts_of_several_stores_are_read_without_the_others(tmp_path):
    pieces = [make(n=3), make(n=2)]
    paths = [piece.save(tmp_path / f"{i}.zarr") for i, piece in enumerate(pieces)]
    for path in paths:  # what is not asked for is not read
        shutil.rmtree(path / "intercept")
    found = read_parts(paths, ("rows", "weights"))
    assert set(found) == {"rows", "weights"}
    assert np.array_equal(found["weights"], np.concatenate([piece.weights for piece in pieces]))
    with pytest.raises(StoreError, match="cannot be read as explanations"):
        read_parts(paths, ("intercept",))
    with pytest.raises(StoreError, match="nowhere"):
        read_parts([tmp_path / "nowhere"], ("rows",))


def test_weights_of_several_stores_are_read_as_one(tmp_path):
    pieces = [make(n=n) for n in (3, 2, 4)]
    paths = [piece.save(tmp_path / f"{i}.zarr") for i, piece in enumerate(pieces)]
    whole = np.concatenate([piece.weights[:, 0] for piece in pieces])
    found = weight_rows(paths)
    assert found.shape == whole.shape
    for rows in (
        slice(0, 9),
        slice(1, 2),
        slice(2, 4),
        slice(3, 5),
        slice(2, 8),
        slice(8, 9),
        slice(1, 9, 3),
        slice(0, 9, 8),
        slice(2, 9, 5),
        slice(4, 9, 2),
        [8, 0, 4, 3, 0],
        [],
    ):
        np.testing.assert_array_equal(found[rows], whole[rows] if rows != [] else whole[:0])
    assert found[:].dtype == np.float64
    assert [block.tobytes() for _, block in found.blocks(4)] == [whole[k : k + 4].tobytes() for k in (0, 4, 8)]
    with pytest.raises(StoreError, match="nowhere"):
        weight_rows([*paths, tmp_path / "nowhere"])
    shutil.rmtree(paths[1] / "weights")
    assert np.array_equal(found[:3], whole[:3])
    with pytest.raises(StoreError, match="cannot be read as explanations"):
        found[2:4]
