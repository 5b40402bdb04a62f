"""What a cohort's size costs a process: a few integers and answers for each further spectrum, never its absorbance."""

import gc
import shutil
import tracemalloc

import numpy as np
import pytest
from shown.scale import limit_text

from ftirlib.classify import prediction
from ftirlib.classify.settings import MSCNNSettings, TrainingSettings
from ftirlib.method import data as data_stages
from ftirlib.method import lime, models
from ftirlib.method import scores as score_stages
from ftirlib.report.memory import (
    BOUND,
    COHORT_PARTS,
    cohort_memory,
    first_beyond,
    memory_line,
    memory_needed,
)
from ftirlib.spectra import folds
from ftirlib.spectra.folds import four_way_folds
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.writer import SpectraWriter

WORKER, DRIVER = 150, 60  # bytes a spectrum: 10^7 add 1.5 GB and 0.6 GB to what a process holds anyway
AXIS = np.linspace(1000.0, 1800.0, 64)  # whose absorbances are 256 bytes a spectrum
IMAGES = 8
TRIES = 2
SIZES = (IMAGES << 12, 3 * IMAGES << 12)
NAMES = [str(k) for k in range(IMAGES)]
ATTRIBUTES = {
    "class_names": ["a", "b"],
    "positive_classes": [],
    "image_names": NAMES,
    "group_names": NAMES,
    "pixel_size_um": 5.0,
    "instrument": "",
    "provenance": "",
    "licence": "",
    "is_simulated": True,
}

NETWORK = {"head_widths": [100.0], "head_strides": [100.0], "core": [[1, 1, 1]], "dense": [2], "dropout": 0.0}
TRAINING = {"epochs": 1, "batch_size": 4096}


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory):
    """Two stores, one of three times the spectra, and a folder with the folds of each."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds, "ROWS_TO_SPLIT", IMAGES)
        for size in SIZES:
            folder = tmp_path_factory.mktemp("cohort")
            each = np.zeros((size // IMAGES, AXIS.size), np.float32)
            with SpectraWriter(folder / "s.zarr", AXIS, ATTRIBUTES) as writer:
                for k in range(IMAGES):
                    writer.append(each, {"image": k, "group": k, "row": 0, "col": 0, "label": k % 2})
            data_stages.split(folder, folder, spectra=folder / "s.zarr", seed=0)
            predict(folder)
            network(folder)  # what it imports would be slow to trace
            found.append(folder)
        yield found


class Chance:
    classes_ = np.arange(2)

    def predict_proba(self, spectra):
        return np.full((len(spectra), 2), 0.5)


def split(folder):
    data = open_spectra(folder / "s.zarr", codes=False)
    four_way_folds(data.label.values, data.group.values, n_tries=1)


def predict(folder):
    data = open_spectra(folder / "s.zarr", codes=False)
    prediction.save_probabilities(
        folder / "probabilities.npz", Chance(), data, models.answered(data_stages.read_fold(folder, 0))
    )


def score(folder):
    common = {"spectra": folder / "s.zarr", "folds": folder, "model": "chance", "ensemble": None}
    score_stages.score(folder, folder, **common, answers=[folder], bootstrap={"n_resamples": 40})


def choose(folder):
    data = open_spectra(folder / "s.zarr", codes=False)
    lime.explained_rows(data.image.values, data_stages.read_fold(folder, 0).test, 100, 0)


def baseline(folder):
    common = {"spectra": folder / "s.zarr", "folds": folder, "fold": 0}
    models.baseline(made(folder / "baseline"), folder, **common, model="mean-mse", components=2)


def network(folder):
    """Training on a cohort: what is learnt in a step is no matter of its size."""
    common = {"spectra": folder / "s.zarr", "folds": folder, "fold": 0}
    models.member(
        made(folder / "member"),
        made(folder / "work"),
        **common,
        training=TrainingSettings(**TRAINING),
        network=MSCNNSettings(**NETWORK),
        device="cpu",
        seed=0,
    )


def driver(folder):
    """What the driver keeps from stage to stage: the data set and the four folds."""
    data = open_spectra(folder / "s.zarr")
    return data, [data_stages.read_fold(folder, k) for k in range(4)]


def made(folder):
    """The folder, empty: nothing is gone on with."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def peak(do, folder):
    """Most bytes that Python and NumPy held, what waits for the collector left out: Zarr leaves some for each chunk."""
    gc.collect()
    gc.freeze()  # else the oldest garbage waits until there is a quarter as much of it as of all else
    gc.collect()
    before = gc.get_threshold()
    gc.set_threshold(200, 1, 1)
    tracemalloc.start()
    try:
        kept = do(folder)  # noqa: F841 - what it returns counts
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.set_threshold(*before)
        gc.unfreeze()


@pytest.mark.parametrize(
    ("do", "most"),
    [
        (driver, DRIVER),
        (split, WORKER),
        (predict, WORKER),
        (score, WORKER),
        (baseline, WORKER),
        (network, WORKER),
        (choose, WORKER),
    ],
)
def test_a_further_spectrum_costs_no_absorbance(do, most, cohorts):
    """Tracing sees what NumPy holds; the smaller cohort pays for all that does not grow."""
    small, large = (min(peak(do, folder) for _ in range(TRIES)) for folder in cohorts)  # the first may import
    assert (large - small) / (SIZES[1] - SIZES[0]) < most


def test_lines_through_measured_memory_are_extended():
    rows = [{"spectra": n, "parts": {"open": {"memory_mb": 300 + 2e-5 * n, "seconds": 1}}} for n in (10**6, 3 * 10**6)]
    found = {"measured": rows}
    assert memory_line(found, "open") == pytest.approx((300, 20))
    assert memory_needed(found, "open", 1e7) == pytest.approx(0.5)
    table = cohort_memory(found)
    assert len(table) == 1 and table["task"][0] == COHORT_PARTS["open"]
    assert table[f"{BOUND:,} (extrapolated)"][0] == "0.50 GB"
    assert table["3,000,000 spectra (measured)"][0] == "0.36 GB"


def test_the_task_that_needs_most_is_named():
    rows = [
        {"spectra": n, "parts": {"open": {"memory_mb": 500}, "scores": {"memory_mb": 300 + 2e-4 * n}}}
        for n in (10**6, 10**7)
    ]
    assert first_beyond({"measured": rows}, 2.0) == (COHORT_PARTS["scores"], pytest.approx(8.5e6))
    assert limit_text({"measured": rows}, 2.0).endswith(
        "scores of one model is the first to reach 2 GB, at about 8.5 million spectra"
    )
    assert "none of them reaches 20 GB" in limit_text({"measured": rows}, 20.0)


def test_a_cohort_never_needs_less_than_a_smaller_one():
    rows = [{"spectra": n, "parts": {"open": {"memory_mb": 300 - n * 1e-6}}} for n in (10**6, 10**7)]
    assert memory_needed({"measured": rows}, "open", 1e9) == pytest.approx(
        memory_line({"measured": rows}, "open")[0] / 1e3
    )
