"""The autoencoder of spectra and their LIME weights; contexts are clusters of its latent space.

Hartigan et al. (paper A), "Modified CRIME Framework": CRIME (Zaki et al. 2024) with the M2 model of Kingma
et al. 2014 (arXiv:1406.5298).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from sklearn.base import BaseEstimator

from ftirlib.classify.loop import data_hash
from ftirlib.classify.weights import load_json, load_tensors, put_weights, save_json, save_tensors
from ftirlib.errors import ModelError, SettingsError
from ftirlib.explain.crime.contexts import STABILITY_FLOOR, check_stability
from ftirlib.explain.crime.inputs import Scaling, checked_labels, choose_labelled, hold_out, joined
from ftirlib.explain.crime.m2 import M2, NetworkSettings, scaled_kernels
from ftirlib.explain.crime.m2_training import Objective, best_epoch, bound, train
from ftirlib.files import file_hash
from ftirlib.spectra.model import UNKNOWN
from ftirlib.spectra.rows import Rows

KIND = "CrimeVAE"


class VaeSettings(NetworkSettings, Objective):
    """Settings of `CrimeVAE`: its networks, its objective, and the spectra that train, supervise and validate it."""

    supervision: float = Field(
        0.2,
        ge=0,
        le=1,
        strict=True,
        description="share of the spectra of known class whose class the objective sees, from each class alike and at "
        "least one of each; 0: unsupervised, no label is read",
    )
    holdout: float = Field(
        0.1,
        ge=0,
        le=0.5,
        strict=True,
        description="share of the spectra that `fit` sets aside to choose the epoch when it gets no validation set; 0 "
        "keeps the last epoch",
    )


class CrimeVAE(BaseEstimator):
    """Semi-supervised variational autoencoder of spectra and explanations.

    The input is a spectrum followed by its LIME weights. Each of its 2 n values is scaled to mean 0 and
    standard deviation 1 over the training spectra; a value that never varies is centred only. The scaling is
    kept with the model.

    The objective per spectrum, in nats, is minus the labelled bound of M2 where the class is seen, minus the
    unlabelled bound with the class summed out elsewhere, plus `alpha` times the mean cross-entropy of the
    classifier head over the spectra whose class is seen (alpha N / N_labelled times the sum, over N).

    Parameters
    ----------
    settings : VaeSettings, optional
    random_state : int
        Seed of initial weights, held-out spectra, supervised spectra, order and draws of z.
    device : str
    **changes
        Fields of `VaeSettings` that differ from `settings`, or from its defaults.

    Attributes
    ----------
    network_ : M2
        In evaluation mode, with the weights of the best epoch.
    history_ : list of dict
        Per epoch, in nats per spectrum: reconstruction, kl, label, classification (mean cross-entropy),
        total = reconstruction + beta kl + label + alpha classification, validation (minus the unlabelled
        bound of the spectra held out, where noise is learned at the noise that suits them), and the two noise levels
        after it.
    best_epoch_ : int
        The epoch, from 1, with the least `validation`.
    labelled_ : (n_labelled,) int
        Rows whose class the objective saw.
    heldout_ : (n_heldout,) int
        Rows set aside.
    scaling_ : Scaling
        Mean and standard deviation of each of the 2 n input values.
    n_wavenumbers_, n_classes_ : int

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 30)).astype("float32")
    >>> model = CrimeVAE(supervision=0, epochs=2).fit(x, x**2, n_classes=2)
    >>> [part.shape for part in model.encode(x, x**2)]
    [(60, 4), (60, 4)]
    """

    def __init__(self, settings: VaeSettings | None = None, *, random_state: int = 0, device: str = "cpu", **changes):
        if settings is None or changes:  # scikit-learn's `clone` needs settings without changes kept as they are
            settings = VaeSettings(**(settings.model_dump() if settings else {}) | changes)
        self.settings = settings
        self.random_state = random_state
        self.device = device

    # --- fitting -----------------------------------------------------------------------------------------

    def fit(
        self,
        spectra,
        weights,
        labels=None,
        *,
        n_classes: int | None = None,
        validation: tuple | None = None,
        groups=None,
        stability=None,
        stability_floor: float | None = STABILITY_FLOOR,
        checkpoint: str | os.PathLike | None = None,
        progress: Callable[[dict], None] | None = None,
    ) -> CrimeVAE:
        """Train on spectra with one explanation each.

        Parameters
        ----------
        spectra, weights : (n_spectra, n_wavenumbers) array or Rows
            Taken in random order; of `Rows` of a file, only a batch is in memory.
        labels : (n_spectra,) int, optional
            Class of each spectrum, -1 where unknown; not read when `supervision` is 0.
        n_classes : int, optional
            Default: one more than the largest label. A class without spectra keeps its number, with a warning that
            the classifier head never sees it.
        validation : (spectra, weights), optional
            Chooses the epoch. Default: a share `holdout` of the spectra, in whole groups where `groups` is given.
        groups : (n_spectra,) int, optional
            Patient of each spectrum; without it single spectra are held out, neighbours of spectra trained on.
            Whole groups are held out: one of four is a quarter of the data.
        stability : (n_spectra,) float, optional
            Stability of each explanation; refused when low, as `check_stability` says.
        stability_floor : float or None
            None: use the weights whatever their stability.
        checkpoint : path, optional
            File written after every epoch; training goes on from it where it exists, to the same bytes as without an
            interruption. `epochs` may be raised in between, anything else must be the same.
        progress : callable, optional
            Called with the history's entry after every epoch.

        Returns
        -------
        CrimeVAE

        Raises
        ------
        SettingsError
            Labels missing where supervision needs them, or a kernel wider than the input.
        DataError
            Arrays that disagree, are not finite, or labels out of range; unstable explanations.
        ModelError
            A checkpoint made from other settings or data, or a loss that is not finite.
        """
        supervision, seed = self.settings.supervision, self.random_state
        if labels is None and (supervision > 0 or n_classes is None):
            missing = "labels" if supervision > 0 else "n_classes"
            raise SettingsError(f"supervision is {supervision} but {missing} was not given; give it.")
        x = joined(spectra, weights)
        check_stability(stability, stability_floor, n_spectra=len(x))
        labels, n_classes = checked_labels(labels, n_classes, len(x))
        share = self.settings.holdout if validation is None else 0
        rows, self.heldout_ = hold_out(len(x), share, groups=groups, random_state=seed)
        self.labelled_ = choose_labelled(labels, rows, supervision, n_classes, random_state=seed)
        self.n_wavenumbers_, self.n_classes_ = x.shape[1] // 2, n_classes
        self.scaling_ = Scaling.of(x, rows)
        outside = Rows.of(x, self.heldout_) if validation is None else self._fitting(*validation)
        seen = np.full(len(x), UNKNOWN)
        seen[self.labelled_] = labels[self.labelled_]
        made_from = None
        if checkpoint:
            made_from = {
                "settings": {name: value for name, value in self._plain_settings().items() if name != "epochs"},
                "n_classes": n_classes,
                "data": data_hash(x, seen, rows, outside),
            }
        self.network_ = self._build()
        self.history_ = train(
            self.network_,
            Rows.of(x, rows).through(self.scaling_.apply),
            torch.from_numpy(seen[rows]).to(self.device),
            outside.through(self.scaling_.apply),
            self.settings,
            seed,
            checkpoint=checkpoint,
            made_from=made_from,
            progress=progress,
        )
        self.best_epoch_ = best_epoch(self.history_)
        return self

    def _build(self) -> M2:
        points = 2 * self.n_wavenumbers_
        widths = [*scaled_kernels(self.settings.kernels, self.n_wavenumbers_), self.settings.patch]
        if max(widths) > points:
            raise SettingsError(
                f"a kernel or patch of {max(widths)} points is wider than the input of {points}; give narrower ones."
            )
        with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU and leave the global generator as it was
            torch.manual_seed(self.random_state)
            network = M2(self.settings, self.n_wavenumbers_, self.n_classes_, bfloat16=self._in_bfloat16())
        return network.to(self.device).eval()

    def _plain_settings(self) -> dict:
        """Settings and seed in alphabetical order, as they are saved."""
        return dict(sorted((self.settings.model_dump() | {"random_state": self.random_state}).items()))

    def _in_bfloat16(self) -> bool:
        if self.settings.precision != "auto":
            return self.settings.precision == "bfloat16"
        return torch.device(self.device).type == "cuda" and torch.cuda.is_bf16_supported()

    # --- use ---------------------------------------------------------------------------------------------

    def encode(self, spectra, weights) -> tuple[np.ndarray, np.ndarray]:
        """Latent means and log-variances, each (n_spectra, latent) float32, expected over q(y|x).

        Here and below, `spectra` and `weights` (n_spectra, n_wavenumbers) are each an array or `Rows`, of which a block
        is in memory at a time.
        """
        mean, log_variance, _ = self._encode(spectra, weights)
        return mean, log_variance

    def class_probabilities(self, spectra, weights) -> np.ndarray:
        """q(y|x) of the classifier head, (n_spectra, n_classes); untrained when supervision is 0."""
        return self._encode(spectra, weights)[2]

    def reconstruct(self, spectra, weights) -> tuple[np.ndarray, np.ndarray]:
        """Spectra and weights, each (n_spectra, n_wavenumbers) in their own units, decoded from the latent means."""
        mean, _, probabilities = self._encode(spectra, weights)
        z, y = torch.from_numpy(mean).to(self.device), torch.from_numpy(probabilities).to(self.device)
        with torch.no_grad():
            blocks = zip(z.split(self.settings.batch), y.split(self.settings.batch))
            x = torch.cat([self.network_.decode(*block).cpu() for block in blocks])
        x = self.scaling_.undo(x.numpy())
        return x[:, : self.n_wavenumbers_], x[:, self.n_wavenumbers_ :]

    def bound(self, spectra, weights) -> np.ndarray:
        """Bound of each spectrum with its weights, (n_spectra,) nats: below log p(x) of the scaled input for beta 1.

        Classes are summed out; z is drawn once per spectrum, the same at every call.
        """
        x = self._fitting(spectra, weights).through(self.scaling_.apply)
        return bound(self.network_, x, self.settings, self.random_state).cpu().numpy()

    @torch.no_grad()
    def _encode(self, spectra, weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = self._fitting(spectra, weights).through(self.scaling_.apply)
        widths = (self.settings.latent, self.settings.latent, self.n_classes_)
        arrays = tuple(np.empty((len(x), width), np.float32) for width in widths)
        for rows, block in x.blocks(self.settings.batch):
            features = self.network_.encoder(torch.from_numpy(block).to(self.device))
            q = self.network_.classifier(features).softmax(-1)
            for whole, part in zip(arrays, (*self.network_.embed(q, features), q)):
                whole[rows] = part.cpu().numpy()
        return arrays

    def _fitting(self, spectra, weights) -> Rows:
        """The joined input, checked against the fitted axis."""
        if not hasattr(self, "n_wavenumbers_"):
            raise ModelError("this CrimeVAE is not fitted; call fit or load one.")
        x = joined(spectra, weights)
        if x.shape[1] != 2 * self.n_wavenumbers_:
            raise ModelError(
                f"the spectra have {x.shape[1] // 2} wavenumbers but this autoencoder was fitted to "
                f"{self.n_wavenumbers_}; bring them to its axis first."
            )
        return x

    # --- on disk -----------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike) -> Path:
        """Write ``network.safetensors`` (weights and scaling) and ``vae.json`` (settings, history) to a folder."""
        if not hasattr(self, "history_"):
            raise ModelError("this CrimeVAE is not fitted; call fit before save.")
        folder = Path(folder)
        tensors = {f"network.{name}": tensor for name, tensor in self.network_.state_dict().items()}
        tensors |= {f"scaling.{name}": torch.from_numpy(values) for name, values in asdict(self.scaling_).items()}
        weights = save_tensors(folder / "network.safetensors", tensors, {"kind": KIND})
        description = {
            "settings": self._plain_settings(),
            "n_wavenumbers": self.n_wavenumbers_,
            "n_classes": self.n_classes_,
            "history": self.history_,
            "best_epoch": self.best_epoch_,
            "labelled": self.labelled_.tolist(),
            "heldout": self.heldout_.tolist(),
            "sha256": file_hash(weights),
        }
        save_json(folder / "vae.json", description, kind=KIND)
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike, *, device: str = "cpu") -> CrimeVAE:
        """The model that `save` wrote.

        Raises
        ------
        ModelError
            A file that is missing, torn, changed since it was written, or of another architecture.
        """
        folder = Path(folder)
        path = folder / "network.safetensors"
        description = load_json(folder / "vae.json", kind=KIND)
        tensors, _ = load_tensors(path)
        if file_hash(path) != description.get("sha256"):
            raise ModelError(f"'{folder}' holds weights and a description of two different models; save it again.")
        try:
            self = cls(**description["settings"], device=device)
            self.n_wavenumbers_, self.n_classes_ = description["n_wavenumbers"], description["n_classes"]
            self.history_, self.best_epoch_ = description["history"], description["best_epoch"]
            self.labelled_, self.heldout_ = (np.array(description[name], int) for name in ("labelled", "heldout"))
            self.scaling_ = Scaling(*(tensors.pop(f"scaling.{f.name}").numpy() for f in fields(Scaling)))
        except (KeyError, TypeError, SettingsError) as error:
            raise ModelError(f"'{folder / 'vae.json'}' is incomplete or of another version: {error}.") from None
        self.network_ = self._build()
        put_weights(self.network_, {n.removeprefix("network."): t for n, t in tensors.items()}, source=path)
        return self
