"""Max-sensitivity: the largest change of an explanation under small changes of its spectrum.

Yeh, Hsieh, Suggala, Inouye & Ravikumar (2019), arXiv:1901.09392, by draws from a box.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ftirlib.errors import DataError, ModelError
from ftirlib.explain.attribution import LABELLED, Attribution, PerRow
from ftirlib.explain.faithfulness.subject import ExplainedSpectra, check_count, check_radius, generators


@dataclass(frozen=True, eq=False, kw_only=True)
class Sensitivity(PerRow):
    """Largest change of the weights among perturbed copies of each spectrum.

    Attributes
    ----------
    sensitivity : (n, n_labels) float64
        Largest Euclidean distance between the weights of a copy and those of the spectrum.
    norm : (n, n_labels) float64
        Euclidean norm of the weights of the spectrum.
    """

    sensitivity: np.ndarray
    norm: np.ndarray

    schema: ClassVar[str] = "ftirlib-sensitivity-1"
    dims: ClassVar = {**PerRow.dims, "sensitivity": LABELLED, "norm": LABELLED}

    @property
    def relative(self) -> np.ndarray:
        """(n, n_labels) sensitivity over the norm of the weights, comparable between explainers; NaN for norm 0."""
        return np.divide(self.sensitivity, self.norm, out=np.full_like(self.norm, np.nan), where=self.norm > 0)


def max_sensitivity(
    attribution,
    explain: Callable[[np.ndarray, np.ndarray], Attribution],
    spectra,
    *,
    scale,
    radius: float = 0.1,
    n_draws: int = 10,
    random_state: int = 0,
) -> Sensitivity:
    """Max-sensitivity: explain slightly perturbed copies of each spectrum for the same labels, keep the largest change.

    Parameters
    ----------
    attribution : Attribution, or path of its Zarr store
        Gives spectra and labels; the weights are made anew, together with those of the copies.
    explain : callable
        Takes (k, n_wavenumbers) spectra and (k, n_labels) labels, returns their Attribution; for example
        ``lambda spectra, labels: lime.explain(model, spectra, labels)`` of the `SpectralLime` and the model that
        made `attribution`. It gets many spectra at once.
    spectra : (n_spectra, n_wavenumbers) array or data set
        The explained spectra; `Attribution.rows` are positions in it.
    scale : (n_wavenumbers,) array
        Standard deviation of the background: the unit of the perturbation.
    radius : float
        Half the width of the box around the spectrum, in units of `scale`.
    n_draws : int
        Copies per spectrum, drawn evenly from the box. The maximum over them grows with their number, so compare
        explainers at one number.
    random_state : int
        Each spectrum's draws depend on it and on the spectrum's row alone.

    Returns
    -------
    Sensitivity

    Raises
    ------
    DataError
        When explanations, spectra and scale do not fit each other.
    SettingsError
        For an option out of its range.
    ModelError
        When `explain` does not return the Attribution of these spectra and labels.
    """
    explained = ExplainedSpectra(attribution, spectra)
    scale = explained.check_vector(scale, "scale", positive=True)
    n_draws, random_state = check_count(n_draws, 1, "n_draws"), check_count(random_state, 0, "random_state")
    radius = check_radius(radius, "radius")
    settings = {
        "radius": radius,
        "n_draws": n_draws,
        "random_state": random_state,
        "attribution": explained.settings,
    }
    pieces = []
    for piece, block in explained.blocks(n_draws + 1):
        shape = (n_draws, explained.n_wavenumbers)
        shift = np.stack([rng.uniform(-radius, radius, shape) for rng in generators(random_state, piece.rows)])
        copies = np.concatenate([block[:, None], block[:, None] + shift * scale], axis=1)  # the spectrum itself first
        weights = _weights(explain, copies, piece.labels)  # (n, n_draws + 1, n_labels, n_wavenumbers)
        change = np.linalg.norm(weights[:, 1:] - weights[:, :1], axis=-1).max(axis=1)
        pieces.append(
            Sensitivity(
                rows=piece.rows,
                labels=piece.labels,
                sensitivity=change,
                norm=np.linalg.norm(weights[:, 0], axis=-1),
                settings=settings,
            )
        )
    return Sensitivity.concatenate(pieces)


def _weights(explain, copies: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights (n, k, n_labels, n_wavenumbers) of copies (n, k, n_wavenumbers) for the labels (n, n_labels)."""
    n, k, p = copies.shape
    asked = np.repeat(labels, k, axis=0)
    explained = explain(copies.reshape(-1, p), asked)
    if not isinstance(explained, Attribution):
        raise ModelError(f"explain returned {type(explained).__name__}; it must return an Attribution.")
    if explained.weights.shape != (n * k, labels.shape[1], p) or not np.array_equal(explained.labels, asked):
        raise ModelError(
            f"explain returned weights of shape {explained.weights.shape} for spectra of shape {(n * k, p)} and labels "
            f"of shape {asked.shape}, or explained other labels; it must explain every spectrum for the labels given."
        )
    if not np.isfinite(explained.weights).all():
        raise DataError("explain returned weights that are not finite for perturbed spectra; use a smaller radius.")
    return explained.weights.reshape(n, k, *explained.weights.shape[1:])
