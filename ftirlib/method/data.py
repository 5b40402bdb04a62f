"""Data of the study: spectra as they came, as the models see them, and the four folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.engine.driver import Artefact, Driver, Task, once, untracked
from ftirlib.errors import DataError
from ftirlib.method.run import Run
from ftirlib.spectra.folds import N_SETS, SIDES, Fold
from ftirlib.spectra.model import open_spectra

FOLDS = range(N_SETS)
SHOWN = 0  # where one fold has to stand for all in a picture: the first, whatever it looks like
STORE = "spectra.zarr"  # the data set in the folder of an artefact
PARTS = "preparation"  # folder of prepared parts, until they are joined


@once
def raw(run: Run) -> Artefact:
    """The user's data set, or the simulated cohort."""
    settings = run.settings
    simulation = Task("spectra", simulate, phantom=settings.phantom.model_dump(), seed=settings.seed)
    return given_or_made(run, settings.data, simulation)


def given_or_made(run: Run, given: str | None, simulation: Task) -> Artefact:
    """The data set at a path or address; without one, the data set that a task simulates."""
    if given is None:
        return run.make(simulation) / STORE
    open_spectra(given)
    return Artefact.given(given)


def simulate(out, work, *, phantom, seed):
    """Simulate the colon cohort."""
    from ftirlib.spectra.simulate.colon import simulate_colon
    from ftirlib.spectra.simulate.settings import PhantomSettings

    simulate_colon(out / STORE, settings=PhantomSettings(**phantom), seed=seed)


@once
def prepared(run: Run) -> Artefact:
    """Spectra as the models see them: tissue only (where there are images), after the recipe."""
    settings = run.settings.preparation
    return prepared_store(run, raw(run), settings.steps, shard=settings.shard)


def prepared_store(driver: Driver, source: Artefact, steps: dict, *, shard: int) -> Artefact:
    """The prepared data set of any source.

    Large data are prepared in parts by the workers and joined here. The joined data set is the same to the last byte
    for any size of a part, which therefore is not in its key.

    Parameters
    ----------
    driver : Driver
    source : Artefact
        A data set.
    steps : dict
        Arguments of `ftirlib.spectra.prepare.recipe.Preparation`.
    shard : int
        Spectra of a part, a multiple of `ftirlib.spectra.model.CHUNK`.
    """
    n = open_spectra(source.address, codes=False).sizes["spectrum"]
    joined = Task("prepared", prepare, source=source, steps=steps)
    if n > shard and not driver.is_current(joined):
        parts = driver.make_all(
            PARTS,
            {
                start: Task(
                    f"{PARTS}/rows{start}-{min(start + shard, n) - 1}",
                    prepare_part,
                    source=source,
                    steps=steps,
                    rows=[start, min(start + shard, n)],
                )
                for start in range(0, n, shard)
            },
        )
        joined = Task("prepared", prepare, source=source, steps=steps, parts=untracked(list(parts.values())))
    made = driver.make(joined) / STORE
    left = driver.store.path(PARTS)
    if left.is_dir() and any(left.iterdir()):  # also where a driver was killed after joining them
        driver.prune(PARTS)
    return made


def prepare(out, work, *, source, steps, parts=()):
    """Write the prepared data set, from its parts in their order where there are any."""
    from ftirlib.spectra.prepare.recipe import Kept, Preparation

    preparation = Preparation(open_spectra(source, codes=False), **steps)
    files = (file for part in parts for file in sorted(Path(part).glob("*.npz")))
    blocks = (Kept(**np.load(file, allow_pickle=False)) for file in files) if parts else preparation.blocks()
    preparation.write(out / STORE, blocks)


def prepare_part(out, work, *, source, steps, rows):
    """Prepare spectra `rows` (from, to) that pass the quality test: a file for each block."""
    from ftirlib.spectra.prepare.recipe import Preparation

    for k, kept in enumerate(Preparation(open_spectra(source, codes=False), **steps).blocks(*rows)):
        np.savez(out / f"{k:06d}.npz", **kept._asdict())


@once
def folds(run: Run) -> Artefact:
    """The four folds, as rows of the prepared spectra."""
    return run.make(Task("folds", split, spectra=prepared(run), seed=run.settings.seed))


def split(out, work, *, spectra, seed):
    """Deal the spectra into four folds by group."""
    from ftirlib.spectra.folds import check_fold, four_way_folds

    data = open_spectra(spectra, codes=False)
    label, group = data.label.values, data.group.values
    if (label < 0).all():
        raise DataError("the data set has no labels; give them when importing (--label), or use 'ftirlib predict'.")
    made = four_way_folds(label, group, class_names=data.attrs["class_names"], random_state=seed)
    for fold in made:
        check_fold(fold, group)
    np.savez(
        out / "folds.npz",
        **{f"{side}_{k}": getattr(fold, side) for k, fold in enumerate(made) for side in SIDES},
    )


def read_fold(folder: str | Path, fold: int) -> Fold:
    """One fold of those that `split` wrote."""
    with np.load(Path(folder) / "folds.npz", allow_pickle=False) as arrays:
        return Fold(**{side: arrays[f"{side}_{fold}"] for side in SIDES})


@once
def raw_spectra(run: Run) -> xr.Dataset:
    """The data set as it came, opened."""
    return open_spectra(raw(run).address)


@once
def prepared_spectra(run: Run) -> xr.Dataset:
    """The prepared data set, opened."""
    return open_spectra(prepared(run).address)


@once
def fold_rows(run: Run) -> list[Fold]:
    """Rows of the prepared spectra in each fold."""
    return [read_fold(folds(run).path, k) for k in FOLDS]
