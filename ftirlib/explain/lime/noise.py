"""Perturbed spectra, drawn once for all: Gaussian noise of three kinds, and values from the background's quantile bins.

White noise and bins equal those of `LimeTabularExplainer` in `lime` 0.2.0.1 (Ribeiro, Singh & Guestrin 2016,
doi:10.1145/2939672.2939778). White noise moves every wavenumber by itself; noise with the background's covariance, or
of whole bands, gives perturbed spectra that look more like spectra.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

KINDS = ("white", "covariance", "bands")
DISCRETIZERS = {"quartile": "QuartileDiscretizer", "decile": "DecileDiscretizer"}
NEGLIGIBLE = 1e-12  # share of the largest variance; directions with less are rounding of the background


@dataclass(frozen=True, eq=False)
class GaussianNoise:
    """Gaussian noise in units of the background's standard deviation at each wavenumber.

    Row 0 is the spectrum itself in every design, so its noise is zero; the other rows of the white kind equal the first
    draws of ``LimeTabularExplainer(background, discretize_continuous=False, random_state=seed)``.

    Parameters
    ----------
    background : (n_background, n_wavenumbers) array
        Spectra whose mean and spread shape the noise.
    n_samples : int
        Rows drawn, the spectrum itself included.
    seed : int
    kind : {"white", "covariance", "bands"}
        Every wavenumber by itself; all together with the background's covariance; all of a band alike.
    bands : (n_wavenumbers,) int array, optional
        Number of the band each wavenumber belongs to, 0, 1, ...; with kind "bands" only.
    by_band : bool
        The local model has one coefficient a band, not one a wavenumber.

    Notes
    -----
    All kinds are ``draws @ root`` with a standard normal draw for each direction (row of `root`); the directions are
    orthogonal.
    """

    background: np.ndarray
    n_samples: int
    seed: int
    kind: str = "white"
    bands: np.ndarray | None = None
    by_band: bool = False

    @cached_property
    def _scaler(self):
        from sklearn.preprocessing import StandardScaler

        return StandardScaler(with_mean=False).fit(self.background)

    @property
    def scale(self) -> np.ndarray:
        """(n_wavenumbers,) standard deviation of the background; 1 where it is constant."""
        return np.asarray(self._scaler.scale_, np.float64)

    @property
    def mean(self) -> np.ndarray:
        """(n_wavenumbers,) mean of the background."""
        return np.asarray(self._scaler.mean_, np.float64)

    @cached_property
    def root(self) -> np.ndarray | None:
        """(n_directions, n_wavenumbers) noise of one draw of each direction; None for the identity (white)."""
        if self.kind == "white":
            return None
        if self.kind == "bands":
            return np.eye(self.bands.max() + 1)[self.bands].T
        deviation = (self.background - self.mean) / self.scale / np.sqrt(len(self.background))
        _, spread, directions = np.linalg.svd(deviation, full_matrices=False)
        kept = spread**2 > NEGLIGIBLE * spread[0] ** 2
        return spread[kept, None] * directions[kept]

    @property
    def n_features(self) -> int:
        """Coefficients of the local model."""
        return int(self.bands.max()) + 1 if self.by_band else self.background.shape[1]

    @cached_property
    def _draws(self) -> np.ndarray:
        n_directions = self.background.shape[1] if self.root is None else len(self.root)
        draws = np.random.RandomState(self.seed).normal(0, 1, self.n_samples * n_directions)
        draws = draws.reshape(self.n_samples, n_directions)
        draws[0] = 0
        return draws

    @cached_property
    def scaled(self) -> np.ndarray:
        """(n_samples, n_wavenumbers) noise in units of absorbance."""
        return (self._draws if self.root is None else self._draws @ self.root) * self.scale

    @cached_property
    def design(self) -> np.ndarray:
        """(n_samples, n_features) noise in the features of the local model."""
        return self._draws if self.root is None or self.by_band else self._draws @ self.root

    def features(self, spectra: np.ndarray) -> np.ndarray:
        """(n, n_features) deviation of spectra from the background's mean; with features of bands their mean."""
        deviation = (spectra - self.mean) / self.scale
        if not self.by_band:
            return deviation
        return deviation @ (self.root / self.root.sum(1, keepdims=True)).T

    def by_wavenumber(self, coef: np.ndarray) -> np.ndarray:
        """Coefficients (..., n_features) as (..., n_wavenumbers): equal shares of a band's for its wavenumbers."""
        return (coef / self.root.sum(1))[..., self.bands] if self.by_band else coef

    def averaged(self, gradient: np.ndarray) -> np.ndarray:
        """(..., n_wavenumbers) gradient; with features of bands, the mean of each band at its wavenumbers."""
        return self.by_wavenumber(gradient @ self.root.T) if self.by_band else gradient

    # --- the noise under a Gaussian kernel: again Gaussian, narrower along each direction ---------------------------

    def _left(self, width: float) -> np.ndarray:
        """(n_directions,) variance of each direction's draw under the kernel."""
        if self.root is None:
            reach = np.ones(self.background.shape[1])
        else:
            reach = np.ones(len(self.root)) if self.by_band else np.square(self.root).sum(1)
        return 1 / (1 + reach / width**2)  # the reach: squared distance of one draw

    def narrowed(self, width: float, n: int) -> np.ndarray:
        """(n, n_wavenumbers) single-precision draws of the noise under the kernel."""
        n_directions = self.background.shape[1] if self.root is None else len(self.root)
        draws = np.random.default_rng(self.seed).standard_normal((n, n_directions), dtype=np.float32)
        draws *= np.sqrt(self._left(width)).astype(np.float32)
        return draws if self.root is None else draws @ self.root.astype(np.float32)

    def narrowed_variance(self, width: float) -> np.ndarray:
        """(n_wavenumbers,) variance of `narrowed`."""
        left = self._left(width)
        return left if self.root is None else left @ np.square(self.root)

    def variation(self, coef: np.ndarray, width: float) -> np.ndarray:
        """(...,) variance of ``coef @ noise`` under the kernel, for coefficients (..., n_wavenumbers)."""
        left = self._left(width)
        along = coef if self.root is None else coef @ self.root.T
        return (left * np.square(along)).sum(-1)


@dataclass(frozen=True, eq=False)
class BinnedNoise:
    """Spectra with every wavenumber drawn anew from a quantile bin of the background.

    The bins and the values inside them come from the package's own discretizer, its oddities included: a wavenumber
    that is constant in the background gets a value in units of its (tiny) spread, not of absorbance. Its design column
    is constant, so its weight is zero.

    Parameters
    ----------
    background : (n_background, n_wavenumbers) array
    n_samples : int
        Rows drawn, the spectrum itself included.
    seed : int
    kind : {"quartile", "decile"}
    """

    background: np.ndarray
    n_samples: int
    seed: int
    kind: str

    @cached_property
    def _drawn(self):
        from lime import discretize

        rng = np.random.RandomState(self.seed)
        n_wavenumbers = self.background.shape[1]
        kind = getattr(discretize, DISCRETIZERS[self.kind])
        discretizer = kind(self.background, [], [str(k) for k in range(n_wavenumbers)], random_state=rng)
        background_bins = discretizer.discretize(self.background)
        bins = np.zeros((self.n_samples, n_wavenumbers))
        for column in range(n_wavenumbers):
            values, counts = np.unique(background_bins[:, column], return_counts=True)
            drawn = rng.choice(len(values), size=self.n_samples, replace=True, p=counts / float(counts.sum()))
            bins[:, column] = values[drawn]
        rows = discretizer.undiscretize(bins[1:])  # after all bins are drawn, as in the package
        return discretizer, bins[1:].astype(np.int8), rows

    @property
    def bins(self) -> np.ndarray:
        """(n_samples - 1, n_wavenumbers) int8, bin of every drawn value; without the spectrum's own row."""
        return self._drawn[1]

    @property
    def rows(self) -> np.ndarray:
        """(n_samples - 1, n_wavenumbers) drawn spectra; without the spectrum's own row."""
        return self._drawn[2]

    def bins_of(self, spectra: np.ndarray) -> np.ndarray:
        """(n, n_wavenumbers) int8, bin of every value of `spectra`."""
        return self._drawn[0].discretize(spectra).astype(np.int8)


def band_numbers(wavenumber: np.ndarray, width: float) -> np.ndarray:
    """(n_wavenumbers,) number of the band each wavenumber belongs to, bands of `width` cm-1 from the lowest on."""
    step = np.floor((wavenumber - wavenumber.min()) / width + 1e-9)  # so that rounding of an edge does not move it
    return np.unique(step, return_inverse=True)[1]
