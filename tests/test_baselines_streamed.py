"""Baselines trained block by block: the same bytes wherever the spectra lie, and one block in memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftirlib.classify import walk
from ftirlib.classify.baselines import PCALDA, make_baseline
from ftirlib.classify.walk import Walk
from ftirlib.errors import DataError
from ftirlib.spectra.model import make_spectra, open_spectra
from ftirlib.spectra.rowfile import RowFile
from ftirlib.spectra.runs import Runs
from ftirlib.spectra.writer import save_spectra

NAMES = ["mean-mse", "mean-cosine", "pca-lda", "pca-xgb", "xgb"]
WIDTH = 6


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(walk, "CHUNK", 16)


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 3, 75)
    spectra = rng.standard_normal((75, WIDTH)) + 0.7 * np.eye(3, WIDTH)[codes]
    return spectra.astype(np.float32), np.array(["a", "b", "c"])[codes]


@pytest.fixture(scope="module")
def on_disk(labelled, tmp_path_factory):
    """The same spectra in a file of rows, and as every other one of a store."""
    spectra, labels = labelled
    folder = tmp_path_factory.mktemp("streamed")
    file = RowFile.write(folder / "spectra.float32", [spectra], WIDTH)
    doubled = np.repeat(spectra, 2, axis=0)
    doubled[1::2] += 5
    data = make_spectra(
        doubled,
        np.linspace(1000, 1800, WIDTH),
        label=np.repeat(labels, 2),
        class_names=["a", "b", "c"],
        attrs={"label_level": "spectrum"},
    )
    save_spectra(data, folder / "spectra.zarr")
    return {
        "file": Walk.over(file),
        "store": Walk.over(open_spectra(folder / "spectra.zarr"), np.arange(0, 150, 2)),
    }


@pytest.mark.parametrize("name", NAMES)
def test_array_file_and_store_give_the_same_bytes(name, labelled, on_disk):
    spectra, labels = labelled
    expected = make_baseline(name, n_components=4).fit(spectra, labels).predict_proba(spectra)
    for found in (
        make_baseline(name, n_components=4).fit(on_disk["file"], labels),
        make_baseline(name, n_components=4).fit(on_disk["store"], labels),
        make_baseline(name, n_components=4).fit(np.asfortranarray(spectra), labels),
    ):
        assert found.predict_proba(spectra).tobytes() == expected.tobytes()
        assert list(found.classes_) == ["a", "b", "c"]


@pytest.mark.parametrize(("name", "walks"), [("mean-mse", 1), ("pca-lda", 1), ("pca-xgb", 2)])
def test_one_walk_with_one_block_in_memory(name, walks, labelled):
    spectra, labels = labelled
    asked = []

    def read(rows):
        asked.append(rows)
        return spectra[rows]

    make_baseline(name, n_components=4).fit(Walk(read, spectra.shape), labels)
    assert max(rows.stop - rows.start for rows in asked) == 16
    assert [rows.start for rows in asked] == walks * list(range(0, 75, 16))


@pytest.mark.parametrize("name", NAMES)
def test_a_spectrum_that_is_not_finite_is_named(name, labelled):
    spectra, labels = labelled
    spoilt = spectra.copy()
    spoilt[70, 2] = np.inf
    with pytest.raises(DataError, match="spectrum 70 holds NaN or infinite"):
        make_baseline(name, n_components=4).fit(Walk.over(spoilt), labels)


def test_large_values_are_not_taken_for_infinite_ones():
    huge = np.full((3, WIDTH), np.finfo(np.float32).max)
    assert [rows for rows, _ in Walk.over(huge)] == [slice(0, 3)]


def test_labels_must_fit_and_width_is_kept(labelled, on_disk):
    spectra, labels = labelled
    with pytest.raises(DataError, match="74 labels for 75 spectra"):
        PCALDA().fit(on_disk["file"], labels[1:])
    with pytest.raises(DataError, match="0 labels for 0 spectra"):
        PCALDA().fit(Walk.over(spectra[:0]), labels[:0])
    with pytest.raises(ValueError, match="two classes; these are of 1 class"):
        PCALDA().fit(on_disk["file"], np.repeat("a", 75))
    model = PCALDA(n_components=4).fit(on_disk["file"], labels)
    with pytest.raises(ValueError, match="5 features"):
        model.predict(spectra[:, 1:])


@pytest.mark.parametrize("rows", [np.ones(75, bool), [0.0, 1.0], [[0, 1]]])
def test_rows_that_are_no_whole_numbers_are_refused(rows, labelled):
    with pytest.raises(DataError, match="rows must be a list of whole numbers, not"):
        Walk.over(labelled[0], rows)


@pytest.mark.parametrize("rows", [[0, 75], [-1, 0]])
def test_rows_out_of_range_are_refused(rows, labelled):
    with pytest.raises(DataError, match="beyond the 75 spectra"):
        PCALDA().fit(Walk.over(labelled[0], rows), ["a", "b"])


def test_spectra_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"shape \(4,\)"):
        Walk.over(np.ones(4))


@given(
    rows=st.lists(st.integers(0, 40), min_size=1, unique=True).map(sorted),
    kind=st.sampled_from([np.asarray, Runs.of]),
    step=st.integers(1, 50),
    size=st.integers(1, 40),
)
def test_walks_are_those_of_an_array(rows, kind, step, size):
    spectra = np.arange(82.0).reshape(41, 2)
    thinned = Walk.over(spectra, kind(rows)).every(step)
    blocks = list(thinned.blocks(size))
    expected = spectra[rows][::step]
    assert thinned.shape == expected.shape
    assert np.array_equal(np.concatenate([block for _, block in blocks]), expected)
    assert [places.start for places, _ in blocks] == list(range(0, len(expected), size))


@given(first=st.integers(1, 5), second=st.integers(1, 5), start=st.integers(0, 20), size=st.integers(1, 20))
def test_some_of_some_spectra_are_those_of_an_array(first, second, start, size):
    spectra = np.arange(97.0)[:, None]
    expected = spectra[::first][::second]
    walk = Walk.over(spectra).every(first).every(second)
    assert len(walk) == len(expected)
    np.testing.assert_array_equal(walk.read(slice(start, start + size)), expected[start : start + size])


def test_a_walk_is_taken_in_order_only():
    walk = Walk.over(np.arange(9.0)[:, None])
    assert walk[2:8:3].ravel().tolist() == [2, 5] and len(walk[4:4]) == 0
    for rows in (np.array([3, 1]), slice(None, None, -1), 3):
        with pytest.raises(DataError, match="in order only; write a RowFile"):
            walk[rows]
