"""Public sets of infrared spectra that can be had by name, with what is known of each.

Each is a file inside a published Python package, named by exact version and checked by hash, or a record with a DOI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ftirlib.errors import DataError


@dataclass(frozen=True)
class PackageSet:
    """A file inside a package.

    Attributes
    ----------
    name : str
        That a user says.
    package, version : str
    kind : {"sdist", "wheel"}
        Which archive of the package holds it.
    archive_sha256 : str
        Of the archive.
    member : str
        Path inside the archive.
    sha256 : str
        Of the member, unpacked.
    size : int
        Of the member, unpacked, in bytes.
    download : int
        Of the archive, in bytes.
    file : str
        Name in the cache; a name without the member's ``.xz`` says that it is unpacked.
    licence : str
    content : str
        One line.
    group : tuple of str, optional
        (new column, column, pattern): a column that is added to the table, the part of another that the pattern finds.
    options : mapping
        Of `import_spectra`.
    """

    name: str
    package: str
    version: str
    kind: str
    archive_sha256: str
    member: str
    sha256: str
    size: int
    download: int
    file: str
    licence: str
    content: str
    group: tuple[str, str, str] | None = None
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def requirement(self) -> str:
        """As pip names it."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class RecordSet:
    """The files of a record in a repository, of which a user chooses."""

    name: str
    doi: str
    download: int
    licence: str
    content: str


SETS = {
    found.name: found
    for found in (
        PackageSet(
            name="tissue-components",
            package="orange-spectroscopy",
            version="0.9.3",
            kind="wheel",
            archive_sha256="e42352fd21d637802bd4da62214fc20fc2c1d827b84ff44d2f7e922a76049870",
            member="orangecontrib/spectroscopy/datasets/collagen.csv",
            sha256="ee342a119e1eaaa0d4e8f9debeabbb3be1110bd358816ef9b856ba4843afebe7",
            size=1_034_486,
            download=3_231_135,
            file="tissue_components.csv",
            licence="GPL-3.0-or-later (the package's; none is stated for the data)",
            content="731 spectra of lipids, glycogen, collagen and DNA in tissue, absorbance, 903-1801 cm-1; no groups",
            options=MappingProxyType({"label": "type", "skip_rows": 2, "unit": "absorbance"}),
        ),
        PackageSet(
            name="tissue-map",
            package="specio",
            version="0.1.0",
            kind="sdist",
            archive_sha256="101174f49a526de2fd389be9a542155fd235ee5a55d80d5cf9cb46aafb03e157",
            member="specio-0.1.0/specio/datasets/data/spectra.fsm",
            sha256="dc529a1d12dcc5800394d7d64a4b97f1caa9369c1ed81057ef687f87f30ccde0",
            size=52_561_257,
            download=57_849_287,
            file="tissue_map.fsm",
            licence="BSD-3-Clause (the package's; none is stated for the data)",
            content="map of a tissue section, 93 x 86 pixels of 6.25 um, % T, 720-4000 cm-1; no labels",
            options=MappingProxyType({"unit": "percent", "low": 1000.0, "high": 1800.0}),
        ),
        PackageSet(
            name="turtle-plastics",
            package="xpectrass",
            version="0.0.4",
            kind="wheel",
            archive_sha256="063c92d5773a08ca482f9b38b4e5d788f30d747d9742fa48253027d43ad04ad9",
            member="xpectrass/data/jung_2018.csv.xz",
            sha256="9eec720ccb4ebdf5fd87765d1aeac5d512e7623b40787303ee05d884195e8fbe",
            size=16_860_630,
            download=54_234_305,
            file="turtle_plastics.csv",
            licence="MIT (the package's); cite Jung et al. 2018, doi:10.1016/j.marpolbul.2017.12.061",
            content="800 spectra of plastics that 51 sea turtles had swallowed, 9 kinds, % T, 450-4000 cm-1",
            group=("turtle", "sample_id", r"^[A-Z]+[0-9]+"),
            options=MappingProxyType({"label": "type", "group": "turtle", "unit": "percent"}),
        ),
        PackageSet(
            name="plastics-library",
            package="xpectrass",
            version="0.0.4",
            kind="wheel",
            archive_sha256="063c92d5773a08ca482f9b38b4e5d788f30d747d9742fa48253027d43ad04ad9",
            member="xpectrass/data/frond_2021.csv.xz",
            sha256="d43d557506fbc090b53b1a170e46dedf5ddf698425ddc212d847c7ec3551a74d",
            size=5_964_719,
            download=54_234_305,
            file="plastics_library.csv",
            licence="MIT (the package's); cite De Frond et al. 2021, doi:10.1021/acs.analchem.1c02549",
            content="380 reference spectra of 19 plastics, new and weathered, % T, 399-4002 cm-1, zero at both ends",
            options=MappingProxyType({"label": "type", "unit": "percent", "low": 700.0, "high": 3950.0}),
        ),
        RecordSet(
            name="crc",
            doi="10.5281/zenodo.17790337",
            download=21_000_000_000,
            licence="as the record states; noted when it is fetched",
            content="colorectal cohort: 130 patients, 9 tissue arrays, a class a core, 748-4000 cm-1; choose cores",
        ),
    )
}


def find_set(name: str) -> PackageSet | RecordSet:
    """The set of that name.

    Raises
    ------
    DataError
        Listing the names there are.
    """
    if name not in SETS:
        raise DataError(f"there is no set '{name}'; the sets are {', '.join(SETS)}.")
    return SETS[name]


def list_sets() -> list[dict[str, str]]:
    """Name, size of the download, licence, source and content of every set, as text for a table."""
    return [
        {
            "name": one.name,
            "download": _size(one.download),
            "licence": one.licence,
            "source": f"doi:{one.doi}" if isinstance(one, RecordSet) else one.requirement,
            "content": one.content,
        }
        for one in SETS.values()
    ]


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.0f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
