"""Simulated powders of three ligands and their metal complexes: six classes, several instruments and preparations.

Classes as in Abdo et al. 2024 (10.5815/ijisa.2024.04.02), whose compounds are not public. Band positions and their
shifts on coordination: Nakamoto 2009, "Infrared and Raman Spectra of Inorganic and Coordination Compounds, Part B"
(10.1002/9780470405888), and the sources named in the tables of `ftirlib.spectra.simulate.ligands`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d

from ftirlib.errors import SettingsError
from ftirlib.spectra.bands import pseudo_voigt
from ftirlib.spectra.model import make_spectra
from ftirlib.spectra.simulate.ligands import LIGANDS, MATRICES, METALS, Coordination

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
CLASS_NAMES = tuple(f"{name}{suffix}" for name in LIGANDS for suffix in ("", " complex"))
POWDER_MATRICES = ("KBr", "Nujol", "ATR")


@dataclass(frozen=True)
class Instrument:
    """What a spectrometer does to a spectrum.

    Attributes
    ----------
    resolution : float
        Full width at half maximum of its line shape, cm-1.
    scale_error : float
        Relative error of its wavenumbers (laser misalignment).
    noise : float
        Standard deviation of its absorbance at 2000 cm-1; grows towards 400 cm-1, where source and detector fade.
    vapour : float
        Largest height of the carbon dioxide band that its purge leaves, absorbance.
    """

    resolution: float
    scale_error: float
    noise: float
    vapour: float


# Four spectrometers as a department may have them: none is that of anyone in particular.
INSTRUMENTS = {
    "A": Instrument(resolution=4.0, scale_error=0.0, noise=0.002, vapour=0.02),
    "B": Instrument(resolution=8.0, scale_error=4e-4, noise=0.004, vapour=0.06),
    "C": Instrument(resolution=4.0, scale_error=-3e-4, noise=0.006, vapour=0.04),
    "D": Instrument(resolution=2.0, scale_error=1e-4, noise=0.003, vapour=0.01),
}


@dataclass(frozen=True, kw_only=True)
class ComplexesSettings:
    """Size and spread of the simulated set.

    Parameters
    ----------
    n_preparations : int
        Powders prepared, over all classes.
    n_replicates : int
        Spectra of each, of the same pellet or powder filled anew.
    shares : tuple of float
        Of the six classes among the preparations, in the order of `CLASS_NAMES`: free ligands are bought and measured
        often, complexes have to be made.
    low, high, step : float, cm-1
        The axis. Bands between a metal and the nitrogen of 2,2'-bipyridine are weak, low, and left out.
    group_by : {"preparation", "instrument"}
        What the group of a spectrum is: one powder, or one of four spectrometers (to test on one never seen).
    unreacted : (low, high)
        Share of free ligand left in a complex.
    metal_shift : float
        Relative standard deviation, between preparations of one metal, of every shift on coordination.
    band_jitter : float, cm-1
        Standard deviation of each band's position between preparations (polymorphs, pressure).
    height_sigma : float
        Log standard deviation of each band's height between preparations (orientation, grain size).
    absorbance : (low, high)
        Of the strongest band, by amount of powder.
    water, scatter, slope : (low, high)
        Heights in absorbance of moisture, of the scattering of grains at 4000 cm-1, and of a linear baseline.
    random_state : int

    Raises
    ------
    SettingsError
        A value out of its range, or too few preparations for four of the rarest class.
    """

    n_preparations: int = 60
    n_replicates: int = 6
    shares: tuple[float, ...] = (0.26, 0.12, 0.24, 0.10, 0.20, 0.08)
    low: float = 400.0
    high: float = 4000.0
    step: float = 4.0
    group_by: str = "preparation"
    unreacted: tuple[float, float] = (0.0, 0.5)
    metal_shift: float = 0.15
    band_jitter: float = 1.5
    height_sigma: float = 0.25
    absorbance: tuple[float, float] = (0.3, 1.2)
    water: tuple[float, float] = (0.0, 0.25)
    scatter: tuple[float, float] = (0.0, 0.4)
    slope: tuple[float, float] = (-0.1, 0.1)
    random_state: int = 0

    def __post_init__(self):
        if len(self.shares) != len(CLASS_NAMES) or min(self.shares) <= 0 or not np.isfinite(self.shares).all():
            raise SettingsError(f"complexes: shares are {self.shares}; give {len(CLASS_NAMES)} numbers above 0.")
        if self.n_replicates < 1:
            raise SettingsError(f"complexes: n_replicates is {self.n_replicates}; it must be at least 1.")
        if not (self.step > 0 and 0 < self.low < self.high - self.step):
            raise SettingsError(
                f"complexes: the axis {self.low:g} to {self.high:g} by {self.step:g} cm-1 has fewer than two points."
            )
        if self.group_by not in ("preparation", "instrument"):
            raise SettingsError(f"complexes: group_by is {self.group_by!r}; choose 'preparation' or 'instrument'.")
        for name in ("unreacted", "absorbance", "water", "scatter", "slope"):
            low, high = getattr(self, name)
            if not low <= high or (low < 0 and name != "slope"):
                raise SettingsError(f"complexes: {name} is {(low, high)}; give a range, low to high.")
        if self.unreacted[1] >= 1 or self.absorbance[0] <= 0:
            raise SettingsError("complexes: unreacted must stay below 1 and absorbance above 0.")
        for name in ("metal_shift", "band_jitter", "height_sigma"):
            if not 0 <= getattr(self, name) < np.inf:
                raise SettingsError(f"complexes: {name} is {getattr(self, name)}; it must be 0 or more.")
        if (fewest := min(self.counts())) < 4:
            rarest = CLASS_NAMES[int(np.argmin(self.shares))]
            raise SettingsError(
                f"complexes: {self.n_preparations} preparations leave {fewest} of {rarest}; four folds need 4: make "
                "n_preparations larger or shares more even."
            )

    def counts(self) -> list[int]:
        """Preparations of each class: the largest remainders of its share."""
        ideal = np.asarray(self.shares) / sum(self.shares) * self.n_preparations
        counts = np.floor(ideal).astype(int)
        counts[np.argsort(counts - ideal, kind="stable")[: self.n_preparations - counts.sum()]] += 1
        return counts.tolist()


def simulate_complexes(settings: ComplexesSettings | None = None, **options) -> xr.Dataset:
    """Simulate spectra of three ligands and a complex of each.

    Parameters
    ----------
    settings : ComplexesSettings, optional
    **options
        Of `ComplexesSettings`, in its place.

    Returns
    -------
    xarray.Dataset
        As `make_spectra` makes it; ``is_simulated``, one label a preparation. An ``image`` is a preparation, ``group``
        what `group_by` says. ``truth_instrument``, ``truth_matrix`` and ``truth_metal`` (-1 for a free ligand)
        are positions in the attributes ``instrument_names``, ``matrix_names`` and ``metal_names``;
        ``truth_unreacted`` is the share of free ligand.

    Raises
    ------
    SettingsError
        Settings and options together, or a value out of range.

    Notes
    -----
    A preparation has its own metal, remaining ligand, moisture, grain size, positions and heights of bands, matrix
    (KBr pellet, Nujol mull or bare on an ATR crystal, whose penetration depth grows with wavelength) and instrument;
    its replicates share all of that and differ in amount, baseline and noise.

    Examples
    --------
    >>> data = simulate_complexes(n_preparations=60, n_replicates=1)
    >>> data.absorbance.shape, len(data.attrs["class_names"])
    ((60, 901), 6)
    """
    if settings is not None and options:
        raise SettingsError(f"complexes: give settings or options, not both ({', '.join(options)}).")
    s = settings or ComplexesSettings(**options)
    axis = np.arange(s.low, s.high + s.step / 2, s.step)
    blocks, rows = [], []
    for klass, count in enumerate(s.counts()):
        for k in range(count):
            rng = np.random.default_rng(
                [s.random_state, klass, k]
            )  # one more preparation leaves the others as they are
            spectra, facts = _preparation(s, rng, axis, klass, k)
            blocks.append(spectra)
            rows += [facts] * s.n_replicates
    image = [f"{CLASS_NAMES[r['class']]} {r['number']:03d}" for r in rows]
    instruments, metals = list(INSTRUMENTS), list(METALS)
    return make_spectra(
        np.concatenate(blocks),
        axis,
        label=[CLASS_NAMES[r["class"]] for r in rows],
        image=image,
        group=image if s.group_by == "preparation" else [r["instrument"] for r in rows],
        class_names=CLASS_NAMES,
        positive_classes=[name for name in CLASS_NAMES if name.endswith("complex")],
        truth={
            "truth_instrument": np.array([instruments.index(r["instrument"]) for r in rows], np.int16),
            "truth_matrix": np.array([POWDER_MATRICES.index(r["matrix"]) for r in rows], np.int16),
            "truth_metal": np.array([metals.index(r["metal"]) if r["metal"] else -1 for r in rows], np.int16),
            "truth_unreacted": np.array([r["unreacted"] for r in rows], np.float32),
        },
        instrument="four simulated spectrometers",
        provenance=f"simulated by ftirlib.spectra.simulate.complexes, random_state {s.random_state}",
        licence="BSD-3-Clause",
        is_simulated=True,
        attrs={"instrument_names": instruments, "matrix_names": list(POWDER_MATRICES), "metal_names": metals},
    )


def _preparation(s: ComplexesSettings, rng, axis, klass: int, number: int) -> tuple[np.ndarray, dict]:
    """Replicate spectra (n_replicates, n_wavenumbers) of one powder, and what it is."""
    ligand, is_complex = LIGANDS[list(LIGANDS)[klass // 2]], bool(klass % 2)
    # in turn, not by lot, from a random start: a small set too has every instrument and matrix in every class
    turn = number + 2 * klass
    instrument, matrix = list(INSTRUMENTS)[turn % len(INSTRUMENTS)], POWDER_MATRICES[(turn // 2) % len(POWDER_MATRICES)]
    metal = list(METALS)[number % len(METALS)] if is_complex else None
    unreacted = rng.uniform(*s.unreacted) if is_complex else 1.0
    device = INSTRUMENTS[instrument]
    true_axis = axis * (1 + device.scale_error)  # where the light really was
    pure = unreacted * _bands(s, rng, true_axis, ligand, None)
    if is_complex:
        pure = pure + (1 - unreacted) * _bands(s, rng, true_axis, ligand, metal)
    pure /= pure.max()
    moisture = 0.3 * rng.uniform(*s.water) if matrix != "KBr" else rng.uniform(*s.water)  # KBr takes up water
    pure_water = moisture * _matrix("water", true_axis)
    oil = rng.uniform(0.3, 1.0) * _matrix("Nujol", true_axis) if matrix == "Nujol" else 0.0
    grain = rng.uniform(*s.scatter)
    clean = []
    for _ in range(s.n_replicates):
        amount = rng.uniform(*s.absorbance)
        spectrum = amount * (pure + oil) + pure_water
        if matrix == "ATR":  # the evanescent wave reaches as deep as the light is long
            spectrum = spectrum * (1000.0 / axis) * 0.8
        else:  # grains larger than the wavelength scatter it
            spectrum = spectrum + grain * rng.uniform(0.7, 1.3) * (axis / 4000.0) ** 2
        spectrum = spectrum + rng.uniform(*s.slope) * (axis - axis[0]) / (axis[-1] - axis[0]) + rng.uniform(0, 0.05)
        clean.append(spectrum + rng.uniform(0, device.vapour) * _matrix("carbon dioxide", true_axis))
    blurred = gaussian_filter1d(np.array(clean), device.resolution / s.step / FWHM_PER_SIGMA, axis=1, mode="nearest")
    fading = np.sqrt(1 + (600.0 / axis) ** 4)
    noisy = blurred + device.noise * fading * rng.standard_normal(blurred.shape)
    facts = {"class": klass, "number": number, "instrument": instrument, "matrix": matrix, "metal": metal}
    return noisy.astype(np.float32), facts | {"unreacted": unreacted}


def _bands(s: ComplexesSettings, rng, axis, ligand: tuple[Coordination, ...], metal: str | None) -> np.ndarray:
    """Absorbance of free (no metal) or coordinated ligand, its strongest band about 1."""
    strength = METALS[metal] * np.exp(s.metal_shift * rng.standard_normal()) if metal else 0.0
    total = np.zeros(axis.shape)
    for band in ligand:
        height = band.bound_height if metal else band.free_height
        # drawn for bands that are absent too, so that a band more or less changes no other
        jitter, scale = rng.standard_normal(2)
        if not height:
            continue
        if metal is None:
            centre = band.free
        elif band.free is None:
            centre = band.bound + band.metal_spread * (METALS[metal] - 1)
        else:
            centre = band.free + strength * (band.bound - band.free)
        profile = pseudo_voigt(axis, centre + s.band_jitter * jitter, band.fwhm)
        total += height * np.exp(s.height_sigma * scale) * profile
    return total


def _matrix(name: str, axis) -> np.ndarray:
    """Spectrum of water, Nujol or carbon dioxide, its strongest band 1."""
    return sum(height * pseudo_voigt(axis, centre, fwhm) for centre, fwhm, height in MATRICES[name])
