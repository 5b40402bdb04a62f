"""What clusters do to a run: drivers, workers and schedulers are killed, disks fill, files rot; the bytes stay."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

import fsspec
import numpy as np
import psutil
import pytest
import s3_server
from dask_programs import Programs, address, kill, until
from small_runs import checksums, command, run

from ftirlib.command.status import status_text, verify_run
from ftirlib.engine.store import MANIFEST, Store
from ftirlib.method.lime import Explained
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.writer import save_spectra

KILLS = 50  # of the long form
SECONDS = 240  # for one attempt


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a run on two local processes that nothing happened to; not to be changed."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    done = run(out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def undisturbed(finished):
    """Its checksums."""
    return checksums(finished)


class Cluster:
    """A scheduler and two workers, each a program of its own, with what is dead started again when asked."""

    def __init__(self, programs):
        self._programs = programs
        self.scheduler, self.workers = None, []

    def mend(self):
        """Address of the scheduler, with all programs running."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            for worker in self.workers:  # they belong to the one that is gone
                kill(worker)
            self.scheduler, file = self._programs.scheduler()
            self.address, self.workers = address(file), []
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < 2:
            self.workers.append(self._programs.worker(self.address))
        return self.address


def made(out):
    """How many artefacts there are; quick, as it is asked often."""
    return sum(MANIFEST in files for _, _, files in os.walk(out))


def disturb(cluster, out, rng, victim):
    """Start a run on the cluster, kill `victim` after a random number of artefacts; the driver's status and words."""
    driver = subprocess.Popen(
        command(out, "--scheduler", cluster.mend()),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until = made(out) + rng.randrange(12)
    deadline = time.monotonic() + SECONDS
    while driver.poll() is None and made(out) < until and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(rng.random() / 2)
    if driver.poll() is None:
        if victim == "driver":
            os.killpg(driver.pid, signal.SIGKILL)
        else:
            kill(cluster.scheduler if victim == "scheduler" else rng.choice(cluster.workers))
            if victim == "worker":
                cluster.mend()
    said, _ = driver.communicate(timeout=SECONDS)
    return driver.returncode, said


@pytest.mark.parametrize("victim", ["driver", "worker", "scheduler"])
def test_a_kill_at_a_random_point_changes_no_byte(victim, undisturbed, tmp_path):
    rng = random.Random(victim)
    out = tmp_path / "run"
    with Programs(tmp_path) as programs:
        cluster = Cluster(programs)
        status, said = disturb(cluster, out, rng, victim)
        if victim == "worker":
            assert status == 0, said  # the other one does it
        elif victim == "scheduler" and status:
            assert status == 2 and "is gone" in said, said
        while status:
            done = run(out, "--scheduler", cluster.mend())
            status = done.returncode
            assert status == 0, done.stderr
    assert checksums(out) == undisturbed
    assert verify_run(out)[1]


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_fifty_kills_change_no_byte(undisturbed, tmp_path):
    rng = random.Random(0)
    out, kills, finished = tmp_path / "run", 0, 0
    with Programs(tmp_path) as programs:
        cluster = Cluster(programs)
        while kills < KILLS:
            status, said = disturb(cluster, out, rng, rng.choice(["driver", "worker", "scheduler"]))
            kills += 1
            assert status in (0, 2, -signal.SIGKILL), said
            if status == 0:
                assert checksums(out) == undisturbed
                finished += 1
                shutil.rmtree(out)
        done = run(out, "--scheduler", cluster.mend())
        assert done.returncode == 0, done.stderr
    assert checksums(out) == undisturbed and finished > 0


@pytest.mark.parametrize(
    "told, where", [(signal.SIGTERM, "local workers"), (signal.SIGINT, "a cluster")], ids=["SIGTERM", "Ctrl-C"]
)
def test_a_run_that_is_stopped_says_so_and_goes_on(told, where, undisturbed, tmp_path):
    out, options = tmp_path / "run", []
    with Programs(tmp_path) as programs:
        if where == "a cluster":
            options = ["--scheduler", Cluster(programs).mend()]
        driver = subprocess.Popen(
            command(out, *options), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        until(lambda: made(out) >= 5, SECONDS)  # of the first stages of several tasks
        children = psutil.Process(driver.pid).children(recursive=True)
        os.killpg(driver.pid, told)
        _, said = driver.communicate(timeout=60)
        assert driver.returncode == 130 and "Traceback" not in said and "was killed" not in said, said
        until(lambda: not any(child.is_running() for child in children), 10)
        assert f"{out}: stopped " in status_text(out) and not (out / "lock.json").exists()
        done = run(out, *options)
        assert done.returncode == 0, done.stderr
        again = int(re.search(r"(\d+) artefacts made", done.stdout)[1])
        assert 0 < again < len(undisturbed)
    assert checksums(out) == undisturbed


@pytest.mark.parametrize("tear", ["truncate", "flip"])
def test_a_torn_shard_is_found_and_made_again_alone(tear, finished, undisturbed, tmp_path):
    out = shutil.copytree(finished, tmp_path / "run")
    name = next(n for n in Store(out).names() if n.startswith("explanations/fold1/test/"))
    victim = max((p for p in (out / name).rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(victim.read_bytes())
    if tear == "flip":
        content[len(content) // 2] ^= 1
    victim.write_bytes(content if tear == "flip" else content[: len(content) // 2])
    text, whole = verify_run(out)
    assert not whole and f"torn: {name}" in text
    assert text.count("torn:") == 1
    done = run(out, "--until", "explanations")
    assert done.returncode == 0 and "explanations: 1 of 16 to make" in done.stderr, done.stderr
    assert "1 artefacts made" in done.stdout
    assert checksums(out) == undisturbed


def test_shards_of_another_size_hold_the_same_explanations(finished, tmp_path):
    """And take the place of the earlier ones."""
    out = shutil.copytree(finished, tmp_path / "run")

    def shards():
        return sorted((out / "explanations" / "fold0" / "test").iterdir())

    def weights():
        parts = [Explained.of(out / "prepared" / "spectra.zarr", [one]) for one in shards()]
        return {int(row): one.tobytes() for part in parts for row, one in zip(part.rows, part.weights[:])}

    before = weights()
    assert len(shards()) == 2 and len(before) == 20
    done = run(out, "--until", "explanations", **{"explanations.shard": 20})
    assert done.returncode == 0, done.stderr
    assert len(shards()) == 1 and weights() == before


def test_a_full_disk_is_one_sentence_and_nothing_torn_is_trusted(undisturbed, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs rights that this user does not have")
    try:
        done = run(disk / "run")
        assert done.returncode == 2 and "make room" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        whole = checksums(disk / "run")
        assert whole == {name: undisturbed[name] for name in whole}
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        done = run(disk / "run")
        assert done.returncode == 0, done.stderr
        assert checksums(disk / "run") == undisturbed
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_two_drivers_of_one_folder_the_second_is_refused(tmp_path):
    out = tmp_path / "run"
    first = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + SECONDS
        while not (out / "lock.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        second = run(out)
        assert second.returncode == 2
        assert f"in use by process {first.pid}" in second.stderr
    finally:
        first.kill()
        first.wait()
    assert (out / "lock.json").exists()  # stale now
    assert run(out, "--until", "folds").returncode == 0
    assert not (out / "lock.json").exists()


def test_the_number_of_workers_changes_no_byte(undisturbed, tmp_path):
    """Two made what nothing happened to."""
    done = run(tmp_path / "run", workers=3)
    assert done.returncode == 0, done.stderr
    assert checksums(tmp_path / "run") == undisturbed


# --- results and data in a bucket -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """Address of an empty bucket."""
    with s3_server.bucket(tmp_path_factory.mktemp("mirror")) as address:
        yield address


def test_a_run_in_a_bucket_is_the_run_in_a_folder(bucket, undisturbed, tmp_path):
    root = bucket
    there = run(f"{root}/run")
    assert there.returncode == 0, there.stderr
    assert checksums(f"{root}/run") == undisturbed
    assert verify_run(f"{root}/run")[1] and "finished" in status_text(f"{root}/run")

    again = run(f"{root}/run", environment={"FTIRLIB_MIRROR": str(tmp_path / "other machine")})
    assert "0 artefacts made" in again.stdout, again.stderr
    store = Store(f"{root}/run")
    (name,) = (n for n in store.names() if n == "folds")
    folder = store._folder(name, store.manifest(name)["key"])
    store.fs.pipe_file(f"{folder}/folds.npz", b"rotten")
    text, whole = verify_run(f"{root}/run")
    assert not whole and "torn: folds" in text
    assert run(f"{root}/run", "--until", "folds").returncode == 0
    assert checksums(f"{root}/run") == undisturbed


def test_data_in_a_bucket_are_read_where_they_are(bucket, toy_spectra, tmp_path):
    root = bucket
    save_spectra(toy_spectra, tmp_path / "toy.zarr")
    fs, path = fsspec.core.url_to_fs(f"{root}/toy.zarr")
    fs.put(str(tmp_path / "toy.zarr"), path, recursive=True)
    found = open_spectra(f"{root}/toy.zarr")
    assert np.array_equal(found.absorbance[3:5].values, toy_spectra.absorbance[3:5].values)
    assert json.dumps(found.attrs["class_names"]) == json.dumps(toy_spectra.attrs["class_names"])
    plain = {"preparation.recipe": "[{vector: {}}]", "preparation.quality": "none"}
    done = run(tmp_path / "run", "--data", f"{root}/toy.zarr", "--until", "folds", **plain)
    assert done.returncode == 0, done.stderr
