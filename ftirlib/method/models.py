"""Models: the five baselines, the MSCNNs of each fold, and the ensembles that vote."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ftirlib.classify.settings import MSCNNSettings, TrainingSettings
from ftirlib.engine.driver import Artefact, Task, once
from ftirlib.files import write_json
from ftirlib.method.data import FOLDS, folds, prepared, prepared_spectra, read_fold
from ftirlib.method.run import Run
from ftirlib.settings import part
from ftirlib.spectra.folds import SIDES, Fold
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.rows import Rows

LEAST_STEPS, LEAST_BATCH = 16, 8  # of an epoch of training; spectra in a step
PROBABILITIES = "probabilities.npz"


@once
def baselines(run: Run) -> dict[tuple[str, int], Artefact]:
    """Answers of the baselines: (model, fold) -> folder."""
    settings = run.settings.baselines
    return run.make_all(
        "baselines",
        {
            (model, k): Task(
                f"baselines/{model}-fold{k}",
                baseline,
                spectra=prepared(run),
                folds=folds(run),
                fold=k,
                model=model,
                components=settings.components,
            )
            for model in settings.models
            for k in FOLDS
        },
    )


def baseline(out, work, *, spectra, folds, fold, model, components):
    """Train a baseline on one fold and keep its probabilities of the validation and the test set."""
    from ftirlib.classify.baselines import make_baseline
    from ftirlib.classify.prediction import save_probabilities

    data, rows = open_spectra(spectra, codes=False), read_fold(folds, fold)
    estimator = make_baseline(model, n_components=components)
    estimator.fit(Rows.of(data, rows.train), data.label.values[rows.train])
    save_probabilities(out / PROBABILITIES, estimator, data, answered(rows))


@once
def members(run: Run) -> dict[tuple[int, int], Artefact]:
    """The MSCNNs: (fold, number) -> folder."""
    settings = run.settings.members
    class_weight = tuple(settings.class_weights.get(n, 1.0) for n in prepared_spectra(run).attrs["class_names"])
    return run.make_all(
        "members",
        {
            (k, number): Task(
                f"members/fold{k}-seed{number}",
                member,
                spectra=prepared(run),
                folds=folds(run),
                fold=k,
                training=part(settings, TrainingSettings, class_weight=class_weight),
                network=part(settings, MSCNNSettings),
                device=run.settings.device,
                seed=task_seed(run, k, number),
            )
            for k in FOLDS
            for number in range(settings.count)
        },
    )


def task_seed(run: Run, *parts: int) -> int:
    """A seed that belongs to the task: the same for any worker, different for any other task."""
    return int(np.random.SeedSequence([run.settings.seed, *parts]).generate_state(1)[0])


def member(out, work, *, spectra, folds, fold, training, network, device, seed):
    """Train one MSCNN and keep its probabilities; an interrupted training goes on from its checkpoint."""
    from ftirlib.classify.checks import choose_device
    from ftirlib.classify.prediction import save_probabilities
    from ftirlib.classify.training import MSCNNClassifier
    from ftirlib.spectra.prepare.recipe import recipe_of

    data, rows = open_spectra(spectra, codes=False), read_fold(folds, fold)
    sides = {side: getattr(rows, side) for side in SIDES[:2]}
    stored = {side: Rows.of(data, chosen).to_file(work / f"{side}.npy") for side, chosen in sides.items()}
    label = {side: data.label.values[chosen] for side, chosen in sides.items()}
    # a small data set still gets some steps in every epoch
    batch_size = min(training.batch_size, max(LEAST_BATCH, len(label["train"]) // LEAST_STEPS))
    classifier = MSCNNClassifier(
        data.wavenumber.values,
        network=network.model_copy(update={"n_classes": len(np.unique(label["train"]))}),
        training=training.model_copy(update={"batch_size": batch_size}),
        random_state=seed,
        device=str(choose_device(device)),
        recipe=recipe_of(data),
    )
    classifier.fit(
        stored["train"],
        label["train"],
        validation=(stored["validation"], label["validation"]),
        checkpoint=work / "training.safetensors",
    )
    classifier.save(out / "model")
    save_probabilities(out / PROBABILITIES, classifier, data, answered(rows))


@once
def ensemble(run: Run) -> Artefact:
    """The voting ensembles: a folder ``fold<k>`` for each fold, and ``selection.json``."""
    networks = members(run)
    settings = run.settings.ensemble
    return run.make(
        Task(
            "ensemble",
            vote_together,
            members=[[networks[k, i] for i in range(run.settings.members.count)] for k in FOLDS],
            threshold=settings.threshold,
            voting=settings.voting,
        )
    )


def vote_together(out, work, *, members, threshold, voting):
    """Choose the voters of all folds, as the threshold may look across folds, and add up their votes."""
    from ftirlib.classify.ensemble import EMSCNN, vote
    from ftirlib.classify.training import MSCNNClassifier

    networks = [[MSCNNClassifier.load(Path(path) / "model") for path in paths] for paths in members]
    scores = [[network.validation_score_ for network in fold] for fold in networks]
    selection = []
    across = scores if threshold == "fold_median" else None
    for k, candidates in enumerate(networks):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            voters = EMSCNN(candidates, threshold=threshold, voting=voting, fold_scores=across).fit()
        for note in caught:  # the ensemble does not know which fold it is of
            warnings.warn(f"fold {k + 1}: {str(note.message).replace(' of fold 0', '')}", stacklevel=1)
        target = out / f"fold{k}"
        voters.save(target / "model")
        chosen = [path for path, is_chosen in zip(members[k], voters.selected_) if is_chosen]
        votes = {
            side: vote((read_probabilities(path, side) for path in chosen), voting).astype(np.float32)
            for side in SIDES[1:]
        }
        np.savez(target / PROBABILITIES, **votes)
        selection.append({"scores": scores[k], "voting": voters.selected_.tolist(), "threshold": voters.threshold_})
    write_json(out / "selection.json", selection)


def answered(rows: Fold) -> dict[str, np.ndarray]:
    """Rows of the sides that a model gives probabilities of: its validation and its test set."""
    return {side: getattr(rows, side) for side in SIDES[1:]}


def read_probabilities(folder: str | Path, side: str) -> np.ndarray:
    """Probabilities (n, n_classes) that a model gave to the ``validation`` or the ``test`` set of its fold."""
    with np.load(Path(folder) / PROBABILITIES, allow_pickle=False) as arrays:
        return arrays[side]
