"""Deletion and insertion curves: how the explained label's probability goes and comes back.

After the curves of Petsiuk, Das & Saenko (2018), arXiv:1806.07421.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from ftirlib.errors import DataError
from ftirlib.report.figures.style import GREY, class_marks

WHAT = {"deleted": "Share of wavenumbers deleted", "inserted": "Share of wavenumbers inserted"}


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
    if what not in WHAT:
        raise DataError(f"what={what!r} is unknown; curves are of wavenumbers {' or '.join(WHAT)}.")
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
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=WHAT[what], ylabel="Probability of the explained label")
    ax.legend()
    return ax


def _along(share, values, what: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.shape != share.shape:
        raise DataError(f"{what} has shape {values.shape} for {share.size} shares; give one probability for each.")
    return values
