"""Controls of the autoencoder: contexts made without one of its parts, for the same scores as its own.

A control changes only the part it is named after (as in Adebayo et al. 2018, arXiv:1810.03292); K-means is that of
scikit-learn. Spectra and weights are read a block at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans

from ftirlib.classify.moments import Components, Moments, class_means
from ftirlib.errors import DataError, SettingsError
from ftirlib.explain.crime.inputs import check_halves, deviation
from ftirlib.spectra.rows import Rows, hstack

TRAINED = ("permuted labels", "shuffled weights", "spectra alone", "weights alone")
PLAIN = ("K-means of the spectra", "K-means of the weights", "PCA of both", "PCA, weights shuffled", "sizes alone")
DEALT = PLAIN[-1]
LATENT = 4  # dimensions of the published autoencoder's latent space
CLUSTERED = 50_000  # spectra that K-means is fitted to at most


class Assigned(NamedTuple):
    """Context of each spectrum, of the known spectra that gave the contexts and of the tried spectra."""

    known: np.ndarray
    tried: np.ndarray


def control_input(
    control: str, spectra, weights, labels, *, random_state: int = 0, means: tuple | None = None
) -> tuple:
    """Input of an autoencoder in a control; the rest of the training is the same.

    - ``"permuted labels"``: each spectrum has the label of another, which leaves supervision only its extra loss.
      Without supervision no label is read, and this control equals the real autoencoder.
    - ``"shuffled weights"``: each spectrum has the weights of another, so that spectrum and explanation do not belong
      together.
    - ``"spectra alone"``, ``"weights alone"``: the other half is its mean everywhere, which carries no information.

    Encode further spectra through `control_input` too, with any labels, and with the `means` of the training: the
    half without information must have the same values.

    Parameters
    ----------
    control : str
        One of `TRAINED`.
    spectra, weights : (n_spectra, n_wavenumbers) array or Rows
        Weights that are shuffled are read in another order than they lie in.
    labels : (n_spectra,) int
    random_state : int
    means : (spectra, weights), optional
        Source of the means; default the spectra and weights themselves.

    Returns
    -------
    spectra, weights, labels
        As given, but for the part that the control changes: spectra or weights are then `Rows`, or an array of a
        repeated row, in the memory of a single row.

    Raises
    ------
    SettingsError
        An unknown control.
    DataError
        Arrays that disagree.

    Examples
    --------
    >>> import numpy as np
    >>> spectra, weights = np.array([[1, 2], [3, 4]]), np.array([[0, 2], [2, 0]])
    >>> spectra, weights, labels = control_input("spectra alone", spectra, weights, [0, 1])
    >>> weights.tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    if control not in TRAINED:
        raise SettingsError(f"control '{control}' is unknown; choose one of {list(TRAINED)}.")
    check_halves(spectra, weights)
    labels = np.asarray(labels)
    if labels.shape != spectra.shape[:1]:
        raise DataError(f"labels have shape {labels.shape} for {len(spectra)} spectra; give one each.")
    means = (spectra, weights) if means is None else means
    check_halves(*means)
    if means[0].shape[1] != spectra.shape[1]:
        raise DataError(f"the means are at {means[0].shape[1]} wavenumbers but the spectra at {spectra.shape[1]}.")
    order = np.random.default_rng([random_state, TRAINED.index(control)]).permutation(len(labels))
    if control == "permuted labels":
        labels = labels[order]
    elif control == "shuffled weights":
        weights = Rows.of(weights, order)
    elif control == "spectra alone":
        weights = np.broadcast_to(_mean(means[1]), weights.shape)
    else:
        spectra = np.broadcast_to(_mean(means[0]), spectra.shape)
    return spectra, weights, labels


def _mean(half) -> np.ndarray:
    return class_means(Rows.of(half), np.zeros(len(half), int), 1)[0]


def plain_points(
    control: str, known: tuple, tried: tuple, *, n_components: int = LATENT, random_state: int = 0
) -> tuple[Rows, Rows]:
    """Points that a control without an autoencoder clusters.

    The spectra, their weights, or the first principal components of both (each input scaled to mean 0 and standard
    deviation 1, as for the autoencoder), these also with the weights shuffled among the spectra.

    Parameters
    ----------
    control : str
        One of `PLAIN` but the last, which clusters nothing.
    known, tried : (spectra, weights)
        Each (n_spectra, n_wavenumbers) array or `Rows`; scaling and components are found on the known.
    n_components : int
        Dimensions of the latent space; fewer where the data have fewer.
    random_state : int

    Returns
    -------
    known, tried : Rows
    """
    if control in PLAIN[:2]:
        half = PLAIN.index(control)
        return Rows.of(known[half]), Rows.of(tried[half])
    if control == PLAIN[3]:
        known, tried = (
            control_input("shuffled weights", *halves, np.zeros(len(halves[0]), int), random_state=random_state)[:2]
            for halves in (known, tried)
        )
    a, b = (hstack([Rows.of(half) for half in halves]) for halves in (known, tried))
    moments = Moments.of(a, np.zeros(len(a), int), 1)
    scale = deviation(moments.mean, np.diag(moments.within) / len(a))
    # components of the scaled values, without another reading of them
    scaled = Components.of(
        Moments(moments.counts, moments.means / scale, moments.within / np.outer(scale, scale)), n_components
    )
    components = Components(moments.mean, scaled.components / scale, scaled.variance)
    return a.through(components.scores), b.through(components.scores)


def cluster(known: Rows, n_contexts: int, *, n_init: int = 10, random_state: int = 0) -> KMeans:
    """K-means in float32, fitted to at most `CLUSTERED` evenly spaced points."""
    chosen = Rows.of(known, np.arange(0, len(known), -(-len(known) // CLUSTERED)))
    points = np.empty(chosen.shape, np.float32)
    for rows, block in chosen.blocks():
        points[rows] = block
    return KMeans(n_contexts, n_init=n_init, random_state=random_state, copy_x=False).fit(points)


def nearest(means: KMeans, points: Rows) -> np.ndarray:
    """Nearest cluster of each point, (n,) int."""
    return np.concatenate([means.predict(block.astype(np.float32)) for _, block in points.blocks()]).astype(np.int64)


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
    """Contexts of the controls without an autoencoder, by name (`PLAIN`).

    K-means (`cluster`) of the spectra, of their weights, and of the first principal components of both, the last also
    with the weights shuffled among the spectra (`plain_points`). Sizes alone: the real contexts permuted at random,
    chance with the same sizes.

    Parameters
    ----------
    spectra, weights : (n_spectra, n_wavenumbers) array or Rows
        Source of contexts, scaling and components.
    n_contexts : int
    tried : (spectra, weights), optional
        Spectra to assign to the nearest context; default the same.
    real : Assigned, optional
        The autoencoder's contexts; without them no control by sizes alone.
    n_components : int
        Dimensions of the latent space; fewer where the data have fewer.
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
    known = spectra, weights
    other = known if tried is None else tried
    for halves in (known, other):
        check_halves(*halves)
    if other[0].shape[1] != known[0].shape[1]:
        raise DataError(f"contexts are found at {known[0].shape[1]} wavenumbers but tried at {other[0].shape[1]}.")
    if not 1 <= n_contexts <= len(known[0]):
        raise DataError(f"{n_contexts} contexts were asked of {len(known[0])} spectra; ask for fewer, at least one.")
    out = {}
    for control in PLAIN[:-1]:
        points = plain_points(control, known, other, n_components=n_components, random_state=random_state)
        means = cluster(points[0], n_contexts, n_init=n_init, random_state=random_state)
        out[control] = Assigned(*(nearest(means, each) for each in points))
    if real is not None:
        rng = np.random.default_rng(random_state)
        dealt = Assigned(*(rng.permutation(np.asarray(part)) for part in real))
        if (len(dealt.known), len(dealt.tried)) != (len(known[0]), len(other[0])):
            raise DataError(
                f"the real contexts are of {len(dealt.known)} and {len(dealt.tried)} spectra but there are "
                f"{len(known[0])} and {len(other[0])}; give the same ones."
            )
        out[DEALT] = dealt
    return out
