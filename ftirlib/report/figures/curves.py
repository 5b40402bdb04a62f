"""Training, calibration, ranking, agreement and distributions as curves.

Reliability diagrams as in Guo et al. 2017 (arXiv:1706.04599).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ftirlib.errors import DataError
from ftirlib.report.figures.style import BLUE, GREY, class_marks
from ftirlib.report.tally import Reliability


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
        What the two are, for the axes' labels: ours (vertical), then the reference (horizontal).
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
