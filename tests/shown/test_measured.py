"""Numbers that the README and the chapter on trust state are those that the benchmarks wrote."""

import json
import re

import pytest
from conftest import ROOT
from shown import measured as measured_views
from shown import scale as scale_views

from ftirlib.command.tables import markdown
from ftirlib.errors import StoreError


def test_the_readme_shows_the_measured_ratios():
    table = markdown(measured_views.ratio_table(measured_views.measured("lime_speed")))
    assert table.strip() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_mode_has_its_place_in_the_tables():
    trust, speed = measured_views.measured("lime_trust"), measured_views.measured("lime_speed")
    modes = ["instance", "mean", "quartile", "decile", "limit"]
    assert [row.split(",")[0] for row in measured_views.ratio_table(speed)["mode"]] == modes
    assert measured_views.mode_table(trust)["mode"].tolist() == modes
    assert list(measured_views.repeat_curves(trust)) == modes
    assert set(measured_views.context_table(trust)["mode"]) == {"decile", "limit"}
    assert set(measured_views.band_table(trust)["mode"]) == set(modes)
    for against in ("samples", "seconds"):
        assert len(measured_views.error_curves(trust, against)) == 3
    assert {"independent", "orthogonal", "Sobol"} < set(measured_views.noise_curves(trust))


def test_error_falls_with_work_as_the_chapter_says():
    """The extension of the package's time rests on it: error with the root of the samples."""
    curves = measured_views.error_curves(measured_views.measured("lime_trust"), "samples")
    for samples, error in curves.values():
        # Below some thousand samples there are fewer than a few for each of the coefficients, and the law is steeper.
        pairs = sorted(pair for pair in zip(samples, error) if len(samples) > 3 or pair[0] >= 4000)
        (few, large), (many, small) = pairs[0], pairs[-1]
        expected = (few / many) ** 0.5
        assert 0.4 < (small / large) / expected < 2.5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00512, "5.1 ms"), (0.0371, "37 ms"), (2.13, "2.1 s"), (34.2, "34 s"), (480.0, "8 min")],
)
def test_seconds_read_well(seconds, text):
    assert measured_views.seconds_text(seconds) == text


def test_a_missing_measurement_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setattr(measured_views, "MEASURED", tmp_path)
    with pytest.raises(StoreError, match=r"make it with: python benchmarks/lime_speed.py"):
        measured_views.measured("lime_speed")
    (tmp_path / "lime_speed.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        measured_views.measured("lime_speed")
    (tmp_path / "lime_speed.json").write_text(json.dumps({"a": 1}))
    assert measured_views.measured("lime_speed") == {"a": 1}


def test_scale_views_agree_with_what_was_measured():
    scale = measured_views.measured("scale")
    assert [scale_views.speed_up(scale, stage, 1) for stage in ("members", "explanations")] == [1, 1]
    assert [scale_views.machine_speed_up(scale, work, 1) for work in ("products", "copies")] == [1, 1]
    for stage in ("members", "explanations"):
        busy, slower = scale_views.busy(scale, stage, 2), scale_views.slower_beside(scale, stage, 2)
        assert 0.5 < busy < 1.05  # medians of several runs
        assert scale_views.slower_beside(scale, stage, 1) == 0
        one = scale_views.busy(scale, stage, 1)  # a speed-up is made of nothing else
        assert scale_views.speed_up(scale, stage, 2) == pytest.approx(2 * busy / one / (1 + slower), rel=0.1)
    assert scale_views.all_the_same(scale) == all(row["same_bytes"] for row in scale["workers"]["measured"])
    sizes = [row["pixels"] for row in scale["size"]["measured"]]
    assert sizes == sorted(sizes) and len(sizes) > 1
    for of in ("task_seconds", "memory_mb"):
        curves = scale_views.curves(scale, of)
        assert list(curves) == list(scale_views.NAMES.values())
        assert all(len(x) == len(y) == len(sizes) for x, y in curves.values())
    assert len(scale_views.worker_table(scale)) == 4
    assert len(scale_views.size_table(scale)) == len(scale_views.NAMES)


def test_costs_are_in_proportion_to_the_spectra():
    scale = measured_views.measured("scale")
    column = scale_views.cost_table(scale).columns[-1]
    assert "extrapolated" in column
    row = scale_views.cost_table(scale).set_index("what").loc["spectra on disk, uncompressed"]
    assert row["measured"] == "3,204 bytes a spectrum" and row.iloc[-1] == "32.0 GB"
    half = scale_views.cost_table(scale, 5e6).set_index("what").iloc[0, -1]
    assert half == "16.0 GB"


def test_the_cluster_guide_gives_workers_what_was_measured():
    """Dask pauses a worker at four fifths of its limit; a network uses three sets of four, one to be chosen by."""
    text = " ".join((ROOT / "book" / "cluster.md").read_text(encoding="utf-8").split())
    (largest,) = re.findall(r"with (\d+) GB a worker, all of them have room", text)
    assert set(re.findall(r"--memory-limit (\d+)GB", text)) == {largest}
    published = measured_views.measured("scale")["size"]["measured"][-1]
    assert max(stage["memory_mb"] for stage in published["stages"].values()) / 1e3 < 0.8 * int(largest)
    gb = 3 / 4 * published["spectra"] * scale_views.POINTS * 4 / 1e9
    assert f"at the published size {gb:.1f} GB for each network" in text
