"""Names written on the points they stand for, beside one another where the points lie too close."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes

from ftirlib.report.figures.style import BLACK

FONT = 10  # points, as all lengths here
LETTER, LINE = 0.8 * FONT, 1.3 * FONT  # room that a bold letter takes, and a little: the layout is not yet final
RING = 7.0  # from one try to the next
MOST_RINGS = 12


def write_names(ax: Axes, named: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write each name on the middle one of its points; where another stands there, nearby and with a line.

    The axes must hold their points already, since room is measured on the page. Earlier names have the better places.

    Parameters
    ----------
    ax : Axes
    named : iterable of (name, points)
        Points (n, 2) in the coordinates of the axes, at least one for each name.
    """
    ax.autoscale_view()
    to_points = 72 / ax.figure.dpi
    low, high = np.asarray(ax.get_window_extent()) * to_points
    written = []  # middle and half the size of each
    for name, points in named:
        on_page = ax.transData.transform(points) * to_points
        middle = np.square(on_page - np.median(on_page, axis=0)).sum(axis=1).argmin()
        half = np.array([LETTER * len(name), LINE]) / 2
        inside = (p for p in _places(on_page[middle]) if (p - half > low).all() and (p + half < high).all())
        free = (place for place in inside if all((abs(place - p) > half + h).any() for p, h in written))
        place = next(free, on_page[middle])
        written.append((place, half))
        away = place - on_page[middle]
        line = {"arrowstyle": "-", "lw": 0.8, "color": BLACK, "shrinkA": 0.5 * FONT, "shrinkB": 0}
        text = ax.annotate(
            name,
            points[middle],
            away,
            textcoords="offset points",
            ha="center",
            va="center",
            weight="bold",
            fontsize=FONT,
            arrowprops=line if away.any() else None,
        )
        text.set_path_effects([patheffects.withStroke(linewidth=3, foreground="white")])


def _places(middle: np.ndarray) -> Iterator[np.ndarray]:
    """The middle, and places on wider and wider rings round it."""
    yield middle
    for ring in range(2, MOST_RINGS):
        for angle in np.linspace(0.5, 2.5, 12, endpoint=False) * np.pi:  # from above, leftwards
            yield middle + RING * ring * np.array([np.cos(angle), np.sin(angle)])
