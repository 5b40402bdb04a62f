"""Tasks and data at an address, on a file system in memory; a server that speaks S3 is in test_faults."""

import uuid
from pathlib import Path

import numpy as np
import pytest

from ftirlib.engine.driver import Artefact, Task, execute, opened_store
from ftirlib.engine.store import Store
from ftirlib.errors import DataError
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.writer import SpectraWriter, save_spectra


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "mirror"))
    return f"memory://{uuid.uuid4().hex}/run"


def write(text):
    return lambda folder: [(folder / "sub").mkdir(), (folder / "sub" / "a.txt").write_text(text)]


def copy_of(out, work, *, source, suffix):
    (out / "copy.txt").write_text(Path(source).read_text() + suffix)


def test_a_worker_fetches_its_inputs_wherever_its_own_copies_lie(address, tmp_path, monkeypatch):
    driver = Store(address)
    driver.make("a", "key", {}, write("hello"))
    task = Task("b", copy_of, source=Artefact(address, "a", "key") / "sub/a.txt", suffix="!")
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "worker"))
    opened_store.cache_clear()  # as in a process of another machine
    execute(task, Artefact(address, "b", "key of b"), {})
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "third"))
    assert (Store(address).fetch("b") / "copy.txt").read_text() == "hello!"


def test_an_unknown_protocol_and_a_missing_data_set_are_refused():
    with pytest.raises(DataError, match="cannot be reached"):
        open_spectra("nowhere://bucket/colon.zarr")
    with pytest.raises(DataError, match="there is no data set at 'memory://empty/colon.zarr'"):
        open_spectra("memory://empty/colon.zarr")


def test_a_data_set_is_written_to_an_address(toy_spectra):
    address = f"memory://{uuid.uuid4().hex}/toy.zarr"
    assert save_spectra(toy_spectra, address) == address
    found = open_spectra(address)
    assert np.array_equal(found.absorbance.values, toy_spectra.absorbance.values)
    with pytest.raises(DataError, match="exists; choose another name"):
        save_spectra(toy_spectra, address)
    save_spectra(toy_spectra.isel(spectrum=slice(40, 80)), address, overwrite=True)
    assert np.array_equal(open_spectra(address).absorbance.values, toy_spectra.absorbance.values[40:80])


def test_nothing_is_sent_of_a_data_set_that_is_not_whole(toy_spectra):
    address = f"memory://{uuid.uuid4().hex}/toy.zarr"
    with pytest.raises(DataError, match="nothing was written"):
        with SpectraWriter(address, toy_spectra.wavenumber.values, toy_spectra.attrs):
            pass
    with pytest.raises(DataError, match="there is no data set"):
        open_spectra(address)
