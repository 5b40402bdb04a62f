"""Bands of acetylacetone, 2,2'-bipyridine and 8-hydroxyquinoline, free and bound to a metal: where, and why they move.

Nakamoto 2009, "Infrared and Raman Spectra of Inorganic and Coordination Compounds, Part B" (10.1002/9780470405888);
each table names its further sources, rounded. A band with a position not known to be published is marked as assumed.
All widths and heights, and how far metals differ, are assumed: round numbers for strong, medium and weak bands of
powders at room temperature.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Coordination:
    """One vibration, free and bound.

    Attributes
    ----------
    free, bound : float or None
        Position in the free ligand and in its complex of a typical first-row metal(II), cm-1; None where the
        vibration does not exist or is out of range.
    fwhm : float, cm-1
    free_height, bound_height : float
        Relative to the strongest band.
    assignment : str
    assumed : bool
        Whether a position was set here, after the direction in which such bands go, and not taken from a publication.
    metal_spread : float, cm-1
        How far a band of the complex alone moves when the metal's strength (see `METALS`) rises by one.
    """

    free: float | None
    bound: float | None
    fwhm: float
    free_height: float
    bound_height: float
    assignment: str
    assumed: bool
    metal_spread: float = 0.0


def _table(*rows):
    return tuple(Coordination(*row) for row in rows)


# The enol: Tayyari & Milani-Nejad 2000, Spectrochim. Acta A 56, 2679; the chelate (copper): Nakamoto & Martell 1960,
# J. Chem. Phys. 32, 588. Chelation replaces the hydrogen bridge and the keto form (1727, 1708) by two equal C-O bonds:
# C=O and C=C go from about 1620 to 1577 and 1529, and bands of the metal-oxygen ring appear at 684, 612 and 451.
ACETYLACETONE = _table(
    (2750.0, None, 500.0, 0.25, 0.0, "O-H of the hydrogen-bridged enol", True),
    (3005.0, 2997.0, 25.0, 0.12, 0.06, "CH3 stretching", True),
    (2960.0, 2960.0, 30.0, 0.14, 0.08, "CH3 stretching", True),
    (2920.0, 2922.0, 25.0, 0.12, 0.10, "CH3 stretching", True),
    (1727.0, None, 18.0, 0.45, 0.0, "C=O of the keto form", False),
    (1708.0, None, 18.0, 0.45, 0.0, "C=O of the keto form", False),
    (1622.0, 1577.0, 45.0, 1.00, 1.00, "C=O with C=C", False),
    (None, 1552.0, 25.0, 0.0, 0.45, "combination", False, 4.0),
    (None, 1529.0, 25.0, 0.0, 0.85, "C=O with C-H", False, 6.0),
    (1462.0, 1461.0, 25.0, 0.25, 0.25, "CH3 degenerate deformation", False),
    (1418.0, 1413.0, 40.0, 0.50, 0.60, "CH3 degenerate deformation", False),
    (1362.0, 1353.0, 22.0, 0.45, 0.50, "CH3 symmetric deformation", False),
    (1250.0, 1274.0, 25.0, 0.45, 0.40, "C=C with C-CH3", False),
    (1171.0, 1190.0, 20.0, 0.30, 0.18, "C-H in-plane bending", False),
    (1000.0, 1019.0, 18.0, 0.28, 0.32, "CH3 rocking", False),
    (914.0, 936.0, 16.0, 0.35, 0.28, "C-CH3 with C=O", False),
    (778.0, 781.0, 18.0, 0.35, 0.30, "C-H out-of-plane bending", False),
    (640.0, 654.0, 16.0, 0.20, 0.22, "ring deformation", False),
    (None, 684.0, 16.0, 0.0, 0.20, "ring deformation with M-O", False, 8.0),
    (None, 612.0, 18.0, 0.0, 0.28, "ring deformation with M-O", False, 14.0),
    (None, 451.0, 18.0, 0.0, 0.45, "M-O stretching with C-CH3", False, 25.0),
    (510.0, None, 30.0, 0.22, 0.0, "ring deformation of the enol", True),
)

# The free ligand: Strukl & Walter 1971, Spectrochim. Acta A 27, 209. Chelation turns the rings from trans to cis and
# draws charge from nitrogen: ring stretching rises (1579 to 1600, 1452 to 1472, 1415 to 1443), ring breathing from 993
# to about 1020, and C-H out-of-plane bending from 755 to 770 (Nakamoto 2009). M-N stretching of first-row metals
# (Inskeep 1962, J. Inorg. Nucl. Chem. 24, 763) is weak and left out.
BIPYRIDINE = _table(
    (3055.0, 3075.0, 35.0, 0.15, 0.18, "C-H stretching", True),
    (1579.0, 1600.0, 12.0, 0.70, 0.75, "ring stretching", False),
    (1558.0, 1568.0, 12.0, 0.50, 0.25, "ring stretching", True),
    (None, 1493.0, 12.0, 0.0, 0.30, "ring stretching", True, 2.0),
    (1452.0, 1472.0, 13.0, 0.80, 0.55, "ring stretching", False),
    (1415.0, 1443.0, 13.0, 0.75, 0.80, "ring stretching", False),
    (1265.0, 1313.0, 15.0, 0.15, 0.45, "C-H in-plane bending", True),
    (1250.0, 1250.0, 15.0, 0.30, 0.25, "inter-ring stretching", True),
    (1139.0, 1157.0, 13.0, 0.20, 0.35, "C-H in-plane bending", True),
    (1085.0, 1100.0, 13.0, 0.35, 0.15, "C-H in-plane bending", True),
    (1064.0, 1060.0, 12.0, 0.25, 0.20, "C-H in-plane bending", True),
    (1041.0, 1042.0, 12.0, 0.35, 0.15, "C-H in-plane bending", True),
    (993.0, 1020.0, 11.0, 0.45, 0.40, "ring breathing", False),
    (893.0, 895.0, 12.0, 0.20, 0.08, "C-H out-of-plane bending", True),
    (755.0, 770.0, 14.0, 1.00, 1.00, "C-H out-of-plane bending", False),
    (740.0, 733.0, 13.0, 0.30, 0.50, "C-H out-of-plane bending", True),
    (652.0, 652.0, 14.0, 0.35, 0.25, "ring in-plane deformation", True),
    (619.0, 632.0, 13.0, 0.35, 0.15, "ring in-plane deformation", True),
    (404.0, 420.0, 13.0, 0.35, 0.30, "ring out-of-plane deformation", True),
)

# Charles, Freiser, Friedel, Hilliard & Johnston 1956, Spectrochim. Acta 8, 1. The phenol loses its proton: the O-H band
# goes, C-O rises from 1094 to about 1110 by metal and ring stretching falls from 1508 to 1499. The other positions are
# assumed, among them those of metal and oxygen or nitrogen near 645, 505 and 410.
HYDROXYQUINOLINE = _table(
    (3120.0, None, 350.0, 0.45, 0.0, "O-H, hydrogen-bridged to nitrogen", True),
    (3045.0, 3050.0, 35.0, 0.18, 0.22, "C-H stretching", True),
    (1626.0, 1605.0, 16.0, 0.15, 0.20, "ring stretching", True),
    (1580.0, 1577.0, 14.0, 0.55, 0.60, "ring stretching, C=N", True),
    (1508.0, 1499.0, 13.0, 0.95, 0.90, "ring stretching", False),
    (1473.0, 1466.0, 13.0, 0.80, 0.95, "ring stretching", True),
    (1433.0, 1425.0, 14.0, 0.40, 0.20, "ring stretching", True),
    (1410.0, None, 15.0, 0.60, 0.0, "O-H in-plane bending", True),
    (1380.0, 1384.0, 14.0, 0.55, 0.75, "ring stretching", True),
    (1285.0, 1323.0, 15.0, 0.65, 0.85, "C-N and ring stretching", True),
    (None, 1280.0, 14.0, 0.0, 0.45, "ring with C-O", True, 3.0),
    (1223.0, 1231.0, 14.0, 0.60, 0.35, "C-H in-plane bending", True),
    (1205.0, None, 14.0, 0.45, 0.0, "C-O-H", True),
    (1168.0, 1173.0, 13.0, 0.30, 0.15, "C-H in-plane bending", True),
    (1094.0, 1109.0, 13.0, 0.55, 0.95, "C-O stretching", False),
    (1058.0, 1035.0, 13.0, 0.25, 0.15, "C-H in-plane bending", True),
    (975.0, 970.0, 13.0, 0.20, 0.08, "C-H out-of-plane bending", True),
    (897.0, 905.0, 14.0, 0.22, 0.10, "C-H out-of-plane bending", True),
    (818.0, 823.0, 13.0, 0.65, 0.65, "C-H out-of-plane bending", True),
    (780.0, 787.0, 13.0, 0.80, 0.55, "C-H out-of-plane bending", True),
    (740.0, 744.0, 13.0, 0.50, 0.70, "C-H out-of-plane bending", True),
    (711.0, 730.0, 13.0, 0.65, 0.45, "ring deformation", True),
    (None, 645.0, 14.0, 0.0, 0.35, "ring deformation with M-O", True, 10.0),
    (576.0, 600.0, 14.0, 0.30, 0.15, "ring deformation", True),
    (None, 505.0, 15.0, 0.0, 0.50, "M-O stretching with ring", True, 18.0),
    (490.0, None, 14.0, 0.30, 0.0, "ring deformation", True),
    (None, 412.0, 16.0, 0.0, 0.30, "M-N stretching with ring", True, 20.0),
)

LIGANDS = {"acetylacetone": ACETYLACETONE, "bipyridine": BIPYRIDINE, "hydroxyquinoline": HYDROXYQUINOLINE}

# How strongly a metal(II) shifts a ligand's bands, over nickel: ranks in the series of Irving & Williams 1953
# (10.1039/JR9530003192), Mn < Fe < Co < Ni < Cu > Zn; the even steps between them are assumed.
METALS = {"Mn": 0.85, "Co": 0.95, "Ni": 1.0, "Cu": 1.05, "Zn": 0.9}

# Centre, width and height of what is in the beam besides the powder. Water and carbon dioxide: Shimanouchi 1972
# (10.6028/NBS.NSRDS.39), liquid water: Venyaminov & Prendergast 1997 (10.1006/abio.1997.2136); Nujol: liquid paraffin.
MATRICES = {
    "water": ((3430.0, 350.0, 1.0), (1636.0, 75.0, 0.35)),
    "Nujol": (
        (2953.0, 25.0, 0.60),
        (2923.0, 25.0, 1.00),
        (2853.0, 20.0, 0.70),
        (1461.0, 15.0, 0.35),
        (1377.0, 12.0, 0.20),
        (722.0, 12.0, 0.05),
    ),
    "carbon dioxide": ((2361.0, 22.0, 1.0), (2337.0, 28.0, 0.85), (668.0, 6.0, 0.50)),
}
