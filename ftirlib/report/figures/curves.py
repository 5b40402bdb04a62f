"""Training, calibration, ranking, agreement, distributions, deletion and insertion, and work against gain as curves.

Reliability diagrams as in Guo et al. 2017 (arXiv:1706.04599); deletion and insertion after Petsiuk, Das & Saenko 2018
(arXiv:1806.07421). On logarithmic axes an error that falls with the root of the work is a line of slope -1/2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterSciNotation, NullFormatter, PercentFormatter

from ftirlib.errors import DataError
from ftirlib.report.figures.style import BLUE, GREY, class_marks, legend_above
from ftirlib.report.tally import Reliability

PERTURBED = {"deleted": "Share of wavenumbers deleted", "inserted": "Share of wavenumbers inserted"}
FEW_TICKS = 8  # positions along a logarithmic axis that are named themselves


def draw_reliability(ax: Axes, curves: Reliability | Mapping[str, Reliability]) -> Axes:
    """Draw how often the predicted class is right against how probable the model said it was.

    Parameters
    ----------
    ax : Axes
        About square.
    curves : Reliability or mapping of str to Reliability
        From `ftirlib.report.tally.reliability`. Marker areas grow with the share of spectra in the bin.

    Returns
    -------
    Axes
    """
    named = {"": curves} if isinstance(curves, Reliability) else dict(curves)
    ax.plot([0, 1], [0, 1], color=GREY, lw=1.2, ls=(0, (4, 2)), label="as often as stated")
    for (name, curve), mark in zip(named.items(), class_marks(len(named))):
        used = curve.count > 0
        label = f"{name}, error {curve.error:.3f}".removeprefix(", ")
        x, y = curve.confidence[used], curve.accuracy[used]
        ax.plot(x, y, color=mark.colour, ls=mark.linestyle, marker=mark.marker, ms=5, label=label)
        ax.scatter(x, y, s=600 * curve.count[used] / curve.count.sum(), color=mark.colour, alpha=0.25, lw=0)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    ax.set(xlabel="Stated probability of the predicted class", ylabel="Share predicted right")
    ax.legend(loc="upper left")
    return ax


def draw_roc(ax: Axes, curves: Mapping[str, tuple]) -> Axes:
    """Draw receiver operating characteristics.

    Parameters
    ----------
    ax : Axes
        About square.
    curves : mapping of str to (false_positive_rate, true_positive_rate) or (..., ..., area)
        Arrays from ``sklearn.metrics.roc_curve``; the area, where given, is written in the legend.

    Returns
    -------
    Axes
    """
    ax.plot([0, 1], [0, 1], color=GREY, lw=1.2, ls=(0, (4, 2)), label="chance")
    for (name, (false, true, *area)), mark in zip(curves.items(), class_marks(len(curves))):
        label = f"{name}, area {area[0]:.2f}" if area else name
        ax.plot(false, true, color=mark.colour, ls=mark.linestyle, label=label)
    ax.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal", xlabel="False positive rate", ylabel="True positive rate")
    ax.legend(loc="lower right")
    return ax


def draw_history(ax: Axes, history, *, curves: Mapping[str, str], best_epoch: int | None = None) -> Axes:
    """Draw training curves.

    Parameters
    ----------
    ax : Axes
    history : DataFrame or sequence of mapping
        One entry per epoch, as estimators keep it; values may be None where they were not finite. ``epoch`` is the
        x axis; without it, entries count from 1.
    curves : mapping of str to str
        Keys of the history to draw, and their names in the legend.
    best_epoch : int, optional
        Marked by a line: the epoch whose weights were kept.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        A curve that the history does not hold.
    """
    table = pd.DataFrame(history)
    if unknown := [key for key in curves if key not in table]:
        raise DataError(f"the history has no {unknown}; it holds {list(table.columns)}.")
    epoch = table["epoch"].to_numpy() if "epoch" in table else np.arange(1, len(table) + 1)
    for (key, name), mark in zip(curves.items(), class_marks(len(curves))):
        marker = mark.marker if len(table) <= 30 else None
        ax.plot(epoch, table[key].astype(float), color=mark.colour, ls=mark.linestyle, marker=marker, ms=4, label=name)
    if best_epoch is not None:
        ax.axvline(best_epoch, color=GREY, lw=1.2, ls=(0, (1, 1)), label=f"kept: epoch {best_epoch}")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("Epoch")
    ax.legend()
    return ax


def draw_agreement(ax: Axes, ours, reference, *, names: tuple[str, str], note: str = "") -> Axes:
    """Draw two computations of the same numbers against each other, with the line on which they are equal.

    Parameters
    ----------
    ax : Axes
        About square.
    ours, reference : arrays of one shape
    names : (str, str)
        Names of the two for the axes' labels: ours (vertical), then the reference (horizontal).
    note : str
        Written into the corner, for instance the largest difference.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Arrays of unlike shape.
    """
    ours, reference = np.asarray(ours, np.float64), np.asarray(reference, np.float64)
    if ours.shape != reference.shape:
        raise DataError(f"{names[0]} has shape {ours.shape} and {names[1]} {reference.shape}; compare like with like.")
    ax.axline((0, 0), slope=1, color=GREY, lw=1.2, ls=(0, (4, 2)), zorder=1)
    ax.scatter(reference.ravel(), ours.ravel(), s=9, color=class_marks(1)[0].colour, alpha=0.5, lw=0, rasterized=True)
    ax.set(xlabel=names[1], ylabel=names[0])
    if note:
        ax.text(0.03, 0.97, note, transform=ax.transAxes, va="top")
    return ax


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


def draw_perturbation_curves(
    ax: Axes, share, curves: Mapping[str, tuple], *, controls: Mapping[str, tuple] | None = None, what: str = "deleted"
) -> Axes:
    """Draw mean probabilities of the explained label against the share of wavenumbers deleted or inserted.

    Parameters
    ----------
    ax : Axes
    share : (n_steps + 1,) array
        From 0 to 1.
    curves : mapping of str to (mean,), (mean, area), or (mean, area, low, high)
        By explainer: probability at each share; the area under it, written in the legend; ends of an interval, drawn
        as a band. An area of None is left out.
    controls : mapping, optional
        As `curves`, in grey and thinner: the same in orders that explain nothing.
    what : {"deleted", "inserted"}
        Of the horizontal axis.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Arrays that do not fit the shares, an unknown `what`, or nothing to draw.
    """
    if what not in PERTURBED:
        raise DataError(f"what={what!r} is unknown; curves are of wavenumbers {' or '.join(PERTURBED)}.")
    share = np.asarray(share, np.float64)
    if share.ndim != 1 or share.size < 2 or not curves:
        raise DataError(
            f"{len(curves)} curves over shares of shape {share.shape}; give a curve over at least two shares."
        )
    marks = class_marks(max(len(curves), len(controls or ())))
    for grey, group in ((True, controls or {}), (False, curves)):
        for (name, (mean, *more)), mark in zip(group.items(), marks):
            area, low, high = (*more, None, None, None)[:3]
            label = name if area is None else f"{name}, area {area:.2f}"
            colour = GREY if grey else mark.colour
            if low is not None:
                low, high = (_along(share, side, f"an end of {name}") for side in (low, high))
                ax.fill_between(share, low, high, color=colour, alpha=0.18, lw=0)
            mean = _along(share, mean, name)
            ax.plot(share, mean, color=colour, ls=mark.linestyle, lw=1.1 if grey else None, label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=PERTURBED[what], ylabel="Probability of the explained label")
    ax.legend()
    return ax


def _along(share, values, what: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.shape != share.shape:
        raise DataError(f"{what} has shape {values.shape} for {share.size} shares; give one probability for each.")
    return values


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
    if len(places) <= FEW_TICKS:
        ax.set_xticks(places, [f"{value:,g}" for value in places])
        ax.minorticks_off()
    else:
        ax.xaxis.set_major_formatter(LogFormatterSciNotation())
        ax.xaxis.set_minor_formatter(NullFormatter())
    if legend:
        legend_above(ax, ax.get_legend_handles_labels()[0], n_columns=3)
    return ax
