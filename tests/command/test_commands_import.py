"""The commands that get, import and check data: what they print, what they refuse, and how they end."""

import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from colorectal_layout import write_cohort
from instrument_files import AXIS, tissue_cube, write_envi
from record_repository import Repository

from ftirlib import method
from ftirlib.command import cli
from ftirlib.command import data as data_commands
from ftirlib.method import open_run
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.writer import save_spectra

CLASSES = ("NC", "CRC", "CRLM")
# All classes in each of three arrays, and enough patients for folds; one of them lies in two arrays.
BALANCED = {n: [(f"{'BCDEFG'[k]}{n}", CLASSES[k % 3], f"{k}{n}_0{n}", "yes") for k in range(6)] for n in (1, 2, 3)}
BALANCED[2][0] = ("B2", "NC", "01/01", "yes")
SMALL = [
    *("--set=baselines.models=[mean-mse,pca-lda]", "--set=members.epochs=1", "--set=vaes.epochs=1"),
    *("--set=vaes.variants=[CP]", "--set=vaes.supervision=[0.2]", "--set=explanations.samples=100"),
    *("--set=explanations.spectra=20", "--set=explanations.background=60"),
    *("--set=fusion.families=[scattering,statistics]", "--set=fusion.epochs=1"),
]


@pytest.fixture
def ftirlib(monkeypatch, capsys):
    """Call the command line in this process: exit status, what it printed, what it complained of."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["ftirlib", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return end.value.code or 0, said.out, said.err

    return call


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture
def cubes(tmp_path, rng):
    """A folder of eight ENVI images beside their table of labels."""
    return write_cubes(tmp_path, rng, "cubes")


def write_cubes(folder, rng, name):
    home = folder / name
    home.mkdir()
    for k in range(8):
        header, data = write_envi(home, tissue_cube(rng), "bip")
        data.rename(home / f"c{k}.dat")
        header.rename(home / f"c{k}.hdr")
    rows = [f"c{k},{'normal' if k % 2 else 'tumour'},p{k},day {k // 4}" for k in range(8)]
    (folder / "labels.csv").write_text("\n".join(["core,label,patient,batch", *rows]) + "\n")
    return home


def one_sentence(text):
    return text.startswith("ftirlib: ") and text.count("\n") == 1 and "Traceback" not in text


# --- import ----------------------------------------------------------------------------------------------------------


def test_cohort_is_recognised_and_a_dry_run_writes_nothing(ftirlib, cohort, tmp_path):
    status, printed, _ = ftirlib("import", cohort, tmp_path / "crc.zarr", "--dry-run")
    assert status == 0
    assert "12 cores of 9 patients" in printed and "is taken for one, 2941/00" in printed
    assert "simple liver" in printed and "nothing was written" in printed
    assert list(tmp_path.iterdir()) == []


def test_cohort_is_imported_core_by_core(ftirlib, cohort, tmp_path):
    status, printed, progress = ftirlib("import", cohort, tmp_path / "crc.zarr", "--low", 1000, "--high", 1800)
    assert status == 0 and progress.count("spectra") == 12
    data = open_spectra(tmp_path / "crc.zarr")
    assert data.attrs["class_names"] == ["NC", "CRC", "CRLM"] and data.attrs["positive_classes"] == ["CRC", "CRLM"]
    assert len(data.attrs["image_names"]) == 12 and len(data.attrs["group_names"]) == 9
    assert f"{data.sizes['spectrum']} spectra, 12 images, 9 groups" in printed


def test_cores_arrays_classes_and_mask_are_chosen(ftirlib, cohort, tmp_path):
    chosen = ("--arrays", "1,2", "--cores", "B1,TMA2_C2", "--classes", "CRC,NC", "--tissue", "none")
    assert ftirlib("import", cohort, tmp_path / "few.zarr", *chosen, "--minimum-snr", 0)[0] == 0
    data = open_spectra(tmp_path / "few.zarr")
    assert data.attrs["image_names"] == ["TMA1_B1", "TMA2_C2"] and data.attrs["class_names"] == ["CRC", "NC"]
    assert data.sizes["spectrum"] == 2 * 6 * 7


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--unit", "percent"], "--unit"),
        (["--labels", "t.csv"], "--labels"),
        (["--positive", "CRC"], "--positive"),
        (["--step", "4"], "--step"),
        (["--group", ""], "--group"),
        (["--arrays", "1,x"], "no list of numbers"),
        (["--arrays", "9"], "no array 9"),
        (["--cores", "H9"], "no core"),
    ],
)
def test_what_does_not_apply_to_the_cohort_is_refused(ftirlib, cohort, tmp_path, words, named):
    status, _, complaint = ftirlib("import", cohort, tmp_path / "x.zarr", *words)
    assert status == 2 and named in complaint and complaint.count("ftirlib: ") == 1
    assert not (tmp_path / "x.zarr").exists()


@pytest.mark.parametrize("option", [["--arrays", "1"], ["--cores", "B1"], ["--tissue", "none"], ["--minimum-snr", "3"]])
def test_what_is_for_the_cohort_is_refused_elsewhere(ftirlib, cubes, tmp_path, option):
    status, _, complaint = ftirlib("import", cubes, tmp_path / "x.zarr", "--unit", "absorbance", *option)
    assert status == 2 and one_sentence(complaint) and option[0] in complaint


def test_folder_with_a_table_of_labels(ftirlib, cubes, tmp_path):
    words = ("--labels", tmp_path / "labels.csv", "--unit", "absorbance", "--classes", "normal,tumour")
    status, printed, _ = ftirlib("import", cubes, tmp_path / "x.zarr", *words, "--dry-run")
    assert status == 0 and "8 files (8 ENVI), 8 images, 128 spectra, 8 groups" in printed
    assert not (tmp_path / "x.zarr").exists()
    assert ftirlib("import", cubes, tmp_path / "x.zarr", *words)[0] == 0
    data = open_spectra(tmp_path / "x.zarr")
    assert data.attrs["image_batches"] == ["day 0"] * 4 + ["day 1"] * 4
    assert np.array_equal(data.wavenumber.values, AXIS)


def test_pattern_and_several_files_give_the_same(ftirlib, cubes, tmp_path):
    assert ftirlib("import", cubes / "c[01].hdr", tmp_path / "a.zarr", "--unit", "absorbance")[0] == 0
    both = (cubes / "c0.hdr", cubes / "c1.hdr")
    assert ftirlib("import", *both, tmp_path / "b.zarr", "--unit", "absorbance")[0] == 0
    a, b = (open_spectra(tmp_path / f"{name}.zarr") for name in "ab")
    assert np.array_equal(a.absorbance.values, b.absorbance.values) and a.attrs["image_names"] == ["c0", "c1"]


def test_bad_file_is_refused_unless_skipped(ftirlib, cubes, tmp_path):
    with open(cubes / "c3.dat", "r+b") as file:
        file.truncate(100)
    words = ("import", cubes, tmp_path / "x.zarr", "--unit", "absorbance")
    status, printed, _ = ftirlib(*words, "--dry-run")
    assert status == 0 and "bad: c3" in printed and "--skip-bad" in printed
    status, _, complaint = ftirlib(*words)
    assert status == 2 and one_sentence(complaint) and not (tmp_path / "x.zarr").exists()
    status, printed, _ = ftirlib(*words, "--skip-bad")
    assert status == 0 and "left out: c3" in printed
    assert len(open_spectra(tmp_path / "x.zarr").attrs["image_names"]) == 7


def test_public_set_is_imported_by_its_name_with_its_licence(ftirlib, tmp_path, monkeypatch, rng):
    table = pd.DataFrame(rng.uniform(0.1, 0.9, (6, 40)), columns=np.linspace(1000, 1800, 40).round(2))
    table.insert(0, "type", ["a", "b", "a", "b", "a", "b"])
    table.to_csv(tmp_path / "t.csv", index=False)
    known = {"label": "type", "unit": "absorbance", "licence": "one of theirs", "provenance": "there"}
    monkeypatch.setattr(data_commands, "get_public_set", lambda name: tmp_path / "t.csv")
    monkeypatch.setattr(data_commands, "import_options", lambda name: known)
    assert ftirlib("import", "tissue-components", tmp_path / "x.zarr", "--provenance", "mine")[0] == 0
    attrs = open_spectra(tmp_path / "x.zarr").attrs
    assert (attrs["licence"], attrs["provenance"]) == ("one of theirs", "mine")
    assert attrs["class_names"] == ["a", "b"]


# --- get -------------------------------------------------------------------------------------------------------------


def test_list_of_sets_has_size_licence_and_content(ftirlib):
    status, printed, _ = ftirlib("get", "--list")
    assert status == 0
    for name in ("tissue-components", "tissue-map", "crc"):
        assert f"{name}  (" in printed
    assert printed.count("licence:") == printed.count("  (") and "21 GB" in printed


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["get"], "get NAME"),
        (["get", "crc", "--list"], "get NAME"),
        (["get", "nothing"], "there is no set 'nothing'"),
        (["get", "crc"], "--cores"),
        (["get", "crc", "--cores", "B1", "--archive", "a.zip"], "--archive"),
        (["get", "tissue-map", "--cores", "B1"], "--cores"),
        (["get", "tissue-map", "--archive", "nothing.tar.gz"], "no archive at"),
    ],
)
def test_get_refuses_in_one_sentence(ftirlib, tmp_path, monkeypatch, words, named):
    monkeypatch.setenv("FTIRLIB_CACHE", str(tmp_path / "cache"))
    status, _, complaint = ftirlib(*words)
    assert status == 2 and one_sentence(complaint) and named in complaint


def test_wrong_archive_is_refused_by_its_hash(ftirlib, tmp_path, monkeypatch):
    monkeypatch.setenv("FTIRLIB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.tar.gz").write_bytes(b"something else")
    status, _, complaint = ftirlib("get", "tissue-map", "--archive", tmp_path / "a.tar.gz")
    assert status == 2 and one_sentence(complaint) and "SHA-256" in complaint
    assert not list(tmp_path.rglob("*.fsm"))


def test_chosen_cores_are_fetched_and_imported(ftirlib, cohort, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    repository = Repository({path.name: path.read_bytes() for path in cohort.rglob("*") if path.is_file()})
    threading.Thread(target=repository.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        words = ("get", "crc", "--cores", "B1,TMA2_C2", "--address", repository.base)
        status, printed, progress = ftirlib(*words)
        assert status == 0 and "licence: cc-by-4.0" in progress
        assert printed.splitlines()[0] == "multimodal_CRC_dataset"
        asked = len(repository.asked)
        assert ftirlib(*words)[0] == 0 and len(repository.asked) == asked
    finally:
        repository.server.shutdown()
        repository.server.server_close()
    command = printed.splitlines()[-1].partition("ftirlib ")[2].split()
    assert ftirlib(*command)[0] == 0
    data = open_spectra("crc.zarr")
    assert data.attrs["image_names"] == ["TMA1_B1", "TMA2_C2"] and data.attrs["licence"] == "cc-by-4.0"


# --- check -----------------------------------------------------------------------------------------------------------


def test_fit_data_end_well(ftirlib, toy_spectra, tmp_path):
    save_spectra(toy_spectra, tmp_path / "toy.zarr")
    status, printed, _ = ftirlib("check", tmp_path / "toy.zarr")
    assert status == 0 and "four folds that keep groups whole are possible" in printed and "problem" not in printed


def test_confounded_cohort_ends_badly_and_says_why(ftirlib, cohort, tmp_path):
    ftirlib("import", cohort, tmp_path / "crc.zarr")
    status, printed, _ = ftirlib("check", tmp_path / "crc.zarr", "--page", tmp_path / "crc.html")
    assert status == 1 and "class CRLM has its batches (TMA3) to itself" in printed
    page = (tmp_path / "crc.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "class CRLM has its batches" in page and "<svg" in page


def test_values_that_are_not_finite_are_counted(ftirlib, toy_spectra, tmp_path):
    save_spectra(toy_spectra, tmp_path / "toy.zarr")
    import zarr

    zarr.open(tmp_path / "toy.zarr")["absorbance"][3, 4] = np.nan
    status, printed, complaint = ftirlib("check", tmp_path / "toy.zarr")
    assert status == 1 and "1 spectra hold NaN" in printed and not complaint


def test_batches_come_from_a_table(ftirlib, toy_spectra, tmp_path):
    save_spectra(toy_spectra, tmp_path / "toy.zarr")
    names, label = toy_spectra.attrs["image_names"], toy_spectra.label.values
    classes = [int(label[toy_spectra.image.values == k][0]) for k in range(len(names))]
    lines = [f"{name},day {code}" for name, code in zip(names, classes)]
    (tmp_path / "days.csv").write_text("\n".join(["core,batch", *lines]) + "\n")
    status, printed, _ = ftirlib("check", tmp_path / "toy.zarr", "--batch", tmp_path / "days.csv")
    assert status == 1 and "has its batches (day 0) to itself" in printed
    (tmp_path / "days.csv").write_text("\n".join(["core,batch", *lines[1:]]) + "\n")
    status, _, complaint = ftirlib("check", tmp_path / "toy.zarr", "--batch", tmp_path / "days.csv")
    assert status == 2 and one_sentence(complaint) and f"no batch for image '{names[0]}'" in complaint


# --- the whole road --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    """Folder with the balanced cohort as a data set."""
    folder = tmp_path_factory.mktemp("road")
    cohort = write_cohort(folder, table=BALANCED)
    data_commands.import_store([str(cohort)], str(folder / "crc.zarr"), dry_run=False, low=1000.0, high=1800.0)
    return folder


def test_cohort_goes_from_files_to_baselines(ftirlib, road):
    assert ftirlib("check", road / "crc.zarr")[0] == 0
    words = ("--profile", "smoke", "--data", road / "crc.zarr", "--out", road / "run", *SMALL)
    status, _, complaint = ftirlib("run", *words, "--until", "baselines")
    assert status == 0, complaint
    with open_run("smoke", data=str(road / "crc.zarr"), out=str(road / "run")) as run:
        group = method.prepared_spectra(run).group.values
        for fold in method.fold_rows(run):  # the patient of two arrays stays on one side
            assert not set(group[fold.train]) & set(group[fold.test])


@pytest.mark.long
def test_cohort_goes_on_to_scores(ftirlib, road):
    words = ("--profile", "smoke", "--data", road / "crc.zarr", "--out", road / "run", *SMALL)
    status, printed, complaint = ftirlib("run", *words)
    assert status == 0, complaint
    assert "emscnn" in printed and "balanced accuracy against labels" in printed


@pytest.mark.long
def test_cohort_becomes_a_book(ftirlib, road):
    words = ("--profile", "smoke", "--data", road / "crc.zarr", "--out", road / "run", *SMALL)
    status, printed, complaint = ftirlib("book", *words)
    assert status == 0, complaint
    page = (road / "run" / "_build" / "html" / "notebooks" / "01_data.html").read_text(encoding="utf-8")
    assert "Borkovits" in page and "Simulated data" not in page
    shutil.rmtree(road / "run")
    assert Path(printed.split("book: ")[1].split(" (")[0]).name == "index.html"
