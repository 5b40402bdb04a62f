"""The latent space and its contexts: maps of points, and counts per context.

After Figures 3a-c and 4a of Hartigan, Azevedo & Liò.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ftirlib.errors import DataError
from ftirlib.report.figures.names import write_names
from ftirlib.report.figures.style import (
    BLUE,
    ORANGE,
    PALE,
    VERMILLION,
    class_marks,
    legend_above,
    literal,
    one_name_each,
    shuffled_slices,
)

FEW = 8  # names a legend can hold; more are written beside their points
GOLDEN = (np.sqrt(5) - 1) / 2


def draw_embedding(
    ax: Axes,
    points,
    codes,
    names: Sequence[str],
    *,
    annotate: Sequence[int] | None = None,
    size: float | None = None,
    axis_name: str = "UMAP",
) -> Axes:
    """Draw points of a plane in the colours of their class or context (Figures 3a, 3b and 4a).

    Up to eight names are classes: a colour and a marker each, and a legend. More are contexts: neighbouring numbers
    get colours far apart, and names are written on the middle one of their points, or beside it where they would
    overlap.

    Parameters
    ----------
    ax : Axes
    points : (n_points, 2) array
    codes : (n_points,) int
        Position in `names`; negative ones are drawn pale and have no name.
    names : sequence of str
    annotate : sequence of int, optional
        Positions in `names` to write at their points; default: none of a few, the twelve largest of many.
    size : float, optional
        Area of a point; default: smaller the more there are.
    axis_name : str
        Of the plane, for the axes' labels.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Points that are not in a plane, or codes that do not fit them or the names.
    """
    points, codes = np.asarray(points, np.float64), np.asarray(codes)
    if points.ndim != 2 or points.shape[1] != 2:
        raise DataError(f"points have shape {points.shape}; give two coordinates for each.")
    if codes.shape != points.shape[:1] or (codes.size and codes.max() >= len(names)):
        raise DataError(f"codes of shape {codes.shape} do not fit {len(points)} points and {len(names)} names.")
    few = len(names) <= FEW
    size = size or float(np.clip(20000 / max(len(points), 1), 2, 24))
    colours, markers = context_marks(len(names))
    options = {"s": size, "lw": 0, "rasterized": True}
    ax.scatter(*points[codes < 0].T, color=PALE, zorder=0, **options)
    for rows in shuffled_slices(len(points)):
        if few:
            for k in np.unique(codes[rows][codes[rows] >= 0]):
                chosen = rows[codes[rows] == k]
                ax.scatter(*points[chosen].T, color=colours[k], marker=markers[k], alpha=0.8, **options)
        else:
            chosen = rows[codes[rows] >= 0]
            ax.scatter(*points[chosen].T, c=[colours[k] for k in codes[chosen]], **options)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    if annotate is None:
        annotate = [] if few else np.argsort(-counts, kind="stable")[:12]
    write_names(ax, [(literal(names[k]), points[codes == k]) for k in annotate if counts[k]])
    if few:
        handles = [
            Line2D([], [], ls="", marker=m, ms=7, color=c, label=literal(n)) for n, c, m in zip(names, colours, markers)
        ]
        legend_above(ax, handles, n_columns=2)
    ax.set(xlabel=f"{axis_name} 1", ylabel=f"{axis_name} 2", xticks=[], yticks=[])
    return ax


def draw_context_counts(
    ax: Axes, predicted, labelled, *, highlight: Sequence[int] = (), names: Sequence[str] | None = None, what: str = ""
) -> Axes:
    """Draw, for each context, how many spectra are labelled and how many predicted positive (Figure 3c).

    Contexts run from the most labelled to the fewest; those without either are left out.

    Parameters
    ----------
    ax : Axes
    predicted, labelled : (n_contexts,) int
    highlight : sequence of int
        Contexts whose number is written above them, with the bar in another colour.
    names : sequence of str, optional
        Default: the numbers of the contexts, from 0.
    what : str
        Name of the positive class or classes, for the vertical axis.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Counts or names that do not fit each other, or a highlight that is no context.
    """
    predicted, labelled = np.asarray(predicted), np.asarray(labelled)
    if predicted.shape != labelled.shape or predicted.ndim != 1:
        raise DataError(f"predicted {predicted.shape} and labelled {labelled.shape} must be one count per context.")
    names = one_name_each(range(len(labelled)) if names is None else names, len(labelled), "contexts")
    if unknown := [k for k in highlight if not 0 <= k < len(labelled)]:
        raise DataError(f"context {unknown[0]} is to be highlighted but contexts are 0..{len(labelled) - 1}.")
    order = np.lexsort((-predicted, -labelled))
    order = order[(predicted + labelled)[order] > 0]
    x = np.arange(len(order))
    chosen = np.isin(order, list(highlight))
    bars = ax.bar(x, labelled[order], width=0.85, color=[VERMILLION if c else ORANGE for c in chosen])
    for bar, marked in zip(bars, chosen):
        bar.set_hatch("////" if marked else "")
        bar.set_edgecolor("white")
        bar.set_linewidth(0)
    ax.plot(x, predicted[order], ls="", marker="o", ms=4.5, mfc="white", mec=BLUE, mew=1.4)
    for place in x[chosen]:
        k = order[place]
        height = max(predicted[k], labelled[k])
        ax.annotate(
            names[k],
            (place, height),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            weight="bold",
            fontsize=10,
        )
    if len(order) <= 30:
        ax.set_xticks(x, [names[k] for k in order], fontsize=9)
        ax.set_xlabel("Context")
    else:
        ax.set_xticks([])
        ax.set_xlabel(f"{len(order)} contexts, from the most labelled to the fewest")
    ax.set_ylabel(f"Spectra: {literal(what)}" if what else "Spectra")
    ax.set_xlim(-1, max(len(order), 1) - 0.2)
    ax.margins(y=0.12)
    handles = [
        Patch(fc=ORANGE, label="labelled"),
        Line2D([], [], ls="", marker="o", ms=6, mfc="white", mec=BLUE, mew=1.4, label="predicted"),
    ]
    if chosen.any():
        handles.insert(1, Patch(fc=VERMILLION, ec="white", hatch="////", label="labelled, context named"))
    ax.legend(handles=handles, loc="upper right")
    return ax


def context_marks(n: int) -> tuple[list[str], list[str]]:
    """Colours and markers of `n` contexts by number, the same on the latent map and on the tissue.

    For many, steps of the golden ratio through a map that grows lighter evenly.
    """
    if n <= FEW:
        marks = class_marks(n)
        return [mark.colour for mark in marks], [mark.marker for mark in marks]
    return [to_hex(colormaps["viridis"](k * GOLDEN % 1)) for k in range(n)], ["o"] * n
