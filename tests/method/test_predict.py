"""New spectra through a finished run: whatever the workers and whoever is killed, the same bytes, whole or none."""

import os
import signal
import subprocess
import time

import numpy as np
import pytest
import xarray as xr
from small_runs import COMMAND, run

from ftirlib.engine.store import MANIFEST
from ftirlib.errors import DataError, SettingsError, StoreError
from ftirlib.method import predict
from ftirlib.method.predict import predict_store
from ftirlib.spectra.model import CHUNK, make_spectra, open_spectra
from ftirlib.spectra.writer import save_spectra

SIDE = 64  # pixels of an image: a chunk of spectra
IMAGES = 3
EXPLAINED = 30
SECONDS = 240


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tiny run that prepares a chunk of spectra in a task."""
    out = tmp_path_factory.mktemp("run") / "run"
    done = run(out, **{"preparation.shard": CHUNK})
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def source(finished, tmp_path_factory):
    """Three images of as many pixels as a chunk has spectra, drawn from the run's own raw ones."""
    raw = open_spectra(finished / "spectra" / "spectra.zarr")
    drawn = np.random.default_rng(0).integers(raw.sizes["spectrum"], size=IMAGES * SIDE**2)
    pixel = np.arange(SIDE**2)
    path = tmp_path_factory.mktemp("new") / "new.zarr"
    data = make_spectra(
        raw.absorbance.values[drawn],
        raw.wavenumber.values,
        image=np.repeat([f"core {k}" for k in range(IMAGES)], SIDE**2),
        row=np.tile(pixel // SIDE, IMAGES),
        col=np.tile(pixel % SIDE, IMAGES),
        pixel_size_um=5.0,
    )
    save_spectra(data, path)
    return path


@pytest.fixture(scope="module")
def undisturbed(finished, source, tmp_path_factory):
    """Files of the predictions that two workers made."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    done = subprocess.run(command(finished, source, out), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert "preparation: 3 of 3 to make" in done.stderr and f"{EXPLAINED} spectra were explained" in done.stdout
    assert sorted(p.name for p in out.parent.iterdir()) == ["out"]
    return files(out)


def command(finished, source, out, *options):
    return [COMMAND, "predict", str(finished), str(source), str(out), f"--explained={EXPLAINED}", *options]


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def hidden(out):
    return [p for p in out.parent.iterdir() if p.name.startswith(f".{out.name}.")]


def test_what_is_written_is_of_every_usable_spectrum(undisturbed, tmp_path):
    for name, content in undisturbed.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    found = xr.open_zarr(tmp_path / "predictions.zarr", consolidated=False)
    assert IMAGES * SIDE**2 / 2 < found.sizes["spectrum"] < IMAGES * SIDE**2
    np.testing.assert_allclose(found.votes.sum("class"), 1, atol=1e-5)
    np.testing.assert_array_equal(found.predicted, found.votes.values.argmax(axis=1))
    assert ((found.context >= 0).sum(), len(list(tmp_path.glob("*.png")))) == (EXPLAINED, IMAGES)
    counts = np.bincount(found.image.values[found.context.values >= 0])
    assert counts.tolist() == [EXPLAINED / IMAGES] * IMAGES


def test_neither_workers_nor_the_size_of_tasks_change_a_byte(undisturbed, finished, source, tmp_path, monkeypatch):
    """Votes come in whole chunks in any case, explanations in tasks of ten here and in one before."""
    monkeypatch.setattr(predict, "EVALUATIONS", 80)
    told = []
    predict_store(finished, source, tmp_path / "out", explained=EXPLAINED, workers=1, report=told.append)
    assert "explanations: 3 of 3 to make" in told
    assert files(tmp_path / "out") == undisturbed


def test_a_killed_prediction_goes_on_and_a_second_one_meanwhile_is_refused(undisturbed, finished, source, tmp_path):
    out = tmp_path / "out"
    words = command(finished, source, out)
    first = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + SECONDS
        while not made(out, "votes") and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGSTOP)
        before = made(out, "votes")
        assert before and first.poll() is None
        second = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)
        assert second.returncode == 2 and f"in use by process {first.pid}" in second.stderr
        assert len(hidden(out)) == 1 and not out.exists()
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    again = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)
    assert again.returncode == 0, again.stderr
    assert "preparation" not in again.stderr and "votes: 3 of 3" not in again.stderr
    assert files(out) == undisturbed and hidden(out) == []


def made(out, kind):
    return sum(len(list((folder / kind).glob(f"*/{MANIFEST}"))) for folder in hidden(out))


def test_what_cannot_be_prepared_leaves_nothing(finished, toy_spectra, tmp_path):
    out = tmp_path / "out"
    save_spectra(toy_spectra.assign(absorbance=toy_spectra.absorbance / 100), tmp_path / "thin.zarr")
    with pytest.raises(DataError, match="none of 160 spectra passed the quality test"):
        predict_store(finished, tmp_path / "thin.zarr", out)
    short = toy_spectra.isel(wavenumber=slice(10, None))
    save_spectra(short, tmp_path / "short.zarr")
    with pytest.raises(DataError, match="1100"):
        predict_store(finished, tmp_path / "short.zarr", out)
    assert not out.exists() and hidden(out) == []


def test_what_cannot_be_asked_is_said_before_anything_is_read(tmp_path):
    asked = {"finished": tmp_path / "none", "data": tmp_path / "x.zarr", "out": tmp_path / "out"}
    for error, words, how in (
        (SettingsError, "explained is -1", {"explained": -1}),
        (SettingsError, "workers is 0", {"workers": 0}),
        (SettingsError, "to 's3://bucket/out'", {"out": "s3://bucket/out"}),
        (StoreError, "there is no run at", {}),
    ):
        with pytest.raises(error, match=words):
            predict_store(**(asked | how))
    assert list(tmp_path.iterdir()) == []


def test_another_attempt_beside_is_told(finished, source, tmp_path):
    (tmp_path / ".out.0123456789abcdef").mkdir()
    told = []
    with pytest.raises(SettingsError, match="TLS files are for a cluster"):
        predict_store(finished, source, tmp_path / "out", tls={"ca": "x"}, report=told.append)
    assert any(".out.0123456789abcdef' is left of another prediction" in line for line in told)
