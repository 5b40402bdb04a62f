"""The second paper's classifier, stage by stage: features once, then folds, scores, ablation, leaks and a map.

Abdo et al. 2024 (10.5815/ijisa.2024.04.02). As in `ftirlib.run.stages`, each stage is a function of a run that makes
what is missing; the data are the simulated ligands and complexes, or the data set that ``fusion.data`` names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ftirlib.run import fusion_tasks, tasks
from ftirlib.run.runner import Run, Task
from ftirlib.run.stages import FOLDS, given_or_made
from ftirlib.spectra.folds import N_SETS, Fold
from ftirlib.spectra.model import open_spectra

RAW, PREPARED, SPLIT, FEATURES, MAP = (f"fusion/{name}" for name in ("spectra", "prepared", "folds", "features", "map"))
ALL = "all"
FUSION, MSCNN = "fusion", "mscnn"  # names of the two systems in tables


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
        return str(run.artefact(task, "spectra") / "spectra.zarr")

    return run.once("fusion_spectra_path", make)


def features_path(run: Run) -> Path:
    """Folder of the features of every spectrum, extracted once; no label takes part in them."""

    def make():
        from ftirlib.classify.fusion.features import BACKBONES, RANDOM_FEATURES
        from ftirlib.classify.fusion.weights import find_weights

        chosen = run.settings.fusion
        settings = chosen.model_dump(include={"families", "image", "image_size"})
        weights = (
            {k: (str(v[0]), v[1]) for k, v in chosen.weights.items()} if isinstance(chosen.weights, dict) else None
        )
        weights = chosen.weights if chosen.weights == "random" else weights
        backbones = [name for name in settings["families"] if name in BACKBONES]
        files = {name: find_weights(name, weights, warn=False) for name in backbones}
        # the same spectra with other weights are other features: what was found decides, not what was asked for
        depends = settings | {"weights": {name: file[1] if file else RANDOM_FEATURES for name, file in files.items()}}
        arguments = {
            "spectra": spectra_path(run),
            "settings": settings,
            "weights": "random" if weights == "random" else {n: (str(f[0]), f[1]) for n, f in files.items() if f},
            "cache": str(run.store.root / ".cache" / "features"),
            "seed": run.settings.seed,
        }
        task = Task(FEATURES, fusion_tasks.features, arguments, depends, {PREPARED: run.key(PREPARED)})
        return run.artefact(task, "classify")

    return run.once("fusion_features", make)


def feature_origin(run: Run) -> str:
    """What the image features are: "ImageNet features", "random features" or "no image features"."""
    return tasks.read_json(features_path(run) / fusion_tasks.FEATURES)["origin"]


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
    folder = features_path(run)
    common, inputs = _common(run)
    inputs |= {FEATURES: run.key(FEATURES)}
    head, oversampling = _head(run), run.settings.fusion.oversampling
    todo = [
        Task(
            f"fusion/models/{name.replace(' ', '-')}-fold{k}",
            fusion_tasks.fused,
            {
                **common,
                "fold": k,
                "features": str(folder),
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
    made = iter(run.artefacts("fusion", todo, "classify"))
    return {name: [tasks.read_arrays(next(made) / "probabilities.npz") for _ in FOLDS] for name in names}


def models(run: Run) -> dict[str, list[dict[str, np.ndarray]]]:
    """Probabilities of the fusion classifier, one MSCNN and the baselines on the same folds, by model and fold."""

    def make():
        found = {FUSION: fused(run, [ALL])[ALL]}
        common, inputs = _common(run)
        chosen, seed = run.settings.baselines, run.settings.seed
        values = run.settings.members.model_dump(exclude={"count", "class_weights"})
        network = {name: values.pop(name) for name in ("dropout", "leak")}
        values["class_weight"] = [1.0] * len(spectra(run).attrs["class_names"])
        todo = [
            Task(
                f"fusion/models/{MSCNN}-fold{k}",
                tasks.member,
                {**common, "fold": k, "training": values, "network": network, "seed": seed},
                values | network,
                inputs,
            )
            for k in FOLDS
        ]
        todo += [
            Task(
                f"fusion/models/{model}-fold{k}",
                tasks.baseline,
                {**common, "fold": k, "model": model, "components": chosen.components, "seed": seed},
                {"components": chosen.components},
                inputs,
            )
            for model in chosen.models
            for k in FOLDS
        ]
        made = iter(run.artefacts("fusion: compared", todo, "classify"))
        return found | {
            name: [tasks.read_arrays(next(made) / "probabilities.npz") for _ in FOLDS]
            for name in (MSCNN, *chosen.models)
        }

    return run.once("fusion_models", make)


def scores(run: Run) -> pd.DataFrame:
    """The eight scores of every model: columns ``model, score, mean, sd, low, high, majority``.

    Mean and standard deviation over the test sets of the folds, and the bootstrap interval over groups of all test
    sets together; beside them the same score of always answering the training set's most frequent class.
    """
    return run.once("fusion_scores", lambda: score_variants(run, models(run)))


def ablation(run: Run) -> pd.DataFrame:
    """The eight scores, as of `scores`, with all families, without each and with each alone."""
    return run.once("fusion_ablation", lambda: score_variants(run, fused(run, list(variants(run)))))


def score_variants(run: Run, found: dict[str, list[dict[str, np.ndarray]]]) -> pd.DataFrame:
    """Scores of test-set probabilities by model and fold."""
    from ftirlib.report.multiclass import multiclass_table

    data, settings = spectra(run), run.settings.scores
    return multiclass_table(
        {name: [one["test"].argmax(1) for one in per_fold] for name, per_fold in found.items()},
        folds=folds(run),
        label=data.label.values.astype(int),
        group=data.group.values,
        class_names=data.attrs["class_names"],
        n_resamples=settings.resamples,
        confidence=settings.confidence,
        random_state=run.settings.seed,
    )


def leak(run: Run) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Predictions under each protocol, by when it over-samples and how it splits."""

    def make():
        from ftirlib.classify.fusion.leak import PROTOCOLS

        folder = features_path(run)
        todo = [
            Task(
                f"fusion/leak/{oversampled}-{split}",
                fusion_tasks.leak,
                {
                    "spectra": spectra_path(run),
                    "features": str(folder),
                    "protocol": [oversampled, split],
                    "head": _head(run),
                    "splits": N_SETS,
                    "seed": run.settings.seed,
                },
                _head(run),
                {name: run.key(name) for name in (PREPARED, FEATURES)},
            )
            for oversampled, split in PROTOCOLS
        ]
        made = run.artefacts("fusion: leaks", todo, "classify")
        return {one: tasks.read_arrays(path / "predictions.npz") for one, path in zip(PROTOCOLS, made)}

    return run.once("fusion_leak", make)


def tsne(run: Run) -> np.ndarray:
    """Places (n_spectra, 2) of all spectra by their fused features."""

    def make():
        folder = features_path(run)
        arguments = {"features": str(folder), "seed": run.settings.seed}
        task = Task(MAP, fusion_tasks.tsne, arguments, {}, {FEATURES: run.key(FEATURES)})
        return tasks.read_arrays(run.artefact(task, "classify") / "map.npz")["places"]

    return run.once("fusion_map", make)
