"""The whole road at the smoke profile: run, run again, kill, tear, predict, and every refusal of the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ftirlib.run import stages
from ftirlib.run.runner import open_run
from ftirlib.run.store import Store
from ftirlib.spectra.model import make_spectra, open_spectra, save_spectra

COMMAND = str(Path(sys.executable).with_name("ftirlib"))
SMALL = {"workers": 2, "members.epochs": 2, "vaes.epochs": 2, "explanations.samples": 200, "vaes.supervision": [0.2]}
PLAIN = "--set=preparation.recipe=[{cut: {low: 1000, high: 1800}}, {vector: {}}]"
FLAGS = [f"--set={name}={value}" for name, value in SMALL.items()]


def ftirlib(*arguments, **options):
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=540, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a whole run at the smoke profile."""
    out = tmp_path_factory.mktemp("smoke") / "run"
    done = ftirlib("run", "--profile", "smoke", "--out", out, *FLAGS)
    assert done.returncode == 0, done.stderr
    return out


def checksums(root):
    """What a run's artefacts hold: names and hashes of files, without the times in the manifests."""
    store = Store(root)
    return {name: {f: v["sha256"] for f, v in store.manifest(name)["files"].items()} for name in store.names()}


def test_every_spectrum_is_tested_once_by_a_model_that_never_saw_its_group(finished):
    with open_run("smoke", out=finished, changes=SMALL) as run:
        data = stages.prepared(run)
        tested = np.concatenate([fold.test for fold in stages.folds(run)])
        assert np.array_equal(np.sort(tested), np.arange(data.sizes["spectrum"]))
        for fold in stages.folds(run):
            sides = [set(data.group.values[rows]) for rows in (fold.train, fold.validation, fold.test)]
            assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert run.made == []


def test_scores_have_their_majority_and_intervals(finished):
    with open_run("smoke", out=finished, changes=SMALL) as run:
        table = stages.scores(run)
    assert set(table.columns) == {"model", "target", "score", "mean", "sd", "low", "high", "majority"}
    assert {"mean-mse", "mean-cosine", "pca-lda", "pca-xgb", "xgb", "mscnn", "emscnn", "CP-0.2"} == set(table.model)
    assert set(table[table.model == "CP-0.2"].target) == {"labels", "ensemble"}
    counted = table[table.score == "accuracy"]
    assert (counted.low <= counted.high).all() and counted.majority.between(0, 1).all()


def test_running_again_makes_nothing_and_changes_no_byte(finished):
    before = checksums(finished)
    done = ftirlib("run", "--profile", "smoke", "--out", finished, *FLAGS)
    assert done.returncode == 0 and "0 artefacts made" in done.stdout
    assert checksums(finished) == before


def test_a_torn_artefact_alone_is_made_again_with_the_same_bytes(finished):
    before = checksums(finished)
    victim = finished / "members" / "fold1-seed0" / "model" / "network.safetensors"
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    assert "torn: members/fold1-seed0" in ftirlib("verify", finished).stdout
    done = ftirlib("run", "--profile", "smoke", "--out", finished, *FLAGS)
    assert "members: 1 of 8 to make" in done.stderr
    assert checksums(finished) == before
    assert ftirlib("verify", finished).returncode == 0


def test_a_killed_run_goes_on_to_the_same_bytes(finished, tmp_path):
    """SIGKILL while networks are trained; the second run must give what the undisturbed one gave."""
    out = tmp_path / "run"
    arguments = [COMMAND, "run", "--profile", "smoke", "--out", str(out), "--until", "ensemble", *FLAGS]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.time() + 300
    while time.time() < deadline and not (out / "members").is_dir():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "ensemble").exists()
    assert ftirlib("run", "--profile", "smoke", "--out", out, "--until", "ensemble", *FLAGS).returncode == 0
    wanted = checksums(finished)
    assert checksums(out) == {name: wanted[name] for name in checksums(out)}
    assert "ensemble" in checksums(out)


def test_a_changed_setting_remakes_only_what_depends_on_it(finished):
    with open_run("smoke", out=finished, changes=SMALL | {"contexts.count": 4}) as run:
        stages.contexts(run)
        assert {name.split("/")[0] for name in run.made} == {"contexts"}


def test_a_linear_models_json_reads_without_the_library(finished):
    text = json.loads((finished / "contexts" / "fold0-CP-0.2" / "linear.json").read_text())
    assert text["class_names"] == ["normal", "hyperplastic", "adenomatous", "cancerous"]


def test_new_spectra_are_predicted_with_pictures(finished, tmp_path):
    source = finished / "spectra" / "spectra.zarr"
    done = ftirlib("predict", finished, source, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = xr.open_zarr(tmp_path / "out" / "predictions.zarr", consolidated=False)
    assert np.allclose(found.votes.sum("class"), 1, atol=1e-5)
    assert found.sizes["spectrum"] == open_spectra(finished / "prepared" / "spectra.zarr").sizes["spectrum"]
    assert len(list((tmp_path / "out").glob("*.png"))) == len(found.attrs["image_names"])
    assert "simulated" in done.stdout
    again = ftirlib("predict", finished, source, tmp_path / "out")
    assert again.returncode == 2 and "exists" in again.stderr


def one_sentence(done, words):
    """A known error: exit status 2, one line, the words in it, and no traceback."""
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("ftirlib: ")]
    assert len(lines) == 1 and words in lines[0], done.stderr
    assert "Traceback" not in done.stderr


def spectra(**changes):
    rng = np.random.default_rng(0)
    values = {
        "absorbance": rng.random((80, 81)) + 1,
        "wavenumber": np.linspace(1000, 1800, 81),
        "label": np.repeat(["a", "b"], 40),
        "group": np.repeat([f"p{k}" for k in range(8)], 10),
    }
    return make_spectra(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": np.repeat("a", 80)}, "needs at least two"),
        ({"group": np.repeat(["p0"], 80), "attrs": {"label_level": "spectrum"}}, "for 4 folds"),
        ({"group": np.tile(np.repeat(["p0", "p1", "p2"], 14), 2)[:80], "attrs": {"label_level": "spectrum"}}, "folds"),
        ({"label": np.repeat("", 80)}, "labels"),
        ({"wavenumber": np.linspace(1400, 2200, 81)}, "1400"),
    ],
    ids=["one class", "one group", "fewer groups than folds", "no labels", "axis outside the recipe"],
)
def test_data_that_cannot_be_learned_from(tmp_path, changes, words):
    save_spectra(spectra(**changes), tmp_path / "data.zarr")
    done = ftirlib("run", "--profile", "smoke", "--data", tmp_path / "data.zarr", "--out", tmp_path / "run", PLAIN)
    one_sentence(done, words)


def test_an_all_zero_spectrum_is_named(tmp_path):
    absorbance = np.random.default_rng(0).random((80, 81)) + 1
    absorbance[17] = 0
    save_spectra(spectra(absorbance=absorbance), tmp_path / "data.zarr")
    done = ftirlib("run", "--profile", "smoke", "--data", tmp_path / "data.zarr", "--out", tmp_path / "run", PLAIN)
    one_sentence(done, "spectrum 17")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--data", "nothing.zarr"], "there is no data set at"),
        (["run", "--data", __file__], "is not a Zarr"),
        (["run", "--profile", "huge"], "there is no profile 'huge'"),
        (["run", "--profile", "smoke", "--set", "members.epoch=3"], "did you mean 'members.epochs'"),
        (["run", "--profile", "smoke", "--set", "members.epochs=few"], "members.epochs"),
        (["run", "--profile", "smoke", "--until", "everything"], "there is no stage 'everything'"),
        (["run", "--profile", "smoke", "--scheduler", "tcp://127.0.0.1:9"], "no Dask scheduler answers"),
        (["predict", "nowhere", "data.zarr", "out"], "there is no run at 'nowhere'"),
        (["verify", "nowhere"], "there is no run at 'nowhere'"),
        (["import", "nothing.npz", "out.zarr"], "nothing.npz"),
        (["run", "--colour", "red"], "--colour"),
        (["check", "nothing.zarr"], "there is no data set at"),
    ],
)
def test_refusals(tmp_path, arguments, words):
    one_sentence(ftirlib(*arguments, cwd=tmp_path, env=os.environ | {"FTIRLIB_RESULTS": str(tmp_path / "r")}), words)


def test_a_full_disk_in_the_middle_of_a_stage(tmp_path):
    """A disk of 2 MB: one sentence, and nothing that a later run would trust."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("making a small disk needs the right to mount one")
    try:
        done = ftirlib("run", "--profile", "smoke", "--out", disk / "run")
        one_sentence(done, "make room")
        assert Store(disk / "run").names() == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
