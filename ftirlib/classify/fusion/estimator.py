"""The fusion classifier: from spectra, by way of images, scattering and statistics, to classes.

Abdo et al. 2024 (10.5815/ijisa.2024.04.02). What their abstract leaves open is a parameter here: the picture and its
size, the scattering's scale, the statistics, the network's layers, the kind of over-sampling, and that it happens
inside the training side of a split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ftirlib.classify.checks import check_grid
from ftirlib.classify.fusion.features import FeatureExtractor, FeatureSettings
from ftirlib.classify.fusion.fused import FusedFeatureClassifier, check_class_sizes, fuse
from ftirlib.classify.fusion.head import HeadCNN, HeadSettings
from ftirlib.classify.fusion.raster import check_drawable
from ftirlib.classify.fusion.weights import find_weights
from ftirlib.classify.weights import load_json, load_tensors, put_weights, save_json, save_tensors
from ftirlib.errors import DataError, ModelError, SettingsError

DTYPES = [np.float64, np.float32]
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


class FusionClassifier(ClassifierMixin, BaseEstimator):
    """Fusion of two image networks, wavelet scattering and statistics, classified by a small CNN.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, ascending, optional
        Axis of the spectra it will be given. Without it columns count as evenly spaced, and positions are column
        numbers.
    resnet, efficientnet, scattering, statistics : bool
        Which families of features take part; switch one off for an ablation.
    image : {"line", "gramian", "recurrence"}
        As in `Raster`.
    image_size : int, pixels
        224 is what the backbones were designed for; 32 to 64 is enough for a trial.
    weights : mapping, "random" or None
        {"resnet101": (file, sha256), "efficientnet_b0": (file, sha256)}, safetensors. What is not named is looked for
        in the cache; what is not there is seeded random weights, with one warning. "random" asks for those.
    oversampling : {"random", "smote", None}
        Of the training spectra's features, after scaling.
    n_neighbors : int
        Of SMOTE.
    small_classes : {"error", "adjust"}
        When a class is too small for SMOTE.
    scattering_scale : int, optional
        As in `SpectrumScattering`.
    head : HeadSettings, optional
        The classifying network and its training.
    random_state : int
        Seed of everything that chance has a part in.
    device : str
        "auto" takes an accelerator where there is one.
    batch_size : int
        Spectra drawn and sent through the backbones at a time.
    cache : path, optional
        Folder for features, which are found again by the content of their spectrum.

    Attributes
    ----------
    classes_ : (n_classes,) array
    feature_origin_ : str
        "ImageNet features", "random features" or "no image features"; belongs on every figure and table.
    extractor_ : FeatureExtractor
    classifier_ : FusedFeatureClassifier
    wavenumber_ : (n_wavenumbers,) array, cm-1
    n_features_in_ : int

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(0, 1, (20, 64)), rng.normal(0, 1, (10, 64)).cumsum(axis=1)])
    >>> model = FusionClassifier(resnet=False, efficientnet=False).fit(X, ["noise"] * 20 + ["walk"] * 10)
    >>> model.feature_origin_, model.classifier_.fitted_counts_.tolist()
    ('no image features', [20, 20])
    """

    def __init__(
        self,
        wavenumber=None,
        *,
        resnet: bool = True,
        efficientnet: bool = True,
        scattering: bool = True,
        statistics: bool = True,
        image: str = "line",
        image_size: int = 224,
        weights: Mapping | str | None = None,
        oversampling: str | None = "random",
        n_neighbors: int = 5,
        small_classes: str = "error",
        scattering_scale: int | None = None,
        head: HeadSettings | None = None,
        random_state: int = 0,
        device: str = "auto",
        batch_size: int = 64,
        cache=None,
    ):
        self.wavenumber = wavenumber
        self.resnet = resnet
        self.efficientnet = efficientnet
        self.scattering = scattering
        self.statistics = statistics
        self.image = image
        self.image_size = image_size
        self.weights = weights
        self.oversampling = oversampling
        self.n_neighbors = n_neighbors
        self.small_classes = small_classes
        self.scattering_scale = scattering_scale
        self.head = head
        self.random_state = random_state
        self.device = device
        self.batch_size = batch_size
        self.cache = cache

    def fit(self, X, y, *, progress: Callable[[int, int], None] | None = None):
        """Extract features of spectra (n_spectra, n_wavenumbers) and train the head on them.

        Parameters
        ----------
        X : (n_spectra, n_wavenumbers) array
        y : (n_spectra,) int or str
        progress : callable, optional
            Called with the number of spectra whose features are there and their total.

        Raises
        ------
        DataError
            One class, a class with one spectrum (or too few for SMOTE), NaN, a constant spectrum, another axis.
        SettingsError
            An option out of its range.
        ModelError
            Weights of another architecture or hash.
        """
        self._check_axis(X)
        # finiteness is checked afterwards, in words that say which spectrum
        X, y = validate_data(self, X, y, dtype=DTYPES, ensure_all_finite=False, ensure_min_features=2)
        check_drawable(X)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        check_class_sizes(codes, classes)
        self.extractor_ = self._make_extractor(X.shape[1])
        self.classifier_ = self._make_classifier()
        features = self.extractor_.extract(X, progress=progress)
        self.classifier_.fit(fuse(features), y)
        return self._set()

    def _check_axis(self, X):
        if isinstance(X, xr.DataArray) and "wavenumber" in X.coords and self.wavenumber is not None:
            check_grid(X["wavenumber"].values, np.asarray(self.wavenumber, np.float64))

    def _make_extractor(self, n_wavenumbers: int) -> FeatureExtractor:
        axis = np.arange(float(n_wavenumbers)) if self.wavenumber is None else np.asarray(self.wavenumber, np.float64)
        if axis.shape != (n_wavenumbers,):
            raise DataError(
                f"the spectra have {n_wavenumbers} wavenumbers but the classifier's axis has shape {axis.shape}; give "
                "one wavenumber per column."
            )
        switches = {
            "resnet101": self.resnet,
            "efficientnet_b0": self.efficientnet,
            "scattering": self.scattering,
            "statistics": self.statistics,
        }
        settings = FeatureSettings(
            families=tuple(name for name, on in switches.items() if on),
            image=self.image,
            image_size=self.image_size,
            scattering_scale=self.scattering_scale,
            random_state=self.random_state,
        )
        return FeatureExtractor(
            axis,
            settings,
            weights=self.weights,
            device=self.device,
            batch_size=self.batch_size,
            cache=self.cache,
        )

    def _make_classifier(self) -> FusedFeatureClassifier:
        return FusedFeatureClassifier(
            oversampling=self.oversampling,
            n_neighbors=self.n_neighbors,
            small_classes=self.small_classes,
            head=self.head,
            random_state=self.random_state,
            device=self.device,
        )

    def _set(self):
        self.classes_ = self.classifier_.classes_
        self.feature_origin_, self.wavenumber_ = self.extractor_.feature_origin, self.extractor_.wavenumber
        self.n_features_in_ = self.wavenumber_.size
        return self

    def predict_proba(self, X, *, progress: Callable[[int, int], None] | None = None):
        """Class probabilities (n_spectra, n_classes), columns in the order of ``classes_``."""
        check_is_fitted(self)
        self._check_axis(X)
        X = validate_data(self, X, dtype=DTYPES, ensure_all_finite=False, reset=False)
        features = self.extractor_.extract(X, progress=progress)
        return self.classifier_.predict_proba(fuse(features))

    def predict(self, X):
        """The most probable class of each spectrum; ties go to the class listed first."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def save(self, folder) -> Path:
        """Write ``head.safetensors`` and ``classifier.json`` to a folder.

        Backbones are not written: published weights are found again by their hash, random ones by their seed, and
        features of a probe kept with the model show whether they are the same.
        """
        check_is_fitted(self)
        folder, fitted = Path(folder), self.classifier_
        tensors = {f"head.{name}": tensor for name, tensor in fitted.head_.state_dict().items()}
        for name in ("mean_", "scale_", "var_"):
            tensors[f"scaler.{name}"] = torch.from_numpy(np.asarray(getattr(fitted.scaler_, name), np.float64))
        tensors |= {f"probe.{name}": torch.from_numpy(values) for name, values in self.extractor_.probe().items()}
        weights = save_tensors(folder / "head.safetensors", tensors, {"kind": KIND})
        description = {
            "parameters": {name: getattr(self, name) for name in PLAIN},
            "head": fitted.head_.settings.model_dump(),
            "has_wavenumber": self.wavenumber is not None,
            "wavenumber": self.wavenumber_.tolist(),
            "classes": fitted.classes_.tolist(),
            "class_counts": fitted.class_counts_.tolist(),
            "fitted_counts": fitted.fitted_counts_.tolist(),
            "smote_neighbors": fitted.n_neighbors_,
            "losses": fitted.losses_,
            "feature_origin": self.feature_origin_,
            "backbones": self.extractor_.weights_sha256,
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        }
        save_json(folder / "classifier.json", description, kind=KIND)
        return folder

    @classmethod
    def load(cls, folder, *, weights: Mapping | str | None = None, device: str = "auto", cache=None):
        """Read what `save` wrote.

        Parameters
        ----------
        folder : path
        weights : mapping, optional
            As for the classifier; needed where it was fitted with published weights that are not in the cache.
        device : str
        cache : path, optional

        Raises
        ------
        ModelError
            A file that is missing, torn or changed since it was written, backbones with other weights than it was
            fitted with, or features that this machine computes otherwise.
        """
        folder = Path(folder)
        found = load_json(folder / "classifier.json", kind=KIND)
        tensors, _ = load_tensors(folder / "head.safetensors")
        if hashlib.sha256((folder / "head.safetensors").read_bytes()).hexdigest() != found.get("sha256"):
            raise ModelError(f"'{folder}' holds weights and a description of two different models; save it again.")
        try:
            backbones = {
                name: _same_weights(name, sha256, weights, folder) for name, sha256 in found["backbones"].items()
            }
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
        except (KeyError, TypeError, SettingsError) as error:
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
