"""One look for every figure: colours that survive colour blindness and grey print, letters a phone can show.

Colours of Okabe & Ito 2008 (Color Universal Design); wavenumbers run from high to low, as the field draws them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ftirlib.errors import DataError

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE = "#5F5F5F", "#E6E6E6"

WAVENUMBER_LABEL = "Wavenumber / cm$^{-1}$"
WIDTH = 7.0  # inches: 700 pixels of a page at 100 to the inch
STYLE = {
    "figure.figsize": [WIDTH, 4.2],
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
    "font.size": 12,
    "axes.titlesize": 12.5,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=[BLUE, ORANGE, VERMILLION, SKY, GREEN, PURPLE, BLACK]),
    "lines.linewidth": 1.6,
    "hatch.linewidth": 0.6,
    "image.interpolation": "nearest",
    "image.cmap": "cividis",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}

# Classes come in order of severity: cold colours to warm ones, as far apart as their number allows.
_RAMPS = {1: [BLUE], 2: [BLUE, VERMILLION], 3: [BLUE, ORANGE, VERMILLION]}
_LONG = [BLUE, SKY, ORANGE, VERMILLION, GREEN, PURPLE, BLACK, YELLOW]
_LINES = ["-", (0, (5, 1.5)), "-.", (0, (1, 1)), (0, (4, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (2, 2))]
_MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">"]
_HATCHES = ["", "//", "...", "\\\\", "xx", "--", "oo", "++", "||"]


@dataclass(frozen=True)
class Mark:
    """Look of one of several classes: colour and, for readers who see none, shape."""

    colour: str
    linestyle: str | tuple
    marker: str
    hatch: str


def use_style() -> None:
    """Set the project's look for all figures made from here on; `STYLE` fits ``matplotlib.rc_context`` as well."""
    plt.rcParams.update(STYLE)


def class_colours(n: int) -> list[str]:
    """Colours of `n` classes by position, cold for the first and warm for the last of up to four.

    After eight they repeat; `class_marks` then still tells them apart by line, marker and hatch.

    Examples
    --------
    >>> class_colours(2)
    ['#0072B2', '#D55E00']
    """
    ramp = _RAMPS.get(n, _LONG)
    return [ramp[k % len(ramp)] for k in range(n)]


def class_marks(n: int) -> list[Mark]:
    """Colour, line style, marker and hatch of `n` classes by position; the cycles are of unlike length."""
    return [
        Mark(colour, _LINES[k % len(_LINES)], _MARKERS[k % len(_MARKERS)], _HATCHES[k % len(_HATCHES)])
        for k, colour in enumerate(class_colours(n))
    ]


def publish(figure: Figure, path_stem: str | os.PathLike) -> tuple[Path, Path]:
    """Save a figure as SVG and PDF whose bytes depend on nothing but the drawing.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path_stem : path without extension
        Its folder is made when it does not exist.

    Returns
    -------
    tuple of Path
        The SVG and the PDF.
    """
    stem = Path(path_stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    svg, pdf = (stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "pdf"))
    # Two drawings of one figure would differ by their date and by a random salt of their identifiers.
    with matplotlib.rc_context({"svg.hashsalt": stem.name}):
        figure.savefig(svg, metadata={"Date": None})
        figure.savefig(pdf, metadata={"CreationDate": None})
    return svg, pdf


def wavenumber_axis(ax: Axes, wavenumber) -> np.ndarray:
    """Label the x axis, run it from high to low over the data's range, and return the wavenumbers as float64."""
    wavenumber = np.asarray(wavenumber, np.float64)
    if wavenumber.ndim != 1 or len(wavenumber) < 2:
        raise DataError(f"wavenumbers have shape {wavenumber.shape}; a spectrum needs a list of at least two.")
    ax.set_xlim(wavenumber.max(), wavenumber.min())
    ax.set_xlabel(WAVENUMBER_LABEL)
    return wavenumber


def rows_like(values, wavenumber, what: str) -> np.ndarray:
    """`values` as (n, n_wavenumbers) float64; a single spectrum becomes one row."""
    values = np.atleast_2d(np.asarray(values, np.float64))
    if values.ndim != 2 or values.shape[1] != len(wavenumber):
        raise DataError(f"{what} has shape {values.shape} for {len(wavenumber)} wavenumbers; give one value for each.")
    return values


def literal(name) -> str:
    """A name of the data as figures write it: its dollar signs begin no mathematics.

    Examples
    --------
    >>> print(literal("A$1$"))
    A\\$1\\$
    """
    return str(name).replace("$", r"\$")


def one_name_each(names, n: int, what: str) -> list[str]:
    """Names as figures write them, refused unless there is one for each of `n` things."""
    names = [literal(name) for name in names]
    if len(names) != n:
        raise DataError(f"there are {len(names)} names for {n} {what}; give one name each.")
    return names


def legend_above(ax: Axes, handles, *, n_columns: int) -> None:
    """Put the legend over the axes, where it hides nothing, in as many columns (up to `n_columns`) as there is room."""
    spec = ax.get_subplotspec()
    room = ax.figure.bbox.width / (spec.get_gridspec().ncols if spec else 1)
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    for n in range(min(n_columns, len(handles)), 0, -1):
        legend = ax.legend(
            handles=handles, ncols=n, columnspacing=1.3, handlelength=1.7, handletextpad=0.5, borderpad=0.2, **place
        )
        if legend.get_window_extent().width <= room:
            return


def shuffled_slices(n: int, n_slices: int = 8) -> Iterator[np.ndarray]:
    """Row numbers 0..n-1 in a fixed random order, in slices, so that no class is drawn wholly on top of another."""
    yield from np.array_split(np.random.default_rng(0).permutation(n), n_slices)
