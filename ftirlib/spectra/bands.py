"""The absorption bands of tissue between 900 and 1800 cm-1: where they lie, how wide, how strong, and why.

Centres, widths and heights: bands fitted to infrared spectra of tissue; names: Movasaghi et al. 2008, Barth 2007.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ftirlib.errors import SettingsError

MOVASAGHI = "Movasaghi et al. 2008, doi:10.1080/05704920701829043"
BARTH = "Barth 2007, doi:10.1016/j.bbabio.2007.06.004"
WOLPERT = "Wolpert and Hellwig 2006, doi:10.1016/j.saa.2005.08.025"
KROEGER = "Kroeger-Lui et al. 2015, doi:10.1039/c4an02001d"
FAOLAIN = "O Faolain et al. 2005, Vib. Spectrosc. 38, 121"
HITRAN = "Gordon et al. 2022 (HITRAN2020), doi:10.1016/j.jqsrt.2021.107949"

ETA = 0.3  # Lorentzian share of the pseudo-Voigt profile


@dataclass(frozen=True)
class Band:
    """One absorption band.

    Attributes
    ----------
    centre, fwhm : float
        Position and full width at half maximum, cm-1.
    height : float
        Relative to the strongest absorbance (amide I) of the tissue in which the band was fitted;
        for paraffin and vapour relative to their own strongest band.
    assignment : str
        The vibration.
    component : str
        The part of a substance that the band belongs to; see `SUBSTANCES`.
    source : str
        Where the assignment is published.
    """

    centre: float
    fwhm: float
    height: float
    assignment: str
    component: str
    source: str


def _rows(component, source, *rows):
    return tuple(Band(*row, component, source) for row in rows)


# Where fits to several tissues gave a range, the table holds its middle; the three parts of amide I are taken
# within theirs (heights .40-.45, .48-.51, .30-.33) such that their sum is as wide as in the mean of real tissue.
BANDS: tuple[Band, ...] = (
    # The carbon-oxygen bands at 1030 and 1161 are serine, threonine and tyrosine and the sugars bound to protein.
    *_rows(
        "backbone",
        BARTH,
        (1030.0, 37.0, 0.09, "C-O"),
        (1161.0, 55.0, 0.12, "C-O-C, C-OH"),
        (1457.0, 45.0, 0.20, "CH2, CH3 bending"),
        (1518.0, 45.0, 0.22, "tyrosine ring"),
        (1548.0, 38.0, 0.39, "amide II"),
        (1638.0, 39.0, 0.41, "amide I, beta sheet"),
        (1658.0, 28.5, 0.51, "amide I, helix and unordered"),
        (1681.0, 37.0, 0.30, "amide I, turns"),
    ),
    *_rows(
        "carboxylate",
        WOLPERT,
        (1394.0, 60.0, 0.19, "COO- symmetric, CH3"),
        (1586.0, 60.0, 0.19, "COO- asymmetric"),
    ),
    # Protonated side chains: the strength that leaves the two carboxylate bands reappears as a C=O band.
    *_rows("carboxyl", WOLPERT, (1250.0, 50.0, 0.08, "COOH, C-OH"), (1718.0, 35.0, 0.16, "COOH, C=O")),
    # The 1239 cm-1 band of non-collagenous tissue (height 0.20) is half amide III, half phosphate.
    *_rows("amide III", BARTH, (1239.0, 50.0, 0.10, "amide III"), (1311.0, 32.5, 0.065, "amide III")),
    *_rows(
        "collagen",
        MOVASAGHI,
        (1202.0, 35.0, 0.09, "collagen amide III"),
        (1237.0, 41.0, 0.21, "collagen amide III"),
        (1281.0, 58.0, 0.16, "collagen amide III"),
        (1338.0, 39.0, 0.12, "collagen CH2 wagging"),
    ),
    *_rows(
        "glycogen",
        MOVASAGHI,
        (997.0, 26.0, 0.14, "glycogen C-O"),
        (1026.0, 36.0, 0.39, "glycogen C-O, C-OH"),
        (1053.0, 33.0, 0.30, "glycogen C-O"),
        (1081.0, 26.0, 0.26, "glycogen C-O"),
        (1111.0, 49.0, 0.24, "glycogen C-O, C-C"),
        (1155.0, 32.0, 0.21, "glycogen C-O-C"),
    ),
    *_rows(
        "nucleic",
        MOVASAGHI,
        (968.0, 28.0, 0.04, "PO3, C-C nucleic"),
        (1053.0, 33.0, 0.09, "nucleic C-O"),
        (1082.0, 44.0, 0.16, "PO2- symmetric"),
        (1116.0, 40.0, 0.09, "RNA ribose C-O"),
        (1239.0, 50.0, 0.10, "PO2- asymmetric"),
        (1690.0, 25.0, 0.04, "nucleic C=O"),
        (1715.0, 25.0, 0.04, "nucleic C=O"),
    ),
    *_rows(
        "lipid",
        MOVASAGHI,
        (1082.0, 44.0, 0.06, "phospholipid PO2-"),
        (1161.0, 55.0, 0.12, "ester C-O-C"),
        (1457.0, 45.0, 0.10, "lipid CH2 bending"),
        (1740.0, 28.5, 0.37, "ester C=O"),
    ),
    *_rows(
        "mucin",
        KROEGER,
        (1040.0, 35.0, 0.35, "mucin C-O"),
        (1076.0, 40.0, 0.35, "mucin C-O"),
        (1120.0, 40.0, 0.20, "mucin C-O-C"),
        (1155.0, 30.0, 0.10, "mucin C-O-C"),
        (1230.0, 40.0, 0.15, "mucin sulphate S=O"),
        (1373.0, 20.0, 0.08, "mucin acetyl CH3"),
    ),
    *_rows(
        "paraffin",
        FAOLAIN,
        (1368.0, 9.0, 0.25, "paraffin CH3"),
        (1378.0, 9.0, 0.35, "paraffin CH3"),
        (1462.0, 8.0, 1.00, "paraffin CH2"),
        (1472.0, 8.0, 0.70, "paraffin CH2"),
    ),
    # Lines are far narrower than the instrument's resolution, which therefore sets their width.
    *_rows(
        "vapour",
        HITRAN,
        *((centre, 6.0, 1.0, "H2O vapour") for centre in (1507.0, 1521.0, 1540.0, 1559.0, 1576.0)),
        *((centre, 6.0, 1.0, "H2O vapour") for centre in (1653.0, 1684.0, 1700.0, 1717.0, 1734.0)),
    ),
)
ARTEFACTS = ("paraffin", "vapour")  # components that are not the tissue's own

# What a pure substance is made of: parts of the table and their weights. Weights below one follow the
# table's tissues (mucin carries 0.6 of a protein's backbone; acid protonates half of the carboxylate).
SUBSTANCES: dict[str, dict[str, float]] = {
    "protein": {"backbone": 1.0, "carboxylate": 1.0, "amide III": 1.0},
    "acidic protein": {"backbone": 1.0, "carboxylate": 0.5, "carboxyl": 0.5, "amide III": 1.0},
    "denatured protein": {"denatured backbone": 1.0, "carboxylate": 1.0, "amide III": 1.0},
    "collagen": {"backbone": 1.0, "carboxylate": 1.0, "collagen": 1.0},
    "mucin": {"backbone": 0.6, "carboxylate": 0.6, "amide III": 0.6, "mucin": 1.0},
    "glycogen": {"glycogen": 1.0},
    "nucleic": {"nucleic": 1.0},
    "lipid": {"lipid": 1.0},
    "paraffin": {"paraffin": 1.0},
    "vapour": {"vapour": 1.0},
}
# A protein-rich soft tissue; only its smooth overall shape matters to a reference.
REFERENCE_TISSUE = {"protein": 0.7, "collagen": 0.3, "nucleic": 0.5, "glycogen": 0.2, "lipid": 0.1}

DENATURED_SHIFT = -4.0  # cm-1, amide I of necrotic tissue
DENATURED_BETA = 0.15  # height that beta sheets gain, in units of amide I, and helices lose


def is_amide_i(band: Band) -> bool:
    """Whether a band is one of the parts of amide I."""
    return band.assignment.startswith("amide I,")


def is_amide_ii(band: Band) -> bool:
    """Whether a band is amide II."""
    return band.assignment == "amide II"


def _denature(band: Band) -> Band:
    if not is_amide_i(band):
        return band
    gain = {"beta sheet": DENATURED_BETA, "helix and unordered": -DENATURED_BETA}
    height = band.height + gain.get(band.assignment.removeprefix("amide I, "), 0.0)
    return replace(band, centre=band.centre + DENATURED_SHIFT, height=height)


def substance_bands(name: str) -> tuple[Band, ...]:
    """The bands of a pure substance, with the heights they have in it.

    Parameters
    ----------
    name : str
        One of `SUBSTANCES`.

    Returns
    -------
    tuple of Band

    Raises
    ------
    SettingsError
        When the substance is unknown.
    """
    if name not in SUBSTANCES:
        raise SettingsError(f"there is no substance '{name}'; choose one of {', '.join(SUBSTANCES)}.")
    parts = []
    for part, weight in SUBSTANCES[name].items():
        denatured = part.startswith("denatured ")
        for band in BANDS:
            if band.component == part.removeprefix("denatured "):
                band = _denature(band) if denatured else band
                parts.append(replace(band, height=weight * band.height))
    return tuple(parts)


def pseudo_voigt(wavenumber, centre: float, fwhm: float, *, eta: float = ETA) -> np.ndarray:
    """Pseudo-Voigt profile of height 1: ``eta`` Lorentzian, the rest Gaussian.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    centre, fwhm : float, cm-1
    eta : float
        Lorentzian share, 0 to 1.

    Returns
    -------
    (n_wavenumbers,) float64 array

    Examples
    --------
    >>> pseudo_voigt([1640, 1650, 1660], 1650, 20)
    array([0.5, 1. , 0.5])
    """
    z = (np.asarray(wavenumber, np.float64) - centre) / (fwhm / 2)
    return eta / (1 + z**2) + (1 - eta) * np.exp2(-(z**2))


def band_sum(bands, wavenumber) -> np.ndarray:
    """Sum of bands on an axis: (n_wavenumbers,) float64, in the unit of their heights."""
    wavenumber = np.asarray(wavenumber, np.float64)
    total = np.zeros(wavenumber.shape)
    for band in bands:
        total += band.height * pseudo_voigt(wavenumber, band.centre, band.fwhm)
    return total


def component_spectrum(name: str, wavenumber) -> np.ndarray:
    """Spectrum of a pure substance.

    Parameters
    ----------
    name : str
        One of `SUBSTANCES`: protein, acidic protein, denatured protein, collagen, mucin, glycogen,
        nucleic, lipid, paraffin, vapour.
    wavenumber : (n_wavenumbers,) array, cm-1, any order

    Returns
    -------
    (n_wavenumbers,) float64 array
        Absorbance relative to the amide I maximum of tissue that is as rich in the substance as the
        tissue its bands were fitted in; for paraffin and vapour relative to their strongest band.

    Raises
    ------
    SettingsError
        When the substance is unknown.

    Examples
    --------
    >>> float(component_spectrum("lipid", [1740.0])[0]) > float(component_spectrum("protein", [1740.0])[0])
    True
    """
    return band_sum(substance_bands(name), wavenumber)


def mixture_bands(amounts: dict[str, float]) -> tuple[Band, ...]:
    """Bands of a mixture {substance: amount}."""
    return tuple(
        replace(band, height=amount * band.height) for name, amount in amounts.items() for band in substance_bands(name)
    )


def tissue_reference(wavenumber) -> np.ndarray:
    """A fixed spectrum of protein-rich tissue, learned from no data; the reference of scatter corrections.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, any order

    Returns
    -------
    (n_wavenumbers,) float64 array
        Its maximum over 1000-1800 cm-1 is 1, whatever part of that range is asked for.
    """
    bands = mixture_bands(REFERENCE_TISSUE)
    return band_sum(bands, wavenumber) / band_sum(bands, np.arange(1000.0, 1800.5, 0.5)).max()


ASSIGNMENTS: tuple[Band, ...] = tuple(
    sorted((band for band in BANDS if band.component not in ARTEFACTS), key=lambda band: (band.centre, -band.height))
)


def assign(wavenumber: float, *, tolerance: float = 10.0) -> tuple[Band, ...]:
    """Bands of tissue near a wavenumber, nearest first, the stronger first among equals.

    Parameters
    ----------
    wavenumber : float, cm-1
    tolerance : float, cm-1
        Largest distance from a band's centre.

    Returns
    -------
    tuple of Band
        Empty when no band is that near.

    Raises
    ------
    SettingsError
        When `tolerance` is negative or not finite.

    Examples
    --------
    >>> [band.assignment for band in assign(1742.0)]
    ['ester C=O']
    """
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise SettingsError(f"tolerance is {tolerance} cm-1; it must be a finite number of at least 0.")
    near = [band for band in ASSIGNMENTS if abs(band.centre - wavenumber) <= tolerance]
    return tuple(sorted(near, key=lambda band: (abs(band.centre - wavenumber), -band.height)))
