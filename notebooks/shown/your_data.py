"""What the chapter "Your data" shows of two public sets, from the file to what they can and cannot tell.

A set that cannot be fetched is a sentence instead of spectra, so that the chapter also runs without a network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import PredefinedSplit, StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from ftirlib.classify.baselines import PCALDA
from ftirlib.errors import DataError
from ftirlib.report.check.store_check import StoreReport, check_store
from ftirlib.sources.packages import get_public_set, import_options
from ftirlib.spectra.importing.readers import import_spectra, plan_import
from ftirlib.spectra.model import as_image, read_absorbance
from ftirlib.spectra.prepare.quality import tissue_mask
from shown.data import Picture, absorbance_picture

N_SPLITS = 5
SPLITS = ("at random", "at random, copies together", "neighbours in the file together")


@dataclass(frozen=True)
class Fetched:
    """A public set as imported, with the plan of its import and the check of it; or why it is not here."""

    name: str
    data: xr.Dataset | None = None
    plan: str = ""
    report: StoreReport | None = None
    why_not: str = ""

    def __bool__(self):
        return self.data is not None


def fetch(name: str) -> Fetched:
    """Fetch, plan, import and check a set; without a network the reason in place of all that."""
    try:
        path, options = get_public_set(name), import_options(name)
    except DataError:  # the installer's own words name addresses of one machine; they belong on a terminal
        return Fetched(name, why_not=f"The set '{name}' could not be fetched; 'ftirlib get {name}' says why.")
    plan = plan_import(path, **{key: value for key, value in options.items() if key not in ("licence", "provenance")})
    data = import_spectra(path, **options)
    return Fetched(name, data, str(plan), check_store(data, title=name))


def fact_table(sets: list[Fetched]) -> pd.DataFrame:
    """Size, groups and what the check counted, a column a set."""
    columns = {}
    for one in sets:
        if not one:
            continue
        report = one.report
        columns[one.name] = {
            "spectra": report.n_spectra,
            "groups": report.n_groups,
            "wavenumbers": report.wavenumber.size,
            "classes": len(report.class_names),
            "saturated": report.quality["n_saturated"],
            "below the least signal-to-noise ratio": report.quality["n_noisy"],
            "without an amide I band": report.quality["n_weak"],
            "equal to another spectrum": len(np.unique(report.duplicates.exact)),
        }
    return pd.DataFrame(columns)


def finding_table(one: Fetched) -> pd.DataFrame:
    """What the check found, the worst first."""
    order = ("problem", "warning", "note")
    rows = sorted(one.report.findings, key=lambda finding: order.index(finding.level))
    return pd.DataFrame([{"level": row.level, "finding": row.text} for row in rows])


@dataclass(frozen=True)
class Scored:
    """Balanced accuracy of each way to split, and the confusion counts of the last."""

    table: pd.DataFrame
    confusion: np.ndarray
    names: list[str]


def score_splits(one: Fetched, *, n_components: int = 25, random_state: int = 0) -> Scored:
    """PCA and LDA, five times out of the sample, by three ways to split spectra whose groups nobody stated.

    Spectra that are equal to the bit, and spectra that lie next to one another in the file, were likely measured
    on one piece of tissue. The third way cuts each class, in the order of the file, into five blocks.
    """
    label = one.data.label.values
    spectra = read_absorbance(one.data, np.arange(len(label)))
    model = PCALDA(n_components=n_components)
    shuffled = {"n_splits": N_SPLITS, "shuffle": True, "random_state": random_state}
    ways = (
        (StratifiedKFold(**shuffled), None),
        (StratifiedGroupKFold(**shuffled), copy_groups(one.report)),
        (PredefinedSplit(blocks(label)), None),
    )
    rows, predicted = [], label
    for name, (splitter, groups) in zip(SPLITS, ways):
        predicted = cross_val_predict(model, spectra, label, groups=groups, cv=splitter)
        rows.append({"spectra are split": name, "balanced accuracy": balanced_accuracy_score(label, predicted)})
    return Scored(pd.DataFrame(rows), confusion_matrix(label, predicted), list(one.data.attrs["class_names"]))


def copy_groups(report: StoreReport) -> np.ndarray:
    """A number for each spectrum, the same for spectra that are equal to the bit."""
    first, other = report.duplicates.exact.T
    pairs = coo_array((np.ones(len(first)), (first, other)), shape=(report.n_spectra,) * 2)
    return connected_components(pairs, directed=False)[1]


def blocks(label: np.ndarray) -> np.ndarray:
    """Block, 0 to 4, of each spectrum: neighbours of one class in the order of the file share it."""
    block = np.empty(len(label), np.int64)
    for code in np.unique(label):
        rows = np.flatnonzero(label == code)
        block[rows] = np.arange(len(rows)) * N_SPLITS // len(rows)
    return block


def map_pictures(one: Fetched) -> list[Picture | None]:
    """Amide I absorbance of the section, and which of its pixels the quality test keeps (1) or not (0)."""
    data = one.data
    if data is None:
        return [None, None]
    kept = tissue_mask(read_absorbance(data, np.arange(data.sizes["spectrum"])), data.wavenumber.values)
    usable = Picture("usable tissue", as_image(data, 0, kept.astype(float)), float(data.attrs["pixel_size_um"]))
    return [absorbance_picture(data, 0, "absorbance at 1650 cm⁻¹"), usable]


def headline(components: Fetched, section: Fetched, scored: Scored | None) -> str:
    """The chapter's finding, in words that the numbers allow."""
    if scored is None:
        return components.why_not
    random, *_, careful = scored.table["balanced accuracy"]
    text = (
        f"The {components.report.n_spectra} spectra of tissue components are told apart with a balanced accuracy of "
        f"{random:.2f} when they are split at random, and of {careful:.2f} when neighbours in the file stay together; "
        "without patients, neither says how a model does on the next patient."
    )
    if section:
        usable = 1 - section.report.quality["n_weak"] / section.report.n_spectra
        text += f" Of the section's {section.report.n_spectra:,} pixels {usable:.0%} have an amide I band."
    return text
