"""Is the autoencoder worth its price? Contexts that lack one of its parts, to be scored as its own are.

A control keeps everything but the one thing it is named after (as in Adebayo et al. 2018, arXiv:1810.03292);
K-means is that of scikit-learn. Spectra and weights are read a block at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans

from ftirlib.classify.moments import Components, Moments, class_means
from ftirlib.errors import DataError, SettingsError
from ftirlib.explain.crime.inputs import deviation
from ftirlib.spectra.rows import Rows, hstack

TRAINED = ("permuted labels", "shuffled weights", "spectra alone", "weights alone")
PLAIN = ("K-means of the spectra", "K-means of the weights", "PCA of both", "PCA, weights shuffled", "sizes alone")
DEALT = PLAIN[-1]
LATENT = 4  # dimensions of the published autoencoder's latent space
CLUSTERED = 50_000  # spectra that K-means is fitted to at most


class Assigned(NamedTuple):
    """Context of each spectrum: those the contexts were found on, and those they were tried on."""

    found: np.ndarray
    tried: np.ndarray


def control_input(
    control: str, spectra, weights, labels, *, random_state: int = 0, means: tuple | None = None
) -> tuple:
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
    spectra, weights : (n_spectra, n_wavenumbers) array or Rows
        Weights that are shuffled are read in another order than they lie in.
    labels : (n_spectra,) int
    random_state : int
    means : (spectra, weights), optional
        Whose means stand in; default the same.

    Returns
    -------
    spectra, weights, labels
        As given, but for the one that the control changes: spectra or weights are then `Rows`, or an array of one row
        repeated, which takes the memory of one.

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
    _check_halves(spectra, weights)
    labels = np.asarray(labels)
    if labels.shape != spectra.shape[:1]:
        raise DataError(f"labels have shape {labels.shape} for {len(spectra)} spectra; give one each.")
    stand_in = (spectra, weights) if means is None else means
    _check_halves(*stand_in)
    if stand_in[0].shape[1] != spectra.shape[1]:
        raise DataError(f"the means are at {stand_in[0].shape[1]} wavenumbers but the spectra at {spectra.shape[1]}.")
    order = np.random.default_rng([random_state, TRAINED.index(control)]).permutation(len(labels))
    if control == "permuted labels":
        labels = labels[order]
    elif control == "shuffled weights":
        weights = Rows.of(weights, order)
    elif control == "spectra alone":
        weights = np.broadcast_to(_mean(stand_in[1]), weights.shape)
    else:
        spectra = np.broadcast_to(_mean(stand_in[0]), spectra.shape)
    return spectra, weights, labels


def _mean(half) -> np.ndarray:
    return class_means(Rows.of(half), np.zeros(len(half), int), 1)[0]


def plain_points(
    control: str, known: tuple, tried: tuple, *, n_components: int = LATENT, random_state: int = 0
) -> tuple[Rows, Rows]:
    """What is clustered in a control that needs no autoencoder.

    The spectra, their weights, or the first principal components of both (each input scaled to mean 0 and standard
    deviation 1, as for the autoencoder), maybe with the weights shuffled among the spectra.

    Parameters
    ----------
    control : str
        One of `PLAIN` but the last, which clusters nothing.
    known, tried : (spectra, weights)
        Each (n_spectra, n_wavenumbers) array or `Rows`; scaling and components are found on the known.
    n_components : int
        As many as the latent space has dimensions; at most what the data have.
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
    found = Moments.of(a, np.zeros(len(a), int), 1)
    scale = deviation(found.mean, np.diag(found.within) / len(a))
    # of the scaled values, without another walk
    scaled = Components.of(
        Moments(found.counts, found.means / scale, found.within / np.outer(scale, scale)), n_components
    )
    components = Components(found.mean, scaled.components / scale, scaled.variance)
    return a.through(components.scores), b.through(components.scores)


def cluster(known: Rows, n_contexts: int, *, n_init: int = 10, random_state: int = 0) -> KMeans:
    """K-means in float32, fitted to `CLUSTERED` evenly spaced ones of more."""
    some = Rows.of(known, np.arange(0, len(known), -(-len(known) // CLUSTERED)))
    points = np.empty(some.shape, np.float32)
    for rows, block in some.blocks():
        points[rows] = block
    return KMeans(n_contexts, n_init=n_init, random_state=random_state, copy_x=False).fit(points)


def nearest(means: KMeans, points: Rows) -> np.ndarray:
    """The nearest cluster of each point, (n,) int."""
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
    """Contexts that need no autoencoder, by name (`PLAIN`).

    K-means (`cluster`) of the spectra, of their weights, and of the first principal components of both, the last also
    with the weights shuffled among the spectra (`plain_points`). Sizes alone: the real contexts dealt out at random,
    which is chance with the same sizes.

    Parameters
    ----------
    spectra, weights : (n_spectra, n_wavenumbers) array or Rows
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
    known = spectra, weights
    other = known if tried is None else tried
    for halves in (known, other):
        _check_halves(*halves)
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
        if (len(dealt.found), len(dealt.tried)) != (len(known[0]), len(other[0])):
            raise DataError(
                f"the real contexts are of {len(dealt.found)} and {len(dealt.tried)} spectra but there are "
                f"{len(known[0])} and {len(other[0])}; give the same ones."
            )
        out[DEALT] = dealt
    return out


def _check_halves(spectra, weights) -> None:
    if len(spectra.shape) != 2 or spectra.shape != weights.shape or 0 in spectra.shape:
        raise DataError(
            f"spectra have shape {spectra.shape} and weights {weights.shape}; both must be (spectra, wavenumbers) and "
            "alike."
        )
