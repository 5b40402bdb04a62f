"""Real spectra all the way: brain tissue to a built book, and a tissue map through a simulated model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import balanced_accuracy_score

from ftirlib import method
from ftirlib.command.book import notebook_sources
from ftirlib.method import open_run

COMMAND = str(Path(sys.executable).with_name("ftirlib"))
# Small where no page and no assertion looks: the fusion chapter has data of its own, whatever the book's.
BOOK = [
    *("--set=baselines.models=[mean-mse, pca-lda]", "--set=members.epochs=8"),
    *("--set=explanations.samples=200", "--set=explanations.spectra=40"),
    *("--set=vaes.variants=[CP]", "--set=vaes.supervision=[0.2]"),
    *("--set=fusion.families=[scattering, statistics]", "--set=fusion.replicates=1", "--set=fusion.epochs=2"),
]
ONE_NETWORK = ["--set=baselines.models=[mean-mse]", "--set=members.count=1", "--set=members.epochs=1"]


def ftirlib(*arguments, timeout=580):
    done = subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def brain(shared_data, tmp_path_factory):
    """Path of the data set of 439 real brain spectra of 22 patients."""
    path = tmp_path_factory.mktemp("brain") / "brain.zarr"
    printed = ftirlib(
        "import",
        shared_data / "brain_atr" / "brain_atr.npz",
        path,
        *("--label", "label", "--group", "patient", "--classes", "Normal,Astrocytoma,Glioblastoma"),
        *("--positive", "Astrocytoma,Glioblastoma", "--unit", "absorbance"),
    )
    assert "439 spectra, no images, 22 groups" in printed
    return path


def test_brain_tissue_grouped_by_patient_scores_without_leakage(brain, tmp_path):
    """PCA and LDA: .56 to .68 for four divisions of the patients; .96 would mean that patients were split."""
    changes = {"workers": 1, "baselines.models": ["pca-lda"]}
    with open_run("smoke", data=str(brain), out=str(tmp_path / "run"), changes=changes) as run:
        label = method.prepared_spectra(run).label.values
        rows = np.concatenate([fold.test for fold in method.fold_rows(run)])
        probabilities = np.concatenate(
            [method.read_probabilities(method.baselines(run)["pca-lda", k].path, "test") for k in method.FOLDS]
        )
    assert np.array_equal(np.sort(rows), np.arange(439))
    assert 0.45 < balanced_accuracy_score(label[rows], probabilities.argmax(1)) < 0.80


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_page_of_the_brain_book_is_there_and_says_what_it_lacks(brain, tmp_path):
    out = tmp_path / "run"
    ftirlib("book", "--profile", "smoke", "--data", brain, "--out", out, *BOOK, timeout=1800)
    html = out / "_build" / "html"
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (html / "notebooks").glob("*.html")}
    assert len(pages) == len(notebook_sources())
    assert "has no images" in pages["01_data"] and "no picture of where a context lies" in pages["06_contexts"]
    assert "The truth behind these spectra is not known" in pages["08_truth"]
    for name, page in pages.items():
        assert "Simulated data" not in page, name
        assert "Traceback" not in page, name
    assert "fig-ens-binary" in pages["04_ensemble"] and "fig-ctx-spectra" in pages["06_contexts"]


def test_a_real_tissue_map_is_predicted_by_a_model_of_simulated_spectra(shared_data, tmp_path):
    """% transmittance, descending axis of 2 cm-1, paraffin: imported, masked, prepared, interpolated, drawn."""
    source = shared_data / "tissue_map" / "specio_fsm_T_1800_1000.npz"
    printed = ftirlib("import", source, tmp_path / "map.zarr", "--unit", "percent", "--pixel-size-um", 6.25)
    assert "7998 spectra, 1 images" in printed
    ftirlib("run", "--profile", "smoke", "--out", tmp_path / "run", "--until", "ensemble", *ONE_NETWORK)
    printed = ftirlib("predict", tmp_path / "run", tmp_path / "map.zarr", tmp_path / "out")
    found = xr.open_zarr(tmp_path / "out" / "predictions.zarr", consolidated=False)
    assert 0.5 < found.sizes["spectrum"] / 7998 < 1
    assert np.isfinite(found.votes.values).all()
    assert found.attrs["trained_on_simulated"] and "not for any diagnosis" in printed
    assert len(list((tmp_path / "out").glob("*.png"))) == 1
