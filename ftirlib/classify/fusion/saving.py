"""A fitted fusion classifier on disk: numbers as safetensors, everything else as readable JSON.

Backbones are not written: published weights are found again by their hash, random ones by their seed, and features
of a probe kept with the model show whether they are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

from ftirlib.classify.fusion.fused import FusedFeatureClassifier
from ftirlib.classify.fusion.head import HeadCNN, HeadSettings
from ftirlib.classify.fusion.weights import find_weights
from ftirlib.classify.weights import load_json, load_tensors, put_weights, save_json, save_tensors
from ftirlib.errors import ModelError

KIND = "FusionClassifier"
PROBE_TOLERANCE = 1e-3  # of the probe's standard deviation: other processors differ by less, other weights by far more
PLAIN = (
    "resnet",
    "efficientnet",
    "scattering",
    "statistics",
    "image",
    "image_size",
    "oversampling",
    "n_neighbors",
    "small_classes",
    "scattering_scale",
    "random_state",
    "batch_size",
)


def save_fusion(model, folder) -> Path:
    """Write a fitted FusionClassifier to a folder.

    Parameters
    ----------
    model : FusionClassifier
        Fitted.
    folder : path

    Returns
    -------
    Path
    """
    folder, fitted = Path(folder), model.classifier_
    tensors = {f"head.{name}": tensor for name, tensor in fitted.head_.state_dict().items()}
    for name in ("mean_", "scale_", "var_"):
        tensors[f"scaler.{name}"] = torch.from_numpy(np.asarray(getattr(fitted.scaler_, name), np.float64))
    tensors |= {f"probe.{name}": torch.from_numpy(values) for name, values in model.extractor_.probe().items()}
    weights = save_tensors(folder / "head.safetensors", tensors, {"kind": KIND})
    description = {
        "parameters": {name: getattr(model, name) for name in PLAIN},
        "head": asdict(fitted.head_.settings),
        "has_wavenumber": model.wavenumber is not None,
        "wavenumber": model.wavenumber_.tolist(),
        "classes": fitted.classes_.tolist(),
        "class_counts": fitted.class_counts_.tolist(),
        "fitted_counts": fitted.fitted_counts_.tolist(),
        "smote_neighbors": fitted.n_neighbors_,
        "losses": fitted.losses_,
        "feature_origin": model.feature_origin_,
        "backbones": model.extractor_.weights_sha256,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    save_json(folder / "classifier.json", description, kind=KIND)
    return folder


def load_fusion(cls, folder, *, weights: Mapping | str | None = None, device: str = "auto", cache=None):
    """Read what `save_fusion` wrote.

    Parameters
    ----------
    cls : type
        FusionClassifier.
    folder : path
    weights : mapping, optional
        As for the classifier; needed where it was fitted with published weights that are not in the cache.
    device : str
    cache : path, optional

    Raises
    ------
    ModelError
        A file that is missing, torn or changed since it was written, backbones with other weights than it was fitted
        with, or features that this machine computes otherwise.
    """
    folder = Path(folder)
    found = load_json(folder / "classifier.json", kind=KIND)
    tensors, _ = load_tensors(folder / "head.safetensors")
    if hashlib.sha256((folder / "head.safetensors").read_bytes()).hexdigest() != found.get("sha256"):
        raise ModelError(f"'{folder}' holds weights and a description of two different models; save it again.")
    try:
        backbones = {name: _same_weights(name, sha256, weights, folder) for name, sha256 in found["backbones"].items()}
        model = cls(
            np.asarray(found["wavenumber"], np.float64) if found["has_wavenumber"] else None,
            **{name: found["parameters"][name] for name in PLAIN},
            weights=backbones or None,
            head=HeadSettings(**found["head"]),
            device=device,
            cache=cache,
        )
        model.extractor_ = model._make_extractor(len(found["wavenumber"]))
        fitted: FusedFeatureClassifier = model._make_classifier()
        fitted.classes_ = np.asarray(found["classes"])
        fitted.class_counts_, fitted.fitted_counts_ = (
            np.asarray(found[name]) for name in ("class_counts", "fitted_counts")
        )
        fitted.n_neighbors_, fitted.losses_ = found["smote_neighbors"], found["losses"]
    except (KeyError, TypeError) as error:
        raise ModelError(f"'{folder / 'classifier.json'}' is incomplete or of another version: {error}.") from None
    _check_probe(model.extractor_.probe(), _under(tensors, "probe."), folder)
    scaler, values = StandardScaler(), _under(tensors, "scaler.")
    if set(values) != {"mean_", "scale_", "var_"}:
        raise ModelError(f"'{folder}' holds no complete scaling of the features; save the model again.")
    for name, tensor in values.items():
        setattr(scaler, name, tensor.numpy())
    scaler.n_features_in_ = len(scaler.mean_)
    scaler.n_samples_seen_ = int(fitted.class_counts_.sum())
    head = HeadCNN(model.head, scaler.n_features_in_, len(fitted.classes_)).to(model.extractor_.device)
    put_weights(head, _under(tensors, "head."), source=folder / "head.safetensors")
    fitted.scaler_, fitted.head_, fitted.n_features_in_ = scaler, head.eval(), scaler.n_features_in_
    model.classifier_ = fitted
    return model._set()


def _same_weights(name, sha256, weights, folder):
    """The entry of a backbone in `weights` that stands for what the model was fitted with."""
    if sha256 is None:
        return "random"
    file = find_weights(name, weights, warn=False)
    if file is None or file[1] != sha256:
        raise ModelError(
            f"the model in '{folder}' was fitted with the weights of {name} whose SHA-256 is {sha256}; keep that file "
            "in the cache or pass it as weights=."
        )
    return file


def _check_probe(own, kept, folder) -> None:
    for name, values in own.items():
        there = kept[name].numpy() if name in kept else None
        if (
            there is None
            or there.shape != values.shape
            or not np.allclose(values, there, rtol=PROBE_TOLERANCE, atol=PROBE_TOLERANCE * there.std())
        ):
            raise ModelError(
                f"the features '{name}' are computed otherwise here than where the model in '{folder}' was fitted "
                "(another version of torch or kymatio?); fit it again."
            )


def _under(tensors, prefix):
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
