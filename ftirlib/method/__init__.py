"""The paper: its settings, and each stage beside the function that a worker runs.

A stage takes a run, makes what is missing and returns artefacts; ``<name>_spectra``, ``fold_rows``, ``read_...`` and
``model_scores`` read what stages have made. The second paper is `ftirlib.method.fusion`.
"""

from ftirlib.method.crime import contexts, control_reference, controls, embeddings, latent_points, vae_names, vaes
from ftirlib.method.data import FOLDS, SHOWN, fold_rows, folds, prepared, prepared_spectra, raw, raw_spectra
from ftirlib.method.lime import explained_rows, explanations, read_explained
from ftirlib.method.models import baselines, ensemble, members, read_probabilities
from ftirlib.method.run import Run, open_run
from ftirlib.method.scores import cards, model_scores, predictions, validation_scores

__all__ = [
    "FOLDS",
    "SHOWN",
    "Run",
    "baselines",
    "cards",
    "contexts",
    "control_reference",
    "controls",
    "embeddings",
    "ensemble",
    "explained_rows",
    "explanations",
    "fold_rows",
    "folds",
    "latent_points",
    "members",
    "model_scores",
    "open_run",
    "predictions",
    "prepared",
    "prepared_spectra",
    "raw",
    "raw_spectra",
    "read_explained",
    "read_probabilities",
    "vae_names",
    "vaes",
    "validation_scores",
]
