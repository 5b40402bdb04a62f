"""Maps of whole images: every used pixel where it belongs, the others background, images chosen by the stated rule."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from shown import contexts as map_views

from ftirlib.explain.linear.linear import LinearClassifier
from ftirlib.spectra.folds import Fold

N_ROWS, N_COLS = 4, 5


@pytest.fixture
def run(toy_spectra, rng, monkeypatch):
    """Images 2, 6 and 7 are tested; their last row of pixels is not used, nor is the first pixel."""
    raw = toy_spectra
    kept = raw.isel(spectrum=np.flatnonzero((raw.row < N_ROWS - 1) & (raw.row + raw.col > 0)))
    test = np.flatnonzero(np.isin(kept.image.values, [2, 6, 7]))
    votes = rng.dirichlet(np.ones(2), len(test))
    means = np.stack([raw.absorbance.values[raw.label.values == k].mean(axis=0) for k in (0, 1)])
    model = LinearClassifier.from_contexts(
        means, rng.normal(size=means.shape), np.array([0, 1]), ["normal", "cancerous"], raw.wavenumber.values
    )
    made = {
        "raw_spectra": lambda run: raw,
        "prepared_spectra": lambda run: kept,
        "fold_rows": lambda run: [Fold(train=test[:0], validation=test[:0], test=test)],
        "ensemble": lambda run: SimpleNamespace(path=Path()),
        "read_probabilities": lambda folder, side: votes,
    }
    for name, function in made.items():
        monkeypatch.setattr(map_views.method, name, function)
    monkeypatch.setattr(map_views, "linear_model", lambda run, name: model)
    return SimpleNamespace(raw=raw, kept=kept, test=test, votes=votes, model=model)


def test_the_first_tested_image_of_each_label_is_shown(run):
    images = run.kept.attrs["image_names"]
    titles = [tissue.title for tissue in map_views.tissue_maps(run, "CP-0")]
    assert titles == [f"{images[2]}\nnormal", f"{images[6]}\ncancerous"]


def test_every_used_pixel_is_where_it_was_measured(run):
    tissue = map_views.tissue_maps(run, "CP-0")[1]
    mine = run.kept.image.values[run.test] == 6
    place = tuple(run.kept[name].values[run.test[mine]] for name in ("row", "col"))
    used = np.zeros((N_ROWS, N_COLS), bool)
    used[place] = True
    assert used.sum() == (N_ROWS - 1) * N_COLS - 1
    for picture, values, background in (
        (tissue.predicted, run.votes[mine].argmax(axis=1), -1),
        (tissue.confidence, run.votes[mine].max(axis=1), np.nan),
        (tissue.context, run.model.predict(run.kept.absorbance.values[run.test[mine]]), -1),
    ):
        assert picture.shape == used.shape
        np.testing.assert_array_equal(picture[place], values)
        np.testing.assert_array_equal(picture[~used], np.full((~used).sum(), background))


def test_the_truth_of_every_pixel_is_shown_where_it_is_known(run, monkeypatch):
    assert map_views.tissue_maps(run, "CP-0")[0].panels == ["Prediction", "Share of votes", "Context"]
    known = run.raw.assign_coords(truth_class=("spectrum", np.arange(run.raw.sizes["spectrum"]) % 2))
    monkeypatch.setattr(map_views.method, "raw_spectra", lambda run: known)
    tissue = map_views.tissue_maps(run, "CP-0")[0]
    assert tissue.panels[-1] == "Truth"
    np.testing.assert_array_equal(tissue.truth.ravel(), np.arange(N_ROWS * N_COLS) % 2)
