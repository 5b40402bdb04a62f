"""Preparation in parts by many workers: the same bytes as at once, nothing done twice, nothing left over."""

import uuid

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.command.status import status_text
from ftirlib.engine import driver as drivers
from ftirlib.engine.driver import Artefact, Driver
from ftirlib.engine.progress import read_progress
from ftirlib.engine.store import Store
from ftirlib.errors import DataError, SettingsError
from ftirlib.method import data as stages
from ftirlib.method.data import PARTS, prepared_store
from ftirlib.method.settings import read_settings
from ftirlib.spectra.bands import tissue_reference
from ftirlib.spectra.model import CHUNK, make_spectra, open_spectra
from ftirlib.spectra.prepare import recipe
from ftirlib.spectra.prepare.recipe import prepare_spectra
from ftirlib.spectra.writer import save_spectra

AXIS = np.arange(1580.0, 1803.0, 4.0)
RECIPE = [{"emsc": {"order": 1}}, {"vector": {}}]
N = 3 * CHUNK + 100


def cohort(n, usable, *, first_image=0):
    """n noisy pixels of images of 50, of which `usable` are tissue."""
    rng = np.random.default_rng(0)
    amount = np.where(usable, rng.uniform(0.4, 1.2, n), 0.0)
    spectra = amount[:, None] * tissue_reference(AXIS) + 1e-3 * rng.standard_normal((n, AXIS.size))
    return make_spectra(
        spectra,
        AXIS,
        label=np.where(np.arange(n) // 50 % 2, "b", "a"),
        image=[f"{k:03d}" for k in np.arange(n) // 50],
        row=np.arange(n) % 50,
        col=np.zeros(n, int),
        truth={"truth_class": np.arange(n, dtype=np.int16) % 7, "truth_fraction": rng.random((n, 3))},
    )


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A store of N spectra, every third of them no tissue, and all of one image."""
    usable = np.arange(N) % 3 > 0
    usable[50:100] = False
    path = tmp_path_factory.mktemp("raw") / "raw.zarr"
    save_spectra(cohort(N, usable), path)
    return path


@pytest.fixture(scope="module")
def at_once(source, tmp_path_factory):
    """Bytes of what `prepare_spectra` makes of it."""
    path = tmp_path_factory.mktemp("once") / "spectra.zarr"
    prepare_spectra(open_spectra(source), path, recipe=RECIPE)
    return files(path)


def driver_of(out, workers=1):
    return Driver(out, about={}, workers=workers)


def prepare(driver, source, shard=CHUNK, **how):
    """Path or address of the prepared data set."""
    steps = {"recipe": RECIPE} | how
    return prepared_store(driver, Artefact("", str(source), "key"), steps, shard=shard).address


@pytest.fixture
def here(monkeypatch):
    """Tasks are done by this process, which saves the start of another: what workers do to them is tested once."""

    def one_by_one(executor, calls, on_done, **_):
        for name, (function, *arguments) in calls.items():
            on_done(name, function(*arguments))

    monkeypatch.setattr(drivers, "wait_for", one_by_one)
    monkeypatch.setattr(Driver, "executor", None)


def test_workers_change_no_byte(source, at_once, tmp_path):
    with driver_of(tmp_path / "run", workers=2) as driver:
        prepare(driver, source)
    assert files(tmp_path / "run" / "prepared" / "spectra.zarr") == at_once


def test_the_size_of_a_part_is_no_part_of_what_is_made(here, source, at_once, tmp_path):
    with driver_of(tmp_path / "run") as driver:
        path = prepare(driver, source, 2 * CHUNK)
        assert len(driver.made) == 3
        assert files(tmp_path / "run" / "prepared" / "spectra.zarr") == at_once
        assert open_spectra(path).attrs["quality"]["emptied_images"] == ["001"]
        assert driver.store.names() == ["prepared"]
        before = len(driver.made)
        prepare(driver, source)
        prepare(driver, source, 4 * CHUNK)
        assert len(driver.made) == before
    said = read_progress(tmp_path / "run")["stages"]
    assert {name: stage.done for name, stage in said.items()} == {PARTS: before - 1, "prepared": 1}


@settings(max_examples=8, deadline=None)
@given(
    usable=st.lists(st.booleans(), min_size=1, max_size=120).filter(any),
    chunks=st.integers(1, 4),
    quality=st.sampled_from(["tissue", "auto"]),
)
def test_any_parts_of_any_spectra_are_joined_to_what_is_made_at_once(tmp_path_factory, usable, chunks, quality):
    folder = tmp_path_factory.mktemp("any")
    data = cohort(len(usable), np.array(usable))
    save_spectra(data, folder / "raw.zarr")
    source, steps = str(folder / "raw.zarr"), {"recipe": RECIPE, "quality": quality}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "CHUNK", 8)
        prepare_spectra(data, folder / "spectra.zarr", recipe=RECIPE, quality=quality)
        parts = []
        for start in range(0, len(usable), 8 * chunks):
            parts.append(folder / f"part{start:04d}")
            parts[-1].mkdir()
            rows = [start, min(start + 8 * chunks, len(usable))]
            stages.prepare_part(parts[-1], None, source=source, steps=steps, rows=rows)
        (folder / "joined").mkdir()
        stages.prepare(folder / "joined", None, source=source, steps=steps, parts=parts)
    assert files(folder / "joined" / "spectra.zarr") == files(folder / "spectra.zarr")


def test_a_killed_driver_finds_its_parts_again(here, source, at_once, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with driver_of(out) as driver:
        monkeypatch.setattr(driver, "make", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(driver, source)
    assert len(Store(out).names()) == 4 and all(name.startswith(f"{PARTS}/") for name in Store(out).names())
    assert any(line.startswith(PARTS) and "4/4" in line for line in status_text(out).splitlines())
    victim = Store(out).names()[2]
    (out / victim / "000000.npz").write_bytes(b"torn")
    with driver_of(out) as driver:
        prepare(driver, source)
        assert driver.made == [victim, "prepared"]
    assert files(out / "prepared" / "spectra.zarr") == at_once


def interrupted(*_, **__):
    raise KeyboardInterrupt


def test_parts_that_a_killed_driver_left_after_joining_go(here, source, tmp_path, monkeypatch):
    with driver_of(tmp_path / "run") as driver:
        monkeypatch.setattr(driver.store, "prune", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(driver, source, 2 * CHUNK)
    assert len(Store(tmp_path / "run").names()) == 3
    with driver_of(tmp_path / "run") as driver:
        prepare(driver, source, 2 * CHUNK)
        assert driver.made == [] and driver.store.names() == ["prepared"]


def test_one_part_is_prepared_at_once_without_workers(source, at_once, tmp_path):
    with driver_of(tmp_path / "run") as driver:
        prepare(driver, source, 4 * CHUNK)
        assert driver.made == ["prepared"] and driver._executor is None
    assert files(tmp_path / "run" / "prepared" / "spectra.zarr") == at_once


def test_results_at_an_address(here, source, at_once, tmp_path, monkeypatch):
    monkeypatch.setenv("FTIRLIB_MIRROR", str(tmp_path / "mirror"))
    with driver_of(f"memory://{uuid.uuid4().hex}/run") as driver:
        path = prepare(driver, source, 2 * CHUNK)
        assert path.startswith("memory://") and driver.store.names() == ["prepared"]
        assert files(driver.store.fetch("prepared") / "spectra.zarr") == at_once
    assert not list((tmp_path / "mirror").rglob("*.npz"))


def test_what_no_part_can_know_is_found_when_they_are_joined(here, source, tmp_path):
    how = {"recipe": RECIPE, "quality": "tissue", "limits": {"minimum_amide": 1.99}}
    with driver_of(tmp_path / "run") as driver:
        with pytest.raises(DataError, match=rf"none of {N} spectra passed .*highest amide I band is 0\.\d+") as caught:
            prepare(driver, source, **how)
    with pytest.raises(DataError) as at_once:
        prepare_spectra(open_spectra(source), tmp_path / "x.zarr", **how)
    assert str(caught.value) == str(at_once.value)


@pytest.mark.parametrize(("value", "words"), [(0.0, "is zero at every wavenumber"), (np.nan, "holds NaN")])
def test_an_unusable_spectrum_is_named_as_in_the_source(here, value, words, tmp_path):
    data = cohort(2 * CHUNK, np.ones(2 * CHUNK, bool))
    save_spectra(data, tmp_path / "raw.zarr")
    zarr.open_array(tmp_path / "raw.zarr" / "absorbance", mode="r+")[CHUNK + 57] = value
    with driver_of(tmp_path / "run") as driver:
        name = f"{(CHUNK + 57) // 50:03d}"
        with pytest.raises(DataError, match=rf"spectrum {CHUNK + 57} \(image '{name}'\) {words}"):
            prepare(driver, tmp_path / "raw.zarr", quality="none")


@pytest.mark.parametrize("shard", [0, CHUNK - 1, CHUNK + 1])
def test_a_part_is_whole_chunks(shard):
    with pytest.raises(SettingsError, match=rf"'preparation.shard' cannot be {shard}: .*{CHUNK}"):
        read_settings("smoke", changes={"preparation.shard": shard})
