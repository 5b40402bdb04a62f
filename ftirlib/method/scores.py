"""Scores of every model, the choice of an autoencoder, and the cards of the linear models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ftirlib.engine.driver import Artefact, Task, once
from ftirlib.files import read_json, write_json
from ftirlib.method.crime import contexts, describe, vae_names, vaes
from ftirlib.method.data import FOLDS, folds, prepared, read_fold
from ftirlib.method.lime import Explained, explanations
from ftirlib.method.models import baselines, ensemble, members, read_probabilities
from ftirlib.method.run import Run
from ftirlib.report.scores import classification_scores
from ftirlib.spectra.folds import Fold
from ftirlib.spectra.model import open_spectra


@once
def model_scores(run: Run) -> pd.DataFrame:
    """Every score of every model against the labels, and of every linear model against the ensemble too.

    Returns
    -------
    DataFrame
        Columns ``model, target ("labels" or "ensemble"), score, mean, sd, low, high, majority``:
        mean and SD over the folds, bootstrap interval over groups, and the same score of always
        answering the training set's most frequent class.
    """
    linear = vae_names(run)
    voters = [ensemble(run) / f"fold{k}" for k in FOLDS]
    tasks = {
        model: Task(
            f"scores/{model}",
            score,
            spectra=prepared(run),
            folds=folds(run),
            model=model,
            answers=made,
            ensemble=voters if model in linear else None,
            bootstrap=run.settings.bootstrap,
        )
        for model, made in answers(run).items()
    }
    tables = [pd.DataFrame(read_json(made.path / "scores.json")) for made in run.make_all("scores", tasks).values()]
    return pd.concat(tables, ignore_index=True)


@once
def answers(run: Run) -> dict[str, list[Artefact]]:
    """Folders with the answers of every model: name -> fold."""
    found = {model: [baselines(run)[model, k] for k in FOLDS] for model in run.settings.baselines.models}
    found["mscnn"] = [members(run)[k, 0] for k in FOLDS]
    found["emscnn"] = [ensemble(run) / f"fold{k}" for k in FOLDS]
    return found | {name: [contexts(run)[k, name] for k in FOLDS] for name in vae_names(run)}


@once
def predictions(run: Run) -> dict[str, list[dict[str, np.ndarray]]]:
    """Test-set predictions of every model: name -> fold -> {"predicted" (n,), "probabilities" (n, c) or None}."""
    linear = vae_names(run)
    return {
        model: [read_answer(one.path, linear=model in linear) for one in made] for model, made in answers(run).items()
    }


def read_answer(folder: str | Path, *, linear: bool = False) -> dict[str, np.ndarray | None]:
    """Answer of one fold's model, or of its linear model, to the test set.

    ``predicted`` (n,) and ``probabilities`` (n, n_classes), or None of a linear model.
    """
    if linear:
        predicted = np.load(Path(folder) / "assigned.npz")["linear_test"].astype(int)
        return {"predicted": predicted, "probabilities": None}
    probabilities = read_probabilities(folder, "test")
    return {"predicted": probabilities.argmax(1), "probabilities": probabilities}


def score(out, work, *, spectra, folds, model, answers, ensemble, bootstrap):
    """Score one model with intervals; a linear model against the ensemble it was made from too.

    `answers` are the folders of the folds' answers, `ensemble` those of the ensembles, None but for linear models.
    """
    from ftirlib.report.comparison import score_table
    from ftirlib.report.tally import Tally

    data, sets = open_spectra(spectra, codes=False), [read_fold(folds, k) for k in range(len(answers))]
    names = {name: data.attrs[name] for name in ("class_names", "positive_classes")}
    label, group, n_groups = data.label.values, data.group.values, len(data.attrs["group_names"])
    train_counts = np.zeros((len(sets), len(names["class_names"])), np.int64)
    targets = ["labels"] if ensemble is None else ["labels", "ensemble"]
    tallies = {target: [Tally(**names, n_groups=n_groups) for _ in sets] for target in targets}
    for k, rows in enumerate(sets):
        train_counts[k] = np.bincount(label[rows.train], minlength=train_counts.shape[1])
        given, groups = read_answer(answers[k], linear=ensemble is not None), group[rows.test]
        tallies["labels"][k].add(label[rows.test], **given, groups=groups)
        if ensemble is not None:
            tallies["ensemble"][k].add(read_answer(ensemble[k])["predicted"], **given, groups=groups)
    table = score_table({model: tallies}, train_counts, **bootstrap)
    write_json(out / "scores.json", table.to_dict("list"))


def validation_scores(folders: list[Path], folds: list[Fold], data: xr.Dataset) -> float:
    """Balanced accuracy of one linear model against the labels of the validation sets: mean over the folds.

    Parameters
    ----------
    folders : list of path
        Its contexts, fold by fold.
    folds : list of Fold
    data : Dataset
        The prepared spectra.
    """
    names = {key: data.attrs[key] for key in ("class_names", "positive_classes")}
    found = []
    for folder, fold in zip(folders, folds):
        predicted = np.load(folder / "assigned.npz")["linear_validation"].astype(int)
        label = data.label.values[fold.validation].astype(int)
        found.append(classification_scores(label, predicted, **names)["balanced_accuracy"])
    return float(np.mean(found))


@once
def cards(run: Run) -> Artefact:
    """A folder ``fold<k>-<name>`` for each linear model, with its page ``card.html`` beside its ``linear.json``."""
    settings = run.settings
    return run.make(
        Task(
            "cards",
            write_cards,
            spectra=prepared(run),
            folds=folds(run),
            explanations=[explanations(run)[k, "validation"] for k in FOLDS],
            voters=[ensemble(run) / f"fold{k}" for k in FOLDS],
            vaes=[{name: vaes(run)[k, name] for name in vae_names(run)} for k in FOLDS],
            contexts=[{name: contexts(run)[k, name] for name in vae_names(run)} for k in FOLDS],
            about=f"of the validation set, profile {settings.profile}, seed {settings.seed}",
            bootstrap=settings.bootstrap,
        )
    )


def write_cards(out, work, *, spectra, folds, explanations, voters, vaes, contexts, about, bootstrap):
    """Write a page for every linear model, beside a copy of its JSON; all arguments are lists over the folds."""
    for fold, models in enumerate(contexts):
        known = Explained.of(spectra, explanations[fold])
        for name, path in models.items():
            target = out / f"fold{fold}-{name}"
            target.mkdir()
            text = (Path(path) / "linear.json").read_text(encoding="utf-8")
            (target / "linear.json").write_text(text, encoding="utf-8")
            agreement = _agreement(spectra, read_fold(folds, fold).test, path, voters[fold], bootstrap)
            page = _card(spectra, known, Path(vaes[fold][name]), Path(path), name, fold, about, agreement)
            (target / "card.html").write_text(page, encoding="utf-8")


def _card(spectra, known: Explained, vae: Path, path: Path, name, fold, about, agreement) -> str:
    from ftirlib.explain.crime.contexts import Contexts
    from ftirlib.explain.linear.linear import LinearClassifier
    from ftirlib.explain.linear.model_card import model_card

    data = open_spectra(spectra, codes=False)
    limits = ["Made from simulated spectra, which are no tissue."] if data.attrs["is_simulated"] else []
    if not agreement:
        limits.append("All test spectra are of one group: how far it agrees with others is not known.")
    return model_card(
        LinearClassifier.load(path / "linear.json"),
        title=f"Linear model of {name}, fold {fold + 1}",
        table=describe(Contexts.load(path / "contexts.npz"), known, np.load(vae / "latent.npz"), data),
        agreement=agreement,
        made_from=f"Made from {len(known):,} explained spectra {about}.",
        limits=limits,
    )


def _agreement(spectra, rows, path, voters, bootstrap) -> dict[str, tuple[float, float, float]]:
    """Accuracy and balanced accuracy against labels and ensemble, with intervals over the groups of a fold's test set.

    Empty where there is one group.
    """
    from ftirlib.report.scores import score_intervals
    from ftirlib.report.tally import Tally

    data = open_spectra(spectra, codes=False)
    names = {key: data.attrs[key] for key in ("class_names", "positive_classes")}
    targets = ("the labels", "the ensemble")
    tallies = {target: Tally(**names, n_groups=len(data.attrs["group_names"])) for target in targets}
    predicted = read_answer(path, linear=True)["predicted"]
    for target, truth in zip(targets, (data.label.values[rows], read_answer(voters)["predicted"])):
        tallies[target].add(truth, predicted, groups=data.group.values[rows])
    if tallies["the labels"].confusion.any(axis=(1, 2)).sum() < 2:
        return {}
    intervals = {}
    for target, tally in tallies.items():
        found = score_intervals(tally, **bootstrap)
        for name in ("accuracy", "balanced_accuracy"):
            interval = found[name]
            intervals[f"{name.replace('_', ' ')} against {target}"] = (interval.estimate, interval.low, interval.high)
    return intervals
