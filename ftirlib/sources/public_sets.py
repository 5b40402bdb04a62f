"""A public set by its name: its file, and the data set that is imported from it.

Names, hashes and licences are those of `ftirlib.sources.catalogue`.
"""

from __future__ import annotations

import os
from pathlib import Path

import xarray as xr

from ftirlib.errors import DataError
from ftirlib.sources.catalogue import PackageSet, find_set
from ftirlib.sources.packages import get_package_set
from ftirlib.spectra.importing.readers import import_spectra


def package_set(name: str) -> PackageSet:
    """The set of that name, if it is one file that can be had whole.

    Raises
    ------
    DataError
        No such set, or one of which a user chooses cores.
    """
    found = find_set(name)
    if not isinstance(found, PackageSet):
        raise DataError(
            f"'{name}' is a record of many cores: fetch some with 'ftirlib get {name} --cores' and import their folder."
        )
    return found


def get_public_set(
    name: str, *, folder: str | os.PathLike | None = None, archive: str | os.PathLike | None = None
) -> Path:
    """The file of a public set, fetched when it is not in the cache, and checked by its hash.

    Parameters
    ----------
    name : str
        Such as ``tissue-components``; `ftirlib get --list` shows all.
    folder : path, optional
        Cache to use; left out: the user's, or that of the environment variable FTIRLIB_CACHE.
    archive : path, optional
        The package's archive, fetched by other means.

    Returns
    -------
    Path
        Beside it lies ``<name>.source.json``: package, licence, hashes.

    Raises
    ------
    DataError
        No such set, no network, or a file that is not what the catalogue says.
    """
    return fetch_set(name, folder=folder, archive=archive)[0]


def fetch_set(
    name: str, *, folder: str | os.PathLike | None = None, archive: str | os.PathLike | None = None
) -> tuple[Path, dict[str, object]]:
    """The file of a set, see `get_public_set`, and the options of `import_spectra` that fit it."""
    wanted = package_set(name)
    known = {"licence": wanted.licence, "provenance": f"{wanted.member} of {wanted.requirement}"}
    return get_package_set(wanted, folder=folder, archive=archive), known | dict(wanted.options)


def import_public_set(
    name: str,
    out: str | os.PathLike | None = None,
    *,
    folder: str | os.PathLike | None = None,
    archive: str | os.PathLike | None = None,
    **options,
) -> xr.Dataset:
    """A public set as a data set: fetched, and imported with the options that fit it.

    Parameters
    ----------
    name, folder, archive
        See `get_public_set`.
    out, **options
        See `import_spectra`; an option given here takes the place of the catalogue's.

    Returns
    -------
    xarray.Dataset
        Its attributes ``licence`` and ``provenance`` are the catalogue's.

    Raises
    ------
    DataError, SettingsError
    """
    path, known = fetch_set(name, folder=folder, archive=archive)
    return import_spectra(path, out, **known | options)
