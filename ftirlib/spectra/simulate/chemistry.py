"""What each tissue of the colon is made of, and the pathways along which disease changes it.

Directions follow what infrared studies of colon report (carbohydrate falls and nucleic acid rises in malignant
tissue; acid protonates carboxylates, Wolpert and Hellwig 2006, doi:10.1016/j.saa.2005.08.025); sizes are proposals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ftirlib.errors import SettingsError
from ftirlib.spectra.bands import ARTEFACTS, BANDS, band_sum, mixture_bands
from ftirlib.spectra.simulate.glands import TISSUES, Histology, refuse_negative

SUBSTANCES = ("protein", "acidic protein", "denatured protein", "collagen", "mucin", "glycogen", "nucleic", "lipid")
VARIED = ("protein", "collagen", "mucin", "glycogen", "nucleic", "lipid")  # what patients and cells differ in
VARIES_WITH = np.array([VARIED.index("protein" if "protein" in name else name) for name in SUBSTANCES])
RISES_TO_MID_CRYPT = np.array([name in ("glycogen", "nucleic", "lipid") for name in SUBSTANCES])
MARKED = 0.2  # a band counts as planted when its change is at least this share of the pathway's largest


@dataclass(frozen=True)
class Content:
    """Amounts of each substance in a tissue, relative to the tissues the bands were fitted in.

    Attributes
    ----------
    tissue : str
        One of `ftirlib.spectra.simulate.glands.TISSUES`.
    protein, collagen, mucin, glycogen, nucleic, lipid : float
    """

    tissue: str
    protein: float = 0.0
    collagen: float = 0.0
    mucin: float = 0.0
    glycogen: float = 0.0
    nucleic: float = 0.0
    lipid: float = 0.0

    def __post_init__(self):
        refuse_negative(self)


@dataclass(frozen=True)
class Pathway:
    """A way in which tissue becomes what it is: factors on the healthy tissue's contents.

    Attributes
    ----------
    name, class_name : str
    share : float
        Weight among the pathways of its class.
    collagen, mucin, glycogen, nucleic, lipid : float
        Factors on the contents.
    acid, denatured : float
        Share of the protein whose carboxylates are half protonated; share that has lost its fold.
    """

    name: str
    class_name: str
    share: float = 1.0
    collagen: float = 1.0
    mucin: float = 1.0
    glycogen: float = 1.0
    nucleic: float = 1.0
    lipid: float = 1.0
    acid: float = 0.0
    denatured: float = 0.0

    def __post_init__(self):
        refuse_negative(self)
        if self.acid + self.denatured > 1:
            raise SettingsError(f"phantom: pathway '{self.name}' has more acid and denatured protein than protein.")


def amounts(content: Content, pathway: Pathway) -> np.ndarray:
    """Amount of each of `SUBSTANCES` in a tissue that has gone down a pathway, (n_substances,)."""
    c, p = content, pathway
    return np.array(
        [
            c.protein * (1 - p.acid - p.denatured),
            c.protein * p.acid,
            c.protein * p.denatured,
            c.collagen * p.collagen,
            c.mucin * p.mucin,
            c.glycogen * p.glycogen,
            c.nucleic * p.nucleic,
            c.lipid * p.lipid,
        ]
    )


def chemistry(contents: tuple[Content, ...], pathways: tuple[Pathway, ...]) -> np.ndarray:
    """Amounts (n_pathways, n_tissues, n_substances); a tissue without a stated content is empty."""
    table = np.zeros((len(pathways), len(TISSUES), len(SUBSTANCES)))
    for content in contents:
        for k, pathway in enumerate(pathways):
            table[k, TISSUES.index(content.tissue)] = amounts(content, pathway)
    return table


def tissue_shares(histology: Histology) -> np.ndarray:
    """Expected share of each of `TISSUES` in a class's living tissue, (n_tissues,), sums to 1."""
    h = histology
    shares = np.array([h.epithelium, h.goblet, h.stroma, h.muscle, h.lymphocytes, 0.0, 0.0])
    return shares / shares.sum()


def expected_bands(shares, table) -> tuple:
    """Bands of tissue of given shares (n_tissues,) and amounts (n_tissues, n_substances), per unit of amide I."""
    mixture = dict(zip(SUBSTANCES, (np.asarray(shares) @ table).tolist()))
    bands = mixture_bands({name: amount for name, amount in mixture.items() if amount})
    top = band_sum(bands, np.arange(1600.0, 1700.5, 0.5)).max()
    return tuple(replace(band, height=band.height / top) for band in bands)


def changed_bands(name: str, bands, reference, wavenumber) -> list[dict]:
    """Bands at which a pathway's spectrum departs from a reference, strongest first.

    Parameters
    ----------
    name : str
        Of the pathway.
    bands, reference : sequence of Band
        Both per unit of amide I.
    wavenumber : (n_wavenumbers,) array, cm-1
        Only bands whose centre lies within this axis are listed.

    Returns
    -------
    list of dict
        ``pathway``, ``centre`` and ``fwhm`` (cm-1), ``direction`` (+1 rises, -1 falls), ``change`` (in units of
        amide I). A band is listed when the spectra differ at its centre by at least `MARKED` of their largest
        difference over all bands; of bands that overlap by half, the one that changes most is kept.
    """
    low, high = np.min(wavenumber), np.max(wavenumber)
    tissue = [band for band in BANDS if band.component not in ARTEFACTS and low <= band.centre <= high]
    if not tissue:
        return []
    centres = np.array([band.centre for band in tissue])
    change = band_sum(bands, centres) - band_sum(reference, centres)
    kept: list[dict] = []
    for k in np.argsort(-np.abs(change), kind="stable"):
        band = tissue[k]
        near = any(abs(band.centre - other["centre"]) < (band.fwhm + other["fwhm"]) / 4 for other in kept)
        if abs(change[k]) >= MARKED * np.abs(change).max() and not near:
            kept.append(
                {
                    "pathway": name,
                    "centre": float(band.centre),
                    "fwhm": float(band.fwhm),
                    "direction": int(np.sign(change[k])),
                    "change": round(float(change[k]), 4),
                }
            )
    return kept
