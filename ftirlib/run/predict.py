"""New spectra through a finished run: the same preparation, the same networks, pictures of the result."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.errors import DataError, StoreError
from ftirlib.run.runner import read_run_settings
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


def predict_store(finished: Path, data: str, out: Path) -> str:
    """Classify a data set with the ensembles of all folds of a finished run.

    Parameters
    ----------
    finished : folder of a run that has its ensembles
    data : path of a data set
    out : folder to write: ``predictions.zarr`` (vote shares, class, agreement of the folds), the same as
        ``predictions.npz``, and a picture of each image

    Returns
    -------
    str
        What was found and written.

    Raises
    ------
    StoreError
        When the run is not finished, or `out` exists.
    DataError
        When the data cannot be prepared as the run's were, such as an axis that does not cover the model's.
    """
    finished, out = Path(finished), Path(out)
    settings = read_run_settings(finished)
    store = Store(finished)
    for name in ("prepared", "ensemble"):
        if store.damaged(name):
            raise StoreError(f"'{finished}' has no whole '{name}'; finish it with 'ftirlib run --out {finished}'.")
    if out.exists():
        raise StoreError(f"'{out}' exists; choose another folder for the predictions.")
    model = open_spectra(store.path("prepared") / "spectra.zarr")
    source = open_spectra(data)
    work = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    work.mkdir(parents=True)
    try:
        prepared = _prepare(source, model, settings, work)
        votes, agreement = _vote(store, prepared, model)
        predicted = votes.argmax(axis=1)
        _write(work, prepared, predicted, votes, agreement, model)
        pictures = _draw(work, source, prepared, predicted, list(model.attrs["class_names"]))
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
    ensembles = [EMSCNN.load(store.path("ensemble") / f"fold{k}" / "model") for k in range(N_SETS)]
    votes, agreement = [], []
    for _, block in iter_blocks(prepared):
        each = np.stack([full_probabilities(e, e.predict_proba(block), n_classes) for e in ensembles])
        mean = each.mean(axis=0)
        votes.append(mean)
        agreement.append((each.argmax(axis=2) == mean.argmax(axis=1)).mean(axis=0))
    return np.concatenate(votes), np.concatenate(agreement)


def _write(work: Path, prepared: xr.Dataset, predicted, votes, agreement, model: xr.Dataset) -> None:
    arrays = {
        "predicted": predicted.astype(np.int16),
        "votes": votes.astype(np.float32),
        "agreement": agreement.astype(np.float32),
        **{name: prepared[name].values for name in ("image", "row", "col")},
    }
    names = list(model.attrs["class_names"])
    np.savez(work / "predictions.npz", **arrays, class_names=np.array(names))
    dims = {name: ("spectrum", "class")[: values.ndim] for name, values in arrays.items()}
    data = xr.Dataset({name: (dims[name], values) for name, values in arrays.items()})
    data.attrs = {
        "class_names": names,
        "image_names": list(prepared.attrs["image_names"]),
        "trained_on_simulated": bool(model.attrs["is_simulated"]),
    }
    data.to_zarr(work / "predictions.zarr", zarr_format=3, consolidated=False)


def _draw(work: Path, source: xr.Dataset, prepared: xr.Dataset, predicted, names: list[str]) -> list[Path]:
    """One picture of each image: where its tissue is predicted to be what."""
    if not has_images(source):
        return []
    import matplotlib.pyplot as plt

    from ftirlib.report.figures import draw_class_map, use_style

    use_style()
    made = []
    for image in np.unique(prepared.image.values):
        codes = as_image(prepared, int(image), predicted, fill=UNKNOWN)
        figure, ax = plt.subplots(figsize=(6, 6), layout="constrained")
        draw_class_map(ax, codes, names, pixel_size_um=float(source.attrs["pixel_size_um"]), background="not used")
        name = str(source.attrs["image_names"][image])
        ax.set_title(f"{name}: predicted class")
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
        made.append(work / f"{image:04d}-{safe}.png")
        figure.savefig(made[-1], dpi=150)
        plt.close(figure)
    return made
