"""Spectra that occur twice, to the bit or but for rounding and scale: between groups they leak a test set.

Near copies are looked for through random projections (Johnson & Lindenstrauss 1984) and then measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ftirlib.spectra.model import read_absorbance

NEAR = 1e-4  # of the spectrum's own variation; two measurements differ by their noise, tenfold and more of this
N_DIRECTIONS = 8
SLACK = 1e-6  # float32 projections round
MOST_MEASURED = 20_000  # candidates read back in full
BLOCK = 1024


class Signatures:
    """A hash and a projection of each spectrum, gathered block by block: 72 bytes a spectrum.

    Parameters
    ----------
    n_wavenumbers : int
    random_state : int

    Attributes
    ----------
    directions : (n_wavenumbers, n_directions) float64
        Orthonormal; what each standardised spectrum is projected on.
    """

    def __init__(self, n_wavenumbers: int, *, random_state: int = 0):
        rng = np.random.default_rng(random_state)
        self._weights = rng.integers(1 << 62, size=n_wavenumbers, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        directions, _ = np.linalg.qr(rng.standard_normal((n_wavenumbers, min(N_DIRECTIONS, n_wavenumbers))))
        self.directions = directions
        self._hashes: list[np.ndarray] = []
        self._points: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        """Take in spectra, (n, n_wavenumbers) float32."""
        bits = np.ascontiguousarray(block, np.float32).view(np.uint32).astype(np.uint64)
        mixed = bits * self._weights  # modulo 2**64
        self._hashes.append((mixed ^ (mixed >> np.uint64(29))).sum(axis=1, dtype=np.uint64))
        self._points.append(standardised(block) @ self.directions)

    @property
    def hashes(self) -> np.ndarray:
        """(n_spectra,) uint64."""
        return np.concatenate(self._hashes)

    @property
    def points(self) -> np.ndarray:
        """(n_spectra, n_directions) float64; NaN for a flat or non-finite spectrum."""
        return np.concatenate(self._points)


def standardised(block) -> np.ndarray:
    """Spectra less their mean, of unit length, so that offset and scale do not count; NaN where there is no shape."""
    block = np.asarray(block, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = block - block.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.where(length > 0, centred / length, np.nan)


@dataclass(frozen=True)
class Duplicates:
    """Pairs (first, other) of spectra, by row of the data set.

    Attributes
    ----------
    exact : (n, 2) int64
        Equal to the bit; each spectrum beside the first one like it.
    near : (n, 2) int64
        Equal to a ten-thousandth after offset and scale are taken out; each beside its nearest.
    n_not_measured : int
        Candidates for near copies beyond those that were read back.
    """

    exact: np.ndarray
    near: np.ndarray
    n_not_measured: int

    def across(self, codes, which: str = "exact") -> np.ndarray:
        """Those pairs whose two spectra differ in `codes` (n_spectra,), such as the group."""
        pairs = getattr(self, which)
        return pairs[np.asarray(codes)[pairs[:, 0]] != np.asarray(codes)[pairs[:, 1]]]


def find_duplicates(data: xr.Dataset, signatures: Signatures) -> Duplicates:
    """Copies among the spectra of a data set.

    Parameters
    ----------
    data : xarray.Dataset
    signatures : Signatures
        Of all its spectra in order. Flat spectra (all zero, say) are not compared.

    Returns
    -------
    Duplicates
    """
    from scipy.spatial import KDTree

    hashes, points = signatures.hashes, signatures.points
    shaped = np.flatnonzero(np.isfinite(points).all(axis=1))
    _, first, of = np.unique(hashes[shaped], return_index=True, return_inverse=True)
    # Two of 10 million spectra share a 64-bit hash by chance once in 400 000 data sets.
    copies = shaped[first][of] != shaped
    exact = np.stack([shaped[first][of][copies], shaped[copies]], axis=1)
    single = np.sort(shaped[first])
    if len(single) < 2:
        return Duplicates(exact, np.empty((0, 2), np.int64), 0)
    distance, neighbour = KDTree(points[single]).query(points[single], k=2, distance_upper_bound=NEAR + SLACK)
    # Of equal points either may come first: the neighbour is the one of the two that is not the point itself.
    other = np.where(neighbour[:, 0] == np.arange(len(single)), neighbour[:, 1], neighbour[:, 0])
    found = np.isfinite(distance[:, 1]) & (other < len(single))
    pairs = np.sort(np.stack([single[found], single[other[found]]], axis=1), axis=1)
    pairs = np.unique(pairs, axis=0)
    measured = pairs[:MOST_MEASURED]
    near = [part[_apart(data, part) <= NEAR] for part in np.split(measured, range(BLOCK, len(measured), BLOCK))]
    return Duplicates(exact, np.concatenate(near), len(pairs) - len(measured))


def _apart(data, pairs) -> np.ndarray:
    """Distance of the two standardised spectra of each pair."""
    if not len(pairs):
        return np.empty(0)
    rows, where = np.unique(pairs, return_inverse=True)
    spectra = standardised(read_absorbance(data, rows))
    one, other = where.reshape(pairs.shape).T
    return np.linalg.norm(spectra[one] - spectra[other], axis=1)
