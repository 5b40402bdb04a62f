"""The check of a data set on stores whose defects are planted one by one."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from ftirlib.errors import DataError
from ftirlib.report.check.confounds import cramers_v, predict_batch
from ftirlib.report.check.duplicates import Signatures, find_duplicates, standardised
from ftirlib.report.check.store_check import check_store
from ftirlib.report.check.store_page import report_page, report_text
from ftirlib.report.check.store_sums import gases_in
from ftirlib.spectra.model import make_spectra, open_spectra
from ftirlib.spectra.writer import save_spectra

AXIS = np.arange(1000.0, 2500.0, 4.0)
N_PIXELS = 12  # an image, of which a third is glass


def band(centre, width=25.0):
    return np.exp(-(((AXIS - centre) / width) ** 2))


def cohort(n_groups=16, *, seed=0, change=lambda absorbance, image: None, batch=None, labelled=True, label=None):
    """Images of alternating classes, one a group; `change` works on (n, n_wavenumbers) with each spectrum's image."""
    rng = np.random.default_rng(seed)
    image = np.repeat(np.arange(n_groups), N_PIXELS)
    label = image % 2 if label is None else np.asarray(label)[image]
    tissue = np.tile(np.arange(N_PIXELS) >= N_PIXELS // 3, n_groups)
    amount = np.where(tissue, rng.uniform(0.4, 0.6, image.size), 0.0)[:, None]
    absorbance = amount * (band(1655) + 0.6 * band(1545) + np.where(label == 1, 0.3, 0.1)[:, None] * band(1240))
    absorbance += 0.002 * rng.standard_normal(absorbance.shape)
    change(absorbance, image)
    names = np.array([f"i{k:02}" for k in range(n_groups)])[image]
    return make_spectra(
        absorbance,
        AXIS,
        label=np.where(label == 1, "cancer", "normal") if labelled else None,
        image=names,
        group=names,
        row=np.tile(np.arange(N_PIXELS) // 4, n_groups),
        col=np.tile(np.arange(N_PIXELS) % 4, n_groups),
        class_names=["normal", "cancer"],
        attrs={} if batch is None else {"image_batches": list(batch)},
    )


def checked(data, **options):
    return check_store(data, **{"n_permutations": 39} | options)


def found(report, level):
    return " ".join(finding.text for finding in report.findings if finding.level == level)


@pytest.fixture(scope="module")
def sound():
    return cohort(batch=np.tile(["a", "a", "b", "b"], 4))


@pytest.fixture(scope="module")
def report(sound):
    return checked(sound, title="sound <data>")


def test_sound_data_have_no_problem(report):
    assert report.is_fit and not found(report, "problem") and not found(report, "warning")
    assert (report.n_spectra, report.n_images, report.n_groups) == (192, 16, 16)
    assert [row["groups"] for row in report.class_table] == [8, 8]
    np.testing.assert_allclose(report.tissue_share, 2 / 3)
    assert report.quality["n_weak"] == 64 and report.snr_counts.sum() == 128
    assert 50 < report.quality["snr_median"] < 400
    assert "four folds that keep groups whole are possible" in found(report, "note")


def test_means_are_those_of_the_tissue(sound, report):
    absorbance, label = sound.absorbance.values.astype(float), sound.label.values
    tissue = np.tile(np.arange(N_PIXELS) >= N_PIXELS // 3, 16)
    for k in range(2):
        np.testing.assert_allclose(report.class_means[k], absorbance[(label == k) & tissue].mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(report.class_sds[k], absorbance[(label == k) & tissue].std(axis=0), atol=1e-6)


def test_blocks_do_not_matter(sound, report, monkeypatch):
    from ftirlib.report.check import store_check
    from ftirlib.spectra.model import iter_blocks

    monkeypatch.setattr(store_check, "iter_blocks", lambda data: iter_blocks(data, size=7))
    other = checked(sound, title="sound <data>")
    assert report_text(other) == report_text(report)
    np.testing.assert_allclose(other.class_means, report.class_means)


def test_store_on_disk_is_checked_without_loading_it(sound, tmp_path, report):
    save_spectra(sound, tmp_path / "a.zarr")
    data = open_spectra(tmp_path / "a.zarr")
    assert report_text(checked(data, title="sound <data>")) == report_text(report)


def test_values_that_are_no_numbers_dark_saturated_or_noisy():
    data = cohort()
    values = data.absorbance.values
    values[5, 3] = np.nan
    values[17] = 0
    values[30] += 2.5
    values[44] += 0.2 * np.random.default_rng(1).standard_normal(AXIS.size)
    found_here = checked(data)
    assert (found_here.n_not_finite, found_here.n_zero) == (1, 1)
    assert found_here.quality["n_saturated"] == 1 and found_here.quality["n_noisy"] == 1
    assert "1 spectra hold NaN" in found(found_here, "problem") and not found_here.is_fit
    for text in ("zero throughout", "exceed 2 absorbance", "ratio below 10"):
        assert text in found(found_here, "warning")


def test_transmittance_is_noticed():
    def to_transmittance(absorbance, image):
        absorbance[:] = 10**-absorbance

    assert "transmittance" in found(checked(cohort(change=to_transmittance)), "problem")


@pytest.mark.parametrize(("across", "level"), [(True, "problem"), (False, "warning")])
@pytest.mark.parametrize(
    ("alter", "word"),
    [
        (lambda s: s, "to the bit"),
        (lambda s: 1.7 * s + 0.02, "rounding or scale"),
        (lambda s: np.round(s, 5), "rounding or scale"),
    ],
)
def test_copies_are_found_within_and_across_groups(across, level, alter, word):
    def copy(absorbance, image):
        absorbance[5 + 3 * N_PIXELS * across + 1] = alter(absorbance[5])

    found_here = checked(cohort(change=copy))
    pairs = found_here.duplicates.exact if word == "to the bit" else found_here.duplicates.near
    assert pairs.tolist() == [[5, 5 + 3 * N_PIXELS * across + 1]]
    assert f"1 spectra are equal {'' if word == 'to the bit' else 'but for '}{word}" in found(found_here, level)
    if across:
        assert "'i00'" in found(found_here, level) and "'i03'" in found(found_here, level)


@pytest.mark.parametrize(("apart", "near"), [(0.95, True), (1.05, False)])
@pytest.mark.parametrize("seen", [True, False])
def test_copies_are_near_up_to_a_ten_thousandth(apart, near, seen):
    """Two spectra so many ten-thousandths apart, along the directions that the search looks in, or across them."""
    signatures = Signatures(AXIS.size)
    rng = np.random.default_rng(4)
    one = band(1655) + 0.6 * band(1545)
    shape = standardised(one[None])[0]
    ignored = np.stack([np.ones(AXIS.size), shape])  # offset and scale, which do not count
    if seen:
        off = signatures.directions @ np.linalg.svd(ignored @ signatures.directions)[2][-1]
    else:
        known = np.linalg.qr(np.column_stack([ignored.T, signatures.directions]))[0]
        off = rng.standard_normal(AXIS.size)
        off -= known @ (known.T @ off)
    off /= np.linalg.norm(off)
    spectra = np.concatenate([rng.uniform(size=(5, AXIS.size)), [shape], [shape + apart * 1e-4 * off]])
    data = make_spectra(spectra, AXIS)
    signatures.add(data.absorbance.values)
    found = find_duplicates(data, signatures)
    assert found.near.tolist() == ([[5, 6]] if near else []) and not len(found.exact)


def test_noise_makes_a_measurement_another_one():
    def again(absorbance, image):
        absorbance[40] = absorbance[5] + 0.002 * np.random.default_rng(3).standard_normal(AXIS.size)

    duplicates = checked(cohort(change=again)).duplicates
    assert not len(duplicates.exact) and not len(duplicates.near)


def test_many_copies_of_one_spectrum_and_flat_ones():
    def copies(absorbance, image):
        absorbance[20:30] = absorbance[5]
        absorbance[50:60] = 0
        absorbance[60:70] = 0.3

    data = cohort(change=copies)
    signatures = Signatures(AXIS.size)
    signatures.add(data.absorbance.values)
    duplicates = find_duplicates(data, signatures)
    assert duplicates.exact.tolist() == [[5, k] for k in range(20, 30)] and not len(duplicates.near)


def test_carbon_dioxide_and_vapour_are_seen():
    rng = np.random.default_rng(0)
    clean = band(1655)[None] + 0.001 * rng.standard_normal((200, AXIS.size))
    lines = np.where((AXIS > 1300) & (AXIS < 1900), 0.01 * (-1.0) ** np.arange(AXIS.size), 0)
    base, wet, gas = (
        {name: np.median(v) for name, v in gases_in(s, AXIS).items()}
        for s in (clean, clean + lines, clean + 0.05 * band(2350, 12))
    )
    assert base["water_vapour"] == pytest.approx(1, abs=0.1) and base["carbon_dioxide"] < 3
    assert wet["water_vapour"] > 8 and gas["carbon_dioxide"] == pytest.approx(50, rel=0.15)
    assert gases_in(clean[:, :200], AXIS[:200]) == {}

    def both(absorbance, image):
        absorbance += 3 * lines + 0.1 * band(2350, 12)

    text = found(checked(cohort(change=both)), "warning")
    assert "carbon dioxide stands" in text and "water vapour stands" in text


def test_batch_that_shows_in_spectra_is_noticed():
    batch = np.tile(["a", "a", "b", "b"], 6)

    def tilt(absorbance, image):
        absorbance += np.where(batch[image] == "b", 0.05, 0)[:, None] * band(1450, 60)

    data = cohort(24, change=tilt, batch=batch)
    report = checked(data)
    assert report.cramers_v == 0
    assert report.batch_test.accuracy > 0.95 and report.batch_test.p_value_in_class <= 0.05
    assert "betray their batch" in found(report, "warning")
    silent = checked(cohort(24, batch=batch))
    assert silent.batch_test.p_value > 0.05 and "do not betray" in found(silent, "note")


def test_class_with_a_batch_of_its_own_is_a_problem():
    report = checked(cohort(16, batch=np.tile(["a", "b"], 8)))
    assert report.cramers_v == 1
    assert report.batch_table.tolist() == [[8, 0], [0, 8]]
    assert "class normal has its batches (a) to itself" in found(report, "problem")
    # The classes differ, so the batches do: beyond the classes nothing can be told.
    assert report.batch_test.accuracy == 1 and report.batch_test.p_value_in_class == 1


def test_batches_may_be_named_from_outside_and_must_fit():
    data = cohort(8)
    assert "no batches are named" in found(checked(data), "note")
    assert "all images are of one batch, 'x'" in found(checked(data, batch=["x"] * 8), "note")
    assert checked(data, batch=["x", "x", "y", "y"] * 2).batch_names == ["x", "y"]
    assert checked(data, batch=["x", "x", "", ""] * 2).batch_names == ["(not named)", "x"]
    assert checked(data, batch=[""] * 8).batch_names == []
    with pytest.raises(DataError, match="3 batches for 8 images"):
        checked(data, batch=["x"] * 3)


def test_too_few_groups_and_no_labels():
    few = checked(cohort(6))
    assert "four folds that keep groups whole are not possible" in found(few, "problem")
    none = checked(cohort(8, labelled=False))
    assert "predicted, not learned from" in found(none, "note") and none.is_fit
    assert "all spectra" in report_page(none)


def test_class_of_other_patients_is_noticed():
    data = cohort(16, label=[0, 1, 0, 1] * 3 + [1, 0, 1, 0])
    data.attrs["class_names"] = ["normal", "cancer", "metastasis"]
    data.label.values[data.image.values >= 12] = 2
    data.group.values[data.image.values < 12] //= 2  # patients with normal and cancer
    assert "no group of metastasis has another class" in found(checked(data), "warning")


def test_axis_without_amide_is_said_not_guessed():
    data = cohort(8).sel(wavenumber=slice(1000, 1500))
    report = checked(data)
    assert report.quality == {} and report.gases == {} and not len(report.snr_counts)
    assert "are not judged" in found(report, "note")
    assert "signal to noise" not in report_text(report)
    report_page(report)


def test_v_is_corrected_for_chance(rng):
    assert cramers_v([0, 1] * 50, [0, 1] * 50) == pytest.approx(1)
    values = [cramers_v(rng.integers(3, size=30), rng.integers(4, size=30)) for _ in range(50)]
    assert np.median(values) < 0.1
    assert np.isnan(cramers_v([0, 0], [0, 1])) and np.isnan(cramers_v([], []))


def test_batches_of_one_group_cannot_be_tested(rng):
    assert predict_batch(rng.standard_normal((6, 9)), [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0] * 6) is None


class Page(HTMLParser):
    VOID = ("meta", "path", "use", "br")

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.tags, self.texts, self.links = [], [], set(), [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[k] for k in ("src", "href", "xlink:href") if k in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_page_needs_nothing_else_and_fits_a_telephone(report):
    html = report_page(report)
    page = Page()
    page.feed(html)
    assert not page.open and {"svg", "table", "figure"} <= page.tags
    assert not page.tags & {"script", "img", "link", "iframe"}
    assert len(page.ids) == len(set(page.ids))  # four drawings on one page
    assert page.links and all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(page.ids)
    assert (
        'name="viewport"' in html
        and "svg{max-width:100%" in html
        and html.count('class="wide"') == html.count("<table>")
    )
    assert "sound &lt;data&gt;" in html and "<data>" not in html
    assert html == report_page(report)


def test_text_holds_every_finding_and_table(report):
    text = report_text(report)
    for finding in report.findings:
        assert finding.text in text
    assert re.search(r"cancer +96 +8 +8", text) and re.search(r"normal +4 +4", text)
    assert max(map(len, text.split("\n")[:9])) < 90
