"""Spectra in a plain file: the same numbers as in memory, in any order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftirlib.classify.checkpoint import fingerprint
from ftirlib.classify.mscnn import MSCNNSettings
from ftirlib.classify.stored import StoredRows
from ftirlib.classify.training import MSCNNClassifier, TrainingSettings
from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.rowfile import RowFile

WIDTH = 5
SPECTRA = np.random.default_rng(0).standard_normal((17, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return RowFile.write(tmp_path_factory.mktemp("rows") / "spectra.float32", [SPECTRA[:9], SPECTRA[9:]], WIDTH)


@given(rows=st.lists(st.integers(0, 16), max_size=40))
def test_rows_in_any_order_and_number(stored, rows):
    assert np.array_equal(stored[rows], SPECTRA[rows] if rows else SPECTRA[:0])


@given(start=st.integers(-20, 20), stop=st.integers(-20, 20), step=st.sampled_from([1, 2, -1]))
def test_slices_are_those_of_an_array(stored, start, stop, step):
    assert np.array_equal(stored[start:stop:step], SPECTRA[start:stop:step])


@pytest.mark.parametrize("size", [1, 6, 17, 100])
def test_blocks_are_the_spectra_in_order(stored, size):
    blocks = list(stored.blocks(size))
    assert np.array_equal(np.concatenate(blocks), SPECTRA) and max(map(len, blocks)) <= size


def test_what_is_no_spectrum_is_refused(stored, tmp_path):
    with pytest.raises(IndexError, match="rows 0 to 17 of a file of 17"):
        stored[[0, 17]]
    with pytest.raises(DataError, match="do not fit 5"):
        RowFile.write(tmp_path / "a", [SPECTRA[:, :4]], WIDTH)
    with pytest.raises(DataError, match="spectrum 10 holds NaN"):
        RowFile.write(tmp_path / "a", [SPECTRA[:9], np.where(np.arange(8)[:, None] == 1, np.nan, SPECTRA[9:])], WIDTH)
    with pytest.raises(DataError, match="no whole number of spectra of 7"):
        RowFile(stored.path, 7)


def test_training_from_a_file_gives_the_bytes_of_training_from_memory(toy_spectra, tmp_path):
    x, y = toy_spectra.absorbance.values, toy_spectra.label.values
    axis = toy_spectra.wavenumber.values
    held = slice(0, None, 4)
    settings = {"network": MSCNNSettings(n_classes=2), "training": TrainingSettings(epochs=2, batch_size=32)}

    def on_disk(name, a):
        return RowFile.write(tmp_path / name, [a.reshape(len(a), -1)], a.size // len(a), a.dtype)

    def in_memory(name, a):
        return a

    found, y = [], y * 2 + 1  # classes that are no codes
    for store, store_labels in ((in_memory, in_memory), (on_disk, in_memory), (on_disk, on_disk)):
        classifier = MSCNNClassifier(axis, **settings, random_state=3)
        path = tmp_path / f"checkpoint-{len(found)}"
        validation = store("held", x[held]), store_labels("held labels", y[held])
        classifier.fit(store("train", x), store_labels("labels", y), validation=validation, checkpoint=path)
        assert classifier.classes_.tolist() == [1, 3]
        found.append(path.read_bytes() + str(classifier.history_).encode())
    assert found[0] == found[1] == found[2]


def test_a_fingerprint_is_of_the_numbers_wherever_they_lie(stored):
    import torch

    assert fingerprint(StoredRows(stored)) == fingerprint(torch.from_numpy(SPECTRA))


def test_a_file_is_not_divided_and_its_width_is_checked(stored):
    axis = np.linspace(1000, 1800, 801)
    with pytest.raises(SettingsError, match="not divided here"):
        MSCNNClassifier(axis).fit(stored, np.arange(17) % 2, groups=np.arange(17))
    labels = RowFile.write(stored.path.with_name("labels"), [np.arange(17)[:, None] % 2], 1, np.int64)
    with pytest.raises(SettingsError, match="not divided here"):
        MSCNNClassifier(axis).fit(np.zeros((17, 801)), labels, groups=np.arange(17))
    with pytest.raises(DataError, match=r"labels of shape \(17, 5\) for 17 spectra"):
        MSCNNClassifier(axis).fit(stored, stored, validation=(stored, labels))
    with pytest.raises(DataError, match="have shape"):
        MSCNNClassifier(axis).fit(stored, np.arange(17) % 2, validation=(stored, np.arange(17) % 2))
