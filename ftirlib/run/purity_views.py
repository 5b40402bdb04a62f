"""Purity of contexts against their number: more clusters are purer whatever they are, so the curve is what counts.

Beside the autoencoder's contexts stand clusters that need none (`ftirlib.report.context_controls`).
"""

from __future__ import annotations

import numpy as np

from ftirlib.explain.crime import find_contexts
from ftirlib.report.context_controls import context_controls
from ftirlib.report.truth import context_agreement
from ftirlib.run import stages
from ftirlib.run.context_tasks import latent_points
from ftirlib.run.pathway_views import contexts_of
from ftirlib.run.runner import Run
from ftirlib.run.tasks import read_arrays
from ftirlib.run.views import explained

COUNTS = (2, 4, 8, 16, 32, 64, 100)
CONTROLS = ("K-means of the spectra", "K-means of the weights", "PCA of both")
LEAST = 2  # spectra a context, on average; with fewer, purity is a matter of counting


def purity_curves(run: Run, name: str) -> dict[str, tuple[list[int], list[float]]]:
    """Mean purity of test spectra over the folds, for growing numbers of contexts found on the validation sets.

    Returns
    -------
    dict
        Name of the contexts to (numbers, purities). Numbers that leave fewer than `LEAST` spectra a context in some
        fold are left out.
    """

    def make():
        pathway = stages.prepared(run).truth_pathway.values.astype(int)
        sides = [{side: explained(run, side, k) for side in ("validation", "test")} for k in stages.FOLDS]
        fewest = min(len(found["rows"]) for one in sides for found in one.values())
        counts = [n for n in COUNTS if LEAST * n <= fewest]
        found: dict[str, list[list[float]]] = {}
        for k, one in zip(stages.FOLDS, sides):
            places = read_arrays(stages.vaes(run)[k][name] / "latent.npz")
            known, tried = (latent_points(places, side, run.settings.contexts.latent) for side in one)
            test = one["test"]
            for n in counts:
                ours = find_contexts(known, n_contexts=n, random_state=run.settings.seed).assign(tried)
                plain = context_controls(
                    one["validation"]["absorbance"],
                    one["validation"]["weights"],
                    n_contexts=n,
                    tried=(test["absorbance"], test["weights"]),
                    random_state=run.settings.seed,
                )
                assigned = {contexts_of(name): ours} | {what: plain[what].tried for what in CONTROLS}
                for what, values in assigned.items():
                    purity = context_agreement(values, pathway[test["rows"]])["purity"]
                    found.setdefault(what, [[] for _ in counts])[counts.index(n)].append(purity)
        return {what: (counts, [float(np.mean(values)) for values in by_count]) for what, by_count in found.items()}

    return run.once(f"purity_curves-{name}", make)
