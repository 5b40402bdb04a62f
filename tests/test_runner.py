"""Runs: tasks in parallel, resumed after a failure, the same on any executor."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ftirlib.engine.store import Store
from ftirlib.engine.task import Task, execute
from ftirlib.errors import DataError, StoreError
from ftirlib.method.run import Run, open_run
from ftirlib.method.settings import read_settings

ROOT = Path(__file__).resolve().parents[1]


def number(folder, work, *, value):
    (folder / "value.txt").write_text(str(value))


def picky(folder, work, *, value, flag):
    """Fails for one value while a flag file is there, as a machine that runs out of memory might."""
    if value == 2 and Path(flag).exists():
        raise MemoryError("no room")
    number(folder, work, value=value)


def stepwise(folder, work, *, crash):
    """Leaves a checkpoint, and dies once."""
    seen = work / "checkpoint.txt"
    if not seen.exists():
        seen.write_text("half way")
        if Path(crash).exists():
            raise KeyboardInterrupt
    (folder / "value.txt").write_text(seen.read_text())


def unusable(folder, work):
    raise DataError("spectrum 3 is not finite.")


@pytest.fixture
def run(tmp_path):
    with Run(read_settings("smoke", out=tmp_path / "run", changes={"workers": 2})) as run:
        yield run


def test_tasks_run_on_local_processes_and_only_once(run):
    tasks = [Task(f"n/{i}", number, {"value": i}) for i in range(3)]
    paths = run.artefacts("numbers", tasks, "spectra")
    assert [(p / "value.txt").read_text() for p in paths] == ["0", "1", "2"]
    assert sorted(run.made) == ["n/0", "n/1", "n/2"]
    run.artefacts("numbers", tasks, "spectra")
    assert len(run.made) == 3


def test_a_failed_task_names_itself_and_the_rest_is_kept(run, tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    tasks = [Task(f"n/{i}", picky, {"value": i, "flag": str(flag)}) for i in range(3)]
    with pytest.raises(StoreError, match=r"'n/2' failed \(MemoryError: no room\)"):
        run.artefacts("numbers", tasks, "spectra")
    assert "n/2" not in run.store.names()
    flag.unlink()
    run.artefacts("numbers", tasks, "spectra")
    assert run.store.names() == ["n/0", "n/1", "n/2"]


def test_a_known_error_comes_back_as_itself(run):
    with pytest.raises(DataError, match="spectrum 3"):
        run.artefacts("x", [Task("x/0", unusable, {})], "spectra")


def test_an_interrupted_task_finds_its_checkpoint(tmp_path):
    crash = tmp_path / "crash"
    crash.touch()
    arguments = {"crash": str(crash)}
    with pytest.raises(KeyboardInterrupt):
        execute(str(tmp_path), Task("s", stepwise, arguments), "key", {})
    assert Store(tmp_path).names() == []
    execute(str(tmp_path), Task("s", stepwise, arguments), "key", {})
    assert (tmp_path / "s" / "value.txt").read_text() == "half way"
    assert not list((tmp_path / ".work").iterdir())


def test_the_key_follows_settings_inputs_function_and_seed(run, tmp_path):
    def key(task, other=run):
        return other._describe(task, "spectra")[0]

    base = Task("n", number, {"value": 1}, {"a": 1}, {"b": "k"})
    assert key(base) == key(Task("n", number, {"value": 1}, {"a": 1}, {"b": "k"}))
    different = [
        Task("n", number, {"value": 1}, {"a": 2}, {"b": "k"}),
        Task("n", number, {"value": 1}, {"a": 1}, {"b": "other"}),
        Task("n", stepwise, {"value": 1}, {"a": 1}, {"b": "k"}),
    ]
    assert len({key(task) for task in [base, *different]}) == 4
    with open_run("smoke", out=tmp_path / "other", seed=1) as other:
        assert key(base, other) != key(base)


def test_workers_end_when_their_driver_is_killed(tmp_path):
    code = f"""
from pathlib import Path
from tests.test_runner import announce
from ftirlib.engine.workers import open_executor
if __name__ == "__main__":
    with open_executor(workers=1) as executor:
        executor.submit(announce, {str(tmp_path / "pid")!r}).result()
"""
    script = tmp_path / "driver.py"
    script.write_text(code)
    driver = subprocess.Popen([sys.executable, str(script)], env=os.environ | {"PYTHONPATH": str(ROOT)})
    pid = _until(lambda: int((tmp_path / "pid").read_text()))
    driver.kill()
    driver.wait()
    _until(lambda: not _lives(pid) or None)


def announce(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(120)


def _lives(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _until(ask, seconds=60):
    """The first answer that is not None, asking again while it fails."""
    deadline = time.time() + seconds
    while time.time() < deadline:
        try:
            if (answer := ask()) is not None:
                return answer
        except (OSError, ValueError):
            pass
        time.sleep(0.05)
    raise AssertionError("nothing came in time")


def test_the_same_tasks_run_on_a_dask_cluster(tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, protocol="tcp") as cluster:
        settings = read_settings("smoke", out=tmp_path, scheduler=cluster.scheduler_address)
        with Run(settings) as run:
            paths = run.artefacts("numbers", [Task(f"n/{i}", number, {"value": i}) for i in range(3)], "spectra")
    assert [(p / "value.txt").read_text() for p in paths] == ["0", "1", "2"]


def test_a_results_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with Run(read_settings("smoke", out=tmp_path / "file" / "run")) as run:
        with pytest.raises(StoreError, match="cannot make the results folder"):
            run.artefact(Task("n", number, {"value": 1}), "spectra")
