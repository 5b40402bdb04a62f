"""One simulated image: a patient's effects, drawn tissue, its chemistry, and the microscope that looks at it.

Beer-Lambert mixtures of tissue bands, times thickness; the microscope's effects are those of
`ftirlib.spectra.simulate.optics`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

from ftirlib.errors import SettingsError
from ftirlib.spectra.bands import band_sum, component_spectrum, is_amide_i, is_amide_ii, substance_bands
from ftirlib.spectra.model import UNKNOWN
from ftirlib.spectra.simulate import chemistry as chem
from ftirlib.spectra.simulate.chemistry import SUBSTANCES, VARIED, VARIES_WITH
from ftirlib.spectra.simulate.glands import (
    EPITHELIUM,
    GOBLET,
    LUMEN,
    LYMPHOCYTES,
    MUSCLE,
    NECROSIS,
    STROMA,
    Field,
    grow_field,
    smooth_field,
)
from ftirlib.spectra.simulate.optics import FWHM_PER_SIGMA, apodised_noise, blurred_mixture, psf_fwhm, van_de_hulst
from ftirlib.spectra.simulate.settings import PhantomSettings

MOST_EMPTY = 0.5  # a pixel is background when more of it than this is empty
FIELDS_TRIED = 100
PATIENT, IMAGE = 0, 1  # streams of random numbers
BLOCK = 4096  # spectra whose scatter and noise are computed at a time


@dataclass(frozen=True)
class Patient:
    """What all images of one patient share; units as in `PhantomSettings`."""

    factors: np.ndarray  # (n_varied,)
    amide_shifts: np.ndarray  # (2,) cm-1
    thickness: float
    paraffin: float
    offset: float
    slope: float
    scatter: float
    radius: float
    index: float


def draw_patient(settings: PhantomSettings, seed: int, patient: int) -> Patient:
    s, rng = settings, np.random.default_rng([seed, PATIENT, patient])
    normal = rng.standard_normal(2)
    second = s.shift_correlation * normal[0] + np.sqrt(1 - s.shift_correlation**2) * normal[1]
    return Patient(
        factors=np.exp(s.patient_sigma * rng.standard_normal(len(VARIED))),
        amide_shifts=np.array([s.amide_i_shift * normal[0], s.amide_ii_shift * second]),
        thickness=rng.uniform(*s.thickness_um),
        paraffin=rng.uniform(*s.paraffin),
        offset=rng.uniform(*s.offset),
        slope=rng.uniform(*s.slope),
        scatter=rng.uniform(*s.scatter),
        radius=rng.uniform(*s.scatter_radius_um),
        index=rng.uniform(*s.scatter_index),
    )


@lru_cache(maxsize=256)
def in_proportion(weights: tuple[float, ...], k: int) -> tuple[int, ...]:
    """The first k choices when the one that lags most behind its weight always comes next.

    Any first part is in proportion, so neither the length nor what follows plays a part in it.
    """
    shares = np.array(weights, np.float64) / sum(weights)
    counts = np.zeros(len(shares))
    chosen = []
    for n in range(1, k + 1):
        chosen.append(int(np.argmax(shares * n - counts)))
        counts[chosen[-1]] += 1
    return tuple(chosen)


def draw_field(settings: PhantomSettings, rng, klass: int) -> tuple[Field, np.ndarray]:
    """Tissue of an image and the true class of its pixels, redrawn until it shows the class it is to be labelled by."""
    s = settings
    lesion = rng.uniform(*s.lesion_share) if klass else 1.0
    shares = [(klass, lesion)]
    if klass == len(s.histology) - 1 and klass > 1:
        shares.append((klass - 1, s.precursor_share * (1 - lesion)))
    shares.append((0, 1 - sum(share for _, share in shares)))
    debris = rng.uniform(*s.debris_share) if rng.uniform() < s.debris_chance else 0.0
    for _ in range(FIELDS_TRIED):
        field = grow_field(
            rng,
            side=s.side,
            pixel_um=s.pixel_um,
            spacing_um=s.crypt_spacing_um,
            cell_um=s.cell_um,
            patch_um=s.patch_um,
            edge=rng.uniform(*s.edge_share),
            histology=s.histology,
            shares=tuple(shares),
            debris=debris,
        )
        truth = np.where(field.fractions[..., LUMEN] > MOST_EMPTY, UNKNOWN, field.territory_class)
        if truth.max() == klass:
            return field, truth
    raise SettingsError(
        f"phantom: {FIELDS_TRIED} fields of {s.side} pixels of {s.pixel_um:g} um showed no {s.class_names[klass]} "
        f"tissue between crypts {s.crypt_spacing_um:g} um apart; make side larger, or edge_share smaller."
    )


def draw_pathways(settings: PhantomSettings, rng, field: Field, turn: int) -> np.ndarray:
    """Pathway (position in ``settings.pathways``) of each pixel's crypt, (side, side).

    `turn` counts the images of this image's class before it: dominant pathways take turns as their shares say,
    so that a small cohort holds them all.
    """
    s = settings
    by_class = []
    for name in s.class_names:
        members = np.array([k for k, p in enumerate(s.pathways) if p.class_name == name and p.share > 0])
        weights = tuple(s.pathways[k].share for k in members)
        dominant = members[in_proportion(weights, turn + 1)[turn]]
        crypts = rng.choice(members, size=field.territory.max() + 1, p=np.array(weights) / sum(weights))
        follows = rng.uniform(size=crypts.size) < s.pathway_purity
        by_class.append(np.where(follows, dominant, crypts))
    return np.array(by_class)[field.territory_class, field.territory]


def _amount_maps(settings: PhantomSettings, rng, field: Field, pathway, patient: Patient) -> np.ndarray:
    """Amount times thickness (um) of each substance at each pixel, (side, side, n_substances)."""
    s = settings
    table = chem.chemistry(s.contents, (*s.pathways, s.necrosis))  # (pathway, tissue, substance)
    crypts, others = np.zeros((2, *field.fractions.shape))
    crypts[..., [EPITHELIUM, GOBLET]] = field.fractions[..., [EPITHELIUM, GOBLET]]
    others[..., [STROMA, MUSCLE, LYMPHOCYTES]] = field.fractions[..., [STROMA, MUSCLE, LYMPHOCYTES]]
    rise = 1 + s.mid_crypt_rise * np.sin(np.pi * field.depth)[..., None] * chem.RISES_TO_MID_CRYPT
    maps = np.einsum("xyt,xyts->xys", crypts, table[pathway]) * rise
    maps += np.einsum("xyt,xyts->xys", others, table[pathway])
    maps += field.fractions[..., [NECROSIS]] * table[-1, NECROSIS]
    image = np.exp(s.image_sigma * rng.standard_normal(len(VARIED)))
    length = 2 * s.cell_um / s.pixel_um
    cells = np.stack([smooth_field(rng, maps.shape[:2], length) for _ in VARIED], -1)
    maps *= (patient.factors * image * np.exp(s.cell_sigma * cells))[..., VARIES_WITH]
    uneven = smooth_field(rng, maps.shape[:2], s.crypt_spacing_um / 2 / s.pixel_um)
    thickness = patient.thickness * np.exp(s.thickness_cv * uneven)
    return maps * thickness[..., None]


def _substance_spectra(settings: PhantomSettings, patient: Patient) -> np.ndarray:
    """Spectra (n_substances, n_wavenumbers) with the patient's own positions of amide I and II."""
    shift_i, shift_ii = patient.amide_shifts

    def moved(band):
        return replace(band, centre=band.centre + shift_i * is_amide_i(band) + shift_ii * is_amide_ii(band))

    return np.stack(
        [band_sum([moved(band) for band in substance_bands(name)], settings.wavenumber) for name in SUBSTANCES]
    )


def _add_scatter(image, settings: PhantomSettings, rng, field: Field, patient: Patient) -> None:
    """Add the scatter of tissue to spectra (n_pixels, n_wavenumbers) in place; empty glass does not scatter."""
    s = settings
    side = (s.side, s.side)
    dead = field.fractions[..., NECROSIS]
    cover = 1 - field.fractions[..., LUMEN] + (s.necrosis_scatter - 1) * dead
    length = s.crypt_spacing_um / 4 / s.pixel_um
    cover = cover * np.exp(s.scatter_cv * smooth_field(rng, side, length))
    radius = patient.radius * np.exp(s.scatter_cv * smooth_field(rng, side, length))
    middle = psf_fwhm(s.wavenumber, numerical_aperture=s.numerical_aperture).mean()
    cover = gaussian_filter(cover, middle / FWHM_PER_SIGMA / s.pixel_um, mode="nearest")
    cover, radius = (patient.scatter * cover).ravel().astype(np.float32), radius.ravel().astype(np.float32)
    axis = s.wavenumber.astype(np.float32)
    for start in range(0, len(image), BLOCK):
        rows = slice(start, start + BLOCK)
        extinction = van_de_hulst(axis, radius[rows], np.float32(patient.index))
        image[rows] += cover[rows, None] * (extinction / extinction.max(axis=1, keepdims=True))


def _add_instrument(image, settings: PhantomSettings, rng, patient: Patient) -> None:
    """Add wax, vapour, baseline, noise and dead pixels to spectra (n_pixels, n_wavenumbers) in place."""
    s = settings
    axis = s.wavenumber
    wax = patient.paraffin * np.exp(0.1 * smooth_field(rng, (s.side, s.side), s.crypt_spacing_um / s.pixel_um)).ravel()
    image += np.outer(wax.astype(np.float32), component_spectrum("paraffin", axis).astype(np.float32))
    rise = (axis - axis[0]) / (axis[-1] - axis[0]) - 0.5
    common = patient.offset + patient.slope * rise + rng.uniform(*s.vapour) * component_spectrum("vapour", axis)
    image += common.astype(np.float32)
    dead = rng.uniform(size=len(image)) < s.dead_pixels
    image[dead] = 0.0
    sigma = np.float32(rng.uniform(*s.noise))
    fwhm_points = rng.uniform(*s.apodisation) / s.wavenumber_step
    for start in range(0, len(image), BLOCK):
        block = image[start : start + BLOCK]
        noise = apodised_noise(rng, block.shape, fwhm_points=fwhm_points)
        block += noise * np.hypot(sigma, np.float32(s.multiplicative_noise) * block)


def absorbance_of(settings, rng, field, pathway, patient) -> np.ndarray:
    """Absorbance (n_pixels, n_wavenumbers) float32 of an image, row by row."""
    s = settings
    image = blurred_mixture(
        _amount_maps(s, rng, field, pathway, patient),
        s.absorbance_per_um * _substance_spectra(s, patient),
        psf_fwhm(s.wavenumber, numerical_aperture=s.numerical_aperture),
        pixel_um=s.pixel_um,
    )
    _add_scatter(image, s, rng, field, patient)
    _add_instrument(image, s, rng, patient)
    return image
