"""A map of fused features: principal components, then t-SNE, the same points for the same seed.

van der Maaten & Hinton 2008 (JMLR 9, 2579), who take 30 principal components first; Abdo et al. 2024
(10.5815/ijisa.2024.04.02) show such a map of their features and state no settings.
"""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from ftirlib.errors import DataError

COMPONENTS = 50
PERPLEXITY = 30.0  # effective number of neighbours, where there are spectra enough


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
