"""Colon tissue on a pixel grid: crypts, goblet cells, stroma, lymphocytes, muscle, necrosis and empty glass.

Crypts of the colon in cross section lie on a disturbed hexagonal lattice; shares of the tissues follow the
histology of each class, a proposal in every number.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from numbers import Real

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from ftirlib.errors import SettingsError

TISSUES = ("epithelium", "goblet cells", "lamina propria", "muscle", "lymphocytes", "necrosis", "lumen")
EPITHELIUM, GOBLET, STROMA, MUSCLE, LYMPHOCYTES, NECROSIS, LUMEN = range(len(TISSUES))
SUPERSAMPLING = 3  # subpixels along a pixel's side; odd, so that one lies at its centre


def is_number(value) -> bool:
    """Whether a setting is a finite number."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def refuse_negative(entry) -> None:
    """Refuse an entry of a table whose numbers are not all finite and at least 0."""
    for value in astuple(entry):
        numbers = value if isinstance(value, (tuple, list)) else [value]
        if not isinstance(value, str) and not all(is_number(v) and v >= 0 for v in numbers):
            raise SettingsError(f"phantom: {entry} holds {value!r}; its numbers must be finite and at least 0.")


@dataclass(frozen=True)
class Histology:
    """What the tissue of one class is made of, and how regular its crypts are.

    Attributes
    ----------
    class_name : str
    epithelium, goblet, stroma, lymphocytes, muscle : float
        Shares of living tissue; only their ratios matter.
    lumen : float
        Share of a crypt's territory that is empty.
    irregularity : float
        Relative departure of a crypt's outline from a circle.
    necrosis : (float, float)
        Least and largest share of the class's tissue that is dead, drawn for each image.
    """

    class_name: str
    epithelium: float
    goblet: float
    stroma: float
    lymphocytes: float
    muscle: float
    lumen: float
    irregularity: float
    necrosis: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self):
        refuse_negative(self)
        if not (self.epithelium + self.goblet > 0 and self.stroma > 0 and self.lumen < 1):
            raise SettingsError(f"phantom: tissue of class '{self.class_name}' needs a crypt's wall and stroma.")
        if len(self.necrosis) != 2 or not self.necrosis[0] <= self.necrosis[1] <= 1:
            raise SettingsError(f"phantom: necrosis of class '{self.class_name}' must be two shares, the least first.")


@dataclass(frozen=True)
class Field:
    """One image's tissue.

    Attributes
    ----------
    fractions : (side, side, 7) float64
        Share of each pixel that is each of `TISSUES`; sums to 1.
    territory_class : (side, side) int
        Position of the class of the crypt that a pixel belongs to, whatever the pixel itself holds.
    territory : (side, side) int
        Crypt that a pixel belongs to.
    depth : (side, side) float64
        Height along the crypt's axis at which the section cuts it, 0 (base) to 1 (mouth).
    """

    fractions: np.ndarray
    territory_class: np.ndarray
    territory: np.ndarray
    depth: np.ndarray


def smooth_field(rng: np.random.Generator, shape, length: float) -> np.ndarray:
    """Gaussian random field of mean 0 and standard deviation 1, correlated over `length` points."""
    field = gaussian_filter(rng.standard_normal(shape), length, mode="reflect")
    return (field - field.mean()) / field.std()


def ranks(field) -> np.ndarray:
    """Each point's rank among all, 0 to 1; ``ranks(f) < share`` is exactly that share of the points."""
    order = np.empty(field.size)
    order[np.argsort(field, axis=None, kind="stable")] = np.arange(field.size) / field.size
    return order.reshape(field.shape)


def grow_field(
    rng: np.random.Generator,
    *,
    side: int,
    pixel_um: float,
    spacing_um: float,
    cell_um: float,
    patch_um: float,
    edge: float,
    histology: tuple[Histology, ...],
    shares: tuple[tuple[int, float], ...],
    debris: float = 0.0,
) -> Field:
    """Draw one image's tissue.

    Parameters
    ----------
    rng : numpy.random.Generator
    side : int, pixels
    pixel_um, spacing_um, cell_um, patch_um : float, um
        Pixel; distance between neighbouring crypts; size of a cell; size of a patch of lymphocytes or necrosis.
    edge : float
        Share of the image that lies beyond the edge of the section.
    histology : tuple of Histology
        One per class.
    shares : tuple of (class, share)
        Classes and the shares of the tissue that they cover, from a focus outwards; the shares sum to 1.
    debris : float
        Share of dead tissue in classes whose histology has none of its own.

    Returns
    -------
    Field
    """
    fine = side * SUPERSAMPLING
    subpixel = pixel_um / SUPERSAMPLING
    centre = np.s_[SUPERSAMPLING // 2 :: SUPERSAMPLING, SUPERSAMPLING // 2 :: SUPERSAMPLING]
    at = (np.arange(fine) + 0.5) * subpixel
    points = np.stack(np.meshgrid(at, at, indexing="ij"), -1).reshape(-1, 2)  # (subpixels, 2), um

    crypts = _lattice(rng, side * pixel_um, spacing_um)
    nearest = cKDTree(crypts).query(points)[1]
    territory = nearest.reshape(fine, fine)
    off_section = _section_edge(rng, fine) < edge
    crypt_class = _lesion(rng, crypts, territory[centre][~off_section[centre]], shares)
    class_map = crypt_class[territory]

    def of_class(values):
        return np.array(values, np.float64)[class_map]

    # Radii follow from areas: `lumen` of a territory is empty, the wall has its share of the rest.
    area = np.sqrt(3) / 2 * spacing_um**2 / np.pi
    wall = of_class([(h.epithelium + h.goblet) / _whole(h) for h in histology])
    lumen = of_class([h.lumen for h in histology])
    outline = _outline(rng, points - crypts[nearest], nearest, len(crypts)).reshape(fine, fine)
    distance = np.linalg.norm(points - crypts[nearest], axis=1).reshape(fine, fine)
    distance = distance * np.exp(of_class([h.irregularity for h in histology]) * outline)

    cells, lymph, fibres, dead = (
        ranks(smooth_field(rng, (fine, fine), length / subpixel)) for length in (cell_um, patch_um, cell_um, patch_um)
    )
    tissue = np.full((fine, fine), STROMA)
    tissue[fibres < of_class([h.muscle / (h.stroma + h.muscle) for h in histology])] = MUSCLE
    tissue[lymph < of_class([h.lymphocytes / (h.stroma + h.muscle + h.lymphocytes) for h in histology])] = LYMPHOCYTES
    in_crypt = distance < np.sqrt(area * (lumen + (1 - lumen) * wall))
    tissue[in_crypt] = EPITHELIUM
    tissue[in_crypt & (cells < of_class([h.goblet / (h.epithelium + h.goblet) for h in histology]))] = GOBLET
    tissue[dead < of_class([rng.uniform(*h.necrosis) if any(h.necrosis) else debris for h in histology])] = NECROSIS
    tissue[(distance < np.sqrt(area * lumen)) | off_section] = LUMEN

    blocks = tissue.reshape(side, SUPERSAMPLING, side, SUPERSAMPLING)
    fractions = np.stack([(blocks == k).mean(axis=(1, 3)) for k in range(len(TISSUES))], -1)
    height = rng.uniform() + 0.1 * smooth_field(rng, (side, side), spacing_um / pixel_um)
    return Field(
        fractions=fractions,
        territory_class=class_map[centre],
        territory=territory[centre],
        depth=np.clip(height, 0.0, 1.0),
    )


def _whole(histology: Histology) -> float:
    h = histology
    return h.epithelium + h.goblet + h.stroma + h.lymphocytes + h.muscle


def _lattice(rng, extent, spacing, jitter=0.12):
    """Centres (n, 2) of a hexagonal lattice, turned, shifted and disturbed, that covers the image."""
    reach = int(np.ceil(extent / spacing)) + 2
    i, j = (index.ravel() for index in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    lattice = spacing * np.stack([i + j / 2, j * np.sqrt(3) / 2], -1)
    lattice += rng.uniform(-spacing / 2, spacing / 2, 2) + rng.normal(0, jitter * spacing, lattice.shape)
    turn = rng.uniform(0, np.pi / 3)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centres = lattice @ rotation.T + extent / 2
    return centres[(np.abs(centres - extent / 2) < extent / 2 + spacing).all(axis=1)]


def _section_edge(rng, fine):
    """Ranks (fine, fine) that rise across the image along a rough front."""
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:fine, 0:fine] / fine
    return ranks(np.cos(turn) * y + np.sin(turn) * x + 0.05 * smooth_field(rng, (fine, fine), fine / 12))


def _lesion(rng, crypts, on_tissue, shares):
    """Class of each crypt: the first class around a focus, the next ones outwards."""
    area = np.bincount(on_tissue, minlength=len(crypts))
    classes = np.full(len(crypts), shares[-1][0])
    if not area.any():
        return classes
    focus = rng.choice(len(crypts), p=area / area.sum())
    order = np.argsort(np.linalg.norm(crypts - crypts[focus], axis=1), kind="stable")
    middle = (np.cumsum(area[order]) - area[order] / 2) / area.sum()
    bounds = np.cumsum([share for _, share in shares])
    place = np.searchsorted(bounds[:-1], middle, side="right")
    place[0] = 0  # a lesion is at least one crypt
    classes[order] = np.array([klass for klass, _ in shares])[place]
    return classes


def _outline(rng, offset, crypt, n_crypts, harmonics=(2, 3, 4, 5)):
    """Departure of a crypt's outline from a circle at each point, unit variance over the angle."""
    angle = np.arctan2(offset[:, 0], offset[:, 1])
    phase = rng.uniform(0, 2 * np.pi, (n_crypts, len(harmonics)))
    waves = [np.cos(m * angle + phase[crypt, k]) for k, m in enumerate(harmonics)]
    return np.sqrt(2 / len(harmonics)) * np.sum(waves, axis=0)
