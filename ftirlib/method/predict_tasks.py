"""What workers do to predict new spectra: votes and linear reasons of a range of spectra, contexts of chosen ones.

Each opens the finished run by its address, and keeps the run's models for the tasks to come.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ftirlib.classify.prediction import full_probabilities
from ftirlib.engine.driver import DATASET
from ftirlib.engine.store import Store
from ftirlib.method.predict_reasons import context_finder, linear_model, linear_reasons
from ftirlib.method.run import read_run_settings
from ftirlib.spectra.folds import N_SETS
from ftirlib.spectra.model import CHUNK, open_spectra, read_absorbance
from ftirlib.spectra.prepare.recipe import check_prepared


def answers(folder, work, *, finished, models, autoencoder, prepared, rows):
    """Answers for spectra `rows` (from, to) of a prepared data set, one block in memory at a time.

    ``votes``, averaged over the folds' ensembles; ``agreement``, the share of folds that give the winning class; and,
    with an `autoencoder`, the reasons of its linear model.

    `models` are the keys of the run's artefacts, by which a worker knows models that have changed.
    """
    data = open_spectra(prepared)
    ensembles, linear, n_classes = _models(finished, str(models), autoencoder)
    for voters in ensembles:
        check_prepared(voters.recipe_, data, taker="the run's ensemble")
    found = []
    for start in range(rows[0], rows[1], CHUNK):
        block = read_absorbance(data, slice(start, min(start + CHUNK, rows[1])))
        each = np.stack([full_probabilities(e, e.predict_proba(block), n_classes) for e in ensembles])
        votes = each.mean(axis=0)  # (spectra, classes)
        agreement = (each.argmax(axis=2) == votes.argmax(axis=1)).mean(axis=0)
        one = {"votes": votes.astype(np.float32), "agreement": agreement.astype(np.float32)}
        found.append(one | (linear_reasons(linear, block) if linear else {}))
    np.savez(folder / "answers.npz", **{name: np.concatenate([one[name] for one in found]) for name in found[0]})


def contexts(folder, work, *, finished, models, autoencoder, prepared, rows):
    """The autoencoder's contexts of chosen spectra: `rows` are their positions."""
    find = _finder(finished, str(models), autoencoder)
    found = find(read_absorbance(open_spectra(prepared), np.asarray(rows)))
    np.savez(folder / "contexts.npz", context=found.astype(np.int16))


@lru_cache(maxsize=1)
def _models(finished, models, autoencoder):
    """Ensembles of all folds, the linear model if there is one, and the number of classes."""
    from ftirlib.classify.ensemble import EMSCNN

    store = Store(finished)
    ensembles = [EMSCNN.load(store.fetch("ensemble") / f"fold{k}" / "model") for k in range(N_SETS)]
    linear = None if autoencoder is None else linear_model(store, autoencoder)
    return ensembles, linear, len(open_spectra(store.dataset("prepared", DATASET)).attrs["class_names"])


@lru_cache(maxsize=1)
def _finder(finished, models, autoencoder):
    store = Store(finished)
    return context_finder(
        store, read_run_settings(finished), open_spectra(store.dataset("prepared", DATASET)), autoencoder
    )
