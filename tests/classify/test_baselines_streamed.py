"""Baselines trained block by block: the same bytes wherever the spectra lie, and one block in memory."""

import numpy as np
import pytest

from ftirlib.classify.baselines import PCALDA, make_baseline
from ftirlib.errors import DataError
from ftirlib.spectra import rows
from ftirlib.spectra.model import make_spectra, open_spectra
from ftirlib.spectra.rows import Rows
from ftirlib.spectra.writer import save_spectra

NAMES = ["mean-mse", "mean-cosine", "pca-lda", "pca-xgb", "xgb"]
WIDTH = 6


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(rows.Rows.blocks, "__defaults__", (16,))
    monkeypatch.setattr(rows, "CHUNK", 16)


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
    file = Rows.of(spectra).to_file(folder / "spectra.npy")
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
        "file": file,
        "store": Rows.of(open_spectra(folder / "spectra.zarr"), np.arange(0, 150, 2)),
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


@pytest.mark.parametrize(("name", "times"), [("mean-mse", 1), ("pca-lda", 1), ("pca-xgb", 2)])
def test_spectra_are_read_once_with_one_block_in_memory(name, times, labelled):
    spectra, labels = labelled
    asked = []

    def read(which):
        asked.append(which)
        return spectra[which]

    make_baseline(name, n_components=4).fit(Rows(read, spectra.shape), labels)
    assert max(which.stop - which.start for which in asked) == 16
    assert [which.start for which in asked] == times * list(range(0, 75, 16))


@pytest.mark.parametrize("name", NAMES)
def test_a_spectrum_that_is_not_finite_is_named(name, labelled):
    spectra, labels = labelled
    spoilt = spectra.copy()
    spoilt[70, 2] = np.inf
    with pytest.raises(DataError, match="spectrum 70 holds NaN or infinite"):
        make_baseline(name, n_components=4).fit(Rows.of(spoilt), labels)


def test_labels_must_fit_and_width_is_kept(labelled, on_disk):
    spectra, labels = labelled
    with pytest.raises(DataError, match="74 labels for 75 spectra"):
        PCALDA().fit(on_disk["file"], labels[1:])
    with pytest.raises(DataError, match="0 labels for 0 spectra"):
        PCALDA().fit(Rows.of(spectra[:0]), labels[:0])
    with pytest.raises(ValueError, match="two classes; these are of 1 class"):
        PCALDA().fit(on_disk["file"], np.repeat("a", 75))
    model = PCALDA(n_components=4).fit(on_disk["file"], labels)
    with pytest.raises(ValueError, match="5 features"):
        model.predict(spectra[:, 1:])
