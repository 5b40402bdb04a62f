"""Progress: what the file says at each moment, and that it costs little."""

import json
import time

import pytest

from ftirlib.engine import progress, store
from ftirlib.engine.progress import PROGRESS, Progress, read_progress
from ftirlib.engine.store import Store
from ftirlib.errors import StoreError


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""

    class Clock:
        now = 1_000_000.0

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def written(monkeypatch):
    """How often a file was written."""
    times = []
    write = Store.write_text
    monkeypatch.setattr(Store, "write_text", lambda self, *a: (times.append(a[0]), write(self, *a)))
    return times


def test_the_file_says_what_was_made_and_how_fast(tmp_path, clock):
    followed = Progress(tmp_path)
    with followed.stage("members", 10, earlier=4) as advance:
        for _ in range(3):
            clock.now += 2
            advance()
        said = read_progress(tmp_path)["stages"]["members"]
        assert (said.total, said.earlier, said.done, said.left) == (10, 4, 3, 3)
        assert said.seconds == 6
    assert read_progress(tmp_path)["ended"] is None
    followed.end()
    assert read_progress(tmp_path)["ended"] == {"at": clock.now, "how": "finished"}


def test_it_is_written_at_most_once_a_second_and_at_both_ends(tmp_path, clock, written):
    followed = Progress(tmp_path)
    with followed.stage("members", 1000) as advance:
        for _ in range(1000):
            clock.now += 0.01
            advance()
    assert written == [PROGRESS] * len(written)
    assert 2 <= len(written) <= 12  # 10 s, the beginning and the end
    assert read_progress(tmp_path)["stages"]["members"].done == 1000


def test_a_stage_that_fails_says_how_far_it_came(tmp_path):
    followed = Progress(tmp_path)
    with pytest.raises(RuntimeError):
        with followed.stage("members", 3) as advance:
            advance()
            raise RuntimeError
    assert read_progress(tmp_path)["stages"]["members"].left == 2


def test_asking_again_in_the_same_run_keeps_how_it_was_made_and_another_run_begins_anew(tmp_path):
    with Progress(tmp_path, run="a").stage("folds", 1) as advance:
        advance()
    for run, made in (("a", 1), ("b", 0)):
        with Progress(tmp_path, run=run).stage("folds", 1, earlier=1):
            pass
        assert read_progress(tmp_path)["stages"]["folds"].done == made
        assert read_progress(tmp_path)["run"] == run


def test_a_finished_stage_stays_finished_when_a_part_of_it_is_asked_for_again(tmp_path):
    """As models are by an ablation, whether the part is there or one of it has to be made anew."""
    followed = Progress(tmp_path, run="a")
    with followed.stage("fusion-models", 16, earlier=4) as advance:
        for _ in range(12):
            advance()
    with followed.stage("fusion-models", 4, earlier=4):
        pass
    stage = read_progress(tmp_path)["stages"]["fusion-models"]
    assert (stage.total, stage.earlier, stage.done) == (16, 4, 12)
    with followed.stage("fusion-models", 4, earlier=3) as advance:
        assert read_progress(tmp_path)["stages"]["fusion-models"].left == 1
        advance()
    stage = read_progress(tmp_path)["stages"]["fusion-models"]
    assert (stage.total, stage.earlier, stage.done) == (16, 15, 1)
    with followed.stage("fusion-models", 20, earlier=16):
        assert read_progress(tmp_path)["stages"]["fusion-models"].left == 4


def test_examples_are_true():
    import doctest

    assert doctest.testmod(progress).attempted >= 1
    assert doctest.testmod(progress).failed == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"stages": 3}', '{"stages": {"a": {"total": 1}}}'])
def test_a_file_that_cannot_be_read_is_none(tmp_path, text):
    assert read_progress(tmp_path) is None
    (tmp_path / PROGRESS).write_text(text)
    assert read_progress(tmp_path) is None
    Progress(tmp_path).end()
    assert json.loads((tmp_path / PROGRESS).read_text())["stages"] == {}


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write_text", full)
    with pytest.raises(StoreError, match=r"cannot write 'progress.json' .* \(No space left on device\)"):
        Progress(tmp_path).end()


def test_the_bar_shows_what_the_file_says(tmp_path, capsys):
    with Progress(tmp_path, bar=True).stage("vaes", 4, earlier=1, title="autoencoders") as advance:
        for _ in range(3):
            advance()
    shown = capsys.readouterr().out
    assert "autoencoders" in shown and "4/4" in shown
    with Progress(tmp_path).stage("vaes", 4):
        pass
    assert capsys.readouterr().out == ""


def test_one_update_is_cheap(tmp_path):
    followed = Progress(tmp_path)
    with followed.stage("members", 100_000) as advance:
        started = time.perf_counter()
        for _ in range(100_000):
            advance()
        seconds = time.perf_counter() - started
    assert seconds < 5  # 50 us each, on a slow machine
