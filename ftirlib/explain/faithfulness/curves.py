"""Deletion and insertion: the label's probability as the wavenumbers that an explanation ranks first go or come.

Petsiuk, Das & Saenko (2018), RISE, arXiv:1806.07421, adapted from pixels to wavenumbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from ftirlib.errors import DataError, SettingsError
from ftirlib.explain.attribution import LABELLED, PerRow
from ftirlib.explain.faithfulness.subject import (
    ExplainedSpectra,
    check_count,
    check_units,
    generators,
    label_probabilities,
)
from ftirlib.explain.lime.forward import Forward

CONTROLS = ("random", "moved")


@dataclass(frozen=True, eq=False, kw_only=True)
class PerturbationCurves(PerRow):
    """Probability of the explained label as wavenumbers are deleted or inserted.

    Attributes
    ----------
    share : (n_steps + 1,) float64
        Of the wavenumbers deleted or inserted, from 0 to 1.
    deletion, insertion : (n, n_labels, n_steps + 1) float64
        Deletion goes from the spectrum to the reference, insertion back, both in the explanation's order.
    deletion_control, insertion_control : (n, n_labels, n_steps + 1) float64
        The same in the control's orders, averaged over its draws.
    """

    share: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    deletion_control: np.ndarray
    insertion_control: np.ndarray

    schema: ClassVar[str] = "ftirlib-perturbation-curves-1"
    dims: ClassVar = {
        **PerRow.dims,
        "share": ("step",),
        **dict.fromkeys(("deletion", "insertion", "deletion_control", "insertion_control"), (*LABELLED, "step")),
    }

    def area(self, curve: str) -> np.ndarray:
        """(n, n_labels) area under ``deletion``, ``insertion`` or their ``_control``: the mean probability."""
        return np.trapezoid(getattr(self, curve), self.share, axis=-1)

    @property
    def deletion_gain(self) -> np.ndarray:
        """(n, n_labels) area under the control's deletion minus that under the explanation's: positive is better."""
        return self.area("deletion_control") - self.area("deletion")

    @property
    def insertion_gain(self) -> np.ndarray:
        """(n, n_labels) area under the explanation's insertion minus that under the control's: positive is better."""
        return self.area("insertion") - self.area("insertion_control")


def perturbation_curves(
    attribution,
    model,
    spectra,
    *,
    reference,
    scale=None,
    absolute: bool = False,
    n_steps: int = 20,
    control: str = "random",
    n_controls: int = 5,
    random_state: int = 0,
) -> PerturbationCurves:
    """Delete wavenumbers, most important first, and insert them into the reference in the same order.

    Parameters
    ----------
    attribution : Attribution, or path of its Zarr store
    model : estimator with predict_proba, callable, or torch.nn.Module
        The explained model.
    spectra : (n_spectra, n_wavenumbers) array or data set
        The explained spectra; `Attribution.rows` are positions in it.
    reference : (n_wavenumbers,) array or "interpolate"
        Values in place of removed wavenumbers: a spectrum (the background's mean), or the straight line between the
        nearest wavenumbers that are left. A reference leaves steps where a removed run ends, which no measured
        spectrum has. The line leaves none; when all is removed it runs between the two ends, which therefore stay.
    scale : (n_wavenumbers,) array, optional
        Standard deviation of the background. When given, wavenumbers are ranked by their contribution
        ``weight * (spectrum - reference) / scale``, which each adds to the label in the local model; without it, by
        the weight itself. A weight per standard deviation is a slope: where the spectrum lies below the reference,
        removing a wavenumber of positive weight raises the probability. Rank the weights of continuous modes by
        contribution; the weights of binned modes are contributions.
    absolute : bool
        Rank by size instead of from most for to most against the label.
    n_steps : int
        Steps from all wavenumbers to none; at most one for each wavenumber that can be removed.
    control : {"random", "moved"}
        Order to compare with: a random one, or the explanation's own order moved along the axis by a random
        distance (ends joined). Single wavenumbers in random order hardly change a smooth spectrum under
        ``"interpolate"``; the moved order removes runs as wide as the explanation does, elsewhere.
    n_controls : int
        Orders drawn per spectrum.
    random_state : int
        Each spectrum's draws depend on it and on the spectrum's row alone. The draws also order equal weights.

    Returns
    -------
    PerturbationCurves

    Raises
    ------
    DataError
        When explanations, spectra, reference or scale do not fit each other.
    SettingsError
        For an option out of its range, or a scale for weights that have none.
    ModelError
        When the model's output is no table of probabilities.

    Examples
    --------
    A model that uses wavenumber 0 alone, explained correctly: the first step deletes its evidence.

    >>> import numpy as np
    >>> from ftirlib.explain.lime.lime import SpectralLime
    >>> background = np.random.default_rng(0).normal(size=(50, 4))
    >>> def predict_proba(spectra):
    ...     p = 1 / (1 + np.exp(-spectra[:, 0]))
    ...     return np.stack([p, 1 - p], axis=1)
    >>> spectra = np.array([[2.0, 0.1, -0.3, 0.2]])
    >>> explained = SpectralLime(background, n_samples=500).explain(predict_proba, spectra, labels=0)
    >>> curves = perturbation_curves(explained, predict_proba, spectra, reference=np.zeros(4), n_steps=4)
    >>> curves.deletion.round(2).tolist()
    [[[0.88, 0.5, 0.5, 0.5, 0.5]]]
    """
    explained = ExplainedSpectra(attribution, spectra)
    n_controls, random_state = check_count(n_controls, 1, "n_controls"), check_count(random_state, 0, "random_state")
    if control not in CONTROLS:
        raise SettingsError(f"control {control!r} is unknown; choose one of {', '.join(CONTROLS)}.")
    fill, reference, inner = _filling(explained, reference, scale)
    check_units(explained.settings, scale, needed=False)
    scale = None if scale is None else explained.check_vector(scale, "scale", positive=True)
    n_free = len(range(*inner.indices(explained.n_wavenumbers)))  # wavenumbers that can be removed
    if check_count(n_steps, 1, "n_steps") > n_free:
        raise SettingsError(f"n_steps={n_steps} is more than the {n_free} wavenumbers that can be removed; take fewer.")
    counts = np.round(np.linspace(0, n_free, n_steps + 1)).astype(np.int64)
    settings = {
        "reference": "interpolate" if reference is None else "spectrum",
        "by": ("absolute " if absolute else "") + ("weight" if scale is None else "contribution"),
        "control": control,
        "n_controls": n_controls,
        "random_state": random_state,
        "attribution": explained.settings,
    }
    curves_of = partial(_curves, Forward(model), fill, counts)
    pieces = []
    for piece, block in explained.blocks(explained.n_labels * len(counts)):
        importance = piece.weights if scale is None else piece.weights * ((block - reference) / scale)[:, None]
        importance = (np.abs(importance) if absolute else importance)[..., inner]
        streams = generators(random_state, piece.rows)
        rank = _ranks(importance, np.stack([rng.permutation(n_free) for rng in streams])[:, None])
        deletion, insertion = curves_of(block, piece.labels, rank)
        sums = np.zeros((2, *deletion.shape))
        for _ in range(n_controls):
            sums += curves_of(block, piece.labels, _control(control, rank, streams))
        pieces.append(
            PerturbationCurves(
                rows=piece.rows,
                labels=piece.labels,
                share=counts / n_free,
                deletion=deletion,
                insertion=insertion,
                deletion_control=sums[0] / n_controls,
                insertion_control=sums[1] / n_controls,
                settings=settings,
            )
        )
    return PerturbationCurves.concatenate(pieces)


def _filling(explained: ExplainedSpectra, reference, scale) -> tuple[Callable, np.ndarray | None, slice]:
    """Function that fills removed wavenumbers, the reference or None, and the wavenumbers that can be removed."""
    if not isinstance(reference, str):
        reference = explained.check_vector(reference, "reference")
        return partial(_replace, reference), reference, slice(None)
    if reference != "interpolate":
        raise SettingsError(f"reference must be a spectrum or 'interpolate', not {reference!r}.")
    if scale is not None:
        raise SettingsError("scale ranks by the distance from a reference; give a reference spectrum, or no scale.")
    if explained.axis is None:
        raise DataError(
            "neither explanations nor spectra carry wavenumbers to interpolate over; give the spectra as a data set."
        )
    if explained.n_wavenumbers < 3:
        raise DataError(f"{explained.n_wavenumbers} wavenumbers leave none between the two ends; give a reference.")
    return partial(_interpolate, explained.axis), None, slice(1, -1)


def _replace(reference, spectra, removed):
    """(n, n_labels, n_steps, n_wavenumbers) spectra with the reference where they are removed."""
    return np.where(removed, reference, spectra[:, None, None])


def _interpolate(axis, spectra, removed):
    """(n, n_labels, n_steps, n_wavenumbers) spectra with straight lines where all but their ends are removed."""
    kept = np.pad(~removed, [(0, 0)] * 3 + [(1, 1)], constant_values=True)
    position = np.arange(axis.size)
    left = np.maximum.accumulate(np.where(kept, position, 0), axis=-1)
    right = np.minimum.accumulate(np.where(kept, position, axis.size - 1)[..., ::-1], axis=-1)[..., ::-1]
    ends = np.broadcast_to(spectra[:, None, None], kept.shape)
    low, high = (np.take_along_axis(ends, side, axis=-1) for side in (left, right))
    span = axis[right] - axis[left]
    along = np.divide(axis - axis[left], span, out=np.zeros(kept.shape), where=span != 0)
    return low + along * (high - low)


def _ranks(importance: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Rank of each wavenumber along the last axis, 0 for the largest importance."""
    order = np.lexsort((np.broadcast_to(ties, importance.shape), -importance), axis=-1)
    return np.argsort(order, axis=-1)


def _control(kind: str, rank: np.ndarray, streams) -> np.ndarray:
    """One control order per spectrum: (n, 1, n_free) at random, or (n, n_labels, n_free) moved."""
    n_free = rank.shape[-1]
    if kind == "random":
        return np.stack([rng.permutation(n_free) for rng in streams])[:, None]
    return np.stack([np.roll(own, rng.integers(n_free), axis=-1) for own, rng in zip(rank, streams)])


def _curves(forward, fill, counts, spectra, labels, rank) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, n_labels, n_steps + 1) along deletion and insertion in the order of `rank`."""
    first = rank[:, :, None, :] < counts[:, None]  # (n, n_labels or 1, n_steps + 1, n_free)
    return tuple(label_probabilities(forward, fill(spectra, removed), labels) for removed in (first, ~first))
