"""Purity of contexts against their number: more clusters are purer whatever they are, so the curve is what counts.

Beside the autoencoder's contexts stand clusters that need none (`ftirlib.explain.crime.context_controls`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ftirlib.explain.crime.context_controls import PLAIN, cluster, nearest, plain_points
from ftirlib.explain.crime.contexts import find_contexts
from ftirlib.method import stages
from ftirlib.method.context_tasks import latent_points
from ftirlib.method.run import Run
from ftirlib.report.truth.pathway_agreement import pathway_agreement
from shown.data_and_models import explained
from shown.pathways import contexts_of

COUNTS = (2, 4, 8, 16, 32, 64, 100)
CONTROLS = PLAIN[:3]
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
        tested = [explained(run, "test", k) for k in stages.FOLDS]
        sizes = [len(one) for one in (*tested, *(explained(run, "validation", k) for k in stages.FOLDS))]
        counts = [n for n in COUNTS if LEAST * n <= min(sizes)]
        pathway, group = (
            np.concatenate([data[key].values[one.rows] for one in tested]).astype(int)
            for key in ("truth_pathway", "group")
        )
        folds = np.repeat(stages.FOLDS, [len(one) for one in tested])
        assigned = [_assigned(run, name, counts, k) for k in stages.FOLDS]
        none = np.zeros(len(group), int)  # classes play no part in purity
        ours = contexts_of(name)
        purities: dict[str, list] = {what: [] for what in (ours, *CONTROLS)}
        leads: dict[str, list] = {what: [] for what in purities}
        for n in counts:
            values, differences = pathway_agreement(
                {what: np.concatenate([fold[what, n] for fold in assigned]) for what in purities},
                pathway,
                none,
                group,
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


def _assigned(run: Run, name: str, counts: list[int], k: int) -> dict[tuple[str, int], np.ndarray]:
    """Contexts of the test spectra of a fold, (n_spectra,) int by kind and number of contexts."""
    seed, sides = run.settings.seed, ("validation", "test")
    places = np.load(stages.vaes(run)[k][name] / "latent.npz")
    points = {side: latent_points(places, side, run.settings.contexts.latent) for side in sides}
    found = {}
    for n in counts:
        groups = find_contexts(points["validation"], n_contexts=n, random_state=seed)
        found[contexts_of(name), n] = groups.assign(points["test"])
    halves = [(one.absorbance, one.weights) for one in (explained(run, side, k) for side in sides)]
    for control in CONTROLS:
        known, tried = plain_points(control, *halves, random_state=seed)
        for n in counts:
            found[control, n] = nearest(cluster(known, n, random_state=seed), tried)
    return found
