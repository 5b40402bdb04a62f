"""Several pictures side by side under one legend, and the distribution of one quantity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from ftirlib.errors import DataError
from ftirlib.report.figures.style import BLUE, GREY, PALE, class_marks


def class_legend(names: Sequence[str], *, background: str = "background") -> dict:
    """Handles of a legend of classes, for ``figure.legend(**class_legend(names), ...)`` over several maps.

    Parameters
    ----------
    names : sequence of str
    background : str
        Name of pixels of no class; empty: left out.
    """
    handles = [
        Patch(fc=mark.colour, ec="white", hatch=mark.hatch, label=str(name))
        for name, mark in zip(names, class_marks(len(names)))
    ]
    if background:
        handles.append(Patch(fc=PALE, ec=GREY, lw=0.6, label=background))
    return {"handles": handles}


def draw_distribution(ax: Axes, values, *, name: str, mark: float | None = None, n_bins: int = 30) -> Axes:
    """Draw how often values occur, with their median and a value to compare it with.

    Parameters
    ----------
    ax : Axes
    values : (n,) array
        Finite.
    name : str
        Of the horizontal axis.
    mark : float, optional
        Drawn as a dashed line.
    n_bins : int

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        No values, or values that are not finite.
    """
    values = np.asarray(values, np.float64)
    if not values.size or not np.isfinite(values).all():
        raise DataError(f"{values.size} values, {int(np.isfinite(values).sum())} of them finite, have no distribution.")
    ax.hist(values, bins=n_bins, color=BLUE, alpha=0.75, edgecolor="white", linewidth=0.5)
    middle = float(np.median(values))
    ax.axvline(middle, color=BLUE, lw=1.8, label=f"median {middle:.2f}")
    if mark is not None:
        ax.axvline(mark, color=GREY, lw=1.4, ls=(0, (4, 2)), label=f"{mark:g}")
    ax.set(xlabel=name, ylabel="Spectra")
    ax.legend()
    return ax
