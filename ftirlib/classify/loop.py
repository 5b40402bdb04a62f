"""The training loop of the MSCNN, and the file from which an interrupted training goes on.

Hartigan et al. (paper A), "Experimental Method", with the optimiser, schedule and stop rule of the authors' public
code: AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), halved steps, smoothed labels, best validation epoch. A
checkpoint is one safetensors file (see `weights`): the weights, the best weights so far and AdamW's moments; its header
holds what they were made from, and the history. No random state is kept, as chance depends on the seed and the epoch
alone.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch.nn import functional as F

from ftirlib.classify.checks import check_spectra, check_width
from ftirlib.classify.mscnn import MSCNN
from ftirlib.classify.prediction import FoldedMSCNN
from ftirlib.classify.weights import load_tensors, put_weights, save_tensors
from ftirlib.errors import DataError, ModelError, SettingsError
from ftirlib.files import plain
from ftirlib.settings import Group
from ftirlib.spectra.rows import Rows, float32

PREDICT_ROWS = 512  # spectra in one forward pass: about 20 MB of activations, near a processor's cache


class TrainingSettings(Group):
    """How an MSCNN is trained; where the authors swept a range, the default is near its middle."""

    epochs: int = Field(100, ge=1, description="most epochs")
    batch_size: int = Field(
        512,
        ge=2,  # batch-norm has no spread of one spectrum
        description="most spectra in a step; the authors used 3584 for 0.6 million training spectra, the default suits "
        "data sets a tenth of that size and smaller",
    )
    learning_rate: float = Field(
        8e-4, gt=0, allow_inf_nan=False, description="of AdamW; authors' sweep: 3e-4 to 1.3e-3"
    )
    weight_decay: float = Field(0.15, ge=0, allow_inf_nan=False, description="of AdamW; authors' sweep: 0.09 to 0.22")
    step_epochs: int = Field(
        8, ge=1, description="epochs after which the learning rate is multiplied by step_factor; authors' sweep: 8 or 9"
    )
    step_factor: float = Field(0.5, gt=0, le=1, description="factor of the learning rate")
    label_smoothing: float = Field(0.2, ge=0, lt=1, description="share of a label given to all classes alike")
    class_weight: tuple[float, ...] | Literal["balanced"] | None = Field(
        None,
        description="weight of each class in the loss, in the order of the codes; null: 1 each; balanced: inversely "
        "proportional to the class's share of the training spectra; the authors gave hyperplastic 0.28, else 1",
    )
    stop_after: int = Field(
        30,
        ge=0,
        description="epochs before the stop rule applies: validation loss not finite or above twice the training loss, "
        "or every class but one at sensitivity 0",
    )

    @field_validator("class_weight", mode="plain")
    @classmethod
    def _weights_above_0(cls, value):
        if value is None or (isinstance(value, str) and value == "balanced"):
            return value
        try:
            weights = tuple(float(weight) for weight in value)
        except (TypeError, ValueError):
            weights = ()
        if not weights or not all(0 < weight < math.inf for weight in weights):
            raise ValueError("it must be None, 'balanced', or a number above 0 for every class")
        return weights


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
    spectra : (n_spectra, n_wavenumbers) array, tensor or Rows
        Absorbance on the model's grid; of `Rows` of a file, only a batch is in memory.
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
        A checkpoint of other data or settings, or losses that were finite in no epoch.
    """
    settings = settings or TrainingSettings()
    device = next(model.parameters()).device
    x, y = _checked(model, spectra, labels, "training")
    x_val, y_val = _checked(model, *validation, "validation")
    if len(x) < 2:
        raise DataError(f"there is {len(x)} training spectrum; batch-norm needs at least 2.")
    made_from = {
        "settings": settings.model_dump(exclude={"epochs"}),
        "network": model.settings.model_dump(),
        "wavenumber": model.wavenumber.tolist(),
        "random_state": int(random_state),
        "data": data_hash(x, y.numpy(), x_val, y_val.numpy()) if checkpoint else None,
    }
    weight = _class_weight(settings.class_weight, y, model.settings.n_classes).to(device)
    y, y_val = y.to(device), y_val.to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    result, best = TrainingResult(), {}
    if checkpoint and Path(checkpoint).exists():
        found, best = resume(checkpoint, model, optimizer, made_from)
        result = TrainingResult(**found)
        if len(result.history) > settings.epochs:
            raise ModelError(
                f"the checkpoint '{checkpoint}' is already at epoch {len(result.history)}, beyond the "
                f"{settings.epochs} asked for; delete it or ask for more epochs."
            )

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
        validation_loss, sensitivity = _validate(model, x_val, y_val, loss_of, weight)
        known = [value for value in sensitivity if value is not None]
        entry = {
            "epoch": epoch + 1,
            "learning_rate": rate,
            "training_loss": training_loss,
            "validation_loss": validation_loss,
            "balanced_accuracy": sum(known) / len(known),
            "sensitivity": sensitivity,
        }
        if _is_better(entry, result):
            result.best_epoch, result.score = epoch + 1, entry["balanced_accuracy"]
            best = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        result.history.append(entry)
        result.stopped = _reason_to_stop(entry, settings)
        if checkpoint:
            save_checkpoint(checkpoint, model, optimizer, made_from, asdict(result), best)
        if progress:
            progress(entry)
    if not best:
        why = result.stopped or "the validation loss was never finite"
        raise ModelError(f"nothing was learnt: {why}; lower the learning rate or look for outliers in the spectra.")
    model.load_state_dict(best)
    model.eval()
    return result


def _one_epoch(model, x, y, optimizer, loss_of, batch_size) -> float | None:
    """One pass over the spectra in random order; the mean loss, if finite. Batches differ by one spectrum at most."""
    model.train()
    total = torch.zeros((), device=y.device)
    n_batches = min(math.ceil(len(x) / batch_size), len(x) // 2)
    for rows in torch.randperm(len(x), dtype=torch.int32).tensor_split(n_batches):
        spectra = torch.from_numpy(x[rows.numpy()]).to(y.device)
        loss = loss_of(model(spectra), y[rows.to(y.device)].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(rows)
    return _finite(total.item() / len(x))


def _epoch_seed(random_state: int, epoch: int) -> int:
    return int(np.random.SeedSequence([random_state, epoch]).generate_state(1)[0])


@torch.no_grad()
def _validate(model, x, y, loss_of, weight) -> tuple[float | None, list[float | None]]:
    """Loss, if finite, and sensitivity of each class, if it occurs, of the model as it would predict."""
    network, n_classes, device = FoldedMSCNN(model), len(weight), weight.device
    logits = torch.cat([network(torch.from_numpy(block).to(device)) for _, block in x.blocks(PREDICT_ROWS)])
    target = y.long()
    seen = target.bincount(minlength=n_classes).tolist()
    right = target[logits.argmax(1) == target].bincount(minlength=n_classes).tolist()
    return _finite(loss_of(logits, target).item()), [r / n if n else None for r, n in zip(right, seen)]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no word for the others


def _is_better(entry: dict, result: TrainingResult) -> bool:
    if entry["training_loss"] is None or entry["validation_loss"] is None:
        return False
    if not result.best_epoch:
        return True
    best = result.history[result.best_epoch - 1]
    return (entry["balanced_accuracy"], -entry["validation_loss"]) > (result.score, -best["validation_loss"])


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


def _checked(model, spectra, labels, what) -> tuple[Rows, torch.Tensor]:
    """Spectra on the model's grid and their codes, a byte each where the classes are few."""
    if isinstance(spectra, Rows):
        check_width(spectra, model.wavenumber, what=what)
    else:
        spectra = check_spectra(spectra, model.wavenumber, what=what)
    x, y, n_classes = Rows.of(spectra).through(float32), np.asarray(labels), model.settings.n_classes
    if y.shape != (len(x),) or y.dtype.kind not in "iu":
        raise DataError(f"the {what} labels are {y.shape} {y.dtype} for {len(x)} spectra; give one code each.")
    if not len(y) or y.min() < 0 or y.max() >= n_classes:
        found = f"{y.min()}..{y.max()}" if len(y) else "none"
        raise DataError(
            f"the {what} labels are {found}, but the network has classes 0..{n_classes - 1}; "
            "leave out spectra without a label."
        )
    return x, torch.from_numpy(y.astype(np.uint8 if n_classes <= 1 << 8 else np.int64))


def data_hash(*arrays: np.ndarray | Rows) -> str:
    """SHA-256 of the shapes, types and bytes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(tuple(array.shape)).encode())
        for block in (block for _, block in array.blocks()) if isinstance(array, Rows) else [array]:
            digest.update(block.dtype.str.encode() + block.tobytes())
    return digest.hexdigest()


def save_checkpoint(path, model, optimizer, made_from: dict, result: dict, best: dict) -> None:
    """Write the state after an epoch, atomically.

    Parameters
    ----------
    path : path
    model, optimizer
        After the epoch.
    made_from : dict
        What must be the same for the training to go on; JSON's types and tuples.
    result : dict
        The history so far, in JSON's types.
    best : dict of tensors
        Weights of the best epoch so far.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in state.items()}
    save_tensors(path, tensors, {"kind": "training checkpoint", "made_from": made_from, "result": result})


def resume(path, model, optimizer, made_from: dict) -> tuple[dict, dict]:
    """Put a checkpoint's state into the model and the optimizer; its ``result`` and best weights are returned.

    Raises
    ------
    ModelError
        A file that is torn, no checkpoint, or made from something else; the message says what differs.
    """
    tensors, header = load_tensors(path)
    if header.get("kind") != "training checkpoint":
        raise ModelError(f"'{path}' is {header.get('kind')!r}, no training checkpoint; choose another path.")
    asked, found = plain(made_from), header["made_from"]
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
    return header["result"], {name: tensor.to(device) for name, tensor in under("best.").items()}
