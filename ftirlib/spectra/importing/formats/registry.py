"""Which reader reads a file: by how its content begins, by its suffix only where the content has no mark.

A further format is one more line in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats import agilent, envi, jcampdx, matlab, opus, perkinelmer, spc, tables
from ftirlib.spectra.importing.formats.arrays import read_npz
from ftirlib.spectra.importing.formats.raw import RawFile

BEGINNING = 8192  # bytes by which a file is recognised


@dataclass(frozen=True)
class Format:
    """A format that is read.

    Attributes
    ----------
    name : str
    suffixes : tuple of str
        With which its files are named, lower case.
    matches : callable
        (path, first bytes) -> bool, for files whose content bears a mark.
    read : callable
        (path, wanted names, skip_rows=0) -> `RawFile`, without reading the spectra of a cube.
    companions : callable
        path -> files read together with it, which are no sources of their own.
    in_parts : bool
        Whether its spectra stay on disk until they are taken, so that a part is read without the rest.
    """

    name: str
    suffixes: tuple[str, ...]
    matches: Callable[[Path, bytes], bool]
    read: Callable[..., RawFile]
    companions: Callable[[Path], set[Path]] = lambda path: set()
    in_parts: bool = False


def _members(path: Path) -> list[str]:
    try:
        with ZipFile(path) as archive:
            return archive.namelist()
    except (BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def _is_npz(path, start):
    return start.startswith(b"PK") and any(name.endswith(".npy") for name in _members(path))


def _is_workbook(path, start):
    return start.startswith(b"PK") and "xl/workbook.xml" in _members(path)


def _is_matlab(path, start):
    return start.startswith(b"MATLAB") or (path.suffix.lower() == ".mat" and matlab.HDF5 in (start[:8], start[512:520]))


def _is_agilent(path, start):
    return start.startswith(agilent.OLE) and path.suffix.lower() in (".bsp", ".dmt")


def _is_envi(path, start):
    return start.startswith(b"ENVI") and path.suffix.lower() == ".hdr"


def _is_fsm(path, start):
    return start.startswith(perkinelmer.MAGIC) and start[4:6] != b"2D"


def _is_spc(path, start):
    return path.suffix.lower() == ".spc" and spc.is_spc(start)


def _is_table(path, start):
    return path.suffix.lower() in (".txt", ".dpt", ".asc", ".xy", ".dat") and tables.looks_spectral(start)


def _envi_companions(path):
    return {found} if (found := envi.data_file(path)) else set()


FORMATS = [
    Format("NumPy archive", (".npz",), _is_npz, read_npz),
    Format("MATLAB", (".mat",), _is_matlab, matlab.read_mat),
    Format("Agilent", (".bsp", ".dmt"), _is_agilent, agilent.read_agilent, agilent.companions, in_parts=True),
    Format("ENVI", (".hdr",), _is_envi, envi.read_envi, _envi_companions, in_parts=True),
    Format("PerkinElmer image", (".fsm",), _is_fsm, perkinelmer.read_fsm, in_parts=True),
    Format("Bruker OPUS", (), lambda path, start: start.startswith(opus.MAGIC), opus.read_opus),
    Format("JCAMP-DX", (".jdx", ".dx", ".jcamp"), lambda path, start: jcampdx.is_jcamp(start), jcampdx.read_jcamp),
    Format("SPC", (".spc",), _is_spc, spc.read_spc),
    Format("Excel table", (".xlsx",), _is_workbook, tables.read_table),
    Format("text table", (".csv", ".tsv"), _is_table, tables.read_table),
]
READERS = {suffix: form.read for form in FORMATS for suffix in form.suffixes}
READ = f"{', '.join(READERS)}, Bruker OPUS, and spectra as two columns of text"
# Formats of the field that are not read: how they begin, how they are named, and what to do instead.
NOT_READ = [
    ((".spa", ".spg", ".srs", ".map"), b"Spectral Data", "an OMNIC file: in OMNIC, save as JCAMP-DX or as CSV text"),
    ((".sp",), b"PEPE2D", "a PerkinElmer spectrum: in Spectrum, save as JCAMP-DX or as text"),
    ((".seq", ".drd"), None, "an interferogram: import the .bsp or .dmt file beside it, which has the spectra"),
    ((".xls",), None, "an old Excel workbook: save it as .xlsx or CSV"),
    ((".h5", ".hdf5"), None, "HDF5 without a layout of the field: save its arrays with numpy.savez or as MATLAB"),
]


def recognise(path: Path) -> tuple[Path, Format]:
    """The file to start from and its format: for a data file of ENVI or Agilent, its header.

    Raises
    ------
    DataError
        When no format that is read fits, saying what to do with those of the field.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(BEGINNING)
    except OSError as error:
        raise DataError(f"'{path}' cannot be opened ({error.strerror}).") from None
    suffix = path.suffix.lower()
    for form in FORMATS:
        if form.matches(path, start):
            return path, form
    for suffixes, magic, what in NOT_READ:
        if (magic is not None and start.startswith(magic)) or suffix in suffixes:
            if suffix in (".seq", ".drd") and (index := agilent.index_file(path)) is not None:
                what = f"an interferogram: import '{index.name}' beside it, which has the spectra"
            raise DataError(f"'{path.name}' is {what}.")
    if suffix in (".dat", ".dmd", ".img", ".raw", ".bsq", ".bil", ".bip", ""):
        for header in (agilent.index_file(path), envi.header_file(path)):
            if header is not None and header != path:
                return recognise(header)
    for form in FORMATS:
        if suffix in form.suffixes:
            return path, form  # its reader says what is wrong with it
    raise DataError(
        f"'{path.name}' is of a format that is not read ('{suffix}'); read are {READ}: "
        "export the spectra to one of them."
    )
