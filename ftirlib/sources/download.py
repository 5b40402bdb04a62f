"""Files of a Zenodo record by its DOI: listed, chosen, and fetched with the hashes that the record states.

Zenodo's REST interface (https://developers.zenodo.org); downloads by pooch (Uieda et al. 2020,
doi:10.21105/joss.01943).
"""

from __future__ import annotations

import http.client
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ftirlib.errors import DataError
from ftirlib.files import write_json

ZENODO = "https://zenodo.org"
TIMEOUT = 60  # seconds without a byte
TRIES = 3  # per file
RECORD_LIMIT = 1 << 25  # bytes; the list of the largest record known has a few hundred kB
HEADERS = {"User-Agent": "ftirlib"}
HASHES = ("md5", "sha1", "sha256", "sha512")


@dataclass(frozen=True)
class RecordFile:
    """A file of a record: its name there, bytes, hash as "md5:...", and address."""

    key: str
    size: int
    checksum: str
    url: str


@dataclass(frozen=True)
class Record:
    """DOI, title, licence and files of a record."""

    doi: str
    title: str
    licence: str
    files: list[RecordFile]


def open_record(doi: str, *, base: str = ZENODO) -> Record:
    """List a record's files.

    Parameters
    ----------
    doi : str
        Such as 10.5281/zenodo.17790337, of one version.
    base : str
        Address of the repository.

    Returns
    -------
    Record

    Raises
    ------
    DataError
        A DOI that is not Zenodo's, no answer, or an answer in another form.
    """
    match = re.fullmatch(r"(?:https?://doi\.org/)?(10\.\d+/zenodo\.(\d+))", doi.strip())
    if match is None:
        raise DataError(f"'{doi}' is no DOI of Zenodo, such as 10.5281/zenodo.17790337.")
    url = f"{base.rstrip('/')}/api/records/{match[2]}"
    try:
        with urlopen(Request(url, headers=HEADERS), timeout=TIMEOUT) as answer:
            listing = json.loads(answer.read(RECORD_LIMIT))
        metadata = listing["metadata"]
        files = [
            RecordFile(
                key=str(file["key"]),
                size=int(file["size"]),
                checksum=str(file["checksum"]),
                url=_safe(file["links"]["self"], base),
            )
            for file in listing["files"]
        ]
        licence = metadata.get("license") or {}
        return Record(match[1], str(metadata.get("title", "")), str(licence.get("id", "")), files)
    except (URLError, OSError, http.client.HTTPException) as error:
        raise DataError(f"'{url}' does not answer ({error}); check the network and try again.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"'{url}' does not answer with a list of files ({error!r}); check the DOI.") from None


def _safe(url: str, base: str) -> str:
    """An address that is no less safe than the repository's own."""
    if urlsplit(url).scheme not in ("https", urlsplit(base).scheme):
        raise DataError(f"the record names a file at '{url}', which is not fetched; only https is.")
    return url


def fetch(wanted: RecordFile, path: str | os.PathLike) -> Path:
    """Fetch a file of a record, unless it is there already with the record's hash.

    Parameters
    ----------
    wanted : RecordFile
    path : path
        Of the file to write, which has this name only when it is whole.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        When the address does not answer, breaks off `TRIES` times, or sends a file of another hash.
    """
    import pooch

    path = Path(path)
    kind, _, digest = wanted.checksum.partition(":")
    if kind not in HASHES or not digest:
        raise DataError(f"'{wanted.key}' has the checksum '{wanted.checksum}', of a kind that is not known.")
    pooch.get_logger().setLevel("WARNING")  # the caller reports each file
    files = pooch.create(
        path.parent,
        base_url="",
        registry={path.name: wanted.checksum},
        urls={path.name: wanted.url},
        retry_if_failed=TRIES - 1,
    )
    try:
        files.fetch(path.name, downloader=pooch.HTTPDownloader(timeout=TIMEOUT, headers=HEADERS))
    except OSError as error:  # errors of requests are such
        raise DataError(f"'{wanted.url}' cannot be fetched ({error}); check the network and try again.") from None
    except ValueError:
        raise DataError(
            f"'{wanted.key}' came with another {kind} than the record's {digest[:12]}...; "
            "nothing of it is kept: fetch it again."
        ) from None
    return path


def choose_colorectal(files: Sequence[RecordFile], *, arrays: Sequence[int] = (), cores: Sequence[str] = ()):
    """The files of the chosen cores of the colorectal record: tables, spectra and their descriptions.

    Parameters
    ----------
    files : sequence of RecordFile
        Named by path, as in the data set's folder, or by file name alone.
    arrays : sequence of int
        Empty: all.
    cores : sequence of str
        Positions (``B3``) or full names (``TMA1_B3``); empty: all. Pictures are never chosen.

    Returns
    -------
    dict of PurePosixPath to RecordFile
        Where each goes below the folder of the data set.

    Raises
    ------
    DataError
        When the record is of another layout or nothing fits the choice.
    """
    wanted, chosen, known, matched = {name.upper() for name in cores}, {}, False, set()
    for file in files:
        name = PurePosixPath(file.key).name
        table = re.fullmatch(r"TMA(\d+)_core_metadata\.csv", name)
        spectra = re.fullmatch(r"tma(\d+)_([a-z]\d+)_.*\.(txt|json)", name, flags=re.IGNORECASE)
        if table is None and spectra is None:
            continue
        known = True
        array = int((table or spectra)[1])
        if arrays and array not in arrays:
            continue
        home = PurePosixPath(f"TMA{array}")
        if table:
            chosen[home / name] = file
            continue
        position = spectra[2].upper()
        if names := wanted & {position, f"TMA{array}_{position}"} if wanted else {position}:
            matched |= names
            chosen[home / "MIR" / ("spectra" if spectra[3].lower() == "txt" else "metadata") / name] = file
    if not known:
        names = ", ".join(file.key for file in files[:4])
        raise DataError(
            f"the record's files ({names or 'none'}...) are not named as the cores are; fetch it by hand from its page "
            "and unpack it."
        )
    if missing := sorted(wanted - matched):
        raise DataError(f"the record has no core '{missing[0]}' in the chosen arrays; name cores as B3 or TMA1_B3.")
    if not any(path.suffix == ".txt" for path in chosen):
        raise DataError("the record has no spectra of the chosen arrays.")
    needed = {path.parts[0] for path in chosen if path.suffix == ".txt"}
    return {path: file for path, file in sorted(chosen.items()) if path.parts[0] in needed}


def get_colorectal(
    folder: str | os.PathLike,
    *,
    doi: str,
    arrays: Sequence[int] = (),
    cores: Sequence[str] = (),
    base: str = ZENODO,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Fetch chosen cores of the colorectal cohort into the layout that `import_colorectal` reads.

    Parameters
    ----------
    folder : path
        To put ``TMA1``, ``TMA2``... in; files that are there whole are not fetched again.
    doi : str
    arrays, cores : sequences
        See `choose_colorectal`.
    base : str
        Address of the repository.
    report : callable
        Gets a line for each file.

    Returns
    -------
    Path
        `folder`; ``source.json`` in it states DOI, title and licence.

    Raises
    ------
    DataError
        See `open_record`, `choose_colorectal` and `fetch`.
    """
    folder = Path(folder)
    record = open_record(doi, base=base)
    chosen = choose_colorectal(record.files, arrays=arrays, cores=cores)
    total = sum(file.size for file in chosen.values())
    report(f"{len(chosen)} files, {total / 1e6:.0f} MB; licence: {record.licence or 'none is stated'}")
    write_json(folder / "source.json", {"doi": record.doi, "title": record.title, "licence": record.licence})
    for k, (path, file) in enumerate(chosen.items(), 1):
        fetch(file, folder / path)
        report(f"{k}/{len(chosen)} {path}: {file.size / 1e6:.1f} MB")
    return folder
