"""A run: settings that say what to make, and the driver that makes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ftirlib.engine.driver import Driver
from ftirlib.engine.remote import open_store
from ftirlib.engine.store import room_fingerprint
from ftirlib.errors import StoreError
from ftirlib.method.settings import Settings, read_settings

SETTINGS = "settings.json"
LAST_ROOM = {"data": "spectra", "models": "classify", "fusion": "classify", "reasons": "explain", "predict": "explain"}


def code_behind(function: Callable) -> dict[str, Any]:
    """Source and package versions that a worker function's result depends on: of the rooms that its module may use."""
    return room_fingerprint(LAST_ROOM.get(function.__module__.rpartition(".")[2], "report"))


class Run(Driver):
    """Settings with a place for their results; stages take it as their argument.

    Parameters
    ----------
    settings : Settings
    **options
        `report` and `bar` of `Driver`.
    """

    def __init__(self, settings: Settings, **options):
        super().__init__(
            settings.out,
            about={SETTINGS: settings.model_dump_json(indent=1, exclude={"tls"})},
            code=code_behind,
            workers=settings.workers,
            scheduler=settings.scheduler,
            tls=settings.tls,
            **options,
        )
        self.settings = settings

    @property
    def figure_folder(self) -> Path:
        """Where published figures go."""
        return self.store.root / "figures"

    def publish(self, figure, name: str) -> None:
        """Save a figure as SVG and PDF under the name it has in the book."""
        from ftirlib.report.figures.style import publish

        self.store.check_writable()
        self.figure_folder.mkdir(exist_ok=True, parents=True)
        publish(figure, self.figure_folder / name)


def read_run_settings(root: str | os.PathLike) -> Settings:
    """Settings of the run at a path or address.

    Raises
    ------
    StoreError
        When there is no run, or its settings are of another version of the library.
    """
    text = open_store(root).read_text(SETTINGS)
    if text is None:
        raise StoreError(f"there is no run at '{root}' (it has no {SETTINGS}); make one with 'ftirlib run'.")
    try:
        return Settings.model_validate_json(text)
    except ValueError:
        raise StoreError(
            f"'{SETTINGS}' of '{root}' was written by another version of ftirlib; run 'ftirlib run' again."
        ) from None


def open_run(
    profile: str = "quick",
    *,
    data: str | None = None,
    out: str | None = None,
    seed: int = 0,
    scheduler: str | None = None,
    tls: Mapping[str, str] | None = None,
    changes: Mapping[str, Any] | None = None,
    **options,
) -> Run:
    """Open a run for a profile; see `ftirlib.method.settings.read_settings` for the parameters.

    Examples
    --------
    >>> open_run("smoke").settings.members.count > 0
    True
    """
    settings = read_settings(profile, data=data, out=out, seed=seed, scheduler=scheduler, tls=tls, changes=changes)
    return Run(settings, **options)
