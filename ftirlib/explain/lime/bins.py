"""Spectra drawn from the background's quantile bins exactly as the `lime` package draws them, once for all spectra.

Source: `LimeTabularExplainer` of `lime` 0.2.0.1 (Ribeiro, Singh & Guestrin 2016, doi:10.1145/2939672.2939778).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

DISCRETIZERS = {"quartile": "QuartileDiscretizer", "decile": "DecileDiscretizer"}


@dataclass(frozen=True, eq=False)
class BinnedNoise:
    """Spectra whose every wavenumber is drawn anew from a quantile bin of the background.

    The bins and the values inside them come from the package's own discretizer, its oddities included: a
    wavenumber that is constant in the background is perturbed to a value in units of its (tiny) spread,
    not of absorbance. Its design column is constant, so its weight is zero all the same.

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
        known = discretizer.discretize(self.background)
        bins = np.zeros((self.n_samples, n_wavenumbers))
        for column in range(n_wavenumbers):
            values, counts = np.unique(known[:, column], return_counts=True)
            drawn = rng.choice(len(values), size=self.n_samples, replace=True, p=counts / float(counts.sum()))
            bins[:, column] = values[drawn]
        rows = discretizer.undiscretize(bins[1:])  # after every bin is drawn, as the package does
        return discretizer, bins[1:].astype(np.int8), rows

    @property
    def bins(self) -> np.ndarray:
        """(n_samples - 1, n_wavenumbers) int8, bin of every drawn value; the spectrum's own row is left out."""
        return self._drawn[1]

    @property
    def rows(self) -> np.ndarray:
        """(n_samples - 1, n_wavenumbers) drawn spectra; the spectrum's own row is left out."""
        return self._drawn[2]

    def bins_of(self, spectra: np.ndarray) -> np.ndarray:
        """(n, n_wavenumbers) int8, bin of every value of `spectra`."""
        return self._drawn[0].discretize(spectra).astype(np.int8)
