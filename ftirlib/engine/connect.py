"""Reaching a Dask scheduler, with TLS where it wants that (https://distributed.dask.org/en/stable/tls.html)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ftirlib.errors import SettingsError

TLS_FILES = ("ca", "cert", "key")


def connect(scheduler: str, tls: Mapping[str, str | os.PathLike] | None, timeout: float):
    """A `distributed.Client` of the scheduler at an address.

    Parameters
    ----------
    scheduler : str
    tls : mapping or None
        See `ftirlib.engine.cluster.open_executor`.
    timeout : float
        Seconds for it to answer.

    Raises
    ------
    SettingsError
        When nobody answers, or the TLS files do not fit.
    """
    from distributed import Client

    security = _security(scheduler, tls)
    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook has a loop of its own in this one
            thread.submit(asyncio.run, _greet(scheduler, security, timeout)).result()
        return Client(scheduler, timeout=timeout, security=security)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        advice = (
            "see that it is there and that its certificates and yours are of one authority"
            if scheduler.startswith("tls://")
            else "start one with 'dask scheduler' (tls:// if it wants certificates)"
        )
        raise SettingsError(
            f"no Dask scheduler answers at '{scheduler}' ({type(error).__name__}); {advice}, "
            "or leave --scheduler out to use this machine."
        ) from None


async def _greet(scheduler: str, security, timeout: float) -> None:
    """Have a word with a scheduler; a client waits without end for one that lets it in and says nothing."""
    from distributed import Security
    from distributed.comm import connect as comm_to

    arguments = (security or Security()).get_connection_args("client")
    comm = await asyncio.wait_for(comm_to(scheduler, timeout=timeout, **arguments), timeout)
    comm.abort()


def _security(scheduler: str, tls):
    """Dask's settings of a TLS connection; None leaves them to its configuration."""
    if tls is None:
        return None
    from distributed import Security

    if not scheduler.startswith("tls://"):
        raise SettingsError(f"TLS files do nothing for '{scheduler}'; write the address as tls://host:8786.")
    if missing := [name for name in TLS_FILES if not tls.get(name)]:
        raise SettingsError(f"TLS needs the files {', '.join(TLS_FILES)}; {', '.join(missing)} is not given.")
    if unknown := sorted(set(tls) - set(TLS_FILES)):
        raise SettingsError(f"TLS needs the files {', '.join(TLS_FILES)}, and knows no '{unknown[0]}'.")
    for name in TLS_FILES:
        if not Path(tls[name]).is_file():
            raise SettingsError(f"there is no TLS file '{tls[name]}' ({name}); give the path of a PEM file.")
    return Security(
        require_encryption=True,
        tls_ca_file=str(tls["ca"]),
        tls_client_cert=str(tls["cert"]),
        tls_client_key=str(tls["key"]),
    )
