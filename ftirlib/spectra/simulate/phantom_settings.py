"""What the simulated cohort can be told: its size, its tissue, its chemistry, its microscope and its patients.

Cohort and grid: Hartigan et al. (paper A) after Nallala et al. 2016 (doi:10.1039/C5AN01871D); the rest is proposed.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from ftirlib.errors import SettingsError
from ftirlib.spectra.simulate.chemistry import Content, Pathway
from ftirlib.spectra.simulate.glands import TISSUES, Histology, is_number

BACKGROUND = "background"
TABLE_RANGE = (900.0, 1850.0)  # cm-1, where the table of bands is complete
_RANGES = {
    "above 0": (
        lambda v: v > 0,
        "wavenumber_step pixel_um numerical_aperture crypt_spacing_um cell_um patch_um thickness_um "
        "absorbance_per_um scatter_radius_um apodisation",
    ),
    "at least 0": (
        lambda v: v >= 0,
        "mid_crypt_rise thickness_cv patient_sigma image_sigma cell_sigma amide_i_shift amide_ii_shift paraffin "
        "vapour scatter scatter_cv necrosis_scatter noise multiplicative_noise",
    ),
    "within 0..1": (
        lambda v: 0 <= v <= 1,
        "edge_share lesion_share precursor_share pathway_purity debris_chance debris_share dead_pixels",
    ),
    "within -1..1": (lambda v: -1 <= v <= 1, "shift_correlation"),
    "above 1": (lambda v: v > 1, "scatter_index"),
    "finite": (lambda v: True, "offset slope wavenumber_start wavenumber_stop"),
}
_NECROSIS = Pathway("necrosis", "cancerous", nucleic=0.7, glycogen=0.7, mucin=0.25, lipid=1.3, denatured=1)


@dataclass(frozen=True, kw_only=True)
class PhantomSettings:
    """Everything the simulation can be told; pairs are least and largest, drawn uniformly.

    Attributes
    ----------
    images : int
        Size of the cohort. Classes follow `class_weights` as closely as whole images allow.
    side : int
        Rows and columns of an image, pixels.
    images_per_patient : int
        Consecutive images that share a patient.
    class_weights : tuple of float
        Cohort's proportion of the classes of `histology`, in the same order.
    wavenumber_start, wavenumber_stop, wavenumber_step : float
        Axis, cm-1; the stop is included.
    pixel_um, numerical_aperture : float
        Pixel at the sample, um; aperture of the objective.
    crypt_spacing_um, cell_um, patch_um : float
        Distance between crypts; size of cells; size of patches of lymphocytes or dead tissue; um.
    edge_share : (float, float)
        Share of an image beyond the section's edge.
    lesion_share : (float, float)
        Share of a diseased image's tissue that is diseased. The rest makes the image's label wrong there.
    precursor_share : float
        Share of the rest of a cancerous image that is adenomatous; what is left is normal.
    pathway_purity : float
        Chance that a crypt follows its image's dominant pathway, where its class has several.
    debris_chance, debris_share : float, (float, float)
        Chance that an image of a class without necrosis has some, and its share of that tissue.
    mid_crypt_rise : float
        Relative rise of glycogen, nucleic acid and lipid from a crypt's ends to its middle (Salman et al. 2004,
        Vib. Spectrosc. 34, 301).
    thickness_um, thickness_cv : (float, float), float
        Thickness of a patient's sections, um, and its coefficient of variation over an image.
    absorbance_per_um : float
        Of a tissue with unit amount of protein, at unit height of a band, per um.
    patient_sigma, image_sigma, cell_sigma : float
        Log-normal spread of each substance over patients, over one patient's images, and within an image.
    amide_i_shift, amide_ii_shift, shift_correlation : float
        Standard deviations over patients, cm-1, and their correlation.
    paraffin, vapour : (float, float)
        Absorbance of the strongest line.
    offset, slope : (float, float)
        Of the instrument's baseline, absorbance; the slope is its rise from one end of the axis to the other.
    scatter : (float, float)
        Largest absorbance over the axis that scatter adds to whole tissue.
    scatter_radius_um, scatter_index : (float, float)
        Of the scatterers: um; refractive index relative to their surroundings.
    scatter_cv : float
        Spread of amount and radius over an image.
    necrosis_scatter : float
        Factor on the scatter of dead tissue.
    noise : (float, float)
        Standard deviation, absorbance.
    apodisation : (float, float)
        Full width of the spectral kernel that correlates noise, cm-1.
    multiplicative_noise : float
        Standard deviation relative to the absorbance.
    dead_pixels : float
        Share of pixels whose detector gives noise only; their truth is that of the tissue they miss.
    histology : tuple of Histology
        One per class, in order of severity; the first is healthy.
    contents : tuple of Content
        Amounts in healthy tissue.
    pathways : tuple of Pathway
        The first is healthy; at least one per class.
    necrosis : Pathway
        Of dead tissue, in whatever class.

    Raises
    ------
    SettingsError
        When a number is out of its range, or tables do not fit together.
    """

    images: int = 32
    side: int = 32
    images_per_patient: int = 2
    class_weights: tuple[float, ...] = (31, 17, 27, 15)
    wavenumber_start: float = 1000.0
    wavenumber_stop: float = 1800.0
    wavenumber_step: float = 1.0
    pixel_um: float = 5.0
    numerical_aperture: float = 0.62
    crypt_spacing_um: float = 90.0
    cell_um: float = 5.0
    patch_um: float = 15.0
    edge_share: tuple[float, float] = (0.05, 0.2)
    lesion_share: tuple[float, float] = (0.5, 0.95)
    precursor_share: float = 0.3
    pathway_purity: float = 0.85
    debris_chance: float = 0.2
    debris_share: tuple[float, float] = (0.02, 0.1)
    mid_crypt_rise: float = 0.3
    thickness_um: tuple[float, float] = (5.0, 8.0)
    thickness_cv: float = 0.1
    absorbance_per_um: float = 0.1
    patient_sigma: float = 0.15
    image_sigma: float = 0.05
    cell_sigma: float = 0.1
    amide_i_shift: float = 1.5
    amide_ii_shift: float = 2.0
    shift_correlation: float = -0.7
    paraffin: tuple[float, float] = (0.0, 0.05)
    vapour: tuple[float, float] = (0.0, 0.003)
    offset: tuple[float, float] = (-0.01, 0.01)
    slope: tuple[float, float] = (-0.01, 0.01)
    scatter: tuple[float, float] = (0.02, 0.2)
    scatter_radius_um: tuple[float, float] = (2.0, 7.1)
    scatter_index: tuple[float, float] = (1.1, 1.4)
    scatter_cv: float = 0.15
    necrosis_scatter: float = 1.5
    noise: tuple[float, float] = (0.0005, 0.003)
    apodisation: tuple[float, float] = (4.0, 8.0)
    multiplicative_noise: float = 0.002
    dead_pixels: float = 0.001
    histology: tuple[Histology, ...] = (
        Histology("normal", 0.35, 0.25, 0.35, 0.03, 0.02, lumen=0.06, irregularity=0.08),
        Histology("hyperplastic", 0.45, 0.22, 0.28, 0.03, 0.02, lumen=0.06, irregularity=0.12),
        Histology("adenomatous", 0.60, 0.08, 0.25, 0.07, 0.00, lumen=0.05, irregularity=0.15),
        Histology("cancerous", 0.50, 0.04, 0.30, 0.06, 0.02, lumen=0.05, irregularity=0.30, necrosis=(0.0, 0.15)),
    )
    contents: tuple[Content, ...] = (
        Content("epithelium", protein=0.90, mucin=0.04, glycogen=0.03, nucleic=0.55, lipid=0.25),
        Content("goblet cells", protein=0.30, mucin=0.75, glycogen=0.02, nucleic=0.15, lipid=0.15),
        Content("lamina propria", protein=0.35, collagen=0.60, glycogen=0.02, nucleic=0.35, lipid=0.12),
        Content("muscle", protein=0.90, collagen=0.15, glycogen=0.03, nucleic=0.20, lipid=0.12),
        Content("lymphocytes", protein=0.85, glycogen=0.02, nucleic=1.00, lipid=0.15),
        Content("necrosis", protein=0.80, mucin=0.04, glycogen=0.03, nucleic=0.50, lipid=0.25),
    )
    pathways: tuple[Pathway, ...] = (
        Pathway("normal", "normal"),
        Pathway("hyperplastic", "hyperplastic", lipid=1.05),
        Pathway("adenomatous", "adenomatous", nucleic=1.3, mucin=0.4),
        Pathway("nucleic-rich epithelium", "cancerous", nucleic=1.7, glycogen=0.25, mucin=0.25, lipid=0.7),
        Pathway(
            "acidic desmoplastic",
            "cancerous",
            nucleic=1.5,
            glycogen=0.25,
            mucin=0.25,
            lipid=0.7,
            collagen=1.2,
            acid=0.6,
        ),
    )
    necrosis: Pathway = _NECROSIS

    def __post_init__(self):
        for name in self.__dataclass_fields__:  # lists, as YAML gives them, become what the annotations say
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, least in (("images", 1), ("side", 2), ("images_per_patient", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                raise SettingsError(f"phantom: {name} must be a whole number of at least {least}, not {value!r}.")
        for range_, (holds, names) in _RANGES.items():
            for name in names.split():
                self._demand(name, holds, range_)
        points = (self.wavenumber_stop - self.wavenumber_start) / self.wavenumber_step
        low, high = TABLE_RANGE
        if not low <= self.wavenumber_start < self.wavenumber_stop <= high or abs(points - round(points)) > 1e-6:
            raise SettingsError(
                f"phantom: wavenumbers {self.wavenumber_start:g} to {self.wavenumber_stop:g} by "
                f"{self.wavenumber_step:g} cm-1 must be whole steps within {low:g}..{high:g} cm-1, "
                "where the table of bands is complete."
            )
        self._check_tables()

    def _demand(self, name, holds, range_):
        value = getattr(self, name)
        is_pair = self.__annotations__[name].startswith("tuple")
        numbers = value if is_pair and isinstance(value, tuple) else [value]
        if not all(is_number(v) and holds(v) for v in numbers):
            raise SettingsError(f"phantom: {name} is {value!r}; it must be {range_}.")
        if is_pair and (len(numbers) != 2 or numbers[0] > numbers[1]):
            raise SettingsError(f"phantom: {name} is {value!r}; give two numbers, the least first.")

    def _check_tables(self):
        names = self.class_names
        weights = self.class_weights
        if len(weights) != len(names) or not all(is_number(w) and w >= 0 for w in weights) or not sum(weights):
            raise SettingsError(
                f"phantom: class_weights {weights} must be one number of at least 0 for each of {names}, not all 0."
            )
        for name in names:
            if not any(p.class_name == name and p.share > 0 for p in self.pathways):
                raise SettingsError(f"phantom: no pathway leads to class '{name}'; add one to pathways.")
        for p in (*self.pathways, self.necrosis):
            if p.class_name not in names:
                raise SettingsError(f"phantom: pathway '{p.name}' leads to '{p.class_name}', not one of {names}.")
        if self.pathways[0].class_name != names[0]:
            raise SettingsError(f"phantom: the first pathway must be that of healthy tissue, class '{names[0]}'.")
        if unknown := [c.tissue for c in self.contents if c.tissue not in TISSUES]:
            raise SettingsError(f"phantom: there is no tissue '{unknown[0]}'; the tissues are {', '.join(TISSUES)}.")

    @property
    def class_names(self) -> list[str]:
        """Classes in order of severity."""
        return [h.class_name for h in self.histology]

    @property
    def pathway_names(self) -> list[str]:
        """Names that the codes of ``truth_pathway`` point to."""
        return [BACKGROUND, *(p.name for p in self.pathways), self.necrosis.name]

    @property
    def wavenumber(self) -> np.ndarray:
        """(n_wavenumbers,) cm-1, ascending."""
        n = round((self.wavenumber_stop - self.wavenumber_start) / self.wavenumber_step) + 1
        return self.wavenumber_start + self.wavenumber_step * np.arange(n)
