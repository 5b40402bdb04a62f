"""What a check of a data set shows as pictures: signal-to-noise ratios, tissue in each image, the batch test.

The permutation test is drawn as in Ojala & Garriga 2010 (JMLR 11, 1833): the shuffled scores and the true one.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from ftirlib.report.figures.style import BLUE, GREY, PALE, VERMILLION, legend_above


def draw_snr(ax: Axes, edges, counts, *, minimum: float) -> Axes:
    """Draw how many spectra have which signal-to-noise ratio, on a scale of decades.

    Parameters
    ----------
    ax : Axes
    edges : (n_bins + 1,) array
        The first and last may be infinite: their bins are drawn as wide as their neighbours.
    counts : (n_bins,) int
    minimum : float
        Marked by a line.

    Returns
    -------
    Axes
    """
    edges, counts = np.array(edges, np.float64), np.asarray(counts)
    edges[0] = edges[0] if np.isfinite(edges[0]) else edges[1] ** 2 / edges[2]
    edges[-1] = edges[-1] if np.isfinite(edges[-1]) else edges[-2] ** 2 / edges[-3]
    ax.stairs(counts, edges, fill=True, color=BLUE)
    line = ax.axvline(minimum, color=VERMILLION, ls="--", label=f"least usable, {minimum:g}")
    ax.set_xscale("log")
    held = np.flatnonzero(counts)
    if len(held):
        ax.set_xlim(min(edges[held[0]], minimum / 2), max(edges[held[-1] + 1], minimum * 2))
    ax.set_xlabel("Signal-to-noise ratio of amide I")
    ax.set_ylabel("Spectra")
    legend_above(ax, [line], n_columns=1)
    return ax


def draw_tissue_share(ax: Axes, share) -> Axes:
    """Draw the share of tissue of each image, ascending; `share` is (n_images,), NaN left out."""
    share = np.sort(np.asarray(share, np.float64)[np.isfinite(share)])
    ax.plot(np.arange(1, len(share) + 1), 100 * share, ".", color=BLUE)
    ax.set_ylim(-3, 103)
    ax.set_xlabel("Image, by its share")
    ax.set_ylabel("Tissue / %")
    return ax


def draw_batch_test(ax: Axes, accuracy: float, shuffled, shuffled_in_class) -> Axes:
    """Draw the accuracy at telling the batch, beside that of shuffled batches.

    Parameters
    ----------
    ax : Axes
    accuracy : float
    shuffled, shuffled_in_class : (n_permutations,) array

    Returns
    -------
    Axes
    """
    edges = np.linspace(0, 1, 41)
    handles = [
        ax.hist(shuffled, edges, color=PALE, ec=GREY, label="shuffled")[2],
        ax.hist(shuffled_in_class, edges, histtype="step", color=BLUE, lw=1.6, label="shuffled within classes")[2][0],
        ax.axvline(accuracy, color=VERMILLION, ls="--", label="as measured"),
    ]
    ax.set_xlim(0, 1)
    ax.set_xlabel("Balanced accuracy at telling the batch")
    ax.set_ylabel("Shuffles")
    legend_above(ax, handles, n_columns=3)
    return ax
