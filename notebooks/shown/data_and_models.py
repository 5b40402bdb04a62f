"""What the notebooks show: artefacts of a run turned into the arrays of one table or figure.

Nothing here draws. Where one fold has to stand for four, it is the first, whatever it looks like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ftirlib.engine.places import place_name
from ftirlib.explain.crime.contexts import context_moments
from ftirlib.method import stages, tasks
from ftirlib.method.explained import Explained
from ftirlib.method.run import Run
from ftirlib.method.stages import SHOWN
from ftirlib.report.tally import Reliability, confusion_counts, reliability
from ftirlib.report.uncertainty import Interval, grouped_bootstrap
from ftirlib.spectra.model import UNKNOWN, as_image, iter_blocks, open_spectra, read_absorbance

AMIDE_I = 1650.0  # cm-1, where pictures of absorbance are taken


# --- the data ------------------------------------------------------------------------------------------


def class_counts(run: Run) -> pd.DataFrame:
    """Groups, images, spectra and spectra kept by the quality test, per class."""
    raw, kept = stages.spectra(run), stages.prepared(run)
    rows = []
    for k, name in enumerate(raw.attrs["class_names"]):
        here, there = raw.label.values == k, kept.label.values == k
        rows.append(
            {
                "class": name,
                "groups": len(np.unique(raw.group.values[here])),
                "images": len(np.unique(raw.image.values[here])),
                "spectra": int(here.sum()),
                "kept": int(there.sum()),
            }
        )
    table = pd.DataFrame(rows)
    total = table[["spectra", "kept"]].sum().to_dict()
    # a patient with images of two classes counts once in the total
    total |= {"groups": len(np.unique(raw.group.values)), "images": len(np.unique(raw.image.values))}
    return pd.concat([table, pd.DataFrame([{"class": "all", **total}])], ignore_index=True)


@dataclass(frozen=True)
class ClassSpectra:
    """Mean and standard deviation (n_classes, n_wavenumbers) of the spectra of each class."""

    wavenumber: np.ndarray
    means: np.ndarray
    sds: np.ndarray
    names: list[str]


def class_spectra(run: Run) -> ClassSpectra:
    """Spectra as the models see them, averaged by label."""
    return mean_spectra(stages.prepared(run))


def mean_spectra(data: xr.Dataset) -> ClassSpectra:
    """Mean and standard deviation of the spectra of each label, in one pass over the store."""
    names = list(data.attrs["class_names"])
    label = data.label.values
    count = np.zeros(len(names))
    sums, squares = (np.zeros((len(names), data.sizes["wavenumber"])) for _ in range(2))
    for start, block in iter_blocks(data):
        codes = label[start : start + len(block)]
        for k in np.unique(codes[codes >= 0]):
            mine = block[codes == k].astype(np.float64)
            count[k] += len(mine)
            sums[k] += mine.sum(axis=0)
            squares[k] += (mine**2).sum(axis=0)
    means = sums / count[:, None]
    spread = np.sqrt(np.maximum(squares / count[:, None] - means**2, 0))
    return ClassSpectra(data.wavenumber.values, means, spread, names)


def preparation_steps(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One kept spectrum before and after the recipe: its raw axis and values, and its prepared ones."""
    raw, kept = stages.spectra(run), stages.prepared(run)
    row = int(np.argmax(kept.label.values >= 0))
    place = {name: int(kept[name].values[row]) for name in ("image", "row", "col")}
    if place["row"] < 0:
        original = row
    else:
        same = np.logical_and.reduce([raw[name].values == value for name, value in place.items()])
        original = int(np.argmax(same))
    return (
        raw.wavenumber.values,
        read_absorbance(raw, [original])[0],
        kept.wavenumber.values,
        read_absorbance(kept, [row])[0],
    )


@dataclass(frozen=True)
class Picture:
    """One image: a title, its pixels (rows, columns), and the size of a pixel in um."""

    title: str
    pixels: np.ndarray
    pixel_size_um: float


def example_images(run: Run) -> list[int]:
    """The first image of each class."""
    data = stages.prepared(run)
    label, image = data.label.values, data.image.values
    return [int(image[np.argmax(label == k)]) for k in range(len(data.attrs["class_names"])) if (label == k).any()]


def absorbance_pictures(run: Run, at: float = AMIDE_I) -> list[Picture]:
    """Raw absorbance at one wavenumber (cm-1), for the first image of each class."""
    data = stages.spectra(run)
    return [absorbance_picture(data, image, _image_title(data, image), at) for image in example_images(run)]


def absorbance_picture(data, image: int, title: str, at: float = AMIDE_I) -> Picture:
    """Absorbance of one image at one wavenumber (cm-1)."""
    column = int(np.abs(data.wavenumber.values - at).argmin())
    members = np.flatnonzero(data.image.values == image)
    values = np.full(data.sizes["spectrum"], np.nan)
    values[members] = read_absorbance(data, members)[:, column]
    return _picture(data, image, values, title)


def truth_pictures(run: Run) -> list[Picture]:
    """The true class of each pixel of the same images; -1 is background."""
    data = stages.spectra(run)
    truth = data.truth_class.values.astype(int)
    return [_picture(data, i, truth, _image_title(data, i), fill=UNKNOWN) for i in example_images(run)]


def prediction_pictures(run: Run, model: str = "emscnn") -> list[Picture]:
    """Test-set predictions of the same images; -1 is background."""
    data = stages.prepared(run)
    predicted = out_of_fold(run, model)
    return [_picture(data, i, predicted, _image_title(data, i), fill=UNKNOWN) for i in example_images(run)]


def _picture(data, image, values, title, fill=np.nan) -> Picture:
    return Picture(title, as_image(data, image, values, fill), float(data.attrs["pixel_size_um"]))


def _image_title(data, image: int) -> str:
    label = int(data.label.values[np.argmax(data.image.values == image)])
    name = data.attrs["image_names"][image]
    return f"{name}\n{data.attrs['class_names'][label]}" if label >= 0 else name


def mislabelled_share(run: Run) -> float:
    """Share of kept spectra whose true class is not their image's label."""
    return float(stages.prepared(run).truth_mislabelled.values.astype(bool).mean())


# --- folds and models ----------------------------------------------------------------------------------


def fold_table(run: Run) -> pd.DataFrame:
    """Spectra of each class in the test set of each fold."""
    data = stages.prepared(run)
    names, label = data.attrs["class_names"], data.label.values
    counts = [np.bincount(label[fold.test], minlength=len(names)) for fold in stages.folds(run)]
    return pd.DataFrame(counts, columns=list(names), index=[f"set {k + 1}" for k in range(len(counts))])


def shared_groups(run: Run) -> int:
    """Groups that are on two sides of some fold; must be none."""
    group = stages.prepared(run).group.values
    shared = 0
    for fold in stages.folds(run):
        sides = [set(group[rows]) for rows in (fold.train, fold.validation, fold.test)]
        shared += len(sides[0] & sides[1]) + len(sides[0] & sides[2]) + len(sides[1] & sides[2])
    return shared


def live_network(run: Run):
    """An untrained MSCNN for the run's grid and classes."""
    from ftirlib.classify.mscnn import MSCNN, MSCNNSettings

    data = stages.prepared(run)
    settings = run.settings.members
    network = MSCNNSettings(n_classes=len(data.attrs["class_names"]), dropout=settings.dropout, leak=settings.leak)
    return MSCNN(network, data.wavenumber.values, random_state=run.settings.seed)


def published_table() -> pd.DataFrame:
    """Layer table of the MSCNN at the published grid: 801 wavenumbers and four classes."""
    from ftirlib.classify.mscnn import MSCNN, MSCNNSettings, layer_table

    return layer_table(MSCNN(MSCNNSettings(), np.arange(1000.0, 1801.0)))


def member_history(run: Run) -> pd.DataFrame:
    """Training curves of the first fold's first network."""
    return pd.DataFrame(tasks.read_json(stages.members(run)[SHOWN][0] / "model" / "classifier.json")["history"])


def selection(run: Run) -> list[dict]:
    """Per fold the validation scores, who votes, and the score that had to be exceeded."""
    return tasks.read_json(stages.ensemble_path(run) / "selection.json")


def out_of_fold(run: Run, model: str) -> np.ndarray:
    """Test-set prediction of every prepared spectrum (each is tested once); -1 where it has no label."""
    found = np.full(stages.prepared(run).sizes["spectrum"], UNKNOWN)
    for fold, answer in zip(stages.folds(run), stages.predictions(run)[model]):
        found[fold.test] = answer["predicted"]
    return found


def confusion(run: Run, model: str) -> np.ndarray:
    """Confusion matrix of the test-set predictions of all folds."""
    data = stages.prepared(run)
    predicted = out_of_fold(run, model)
    tested = predicted != UNKNOWN
    names = data.attrs["class_names"]
    return confusion_counts(data.label.values[tested].astype(int), predicted[tested], class_names=names)


def reliability_of(run: Run, model: str) -> Reliability:
    """How often the predicted class is right, against the stated probability, over all test sets."""
    label = stages.prepared(run).label.values.astype(int)
    folds, answers = stages.folds(run), stages.predictions(run)[model]
    truth = np.concatenate([label[fold.test] for fold in folds])
    return reliability(truth, np.concatenate([answer["probabilities"] for answer in answers]))


# --- explanations --------------------------------------------------------------------------------------


def explained(run: Run, side: str = "test", fold: int = SHOWN) -> Explained:
    """Rows, spectra, weights of the predicted class, and their stability; spectra and weights are read when asked."""
    return Explained.of(stages.prepared_path(run), stages.explanations(run)[fold][side])


def ensemble_classes(run: Run, found: Explained, fold: int = SHOWN) -> np.ndarray:
    """Class (n,) int that the ensemble gives explained test spectra of a fold."""
    return found.predicted(stages.ensemble_path(run) / f"fold{fold}", stages.folds(run)[fold], "test")


def weights_by_prediction(run: Run) -> ClassSpectra:
    """Mean LIME weights of the test spectra of each predicted class, first fold; classes never predicted left out."""
    data, found = stages.prepared(run), explained(run)
    codes, predicted = np.unique(ensemble_classes(run, found), return_inverse=True)
    means, sds = context_moments(found.weights, predicted, len(codes))
    return ClassSpectra(data.wavenumber.values, means, sds, [data.attrs["class_names"][k] for k in codes])


def stability(run: Run) -> np.ndarray:
    """Correlation between two noise banks of every explanation of the test sets, all folds; NaN where undefined."""
    return np.concatenate([explained(run, fold=k).stability for k in stages.FOLDS])


@dataclass(frozen=True)
class PackageComparison:
    """The same explanation by the `lime` package and by ours."""

    mode: str
    wavenumber: np.ndarray
    spectrum: np.ndarray
    package: np.ndarray
    ours: np.ndarray
    relative_error: float


def package_comparison(run: Run) -> PackageComparison:
    """Explain one test spectrum of the first fold with the package and with ours, given the same model.

    In the run's own mode; where that is ``limit``, which the package does not have, in the authors' ``decile``.
    """
    from lime.lime_tabular import LimeTabularExplainer

    from ftirlib.classify.ensemble import EMSCNN
    from ftirlib.explain.lime.lime import SpectralLime

    settings = run.settings.explanations
    mode = "decile" if settings.mode == "limit" else settings.mode
    data = stages.prepared(run)
    validation = stages.folds(run)[SHOWN].validation
    rows = tasks.explained_rows(data.image.values, validation, settings.background, run.settings.seed)
    background = read_absorbance(data, rows).astype(np.float64)
    voters = EMSCNN.load(stages.ensemble_path(run) / f"fold{SHOWN}" / "model")
    spectrum = read_absorbance(data, explained(run).rows[:1]).astype(np.float64)
    binned = mode in ("decile", "quartile")
    explainer = LimeTabularExplainer(
        background,
        mode="classification",
        discretize_continuous=binned,
        discretizer=mode if binned else "quartile",
        sample_around_instance=mode == "instance",
        random_state=run.settings.seed,
    )
    label = int(voters.predict_proba(spectrum)[0].argmax())
    pairs = explainer.explain_instance(
        spectrum[0],
        voters.predict_proba,
        labels=(label,),
        num_features=spectrum.size,
        num_samples=settings.samples,
    ).local_exp[label]
    package = np.zeros(spectrum.size)
    package[[k for k, _ in pairs]] = [weight for _, weight in pairs]
    ours = SpectralLime(background, mode=mode, n_samples=settings.samples, random_state=run.settings.seed)
    ours = ours.explain(voters, spectrum, labels=label).weights[0, 0]
    error = np.linalg.norm(package - ours) / max(np.linalg.norm(package), np.finfo(float).tiny)
    return PackageComparison(mode, data.wavenumber.values, spectrum[0], package, ours, float(error))


# --- intervals -----------------------------------------------------------------------------------------


def over_groups(run: Run, statistic, rows: np.ndarray, *arrays) -> Interval:
    """Bootstrap of a statistic of per-spectrum arrays over the groups of the spectra in `rows`."""
    return grouped_bootstrap(
        statistic,
        stages.prepared(run).group.values[rows],
        *arrays,
        **run.settings.bootstrap,
    )


def interval_text(interval: Interval, digits: int = 2) -> str:
    """An estimate with its interval, as prose shows it; "undefined" where there is none."""
    if not np.isfinite(interval.estimate):
        return "undefined"
    return f"{interval.estimate:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def data_name(run: Run) -> str:
    """What to call the data in prose."""
    if run.settings.data is None:
        return "simulated colon cohort"
    data = open_spectra(run.settings.data)
    return f"data set {place_name(run.settings.data)}" + (" (simulated)" if data.attrs["is_simulated"] else "")
