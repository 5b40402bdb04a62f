"""New spectra through a finished run: the same preparation, the same networks, pictures of the result."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.errors import DataError, SettingsError, StoreError
from ftirlib.run.reasons import NewReasons, reasons_for
from ftirlib.run.remote import open_store
from ftirlib.run.runner import DATASET, read_run_settings
from ftirlib.run.settings import Settings
from ftirlib.run.store import Store
from ftirlib.run.tasks import full_probabilities
from ftirlib.spectra.folds import N_SETS
from ftirlib.spectra.model import (
    SPECTRUM_COORDS,
    UNKNOWN,
    SpectraWriter,
    as_image,
    has_images,
    iter_blocks,
    open_spectra,
)
from ftirlib.spectra.prepared import check_prepared, recipe_of

EXPLAINED = 200  # spectra that get a context unless told otherwise: each costs as much as thousands of predictions


def predict_store(finished: str | Path, data: str, out: Path, *, explained: int = EXPLAINED) -> str:
    """Classify a data set with the ensembles of all folds of a finished run, and give the first fold's reasons.

    Parameters
    ----------
    finished : folder or address of a run that has its ensembles
    data : path of a data set
    out : folder to write: ``predictions.zarr`` (vote shares, class, agreement of the folds, and the reasons of
        `ftirlib.run.reasons`), the same as ``predictions.npz``, and a picture of each image
    explained : spectra at most that are explained by LIME to find their contexts, as many from each image

    Returns
    -------
    str
        What was found and written.

    Raises
    ------
    SettingsError
        When `explained` is below zero.
    StoreError
        When the run is not finished, or `out` exists.
    DataError
        When the data cannot be prepared as the run's were, such as an axis that does not cover the model's.
    """
    if explained < 0:
        raise SettingsError(f"explained is {explained}; give a number of spectra, 0 for none.")
    out = Path(out)
    settings = read_run_settings(finished)
    store = open_store(finished)
    for name in ("prepared", "folds", "ensemble"):
        if store.damaged(name):
            raise StoreError(f"'{finished}' has no whole '{name}'; finish it with 'ftirlib run --out {finished}'.")
    if out.exists():
        raise StoreError(f"'{out}' exists; choose another folder for the predictions.")
    model = open_spectra(store.dataset("prepared", DATASET))
    source = open_spectra(data)
    steps = recipe_of(model)
    # what the run's own source had been through before the run prepared it: nothing, for spectra as imported
    check_prepared(steps[: len(steps) - len(settings.preparation.recipe)], source, taker="the run")
    work = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    work.mkdir(parents=True)
    try:
        prepared = _prepare(source, model, settings, work)
        votes, agreement = _vote(store, prepared, model)
        predicted = votes.argmax(axis=1)
        reasons = reasons_for(store, settings, model, prepared, explained=explained)
        _write(work, prepared, predicted, votes, agreement, model, reasons)
        pictures = _draw(work, source, prepared, predicted, votes.max(axis=1), model.attrs["class_names"], reasons)
        shutil.rmtree(work / "prepared.zarr")
        os.replace(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    names = model.attrs["class_names"]
    shares = ", ".join(f"{name} {(predicted == k).mean():.0%}" for k, name in enumerate(names))
    trained = "simulated spectra: not for any diagnosis" if model.attrs["is_simulated"] else "labelled spectra"
    return (
        f"{len(predicted)} of {source.sizes['spectrum']} spectra usable and classified: {shares}\n"
        f"the folds' ensembles agree on {(agreement == 1).mean():.0%} of them; they were trained on {trained}\n"
        f"{_told(reasons, predicted)}\n"
        f"wrote {out} ({len(pictures)} pictures)"
    )


def _prepare(source: xr.Dataset, model: xr.Dataset, settings: Settings, work: Path) -> xr.Dataset:
    """The new spectra, kept and prepared as the run's were; interpolated to the model's axis where theirs differs."""
    from ftirlib.spectra.preprocess import build_recipe, prepare_spectra

    recipe = settings.preparation.recipe
    quality = settings.preparation.quality
    limits = settings.preparation.model_dump(include={"minimum_amide", "maximum_amide", "minimum_snr"})
    options = {"quality": quality, "limits": None if quality == "none" else limits}
    axis = model.wavenumber.values
    if _same_axis(build_recipe(recipe, source.wavenumber.values).wavenumber_, axis):
        return prepare_spectra(source, work / "prepared.zarr", recipe=recipe, **options)
    from ftirlib.spectra.steps import Resample

    step = float(np.median(np.diff(axis)))
    if not np.allclose(np.diff(axis), step, rtol=1e-4):
        raise DataError(
            f"the model's axis ({axis[0]:g}-{axis[-1]:g} cm-1) has uneven steps and the data's differs; "
            "bring spectra measured on the model's own axis."
        )
    resample = Resample(wavenumber=source.wavenumber.values, low=axis[0], high=axis[-1], step=step).fit()
    with SpectraWriter(work / "resampled.zarr", axis, source.attrs) as writer:
        for start, block in iter_blocks(source):
            rows = slice(start, start + len(block))
            finite = np.isfinite(block).all(axis=1)
            # spectra that cannot be interpolated stay unusable, and are dropped or named by the quality test
            values = np.full((len(block), axis.size), np.nan, np.float32)
            if finite.any():
                values[finite] = resample.transform(block[finite])
            writer.append(values, {name: source[name].values[rows] for name in SPECTRUM_COORDS})
    prepared = prepare_spectra(open_spectra(work / "resampled.zarr"), work / "prepared.zarr", recipe=recipe, **options)
    shutil.rmtree(work / "resampled.zarr")
    if not _same_axis(prepared.wavenumber.values, axis):
        raise DataError("the recipe of the run does not lead to its model's axis from these data; import them anew.")
    return prepared


def _same_axis(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0, atol=1e-6))


def _vote(store: Store, prepared: xr.Dataset, model: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Vote shares averaged over the folds' ensembles, and the share of folds that give the winning class."""
    from ftirlib.classify.ensemble import EMSCNN

    n_classes = len(model.attrs["class_names"])
    ensembles = [EMSCNN.load(store.fetch("ensemble") / f"fold{k}" / "model") for k in range(N_SETS)]
    for voters in ensembles:
        check_prepared(voters.recipe_, prepared, taker="the run's ensemble")
    votes, agreement = [], []
    for _, block in iter_blocks(prepared):
        each = np.stack([full_probabilities(e, e.predict_proba(block), n_classes) for e in ensembles])
        mean = each.mean(axis=0)
        votes.append(mean)
        agreement.append((each.argmax(axis=2) == mean.argmax(axis=1)).mean(axis=0))
    return np.concatenate(votes), np.concatenate(agreement)


def _told(reasons: NewReasons | None, predicted: np.ndarray) -> str:
    if reasons is None:
        return "the run has no contexts: no reasons are given"
    same = (reasons.arrays["linear_predicted"] == predicted).mean()
    return (
        f"the linear model of {reasons.name} gives the same class for {same:.0%}; {reasons.n_explained} spectra were "
        "explained and have a context"
    )


def _write(work: Path, prepared: xr.Dataset, predicted, votes, agreement, model: xr.Dataset, reasons) -> None:
    arrays = {
        "predicted": predicted.astype(np.int16),
        "votes": votes.astype(np.float32),
        "agreement": agreement.astype(np.float32),
        **{name: prepared[name].values for name in ("image", "row", "col")},
        **(reasons.arrays if reasons else {}),
    }
    names = list(model.attrs["class_names"])
    described = {"autoencoder": reasons.name, "contexts": reasons.contexts} if reasons else {}
    texts = {name: np.array(value) for name, value in described.items()}
    np.savez(work / "predictions.npz", **arrays, **texts, class_names=np.array(names))
    dims = {name: ("spectrum", "class")[: values.ndim] for name, values in arrays.items()}
    data = xr.Dataset({name: (dims[name], values) for name, values in arrays.items()})
    data.attrs = {
        "class_names": names,
        "image_names": list(prepared.attrs["image_names"]),
        "trained_on_simulated": bool(model.attrs["is_simulated"]),
        **described,
    }
    data.to_zarr(work / "predictions.zarr", zarr_format=3, consolidated=False)


def _draw(work: Path, source: xr.Dataset, prepared: xr.Dataset, predicted, confidence, names, reasons) -> list[Path]:
    """One picture of each image: predicted class, share of the votes for it, and contexts where there are any."""
    if not has_images(source):
        return []
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    from ftirlib.report.figures import draw_class_map, draw_image, use_style

    use_style()
    made = []
    shown = {"share of the votes": confidence}
    if reasons:
        shown["most similar context, linear model"] = _known(reasons.arrays["linear_context"])
        shown["context of explained pixels"] = _known(reasons.arrays["context"])
    for image in np.unique(prepared.image.values):
        codes = as_image(prepared, int(image), predicted, fill=UNKNOWN)
        size = float(source.attrs["pixel_size_um"])
        n_rows = (len(shown) + 2) // 2
        figure, axes = plt.subplots(n_rows, 2, figsize=(10, 5.2 * n_rows), layout="constrained")
        draw_class_map(axes.flat[0], codes, names, pixel_size_um=size, background="not used")
        axes.flat[0].set_title("predicted class")
        for ax, (title, values) in zip(axes.flat[1:], shown.items()):
            pixels = as_image(prepared, int(image), values, fill=np.nan)
            kind = "Share" if title.startswith("share") else "Context"
            if np.isnan(pixels).all():
                ax.set_axis_off()
                ax.text(0.5, 0.5, "no pixel of this image was explained", ha="center", transform=ax.transAxes)
                continue
            draw_image(ax, pixels, pixel_size_um=size, colour_name=kind).set_title(title)
            if kind == "Context":  # the same colours in both panels and in every image, at whole numbers
                drawn = ax.images[0]
                drawn.set_clim(0, max(len(reasons.contexts) - 1, 1))
                drawn.colorbar.set_ticks(MaxNLocator(8, integer=True))
        name = str(source.attrs["image_names"][image])
        figure.suptitle(name)
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
        made.append(work / f"{image:04d}-{safe}.png")
        figure.savefig(made[-1], dpi=150)
        plt.close(figure)
    return made


def _known(numbers: np.ndarray) -> np.ndarray:
    return np.where(numbers == UNKNOWN, np.nan, numbers)
