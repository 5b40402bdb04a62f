"""Labels as class codes from 0 on: looked up as they are asked for, so that the labels may lie on disk."""

from __future__ import annotations

import numpy as np

from ftirlib.errors import DataError
from ftirlib.spectra.runs import PART


def distinct(labels) -> np.ndarray:
    """The values that occur among labels, ascending; parameters as for `Codes`."""
    found = [np.unique(labels[start : start + PART]) for start in range(0, len(labels), PART)]
    return np.unique(np.concatenate(found)) if found else np.empty(0, labels.dtype)


class Codes:
    """The place of each label among the classes, (n,).

    Parameters
    ----------
    labels : (n,) array or `ftirlib.spectra.runs.Column`, or `RowFile` (n, 1)
    classes : (n_classes,) array, ascending
        Left out: those that occur.
    what : str
        What errors call the labels.

    Examples
    --------
    >>> codes = Codes(np.array(["b", "d", "b"]))
    >>> codes.classes.tolist(), codes[1:].tolist()
    (['b', 'd'], [1, 0])
    """

    def __init__(self, labels, classes=None, *, what: str = "training"):
        self._labels, self._what = labels, what
        self.classes = distinct(labels) if classes is None else np.asarray(classes)
        self.shape, self.dtype = (len(labels),), np.dtype(np.uint8 if len(self.classes) <= 1 << 8 else np.int64)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, rows) -> np.ndarray:
        """Codes at `rows`: a slice, or positions where the labels can be taken by them.

        Raises
        ------
        DataError
            A label that is none of the classes.
        """
        labels = np.asarray(self._labels[rows]).reshape(-1)
        codes = np.searchsorted(self.classes, labels)
        known = self.classes[np.minimum(codes, len(self.classes) - 1)] == labels
        if not known.all():
            strange = np.unique(labels[~known])[:3].tolist()
            raise DataError(f"the {self._what} labels hold {strange}, which no training spectrum has.")
        return codes.astype(self.dtype)
