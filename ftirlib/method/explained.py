"""Spectra that were explained, beside their weights: read from the stores a block at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ftirlib.explain.attribution import read_parts, weight_rows
from ftirlib.spectra.folds import Fold
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.rows import Rows


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
