"""Explained spectra: what their stores hold, read a block at a time and not before it is asked for."""

import shutil

import numpy as np
import pytest

from ftirlib.errors import StoreError
from ftirlib.explain.attribution import Attribution
from ftirlib.method.lime import Explained
from ftirlib.spectra.folds import Fold
from ftirlib.spectra.model import make_spectra, open_spectra, read_absorbance
from ftirlib.spectra.writer import save_spectra

N, P = 60, 7


@pytest.fixture
def stored(tmp_path, rng):
    """A data set, the explanations of 20 of its spectra in two shards, and their weights and stability."""
    data = make_spectra(
        rng.normal(size=(N, P)),
        np.linspace(1000, 1800, P),
        label=np.repeat(list("abcd"), 15),
        image=np.repeat(list("abcd"), 15),
    )
    path = save_spectra(data, tmp_path / "spectra.zarr")
    rows = np.sort(rng.choice(np.arange(30, N), 20, replace=False))
    weights, stability = rng.normal(size=(20, 2, P)), rng.uniform(size=(20, 2))
    shards = []
    for k, here in enumerate((slice(0, 12), slice(12, 20))):
        each = np.ones((len(rows[here]), 2))
        Attribution(
            weights=weights[here],
            intercept=each,
            score=each,
            local_prediction=each,
            labels=each.astype(int),
            wavenumber=data.wavenumber.values,
            rows=rows[here],
            stability=stability[here],
        ).save(tmp_path / str(k) / "attribution.zarr")
        shards.append(tmp_path / str(k))
    return path, shards, rows, weights[:, 0], stability[:, 0]


def test_rows_are_known_and_the_rest_is_read_in_blocks(stored):
    path, shards, rows, weights, stability = stored
    found, data = Explained.of(path, shards), open_spectra(path)
    assert len(found) == 20
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.stability, stability)
    assert found.absorbance.shape == found.weights.shape == (20, P)
    assert (found.absorbance[:].dtype, found.weights[:].dtype) == (np.float32, np.float64)
    for at, block in found.absorbance.blocks(9):
        np.testing.assert_array_equal(block, read_absorbance(data, rows[at]))
    for at, block in found.weights.blocks(9):
        np.testing.assert_array_equal(block, weights[at])


def test_spectra_and_weights_are_not_read_before_they_are_asked_for(stored):
    path, shards, rows, *_ = stored
    for part in (path / "absorbance" / "c", shards[0] / "attribution.zarr" / "weights" / "c"):
        for file in (one for one in part.rglob("*") if one.is_file()):
            file.write_bytes(b"torn")
    shutil.rmtree(shards[1] / "attribution.zarr" / "weights")
    found = Explained.of(path, shards[:1])
    np.testing.assert_array_equal(found.rows, rows[:12])
    for part in (found.absorbance, found.weights):
        with pytest.raises(Exception):  # noqa: B017 - whatever the decoder says
            part[:1]
    with pytest.raises(StoreError, match="cannot be read as explanations"):
        Explained.of(path, shards)


def test_the_ensembles_class_is_that_of_its_votes_on_the_side(stored, tmp_path, rng):
    path, shards, rows, *_ = stored
    fold = Fold(np.arange(15), np.arange(15, 28), np.arange(28, N))
    votes = {"validation": rng.dirichlet(np.ones(4), 13), "test": rng.dirichlet(np.ones(4), N - 28)}
    np.savez(tmp_path / "probabilities.npz", **votes)
    found = Explained.of(path, shards).predicted(tmp_path, fold, "test")
    np.testing.assert_array_equal(found, votes["test"][rows - 28].argmax(axis=1))
