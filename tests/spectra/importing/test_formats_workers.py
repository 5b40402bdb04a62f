"""Imports whose files are read by workers: the same bytes, errors and continuations as without them."""

import os
import shutil
import signal
import subprocess
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from colorectal_layout import TABLE, write_cohort
from dask_programs import PATHS, STOPPED, Programs, address, die, kill, until
from instrument_files import AXIS, tissue_cube, write_agilent, write_envi, write_fsm
from small_runs import COMMAND

from ftirlib.command.data import import_store
from ftirlib.engine.cluster import open_executor
from ftirlib.engine.workers import outcomes
from ftirlib.errors import DataError, FtirlibError, SettingsError, StoreError
from ftirlib.sources.colorectal_store import import_colorectal
from ftirlib.spectra.importing import blocks, resume
from ftirlib.spectra.importing.readers import import_spectra

pytestmark = pytest.mark.filterwarnings("ignore:patient .* is taken for one", "ignore:Object at")


@pytest.fixture(scope="module")
def pools():
    """Pools of one and of two processes, by the number of workers; 0: none."""
    with open_executor(workers=1) as one, open_executor(workers=2) as two:
        yield {0: None, 1: one, 2: two}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of four formats, large enough for several parts, and a table with NaN."""
    folder, rng = tmp_path_factory.mktemp("folder"), np.random.default_rng(0)
    write_envi(folder, tissue_cube(rng, 6, 5), "bil")
    write_agilent(folder, tissue_cube(rng))
    write_fsm(folder, 100 * 10 ** -tissue_cube(rng, 3, 7))
    spectra = tissue_cube(rng)
    spectra[1, :2, 5] = np.nan
    np.savez(folder / "z.npz", absorbance=spectra, wavenumber=AXIS, label="ill")
    return folder


def stored(path):
    """Every byte of a store by the name of the file it lies in."""
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(Path(path).rglob("*")) if p.is_file()}


def test_the_store_is_the_same_to_the_byte_with_any_number_of_workers(folder, pools, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "PART", 8)
    found = {}
    for workers, pool in pools.items():
        import_spectra(folder, tmp_path / f"{workers}.zarr", invalid="drop", executor=pool, ahead=2 * workers or 1)
        found[workers] = stored(tmp_path / f"{workers}.zarr")
    assert len(found[0]) > 8 and found[0] == found[1] == found[2]
    in_memory = import_spectra(folder, invalid="drop", executor=pools[2])
    assert any("2 of 16 spectra with NaN" in note for note in in_memory.attrs["import_notes"])
    xr.testing.assert_identical(in_memory, import_spectra(folder, invalid="drop"))


def test_the_cohort_is_the_same_to_the_byte_with_any_number_of_workers(tmp_path):
    cohort, lines = write_cohort(tmp_path, table={3: TABLE[3]}), {}
    for workers in (1, 2):
        report = lines.setdefault(workers, []).append
        import_colorectal(cohort, tmp_path / f"{workers}.zarr", workers=workers, report=report)
    assert len(lines[1]) == 5 and lines[1] == lines[2]
    assert stored(tmp_path / "1.zarr") == stored(tmp_path / "2.zarr")


def test_errors_and_bad_files_are_those_of_one_process(folder, pools, tmp_path):
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    percent = np.full((3, 7, AXIS.size), 50.0)
    percent[2, 3, 7] = 0
    write_fsm(damaged, percent)
    said = {}
    for workers, pool in pools.items():
        with pytest.raises(DataError, match=r"'map.fsm' has 1 transmittances of zero or less") as caught:
            import_spectra(damaged, tmp_path / "out.zarr", invalid="drop", executor=pool)
        assert not (tmp_path / "out.zarr").exists() and not (tmp_path / "out.zarr.partial").exists()
        out = tmp_path / f"{workers}.zarr"
        left = import_spectra(damaged, out, invalid="drop", skip_bad=True, executor=pool)
        assert any("left out: map.fsm: " in note for note in left.attrs["import_notes"])
        said[workers] = str(caught.value), stored(out)
    assert said[0] == said[1] == said[2]


@pytest.mark.parametrize("first, then", [(0, 2), (2, 0)])
def test_what_was_begun_without_workers_goes_on_with_them_and_back(first, then, folder, pools, tmp_path, monkeypatch):
    for module in ("ftirlib.spectra.importing.blocks.CHUNK", "ftirlib.spectra.writer.CHUNK"):
        monkeypatch.setattr(module, 8)
    monkeypatch.setattr(blocks, "PART", 8)
    out, options = tmp_path / "out.zarr", {"invalid": "drop"}
    whole = import_spectra(folder, tmp_path / "whole.zarr", **options)
    append, written = resume.ResumingWriter.append, []

    def killed(writer, *arguments):
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(append(writer, *arguments))

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(resume.ResumingWriter, "append", killed)
        import_spectra(folder, out, executor=pools[first], **options)
    assert (tmp_path / "out.zarr.partial" / resume.PROGRESS).is_file()
    found = import_spectra(folder, out, executor=pools[then], **options)
    xr.testing.assert_identical(found.load(), whole.load())


def test_processes_of_a_cluster_read_relative_paths(folder, tmp_path, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, "cores")
    (Path("cores") / "z.npz").unlink()
    with LocalCluster(2, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None) as cluster:
        import_store(["cores"], "a.zarr", dry_run=False, workers=2, scheduler=cluster.scheduler_address)
    import_store(["cores"], "b.zarr", dry_run=False)
    assert stored("a.zarr") == stored("b.zarr")


class Import:
    """``ftirlib import``, a program of its own; a context manager that ends it."""

    def __init__(self, folder, out, *options):
        self.out, self._said = out, out.with_suffix(".txt")
        with open(self._said, "w") as said:
            self._program = subprocess.Popen(
                [COMMAND, "import", folder, out, "--invalid", "drop", *options],
                stdout=said,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": PATHS},
                start_new_session=True,  # a signal goes to its workers too, as in a terminal
            )
        self.pid = self._program.pid

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._program.kill()
        self._program.wait()

    def says(self, words):
        """Wait until it does."""
        until(lambda: words in self._said.read_text())

    def end(self, told=None):
        """Its status and its lines, but for the last word of one that is told to end by a signal."""
        if told:
            os.killpg(self.pid, told)
        status = self._program.wait(30)
        return status, [line for line in self._said.read_text().splitlines() if line != STOPPED]

    @property
    def left(self):
        """What it has written."""
        return sorted(path.name for path in self.out.parent.glob(f"{self.out.name}*"))


def test_an_import_says_what_it_waits_for_and_ends_in_a_sentence(folder, tmp_path):
    """Without workers, with one that comes, with one that is killed, stopped, and without its scheduler."""
    with Programs(tmp_path) as programs:
        no_second_try = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        scheduler, file = programs.scheduler(environment=no_second_try)
        where = address(file)
        waiting = (
            f"no worker is connected to {where}; waiting for one: start it with 'dask worker {where} --nthreads 1'"
        )
        with Import(folder, tmp_path / "a.zarr", "--scheduler", where) as one:
            one.says(waiting)
            worker = programs.worker(file)
            status, lines = one.end()
        assert (status, lines[0], lines[-1]) == (0, waiting, f"wrote {one.out}") and one.left == ["a.zarr"]

        with open_executor(where) as executor:
            (result,) = outcomes(die, [(str(tmp_path / "log"), 1)], executor)
            with pytest.raises(StoreError, match=r"'die' was given up after 1 worker died .* \(--memory-limit\)"):
                result()
        assert worker.wait(10) == -signal.SIGKILL

        with ExitStack() as running:
            several = [
                running.enter_context(Import(folder, tmp_path / f"{name}.zarr", "--scheduler", where))
                for name in ("interrupted", "abandoned")
            ]
            for one in several:
                one.says(waiting)
            interrupted, abandoned = several
            assert interrupted.end(signal.SIGINT) == (130, [waiting])
            kill(scheduler)
            status, lines = abandoned.end()
        assert status == 2 and lines[0] == waiting and len(lines) == 2
        assert lines[1].startswith(f"ftirlib: the scheduler at {where} is gone; what was finished is kept")
        assert [one.left for one in several] == [[], []]


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_import_with_local_workers_can_be_stopped(told, folder, tmp_path):
    import psutil

    many = tmp_path / "many"
    many.mkdir()
    for k in range(60):
        shutil.copyfile(folder / "z.npz", many / f"z{k}.npz")
    with Import(many, tmp_path / "out.zarr", "--workers", "2") as one:
        process = psutil.Process(one.pid)
        workers = until(lambda: len(found := process.children(recursive=True)) >= 3 and found)  # and a tracker
        status, lines = one.end(told)
    assert (status, lines) == (130, [])
    until(lambda: not any(worker.is_running() for worker in workers), 10)
    assert one.left in ([], ["out.zarr.partial"])
    again = import_store([str(many)], str(one.out), dry_run=False, invalid="drop")
    assert "wrote" in again and one.left == ["out.zarr"]


@pytest.mark.parametrize("wrong", [0, -1])
def test_fewer_than_one_worker_is_refused(wrong, folder, tmp_path):
    with pytest.raises(SettingsError, match="--workers"):
        import_store([str(folder)], str(tmp_path / "x.zarr"), dry_run=False, workers=wrong)
    with pytest.raises(SettingsError, match="ahead must be one"):
        import_spectra(folder, tmp_path / "x.zarr", ahead=wrong)
    with pytest.raises(SettingsError, match="workers must be one"):
        import_colorectal(folder, tmp_path / "x.zarr", workers=wrong)


# --- tasks ahead of their taker --------------------------------------------------------------------------------------


class Hand(Executor):
    """Does a task when it is handed in, and keeps count of those not taken yet."""

    def __init__(self):
        self.handed, self.futures = 0, []

    def submit(self, function, *arguments):
        self.handed += 1
        future = Future()
        self.futures.append(future)
        return future


def finish(future, value):
    future.set_running_or_notify_cancel()
    future.set_result(value)


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_no_more_tasks_wait_than_allowed_and_results_are_in_order(ahead):
    hand = Hand()
    results = outcomes(abs, [(-k,) for k in range(7)], hand, ahead)
    for taken in range(7):
        result = next(results)
        assert hand.handed == min(ahead + taken, 7)
        finish(hand.futures[taken], taken)
        assert result() == taken
    assert next(results, None) is None


def test_tasks_that_nobody_will_take_are_cancelled():
    hand = Hand()
    results = outcomes(abs, [(k,) for k in range(9)], hand, 4)
    next(results)
    results.close()
    assert [future.cancelled() for future in hand.futures] == [False, True, True, True]


def test_an_error_is_of_its_task_alone():
    with ThreadPoolExecutor(2) as pool:
        found = []
        for result in outcomes(int, [("1",), ("x",), ("3",)], pool, 2):
            try:
                found.append(result())
            except ValueError as error:
                found.append(type(error))
    assert found == [1, ValueError, 3]


def test_a_worker_that_dies_is_one_sentence():
    hand = Hand()
    (result,) = outcomes(abs, [(1,)], hand, 4)
    hand.futures[0].set_exception(BrokenProcessPool("terminated abruptly"))
    with pytest.raises(FtirlibError, match=r"a worker ended before its task did \(terminated abruptly\).*--workers"):
        result()
