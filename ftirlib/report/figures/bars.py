"""Scores, confusions and folds as bars.

Bars after Figure 2 of Hartigan, Azevedo & Liò, with the majority class and a bootstrap over patients beside them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from ftirlib.errors import DataError
from ftirlib.report.figures.style import BLACK, GREY, class_marks, legend_above, literal, one_name_each
from ftirlib.report.scores import LOWER_IS_BETTER, SCORE_TITLES

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
        One row per model and score, columns ``model, score, mean, sd, low, high, majority``. NaN is not drawn;
        a mean that is NaN is marked "undefined".
    scores : sequence of str
        Scores from left to right; known names get their titles.
    models : sequence of str, optional
        Models from left to right; default: all, in the order of the table.

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
            ax.hlines(majority, i - 0.46, i + 0.46, color=BLACK, ls=(0, (4, 2)), lw=1.3, zorder=3, clip_on=False)
    ax.set_xticks(range(len(scores)), [_title(score) for score in scores])
    ax.set_xlim(-0.5, len(scores) - 0.5)
    ax.set_ylim(min(0, ax.get_ylim()[0]), max(1, ax.get_ylim()[1]))
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel("Score")
    handles = [Patch(fc=m.colour, ec="white", hatch=m.hatch, label=name) for name, m in zip(models, marks)]
    handles += [
        Line2D([], [], color=BLACK, lw=2.2, label="± 1 SD over folds"),
        Line2D([], [], color=BLACK, lw=1.1, marker="_", ms=7, label="bootstrap interval"),
        Line2D([], [], color=BLACK, lw=1.3, ls=(0, (4, 2)), label="majority class"),
    ]
    legend_above(ax, handles, n_columns=3 if len(handles) <= 9 else 4)
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
    ax.set_anchor("SW")  # the layout then sees how far the names reach
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
        ax.barh(
            y, bars, left=left, height=0.7, fc=mark.colour, ec="white", hatch=mark.hatch, lw=0.8, label=literal(name)
        )
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
    legend_above(ax, ax.get_legend_handles_labels()[0], n_columns=4)
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
    title = SCORE_TITLES.get(score, score.replace("_", " ")).replace(" ", "\n")
    return f"{title}\n(low is good)" if score in LOWER_IS_BETTER else title
