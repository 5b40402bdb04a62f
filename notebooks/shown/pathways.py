"""Do contexts follow the planted pathways, better than simpler clusters, and does supervision help them to?

Only simulated data can answer; see `ftirlib.report.truth.pathway_agreement`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftirlib import method
from ftirlib.explain.crime.context_controls import DEALT, TRAINED
from ftirlib.method import Run
from ftirlib.report.truth.pathway_agreement import MEASURES, pathway_agreement
from shown.contexts import best_vae, context_view
from shown.tables import difference_cell, interval_cell

SINGLE = "one single cluster"
TITLES = {"purity": "purity", "adjusted_rand": "adjusted Rand index", "within": "within a class"}


def contexts_of(name: str) -> str:
    """What an autoencoder's contexts are called beside their controls."""
    return f"contexts of {name}"


def agreement_table(run: Run) -> pd.DataFrame:
    """How far contexts follow the planted pathways, beside clusters that need no autoencoder and no explanation.

    Returns
    -------
    DataFrame
        A row per kind of clusters: ``clusters``, and ``purity``, ``adjusted_rand`` and ``within`` (see
        `pathway_agreement`) with ``_low`` and ``_high`` each: mean over the folds' test sets, interval over groups.
        The last row is one single cluster: the purity that costs nothing.
    """
    values = all_agreements(run)[0]
    values = values[~values.contexts.isin([*TRAINED, DEALT])]  # which the controls' table is for
    wide = values.pivot(index="contexts", columns="measure", values=["value", "low", "high"])
    table = pd.DataFrame({"clusters": list(dict.fromkeys(values.contexts))})
    for measure in MEASURES:
        for part, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            table[measure + suffix] = wide[part, measure].loc[table.clusters].to_numpy()
    return table


def shown_agreement(table: pd.DataFrame) -> pd.DataFrame:
    """`agreement_table` as a page shows it."""
    shown = {
        title: [interval_cell(*row) for row in table[[m, f"{m}_low", f"{m}_high"]].itertuples(index=False)]
        for m, title in TITLES.items()
    }
    return pd.DataFrame({"clusters": table.clusters, **shown})


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


def all_agreements(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`pathway_agreement` of all folds: every kind of context, and the differences that `pathway_lead` names."""

    def make():
        data = method.prepared_spectra(run)
        found: dict[str, list[np.ndarray]] = {}
        rows, folds = [], []
        for k in method.FOLDS:
            views = {name: context_view(run, name, k) for name in method.vae_names(run)}
            mine = next(iter(views.values())).rows
            assigned = {contexts_of(name): view.assigned for name, view in views.items()}
            assigned |= method.controls(run)[k] | {SINGLE: np.zeros(len(mine), int)}
            for what, contexts in assigned.items():
                found.setdefault(what, []).append(contexts)
            rows.append(mine)
            folds.append(np.full(len(mine), k))
        rows = np.concatenate(rows)
        ours = dict.fromkeys((contexts_of(best_vae(run)), contexts_of(method.control_reference(run))))
        return pathway_agreement(
            {what: np.concatenate(contexts) for what, contexts in found.items()},
            *(data[key].values.astype(int)[rows] for key in ("truth_pathway", "truth_class")),
            data.group.values[rows],
            np.concatenate(folds),
            pairs=list(dict.fromkeys([*((one, what) for one in ours for what in found), *_more_and_less(run)])),
            **run.settings.bootstrap,
        )

    return run.once("pathway_agreement", make)


def _more_and_less(run: Run) -> list[tuple[str, str]]:
    """Contexts of each variant with the most supervision and with the least; none with one share alone."""
    shares = run.settings.vaes.supervision
    if len(shares) == 1:
        return []
    pairs = [(f"{v}-{max(shares):g}", f"{v}-{min(shares):g}") for v in run.settings.vaes.variants]
    return [(contexts_of(more), contexts_of(less)) for more, less in pairs]


def supervision_in_truth(run: Run) -> pd.DataFrame:
    """What the most supervision gives each variant over the least, in agreement with the pathways.

    Returns
    -------
    DataFrame
        Columns ``more, less`` and, as text with intervals (* where it leaves out 0), the difference in each measure;
        no rows when there is one share of supervision.
    """
    rows = []
    for more, less in _more_and_less(run):
        leads = {title: pathway_lead(run, more, less, m) for m, title in TITLES.items()}
        text = {title: difference_cell(one.value, one.low, one.high) for title, one in leads.items()}
        rows.append({"more": more.removeprefix(contexts_of("")), "less": less.removeprefix(contexts_of("")), **text})
    return pd.DataFrame(rows, columns=["more", "less", *TITLES.values()])


def pathway_lead_text(run: Run, more: str, less: str) -> str:
    """`pathway_lead` in the adjusted Rand index, and whether it can be told from none."""
    one = pathway_lead(run, more, less)
    return f"{difference_cell(one.value, one.low, one.high).replace(' *', '')}, {verdict(one)}".replace("\n", " ")


def verdict(one) -> str:
    """What an interval of a difference (``low``, ``high``) leaves to say."""
    return "more" if one.low > 0 else "less" if one.high < 0 else "not distinguishable from none"


def supervision_text(run: Run) -> str:
    """How many variants follow the pathways better, worse, or neither with more supervision."""
    leads = [pathway_lead(run, more, less) for more, less in _more_and_less(run)]
    if not leads:
        return "there is one share of supervision, so nothing to compare"
    found = [verdict(one) for one in leads]
    better, worse = found.count("more"), found.count("less")
    return (
        f"of {len(found)} variants {better} {'has' if better == 1 else 'have'} the whole interval above zero, {worse} "
        f"below, and {len(found) - better - worse} cannot be told from no difference"
    )
