"""A linear model a person can audit: one spectrum and one set of weights per context, applied by NumPy alone.

Hartigan et al. (paper A), "Linearisation Process"; the similarity is that of Zaki et al. 2024 (CRIME).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ftirlib.errors import DataError, ModelError, SettingsError, StoreError
from ftirlib.files import write_text

FORMAT = "ftirlib-linear-1"
WEIGHTINGS = ("signed", "absolute", "none")
ROWS = 2048  # spectra at once: 6.5 MB at 801 wavenumbers, so that a block stays in the processor's cache
COLUMNS = 128  # wavenumbers summed in the spectra's own precision before the sum continues in float64


@dataclass(frozen=True)
class Reasons:
    """Best and second context of each spectrum: the reasons for its class.

    Attributes
    ----------
    label : (n_spectra,) int
        Predicted class.
    context : (n_spectra,) int
        Number of the context it matches best (as in `LinearClassifier.context`).
    similarity : (n_spectra,) float
        Similarity to that context, -1 to 1.
    rival : (n_spectra,) int
        Number of the best context of another class; -1 when all contexts are of one class.
    margin : (n_spectra,) float
        `similarity` less that of the rival; NaN when there is none.
    """

    label: np.ndarray
    context: np.ndarray
    similarity: np.ndarray
    rival: np.ndarray
    margin: np.ndarray


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    r"""Classify a spectrum by the context it resembles most where that context's explanation looks.

    With r(v) the linear map of a vector's range onto [-1, 1], context k (mean spectrum m, mean weights w)
    and spectrum x have the similarity

    .. math:: s_k(x) = \cos(a \circ r(m),\; a \circ r(x))
              = \frac{\sum_j a_j^2\, r(m)_j\, r(x)_j}
                     {\sqrt{\sum_j a_j^2\, r(m)_j^2}\,\sqrt{\sum_j a_j^2\, r(x)_j^2}}

    and the class is the label of the context with the largest s. `weighting` sets a:

    - ``"signed"`` (default, as in CRIME): a = r(w). Only a squared enters, so the sign itself cancels; what
      counts is the distance of a weight from the middle of the context's range of weights.
    - ``"absolute"``: a = \|w\| / max \|w\|, so that a wavenumber of weight zero counts for nothing.
    - ``"none"``: a = 1, the plain cosine, a control without the weights.

    A context whose weights are all equal has a = 1.

    Similarities are no probabilities, so there is no ``predict_proba``. Arithmetic is in the precision of the spectra
    (float32 or float64), long sums in float64.

    Parameters
    ----------
    mean_spectra, mean_weights : (n_contexts, n_wavenumbers) float32
    labels : (n_contexts,) int
        Class of each context, a position in `class_names`.
    class_names : tuple of str
    wavenumber : (n_wavenumbers,) cm-1
    weighting : {"signed", "absolute", "none"}
    context : (n_contexts,) int
        Number of each context in its `Contexts`.
    recipe : list of mappings, optional
        Preparation of the spectra (`ftirlib.spectra.prepare.recipe.recipe_of` a data set); a data set with another
        is refused. Plain arrays carry no recipe and cannot be checked.

    Examples
    --------
    >>> model = LinearClassifier.from_contexts(
    ...     [[0, 1, 0, 0], [0, 0, 1, 0]], [[0, 1, -1, 0]] * 2, [0, 1], ["left", "right"], [1000, 1100, 1200, 1300])
    >>> model.predict([[0.0, 0.9, 0.1, 0.0]])
    array([0])
    """

    mean_spectra: np.ndarray
    mean_weights: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    wavenumber: np.ndarray
    weighting: str
    context: np.ndarray
    recipe: list[dict] | None = None

    def __post_init__(self):
        if self.weighting not in WEIGHTINGS:
            raise SettingsError(f"weighting '{self.weighting}' is unknown; choose one of {list(WEIGHTINGS)}.")
        shape = self.mean_spectra.shape
        if self.mean_spectra.ndim != 2 or shape[0] < 1 or shape != self.mean_weights.shape:
            raise DataError(
                f"mean spectra {shape} and mean weights {self.mean_weights.shape} must both be "
                "(contexts, wavenumbers) with at least one context."
            )
        if self.wavenumber.shape != shape[1:]:
            raise DataError(f"the contexts have {shape[1]} wavenumbers but the axis {self.wavenumber.shape}.")
        for name in ("labels", "context"):
            if getattr(self, name).shape != shape[:1]:
                raise DataError(f"{name} has shape {getattr(self, name).shape} for {shape[0]} contexts; give one each.")
        if self.labels.min() < 0 or self.labels.max() >= len(self.class_names):
            raise DataError(
                f"labels run from {self.labels.min()} to {self.labels.max()} but there are "
                f"{len(self.class_names)} class names."
            )
        importance = self._importance()
        template = _to_unit_range(self.mean_spectra.astype(float), "the mean spectrum of context", self.context)
        norm = np.linalg.norm(importance * template, axis=1, keepdims=True)
        if not np.all(norm > 0):
            raise DataError(
                f"context {self.context[np.argmin(norm)]} has no wavenumber where both its mean spectrum and its "
                "weights differ from their mid-range; leave it out or use weighting='none'."
            )
        # Both sums over wavenumbers become matrix products with these.
        object.__setattr__(self, "_template", (importance**2 * template / norm).T)  # (wavenumbers, contexts)
        object.__setattr__(self, "_energy", (importance**2).T)

    def _importance(self) -> np.ndarray:
        """The factor a of the formula, (contexts, wavenumbers)."""
        weights = self.mean_weights.astype(float)
        if not np.isfinite(weights).all():
            bad = self.context[np.argmin(np.isfinite(weights).all(axis=1))]
            raise DataError(f"the mean weights of context {bad} are not finite; leave it out (label -1).")
        importance = np.ones_like(weights)
        if self.weighting != "none":
            varied = np.ptp(weights, axis=1) > 0
            varying = weights[varied]
            importance[varied] = (
                _to_unit_range(varying, "the mean weights of context", self.context[varied])
                if self.weighting == "signed"
                else np.abs(varying) / np.abs(varying).max(axis=1, keepdims=True)
            )
        return importance

    @classmethod
    def from_contexts(
        cls,
        mean_spectra,
        mean_weights,
        labels,
        class_names,
        wavenumber,
        *,
        weighting="signed",
        context=None,
        recipe=None,
    ) -> LinearClassifier:
        """Model of the contexts that hold spectra; empty contexts (label -1) are left out.

        Parameters
        ----------
        mean_spectra, mean_weights : (n_contexts, n_wavenumbers) array
            Kept as float32, in which they are written to JSON without loss.
        labels : (n_contexts,) int
            Class of each context; -1 for an empty one.
        class_names : sequence of str
        wavenumber : (n_wavenumbers,) array, cm-1
        weighting : {"signed", "absolute", "none"}
        context : (n_contexts,) int, optional
            Numbers of the contexts; default their positions.
        recipe : sequence of mappings, optional
            Preparation of the spectra; saved with the model.

        Raises
        ------
        DataError
            Shapes that disagree, values that are not finite, a constant mean spectrum.
        SettingsError
            An unknown weighting.
        """
        labels = np.asarray(labels)
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise DataError(f"labels must be one integer per context, not {labels.dtype} of shape {labels.shape}.")
        mean_spectra, mean_weights = np.asarray(mean_spectra, np.float32), np.asarray(mean_weights, np.float32)
        context = np.arange(len(labels)) if context is None else np.asarray(context, int)
        for name, values in (("mean spectra", mean_spectra), ("mean weights", mean_weights), ("context", context)):
            if len(values) != len(labels):
                raise DataError(f"there are {len(labels)} labels but {name} has shape {values.shape}.")
        kept = labels != -1  # the label of a context that holds no spectra
        if not kept.any():
            raise DataError("every context is empty (label -1); find contexts on spectra that are described.")
        return cls(
            mean_spectra=mean_spectra[kept],
            mean_weights=mean_weights[kept],
            labels=labels[kept].astype(np.int64),
            class_names=tuple(str(name) for name in class_names),
            wavenumber=np.asarray(wavenumber, float),
            weighting=weighting,
            context=context[kept],
            recipe=None if recipe is None else list(recipe),
        )

    def similarity(self, spectra, *, wavenumber=None) -> np.ndarray:
        """Similarity of each spectrum to each context.

        Parameters
        ----------
        spectra : (n_spectra, n_wavenumbers) array, or xarray.Dataset
            The axis and the recipe of a data set are checked; an array carries neither.
        wavenumber : (n_wavenumbers,) array, cm-1, optional
            Checked against the model's axis when given.

        Returns
        -------
        (n_spectra, n_contexts) array in -1..1
            0 where the spectrum is at its mid-range at every wavenumber of weight.

        Raises
        ------
        DataError
            A spectrum that is constant or not finite.
        ModelError
            Spectra or wavenumbers other than the model's.
        """
        spectra = self._check(spectra, wavenumber)
        out = np.empty((len(spectra), len(self.labels)), spectra.dtype)
        template, energy = self._template.astype(spectra.dtype), self._energy.astype(spectra.dtype)
        for start in range(0, len(spectra), ROWS):
            rows = slice(start, start + ROWS)
            unit = _to_unit_range(spectra[rows], "spectrum", np.arange(start, min(start + ROWS, len(spectra))))
            product = _product(unit, template)  # (rows, contexts)
            norm = np.sqrt(_product(np.square(unit, out=unit), energy))
            # where the norm is zero, the product is zero
            out[rows] = np.divide(product, norm, out=product, where=norm > 0)
        return np.clip(out, -1, 1, out=out)  # rounding alone can carry a cosine past 1

    def predict(self, spectra, *, wavenumber=None) -> np.ndarray:
        """Class of each spectrum (n_spectra,) int: the label of its most similar context."""
        return self.labels[self.similarity(spectra, wavenumber=wavenumber).argmax(axis=1)]

    def reasons(self, spectra, *, wavenumber=None) -> Reasons:
        """Best context of each spectrum, and its lead over the best context of another class."""
        similarity = self.similarity(spectra, wavenumber=wavenumber)
        rows, best = np.arange(len(similarity)), similarity.argmax(axis=1)
        largest = similarity[rows, best]
        others = np.where(self.labels[None] == self.labels[best][:, None], -np.inf, similarity)
        rival = others.argmax(axis=1)
        has_rival = np.isfinite(others[rows, rival])
        return Reasons(
            label=self.labels[best],
            context=self.context[best],
            similarity=largest,
            rival=np.where(has_rival, self.context[rival], -1),
            margin=np.where(has_rival, largest - others[rows, rival], np.nan),
        )

    def _check(self, spectra, wavenumber) -> np.ndarray:
        if hasattr(spectra, "data_vars"):  # a data set; imported here, since arrays need NumPy alone
            from ftirlib.spectra.prepare.recipe import absorbance_for

            spectra = absorbance_for(self.recipe, spectra, taker="the linear model")
            wavenumber = spectra["wavenumber"].values if wavenumber is None else wavenumber
        spectra = np.asarray(spectra)
        if spectra.dtype != np.float32:
            spectra = spectra.astype(np.float64)
        n = self.wavenumber.size
        if spectra.ndim != 2 or spectra.shape[1] != n:
            raise ModelError(
                f"spectra have shape {spectra.shape} but the linear model has {n} wavenumbers "
                f"({_range(self.wavenumber)}); give (spectra, {n})."
            )
        if wavenumber is not None:
            axis = np.asarray(wavenumber, float)
            if axis.shape != self.wavenumber.shape or not np.allclose(axis, self.wavenumber):
                raise ModelError(
                    f"the spectra lie on {axis.size} wavenumbers ({_range(axis)}) but the linear model on {n} "
                    f"({_range(self.wavenumber)}); bring them to its axis first."
                )
        return spectra

    def save(self, path: str | os.PathLike) -> Path:
        """Write the model to one readable JSON file, which appears only when complete."""
        lines = [
            {
                "context": int(self.context[k]),
                "label": self.class_names[self.labels[k]],
                "mean_spectrum": _shortest(self.mean_spectra[k]),
                "mean_weights": _shortest(self.mean_weights[k]),
            }
            for k in range(len(self.labels))
        ]
        head = {
            "format": FORMAT,
            "rule": "map each vector's range to [-1, 1]; multiply a context's mean spectrum and the spectrum by the "
            "context's importance; the context with the largest cosine gives the label",
            "weighting": self.weighting,
            "class_names": list(self.class_names),
            "wavenumber_cm-1": self.wavenumber.tolist(),
            "recipe": self.recipe,
        }
        # One line per entry and per context, so that the file can be read, searched and compared.
        body = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in head.items()]
        contexts = ",\n".join(f"  {json.dumps(line, ensure_ascii=False)}" for line in lines)
        text = "\n".join(["{", *body, ' "contexts": [', contexts, " ]", "}"]) + "\n"
        write_text(path, text)
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> LinearClassifier:
        """Read a model that `save` wrote.

        Raises
        ------
        StoreError
            No such file, or not such a model.
        """
        path = Path(path)
        if not path.is_file():
            raise StoreError(f"there is no linear model at '{path}'; check the path or make it with 'ftirlib run'.")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
            names, contexts = content["class_names"], content["contexts"]
            parts = {
                "mean_spectra": [c["mean_spectrum"] for c in contexts],
                "mean_weights": [c["mean_weights"] for c in contexts],
                "labels": np.array([names.index(c["label"]) for c in contexts], int),
                "class_names": names,
                "wavenumber": content["wavenumber_cm-1"],
                "weighting": content["weighting"],
                "context": [c["context"] for c in contexts],
                "recipe": content.get("recipe"),
            }
            return cls.from_contexts(**parts)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"'{path}' is not a linear model of this library ({error}); make it again.") from error


def _to_unit_range(rows: np.ndarray, name: str, numbers) -> np.ndarray:
    """Each row mapped linearly from its smallest and largest value to -1 and 1."""
    low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    span = high - low
    good = np.isfinite(span) & (span > 0)
    if not good.all():
        first = int(np.argmin(good))
        raise DataError(
            f"{name} {numbers[first]} is {'constant' if span[first] == 0 else 'not finite'}, so its range cannot be "
            "mapped to [-1, 1]; leave it out."
        )
    out = rows - (low + span / 2)
    out *= 2 / span
    return out


def _product(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Matrix product summed in float64 over pieces of the spectral axis.

    A float32 sum over a whole spectrum would be off by more than 1e-6.
    """
    total = np.zeros((len(rows), columns.shape[1]))
    for start in range(0, len(columns), COLUMNS):
        piece = slice(start, start + COLUMNS)
        total += rows[:, piece] @ columns[piece]
    return total


def _shortest(values: np.ndarray) -> list[float]:
    """float32 values as the shortest decimals that give the same float32 back."""
    return [float(str(v)) for v in values]


def _range(axis: np.ndarray) -> str:
    return f"{axis.min():g} to {axis.max():g} cm-1" if axis.size else "empty"
