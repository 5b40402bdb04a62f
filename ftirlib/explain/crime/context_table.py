"""What each context holds, and the stated rules by which figures choose among contexts.

Hartigan et al. (paper A), Figures 3 and 4: context-wise predictions and labels, mean spectra and LIME weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist, squareform

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.rows import Rows

EMPTY = -1  # label of a context that holds no spectra


@dataclass(frozen=True, eq=False)
class ContextTable:
    """What each context holds; a row each, in the order of their numbers.

    A context without spectra has size 0, label -1, and NaN for every mean and share.

    Attributes
    ----------
    size : (n_contexts,) int
    predicted_counts, labelled_counts : (n_contexts, n_classes) int
        Spectra of each class by prediction and by label; unknown labels are not counted.
    label : (n_contexts,) int
        Most frequent prediction; the lower class number of equals.
    purity : (n_contexts,) float
        Share of the spectra with that prediction.
    mislabel_score : (n_contexts,) float
        Share of the labelled spectra whose prediction differs from their label.
    mean_spectra, mean_weights : (n_contexts, n_wavenumbers) float32
    sd_spectra, sd_weights : (n_contexts, n_wavenumbers) float32
        Standard deviation within the context.
    """

    size: np.ndarray
    predicted_counts: np.ndarray
    labelled_counts: np.ndarray
    label: np.ndarray
    purity: np.ndarray
    mislabel_score: np.ndarray
    mean_spectra: np.ndarray
    mean_weights: np.ndarray
    sd_spectra: np.ndarray
    sd_weights: np.ndarray

    def frame(self, class_names) -> pd.DataFrame:
        """The numbers of each context, one row each, with classes by name."""
        names = [str(name) for name in class_names]
        columns = {
            "size": self.size,
            "label": [names[k] if k != EMPTY else "" for k in self.label],
            "purity": self.purity,
            "mislabel_score": self.mislabel_score,
        }
        for kind, counts in (("predicted", self.predicted_counts), ("labelled", self.labelled_counts)):
            columns |= {f"{kind}_{name}": counts[:, k] for k, name in enumerate(names)}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.size), name="context"))

    def shares(self, positive) -> tuple[np.ndarray, np.ndarray]:
        """Shares of each context's spectra predicted, and labelled, as a class of `positive`; (n_contexts,) each."""
        positive = self._classes(positive)
        out = []
        for counts in (self.predicted_counts, self.labelled_counts):
            with np.errstate(invalid="ignore"):
                out.append(counts[:, positive].sum(axis=1) / counts.sum(axis=1))
        return out[0], out[1]

    def _classes(self, positive) -> list[int]:
        positive, n = np.atleast_1d(np.asarray(positive, int)).tolist(), self.predicted_counts.shape[1]
        if not positive or min(positive) < 0 or max(positive) >= n:
            raise SettingsError(f"positive classes {positive} are not among the {n} classes 0..{n - 1}.")
        return positive


def describe_contexts(
    assigned, n_contexts: int, spectra, weights, *, predicted, labelled, n_classes: int
) -> ContextTable:
    """Count, average and compare the spectra of each context.

    Parameters
    ----------
    assigned : (n_spectra,) int
        Context of each spectrum, 0 to n_contexts - 1.
    n_contexts : int
    spectra, weights : (n_spectra, n_wavenumbers) array or Rows
        Of which a block is in memory at a time.
    predicted : (n_spectra,) int
        Class the classifier gives.
    labelled : (n_spectra,) int
        Weak label, -1 where unknown.
    n_classes : int

    Returns
    -------
    ContextTable

    Raises
    ------
    DataError
        Arrays that disagree in length, or class and context numbers out of range.
    """
    assigned = np.asarray(assigned)
    spectra, weights = Rows.of(spectra), Rows.of(weights)
    predicted, labelled = np.asarray(predicted), np.asarray(labelled)
    n, k = len(assigned), n_contexts
    if spectra.shape != weights.shape or len(spectra) != n:
        raise DataError(
            f"spectra {spectra.shape} and weights {weights.shape} must both be ({n}, wavenumbers): one row for "
            "each spectrum assigned to a context."
        )
    for name, values, low, high in (
        ("assigned", assigned, 0, k),
        ("predicted", predicted, 0, n_classes),
        ("labelled", labelled, -1, n_classes),
    ):
        whole = values.shape == (n,) and np.issubdtype(values.dtype, np.integer)
        if not whole or (n and (values.min() < low or values.max() >= high)):
            raise DataError(f"{name} must be {n} whole numbers in {low}..{high - 1}, one per spectrum.")
    size = np.bincount(assigned, minlength=k)
    predicted_counts = _counts(assigned, predicted, k, n_classes)
    known = labelled >= 0
    labelled_counts = _counts(assigned[known], labelled[known], k, n_classes)
    wrong = np.bincount(assigned[known & (predicted != labelled)], minlength=k)
    with np.errstate(invalid="ignore"):
        purity = predicted_counts.max(axis=1) / size
        mislabel = wrong / labelled_counts.sum(axis=1)
    mean_spectra, sd_spectra = (part.astype(np.float32) for part in context_moments(spectra, assigned, k))
    mean_weights, sd_weights = (part.astype(np.float32) for part in context_moments(weights, assigned, k))
    return ContextTable(
        size=size,
        predicted_counts=predicted_counts,
        labelled_counts=labelled_counts,
        label=np.where(size > 0, predicted_counts.argmax(axis=1), EMPTY),
        purity=purity,
        mislabel_score=mislabel,
        mean_spectra=mean_spectra,
        mean_weights=mean_weights,
        sd_spectra=sd_spectra,
        sd_weights=sd_weights,
    )


def extreme_contexts(table: ContextTable, positions, *, positive) -> tuple[int, int] | None:
    """The two contexts of the positive classes farthest apart: two pathways to the same diagnosis.

    Of the contexts of which more than half the spectra are labelled, and more than half predicted, as positive,
    the pair with the largest distance.

    Parameters
    ----------
    table : ContextTable
    positions : (n_contexts, n_dimensions) array
        Place of each context: its centre, or its mean place in an embedding.
    positive : int or sequence of int
        Positive classes.

    Returns
    -------
    (int, int) or None
        Numbers of the two, the lower first; None with fewer than two such contexts.
    """
    positions = np.asarray(positions, float)
    if positions.ndim != 2 or len(positions) != len(table.size):
        raise DataError(f"positions have shape {positions.shape} for {len(table.size)} contexts; give one row each.")
    predicted, labelled = table.shares(positive)
    candidates = np.flatnonzero((predicted > 0.5) & (labelled > 0.5))
    if len(candidates) < 2:
        return None
    distance = np.triu(squareform(pdist(positions[candidates])))
    first, second = np.unravel_index(distance.argmax(), distance.shape)
    return int(candidates[first]), int(candidates[second])


def opposing_context(table: ContextTable, *, positive) -> int | None:
    """The context that contradicts its labels most: mostly labelled positive, mostly predicted otherwise.

    Of the contexts of which more than half the spectra are labelled and less than half predicted as positive,
    the one with the largest difference of the two shares; the lowest number of equals, None without any.
    """
    predicted, labelled = table.shares(positive)
    gap = np.where((labelled > 0.5) & (predicted < 0.5), labelled - predicted, -np.inf)
    return int(gap.argmax()) if np.isfinite(gap.max()) else None


def mislabel_scores(table: ContextTable, assigned) -> np.ndarray:
    """Mislabel score of each spectrum's context, (n_spectra,); NaN where the context holds no labelled spectra."""
    return table.mislabel_score[np.asarray(assigned)]


def _counts(assigned, classes, n_contexts, n_classes) -> np.ndarray:
    return np.bincount(assigned * n_classes + classes, minlength=n_contexts * n_classes).reshape(n_contexts, n_classes)


def context_moments(values, assigned, n_contexts: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the rows of each context, (n_contexts, n_columns) float64; NaN where empty.

    Blocks are joined as in `ftirlib.classify.moments`.

    Parameters
    ----------
    values : (n_spectra, n_columns) array or Rows
        Read once.
    assigned : (n_spectra,) int
        Context of each row.
    n_contexts : int
    """
    values = Rows.of(values)
    size, means, squares = np.zeros((n_contexts, 1)), *np.zeros((2, n_contexts, values.shape[1]))
    for rows, block in values.blocks():
        at, block = assigned[rows], block.astype(np.float64)
        member = csr_array((np.ones(len(at)), (at, np.arange(len(at)))), shape=(n_contexts, len(at)))
        count = member.sum(axis=1)[:, None]
        mean = member @ block / np.maximum(count, 1)
        share = count / np.maximum(size + count, 1)  # of the block among all rows of the context so far
        moved = mean - means
        squares += member @ np.square(block - mean[at]) + size * share * np.square(moved)
        means += share * moved
        size += count
    with np.errstate(invalid="ignore"):
        return np.where(size > 0, means, np.nan), np.sqrt(squares / size)
