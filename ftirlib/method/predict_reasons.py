"""Why new spectra are classified as they are: the linear model's reasons for all, contexts for those explained.

Hartigan et al. (paper A), "Modified CRIME Framework" and "Linearisation Process", applied to spectra never seen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.engine.store import Store
from ftirlib.method.context_tasks import latent_points
from ftirlib.method.scores import validation_scores
from ftirlib.method.settings import Settings
from ftirlib.method.stages import FOLDS, SHOWN
from ftirlib.method.tasks import explained_rows, read_fold
from ftirlib.spectra.model import read_absorbance


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


def linear_model(store: Store, name: str):
    """The shown fold's linear model of an autoencoder's contexts."""
    from ftirlib.explain.linear.linear import LinearClassifier

    return LinearClassifier.load(store.fetch(f"contexts/fold{SHOWN}-{name}") / "linear.json")


def linear_reasons(linear, block: np.ndarray) -> dict[str, np.ndarray]:
    """Reasons of the linear model for spectra (n, n_wavenumbers).

    Returns
    -------
    dict of (n,) arrays
        ``linear_predicted``; ``linear_context``, the most similar context, and ``linear_similarity`` to it;
        ``linear_rival``, the best context of another class (-1: none), and ``linear_margin`` over it.
    """
    found = linear.reasons(block)
    return {
        "linear_predicted": found.label.astype(np.int16),
        "linear_context": found.context.astype(np.int16),
        "linear_similarity": found.similarity.astype(np.float32),
        "linear_rival": found.rival.astype(np.int16),
        "linear_margin": found.margin.astype(np.float32),
    }


def context_finder(store: Store, settings: Settings, model: xr.Dataset, name: str) -> Callable:
    """The function from prepared spectra (n, n_wavenumbers) to their contexts (n,), by the shown fold's models.

    LIME weights of the class that the fold's own ensemble gives, as in training; latent space; nearest context.

    Parameters
    ----------
    store : Store
        Of the finished run.
    settings : Settings
        Its settings.
    model : Dataset
        Its prepared spectra: where the perturbations of LIME get their scale.
    name : str
        Of the autoencoder.
    """
    from ftirlib.classify.ensemble import EMSCNN
    from ftirlib.explain.crime.contexts import Contexts
    from ftirlib.explain.crime.vae import CrimeVAE
    from ftirlib.explain.lime.lime import SpectralLime

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
    voters = EMSCNN.load(store.fetch("ensemble") / f"fold{SHOWN}" / "model")
    vae = CrimeVAE.load(store.fetch(f"vaes/fold{SHOWN}-{name}") / "model")
    known_contexts = Contexts.load(Path(store.fetch(f"contexts/fold{SHOWN}-{name}")) / "contexts.npz")

    def find(spectra: np.ndarray) -> np.ndarray:
        weights = lime.explain(voters, spectra, labels="predicted").weights[:, 0]
        mean, log_variance = vae.encode(spectra, weights)
        points = latent_points({"new_mean": mean, "new_log_variance": log_variance}, "new", settings.contexts.latent)
        return known_contexts.assign(points)

    return find


def described(linear) -> list[str]:
    """Class and heaviest weights of each context, by number; empty where the linear model does not have it."""
    from ftirlib.explain.linear.naming import name_peaks

    texts = [""] * (int(linear.context.max()) + 1)
    for k, label, weights in zip(linear.context, linear.labels, linear.mean_weights):
        peaks = "; ".join(map(str, name_peaks(linear.wavenumber, weights)))
        texts[k] = f"{linear.class_names[label]}: {peaks}"
    return texts
