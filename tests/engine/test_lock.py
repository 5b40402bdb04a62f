"""One driver per output folder, whoever starts, dies, sleeps or races."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import s3_server
from conftest import ROOT

from ftirlib.engine import lock
from ftirlib.engine.lock import LOCK, VARIABLE, Holder, LockFile, hold, holder_of
from ftirlib.engine.places import file_system
from ftirlib.errors import StoreError

ROUNDS = 12


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
    assert LockFile(tmp_path).read() == holder


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
from ftirlib.engine.lock import hold
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


def test_a_full_disk_leaves_no_lock_behind(tmp_path, monkeypatch):
    lock_file = LockFile(tmp_path)

    def full(path, *_, **__):
        Path(path).touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lock_file.fs, "pipe_file", full)
    with pytest.raises(StoreError, match="cannot write the lock of .*No space left on device"), hold(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_driver_that_was_killed_while_it_took_a_stale_lock_over_is_in_nobodys_way_for_long(tmp_path):
    stale = write_lock(tmp_path, age=100, host="elsewhere")
    claim = tmp_path / f"{LOCK}.{stale.token}"
    claim.touch()
    with pytest.raises(StoreError, match="another run that has just begun"), hold(tmp_path):
        pass
    os.utime(claim, (time.time() - 100,) * 2)
    with pytest.raises(StoreError, match="another run that has just begun"), hold(tmp_path):
        pass
    with hold(tmp_path):
        assert holder_of(tmp_path)[0].pid == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    with s3_server.bucket(tmp_path_factory.mktemp("mirror")) as address:
        yield address


@pytest.fixture(params=["memory", "s3"])
def remote(request):
    """An address, empty, and its file system."""
    root = f"memory://held{time.time_ns()}/run" if request.param == "memory" else request.getfixturevalue("bucket")
    fs, path = file_system(root)
    yield root, fs
    assert not fs.find(path)


def write_remote_lock(root, **changes):
    holder = replace(Holder.this_process(), **changes)
    LockFile(root).write(holder)
    return holder


def test_an_address_is_held_like_a_folder(remote):
    root, _ = remote
    with hold(root) as held:
        assert holder_of(root)[0].token == held.token
        os.environ.pop(VARIABLE)
        with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"), hold(root):
            pass


def test_at_an_address_another_machine_is_known_by_the_stores_own_clock(remote, monkeypatch):
    root, _ = remote
    write_remote_lock(root, host="elsewhere")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)  # this machine's is an hour fast
    with pytest.raises(StoreError, match=r"on elsewhere, .* last sign of life [0-9] s ago"), hold(root):
        pass
    monkeypatch.setattr(lock, "STALE_SECONDS", 1)
    wait_until(lambda: not holder_of(root)[2])
    with hold(root):
        assert holder_of(root)[0].pid == os.getpid()


def test_at_an_address_signs_of_life_are_given_and_a_lock_that_was_taken_is_noticed(remote, monkeypatch):
    root, fs = remote
    monkeypatch.setattr(lock, "REFRESH_SECONDS", 0.05)
    with hold(root) as held:
        before = fs.modified(LockFile(root).path)
        wait_until(lambda: fs.modified(LockFile(root).path) > before)
        thief = write_remote_lock(root, host="elsewhere", token="t")
        assert held.lost.wait(10)
        with pytest.raises(StoreError, match=rf"taken over by another run \(process {os.getpid()} on elsewhere"):
            held.check()
    assert holder_of(root)[0] == thief
    LockFile(root).delete()


def test_a_reader_who_may_not_write_takes_its_own_clock(monkeypatch):
    root = "memory://readable/run"
    write_remote_lock(root, host="elsewhere")
    lock_file = LockFile(root)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lock_file.fs, "pipe_file", refuse)
    assert 0 <= lock_file.age() < 10
    monkeypatch.undo()
    lock_file.delete()


def test_a_folder_that_is_removed_under_a_run_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "REFRESH_SECONDS", 0.02)
    root = tmp_path / "run"
    with hold(root) as held:
        shutil.rmtree(root)
        assert held.lost.wait(10)
        with pytest.raises(StoreError, match="the lock in it was removed under this run"):
            held.check()
    assert not root.exists()


def test_a_driver_that_comes_to_a_stale_lock_too_late_leaves_the_new_one_alone(tmp_path):
    write_lock(tmp_path, age=100, host="elsewhere")
    winner = replace(Holder.this_process(), host="faster")

    class Overtaken(LockFile):
        """After it was read, and before anything is done about it, another driver takes the lock."""

        def age(self):
            age = super().age()
            if self.read() != winner:
                lock._take(LockFile(tmp_path), winner)
            return age

    with pytest.raises(StoreError, match="on faster"):
        lock._take(Overtaken(tmp_path), Holder.this_process())
    assert holder_of(tmp_path)[0] == winner
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def race(root, won, rounds, number, start, tried):
    """Try every round's lock at the same moment as the others; hold what was got until all have tried."""
    lock.STALE_SECONDS = 2  # what waits to be taken over is older
    for turn in range(rounds):
        start.wait(60)
        try:
            with hold(f"{root}/{turn}"):
                (won / f"{turn}-{number}").touch()
                tried.wait(60)
        except StoreError:
            tried.wait(60)


def winners(root, won, rounds, n_racers):
    """How many got each round's lock."""
    won.mkdir()
    context = multiprocessing.get_context("spawn")
    barriers = context.Barrier(n_racers), context.Barrier(n_racers)
    racers = [context.Process(target=race, args=(root, won, rounds, k, *barriers)) for k in range(n_racers)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    assert [racer.exitcode for racer in racers] == [0] * n_racers
    return [len(list(won.glob(f"{turn}-*"))) for turn in range(rounds)]


def test_of_drivers_that_race_for_a_stale_or_a_new_lock_one_gets_it(tmp_path):
    for turn in range(0, ROUNDS, 2):  # of another machine, which nobody can ask
        write_lock(tmp_path / str(turn), age=100, host="elsewhere", token=f"stale{turn}")
    assert winners(tmp_path, tmp_path / "won", ROUNDS, 8) == [1] * ROUNDS


def test_of_drivers_that_race_in_a_bucket_one_gets_it(bucket, tmp_path):
    rounds = 4  # the server does one thing at a time
    for turn in range(0, rounds, 2):
        write_remote_lock(f"{bucket}/{turn}", host="elsewhere", token=f"stale{turn}")
    time.sleep(3)  # the store tells the time to a second
    assert winners(bucket, tmp_path / "won", rounds, 3) == [1] * rounds
    fs, path = file_system(bucket)
    assert not fs.find(path)


def wait_until(ask, seconds=10):
    deadline = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < deadline, "nothing came in time"
        time.sleep(0.01)
