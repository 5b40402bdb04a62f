"""The simulated cohort: repeatable, true to its truth, like real tissue, and with no short cut to the label."""

import hashlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import minimum_filter
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.folds import four_way_folds
from ftirlib.spectra.model import as_image, open_spectra, validate_spectra
from ftirlib.spectra.simulate.chemistry import Content, Pathway
from ftirlib.spectra.simulate.colon import IN_FLIGHT, PhantomSettings, planted_bands, simulate_colon, simulate_image
from ftirlib.spectra.simulate.glands import LUMEN, NECROSIS, TISSUES
from ftirlib.spectra.simulate.image import in_proportion

TINY = PhantomSettings(images=6, side=8, wavenumber_step=10.0)
# Chemistry alone: no scatter, wax, vapour, baseline or noise, and every patient the same.
NO_EFFECTS = ["multiplicative_noise", "dead_pixels", "patient_sigma", "image_sigma", "cell_sigma", "thickness_cv"]
NO_SHIFTS = ["amide_i_shift", "amide_ii_shift"]
NO_ARTEFACTS = ["paraffin", "vapour", "offset", "slope", "scatter", "noise", "edge_share"]
PURE = dict.fromkeys(NO_EFFECTS + NO_SHIFTS, 0.0) | dict.fromkeys(NO_ARTEFACTS, (0.0, 0.0))


def fingerprint(data) -> str:
    digest = hashlib.sha256()
    for name in sorted(data.variables):
        digest.update(np.ascontiguousarray(data[name].values).tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def cohort():
    return simulate_colon(settings=PhantomSettings(images=32, side=24))


@pytest.fixture(scope="module")
def pure():
    return simulate_colon(settings=PhantomSettings(images=30, side=40, wavenumber_step=2.0, **PURE))


# Repeatable ----------------------------------------------------------------------------------------------------------


def test_same_seed_same_bytes_and_another_seed_other_bytes():
    assert fingerprint(simulate_colon(settings=TINY)) == fingerprint(simulate_colon(settings=TINY))
    assert fingerprint(simulate_colon(settings=TINY)) != fingerprint(simulate_colon(settings=TINY, seed=1))


def test_an_image_does_not_depend_on_its_cohort():
    whole = simulate_colon(settings=TINY)
    for index in (5, 0, 3):
        alone = simulate_image(TINY.model_copy(update={"images": 90}), 0, index)
        rows = whole.image.values == index
        for name in (n for n in alone.variables if n not in ("image", "group", "wavenumber")):
            np.testing.assert_array_equal(alone[name].values, whole[name].values[rows])
        assert alone.attrs["image_names"] == [whole.attrs["image_names"][index]]
        assert alone.attrs["group_names"] == [whole.attrs["group_names"][index // 2]]


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_workers_change_nothing(pool, tmp_path):
    with pool(2) as executor:
        data = simulate_colon(tmp_path / "a.zarr", settings=TINY, map=executor.map)
    assert fingerprint(data) == fingerprint(simulate_colon(settings=TINY))


def test_on_disk_and_in_memory_are_the_same(tmp_path):
    seen = []
    stored = simulate_colon(tmp_path / "a.zarr", settings=TINY, progress=lambda *counts: seen.append(counts))
    memory = simulate_colon(settings=TINY)
    assert fingerprint(validate_spectra(stored)) == fingerprint(memory)
    assert seen == [(k, 6) for k in range(1, 7)]
    assert stored.truth_fraction.dims == ("spectrum", "component")
    assert stored.truth_fraction.attrs["components"] == list(TISSUES)
    assert list(stored.truth_pathway.attrs["names"]) == TINY.pathway_names
    for name in memory.attrs:
        assert stored.attrs[name] == memory.attrs[name], name


def test_few_images_are_on_their_way_at_a_time():
    started = []

    def eager(function, indices):
        started.append(len(indices))
        return [function(k) for k in indices]

    simulate_colon(settings=PhantomSettings(images=2 * IN_FLIGHT + 3, side=4, wavenumber_step=10.0), map=eager)
    assert started == [IN_FLIGHT, IN_FLIGHT, 3]


def test_a_simulation_that_fails_leaves_no_store(tmp_path):
    def failing(function, indices):
        yield function(0)
        raise RuntimeError("worker lost")

    with pytest.raises(RuntimeError, match="worker lost"):
        simulate_colon(tmp_path / "a.zarr", settings=TINY, map=failing)
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_replaced_only_when_told(tmp_path):
    simulate_colon(tmp_path / "a.zarr", settings=TINY)
    with pytest.raises(DataError, match="exists"):
        simulate_colon(tmp_path / "a.zarr", settings=TINY, seed=1)
    simulate_colon(tmp_path / "a.zarr", settings=TINY, seed=1, overwrite=True)
    assert "seed 1" in open_spectra(tmp_path / "a.zarr").attrs["provenance"]
    with pytest.raises(SettingsError, match="give its path"):
        simulate_colon(settings=TINY, overwrite=True)


# True to its truth ---------------------------------------------------------------------------------------------------


def test_classes_are_in_the_cohort_s_proportion():
    weights = PhantomSettings().class_weights
    assert np.bincount(in_proportion(weights, 90)).tolist() == list(weights)
    for k in (24, 32, 60):
        assert in_proportion(weights, k) == in_proportion(weights, 90)[:k]
        shares = np.bincount(in_proportion(weights, k), minlength=4) / k
        np.testing.assert_allclose(shares, np.array(weights) / sum(weights), atol=1 / k)


def test_data_say_that_they_are_simulated(cohort):
    assert validate_spectra(cohort).attrs["is_simulated"] is True
    assert "simulated" in cohort.attrs["provenance"] and "simulated" in cohort.attrs["instrument"]
    assert cohort.attrs["class_names"] == ["normal", "hyperplastic", "adenomatous", "cancerous"]
    assert cohort.attrs["positive_classes"] == ["cancerous"]


def test_an_image_is_labelled_by_its_most_severe_class(cohort):
    for image in range(32):
        rows = cohort.image.values == image
        assert set(cohort.label.values[rows]) == {cohort.truth_class.values[rows].max()}


def test_truth_columns_agree_with_each_other(cohort):
    fraction, klass = cohort.truth_fraction.values, cohort.truth_class.values
    tissue = klass >= 0
    np.testing.assert_allclose(fraction.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(tissue, fraction[:, LUMEN] <= 0.5)
    wrong = tissue & (klass != cohort.label.values)
    np.testing.assert_array_equal(cohort.truth_mislabelled.values, wrong)
    assert 0.05 < wrong[tissue].mean() < 0.3
    assert not wrong[cohort.label.values == 0].any()  # normal images hold nothing else

    names = np.array(cohort.truth_pathway.attrs["names"])[cohort.truth_pathway.values]
    np.testing.assert_array_equal(names == "background", ~tissue)
    np.testing.assert_array_equal(names == "necrosis", cohort.truth_necrosis.values == 1)
    leads_to = {p.name: p.class_name for p in PhantomSettings().pathways}
    for name, to in leads_to.items():
        assert {cohort.attrs["class_names"][k] for k in np.unique(klass[names == name])} == {to}
    assert set(names) == set(PhantomSettings().pathway_names)


def test_some_normal_images_hold_dead_tissue(cohort):
    dead = cohort.truth_necrosis.values == 1
    assert (cohort.label.values[dead] == 0).any() and (cohort.label.values[dead] == 3).any()
    assert (cohort.truth_fraction.values[dead, NECROSIS] >= 0.25).all()


def test_pixels_lie_where_they_say(cohort):
    picture = as_image(cohort, 3, cohort.truth_fraction.values[:, LUMEN])
    alone = simulate_image(PhantomSettings(side=24), 0, 3)
    np.testing.assert_array_equal(picture.ravel(), alone.truth_fraction.values[:, LUMEN])


def test_images_of_a_patient_share_its_wax():
    settings = PhantomSettings(images=12, side=8, **(PURE | {"paraffin": (0.0, 0.05)}))
    data = simulate_colon(settings=settings)
    absorbance = data.absorbance.sel(wavenumber=[1450.0, 1462.0, 1476.0]).values
    wax = absorbance[:, 1] - absorbance[:, [0, 2]].mean(axis=1)
    image = np.array([wax[data.image.values == k].mean() for k in range(12)]).reshape(6, 2)
    assert image.mean(axis=1).std() > 5 * image.std(axis=1).mean()


def test_the_cohort_can_be_folded_by_patient(cohort):
    folds = four_way_folds(cohort.label.values, cohort.group.values)
    assert all(len(np.unique(cohort.label.values[fold.test])) == 4 for fold in folds)


# Like real tissue ----------------------------------------------------------------------------------------------------


def amide(wavenumber, spectrum):
    """Height of amide II over amide I, and the distance of the outermost points above half of amide I."""
    top = np.flatnonzero((wavenumber > 1600) & (wavenumber < 1700))
    peak = top[np.argmax(spectrum[top])]
    above = spectrum >= spectrum[peak] / 2
    first, last = peak, peak
    while above[first - 1]:
        first -= 1
    while above[last + 1]:
        last += 1
    second = spectrum[(wavenumber > 1520) & (wavenumber < 1570)].max()
    return second / spectrum[peak], wavenumber[last] - wavenumber[first]


@pytest.fixture(scope="module")
def real(shared_data):
    """Means and spectra of real tissue, as recorded: {class: (n, n_wavenumbers)}, ascending axis."""
    table = pd.read_csv(shared_data / "collagen" / "collagen.csv", skiprows=[1, 2])
    wavenumber = table.columns[1:].astype(float).to_numpy()[::-1]
    within = (wavenumber >= 1000) & (wavenumber <= 1800)
    values = table.iloc[:, 1:].to_numpy(float)[:, ::-1][:, within]
    return wavenumber[within], {name: values[table["type"] == name] for name in table["type"].unique()}


def on_axis(axis, data, rows):
    return np.stack([np.interp(axis, data.wavenumber.values, s) for s in data.absorbance.values[rows]])


def test_mean_tissue_has_the_amide_bands_of_real_tissue(cohort, real):
    axis, classes = real
    measured = np.array([amide(axis, spectra.mean(axis=0)) for spectra in classes.values()])
    ratio, width = amide(axis, on_axis(axis, cohort, np.flatnonzero(cohort.truth_class.values >= 0)).mean(axis=0))
    assert measured[:, 0].min() <= ratio <= measured[:, 0].max()  # .67-.71
    assert measured[:, 1].min() - 1e-6 <= width <= measured[:, 1].max() + 1e-6  # 62-69 cm-1
    assert 0.67 <= ratio <= 0.71


def test_noise_is_of_the_size_of_real_noise(cohort, real):
    axis, classes = real

    def noise(spectra):  # above all bands a second difference holds little else
        bend = np.diff(spectra[:, axis > 1750], n=2, axis=1)
        return np.median(np.abs(bend)) / 0.6745 / np.sqrt(6)

    found = noise(on_axis(axis, cohort, np.flatnonzero(cohort.truth_class.values >= 0)[::7]))
    recorded = [noise(spectra) for spectra in classes.values()]
    assert min(recorded) / 2 < found < max(recorded) * 2


# Planted as published ------------------------------------------------------------------------------------------------


def mean_by(data, codes):
    absorbance, wavenumber = data.absorbance.values, data.wavenumber.values
    means = {k: absorbance[codes == k].mean(axis=0) for k in np.unique(codes)}
    top = (wavenumber > 1600) & (wavenumber < 1700)
    return {k: mean / mean[top].max() for k, mean in means.items()}


def test_disease_goes_in_the_published_directions(pure):
    axis = pure.wavenumber.values
    normal, _, adenoma, cancer = (mean_by(pure, pure.truth_class.values)[k] for k in range(4))

    def at(spectrum, wavenumber):
        return np.interp(wavenumber, axis, spectrum)

    def ratio(spectrum, wavenumber):
        return at(spectrum, wavenumber) / at(spectrum, 1460)

    def phosphate(spectrum):  # position of the band near 1080, from a parabola through its top
        near = np.abs(axis - 1080) <= 14
        a, b, _ = np.polyfit(axis[near] - 1080, spectrum[near], 2)
        return 1080 - b / (2 * a)

    assert at(cancer, 1040) < at(adenoma, 1040) < at(normal, 1040)  # carbohydrate falls
    assert at(cancer, 1239) > at(normal, 1239) and at(cancer, 1690) > at(normal, 1690)  # nucleic acid rises
    assert ratio(cancer, 1740) < ratio(adenoma, 1740)
    assert ratio(cancer, 1550) > ratio(adenoma, 1550)
    assert ratio(cancer, 1083) > ratio(adenoma, 1083)
    assert phosphate(cancer) > phosphate(adenoma)


def test_dead_tissue_has_the_published_signs(pure):
    axis = pure.wavenumber.values
    names = pure.truth_pathway.attrs["names"]
    means = mean_by(pure, pure.truth_pathway.values)
    dead, normal = means[names.index("necrosis")], means[names.index("normal")]
    near = (axis > 1600) & (axis < 1700)
    assert axis[near][dead[near].argmax()] <= axis[near][normal[near].argmax()] - 4
    for wavenumber, sign in ((1080, -1), (1240, -1), (1740, 1)):
        assert sign * np.interp(wavenumber, axis, dead - normal) > 0


def test_planted_bands_are_found_where_they_are_said_to_be(pure):
    names, axis = pure.truth_pathway.attrs["names"], pure.wavenumber.values
    means = mean_by(pure, pure.truth_pathway.values)
    planted = pure.attrs["planted_bands"]
    assert {band["pathway"] for band in planted} == set(names) - {"background", "normal"}
    for band in planted:
        change = np.interp(band["centre"], axis, means[names.index(band["pathway"])] - means[names.index("normal")])
        assert np.sign(change) == band["direction"], band


def test_pathways_to_cancer_are_distinct(pure):
    names = ["nucleic-rich epithelium", "acidic desmoplastic", "necrosis"]
    planted = {
        n: {b["centre"]: b["direction"] for b in planted_bands(PhantomSettings()) if b["pathway"] == n} for n in names
    }
    for name in names:
        for other in set(names) - {name}:
            # Each has bands of its own or bands that go the other way.
            assert {c for c, sign in planted[name].items() if planted[other].get(c) != sign}, (name, other)
    means = mean_by(pure, pure.truth_pathway.values)
    codes = [pure.truth_pathway.attrs["names"].index(name) for name in ["normal", *names]]
    change = np.array([means[k] - means[codes[0]] for k in codes[1:]])
    assert np.abs(np.corrcoef(change) - np.eye(3)).max() < 0.9


def test_planted_bands_follow_the_settings():
    plain = PhantomSettings(pathways=tuple(replace(p, acid=0.0) for p in PhantomSettings().pathways))

    def carboxylate(settings):
        return [b["centre"] for b in planted_bands(settings) if b["pathway"] == "acidic desmoplastic"]

    assert {1394.0, 1586.0} <= set(carboxylate(PhantomSettings()))
    assert not {1394.0, 1586.0} & set(carboxylate(plain))
    short = PhantomSettings(wavenumber_start=1500.0)
    assert min(b["centre"] for b in planted_bands(short)) >= 1500.0


# No short cut to the label -------------------------------------------------------------------------------------------


def grouped_score(absorbance, label, group, seed=0):
    """Balanced accuracy of PCA and LDA with whole patients held out."""
    found = np.empty_like(label)
    for train, test in StratifiedGroupKFold(4, shuffle=True, random_state=seed).split(absorbance, label, group):
        model = make_pipeline(StandardScaler(), PCA(10, random_state=0), LinearDiscriminantAnalysis())
        found[test] = model.fit(absorbance[train], label[train]).predict(absorbance[test])
    return balanced_accuracy_score(label, found)


CHANCE, SEEDS = 0.25, (0, 1, 2)
# Scores of permuted labels spread by about .045 for 60 images; three standard errors of the mean over the seeds.
TOLERANCE = 3 * 0.045 / np.sqrt(len(SEEDS))


@pytest.fixture(scope="module")
def cohorts():
    """Cohorts with much empty glass, and which of their pixels no tissue reaches through the microscope."""
    settings = PhantomSettings(images=60, side=16, wavenumber_step=8.0, edge_share=(0.4, 0.5))
    made = []
    for seed in SEEDS:
        data = simulate_colon(settings=settings, seed=seed)
        empty = data.truth_fraction.values[:, LUMEN].reshape(60, 16, 16)
        deep = np.array([minimum_filter(image, 7, mode="nearest") for image in empty]).ravel() == 1
        made.append((data, deep))
    return made


def test_empty_glass_does_not_tell_the_label(cohorts):
    scores, leaked = [], []
    for data, deep in cohorts:
        glass, label, group = data.absorbance.values[deep], data.label.values[deep], data.group.values[deep]
        assert len(np.unique(data.image.values[deep])) >= 50
        scores.append(grouped_score(glass, label, group))
        leaked.append(grouped_score(glass + 0.005 * label[:, None], label, group))
    assert np.mean(scores) < CHANCE + TOLERANCE
    assert np.mean(leaked) > CHANCE + TOLERANCE  # 5 mAU that follow the label would be seen


def test_tissue_tells_the_label_and_permuted_labels_are_not_learned(cohorts):
    scores, permuted = [], []
    for seed, (data, _) in enumerate(cohorts):
        tissue = data.truth_class.values >= 0
        spectra = data.absorbance.values[tissue]
        spectra = spectra / np.linalg.norm(spectra, axis=1, keepdims=True)
        label, group, image = (data[name].values[tissue] for name in ("label", "group", "image"))
        scores.append(grouped_score(spectra, label, group))
        of_image = np.array([data.label.values[data.image.values == k][0] for k in range(60)])
        permuted.append(grouped_score(spectra, np.random.default_rng(seed).permutation(of_image)[image], group))
    assert np.mean(permuted) < CHANCE + TOLERANCE
    assert CHANCE + TOLERANCE < np.mean(scores) < 0.9


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("images", 0, "phantom.images.* greater than or equal to 1"),
        ("images", 2.5, "phantom.images.* integer"),
        ("images", True, "phantom.images.* integer"),
        ("side", 1, "phantom.side.* greater than or equal to 2"),
        ("side", "32", "phantom.side.* integer"),
        ("pixel_um", 0.0, "pixel_um.* 0.0.* greater than 0"),
        ("pixel_um", (5.0, 6.0), "pixel_um.* number"),
        ("noise", (-0.001, 0.003), "noise.* greater than or equal to 0"),
        ("noise", (0.003, 0.001), "noise.* the least first"),
        ("noise", 0.003, "noise.* 0.003.* tuple"),
        ("noise", (0.0, float("nan")), "noise.* finite"),
        ("scatter_index", (0.9, 1.2), "scatter_index.* greater than 1"),
        ("lesion_share", (0.5, 1.5), "lesion_share.* less than or equal to 1"),
        ("shift_correlation", -2.0, "shift_correlation"),
        ("wavenumber_stop", 4000.0, "within 900..1850"),
        ("wavenumber_start", 1800.0, "wavenumbers 1800 to 1800"),
        ("wavenumber_step", 3.0, "whole steps"),
        ("class_weights", (1, 1), "class_weights"),
        ("class_weights", (0, 0, 0, 0), "not all 0"),
        ("class_weights", (1, 1, 1, -1), "class_weights"),
        ("pathways", PhantomSettings().pathways[:3], "no pathway leads to class 'cancerous'"),
        ("pathways", PhantomSettings().pathways[::-1], "first pathway"),
        ("necrosis", Pathway("rot", "rotten"), "'rot' leads to 'rotten'"),
        ("contents", (Content("bone", protein=1.0),), "no tissue 'bone'"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value, message):
    with pytest.raises(SettingsError, match=message):
        PhantomSettings(**{name: value})


def test_lists_do_as_well_as_tuples():
    assert PhantomSettings(noise=[0.0, 0.001], class_weights=[1, 2, 3, 4]) == PhantomSettings(
        noise=(0.0, 0.001), class_weights=(1, 2, 3, 4)
    )


def test_impossible_chemistry_is_refused():
    with pytest.raises(SettingsError, match="at least 0"):
        Content("epithelium", protein=-1.0)
    with pytest.raises(SettingsError, match="more acid and denatured protein than protein"):
        Pathway("x", "normal", acid=0.6, denatured=0.6)


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1), (0.5, 0), (True, 0)])
def test_seed_and_index_are_whole_numbers(seed, index):
    with pytest.raises(SettingsError, match="whole number"):
        simulate_image(TINY, seed, index)


def test_a_field_that_shows_no_tissue_is_an_error_not_a_wrong_label():
    with pytest.raises(SettingsError, match="showed no normal tissue"):
        simulate_image(TINY.model_copy(update={"edge_share": (1.0, 1.0)}), 0, 0)


NUMBERS = [name for name, value in PhantomSettings() if isinstance(value, float)]
RANGES = [
    name
    for name, value in PhantomSettings()
    if isinstance(value, tuple) and isinstance(value[0], float) and len(value) == 2
]


@pytest.mark.parametrize("name", [name for name in NUMBERS if not name.startswith("wavenumber")] + RANGES)
def test_every_number_has_an_effect(name):
    # A cancerous image holds everything but debris in tissue that has none of its own.
    settings = PhantomSettings(side=64, wavenumber_step=8.0, debris_chance=1.0, dead_pixels=0.1)
    value = getattr(settings, name)
    less = (value[0], value[0] + (value[1] - value[0]) / 2) if name in RANGES else value / 2
    index = in_proportion(settings.class_weights, 8).index(0 if name.startswith("debris") else 3)
    other = settings.model_copy(update={name: less})
    assert fingerprint(simulate_image(settings, 0, index)) != fingerprint(simulate_image(other, 0, index))
