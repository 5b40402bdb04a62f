"""Which model is better, and is the difference more than the patients drawn? Every model against one reference.

Intervals are those of `ftirlib.report.uncertainty.paired_bootstrap`; they are per difference, not for all at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ftirlib.errors import DataError
from ftirlib.report.uncertainty import paired_bootstrap

SCORES = ("balanced_accuracy", "accuracy", "f1")


def paired_table(
    y_true,
    predictions: Mapping[str, np.ndarray],
    groups,
    *,
    reference: str,
    class_names: Sequence[str],
    positive_classes: Sequence[str],
    scores: Sequence[str] = SCORES,
    **bootstrap,
) -> pd.DataFrame:
    """Difference of each model's scores to the reference's, on the same spectra and the same draws of patients.

    Parameters
    ----------
    y_true : (n_spectra,) int
        What all models are scored against.
    predictions : mapping of str to (n_spectra,) int
        By model, the reference among them.
    groups : (n_spectra,) array
        Patient of each spectrum.
    reference : str
    class_names, positive_classes : sequence of str
    scores : sequence of str
        Of `ftirlib.report.scores.classification_scores`.
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `paired_bootstrap`.

    Returns
    -------
    DataFrame
        Columns ``model, score, difference, low, high, decided``: model less reference; decided when the interval
        leaves out 0.

    Raises
    ------
    DataError
        An unknown reference or score, a single model, or arrays that disagree.
    """
    if reference not in predictions or len(predictions) < 2:
        raise DataError(
            f"the reference '{reference}' and at least one other model are needed; got {list(predictions)}."
        )
    names = {"class_names": class_names, "positive_classes": positive_classes}
    rows = []
    for model, predicted in predictions.items():
        if model == reference:
            continue
        found = paired_bootstrap(y_true, predicted, predictions[reference], groups, **names, **bootstrap)
        if unknown := [score for score in scores if score not in found]:
            raise DataError(f"'{unknown[0]}' is not a score; choose from {list(found)}.")
        for score in scores:
            interval = found[score]
            decided = bool(interval.low > 0 or interval.high < 0)
            rows.append((model, score, interval.estimate, interval.low, interval.high, decided))
    return pd.DataFrame(rows, columns=["model", "score", "difference", "low", "high", "decided"])
