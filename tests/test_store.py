"""The store: whole or not at all, current or made again, torn files found."""

import errno
import os

import pytest

from ftirlib.engine.store import MANIFEST, Store, fingerprint, folder_fingerprint
from ftirlib.errors import StoreError


def write(text):
    def build(folder):
        (folder / "deep").mkdir()
        (folder / "deep" / "a.txt").write_text(text)

    return build


def test_an_artefact_is_made_once_per_key(tmp_path):
    calls = []

    def build(folder):
        calls.append(1)
        write("x")(folder)

    for _ in range(3):
        Store(tmp_path).make("stage/a", "key", {"why": 1}, build)
    assert len(calls) == 1
    Store(tmp_path).make("stage/a", "other key", {}, build)
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
    assert not list((tmp_path / ".building").iterdir())
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
    (tmp_path / ".building" / "c").mkdir(parents=True)
    (tmp_path / ".building" / "c" / MANIFEST).write_text("{}")
    assert store.names() == ["a/b"]


def test_fingerprints_depend_on_content_not_order(tmp_path):
    assert fingerprint({"a": 1, "b": [2, 3]}) == fingerprint({"b": [2, 3], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("same")
    assert folder_fingerprint(tmp_path / "one") == folder_fingerprint(tmp_path / "two")
    (tmp_path / "two" / "g").write_text("more")
    assert folder_fingerprint(tmp_path / "one") != folder_fingerprint(tmp_path / "two")
