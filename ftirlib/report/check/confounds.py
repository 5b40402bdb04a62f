"""Whether the class is entangled with the batch, and whether the spectra show the batch.

Cramer's V with Bergsma's correction for small tables (Bergsma 2013, doi:10.1016/j.jkss.2012.10.002); permutation test
of a cross-validated score (Ojala & Garriga 2010, JMLR 11, 1833).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftirlib.report.tally import contingency_table, sums_by_code

MOST_COMPONENTS = 10
N_FOLDS = 4


@dataclass(frozen=True)
class BatchTest:
    """How well the batch of an image is told from its mean spectrum, groups kept apart.

    Attributes
    ----------
    accuracy : float
        Balanced accuracy over the batches.
    shuffled : (n_permutations,) array
        The same with batches shuffled among all images.
    shuffled_in_class : (n_permutations,) array
        The same with batches shuffled among the images of each class, so that only the class tells the batch.
    """

    accuracy: float
    shuffled: np.ndarray
    shuffled_in_class: np.ndarray

    @property
    def p_value(self) -> float:
        """Share of shuffles, the measured batches counted as one, that reach the accuracy: do spectra tell it?"""
        return float((1 + (self.shuffled >= self.accuracy).sum()) / (1 + len(self.shuffled)))

    @property
    def p_value_in_class(self) -> float:
        """The same for shuffles within classes: do spectra show the batch beyond what the classes tell of it?"""
        return float((1 + (self.shuffled_in_class >= self.accuracy).sum()) / (1 + len(self.shuffled_in_class)))


def cramers_v(one, other) -> float:
    """Association of two lists of codes, 0 (none) to 1 (each tells the other), corrected for chance.

    Examples
    --------
    >>> cramers_v([0, 0, 1, 1] * 5, [0, 0, 1, 1] * 5)
    1.0
    >>> cramers_v([0, 0, 1, 1] * 5, [0, 1, 0, 1] * 5)
    0.0
    """
    one, other = np.asarray(one, np.int64), np.asarray(other, np.int64)
    table = contingency_table(one, other, shape=(one.max(initial=-1) + 1, other.max(initial=-1) + 1))
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(np.float64)
    n, (rows, columns) = table.sum(), table.shape
    if min(rows, columns) < 2 or n < 2:
        return float("nan")
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / n
    phi = (((table - expected) ** 2 / expected).sum()) / n
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    rows, columns = rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)
    smaller = min(rows, columns) - 1
    return float(min(1.0, np.sqrt(phi / smaller))) if smaller > 0 else float("nan")


def predict_batch(means, batch, group, label, *, n_permutations: int = 99, random_state: int = 0) -> BatchTest | None:
    """Tell the batch of images from their mean spectra, by the nearest batch mean among whitened principal components.

    Parameters
    ----------
    means : (n_images, n_wavenumbers) array
        Mean spectrum of each image; offset and scale are taken out.
    batch, group, label : (n_images,) int
        The label may be -1, a class of its own here.
    n_permutations : int
    random_state : int

    Returns
    -------
    BatchTest or None
        None where fewer than two batches have two groups, so that no group could be kept apart.
    """
    from sklearn.decomposition import PCA

    means, batch, group, label = np.asarray(means, np.float64), *(np.asarray(a) for a in (batch, group, label))
    n_groups = np.array([len(np.unique(group[batch == b])) for b in range(batch.max() + 1)])
    keep = np.isin(batch, np.flatnonzero(n_groups >= 2)) & np.isfinite(means).all(axis=1)
    means, batch, group, label = means[keep], batch[keep], group[keep], label[keep]
    if len(np.unique(batch)) < 2:
        return None
    n_folds = int(min(N_FOLDS, n_groups[n_groups >= 2].min()))
    sets = _folds(batch, group, n_folds, random_state)
    spectra = means - means.mean(axis=1, keepdims=True)
    spectra /= np.maximum(spectra.std(axis=1, keepdims=True), np.finfo(float).tiny)
    folds = []  # components do not see the batches, so shuffles share them
    for k in range(n_folds):
        train, test = np.flatnonzero(sets != k), np.flatnonzero(sets == k)
        n_components = min(MOST_COMPONENTS, max(1, len(train) // 5), spectra.shape[1])
        pca = PCA(n_components, whiten=True, svd_solver="full").fit(spectra[train])
        folds.append((train, test, pca.transform(spectra[train]), pca.transform(spectra[test])))

    def score(codes):
        predicted = np.empty(len(codes), np.int64)
        for train, test, seen, unseen in folds:
            sums, counts = sums_by_code(codes[train], seen, codes.max() + 1)
            with np.errstate(invalid="ignore"):
                centres = sums / counts[:, None]  # (n_batches, n_components)
            far = ((unseen[:, None] - centres) ** 2).sum(axis=2)  # (n_test, n_batches)
            predicted[test] = np.where(np.isnan(far), np.inf, far).argmin(axis=1)  # NaN: a batch not in training
        return np.mean([(predicted[codes == b] == b).mean() for b in np.unique(codes)])

    rng = np.random.default_rng(random_state)

    def shuffled(strata):
        codes = batch.copy()
        for s in np.unique(strata):
            members = np.flatnonzero(strata == s)
            codes[members] = batch[rng.permutation(members)]
        return codes

    return BatchTest(
        accuracy=float(score(batch)),
        shuffled=np.array([score(shuffled(np.zeros_like(label))) for _ in range(n_permutations)]),
        shuffled_in_class=np.array([score(shuffled(label)) for _ in range(n_permutations)]),
    )


def _folds(batch, group, n_folds, random_state) -> np.ndarray:
    """The set of each image; groups whole, batches spread."""
    from sklearn.model_selection import StratifiedGroupKFold

    sets = np.zeros(len(batch), np.int64)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)
    for k, (_, test) in enumerate(splitter.split(batch, batch, group)):
        sets[test] = k
    return sets
