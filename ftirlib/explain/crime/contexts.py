"""Contexts: groups of spectra that are alike in absorbance and in the reasons for their class.

CRIME (Zaki et al. 2024) clusters the latent space of an autoencoder by K-means, as do Hartigan et al. (paper A), whose
Figures 3 and 4 show predictions, labels, mean spectra and LIME weights of contexts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist, squareform

from ftirlib.errors import DataError, ModelError, SettingsError, StoreError
from ftirlib.files import written
from ftirlib.spectra.model import UNKNOWN
from ftirlib.spectra.rows import Rows

N_CONTEXTS = 100  # as published: contexts up to number 97 are cited
SPECTRA_PER_CONTEXT = 30  # on average, for the smaller number of contexts of small data
EMBEDDED = 100_000  # most spectra that a map is fitted to: about 1 GB and two minutes
STABILITY_FLOOR = 0.5  # correlation below which two explanations share less signal than they hold noise


def default_n_contexts(n_spectra: int) -> int:
    """Default number of contexts: the published 100; for small data 30 spectra each on average, at least 2.

    Examples
    --------
    >>> default_n_contexts(300_000), default_n_contexts(600), default_n_contexts(10)
    (100, 20, 2)
    """
    return int(min(N_CONTEXTS, max(2, n_spectra // SPECTRA_PER_CONTEXT)))


def check_stability(stability, floor: float | None = STABILITY_FLOOR, *, n_spectra: int | None = None) -> None:
    """Raise DataError for explanations that are mostly noise: their median stability lies below `floor`.

    Stability is the correlation of a spectrum's weights between two independent noise banks. Where each set of
    weights is the same signal plus independent noise, it is the signal's share of the variance; below the
    default of 0.5 noise is the larger part, and clusters of such weights can be artefacts of noise. Constant
    weights have no correlation (NaN); they count as 0.

    Parameters
    ----------
    stability : (n_spectra,) array or None
        None: unknown, not checked.
    floor : float in -1..1 or None
        None: accept any.
    n_spectra : int, optional
        Number of spectra that must have a stability.

    Raises
    ------
    DataError
        Below the floor, or of another length.
    SettingsError
        A floor that no correlation can have.
    """
    if floor is not None and not -1 <= floor <= 1:
        raise SettingsError(f"stability_floor is {floor}; a correlation lies in -1..1 (None accepts any stability).")
    if stability is None:
        return
    stability = np.asarray(stability, float)
    if stability.ndim != 1 or n_spectra not in (None, len(stability)):
        raise DataError(f"stability has shape {stability.shape} for {n_spectra} spectra; give one value per spectrum.")
    stability = np.nan_to_num(stability, nan=0.0)
    if floor is not None and (median := float(np.median(stability))) < floor:
        raise DataError(
            f"the explanations' median stability is {median:.2f}, below {floor:g} ({np.mean(stability < floor):.0%} of "
            f"{len(stability)} spectra lie below): explain with more samples or with mode='limit', or pass "
            "stability_floor=None to use them all the same."
        )


@dataclass(frozen=True, eq=False)
class Contexts:
    """K-means of a latent space.

    Attributes
    ----------
    centres : (n_contexts, n_dimensions) float64
    assigned : (n_spectra,) int
        Context of each spectrum that the contexts were made from.
    spread : (n_contexts,) float64
        Root mean square distance of those spectra to their centre.
    random_state : int
    """

    centres: np.ndarray
    assigned: np.ndarray
    spread: np.ndarray
    random_state: int

    def __len__(self) -> int:
        return len(self.centres)

    def assign(self, latent) -> np.ndarray:
        """Nearest context of each row of `latent` (n_spectra, n_dimensions), (n_spectra,) int.

        Raises
        ------
        ModelError
            Another number of dimensions than the centres have.
        """
        return _nearest(_latent(latent, self.centres.shape[1]), self.centres)[0]

    def describe(self, *, spectra, weights, predicted, labelled, n_classes: int, assigned=None) -> ContextTable:
        """Table of the contexts: of the spectra that `assigned` assigns, by default those the contexts were made from.

        `spectra` and `weights` are an array or `Rows` each; see `describe_contexts`.
        """
        assigned = self.assigned if assigned is None else np.asarray(assigned)
        return describe_contexts(
            assigned, len(self), spectra, weights, predicted=predicted, labelled=labelled, n_classes=n_classes
        )

    def save(self, path: str | os.PathLike) -> Path:
        """Write one NPZ file, which appears only when complete."""
        arrays = {name: getattr(self, name) for name in ("centres", "assigned", "spread", "random_state")}
        with written(path) as draft, open(draft, "wb") as file:
            np.savez(file, **arrays)
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Contexts:
        """Contexts from a file that `save` wrote.

        Raises
        ------
        StoreError
            No such file, or not such contexts.
        """
        path = Path(path)
        if not path.is_file():
            raise StoreError(f"there are no contexts at '{path}'; check the path or make them with 'ftirlib run'.")
        try:
            with np.load(path, allow_pickle=False) as file:
                values = {name: file[name] for name in ("centres", "assigned", "spread", "random_state")}
        except Exception as error:  # np.load passes on errors of zipfile, of the NPY header and of missing names
            raise StoreError(f"'{path}' does not hold contexts ({error}); make them again.") from error
        return cls(**(values | {"random_state": int(values["random_state"])}))


def find_contexts(
    latent,
    *,
    n_contexts: int = N_CONTEXTS,
    random_state: int = 0,
    n_init: int = 10,
    stability=None,
    stability_floor: float | None = STABILITY_FLOOR,
) -> Contexts:
    """Contexts of a latent space, by K-means.

    Parameters
    ----------
    latent : (n_spectra, n_dimensions) array
        Latent means, or means and log-variances side by side.
    n_contexts : int
        `default_n_contexts` is the rule for small data.
    random_state : int
    n_init : int
        K-means starts; the start of least inertia is kept.
    stability : (n_spectra,) array, optional
        Stability of each explanation; refused when low, as `check_stability` says.
    stability_floor : float or None

    Returns
    -------
    Contexts
        Numbered from the most spectra to the fewest, none of them empty.

    Raises
    ------
    DataError
        More contexts than distinct spectra, values that are not finite, unstable explanations.
    SettingsError
        Fewer than one context or start.

    Examples
    --------
    >>> contexts = find_contexts([[0.0], [0.1], [0.2], [5.0], [5.1]], n_contexts=2)
    >>> contexts.assigned, contexts.assign([[4.0]])
    (array([0, 0, 0, 1, 1]), array([1]))
    """
    from sklearn.cluster import KMeans

    if n_contexts < 1 or n_init < 1:
        raise SettingsError(f"n_contexts is {n_contexts} and n_init {n_init}; both must be at least 1.")
    latent = _latent(latent)
    check_stability(stability, stability_floor, n_spectra=len(latent))
    distinct = len(latent) if n_contexts == 1 else len(np.unique(latent, axis=0))
    if n_contexts > distinct:
        raise DataError(
            f"{n_contexts} contexts were asked of {len(latent)} spectra, {distinct} of them distinct in the latent "
            f"space; ask for fewer (the rule for small data gives {default_n_contexts(len(latent))})."
        )
    fitted = KMeans(n_contexts, n_init=n_init, random_state=random_state).fit(latent)
    # Numbered by size, then by centre, so that numbers do not depend on the order of starts.
    size = np.bincount(fitted.labels_, minlength=n_contexts)
    order = np.lexsort([*fitted.cluster_centers_.T[::-1], -size])
    centres = fitted.cluster_centers_[order]
    assigned, distance = _nearest(latent, centres)
    spread = np.sqrt(np.bincount(assigned, distance**2, n_contexts) / np.bincount(assigned, minlength=n_contexts))
    return Contexts(centres=centres, assigned=assigned, spread=spread, random_state=random_state)


def embed(latent, *, random_state: int = 0, n_neighbors: int = 15, min_dist: float = 0.1) -> np.ndarray:
    """Two-dimensional UMAP of a latent space, for pictures (McInnes et al. 2018, arXiv:1802.03426).

    With more than `EMBEDDED` spectra the map is fitted to evenly spaced spectra, and the others are placed in it.

    Parameters
    ----------
    latent : (n_spectra, n_dimensions) array
    random_state : int
        Seeded UMAP uses one thread; a few thousand spectra make a picture.
    n_neighbors, min_dist
        Parameters of UMAP; with n spectra at most n - 1 neighbours are used.

    Returns
    -------
    (n_spectra, 2) float32
    """
    latent = _latent(latent)
    if len(latent) < 5:
        raise DataError(f"{len(latent)} spectra are too few for UMAP; give at least 5.")
    from umap import UMAP  # slow to import

    step = -(-len(latent) // EMBEDDED)
    neighbours = min(n_neighbors, len(latent[::step]) - 1)
    picture = UMAP(n_neighbors=neighbours, min_dist=min_dist, random_state=random_state, n_jobs=1)
    points = np.empty((len(latent), 2), np.float32)
    points[::step] = picture.fit_transform(latent[::step])
    others = np.flatnonzero(np.arange(len(latent)) % step)
    for start in range(0, len(others), EMBEDDED):
        rows = others[start : start + EMBEDDED]
        points[rows] = picture.transform(latent[rows])
    return points


def _latent(latent, n_dimensions: int | None = None) -> np.ndarray:
    latent = np.asarray(latent, float)
    if latent.ndim != 2 or not latent.size:
        raise DataError(f"the latent space has shape {latent.shape}; give (spectra, dimensions).")
    if not np.isfinite(latent).all():
        bad = (~np.isfinite(latent)).any(axis=1)
        raise DataError(f"the latent space is not finite for {bad.sum()} spectra, the first being {np.argmax(bad)}.")
    if n_dimensions not in (None, latent.shape[1]):
        raise ModelError(
            f"the latent space has {latent.shape[1]} dimensions but the contexts were found in {n_dimensions}; "
            "encode with the autoencoder they belong to."
        )
    return latent


def _nearest(latent: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest centre of each row and the distance to it."""
    distance, number = cKDTree(centres).query(latent)
    return number, distance


# --- the spectra of each context -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ContextTable:
    """Counts, means and shares of each context, in the order of the contexts' numbers.

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
        """The numbers as a data frame with a row per context and classes by name."""
        names = [str(name) for name in class_names]
        columns = {
            "size": self.size,
            "label": [names[k] if k != UNKNOWN else "" for k in self.label],
            "purity": self.purity,
            "mislabel_score": self.mislabel_score,
        }
        for kind, counts in (("predicted", self.predicted_counts), ("labelled", self.labelled_counts)):
            columns |= {f"{kind}_{name}": counts[:, k] for k, name in enumerate(names)}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.size), name="context"))

    def shares(self, positive) -> tuple[np.ndarray, np.ndarray]:
        """Shares of each context's spectra predicted, and labelled, as a class of `positive`, each (n_contexts,)."""
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
    """Table of the contexts: counts, means and shares of the spectra of each.

    Parameters
    ----------
    assigned : (n_spectra,) int
        Context of each spectrum, 0 to n_contexts - 1.
    n_contexts : int
    spectra, weights : (n_spectra, n_wavenumbers) array or Rows
        A block is in memory at a time.
    predicted : (n_spectra,) int
        Class by the classifier.
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
        label=np.where(size > 0, predicted_counts.argmax(axis=1), UNKNOWN),
        purity=purity,
        mislabel_score=mislabel,
        mean_spectra=mean_spectra,
        mean_weights=mean_weights,
        sd_spectra=sd_spectra,
        sd_weights=sd_weights,
    )


def extreme_contexts(table: ContextTable, positions, *, positive) -> tuple[int, int] | None:
    """The two most distant contexts of the positive classes: two pathways to the same diagnosis.

    The pair with the largest distance among the contexts with more than half the spectra labelled, and more than half
    predicted, as positive.

    Parameters
    ----------
    table : ContextTable
    positions : (n_contexts, n_dimensions) array
        Centre of each context, or its mean in an embedding.
    positive : int or sequence of int
        Positive classes.

    Returns
    -------
    (int, int) or None
        Their numbers, the lower first; None with fewer than two such contexts.
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
    """The context that contradicts its labels most: mostly labelled positive, mostly predicted negative.

    It has the largest difference of the two shares among the contexts with more than half the spectra labelled and
    less than half predicted as positive; the lowest number of equals, None without any.
    """
    predicted, labelled = table.shares(positive)
    gap = np.where((labelled > 0.5) & (predicted < 0.5), labelled - predicted, -np.inf)
    return int(gap.argmax()) if np.isfinite(gap.max()) else None


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
        share = count / np.maximum(size + count, 1)  # of the block in the rows of the context so far
        shift = mean - means
        squares += member @ np.square(block - mean[at]) + size * share * np.square(shift)
        means += share * shift
        size += count
    with np.errstate(invalid="ignore"):
        return np.where(size > 0, means, np.nan), np.sqrt(squares / size)
