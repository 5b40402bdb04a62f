"""What a cohort's size costs a process: opening it and keeping its folds cost nothing for each further spectrum."""

import gc
import tracemalloc

import numpy as np
import pytest

from ftirlib.run import tasks
from ftirlib.run.scale_views import ARCHIVES, COHORT_PARTS, cohort_memory, first_beyond, memory_line, memory_needed
from ftirlib.spectra import folds, model, runs
from ftirlib.spectra.folds import four_way_folds
from ftirlib.spectra.model import SpectraWriter, open_spectra

PART = 1 << 15  # smaller than in use, so that a cohort of many parts is written soon
SIZES = (8 * PART, 24 * PART)
IMAGES = 16
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


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory):
    """Two stores, one of four times the spectra, and a folder with the folds of each."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "CHUNK", PART // 4)
        patch.setattr(folds, "ROWS_TO_SPLIT", IMAGES)
        for module in (model, folds, runs, tasks):
            patch.setattr(module, "PART", PART)
        for size in SIZES:
            folder = tmp_path_factory.mktemp("cohort")
            each = np.zeros((size // IMAGES, 2), np.float32)
            with SpectraWriter(folder / "s.zarr", [1000.0, 1010.0], ATTRIBUTES) as writer:
                for k in range(IMAGES):
                    writer.append(each, {"image": k, "group": k, "row": 0, "col": 0, "label": k % 2})
            tasks.fold(folder, folder, spectra=folder / "s.zarr", seed=0)
            predict(folder)
            found.append(folder)
        yield found


class Chance:
    classes_ = np.arange(2)

    def predict_proba(self, spectra):
        return np.full((len(spectra), 2), 0.5)


def split(folder):
    data = open_spectra(folder / "s.zarr", codes=False)
    four_way_folds(data.label.variable, data.group.variable, n_tries=1)


def predict(folder):
    data = open_spectra(folder / "s.zarr", codes=False)
    tasks.save_probabilities(folder, Chance(), data, tasks.read_fold(folder, 0), 2)


def score(folder):
    common = {"spectra": folder / "s.zarr", "folds": folder, "model": "chance", "ensemble": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "PART", PART // 2)  # an image or less of either cohort: as many rows in a part
        tasks.scores(folder, folder, **common, answers=[folder], bootstrap={"n_resamples": 40})


def choose(folder):
    data = open_spectra(folder / "s.zarr", codes=False)
    tasks.explained_rows(data.image.variable, tasks.read_fold(folder, 0).runs["test"], 100, 0)


def label(folder):
    data = open_spectra(folder / "s.zarr", codes=False)
    tasks.read_fold(folder, 0).runs["train"].take(data.label.variable)


def peak(do, folder):
    """Most bytes that Python and NumPy held."""
    gc.collect()
    tracemalloc.start()
    try:
        do(folder)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("do", "most"),
    [
        (lambda folder: open_spectra(folder / "s.zarr"), 1.0),
        (split, 1.0),
        (lambda folder: tasks.read_fold(folder, 0), 1.0),
        (predict, 1.0),
        (score, 1.0),
        (label, 1.5),  # two bytes for each of the half that is trained on
        (choose, 2.5),  # image and place of each of the quarter that is tested
    ],
    ids=["open", "split", "read folds", "predict", "score", "label", "choose"],
)
def test_bytes_that_each_further_spectrum_costs(do, most, cohorts):
    """Tracing sees what NumPy holds; the smaller cohort pays for all that does not grow."""
    small, large = (min(peak(do, folder) for _ in range(2)) for folder in cohorts)  # the first may import
    assert (large - small) / (SIZES[1] - SIZES[0]) < most


def test_lines_through_measured_memory_are_extended():
    rows = [{"spectra": n, "parts": {"open": {"memory_mb": 300 + 2e-6 * n, "seconds": 1}}} for n in (10**6, 10**7)]
    found = {"measured": rows}
    assert memory_line(found, "open") == pytest.approx((300, 2))
    assert memory_needed(found, "open", 1e9) == pytest.approx(2.3)
    table = cohort_memory(found)
    assert len(table) == 1 and table["task"][0] == COHORT_PARTS["open"]
    assert table[f"{ARCHIVES[1]:,} (extrapolated)"][0] == "2.30 GB"
    assert table["10,000,000 spectra (measured)"][0] == "0.32 GB"


def test_the_task_that_needs_most_is_named():
    rows = [
        {"spectra": n, "parts": {"open": {"memory_mb": 500}, "scores": {"memory_mb": 300 + 1e-5 * n}}}
        for n in (10**6, 10**7)
    ]
    assert first_beyond({"measured": rows}, 2.0) == (COHORT_PARTS["scores"], pytest.approx(1.7e8))


def test_a_cohort_never_needs_less_than_a_smaller_one():
    rows = [{"spectra": n, "parts": {"open": {"memory_mb": 300 - n * 1e-6}}} for n in (10**6, 10**7)]
    assert memory_needed({"measured": rows}, "open", 1e9) == pytest.approx(
        memory_line({"measured": rows}, "open")[0] / 1e3
    )
