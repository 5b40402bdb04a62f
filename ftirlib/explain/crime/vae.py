"""The autoencoder whose latent space holds the contexts: fitted to spectra and their LIME weights together.

Hartigan et al. (paper A), "Modified CRIME Framework": CRIME (Zaki et al. 2024) with the M2 model of Kingma
et al. 2014 (arXiv:1406.5298).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict, fields
from numbers import Real
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator

from ftirlib.classify.loop import data_hash
from ftirlib.classify.weights import load_json, load_tensors, put_weights, save_json, save_tensors
from ftirlib.errors import ModelError, SettingsError
from ftirlib.explain.crime.contexts import STABILITY_FLOOR, check_stability
from ftirlib.explain.crime.inputs import UNKNOWN, Scaling, checked_labels, choose_labelled, hold_out, joined
from ftirlib.explain.crime.m2 import DECODER_INPUTS, M2, VARIANTS, M2Settings, scaled_kernels
from ftirlib.explain.crime.m2_training import Objective, best_epoch, bound, train
from ftirlib.spectra.rows import Rows

KIND = "CrimeVAE"
PRECISIONS = ("auto", "float32", "bfloat16")


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
    variant : {"CP", "CT", "TT"}
        Encoder and decoder: Convolutional, Transformer, Perceptron (`encoders`, `decoders`).
    supervision : float in 0..1
        Share of the spectra of known class whose class the objective sees, drawn by `random_state` from each
        class alike and at least one of each. 0: unsupervised, no label is read.
    latent : int
        Dimensions of z.
    beta : float
        Weight of the divergence of z from its prior.
    alpha : float
        Weight of the classification loss; the default is that of Kingma et al. The bound sums over all 2 n input
        values, hundreds of nats, and where the class is not seen the head is also drawn to whatever class is
        decoded best: below full supervision it may follow its labels only at a larger alpha. Look at the
        history's classification, which is log(n_classes) for a head that has learned nothing. With full supervision
        and time (some hundred steps) it agrees with the labels it saw as well as logistic regression of the same
        input, as long as there are more spectra than input values; with fewer, regression learns any labels by heart.
    epochs, batch : int
    learning_rate : float
        Of Adam.
    kernels : tuple of int
        Widths of the first convolutions, in points of an axis of 801; on another they keep their share of
        the axis (`scaled_kernels`).
    patch : int
        Points per token of the transformers: 1 as in the paper; attention costs its inverse squared, the rest
        its inverse.
        The perceptron and the convolutional encoder have no tokens and take 1 only.
    noise : "learned" or float
        Standard deviation of the likelihood, in units of the scaled input. Learned: one for the spectrum and
        one for the weights, set after each epoch to that epoch's root mean square error (at least 0.01);
        the first epoch uses 1.
    decoder_input : {"latent", "latent+class"}
        What the decoder sees. M2 as first published gives it the class beside z, so that z is freed of the
        class. Contexts are sought in z and must tell classes apart: by default all the decoder learns of the
        class comes through z, into which the class probabilities enter.
    holdout : float in 0..0.5
        Share of the spectra that `fit` sets aside to choose the epoch when it is given no validation set;
        0 keeps the last epoch.
    precision : {"auto", "float32", "bfloat16"}
        Of the products inside the transformers; everything else is float32. Auto: bfloat16 on a GPU that has
        it, float32 elsewhere (on processors bfloat16 was measured to be slower).
    random_state : int
        Seed of initial weights, hold-out, supervised spectra, order and draws of z.
    device : str

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

    def __init__(
        self,
        *,
        variant: str = "CP",
        supervision: float = 0.2,
        latent: int = 4,
        beta: float = 1.0,
        alpha: float = 0.1,
        epochs: int = 60,
        batch: int = 128,
        learning_rate: float = 3e-3,
        kernels: tuple[int, ...] = (3, 300),
        patch: int = 1,
        noise: float | str = "learned",
        decoder_input: str = "latent",
        holdout: float = 0.1,
        precision: str = "auto",
        random_state: int = 0,
        device: str = "cpu",
    ):
        self.variant = variant
        self.supervision = supervision
        self.latent = latent
        self.beta = beta
        self.alpha = alpha
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.kernels = kernels
        self.patch = patch
        self.noise = noise
        self.decoder_input = decoder_input
        self.holdout = holdout
        self.precision = precision
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
            Class of each spectrum, -1 where unknown; not needed and not read when `supervision` is 0.
        n_classes : int, optional
            Default: one more than the largest label. A class that no spectrum has keeps its place; the
            classifier head merely never sees it, and a warning says so.
        validation : (spectra, weights), optional
            Chooses the epoch; as the spectra and weights. Default: a share `holdout` of the spectra, whole groups where
            `groups` is given.
        groups : (n_spectra,) int, optional
            Patient of each spectrum; without it single spectra are held out, neighbours of those trained on.
            A whole group is held out however few there are: of four, one is a quarter of the data.
        stability : (n_spectra,) float, optional
            Stability of each explanation; refused when low, as `check_stability` says.
        stability_floor : float or None
            None: use the weights whatever their stability.
        checkpoint : path, optional
            File written whole after every epoch; training goes on from it where it exists, to the same bytes
            as training never interrupted. `epochs` may be raised in between, anything else must be the same.
        progress : callable, optional
            Called with the history's entry after every epoch.

        Returns
        -------
        CrimeVAE

        Raises
        ------
        SettingsError
            A parameter out of its range, or labels missing where supervision needs them.
        DataError
            Arrays that disagree, are not finite, or labels out of range; unstable explanations.
        ModelError
            A checkpoint made from something else, or a loss that is not finite.
        """
        self._check_settings()
        if labels is None and (self.supervision > 0 or n_classes is None):
            missing = "labels" if self.supervision > 0 else "n_classes"
            raise SettingsError(f"supervision is {self.supervision} but {missing} was not given; give it.")
        x = joined(spectra, weights)
        check_stability(stability, stability_floor, n_spectra=len(x))
        labels, n_classes = checked_labels(labels, n_classes, len(x))
        share = self.holdout if validation is None else 0
        rows, self.heldout_ = hold_out(len(x), share, groups=groups, random_state=self.random_state)
        self.labelled_ = choose_labelled(labels, rows, self.supervision, n_classes, random_state=self.random_state)
        self.n_wavenumbers_, self.n_classes_ = x.shape[1] // 2, n_classes
        self.scaling_ = Scaling.of(x, rows)
        outside = Rows.of(x, self.heldout_) if validation is None else self._fitting(*validation)
        seen = np.full(len(x), UNKNOWN)
        seen[self.labelled_] = labels[self.labelled_]
        made_from = None
        if checkpoint:
            made_from = {
                "settings": {k: v for k, v in self.get_params().items() if k not in ("epochs", "device")},
                "n_classes": n_classes,
                "data": data_hash(x, seen, rows, outside),
            }
        self.network_ = self._build()
        self.history_ = train(
            self.network_,
            Rows.of(x, rows).through(self.scaling_.apply),
            torch.from_numpy(seen[rows]).to(self.device),
            outside.through(self.scaling_.apply),
            self._objective(),
            checkpoint=checkpoint,
            made_from=made_from,
            progress=progress,
        )
        self.best_epoch_ = best_epoch(self.history_)
        return self

    def _check_settings(self) -> None:
        for name, good, rule in (
            ("variant", self.variant in VARIANTS, f"one of {list(VARIANTS)}"),
            ("decoder_input", self.decoder_input in DECODER_INPUTS, f"one of {list(DECODER_INPUTS)}"),
            ("precision", self.precision in PRECISIONS, f"one of {list(PRECISIONS)}"),
            ("supervision", _is_share(self.supervision, 1), "a share in 0..1"),
            ("holdout", _is_share(self.holdout, 0.5), "a share in 0..0.5"),
            ("latent", self.latent >= 1, "at least 1"),
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("patch", self.patch >= 1, "at least 1"),
            ("beta", self.beta >= 0, "0 or more"),
            ("alpha", self.alpha >= 0, "0 or more"),
            ("learning_rate", self.learning_rate > 0, "more than 0"),
            ("noise", self.noise == "learned" or _is_positive(self.noise), "'learned' or a number above 0"),
            ("kernels", len(self.kernels) > 0 and all(k >= 1 for k in self.kernels), "widths of at least 1"),
        ):
            if not good:
                raise SettingsError(f"{name} is {getattr(self, name)!r}; it must be {rule}.")
        if self.variant == "CP" and self.patch != 1:
            raise SettingsError(f"patch is {self.patch}, but variant 'CP' has no tokens; leave it at 1.")
        if self.variant == "CP" and self.precision == "bfloat16":
            raise SettingsError("precision is 'bfloat16', but variant 'CP' has no transformer; leave it at 'auto'.")

    def _build(self) -> M2:
        points = 2 * self.n_wavenumbers_
        widths = [*scaled_kernels(self.kernels, self.n_wavenumbers_), self.patch]
        if max(widths) > points:
            raise SettingsError(
                f"a kernel or patch of {max(widths)} points is wider than the input of {points}; give narrower ones."
            )
        settings = M2Settings(
            n_wavenumbers=self.n_wavenumbers_,
            n_classes=self.n_classes_,
            variant=self.variant,
            latent=self.latent,
            kernels=tuple(self.kernels),
            patch=self.patch,
            decoder_input=self.decoder_input,
            bfloat16=self._in_bfloat16(),
        )
        with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU and leave the global generator as it was
            torch.manual_seed(self.random_state)
            return M2(settings).to(self.device).eval()

    def _in_bfloat16(self) -> bool:
        if self.precision != "auto":
            return self.precision == "bfloat16"
        return torch.device(self.device).type == "cuda" and torch.cuda.is_bf16_supported()

    def _objective(self) -> Objective:
        return Objective(**{f.name: getattr(self, f.name) for f in fields(Objective)})

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
            x = torch.cat([self.network_.decode(*rows).cpu() for rows in zip(z.split(self.batch), y.split(self.batch))])
        x = self.scaling_.undo(x.numpy())
        return x[:, : self.n_wavenumbers_], x[:, self.n_wavenumbers_ :]

    def bound(self, spectra, weights) -> np.ndarray:
        """Bound of each spectrum with its weights, (n_spectra,) nats: below log p(x) of the scaled input for beta 1.

        Classes are summed out; z is drawn once per spectrum, the same at every call.
        """
        x = self._fitting(spectra, weights).through(self.scaling_.apply)
        return bound(self.network_, x, self._objective()).cpu().numpy()

    @torch.no_grad()
    def _encode(self, spectra, weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = self._fitting(spectra, weights).through(self.scaling_.apply)
        widths = (self.latent, self.latent, self.n_classes_)
        found = tuple(np.empty((len(x), width), np.float32) for width in widths)
        for rows, block in x.blocks(self.batch):
            features = self.network_.encoder(torch.from_numpy(block).to(self.device))
            q = self.network_.classifier(features).softmax(-1)
            for whole, part in zip(found, (*self.network_.embed(q, features), q)):
                whole[rows] = part.cpu().numpy()
        return found

    def _fitting(self, spectra, weights) -> Rows:
        """The joined input, once it is known to fit this model."""
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
            "settings": {k: v for k, v in self.get_params().items() if k != "device"},
            "n_wavenumbers": self.n_wavenumbers_,
            "n_classes": self.n_classes_,
            "history": self.history_,
            "best_epoch": self.best_epoch_,
            "labelled": self.labelled_.tolist(),
            "heldout": self.heldout_.tolist(),
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        }
        save_json(folder / "vae.json", description, kind=KIND)
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike, *, device: str = "cpu") -> CrimeVAE:
        """Read what `save` wrote.

        Raises
        ------
        ModelError
            A file that is missing, torn, changed since it was written, or of another architecture.
        """
        folder = Path(folder)
        path = folder / "network.safetensors"
        found = load_json(folder / "vae.json", kind=KIND)
        tensors, _ = load_tensors(path)
        if hashlib.sha256(path.read_bytes()).hexdigest() != found.get("sha256"):
            raise ModelError(f"'{folder}' holds weights and a description of two different models; save it again.")
        try:
            self = cls(**found["settings"], device=device)
            self.kernels = tuple(self.kernels)
            self.n_wavenumbers_, self.n_classes_ = found["n_wavenumbers"], found["n_classes"]
            self.history_, self.best_epoch_ = found["history"], found["best_epoch"]
            self.labelled_, self.heldout_ = np.array(found["labelled"], int), np.array(found["heldout"], int)
            self.scaling_ = Scaling(*(tensors.pop(f"scaling.{f.name}").numpy() for f in fields(Scaling)))
        except (KeyError, TypeError) as error:
            raise ModelError(f"'{folder / 'vae.json'}' is incomplete or of another version: {error}.") from None
        self._check_settings()
        self.network_ = self._build()
        put_weights(self.network_, {n.removeprefix("network."): t for n, t in tensors.items()}, source=path)
        return self


def _is_share(value, most: float) -> bool:
    return isinstance(value, Real) and 0 <= value <= most


def _is_positive(value) -> bool:
    return isinstance(value, Real) and value > 0
