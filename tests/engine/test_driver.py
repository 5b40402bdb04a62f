"""Artefacts: made in parallel, resumed after a failure, the same on any workers, under keys that follow the rule."""

import os
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
from dask_programs import PATHS

from ftirlib.engine.driver import Artefact, Driver, Task, execute, key_of, once, untracked
from ftirlib.engine.lock import holder_of
from ftirlib.engine.store import Store
from ftirlib.errors import DataError, StoreError


def number(out, work, *, value):
    (out / "value.txt").write_text(str(value))


def picky(out, work, *, value, flag):
    """Fails for one value while a flag file is there, as a machine that runs out of memory might."""
    if value == 2 and Path(flag).exists():
        raise MemoryError("no room")
    number(out, work, value=value)


def stepwise(out, work, *, crash):
    """Leaves a checkpoint, and dies once."""
    seen = work / "checkpoint.txt"
    if not seen.exists():
        seen.write_text("half way")
        if Path(crash).exists():
            raise KeyboardInterrupt
    (out / "value.txt").write_text(seen.read_text())


def unusable(out, work):
    raise DataError("spectrum 3 is not finite.")


def add_up(out, work, *, parts, plus=0):
    values = [int((Path(part) / "value.txt").read_text()) for part in parts]
    (out / "value.txt").write_text(str(sum(values) + plus))


def where(out, work, *, place):
    (out / "value.txt").write_text(str(place))


class Here:
    """Workers that are this process: what tasks and keys are needs no other, and starting one takes seconds."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


@pytest.fixture
def run(tmp_path):
    with Driver(tmp_path / "run", about={}, workers=2) as run:
        yield run


@pytest.fixture
def here(run):
    run._executor = Here()
    return run


def numbers(n=3):
    return {i: Task(f"n/{i}", number, value=i) for i in range(n)}


def values(made):
    return {key: (artefact.path / "value.txt").read_text() for key, artefact in made.items()}


def test_tasks_run_on_local_processes_and_only_once(run):
    assert values(run.make_all("numbers", numbers())) == {0: "0", 1: "1", 2: "2"}
    assert sorted(run.made) == ["n/0", "n/1", "n/2"]
    run.make_all("numbers", numbers())
    assert len(run.made) == 3


def test_a_failed_task_names_itself_and_the_rest_is_kept(run, tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    tasks = {i: Task(f"n/{i}", picky, value=i, flag=str(flag)) for i in range(3)}
    with pytest.raises(StoreError, match=r"'n/2' failed \(MemoryError: no room\)"):
        run.make_all("numbers", tasks)
    assert "n/2" not in run.store.names()
    flag.unlink()
    run.make_all("numbers", tasks)
    assert run.store.names() == ["n/0", "n/1", "n/2"]


def test_a_known_error_comes_back_as_itself(run):
    for title, tasks in (("here", {0: Task("x/0", unusable)}), ("away", {i: Task(f"x/{i}", unusable) for i in (1, 2)})):
        with pytest.raises(DataError, match="spectrum 3"):
            run.make_all(title, tasks)


def test_an_interrupted_task_finds_its_checkpoint(tmp_path):
    crash = tmp_path / "crash"
    crash.touch()
    task, artefact = Task("s", stepwise, crash=str(crash)), Artefact(str(tmp_path), "s", "key")
    with pytest.raises(KeyboardInterrupt):
        execute(task, artefact, {})
    assert Store(tmp_path).names() == []
    execute(task, artefact, {})
    assert (tmp_path / "s" / "value.txt").read_text() == "half way"
    assert not list((tmp_path / ".work").iterdir())


def test_an_artefact_is_an_input_and_reaches_the_worker_as_its_path(here):
    made = here.make_all("numbers", numbers())
    total = here.make(Task("total", add_up, parts=list(made.values()), plus=untracked(10)))
    assert (total.path / "value.txt").read_text() == "13"
    assert here.store.manifest("total")["made_from"]["arguments"] == {
        "parts": [{"input": a.key} for a in made.values()]
    }


def test_the_key_follows_every_argument_but_the_untracked(here):
    one, other = here.make_all("numbers", numbers(2)).values()

    def key(function=add_up, **arguments):
        return here._planned(Task("n", function, **arguments))[0].key

    base = key(parts=[one], plus=1)
    assert key(parts=[one], plus=1) == base
    assert key(parts=(one,), plus=1) == base
    different = [
        key(parts=[one], plus=2),
        key(parts=[other], plus=1),
        key(parts=[one / "value.txt"], plus=1),
        key(parts={"a": one}, plus=1),
        key(number, parts=[one], plus=1),
        key(parts=[one]),
    ]
    assert len({base, *different}) == 7
    assert key(parts=[one, untracked(1)], plus=1) == base
    assert key(parts=[one], plus=untracked(1)) == key(parts=[one], plus=untracked(2)) == key(parts=[one])


def test_a_changed_input_makes_what_follows_anew(here):
    def total(value):
        part = here.make(Task("part", number, value=value))
        return values({0: here.make(Task("total", add_up, parts=[part]))})[0]

    assert total(1) == "1"
    assert total(5) == "5"
    assert here.made == ["part", "total", "part", "total"]


def test_a_zarr_store_is_read_where_it_lies_and_given_data_are_known_by_content(here, tmp_path):
    inside = here.make(Task("n", number, value=1)) / "spectra.zarr"
    assert values({0: here.make(Task("where", where, place=inside))}) == {0: inside.address}
    given = tmp_path / "mine.zarr"
    given.mkdir()
    (given / "a").write_text("1")
    first = Artefact.given(given)
    (tmp_path / "moved.zarr").mkdir()
    (tmp_path / "moved.zarr" / "a").write_text("1")
    assert Artefact.given(tmp_path / "moved.zarr").key == first.key and first.address == str(given)
    (given / "a").write_text("2")
    assert Artefact.given(given).key != first.key


def test_a_worker_finds_the_key_of_what_it_is_given(here, tmp_path):
    made = here.make(Task("n", number, value=1))
    assert key_of(made.path) == key_of((made / "deep" / "file").path) == made.key
    with pytest.raises(StoreError, match="lies in no artefact"):
        key_of(tmp_path)


def test_a_folder_is_locked_until_the_outermost_block_ends(tmp_path):
    driver = Driver(tmp_path, about={}, workers=1)
    driver.make(Task("n/0", number, value=0))
    assert holder_of(tmp_path) is None
    with driver.driving():
        driver.make(Task("n/1", number, value=1))
        assert holder_of(tmp_path) is not None
    assert holder_of(tmp_path) is None
    with driver, driver.driving():
        pass
    assert holder_of(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_not_left_locked(tmp_path):
    (tmp_path / "file").touch()
    driver = Driver(tmp_path, about={"file/settings.yml": "none"}, workers=1)
    for block in (driver, driver.driving()):
        with pytest.raises(StoreError, match="cannot write 'file/settings.yml'"), block:
            driver.make(Task("n", number, value=1))
        assert holder_of(tmp_path) is None


def test_an_interrupted_driver_goes_on_with_new_workers(tmp_path):
    class Interrupted(Here):
        def submit(self, function, *arguments):
            raise KeyboardInterrupt

        def abandon(self, futures, *, now):
            assert now

    driver = Driver(tmp_path, about={}, workers=2)
    driver._executor = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        driver.make_all("numbers", numbers())
    assert driver._executor is None and holder_of(tmp_path) is None
    assert '"how": "stopped"' in (tmp_path / "progress.json").read_text()


def test_prune_removes_what_has_been_replaced(here):
    made = here.make_all("numbers", numbers())
    here.prune("n", [made[1]])
    assert here.store.names() == ["n/1"]


def test_a_stage_is_computed_once_for_each_driver_and_argument(run, tmp_path):
    calls = []

    @once
    def stage(driver, *arguments):
        calls.append(arguments)
        return arguments

    assert stage(run, 1) == stage(run, 1) == (1,)
    stage(run, 2)
    stage(Driver(tmp_path / "other", about={}, workers=1), 1)
    assert calls == [(1,), (2,), (1,)]


def test_results_depend_on_the_science_below_them_and_not_on_the_engine():
    from ftirlib.method import lime, models
    from ftirlib.method.run import code_behind

    behind = {f: code_behind(f)["code"] for f in (models.member, models.baseline, lime.explain)}
    assert behind[models.member] == behind[models.baseline] != behind[lime.explain]


def test_workers_end_when_their_driver_is_killed(tmp_path):
    code = f"""
from pathlib import Path
from dask_programs import work
from ftirlib.engine.cluster import open_executor
if __name__ == "__main__":
    with open_executor(workers=1) as executor:
        executor.submit(work, {str(tmp_path / "pid")!r}, 120).result()
"""
    script = tmp_path / "driver.py"
    script.write_text(code)
    driver = subprocess.Popen([sys.executable, str(script)], env=os.environ | {"PYTHONPATH": PATHS})
    pid = _until(lambda: int((tmp_path / "pid").read_text()))
    driver.kill()
    driver.wait()
    _until(lambda: not _lives(pid) or None)


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

    from ftirlib.method import Run
    from ftirlib.method.settings import read_settings

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, protocol="tcp") as cluster:
        settings = read_settings("smoke", out=tmp_path, scheduler=cluster.scheduler_address)
        with Run(settings) as run:
            assert values(run.make_all("numbers", numbers())) == {0: "0", 1: "1", 2: "2"}


def test_a_results_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with Driver(tmp_path / "file" / "run", about={}, workers=1) as run:
        with pytest.raises(StoreError, match="cannot make the results folder"):
            run.make(Task("n", number, value=1))
