"""What the cells of every chapter share: numbers as text, tables, and numbers that sentences refer to."""

from __future__ import annotations

import html
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from myst_nb import glue


def glue_all(prefix: str, numbers: Mapping[str, str]) -> None:
    """Give each text to the page's sentences, which refer to it as ``{glue:text}`prefix-name```."""
    for name, text in numbers.items():
        glue(f"{prefix}-{name}", str(text), display=False)


def number(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """A number with a true minus sign, or "undefined".

    Examples
    --------
    >>> number(-0.5), number(0.5, 1, signed=True), number(float("nan"))
    ('−0.50', '+0.5', 'undefined')
    """
    if not np.isfinite(value):
        return "undefined"
    return f"{value:{'+' if signed else ''}.{digits}f}".replace("-", "−")


def interval(
    value: float,
    low: float,
    high: float,
    digits: int = 2,
    *,
    sd: float | None = None,
    signed: bool = False,
    star: bool = False,
    line: str = " ",
) -> str:
    """An estimate and its interval; a mean over folds can be undefined where the interval of all test sets is not.

    Parameters
    ----------
    value, low, high : float
    digits : int
        After the point.
    sd : float, optional
        Standard deviation over folds, written after the estimate.
    signed : bool
        Whether numbers above zero have a plus sign.
    star : bool
        Whether a star marks an interval that leaves out 0.
    line : str
        Between estimate and interval; a line break in a cell of a table.

    Examples
    --------
    >>> interval(0.5, 0.4, 0.61), interval(0.5, 0.4, 0.61, sd=0.1)
    ('0.50 [0.40, 0.61]', '0.50 ± 0.10 [0.40, 0.61]')
    >>> print(interval(-0.05, -0.09, -0.01, signed=True, star=True, line="\\n"))
    −0.05 *
    [−0.09, −0.01]
    """
    if not np.isfinite([value, low]).any():
        return "undefined"
    text = number(value, digits, signed=signed)
    if sd is not None and np.isfinite(value):
        text += f" ± {number(sd, digits)}"
    if star and (low > 0 or high < 0):
        text += " *"
    ends = [number(end, digits, signed=signed) for end in (low, high)]
    return text + line + (f"[{', '.join(ends)}]" if np.isfinite(low) else "too few groups")


def estimate(one, **looks) -> str:
    """`interval` of an `ftirlib.report.uncertainty.Interval`."""
    return interval(one.estimate, one.low, one.high, **looks)


def spread(row) -> str:
    """Mean and standard deviation over folds, of a row of a table of scores."""
    return f"{row['mean']:.2f} ± {row['sd']:.2f}"


def span(row) -> str:
    """Interval over groups, of a row of a table of scores."""
    return f"{row['low']:.2f} to {row['high']:.2f}"


def score_cell(row) -> str:
    """A score of a table: mean and standard deviation over folds, and the interval over groups below."""
    return interval(row["mean"], row["low"], row["high"], sd=row["sd"], line="\n")


def wide_scores(table: pd.DataFrame, scores, titles) -> pd.DataFrame:
    """A tidy table of scores with a row per model and a column per score."""
    table = table[table.score.isin(scores)]
    table = table.assign(text=[score_cell(row) for row in table.to_dict("records")])
    wide = table.pivot(index="model", columns="score", values="text").rename_axis(None).rename_axis(None, axis=1)
    order = list(dict.fromkeys(table.model))
    return wide.loc[order, [score for score in scores if score in wide]].rename(columns=titles)


def shown(frame: pd.DataFrame, *, index: bool = False, caption: str | None = None, **numbers):
    """A frame as a page shows it: names are escaped, and a cell of several lines keeps them.

    Parameters
    ----------
    frame : DataFrame
    index : bool
        Whether row names are shown.
    caption : str, optional
    **numbers
        How numbers are written, as in `pandas.io.formats.style.Styler.format`.
    """
    style = frame.style.format(escape="html", **numbers).format_index(escape="html", axis=1)
    style = style.format_index(escape="html", axis=0) if index else style.hide(axis="index")
    lines = [name for name in frame if frame[name].map(lambda cell: "\n" in str(cell)).any()]
    if lines:
        style = style.set_properties(subset=lines, **{"white-space": "pre"})
    return style.set_caption(html.escape(caption, quote=False)) if caption else style


def say(ax: Axes, text: str) -> Axes:
    """Write a sentence in place of a picture."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", wrap=True)
    return ax
