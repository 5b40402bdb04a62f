"""What a protocol claims: one model scored after over-sampling before or inside, and after random or grouped splits.

Copies made before a split lie on both sides of it (Vandewiele et al. 2021, 10.1016/j.artmed.2020.101987), and so do
spectra of one preparation after a random one (Guo et al. 2017, 10.1039/C7AY01363A). A map shows the features that are
scored: principal components, then t-SNE (van der Maaten & Hinton 2008, JMLR 9, 2579, who take 30; Abdo et al. 2024,
10.5815/ijisa.2024.04.02, show such a map of their features and state no settings).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from imblearn.over_sampling import RandomOverSampler
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from ftirlib.errors import DataError, SettingsError

OVERSAMPLED = ("inside", "before")
SPLITS = ("grouped", "random")
PROTOCOLS = tuple((oversampled, split) for oversampled in OVERSAMPLED for split in SPLITS)


COMPONENTS = 50
PERPLEXITY = 30.0  # effective number of neighbours, where there are spectra enough


@dataclass(frozen=True)
class LeakResult:
    """Predictions under one protocol.

    Attributes
    ----------
    oversampled : {"inside", "before"}
        The training side only, or everything before the split, copies then being scored too.
    split : {"grouped", "random"}
    row : (n_scored,) int
        Spectrum (row of the features) that each scored row is or copies.
    y_true, predicted : (n_scored,) arrays
        Labels.
    group : (n_scored,) array
    fold : (n_scored,) int
    is_copy : (n_scored,) bool
    twin_in_training : (n_scored,) bool
        Whether the same spectrum was trained on.
    group_in_training : (n_scored,) bool
        Whether another spectrum of its group was, or itself.
    """

    oversampled: str
    split: str
    row: np.ndarray
    y_true: np.ndarray
    predicted: np.ndarray
    group: np.ndarray
    fold: np.ndarray
    is_copy: np.ndarray
    twin_in_training: np.ndarray
    group_in_training: np.ndarray


def leak_experiment(
    features,
    y,
    groups,
    classifier,
    *,
    n_splits: int = 4,
    random_state: int = 0,
    protocols: Sequence[tuple[str, str]] = PROTOCOLS,
    progress: Callable[[int, int], None] | None = None,
) -> list[LeakResult]:
    """Cross-validate one classifier under up to four protocols.

    Parameters
    ----------
    features : (n_spectra, n_features) array
        As from `fuse`; extracted without labels, so that they carry nothing over a split.
    y : (n_spectra,) int or str
    groups : (n_spectra,) array
        Preparation or patient of each spectrum.
    classifier : estimator
        With a parameter ``oversampling`` that takes "random" and None, such as `FusedFeatureClassifier`; it is cloned.
    n_splits : int
    random_state : int
        Of the splits and of the over-sampling before them.
    protocols : sequence of (oversampled, split)
        Of `PROTOCOLS`; each gives the same result alone as among the others.
    progress : callable, optional
        Called with the number of fits done and their total.

    Returns
    -------
    list of LeakResult
        One a protocol, in the order asked for. Random over-sampling throughout: a copy has the group of its spectrum, a
        point of SMOTE between two groups has none.

    Raises
    ------
    DataError
        Lengths that disagree, or a class in fewer groups than there are splits.
    SettingsError
        An unknown protocol.
    """
    if unknown := [one for one in protocols if tuple(one) not in PROTOCOLS]:
        raise SettingsError(f"there is no protocol {unknown[0]}; choose of {PROTOCOLS}.")
    features, y, groups = np.asarray(features), np.asarray(y), np.asarray(groups)
    if not len(features) == len(y) == len(groups):
        raise DataError(
            f"there are {len(features)} rows of features, {len(y)} labels and {len(groups)} groups; give one each per "
            "spectrum."
        )
    for name in np.unique(y):
        if (n := len(np.unique(groups[y == name]))) < n_splits:
            raise DataError(
                f"class {name} occurs in {n} group(s) for {n_splits} splits; lower n_splits or bring more groups of it."
            )
    everything = np.arange(len(y))
    sampler = RandomOverSampler(random_state=random_state)
    copied = sampler.fit_resample(everything[:, None], y)[0][:, 0]
    results = []
    for oversampled, split in protocols:
        before = oversampled == "before"
        row = copied if before else everything
        model = clone(classifier).set_params(oversampling=None if before else "random")
        options = {"shuffle": True, "random_state": random_state}
        if split == "grouped":
            folds = StratifiedGroupKFold(n_splits, **options).split(row, y[row], groups[row])
        else:
            folds = StratifiedKFold(n_splits, **options).split(row, y[row])
        parts = []
        for fold, (train, test) in enumerate(folds):
            predicted = clone(model).fit(features[row[train]], y[row[train]]).predict(features[row[test]])
            twin = np.isin(row[test], row[train])
            known = np.isin(groups[row[test]], groups[row[train]])
            parts.append((test, predicted, np.full(len(test), fold), twin, known))
            if progress is not None:
                progress(len(results) * n_splits + fold + 1, len(protocols) * n_splits)
        test, predicted, fold, twin, known = (np.concatenate(part) for part in zip(*parts))
        # the sampler keeps the given spectra first, and its copies after them
        is_copy = test >= len(everything)
        results.append(
            LeakResult(
                oversampled, split, row[test], y[row[test]], predicted, groups[row[test]], fold, is_copy, twin, known
            )
        )
    return results


def tsne_map(features, *, random_state: int = 0) -> np.ndarray:
    """Places (n_spectra, 2) of spectra on a plane by their features (n_spectra, n_features).

    Features are standardised, so that no family rules by its units, and reduced to at most 50 principal components.
    The perplexity is 30, and less for fewer than about a hundred spectra. No label takes part.

    Raises
    ------
    DataError
        Fewer than five spectra, or NaN.

    Examples
    --------
    >>> tsne_map(np.random.default_rng(0).standard_normal((20, 8))).shape
    (20, 2)
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 5:
        raise DataError(f"features have shape {features.shape}; a map needs a row for each of at least five spectra.")
    if not np.isfinite(features).all():
        raise DataError(f"the features {features.shape} hold NaN or infinite values; extract them again.")
    scaled = StandardScaler().fit_transform(features)
    components = min(COMPONENTS, *scaled.shape)
    reduced = PCA(components, svd_solver="full").fit_transform(scaled)
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=random_state, n_jobs=1).fit_transform(reduced)
