"""Tables of scores as pages show them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd


def wide_scores(table: pd.DataFrame, scores, titles) -> pd.DataFrame:
    """The tidy table as a page shows it: a row per model, "mean ± sd" and "[low, high]" per score."""
    table = table[table.score.isin(scores)].copy()
    table["text"] = [_score_text(row) for row in table.to_dict("records")]
    wide = table.pivot(index="model", columns="score", values="text").rename_axis(None).rename_axis(None, axis=1)
    order = list(dict.fromkeys(table.model))
    return wide.loc[order, [s for s in scores if s in wide]].rename(columns=titles)


def _score_text(row: dict) -> str:
    mean = f"{row['mean']:.2f} ± {row['sd']:.2f}" if np.isfinite(row["mean"]) else "undefined"
    text = f"{mean}\n[{row['low']:.2f}, {row['high']:.2f}]" if np.isfinite(row["low"]) else mean
    return text.replace("-", "−")


def with_target(table: pd.DataFrame) -> pd.DataFrame:
    """The tidy table with the target in the model's name: "CP-0.2 (L)" against labels, "(M)" the ensemble."""
    return table.assign(model=table.model + table.target.map({"labels": " (L)", "ensemble": " (M)"}))


def interval_cell(value: float, low: float, high: float, digits: int = 2) -> str:
    """An estimate over its interval, two lines of one cell; "undefined" where there is none.

    Examples
    --------
    >>> print(interval_cell(0.5, 0.4, 0.61))
    0.50
    [0.40, 0.61]
    """
    if not np.isfinite(value):
        return "undefined"
    between = f"[{low:.{digits}f}, {high:.{digits}f}]" if np.isfinite(low) else "too few groups"
    return f"{value:.{digits}f}\n{between}"


def difference_cell(value: float, low: float, high: float, digits: int = 2) -> str:
    """A difference over its interval, with a star where the interval leaves out 0.

    Examples
    --------
    >>> print(difference_cell(0.05, 0.01, 0.09))
    +0.05 *
    [+0.01, +0.09]
    """
    if not np.isfinite(value):
        return "undefined"
    star = " *" if low > 0 or high < 0 else ""
    return f"{value:+.{digits}f}{star}\n[{low:+.{digits}f}, {high:+.{digits}f}]"


def cells(frame: pd.DataFrame, index: bool = False):
    """A frame of such cells as a page shows it: lines kept as they are, and nothing wrapped."""
    shown = frame.style.set_properties(**{"white-space": "pre"})
    return shown if index else shown.hide(axis="index")


def best(table: pd.DataFrame, score: str, models: Callable[[str], bool] = lambda name: True) -> pd.Series:
    """The row of the model with the highest mean of a score against the labels."""
    rows = table[(table.score == score) & (table.target == "labels") & table.model.map(models)]
    return rows.loc[rows["mean"].idxmax()]


def value_of(table: pd.DataFrame, model: str, score: str, target: str = "labels") -> pd.Series:
    """The row of one score of one model."""
    rows = table[(table.model == model) & (table.score == score) & (table.target == target)]
    return rows.iloc[0]
