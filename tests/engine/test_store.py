"""The store, in a folder and at an address: whole or not at all, current or made again, torn files found.

The address is of a file system in memory; a server that speaks S3 is in test_faults.
"""

import errno
import os
import shutil
import threading
import uuid
from importlib.metadata import version

import fsspec
import pytest

from ftirlib.engine.store import MANIFEST, Store, code_fingerprint, folder_fingerprint
from ftirlib.errors import StoreError
from ftirlib.files import fingerprint


def write(text):
    def build(folder):
        (folder / "deep").mkdir()
        (folder / "deep" / "a.txt").write_text(text)

    return build


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "mirror"))
    return f"memory://{uuid.uuid4().hex}/run"


@pytest.fixture(params=["folder", "address"])
def root(request, tmp_path):
    return tmp_path / "run" if request.param == "folder" else request.getfixturevalue("address")


def objects(address):
    fs, base = fsspec.core.url_to_fs(address)
    return {path.removeprefix(f"{base}/"): path for path in fs.find(base)}


def test_an_artefact_is_made_once_per_key(root):
    calls = []

    def build(folder):
        calls.append(1)
        write("x")(folder)

    for _ in range(3):
        Store(root).make("stage/a", "key", {"why": 1}, build)
    assert len(calls) == 1
    Store(root).make("stage/a", "other key", {}, build)
    assert len(calls) == 2


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "manifest", "empty manifest"])
def test_a_torn_artefact_is_found_and_made_again(tmp_path, harm):
    folder = Store(tmp_path).make("a", "key", {}, write("hello"))
    victim = folder / "deep" / "a.txt"
    {
        "flip": lambda: victim.write_text("hellp"),
        "cut": lambda: victim.write_text("hel"),
        "remove": victim.unlink,
        "manifest": (folder / MANIFEST).unlink,
        "empty manifest": lambda: (folder / MANIFEST).write_text(""),
    }[harm]()
    store = Store(tmp_path)
    assert store.damaged("a")
    assert not store.is_current("a", "key")
    store.make("a", "key", {}, write("hello"))
    assert victim.read_text() == "hello" and not Store(tmp_path).damaged("a")


def test_a_failed_build_leaves_nothing_and_keeps_the_old(tmp_path):
    store = Store(tmp_path)
    store.make("a", "key", {}, write("old"))

    def fail(folder):
        (folder / "half.txt").write_text("half")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        store.make("a", "new key", {}, fail)
    assert (tmp_path / "a" / "deep" / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert store.names() == ["a"]


def test_a_full_disk_is_one_sentence_and_nothing_is_trusted(tmp_path):
    def fill(folder):
        (folder / "half.txt").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = Store(tmp_path)
    with pytest.raises(StoreError, match="No space left on device; make room"):
        store.make("a", "key", {}, fill)
    assert store.names() == [] and not store.is_current("a", "key")


def test_names_leave_out_what_is_being_built(tmp_path):
    store = Store(tmp_path)
    store.make("a/b", "key", {}, write("x"))
    (tmp_path / "a" / ".c.0123").mkdir()
    (tmp_path / "a" / ".c.0123" / MANIFEST).write_text("{}")
    assert store.names() == ["a/b"]


def test_what_is_made_is_found_by_another_machine(address, tmp_path, monkeypatch):
    Store(address).make("stage/a", "key", {"why": 1}, write("hello"))
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "elsewhere"))
    other = Store(address)
    assert other.names() == ["stage/a"]
    assert other.is_current("stage/a", "key") and not other.is_current("stage/a", "other")
    assert (other.fetch("stage/a") / "deep" / "a.txt").read_text() == "hello"
    assert str(other.path("stage/a")).startswith(str(tmp_path / "elsewhere"))


def test_a_store_in_a_folder_and_one_at_an_address_hold_the_same(address, tmp_path):
    here, there = Store(tmp_path / "here"), Store(address)
    for store in (here, there):
        store.make("a", "key", {"why": 1}, write("hello"))
    assert here.manifest("a")["files"] == there.manifest("a")["files"]


def test_without_its_manifest_nothing_is_current(address):
    """As when a writer is killed between its files and its manifest."""
    store = Store(address)
    store.make("a", "key", {}, write("hello"))
    store.fs.rm_file(f"{store._base}/a/{MANIFEST}")
    again = Store(address)
    assert again.names() == [] and not again.is_current("a", "key")
    with pytest.raises(StoreError, match="there is no 'a'"):
        again.fetch("a")


def test_a_new_version_takes_the_place_of_the_old(address):
    store = Store(address)
    store.make("a", "a" * 64, {}, write("old"))
    store.make("a", "b" * 64, {}, write("new"))
    assert (Store(address).fetch("a") / "deep" / "a.txt").read_text() == "new"
    assert sorted(objects(address)) == [f"a/{'b' * 16}/deep/a.txt", f"a/{MANIFEST}"]


@pytest.mark.parametrize("content", [b"hellO", b"hell", None])
def test_a_rotten_object_is_found_and_not_fetched(address, tmp_path, monkeypatch, content):
    store = Store(address)
    store.make("a", "key", {}, write("hello"))
    (victim,) = (path for name, path in objects(address).items() if name.endswith("a.txt"))
    store.fs.rm_file(victim) if content is None else store.fs.pipe_file(victim, content)
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "elsewhere"))
    other = Store(address)
    assert other.damaged("a") == ["deep/a.txt"]
    with pytest.raises(StoreError, match=r"'deep/a.txt' of 'a' .* is not what was written"):
        other.fetch("a")
    if content != b"hellO":  # of the same size: only reading tells
        assert not other.is_current("a", "key")
    assert not other.path("a").exists()


def test_pruning_keeps_what_is_named(root):
    store = Store(root)
    for name in ("s/fold0/a", "s/fold0/b", "s/fold1/a"):
        store.make(name, "key", {}, write("hello"))
    store.prune("s/fold0", {"s/fold0/b"})
    assert store.names() == ["s/fold0/b", "s/fold1/a"] and not store.is_current("s/fold0/a", "key")
    made = store.make("s/fold0/a", "key", {}, write("hello"))
    assert (made / "deep" / "a.txt").read_text() == "hello"


def test_two_that_finish_the_same_artefact_leave_one_whole(root):
    def make(turn, key):
        Store(root).make("a", key, {}, lambda folder: (both.wait(30), write("same")(folder), both.wait(30)))

    for turn in range(5):  # a new one, then in the place of an old one
        both = threading.Barrier(2)
        pair = [threading.Thread(target=make, args=(turn, f"key{turn}")) for _ in range(2)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
        store = Store(root)
        assert store.is_current("a", f"key{turn}") and store.damaged("a") == [] and store.names() == ["a"]
        assert [path.name for path in store.root.iterdir()] == ["a"]


def test_small_files_and_checkpoints_lie_beside_the_artefacts(root):
    store = Store(root)
    assert store.read_text("progress.json") is None
    store.write_text("progress.json", "{}")
    assert Store(root).read_text("progress.json") == "{}" and store.names() == []
    (store.work("s/a", "key") / "epoch").touch()
    assert (Store(root).work("s/a", "key") / "epoch").exists()
    store.done("s/a", "key")
    assert not (Store(root).work("s/a", "key") / "epoch").exists()


def test_code_is_known_by_its_names_and_content_not_by_where_it_lies(tmp_path):
    for place in ("one", "two"):
        (tmp_path / place / "room" / "deep").mkdir(parents=True)
        (tmp_path / place / "room" / "deep" / "a.py").write_text("x = 1")
        (tmp_path / place / "room" / "notes.txt").write_text(place)
    one, two = (tmp_path / place / "room" for place in ("one", "two"))
    assert code_fingerprint([one], ["numpy", "nowhere"]) == code_fingerprint([two], ["numpy"])
    assert code_fingerprint([one], ["numpy"])["packages"] == {"numpy": version("numpy")}
    (two / "deep" / "a.py").write_text("x = 2")
    assert code_fingerprint([one]) != code_fingerprint([two])
    shutil.copy(one / "deep" / "a.py", one / "deep" / "b.py")
    assert code_fingerprint([one]) != code_fingerprint([tmp_path / "one" / "room" / "deep"])


def test_fingerprints_depend_on_content_not_order(tmp_path):
    assert fingerprint({"a": 1, "b": [2, 3]}) == fingerprint({"b": [2, 3], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("same")
    assert folder_fingerprint(tmp_path / "one") == folder_fingerprint(tmp_path / "two")
    (tmp_path / "two" / "g").write_text("more")
    assert folder_fingerprint(tmp_path / "one") != folder_fingerprint(tmp_path / "two")
