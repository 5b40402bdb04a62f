"""The network as a drawing, made from the layer table of the live model so that it cannot disagree with it.

After Figure 1 of Hartigan, Azevedo & Liò.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from ftirlib.errors import DataError
from ftirlib.report.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION

COLUMNS = ("step", "layer", "output", "parameters")
_COLOURS = {"head": SKY, "skip": GREY, "join": BLACK, "core": BLUE, "dense": GREEN, "output": VERMILLION}
_PARALLEL = ("head", "skip")  # read the input side by side
BRANCH = 2.1  # height of the boxes that stand side by side, in units of a step's box
GAP = 0.34  # between boxes, likewise


def draw_architecture(ax: Axes, layer_rows) -> Axes:
    """Draw a network from top to bottom: branches that read the input side by side, then one step under the other.

    Parameters
    ----------
    ax : Axes
        About 7 inches wide and 0.65 inches high for each step.
    layer_rows : DataFrame or sequence of mapping
        Columns or keys ``step``, ``layer``, ``output`` and ``parameters``, in the order of the data's flow, as the
        layer table of the network gives them. Steps named "head ..." and "skip ..." stand side by side. Rows without
        an output are no steps (sums, layers that are never called) and are written below the drawing.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        A row lacks one of the keys, or there is no step.
    """
    rows = _rows(layer_rows)
    steps = [row for row in rows if row["output"]]
    notes = [row for row in rows if not row["output"]]
    branches = [row for row in steps if _kind(row) in _PARALLEL]
    trunk = [row for row in steps if _kind(row) not in _PARALLEL]
    if not steps:
        raise DataError("the layer table has no row with an output; pass the layer table of a network.")
    top = 0.0
    levels = []  # (centre x of each box, y of the upper edge, height)
    if branches:
        width = 1 / len(branches)
        for k, row in enumerate(branches):
            lines = [row["step"], *_wrap(row["layer"]), row["output"], _count(row)]
            _box(ax, (k + 0.5) * width, top, 0.92 * width, BRANCH, lines, row)
        levels.append(([(k + 0.5) * width for k in range(len(branches))], top, BRANCH))
        top -= BRANCH + 2 * GAP
    for row in trunk:
        _wide_box(ax, top, row)
        levels.append(([0.5], top, 1.0))
        top -= 1.0 + GAP
    for (above, upper, height), (below, lower, _) in pairwise(levels):
        for x in above:
            _arrow(ax, (x, upper - height), (x if len(above) > 1 else below[0], lower))
    for row in notes:
        text = f"{row['step']}: {row['layer']}" if row["layer"] else row["step"]
        ax.text(0.015, top - 0.1, text, ha="left", va="top", fontsize=11, color=BLACK)
        ax.text(0.985, top - 0.1, _count(row), ha="right", va="top", fontsize=11, color=BLACK)
        top -= 0.62
    ax.set(xlim=(0, 1), ylim=(top, 0.1))
    ax.set_axis_off()
    return ax


def _rows(layer_rows) -> list[dict]:
    if hasattr(layer_rows, "to_dict"):
        layer_rows = layer_rows.to_dict("records")
    rows = []
    for row in layer_rows:
        if not isinstance(row, Mapping) or (missing := [key for key in COLUMNS if key not in row]):
            missing = missing if isinstance(row, Mapping) else COLUMNS
            raise DataError(f"a row of the layer table lacks {list(missing)}; it needs {list(COLUMNS)}.")
        rows.append({key: str(row[key]) if key != "parameters" else int(row[key]) for key in COLUMNS})
    return rows


def _kind(row) -> str:
    return row["step"].split(" ")[0]


def _number(row) -> str:
    return f"{row['parameters']:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _count(row) -> str:
    return f"{_number(row)} parameters" if row["parameters"] else "no parameters"


def _wrap(layer: str) -> Iterable[str]:
    """One module a line: a comma outside brackets ends it."""
    depth, line = 0, ""
    for character in layer:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            yield line.strip()
            line = ""
        else:
            line += character
    yield line.strip()


def _box(ax, x, y, width, height, lines, row) -> None:
    _frame(ax, x - width / 2, y, width, height, row)
    bold = [True] + [False] * (len(lines) - 1)
    for k, (line, heavy) in enumerate(zip(lines, bold)):
        place = y - height * (k + 0.6) / (len(lines) + 0.2)
        ax.text(x, place, line, ha="center", va="center", fontsize=10.8, weight="bold" if heavy else "normal")


def _wide_box(ax, y, row) -> None:
    _frame(ax, 0.004, y, 0.992, 1.0, row)
    ax.text(0.03, y - 0.5, row["step"], ha="left", va="center", fontsize=11.5, weight="bold")
    ax.text(0.17, y - 0.29, row["layer"], ha="left", va="center", fontsize=11.5)
    ax.text(0.17, y - 0.72, row["output"], ha="left", va="center", fontsize=11, color=GREY)
    ax.text(0.97, y - 0.72, _count(row), ha="right", va="center", fontsize=11, color=GREY)


def _frame(ax, left, y, width, height, row) -> None:
    colour = _COLOURS.get(_kind(row), ORANGE if row["parameters"] else PURPLE)
    style = "round,pad=0,rounding_size=0.012"
    ax.add_patch(
        FancyBboxPatch(
            (left, y - height), width, height, boxstyle=style, mutation_aspect=8, fc="white", ec=colour, lw=1.8
        )
    )


def _arrow(ax, start, end) -> None:
    ax.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": BLACK, "lw": 1.0})
