"""Files of a Zenodo record by its DOI: listed, chosen, fetched with resume, checked against the record's own hashes.

Zenodo's REST interface (https://developers.zenodo.org); ranges of bytes after RFC 9110, section 14.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ftirlib.engine.cache import BLOCK, file_digest, written_whole
from ftirlib.errors import DataError

ZENODO = "https://zenodo.org"
TIMEOUT = 60  # seconds without a byte
TRIES = 5  # per file; each goes on where the one before stopped
PAUSE = 1.0  # seconds before the second try; doubled each time
RECORD_LIMIT = 32 * BLOCK
BUSY = (408, 425, 429, 500, 502, 503, 504)  # answers that another try may mend
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
    """What a record says of itself."""

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
        with _request(url) as answer:
            found = json.loads(answer.read(RECORD_LIMIT))
        metadata = found["metadata"]
        files = [
            RecordFile(str(one["key"]), int(one["size"]), str(one["checksum"]), _same_kind(one["links"]["self"], base))
            for one in found["files"]
        ]
        licence = metadata.get("license") or {}
        return Record(match[1], str(metadata.get("title", "")), str(licence.get("id", "")), files)
    except (URLError, OSError, http.client.HTTPException) as error:
        raise DataError(f"'{url}' does not answer ({error}); check the network and try again.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"'{url}' does not answer with a list of files ({error!r}); check the DOI.") from None


def _same_kind(url: str, base: str) -> str:
    """An address that is no less safe than the repository's own."""
    if urlsplit(url).scheme not in ("https", urlsplit(base).scheme):
        raise DataError(f"the record names a file at '{url}', which is not fetched; only https is.")
    return url


def _request(url: str, first: int = 0):
    headers = {"User-Agent": "ftirlib"} | ({"Range": f"bytes={first}-"} if first else {})
    return urlopen(Request(url, headers=headers), timeout=TIMEOUT)


def fetch(wanted: RecordFile, path: str | os.PathLike, *, tries: int = TRIES, pause: float = PAUSE) -> Path:
    """Fetch a file, going on where an earlier try or an earlier call stopped.

    Parameters
    ----------
    wanted : RecordFile
    path : path
        Of the file to write; ``<path>.part`` holds what has come so far.
    tries : int
        Before giving up on an address that breaks off.
    pause : float
        Seconds before the second try; doubled for each one after.

    Returns
    -------
    Path
        The file, whole and of the record's hash. One that is there already is only checked.

    Raises
    ------
    DataError
        When the address keeps breaking off, or what came has another hash (it is removed then).
    """
    path = Path(path)
    kind, _, digest = wanted.checksum.partition(":")
    if kind not in HASHES or not digest:
        raise DataError(f"'{wanted.key}' has the checksum '{wanted.checksum}', of a kind that is not known.")
    if path.is_file() and path.stat().st_size == wanted.size and file_digest(path, kind) == digest:
        return path
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    problem: Exception | str = "nothing came"
    for k in range(tries):
        if k:
            time.sleep(pause * 2 ** (k - 1))
        try:
            _go_on(wanted, part)
            break
        except HTTPError as error:
            if error.code not in BUSY:
                raise DataError(f"'{wanted.url}' answers {error.code} {error.reason}; check the record.") from None
            problem = error
        except (URLError, OSError, http.client.HTTPException) as error:
            problem = error
    else:
        have = part.stat().st_size if part.exists() else 0
        raise DataError(
            f"'{wanted.key}' broke off {tries} times at {have} of {wanted.size} bytes ({problem}); "
            "what came is kept: the same command goes on from there."
        )
    if (found := file_digest(part, kind)) != digest:
        part.unlink()
        raise DataError(
            f"'{wanted.key}' came with {kind} {found[:12]}... but the record says {digest[:12]}...; "
            "it is removed: fetch it again."
        )
    os.replace(part, path)
    return path


def _go_on(wanted: RecordFile, part: Path) -> None:
    """Add to a part until it is whole; refuse more than the record says there is."""
    have = part.stat().st_size if part.exists() else 0
    if have > wanted.size:  # of another version of the file
        part.unlink()
        have = 0
    if have == wanted.size and part.exists():
        return
    with _request(wanted.url, have) as answer, open(part, "r+b" if have else "wb") as file:
        if have and not (answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")):
            file.truncate(0)  # the server sends the whole instead of the rest
            have = 0
        file.seek(have)
        while have < wanted.size and (block := answer.read(min(BLOCK, wanted.size - have))):
            file.write(block)
            have += len(block)
        file.flush()
        os.fsync(file.fileno())
    if have < wanted.size:
        raise ConnectionError(f"{wanted.size - have} bytes are missing")


def choose_colorectal(files: Sequence[RecordFile], *, arrays: Sequence[int] = (), cores: Sequence[str] = ()):
    """The files of the chosen cores of the colorectal record: tables, spectra and their descriptions.

    Parameters
    ----------
    files : sequence of RecordFile
        Named by path, as in the data set's folder, or by file name alone.
    arrays : sequence of int
        None: all.
    cores : sequence of str
        Positions (``B3``) or full names (``TMA1_B3``); none: all. Pictures are never chosen.

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
    for one in files:
        name = PurePosixPath(one.key).name
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
            chosen[home / name] = one
            continue
        position = spectra[2].upper()
        if names := wanted & {position, f"TMA{array}_{position}"} if wanted else {position}:
            matched |= names
            chosen[home / "MIR" / ("spectra" if spectra[3].lower() == "txt" else "metadata") / name] = one
    if not known:
        names = ", ".join(one.key for one in files[:4])
        raise DataError(
            f"the record's files ({names or 'none'}...) are not named as the cores are; fetch it by hand from its page "
            "and unpack it."
        )
    if missing := sorted(wanted - matched):
        raise DataError(f"the record has no core '{missing[0]}' in the chosen arrays; name cores as B3 or TMA1_B3.")
    if not any(path.suffix == ".txt" for path in chosen):
        raise DataError("the record has no spectra of the chosen arrays.")
    needed = {path.parts[0] for path in chosen if path.suffix == ".txt"}
    return {path: one for path, one in sorted(chosen.items()) if path.parts[0] in needed}


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
    total = sum(one.size for one in chosen.values())
    report(f"{len(chosen)} files, {total / 1e6:.0f} MB; licence: {record.licence or 'none is stated'}")
    with written_whole(folder / "source.json") as file:
        note = {"doi": record.doi, "title": record.title, "licence": record.licence}
        file.write(json.dumps(note, indent=1).encode())
    for k, (path, one) in enumerate(chosen.items(), 1):
        fetch(one, folder / path)
        report(f"{k}/{len(chosen)} {path}: {one.size / 1e6:.1f} MB")
    return folder
