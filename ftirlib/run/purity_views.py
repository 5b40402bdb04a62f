"""Purity of contexts against their number: more clusters are purer whatever they are, so the curve is what counts.

Beside the autoencoder's contexts stand clusters that need none (`ftirlib.report.context_controls`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ftirlib.explain.crime import find_contexts
from ftirlib.report.context_controls import context_controls
from ftirlib.report.pathway_agreement import pathway_agreement
from ftirlib.run import stages
from ftirlib.run.context_tasks import latent_points
from ftirlib.run.pathway_views import contexts_of
from ftirlib.run.runner import Run
from ftirlib.run.tasks import read_arrays
from ftirlib.run.views import explained

COUNTS = (2, 4, 8, 16, 32, 64, 100)
CONTROLS = ("K-means of the spectra", "K-means of the weights", "PCA of both")
LEAST = 2  # spectra a context, on average; with fewer, purity is a matter of counting


class PurityCurves(NamedTuple):
    """Curves over the number of contexts, by their kind, as `ftirlib.report.figures.draw_trade_off` takes them.

    `purities` holds (numbers, purities); `leads` the autoencoder's purity less that of each kind, its own too, with
    intervals over groups: (numbers, leads, low, high).
    """

    purities: dict[str, tuple]
    leads: dict[str, tuple]


def purity_curves(run: Run, name: str) -> PurityCurves:
    """Mean purity of test spectra over the folds, for growing numbers of contexts found on the validation sets.

    Numbers that leave fewer than `LEAST` spectra a context in some fold are left out.
    """

    def make():
        data = stages.prepared(run)
        sides = [{side: explained(run, side, k) for side in ("validation", "test")} for k in stages.FOLDS]
        counts = [n for n in COUNTS if LEAST * n <= min(len(found["rows"]) for one in sides for found in one.values())]
        rows = np.concatenate([one["test"]["rows"] for one in sides])
        folds = np.repeat(stages.FOLDS, [len(one["test"]["rows"]) for one in sides])
        pathway = data.truth_pathway.values.astype(int)[rows]
        none = np.zeros(len(rows), int)  # classes play no part in purity
        ours = contexts_of(name)
        purities: dict[str, list] = {what: [] for what in (ours, *CONTROLS)}
        leads: dict[str, list] = {what: [] for what in purities}
        for n in counts:
            values, differences = pathway_agreement(
                _assigned(run, name, n, sides),
                pathway,
                none,
                data.group.values[rows],
                folds,
                pairs=[(ours, what) for what in purities],
                **run.settings.bootstrap,
            )
            purity = values[values.measure == "purity"].set_index("contexts").value
            lead = differences[differences.measure == "purity"].set_index("less")
            for what, points in purities.items():
                points.append(purity[what])
            for what, points in leads.items():
                points.append(lead.loc[what, ["value", "low", "high"]].to_list())
        return PurityCurves(
            {what: (counts, points) for what, points in purities.items()},
            {what: (counts, *np.array(points).T) for what, points in leads.items()},
        )

    return run.once(f"purity_curves-{name}", make)


def _assigned(run: Run, name: str, n_contexts: int, sides: list[dict]) -> dict[str, np.ndarray]:
    """Contexts of the test spectra of all folds: kind -> (n_spectra,) int."""
    found: dict[str, list[np.ndarray]] = {}
    for k, one in zip(stages.FOLDS, sides):
        places = read_arrays(stages.vaes(run)[k][name] / "latent.npz")
        known, tried = (latent_points(places, side, run.settings.contexts.latent) for side in one)
        groups = find_contexts(known, n_contexts=n_contexts, random_state=run.settings.seed)
        found.setdefault(contexts_of(name), []).append(groups.assign(tried))
        plain = context_controls(
            one["validation"]["absorbance"],
            one["validation"]["weights"],
            n_contexts=n_contexts,
            tried=(one["test"]["absorbance"], one["test"]["weights"]),
            random_state=run.settings.seed,
        )
        for what in CONTROLS:
            found.setdefault(what, []).append(plain[what].tried)
    return {what: np.concatenate(parts) for what, parts in found.items()}
