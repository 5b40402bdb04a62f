"""What the chapter on the fusion classifier shows, of this run and of real spectra that were measured beside it.

Scores of Abdo et al. 2024 are those of their abstract (10.5815/ijisa.2024.04.02). The real spectra are bacteria of
Goodacre et al. 1998 (10.1099/00221287-144-5-1157), plastics of Jung et al. 2018 (10.1016/j.marpolbul.2017.12.061), and
tissue components of the package orange-spectroscopy, as `benchmarks/fusion_real.py` measured them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftirlib.classify.fusion.raster import Raster
from ftirlib.files import read_json
from ftirlib.method import Run, fusion
from ftirlib.method.fusion import ALL, FUSION, MSCNN
from ftirlib.report.figures import literal
from ftirlib.report.scores import MULTICLASS_TITLES, multiclass_intervals, multiclass_scores
from ftirlib.report.tally import confusion_counts
from ftirlib.report.uncertainty import Interval, fold_summary
from ftirlib.spectra.model import read_absorbance
from ftirlib.spectra.simulate.ligands import LIGANDS
from shown.cells import estimate, interval, number, score_cell, wide_scores
from shown.data import data_set_name, shared_groups
from shown.measured import measured

# as printed, but for the "%" that their abstract puts behind three of them
PUBLISHED = {
    "accuracy": 0.91,
    "error": 0.08,
    "sensitivity": 0.89,
    "precision": 0.89,
    "false_positive_rate": 0.01,
    "f1": 0.89,
    "mcc": 0.87,
    "kappa": 0.68,
}
ORIGIN_NOTES = {
    "random features": "Random features: the image networks have seeded random weights, not ImageNet's.",
    "ImageNet features": "The image networks have ImageNet weights.",
    "no image features": "No image network takes part.",
}
IMAGES = {"line": "curve", "gramian": "Gramian field", "recurrence": "recurrence plot"}
OVERSAMPLING = {"random": "random copies", "smote": "SMOTE", None: "none in this run"}
LEAK_SHOWN = ("accuracy", "f1", "mcc")
LEAK_TITLES = {
    ("inside", "grouped"): "inside the training side, by group",
    ("inside", "random"): "inside the training side, at random",
    ("before", "grouped"): "before the split, by group",
    ("before", "random"): "before the split, at random",
}
PROTOCOLS = {  # over-sampled, split: column of the table of real spectra
    ("inside", "grouped"): "by group",
    ("inside", "random"): "at random",
    ("before", "random"): "at random, copies before",
}


def numbers(run: Run) -> dict[str, str]:
    """Numbers and names of the chapter."""
    return _of_data(run) | _of_models(run) | {f"real-{name}": text for name, text in real_numbers().items()}


def _of_data(run: Run) -> dict[str, str]:
    """Numbers and names of the data and of what was chosen."""
    chosen = run.settings.fusion
    group = fusion.spectra(run).group.values
    return {
        "data": data_name(run),
        "about": about_data(run),
        "note": origin_note(run),
        "image": IMAGES[chosen.image],
        "size": f"{chosen.image_size}",
        "oversampling": OVERSAMPLING[chosen.oversampling],
        "epochs": f"{chosen.epochs}",
        "shared": f"{shared_groups(group, fusion.fold_rows(run))}",
        "recipe": ", ".join(name for step in chosen.recipe for name in step) or "none",
    }


def _of_models(run: Run) -> dict[str, str]:
    """Scores of the models, of the ablation and of the protocols."""
    table, mcc, leaks = fusion.scores(run), ablated(run, "mcc"), leak_intervals(run)
    without = mcc[[name for name in mcc.index if name.startswith("without")]].dropna()
    alone = mcc[[name for name in mcc.index if name.startswith("only")]]
    accuracy = table[table.score == "accuracy"].set_index("model")
    # of models compared; ties go to the one listed first
    best = str(
        accuracy.loc[[name for name in accuracy.index if name in run.settings.baselines.models], "mean"].idxmax()
    )
    text = {name: interval(row["mean"], row.low, row.high) for name, row in accuracy.iterrows()}
    confused = confusion(run)
    chance = float((confused.sum(axis=0) * confused.sum(axis=1)).sum() / confused.sum() ** 2)
    claimed, honest = (leaks[protocol]["accuracy"] for protocol in (("before", "random"), ("inside", "grouped")))
    return {
        "accuracy": text[FUSION],
        "mscnn": text[MSCNN],
        "best-name": best,
        "best": f"{best}, {text[best]}",
        "claimed": f"{estimate(claimed)} instead of {estimate(honest)}",
        "gain": estimate(gain_over(run, MSCNN), signed=True),
        "gain-best": estimate(gain_over(run, best), signed=True),
        "paper-accuracy": number(PUBLISHED["accuracy"]),
        "paper-kappa": number(PUBLISHED["kappa"]),
        "paper-chance": f"{implied_chance(PUBLISHED['accuracy'], PUBLISHED['kappa']):.0%}",
        "chance": f"{chance:.0%}",
        "all": number(mcc[ALL]),
        "without": f"{number(without.max())} ({without.idxmax()})" if len(without) else "none",
        "alone": ", ".join(f"{name.removeprefix('only ')} {number(v)}" for name, v in alone.items()) or "not tried",
    }


def data_name(run: Run) -> str:
    """Name of the data of this chapter in prose."""
    if run.settings.fusion.data is None:
        return "simulated ligands and metal complexes"
    return data_set_name(run.settings.fusion.data, fusion.spectra(run))


def origin_note(run: Run) -> str:
    """Sentence that every figure and table of fused features carries."""
    return ORIGIN_NOTES[fusion.feature_facts(run)["origin"]]


def about_data(run: Run) -> str:
    """Content of the data set, in a sentence or two."""
    data = fusion.spectra(run)
    size = f"{data.sizes['spectrum']} spectra of {len(np.unique(data.group.values))} groups"
    if run.settings.fusion.data is not None:
        return f"{size} of the {data_name(run)}, {len(data.attrs['class_names'])} classes."
    return (
        f"{size}, all simulated: powders of acetylacetone, 2,2'-bipyridine and 8-hydroxyquinoline and of a complex of "
        f"each with {len(data.attrs['metal_names'])} metals, in {len(data.attrs['matrix_names'])} matrices on "
        f"{len(data.attrs['instrument_names'])} instruments. A group is one preparation; its spectra are replicates."
    )


# --- data and features


def class_table(run: Run) -> pd.DataFrame:
    """Groups and spectra of each class, and training spectra of the first fold before and after over-sampling."""
    data = fusion.spectra(run)
    label, group = data.label.values, data.group.values
    fusion.models(run)
    training = read_json(run.store.fetch(f"fusion/models/{ALL}-fold0") / "training.json")
    present = np.unique(label[fusion.fold_rows(run)[0].train])
    given, fitted = (dict(zip(present.tolist(), training[name])) for name in ("given", "fitted"))
    return pd.DataFrame(
        {
            "class": name,
            "groups": len(np.unique(group[label == k])),
            "spectra": int((label == k).sum()),
            "trained on": given.get(k, 0),
            "after over-sampling": fitted.get(k, 0),
        }
        for k, name in enumerate(data.attrs["class_names"])
    )


def example_images(run: Run) -> list[tuple[str, np.ndarray]]:
    """The first spectrum of each class as the image networks see it: (class, (size, size) grey)."""
    data, chosen = fusion.spectra(run), run.settings.fusion
    rows = [int(np.argmax(data.label.values == k)) for k in range(len(data.attrs["class_names"]))]
    raster = Raster(data.wavenumber.values, size=chosen.image_size, kind=chosen.image)
    spectra = np.concatenate([read_absorbance(data, [row]) for row in rows])
    return list(zip(map(literal, data.attrs["class_names"]), raster.render(spectra)))


def width_table(run: Run) -> pd.DataFrame:
    """Number of features of each family."""
    widths = fusion.feature_facts(run)["widths"]
    return pd.DataFrame([{"family": name, "features": widths[name]} for name in run.settings.fusion.families])


def band_table() -> pd.DataFrame:
    """Bands of the simulated ligands that exist free and bound, their shift, and whether a position is assumed."""
    return pd.DataFrame(
        {
            "ligand": ligand,
            "assignment": band.assignment,
            "free / cm⁻¹": band.free,
            "bound / cm⁻¹": band.bound,
            "shift / cm⁻¹": None if band.free is None or band.bound is None else band.bound - band.free,
            "assumed": band.assumed,
        }
        for ligand, bands in LIGANDS.items()
        for band in bands
    )


# --- scores


def tested(run: Run, model: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label, prediction of a model and group of every spectrum, (n,) each, in the order of the folds' test sets."""
    data = fusion.spectra(run)
    rows = np.concatenate([fold.test for fold in fusion.fold_rows(run)])
    predicted = np.concatenate([fold["test"].argmax(1) for fold in fusion.models(run)[model]])
    return data.label.values.astype(int)[rows], predicted, data.group.values[rows]


def confusion(run: Run) -> np.ndarray:
    """Confusion matrix of the fusion classifier over the test sets of all folds."""
    truth, predicted, _ = tested(run, FUSION)
    return confusion_counts(truth, predicted, class_names=fusion.spectra(run).attrs["class_names"])


def gain_over(run: Run, other: str) -> Interval:
    """How much higher the fusion classifier's Matthews correlation is than another model's, paired by group."""
    names = fusion.spectra(run).attrs["class_names"]
    (truth, ours, group), (_, theirs, _) = tested(run, FUSION), tested(run, other)
    options = {"class_names": names, **run.settings.bootstrap}
    return multiclass_intervals(truth, ours, group, less=theirs, **options)["mcc"]


def ablated(run: Run, score: str) -> pd.Series:
    """Mean of one score over the folds, by the families that take part."""
    table = fusion.ablation(run)
    return table[table.score == score].set_index("model")["mean"]


def eight_scores(run: Run) -> pd.DataFrame:
    """The fusion model's eight scores with their intervals, the majority class's, and those the paper states."""
    table = fusion.scores(run)
    rows = table[table.model == FUSION].set_index("score")
    return pd.DataFrame(
        {
            "score": title,
            "this run": score_cell(rows.loc[name]),
            "majority class": number(rows.majority[name]),
            "the paper": number(PUBLISHED[name]),
        }
        for name, title in MULTICLASS_TITLES.items()
    )


def implied_chance(accuracy: float, kappa: float) -> float:
    """Agreement by chance that a kappa implies beside an accuracy: kappa = (accuracy - chance) / (1 - chance).

    Examples
    --------
    >>> implied_chance(0.75, 0.5)
    0.5
    """
    return (accuracy - kappa) / (1 - kappa)


def halves(table: pd.DataFrame) -> list[pd.DataFrame]:
    """A tidy table of the eight scores as two of four, a row a model: eight columns are wider than a page."""
    names = list(MULTICLASS_TITLES)
    return [wide_scores(table, names[part], MULTICLASS_TITLES) for part in (slice(4), slice(4, None))]


def titled(table: pd.DataFrame) -> pd.DataFrame:
    """A tidy table with the scores' titles for their names, as bars show them."""
    return table.assign(score=table.score.map(MULTICLASS_TITLES))


def leak_intervals(run: Run) -> dict[tuple[str, str], dict[str, Interval]]:
    """The eight scores with intervals over groups, by when it over-samples and how it splits."""
    options = {"class_names": fusion.spectra(run).attrs["class_names"], **run.settings.bootstrap}
    leaks = {
        protocol: (found["y_true"], found["predicted"], found["group"]) for protocol, found in fusion.leak(run).items()
    }
    return {protocol: multiclass_intervals(*found, **options) for protocol, found in leaks.items()}


def leak_table(run: Run) -> pd.DataFrame:
    """Each protocol's scores, and what share of what it scored was trained on too."""
    rows, intervals = [], leak_intervals(run)
    for protocol, found in fusion.leak(run).items():
        row = {
            "over-sampled, split": LEAK_TITLES[protocol],
            "scored": len(found["y_true"]),
            "itself in training": f"{found['twin_in_training'].mean():.0%}",
            "its group in training": f"{found['group_in_training'].mean():.0%}",
        }
        scores = {MULTICLASS_TITLES[score]: estimate(intervals[protocol][score], line="\n") for score in LEAK_SHOWN}
        rows.append(row | scores)
    return pd.DataFrame(rows)


def leak_bars(run: Run) -> pd.DataFrame:
    """The same as a tidy table for bars: mean and standard deviation over folds, interval of all test sets together."""
    data, leaks = fusion.spectra(run), fusion.leak(run)
    label, names = data.label.values, data.attrs["class_names"]
    largest = np.bincount(label[label >= 0].astype(int)).max() / (label >= 0).sum()
    rows = []
    for protocol, scores in leak_intervals(run).items():
        found = leaks[protocol]
        folds = [found["fold"] == k for k in np.unique(found["fold"])]
        each = [multiclass_scores(found["y_true"][f], found["predicted"][f], class_names=names) for f in folds]
        for score in LEAK_SHOWN:
            mean, sd = fold_summary([fold[score] for fold in each])
            row = {"model": LEAK_TITLES[protocol], "score": score, "mean": mean, "sd": sd}
            row |= {"low": scores[score].low, "high": scores[score].high}
            rows.append(row | {"majority": largest if score == "accuracy" else np.nan})
    return pd.DataFrame(rows)


# --- real spectra


def real_sets() -> list[dict]:
    """One entry a set, as measured; what is undefined is NaN."""
    return _with_nan(measured("fusion_real")["sets"])


def _with_nan(value):
    """JSON has no NaN, so None stands for it there."""
    if isinstance(value, dict):
        return {name: _with_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_with_nan(part) for part in value]
    return np.nan if value is None else value


def real_note() -> str:
    """Sentence that every table of these sets carries: what the image features are."""
    return " ".join(sorted({ORIGIN_NOTES[one["features"]] for one in real_sets()}))


def real_numbers() -> dict[str, str]:
    """Numbers and names of the section on real spectra."""
    found, sets = measured("fusion_real"), real_sets()
    gains = [gain for one in sets for gain in one["gains"].values()]
    return {
        "count": f"{len(sets)}",
        "profile": found["profile"],
        "size": f"{found['settings']['image_size']}",
        "recipe": ", ".join(name for step in found["settings"]["recipe"] for name in step),
        "features": ", ".join(sorted({one["features"] for one in sets})),
        "most": f"{found['most']}",
        "day": found["machine"]["day"],
        "rules": ". ".join(f"{one['set'].capitalize()}: {one['rule']}" for one in sets),
        "behind": f"{sum(gain['high'] < 0 for gain in gains)}",
        "ahead": f"{sum(gain['low'] > 0 for gain in gains)}",
        "split": number(_most_added(sets, ("inside", "random")), signed=True),
        "copies": number(_most_added(sets, ("before", "random")), signed=True),
        "comparisons": f"{len(gains)}",
    }


def _accuracy(one: dict) -> dict[tuple[str, str], dict]:
    return {(p["over-sampled"], p["split"]): p["accuracy"] for p in one["protocols"]}


def _most_added(sets: list[dict], protocol: tuple[str, str]) -> float:
    """Most that a protocol adds to the accuracy by whole groups, over the sets."""
    found = [_accuracy(one) for one in sets]
    return max(by[protocol]["estimate"] - by["inside", "grouped"]["estimate"] for by in found)


def real_table() -> pd.DataFrame:
    """Spectra, axis, groups, and classes with their sizes, of each set."""
    return pd.DataFrame(
        {
            "set": one["set"],
            "spectra": one["spectra"],
            "axis / cm⁻¹": f"{one['low']:.0f} to {one['high']:.0f}, {one['wavenumbers']} points",
            "groups": f"{one['groups']}, a group is {_article(one['group'])}",
            "classes": ", ".join(f"{name} {n}" for name, n in one["classes"].items()),
        }
        for one in real_sets()
    )


def _article(noun: str) -> str:
    if noun[0].isdigit():
        return noun
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def real_scores(score: str) -> pd.DataFrame:
    """One score of every model: a row a set, mean ± SD over folds above the interval over groups."""
    rows = []
    for one in real_sets():
        row = {"set": one["set"]} | {model: score_cell(scores[score]) for model, scores in one["models"].items()}
        majority = next(iter(one["models"].values()))[score]["majority"]
        rows.append(row | ({} if np.isnan(majority) else {"majority class": number(majority)}))
    return pd.DataFrame(rows)


def real_gains() -> pd.DataFrame:
    """How much higher the fusion classifier's Matthews correlation is than each other model's, paired by group."""
    return pd.DataFrame(
        {"set": one["set"]} | {f"over {other}": _cell(gain, signed=True) for other, gain in one["gains"].items()}
        for one in real_sets()
    )


def _cell(one: dict, **looks) -> str:
    """An interval of a measured file as a table shows it."""
    return interval(one["estimate"], one["low"], one["high"], line="\n", **looks)


def real_protocols() -> pd.DataFrame:
    """Accuracy of the fusion classifier by how it was split and where it over-sampled, with intervals over groups."""
    return pd.DataFrame(
        {"set": one["set"]} | {title: _cell(by[key]) for key, title in PROTOCOLS.items()}
        for one in real_sets()
        for by in [_accuracy(one)]
    )
