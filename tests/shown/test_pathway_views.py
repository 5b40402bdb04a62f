"""Contexts of every autoencoder, replicates too, are gathered over the folds and compared with their controls."""

from types import SimpleNamespace

import numpy as np
import pytest
from shown import pathways as pathway_views

from ftirlib.explain.crime.context_controls import DEALT, PLAIN, TRAINED
from ftirlib.method import vae_names
from ftirlib.method.settings import read_settings


@pytest.fixture
def run(toy_spectra, rng, monkeypatch):
    """Four folds of two groups each; contexts of the most supervision are the pathways, the others chance."""
    n = toy_spectra.sizes["spectrum"]
    pathway = rng.integers(0, 4, n)
    data = toy_spectra.assign_coords(truth_pathway=("spectrum", pathway), truth_class=("spectrum", pathway // 2))
    rows = {k: np.flatnonzero(data.group.values // 2 == k) for k in range(4)}

    def view(run, name, k):
        assigned = pathway[rows[k]] if "-1" in name else rng.integers(0, 4, len(rows[k]))
        return SimpleNamespace(assigned=assigned, rows=rows[k])

    controls = [{name: rng.integers(0, 4, len(rows[k])) for name in (*TRAINED, *PLAIN)} for k in range(4)]

    monkeypatch.setattr(pathway_views.method, "prepared_spectra", lambda run: data)
    monkeypatch.setattr(pathway_views, "context_view", view)
    monkeypatch.setattr(pathway_views.method, "controls", lambda run: controls)
    monkeypatch.setattr(pathway_views, "best_vae", lambda run: "CP-1")
    changes = {"vaes.variants": ["CP", "TT"], "vaes.supervision": [0.0, 1.0], "vaes.seeds": 2}
    return SimpleNamespace(settings=read_settings("smoke", changes=changes), results={})


def test_replicates_have_rows_of_their_own_and_leads_are_those_planted(run):
    table = pathway_views.agreement_table(run)
    assert {f"contexts of {name}" for name in vae_names(run)} < set(table.index)
    assert "contexts of TT-1-seed1" in table.index
    rand = table["adjusted_rand"]["value"]
    assert (rand[["contexts of CP-1", "contexts of TT-1-seed1"]] == 1).all()
    assert rand[pathway_views.SINGLE] == 0
    shown = pathway_views.agreement_cells(table).set_index("clusters")
    assert shown["within a class"]["contexts of CP-1"] == "1.00\n[1.00, 1.00]"
    assert "more" in pathway_views.lead_text(run, "contexts of CP-1", "PCA of both")


def test_supervision_is_compared_variant_by_variant(run):
    table = pathway_views.supervision_table(run)
    assert table[["more", "less"]].values.tolist() == [["CP-1", "CP-0"], ["TT-1", "TT-0"]]
    assert all(" *" in cell for cell in table["adjusted Rand index"])
    assert pathway_views.supervision_text(run).startswith("of 2 variants 2 have the whole interval above zero, 0 below")


def test_controls_have_a_table_of_their_own_with_the_lead_of_what_they_lack_a_part_of(run):
    assert not {*TRAINED, DEALT} & set(pathway_views.agreement_table(run).index)
    table = pathway_views.control_table(run)
    assert {*TRAINED, *PLAIN} < set(table.contexts) and pathway_views.SINGLE not in set(table.contexts)
    rand = table[table.measure == "adjusted_rand"].set_index("contexts")
    assert rand.loc["contexts of CP-1", ["difference", "difference_low", "difference_high"]].tolist() == [0, 0, 0]
    np.testing.assert_allclose(rand.difference, rand.value["contexts of CP-1"] - rand.value)
    lead = rand.loc["shuffled weights"]
    assert lead.difference_low > 0  # of pathways over chance
    assert pathway_views.control_text(run, "shuffled weights").startswith(f"{lead.difference:+.2f} [")
    assert pathway_views.control_text(run, "shuffled weights").endswith("better than this control")
    many = len(TRAINED) + len(PLAIN)
    assert pathway_views.controls_text(run) == (
        f"CP-1 follows the pathways better than {many}, worse than 0, and cannot be told from 0"
    )
    assert len(pathway_views.control_cells(table)) == len(rand)
