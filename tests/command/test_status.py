"""What a second terminal is told of a run: under way, stopped, killed, finished, from before."""

import json
import os
import re
import time
from dataclasses import asdict, replace

import pytest

from ftirlib.command import status
from ftirlib.command.status import length, status_text
from ftirlib.engine.lock import LOCK, Holder, hold
from ftirlib.engine.progress import PROGRESS, Progress, stage_of
from ftirlib.engine.store import Store
from ftirlib.errors import StoreError
from ftirlib.method.stages import STAGES


def row(text, stage):
    """Cells of a stage's line."""
    (line,) = (line for line in text.splitlines() if line.split()[:1] == [stage])
    return [cell for cell in re.split(r"\s{2,}", line) if cell]


def said_before(root, seconds):
    """Move what the file says into the past."""
    path = root / PROGRESS
    said = json.loads(path.read_text())
    for part in (said, *said["stages"].values()):
        for name in ("started", "updated"):
            part[name] -= seconds
    path.write_text(json.dumps(said))


def half_done(root, run, seconds=20):
    """7 of 10 members, 2 of them made earlier, 5 in 20 s."""
    followed = Progress(root, run=run)
    with followed.stage("folds", 1, earlier=1):
        pass
    with followed.stage("members", 10, earlier=2) as advance:
        for _ in range(5):
            advance()
        followed.stages["members"].started -= seconds
    return followed


def test_a_run_under_way_shows_rate_and_remaining_time(tmp_path):
    with hold(tmp_path) as held:
        half_done(tmp_path, held.token)
        text = status_text(tmp_path)
    assert text.startswith(f"{tmp_path}: running (process {os.getpid()} on ")
    assert row(text, "members") == ["members", "7/10", "15.0/min", "12 s"]
    assert row(text, "folds") == ["folds", "1/1", "made earlier"]
    assert row(text, "scores") == ["scores"]


def test_time_without_news_counts(tmp_path):
    with hold(tmp_path) as held:
        half_done(tmp_path, held.token)
        said_before(tmp_path, 5)
        assert row(status_text(tmp_path), "members")[-1] in ("7 s", "6 s")
        said_before(tmp_path, 95)
        assert row(status_text(tmp_path), "members")[-1].startswith("nothing new for 1 min 4")


def test_the_first_of_a_stage_is_under_way(tmp_path):
    with hold(tmp_path) as held:
        with Progress(tmp_path, run=held.token).stage("vaes", 3):
            assert row(status_text(tmp_path), "vaes") == ["vaes", "0/3", "under way"]


def test_a_driver_that_was_killed_is_told_from_one_that_ended(tmp_path):
    half_done(tmp_path, "t")
    assert "not running; last heard of" in status_text(tmp_path)
    gone = replace(Holder.this_process(), host="elsewhere", token="t")
    (tmp_path / LOCK).write_text(json.dumps(asdict(gone)))
    os.utime(tmp_path / LOCK, (time.time() - 90,) * 2)
    text = status_text(tmp_path)
    assert "stopped without a word (process" in text and re.search(r"last sign of life 1 min (29|3\d) s ago", text)
    assert row(text, "members")[-1] == "stopped"
    (tmp_path / LOCK).unlink()
    half_done(tmp_path, "t").end("stopped")
    assert re.match(rf"{re.escape(str(tmp_path))}: stopped \d{{4}}-", status_text(tmp_path))


def test_a_new_run_is_not_taken_for_the_last(tmp_path):
    half_done(tmp_path, "before")
    with hold(tmp_path):
        assert row(status_text(tmp_path), "members")[-1] == "stopped"


def test_what_was_made_says_in_what_time(tmp_path):
    followed = Progress(tmp_path)
    with followed.stage("cards", 2) as advance:
        followed.stages["cards"].started -= 75
        advance()
        advance()
    followed.end()
    text = status_text(tmp_path)
    assert ": finished " in text.splitlines()[0]
    assert row(text, "cards") == ["cards", "2/2", "1.6/min", "made in 1 min 15 s"]


def test_results_without_a_word_are_counted_on_disk_and_others_come_last(tmp_path):
    store = Store(tmp_path)
    for name in ("baselines/a", "baselines/b", "zebra"):
        store.make(name, "key", {}, lambda folder: (folder / "x").touch())
    text = status_text(tmp_path)
    assert row(text, "baselines") == ["baselines", "2", "made earlier"]
    assert [line.split()[0] for line in text.splitlines()[2:]] == [*STAGES, "zebra"]


def test_stages_of_the_second_paper_are_told_apart_in_their_order(tmp_path):
    followed, store = Progress(tmp_path), Store(tmp_path)
    for place, total in (("map", 1), ("models/all-fold0", 16), ("ablation/only-x-fold0", 24), ("features/rows0-63", 3)):
        with followed.stage(stage_of(f"fusion/{place}", ["fusion"]), total) as advance:
            for _ in range(total):
                advance()
    for name in ("fusion/leak/inside-grouped", "fusion/models/all-fold0", "zebra/a"):
        store.make(name, "key", {}, lambda folder: (folder / "x").touch())
    text = status_text(tmp_path)
    names = [line.split()[0] for line in text.splitlines()[2:]]
    others = ["features", "models", "ablation", "leak", "map"]
    assert names == [*STAGES, *(f"fusion-{name}" for name in others), "zebra"]
    assert [row(text, f"fusion-{name}")[1] for name in others] == ["3/3", "16/16", "24/24", "1", "1/1"]


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="there is no run at"):
        status_text(tmp_path)


@pytest.mark.parametrize("seconds", [0, 59.6, 60, 3599, 3600, 86399, 1e6])
def test_lengths_of_time_keep_their_size(seconds):
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    words = length(seconds).split()
    told = sum(int(n) * units[unit] for n, unit in zip(words[::2], words[1::2]))
    assert told <= round(seconds) < told + units[words[-1]]


def test_examples_are_true():
    import doctest

    assert doctest.testmod(status).attempted >= 2
    assert doctest.testmod(status).failed == 0
