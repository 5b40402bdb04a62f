"""Drawn tissue: shares as the histology says, lesions in one piece, crypts around their lumen."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import label as connected

from ftirlib.errors import SettingsError
from ftirlib.spectra.simulate.chemistry import tissue_shares
from ftirlib.spectra.simulate.glands import (
    EPITHELIUM,
    GOBLET,
    LUMEN,
    NECROSIS,
    STROMA,
    Histology,
    grow_field,
    ranks,
    smooth_field,
)
from ftirlib.spectra.simulate.settings import PhantomSettings

HISTOLOGY = PhantomSettings().histology


def field(seed, *, side=64, shares=((0, 1.0),), edge=0.0, debris=0.0, histology=HISTOLOGY):
    return grow_field(
        np.random.default_rng(seed),
        side=side,
        pixel_um=5.0,
        spacing_um=90.0,
        cell_um=5.0,
        patch_um=15.0,
        edge=edge,
        histology=histology,
        shares=shares,
        debris=debris,
    )


@pytest.mark.parametrize("klass", range(4))
def test_tissues_have_the_shares_of_their_class(klass):
    mean = np.mean([field(seed, shares=((klass, 1.0),)).fractions.mean((0, 1)) for seed in range(4)], axis=0)
    living = np.delete(mean, [NECROSIS, LUMEN])
    expected = np.delete(tissue_shares(HISTOLOGY[klass]), [NECROSIS, LUMEN])
    # Crypts that overlap their territory's border lose some of their wall, so the shares are met to a few per cent.
    np.testing.assert_allclose(living / living.sum(), expected, atol=0.04)
    assert mean[LUMEN] == pytest.approx(HISTOLOGY[klass].lumen, abs=0.02)
    assert (mean[NECROSIS] > 0) == any(HISTOLOGY[klass].necrosis)


def test_fractions_are_shares_of_a_pixel():
    drawn = field(0, edge=0.1, debris=0.1)
    np.testing.assert_allclose(drawn.fractions.sum(-1), 1.0)
    assert drawn.fractions.min() >= 0
    assert ((drawn.depth >= 0) & (drawn.depth <= 1)).all()


def test_the_edge_and_the_debris_have_their_shares():
    drawn = field(1, side=90, edge=0.3, debris=0.1)
    whole = field(1, side=90, edge=0.0, debris=0.1)
    added = drawn.fractions[..., LUMEN].mean() - whole.fractions[..., LUMEN].mean()
    assert added == pytest.approx(0.3 * (1 - whole.fractions[..., LUMEN].mean()), abs=0.02)
    assert whole.fractions[..., NECROSIS].mean() == pytest.approx(0.1, abs=0.01)
    assert field(1, debris=0.0).fractions[..., NECROSIS].max() == 0


def test_a_lesion_covers_its_share_around_one_focus():
    drawn = field(2, side=115, shares=((3, 0.5), (2, 0.2), (0, 0.3)))
    share = np.bincount(drawn.territory_class.ravel(), minlength=4) / drawn.territory_class.size
    np.testing.assert_allclose(share, [0.3, 0.0, 0.2, 0.5], atol=0.06)  # whole crypts of 2 % each
    assert connected(drawn.territory_class == 3)[1] == 1
    one_class = [len(np.unique(drawn.territory_class[drawn.territory == t])) for t in np.unique(drawn.territory)]
    assert set(one_class) == {1}


def test_a_lesion_is_at_least_one_crypt():
    assert (field(3, shares=((3, 0.0), (0, 1.0))).territory_class == 3).any()


def test_epithelium_surrounds_the_lumen():
    f = field(4, side=90).fractions
    inner = f[..., LUMEN] > 0.5
    ring = ~inner & (np.pad(inner, 2)[4:, 2:-2] | np.pad(inner, 2)[:-4, 2:-2])
    assert f[ring][:, [EPITHELIUM, GOBLET]].sum(-1).mean() > 0.8
    assert f[ring][:, STROMA].mean() < 0.1


def test_same_generator_same_tissue():
    np.testing.assert_array_equal(field(5).fractions, field(5).fractions)
    assert (field(5).fractions != field(6).fractions).any()


def test_smooth_fields_are_standardised_and_ranks_cut_exact_shares(rng):
    drawn = smooth_field(rng, (50, 40), 3.0)
    assert drawn.mean() == pytest.approx(0, abs=1e-12) and drawn.std() == pytest.approx(1)
    assert (ranks(drawn) < 0.25).mean() == 0.25


@pytest.mark.parametrize(
    "change",
    [{"epithelium": -1.0}, {"stroma": 0.0}, {"lumen": 1.0}, {"necrosis": (0.5, 0.1)}, {"muscle": float("nan")}],
)
def test_impossible_histology_is_refused(change):
    with pytest.raises(SettingsError, match="phantom:"):
        replace(HISTOLOGY[0], **change)


def test_a_histology_needs_a_wall():
    with pytest.raises(SettingsError, match="wall"):
        Histology("bare", 0.0, 0.0, 1.0, 0.0, 0.0, lumen=0.1, irregularity=0.1)
