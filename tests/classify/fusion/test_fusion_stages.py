"""The chapter's stages: every spectrum tested once by models of other groups, nothing made twice, any classes."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shown import fusion as fusion_views
from shown.data import shared_groups

from ftirlib.errors import DataError, SettingsError
from ftirlib.method import fusion, open_run
from ftirlib.method.settings import read_settings
from ftirlib.method.stages import FUSION_STAGES
from ftirlib.report.scores import MULTICLASS_TITLES
from ftirlib.spectra.writer import save_spectra

TINY = {
    "workers": 1,
    "fusion.families": ["scattering", "statistics"],
    "fusion.replicates": 1,
    "fusion.step": 12.0,
    "fusion.epochs": 2,
    "baselines.models": ["mean-mse"],
    "members.epochs": 1,
}


class Here:
    """An executor that works at once, in this process: stages need no other, and starting one costs seconds."""

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        future = Future()
        future.set_result(function(*arguments))
        return future


def open_here(out, **changes):
    run = open_run("smoke", out=out, changes=TINY | changes)
    run._executor = Here()
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fusion") / "run"


@pytest.fixture(scope="module")
def run(folder):
    run = open_here(folder)
    fusion.scores(run)
    fusion.ablation(run)
    fusion.leak(run)
    fusion.tsne(run)
    return run


def test_every_spectrum_is_tested_once_and_no_group_is_on_two_sides(run):
    data = fusion.spectra(run)
    tested = np.concatenate([fold.test for fold in fusion.fold_rows(run)])
    np.testing.assert_array_equal(np.sort(tested), np.arange(data.sizes["spectrum"]))
    assert shared_groups(data.group.values, fusion.fold_rows(run)) == 0
    for model, per_fold in fusion.models(run).items():
        assert [one["test"].shape for one in per_fold] == [(len(f.test), 6) for f in fusion.fold_rows(run)], model


def test_all_models_have_all_scores_with_intervals(run):
    table = fusion.scores(run)
    assert set(table.model) == {"fusion", "mscnn", "mean-mse"}
    assert list(table[table.model == "fusion"].score) == list(MULTICLASS_TITLES)
    accuracy = table[table.score == "accuracy"]
    assert (accuracy.low <= accuracy.high).all()
    error = table[table.score == "error"]["mean"].to_numpy()
    np.testing.assert_allclose(accuracy["mean"].to_numpy() + error, 1)


def test_ablation_of_two_families_leaves_out_each(run):
    assert list(fusion.variants(run)) == ["all", "without scattering", "without statistics"]
    three = open_here("unused", **{"fusion.families": ["efficientnet_b0", "scattering", "statistics"]})
    assert list(fusion.variants(three))[4:] == ["only efficientnet_b0", "only scattering", "only statistics"]
    assert len(fusion.ablation(run)) == 3 * len(MULTICLASS_TITLES)


def test_honest_protocol_shares_nothing_and_copies_are_only_made_before(run):
    leaks, n = fusion.leak(run), fusion.spectra(run).sizes["spectrum"]
    assert not leaks["inside", "grouped"]["group_in_training"].any()
    assert not leaks["before", "grouped"]["group_in_training"].any()
    assert leaks["before", "random"]["twin_in_training"].any()
    assert len(leaks["inside", "random"]["y_true"]) == n < len(leaks["before", "random"]["y_true"])


def test_nothing_is_made_twice_and_a_torn_artefact_is_made_again_alike(run, folder):
    again = open_here(folder)
    np.testing.assert_array_equal(fusion.tsne(again), fusion.tsne(run))
    first = fusion.fused(again, ["all"])["all"]
    assert again.made == []
    victim = folder / "fusion" / "models" / "all-fold1" / "probabilities.npz"
    victim.write_bytes(victim.read_bytes()[:-1] + b"\1")
    third = open_here(folder)
    mended = fusion.fused(third, ["all"])["all"]
    assert third.made == ["fusion/models/all-fold1"]
    np.testing.assert_array_equal(mended[1]["test"], first[1]["test"])


def test_manifest_says_which_weights_the_features_have(run, tmp_path):
    made_from = json.loads((fusion.features(run)[0].path / "manifest.json").read_text())["made_from"]
    assert made_from["arguments"]["hashes"] == {}
    assert fusion.feature_facts(run)["origin"] == "no image features"
    other = open_here(tmp_path, **{"fusion.families": ["efficientnet_b0", "statistics"], "fusion.weights": "random"})
    made_from = json.loads((fusion.features(other)[0].path / "manifest.json").read_text())["made_from"]
    assert made_from["arguments"]["hashes"] == {"efficientnet_b0": "random features"}
    assert "Random features" in fusion_views.origin_note(other)


def test_chapter_has_words_for_every_number(run):
    prose = fusion_views.numbers(run)
    assert all(isinstance(text, str) and text for text in prose.values())
    assert "simulated" in prose["data"] and "all simulated" in prose["about"]
    for table in (fusion_views.class_table(run), fusion_views.leak_table(run), fusion_views.eight_scores(run)):
        assert len(table)
    sizes = fusion_views.class_table(run)
    assert (sizes["after over-sampling"] == sizes["trained on"].max()).all()


def test_published_scores_imply_a_chance_agreement():
    assert fusion_views.implied_chance(0.75, 0.5) == 0.5
    published = fusion_views.implied_chance(fusion_views.PUBLISHED["accuracy"], fusion_views.PUBLISHED["kappa"])
    assert published == pytest.approx(0.23 / 0.32)


def test_a_data_set_of_two_classes_takes_the_place_of_the_simulation(toy_spectra, tmp_path):
    save_spectra(toy_spectra.isel(spectrum=slice(None, None, 2)), tmp_path / "toy.zarr")
    run = open_here(tmp_path / "run", **{"fusion.data": str(tmp_path / "toy.zarr")})
    names = fusion.spectra(run).attrs["class_names"]
    assert fusion_views.data_name(run) == "data set toy (simulated)"
    assert fusion.fused(run, ["all"])["all"][0]["test"].shape[1] == len(names) == 2


def test_relative_data_is_of_the_folder_where_the_user_stands(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = read_settings("smoke", changes={"fusion.data": "data/mine.zarr"})
    assert settings.fusion.data == str(tmp_path / "data" / "mine.zarr")
    with pytest.raises(SettingsError, match="fusion.families"):
        read_settings("smoke", changes={"fusion.families": ["statistics"]})
    with pytest.raises(SettingsError, match="each may be named once"):
        read_settings("smoke", changes={"fusion.families": ["statistics", "statistics"]})


@given(n=st.integers(1, 3_000_000))
def test_shards_hold_every_spectrum_once_and_are_neither_tiny_nor_many(n):
    found = fusion.shards(n)
    assert found[0][0] == 0 and found[-1][1] == n
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
    assert len(found) <= fusion.MOST_SHARDS
    assert all(stop - start >= fusion.LEAST_SHARD for start, stop in found[:-1])


def test_a_lost_shard_is_made_again_alone_and_from_the_cache(run, folder, monkeypatch):
    from ftirlib.classify.fusion import features

    first = fusion.read_features([shard.path for shard in fusion.features(run)])
    assert len(first) == fusion.spectra(run).sizes["spectrum"] == 60
    (shard,) = fusion.features(run)
    (shard.path / "scattering.npy").unlink()
    fusion._extractor.cache_clear()
    monkeypatch.setattr(features, "spectrum_statistics", None)  # computing anything now would fail
    again = open_here(folder)
    np.testing.assert_array_equal(fusion.read_features([shard.path for shard in fusion.features(again)]), first)
    assert again.made == ["fusion/features/rows0-59"]


def test_shards_join_to_the_features_of_all(run, tmp_path, monkeypatch):
    monkeypatch.setattr(fusion, "LEAST_SHARD", 25)
    parts = open_here(tmp_path / "run")
    assert [shard.path.name for shard in fusion.features(parts)] == ["rows0-24", "rows25-49", "rows50-59"]
    np.testing.assert_array_equal(
        fusion.read_features([shard.path for shard in fusion.features(parts)]),
        fusion.read_features([shard.path for shard in fusion.features(run)]),
    )


def test_every_stage_of_the_command_line_is_current_after_the_chapter(run, folder):
    again = open_here(folder)
    made = {name: stage(again) for name, stage in FUSION_STAGES.items()}
    assert list(made)[-1] == "fusion"
    pd.testing.assert_frame_equal(made["fusion"], fusion.scores(run))
    assert again.made == []


def test_fingerprint_knows_the_content_of_the_data_and_the_weights_that_are_there(toy_spectra, tmp_path, monkeypatch):
    monkeypatch.setenv("FTIRLIB_CACHE", str(tmp_path / "cache"))
    store = tmp_path / "toy.zarr"
    options = {"fusion.data": str(store), "fusion.families": ["efficientnet_b0", "statistics"]}

    def found():
        return fusion.fusion_fingerprint(open_here(tmp_path / "run", **options))

    with pytest.raises(DataError, match=r"toy\.zarr"):
        found()
    save_spectra(toy_spectra, store)
    first = found()
    assert found() == first
    assert first["weights"] == {"efficientnet_b0": "random features"}
    save_spectra(toy_spectra.isel(spectrum=slice(1, None)), store, overwrite=True)
    assert found()["data"] != first["data"]
    weights = tmp_path / "cache" / "weights"
    weights.mkdir(parents=True)
    (weights / f"efficientnet_b0-{'a' * 64}.safetensors").touch()
    assert found()["weights"] == {"efficientnet_b0": "a" * 64}
    assert fusion.fusion_fingerprint(open_here("unused"))["data"] is None


def test_relative_weights_are_of_the_folder_where_the_user_stands(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    options = {"fusion.weights": {"resnet101": ["data/there.safetensors", "b" * 64]}}
    run = open_here("unused", **options | {"fusion.families": ["resnet101", "statistics"]})
    assert fusion.backbone_weights(run) == {"resnet101": (tmp_path / "data" / "there.safetensors", "b" * 64)}
