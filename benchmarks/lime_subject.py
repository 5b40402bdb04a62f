"""What the benchmarks of explanations explain: simulated colon, an MSCNN trained on some patients, spectra of others.

Shared by `lime_speed`, `lime_trust` and `lime_memory`; not a benchmark by itself.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lime.lime_tabular import LimeTabularExplainer

from ftirlib import MSCNNClassifier
from ftirlib.classify.settings import TrainingSettings
from ftirlib.method.settings import read_settings
from ftirlib.spectra.model import read_absorbance
from ftirlib.spectra.prepare.recipe import prepare_spectra
from ftirlib.spectra.simulate.colon import simulate_colon
from ftirlib.spectra.simulate.settings import PhantomSettings

SAMPLED = ("instance", "mean", "quartile", "decile")
BACKGROUND = 1000  # spectra, as in the quick profile


@dataclass(frozen=True)
class Subject:
    """A trained network and what it is asked about."""

    wavenumber: np.ndarray
    background: np.ndarray
    spectra: np.ndarray
    group: np.ndarray
    pathway: np.ndarray
    pathway_names: list[str]
    planted_bands: list[dict]
    model: MSCNNClassifier
    accuracy: float


def make_subject(n_spectra: int, *, seed: int = 0, images: int = 32, side: int = 20, epochs: int = 10) -> Subject:
    """Simulate, prepare as the quick profile does, train on three quarters of the patients, draw from the rest."""
    preparation = read_settings("quick").preparation
    phantom = PhantomSettings(images=images, side=side)
    cohort = simulate_colon(settings=phantom, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        data = prepare_spectra(cohort, Path(folder) / "prepared.zarr", recipe=preparation.recipe)
        absorbance = read_absorbance(data, slice(None))
        label, group = data.label.values.astype(int), data.group.values
        pathway = data.truth_pathway.values.astype(int)
        bands, axis = data.attrs["planted_bands"], data.wavenumber.values
    held_out = group % 4 == 3
    training = TrainingSettings(epochs=epochs, batch_size=128)
    model = MSCNNClassifier(axis, training=training, random_state=seed)
    model.fit(absorbance[~held_out], label[~held_out], groups=group[~held_out])
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(np.flatnonzero(held_out), n_spectra, replace=False))
    known = np.sort(rng.choice(np.flatnonzero(~held_out), BACKGROUND, replace=False))
    return Subject(
        axis,
        absorbance[known],
        absorbance[rows],
        group[rows],
        pathway[rows],
        phantom.pathway_names,
        list(bands),
        model,
        float((model.predict(absorbance[held_out]) == label[held_out]).mean()),
    )


def by_package(mode: str, background, spectrum, predict_proba, *, n_samples: int, seed: int, labels) -> np.ndarray:
    """Weights (n_labels, n_wavenumbers) of one spectrum from the package, made anew with the seed."""
    if mode in ("instance", "mean"):
        options = {"discretize_continuous": False, "sample_around_instance": mode == "instance"}
    else:
        options = {"discretizer": mode}
    explainer = LimeTabularExplainer(background, random_state=seed, **options)
    found = explainer.explain_instance(
        spectrum, predict_proba, labels=labels, num_features=spectrum.size, num_samples=n_samples
    )
    weights = np.empty((len(labels), spectrum.size))
    for k, label in enumerate(labels):
        feature, weight = zip(*found.local_exp[label])
        weights[k, list(feature)] = weight
    return weights


def timed(call):
    """What the call returns, and the seconds it took."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def relative(weights, reference) -> float:
    """Norm of the difference over the norm of the reference, all spectra together."""
    return float(np.linalg.norm(np.subtract(weights, reference)) / np.linalg.norm(reference))
