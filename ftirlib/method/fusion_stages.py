"""The second paper's classifier, stage by stage: features once, then folds, scores, ablation, leaks and a map.

Abdo et al. 2024 (10.5815/ijisa.2024.04.02). As in `ftirlib.method.stages`, each stage is a function of a run that makes
what is missing; the data are the simulated ligands and complexes, or the data set that ``fusion.data`` names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ftirlib.engine.store import folder_fingerprint
from ftirlib.engine.task import Task
from ftirlib.method import fusion_tasks, tasks
from ftirlib.method.run import Run
from ftirlib.method.settings import PROJECT
from ftirlib.method.stages import FOLDS, given_or_made
from ftirlib.spectra.folds import N_SETS, Fold
from ftirlib.spectra.model import open_spectra

PLACES = tuple(
    f"fusion/{name}" for name in ("spectra", "prepared", "folds", "features", "models", "ablation", "leak", "map")
)  # where the artefacts lie, in the order in which they are made
RAW, PREPARED, SPLIT, FEATURES, MODELS, ABLATION, LEAK, MAP = PLACES
ALL = "all"
FUSION, MSCNN = "fusion", "mscnn"  # names of the two systems in tables
LEAST_SHARD, MOST_SHARDS = 64, 100  # spectra in a shard of features; shards, of which each is worth its manifest


def _raw_path(run: Run) -> str:
    def locate():
        settings = run.settings.fusion
        values = {"n_preparations": settings.preparations, "n_replicates": settings.replicates}
        values |= {"step": settings.step}
        arguments = {"options": values, "seed": run.settings.seed}
        return given_or_made(run, settings.data, Task(RAW, fusion_tasks.simulate, arguments, values))

    return run.once("fusion_raw_path", locate)


def spectra(run: Run) -> xr.Dataset:
    """Spectra as every model of this chapter sees them."""
    return run.once("fusion_spectra", lambda: open_spectra(spectra_path(run)))


def spectra_path(run: Run) -> str:
    def make():
        source, recipe = _raw_path(run), run.settings.fusion.recipe
        # powders have no amide band to judge by: all spectra are kept
        arguments = {"source": source, "recipe": recipe, "quality": "none", "limits": None}
        task = Task(PREPARED, tasks.prepare, arguments, {"recipe": recipe}, {RAW: run.key(RAW)})
        return run.dataset(task, "spectra")

    return run.once("fusion_spectra_path", make)


def features_paths(run: Run) -> list[Path]:
    """Folders of the features of every spectrum, a shard of spectra each, extracted once; no label takes part."""

    def make():
        chosen = run.settings.fusion
        settings = chosen.model_dump(include={"families", "image", "image_size"})
        files = _weights(run)
        # the same spectra with other weights are other features: what was found decides, not what was asked for
        depends = settings | {"weights": _named(files)}
        arguments = {
            "spectra": spectra_path(run),
            "settings": settings,
            "weights": {name: (str(file[0]), file[1]) if file else "random" for name, file in files.items()},
            "cache": str(run.store.root / ".cache" / "features"),
            "device": run.settings.device,
            "seed": run.settings.seed,
        }
        if chosen.weights is None and None in files.values():
            run.report("  note: no published weights of the image networks are given or cached: random features")
        todo = [
            Task(
                name,
                fusion_tasks.features,
                arguments | {"start": start, "stop": stop},
                depends | {"rows": [start, stop], "device": run.settings.device},
                {PREPARED: run.key(PREPARED)},
            )
            for name, start, stop in _shards(run)
        ]
        made = run.artefacts("fusion: features", todo, "classify")
        run.prune(FEATURES, todo)
        return made

    return run.once("fusion_features", make)


def shards(n_spectra: int) -> list[tuple[int, int]]:
    """First row and the one after the last of each shard: a step of the progress bar, and one worker's task.

    Examples
    --------
    >>> shards(150)
    [(0, 64), (64, 128), (128, 150)]
    """
    size = max(LEAST_SHARD, -(-n_spectra // MOST_SHARDS))
    return [(start, min(start + size, n_spectra)) for start in range(0, n_spectra, size)]


def _shards(run: Run) -> list[tuple[str, int, int]]:
    """Name and rows of each shard of this run."""
    return [(f"{FEATURES}/rows{a}-{b - 1}", a, b) for a, b in shards(spectra(run).sizes["spectrum"])]


def _weights(run: Run) -> dict[str, tuple[Path, str] | None]:
    """File and SHA-256 of the weights of each image network that takes part, None for random ones."""
    from ftirlib.classify.fusion.weights import BACKBONES, find_weights

    given = run.settings.fusion.weights
    if isinstance(given, dict):  # notebooks run in a folder of their own
        given = {name: (PROJECT / file, sha256) for name, (file, sha256) in given.items()}
    families = [name for name in run.settings.fusion.families if name in BACKBONES]
    return {name: find_weights(name, given, warn=False) for name in families}


def _named(files: dict) -> dict[str, str]:
    from ftirlib.classify.fusion.weights import RANDOM_FEATURES

    return {name: file[1] if file else RANDOM_FEATURES for name, file in files.items()}


def fusion_fingerprint(run: Run) -> dict:
    """What the results of these stages depend on that settings do not say: the data's content, and the weights found.

    Returns
    -------
    dict
        ``data``: hash of the content of the data set given, None for simulated spectra. ``weights``: of each image
        network that takes part, the SHA-256 of its published weights, or "random features".

    Raises
    ------
    DataError
        When there is no data set where ``fusion.data`` says.
    """

    def find():
        given = run.settings.fusion.data
        if given is not None:
            open_spectra(given)
        return {"data": given and folder_fingerprint(given), "weights": _named(_weights(run))}

    return run.once("fusion_fingerprint", find)


def _features(run: Run) -> tuple[list[str], dict[str, str]]:
    """Folders of the features, and their keys, for the tasks that read them."""
    folders = [str(folder) for folder in features_paths(run)]
    return folders, {name: run.key(name) for name, *_ in _shards(run)}


def feature_origin(run: Run) -> str:
    """What the image features are: "ImageNet features", "random features" or "no image features"."""
    return feature_facts(run)["origin"]


def feature_facts(run: Run) -> dict:
    """``origin``, ``widths`` by family, and ``sha256`` of the weights by image network."""
    return tasks.read_json(features_paths(run)[0] / fusion_tasks.FEATURES)


def folds(run: Run) -> list[Fold]:
    """Four folds by group, as rows of `spectra`: the machinery of the first paper."""
    path = _folds_path(run)
    return run.once("fusion_folds", lambda: [tasks.read_fold(path, k) for k in FOLDS])


def _folds_path(run: Run) -> str:
    def make():
        arguments = {"spectra": spectra_path(run), "seed": run.settings.seed}
        return str(run.artefact(Task(SPLIT, tasks.fold, arguments, {}, {PREPARED: run.key(PREPARED)}), "spectra"))

    return run.once("fusion_folds_path", make)


def _common(run: Run) -> tuple[dict, dict]:
    arguments = {"spectra": spectra_path(run), "folds": _folds_path(run)}
    return arguments, {name: run.key(name) for name in (PREPARED, SPLIT)}


def _head(run: Run) -> dict:
    return run.settings.fusion.model_dump(include={"epochs", "batch_size", "learning_rate"})


def variants(run: Run) -> dict[str, list[str]]:
    """Feature families of each variant of the ablation: all, all but one, and each alone."""
    families = run.settings.fusion.families
    without = {f"without {name}": [other for other in families if other != name] for name in families}
    # of two families, leaving one out and keeping the other alone are the same
    alone = {f"only {name}": [name] for name in families} if len(families) > 2 else {}
    return {ALL: list(families)} | without | alone


def fused(run: Run, names: list[str]) -> dict[str, list[dict[str, np.ndarray]]]:
    """Probabilities of the fusion classifier: variant -> fold -> {"validation", "test"} (n, n_classes)."""
    title = "fusion: models" if names == [ALL] else "fusion: ablation"
    return _by_fold(names, run.artefacts(title, _fused_tasks(run, names), "classify"))


def _by_fold(names: list[str], made: list[Path]) -> dict[str, list[dict[str, np.ndarray]]]:
    """Probabilities in the folders of all folds of one name after another."""
    folders = iter(made)
    return {name: [np.load(next(folders) / "probabilities.npz") for _ in FOLDS] for name in names}


def _fused_tasks(run: Run, names: list[str]) -> list[Task]:
    features, keys = _features(run)
    common, inputs = _common(run)
    inputs |= keys
    head, oversampling = _head(run), run.settings.fusion.oversampling
    return [
        Task(
            f"{MODELS if name == ALL else ABLATION}/{name.replace(' ', '-')}-fold{k}",
            fusion_tasks.fused,
            {
                **common,
                "fold": k,
                "features": features,
                "families": variants(run)[name],
                "oversampling": oversampling,
                "head": head,
                "seed": run.settings.seed,
            },
            head | {"families": variants(run)[name], "oversampling": oversampling},
            inputs,
        )
        for name in names
        for k in FOLDS
    ]


def models(run: Run) -> dict[str, list[dict[str, np.ndarray]]]:
    """Probabilities of the fusion classifier, one MSCNN and the baselines on the same folds, by model and fold."""

    def make():
        common, inputs = _common(run)
        chosen, seed = run.settings.baselines, run.settings.seed
        values = run.settings.members.model_dump(exclude={"count", "class_weights"})
        network = {name: values.pop(name) for name in ("dropout", "leak")}
        place = {"device": run.settings.device}
        values["class_weight"] = [1.0] * len(spectra(run).attrs["class_names"])
        todo = _fused_tasks(run, [ALL])
        todo += [
            Task(
                f"{MODELS}/{MSCNN}-fold{k}",
                tasks.member,
                {**common, **place, "fold": k, "training": values, "network": network, "seed": seed},
                values | network | place,
                inputs,
            )
            for k in FOLDS
        ]
        todo += [
            Task(
                f"{MODELS}/{model}-fold{k}",
                tasks.baseline,
                {**common, "fold": k, "model": model, "components": chosen.components},
                {"components": chosen.components},
                inputs,
            )
            for model in chosen.models
            for k in FOLDS
        ]
        return _by_fold([FUSION, MSCNN, *chosen.models], run.artefacts("fusion: models", todo, "classify"))

    return run.once("fusion_models", make)


def scores(run: Run) -> pd.DataFrame:
    """The eight scores of every model: columns ``model, score, mean, sd, low, high, majority``.

    Mean and standard deviation over the test sets of the folds, and the bootstrap interval over groups of all test
    sets together; beside them the same score of always answering the training set's most frequent class.
    """
    return run.once("fusion_scores", lambda: score_variants(run, models(run)))


def ablation(run: Run) -> pd.DataFrame:
    """The eight scores, as of `scores`, with all families, without each and with each alone."""

    def make():
        _, *others = variants(run)
        return score_variants(run, fused(run, [ALL]) | fused(run, others))

    return run.once("fusion_ablation", make)


def score_variants(run: Run, found: dict[str, list[dict[str, np.ndarray]]]) -> pd.DataFrame:
    """Scores of test-set probabilities by model and fold."""
    from ftirlib.report.comparison import multiclass_table

    data = spectra(run)
    return multiclass_table(
        {name: [one["test"].argmax(1) for one in per_fold] for name, per_fold in found.items()},
        folds=folds(run),
        label=data.label.values.astype(int),
        group=data.group.values,
        class_names=data.attrs["class_names"],
        **run.settings.bootstrap,
    )


def leak(run: Run) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Predictions under each protocol, by when it over-samples and how it splits."""

    def make():
        from ftirlib.classify.fusion.leak import PROTOCOLS

        features, keys = _features(run)
        todo = [
            Task(
                f"{LEAK}/{oversampled}-{split}",
                fusion_tasks.leak,
                {
                    "spectra": spectra_path(run),
                    "features": features,
                    "protocol": [oversampled, split],
                    "head": _head(run),
                    "splits": N_SETS,
                    "seed": run.settings.seed,
                },
                _head(run),
                {PREPARED: run.key(PREPARED)} | keys,
            )
            for oversampled, split in PROTOCOLS
        ]
        made = run.artefacts("fusion: leak", todo, "classify")
        return {one: np.load(path / "predictions.npz") for one, path in zip(PROTOCOLS, made)}

    return run.once("fusion_leak", make)


def tsne(run: Run) -> np.ndarray:
    """Places (n_spectra, 2) of all spectra by their fused features."""

    def make():
        features, keys = _features(run)
        task = Task(MAP, fusion_tasks.tsne, {"features": features, "seed": run.settings.seed}, {}, keys)
        return np.load(run.artefact(task, "classify") / "map.npz")["places"]

    return run.once("fusion_map", make)


# in this order on the command line; none needs a stage of the first paper's
FUSION_STAGES = {
    "fusion-spectra": spectra,
    "fusion-folds": folds,
    "fusion-features": features_paths,
    "fusion-models": models,
    "fusion-ablation": ablation,
    "fusion-leak": leak,
    "fusion-map": tsne,
    "fusion": scores,
}
