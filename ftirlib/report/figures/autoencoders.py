"""Comparison of autoencoders: terms of their loss, cost of longer sequences, and controls of their contexts.

After Kingma et al. 2014 (arXiv:1406.5298), equations 6 to 9, term by term.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ftirlib.errors import DataError
from ftirlib.report.figures.style import GREY, class_marks, legend_above

TERMS = {
    "reconstruction": "Reconstruction, nats",
    "kl": "Latent term, nats",
    "classification": "Classification, nats",
}


def draw_term(ax: Axes, histories: Mapping[str, Sequence[Mapping]], term: str) -> Axes:
    """Draw one term of the loss against the epoch, for several autoencoders.

    The terms differ by orders of magnitude: give each an Axes of its own.

    Parameters
    ----------
    ax : Axes
    histories : mapping of str to sequence of mapping
        By name, the `history_` of a CrimeVAE; a history without the term (classification without supervision) is left
        out. The epoch with the least ``validation``, whose weights were kept, is marked.
    term : str
        One of `TERMS`, or ``validation``.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        No history that holds the term.
    """
    drawn = 0
    for (name, history), mark in zip(histories.items(), class_marks(len(histories))):
        table = pd.DataFrame(history)
        if term not in table or not table[term].abs().sum() > 0:
            continue
        ax.plot(table["epoch"], table[term], color=mark.colour, ls=mark.linestyle, label=name)
        if "validation" in table:
            kept = table.loc[table["validation"].idxmin()]
            ax.plot(kept["epoch"], kept[term], color=mark.colour, marker=mark.marker, ms=7, mec="white")
        drawn += 1
    if not drawn:
        raise DataError(f"none of the {len(histories)} histories holds '{term}'.")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="Epoch", ylabel=TERMS.get(term, f"{term.capitalize()}, nats"))
    return ax


def share_legend(axes: Sequence[Axes], *, n_columns: int = 4) -> None:
    """Put one legend under a grid of axes that all have the same names, in place of theirs.

    Parameters
    ----------
    axes : sequence of Axes
        Of one figure with the constrained layout. A name that several of them have is listed once.
    n_columns : int

    Raises
    ------
    DataError
        No axes has a legend, or names to make one of.
    """
    named = {}
    for ax in np.ravel(axes):
        if legend := ax.get_legend():
            entries = zip([text.get_text() for text in legend.get_texts()], legend.legend_handles)
            legend.remove()
        else:
            handles, labels = ax.get_legend_handles_labels()
            entries = zip(labels, handles)
        for name, handle in entries:
            named.setdefault(name, handle)
    if not named:
        raise DataError("no legend to share; draw into the axes first.")
    ax.figure.legend(handles=list(named.values()), labels=list(named), loc="outside lower center", ncols=n_columns)


def draw_cost(ax: Axes, tokens, costs: Mapping[str, Sequence[float]], *, unit: str, limit: float | None = None) -> Axes:
    """Draw time or memory against the length of the sequence, both logarithmic.

    Parameters
    ----------
    ax : Axes
    tokens : (n,) int
    costs : mapping of str to (n,) float
    unit : str
        Name of the vertical axis, such as "Seconds a step".
    limit : float, optional
        Drawn as a dashed line.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        A cost that does not have one value for each length.
    """
    tokens = np.asarray(tokens)
    for (name, values), mark in zip(costs.items(), class_marks(len(costs))):
        if np.shape(values) != tokens.shape:
            raise DataError(f"'{name}' has shape {np.shape(values)} for {tokens.size} lengths; give one value each.")
        ax.plot(tokens, values, color=mark.colour, ls=mark.linestyle, marker=mark.marker, label=name)
    if limit is not None:
        ax.axhline(limit, color=GREY, lw=1.2, ls=(0, (4, 2)), label=f"limit, {limit:g}")
    ax.set(xscale="log", yscale="log", xlabel="Tokens", ylabel=unit)
    ax.set_xticks(tokens, [f"{n:d}" for n in tokens])
    ax.minorticks_off()
    ax.legend()
    return ax


def draw_controls(ax: Axes, table: pd.DataFrame, *, value: str, label: str, chance: float | None = None) -> Axes:
    """Draw a value with its interval for each kind of context, the first row on top.

    Parameters
    ----------
    ax : Axes
    table : DataFrame
        Columns ``contexts, value, low, high, difference, difference_low, difference_high``, of one measure.
    value : {"value", "difference"}
        The difference is the reference's lead; its interval includes 0 where the two cannot be told apart.
    label : str
        Of the horizontal axis.
    chance : float, optional
        Drawn as a dashed line.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        An unknown value, or a kind of context with more than one row.
    """
    columns = {"value": ("low", "high"), "difference": ("difference_low", "difference_high")}
    if value not in columns:
        raise DataError(f"'{value}' cannot be drawn; choose from {list(columns)}.")
    if table["contexts"].duplicated().any():
        raise DataError("some kind of context has more than one row; give the rows of one measure.")
    low, high = (table[c].to_numpy(float) for c in columns[value])
    middle, y = table[value].to_numpy(float), np.arange(len(table))[::-1]
    mark = class_marks(1)[0]
    ax.hlines(y, low, high, color=mark.colour, lw=2)
    ax.plot(middle, y, ls="", marker=mark.marker, ms=7, color=mark.colour, label="estimate, with its interval")
    if chance is not None:
        ax.axvline(chance, color=GREY, lw=1.2, ls=(0, (4, 2)), label="chance" if value == "value" else "no difference")
        legend_above(ax, ax.get_legend_handles_labels()[0], n_columns=2)
    ax.set_yticks(y, table["contexts"])
    ax.set(xlabel=label, ylim=(-0.7, len(table) - 0.3))
    return ax
