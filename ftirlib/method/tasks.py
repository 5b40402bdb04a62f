"""What workers do: one function per kind of artefact, from plain values to files in a folder.

Each gets the folder to fill and a folder for checkpoints, reads its inputs by path, and draws every
random number from the seed it is given: where and when it runs makes no difference.
"""

from __future__ import annotations

import json
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from ftirlib.engine.store import MANIFEST
from ftirlib.errors import DataError
from ftirlib.method.arrays import StoredArrays, write_arrays
from ftirlib.spectra.folds import SIDES, Fold
from ftirlib.spectra.model import iter_blocks, iter_coordinates, open_spectra, read_absorbance
from ftirlib.spectra.rowfile import RowFile
from ftirlib.spectra.runs import PART, Runs

LEAST_STEPS, LEAST_BATCH = 16, 8  # of an epoch of training; spectra in a step


def write_json(path: Path, value) -> None:
    Path(path).write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")


def read_json(path: Path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_fold(folds: str, fold: int) -> Fold:
    arrays = StoredArrays(Path(folds) / "folds.npz")
    return Fold(**{side: Runs(arrays[f"{side}_{fold}"]) for side in SIDES})


def full_probabilities(estimator, probabilities: np.ndarray, n_classes: int) -> np.ndarray:
    """Probabilities (n, n_classes) with zero columns for classes that the training set lacked."""
    full = np.zeros((len(probabilities), n_classes), np.float32)
    full[:, np.asarray(estimator.classes_, int)] = probabilities
    return full


def save_probabilities(folder: Path, estimator, data, fold: Fold, n_classes: int) -> None:
    """Write ``probabilities.npz``, of the validation and the test set: they need not fit in memory."""
    from ftirlib.classify.streaming import iter_predictions

    def blocks(rows):
        return (full_probabilities(estimator, one, n_classes) for one in iter_predictions(estimator, data, rows=rows))

    sides = {side: fold.runs[side] for side in SIDES[1:]}
    write_arrays(
        folder / "probabilities.npz",
        {side: ((len(rows), n_classes), np.float32, blocks(rows)) for side, rows in sides.items()},
    )


def simulate(folder, work, *, phantom, seed):
    """The simulated cohort."""
    from ftirlib.spectra.simulate.colon import simulate_colon
    from ftirlib.spectra.simulate.settings import PhantomSettings

    simulate_colon(folder / "spectra.zarr", settings=PhantomSettings(**phantom), seed=seed)


def prepare(folder, work, *, source, parts=(), **how):
    """Spectra as the models see them: joined of the parts in order where there are any, else prepared here."""
    from ftirlib.spectra.prepare.preprocess import Kept, Preparation

    preparation = Preparation(open_spectra(source, codes=False), **how)
    files = (file for part in parts for file in sorted(Path(part).glob("*.npz")))
    blocks = (Kept(**StoredArrays(file)) for file in files) if parts else preparation.blocks()
    preparation.write(folder / "spectra.zarr", blocks)


def prepare_part(folder, work, *, source, rows, **how):
    """Of spectra `rows` (from, to) those that are kept, as the models see them: a file for each block."""
    from ftirlib.spectra.prepare.preprocess import Preparation

    for k, kept in enumerate(Preparation(open_spectra(source, codes=False), **how).blocks(*rows)):
        np.savez(folder / f"{k:06d}.npz", **kept._asdict())


def fold(folder, work, *, spectra, seed):
    """The four folds as runs of rows of the prepared spectra, (n_runs, 2) for each side."""
    from ftirlib.spectra.folds import check_fold, four_way_folds

    data = open_spectra(spectra, codes=False)
    if not any((part["label"] >= 0).any() for part in iter_coordinates(data, ["label"])):
        raise DataError("the data set has no labels; give them when importing (--label), or use 'ftirlib predict'.")
    label, group = data.label.variable, data.group.variable
    folds = four_way_folds(label, group, class_names=data.attrs["class_names"], random_state=seed)
    for one in folds:
        check_fold(one, group)
    np.savez(
        folder / "folds.npz",
        **{f"{side}_{k}": one.runs[side].bounds for k, one in enumerate(folds) for side in SIDES},
    )


def baseline(folder, work, *, spectra, folds, fold, model, components):
    """One baseline on one fold: probabilities of the validation and the test set."""
    from ftirlib.classify.baselines import make_baseline
    from ftirlib.classify.walk import Walk

    data, rows = open_spectra(spectra, codes=False), read_fold(folds, fold)
    train = rows.runs["train"]
    estimator = make_baseline(model, n_components=components)
    estimator.fit(Walk.over(data, train), train.column(data.label.variable))
    save_probabilities(folder, estimator, data, rows, len(data.attrs["class_names"]))


def member(folder, work, *, spectra, folds, fold, training, network, device, seed):
    """One MSCNN of one fold and its probabilities; an interrupted training goes on from its checkpoint."""
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
    classifier.save(folder / "model")
    save_probabilities(folder, classifier, data, rows, len(data.attrs["class_names"]))


def ensemble(folder, work, *, members, threshold, voting):
    """The voting ensembles of all folds: members are selected together, as the threshold may look across folds."""
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
        target = folder / f"fold{k}"
        voters.save(target / "model")
        known = [StoredArrays(Path(path) / "probabilities.npz") for path in members[k]]  # what each has answered
        answers = [one for one, chosen in zip(known, voters.selected_) if chosen]
        sides = {side: [one.on_disk(side) for one in answers] for side in SIDES[1:]}
        write_arrays(
            target / "probabilities.npz",
            {side: (stored[0].shape, np.float32, _votes(stored, voting)) for side, stored in sides.items()},
        )
        selection.append({"scores": scores[k], "voting": voters.selected_.tolist(), "threshold": voters.threshold_})
    write_json(folder / "selection.json", selection)


def _votes(answers, voting: str) -> Iterator[np.ndarray]:
    """Votes of the members whose answers (n, n_classes) are given, a part of the spectra at a time."""
    from ftirlib.classify.ensemble import vote

    for start in range(0, len(answers[0]), PART):
        yield vote([one[start : start + PART] for one in answers], voting)


def answer(folder: str | Path, *, linear: bool = False, rows: slice = slice(None)) -> dict[str, np.ndarray | None]:
    """Answer of one fold's model, or of its linear model, to the test set or to some rows of it.

    ``predicted`` (n,) and ``probabilities`` (n, n_classes), or None of a linear model.
    """
    if linear:
        predicted = StoredArrays(Path(folder) / "assigned.npz").on_disk("linear_test")[rows].astype(int)
        return {"predicted": predicted, "probabilities": None}
    probabilities = StoredArrays(Path(folder) / "probabilities.npz").on_disk("test")[rows]
    return {"predicted": probabilities.argmax(1), "probabilities": probabilities}


def scores(folder, work, *, spectra, folds, model, answers, ensemble, bootstrap):
    """Every score of one model with intervals; of a linear model against the ensemble it was made from too.

    `answers` are the folders of the folds' answers, `ensemble` those of the ensembles, None but for linear models.
    """
    from ftirlib.report.comparison import score_table
    from ftirlib.report.tally import Tally

    data, sets = open_spectra(spectra, codes=False), [read_fold(folds, k).runs for k in range(len(answers))]
    names = {name: data.attrs[name] for name in ("class_names", "positive_classes")}
    label, group, n_groups = data.label.variable, data.group.variable, len(data.attrs["group_names"])
    train_counts = np.zeros((len(sets), len(names["class_names"])), np.int64)
    targets = ["labels"] if ensemble is None else ["labels", "ensemble"]
    tallies = {target: [Tally(**names, n_groups=n_groups) for _ in sets] for target in targets}
    for k, rows in enumerate(sets):
        for _, labels in rows["train"].take_parts(label):
            train_counts[k] += np.bincount(labels, minlength=train_counts.shape[1])
        for here, labels, groups in rows["test"].take_parts(label, group):
            given = answer(answers[k], linear=ensemble is not None, rows=here)
            tallies["labels"][k].add(labels, **given, groups=groups)
            if ensemble is not None:
                voted = answer(ensemble[k], rows=here)["predicted"]
                tallies["ensemble"][k].add(voted, **given, groups=groups)
    table = score_table({model: tallies}, train_counts, **bootstrap)
    write_json(folder / "scores.json", table.to_dict("list"))


def explained_rows(image, rows, most: int, seed: int) -> np.ndarray:
    """At most `most` of `rows`, the same number from each image as far as it has them, in ascending order.

    Chance draws in each image alone, so that rows and images are read part by part and none are held.

    Parameters
    ----------
    image : (n_spectra,) int array, or variable of an opened data set
        Image of every spectrum.
    rows : Runs, or ascending (n,) int
    most : int
    seed : int
    """
    rows = Runs.of(rows)
    if len(rows) <= most:
        return rows[:]
    count = np.zeros(0, np.int64)
    for _, part in rows.take_parts(image):
        here = np.bincount(part, minlength=count.size)
        here[: count.size] += count
        count = here
    level = bisect_right(range(count.max() + 1), most, key=lambda level: np.minimum(count, level).sum()) - 1
    wanted = np.minimum(count, level)
    wanted[np.flatnonzero(count > level)[: most - wanted.sum()]] += 1
    first = np.cumsum(count) - count  # where an image would begin if its rows lay together
    rng = np.random.default_rng(seed)
    drawn = [first[k] + rng.choice(count[k], wanted[k], replace=False, shuffle=False) for k in np.flatnonzero(wanted)]
    places = np.sort(np.concatenate(drawn))
    chosen, seen = [], first.copy()
    for here, part in rows.take_parts(image):
        order = np.argsort(part, kind="stable")
        of = part[order]
        place = seen[of] + np.arange(len(of)) - np.searchsorted(of, of)
        near = places[np.minimum(np.searchsorted(places, place), len(places) - 1)]
        chosen.append(here.start + order[near == place])
        seen += np.bincount(of, minlength=seen.size)
    return rows.at(np.sort(np.concatenate(chosen)))


def explain(
    folder,
    work,
    *,
    spectra,
    folds,
    ensemble,
    fold,
    side,
    mode,
    samples,
    tolerance,
    most,
    background,
    device,
    seed,
    rows,
):
    """LIME of one fold's ensemble on spectra `rows` (from, to) of those chosen of one side, with its stability."""
    models, key = Path(ensemble) / f"fold{fold}", artefact_key(ensemble)
    chosen = _explained_rows(spectra, folds, key, fold, side, most, seed)[slice(*rows)]
    lime, voters = _explainer(
        spectra, folds, str(models), key, fold, mode, samples, tolerance, background, device, seed
    )
    votes = StoredArrays(models / "probabilities.npz").on_disk(side)
    places = Runs.of(read_fold(folds, fold).runs[side].places(chosen))
    predicted = places.take(votes).argmax(axis=1)
    data = open_spectra(spectra, codes=False)
    lime.explain_to(folder / "attribution.zarr", voters, data, labels=predicted[:, None], rows=chosen)


@lru_cache(maxsize=1)
def _explained_rows(spectra, folds, key, fold, side, most, seed) -> Runs:
    """Rows of one side to explain: chosen in a worker once for its shards. `key` as for `_explainer`."""
    rows = read_fold(folds, fold).runs[side]
    if len(rows) <= most:
        return rows
    return Runs.of(explained_rows(open_spectra(spectra, codes=False).image.variable, rows, most, seed))


@lru_cache(maxsize=1)
def _explainer(spectra, folds, models, key, fold, mode, samples, tolerance, background, device, seed):
    """LIME and the ensemble it explains: the noise, the matrices and the networks reach a worker once for its shards.

    `key` is the ensemble's, which changes with its content and that of all before it.
    """
    from ftirlib.classify.device import choose_device
    from ftirlib.classify.ensemble import EMSCNN
    from ftirlib.explain.lime.lime import SpectralLime

    data = open_spectra(spectra, codes=False)
    known = explained_rows(data.image.variable, read_fold(folds, fold).runs["validation"], background, seed)
    lime = SpectralLime(
        read_absorbance(data, known),
        wavenumber=data.wavenumber.values,
        mode=mode,
        n_samples=samples,
        tolerance=tolerance,
        random_state=seed,
        n_banks=2,
    )
    return lime, EMSCNN.load(Path(models) / "model", device=str(choose_device(device)))


def artefact_key(folder: str) -> str:
    """Key under which the artefact in a folder was made."""
    return read_json(Path(folder) / MANIFEST)["key"]
