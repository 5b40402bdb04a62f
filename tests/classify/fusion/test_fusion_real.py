"""Real spectra go through the import and the fusion's stages; the chapter's tables are what the benchmark measured."""

import importlib

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from shown import fusion as fusion_views
from shown.data import shared_groups
from test_fusion_stages import open_here

from ftirlib.command.data import import_store
from ftirlib.engine.places import cache_folder
from ftirlib.errors import DataError
from ftirlib.method import fusion
from ftirlib.sources.catalogue import find_set

FEW = 24  # spectra of a class, where the benchmark takes more
STEP = 16.0  # cm-1, the coarsest axis that an MSCNN takes


@pytest.fixture
def fusion_real(monkeypatch):
    """The benchmark's module, taking few spectra."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("fusion_real")
    monkeypatch.setattr(module, "MOST", FEW)
    return module


def bacteria_files(shared_data):
    return shared_data / "uti_bacteria" / "utidata.mat", shared_data / "uti_bacteria" / "uti_metadata.xlsx"


def run_of(source, folder):
    """A small run on an imported source, and its data set."""
    names = [name.removeprefix("--").replace("-", "_") for name in source.options[::2]]
    options = dict(zip(names, source.options[1::2]))
    options |= {name: int(options[name]) for name in ("skip_rows",) if name in options} | {"step": STEP}
    import_store([str(source.file)], str(folder / "real.zarr"), dry_run=False, **options)
    run = open_here(folder / "run", **{"fusion.data": str(folder / "real.zarr"), "baselines.models": ["pca-lda"]})
    return run, fusion.spectra(run)


def check_run(run, data):
    """Every spectrum is tested once, by each model, with no group on two sides."""
    n_classes = len(data.attrs["class_names"])
    assert shared_groups(data.group.values, fusion.fold_rows(run)) == 0
    for model, per_fold in fusion.models(run).items():
        for found, fold in zip(per_fold, fusion.fold_rows(run)):
            assert found["test"].shape == (len(fold.test), n_classes), model
            np.testing.assert_allclose(found["test"].sum(axis=1), 1, atol=1e-4)
    tested = np.concatenate([fold.test for fold in fusion.fold_rows(run)])
    np.testing.assert_array_equal(np.sort(tested), np.arange(data.sizes["spectrum"]))


def test_tissue_components_go_all_the_way(shared_data, fusion_real, tmp_path):
    source = fusion_real.tissue(shared_data / "collagen" / "collagen.csv", tmp_path)
    run, data = run_of(source, tmp_path)
    assert np.bincount(data.label.values).tolist() == [FEW] * 4
    assert len(np.unique(data.group.values)) == 38  # 6, 10, 11 and 11 blocks of the 110, 195, 212 and 214 spectra
    check_run(run, data)


def test_bacteria_go_all_the_way_with_isolates_whole(shared_data, fusion_real, tmp_path):
    run, data = run_of(fusion_real.bacteria(*bacteria_files(shared_data), tmp_path), tmp_path)
    label, group = data.label.values, data.group.values
    assert len(label) == 236
    assert (np.unique(group, return_counts=True)[1] == 4).all()  # replicates
    isolates = pd.Series(group).groupby(label).nunique()
    assert dict(zip(data.attrs["class_names"], isolates)) == {
        "E. coli": 17,
        "Enterococcus spp.": 12,
        "Klebsiella spp.": 10,
        "P. aeruginosa": 10,
        "P. mirabilis": 10,
    }
    check_run(run, data)


@pytest.mark.long
def test_plastics_go_all_the_way(fusion_real, tmp_path):
    wanted = find_set("turtle-plastics")
    table = cache_folder() / wanted.requirement.replace("==", "-") / wanted.file
    if not table.is_file():
        pytest.skip(f"'{table}' is not in the cache; 'ftirlib get turtle-plastics' fetches it")
    source = fusion_real.plastics(table, tmp_path)
    run, data = run_of(source, tmp_path)
    assert data.attrs["class_names"] == ["HDPE", "LDPE", "Mixture", "PP", "PS"]
    assert "PVC (1)" in source.rule and "U1 (3)" in source.rule
    check_run(run, data)


def test_a_sheet_of_other_spectra_is_refused(shared_data, fusion_real, tmp_path):
    matlab, sheet = bacteria_files(shared_data)
    rows = pd.read_excel(sheet, header=None)
    rows.iloc[:-1].to_excel(tmp_path / "short.xlsx", header=False, index=False)
    with pytest.raises(DataError, match="row by row"):
        fusion_real.bacteria(matlab, tmp_path / "short.xlsx", tmp_path)


def test_thinning_takes_rows_of_the_whole_file(fusion_real):
    label = np.repeat(["a", "b", "c"], [100, FEW, 5])
    rows = fusion_real.thinned(label)
    assert np.unique(label[rows], return_counts=True)[1].tolist() == [FEW, FEW, 5]
    assert rows[0] == 0 and 99 in rows
    assert (np.diff(rows) > 0).all()


def test_chapter_has_a_place_for_every_measured_set():
    sets = [one["set"] for one in fusion_views.real_sets()]
    assert len(sets) == 3
    models = ["fusion", "mscnn", "pca-lda", "xgb"]
    scores = fusion_views.real_scores("accuracy")
    assert scores.columns.tolist() == ["set", *models, "majority class"]
    for table in (fusion_views.real_table(), scores, fusion_views.real_protocols()):
        assert table["set"].tolist() == sets
        assert not table.isna().to_numpy().any()
    assert fusion_views.real_gains().columns.tolist() == ["set", *(f"over {model}" for model in models[1:])]
    prose = fusion_views.real_numbers()
    assert all(isinstance(text, str) and text for text in prose.values())
    assert int(prose["behind"]) + int(prose["ahead"]) <= int(prose["comparisons"]) == 9
    assert fusion_views.real_note() in fusion_views.ORIGIN_NOTES.values()


def test_gains_agree_with_the_scores():
    """A difference is the difference of two scores of all test sets; means over folds lie near it."""
    for one in fusion_views.real_sets():
        for other, gain in one["gains"].items():
            means = one["models"]["fusion"]["mcc"]["mean"] - one["models"][other]["mcc"]["mean"]
            assert gain["low"] <= gain["estimate"] <= gain["high"]
            assert abs(means - gain["estimate"]) < 0.1, (one["set"], other)


def test_what_is_undefined_is_said_so(monkeypatch):
    score = dict.fromkeys(("mean", "sd", "low", "high", "majority"))
    found = {"sets": [{"set": "one", "models": {"fusion": {"mcc": score}}}]}
    monkeypatch.setattr(fusion_views, "measured", lambda name: found)
    table = fusion_views.real_scores("mcc")
    assert table.to_dict("records") == [{"set": "one", "fusion": "undefined"}]
