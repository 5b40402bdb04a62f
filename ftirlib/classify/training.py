"""The MSCNN as a scikit-learn classifier that knows its wavenumbers.

Hartigan et al. (paper A), "Experimental Method": trained on one set of patients, its epoch chosen on another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ftirlib.classify.checks import check_spectra, check_wavenumber, class_codes
from ftirlib.classify.loop import PREDICT_ROWS, TrainingResult, TrainingSettings, train
from ftirlib.classify.mscnn import MSCNN, MSCNNSettings
from ftirlib.classify.prediction import FoldedMSCNN, Vote
from ftirlib.classify.weights import load_json, load_tensors, put_weights, save_json, save_tensors
from ftirlib.errors import DataError, ModelError, SettingsError
from ftirlib.spectra.prepare.recipe import full_recipe
from ftirlib.spectra.rows import Rows

N_SETS = 4  # of which one is held out for validation, as in the paper

__all__ = ["MSCNNClassifier", "TrainingResult", "TrainingSettings", "train"]


class MSCNNClassifier(ClassifierMixin, BaseEstimator):
    """The MSCNN as a scikit-learn classifier that knows its wavenumbers.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, ascending
        Grid of the spectra it will be given.
    network : MSCNNSettings, optional
        Default: the published network, with as many outputs as there are classes.
    training : TrainingSettings, optional
    random_state : int
        Seed of the initial weights, the order of spectra and dropout.
    device : str
        Where to compute, as torch names it: "cpu", "cuda".
    recipe : sequence of mappings, optional
        How the spectra were prepared (`ftirlib.spectra.prepare.recipe.recipe_of` a data set); saved with the model,
        which then refuses data sets prepared otherwise. Plain arrays carry no recipe and cannot be checked.

    Attributes
    ----------
    classes_ : (n_classes,) array
    network_ : MSCNN
        In evaluation mode, with the weights of the best validation epoch.
    folded_ : FoldedMSCNN
        The same function, rearranged for prediction.
    validation_score_ : float
        Balanced accuracy of that epoch on the validation set.
    best_epoch_, history_, stopped_
        As in `TrainingResult`.
    wavenumber_ : (n_wavenumbers,) array, cm-1
    n_features_in_ : int
    """

    def __init__(
        self,
        wavenumber=None,
        *,
        network: MSCNNSettings | None = None,
        training: TrainingSettings | None = None,
        random_state: int = 0,
        device: str = "cpu",
        recipe: Sequence[Mapping] | None = None,
    ):
        self.wavenumber = wavenumber
        self.network = network
        self.training = training
        self.random_state = random_state
        self.device = device
        self.recipe = recipe

    def fit(self, X, y, *, validation=None, groups=None, checkpoint=None, progress=None):
        """Train on spectra with one label each.

        Parameters
        ----------
        X : (n_spectra, n_wavenumbers) array or Rows
            Of `Rows` of a file, only a batch is in memory; those of the validation may be such too.
        y : (n_spectra,) int or str
        validation : (X, y), optional
            Spectra that choose the epoch, of other patients than the training spectra.
        groups : (n_spectra,), optional
            Patient of each spectrum. Without `validation`, one of four stratified sets of whole groups is held
            out of `X` in its place.
        checkpoint, progress : optional
            As in `train`.

        Returns
        -------
        MSCNNClassifier

        Raises
        ------
        SettingsError
            Neither or both of `validation` and `groups`, or no wavenumbers.
        DataError, ModelError
            As in `train`.
        """
        if self.wavenumber is None:
            raise SettingsError("MSCNNClassifier has no wavenumbers; give wavenumber=, in cm-1 and ascending.")
        if (validation is None) == (groups is None):
            raise SettingsError(
                "give either validation=(X, y) or groups= (the patient of each spectrum, from which a validation "
                "set is held out): the best epoch is chosen on spectra that were not trained on."
            )
        wavenumber = check_wavenumber(self.wavenumber)
        y = np.asarray(y)
        if not isinstance(X, Rows):
            X = check_spectra(X, wavenumber, what="training", recipe=self.recipe)
        if y.shape != (len(X),):
            raise DataError(f"there are labels of shape {y.shape} for {len(X)} spectra; give one per spectrum.")
        self.classes_ = np.unique(y)
        if self.classes_.dtype.kind not in "iuUb":
            raise DataError(f"labels are {y.dtype}; use whole numbers or text.")
        if groups is not None:
            rows, held = self._hold_out(y, np.asarray(groups))
            X, y, validation = Rows.of(X, rows), y[rows], (Rows.of(X, held), y[held])
        network = self.network or MSCNNSettings(n_classes=len(self.classes_))
        if network.n_classes != len(self.classes_):
            raise ModelError(
                f"the network has {network.n_classes} outputs, but the labels are of {len(self.classes_)} classes "
                f"({', '.join(map(str, self.classes_))}); set n_classes to their number."
            )
        model = MSCNN(network, wavenumber, random_state=self.random_state).to(self.device)
        result = train(
            model,
            X,
            class_codes(y, self.classes_),
            (validation[0], class_codes(np.asarray(validation[1]), self.classes_, what="validation")),
            self.training,
            random_state=self.random_state,
            checkpoint=checkpoint,
            progress=progress,
        )
        return self._set(model, result)

    def _hold_out(self, y, groups):
        """Rows to train on and rows to validate on: three and one of four sets of whole groups."""
        if groups.shape != y.shape or len(np.unique(groups)) < N_SETS:
            raise DataError(
                f"there are {len(np.unique(groups))} groups, shape {groups.shape}, for {len(y)} spectra; give one per "
                f"spectrum and at least {N_SETS} different ones, or give validation=(X, y)."
            )
        split = StratifiedGroupKFold(N_SETS, shuffle=True, random_state=self.random_state)
        rows, held = next(split.split(y, y, groups))
        if missing := sorted(set(self.classes_.tolist()) - set(y[rows].tolist())):
            raise DataError(
                f"class {missing[0]!r} occurs only in the groups held out for validation; bring more groups of it, "
                "or give validation=(X, y)."
            )
        return rows, held

    def _set(self, model: MSCNN, result: TrainingResult):
        self.network_, self.folded_ = model.eval(), FoldedMSCNN(model)
        self.wavenumber_, self.n_features_in_ = model.wavenumber, model.wavenumber.size
        self.history_, self.best_epoch_ = result.history, result.best_epoch
        self.validation_score_, self.stopped_ = result.score, result.stopped
        return self

    def predict_proba(self, X):
        """Class probabilities (n_spectra, n_classes): the softmax of the network's logits."""
        check_is_fitted(self)
        x = torch.from_numpy(check_spectra(X, self.wavenumber_, recipe=self.recipe))
        with torch.no_grad():
            logits = [self.folded_(rows.to(self.device)).cpu() for rows in x.split(PREDICT_ROWS)]
        return torch.cat(logits).double().softmax(dim=1).numpy()

    def predict(self, X):
        """The most probable class of each spectrum."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def as_module(self) -> nn.Module:
        """A module from spectra (n, n_wavenumbers) to probabilities (n, n_classes), differentiable in the spectra."""
        check_is_fitted(self)
        return Vote([self.folded_], [np.arange(len(self.classes_))], len(self.classes_))

    prediction_module = as_module

    def save(self, folder) -> Path:
        """Write ``network.safetensors`` and ``classifier.json`` (settings, classes, grid, history) to a folder."""
        check_is_fitted(self)
        folder = Path(folder)
        weights = save_tensors(folder / "network.safetensors", self.network_.state_dict(), {"kind": "MSCNN"})
        description = {
            "classes": self.classes_.tolist(),
            "wavenumber": self.wavenumber_.tolist(),
            "recipe": None if self.recipe is None else full_recipe(self.recipe),
            "network": self.network_.settings.model_dump(),
            "training": (self.training or TrainingSettings()).model_dump(),
            "random_state": int(self.random_state),
            "history": self.history_,
            "best_epoch": self.best_epoch_,
            "score": self.validation_score_,
            "stopped": self.stopped_,
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        }
        save_json(folder / "classifier.json", description, kind="MSCNNClassifier")
        return folder

    @classmethod
    def load(cls, folder, *, device: str = "cpu") -> MSCNNClassifier:
        """Read what `save` wrote.

        Raises
        ------
        ModelError
            A file that is missing, torn, changed since it was written, or of another architecture.
        """
        folder = Path(folder)
        found = load_json(folder / "classifier.json", kind="MSCNNClassifier")
        tensors, _ = load_tensors(folder / "network.safetensors")
        if hashlib.sha256((folder / "network.safetensors").read_bytes()).hexdigest() != found.get("sha256"):
            raise ModelError(f"'{folder}' holds weights and a description of two different models; save it again.")
        try:
            self = cls(
                np.asarray(found["wavenumber"], np.float64),
                network=MSCNNSettings(**found["network"]),
                training=TrainingSettings(**found["training"]),
                random_state=found["random_state"],
                device=device,
                recipe=found.get("recipe"),
            )
            result = TrainingResult(found["history"], found["best_epoch"], found["score"], found["stopped"])
            self.classes_ = np.asarray(found["classes"])
        except (KeyError, TypeError, SettingsError) as error:
            raise ModelError(f"'{folder / 'classifier.json'}' is incomplete or of another version: {error}.") from None
        model = MSCNN(self.network, self.wavenumber).to(device)
        put_weights(model, tensors, source=folder / "network.safetensors")
        return self._set(model, result)
