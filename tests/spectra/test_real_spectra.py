"""Real spectra: import, masking and correction, and the leak that splitting by spectrum hides."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from ftirlib.spectra.folds import check_fold, four_way_folds
from ftirlib.spectra.importing.readers import describe, import_spectra
from ftirlib.spectra.prepare.recipe import prepare_spectra


@pytest.fixture(scope="module")
def brain(shared_data):
    return import_spectra(
        shared_data / "brain_atr" / "brain_atr.npz",
        label="label",
        group="patient",
        low=1000,
        high=1801,
        class_names=["Normal", "Astrocytoma", "Glioblastoma"],
        positive_classes=["Glioblastoma"],
    )


@pytest.fixture(scope="module")
def tissue_map(shared_data):
    return import_spectra(shared_data / "tissue_map" / "specio_fsm_T_1800_1000.npz")


def band_area(spectra, wavenumber, low, high):
    """Area above the straight line that joins the ends of the window."""
    inside = (wavenumber >= low) & (wavenumber <= high)
    x, y = wavenumber[inside], spectra[:, inside]
    line = y[:, :1] + (y[:, -1:] - y[:, :1]) * (x - x[0]) / (x[-1] - x[0])
    return np.trapezoid(y - line, x, axis=1)


def test_brain_spectra_import(brain):
    found = describe(brain)
    assert (found["spectra"], found["groups"], len(found["classes"])) == (439, 22, 3)
    assert {name: k["groups"] for name, k in found["classes"].items()} == {
        "Normal": 7,
        "Astrocytoma": 10,
        "Glioblastoma": 5,
    }
    assert "label_level" not in brain.attrs


def test_patients_on_both_sides_make_a_score_too_good(brain):
    spectra, label, patient = brain.absorbance.values, brain.label.values, brain.group.values
    model = make_pipeline(PCA(25), LinearDiscriminantAnalysis())

    def score(splitter, groups=None):
        return balanced_accuracy_score(label, cross_val_predict(model, spectra, label, groups=groups, cv=splitter))

    by_patient = [score(StratifiedGroupKFold(4, shuffle=True, random_state=seed), patient) for seed in range(3)]
    by_spectrum = score(StratifiedKFold(5, shuffle=True, random_state=0))
    assert by_spectrum > 0.93
    # Eight shuffles of the patients gave .45 to .66, standard deviation .07: 0.2 is five standard errors of three.
    assert 1 / 3 < np.mean(by_patient) < by_spectrum - 0.2


def test_our_folds_keep_patients_whole_on_real_spectra(brain):
    label, patient = brain.label.values, brain.group.values
    predicted = np.full(label.size, -1)
    for fold in four_way_folds(label, patient):
        check_fold(fold, patient)
        rows = np.concatenate([fold.train, fold.validation])
        model = make_pipeline(PCA(25), LinearDiscriminantAnalysis()).fit(brain.absorbance.values[rows], label[rows])
        predicted[fold.test] = model.predict(brain.absorbance.values[fold.test])
    # .56 to .68 for four random states; .96 where patients are on both sides.
    assert 0.45 < balanced_accuracy_score(label, predicted) < 0.80


def test_tissue_map_is_recognised_as_per_cent(tissue_map):
    assert any("percent, as the file says" in note for note in tissue_map.attrs["import_notes"])
    assert tissue_map.sizes == {"spectrum": 86 * 93, "wavenumber": 401}
    assert tissue_map.attrs["pixel_size_um"] == 6.25
    at_amide = tissue_map.absorbance.sel(wavenumber=slice(1640, 1670)).values.max(axis=1)
    assert 0.5 < np.median(at_amide) < 1.2


def test_tissue_map_is_masked_and_freed_of_paraffin(tissue_map, tmp_path):
    with_wax = prepare_spectra(tissue_map, tmp_path / "wax.zarr", recipe=[{"emsc": {"order": 2}}])
    without = prepare_spectra(
        tissue_map, tmp_path / "free.zarr", recipe=[{"emsc": {"order": 2, "interferents": ["paraffin"]}}]
    )
    kept = with_wax.attrs["quality"]["kept"] / with_wax.attrs["quality"]["given"]
    assert 0.6 < kept < 0.95  # the section has holes and an edge
    axis = with_wax.wavenumber.values
    before = np.abs(band_area(with_wax.absorbance.values, axis, 1452, 1482))
    after = np.abs(band_area(without.absorbance.values, axis, 1452, 1482))
    assert np.median(after) < 0.5 * np.median(before)
    # Amide I, which paraffin does not touch, keeps its place.
    amide = (axis > 1620) & (axis < 1690)
    peaks = [axis[amide][d.absorbance.values[:, amide].mean(axis=0).argmax()] for d in (with_wax, without)]
    assert abs(peaks[0] - peaks[1]) <= 2


def test_full_range_crop_needs_a_range_where_it_saturates(shared_data):
    path = shared_data / "tissue_map" / "specio_fsm_T_fullrange_crop16x16.npz"
    whole = import_spectra(path)
    assert whole.absorbance.values.max() > 2  # C-H stretching of paraffin lets less than 1 % through
    cut = import_spectra(path, low=1000, high=1800, step=4)
    np.testing.assert_array_equal(cut.wavenumber, np.arange(1000.0, 1801.0, 4.0))
    np.testing.assert_allclose(cut.absorbance, whole.absorbance.sel(wavenumber=cut.wavenumber), atol=1e-5)


def test_collagen_table_imports(shared_data):
    data = import_spectra(shared_data / "collagen" / "collagen.csv", skip_rows=2)
    found = describe(data)
    assert {name: k["spectra"] for name, k in found["classes"].items()} == {
        "DNA": 110,
        "collagen": 195,
        "glycogen": 212,
        "lipids": 214,
    }
    assert found["wavenumbers"]["count"] == 234 and data.attrs["label_level"] == "spectrum"
