"""Why new spectra are classified as they are: the linear model's reasons for all, contexts for those explained.

Hartigan et al. (paper A), "Modified CRIME Framework" and "Linearisation Process", applied to spectra never seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.run.context_tasks import latent_points
from ftirlib.run.settings import Settings
from ftirlib.run.stages import FOLDS, SHOWN
from ftirlib.run.store import Store
from ftirlib.run.sweep_views import validation_scores
from ftirlib.run.tasks import explained_rows, read_fold
from ftirlib.spectra.model import UNKNOWN, iter_blocks, read_absorbance


@dataclass(frozen=True)
class NewReasons:
    """What a finished run's contexts say of new spectra.

    Attributes
    ----------
    name : str
        The autoencoder whose contexts these are, of the shown fold.
    arrays : dict of (n_spectra,) arrays
        ``linear_predicted``; ``linear_context``, the most similar context, and ``linear_similarity`` to it;
        ``linear_rival``, the best context of another class (-1: none), and ``linear_margin`` over it;
        ``context``, that of the autoencoder for the spectra that were explained, -1 for the others.
    contexts : list of str
        Class and heaviest weights of each context, by number; empty where the linear model does not have it.
    n_explained : int
    """

    name: str
    arrays: dict[str, np.ndarray]
    contexts: list[str]
    n_explained: int


def chosen_autoencoder(store: Store, model: xr.Dataset) -> str | None:
    """The autoencoder whose linear model does best on the validation sets, as in the book; None without any.

    Replicates (``-seed1`` and on) are not looked at.
    """
    whole = {n for n in store.names() if n.startswith("contexts/") and "-seed" not in n and not store.damaged(n)}
    names = [n.removeprefix(f"contexts/fold{SHOWN}-") for n in sorted(whole) if n.startswith(f"contexts/fold{SHOWN}-")]
    names = [n for n in names if all(f"contexts/fold{k}-{n}" in whole for k in FOLDS)]
    names = [n for n in names if not store.damaged(f"vaes/fold{SHOWN}-{n}")]
    if not names:
        return None
    folds = [read_fold(str(store.fetch("folds")), k) for k in FOLDS]
    scores = {n: validation_scores([store.fetch(f"contexts/fold{k}-{n}") for k in FOLDS], folds, model) for n in names}
    return max(names, key=scores.get)


def reasons_for(
    store: Store, settings: Settings, model: xr.Dataset, prepared: xr.Dataset, *, explained: int
) -> NewReasons | None:
    """Reasons for prepared spectra, by the first fold's models.

    Parameters
    ----------
    store : Store
        Of the finished run.
    settings : Settings
        Its settings.
    model : Dataset
        The run's prepared spectra: where the perturbations of LIME get their scale.
    prepared : Dataset
        The new ones.
    explained : int
        Spectra at most that are explained by LIME and so get a context of the autoencoder, as many from each image;
        0: none.

    Returns
    -------
    NewReasons or None
        None where the run has no contexts.
    """
    from ftirlib.explain.linear import LinearClassifier

    name = chosen_autoencoder(store, model)
    if name is None:
        return None
    linear = LinearClassifier.load(store.fetch(f"contexts/fold{SHOWN}-{name}") / "linear.json")
    found = [linear.reasons(block) for _, block in iter_blocks(prepared)]
    arrays = {
        "linear_predicted": np.concatenate([one.label for one in found]).astype(np.int16),
        "linear_context": np.concatenate([one.context for one in found]).astype(np.int16),
        "linear_similarity": np.concatenate([one.similarity for one in found]).astype(np.float32),
        "linear_rival": np.concatenate([one.rival for one in found]).astype(np.int16),
        "linear_margin": np.concatenate([one.margin for one in found]).astype(np.float32),
        "context": np.full(prepared.sizes["spectrum"], UNKNOWN, np.int16),
    }
    rows = np.arange(prepared.sizes["spectrum"])
    rows = explained_rows(prepared.image.values, rows, explained, settings.seed) if explained else rows[:0]
    if len(rows):
        arrays["context"][rows] = _contexts(store, settings, model, prepared, rows, name)
    return NewReasons(name, arrays, _described(linear), len(rows))


def _contexts(store, settings, model, prepared, rows, name) -> np.ndarray:
    """Spectrum, LIME weights of the class the fold's own ensemble gives (as in training), latent space, context."""
    from ftirlib.classify.ensemble import EMSCNN
    from ftirlib.explain.crime import Contexts
    from ftirlib.explain.lime import SpectralLime
    from ftirlib.explain.vae import CrimeVAE

    how = settings.explanations
    validation = read_fold(str(store.fetch("folds")), SHOWN).validation
    known = explained_rows(model.image.values, validation, how.background, settings.seed)
    lime = SpectralLime(
        read_absorbance(model, known),
        wavenumber=model.wavenumber.values,
        mode=how.mode,
        n_samples=how.samples,
        tolerance=how.tolerance,
        random_state=settings.seed,
    )
    spectra = read_absorbance(prepared, rows)
    voters = EMSCNN.load(store.fetch("ensemble") / f"fold{SHOWN}" / "model")
    weights = lime.explain(voters, spectra, labels="predicted").weights[:, 0]
    mean, log_variance = CrimeVAE.load(store.fetch(f"vaes/fold{SHOWN}-{name}") / "model").encode(spectra, weights)
    points = latent_points({"new_mean": mean, "new_log_variance": log_variance}, "new", settings.contexts.latent)
    return Contexts.load(Path(store.fetch(f"contexts/fold{SHOWN}-{name}")) / "contexts.npz").assign(points)


def _described(linear) -> list[str]:
    from ftirlib.explain.naming import name_peaks

    texts = [""] * (int(linear.context.max()) + 1)
    for k, label, weights in zip(linear.context, linear.labels, linear.mean_weights):
        peaks = "; ".join(map(str, name_peaks(linear.wavenumber, weights)))
        texts[k] = f"{linear.class_names[label]}: {peaks}"
    return texts
