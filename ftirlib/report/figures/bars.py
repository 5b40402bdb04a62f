"""Scores, confusions, folds and calibration as bars and curves.

Bars after Figure 2 of Hartigan et al. (paper A), with the majority class and a bootstrap over patients beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from ftirlib.errors import DataError
from ftirlib.report.calibration import Reliability
from ftirlib.report.figures.style import BLACK, GREY, class_marks, one_name_each
from ftirlib.report.scores import SCORE_TITLES

TABLE_COLUMNS = ("model", "score", "mean", "sd", "low", "high", "majority")


def draw_score_bars(
    ax: Axes, table: pd.DataFrame, *, scores: Sequence[str], models: Sequence[str] | None = None
) -> Axes:
    """Draw one group of bars a score, one bar a model (Figures 2a and 2b).

    Bars are means over folds with whiskers of one standard deviation; beside the whisker, a bracket spans the
    bootstrap interval over patients; a dashed line across each group is the score of the majority class.

    Parameters
    ----------
    ax : Axes
    table : DataFrame
        One row per model and score, columns ``model, score, mean, sd, low, high, majority``. What is NaN is not
        drawn; a mean that is NaN is marked "undefined".
    scores : sequence of str
        Which scores, from left to right; known names get their titles.
    models : sequence of str, optional
        Which models, from left to right; default: all, in the order of the table.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        A missing column, model or score, or two rows for one model and score.
    """
    if missing := [name for name in TABLE_COLUMNS if name not in table]:
        raise DataError(f"the table of scores has no column {missing}; it needs {list(TABLE_COLUMNS)}.")
    models = list(dict.fromkeys(table["model"])) if models is None else list(models)
    scores = list(scores)
    if not models or not scores:
        raise DataError(f"there are {len(models)} models and {len(scores)} scores to draw; name at least one of each.")
    marks = class_marks(len(models))
    width = 0.84 / len(models)
    for i, score in enumerate(scores):
        majorities = []
        for k, (model, mark) in enumerate(zip(models, marks)):
            row = _row(table, model, score)
            x = i + (k - (len(models) - 1) / 2) * width
            majorities.append(row["majority"])
            if np.isnan(row["mean"]):
                ax.text(x, 0.01, "undefined", rotation=90, ha="center", va="bottom", fontsize=8, color=GREY)
                continue
            ax.bar(x, row["mean"], width * 0.92, fc=mark.colour, ec="white", hatch=mark.hatch, lw=0)
            _interval(ax, x - width * 0.12, row["mean"] - row["sd"], row["mean"] + row["sd"], 0, 2.2)
            _interval(ax, x + width * 0.2, row["low"], row["high"], width * 0.16, 1.1)
        for majority in np.unique([m for m in majorities if not np.isnan(m)]):
            ax.hlines(majority, i - 0.46, i + 0.46, color=BLACK, ls=(0, (4, 2)), lw=1.3, zorder=3)
    ax.set_xticks(range(len(scores)), [_title(score) for score in scores])
    ax.set_xlim(-0.5, len(scores) - 0.5)
    ax.set_ylim(min(0, ax.get_ylim()[0]), max(1, ax.get_ylim()[1]))
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel("Score")
    handles = [Patch(fc=m.colour, ec="white", hatch=m.hatch, label=name) for name, m in zip(models, marks)]
    handles += [
        Line2D([], [], color=BLACK, lw=2.2, label="± 1 SD over folds"),
        Line2D([], [], color=BLACK, lw=1.1, marker="_", ms=7, label="bootstrap over patients"),
        Line2D([], [], color=BLACK, lw=1.3, ls=(0, (4, 2)), label="majority class"),
    ]
    _legend_above(ax, handles)
    return ax


def draw_confusion(ax: Axes, matrix, names: Sequence[str]) -> Axes:
    """Draw a confusion matrix: shares of each label as shade, shares and counts as text.

    Parameters
    ----------
    ax : Axes
    matrix : (n_classes, n_classes) int
        Rows are labels, columns predictions.
    names : sequence of str

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        A matrix that is not square, or without one name per class.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise DataError(f"the confusion matrix has shape {matrix.shape}; it must have one row and column per class.")
    names = one_name_each(names, len(matrix), "classes")
    totals = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, totals, out=np.full(matrix.shape, np.nan), where=totals > 0)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(share):
        text = "none" if np.isnan(value) else f"{value:.0%}"
        colour = "white" if value > 0.55 else BLACK
        ax.text(j, i - 0.1, text, ha="center", va="center", color=colour, fontsize=11.5)
        ax.text(j, i + 0.2, f"{matrix[i, j]:,}", ha="center", va="center", color=colour, fontsize=8.5)
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="Predicted", ylabel="Labelled")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def draw_folds(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw the shares of the classes in each set, as one stacked bar a set.

    Parameters
    ----------
    ax : Axes
    table : DataFrame
        Spectra by set (rows, from top to bottom) and class (columns, in the order of the classes).

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        A set without spectra.
    """
    counts = table.to_numpy(np.float64)
    totals = counts.sum(axis=1)
    if counts.size == 0 or not (totals > 0).all():
        raise DataError("the table of folds has a set without spectra; give counts by set and class.")
    shares = counts / totals[:, None]
    left = np.zeros(len(counts))
    y = np.arange(len(counts))
    for k, (name, mark) in enumerate(zip(table.columns, class_marks(counts.shape[1]))):
        bars = shares[:, k]
        ax.barh(y, bars, left=left, height=0.7, fc=mark.colour, ec="white", hatch=mark.hatch, lw=0.8, label=str(name))
        for row in np.flatnonzero(bars >= 0.06):  # narrower pieces cannot hold their number
            box = {"fc": "white", "ec": "none", "pad": 1.2}
            ax.text(left[row] + bars[row] / 2, row, f"{bars[row]:.0%}", ha="center", va="center", fontsize=9, bbox=box)
        left += bars
    for row, total in enumerate(totals):
        ax.text(1.01, row, f"{total:,.0f}", va="center", fontsize=10)
    ax.text(1.01, -0.75, "spectra", va="center", fontsize=10, color=GREY)
    ax.set_yticks(y, [str(name) for name in table.index])
    ax.set_ylim(len(counts) - 0.5, -0.9)
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel("Share of the set's spectra")
    _legend_above(ax, ax.get_legend_handles_labels()[0])
    return ax


def draw_reliability(ax: Axes, curves: Reliability | Mapping[str, Reliability]) -> Axes:
    """Draw how often the predicted class is right against how probable the model said it was.

    Parameters
    ----------
    ax : Axes
        About square.
    curves : Reliability or mapping of str to Reliability
        From `ftirlib.report.calibration.reliability`. Marker areas grow with the share of spectra in the bin.

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
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
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


def _row(table, model, score) -> pd.Series:
    rows = table[(table["model"] == model) & (table["score"] == score)]
    if len(rows) != 1:
        raise DataError(
            f"the table of scores has {len(rows)} rows for model {model!r} and score {score!r}; it needs exactly one "
            f"(models {sorted(set(table['model']))}, scores {sorted(set(table['score']))})."
        )
    return rows.iloc[0]


def _interval(ax, x, low, high, cap, width) -> None:
    if np.isnan(low) or np.isnan(high):
        return
    ax.vlines(x, low, high, color=BLACK, lw=width, zorder=4)
    if cap:
        ax.hlines([low, high], x - cap, x + cap, color=BLACK, lw=width, zorder=4)


def _title(score: str) -> str:
    return SCORE_TITLES.get(score, score.replace("_", " ")).replace(" ", "\n")


def _legend_above(ax, handles) -> None:
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(4, len(handles)))
