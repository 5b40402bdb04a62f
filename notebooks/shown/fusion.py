"""What the chapter on the fusion classifier shows: its artefacts as the arrays of one table or figure.

Nothing here draws. Scores of Abdo et al. 2024 are those of their abstract (10.5815/ijisa.2024.04.02).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftirlib.engine.places import place_name
from ftirlib.method import fusion_stages, tasks
from ftirlib.method.fusion_stages import FUSION
from ftirlib.method.run import Run
from ftirlib.report.scores import MULTICLASS_TITLES, multiclass, multiclass_scores, score_intervals
from ftirlib.report.tally import Tally, confusion_counts
from ftirlib.report.uncertainty import Interval, fold_summary, grouped_bootstrap
from shown import tables
from shown.data_and_models import ClassSpectra, mean_spectra

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


def data_name(run: Run) -> str:
    """What to call the data of this chapter in prose."""
    data = fusion_stages.spectra(run)
    if run.settings.fusion.data is None:
        return "simulated ligands and metal complexes"
    name = f"data set {place_name(run.settings.fusion.data)}"
    return f"{name} (simulated)" if data.attrs["is_simulated"] else name


def origin_note(run: Run) -> str:
    """Sentence that every figure and table of fused features carries."""
    return ORIGIN_NOTES[fusion_stages.feature_origin(run)]


def prose(run: Run) -> dict[str, str]:
    """Every number and name that the chapter's sentences hold."""
    chosen, table, found = run.settings.fusion, fusion_stages.scores(run), fusion_stages.models(run)
    ablation = fusion_stages.ablation(run)
    mcc = ablation[ablation.score == "mcc"].set_index("model")["mean"]
    without = mcc[[name for name in mcc.index if name.startswith("without")]].dropna()
    alone = mcc[[name for name in mcc.index if name.startswith("only")]]
    # of models compared; ties go to the one listed first
    rows = table[(table.score == "accuracy") & table.model.isin(run.settings.baselines.models)]
    best = rows.loc[rows["mean"].idxmax()]
    claimed = leak_intervals(run)["before", "random"]["accuracy"]
    honest = leak_intervals(run)["inside", "grouped"]["accuracy"]
    confused = confusion(run)
    chance = float((confused.sum(axis=0) * confused.sum(axis=1)).sum() / confused.sum() ** 2)
    return {
        "data": data_name(run),
        "note": origin_note(run),
        "accuracy": _score(table, FUSION, "accuracy"),
        "mscnn": _score(table, fusion_stages.MSCNN, "accuracy"),
        "best-name": str(best.model),
        "best": f"{best.model}, {_score(table, best.model, 'accuracy')}",
        "claimed": f"{_interval(claimed)} instead of {_interval(honest)}",
        "image": {"line": "curve", "gramian": "Gramian field", "recurrence": "recurrence plot"}[chosen.image],
        "size": str(chosen.image_size),
        "oversampling": {"random": "random copies", "smote": "SMOTE", None: "none in this run"}[chosen.oversampling],
        "epochs": str(chosen.epochs),
        "shared": str(shared_groups(run)),
        "recipe": ", ".join(name for step in chosen.recipe for name in step) or "none",
        "about": about_data(run),
        "gain": _signed(gain(run, found, FUSION, fusion_stages.MSCNN)),
        "gain-best": _signed(gain(run, found, FUSION, str(best.model))),
        "paper-accuracy": f"{PUBLISHED['accuracy']:.2f}",
        "paper-kappa": f"{PUBLISHED['kappa']:.2f}",
        "paper-chance": f"{implied_chance(PUBLISHED['accuracy'], PUBLISHED['kappa']):.0%}",
        "chance": f"{chance:.0%}",
        "all": _number(mcc[fusion_stages.ALL]),
        "without": f"{without.max():.2f} ({without.idxmax()})" if len(without) else "none",
        "alone": ", ".join(f"{name.removeprefix('only ')} {_number(v)}" for name, v in alone.items()) or "not tried",
    }


def about_data(run: Run) -> str:
    """What the spectra are, in a sentence or two."""
    data = fusion_stages.spectra(run)
    size = f"{data.sizes['spectrum']} spectra of {len(np.unique(data.group.values))} groups"
    if run.settings.fusion.data is not None:
        return f"{size} of the {data_name(run)}, {len(data.attrs['class_names'])} classes."
    return (
        f"{size}, all simulated: powders of acetylacetone, 2,2'-bipyridine and 8-hydroxyquinoline and of a complex of "
        f"each with {len(data.attrs['metal_names'])} metals, in {len(data.attrs['matrix_names'])} matrices on "
        f"{len(data.attrs['instrument_names'])} instruments. A group is one preparation; its spectra are replicates."
    )


def shared_groups(run: Run) -> int:
    """Groups that are on two sides of some fold; must be none."""
    group, shared = fusion_stages.spectra(run).group.values, set()
    for fold in fusion_stages.folds(run):
        sides = [set(group[rows].tolist()) for rows in (fold.train, fold.validation, fold.test)]
        shared |= sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]
    return len(shared)


def in_parts(n: int, parts: int) -> list[list[int]]:
    """The numbers 0 to n - 1 in order, in so many lists of like length.

    Examples
    --------
    >>> in_parts(6, 3)
    [[0, 1], [2, 3], [4, 5]]
    """
    return [part.tolist() for part in np.array_split(np.arange(n), min(n, parts))]


def class_table(run: Run) -> pd.DataFrame:
    """Groups and spectra of each class, and training spectra of the first fold before and after over-sampling."""
    data = fusion_stages.spectra(run)
    label, group = data.label.values, data.group.values
    fusion_stages.models(run)
    training = tasks.read_json(run.store.fetch(f"fusion/models/{fusion_stages.ALL}-fold0") / "training.json")
    present = np.unique(label[fusion_stages.folds(run)[0].train])
    given, fitted = (dict(zip(present.tolist(), training[name])) for name in ("given", "fitted"))
    return pd.DataFrame(
        [
            {
                "class": name,
                "groups": len(np.unique(group[label == k])),
                "spectra": int((label == k).sum()),
                "trained on": given.get(k, 0),
                "after over-sampling": fitted.get(k, 0),
            }
            for k, name in enumerate(data.attrs["class_names"])
        ]
    )


def class_spectra(run: Run) -> ClassSpectra:
    """Mean and standard deviation of the spectra of each class, as the models see them."""
    return mean_spectra(fusion_stages.spectra(run))


def example_images(run: Run) -> list[tuple[str, np.ndarray]]:
    """The first spectrum of each class as the image networks see it: (class, (size, size) grey)."""
    from ftirlib.classify.fusion.raster import Raster
    from ftirlib.spectra.model import read_absorbance

    data, chosen = fusion_stages.spectra(run), run.settings.fusion
    rows = [int(np.argmax(data.label.values == k)) for k in range(len(data.attrs["class_names"]))]
    raster = Raster(data.wavenumber.values, size=chosen.image_size, kind=chosen.image)
    spectra = np.concatenate([read_absorbance(data, [row]) for row in rows])
    return list(zip(data.attrs["class_names"], raster.render(spectra)))


def width_table(run: Run) -> pd.DataFrame:
    """Number of features of each family."""
    widths = fusion_stages.feature_facts(run)["widths"]
    return pd.DataFrame([{"family": name, "features": widths[name]} for name in run.settings.fusion.families])


def confusion(run: Run, model: str = FUSION) -> np.ndarray:
    """Confusion matrix of a model over the test sets of all folds."""
    data, folds = fusion_stages.spectra(run), fusion_stages.folds(run)
    label = data.label.values.astype(int)
    truth = np.concatenate([label[fold.test] for fold in folds])
    predicted = np.concatenate([one["test"].argmax(1) for one in fusion_stages.models(run)[model]])
    return confusion_counts(truth, predicted, class_names=data.attrs["class_names"])


def eight_scores(run: Run) -> pd.DataFrame:
    """The fusion model's eight scores with their intervals, the majority class's, and those the paper states."""
    table = fusion_stages.scores(run)
    rows = table[table.model == FUSION].set_index("score")
    return pd.DataFrame(
        [
            {
                "score": title,
                "this run": spread_text(rows.loc[name]),
                "majority class": _number(rows.majority[name]),
                "the paper": f"{PUBLISHED[name]:.2f}",
            }
            for name, title in MULTICLASS_TITLES.items()
        ]
    )


def implied_chance(accuracy: float, kappa: float) -> float:
    """Agreement by chance that a kappa implies beside an accuracy: kappa = (accuracy - chance) / (1 - chance).

    Examples
    --------
    >>> implied_chance(0.75, 0.5)
    0.5
    """
    return (accuracy - kappa) / (1 - kappa)


def wide(table: pd.DataFrame) -> list[pd.DataFrame]:
    """A tidy table of the eight scores as two of four, a row a model: eight columns are wider than a page."""
    halves = in_parts(len(MULTICLASS_TITLES), 2)
    names = list(MULTICLASS_TITLES)
    return [tables.wide_scores(table, [names[k] for k in half], MULTICLASS_TITLES) for half in halves]


def titled(table: pd.DataFrame) -> pd.DataFrame:
    """A tidy table with the scores' titles for their names, as bars show them."""
    return table.assign(score=table.score.map(MULTICLASS_TITLES))


def gain(run: Run, found: dict, model: str, other: str, score: str = "mcc") -> Interval:
    """How much higher a score of one model's test-set predictions is than another's, paired by group."""
    data, folds = fusion_stages.spectra(run), fusion_stages.folds(run)
    rows = np.concatenate([fold.test for fold in folds])
    names = data.attrs["class_names"]

    def difference(y, a, b):
        return multiclass_scores(y, a, class_names=names)[score] - multiclass_scores(y, b, class_names=names)[score]

    one, two = (np.concatenate([f["test"].argmax(1) for f in found[name]]) for name in (model, other))
    return grouped_bootstrap(
        difference,
        data.group.values[rows],
        data.label.values[rows].astype(int),
        one,
        two,
        **run.settings.bootstrap,
    )


LEAK_SHOWN = ("accuracy", "f1", "mcc")
LEAK_SCORES = [MULTICLASS_TITLES[score] for score in LEAK_SHOWN]  # columns of `leak_table`
LEAK_TITLES = {
    ("inside", "grouped"): "inside the training side, by group",
    ("inside", "random"): "inside the training side, at random",
    ("before", "grouped"): "before the split, by group",
    ("before", "random"): "before the split, at random",
}


def leak_intervals(run: Run) -> dict[tuple[str, str], dict]:
    """The eight scores with intervals over groups, by when it over-samples and how it splits."""
    return run.once("fusion_leak_intervals", lambda: _leak_intervals(run))


def _leak_intervals(run: Run) -> dict[tuple[str, str], dict]:
    names = {"class_names": fusion_stages.spectra(run).attrs["class_names"], "positive_classes": ()}
    intervals = {}
    for protocol, found in fusion_stages.leak(run).items():
        tally = Tally.of(found["y_true"], found["predicted"], groups=found["group"], **names)
        intervals[protocol] = multiclass(score_intervals(tally, **run.settings.bootstrap))
    return intervals


def leak_table(run: Run) -> pd.DataFrame:
    """Each protocol's scores, and what share of what it scored was trained on too."""
    rows = []
    intervals = leak_intervals(run)
    for protocol, found in fusion_stages.leak(run).items():
        row = {
            "over-sampled, split": LEAK_TITLES[protocol],
            "scored": len(found["y_true"]),
            "itself in training": f"{found['twin_in_training'].mean():.0%}",
            "its group in training": f"{found['group_in_training'].mean():.0%}",
        }
        for score in LEAK_SHOWN:
            one = intervals[protocol][score]
            row[MULTICLASS_TITLES[score]] = f"{one.estimate:.2f}\n{_range(one.low, one.high)}"
        rows.append(row)
    return pd.DataFrame(rows)


def leak_bars(run: Run) -> pd.DataFrame:
    """The same as a tidy table for bars: mean and standard deviation over folds, interval of all test sets together."""
    data = fusion_stages.spectra(run)
    largest = np.bincount(data.label.values[data.label.values >= 0].astype(int)).max() / (data.label.values >= 0).sum()
    rows = []
    names, leaks = data.attrs["class_names"], fusion_stages.leak(run)
    for protocol, scores in leak_intervals(run).items():
        found = leaks[protocol]
        folds = [found["fold"] == k for k in np.unique(found["fold"])]
        each = [multiclass_scores(found["y_true"][f], found["predicted"][f], class_names=names) for f in folds]
        for score in LEAK_SHOWN:
            one = scores[score]
            mean, sd = fold_summary([fold[score] for fold in each])
            row = {"model": LEAK_TITLES[protocol], "score": score, "mean": mean, "sd": sd}
            row |= {"low": one.low, "high": one.high}
            rows.append(row | {"majority": largest if score == "accuracy" else np.nan})
    return pd.DataFrame(rows)


def band_table() -> pd.DataFrame:
    """Bands of the simulated ligands that exist free and bound, their shift, and whether a position is assumed."""
    from ftirlib.spectra.simulate.ligands import LIGANDS

    return pd.DataFrame(
        [
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
        ]
    )


def spread_text(row) -> str:
    """Mean ± standard deviation over folds, and below it the interval over groups."""
    mean = f"{_number(row['mean'])} ± {row['sd']:.2f}" if np.isfinite(row["mean"]) else "undefined"
    return f"{mean}\n{_range(row['low'], row['high'])}"


def _score(table: pd.DataFrame, model: str, score: str) -> str:
    row = table[(table.model == model) & (table.score == score)].iloc[0]
    return f"{row['mean']:.2f} {_range(row.low, row.high)}"


def _interval(interval) -> str:
    return f"{interval.estimate:.2f} {_range(interval.low, interval.high)}"


def _signed(interval: Interval) -> str:
    return f"{interval.estimate:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]".replace("-", "−")


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "undefined"  # a hyphen is no minus


def _range(low: float, high: float) -> str:
    return f"[{_number(low)}, {_number(high)}]" if np.isfinite(low) else "undefined"
