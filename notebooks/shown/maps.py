"""Images of the test set pixel by pixel: prediction, confidence, context and, where it is known, the truth.

After Figure 4 of Hartigan et al. (paper A), for images chosen by rule.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ftirlib import method
from ftirlib.method import SHOWN, Run
from ftirlib.spectra.model import UNKNOWN, as_image, has_truth, read_absorbance
from shown.contexts import linear_model


@dataclass(frozen=True)
class TissueMaps:
    """What is known of each pixel of one image, all (rows, columns) of the image as it was measured.

    Attributes
    ----------
    title : str
        Name and label of the image.
    predicted : int
        The ensemble's class; -1 where no spectrum is used.
    confidence : float
        Share of the votes for it; NaN where no spectrum is used.
    context : int
        The most similar context of the linear model, which unlike the autoencoder's own needs no explanation of the
        pixel; -1 where no spectrum is used.
    truth : int or None
        True class of every pixel; -1 is background.
    pixel_size_um : float
    """

    title: str
    predicted: np.ndarray
    confidence: np.ndarray
    context: np.ndarray
    truth: np.ndarray | None
    pixel_size_um: float

    @property
    def panels(self) -> list[str]:
        """Titles of the pictures, from left to right."""
        return ["Prediction", "Share of votes", "Context", *(["Truth"] if self.truth is not None else [])]

    @property
    def pictures(self) -> dict:
        """What `ftirlib.report.figures.draw_tissue` is given of one image."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def shown_images(run: Run) -> list[int]:
    """The first image of each label in the shown fold's test set."""
    data, test = method.prepared_spectra(run), method.fold_rows(run)[SHOWN].test
    label, image = data.label.values[test], data.image.values[test]
    return [int(image[np.argmax(label == k)]) for k in np.unique(label[label >= 0])]


def tissue_maps(run: Run, name: str) -> list[TissueMaps]:
    """Maps of `shown_images`, with the contexts of one autoencoder's linear model."""
    raw, kept = method.raw_spectra(run), method.prepared_spectra(run)
    test, votes = (
        method.fold_rows(run)[SHOWN].test,
        method.read_probabilities(method.ensemble(run).path / f"fold{SHOWN}", "test"),
    )
    model, truth = linear_model(run, name), has_truth(raw)
    maps = []
    for image in shown_images(run):
        mine = kept.image.values[test] == image
        rows = test[mine]
        shape = as_image(raw, image, raw.row.values).shape

        def whole(values, fill, rows=rows, image=image, shape=shape):
            """Values of the used spectra on the whole image, of which the outermost pixels may be unused."""
            every = np.full(kept.sizes["spectrum"], fill, np.result_type(values.dtype, type(fill)))
            every[rows] = values
            small = as_image(kept, image, every, fill=fill)
            return np.pad(small, [(0, n - m) for n, m in zip(shape, small.shape)], constant_values=fill)

        label = kept.attrs["class_names"][int(kept.label.values[rows[0]])]
        maps.append(
            TissueMaps(
                title=f"{kept.attrs['image_names'][image]}\n{label}",
                predicted=whole(votes[mine].argmax(axis=1), UNKNOWN),
                confidence=whole(votes[mine].max(axis=1).astype(float), np.nan),
                context=whole(model.reasons(read_absorbance(kept, rows)).context, UNKNOWN),
                truth=as_image(raw, image, raw.truth_class.values.astype(int), fill=UNKNOWN) if truth else None,
                pixel_size_um=float(raw.attrs["pixel_size_um"]),
            )
        )
    return maps
