"""Fitness of a data set, from one pass through it: quality, copies, confounds and whether it can be split.

Quality after Baker et al. 2014 (doi:10.1038/nprot.2014.110); leaks and confounds after Kapoor & Narayanan 2023
(doi:10.1016/j.patter.2023.100804).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from ftirlib.errors import DataError
from ftirlib.report.check.confounds import BatchTest, cramers_v, predict_batch
from ftirlib.report.check.duplicates import Duplicates, find_duplicates
from ftirlib.report.check.store_sums import StoreSums
from ftirlib.report.tally import contingency_table
from ftirlib.spectra.folds import four_way_folds
from ftirlib.spectra.importing.units import detect_unit
from ftirlib.spectra.model import has_images, iter_blocks, read_absorbance
from ftirlib.spectra.prepare.quality import MAXIMUM_AMIDE, MINIMUM_SNR

VISIBLE = 3.0  # times the noise
DISTINCT = 0.05  # of a permutation test
UNIT_SAMPLE = 1000  # spectra that the unit is judged by


@dataclass(frozen=True)
class Finding:
    """A sentence for the user: a "problem" makes results wrong, a "warning" may, a "note" is a fact."""

    level: str
    text: str


@dataclass(frozen=True)
class StoreReport:
    """Results of `check_store`; `ftirlib.report.check.store_page` turns them into text and a page.

    Attributes
    ----------
    title : str
    n_spectra, n_images, n_groups, n_not_finite, n_zero : int
    wavenumber : (n_wavenumbers,) cm-1
    class_names, batch_names, image_names : list of str
    class_table : list of dict
        spectra, images and groups of each class.
    class_means, class_sds : (n_classes, n_wavenumbers) arrays
        NaN for a class without spectra; without labels, one row for all.
    quality : dict
        n_saturated, n_noisy, n_weak and snr_median (the upper end of its bin); empty where the axis does not allow.
    snr_counts : (n_bins,) int
        Spectra in each bin of `store_sums.SNR_EDGES`; empty where the axis does not allow.
    tissue_share : (n_images,) array
        NaN where the axis does not allow.
    gases : dict
        carbon_dioxide and water_vapour, medians over spectra in units of the noise; absent where the axis does not
        allow.
    duplicates : Duplicates
    batch_table : (n_classes, n_batches) int array
        Images.
    cramers_v : float
        Of class and batch over images; NaN without two of each.
    batch_test : BatchTest or None
    findings : list of Finding
    """

    title: str
    n_spectra: int
    n_images: int
    n_groups: int
    n_not_finite: int
    n_zero: int
    wavenumber: np.ndarray
    class_names: list[str]
    batch_names: list[str]
    image_names: list[str]
    class_table: list[dict]
    class_means: np.ndarray
    class_sds: np.ndarray
    quality: dict
    snr_counts: np.ndarray
    tissue_share: np.ndarray
    gases: dict
    duplicates: Duplicates
    batch_table: np.ndarray
    cramers_v: float
    batch_test: BatchTest | None
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_fit(self) -> bool:
        """Whether nothing was found that makes results wrong."""
        return not any(finding.level == "problem" for finding in self.findings)


def check_store(
    data: xr.Dataset,
    *,
    title: str = "data set",
    batch: Sequence[str] | None = None,
    n_permutations: int = 99,
    random_state: int = 0,
) -> StoreReport:
    """Report on the fitness of a data set, from one pass through it with a block in memory at a time.

    Parameters
    ----------
    data : xarray.Dataset
        Of the layout of `validate_spectra`; may be open lazily. Values that are not finite are counted, not refused.
    title : str
    batch : (n_images,) sequence of str, optional
        Day, instrument or array of each image, in the order of ``image_names``; left out: the attribute
        ``image_batches``, where there is one.
    n_permutations : int
        Of the test whether spectra betray the batch.
    random_state : int

    Returns
    -------
    StoreReport

    Raises
    ------
    DataError
        When there is not one batch for each image.
    """
    attrs, label, image, group = data.attrs, *(data[name].values for name in ("label", "image", "group"))
    image_names = list(attrs["image_names"])
    batch_names, batch_of_image = _batches(attrs.get("image_batches") if batch is None else batch, image_names)
    sums = StoreSums(data, random_state)
    for start, block in iter_blocks(data):
        sums.add(start, block)
    duplicates = find_duplicates(data, sums.signatures)
    present = np.flatnonzero(sums.image_spectra > 0)
    image_label, image_group = np.full(len(image_names), -1), np.zeros(len(image_names), np.int64)
    image_label[image], image_group[image] = label, group
    labelled = present[image_label[present] >= 0]
    batch_table, v, test = np.zeros((len(attrs["class_names"]), 0), np.int64), float("nan"), None
    if len(batch_names) > 1:
        codes = image_label[labelled], batch_of_image[labelled]
        batch_table = contingency_table(*codes, shape=(len(attrs["class_names"]), len(batch_names)))
        v = cramers_v(*codes)
        used = present[sums.image_counts[present] > 0]
        test = predict_batch(
            sums.image_sums[used] / sums.image_counts[used][:, None],
            batch_of_image[used],
            image_group[used],
            image_label[used],
            n_permutations=n_permutations,
            random_state=random_state,
        )
    means, sds = sums.class_spectra()
    report = StoreReport(
        title=title,
        n_spectra=int(data.sizes["spectrum"]),
        n_images=len(present),
        n_groups=len(np.unique(group)),
        n_not_finite=sums.n_not_finite,
        n_zero=sums.n_zero,
        wavenumber=data.wavenumber.values,
        class_names=list(attrs["class_names"]),
        batch_names=batch_names,
        image_names=image_names,
        class_table=_class_table(data),
        class_means=means,
        class_sds=sds,
        quality=sums.quality(),
        snr_counts=sums.snr_counts if sums.can_assess else np.empty(0, np.int64),
        tissue_share=sums.tissue_share(),
        gases=sums.gases(),
        duplicates=duplicates,
        batch_table=batch_table,
        cramers_v=v,
        batch_test=test,
    )
    report.findings.extend(_findings(report, data))
    return report


def _batches(batch, image_names) -> tuple[list[str], np.ndarray]:
    """Names of the batches and the code of each image's; images without a batch are one of their own."""
    if batch is None or not any(batch):
        return [], np.zeros(len(image_names), np.int64)
    if len(batch) != len(image_names):
        raise DataError(f"there are {len(batch)} batches for {len(image_names)} images; give one for each image.")
    names, codes = np.unique([str(name) or "(not named)" for name in batch], return_inverse=True)
    return names.tolist(), codes


def _class_table(data) -> list[dict]:
    """Spectra, images and groups of each class, and of spectra without one."""
    label, image, group = (data[name].values for name in ("label", "image", "group"))
    rows = []
    for code, name in [*enumerate(data.attrs["class_names"]), (-1, "(no label)")]:
        members = label == code
        if code >= 0 or members.any():
            rows.append(
                {
                    "class": name,
                    "spectra": int(members.sum()),
                    "images": len(np.unique(image[members])),
                    "groups": len(np.unique(group[members])),
                }
            )
    return rows


def _findings(report: StoreReport, data) -> list[Finding]:
    return [
        Finding(level, text)
        for part in (_of_values, _of_gases, _of_copies, _of_groups, _of_batches)
        for level, text in part(report, data)
    ]


def _of_values(report, data):
    if report.n_not_finite:
        yield "problem", f"{report.n_not_finite} spectra hold NaN or infinite values; leave them out when importing."
    if report.n_zero:
        yield "warning", f"{report.n_zero} spectra are zero throughout (dead pixels); a tissue mask removes them."
    step = max(1, report.n_spectra // UNIT_SAMPLE)
    try:
        detect_unit(read_absorbance(data, np.arange(0, report.n_spectra, step)), None, "the data set", [])
    except DataError:
        yield "problem", "the values look like transmittance or per cent, not absorbance; import again with --unit."
    if not report.quality:
        low, high = report.wavenumber[[0, -1]]
        yield (
            "note",
            f"{low:g}-{high:g} cm-1 lacks amide I or its surroundings: signal, noise and tissue are not judged.",
        )
        return
    if n := report.quality["n_saturated"]:
        yield "warning", f"{n} spectra exceed {MAXIMUM_AMIDE:g} absorbance at amide I, where detectors bend bands."
    if n := report.quality["n_noisy"]:
        yield "warning", f"{n} spectra with an amide I band have a signal-to-noise ratio below {MINIMUM_SNR:g}."


def _of_gases(report, data):
    for name, advice in (
        ("carbon_dioxide", "cut 2280-2390 cm-1, or keep 1000-1800."),
        ("water_vapour", "its lines lie over the amide bands too: dry air, or subtract them before."),
    ):
        if report.gases.get(name, 0) > VISIBLE:
            text = name.replace("_", " ")
            yield "warning", f"{text} stands {report.gases[name]:.1f} times the noise out of half the spectra; {advice}"


def _of_copies(report, data):
    group, found = data.group.values, report.duplicates
    for which, word in (("exact", "equal to the bit"), ("near", "equal but for rounding or scale")):
        pairs, across = getattr(found, which), found.across(group, which)
        if len(across):
            one, other = across[0]
            names = [data.attrs["group_names"][int(group[k])] for k in (one, other)]
            yield (
                "problem",
                f"{len(across)} spectra are {word} to one of another group (spectrum {other} of '{names[1]}' and {one} "
                f"of '{names[0]}'): a test set would be seen in training; make the two one group or drop the copies.",
            )
        if n := len(pairs) - len(across):
            yield "warning", f"{n} spectra are {word} to another of their own group."
    if found.n_not_measured:
        yield "note", f"{found.n_not_measured} more spectra may have near copies; they were too many to measure."


def _of_groups(report, data):
    label, group = data.label.values, data.group.values
    if not (label >= 0).any():
        yield "note", "there are no labels: the data can be predicted, not learned from."
        return
    try:
        four_way_folds(label, group, class_names=data.attrs["class_names"])
        yield "note", "four folds that keep groups whole are possible."
    except DataError as error:
        yield "problem", f"four folds that keep groups whole are not possible: {error}"
    if report.n_images > 1 and report.n_groups == report.n_images:
        yield "note", "every image is its own group: right only if no patient has two."
    if has_images(data) and report.n_groups == 1:
        yield "warning", "all spectra are of one group; name the patient with --group."
    shape = len(report.class_names), group.max() + 1
    pairs = contingency_table(label[label >= 0], group[label >= 0], shape=shape) > 0
    alone = [
        name
        for k, name in enumerate(report.class_names)
        if pairs[k].any() and not (pairs[k] & (pairs.sum(axis=0) > 1)).any()
    ]
    mixed = int((pairs.sum(axis=0) > 1).sum())
    if alone and mixed:
        yield (
            "warning",
            f"{mixed} groups have several classes, but no group of {' or '.join(alone)} has another class: what tells "
            "it may be the patients.",
        )


def _of_batches(report, data):
    if not report.batch_names:
        yield "note", "no batches are named (day, instrument, array), so confounds with them are not judged."
        return
    if len(report.batch_names) == 1:
        yield "note", f"all images are of one batch, '{report.batch_names[0]}'."
        return
    for name, counts in zip(report.class_names, report.batch_table):
        here, others = np.flatnonzero(counts), report.batch_table.sum(axis=0) - counts
        if len(here) and not others[here].any():
            names = ", ".join(report.batch_names[k] for k in here)
            yield (
                "problem",
                f"class {name} has its batches ({names}) to itself: nothing tells the class from the batch; "
                "bring images of other classes from the same batch.",
            )
        elif len(here) == 1:
            yield "warning", f"class {name} occurs in batch '{report.batch_names[here[0]]}' only."
    if report.cramers_v > 0:
        yield "note", f"class and batch are associated with Cramer's V of {report.cramers_v:.2f} (0 none, 1 all)."
    test = report.batch_test
    if test is None:
        yield "note", "too few groups in the batches to test whether spectra betray them."
    elif test.p_value <= DISTINCT:
        beyond = "also within classes" if test.p_value_in_class <= DISTINCT else "not beyond what the classes bring"
        yield (
            "warning" if test.p_value_in_class <= DISTINCT else "note",
            f"mean spectra of images betray their batch: balanced accuracy {test.accuracy:.2f}, shuffled "
            f"{test.shuffled.mean():.2f} (p = {test.p_value:.2g}), {beyond} (p = {test.p_value_in_class:.2g}).",
        )
    else:
        yield "note", f"mean spectra of images do not betray their batch (p = {test.p_value:.2g})."
