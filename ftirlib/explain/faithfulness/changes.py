"""Infidelity: the distance between the change that an explanation predicts and the change of the model's output.

Yeh, Hsieh, Suggala, Inouye & Ravikumar (2019), arXiv:1901.09392, under two kinds of perturbation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ftirlib.errors import SettingsError
from ftirlib.explain.attribution import LABELLED, PerRow
from ftirlib.explain.faithfulness.subject import (
    BINNED,
    ROWS,
    ExplainedSpectra,
    check_count,
    check_radius,
    check_units,
    generators,
    label_probabilities,
)
from ftirlib.explain.lime.forward import Forward


@dataclass(frozen=True, eq=False)
class GaussianShift:
    """White noise that shifts every wavenumber; it tests slopes, so it is for weights per standard deviation.

    Parameters
    ----------
    scale : (n_wavenumbers,) array
        Standard deviation of the background that the explanations were made with.
    radius : float
        Standard deviation of the shift in units of `scale`. At 1 the shift is LIME's own noise; much below, the
        best weights are the gradient at the spectrum.
    """

    scale: np.ndarray
    radius: float = 1.0

    def check(self, explained: ExplainedSpectra) -> GaussianShift:
        """The perturbation, with its arrays checked against the explanations."""
        if (mode := explained.settings.get("mode")) in BINNED:
            raise SettingsError(f"weights of mode {mode!r} predict no change under small shifts; use BandRemoval.")
        scale = explained.check_vector(self.scale, "scale", positive=True)
        return GaussianShift(scale, check_radius(self.radius, "radius"))

    def draw(self, rng: np.random.Generator, n: int, spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, n_wavenumbers) perturbed spectra, and the (n, n_wavenumbers) factors of the weights."""
        shift = self.radius * rng.standard_normal((n, spectrum.size))
        return spectrum + shift * self.scale, shift

    @property
    def settings(self) -> dict:
        """The perturbation in words and numbers, for the settings of the result."""
        return {"perturbation": "gaussian", "radius": self.radius}


@dataclass(frozen=True, eq=False)
class BandRemoval:
    """The reference in place of one contiguous band, all bands being equally likely; it tests contributions.

    Parameters
    ----------
    reference : (n_wavenumbers,) array
        The background's mean.
    scale : (n_wavenumbers,) array, optional
        Standard deviation of the background, for weights per standard deviation: they predict the change
        ``weight * (reference - spectrum) / scale``. Without it the weights are contributions (the gain from staying in
        a bin) and predict ``-weight``.
    """

    reference: np.ndarray
    scale: np.ndarray | None = None

    def check(self, explained: ExplainedSpectra) -> BandRemoval:
        """The perturbation, with its arrays checked against the explanations."""
        check_units(explained.settings, self.scale, needed=True)
        scale = None if self.scale is None else explained.check_vector(self.scale, "scale", positive=True)
        return BandRemoval(explained.check_vector(self.reference, "reference"), scale)

    def draw(self, rng: np.random.Generator, n: int, spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, n_wavenumbers) perturbed spectra, and the (n, n_wavenumbers) factors of the weights."""
        # two different cuts among the p + 1 before, between and after the wavenumbers
        cuts = rng.integers(0, [spectrum.size + 1, spectrum.size], (n, 2))
        cuts[:, 1] += cuts[:, 1] >= cuts[:, 0]
        low, high = cuts.min(axis=1), cuts.max(axis=1)
        position = np.arange(spectrum.size)
        removed = (position >= low[:, None]) & (position < high[:, None])
        factor = -1.0 if self.scale is None else (self.reference - spectrum) / self.scale
        return np.where(removed, self.reference, spectrum), removed * factor

    @property
    def settings(self) -> dict:
        """The perturbation in words and numbers, for the settings of the result."""
        return {"perturbation": "band removal", "by": "weight" if self.scale is None else "contribution"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Infidelity(PerRow):
    """Predicted against actual changes of the explained label's probability.

    Attributes
    ----------
    infidelity : (n, n_labels) float64
        Mean square of predicted minus actual change; 0 is best.
    standard_error : (n, n_labels) float64
        Of `infidelity`, from the number of perturbations.
    scaled : (n, n_labels) float64
        Infidelity of the weights times their best factor: their length does not matter, only their direction.
    change : (n, n_labels) float64
        Mean square of the actual change: the infidelity of weights that are all zero.
    """

    infidelity: np.ndarray
    standard_error: np.ndarray
    scaled: np.ndarray
    change: np.ndarray

    schema: ClassVar[str] = "ftirlib-infidelity-1"
    dims: ClassVar = PerRow.dims | dict.fromkeys(("infidelity", "standard_error", "scaled", "change"), LABELLED)

    @property
    def relative(self) -> np.ndarray:
        """(n, n_labels) infidelity over that of all-zero weights: 0 is perfect, above 1 worse than no explanation.

        NaN or infinite where the model did not react to any perturbation.
        """
        return _ratio(self.infidelity, self.change)

    @property
    def relative_scaled(self) -> np.ndarray:
        """(n, n_labels) the same for the weights times their best factor, from 0 to 1."""
        return _ratio(self.scaled, self.change)


def infidelity(
    attribution,
    model,
    spectra,
    perturbation: GaussianShift | BandRemoval,
    *,
    n_samples: int = 256,
    random_state: int = 0,
) -> Infidelity:
    """Infidelity of explanations: perturb each spectrum, compare the change its weights predict with the model's.

    Parameters
    ----------
    attribution : Attribution, or path of its Zarr store
    model : estimator with predict_proba, callable, or torch.nn.Module
        The explained model.
    spectra : (n_spectra, n_wavenumbers) array or data set
        The explained spectra; `Attribution.rows` are positions in it.
    perturbation : GaussianShift or BandRemoval
    n_samples : int
        Perturbed spectra per spectrum, 2 or more; its labels share them.
    random_state : int
        Each spectrum's draws depend on it and on the spectrum's row alone.

    Returns
    -------
    Infidelity

    Raises
    ------
    DataError
        When explanations, spectra and perturbation do not fit each other.
    SettingsError
        For an option out of its range, or a perturbation that does not suit the meaning of the weights.
    ModelError
        When the model's output is no table of probabilities.
    """
    explained = ExplainedSpectra(attribution, spectra)
    n_samples, random_state = check_count(n_samples, 2, "n_samples"), check_count(random_state, 0, "random_state")
    if not isinstance(perturbation, (GaussianShift, BandRemoval)):
        raise SettingsError(f"perturbation must be a GaussianShift or a BandRemoval, not {perturbation!r}.")
    perturbation, forward = perturbation.check(explained), Forward(model)
    settings = {
        **perturbation.settings,
        "n_samples": n_samples,
        "random_state": random_state,
        "attribution": explained.settings,
    }
    pieces = []
    for piece, block in explained.blocks(n_samples):
        streams = generators(random_state, piece.rows)
        before = label_probabilities(forward, block[:, None, None], piece.labels)  # (n, n_labels, 1)
        predicted, actual = [], []
        for start in range(0, n_samples, ROWS):
            size = min(ROWS, n_samples - start)
            drawn = [perturbation.draw(rng, size, x) for rng, x in zip(streams, block)]
            rows, factors = (np.stack(part) for part in zip(*drawn))  # (n, size, n_wavenumbers)
            predicted.append(piece.weights @ factors.swapaxes(1, 2))  # (n, n_labels, size)
            actual.append(label_probabilities(forward, rows[:, None], piece.labels) - before)
        pieces.append(_compare(piece, np.concatenate(predicted, -1), np.concatenate(actual, -1), settings))
    return Infidelity.concatenate(pieces)


def _compare(piece, predicted, actual, settings) -> Infidelity:
    """Moments over the last axis of predicted and actual changes, (n, n_labels, n_samples)."""
    square = np.square(predicted - actual)
    change = np.square(actual).mean(-1)
    length, common = np.square(predicted).mean(-1), (predicted * actual).mean(-1)
    explained = np.divide(np.square(common), length, out=np.zeros_like(common), where=length > 0)
    return Infidelity(
        rows=piece.rows,
        labels=piece.labels,
        infidelity=square.mean(-1),
        standard_error=square.std(-1, ddof=1) / np.sqrt(square.shape[-1]),
        scaled=np.maximum(change - explained, 0),  # rounding may take it below zero
        change=change,
        settings=settings,
    )


def _ratio(a, b):
    with np.errstate(divide="ignore", invalid="ignore"):
        return a / b
