"""What workers do: one function per kind of artefact, from plain values to files in a folder.

Each gets the folder to fill and a folder for checkpoints, reads its inputs by path, and draws every
random number from the seed it is given: where and when it runs makes no difference.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError
from ftirlib.run.store import MANIFEST
from ftirlib.spectra.folds import Fold
from ftirlib.spectra.model import iter_blocks, open_spectra, read_absorbance
from ftirlib.spectra.rowfile import RowFile

SIDES = ("train", "validation", "test")
LEAST_STEPS, LEAST_BATCH = 16, 8  # of an epoch of training; spectra in a step


def write_json(path: Path, value) -> None:
    Path(path).write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")


def read_json(path: Path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def read_fold(folds: str, fold: int) -> Fold:
    arrays = read_arrays(Path(folds) / "folds.npz")
    return Fold(**{side: arrays[f"{side}_{fold}"] for side in SIDES})


def full_probabilities(estimator, probabilities: np.ndarray, n_classes: int) -> np.ndarray:
    """Probabilities (n, n_classes) with zero columns for classes that the training set lacked."""
    full = np.zeros((len(probabilities), n_classes), np.float32)
    full[:, np.asarray(estimator.classes_, int)] = probabilities
    return full


def simulate(folder, work, *, phantom, seed):
    """The simulated cohort."""
    from ftirlib.spectra.phantom import simulate_colon
    from ftirlib.spectra.phantom_settings import PhantomSettings

    simulate_colon(folder / "spectra.zarr", settings=PhantomSettings(**phantom), seed=seed)


def prepare(folder, work, *, source, recipe, quality, limits):
    """Spectra as the models see them."""
    from ftirlib.spectra.preprocess import prepare_spectra

    limits = None if quality == "none" else limits
    prepare_spectra(open_spectra(source), folder / "spectra.zarr", recipe=recipe, quality=quality, limits=limits)


def fold(folder, work, *, spectra, seed):
    """The four folds as rows of the prepared spectra."""
    from ftirlib.spectra.folds import check_fold, four_way_folds

    data = open_spectra(spectra)
    if not (data.label.values >= 0).any():
        raise DataError("the data set has no labels; give them when importing (--label), or use 'ftirlib predict'.")
    folds = four_way_folds(
        data.label.values, data.group.values, class_names=data.attrs["class_names"], random_state=seed
    )
    for one in folds:
        check_fold(one, data.group.values)
    np.savez(
        folder / "folds.npz",
        **{f"{side}_{k}": getattr(one, side) for k, one in enumerate(folds) for side in SIDES},
    )


def baseline(folder, work, *, spectra, folds, fold, model, components, seed):
    """One baseline on one fold: probabilities of the validation and the test set."""
    from ftirlib.classify.baselines import make_baseline
    from ftirlib.classify.streaming import predict_blocks

    data, rows = open_spectra(spectra), read_fold(folds, fold)
    estimator = make_baseline(model, n_components=components, random_state=seed)
    estimator.fit(read_absorbance(data, rows.train), data.label.values[rows.train].astype(np.int64))
    n_classes = len(data.attrs["class_names"])
    sides = {side: predict_blocks(estimator, data, rows=getattr(rows, side)) for side in SIDES[1:]}
    np.savez(
        folder / "probabilities.npz",
        **{side: full_probabilities(estimator, answers, n_classes) for side, answers in sides.items()},
    )


def member(folder, work, *, spectra, folds, fold, training, network, seed):
    """One MSCNN of one fold and its probabilities; an interrupted training goes on from its checkpoint."""
    from ftirlib.classify.mscnn import MSCNNSettings
    from ftirlib.classify.streaming import predict_blocks
    from ftirlib.classify.training import MSCNNClassifier, TrainingSettings
    from ftirlib.spectra.prepared import recipe_of

    data, rows = open_spectra(spectra), read_fold(folds, fold)
    wavenumber, n_classes = data.wavenumber.values, len(data.attrs["class_names"])
    label = data.label.values.astype(np.int64)
    stored = {}  # the spectra of a cohort need not fit in memory
    for side in SIDES[:2]:
        blocks = (block for _, block in iter_blocks(data, getattr(rows, side)))
        stored[side] = RowFile.write(work / f"{side}.float32", blocks, wavenumber.size)
    # a small data set still gets some steps in every epoch
    batch_size = min(training["batch_size"], max(LEAST_BATCH, len(rows.train) // LEAST_STEPS))
    classifier = MSCNNClassifier(
        wavenumber,
        network=MSCNNSettings(n_classes=len(np.unique(label[rows.train])), **network),
        training=TrainingSettings(**training | {"batch_size": batch_size}),
        random_state=seed,
        recipe=recipe_of(data),
    )
    classifier.fit(
        stored["train"],
        label[rows.train],
        validation=(stored["validation"], label[rows.validation]),
        checkpoint=work / "training.safetensors",
    )
    classifier.save(folder / "model")
    sides = {side: predict_blocks(classifier, data, rows=getattr(rows, side)) for side in SIDES[1:]}
    np.savez(
        folder / "probabilities.npz",
        **{side: full_probabilities(classifier, answers, n_classes) for side, answers in sides.items()},
    )


def ensemble(folder, work, *, members, threshold, voting):
    """The voting ensembles of all folds: members are selected together, as the threshold may look across folds."""
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
        target = folder / f"fold{k}"
        voters.save(target / "model")
        known = [read_arrays(Path(path) / "probabilities.npz") for path in members[k]]  # what each has answered
        answers = [one for one, chosen in zip(known, voters.selected_) if chosen]
        np.savez(
            target / "probabilities.npz",
            **{side: vote([one[side] for one in answers], voting).astype(np.float32) for side in SIDES[1:]},
        )
        selection.append({"scores": scores[k], "voting": voters.selected_.tolist(), "threshold": voters.threshold_})
    write_json(folder / "selection.json", selection)


def answer(folder: str | Path, *, linear: bool = False) -> dict[str, np.ndarray | None]:
    """Test-set answer of one fold's model, or of its linear model: ``predicted`` (n,), ``probabilities`` or None."""
    if linear:
        predicted = read_arrays(Path(folder) / "assigned.npz")["linear_test"].astype(int)
        return {"predicted": predicted, "probabilities": None}
    probabilities = read_arrays(Path(folder) / "probabilities.npz")["test"]
    return {"predicted": probabilities.argmax(1), "probabilities": probabilities}


def scores(folder, work, *, spectra, folds, model, answers, ensemble, bootstrap):
    """Every score of one model with intervals; of a linear model against the ensemble it was made from too.

    `answers` are the folders of the folds' answers, `ensemble` those of the ensembles, None but for linear models.
    """
    from ftirlib.report.comparison import score_table

    data, sets = open_spectra(spectra), [read_fold(folds, k) for k in range(len(answers))]
    label = data.label.values.astype(int)
    targets = {"labels": [label[one.test] for one in sets]}
    linear = ensemble is not None
    if linear:
        targets["ensemble"] = [answer(path)["predicted"] for path in ensemble]
    table = score_table(
        {model: [answer(path, linear=linear) for path in answers]},
        {model: targets},
        folds=sets,
        label=label,
        group=data.group.values,
        class_names=data.attrs["class_names"],
        positive_classes=data.attrs["positive_classes"],
        **bootstrap,
    )
    write_json(folder / "scores.json", table.to_dict("list"))


def explained_rows(image: np.ndarray, rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most `most` of `rows`, the same number from each image as far as it has them, in ascending order."""
    if len(rows) <= most:
        return rows
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(rows)
    order = np.argsort(image[shuffled], kind="stable")
    shuffled = shuffled[order]
    _, start, count = np.unique(image[shuffled], return_index=True, return_counts=True)
    rank = np.arange(len(shuffled)) - np.repeat(start, count)  # how many of its image come before it
    return np.sort(shuffled[np.argsort(rank, kind="stable")[:most]])


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
    seed,
    rows,
):
    """LIME of one fold's ensemble on spectra `rows` (from, to) of those chosen of one side, with its stability."""
    data = open_spectra(spectra)
    side_rows = getattr(read_fold(folds, fold), side)
    chosen = explained_rows(data.image.values, side_rows, most, seed)[slice(*rows)]
    models = Path(ensemble) / f"fold{fold}"
    lime, voters = _explainer(
        spectra, folds, str(models), artefact_key(ensemble), fold, mode, samples, tolerance, background, seed
    )
    votes = read_arrays(models / "probabilities.npz")[side]
    predicted = votes[np.searchsorted(side_rows, chosen)].argmax(axis=1)
    lime.explain_to(folder / "attribution.zarr", voters, data, labels=predicted[:, None], rows=chosen)


@lru_cache(maxsize=1)
def _explainer(spectra, folds, models, key, fold, mode, samples, tolerance, background, seed):
    """LIME and the ensemble it explains: the noise, the matrices and the networks reach a worker once for its shards.

    `key` is the ensemble's, which changes with its content and that of all before it.
    """
    from ftirlib.classify.ensemble import EMSCNN
    from ftirlib.explain.lime import SpectralLime

    data = open_spectra(spectra)
    known = explained_rows(data.image.values, read_fold(folds, fold).validation, background, seed)
    lime = SpectralLime(
        read_absorbance(data, known),
        wavenumber=data.wavenumber.values,
        mode=mode,
        n_samples=samples,
        tolerance=tolerance,
        random_state=seed,
        n_banks=2,
    )
    return lime, EMSCNN.load(Path(models) / "model")


def artefact_key(folder: str) -> str:
    """Key under which the artefact in a folder was made."""
    return read_json(Path(folder) / MANIFEST)["key"]


def explained(spectra: str, shards: Sequence[str | Path]) -> dict[str, np.ndarray]:
    """Rows, spectra, LIME weights of the predicted class and their stability, of the shards of one explanation."""
    from ftirlib.explain.attribution import read_parts

    found = read_parts([Path(one) / "attribution.zarr" for one in shards], ("rows", "weights", "stability"))
    return {
        "rows": found["rows"],
        "absorbance": read_absorbance(open_spectra(spectra), found["rows"]),
        "weights": found["weights"][:, 0],
        "stability": found["stability"][:, 0],
    }
