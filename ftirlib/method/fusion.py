"""The second paper: the fusion classifier, its ablation, what a leak is worth, and a map of its features.

Abdo et al. 2024 (10.5815/ijisa.2024.04.02). Its spectra are the simulated ligands and complexes, or the data set that
``fusion.data`` names; preparation, folds, the MSCNN and the baselines are the functions of the first paper.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ftirlib.classify.fusion.settings import HeadSettings
from ftirlib.classify.settings import MSCNNSettings, TrainingSettings
from ftirlib.engine.driver import Artefact, Task, once, untracked
from ftirlib.engine.store import folder_fingerprint
from ftirlib.files import read_json, write_json
from ftirlib.method.data import FOLDS, STORE, given_or_made, prepare, read_fold, split
from ftirlib.method.models import PROBABILITIES, baseline, member
from ftirlib.method.run import Run
from ftirlib.settings import part
from ftirlib.spectra.folds import N_SETS, SIDES, Fold
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.writer import save_spectra

ALL = "all"
FUSION, MSCNN = "fusion", "mscnn"  # names of the two systems in tables
FACTS = "features.json"  # what the features of a shard are
LEAST_SHARD, MOST_SHARDS = 64, 100  # spectra in a shard of features; shards, of which each is worth its manifest
Answers = dict[str, list[dict[str, np.ndarray]]]  # model -> fold -> {"validation", "test"} (n, n_classes)


@once
def raw(run: Run) -> Artefact:
    """The data set that ``fusion.data`` names, or the simulated ligands and complexes."""
    settings = run.settings.fusion
    simulation = Task(
        "fusion/spectra",
        simulate,
        preparations=settings.preparations,
        replicates=settings.replicates,
        step=settings.step,
        seed=run.settings.seed,
    )
    return given_or_made(run, settings.data, simulation)


@once
def prepared(run: Run) -> Artefact:
    """Spectra as every model of this chapter sees them."""
    # powders have no amide band to judge by: all spectra are kept
    steps = {"recipe": run.settings.fusion.recipe, "quality": "none", "limits": None}
    return run.make(Task("fusion/prepared", prepare, source=raw(run), steps=steps)) / STORE


def simulate(out, work, *, preparations, replicates, step, seed):
    """Simulate the ligands and complexes."""
    from ftirlib.spectra.simulate.complexes import simulate_complexes

    data = simulate_complexes(n_preparations=preparations, n_replicates=replicates, step=step, random_state=seed)
    save_spectra(data, out / STORE)


@once
def spectra(run: Run) -> xr.Dataset:
    """The prepared spectra, opened."""
    return open_spectra(prepared(run).address)


@once
def folds(run: Run) -> Artefact:
    """Four folds by group."""
    return run.make(Task("fusion/folds", split, spectra=prepared(run), seed=run.settings.seed))


@once
def fold_rows(run: Run) -> list[Fold]:
    """Rows of the spectra in each fold."""
    return [read_fold(folds(run).path, k) for k in FOLDS]


@once
def features(run: Run) -> list[Artefact]:
    """Features of every spectrum, a shard of spectra each, extracted once; no label takes part."""
    settings = run.settings.fusion
    weights = backbone_weights(run)
    if settings.weights is None and None in weights.values():
        run.report("  note: no published weights of the image networks are given or cached: random features")
    tasks = {
        (start, stop): Task(
            f"fusion/features/rows{start}-{stop - 1}",
            extract,
            spectra=prepared(run),
            rows=[start, stop],
            settings=settings.model_dump(include={"families", "image", "image_size"}),
            # the same spectra with other weights are other features, wherever the file of the weights lies
            hashes=weight_hashes(run),
            files=untracked({name: str(file[0]) for name, file in weights.items() if file}),
            cache=untracked(str(run.store.root / ".cache" / "features")),
            device=run.settings.device,
            seed=run.settings.seed,
        )
        for start, stop in shards(spectra(run).sizes["spectrum"])
    }
    before = len(run.made)
    made = list(run.make_all("fusion: features", tasks).values())
    if len(run.made) > before:
        run.prune("fusion/features", made)
    return made


def shards(n_spectra: int) -> list[tuple[int, int]]:
    """First row and the one after the last of each shard: a step of the progress bar, and one worker's task.

    Examples
    --------
    >>> shards(150)
    [(0, 64), (64, 128), (128, 150)]
    """
    size = max(LEAST_SHARD, -(-n_spectra // MOST_SHARDS))
    return [(start, min(start + size, n_spectra)) for start in range(0, n_spectra, size)]


@once
def backbone_weights(run: Run) -> dict[str, tuple[Path, str] | None]:
    """File and SHA-256 of the weights of each image network that takes part, None for random ones."""
    from ftirlib.classify.fusion.weights import BACKBONES, find_weights

    settings = run.settings.fusion
    return {name: find_weights(name, settings.weights, warn=False) for name in settings.families if name in BACKBONES}


def weight_hashes(run: Run) -> dict[str, str]:
    """SHA-256 of the published weights of each image network that takes part, or "random features"."""
    from ftirlib.classify.fusion.weights import RANDOM_FEATURES

    return {name: file[1] if file else RANDOM_FEATURES for name, file in backbone_weights(run).items()}


def fusion_fingerprint(run: Run) -> dict:
    """The part of this chapter's results that settings do not decide: the data's content, and the weights found.

    Returns
    -------
    dict
        ``data``: hash of the content of the data set given, None for simulated spectra; ``weights``: `weight_hashes`.

    Raises
    ------
    DataError
        When there is no data set where ``fusion.data`` says.
    """
    given = run.settings.fusion.data
    if given is not None:
        open_spectra(given)
    return {"data": given and folder_fingerprint(given), "weights": weight_hashes(run)}


def extract(out, work, *, spectra, rows, settings, hashes, files, cache, device, seed):
    """Extract the features of spectra `rows` (from, to), a file each family; a cache keeps what a kill interrupts."""
    data = open_spectra(spectra)
    weights = {name: (files[name], sha256) if name in files else "random" for name, sha256 in hashes.items()}
    wanted = {"settings": settings | {"random_state": seed}, "weights": weights, "cache": cache, "device": device}
    extractor = _extractor(data.wavenumber.values.astype(np.float64).tobytes(), json.dumps(wanted))
    for name, values in extractor.extract(data, rows=np.arange(*rows)).items():
        np.save(out / f"{name}.npy", values, allow_pickle=False)
    facts = {"origin": extractor.feature_origin, "widths": extractor.n_features, "sha256": extractor.weights_sha256}
    write_json(out / FACTS, facts)


@lru_cache(maxsize=1)  # networks take seconds to build, and a worker meets many shards
def _extractor(wavenumber: bytes, wanted: str):
    from ftirlib.classify.fusion.features import FeatureExtractor
    from ftirlib.classify.fusion.settings import FeatureSettings

    wanted = json.loads(wanted)
    settings = FeatureSettings(**wanted["settings"] | {"families": tuple(wanted["settings"]["families"])})
    axis = np.frombuffer(wavenumber, np.float64)
    return FeatureExtractor(axis, settings, weights=wanted["weights"], cache=wanted["cache"], device=wanted["device"])


def feature_facts(run: Run) -> dict:
    """What the features are.

    Returns
    -------
    dict
        ``origin``: "ImageNet features", "random features" or "no image features"; ``widths`` by family; ``sha256`` of
        the weights by image network.
    """
    return read_json(features(run)[0].path / FACTS)


def read_features(folders, families=None) -> np.ndarray:
    """Fused features (n_spectra, n_features) of some families, shard after shard; default all."""
    from ftirlib.classify.fusion.fused import fuse

    names = list(read_json(Path(folders[0]) / FACTS)["widths"])
    loaded = (
        {name: np.load(Path(folder) / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
        for folder in folders
    )
    return np.concatenate([fuse(shard, families) for shard in loaded])


def variants(run: Run) -> dict[str, list[str]]:
    """Feature families of each variant of the ablation: all, all but one, and each alone."""
    families = run.settings.fusion.families
    without = {f"without {name}": [other for other in families if other != name] for name in families}
    # of two families, leaving one out and keeping the other alone are the same
    alone = {f"only {name}": [name] for name in families} if len(families) > 2 else {}
    return {ALL: list(families)} | without | alone


def fused(run: Run, names: list[str]) -> Answers:
    """Probabilities of the fusion classifier with the families of some variants."""
    title = "fusion: models" if names == [ALL] else "fusion: ablation"
    return _probabilities(run.make_all(title, _fused_tasks(run, names)))


def _probabilities(made: dict[tuple[str, int], Artefact]) -> Answers:
    """Probabilities in the folders of (model, fold)."""
    names = dict.fromkeys(name for name, _ in made)
    return {name: [np.load(made[name, k].path / PROBABILITIES) for k in FOLDS] for name in names}


def _fused_tasks(run: Run, names: list[str]) -> dict[tuple[str, int], Task]:
    return {
        (name, k): Task(
            f"fusion/{'models' if name == ALL else 'ablation'}/{name.replace(' ', '-')}-fold{k}",
            fuse_and_fit,
            spectra=prepared(run),
            folds=folds(run),
            fold=k,
            features=features(run),
            families=variants(run)[name],
            oversampling=run.settings.fusion.oversampling,
            head=part(run.settings.fusion, HeadSettings),
            seed=run.settings.seed,
        )
        for name in names
        for k in FOLDS
    }


def fuse_and_fit(out, work, *, spectra, folds, fold, features, families, oversampling, head, seed):
    """Scale, over-sample and train the fusion classifier on the training spectra of one fold alone."""
    from ftirlib.classify.prediction import full_probabilities

    data, rows = open_spectra(spectra), read_fold(folds, fold)
    values = read_features(features, families)
    classifier = _make_classifier(oversampling, head, seed).fit(values[rows.train], data.label.values[rows.train])
    n_classes = len(data.attrs["class_names"])
    sides = {
        side: full_probabilities(classifier, classifier.predict_proba(values[getattr(rows, side)]), n_classes)
        for side in SIDES[1:]
    }
    np.savez(out / PROBABILITIES, **sides)
    counts = {"given": classifier.class_counts_, "fitted": classifier.fitted_counts_}
    write_json(out / "training.json", {"losses": classifier.losses_, **counts})


def _make_classifier(oversampling, head, seed):
    """The part of the fusion classifier after the features."""
    from ftirlib.classify.fusion.fused import FusedFeatureClassifier

    # a class with fewer spectra than SMOTE has neighbours takes what it has, and the run is told
    return FusedFeatureClassifier(
        oversampling=oversampling,
        small_classes="adjust",
        head=head,
        random_state=seed,
        device="cpu",
    )


@once
def models(run: Run) -> Answers:
    """Probabilities of the fusion classifier, one MSCNN and the baselines on the same folds."""
    settings, seed = run.settings, run.settings.seed
    data = {"spectra": prepared(run), "folds": folds(run)}
    class_weight = (1.0,) * len(spectra(run).attrs["class_names"])
    tasks = {(FUSION, k): task for (_, k), task in _fused_tasks(run, [ALL]).items()}
    for k in FOLDS:
        tasks[MSCNN, k] = Task(
            f"fusion/models/{MSCNN}-fold{k}",
            member,
            **data,
            fold=k,
            training=part(settings.members, TrainingSettings, class_weight=class_weight),
            network=part(settings.members, MSCNNSettings),
            device=settings.device,
            seed=seed,
        )
    for model in settings.baselines.models:
        for k in FOLDS:
            tasks[model, k] = Task(
                f"fusion/models/{model}-fold{k}",
                baseline,
                **data,
                fold=k,
                model=model,
                components=settings.baselines.components,
            )
    return _probabilities(run.make_all("fusion: models", tasks))


@once
def scores(run: Run) -> pd.DataFrame:
    """The eight scores of every model: columns ``model, score, mean, sd, low, high, majority``.

    Mean and standard deviation over the test sets of the folds, and the bootstrap interval over groups of all test
    sets together; beside them the same score of always answering the training set's most frequent class.
    """
    return score_variants(run, models(run))


@once
def ablation(run: Run) -> pd.DataFrame:
    """The eight scores, as of `scores`, with all families, without each and with each alone."""
    _, *others = variants(run)
    return score_variants(run, fused(run, [ALL]) | fused(run, others))


def score_variants(run: Run, answers: Answers) -> pd.DataFrame:
    """Scores of test-set probabilities by model and fold."""
    from ftirlib.report.comparison import multiclass_table

    data = spectra(run)
    return multiclass_table(
        {name: [one["test"].argmax(1) for one in per_fold] for name, per_fold in answers.items()},
        folds=fold_rows(run),
        label=data.label.values.astype(int),
        group=data.group.values,
        class_names=data.attrs["class_names"],
        **run.settings.bootstrap,
    )


@once
def leak(run: Run) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Predictions under each protocol, by when it over-samples and how it splits."""
    from ftirlib.classify.fusion.leak import PROTOCOLS

    tasks = {
        (oversampled, splitting): Task(
            f"fusion/leak/{oversampled}-{splitting}",
            leak_under,
            spectra=prepared(run),
            features=features(run),
            protocol=[oversampled, splitting],
            head=part(run.settings.fusion, HeadSettings),
            splits=N_SETS,
            seed=run.settings.seed,
        )
        for oversampled, splitting in PROTOCOLS
    }
    made = run.make_all("fusion: leak", tasks)
    return {protocol: np.load(one.path / "predictions.npz") for protocol, one in made.items()}


def leak_under(out, work, *, spectra, features, protocol, head, splits, seed):
    """Try the classifier under one protocol: over-sampled before the split or inside it, split at random or by group.

    Spectra without a label take no part.
    """
    from ftirlib.classify.fusion.leak import leak_experiment

    data = open_spectra(spectra)
    rows = np.flatnonzero(data.label.values >= 0)
    (found,) = leak_experiment(
        read_features(features)[rows],
        data.label.values[rows].astype(np.int64),
        data.group.values[rows],
        _make_classifier("random", head, seed),
        n_splits=splits,
        random_state=seed,
        protocols=[tuple(protocol)],
    )
    np.savez(
        out / "predictions.npz",
        y_true=found.y_true,
        predicted=found.predicted,
        group=found.group,
        fold=found.fold,
        twin_in_training=found.twin_in_training,
        group_in_training=found.group_in_training,
    )


@once
def tsne(run: Run) -> np.ndarray:
    """Places (n_spectra, 2) of all spectra by their fused features."""
    made = run.make(Task("fusion/map", map_features, features=features(run), seed=run.settings.seed))
    return np.load(made.path / "map.npz")["places"]


def map_features(out, work, *, features, seed):
    """Map the fused features."""
    from ftirlib.classify.fusion.leak import tsne_map

    np.savez(out / "map.npz", places=tsne_map(read_features(features), random_state=seed))
