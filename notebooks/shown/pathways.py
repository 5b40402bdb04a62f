"""Do contexts follow the planted pathways, better than simpler clusters and controls, and with more supervision?

Only simulated data can answer; see `ftirlib.report.truth.pathway_agreement`. The controls, which lack one part of the
method each, are those of `ftirlib.explain.crime.context_controls`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from ftirlib import method
from ftirlib.engine.driver import once
from ftirlib.explain.crime.context_controls import DEALT, PLAIN, TRAINED, cluster, nearest, plain_points
from ftirlib.explain.crime.contexts import find_contexts
from ftirlib.method import FOLDS, Run
from ftirlib.method.crime import latent_points
from ftirlib.report.truth.pathway_agreement import pathway_agreement
from shown.cells import interval
from shown.contexts import context_view
from shown.linear import ONE_SHARE
from shown.results import best_vae, explained, latent

SINGLE = "one single cluster"
TITLES = {"purity": "purity", "adjusted_rand": "adjusted Rand index", "within": "within a class"}
COUNTS = (2, 4, 8, 16, 32, 64, 100)
CONTROLS = PLAIN[:3]
LEAST = 2  # spectra a context, on average; with fewer, purity is a matter of counting


def contexts_of(name: str) -> str:
    """Name of an autoencoder's contexts beside their controls."""
    return f"contexts of {name}"


@once
def all_agreements(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`pathway_agreement` of all folds: every kind of context, and the differences that `pathway_lead` names."""
    data = method.prepared_spectra(run)
    found: dict[str, list[np.ndarray]] = {}
    rows, folds = [], []
    for k in FOLDS:
        views = {name: context_view(run, name, k) for name in method.vae_names(run)}
        mine = next(iter(views.values())).rows
        assigned = {contexts_of(name): view.assigned for name, view in views.items()}
        assigned |= method.controls(run)[k] | {SINGLE: np.zeros(len(mine), int)}
        for kind, contexts in assigned.items():
            found.setdefault(kind, []).append(contexts)
        rows.append(mine)
        folds.append(np.full(len(mine), k))
    rows = np.concatenate(rows)
    ours = dict.fromkeys((contexts_of(best_vae(run)), contexts_of(method.control_reference(run))))
    return pathway_agreement(
        {kind: np.concatenate(contexts) for kind, contexts in found.items()},
        *(data[key].values.astype(int)[rows] for key in ("truth_pathway", "truth_class")),
        data.group.values[rows],
        np.concatenate(folds),
        pairs=list(dict.fromkeys([*((one, kind) for one in ours for kind in found), *_more_and_less(run)])),
        **run.settings.bootstrap,
    )


def _more_and_less(run: Run) -> list[tuple[str, str]]:
    """Contexts of each variant with the most supervision and with the least; none with one share alone."""
    shares = run.settings.vaes.supervision
    if len(shares) == 1:
        return []
    pairs = [(f"{v}-{max(shares):g}", f"{v}-{min(shares):g}") for v in run.settings.vaes.variants]
    return [(contexts_of(more), contexts_of(less)) for more, less in pairs]


def agreement_table(run: Run) -> pd.DataFrame:
    """How far contexts follow the planted pathways, beside clusters that need no autoencoder and no explanation.

    Returns
    -------
    DataFrame
        A row per kind of clusters, columns ``(measure, part)`` for the measures of `pathway_agreement` and the parts
        ``value, low, high``: mean over the folds' test sets, interval over groups. The last row is one single cluster:
        the purity that costs nothing.
    """
    values = all_agreements(run)[0]
    values = values[~values.contexts.isin([*TRAINED, DEALT])]  # which the controls' table is for
    wide = values.pivot(index="contexts", columns="measure", values=["value", "low", "high"])
    return wide.swaplevel(axis=1).sort_index(axis=1).loc[list(dict.fromkeys(values.contexts))]


def agreement_cells(table: pd.DataFrame) -> pd.DataFrame:
    """`agreement_table` as a page shows it."""
    cells = {
        title: [interval(*row, line="\n") for row in table[measure][["value", "low", "high"]].itertuples(index=False)]
        for measure, title in TITLES.items()
    }
    return pd.DataFrame({"clusters": table.index, **cells})


def pathway_lead(run: Run, more: str, less: str, measure: str = "adjusted_rand") -> pd.Series:
    """How much better one kind of context follows the pathways than another, over all folds.

    Compared are the contexts that are shown, and those that controls are made of, with every other kind, and most with
    least supervision of each variant.

    Returns
    -------
    Series
        Of `pathway_agreement`'s differences: ``value, low, high``.
    """
    table = all_agreements(run)[1]
    return table[(table.contexts == more) & (table.less == less) & (table.measure == measure)].iloc[0]


def verdict(lead) -> str:
    """Whether the interval of a difference (``low``, ``high``) lies above zero, below, or holds it."""
    return "more" if lead.low > 0 else "less" if lead.high < 0 else "not distinguishable from none"


def lead_text(run: Run, more: str, less: str) -> str:
    """`pathway_lead` in the adjusted Rand index, and whether it can be told from none."""
    lead = pathway_lead(run, more, less)
    return f"{interval(lead.value, lead.low, lead.high, signed=True)}, {verdict(lead)}"


# --- supervision


def supervision_table(run: Run) -> pd.DataFrame:
    """Agreement with the pathways with the most supervision less that with the least, per variant.

    Returns
    -------
    DataFrame
        Columns ``more, less`` and, as text with intervals (* where it leaves out 0), the difference in each measure;
        no rows when there is one share of supervision.
    """
    rows = []
    for more, less in _more_and_less(run):
        leads = {title: pathway_lead(run, more, less, measure) for measure, title in TITLES.items()}
        cells = {
            title: interval(lead.value, lead.low, lead.high, signed=True, star=True, line="\n")
            for title, lead in leads.items()
        }
        rows.append({"more": more.removeprefix(contexts_of("")), "less": less.removeprefix(contexts_of("")), **cells})
    return pd.DataFrame(rows, columns=["more", "less", *TITLES.values()])


def supervision_text(run: Run) -> str:
    """How many variants follow the pathways better, worse, or neither with more supervision."""
    found = [verdict(pathway_lead(run, more, less)) for more, less in _more_and_less(run)]
    if not found:
        return ONE_SHARE
    better, worse = found.count("more"), found.count("less")
    return (
        f"of {len(found)} variants {better} {'has' if better == 1 else 'have'} the whole interval above zero, {worse} "
        f"below, and {len(found) - better - worse} cannot be told from no difference"
    )


# --- controls


def control_table(run: Run) -> pd.DataFrame:
    """Contexts of every autoencoder and every control against the planted pathways.

    Returns
    -------
    DataFrame
        Columns ``contexts, measure, value, low, high, difference, difference_low, difference_high``: mean over the
        folds' test sets with intervals over groups, and the reference's lead (`method.control_reference`) on the same
        draws of groups, 0 in its own row.
    """
    values, differences = all_agreements(run)
    leads = differences[differences.contexts == contexts_of(method.control_reference(run))]
    names = {"value": "difference", "low": "difference_low", "high": "difference_high"}
    leads = leads.rename(columns=names).drop(columns="contexts").rename(columns={"less": "contexts"})
    return values[values.contexts != SINGLE].merge(leads, on=["contexts", "measure"])


def control_cells(table: pd.DataFrame) -> pd.DataFrame:
    """`control_table` as a page shows it: a row per kind of context; * where the reference's lead leaves out 0."""
    cells = {"contexts": list(dict.fromkeys(table.contexts))}
    for measure in ("adjusted_rand", "within"):
        mine = list(table[table.measure == measure].itertuples())
        cells[TITLES[measure]] = [interval(r.value, r.low, r.high, line="\n") for r in mine]
        cells[f"lead of the\nreference, {TITLES[measure]}"] = [
            interval(r.difference, r.difference_low, r.difference_high, signed=True, star=True, line="\n") for r in mine
        ]
    return pd.DataFrame(cells)


def control_text(run: Run, control: str) -> str:
    """The reference's lead over one control in the adjusted Rand index, and whether it can be told from none."""
    lead = pathway_lead(run, contexts_of(method.control_reference(run)), control)
    verdicts = {"more": "better than", "less": "worse than"}
    compared = verdicts.get(verdict(lead), "not distinguishable from")
    return f"{interval(lead.value, lead.low, lead.high, signed=True)}, {compared} this control"


def controls_text(run: Run) -> str:
    """Over how many controls the reference leads, trails, or cannot be told from, in the adjusted Rand index."""
    reference = method.control_reference(run)
    found = [verdict(pathway_lead(run, contexts_of(reference), control)) for control in method.controls(run)[0]]
    better, worse = found.count("more"), found.count("less")
    return (
        f"{reference} follows the pathways better than {better}, worse than {worse}, and cannot be told from "
        f"{len(found) - better - worse}"
    )


# --- purity against the number of contexts


class PurityCurves(NamedTuple):
    """Curves over the number of contexts, by their kind, as `ftirlib.report.figures.draw_trade_off` takes them.

    `purities` holds (numbers, purities); `leads` the autoencoder's purity less that of each kind, its own too, with
    intervals over groups: (numbers, leads, low, high).
    """

    purities: dict[str, tuple]
    leads: dict[str, tuple]


@once
def purity_curves(run: Run, name: str) -> PurityCurves:
    """Mean purity of test spectra over the folds, for growing numbers of contexts found on the validation sets.

    More clusters are purer whatever they are, so the autoencoder's contexts stand beside clusters that need none.
    Numbers that leave fewer than `LEAST` spectra a context in some fold are left out.
    """
    data = method.prepared_spectra(run)
    tested = [explained(run, "test", k) for k in FOLDS]
    sizes = [len(one) for one in (*tested, *(explained(run, "validation", k) for k in FOLDS))]
    counts = [n for n in COUNTS if LEAST * n <= min(sizes)]
    pathway, group = (
        np.concatenate([data[key].values[one.rows] for one in tested]).astype(int) for key in ("truth_pathway", "group")
    )
    folds = np.repeat(FOLDS, [len(one) for one in tested])
    assigned = [_assigned(run, name, counts, k) for k in FOLDS]
    none = np.zeros(len(group), int)  # classes play no part in purity
    ours = contexts_of(name)
    purities: dict[str, list] = {kind: [] for kind in (ours, *CONTROLS)}
    leads: dict[str, list] = {kind: [] for kind in purities}
    for n in counts:
        values, differences = pathway_agreement(
            {kind: np.concatenate([fold[kind, n] for fold in assigned]) for kind in purities},
            pathway,
            none,
            group,
            folds,
            pairs=[(ours, kind) for kind in purities],
            **run.settings.bootstrap,
        )
        purity = values[values.measure == "purity"].set_index("contexts").value
        lead = differences[differences.measure == "purity"].set_index("less")
        for kind in purities:
            purities[kind].append(purity[kind])
            leads[kind].append(lead.loc[kind, ["value", "low", "high"]].to_list())
    return PurityCurves(
        {kind: (counts, points) for kind, points in purities.items()},
        {kind: (counts, *np.array(points).T) for kind, points in leads.items()},
    )


def _assigned(run: Run, name: str, counts: list[int], k: int) -> dict[tuple[str, int], np.ndarray]:
    """Contexts of the test spectra of a fold, (n_spectra,) int by kind and number of contexts."""
    seed, sides = run.settings.seed, ("validation", "test")
    points = {side: latent_points(latent(run, name, k), side, run.settings.contexts.latent) for side in sides}
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
