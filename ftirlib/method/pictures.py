"""A picture of each image of newly predicted spectra: class, share of the votes, and contexts where there are any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.spectra.model import UNKNOWN, as_image


def draw_predictions(
    folder: Path,
    prepared: xr.Dataset,
    arrays: Mapping[str, np.ndarray],
    *,
    class_names: Sequence[str],
    n_contexts: int,
    advance: Callable[[], None],
) -> None:
    """Draw every image that has predicted pixels to a PNG file named after its number and its name.

    Parameters
    ----------
    folder : path
    prepared : Dataset
        The spectra that were predicted: pixels, where each lies.
    arrays : mapping of (n_spectra,) arrays
        As `ftirlib.method.predict.predict_store` writes them; without ``context`` no contexts are drawn.
    class_names : sequence of str
    n_contexts : int
        Of the model, so that a colour is the same context in every picture.
    advance : callable
        Called after each picture.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    from ftirlib.report.figures import draw_class_map, draw_image, use_style

    use_style()
    size = float(prepared.attrs["pixel_size_um"])
    shown = {"share of the votes": arrays["votes"].max(axis=1)}
    if "context" in arrays:
        shown["most similar context, linear model"] = _known(arrays["linear_context"])
        shown["context of explained pixels"] = _known(arrays["context"])
    for image in np.unique(prepared.image.values):
        codes = as_image(prepared, int(image), arrays["predicted"].astype(int), fill=UNKNOWN)
        n_rows = (len(shown) + 2) // 2
        figure, axes = plt.subplots(n_rows, 2, figsize=(10, 5.2 * n_rows), layout="constrained")
        draw_class_map(axes.flat[0], codes, class_names, pixel_size_um=size, background="not used")
        axes.flat[0].set_title("predicted class")
        for ax, (title, values) in zip(axes.flat[1:], shown.items()):
            pixels = as_image(prepared, int(image), values, fill=np.nan)
            kind = "Share" if title.startswith("share") else "Context"
            if np.isnan(pixels).all():
                ax.set_axis_off()
                ax.text(0.5, 0.5, "no pixel of this image was explained", ha="center", transform=ax.transAxes)
                continue
            draw_image(ax, pixels, pixel_size_um=size, colour_name=kind).set_title(title)
            if kind == "Context":  # the same colours in both panels and in every image, at whole numbers
                drawn = ax.images[0]
                drawn.set_clim(0, max(n_contexts - 1, 1))
                drawn.colorbar.set_ticks(MaxNLocator(8, integer=True))
        name = str(prepared.attrs["image_names"][image])
        figure.suptitle(name)
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
        figure.savefig(folder / f"{image:04d}-{safe}.png", dpi=150)
        plt.close(figure)
        advance()


def _known(numbers: np.ndarray) -> np.ndarray:
    return np.where(numbers == UNKNOWN, np.nan, numbers)
