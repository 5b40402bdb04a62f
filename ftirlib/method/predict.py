"""New spectra through a finished run: the same preparation, the same networks, pictures of the result.

Ranges of spectra are tasks, as in a run: they go to processes or to a cluster, and what is finished outlives a kill.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.engine.driver import DATASET, Driver
from ftirlib.engine.lock import holder_of
from ftirlib.engine.places import is_remote, resolved
from ftirlib.engine.store import Store, folder_fingerprint
from ftirlib.engine.task import Task
from ftirlib.errors import DataError, SettingsError, StoreError
from ftirlib.files import fingerprint
from ftirlib.method import predict_tasks, tasks
from ftirlib.method.predict_pictures import draw_predictions
from ftirlib.method.predict_reasons import chosen_autoencoder, described, linear_model
from ftirlib.method.preparation import prepared_store
from ftirlib.method.run import read_run_settings, room_fingerprint
from ftirlib.method.settings import Settings
from ftirlib.method.stages import SHOWN
from ftirlib.method.tasks import explained_rows
from ftirlib.spectra.folds import N_SETS
from ftirlib.spectra.model import CHUNK, UNKNOWN, has_images, open_spectra
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
    out : folder to write: ``predictions.zarr`` (vote shares, class, agreement of the folds, and the reasons of
        `ftirlib.method.predict_reasons`), the same as ``predictions.npz``, and a picture of each image
    explained : spectra at most that are explained by LIME to find their contexts, as many from each image
    workers : local processes; as many as the run's without it
    scheduler, tls, report, bar
        See `ftirlib.method.run.Driver`.

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
    out = Path(out)
    settings, store = read_run_settings(finished), Store(finished)
    for name in ("prepared", "folds", "ensemble"):
        if store.damaged(name):
            raise StoreError(f"'{finished}' has no whole '{name}'; finish it with 'ftirlib run --out {finished}'.")
    if out.exists():
        raise StoreError(f"'{out}' exists; choose another folder for the predictions.")
    model, source = open_spectra(store.dataset("prepared", DATASET)), open_spectra(data)
    how = _preparation(source, model, settings)
    finished, data = resolved(finished), resolved(data)  # workers may be elsewhere
    name = chosen_autoencoder(store, model)
    about = {
        "spectra": folder_fingerprint(data),
        "models": fingerprint({artefact: store.manifest(artefact)["key"] for artefact in _read(name)}),
        "explained": explained,
    }
    beginning = f".{out.name}."
    work = out.absolute().with_name(beginning + fingerprint(about)[:16])
    driver = Driver(
        work,
        about={ABOUT: json.dumps({"run": finished, "data": data, **about}, indent=1)},
        seed=settings.seed,
        workers=workers or settings.workers,
        code=room_fingerprint,
        scheduler=scheduler,
        tls=tls,
        report=report,
        bar=bar,
    )
    for left in sorted(set(work.parent.glob(f"{glob.escape(beginning)}*")) - {work}):
        driver.report(f"  note: '{left}' is left of another prediction; remove it unless that goes on")
    try:
        with driver, driver.driving():
            task = Task("prepared", tasks.prepare, {"source": data, **how}, how, {"spectra": about["spectra"]})
            path = prepared_store(driver, task, n=source.sizes["spectrum"], shard=settings.preparation.shard)
            common = {"finished": finished, "models": about["models"], "autoencoder": name, "prepared": path}
            prepared = open_spectra(path)
            arrays = _answers(driver, common, prepared.sizes["spectrum"], settings)
            if name:
                arrays["context"] = _contexts(driver, common, prepared, settings, explained)
            texts = described(linear_model(store, name)) if name else []
            result = _write(driver, prepared, arrays, model, name, texts)
            try:
                os.replace(result, out)
            except OSError as error:
                raise StoreError(f"the predictions cannot be given the name '{out}': {error.strerror}.") from None
    except BaseException:
        if not (driver.store.names() or holder_of(work)):  # nothing to go on from
            shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
    return _told(arrays, source, model, name, out)


def _read(autoencoder: str | None) -> list[str]:
    """Artefacts of the run that are read."""
    own = [f"{kind}/fold{SHOWN}-{autoencoder}" for kind in ("vaes", "contexts")]
    return ["prepared", "folds", "ensemble", *(own if autoencoder else [])]


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


def _answers(driver: Driver, common: dict, n: int, settings: Settings) -> dict[str, np.ndarray]:
    """What `ftirlib.method.predict_tasks.answers` says of n prepared spectra, whole chunks of them in a task."""
    chunks = EVALUATIONS // (CHUNK * N_SETS * settings.members.count)
    size = CHUNK * max(1, min(chunks, settings.preparation.shard // CHUNK))
    found = _made(driver, "votes", predict_tasks.answers, common, [[k, min(k + size, n)] for k in range(0, n, size)])
    arrays = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    return {"predicted": arrays["votes"].argmax(axis=1).astype(np.int16), **arrays}


def _contexts(driver: Driver, common: dict, prepared: xr.Dataset, settings: Settings, most: int) -> np.ndarray:
    """Contexts of the autoencoder (n,) for `most` of the prepared spectra at most, -1 for the others."""
    context = np.full(prepared.sizes["spectrum"], UNKNOWN, np.int16)
    rows = explained_rows(prepared.image.values, np.arange(len(context)), most, settings.seed) if most else []
    size = max(1, EVALUATIONS // (settings.explanations.samples * settings.members.count))
    shards = [rows[k : k + size].tolist() for k in range(0, len(rows), size)]
    for shard, found in zip(shards, _made(driver, "explanations", predict_tasks.contexts, common, shards)):
        context[shard] = found["context"]
    return context


def _made(driver: Driver, title: str, function: Callable, common: dict, shards: list) -> list[dict[str, np.ndarray]]:
    """Arrays of each shard's artefact; a single shard is made here, as it is not worth the start of workers."""
    inputs = {"prepared": driver.key("prepared"), "models": common["models"]}
    todo = []
    for rows in shards:
        name = f"{function.__name__}/{fingerprint({'inputs': inputs, 'rows': rows})[:16]}"
        todo.append(Task(name, function, {**common, "rows": rows}, {"rows": rows}, inputs))
    made = driver.artefacts(title, todo, "explain") if len(todo) > 1 else [driver.artefact(t, "explain") for t in todo]
    return [np.load(path / f"{function.__name__}.npz") for path in made]


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


def _told(arrays: dict, source: xr.Dataset, model: xr.Dataset, name: str | None, out: Path) -> str:
    predicted, names = arrays["predicted"], model.attrs["class_names"]
    shares = ", ".join(f"{one} {(predicted == k).mean():.0%}" for k, one in enumerate(names))
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
