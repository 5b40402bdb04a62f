"""Explanations: LIME of the ensembles, which spectra are explained, and explained spectra beside their weights."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ftirlib.engine.driver import Artefact, Task, key_of, once
from ftirlib.explain.attribution import read_parts, weight_rows
from ftirlib.method.data import FOLDS, fold_rows, folds, prepared, read_fold
from ftirlib.method.models import ensemble, read_probabilities
from ftirlib.method.run import Run
from ftirlib.spectra.folds import SIDES, Fold
from ftirlib.spectra.model import open_spectra, read_absorbance
from ftirlib.spectra.rows import Rows

EXPLAINED_SIDES = SIDES[1:]


@once
def explanations(run: Run) -> dict[tuple[int, str], list[Artefact]]:
    """LIME of the ensembles: (fold, side) -> folders, a shard of spectra each, in the order of the rows."""
    settings = run.settings.explanations
    tasks = {}
    for k in FOLDS:
        for side in EXPLAINED_SIDES:
            n = min(settings.spectra, len(getattr(fold_rows(run)[k], side)))
            for start in range(0, n, settings.shard):
                rows = [start, min(start + settings.shard, n)]
                tasks[k, side, start] = Task(
                    f"explanations/fold{k}/{side}/rows{rows[0]}-{rows[1] - 1}",
                    explain,
                    spectra=prepared(run),
                    folds=folds(run),
                    fold=k,
                    side=side,
                    rows=rows,
                    voters=ensemble(run) / f"fold{k}",
                    settings=settings.model_dump(exclude={"shard"}),
                    device=run.settings.device,
                    seed=run.settings.seed,
                )
    before = len(run.made)
    shards: dict[tuple[int, str], list[Artefact]] = {}
    for (k, side, _), made in run.make_all("explanations", tasks).items():
        shards.setdefault((k, side), []).append(made)
    if len(run.made) > before:
        run.prune("explanations", [made for group in shards.values() for made in group])
    return shards


def explain(out, work, *, spectra, folds, fold, side, rows, voters, settings, device, seed):
    """Explain spectra `rows` (from, to) of those chosen of one side, with the stability of each explanation."""
    key = key_of(voters)  # changes with the data and the folds too
    chosen = _chosen_rows(spectra, folds, key, fold, side, settings["spectra"], seed)[slice(*rows)]
    lime, network = _explainer(spectra, folds, voters, key, fold, tuple(settings.items()), device, seed)
    side_rows = getattr(read_fold(folds, fold), side)
    votes = read_probabilities(voters, side)[np.searchsorted(side_rows, chosen)]
    data = open_spectra(spectra, codes=False)
    lime.explain_to(out / "attribution.zarr", network, data, labels=votes.argmax(axis=1)[:, None], rows=chosen)


@lru_cache(maxsize=1)  # a worker meets many shards of one side
def _chosen_rows(spectra, folds, key, fold, side, most, seed) -> np.ndarray:
    """Rows of one side that are explained."""
    image = open_spectra(spectra, codes=False).image.values
    return explained_rows(image, getattr(read_fold(folds, fold), side), most, seed)


@lru_cache(maxsize=1)  # the noise, the matrices and the networks serve all shards that a worker meets
def _explainer(spectra, folds, voters, key, fold, settings, device, seed):
    """LIME, and the ensemble that it explains."""
    from ftirlib.classify.checks import choose_device
    from ftirlib.classify.ensemble import EMSCNN

    network = EMSCNN.load(Path(voters) / "model", device=str(choose_device(device)))
    return make_lime(open_spectra(spectra, codes=False), folds, fold, dict(settings), seed, n_banks=2), network


def make_lime(data, folds, fold, settings, seed, *, n_banks=1):
    """LIME with its noise scaled by a fold's validation spectra."""
    from ftirlib.explain.lime.lime import SpectralLime

    known = explained_rows(data.image.values, read_fold(folds, fold).validation, settings["background"], seed)
    return SpectralLime(
        read_absorbance(data, known),
        wavenumber=data.wavenumber.values,
        mode=settings["mode"],
        n_samples=settings["samples"],
        tolerance=settings["tolerance"],
        random_state=seed,
        n_banks=n_banks,
    )


def explained_rows(image: np.ndarray, rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most `most` of `rows`, the same number from each image as far as it has them, in ascending order.

    Parameters
    ----------
    image : (n_spectra,) int
        Image of every spectrum.
    rows : (n,) int, ascending
    most : int
    seed : int
    """
    rows = np.asarray(rows)
    if len(rows) <= most:
        return rows
    images = np.asarray(image)[rows]
    count = np.bincount(images)
    level = bisect_right(range(count.max() + 1), most, key=lambda level: np.minimum(count, level).sum()) - 1
    wanted = np.minimum(count, level)
    wanted[np.flatnonzero(count > level)[: most - wanted.sum()]] += 1
    by_image = np.argsort(images, kind="stable")
    first = np.cumsum(count) - count
    rng = np.random.default_rng(seed)
    drawn = [first[k] + rng.choice(count[k], wanted[k], replace=False, shuffle=False) for k in np.flatnonzero(wanted)]
    return rows[np.sort(by_image[np.concatenate(drawn)])]


@dataclass(frozen=True, eq=False)
class Explained:
    """Explained spectra of one side of a fold.

    Attributes
    ----------
    rows : (n,) int64
        Of the prepared spectra, ascending.
    stability : (n,) float64
        Of each explanation.
    absorbance, weights : Rows (n, n_wavenumbers)
        Spectra, float32, and LIME weights of the class that was explained, float64.
    """

    rows: np.ndarray
    stability: np.ndarray
    absorbance: Rows
    weights: Rows

    @classmethod
    def of(cls, spectra: str | Path, shards: Sequence[str | Path]) -> Explained:
        """What the shards of one explanation explain, of a data set at the path `spectra`."""
        stores = [Path(one) / "attribution.zarr" for one in shards]
        found = read_parts(stores, ("rows", "stability"))
        absorbance = Rows.of(open_spectra(spectra, codes=False), found["rows"])
        return cls(found["rows"], found["stability"][:, 0], absorbance, weight_rows(stores))

    def __len__(self) -> int:
        return len(self.rows)

    def predicted(self, predictions: str | Path, fold: Fold, side: str) -> np.ndarray:
        """Class (n,) int that an ensemble gives, by its ``probabilities.npz`` for the side the spectra are of.

        Parameters
        ----------
        predictions : folder with that file
        fold : Fold
        side : {"validation", "test"}
        """
        places = np.searchsorted(getattr(fold, side), self.rows)
        return np.load(Path(predictions) / "probabilities.npz")[side][places].argmax(axis=1)


def read_explained(run: Run, fold: int, side: str) -> Explained:
    """Explained spectra of one side of a fold, beside their weights."""
    return Explained.of(prepared(run).address, [shard.path for shard in explanations(run)[fold, side]])


def explained_inputs(run: Run, fold: int) -> dict:
    """Arguments of every task that reads the explanations of a fold: data, rows, and shards by side."""
    shards = {side: explanations(run)[fold, side] for side in EXPLAINED_SIDES}
    return {"spectra": prepared(run), "explanations": shards}
