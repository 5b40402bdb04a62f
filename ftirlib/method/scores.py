"""Scores that choose among models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.report.scores import classification_scores
from ftirlib.spectra.folds import Fold


def validation_scores(folders: list[Path], folds: list[Fold], data: xr.Dataset) -> float:
    """Balanced accuracy of one linear model against the labels of the validation sets: mean over the folds.

    Parameters
    ----------
    folders : list of path
        Its contexts, fold by fold.
    folds : list of Fold
    data : Dataset
        The prepared spectra.
    """
    names = {key: data.attrs[key] for key in ("class_names", "positive_classes")}
    found = []
    for folder, fold in zip(folders, folds):
        predicted = np.load(folder / "assigned.npz")["linear_validation"].astype(int)
        label = data.label.values[fold.validation].astype(int)
        found.append(classification_scores(label, predicted, **names)["balanced_accuracy"])
    return float(np.mean(found))
