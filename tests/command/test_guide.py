"""Every command of the guide to one's own spectra, as it is written there, by a user who has the files it names."""

import os
import re
import shlex
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from colorectal_layout import write_cohort
from conftest import ROOT
from instrument_files import AXIS, tissue_cube
from record_repository import Repository
from test_commands_import import BALANCED, write_cubes

from ftirlib.spectra.model import make_spectra, open_spectra
from ftirlib.spectra.writer import save_spectra

COMMAND = str(Path(sys.executable).with_name("ftirlib"))
FETCHED = "tissue-components"  # by pip: the only command that needs a package index
QUICK = ["--set=members.epochs=1", "--set=members.count=1", "--set=baselines.models=[mean-mse]"]


def fenced(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def commands(text):
    """Commands of the shell blocks, continued lines joined, comments left out."""
    joined = "".join(fenced(text, "bash")).replace("\\\n", " ")
    return [" ".join(shlex.split(line, comments=True)) for line in joined.splitlines() if line.strip()]


GUIDE = (ROOT / "book" / "your_data.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8").split("## Your own spectra")[1].split("\n## ")[0]
WRITTEN = commands(GUIDE)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's folder with the files that the page names."""
    rng = np.random.default_rng(0)
    home = tmp_path_factory.mktemp("user")
    (home / "data").mkdir()
    write_cubes(home, rng, "cores")
    spectra = tissue_cube(rng, 8, 5).reshape(40, -1)
    diagnosis = np.repeat(["healthy", "ill"], 20)
    patient = np.repeat([f"p{k}" for k in range(8)], 5)
    np.savez(home / "spectra.npz", absorbance=spectra, wavenumber=AXIS, diagnosis=diagnosis, patient=patient)
    save_spectra(make_spectra(spectra, AXIS), home / "data" / "new.zarr")
    return home


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A server in place of the cohort's, with small cores in the same layout."""
    cohort = write_cohort(tmp_path_factory.mktemp("served"), table=BALANCED)
    found = Repository({path.name: path.read_bytes() for path in cohort.rglob("*") if path.is_file()})
    threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield found.base
    found.server.shutdown()
    found.server.server_close()


def run(words, home, **variables):
    environment = {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "all_proxy")}
    environment |= {"no_proxy": "127.0.0.1", "OMP_NUM_THREADS": "1", **variables}
    if FETCHED in words:
        environment = {**os.environ, "PIP_RETRIES": "1", "FTIRLIB_CACHE": str(home / "cache")}
    return subprocess.run(words, cwd=home, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("line", WRITTEN)
def test_command_does_what_the_page_says(line, home, repository):
    words = shlex.split(line)
    if words[0] == "make":
        words = expanded(words, home)
    assert words[0] == ".venv/bin/ftirlib"
    words = [COMMAND, *words[1:]]
    if words[1:3] == ["get", "crc"]:
        words += ["--address", repository]
    if words[1] == "predict":
        finish_a_run(home, words[2])
    done = run(words, home)
    if done.returncode and FETCHED in words and "network" in done.stderr:
        pytest.skip(f"no package index answers: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    for word in words[2:]:
        if word.startswith("data/") and word.endswith(".zarr") and "--dry-run" not in words:
            assert open_spectra(home / word).sizes["spectrum"] > 0
    for option, written in pairwise(words):
        if option == "--page":
            assert (home / written).read_text(encoding="utf-8").startswith("<!doctype html>")


def expanded(words, home):
    """What ``make book`` would run, at the smallest size and as far as the folds; books are built by other tests."""
    # these tests may run under make, which would tell this one that it is not the first
    plain = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    shown = subprocess.run(["make", "-n", "-o", "env", *words[1:]], cwd=ROOT, capture_output=True, text=True, env=plain)
    if shown.returncode == 127:
        pytest.skip("make is not installed")
    line = shlex.split(shown.stdout.strip().splitlines()[-1])
    assert line[:2] == [".venv/bin/ftirlib", "book"] and "--data" in line
    line[line.index("--profile") + 1] = "smoke"
    return [line[0], "run", *line[2:], "--out", str(home / "results" / "try"), "--until", "folds"]


def finish_a_run(home, out):
    """The folder of a finished run that the page predicts with."""
    options = ("--profile", "smoke", "--data", "data/mine.zarr", "--out", out, "--until", "ensemble", *QUICK)
    done = run([COMMAND, "run", *options], home)
    assert done.returncode == 0, done.stderr


def test_python_of_the_guide_runs(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    (code,) = fenced(GUIDE, "python")
    known = {
        "absorbance": tissue_cube(rng, 2, 3).reshape(6, -1),
        "wavenumber": AXIS,
        "diagnosis": ["healthy"] * 2 + ["ill"] * 4,
        "patient": list("aabbcc"),
    }
    exec(code, known)
    assert open_spectra("data/arrays.zarr").sizes["spectrum"] == 6


def test_readme_has_commands_of_the_guide_only():
    lines = commands(README)
    assert len(lines) > 5 and set(lines) <= set(WRITTEN)


@pytest.mark.parametrize(
    "step",
    ["import cores", "--dry-run", "check", "get --list", "get crc", "import multimodal_CRC_dataset", "make book"],
)
def test_guide_has_every_step(step):
    assert any(step in line for line in WRITTEN)
