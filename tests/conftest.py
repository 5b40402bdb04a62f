"""Fixtures shared by all tests: real spectra where they are at hand, small simulated ones always."""

import os
import signal
from pathlib import Path

# A shell's background jobs ignore Ctrl-C, and so would what they start: tests send it to programs.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Read when NumPy and torch load. Tests are small: a second thread waits more than it works, on another test's core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from ftirlib.spectra.model import make_spectra

ROOT = Path(__file__).resolve().parents[1]
WHOLE_RUNS = (
    "test_pipeline.py",
    "test_predict.py",
    "test_cluster.py",
    "test_faults.py",
    "test_real_runs.py",
    "test_guide.py",
)


def pytest_collection_modifyitems(items):
    """Hand out files of whole runs first: the last of them would keep one worker busy while the others are done."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.path.name not in WHOLE_RUNS)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real spectra kept outside the project; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real spectra are not at {folder}")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def toy_spectra(rng):
    """160 spectra of 8 groups and 2 images each, two classes that differ by one band; 81 wavenumbers."""
    wavenumber = np.linspace(1000.0, 1800.0, 81)
    label = np.repeat(["normal", "cancerous"], 80)
    group = np.repeat([f"p{k}" for k in range(8)], 20)
    band = np.exp(-(((wavenumber - 1650) / 40) ** 2))
    other = np.exp(-(((wavenumber - 1240) / 30) ** 2))
    absorbance = band + np.where(label == "cancerous", 0.5, 0.2)[:, None] * other
    absorbance = absorbance + 0.02 * rng.standard_normal(absorbance.shape)
    pixel = np.arange(20)
    return make_spectra(
        absorbance,
        wavenumber,
        label=label,
        group=group,
        row=np.tile(pixel // 5, 8),
        col=np.tile(pixel % 5, 8),
        class_names=["normal", "cancerous"],
        positive_classes=["cancerous"],
        pixel_size_um=5.0,
        is_simulated=True,
    )
