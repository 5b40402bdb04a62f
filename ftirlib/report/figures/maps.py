"""Images of tissue: false colour with marked pixels, and maps of classes.

After Figures 4b and 4c of Hartigan, Azevedo & Liò.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch
from matplotlib.transforms import offset_copy
from scipy import ndimage

from ftirlib.errors import DataError
from ftirlib.report.figures.contexts import context_marks
from ftirlib.report.figures.names import write_names
from ftirlib.report.figures.style import BLACK, GREY, PALE, VERMILLION, class_marks, literal


def draw_image(
    ax: Axes,
    picture,
    *,
    pixel_size_um: float = float("nan"),
    mark=None,
    mark_name: str = "marked",
    circles: bool = True,
    colour_name: str = "",
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw a false-colour image, and dots on marked pixels with a circle round each cluster of them (Figure 4b).

    Parameters
    ----------
    ax : Axes
    picture : (n_rows, n_cols) or (n_rows, n_cols, 3) array
        One value a pixel (NaN where there is none), or red, green and blue from 0 to 1.
    pixel_size_um : float
        Width of a pixel in um, for the scale bar; NaN: no bar.
    mark : (n_rows, n_cols) bool, optional
        Pixels to point at.
    mark_name : str
        Name of the marked pixels in the legend.
    circles : bool
        Circles round marked pixels that lie within two pixels of each other.
    colour_name : str
        Meaning of the colour; without it there is no colour bar.
    limits : (low, high), optional
        Values at the two ends of the colours; default: the smallest and the largest there are.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        A picture that is none, or marks of another shape.
    """
    picture = np.asarray(picture, np.float64)
    if picture.ndim not in (2, 3) or not picture.size or (picture.ndim == 3 and picture.shape[2] != 3):
        raise DataError(f"the picture has shape {picture.shape}; give (rows, columns) or (rows, columns, 3).")
    ax.set_facecolor(PALE)
    low, high = limits or (None, None)
    image = ax.imshow(picture, cmap="cividis", interpolation="nearest", vmin=low, vmax=high)
    if colour_name and picture.ndim == 2:
        ax.figure.colorbar(image, ax=ax, label=colour_name, shrink=0.8)
    if mark is not None:
        mark = np.asarray(mark)
        if mark.dtype != bool or mark.shape != picture.shape[:2]:
            raise DataError(
                f"mark is {mark.dtype} {mark.shape}; the picture {picture.shape[:2]} needs a bool for each."
            )
        rows, cols = np.nonzero(mark)
        ax.plot(cols, rows, ls="", marker="o", ms=3.2, mfc=VERMILLION, mec="white", mew=0.5)
        for column, row, radius in _clusters(mark) if circles else []:
            circle = Circle((column, row), radius, fill=False, ec=VERMILLION, lw=1.8)
            circle.set_path_effects([patheffects.withStroke(linewidth=3.4, foreground="white")])
            ax.add_artist(circle)  # a patch would widen the axes to hold it, and the picture would shrink
        dot = Line2D(
            [], [], ls="", marker="o", ms=6, mfc=VERMILLION, mec="white", label=f"{mark_name} ({mark.sum():,} pixels)"
        )
        _legend_below(ax, [dot], pixel_size_um)
    _bare(ax, picture.shape[1], pixel_size_um)
    return ax


def draw_class_map(
    ax: Axes,
    codes,
    names: Sequence[str],
    *,
    background: str = "background",
    pixel_size_um: float = float("nan"),
    legend: bool = True,
) -> Axes:
    """Draw the class of every pixel: labels, predictions or the truth of a simulated sample (Figure 4c).

    Parameters
    ----------
    ax : Axes
    codes : (n_rows, n_cols) array
        Position in `names`; negative or NaN is background.
    names : sequence of str
    background : str
        Name of the background in the legend.
    pixel_size_um : float
        Width of a pixel in um, for the scale bar; NaN: no bar.
    legend : bool
        Whether to draw one; it names all classes, so that maps side by side have the same.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Codes that are no picture, no whole numbers, or beyond the names.
    """
    codes = _whole_numbers(codes, len(names), "names")
    marks = class_marks(len(names))
    ax.imshow(
        codes,
        cmap=ListedColormap([PALE, *(mark.colour for mark in marks)]),
        vmin=-1.5,
        vmax=len(names) - 0.5,
        interpolation="nearest",
    )
    for k in np.unique(codes[codes >= 0]).astype(int):  # hatches keep apart in grey what colour keeps apart on a screen
        if marks[k].hatch and codes.shape[0] > 1 and codes.shape[1] > 1:
            field = ax.contourf((codes == k).astype(float), levels=[0.5, 1.5], colors="none", hatches=[marks[k].hatch])
            field.set(edgecolor="white", linewidth=0, rasterized=True)
    if legend:
        named = class_legend(names, background=background if (codes < 0).any() else "")
        _legend_below(ax, named["handles"], pixel_size_um)
    _bare(ax, codes.shape[1], pixel_size_um)
    return ax


def draw_context_map(ax: Axes, numbers, n_contexts: int, *, pixel_size_um: float = float("nan")) -> Axes:
    """Draw the context of every pixel, in the colours that contexts have on the latent map.

    The number of a context is written once, on that of its pixels which lies nearest to their middle (or beside it,
    where numbers would overlap), where it holds at least a twentieth of the picture's pixels.

    Parameters
    ----------
    ax : Axes
    numbers : (n_rows, n_cols) array
        Context from 0; negative or NaN is background.
    n_contexts : int
    pixel_size_um : float
        Width of a pixel in um, for the scale bar; NaN: no bar.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Numbers that are no picture, no whole numbers, or beyond the number of contexts.
    """
    numbers = _whole_numbers(numbers, n_contexts, "contexts")
    colours = context_marks(n_contexts)[0]
    options = {"vmin": -1.5, "vmax": n_contexts - 0.5, "interpolation": "nearest"}
    ax.imshow(numbers, cmap=ListedColormap([PALE, *colours]), **options)
    present, counts = np.unique(numbers[numbers >= 0].astype(int), return_counts=True)
    write_names(ax, [(str(k), np.argwhere(numbers == k)[:, ::-1]) for k in present[counts >= counts.sum() / 20]])
    _bare(ax, numbers.shape[1], pixel_size_um)
    return ax


def draw_tissue(
    axes: Sequence[Axes],
    *,
    predicted,
    confidence,
    context,
    names: Sequence[str],
    n_contexts: int,
    truth=None,
    pixel_size_um: float = float("nan"),
    title: str = "",
) -> None:
    """Draw an image as its prediction, the confidence, the contexts and, where it is known, the truth.

    Parameters
    ----------
    axes : sequence of three Axes, or four with `truth`
    predicted, truth : (n_rows, n_cols) array
        Position in `names`; negative is background.
    confidence : (n_rows, n_cols) array
        Share of the votes for the prediction, 0 to 1; NaN is background.
    context : (n_rows, n_cols) array
        Context from 0; negative is background.
    names : sequence of str
    n_contexts : int
    pixel_size_um : float
        Width of a pixel in um, for the scale bar of the first panel; NaN: no bar.
    title : str
        Of the image, written at its left.

    Raises
    ------
    DataError
        Another number of axes than of panels, pictures of different shape, or codes beyond their names.
    """
    pictures = [np.asarray(p) for p in (predicted, confidence, context, truth) if p is not None]
    if len(axes) != len(pictures) or len({p.shape for p in pictures}) > 1:
        raise DataError(
            f"{len(pictures)} pictures of shapes {[p.shape for p in pictures]} do not fit {len(axes)} axes; give one "
            "Axes each, and pictures of one shape."
        )
    draw_class_map(axes[0], predicted, names, pixel_size_um=pixel_size_um, legend=False)
    draw_image(axes[1], confidence, limits=(0, 1))
    draw_context_map(axes[2], context, n_contexts)
    if truth is not None:
        draw_class_map(axes[3], truth, names, legend=False)
    axes[0].set_ylabel(literal(title))


def class_legend(names: Sequence[str], *, background: str = "background") -> dict:
    """Handles that name classes as `draw_class_map` draws them, for one legend under several maps.

    Parameters
    ----------
    names : sequence of str
    background : str
        Name of pixels of no class; empty: left out.

    Returns
    -------
    dict
        For ``figure.legend(**class_legend(names), loc="outside lower center", ncols=5)``.
    """
    marks = class_marks(len(names))
    handles = [Patch(fc=m.colour, ec="white", hatch=m.hatch, label=literal(name)) for name, m in zip(names, marks)]
    if background:
        handles.append(Patch(fc=PALE, ec=GREY, lw=0.6, label=background))
    return {"handles": handles}


def _whole_numbers(codes, n: int, what: str) -> np.ndarray:
    """Positions in `n` things as float64 pixels, -1 for background; anything else is refused."""
    codes = np.asarray(codes, np.float64)
    if codes.ndim != 2 or not codes.size:
        raise DataError(f"the map of {what} has shape {codes.shape}; give (rows, columns).")
    codes = np.where(np.isnan(codes), -1, codes)
    if (codes != np.round(codes)).any() or codes.max() >= n:
        raise DataError(f"codes {codes.min():g}..{codes.max():g} are not all positions in the {n} {what}.")
    return np.clip(codes, -1, None)


def _clusters(mark) -> list[tuple[float, float, float]]:
    """Centre (column, row) and radius of a circle round each cluster of marked pixels, all in pixels."""
    groups, n = ndimage.label(ndimage.binary_dilation(mark, iterations=2), structure=np.ones((3, 3)))
    circles = []
    for k in range(1, n + 1):
        rows, cols = np.nonzero(mark & (groups == k))
        row, column = (rows.min() + rows.max()) / 2, (cols.min() + cols.max()) / 2
        circles.append((column, row, np.hypot(rows - row, cols - column).max() + 1.6))
    return circles


def _legend_below(ax, handles, pixel_size_um: float) -> None:
    """Legend under the picture, and under its scale bar where there is one: a title can have the top."""
    away = 0.4 if np.isnan(pixel_size_um) else 1.9  # in letters' heights
    options = {"columnspacing": 1.3, "handlelength": 1.5, "handletextpad": 0.5, "borderpad": 0}
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, 0), borderaxespad=away, ncols=2, **options)


def _bare(ax, n_cols: int, pixel_size_um: float) -> None:
    """No ticks and no frame; a scale bar of a round length below the picture."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_anchor("S")  # the layout then sees how far below the picture things reach
    if np.isnan(pixel_size_um):
        return
    longest = n_cols * pixel_size_um / 3
    step = 10.0 ** np.floor(np.log10(longest))
    length = max(k * step for k in (1, 2, 5) if k * step <= longest)
    share = length / (n_cols * pixel_size_um)
    below = offset_copy(ax.transAxes, ax.figure, y=-9, units="points")
    arrow = {"arrowstyle": "-", "lw": 3, "color": BLACK, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (0, 0), (share, 0), xycoords=below, textcoords=below, arrowprops=arrow)
    ax.annotate(f"{length:g} µm", (share, 0), (6, 0), xycoords=below, textcoords="offset points", va="center")
