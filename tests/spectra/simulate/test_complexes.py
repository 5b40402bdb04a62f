"""The simulated ligands and complexes: a valid data set whose bands move as published, and nothing else tells them."""

import numpy as np
import pytest

from ftirlib.errors import SettingsError
from ftirlib.spectra.folds import check_fold, four_way_folds
from ftirlib.spectra.model import open_spectra, validate_spectra
from ftirlib.spectra.simulate.complexes import CLASS_NAMES, INSTRUMENTS, ComplexesSettings, simulate_complexes
from ftirlib.spectra.simulate.ligands import LIGANDS, METALS
from ftirlib.spectra.writer import save_spectra

CLEAN = {
    "n_replicates": 1,
    "unreacted": (0.0, 0.0),
    "metal_shift": 0.0,
    "band_jitter": 0.0,
    "height_sigma": 0.0,
    "water": (0.0, 0.0),
    "scatter": (0.0, 0.0),
    "slope": (0.0, 0.0),
    "step": 1.0,
}


@pytest.fixture(scope="module")
def data():
    return simulate_complexes()


def test_is_a_valid_simulated_data_set(data, tmp_path):
    validate_spectra(data)
    assert data.attrs["is_simulated"] is True
    assert data.attrs["class_names"] == list(CLASS_NAMES)
    assert len(CLASS_NAMES) == 6
    assert data.absorbance.shape == (360, 901)
    save_spectra(data, tmp_path / "complexes.zarr")
    again = open_spectra(tmp_path / "complexes.zarr")
    np.testing.assert_array_equal(again.absorbance.values, data.absorbance.values)


def test_imbalance_is_the_one_asked_for(data):
    counts = np.bincount(data.label.values)
    assert counts.tolist() == [6 * n for n in ComplexesSettings().counts()]
    assert counts.max() >= 3 * counts.min()
    assert sum(ComplexesSettings(n_preparations=97).counts()) == 97


def test_groups_are_preparations_of_one_class_matrix_and_instrument(data):
    for name in ("label", "truth_instrument", "truth_matrix", "truth_metal", "truth_unreacted"):
        for group in np.unique(data.group.values):
            assert len(np.unique(data[name].values[data.group.values == group])) == 1
    free = np.isin(data.label.values, [0, 2, 4])
    assert (data.truth_metal.values[free] == -1).all()
    assert (data.truth_metal.values[~free] >= 0).all()
    for fold in four_way_folds(data.label.values, data.group.values):
        check_fold(fold, data.group.values)


def test_groups_may_be_instruments():
    data = simulate_complexes(group_by="instrument", n_replicates=1)
    assert data.attrs["group_names"] == sorted(INSTRUMENTS)
    for label in range(6):  # every class on every instrument: one may be left out
        assert len(np.unique(data.group.values[data.label.values == label])) == len(INSTRUMENTS)


def test_same_seed_same_bytes_and_another_seed_others(data):
    assert simulate_complexes().absorbance.values.tobytes() == data.absorbance.values.tobytes()
    assert simulate_complexes(random_state=1).absorbance.values.tobytes() != data.absorbance.values.tobytes()


def test_one_more_preparation_leaves_the_others_as_they_are():
    few, many = (simulate_complexes(n_preparations=n, n_replicates=2) for n in (60, 90))
    names = few.attrs["image_names"]
    for name in names[:3] + names[-3:]:
        one, other = (d.absorbance.values[d.image.values == d.attrs["image_names"].index(name)] for d in (few, many))
        np.testing.assert_array_equal(one, other)


def highest(data, label, low, high, metal=None):
    """Where the mean spectrum of a class in KBr, on the instrument without an error of scale, is highest, cm-1."""
    chosen = (data.label.values == CLASS_NAMES.index(label)) & (data.truth_instrument.values == 0)
    chosen &= data.truth_matrix.values == 0
    if metal is not None:
        chosen &= data.truth_metal.values == list(METALS).index(metal)
    assert chosen.any()
    axis = data.wavenumber.values
    near = (axis >= low) & (axis <= high)
    return axis[near][data.absorbance.values[chosen].mean(axis=0)[near].argmax()]


@pytest.mark.parametrize(
    ("ligand", "free", "bound", "where"),
    [
        ("acetylacetone", 1622, 1577, (1500, 1680)),
        ("bipyridine", 993, 1020, (960, 1035)),
        ("hydroxyquinoline", 1094, 1109, (1070, 1140)),
    ],
)
def test_bands_move_on_coordination_as_published(ligand, free, bound, where):
    data = simulate_complexes(n_preparations=400, **CLEAN)
    assert abs(highest(data, ligand, *where) - free) <= 3
    assert abs(highest(data, f"{ligand} complex", *where) - bound) <= 6  # metals differ


def test_stronger_metals_shift_further():
    data = simulate_complexes(n_preparations=800, **CLEAN)
    found = [highest(data, "acetylacetone complex", 1560, 1600, metal) for metal in ("Mn", "Ni", "Cu")]
    assert found[0] > found[1] > found[2]  # C=O falls on chelation


def test_unreacted_ligand_shows_its_bands():
    def keto(share):
        options = CLEAN | {"unreacted": (share, share)}
        data = simulate_complexes(n_preparations=100, **options)
        axis, of_class = data.wavenumber.values, data.label.values == CLASS_NAMES.index("acetylacetone complex")
        spectra = data.absorbance.values[of_class]
        return (spectra[:, np.abs(axis - 1718) < 12].mean() - spectra[:, np.abs(axis - 1850) < 12].mean()).item()

    assert keto(0.0) < keto(0.3) < keto(0.6)


def test_tables_are_within_reason():
    for bands in LIGANDS.values():
        for band in bands:
            assert (band.free is None) == (band.free_height == 0), band
            assert (band.bound is None) == (band.bound_height == 0), band
            assert band.assignment
            assert isinstance(band.assumed, bool), band
            if band.free is not None and band.bound is not None:
                assert abs(band.bound - band.free) <= 60, band


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_preparations": 10}, "leave 1 of hydroxyquinoline complex; four folds need 4"),
        ({"shares": (1, 1)}, "give 6 numbers above 0"),
        ({"group_by": "day"}, "group_by is 'day'"),
        ({"step": 0.0}, "fewer than two points"),
        ({"n_replicates": 0}, "n_replicates is 0"),
        ({"unreacted": (0.5, 0.1)}, "unreacted is"),
        ({"unreacted": (0.5, 1.0)}, "below 1"),
        ({"band_jitter": -1.0}, "band_jitter is -1"),
    ],
)
def test_bad_settings_are_refused(options, says):
    with pytest.raises(SettingsError, match=says):
        simulate_complexes(**options)


def test_settings_and_options_together_are_refused():
    with pytest.raises(SettingsError, match="not both"):
        simulate_complexes(ComplexesSettings(), n_replicates=2)
