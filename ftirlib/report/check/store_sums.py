"""Sums and counts over all spectra of a data set, gathered in one pass.

Carbon dioxide near 2350 cm-1 and water vapour's lines: Rothman et al. 2013 (HITRAN, doi:10.1016/j.jqsrt.2013.07.002).
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ftirlib.errors import DataError
from ftirlib.report.check.duplicates import Signatures
from ftirlib.report.tally import sums_by_code
from ftirlib.spectra.prepare.quality import MAXIMUM_AMIDE, MINIMUM_AMIDE, MINIMUM_SNR, assess

SNR_EDGES = np.concatenate([[-np.inf], 10 ** np.arange(0, 4.01, 0.1), [np.inf]])  # 1 to 10 000, ten bins a decade
CARBON_DIOXIDE = (2280.0, 2390.0)
AROUND_IT = ((2230.0, 2275.0), (2400.0, 2450.0))
VAPOUR, QUIET = (1800.0, 1900.0), (2000.0, 2100.0)  # water lines without tissue bands; neither
NOISE_OF_SECOND_DIFFERENCE = 6.0**0.5  # standard deviation of x[k-1] - 2 x[k] + x[k+1], for white noise of one


class StoreSums:
    """Sums and counts over blocks of spectra; memory grows by some 80 bytes a spectrum, for its signature."""

    def __init__(self, data: xr.Dataset, random_state: int):
        axis = data.wavenumber.values
        n_images, n_classes = len(data.attrs["image_names"]), max(1, len(data.attrs["class_names"]))
        self.axis, self.image = axis, data.image.values
        self.label = data.label.values if (data.label.values >= 0).any() else np.zeros_like(data.label.values)
        self.signatures = Signatures(axis.size, random_state=random_state)
        self.n_not_finite = self.n_zero = self.n_saturated = self.n_noisy = self.n_weak = 0
        self.snr_counts = np.zeros(len(SNR_EDGES) - 1, np.int64)
        self.image_spectra = np.bincount(self.image, minlength=n_images)
        self.image_tissue = np.zeros(n_images, np.int64)
        self.image_sums, self.image_counts = np.zeros((n_images, axis.size)), np.zeros(n_images, np.int64)
        self.sums, self.squares = np.zeros((n_classes, axis.size)), np.zeros((n_classes, axis.size))
        self.counts = np.zeros(n_classes, np.int64)
        self._gases: dict[str, list] = {"carbon_dioxide": [], "water_vapour": []}
        try:
            assess(np.zeros((1, axis.size)), axis)
            self.can_assess = True
        except DataError:  # the axis does not cover amide I
            self.can_assess = False

    def add(self, start: int, block: np.ndarray) -> None:
        """Take in spectra from row `start` on, (n, n_wavenumbers)."""
        image, label = self.image[start : start + len(block)], self.label[start : start + len(block)]
        self.signatures.add(block)
        finite = np.isfinite(block).all(axis=1)
        zero = (block == 0).all(axis=1)
        self.n_not_finite += int((~finite).sum())
        self.n_zero += int(zero.sum())
        usable = finite & ~zero
        if self.can_assess:
            found = assess(block[usable], self.axis)
            tissue = found["amide"] >= MINIMUM_AMIDE
            self.n_weak += int((~tissue).sum())
            self.n_saturated += int((found["peak"] > MAXIMUM_AMIDE).sum())
            self.n_noisy += int((tissue & (found["snr"] < MINIMUM_SNR)).sum())
            self.snr_counts += np.histogram(found["snr"][tissue], SNR_EDGES)[0]
            usable[usable] = tissue
            self.image_tissue += np.bincount(image[usable], minlength=len(self.image_tissue))
        rows = np.flatnonzero(usable)
        spectra = block[rows].astype(np.float64)
        sums, counts = sums_by_code(image[rows], spectra, len(self.image_counts))
        self.image_sums += sums
        self.image_counts += counts
        labelled = label[rows] >= 0
        code, known = label[rows][labelled], spectra[labelled]
        sums, counts = sums_by_code(code, known, len(self.counts))
        self.sums += sums
        self.squares += sums_by_code(code, known**2, len(self.counts))[0]
        self.counts += counts
        for name, values in gases_in(spectra, self.axis).items():
            self._gases[name].append(values.astype(np.float32))

    def class_spectra(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each class, (n_classes, n_wavenumbers); NaN where it has no spectra."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self.sums / self.counts[:, None]
            return means, np.sqrt(np.maximum(self.squares / self.counts[:, None] - means**2, 0))

    def quality(self) -> dict:
        """Counts of poor spectra and the median signal-to-noise ratio."""
        if not self.can_assess:
            return {}
        total = self.snr_counts.sum()
        median = SNR_EDGES[np.searchsorted(np.cumsum(self.snr_counts), total / 2) + 1] if total else float("nan")
        names = ("n_saturated", "n_noisy", "n_weak")
        return {name: getattr(self, name) for name in names} | {"snr_median": float(median)}

    def tissue_share(self) -> np.ndarray:
        """Share of each image's spectra with an amide I band, (n_images,)."""
        if not self.can_assess:
            return np.full(len(self.image_spectra), np.nan)
        with np.errstate(invalid="ignore"):
            return self.image_tissue / self.image_spectra

    def gases(self) -> dict[str, float]:
        """Medians of `gases_in`."""
        found = {name: np.concatenate(values) for name, values in self._gases.items() if values}
        return {name: float(np.median(values)) for name, values in found.items() if len(values)}


def gases_in(spectra, axis) -> dict[str, np.ndarray]:
    """How far carbon dioxide and water vapour stand out of each spectrum, in units of its noise.

    Parameters
    ----------
    spectra : (n_spectra, n_wavenumbers) array
        Finite.
    axis : (n_wavenumbers,) cm-1, ascending

    Returns
    -------
    dict of (n_spectra,) arrays
        ``carbon_dioxide``: greatest distance over 2280-2390 from the line between the two sides of it;
        ``water_vapour``: roughness over 1800-1900, about 1 where there is none. The noise is the roughness over
        2000-2100, where nothing absorbs. A gas that the axis does not cover is left out.
    """

    def inside(window):
        return np.flatnonzero((axis >= window[0]) & (axis <= window[1]))

    def roughness(window):
        return np.diff(spectra[:, inside(window)], 2, axis=1).std(axis=1) / NOISE_OF_SECOND_DIFFERENCE

    found = {}
    if not len(spectra) or min(len(inside(QUIET)), len(inside(VAPOUR))) < 8:
        return found
    resolved = np.finfo(np.float32).eps * np.abs(spectra).max(axis=1)  # noise of noiseless spectra
    noise = np.maximum(np.maximum(roughness(QUIET), resolved), np.finfo(np.float32).tiny)
    found["water_vapour"] = roughness(VAPOUR) / noise
    at, below, above = inside(CARBON_DIOXIDE), *map(inside, AROUND_IT)
    if len(at) and len(below) and len(above):
        left, right = spectra[:, below].mean(axis=1), spectra[:, above].mean(axis=1)
        share = (axis[at] - axis[below].mean()) / (axis[above].mean() - axis[below].mean())
        line = left[:, None] + share * (right - left)[:, None]
        found["carbon_dioxide"] = np.abs(spectra[:, at] - line).max(axis=1) / noise
    return found
