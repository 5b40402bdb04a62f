"""LIME for spectra: the numbers of the `lime` package for every spectrum of an image, at a fraction of the time.

Ribeiro, Singh & Guestrin (2016), doi:10.1145/2939672.2939778; as used on infrared images by Hartigan et al.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ftirlib.errors import SettingsError
from ftirlib.explain.attribution import Attribution, save_pieces
from ftirlib.explain.lime.forward import Forward
from ftirlib.explain.lime.inputs import SpectraTable, check_labels, choose_labels
from ftirlib.explain.lime.limit import AveragedGradient, GradientForward
from ftirlib.explain.lime.local import AroundInstance, AroundMean, Binned
from ftirlib.explain.lime.noise import KINDS, BinnedNoise, GaussianNoise, band_numbers
from ftirlib.explain.lime.selection import METHODS, Selection

MODES = ("instance", "mean", "quartile", "decile", "limit")
RIDGE = 1.0  # the package's
BLOCK = 256  # spectra explained together, at most
BLOCK_VALUES = 2**20  # perturbed predictions held at a time; some ten arrays of this size are alive in a solve


class SpectralLime:
    """Explain every spectrum's class probabilities by a local linear model over its wavenumbers.

    Parameters
    ----------
    background : (n_background, n_wavenumbers) array or data set
        Spectra that give the usual variation of each wavenumber; read into memory.
    mode : {"instance", "mean", "quartile", "decile", "limit"}
        Sampling. ``instance``: Gaussian noise around the spectrum; ``mean``: around the background's mean (the
        package's default without bins); ``quartile``, ``decile``: every wavenumber drawn anew from the background's
        bins (the published work used deciles); ``limit``: the limit of ``instance`` with ever more samples, by
        averaged gradients of a differentiable model.
    n_samples : int
        Perturbed spectra per explanation, the spectrum itself included; in ``limit`` the most gradients taken
        (an even number, since they come in opposite pairs).
    kernel_width : float, optional
        In standard deviations of the background (``instance``, ``mean``, ``limit``) or root of the number of
        wavenumbers that left their bin; default 0.75 times the root of the number of features.
    ridge : float
        Penalty of the local model, more than 0. It vanishes in ``limit`` and cannot be set there.
    random_state : int
        Seed of the noise. Every spectrum gets the same noise, so that its explanation does not depend on the
        spectra explained with it.
    num_features : int, optional
        Largest number of features with a weight other than zero; default all. Not in ``limit``.
    feature_selection : {"auto", "none", "highest_weights", "forward_selection"}
        Method of choosing these features, as in the package; "none" goes with all features.
    noise : {"white", "covariance", "bands"}
        Not in the binned modes. ``white``: every wavenumber by itself, as in the package, unlike any spectrum;
        ``covariance``: as the background varies; ``bands``: contiguous wavenumbers together.
    band_width : float, optional
        cm-1, with ``noise="bands"`` only: bands of this width from the lowest wavenumber on.
    features : {"wavenumbers", "bands"}
        Features of the local model. ``bands`` needs ``noise="bands"``; the weights of a band's wavenumbers are then
        equal shares of the band's coefficient.
    n_banks : int
        Independent noise banks, seeded ``random_state``, ``random_state + 1``, ... The weights are those of the
        first; with two or more, `Attribution.stability` is the mean correlation of the weights between them.
    tolerance : float, optional
        Only in ``limit``: relative standard error at which to stop.
    wavenumber : (n_wavenumbers,) array, optional
        cm-1, for a background that is an array; a data set has its own.

    Raises
    ------
    SettingsError
        An unknown mode or a parameter out of its range.
    DataError
        A background that is empty, not finite, or no table of spectra.

    Notes
    -----
    The four sampled modes equal ``lime.lime_tabular.LimeTabularExplainer`` created anew with
    ``random_state=random_state`` for every spectrum: same noise and features, and coefficients, intercept, score and
    local prediction to rounding. In ``mean`` the perturbed spectra are the same for all, so explanations differ
    little between spectra and explain mostly the background.

    Examples
    --------
    >>> import numpy as np
    >>> background = np.random.default_rng(0).normal(size=(50, 3))
    >>> def predict_proba(spectra):
    ...     p = 1 / (1 + np.exp(-spectra[:, 0]))
    ...     return np.stack([p, 1 - p], axis=1)
    >>> explained = SpectralLime(background, n_samples=500).explain(predict_proba, background[:4], labels=0)
    >>> explained.weights.shape
    (4, 1, 3)
    >>> np.abs(explained.weights).argmax(axis=2).ravel()
    array([0, 0, 0, 0])
    """

    def __init__(
        self,
        background,
        *,
        mode: str = "instance",
        n_samples: int = 5000,
        kernel_width: float | None = None,
        ridge: float = RIDGE,
        num_features: int | None = None,
        feature_selection: str = "auto",
        noise: str = "white",
        band_width: float | None = None,
        features: str = "wavenumbers",
        random_state: int = 0,
        n_banks: int = 1,
        tolerance: float | None = None,
        wavenumber=None,
    ):
        self.background, self.mode, self.n_samples = background, mode, n_samples
        self.kernel_width, self.ridge, self.random_state = kernel_width, ridge, random_state
        self.num_features, self.feature_selection = num_features, feature_selection
        self.noise, self.band_width, self.features = noise, band_width, features
        self.n_banks, self.tolerance, self.wavenumber = n_banks, tolerance, wavenumber
        self._check_settings()
        table = SpectraTable(background, wavenumber, "background")
        self._axis, self._background = table.axis, table.read(slice(None))
        self._bands = self._find_bands()
        self._selection = self._find_selection()
        self._local: dict[int, object] = {}

    def _check_settings(self):
        if self.mode not in MODES:
            raise SettingsError(f"mode {self.mode!r} is unknown; choose one of {', '.join(MODES)}.")
        for name, lowest in (("n_samples", 2), ("random_state", 0), ("n_banks", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
                raise SettingsError(f"{name} must be a whole number of at least {lowest}, not {value!r}.")
        for name, known in (
            ("feature_selection", METHODS),
            ("noise", KINDS),
            ("features", ("wavenumbers", "bands")),
        ):
            if getattr(self, name) not in known:
                raise SettingsError(f"{name} {getattr(self, name)!r} is unknown; choose one of {', '.join(known)}.")
        for name in ("kernel_width", "ridge", "tolerance", "band_width"):
            value = getattr(self, name)
            if value is None and name != "ridge":
                continue
            if not isinstance(value, (int, float, np.number)) or not (np.isfinite(value) and value > 0):
                raise SettingsError(f"{name} must be a positive number, not {value!r}.")
        if self.mode == "limit":
            if self.n_samples % 2 or self.n_samples < 4:
                raise SettingsError(
                    f"mode 'limit' takes gradients in opposite pairs, at least two of them; n_samples={self.n_samples} "
                    "must be even and 4 or more."
                )
            if self.ridge != RIDGE:
                raise SettingsError("mode 'limit' has no ridge (it vanishes with ever more samples); leave it out.")
            if self.num_features is not None:
                raise SettingsError("mode 'limit' weighs every feature by itself; leave num_features out.")
        elif self.tolerance is not None:
            raise SettingsError(f"tolerance has no meaning in mode {self.mode!r}; use mode='limit' or n_banks=2.")
        if self.mode in ("quartile", "decile") and self.noise != "white":
            raise SettingsError(
                f"mode {self.mode!r} draws values from bins; noise={self.noise!r} has no meaning there."
            )
        if (self.band_width is not None) != (self.noise == "bands"):
            raise SettingsError("band_width and noise='bands' go together; give both or neither.")
        if self.features == "bands" and self.noise != "bands":
            raise SettingsError("features='bands' needs noise='bands': a band counts as one when it moves as one.")

    def _find_bands(self) -> np.ndarray | None:
        if self.noise != "bands":
            return None
        if self._axis is None:
            raise SettingsError("bands need the wavenumbers; give wavenumber=, or a data set as the background.")
        return band_numbers(self._axis, self.band_width)

    def _find_selection(self) -> Selection | None:
        n, n_features = self.num_features, self._n_features
        if n is None:
            return None
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= n_features:
            raise SettingsError(f"num_features must be a whole number in 1..{n_features}, not {n!r}.")
        if self.feature_selection == "none":
            raise SettingsError("feature_selection 'none' takes every feature; leave num_features out.")
        return Selection(int(n), self.feature_selection) if n < n_features else None

    @property
    def _n_features(self) -> int:
        return int(self._bands.max()) + 1 if self.features == "bands" else self._background.shape[1]

    @property
    def settings(self) -> dict:
        """Settings of the explanations, and the size of the background."""
        names = (
            *("mode", "n_samples", "ridge", "random_state", "n_banks", "tolerance"),
            *("num_features", "feature_selection", "noise", "band_width", "features"),
        )
        plain = {name: getattr(self, name) for name in names}
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in plain.items()}
        return {**plain, "kernel_width": self._width, "n_background": len(self._background)}

    @property
    def _width(self) -> float:
        return float(0.75 * np.sqrt(self._n_features) if self.kernel_width is None else self.kernel_width)

    def explain(
        self,
        model,
        spectra,
        labels="predicted",
        *,
        rows=None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Attribution:
        """Explain spectra, all in memory.

        Parameters
        ----------
        model : estimator with predict_proba, callable, or torch.nn.Module
            Maps (n, n_wavenumbers) spectra to (n, n_classes) probabilities. Mode ``limit`` needs a module, or an
            estimator with ``as_module``.
        spectra : (n, n_wavenumbers) array or data set
            On the background's axis.
        labels : "predicted", "all", int, (n_labels,) or (n, n_labels) int
            Classes to explain: the most probable class, all classes, the given classes of every spectrum, or the
            given classes of each spectrum.
        rows : (n,) int, optional
            Positions of the spectra to explain, in ascending order; default all.
        progress : callable, optional
            Called with (spectra done, spectra in all) after each block.

        Returns
        -------
        Attribution

        Raises
        ------
        DataError
            When the spectra are empty, not finite or on another axis.
        SettingsError
            When a label is not one of the model's classes (columns of its probabilities).
        ModelError
            When the model's output is no table of probabilities, or cannot be differentiated in mode ``limit``.
        """
        return Attribution.concatenate(list(self.iter_explain(model, spectra, labels, rows=rows, progress=progress)))

    def explain_to(
        self,
        path: str | os.PathLike,
        model,
        spectra,
        labels="predicted",
        *,
        rows=None,
        progress: Callable[[int, int], None] | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Explain spectra into a Zarr store block by block; memory does not grow with their number.

        Parameters as in `explain`; read the result with `Attribution.load`.

        Raises
        ------
        StoreError
            When `path` exists and `overwrite` is false.
        """
        pieces = self.iter_explain(model, spectra, labels, rows=rows, progress=progress)
        return save_pieces(pieces, path, overwrite=overwrite)

    def iter_explain(self, model, spectra, labels="predicted", *, rows=None, progress=None) -> Iterator[Attribution]:
        """Yield the explanations of `explain` block by block."""
        table = SpectraTable(spectra, None, "spectra")
        table.check_axis("background", self._background.shape[1], self._axis, "bring both to one axis")
        rows = table.check_rows(rows)
        labels = check_labels(labels, len(rows))
        forward = GradientForward(model) if self.mode == "limit" else Forward(model)
        locals_ = [self._bank(k) for k in range(self.n_banks)]
        shared = [local.shared(forward) for local in locals_]
        size = min(BLOCK, max(1, BLOCK_VALUES // self.n_samples))
        for start in range(0, len(rows), size):
            block_rows = rows[start : start + size]
            block = table.read(block_rows)
            predicted = forward(block)  # (n, n_classes)
            chosen = choose_labels(labels, predicted, slice(start, start + size))
            fits = [local.fit(forward, common, block, predicted, chosen) for local, common in zip(locals_, shared)]
            yield Attribution(
                weights=fits[0].coef,
                intercept=fits[0].intercept,
                score=fits[0].score,
                local_prediction=fits[0].local_prediction,
                labels=chosen,
                wavenumber=self._axis if self._axis is not None else table.axis,
                rows=block_rows,
                standard_error=getattr(fits[0], "standard_error", None),
                stability=None if self.n_banks == 1 else correlation([fit.coef for fit in fits]),
                settings=self.settings,
            )
            if progress is not None:
                progress(start + len(block_rows), len(rows))

    def _bank(self, k: int):
        """Local model with the k-th noise bank, made at its first use."""
        if k not in self._local:
            seed = int(self.random_state) + k
            if self.mode in ("quartile", "decile"):
                noise = BinnedNoise(self._background, self.n_samples, seed, self.mode)
            else:
                by_band = self.features == "bands"
                noise = GaussianNoise(self._background, self.n_samples, seed, self.noise, self._bands, by_band)
            if self.mode == "limit":
                self._local[k] = AveragedGradient(noise, self._width, self.tolerance)
            else:
                kind = {"instance": AroundInstance, "mean": AroundMean}.get(self.mode, Binned)
                self._local[k] = kind(noise, self._width, self.ridge, self._selection)
        return self._local[k]


def correlation(weights: list[np.ndarray]) -> np.ndarray:
    """Mean correlation over wavenumbers between explanations of the same spectra; NaN where weights do not vary.

    Parameters
    ----------
    weights : list of at least two (n, n_labels, n_wavenumbers) arrays

    Returns
    -------
    (n, n_labels) array
    """
    units = []
    for w in weights:
        w = w - w.mean(-1, keepdims=True)
        norm = np.linalg.norm(w, axis=-1, keepdims=True)
        units.append(np.divide(w, norm, out=np.full_like(w, np.nan), where=norm > 0))
    pairs = [(a * b).sum(-1) for k, a in enumerate(units) for b in units[k + 1 :]]
    return np.mean(pairs, axis=0)
