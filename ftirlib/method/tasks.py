"""What workers do: one function per kind of artefact, from plain values to files in a folder.

Each gets the folder to fill and a folder for checkpoints, reads its inputs by path, and draws every
random number from the seed it is given: where and when it runs makes no difference.
"""

from __future__ import annotations

import json
import warnings
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path

import numpy as np

from ftirlib.engine.store import MANIFEST
from ftirlib.errors import DataError
from ftirlib.spectra.folds import SIDES, Fold
from ftirlib.spectra.model import open_spectra, read_absorbance
from ftirlib.spectra.rows import Rows

LEAST_STEPS, LEAST_BATCH = 16, 8  # of an epoch of training; spectra in a step


def write_json(path: Path, value) -> None:
    Path(path).write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")


def read_json(path: Path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_fold(folds: str, fold: int) -> Fold:
    with np.load(Path(folds) / "folds.npz") as arrays:
        return Fold(**{side: arrays[f"{side}_{fold}"] for side in SIDES})


def save_probabilities(folder: Path, estimator, data, fold: Fold) -> None:
    """Write ``probabilities.npz``, of the validation and the test set."""
    from ftirlib.classify import prediction

    sides = {side: getattr(fold, side) for side in SIDES[1:]}
    prediction.save_probabilities(folder / "probabilities.npz", estimator, data, sides)


def simulate(folder, work, *, phantom, seed):
    """The simulated cohort."""
    from ftirlib.spectra.simulate.colon import simulate_colon
    from ftirlib.spectra.simulate.settings import PhantomSettings

    simulate_colon(folder / "spectra.zarr", settings=PhantomSettings(**phantom), seed=seed)


def prepare(folder, work, *, source, parts=(), **how):
    """Spectra as the models see them: joined of the parts in order where there are any, else prepared here."""
    from ftirlib.spectra.prepare.recipe import Kept, Preparation

    preparation = Preparation(open_spectra(source, codes=False), **how)
    files = (file for part in parts for file in sorted(Path(part).glob("*.npz")))
    blocks = (Kept(**np.load(file)) for file in files) if parts else preparation.blocks()
    preparation.write(folder / "spectra.zarr", blocks)


def prepare_part(folder, work, *, source, rows, **how):
    """Of spectra `rows` (from, to) those that are kept, as the models see them: a file for each block."""
    from ftirlib.spectra.prepare.recipe import Preparation

    for k, kept in enumerate(Preparation(open_spectra(source, codes=False), **how).blocks(*rows)):
        np.savez(folder / f"{k:06d}.npz", **kept._asdict())


def fold(folder, work, *, spectra, seed):
    """The four folds as rows of the prepared spectra, (n,) for each side."""
    from ftirlib.spectra.folds import check_fold, four_way_folds

    data = open_spectra(spectra, codes=False)
    label, group = data.label.values, data.group.values
    if (label < 0).all():
        raise DataError("the data set has no labels; give them when importing (--label), or use 'ftirlib predict'.")
    folds = four_way_folds(label, group, class_names=data.attrs["class_names"], random_state=seed)
    for one in folds:
        check_fold(one, group)
    np.savez(
        folder / "folds.npz",
        **{f"{side}_{k}": getattr(one, side) for k, one in enumerate(folds) for side in SIDES},
    )


def baseline(folder, work, *, spectra, folds, fold, model, components):
    """One baseline on one fold: probabilities of the validation and the test set."""
    from ftirlib.classify.baselines import make_baseline

    data, rows = open_spectra(spectra, codes=False), read_fold(folds, fold)
    estimator = make_baseline(model, n_components=components)
    estimator.fit(Rows.of(data, rows.train), data.label.values[rows.train])
    save_probabilities(folder, estimator, data, rows)


def member(folder, work, *, spectra, folds, fold, training, network, device, seed):
    """One MSCNN of one fold and its probabilities; an interrupted training goes on from its checkpoint."""
    from ftirlib.classify.checks import choose_device
    from ftirlib.classify.mscnn import MSCNNSettings
    from ftirlib.classify.training import MSCNNClassifier, TrainingSettings
    from ftirlib.spectra.prepare.recipe import recipe_of

    data, rows = open_spectra(spectra, codes=False), read_fold(folds, fold)
    wavenumber = data.wavenumber.values
    sides = {side: getattr(rows, side) for side in SIDES[:2]}
    stored = {side: Rows.of(data, one).to_file(work / f"{side}.npy") for side, one in sides.items()}
    label = {side: data.label.values[one] for side, one in sides.items()}
    # a small data set still gets some steps in every epoch
    batch_size = min(training["batch_size"], max(LEAST_BATCH, len(label["train"]) // LEAST_STEPS))
    classifier = MSCNNClassifier(
        wavenumber,
        network=MSCNNSettings(n_classes=len(np.unique(label["train"])), **network),
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
    save_probabilities(folder, classifier, data, rows)


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
        answers = [np.load(Path(p) / "probabilities.npz") for p, chosen in zip(members[k], voters.selected_) if chosen]
        np.savez(
            target / "probabilities.npz",
            **{side: vote((one[side] for one in answers), voting).astype(np.float32) for side in SIDES[1:]},
        )
        selection.append({"scores": scores[k], "voting": voters.selected_.tolist(), "threshold": voters.threshold_})
    write_json(folder / "selection.json", selection)


def answer(folder: str | Path, *, linear: bool = False) -> dict[str, np.ndarray | None]:
    """Answer of one fold's model, or of its linear model, to the test set.

    ``predicted`` (n,) and ``probabilities`` (n, n_classes), or None of a linear model.
    """
    if linear:
        predicted = np.load(Path(folder) / "assigned.npz")["linear_test"].astype(int)
        return {"predicted": predicted, "probabilities": None}
    probabilities = np.load(Path(folder) / "probabilities.npz")["test"]
    return {"predicted": probabilities.argmax(1), "probabilities": probabilities}


def scores(folder, work, *, spectra, folds, model, answers, ensemble, bootstrap):
    """Every score of one model with intervals; of a linear model against the ensemble it was made from too.

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
        given, groups = answer(answers[k], linear=ensemble is not None), group[rows.test]
        tallies["labels"][k].add(label[rows.test], **given, groups=groups)
        if ensemble is not None:
            tallies["ensemble"][k].add(answer(ensemble[k])["predicted"], **given, groups=groups)
    table = score_table({model: tallies}, train_counts, **bootstrap)
    write_json(folder / "scores.json", table.to_dict("list"))


def explained_rows(image, rows, most: int, seed: int) -> np.ndarray:
    """At most `most` of `rows`, the same number from each image as far as it has them, in ascending order.

    Parameters
    ----------
    image : (n_spectra,) int array
        Image of every spectrum.
    rows : ascending (n,) int
    most : int
    seed : int
    """
    if len(rows) <= most:
        return rows
    of = image[rows]
    count = np.bincount(of)
    level = bisect_right(range(count.max() + 1), most, key=lambda level: np.minimum(count, level).sum()) - 1
    wanted = np.minimum(count, level)
    wanted[np.flatnonzero(count > level)[: most - wanted.sum()]] += 1
    by_image = np.argsort(of, kind="stable")
    first = np.cumsum(count) - count
    rng = np.random.default_rng(seed)
    drawn = [first[k] + rng.choice(count[k], wanted[k], replace=False, shuffle=False) for k in np.flatnonzero(wanted)]
    return np.sort(rows[by_image[np.concatenate(drawn)]])


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
    places = np.searchsorted(getattr(read_fold(folds, fold), side), chosen)
    predicted = np.load(models / "probabilities.npz")[side][places].argmax(axis=1)
    data = open_spectra(spectra, codes=False)
    lime.explain_to(folder / "attribution.zarr", voters, data, labels=predicted[:, None], rows=chosen)


@lru_cache(maxsize=1)
def _explained_rows(spectra, folds, key, fold, side, most, seed) -> np.ndarray:
    """Rows of one side to explain: chosen in a worker once for its shards. `key` as for `_explainer`."""
    image = open_spectra(spectra, codes=False).image.values
    return explained_rows(image, getattr(read_fold(folds, fold), side), most, seed)


@lru_cache(maxsize=1)
def _explainer(spectra, folds, models, key, fold, mode, samples, tolerance, background, device, seed):
    """LIME and the ensemble it explains: the noise, the matrices and the networks reach a worker once for its shards.

    `key` is the ensemble's, which changes with its content and that of all before it.
    """
    from ftirlib.classify.checks import choose_device
    from ftirlib.classify.ensemble import EMSCNN
    from ftirlib.explain.lime.lime import SpectralLime

    data = open_spectra(spectra, codes=False)
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
    return lime, EMSCNN.load(Path(models) / "model", device=str(choose_device(device)))


def artefact_key(folder: str) -> str:
    """Key under which the artefact in a folder was made."""
    return read_json(Path(folder) / MANIFEST)["key"]
