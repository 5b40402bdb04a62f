"""The whole road at the smoke profile: run, run again, kill, tear, predict, and every refusal of the command line."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from shown import contexts as context_views
from shown import linear as linear_views
from shown import pathways as pathway_views
from shown import results
from shown import truth as truth_views
from small_runs import checksums

from ftirlib import method
from ftirlib.engine.store import Store
from ftirlib.explain.crime import context_controls
from ftirlib.explain.crime.contexts import Contexts
from ftirlib.explain.crime.settings import VaeSettings
from ftirlib.explain.linear.linear import LinearClassifier
from ftirlib.method import open_run
from ftirlib.method.crime import make_vae, token_patch
from ftirlib.method.models import task_seed
from ftirlib.method.predict import EXPLAINED
from ftirlib.spectra.model import make_spectra, open_spectra
from ftirlib.spectra.writer import save_spectra

COMMAND = str(Path(sys.executable).with_name("ftirlib"))
SMALL = {
    "workers": 2,
    "members.epochs": 2,
    "explanations.samples": 200,
    "vaes.epochs": 2,
    "vaes.variants": ["CP", "TT"],
    "vaes.supervision": [0.2],
}
VAES = ["CP-0.2", "TT-0.2"]
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


def test_every_spectrum_is_tested_once_by_a_model_that_never_saw_its_group(finished):
    with open_run("smoke", out=finished, changes=SMALL) as run:
        data = method.prepared_spectra(run)
        tested = np.concatenate([fold.test for fold in method.fold_rows(run)])
        assert np.array_equal(np.sort(tested), np.arange(data.sizes["spectrum"]))
        for fold in method.fold_rows(run):
            sides = [set(data.group.values[rows]) for rows in (fold.train, fold.validation, fold.test)]
            assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert run.made == []


def test_scores_have_their_majority_and_intervals(finished):
    with open_run("smoke", out=finished, changes=SMALL) as run:
        table = method.model_scores(run)
    assert set(table.columns) == {"model", "target", "score", "mean", "sd", "low", "high", "majority"}
    assert {"mean-mse", "mean-cosine", "pca-lda", "pca-xgb", "xgb", "mscnn", "emscnn", *VAES} == set(table.model)
    for name in VAES:
        assert set(table[table.model == name].target) == {"labels", "ensemble"}
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
    changes = SMALL | {"contexts.count": 4, "contexts.latent": "mean+log_variance"}
    with open_run("smoke", out=finished, changes=changes) as run:
        folders = method.contexts(run)
        assert {name.split("/")[0] for name in run.made} == {"contexts"}
        assert Contexts.load(folders[0, "CP-0.2"].path / "contexts.npz").centres.shape == (4, 8)


def test_a_patch_is_stated_and_scaled_to_the_axis(finished):
    with open_run("smoke", out=finished, changes=SMALL) as run:
        assert context_views.patches_text(run) == "CP: no tokens; TT: patch of 89 points"
    assert [token_patch("TT", 89, n) for n in (801, 401, 81, 3)] == [89, 45, 9, 1]
    settings = VaeSettings(variant="TT", patch=89)
    with pytest.warns(UserWarning, match="2 x 401 points is no multiple of the patch of 45: .* last 37"):
        make_vae(settings, "cpu", 0, 401)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_vae(settings, "cpu", 0, 801)
        make_vae(VaeSettings(variant="CP"), "cpu", 0, 401)


def test_replicates_differ_by_their_seed_and_have_names_of_their_own(tmp_path):
    with open_run("smoke", out=tmp_path, changes=SMALL | {"vaes.seeds": 2}) as run:
        assert method.vae_names(run) == ["CP-0.2", "CP-0.2-seed1", "TT-0.2", "TT-0.2-seed1"]
        assert method.vae_names(run, replicates=False) == VAES
        assert task_seed(run, 0, 1000) != task_seed(run, 0, 1001)


def test_the_autoencoder_shown_is_chosen_without_the_test_sets(finished):
    with open_run("smoke", out=finished, changes=SMALL) as run:
        table = results.validation_table(run).set_index("model").validation
        assert results.best_vae(run) == table.idxmax()
        label = method.prepared_spectra(run).label.values
        recalls = []
        for k, fold in enumerate(method.fold_rows(run)):
            answer = np.load(method.contexts(run)[k, "TT-0.2"].path / "assigned.npz")["linear_validation"]
            truth = label[fold.validation]
            recalls.append(np.mean([(answer[truth == c] == c).mean() for c in np.unique(truth)]))
        assert table["TT-0.2"] == pytest.approx(np.mean(recalls))


def test_models_are_compared_in_pairs(finished):
    with open_run("smoke", out=finished, changes=SMALL) as run:
        table = linear_views.paired_models(run, "CP-0.2").set_index(["model", "score"])
        rows = np.concatenate([fold.test for fold in method.fold_rows(run)])
        label = method.prepared_spectra(run).label.values[rows]
        found = {n: np.concatenate([a["predicted"] for a in method.predictions(run)[n]]) for n in VAES}
    difference = (found["TT-0.2"] == label).mean() - (found["CP-0.2"] == label).mean()
    assert table.difference["TT-0.2", "accuracy"] == pytest.approx(difference)
    assert "CP-0.2" not in table.index.get_level_values("model")


def test_every_linear_model_has_a_page_beside_its_json(finished):
    for k in method.FOLDS:
        for name in VAES:
            card = finished / "cards" / f"fold{k}-{name}"
            page = (card / "card.html").read_text(encoding="utf-8")
            assert f"Linear model of {name}, fold {k + 1}" in page and "against the ensemble" in page
            assert "simulated" in page
            source = finished / "contexts" / f"fold{k}-{name}" / "linear.json"
            assert (card / "linear.json").read_bytes() == source.read_bytes()


def test_controls_lack_one_thing_each_and_are_scored_as_the_autoencoder_is(finished):
    with open_run("smoke", out=finished, changes=SMALL) as run:
        for k, made in enumerate(method.controls(run)):
            assert set(made) == {*context_controls.TRAINED, *context_controls.PLAIN}
            view = context_views.context_view(run, "CP-0.2", k)
            assert {len(assigned) for assigned in made.values()} == {len(view.rows)}
            assert np.array_equal(np.bincount(made["sizes alone"]), np.bincount(view.assigned))
        table = pathway_views.control_table(run)
        assert set(table.contexts) == {*made, "contexts of CP-0.2", "contexts of TT-0.2"}
        assert (table[table.contexts == "contexts of CP-0.2"].difference == 0).all()
        assert run.made == []


def test_purity_curves_and_the_leads_between_them(finished):
    with open_run("smoke", out=finished, changes=SMALL) as run:
        purities, leads = pathway_views.purity_curves(run, "CP-0.2")
    assert list(purities) == list(leads) == ["contexts of CP-0.2", *pathway_views.CONTROLS]
    ours = np.array(purities["contexts of CP-0.2"][1])
    for what, (counts, lead, low, high) in leads.items():
        assert purities[what][0] == counts and counts == sorted(counts)
        np.testing.assert_allclose(lead, ours - purities[what][1])
        assert (low <= high).all()
    assert not np.any(leads["contexts of CP-0.2"][1:])


def test_mislabelled_pixels_are_sought_by_contexts_and_by_the_vote(finished):
    with open_run("smoke", out=finished, changes=SMALL) as run:
        table = truth_views.mislabel_tables(run).set_index(["suspicion", "level"])
        truth = method.prepared_spectra(run).truth_mislabelled.values.astype(bool)
        rows = np.concatenate([context_views.context_view(run, "CP-0.2", k).rows for k in method.FOLDS])
    assert set(table.index) == {
        ("contexts of CP-0.2", "pixel"),
        ("contexts of CP-0.2", "context"),
        ("contexts of TT-0.2", "pixel"),
        ("contexts of TT-0.2", "context"),
        ("ensemble's vote", "pixel"),
    }
    assert (table.xs("pixel", level="level").true == truth[rows].sum()).all()


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
    name = found.attrs["autoencoder"]
    linear = LinearClassifier.load(finished / "contexts" / f"fold0-{name}" / "linear.json")
    spectra = open_spectra(finished / "prepared" / "spectra.zarr").absorbance.values
    assert np.array_equal(found.linear_predicted, linear.predict(spectra))
    assert found.context.max() < len(found.attrs["contexts"]) and (found.context >= 0).sum() == EXPLAINED
    assert set(found.image.values[found.context >= 0]) == set(range(len(found.attrs["image_names"])))
    assert f"{EXPLAINED} spectra were explained" in done.stdout
    with np.load(tmp_path / "out" / "predictions.npz") as arrays:
        assert np.array_equal(arrays["context"], found.context)
    again = ftirlib("predict", finished, source, tmp_path / "out")
    assert again.returncode == 2 and "exists" in again.stderr


def test_spectra_that_were_prepared_already_are_refused(finished, tmp_path):
    done = ftirlib("predict", finished, finished / "prepared" / "spectra.zarr", tmp_path / "out")
    one_sentence(done, "takes spectra prepared by: nothing")
    assert not (tmp_path / "out").exists()


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
