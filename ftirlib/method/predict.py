"""New spectra through a finished run: the same preparation, the same networks, their reasons, and pictures.

Hartigan et al. (paper A), "Modified CRIME Framework" and "Linearisation Process", applied to spectra never seen.
Ranges of spectra are tasks, as in a run: they go to processes or to a cluster, and what is finished outlives a kill.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.engine.driver import Artefact, Driver, Task, key_of
from ftirlib.engine.lock import holder_of
from ftirlib.engine.places import is_remote
from ftirlib.engine.store import Store
from ftirlib.errors import DataError, SettingsError, StoreError
from ftirlib.files import fingerprint
from ftirlib.method.crime import latent_points
from ftirlib.method.data import FOLDS, SHOWN, STORE, prepared_store, read_fold
from ftirlib.method.lime import explained_rows, make_lime
from ftirlib.method.pictures import draw_predictions
from ftirlib.method.run import code_behind, read_run_settings
from ftirlib.method.scores import validation_scores
from ftirlib.method.settings import Settings
from ftirlib.spectra.folds import N_SETS
from ftirlib.spectra.model import CHUNK, UNKNOWN, has_images, open_spectra, read_absorbance
from ftirlib.spectra.prepare.recipe import Preparation, build_recipe, check_prepared, recipe_of

EXPLAINED = 200  # spectra that get a context unless told otherwise: each costs as much as thousands of predictions
ABOUT, RESULT = "about.json", "result"  # beside what is finished: what it is of, and the folder to be
EVALUATIONS = 1_000_000  # of one network on one spectrum, in a task: a minute or two of one core


def predict_store(
    finished: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    explained: int = EXPLAINED,
    workers: int | None = None,
    scheduler: str | None = None,
    tls: Mapping[str, str] | None = None,
    report: Callable[[str], None] | None = None,
    bar: bool = False,
) -> str:
    """Classify a data set with the ensembles of all folds of a finished run, and give the first fold's reasons.

    Until `out` is whole, what is finished lies beside it, in a hidden folder named after what goes into it: the same
    call goes on from there. The number of workers changes nothing in `out`.

    Parameters
    ----------
    finished : folder or address of a run that has its ensembles
    data : path or address of a data set
    out : folder to write
        ``predictions.zarr`` (vote shares, class, agreement of the folds, and reasons), the same as
        ``predictions.npz``, and a picture of each image. Reasons are of the linear model (`linear_reasons`) for all
        spectra, and the autoencoder's ``context`` for those explained.
    explained : spectra at most that are explained by LIME to find their contexts, as many from each image
    workers : local processes; as many as the run's without it
    scheduler, tls, report, bar
        See `ftirlib.engine.driver.Driver`.

    Returns
    -------
    str
        What was found and written.

    Raises
    ------
    SettingsError
        When `explained` is below zero or `workers` below one.
    StoreError
        When the run is not finished, `out` exists, or another process is at the same prediction.
    DataError
        When the data cannot be prepared as the run's were, such as an axis that does not cover the model's.
    """
    if explained < 0:
        raise SettingsError(f"explained is {explained}; give a number of spectra, 0 for none.")
    if workers is not None and workers < 1:
        raise SettingsError(f"workers is {workers}; give at least 1 process.")
    if is_remote(out):
        raise SettingsError(f"predictions are written to a folder of this machine, not to '{out}'.")
    out, run = Path(out), Finished(finished)
    if out.exists():
        raise StoreError(f"'{out}' exists; choose another folder for the predictions.")
    source = open_spectra(data)
    steps = _preparation(source, run.spectra, run.settings)
    given, name = Artefact.given(data), run.chosen_autoencoder()
    about = {"spectra": given.key, "models": fingerprint(run.keys(name)), "explained": explained}
    beginning = f".{out.name}."
    work = out.absolute().with_name(beginning + fingerprint(about)[:16])
    driver = Driver(
        work,
        about={ABOUT: json.dumps({"run": run.address, "data": given.name, **about}, indent=1)},
        workers=workers or run.settings.workers,
        code=code_behind,
        scheduler=scheduler,
        tls=tls,
        report=report,
        bar=bar,
    )
    for left in sorted(set(work.parent.glob(f"{glob.escape(beginning)}*")) - {work}):
        driver.report(f"  note: '{left}' is left of another prediction; remove it unless that goes on")
    try:
        with driver, driver.driving():
            store = prepared_store(driver, given, steps, shard=run.settings.preparation.shard)
            prepared = open_spectra(store.address)
            arrays = _votes(driver, run, store, prepared.sizes["spectrum"], name)
            if name:
                arrays["context"] = _contexts(driver, run, store, prepared, name, explained)
            texts = described(run.linear_model(name)) if name else []
            result = _write(driver, prepared, arrays, run.spectra, name, texts)
            try:
                os.replace(result, out)
            except OSError as error:
                raise StoreError(f"the predictions cannot be given the name '{out}': {error.strerror}.") from None
    except BaseException:
        if not (driver.store.names() or holder_of(work)):  # nothing to go on from
            shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
    return _summary(arrays, source, run.spectra, name, out)


class Finished:
    """A finished run, as far as predictions need it.

    Parameters
    ----------
    root : folder or address of a run

    Raises
    ------
    StoreError
        When there is no run, or it has no whole ensembles.
    """

    def __init__(self, root: str | Path):
        self.settings, self.store = read_run_settings(root), Store(root)
        self.address = self.store.address
        for name in ("prepared", "folds", "ensemble"):
            if self.store.damaged(name):
                raise StoreError(f"'{root}' has no whole '{name}'; finish it with 'ftirlib run --out {root}'.")
        self.spectra = open_spectra((self.artefact("prepared") / STORE).address)

    def artefact(self, name: str) -> Artefact:
        """One of the run's artefacts."""
        return Artefact(self.address, name, self.store.manifest(name)["key"])

    def keys(self, autoencoder: str | None) -> dict[str, str]:
        """Keys of the artefacts that are read."""
        own = [f"{kind}/fold{SHOWN}-{autoencoder}" for kind in ("vaes", "contexts")] if autoencoder else []
        return {name: self.artefact(name).key for name in ["prepared", "folds", "ensemble", *own]}

    def chosen_autoencoder(self) -> str | None:
        """The autoencoder whose linear model does best on the validation sets, as in the book; None without any.

        Replicates (``-seed1`` and on) do not take part.
        """
        store = self.store
        whole = {n for n in store.names() if n.startswith("contexts/") and "-seed" not in n and not store.damaged(n)}
        first = f"contexts/fold{SHOWN}-"
        names = sorted(name.removeprefix(first) for name in whole if name.startswith(first))
        names = [n for n in names if all(f"contexts/fold{k}-{n}" in whole for k in FOLDS)]
        names = [n for n in names if not store.damaged(f"vaes/fold{SHOWN}-{n}")]
        if not names:
            return None
        folds = [read_fold(self.artefact("folds").path, k) for k in FOLDS]
        scores = {
            n: validation_scores([self.artefact(f"contexts/fold{k}-{n}").path for k in FOLDS], folds, self.spectra)
            for n in names
        }
        return max(names, key=scores.get)

    def linear_model(self, name: str):
        """The shown fold's linear model of an autoencoder's contexts."""
        from ftirlib.explain.linear.linear import LinearClassifier

        return LinearClassifier.load(self.artefact(f"contexts/fold{SHOWN}-{name}").path / "linear.json")


def _preparation(source: xr.Dataset, model: xr.Dataset, settings: Settings) -> dict:
    """How the new spectra become such as the run's; first interpolated to the model's axis where theirs differs."""
    how, axis = settings.preparation.steps, model.wavenumber.values
    steps = recipe_of(model)
    # what the run's own source had been through before the run prepared it: nothing, for spectra as imported
    check_prepared(steps[: len(steps) - len(how["recipe"])], source, taker="the run")
    if not _same_axis(build_recipe(how["recipe"], source.wavenumber.values).wavenumber_, axis):
        step = float(np.median(np.diff(axis)))
        if not np.allclose(np.diff(axis), step, rtol=1e-4):
            raise DataError(
                f"the model's axis ({axis[0]:g}-{axis[-1]:g} cm-1) has uneven steps and the data's differs; "
                "bring spectra measured on the model's own axis."
            )
        how |= {"onto": axis.tolist()}
    if not _same_axis(Preparation(source, **how).wavenumber, axis):
        raise DataError("the recipe of the run does not lead to its model's axis from these data; import them anew.")
    return how


def _same_axis(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0, atol=1e-6))


def _votes(driver: Driver, run: Finished, store: Artefact, n: int, name: str | None) -> dict[str, np.ndarray]:
    """Arrays of `answer` for all n prepared spectra, and the class ``predicted``."""
    shard = run.settings.preparation.shard
    chunks = EVALUATIONS // (CHUNK * N_SETS * run.settings.members.count)
    size = CHUNK * max(1, min(chunks, shard // CHUNK))
    linear = run.artefact(f"contexts/fold{SHOWN}-{name}") if name else None
    tasks = {
        start: Task(
            f"votes/rows{start}-{min(start + size, n) - 1}",
            answer,
            spectra=store,
            voters=run.artefact("ensemble"),
            linear=linear,
            n_classes=len(run.spectra.attrs["class_names"]),
            rows=[start, min(start + size, n)],
        )
        for start in range(0, n, size)
    }
    parts = [dict(np.load(made.path / "answers.npz")) for made in driver.make_all("votes", tasks).values()]
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return {"predicted": arrays["votes"].argmax(axis=1).astype(np.int16), **arrays}


def answer(out, work, *, spectra, voters, linear, n_classes, rows):
    """Answer for spectra `rows` (from, to) of a prepared data set, one block in memory at a time.

    ``votes``, averaged over the folds' ensembles; ``agreement``, the share of folds that give the winning class; and,
    where there is a linear model, its reasons.
    """
    from ftirlib.classify.prediction import full_probabilities

    data = open_spectra(spectra)
    ensembles, linear_model = _models(voters, key_of(voters), linear, linear and key_of(linear))
    for ensemble in ensembles:
        check_prepared(ensemble.recipe_, data, taker="the run's ensemble")
    blocks = []
    for start in range(rows[0], rows[1], CHUNK):
        block = read_absorbance(data, slice(start, min(start + CHUNK, rows[1])))
        each = np.stack([full_probabilities(e, e.predict_proba(block), n_classes) for e in ensembles])
        votes = each.mean(axis=0)  # (spectra, classes)
        agreement = (each.argmax(axis=2) == votes.argmax(axis=1)).mean(axis=0)
        arrays = {"votes": votes.astype(np.float32), "agreement": agreement.astype(np.float32)}
        blocks.append(arrays | (linear_reasons(linear_model, block) if linear_model else {}))
    np.savez(out / "answers.npz", **{key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]})


@lru_cache(maxsize=1)  # a worker meets many shards
def _models(voters, voters_key, linear, linear_key):
    """Ensembles of all folds, and the linear model if there is one."""
    from ftirlib.classify.ensemble import EMSCNN
    from ftirlib.explain.linear.linear import LinearClassifier

    ensembles = [EMSCNN.load(Path(voters) / f"fold{k}" / "model") for k in FOLDS]
    return ensembles, LinearClassifier.load(Path(linear) / "linear.json") if linear else None


def linear_reasons(linear, block: np.ndarray) -> dict[str, np.ndarray]:
    """Reasons of the linear model for spectra (n, n_wavenumbers).

    Returns
    -------
    dict of (n,) arrays
        ``linear_predicted``; ``linear_context``, the most similar context, and ``linear_similarity`` to it;
        ``linear_rival``, the best context of another class (-1: none), and ``linear_margin`` over it.
    """
    reasons = linear.reasons(block)
    return {
        "linear_predicted": reasons.label.astype(np.int16),
        "linear_context": reasons.context.astype(np.int16),
        "linear_similarity": reasons.similarity.astype(np.float32),
        "linear_rival": reasons.rival.astype(np.int16),
        "linear_margin": reasons.margin.astype(np.float32),
    }


def _contexts(driver: Driver, run: Finished, store: Artefact, prepared: xr.Dataset, name: str, most: int) -> np.ndarray:
    """Contexts of the autoencoder (n,) for `most` of the prepared spectra at most, -1 for the others."""
    settings, n = run.settings, prepared.sizes["spectrum"]
    context = np.full(n, UNKNOWN, np.int16)
    rows = explained_rows(prepared.image.values, np.arange(n), most, settings.seed) if most else np.arange(0)
    size = max(1, EVALUATIONS // (settings.explanations.samples * settings.members.count))
    tasks = {
        start: Task(
            f"explanations/rows{start}-{start + len(rows[start : start + size]) - 1}",
            find_contexts_of,
            spectra=store,
            rows=rows[start : start + size].tolist(),
            model=run.artefact("prepared") / STORE,
            folds=run.artefact("folds"),
            voters=run.artefact("ensemble") / f"fold{SHOWN}",
            vae=run.artefact(f"vaes/fold{SHOWN}-{name}"),
            contexts=run.artefact(f"contexts/fold{SHOWN}-{name}"),
            settings=settings.explanations.model_dump(include={"mode", "samples", "tolerance", "background"}),
            latent=settings.contexts.latent,
            seed=settings.seed,
        )
        for start in range(0, len(rows), size)
    }
    for start, made in driver.make_all("explanations", tasks).items():
        context[rows[start : start + size]] = np.load(made.path / "contexts.npz")["context"]
    return context


def find_contexts_of(out, work, *, spectra, rows, model, folds, voters, vae, contexts, settings, latent, seed):
    """Find the contexts of chosen spectra, by the shown fold's models: LIME weights, latent space, nearest context.

    The weights are of the class that the fold's own ensemble gives, as in training.
    """
    keys = tuple(map(key_of, (voters, vae, contexts)))
    lime, ensemble, autoencoder, known = _explaining_models(
        model, folds, voters, vae, contexts, keys, tuple(settings.items()), seed
    )
    block = read_absorbance(open_spectra(spectra), np.asarray(rows))
    weights = lime.explain(ensemble, block, labels="predicted").weights[:, 0]
    mean, log_variance = autoencoder.encode(block, weights)
    points = latent_points({"new_mean": mean, "new_log_variance": log_variance}, "new", latent)
    np.savez(out / "contexts.npz", context=known.assign(points).astype(np.int16))


@lru_cache(maxsize=1)
def _explaining_models(model, folds, voters, vae, contexts, keys, settings, seed):
    """LIME, the ensemble that it explains, the autoencoder and its contexts."""
    from ftirlib.classify.ensemble import EMSCNN
    from ftirlib.explain.crime.contexts import Contexts
    from ftirlib.explain.crime.vae import CrimeVAE

    lime = make_lime(open_spectra(model), folds, SHOWN, dict(settings), seed)
    ensemble = EMSCNN.load(Path(voters) / "model")
    return lime, ensemble, CrimeVAE.load(Path(vae) / "model"), Contexts.load(Path(contexts) / "contexts.npz")


def described(linear) -> list[str]:
    """Class and heaviest weights of each context, by number; empty where the linear model does not have it."""
    from ftirlib.explain.linear.naming import name_peaks

    texts = [""] * (int(linear.context.max()) + 1)
    for k, label, weights in zip(linear.context, linear.labels, linear.mean_weights):
        peaks = "; ".join(map(str, name_peaks(linear.wavenumber, weights)))
        texts[k] = f"{linear.class_names[label]}: {peaks}"
    return texts


def _write(driver: Driver, prepared: xr.Dataset, arrays, model: xr.Dataset, name: str | None, texts) -> Path:
    """The finished folder of predictions, still among the artefacts; what a killed driver left of it goes first."""
    folder = driver.store.root / RESULT
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    arrays = arrays | {column: prepared[column].values for column in ("image", "row", "col")}
    names = list(model.attrs["class_names"])
    words = {"autoencoder": name, "contexts": texts} if name else {}
    lists = {key: np.array(value) for key, value in {**words, "class_names": names}.items()}
    np.savez(folder / "predictions.npz", **arrays, **lists)
    data = xr.Dataset({key: (("spectrum", "class")[: values.ndim], values) for key, values in arrays.items()})
    data.attrs = {
        "class_names": names,
        "image_names": list(prepared.attrs["image_names"]),
        "trained_on_simulated": bool(model.attrs["is_simulated"]),
        **words,
    }
    data.to_zarr(folder / "predictions.zarr", zarr_format=3, consolidated=False)
    if has_images(prepared):
        count = len(np.unique(prepared.image.values))
        with driver.driving() as progress, progress.stage("pictures", count) as advance:
            draw_predictions(
                folder, prepared, arrays, class_names=names, n_contexts=max(len(texts), 1), advance=advance
            )
    return folder


def _summary(arrays: dict, source: xr.Dataset, model: xr.Dataset, name: str | None, out: Path) -> str:
    predicted, names = arrays["predicted"], model.attrs["class_names"]
    shares = ", ".join(f"{class_name} {(predicted == k).mean():.0%}" for k, class_name in enumerate(names))
    trained = "simulated spectra: not for any diagnosis" if model.attrs["is_simulated"] else "labelled spectra"
    agreed = (arrays["agreement"] == 1).mean()
    reasons = "the run has no contexts: no reasons are given"
    if name:
        same, explained = arrays["linear_predicted"] == predicted, arrays["context"] != UNKNOWN
        reasons = (
            f"the linear model of {name} gives the same class for {same.mean():.0%}; {explained.sum()} spectra were "
            "explained and have a context"
        )
    return (
        f"{len(predicted)} of {source.sizes['spectrum']} spectra usable and classified: {shares}\n"
        f"the folds' ensembles agree on {agreed:.0%} of them; they were trained on {trained}\n"
        f"{reasons}\n"
        f"wrote {out} ({len(list(out.glob('*.png')))} pictures)"
    )
