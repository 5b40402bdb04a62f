"""What workers do for the fusion classifier: features, fitted folds, leaks and the map, from plain values to files.

As in `ftirlib.method.tasks`, each fills a folder and draws every random number from the seed it is given.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from ftirlib.classify.prediction import full_probabilities
from ftirlib.method.tasks import SIDES, read_fold, read_json, write_json
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.writer import save_spectra

FEATURES = "features.json"


def simulate(folder, work, *, options, seed):
    """The simulated ligands and complexes."""
    from ftirlib.spectra.simulate.complexes import simulate_complexes

    save_spectra(simulate_complexes(**options, random_state=seed), folder / "spectra.zarr")


def features(folder, work, *, spectra, start, stop, settings, weights, cache, device, seed):
    """Features of some rows, a file each family; an interrupted extraction goes on from the cache."""
    data = open_spectra(spectra)
    wanted = {"settings": settings | {"random_state": seed}, "weights": weights, "cache": cache, "device": device}
    extractor = _extractor(data.wavenumber.values.astype(np.float64).tobytes(), json.dumps(wanted))
    for name, values in extractor.extract(data, rows=np.arange(start, stop)).items():
        np.save(folder / f"{name}.npy", values, allow_pickle=False)
    facts = {"origin": extractor.feature_origin, "widths": extractor.n_features, "sha256": extractor.weights_sha256}
    write_json(folder / FEATURES, facts)


@lru_cache(maxsize=1)  # networks take seconds to build, and a worker meets many shards
def _extractor(wavenumber: bytes, wanted: str):
    from ftirlib.classify.fusion.features import FeatureExtractor, FeatureSettings

    wanted = json.loads(wanted)
    settings = FeatureSettings(**wanted["settings"] | {"families": tuple(wanted["settings"]["families"])})
    axis = np.frombuffer(wavenumber, np.float64)
    return FeatureExtractor(axis, settings, weights=wanted["weights"], cache=wanted["cache"], device=wanted["device"])


def read_features(folders, families=None) -> np.ndarray:
    """Fused features (n_spectra, n_features) of some families, shard after shard; default all."""
    from ftirlib.classify.fusion.fused import fuse

    names = list(read_json(Path(folders[0]) / FEATURES)["widths"])
    shards = ({name: _one_family(folder, name) for name in names} for folder in folders)
    return np.concatenate([fuse(shard, families) for shard in shards])


def _one_family(folder, name) -> np.ndarray:
    return np.load(Path(folder) / f"{name}.npy", mmap_mode="r", allow_pickle=False)


def make_classifier(oversampling, head, seed):
    """The part of the fusion classifier after the features, as the run states it."""
    from ftirlib.classify.fusion.fused import FusedFeatureClassifier
    from ftirlib.classify.fusion.head import HeadSettings

    # a class with fewer spectra than SMOTE has neighbours takes what it has, and the run is told
    return FusedFeatureClassifier(
        oversampling=oversampling,
        small_classes="adjust",
        head=HeadSettings(**head),
        random_state=seed,
        device="cpu",
    )


def fused(folder, work, *, spectra, folds, fold, features, families, oversampling, head, seed):
    """The fusion classifier on one fold: scaled, over-sampled and trained on its training spectra alone."""
    data, rows = open_spectra(spectra), read_fold(folds, fold)
    values = read_features(features, families)
    classifier = make_classifier(oversampling, head, seed).fit(values[rows.train], data.label.values[rows.train])
    n_classes = len(data.attrs["class_names"])
    sides = {
        side: full_probabilities(classifier, classifier.predict_proba(values[getattr(rows, side)]), n_classes)
        for side in SIDES[1:]
    }
    np.savez(folder / "probabilities.npz", **sides)
    write_json(
        folder / "training.json",
        {
            "losses": classifier.losses_,
            "given": classifier.class_counts_.tolist(),
            "fitted": classifier.fitted_counts_.tolist(),
        },
    )


def leak(folder, work, *, spectra, features, protocol, head, splits, seed):
    """The same classifier under one protocol: over-sampled before the split or inside it, split at random or by group.

    Spectra without a label take no part.
    """
    from ftirlib.classify.fusion.leak import leak_experiment

    data = open_spectra(spectra)
    rows = np.flatnonzero(data.label.values >= 0)
    (found,) = leak_experiment(
        read_features(features)[rows],
        data.label.values[rows].astype(np.int64),
        data.group.values[rows],
        make_classifier("random", head, seed),
        n_splits=splits,
        random_state=seed,
        protocols=[tuple(protocol)],
    )
    np.savez(
        folder / "predictions.npz",
        y_true=found.y_true,
        predicted=found.predicted,
        group=found.group,
        fold=found.fold,
        twin_in_training=found.twin_in_training,
        group_in_training=found.group_in_training,
    )


def tsne(folder, work, *, features, seed):
    """The map of the fused features."""
    from ftirlib.classify.fusion.leak import tsne_map

    np.savez(folder / "map.npz", places=tsne_map(read_features(features), random_state=seed))
