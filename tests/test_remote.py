"""Results and data at an address, on a file system in memory; a server that speaks S3 is in test_faults."""

import uuid
from pathlib import Path

import fsspec
import numpy as np
import pytest

from ftirlib.engine.remote import RemoteStore, open_store
from ftirlib.engine.store import MANIFEST, Store
from ftirlib.engine.task import Task, execute, sent
from ftirlib.errors import DataError, StoreError
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.writer import SpectraWriter, save_spectra


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "mirror"))
    return f"memory://{uuid.uuid4().hex}/run"


def write(text):
    return lambda folder: [(folder / "sub").mkdir(), (folder / "sub" / "a.txt").write_text(text)]


def objects(address):
    fs, base = fsspec.core.url_to_fs(address)
    return {path.removeprefix(f"{base}/"): path for path in fs.find(base)}


def test_what_is_made_is_found_by_another_machine(address, tmp_path, monkeypatch):
    open_store(address).make("stage/a", "key", {"why": 1}, write("hello"))
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "elsewhere"))
    other = open_store(address)
    assert isinstance(other, RemoteStore) and other.names() == ["stage/a"]
    assert other.is_current("stage/a", "key") and not other.is_current("stage/a", "other")
    assert (other.fetch("stage/a") / "sub" / "a.txt").read_text() == "hello"
    assert str(other.path("stage/a")).startswith(str(tmp_path / "elsewhere"))


def test_a_store_in_a_folder_and_one_at_an_address_hold_the_same(address, tmp_path):
    here, there = Store(tmp_path / "here"), open_store(address)
    for store in (here, there):
        store.make("a", "key", {"why": 1}, write("hello"))
    assert here.manifest("a")["files"] == there.manifest("a")["files"]


def test_without_its_manifest_nothing_is_current(address):
    """As when a writer is killed between its files and its manifest."""
    store = open_store(address)
    store.make("a", "key", {}, write("hello"))
    store.fs.rm_file(f"{store._base}/a/{MANIFEST}")
    again = open_store(address)
    assert again.names() == [] and not again.is_current("a", "key")
    with pytest.raises(StoreError, match="there is no 'a'"):
        again.fetch("a")


def test_a_new_version_takes_the_place_of_the_old(address):
    store = open_store(address)
    store.make("a", "a" * 64, {}, write("old"))
    store.make("a", "b" * 64, {}, write("new"))
    assert (open_store(address).fetch("a") / "sub" / "a.txt").read_text() == "new"
    assert sorted(objects(address)) == [f"a/{'b' * 16}/sub/a.txt", f"a/{MANIFEST}"]


@pytest.mark.parametrize("content", [b"hellO", b"hell", None])
def test_a_rotten_object_is_found_and_not_fetched(address, tmp_path, monkeypatch, content):
    store = open_store(address)
    store.make("a", "key", {}, write("hello"))
    (victim,) = (path for name, path in objects(address).items() if name.endswith("a.txt"))
    store.fs.rm_file(victim) if content is None else store.fs.pipe_file(victim, content)
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "elsewhere"))
    other = open_store(address)
    assert other.damaged("a") == ["sub/a.txt"]
    with pytest.raises(StoreError, match=r"'sub/a.txt' of 'a' .* is not what was written"):
        other.fetch("a")
    if content != b"hellO":  # of the same size: only reading tells
        assert not other.is_current("a", "key")
    assert not other.path("a").exists()


def test_pruning_keeps_what_is_named(address, tmp_path):
    for store in (open_store(address), Store(tmp_path / "here")):
        for name in ("s/fold0/a", "s/fold0/b", "s/fold1/a"):
            store.make(name, "key", {}, write("hello"))
        store.prune("s/fold0", {"s/fold0/b"})
        assert store.names() == ["s/fold0/b", "s/fold1/a"]


def copy_of(folder, work, *, source, suffix):
    (folder / "copy.txt").write_text(Path(source).read_text() + suffix)


def test_arguments_name_artefacts_by_their_place(address, tmp_path, monkeypatch):
    """A worker finds them in its own copy, wherever that lies."""
    driver = open_store(address)
    driver.make("a", "key", {}, write("hello"))
    arguments = sent({"source": str(driver.path("a") / "sub" / "a.txt"), "suffix": "!"}, str(driver.root))
    assert arguments == {"source": "{run}/a/sub/a.txt", "suffix": "!"}
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "worker"))
    execute(address, Task("b", copy_of, arguments, {}, {"a": "key"}), "key of b", {})
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "third"))
    assert (open_store(address).fetch("b") / "copy.txt").read_text() == "hello!"


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
