"""Results of a run as arrays: the one place where pages know how stages keep them.

Where one fold has to stand for four, it is the first, whatever it looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ftirlib import method
from ftirlib.engine.driver import once
from ftirlib.explain.crime.contexts import Contexts
from ftirlib.explain.linear.linear import LinearClassifier
from ftirlib.files import read_json
from ftirlib.method import FOLDS, SHOWN, Run, validation_scores
from ftirlib.method.lime import Explained
from ftirlib.report.uncertainty import Interval, grouped_bootstrap
from ftirlib.spectra.model import UNKNOWN


def class_names(run: Run) -> list[str]:
    """Names of the classes, in the order of severity."""
    return list(method.prepared_spectra(run).attrs["class_names"])


def positive_codes(run: Run) -> list[int]:
    """Positions of the positive classes."""
    return [class_names(run).index(name) for name in method.prepared_spectra(run).attrs["positive_classes"]]


# --- classifiers


def member_history(run: Run) -> pd.DataFrame:
    """Training curves of the first fold's first network."""
    return pd.DataFrame(read_json(method.members(run)[SHOWN, 0].path / "model" / "classifier.json")["history"])


def selection(run: Run) -> list[dict]:
    """Per fold the validation scores of the networks, whether each votes, and the score it had to exceed."""
    return read_json(method.ensemble(run).path / "selection.json")


def ensemble_folder(run: Run, fold: int = SHOWN) -> Path:
    """Folder of the ensemble of a fold."""
    return method.ensemble(run).path / f"fold{fold}"


def votes(run: Run) -> np.ndarray:
    """Votes of the ensembles for each class, of every prepared spectrum while it is tested, (n, n_classes)."""
    data = method.prepared_spectra(run)
    found = np.zeros((data.sizes["spectrum"], len(data.attrs["class_names"])))
    for k, fold in enumerate(method.fold_rows(run)):
        found[fold.test] = method.read_probabilities(ensemble_folder(run, k), "test")
    return found


def out_of_fold(run: Run, model: str) -> np.ndarray:
    """Test-set prediction of every prepared spectrum (each is tested once); -1 where it has no label."""
    found = np.full(method.prepared_spectra(run).sizes["spectrum"], UNKNOWN)
    for fold, answer in zip(method.fold_rows(run), method.predictions(run)[model]):
        found[fold.test] = answer["predicted"]
    return found


def score(run: Run, model: str, name: str, target: str = "labels") -> pd.Series:
    """One score of one model: ``mean, sd, low, high, majority``."""
    table = method.model_scores(run)
    return table[(table.model == model) & (table.score == name) & (table.target == target)].iloc[0]


def best_baseline(run: Run) -> pd.Series:
    """Balanced accuracy of the baseline that has the highest."""
    table = method.model_scores(run)
    table = table[table.model.isin(run.settings.baselines.models) & (table.score == "balanced_accuracy")]
    return table.loc[table["mean"].idxmax()]


# --- explanations


def explained(run: Run, side: str = "test", fold: int = SHOWN) -> Explained:
    """Rows, spectra, weights of the predicted class, and their stability; spectra and weights are read when asked."""
    return method.read_explained(run, fold, side)


def explanation_stores(run: Run, side: str = "test") -> list[Path]:
    """Zarr stores of the explanations of one side of every fold, in the order of the rows."""
    return [shard.path / "attribution.zarr" for k in FOLDS for shard in method.explanations(run)[k, side]]


def ensemble_classes(run: Run, found: Explained, fold: int = SHOWN) -> np.ndarray:
    """Class (n,) int that the ensemble gives explained test spectra of a fold."""
    return found.predicted(ensemble_folder(run, fold), method.fold_rows(run)[fold], "test")


# --- autoencoders, contexts and linear models


def latent(run: Run, name: str, fold: int = SHOWN) -> Mapping[str, np.ndarray]:
    """Latent points of an autoencoder, with the rows, predictions and labels of their spectra, for each side."""
    return np.load(method.vaes(run)[fold, name].path / "latent.npz")


def patch(run: Run, name: str) -> int:
    """Points a token; 1 for CP, which has no tokens."""
    return int(read_json(method.vaes(run)[SHOWN, name].path / "model" / "vae.json")["settings"]["patch"])


def histories(run: Run) -> dict[str, list[dict]]:
    """Training of the shown fold's autoencoders, by name."""
    models = method.vaes(run)
    return {n: read_json(models[SHOWN, n].path / "history.json") for n in method.vae_names(run, replicates=False)}


def contexts(run: Run, name: str, fold: int = SHOWN) -> tuple[Contexts, Mapping[str, np.ndarray]]:
    """Contexts of an autoencoder, and the context of each spectrum of each side."""
    folder = method.contexts(run)[fold, name].path
    return Contexts.load(folder / "contexts.npz"), np.load(folder / "assigned.npz")


def linear_path(run: Run, name: str, fold: int = SHOWN) -> Path:
    """File of the linear model of an autoencoder's contexts."""
    return method.contexts(run)[fold, name].path / "linear.json"


def linear_model(run: Run, name: str, fold: int = SHOWN) -> LinearClassifier:
    """The linear model of an autoencoder's contexts."""
    return LinearClassifier.load(linear_path(run, name, fold))


def card(run: Run, name: str, fold: int = SHOWN) -> str:
    """The page of a linear model: HTML that needs no other file."""
    return (method.cards(run).path / f"fold{fold}-{name}" / "card.html").read_text(encoding="utf-8")


def validation_table(run: Run) -> pd.DataFrame:
    """Balanced accuracy of every linear model on the validation sets: columns ``model, validation``."""
    models, sets, data = method.contexts(run), method.fold_rows(run), method.prepared_spectra(run)
    names = method.vae_names(run)
    scores = [validation_scores([models[k, name].path for k in FOLDS], sets, data) for name in names]
    return pd.DataFrame({"model": names, "validation": scores})


@once
def best_vae(run: Run) -> str:
    """The autoencoder to show: its linear model has the highest balanced accuracy on the validation sets.

    The test sets have no say. Of replicates the first stands for all; of equals, the first.
    """
    table = validation_table(run).set_index("model").loc[method.vae_names(run, replicates=False)]
    return str(table.validation.idxmax())


# --- intervals


def over_groups(run: Run, statistic, rows: np.ndarray, *arrays) -> Interval:
    """Bootstrap of a statistic of per-spectrum arrays over the groups of the spectra in `rows`."""
    return grouped_bootstrap(
        statistic, method.prepared_spectra(run).group.values[rows], *arrays, **run.settings.bootstrap
    )
