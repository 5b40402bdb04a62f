"""Spectra and the weights that explain them, drawn over wavenumbers from high to low.

Context spectra after Figure 3d of Hartigan, Azevedo & Liò.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from ftirlib.errors import DataError
from ftirlib.report.figures.style import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    VERMILLION,
    class_marks,
    legend_above,
    one_name_each,
    rows_like,
    wavenumber_axis,
)


def draw_mean_spectra(ax: Axes, wavenumber, means, sds=None, names: Sequence[str] = (), *, bands=()) -> Axes:
    """Draw mean spectra as lines, each with a band of one standard deviation.

    Parameters
    ----------
    ax : Axes
    wavenumber : (n_wavenumbers,) cm-1, any order
    means : (n, n_wavenumbers) array
    sds : (n, n_wavenumbers) array, optional
    names : sequence of str
        One for each mean, or none for no legend.
    bands : sequence of Band or of (wavenumber, text)
        Marked by a thin line and their text; of a Band, its assignment up to the first comma.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Arrays or names that do not fit each other.
    """
    wavenumber = wavenumber_axis(ax, wavenumber)
    means = rows_like(means, wavenumber, "means")
    sds = None if sds is None else rows_like(sds, wavenumber, "sds")
    if sds is not None and sds.shape != means.shape:
        raise DataError(f"means have shape {means.shape} and sds {sds.shape}; give one spread per mean.")
    labels = one_name_each(names, len(means), "spectra") if len(names) else [None] * len(means)
    for k, (mean, mark, label) in enumerate(zip(means, class_marks(len(means)), labels)):
        if sds is not None:
            ax.fill_between(wavenumber, mean - sds[k], mean + sds[k], color=mark.colour, alpha=0.18, lw=0)
        ax.plot(wavenumber, mean, color=mark.colour, ls=mark.linestyle, label=label)
    ax.set_ylabel("Absorbance")
    if len(names):
        _legend(ax)
    _mark_bands([ax], bands)
    return ax


def draw_context_spectra(
    axes: Sequence[Axes], wavenumber, mean_spectra, mean_weights, names: Sequence[str], *, bands=()
) -> Sequence[Axes]:
    """Draw mean spectra of contexts above, and their mean LIME weights below (Figure 3d).

    Parameters
    ----------
    axes : two Axes, one above the other
        As from ``figure.subplots(2, 1, sharex=True)``.
    wavenumber : (n_wavenumbers,) cm-1, any order
    mean_spectra, mean_weights : (n_contexts, n_wavenumbers) array
    names : sequence of str
        One for each context.
    bands : sequence of Band or of (wavenumber, text)
        Marked as in `draw_mean_spectra`, through both axes.

    Returns
    -------
    The two Axes.

    Raises
    ------
    DataError
        Arrays or names that do not fit each other, or not two Axes.
    """
    axes = list(np.ravel(axes))
    if len(axes) != 2:
        raise DataError(f"{len(axes)} axes were given; context spectra need two, one above the other.")
    above, below = axes
    spectra = rows_like(mean_spectra, wavenumber, "mean_spectra")
    weights = rows_like(mean_weights, wavenumber, "mean_weights")
    if spectra.shape != weights.shape:
        raise DataError(f"mean spectra have shape {spectra.shape} and mean weights {weights.shape}; give both of each.")
    names = one_name_each(names, len(spectra), "contexts")
    for ax, rows in ((above, spectra), (below, weights)):
        x = wavenumber_axis(ax, wavenumber)
        for row, mark, name in zip(rows, class_marks(len(names)), names):
            ax.plot(x, row, color=mark.colour, ls=mark.linestyle, label=name, lw=1.4)
    below.axhline(0, color=GREY, lw=0.8, zorder=1)
    above.set_xlabel("")
    above.set_ylabel("Mean absorbance")
    below.set_ylabel("Mean LIME weight")
    _legend(above)
    _mark_bands(axes, bands)
    return axes


def draw_attribution(
    ax: Axes, wavenumber, weights, spectrum=None, *, standard_error=None, planted=None, label: str = "weight"
) -> Axes:
    """Draw the weights that explain a prediction, for and against, with the spectrum behind them.

    Parameters
    ----------
    ax : Axes
    wavenumber : (n_wavenumbers,) cm-1, any order
    weights : (n_wavenumbers,) array
        Filled to the zero line: blue for the class; vermillion, hatched, against it.
    spectrum : (n_wavenumbers,) array, optional
        Drawn in grey on a scale of its own, without ticks.
    standard_error : (n_wavenumbers,) array, optional
        Of the weights: a grey band.
    planted : (n_wavenumbers,) bool, optional
        Wavenumbers where a simulated difference lies: shaded.
    label : str
        Of the vertical axis.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Arrays that do not fit the wavenumbers, or a `planted` that is no mask.
    """
    x = wavenumber_axis(ax, wavenumber)
    order = np.argsort(x)
    x = x[order]
    weights = rows_like(weights, x, "weights")[0][order]
    if planted is not None:
        planted = np.asarray(planted)
        if planted.dtype != bool or planted.shape != x.shape:
            raise DataError(f"planted is {planted.dtype} of shape {planted.shape}; give one bool per wavenumber.")
        across = blended_transform_factory(ax.transData, ax.transAxes)
        ax.fill_between(
            x, 0, 1, where=planted[order], color=PALE, lw=0, transform=across, zorder=0, label="planted bands"
        )
    ax.fill_between(x, 0, weights.clip(min=0), color=BLUE, lw=0, label="for the class")
    ax.fill_between(x, 0, weights.clip(max=0), fc=VERMILLION, ec="white", hatch="//", lw=0, label="against it")
    ax.axhline(0, color=BLACK, lw=0.8)
    if standard_error is not None:
        error = rows_like(standard_error, x, "standard_error")[0][order]
        ax.fill_between(x, weights - error, weights + error, color=BLACK, alpha=0.3, lw=0, label="± 1 standard error")
    ax.set_ylabel(label[:1].upper() + label[1:])
    handles, _ = ax.get_legend_handles_labels()
    if spectrum is not None:
        other = ax.twinx()
        shape = rows_like(spectrum, x, "spectrum")[0][order]
        handles += other.plot(x, shape, color=GREY, lw=1.4, label="spectrum (own scale)")
        other.set_yticks([])
        other.spines[:].set_visible(False)
    legend_above(ax, handles, n_columns=3)
    return ax


def _legend(ax: Axes) -> None:
    """On white, for lines may run behind it."""
    ax.legend(frameon=True, edgecolor="none", facecolor="white", framealpha=0.85)


def _mark_bands(axes: Sequence[Axes], bands) -> None:
    """A dotted line at each band through all axes; its text, upright, along the top of the first."""
    left, right = sorted(axes[0].get_xlim())
    for band in bands:
        centre, text = (band.centre, band.assignment.split(",")[0]) if hasattr(band, "centre") else band
        if not left <= centre <= right:
            continue
        for ax in axes:
            ax.axvline(centre, color=GREY, lw=0.8, ls=(0, (1, 2)), zorder=0)
        axes[0].annotate(
            f"{text} {centre:.0f}",
            (centre, 1.0),
            xycoords=axes[0].get_xaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=9,
            color=GREY,
        )
