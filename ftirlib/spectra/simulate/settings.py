"""Settings of the simulated cohort: its size, tissue, chemistry, microscope and patients.

Cohort and grid: Hartigan et al. (paper A) after Nallala et al. 2016 (doi:10.1039/C5AN01871D); the rest is proposed.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeVar

import numpy as np
from pydantic import AfterValidator, Field

from ftirlib.errors import SettingsError
from ftirlib.settings import Group
from ftirlib.spectra.simulate.chemistry import Content, Pathway
from ftirlib.spectra.simulate.glands import TISSUES, Histology

BACKGROUND = "background"
TABLE_RANGE = (900.0, 1850.0)  # cm-1, where the table of bands is complete


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("give two numbers, the least first")
    return pair


Whole = Annotated[int, Field(strict=True)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Finite, Field(gt=0)]
NotNegative = Annotated[Finite, Field(ge=0)]
Share = Annotated[Finite, Field(ge=0, le=1)]
Number = TypeVar("Number")
Range = Annotated[tuple[Number, Number], AfterValidator(_ascending)]  # drawn uniformly between the two

HISTOLOGY = (
    Histology("normal", 0.35, 0.25, 0.35, 0.03, 0.02, lumen=0.06, irregularity=0.08),
    Histology("hyperplastic", 0.45, 0.22, 0.28, 0.03, 0.02, lumen=0.06, irregularity=0.12),
    Histology("adenomatous", 0.60, 0.08, 0.25, 0.07, 0.00, lumen=0.05, irregularity=0.15),
    Histology("cancerous", 0.50, 0.04, 0.30, 0.06, 0.02, lumen=0.05, irregularity=0.30, necrosis=(0.0, 0.15)),
)
CONTENTS = (
    Content("epithelium", protein=0.90, mucin=0.04, glycogen=0.03, nucleic=0.55, lipid=0.25),
    Content("goblet cells", protein=0.30, mucin=0.75, glycogen=0.02, nucleic=0.15, lipid=0.15),
    Content("lamina propria", protein=0.35, collagen=0.60, glycogen=0.02, nucleic=0.35, lipid=0.12),
    Content("muscle", protein=0.90, collagen=0.15, glycogen=0.03, nucleic=0.20, lipid=0.12),
    Content("lymphocytes", protein=0.85, glycogen=0.02, nucleic=1.00, lipid=0.15),
    Content("necrosis", protein=0.80, mucin=0.04, glycogen=0.03, nucleic=0.50, lipid=0.25),
)
_CANCER = {"class_name": "cancerous", "glycogen": 0.25, "mucin": 0.25, "lipid": 0.7}
PATHWAYS = (
    Pathway("normal", "normal"),
    Pathway("hyperplastic", "hyperplastic", lipid=1.05),
    Pathway("adenomatous", "adenomatous", nucleic=1.3, mucin=0.4),
    Pathway("nucleic-rich epithelium", nucleic=1.7, **_CANCER),
    Pathway("acidic desmoplastic", nucleic=1.5, collagen=1.2, acid=0.6, **_CANCER),
)
NECROSIS = Pathway("necrosis", "cancerous", nucleic=0.7, glycogen=0.7, mucin=0.25, lipid=1.3, denatured=1)


class CohortSize(Group):
    """How many images the simulated cohort has, and how large they are."""

    group: ClassVar[str] = "phantom"

    images: Whole = Field(32, ge=1, description="number of images; classes follow class_weights as closely as they can")
    side: Whole = Field(32, ge=2, description="rows and columns of an image, pixels")
    images_per_patient: Whole = Field(2, ge=1, description="consecutive images of one patient")


class PhantomSettings(CohortSize):
    """Everything that the simulation can be told; pairs are least and largest, drawn uniformly.

    Raises
    ------
    SettingsError
        When a number is out of its range, or tables do not fit together.
    """

    class_weights: tuple[NotNegative, ...] = Field(
        (31, 17, 27, 15), description="the cohort's proportion of the classes of histology, in the same order"
    )
    wavenumber_start: Finite = Field(1000.0, description="first wavenumber, cm-1")
    wavenumber_stop: Finite = Field(1800.0, description="last wavenumber, cm-1, included")
    wavenumber_step: Positive = Field(1.0, description="step of the axis, cm-1")
    pixel_um: Positive = Field(5.0, description="side of a pixel at the sample, um")
    numerical_aperture: Positive = Field(0.62, description="numerical aperture of the objective")

    crypt_spacing_um: Positive = Field(90.0, description="distance between crypts, um")
    cell_um: Positive = Field(5.0, description="size of cells, um")
    patch_um: Positive = Field(15.0, description="size of patches of lymphocytes or dead tissue, um")
    edge_share: Range[Share] = Field((0.05, 0.2), description="share of an image beyond the section's edge")
    lesion_share: Range[Share] = Field(
        (0.5, 0.95),
        description="share of a diseased image's tissue that is diseased; the image's label is wrong in the rest",
    )
    precursor_share: Share = Field(
        0.3, description="share of the rest of a cancerous image that is adenomatous; what is left is normal"
    )
    pathway_purity: Share = Field(
        0.85, description="chance that a crypt follows its image's dominant pathway, where its class has several"
    )
    debris_chance: Share = Field(0.2, description="chance that an image of a class without necrosis has some")
    debris_share: Range[Share] = Field((0.02, 0.1), description="dead share of that image's tissue")
    mid_crypt_rise: NotNegative = Field(
        0.3,
        description="relative rise of glycogen, nucleic acid and lipid from a crypt's ends to its middle "
        "(Salman et al. 2004, Vib. Spectrosc. 34, 301)",
    )

    thickness_um: Range[Positive] = Field((5.0, 8.0), description="thickness of a patient's sections, um")
    thickness_cv: NotNegative = Field(0.1, description="coefficient of variation of the thickness over an image")
    absorbance_per_um: Positive = Field(
        0.1, description="absorbance per um of a tissue with unit amount of protein, at unit height of a band"
    )
    patient_sigma: NotNegative = Field(0.15, description="log-normal spread of each substance over patients")
    image_sigma: NotNegative = Field(0.05, description="log-normal spread over the images of a patient")
    cell_sigma: NotNegative = Field(0.1, description="log-normal spread within an image")
    amide_i_shift: NotNegative = Field(1.5, description="standard deviation of amide I over patients, cm-1")
    amide_ii_shift: NotNegative = Field(2.0, description="standard deviation of amide II over patients, cm-1")
    shift_correlation: Finite = Field(-0.7, ge=-1, le=1, description="correlation of the two shifts")

    paraffin: Range[NotNegative] = Field((0.0, 0.05), description="absorbance of paraffin's strongest line")
    vapour: Range[NotNegative] = Field((0.0, 0.003), description="absorbance of water vapour's strongest line")
    offset: Range[Finite] = Field((-0.01, 0.01), description="offset of the baseline, absorbance")
    slope: Range[Finite] = Field(
        (-0.01, 0.01), description="rise of the baseline from one end of the axis to the other, absorbance"
    )
    scatter: Range[NotNegative] = Field(
        (0.02, 0.2), description="largest absorbance over the axis that scatter adds to whole tissue"
    )
    scatter_radius_um: Range[Positive] = Field((2.0, 7.1), description="radius of the scatterers, um")
    scatter_index: Range[Annotated[Finite, Field(gt=1)]] = Field(
        (1.1, 1.4), description="refractive index of the scatterers relative to their surroundings"
    )
    scatter_cv: NotNegative = Field(0.15, description="spread of the scatterers' amount and radius over an image")
    necrosis_scatter: NotNegative = Field(1.5, description="factor on the scatter of dead tissue")
    noise: Range[NotNegative] = Field((0.0005, 0.003), description="standard deviation of the noise, absorbance")
    apodisation: Range[Positive] = Field(
        (4.0, 8.0), description="full width of the spectral kernel that correlates the noise, cm-1"
    )
    multiplicative_noise: NotNegative = Field(0.002, description="standard deviation relative to the absorbance")
    dead_pixels: Share = Field(
        0.001, description="share of pixels whose detector gives noise only; their truth is that of the tissue"
    )

    histology: tuple[Histology, ...] = Field(
        HISTOLOGY, description="one for each class, in order of severity; the first is healthy"
    )
    contents: tuple[Content, ...] = Field(CONTENTS, description="amounts of substances in healthy tissue")
    pathways: tuple[Pathway, ...] = Field(PATHWAYS, description="the first is healthy; at least one for each class")
    necrosis: Pathway = Field(NECROSIS, description="pathway of dead tissue, in whatever class")

    def model_post_init(self, _context):
        points = (self.wavenumber_stop - self.wavenumber_start) / self.wavenumber_step
        low, high = TABLE_RANGE
        if not low <= self.wavenumber_start < self.wavenumber_stop <= high or abs(points - round(points)) > 1e-6:
            raise SettingsError(
                f"phantom: wavenumbers {self.wavenumber_start:g} to {self.wavenumber_stop:g} by "
                f"{self.wavenumber_step:g} cm-1 must be whole steps within {low:g}..{high:g} cm-1, "
                "where the table of bands is complete."
            )
        names = self.class_names
        if len(self.class_weights) != len(names) or not sum(self.class_weights):
            raise SettingsError(
                f"phantom: class_weights {self.class_weights} must be one number of at least 0 for each of {names}, "
                "not all 0."
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
