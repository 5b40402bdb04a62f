"""Is the autoencoder worth its price? Contexts that lack one of its parts, to be scored as its own are.

A control keeps everything but the one thing it is named after (as in Adebayo et al. 2018, arXiv:1810.03292);
K-means and PCA are those of scikit-learn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from ftirlib.errors import DataError, SettingsError

TRAINED = ("permuted labels", "shuffled weights", "spectra alone", "weights alone")
PLAIN = ("K-means of the spectra", "K-means of the weights", "PCA of both", "PCA, weights shuffled", "sizes alone")
DEALT = PLAIN[-1]
LATENT = 4  # dimensions of the published autoencoder's latent space


class Assigned(NamedTuple):
    """Context of each spectrum: those the contexts were found on, and those they were tried on."""

    found: np.ndarray
    tried: np.ndarray


def control_input(
    control: str, spectra, weights, labels, *, random_state: int = 0, means: tuple | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What an autoencoder is trained on in a control; it is then trained as the real one is.

    - ``"permuted labels"``: each spectrum's label is another's. What is left shows what supervision gives beyond
      its extra loss. Without supervision no label is read, and this control is the real one.
    - ``"shuffled weights"``: each spectrum has another's weights, so that spectrum and explanation do not belong
      together. What is left needs no explanation of the spectrum at hand.
    - ``"spectra alone"``, ``"weights alone"``: the other half is its own mean everywhere, which says nothing.

    Encode further spectra through `control_input` likewise, with labels that are not used, and with `means`: the
    half that says nothing must say the same as it did in training.

    Parameters
    ----------
    control : str
        One of `TRAINED`.
    spectra, weights : (n_spectra, n_wavenumbers) array
    labels : (n_spectra,) int
    random_state : int
    means : (spectra, weights), optional
        Whose means stand in; default the same.

    Returns
    -------
    spectra, weights, labels
        As given, but for the one that the control changes.

    Raises
    ------
    SettingsError
        An unknown control.
    DataError
        Arrays that disagree.

    Examples
    --------
    >>> import numpy as np
    >>> spectra, weights, labels = control_input("spectra alone", [[1, 2], [3, 4]], [[0, 2], [2, 0]], [0, 1])
    >>> weights.tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    if control not in TRAINED:
        raise SettingsError(f"control '{control}' is unknown; choose one of {list(TRAINED)}.")
    spectra, weights = _halves(spectra, weights)
    labels = np.asarray(labels)
    if labels.shape != spectra.shape[:1]:
        raise DataError(f"labels have shape {labels.shape} for {len(spectra)} spectra; give one each.")
    stand_in = (spectra, weights) if means is None else _halves(*means)
    if stand_in[0].shape[1] != spectra.shape[1]:
        raise DataError(f"the means are at {stand_in[0].shape[1]} wavenumbers but the spectra at {spectra.shape[1]}.")
    order = np.random.default_rng([random_state, TRAINED.index(control)]).permutation(len(labels))
    if control == "permuted labels":
        labels = labels[order]
    elif control == "shuffled weights":
        weights = weights[order]
    elif control == "spectra alone":
        weights = np.broadcast_to(stand_in[1].mean(axis=0), weights.shape)
    else:
        spectra = np.broadcast_to(stand_in[0].mean(axis=0), spectra.shape)
    return spectra, weights, labels


def context_controls(
    spectra,
    weights,
    *,
    n_contexts: int,
    tried: tuple | None = None,
    real: Assigned | None = None,
    n_components: int = LATENT,
    n_init: int = 10,
    random_state: int = 0,
) -> dict[str, Assigned]:
    """Contexts that need no autoencoder, by name (`PLAIN`).

    K-means of the spectra, of their weights, and of the first principal components of both (each input scaled to
    mean 0 and standard deviation 1, as for the autoencoder), the last also with the weights shuffled among the
    spectra. Sizes alone: the real contexts dealt out at random, which is chance with the same sizes.

    Parameters
    ----------
    spectra, weights : (n_spectra, n_wavenumbers) array
        Contexts, scaling and components are found on these.
    n_contexts : int
    tried : (spectra, weights), optional
        Then assigned to the nearest context; default the same.
    real : Assigned, optional
        The autoencoder's contexts; without them there is no control by sizes alone.
    n_components : int
        As many as the latent space has dimensions; at most what the data have.
    n_init : int
        Starts of K-means.
    random_state : int

    Returns
    -------
    dict of str to Assigned

    Raises
    ------
    DataError
        Arrays that disagree, or more contexts than spectra.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(40, 6))
    >>> [name for name in context_controls(x, x**2, n_contexts=3)]
    ['K-means of the spectra', 'K-means of the weights', 'PCA of both', 'PCA, weights shuffled']
    """
    known = _halves(spectra, weights)
    other = known if tried is None else _halves(*tried)
    if other[0].shape[1] != known[0].shape[1]:
        raise DataError(f"contexts are found at {known[0].shape[1]} wavenumbers but tried at {other[0].shape[1]}.")
    if not 1 <= n_contexts <= len(known[0]):
        raise DataError(f"{n_contexts} contexts were asked of {len(known[0])} spectra; ask for fewer, at least one.")

    def clusters(a, b) -> Assigned:
        # one dtype for both: scikit-learn's K-means refuses to mix them
        a, b = (np.ascontiguousarray(x, np.float64) for x in (a, b))
        means = KMeans(n_contexts, n_init=n_init, random_state=random_state).fit(a)
        return Assigned(means.labels_.astype(np.int64), means.predict(b).astype(np.int64))

    def components(a, b) -> Assigned:
        a, b = np.hstack(a), np.hstack(b)
        scaler = StandardScaler().fit(a)
        most = min(n_components, *a.shape)
        pca = PCA(most, random_state=random_state).fit(scaler.transform(a))
        return clusters(*(pca.transform(scaler.transform(x)) for x in (a, b)))

    def shuffled(halves):
        none = np.zeros(len(halves[0]), int)
        return control_input("shuffled weights", *halves, none, random_state=random_state)[:2]

    made = (clusters(known[0], other[0]), clusters(known[1], other[1]), components(known, other))
    out = dict(zip(PLAIN, (*made, components(shuffled(known), shuffled(other)))))
    if real is not None:
        rng = np.random.default_rng(random_state)
        dealt = Assigned(*(rng.permutation(np.asarray(part)) for part in real))
        if (len(dealt.found), len(dealt.tried)) != (len(known[0]), len(other[0])):
            raise DataError(
                f"the real contexts are of {len(dealt.found)} and {len(dealt.tried)} spectra but there are "
                f"{len(known[0])} and {len(other[0])}; give the same ones."
            )
        out[DEALT] = dealt
    return out


def _halves(spectra, weights) -> tuple[np.ndarray, np.ndarray]:
    spectra, weights = np.asarray(spectra, float), np.asarray(weights, float)
    if spectra.ndim != 2 or spectra.shape != weights.shape or not spectra.size:
        raise DataError(
            f"spectra have shape {spectra.shape} and weights {weights.shape}; both must be (spectra, wavenumbers) and "
            "alike."
        )
    return spectra, weights
