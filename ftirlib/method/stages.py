"""The method, stage by stage: each is a function of a run, makes what is missing and returns what it made.

A stage calls the stages it needs, so asking for the last makes everything before it; the order of
`STAGES` is the order of the book.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ftirlib.engine.store import folder_fingerprint
from ftirlib.engine.task import Task
from ftirlib.explain.crime import context_controls
from ftirlib.explain.crime.contexts import Contexts
from ftirlib.files import fingerprint
from ftirlib.method import context_tasks, tasks
from ftirlib.method.preparation import prepared_store
from ftirlib.method.run import Run
from ftirlib.spectra.folds import N_SETS, Fold
from ftirlib.spectra.model import has_truth, open_spectra

FOLDS = range(N_SETS)
SHOWN = 0  # where one fold has to stand for all in a picture: the first, whatever it looks like
RAW, PREPARED = "spectra", "prepared"


def spectra(run: Run) -> xr.Dataset:
    """The data set as it came: the user's, or the simulated cohort."""
    return open_spectra(_raw_path(run))


def _raw_path(run: Run) -> str:
    def locate():
        values = run.settings.phantom.model_dump()
        arguments = {"phantom": values, "seed": run.settings.seed}
        return given_or_made(run, run.settings.data, Task(RAW, tasks.simulate, arguments, values))

    return run.once("raw_path", locate)


def given_or_made(run: Run, given: str | None, simulation: Task) -> str:
    """Path of the user's data set, known to the run under the task's name; of what the task makes without one."""
    if given is None:
        return run.dataset(simulation, "spectra")
    open_spectra(given)
    run.remember(simulation.name, folder_fingerprint(given))
    return given


def prepared(run: Run) -> xr.Dataset:
    """Spectra as the models see them: tissue only (where there are images), after the recipe."""
    return run.once("prepared", lambda: open_spectra(prepared_path(run)))


def prepared_path(run: Run) -> str:
    def make():
        source = _raw_path(run)
        settings = run.settings.preparation
        values = settings.model_dump(exclude={"shard"})
        task = Task(PREPARED, tasks.prepare, {"source": source, **settings.steps}, values, {RAW: run.key(RAW)})
        return prepared_store(run, task, n=open_spectra(source, codes=False).sizes["spectrum"], shard=settings.shard)

    return run.once("prepared_path", make)


def folds(run: Run) -> list[Fold]:
    """The four folds, as rows of the prepared spectra."""
    path = _folds_path(run)
    return run.once("folds", lambda: [tasks.read_fold(path, k) for k in FOLDS])


def _folds_path(run: Run) -> str:
    def make():
        arguments = {"spectra": prepared_path(run), "seed": run.settings.seed}
        task = Task("folds", tasks.fold, arguments, {}, {PREPARED: run.key(PREPARED)})
        return str(run.artefact(task, "spectra"))

    return run.once("folds_path", make)


def _common(run: Run) -> tuple[dict, dict]:
    """Arguments and input keys shared by every task of a fold."""
    arguments = {"spectra": prepared_path(run), "folds": _folds_path(run)}
    return arguments, {name: run.key(name) for name in (PREPARED, "folds")}


def baselines(run: Run) -> dict[str, list[dict[str, np.ndarray]]]:
    """Probabilities of every baseline: model -> fold -> {"validation", "test"} (n, n_classes)."""

    def make():
        common, inputs = _common(run)
        settings = run.settings.baselines
        todo = [
            Task(
                f"baselines/{model}-fold{k}",
                tasks.baseline,
                {**common, "fold": k, "model": model, "components": settings.components},
                {"components": settings.components},
                inputs,
            )
            for model in settings.models
            for k in FOLDS
        ]
        made = iter(run.artefacts("baselines", todo, "classify"))
        return {model: [np.load(next(made) / "probabilities.npz") for _ in FOLDS] for model in settings.models}

    return run.once("baselines", make)


def members(run: Run) -> list[list[Path]]:
    """Folders of the MSCNNs: fold -> network."""

    def make():
        common, inputs = _common(run)
        values = run.settings.members.model_dump()
        count = values.pop("count")
        network = {name: values.pop(name) for name in ("dropout", "leak")}
        names = prepared(run).attrs["class_names"]
        weights = values.pop("class_weights")
        place = {"device": run.settings.device}
        values["class_weight"] = [float(weights.get(name, 1.0)) for name in names]
        todo = [
            Task(
                f"members/fold{k}-seed{i}",
                tasks.member,
                {**common, **place, "fold": k, "training": values, "network": network, "seed": _seed(run, k, i)},
                values | network | place,
                inputs,
            )
            for k in FOLDS
            for i in range(count)
        ]
        made = run.artefacts("members", todo, "classify")
        return [made[k * count : (k + 1) * count] for k in FOLDS]

    return run.once("members", make)


def _seed(run: Run, *parts: int) -> int:
    """A seed that belongs to the task: the same for any worker, different for any other task."""
    return int(np.random.SeedSequence([run.settings.seed, *parts]).generate_state(1)[0])


def ensemble(run: Run) -> list[dict[str, np.ndarray]]:
    """Vote shares of the ensembles: fold -> {"validation", "test"} (n, n_classes)."""
    path = ensemble_path(run)
    return run.once("ensemble", lambda: [np.load(path / f"fold{k}" / "probabilities.npz") for k in FOLDS])


def ensemble_path(run: Run) -> Path:
    """Folder of the ensembles, one per fold, and of ``selection.json``."""

    def make():
        paths = members(run)
        settings = run.settings.ensemble.model_dump()
        inputs = {f"members/{p.name}": run.key(f"members/{p.name}") for fold in paths for p in fold}
        arguments = {"members": [[str(p) for p in fold] for fold in paths], **settings}
        return run.artefact(Task("ensemble", tasks.ensemble, arguments, settings, inputs), "classify")

    return run.once("ensemble_path", make)


def explanations(run: Run) -> list[dict[str, list[Path]]]:
    """Folders of the explanations, a shard of spectra each, in the order of the rows: fold -> side -> shards."""

    def make():
        todo = {(k, side): _explanation_shards(run, k, side) for k in FOLDS for side in tasks.SIDES[1:]}
        made = iter(run.artefacts("explanations", [task for shards in todo.values() for task in shards], "explain"))
        for (k, side), shards in todo.items():
            run.prune(f"explanations/fold{k}/{side}", shards)
        return [{side: [next(made) for _ in todo[k, side]] for side in tasks.SIDES[1:]} for k in FOLDS]

    return run.once("explanations", make)


def _explanation_shards(run: Run, k: int, side: str) -> list[Task]:
    """Tasks that explain the chosen spectra of one side, each named after what goes into it."""
    common, inputs = _common(run)
    settings = run.settings.explanations.model_dump() | {"device": run.settings.device}
    size = settings.pop("shard")
    inputs |= {"ensemble": _ensemble_key(run)}
    arguments = {
        **common,
        "ensemble": str(ensemble_path(run)),
        "mode": settings["mode"],
        "samples": settings["samples"],
        "tolerance": settings["tolerance"],
        "most": settings["spectra"],
        "background": settings["background"],
        "device": settings["device"],
        "seed": run.settings.seed,
        "fold": k,
        "side": side,
    }
    n = min(settings["spectra"], len(getattr(folds(run)[k], side)))
    todo = []
    for start in range(0, n, size):
        rows = [start, min(start + size, n)]
        content = fingerprint({"settings": settings, "inputs": inputs, "seed": run.settings.seed, "rows": rows})
        name = f"explanations/fold{k}/{side}/{content[:16]}"
        todo.append(Task(name, tasks.explain, arguments | {"rows": rows}, settings | {"rows": rows}, inputs))
    return todo


def _explained(run: Run, k: int) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Paths and keys of the explanations of a fold."""
    paths = {side: [str(path) for path in shards] for side, shards in explanations(run)[k].items()}
    names = (f"explanations/fold{k}/{side}/{Path(path).name}" for side, shards in paths.items() for path in shards)
    return paths, {name: run.key(name) for name in names}


def _ensemble_key(run: Run) -> str:
    ensemble_path(run)
    return run.key("ensemble")


def vae_names(run: Run, *, replicates: bool = True) -> list[str]:
    """Names of the autoencoders as in Figure 2b, such as CP-0.2: variant and supervision, then the seed if not first.

    Without `replicates`, of the first seed only: what pictures show.
    """
    settings = run.settings.vaes
    return [
        f"{variant}-{share:g}" + (f"-seed{replicate}" if replicate else "")
        for variant in settings.variants
        for share in settings.supervision
        for replicate in range(settings.seeds if replicates else 1)
    ]


def vaes(run: Run) -> list[dict[str, Path]]:
    """Folders of the autoencoders: fold -> name."""

    def make():
        todo = []
        for k in FOLDS:
            for variant in run.settings.vaes.variants:
                for share in run.settings.vaes.supervision:
                    for replicate in range(run.settings.vaes.seeds):
                        name = vae_names(run)[len(todo) % len(vae_names(run))]
                        arguments, depends, inputs = _autoencoder(run, k, variant, share, replicate)
                        todo.append(Task(f"vaes/fold{k}-{name}", context_tasks.vae, arguments, depends, inputs))
        made = iter(run.artefacts("autoencoders", todo, "explain"))
        return [{name: next(made) for name in vae_names(run)} for _ in FOLDS]

    return run.once("vaes", make)


def _autoencoder(run: Run, k: int, variant: str, share: float, replicate: int = 0) -> tuple[dict, dict, dict]:
    """Arguments, settings and input keys of one autoencoder."""
    explained, keys = _explained(run, k)
    common, inputs = _common(run)
    inputs |= {"ensemble": _ensemble_key(run)} | keys
    values = run.settings.vaes.model_dump(exclude={"variants", "supervision", "labels", "seeds"})
    if variant == "CP":
        values["patch"] = 1  # it has no tokens, and is not made again when their size changes
    floor, labels = run.settings.contexts.stability_floor, run.settings.vaes.labels
    arguments = {
        **common,
        "explanations": explained,
        "predictions": str(ensemble_path(run) / f"fold{k}"),
        "fold": k,
        "settings": values | {"variant": variant},
        "supervision": share,
        "labels": labels,
        "floor": floor,
        "device": run.settings.device,
        "seed": _seed(run, k, 1000 + replicate),
    }
    return arguments, values | {name: arguments[name] for name in ("labels", "floor", "device")}, inputs


def contexts(run: Run) -> list[dict[str, Path]]:
    """Folders of contexts and linear models: fold -> name of the autoencoder."""

    def make():
        models = vaes(run)
        common, inputs = _common(run)
        settings = run.settings.contexts.model_dump()
        todo = []
        for k in FOLDS:
            explained, keys = _explained(run, k)
            for name, path in models[k].items():
                key = f"vaes/fold{k}-{name}"
                arguments = {
                    **common,
                    "explanations": explained,
                    "fold": k,
                    "vae": str(path),
                    "latent": settings["latent"],
                    "count": settings["count"],
                    "floor": settings["stability_floor"],
                    "seed": _seed(run, k, 2000),
                }
                todo.append(
                    Task(
                        f"contexts/fold{k}-{name}",
                        context_tasks.contexts,
                        arguments,
                        settings,
                        inputs | keys | {key: run.key(key)},
                    )
                )
        made = iter(run.artefacts("contexts", todo, "explain"))
        return [{name: next(made) for name in vae_names(run)} for _ in FOLDS]

    return run.once("contexts", make)


def cards(run: Run) -> Path:
    """Folder with ``fold<k>-<name>/card.html``, the page of each linear model, beside its ``linear.json``."""

    def make():
        models = contexts(run)
        common, inputs = _common(run)
        names = [f"fold{k}-{name}" for k in FOLDS for name in vae_names(run)]
        inputs |= {"ensemble": _ensemble_key(run)}
        inputs |= {f"{kind}/{n}": run.key(f"{kind}/{n}") for kind in ("vaes", "contexts") for n in names}
        inputs |= {name: key for k in FOLDS for name, key in _explained(run, k)[1].items()}
        arguments = {
            **common,
            "explanations": [_explained(run, k)[0] for k in FOLDS],
            "predictions": [str(ensemble_path(run) / f"fold{k}") for k in FOLDS],
            "vaes": [{name: str(p) for name, p in fold.items()} for fold in vaes(run)],
            "contexts": [{name: str(p) for name, p in fold.items()} for fold in models],
            "about": f"of the validation set, profile {run.settings.profile}, seed {run.settings.seed}",
            "bootstrap": run.settings.bootstrap,
        }
        settings = run.settings.scores.model_dump()
        return run.artefact(Task("cards", context_tasks.cards, arguments, settings, inputs), "report")

    return run.once("cards", make)


def control_reference(run: Run) -> str:
    """The autoencoder that controls are made of: the first variant, as the cheapest, with the most supervision."""
    variant, share = _reference(run)
    return f"{variant}-{share:g}"


def _reference(run: Run) -> tuple[str, float]:
    """Variant and supervision of `control_reference`."""
    return run.settings.vaes.variants[0], max(run.settings.vaes.supervision)


def controls(run: Run) -> list[dict[str, np.ndarray]]:
    """Contexts of the test spectra that lack one part of the method: fold -> control -> (n_test,) int.

    Only the truth of simulated data can score them: for other data there are none.
    """

    def make():
        if not has_truth(prepared(run)):
            return [{} for _ in FOLDS]
        _, share = _reference(run)
        # without supervision no label is read, so permuting them changes nothing
        trained = [control for control in context_controls.TRAINED if share > 0 or control != "permuted labels"]
        todo = [task for k in FOLDS for task in _control_tasks(run, k, trained)]
        made = iter(run.artefacts("controls", todo, "explain"))
        found = []
        for _ in FOLDS:
            plain, *others = (np.load(next(made) / "assigned.npz") for _ in range(1 + len(trained)))
            one = {name.removesuffix("|test"): values for name, values in plain.items() if name.endswith("|test")}
            found.append(one | {control: values["test"] for control, values in zip(trained, others)})
        return found

    return run.once("controls", make)


def _control_tasks(run: Run, k: int, trained: list[str]) -> list[Task]:
    """One task for all controls of a fold that need no training, and one for each that does."""
    settings, reference = run.settings.contexts, control_reference(run)
    folder, key = contexts(run)[k][reference], f"contexts/fold{k}-{reference}"
    n_contexts = len(Contexts.load(folder / "contexts.npz"))
    arguments, depends, inputs = _autoencoder(run, k, *_reference(run))
    inputs |= {key: run.key(key)}
    depends |= settings.model_dump()
    extra = {"latent": settings.latent, "n_contexts": n_contexts, "context_seed": _seed(run, k, 2000)}
    plain = {
        "spectra": arguments["spectra"],
        "explanations": arguments["explanations"],
        "contexts": str(folder),
        "n_contexts": n_contexts,
        "seed": run.settings.seed,
    }
    return [Task(f"controls/fold{k}-plain", context_tasks.plain_controls, plain, depends, inputs)] + [
        Task(
            f"controls/fold{k}-{control.replace(' ', '-')}",
            context_tasks.control,
            arguments | extra | {"control": control},
            depends,
            inputs,
        )
        for control in trained
    ]


def embeddings(run: Run) -> dict[str, np.ndarray]:
    """UMAP of the latent means of the shown fold's test spectra, for the pictures: name -> (n_test, 2)."""

    def make():
        models = vaes(run)[SHOWN]
        latents = {name: str(models[name]) for name in vae_names(run, replicates=False)}
        keys = {f"vaes/fold{SHOWN}-{name}": run.key(f"vaes/fold{SHOWN}-{name}") for name in latents}
        task = Task("embeddings", context_tasks.embedding, {"latents": latents, "seed": run.settings.seed}, {}, keys)
        return np.load(run.artefact(task, "explain") / "embeddings.npz")

    return run.once("embeddings", make)


def scores(run: Run) -> pd.DataFrame:
    """Every score of every model against the labels, and of every linear model against the ensemble too.

    Returns
    -------
    DataFrame
        Columns ``model, target ("labels" or "ensemble"), score, mean, sd, low, high, majority``:
        mean and SD over the folds, bootstrap interval over groups, and the same score of always
        answering the training set's most frequent class.
    """

    def make():
        common, inputs = _common(run)
        settings, linear = run.settings.scores.model_dump(), vae_names(run)
        ensembles = [str(ensemble_path(run) / f"fold{k}") for k in FOLDS]
        todo = []
        for model, names in _answers(run).items():
            arguments = {
                **common,
                "model": model,
                "answers": [str(run.store.path(name)) for name in names],
                "ensemble": ensembles if model in linear else None,
                "bootstrap": run.settings.bootstrap,
            }
            read = {"ensemble"} if model == "emscnn" else {*names, "ensemble"} if model in linear else names
            keys = {name: run.key(name) for name in read}
            todo.append(Task(f"scores/{model}", tasks.scores, arguments, settings, inputs | keys))
        tables = [pd.DataFrame(tasks.read_json(p / "scores.json")) for p in run.artefacts("scores", todo, "report")]
        return pd.concat(tables, ignore_index=True)

    return run.once("scores", make)


def _answers(run: Run) -> dict[str, list[str]]:
    """Where the answers of every model lie: name -> folder of each fold, by its place in the run."""
    baselines(run), ensemble_path(run), contexts(run)
    found = {model: [f"baselines/{model}-fold{k}" for k in FOLDS] for model in run.settings.baselines.models}
    found["mscnn"] = [f"members/fold{k}-seed0" for k in FOLDS]
    found["emscnn"] = [f"ensemble/fold{k}" for k in FOLDS]
    return found | {name: [f"contexts/fold{k}-{name}" for k in FOLDS] for name in vae_names(run)}


def predictions(run: Run) -> dict[str, list[dict[str, np.ndarray]]]:
    """Test-set predictions of every model: name -> fold -> {"predicted" (n,), "probabilities" (n, c) or None}."""

    def collect():
        linear = vae_names(run)
        return {
            model: [tasks.answer(run.store.path(name), linear=model in linear) for name in names]
            for model, names in _answers(run).items()
        }

    return run.once("predictions", collect)


STAGES = {
    "spectra": spectra,
    "prepared": prepared,
    "folds": folds,
    "baselines": baselines,
    "members": members,
    "ensemble": ensemble,
    "explanations": explanations,
    "vaes": vaes,
    "contexts": contexts,
    "cards": cards,
    "controls": controls,
    "embeddings": embeddings,
    "scores": scores,
}
