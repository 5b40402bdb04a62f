"""What more work buys: a quantity against samples or seconds, a line for each method.

Logarithmic axes, on which an error that falls with the root of the work is a line of slope -1/2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterSciNotation, NullFormatter, PercentFormatter

from ftirlib.errors import DataError
from ftirlib.report.figures.style import GREY, class_marks, legend_above

FEW = 8  # positions along the axis that are named themselves


def draw_trade_off(
    ax: Axes,
    curves: Mapping[str, tuple],
    *,
    x_name: str,
    y_name: str,
    y_scale: str = "log",
    percent: bool = False,
    mark: float | None = None,
    legend: bool = True,
) -> Axes:
    """Draw one line a method over a logarithmic horizontal axis.

    Parameters
    ----------
    ax : Axes
    curves : mapping of str to (x, y) or (x, y, low, high)
        Arrays of one length, joined in their order; ends of an interval are drawn as a band.
    x_name, y_name : str
    y_scale : {"log", "linear"}
    percent : bool
        Values of y are shares, shown in percent.
    mark : float, optional
        A value of y worth a horizontal line.
    legend : bool
        Above the axes; without it where a panel beside this one has the same lines.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Nothing to draw, or arrays of different length.
    """
    if not curves:
        raise DataError("there are no curves to draw.")
    for (name, (x, y, *ends)), look in zip(curves.items(), class_marks(len(curves))):
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if x.shape != y.shape or x.ndim != 1 or any(np.shape(end) != x.shape for end in ends):
            raise DataError(f"the curve '{name}' has {x.size} positions and {y.size} values; give one value each.")
        ax.plot(x, y, color=look.colour, ls=look.linestyle, marker=look.marker, ms=5, label=name)
        if ends:
            ax.fill_between(x, *ends, color=look.colour, alpha=0.15, lw=0)
    ax.set(xscale="log", yscale=y_scale, xlabel=x_name, ylabel=y_name)
    if mark is not None:
        ax.axhline(mark, color=GREY, lw=1.2, ls=(0, (4, 2)), zorder=0)
    if percent:
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        ax.yaxis.set_minor_formatter(NullFormatter())
    places = sorted({float(value) for x, *_ in curves.values() for value in x})
    if len(places) <= FEW:
        ax.set_xticks(places, [f"{value:,g}" for value in places])
        ax.minorticks_off()
    else:
        ax.xaxis.set_major_formatter(LogFormatterSciNotation())
        ax.xaxis.set_minor_formatter(NullFormatter())
    if legend:
        legend_above(ax, ax.get_legend_handles_labels()[0], n_columns=3)
    return ax
