"""What the chapters on the data and on the methodology show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ftirlib import method
from ftirlib.classify.mscnn import MSCNN, layer_table
from ftirlib.classify.settings import MSCNNSettings
from ftirlib.engine.places import place_name
from ftirlib.explain.crime.contexts import context_moments
from ftirlib.method import Run
from ftirlib.report.figures import literal
from ftirlib.spectra.folds import Fold
from ftirlib.spectra.model import UNKNOWN, as_image, has_truth, open_spectra, read_absorbance
from ftirlib.spectra.rows import Rows

AMIDE_I = 1650.0  # cm-1, where pictures of absorbance are taken
PUBLISHED_AXIS = np.arange(1000.0, 1801.0)  # cm-1, of the published spectra


def numbers(run: Run) -> dict[str, str]:
    """Numbers and names of the chapter on the data."""
    total, kept = class_counts(run).iloc[-1], method.prepared_spectra(run)
    found = {
        "name": data_name(run),
        "spectra": f"{total.spectra:,.0f}",
        "kept": f"{total.kept:,.0f}",
        "groups": f"{total.groups:.0f}",
        "points": f"{kept.sizes['wavenumber']}",
        "low": f"{kept.wavenumber.values[0]:.0f}",
        "high": f"{kept.wavenumber.values[-1]:.0f}",
        "licence": kept.attrs["licence"] or "not stated",
        "provenance": kept.attrs["provenance"] or "not stated",
    }
    if has_truth(kept):
        found["mislabelled"] = f"{kept.truth_mislabelled.values.astype(bool).mean():.0%}"
    return found


def methodology_numbers(run: Run) -> dict[str, str]:
    """Numbers of the chapter on the methodology."""
    here = layers(run).set_index("step").parameters
    published = published_layers().set_index("step").parameters
    group = method.prepared_spectra(run).group.values
    return {
        "here": f"{here['in use']:,}",
        "used": f"{published['in use']:,}",
        "published": f"{published['as declared']:,}",
        "idle": f"{published['as declared'] - published['in use']:,}",
        "shared": f"{shared_groups(group, method.fold_rows(run))}",
        "groups": f"{len(np.unique(group))}",
    }


def data_name(run: Run) -> str:
    """Name of the data in prose."""
    if run.settings.data is None:
        return "simulated colon cohort"
    return data_set_name(run.settings.data, open_spectra(run.settings.data))


def data_set_name(place: str, data: xr.Dataset) -> str:
    """Name in prose of a data set that somebody gave."""
    return f"data set {place_name(place)}" + (" (simulated)" if data.attrs["is_simulated"] else "")


def class_counts(run: Run) -> pd.DataFrame:
    """Groups, images, spectra and spectra kept by the quality test, per class and of all."""
    raw, kept = method.raw_spectra(run), method.prepared_spectra(run)
    label, after = raw.label.values, kept.label.values
    rows = [(name, label == k, label == k, after == k) for k, name in enumerate(raw.attrs["class_names"])]
    # a patient with images of two classes counts once in the total
    rows.append(("all", slice(None), label >= 0, after >= 0))
    return pd.DataFrame(
        {
            "class": name,
            "groups": len(np.unique(raw.group.values[here])),
            "images": len(np.unique(raw.image.values[here])),
            "spectra": int(spectra.sum()),
            "kept": int(usable.sum()),
        }
        for name, here, spectra, usable in rows
    )


@dataclass(frozen=True)
class ClassSpectra:
    """Mean and standard deviation (n_classes, n_wavenumbers) of the spectra of each class."""

    wavenumber: np.ndarray
    means: np.ndarray
    sds: np.ndarray
    names: list[str]


def class_spectra(data: xr.Dataset) -> ClassSpectra:
    """Mean and standard deviation of the spectra of each label, in one walk through the data set."""
    names, rows = list(data.attrs["class_names"]), np.flatnonzero(data.label.values >= 0)
    label = data.label.values[rows].astype(int)
    return ClassSpectra(data.wavenumber.values, *context_moments(Rows.of(data, rows), label, len(names)), names)


def preparation_steps(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One kept spectrum before and after the recipe: its raw axis and values, and its prepared ones."""
    raw, kept = method.raw_spectra(run), method.prepared_spectra(run)
    row = int(np.argmax(kept.label.values >= 0))
    place = {name: int(kept[name].values[row]) for name in ("image", "row", "col")}
    if place["row"] < 0:
        original = row
    else:
        original = int(np.argmax(np.logical_and.reduce([raw[name].values == value for name, value in place.items()])))
    axes = raw.wavenumber.values, kept.wavenumber.values
    return axes[0], read_absorbance(raw, [original])[0], axes[1], read_absorbance(kept, [row])[0]


@dataclass(frozen=True)
class Picture:
    """One image: a title, its pixels (rows, columns), and the size of a pixel in um."""

    title: str
    pixels: np.ndarray
    pixel_size_um: float


def example_images(data: xr.Dataset) -> list[int]:
    """The first image of each class of the prepared spectra."""
    label, image = data.label.values, data.image.values
    return [int(image[np.argmax(label == k)]) for k in range(len(data.attrs["class_names"])) if (label == k).any()]


def absorbance_pictures(run: Run) -> list[Picture]:
    """Raw absorbance at amide I, for the first image of each class."""
    data = method.raw_spectra(run)
    return [absorbance_picture(data, k, image_title(data, k)) for k in example_images(method.prepared_spectra(run))]


def absorbance_picture(data: xr.Dataset, image: int, title: str) -> Picture:
    """Absorbance of one image at amide I."""
    column = int(np.abs(data.wavenumber.values - AMIDE_I).argmin())
    members = np.flatnonzero(data.image.values == image)
    values = np.full(data.sizes["spectrum"], np.nan)
    values[members] = read_absorbance(data, members)[:, column]
    return Picture(literal(title), as_image(data, image, values, np.nan), float(data.attrs["pixel_size_um"]))


def class_picture(data: xr.Dataset, image: int, codes: np.ndarray, title: str = "") -> Picture:
    """Class of each pixel of one image, from that of each spectrum; -1 is background."""
    pixels = as_image(data, image, codes.astype(int), UNKNOWN)
    return Picture(literal(title or image_title(data, image)), pixels, float(data.attrs["pixel_size_um"]))


def truth_pictures(run: Run) -> list[Picture]:
    """The true class of each pixel of the first image of each class."""
    data = method.raw_spectra(run)
    return [class_picture(data, k, data.truth_class.values) for k in example_images(method.prepared_spectra(run))]


def image_title(data: xr.Dataset, image: int) -> str:
    """Name of an image, and its label below."""
    label = int(data.label.values[np.argmax(data.image.values == image)])
    name = data.attrs["image_names"][image]
    return f"{name}\n{data.attrs['class_names'][label]}" if label >= 0 else name


def fold_table(run: Run) -> pd.DataFrame:
    """Spectra of each class in the test set of each fold."""
    data = method.prepared_spectra(run)
    names, label = data.attrs["class_names"], data.label.values
    counts = [np.bincount(label[fold.test], minlength=len(names)) for fold in method.fold_rows(run)]
    return pd.DataFrame(counts, columns=list(names), index=[f"set {k + 1}" for k in range(len(counts))])


def shared_groups(group: np.ndarray, folds: list[Fold]) -> int:
    """Number of groups that are on two sides of some fold; must be none."""
    shared = set()
    for fold in folds:
        train, validation, test = (set(group[rows].tolist()) for rows in (fold.train, fold.validation, fold.test))
        shared |= train & validation | train & test | validation & test
    return len(shared)


def layers(run: Run) -> pd.DataFrame:
    """Layer table of the MSCNN that this run trains, for its grid and classes."""
    data, settings = method.prepared_spectra(run), run.settings.members
    network = MSCNNSettings(n_classes=len(data.attrs["class_names"]), dropout=settings.dropout, leak=settings.leak)
    return layer_table(MSCNN(network, data.wavenumber.values, random_state=run.settings.seed))


def published_layers() -> pd.DataFrame:
    """Layer table of the MSCNN at the published grid: 801 wavenumbers and four classes."""
    return layer_table(MSCNN(MSCNNSettings(), PUBLISHED_AXIS))
