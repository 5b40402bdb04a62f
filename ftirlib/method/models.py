"""Models: the five baselines, the MSCNNs of each fold, and the ensembles that vote."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ftirlib.engine.driver import Artefact, Task, once
from ftirlib.files import write_json
from ftirlib.method.arrays import StoredArrays, write_arrays
from ftirlib.method.data import FOLDS, folds, prepared, prepared_spectra, read_fold
from ftirlib.method.run import Run
from ftirlib.spectra.folds import SIDES, Fold
from ftirlib.spectra.model import iter_blocks, open_spectra
from ftirlib.spectra.rowfile import RowFile
from ftirlib.spectra.runs import PART

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
    from ftirlib.classify.walk import Walk

    data, rows = open_spectra(spectra, codes=False), read_fold(folds, fold)
    train = rows.runs["train"]
    estimator = make_baseline(model, n_components=components)
    estimator.fit(Walk.over(data, train), train.column(data.label.variable))
    save_probabilities(out, estimator, data, rows)


@once
def members(run: Run) -> dict[tuple[int, int], Artefact]:
    """The MSCNNs: (fold, number) -> folder."""
    settings = run.settings.members
    class_weight = [settings.class_weights.get(name, 1.0) for name in prepared_spectra(run).attrs["class_names"]]
    return run.make_all(
        "members",
        {
            (k, number): Task(
                f"members/fold{k}-seed{number}",
                member,
                spectra=prepared(run),
                folds=folds(run),
                fold=k,
                training=settings.training | {"class_weight": class_weight},
                network=settings.network,
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
    from ftirlib.classify.codes import distinct
    from ftirlib.classify.device import choose_device
    from ftirlib.classify.mscnn import MSCNNSettings
    from ftirlib.classify.training import MSCNNClassifier, TrainingSettings
    from ftirlib.spectra.prepare.prepared import recipe_of

    data, rows = open_spectra(spectra, codes=False), read_fold(folds, fold)
    wavenumber = data.wavenumber.values
    stored, label = {}, {}  # nothing that grows with the cohort is in memory
    for side in SIDES[:2]:
        blocks = (block for _, block in iter_blocks(data, rows.runs[side]))
        stored[side] = RowFile.write(work / f"{side}.spectra", blocks, wavenumber.size)
        blocks = (block[:, None] for _, block in rows.runs[side].take_parts(data.label.variable))
        label[side] = RowFile.write(work / f"{side}.labels", blocks, 1, data.label.dtype)
    # a small data set still gets some steps in every epoch
    batch_size = min(training["batch_size"], max(LEAST_BATCH, len(label["train"]) // LEAST_STEPS))
    classifier = MSCNNClassifier(
        wavenumber,
        network=MSCNNSettings(n_classes=len(distinct(label["train"])), **network),
        training=TrainingSettings(**training | {"batch_size": batch_size}),
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
    save_probabilities(out, classifier, data, rows)


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
    from ftirlib.classify.ensemble import EMSCNN
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
        known = [StoredArrays(Path(path) / PROBABILITIES) for path in members[k]]  # what each has answered
        answers = [one for one, chosen in zip(known, voters.selected_) if chosen]
        sides = {side: [one.on_disk(side) for one in answers] for side in SIDES[1:]}
        write_arrays(
            target / PROBABILITIES,
            {side: (stored[0].shape, np.float32, _votes(stored, voting)) for side, stored in sides.items()},
        )
        selection.append({"scores": scores[k], "voting": voters.selected_.tolist(), "threshold": voters.threshold_})
    write_json(out / "selection.json", selection)


def _votes(answers, voting: str) -> Iterator[np.ndarray]:
    """Votes of the members whose answers (n, n_classes) are given, a part of the spectra at a time."""
    from ftirlib.classify.ensemble import vote

    for start in range(0, len(answers[0]), PART):
        yield vote([one[start : start + PART] for one in answers], voting)


def save_probabilities(out: Path, estimator, data, fold: Fold) -> None:
    """Write the probabilities (n, n_classes) of the validation and the test set."""
    from ftirlib.classify.streaming import iter_predictions

    n_classes = len(data.attrs["class_names"])

    def blocks(rows):
        return (full_probabilities(estimator, one, n_classes) for one in iter_predictions(estimator, data, rows=rows))

    sides = {side: fold.runs[side] for side in SIDES[1:]}
    write_arrays(
        out / PROBABILITIES,
        {side: ((len(rows), n_classes), np.float32, blocks(rows)) for side, rows in sides.items()},
    )


def full_probabilities(estimator, probabilities: np.ndarray, n_classes: int) -> np.ndarray:
    """Probabilities (n, n_classes) with zero columns for classes that the training set lacked."""
    full = np.zeros((len(probabilities), n_classes), np.float32)
    full[:, np.asarray(estimator.classes_, int)] = probabilities
    return full


def read_probabilities(folder: str | Path, side: str) -> np.ndarray:
    """Probabilities (n, n_classes) that a model gave to the ``validation`` or the ``test`` set of its fold."""
    with np.load(Path(folder) / PROBABILITIES, allow_pickle=False) as arrays:
        return arrays[side]
