"""Training an MSCNN, resumable to the last bit, and the scikit-learn classifier around it.

Hartigan et al. (paper A), "Experimental Method", with the optimiser, schedule and stop rule of the authors' public
code: AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), halved steps, smoothed labels, best validation epoch.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn import functional as F

from ftirlib.classify.mscnn import MSCNN, MSCNNSettings, check_wavenumber, folded
from ftirlib.classify.weights import load_json, load_tensors, put_weights, save_json, save_tensors
from ftirlib.errors import DataError, ModelError, SettingsError

PREDICT_ROWS = 4096  # spectra in one forward pass: activations of about 0.2 GB at 801 wavenumbers


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How an MSCNN is trained; where the authors swept a range, the default is near its middle.

    Parameters
    ----------
    epochs : int
        At most this many.
    batch_size : int
        Spectra in a step, at most. The authors used 3584 for 0.6 million training spectra; the default suits
        data sets a tenth of that size and smaller.
    learning_rate : float
        Of AdamW (authors' sweep: 3e-4 to 1.3e-3).
    weight_decay : float
        Of AdamW (authors' sweep: 0.09 to 0.22).
    step_epochs, step_factor : int, float
        The learning rate is multiplied by the factor after every so many epochs (authors' sweep: 8 or 9; 0.5).
    label_smoothing : float in [0, 1)
    class_weight : None, "balanced" or sequence of float
        Weight of each class in the loss, in the order of the codes. None: 1 each. "balanced": inversely
        proportional to the class's share of the training spectra. The authors gave hyperplastic 0.28, else 1.
    stop_after : int
        Epochs before the stop rule applies: validation loss not finite or above twice the training loss, or
        every class but one at sensitivity 0.

    Raises
    ------
    SettingsError
        A value out of its range.
    """

    epochs: int = 100
    batch_size: int = 512
    learning_rate: float = 8e-4
    weight_decay: float = 0.15
    step_epochs: int = 8
    step_factor: float = 0.5
    label_smoothing: float = 0.2
    class_weight: str | tuple[float, ...] | None = None
    stop_after: int = 30

    def __post_init__(self):
        if self.class_weight is not None and not isinstance(self.class_weight, str):
            object.__setattr__(self, "class_weight", tuple(float(w) for w in self.class_weight))
        weights = self.class_weight if isinstance(self.class_weight, tuple) else (1.0,)
        for name, fine, must in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 2, "at least 2, as batch-norm has no spread of one spectrum"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "0 or above"),
            ("step_epochs", self.step_epochs >= 1, "at least 1"),
            ("step_factor", 0 < self.step_factor <= 1, "above 0 and at most 1"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "at least 0 and below 1"),
            ("class_weight", self.class_weight in (None, "balanced", weights), "None, 'balanced' or numbers"),
            ("class_weight", all(0 < w < math.inf for w in weights), "above 0 for every class"),
            ("stop_after", self.stop_after >= 0, "0 or above"),
        ):
            if not fine:
                raise SettingsError(f"{name} is {getattr(self, name)!r}; it must be {must}.")


@dataclass
class TrainingResult:
    """What `train` found.

    Attributes
    ----------
    history : list of dict
        Per epoch: ``epoch`` (from 1), ``learning_rate``, ``training_loss``, ``validation_loss`` (None where not
        finite), ``balanced_accuracy`` and ``sensitivity`` per class (None for a class the validation set lacks).
    best_epoch : int
        The epoch whose weights the model holds.
    score : float
        Its balanced accuracy on the validation set.
    stopped : str or None
        Why training ended before the last epoch.
    """

    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    score: float = -math.inf
    stopped: str | None = None


def train(
    model: MSCNN,
    spectra,
    labels,
    validation,
    settings: TrainingSettings | None = None,
    *,
    random_state: int = 0,
    checkpoint: str | os.PathLike | None = None,
    progress: Callable[[dict], None] | None = None,
) -> TrainingResult:
    """Train in place; the model ends in evaluation mode with the weights of its best validation epoch.

    The best epoch is that of the highest balanced accuracy on the validation set (ties: lowest validation loss).
    Chance (order of the spectra, dropout) depends on `random_state` and the epoch's number alone, so training
    resumed from a checkpoint gives the same bytes as training never interrupted.

    Parameters
    ----------
    model : MSCNN
        On the device to train on.
    spectra : (n_spectra, n_wavenumbers) array or tensor
        Absorbance on the model's grid.
    labels : (n_spectra,) int
        Class codes 0 ... n_classes - 1.
    validation : (spectra, labels)
        Used to choose the epoch and to stop.
    settings : TrainingSettings, optional
    random_state : int
    checkpoint : path, optional
        Written after every epoch, atomically; training goes on from it where it exists. `epochs` may be raised
        in between, anything else must be the same.
    progress : callable, optional
        Called with the history's entry after every epoch.

    Returns
    -------
    TrainingResult

    Raises
    ------
    DataError
        Spectra or labels that do not fit the model.
    ModelError
        A checkpoint of other data or settings, or a loss that is not finite in the very first epoch.
    """
    settings = settings or TrainingSettings()
    device = next(model.parameters()).device
    x, y = _tensors(model, spectra, labels, "training")
    x_val, y_val = _tensors(model, *validation, "validation")
    if len(x) < 2:
        raise DataError(f"there is {len(x)} training spectrum; batch-norm needs at least 2.")
    made_from = {
        "settings": {k: v for k, v in asdict(settings).items() if k != "epochs"},
        "network": asdict(model.settings),
        "wavenumber": model.wavenumber.tolist(),
        "random_state": random_state,
        "data": _fingerprint(x, y, x_val, y_val) if checkpoint else None,
    }
    weight = _class_weight(settings.class_weight, y, model.settings.n_classes).to(device)
    x, y, x_val = x.to(device), y.to(device), x_val.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    result, best = TrainingResult(), {}
    if checkpoint and Path(checkpoint).exists():
        result, best = _resume(checkpoint, model, optimizer, made_from)

    def loss_of(logits, target):
        return F.cross_entropy(logits, target, weight=weight, label_smoothing=settings.label_smoothing)

    while result.stopped is None and len(result.history) < settings.epochs:
        epoch = len(result.history)
        rate = settings.learning_rate * settings.step_factor ** (epoch // settings.step_epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(_epoch_seed(random_state, epoch))
            training_loss = _one_epoch(model, x, y, optimizer, loss_of, settings.batch_size)
        logits = _logits(folded(model), x_val).cpu()
        validation_loss = loss_of(logits.to(device), y_val.to(device)).item()
        sensitivity = _sensitivities(logits.argmax(1), y_val, model.settings.n_classes)
        known = [s for s in sensitivity if s is not None]
        score = sum(known) / len(known)
        entry = {
            "epoch": epoch + 1,
            "learning_rate": rate,
            "training_loss": training_loss if math.isfinite(training_loss) else None,
            "validation_loss": validation_loss if math.isfinite(validation_loss) else None,
            "balanced_accuracy": score,
            "sensitivity": sensitivity,
        }
        earlier = result.history[result.best_epoch - 1]["validation_loss"] if best else None
        result.history.append(entry)
        if math.isfinite(training_loss) and math.isfinite(validation_loss):
            if (score, -validation_loss) > (result.score, -math.inf if earlier is None else -earlier):
                result.best_epoch, result.score = epoch + 1, score
                best = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        result.stopped = _reason_to_stop(entry, settings)
        if not best and result.stopped:
            raise ModelError(f"nothing was learnt: {result.stopped}; lower the learning rate or check the spectra.")
        if checkpoint:
            _save_checkpoint(checkpoint, model, optimizer, made_from, result, best)
        if progress:
            progress(entry)
    model.load_state_dict(best)
    model.eval()
    return result


def _one_epoch(model, x, y, optimizer, loss_of, batch_size) -> float:
    """One pass over the spectra in random order; the mean loss. Batches differ by one spectrum at most."""
    model.train()
    total = torch.zeros((), device=x.device)
    n_batches = min(math.ceil(len(x) / batch_size), len(x) // 2)
    for rows in torch.randperm(len(x)).to(x.device).tensor_split(n_batches):
        loss = loss_of(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(rows)
    return total.item() / len(x)


def _epoch_seed(random_state: int, epoch: int) -> int:
    return int(np.random.SeedSequence([random_state, epoch]).generate_state(1)[0])


@torch.no_grad()
def _logits(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([network(rows) for rows in x.split(PREDICT_ROWS)])


def _sensitivities(predicted, y, n_classes) -> list[float | None]:
    members = [y == k for k in range(n_classes)]
    return [(predicted[m] == k).double().mean().item() if m.any() else None for k, m in enumerate(members)]


def _reason_to_stop(entry: dict, settings: TrainingSettings) -> str | None:
    """The authors' rule; only a training loss that is not finite, which no later epoch can mend, stops at once."""
    epoch, training, validation = entry["epoch"], entry["training_loss"], entry["validation_loss"]
    if training is None:
        return f"the training loss is not finite at epoch {epoch}"
    if epoch <= settings.stop_after:
        return None
    if validation is None:
        return f"the validation loss is not finite at epoch {epoch}"
    if validation > 2 * training:
        return f"the validation loss {validation:.4g} exceeds twice the training loss {training:.4g} at epoch {epoch}"
    if sum(bool(s) for s in entry["sensitivity"]) <= 1:
        return f"every class but one has sensitivity 0 at epoch {epoch}"
    return None


def _class_weight(choice, y, n_classes) -> torch.Tensor:
    if choice is None:
        return torch.ones(n_classes)
    if choice == "balanced":
        count = torch.bincount(y, minlength=n_classes)
        if (count == 0).any():
            raise DataError(f"class {int(count.argmin())} has no training spectrum to balance; give class_weight.")
        return (len(y) / (n_classes * count)).float()
    if len(choice) != n_classes:
        raise SettingsError(f"class_weight has {len(choice)} numbers for {n_classes} classes; give one per class.")
    return torch.tensor(choice)


def _tensors(model, spectra, labels, what) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.as_tensor(check_spectra(spectra, model.wavenumber, what=what))
    y = torch.as_tensor(np.asarray(labels))
    if y.shape != x.shape[:1] or y.is_floating_point():
        raise DataError(f"the {what} labels are {tuple(y.shape)} {y.dtype} for {len(x)} spectra; give one code each.")
    y = y.long()
    if len(y) == 0 or int(y.min()) < 0 or int(y.max()) >= model.settings.n_classes:
        found = f"{int(y.min())}..{int(y.max())}" if len(y) else "none"
        raise DataError(
            f"the {what} labels are {found}, but the network has classes 0..{model.settings.n_classes - 1}; "
            "leave out spectra without a label."
        )
    return x, y


def check_spectra(spectra, wavenumber: np.ndarray, *, on=None, what: str = "given") -> np.ndarray:
    """Spectra as finite float32 (n, n_wavenumbers) on the model's grid, or an error that states both grids.

    Parameters
    ----------
    spectra : (n_spectra, n_wavenumbers) array, tensor or xarray.DataArray
    wavenumber : (n_wavenumbers,) array, cm-1
        The grid of the model.
    on : (n_wavenumbers,) array, optional
        The grid of the spectra; a DataArray's own ``wavenumber`` is used where this is not given.
    what : str
        Which spectra these are, for the message.
    """
    if on is None and "wavenumber" in getattr(spectra, "coords", ()):
        on = spectra["wavenumber"].values
    if on is not None:
        check_grid(on, wavenumber)
    x = np.asarray(spectra)
    if x.ndim != 2 or x.shape[1] != wavenumber.size:
        raise DataError(
            f"the {what} spectra have shape {x.shape}, but the model takes (spectra, {wavenumber.size}): "
            f"{wavenumber[0]:g} to {wavenumber[-1]:g} cm-1; cut or interpolate them to that grid."
        )
    x = np.ascontiguousarray(x, dtype=np.float32)
    # a sum is finite only where every term is, and reads the block once without a mask of its size
    if not np.isfinite(x.sum(dtype=np.float64)):
        bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
        raise DataError(
            f"{len(bad)} of the {len(x)} {what} spectra hold NaN or infinite values, the first is number {bad[0]}; "
            "cut those wavenumbers or leave those spectra out."
        )
    return x


def check_grid(found, wavenumber: np.ndarray) -> None:
    """Refuse an axis that is not the model's, to a hundredth of a spacing."""
    found = np.asarray(found, np.float64)
    if found.shape == wavenumber.shape:
        gap = np.abs(found - wavenumber).max()
        if gap <= np.diff(wavenumber).min() / 100:
            return
    raise DataError(
        f"the spectra are on {found.size} wavenumbers, {found[0]:g} to {found[-1]:g} cm-1, but the model is for "
        f"{wavenumber.size}, {wavenumber[0]:g} to {wavenumber[-1]:g} cm-1; interpolate them to the model's grid."
    )


def _fingerprint(*tensors: torch.Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(repr((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.contiguous().numpy())
    return digest.hexdigest()


def _save_checkpoint(path, model, optimizer, made_from, result, best) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in state.items()}
    save_tensors(path, tensors, {"kind": "training checkpoint", "made_from": made_from, "result": asdict(result)})


def _resume(path, model, optimizer, made_from) -> tuple[TrainingResult, dict]:
    tensors, header = load_tensors(path)
    if header.get("kind") != "training checkpoint":
        raise ModelError(f"'{path}' is {header.get('kind')!r}, no training checkpoint; choose another path.")
    # through JSON's own types: tuples were written as lists
    asked, found = _plain(made_from), header["made_from"]
    for part in asked:
        if asked[part] != found.get(part):
            detail = ""
            if isinstance(asked[part], dict):
                name = next(k for k in asked[part] if asked[part][k] != found.get(part, {}).get(k))
                detail = f" ({name}: {found.get(part, {}).get(name)!r} there, {asked[part][name]!r} now)"
            raise ModelError(
                f"the checkpoint '{path}' was made from another {part}{detail}; delete it or choose another path."
            )

    def under(prefix):
        return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

    put_weights(model, under("model."), source=path)
    state: dict[int, dict] = {}
    for name, tensor in under("optimizer.").items():
        i, key = name.split(".", 1)
        state.setdefault(int(i), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    device = next(model.parameters()).device
    return TrainingResult(**header["result"]), {name: tensor.to(device) for name, tensor in under("best.").items()}


def _plain(value):
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


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

    Attributes
    ----------
    classes_ : (n_classes,) array
    network_ : MSCNN
        In evaluation mode, with the weights of the best validation epoch.
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
    ):
        self.wavenumber = wavenumber
        self.network = network
        self.training = training
        self.random_state = random_state
        self.device = device

    def fit(self, X, y, *, validation=None, groups=None, checkpoint=None, progress=None):
        """Train on spectra with one label each.

        Parameters
        ----------
        X : (n_spectra, n_wavenumbers) array
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
        X, y = check_spectra(X, wavenumber, what="training"), np.asarray(y)
        if y.shape != (len(X),):
            raise DataError(f"there are labels of shape {y.shape} for {len(X)} spectra; give one per spectrum.")
        self.classes_ = np.unique(y)
        if self.classes_.dtype.kind not in "iuUb":
            raise DataError(f"labels are {y.dtype}; use whole numbers or text.")
        if groups is not None:
            split = StratifiedGroupKFold(4, shuffle=True, random_state=self.random_state)
            train_rows, rows = next(split.split(X, y, groups))
            X, y, validation = X[train_rows], y[train_rows], (X[rows], y[rows])
        network = self.network or replace(MSCNNSettings(), n_classes=len(self.classes_))
        if network.n_classes != len(self.classes_):
            raise ModelError(
                f"the network has {network.n_classes} outputs, but the labels are of {len(self.classes_)} classes "
                f"({', '.join(map(str, self.classes_))}); set n_classes to their number."
            )
        model = MSCNN(network, wavenumber, random_state=self.random_state).to(self.device)
        result = train(
            model,
            X,
            self._codes(y, "training"),
            (validation[0], self._codes(validation[1], "validation")),
            self.training,
            random_state=self.random_state,
            checkpoint=checkpoint,
            progress=progress,
        )
        return self._set(model, result)

    def _codes(self, y, what):
        y = np.asarray(y)
        if unknown := sorted(set(y.tolist()) - set(self.classes_.tolist())):
            raise DataError(f"the {what} labels hold {unknown[:3]}, which no training spectrum has.")
        return np.searchsorted(self.classes_, y)

    def _set(self, model: MSCNN, result: TrainingResult):
        self.network_, self._folded = model.eval(), folded(model)
        self.wavenumber_, self.n_features_in_ = model.wavenumber, model.wavenumber.size
        self.history_, self.best_epoch_ = result.history, result.best_epoch
        self.validation_score_, self.stopped_ = result.score, result.stopped
        return self

    def predict_proba(self, X):
        """Class probabilities (n_spectra, n_classes): the softmax of the network's logits."""
        check_is_fitted(self)
        x = torch.from_numpy(check_spectra(X, self.wavenumber_))
        with torch.no_grad():
            logits = [self._folded(rows.to(self.device)).cpu() for rows in x.split(PREDICT_ROWS)]
        return torch.cat(logits).double().softmax(dim=1).numpy()

    def predict(self, X):
        """The most probable class of each spectrum."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def as_module(self) -> nn.Module:
        """A module from spectra (n, n_wavenumbers) to probabilities (n, n_classes), differentiable in the spectra."""
        check_is_fitted(self)
        return nn.Sequential(self._folded, nn.Softmax(dim=1))

    def save(self, folder) -> Path:
        """Write ``network.safetensors`` and ``classifier.json`` (settings, classes, grid, history) to a folder."""
        check_is_fitted(self)
        folder = Path(folder)
        weights = save_tensors(folder / "network.safetensors", self.network_.state_dict(), {"kind": "MSCNN"})
        description = {
            "classes": self.classes_.tolist(),
            "wavenumber": self.wavenumber_.tolist(),
            "network": asdict(self.network_.settings),
            "training": asdict(self.training or TrainingSettings()),
            "random_state": self.random_state,
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
            )
            result = TrainingResult(found["history"], found["best_epoch"], found["score"], found["stopped"])
            self.classes_ = np.asarray(found["classes"])
        except (KeyError, TypeError) as error:
            raise ModelError(f"'{folder / 'classifier.json'}' is incomplete or of another version: {error}.") from None
        model = MSCNN(self.network, self.wavenumber).to(device)
        put_weights(model, tensors, source=folder / "network.safetensors")
        return self._set(model, result)
