"""Files appear whole or not at all; fingerprints say whether content is equal."""

from pathlib import Path

import numpy as np
import pytest

from ftirlib.files import file_hash, files_below, fingerprint, plain, read_json, write_json, write_text, written


def test_a_file_keeps_its_old_content_when_the_writer_fails(tmp_path):
    write_text(tmp_path / "deep" / "notes.txt", "old")
    with pytest.raises(RuntimeError), written(tmp_path / "deep" / "notes.txt") as draft:
        draft.write_text("half")
        raise RuntimeError
    assert (tmp_path / "deep" / "notes.txt").read_text() == "old"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["notes.txt"]


def test_a_folder_replaces_a_folder_whole(tmp_path):
    for content in ("one", "two"):
        with written(tmp_path / "store") as draft:
            (draft / "part").mkdir(parents=True)
            (draft / "part" / f"{content}.txt").write_text(content)
    assert [p.name for p in files_below(tmp_path)] == ["two.txt"]


def test_a_link_is_replaced_and_its_target_is_left_alone(tmp_path):
    write_text(tmp_path / "target.txt", "mine")
    (tmp_path / "link.txt").symlink_to(tmp_path / "target.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "target.txt").read_text() == "mine"
    assert not (tmp_path / "link.txt").is_symlink()


def test_json_and_fingerprint_know_no_order_of_keys_and_no_difference_between_tuple_and_list(tmp_path):
    value = {"b": (1, np.float64(2.5)), "a": np.arange(3), "path": Path("x/y")}
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == {"a": [0, 1, 2], "b": [1, 2.5], "path": "x/y"}
    assert fingerprint(value) == fingerprint(plain({k: value[k] for k in sorted(value)}))
    assert fingerprint([1, 2]) != fingerprint([2, 1])
    assert file_hash(tmp_path / "value.json") != file_hash(tmp_path / "value.json", "md5")
