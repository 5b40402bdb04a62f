"""One driver per output folder, whoever starts, dies, sleeps or races."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import fsspec
import pytest

from ftirlib.errors import StoreError
from ftirlib.run import lock
from ftirlib.run.lock import LOCK, VARIABLE, Holder, LocalPlace, RemotePlace, hold, holder_of, place_of

ROOT = Path(__file__).resolve().parents[1]
RACERS, ROUNDS = 8, 12


@pytest.fixture(autouse=True)
def no_parent(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def other_process(tmp_path):
    """A process that is no child of a holder: alive until the test ends."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def write_lock(root, age=0.0, **changes):
    """A lock as another driver would have left it."""
    holder = replace(Holder.this_process(), **changes)
    path = Path(root) / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(holder)))
    os.utime(path, (time.time() - age,) * 2)
    return holder


def held_by(process):
    import psutil

    return {"pid": process.pid, "started": psutil.Process(process.pid).create_time()}


def test_a_folder_is_held_and_left_as_it_was(tmp_path):
    root = tmp_path / "new" / "run"
    with hold(root) as held:
        holder, age, alive = holder_of(root)
        assert (holder.pid, holder.token, alive) == (os.getpid(), held.token, True)
        assert 0 <= age < 60
        assert os.environ[VARIABLE] == held.token
        held.check()
    assert VARIABLE not in os.environ
    assert list(root.iterdir()) == []
    assert holder_of(root) is None


def test_a_second_driver_is_told_who_holds_it(tmp_path, other_process):
    holder = write_lock(tmp_path, **held_by(other_process))
    with pytest.raises(StoreError, match=rf"in use by process {other_process.pid} on {holder.host}, since \d{{4}}-"):
        with hold(tmp_path):
            pass
    assert Holder.read((tmp_path / LOCK).read_bytes()) == holder


def test_a_lock_of_a_process_that_is_gone_is_taken_over(tmp_path, other_process):
    changes = held_by(other_process)
    other_process.kill()
    other_process.wait()
    stale = write_lock(tmp_path, **changes)
    assert holder_of(tmp_path)[2] is False
    with hold(tmp_path) as held:
        assert held.token != stale.token
        assert holder_of(tmp_path)[0].pid == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_process_number_used_again_is_not_the_holder(tmp_path, other_process):
    changes = held_by(other_process)
    write_lock(tmp_path, **changes | {"started": changes["started"] - 100})
    with hold(tmp_path):
        assert holder_of(tmp_path)[0].pid == os.getpid()


@pytest.mark.parametrize("where", [{"host": "elsewhere"}, {"machine": "another of the same name"}])
def test_another_machine_is_known_by_its_signs_of_life_alone(tmp_path, where):
    write_lock(tmp_path, age=lock.STALE_SECONDS - 20, **where)
    with pytest.raises(StoreError, match=r"last sign of life (39|4\d) s ago"), hold(tmp_path):
        pass
    write_lock(tmp_path, age=lock.STALE_SECONDS + 1, **where)
    with hold(tmp_path):
        assert holder_of(tmp_path)[0].pid == os.getpid()


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"pid": 3}', b"\xff"])
def test_a_lock_that_cannot_be_read_counts_as_held_while_it_is_fresh(tmp_path, text):
    (tmp_path / LOCK).write_bytes(text)
    with pytest.raises(StoreError, match="an unknown machine"), hold(tmp_path):
        pass
    os.utime(tmp_path / LOCK, (time.time() - 100,) * 2)
    with hold(tmp_path):
        assert holder_of(tmp_path)[0].pid == os.getpid()


def test_children_of_the_holder_come_in_and_leave_it_locked(tmp_path):
    code = f"""
import sys
from ftirlib.errors import StoreError
from ftirlib.run.lock import hold
try:
    with hold({str(tmp_path)!r}) as held: print(held.token)
except StoreError: print("refused")
"""
    with hold(tmp_path) as held:
        told = [
            subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True).stdout
            for env in (os.environ, {k: v for k, v in os.environ.items() if k != VARIABLE})
        ]
        assert told == [held.token + "\n", "refused\n"]
        with hold(tmp_path) as inner:
            assert (inner.token, inner.inherited, held.inherited) == (held.token, True, False)
        assert holder_of(tmp_path)[0].token == held.token


def test_two_folders_are_held_at_once_and_let_go_in_any_order(tmp_path):
    first, second = hold(tmp_path / "a"), hold(tmp_path / "b")
    a, b = first.__enter__(), second.__enter__()
    assert os.environ[VARIABLE].split(",") == [a.token, b.token]
    first.__exit__(None, None, None)
    assert os.environ[VARIABLE] == b.token
    second.__exit__(None, None, None)
    assert VARIABLE not in os.environ


def test_signs_of_life_are_given_and_a_lock_that_was_taken_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "REFRESH_SECONDS", 0.02)
    with hold(tmp_path) as held:
        os.utime(tmp_path / LOCK, (0, 0))
        wait_until(lambda: holder_of(tmp_path)[1] < 1)
        thief = write_lock(tmp_path, host="elsewhere", token="t")
        assert held.lost.wait(10)
        with pytest.raises(StoreError, match="was taken over by another run"):
            held.check()
    assert holder_of(tmp_path)[0] == thief  # what is another's stays


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write the lock of"), hold(tmp_path / "file" / "run"):
        pass


def test_without_hard_links_the_file_is_made_exclusively(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    place = LocalPlace(tmp_path / LOCK)
    assert [place.write_new(b"a"), place.write_new(b"b")] == [True, False]
    assert place.read() == b"a"
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_an_address_is_held_like_a_folder():
    root = "memory://held/run"
    files = fsspec.filesystem("memory")
    with hold(root) as held:
        assert isinstance(place_of(root), RemotePlace)
        assert holder_of(root)[0].token == held.token
        os.environ.pop(VARIABLE)
        with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"), hold(root):
            pass
    assert not files.find("held")
    place = place_of(root)
    stale = json.dumps(asdict(replace(Holder.this_process(), host="elsewhere")))
    files.pipe_file(place.path, json.dumps({"holder": json.loads(stale), "touched": time.time() - 100}).encode())
    with hold(root):
        assert holder_of(root)[0].pid == os.getpid()
    assert not files.find("held")


def test_a_driver_that_comes_to_a_stale_lock_too_late_leaves_the_new_one_alone(tmp_path):
    write_lock(tmp_path, age=100, host="elsewhere")
    winner = replace(Holder.this_process(), host="faster")

    class Overtaken(LocalPlace):
        """After it was read, and before anything is done about it, somebody else takes the lock."""

        def age(self):
            age = super().age()
            if _token(self) != winner.token:
                lock._take(LocalPlace(self.path), winner, tmp_path)
            return age

    with pytest.raises(StoreError, match="on faster"):
        lock._take(Overtaken(tmp_path / LOCK), Holder.this_process(), tmp_path)
    assert holder_of(tmp_path)[0] == winner
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def _token(place):
    return Holder.read(place.read()).token


def race(folder, number, start, tried):
    """Try every round's lock at the same moment as the others; hold what was got until all have tried."""
    for turn in range(ROUNDS):
        start.wait(60)
        try:
            with hold(folder / str(turn)):
                (folder / f"{turn}-won-{number}").touch()
                tried.wait(60)
        except StoreError:
            tried.wait(60)


def test_of_drivers_that_race_for_a_stale_or_a_new_lock_one_gets_it(tmp_path):
    for turn in range(0, ROUNDS, 2):  # of another machine, which nobody can ask
        write_lock(tmp_path / str(turn), age=100, host="elsewhere", token=f"stale{turn}")
    context = multiprocessing.get_context("spawn")
    barriers = context.Barrier(RACERS), context.Barrier(RACERS)
    racers = [context.Process(target=race, args=(tmp_path, k, *barriers)) for k in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    assert {turn: len(list(tmp_path.glob(f"{turn}-won-*"))) for turn in range(ROUNDS)} == dict.fromkeys(
        range(ROUNDS), 1
    )


def wait_until(ask, seconds=10):
    deadline = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < deadline, "nothing came in time"
        time.sleep(0.01)
