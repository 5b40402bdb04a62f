"""Is the autoencoder worth its price? Its contexts beside those that lack one part of the method, over all folds.

Only simulated data can answer; the controls are those of `ftirlib.explain.crime.context_controls`.
"""

from __future__ import annotations

import pandas as pd

from ftirlib import method
from ftirlib.method import Run
from shown.pathways import SINGLE, TITLES, all_agreements, contexts_of, pathway_lead, verdict
from shown.tables import difference_cell, interval_cell

LEADS = {"more": "better than", "less": "worse than"}


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


def shown_controls(table: pd.DataFrame) -> pd.DataFrame:
    """`control_table` as a page shows it: a row per kind of context; * where the reference's lead leaves out 0."""
    wide = {}
    for measure in ("adjusted_rand", "within"):
        mine = table[table.measure == measure].set_index("contexts")
        wide[TITLES[measure]] = [interval_cell(r.value, r.low, r.high) for r in mine.itertuples()]
        leads = [difference_cell(r.difference, r.difference_low, r.difference_high) for r in mine.itertuples()]
        wide[f"lead of the\nreference, {TITLES[measure]}"] = leads
    return pd.DataFrame({"contexts": list(dict.fromkeys(table.contexts)), **wide})


def lead_text(run: Run, control: str) -> str:
    """The reference's lead over one control in the adjusted Rand index, and whether it can be told from none."""
    one = pathway_lead(run, contexts_of(method.control_reference(run)), control)
    lead = f"{one.value:+.2f} [{one.low:+.2f}, {one.high:+.2f}]"
    return f"{lead}, {LEADS.get(verdict(one), 'not distinguishable from')} this control"


def controls_text(run: Run) -> str:
    """Over how many controls the reference leads, trails, or cannot be told from, in the adjusted Rand index."""
    reference = method.control_reference(run)
    found = [verdict(pathway_lead(run, contexts_of(reference), control)) for control in method.controls(run)[0]]
    better, worse = found.count("more"), found.count("less")
    return (
        f"{reference} follows the pathways better than {better}, worse than {worse}, and cannot be told from "
        f"{len(found) - better - worse}"
    )
