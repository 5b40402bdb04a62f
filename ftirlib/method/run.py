"""A run: settings that say what to make, and the driver that makes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ftirlib.engine.driver import Driver
from ftirlib.engine.store import Store, code_fingerprint
from ftirlib.errors import StoreError
from ftirlib.method.settings import Settings, read_settings

SETTINGS = "settings.json"
STUDIES = ("fusion",)  # folders of artefacts with stages of their own
ROOMS = ("spectra", "sources", "classify", "explain", "report")  # each may import from those before it
PACKAGES = {
    "spectra": ["numpy", "scipy", "xarray", "zarr", "pybaselines"],
    "sources": ["pandas"],
    "classify": ["torch", "scikit-learn", "xgboost-cpu", "xgboost", "kymatio", "imbalanced-learn"],
    "explain": ["umap-learn"],
    "report": ["pandas"],
}
LAST_ROOM = {  # by module; of others, all rooms
    "data": "spectra",
    "models": "classify",
    "fusion": "classify",
    "lime": "explain",
    "crime": "explain",
    "predict": "explain",
}


def code_behind(function: Callable) -> dict[str, Any]:
    """Source and package versions that a worker function's result depends on: of the rooms that its module may use."""
    return room_fingerprint(LAST_ROOM.get(function.__module__.rpartition(".")[2], "report"))


@cache
def room_fingerprint(room: str) -> dict[str, Any]:
    """Source and package versions of a room and of all rooms before it.

    The engine, the method and the commands are left out: an edit of them makes no result again, save that of the
    worker function that makes it, whose own source is in its key.
    """
    rooms = ROOMS[: ROOMS.index(room) + 1]
    package = Path(__file__).resolve().parents[1]
    return code_fingerprint([package / name for name in rooms], [p for name in rooms for p in PACKAGES[name]])


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
            studies=STUDIES,
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
    text = Store(root).read_text(SETTINGS)
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
