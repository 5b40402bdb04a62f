"""The local models of LIME on spectra: what each mode samples, and what of it all spectra share.

Three readings of Ribeiro, Singh & Guestrin (2016, doi:10.1145/2939672.2939778), each equal to the `lime` package
to rounding: noise around the spectrum, noise around the background's mean, and values drawn from quantile bins.
"""

from __future__ import annotations

import numpy as np

from ftirlib.explain.forward import Forward
from ftirlib.explain.noise import BinnedNoise, GaussianNoise
from ftirlib.explain.ridge import Fit, RidgeOperator, SharedRows, kernel, weighted_ridge


def _pick(own: np.ndarray, others: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Targets (n, n_samples, n_labels): the spectrum's own probabilities on top of the perturbed rows'.

    `own` is (n, n_classes), `others` (n or 1, n_samples - 1, n_classes), `labels` (n, n_labels).
    """
    others = np.broadcast_to(others, (len(own), *others.shape[1:]))
    both = np.concatenate([own[:, None], others], axis=1)
    return np.take_along_axis(both, labels[:, None, :], axis=2)


class AroundInstance:
    """Gaussian noise around each spectrum: design and weights are the same for all, hence one solve matrix."""

    def __init__(self, noise: GaussianNoise, width: float, ridge: float):
        self.noise = noise
        weights = kernel(np.square(noise.standard).sum(1), width)
        self.operator = RidgeOperator(noise.standard, weights, ridge).keep_matrix()

    def shared(self, forward: Forward) -> None:
        """Nothing: every spectrum has perturbed spectra of its own."""

    def fit(self, forward: Forward, shared: None, spectra, own, labels) -> Fit:
        noise = self.noise.scaled[1:]
        together = max(1, forward.block // len(noise))  # spectra that share one call of the model
        others = np.empty((len(spectra), len(noise), own.shape[1]))
        for k in range(0, len(spectra), together):
            centre = spectra[k : k + together, None, :].astype(np.float64)
            rows = (noise + centre).reshape(-1, noise.shape[1])  # (together * (n_samples - 1), n_wavenumbers)
            others[k : k + together] = forward(rows).reshape(len(centre), len(noise), -1)
        fit = self.operator(_pick(own, others, labels))
        # The shared design is centred on the spectrum; the package's is centred on the background's mean.
        offset = (spectra - self.noise.mean) / self.noise.scale
        return Fit(fit.coef, fit.intercept - (fit.coef @ offset[:, :, None])[..., 0], fit.score, fit.local_prediction)


class AroundMean:
    """Gaussian noise around the background's mean: the perturbed spectra and their predictions are shared."""

    def __init__(self, noise: GaussianNoise, width: float, ridge: float):
        self.noise, self.width = noise, width
        self.rows = noise.scaled + noise.mean
        self.system = SharedRows((self.rows - noise.mean) / noise.scale, ridge)

    def shared(self, forward: Forward) -> np.ndarray:
        return forward(self.rows[1:])[None]

    def fit(self, forward: Forward, shared: np.ndarray, spectra, own, labels) -> Fit:
        first = (spectra.astype(np.float64) - self.noise.mean) / self.noise.scale
        weights = kernel(self.system.squared_distance(first), self.width)
        return self.system.solve(first, weights, _pick(own, shared, labels))


class Binned:
    """Every wavenumber drawn anew from the background's bins; the design asks "still in the spectrum's bin?"."""

    def __init__(self, noise: BinnedNoise, width: float, ridge: float):
        self.noise, self.width, self.ridge = noise, width, ridge

    def shared(self, forward: Forward) -> np.ndarray:
        return forward(self.noise.rows)[None]

    def fit(self, forward: Forward, shared: np.ndarray, spectra, own, labels) -> Fit:
        targets = _pick(own, shared, labels)
        n_samples, n_wavenumbers = targets.shape[1], spectra.shape[1]
        fits = []
        design = np.ones((n_samples, n_wavenumbers))
        for bins, target in zip(self.noise.bins_of(spectra), targets):
            np.equal(self.noise.bins, bins, out=design[1:])
            moved = n_wavenumbers - design.sum(1)  # wavenumbers that left the bin: the squared distance
            fits.append(weighted_ridge(design, kernel(moved, self.width), target, self.ridge))
        return Fit(*(np.concatenate([getattr(f, name) for f in fits]) for name in Fit.__dataclass_fields__))
