"""What the chapter on explanations shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftirlib import method
from ftirlib.classify.ensemble import EMSCNN
from ftirlib.engine.driver import once
from ftirlib.explain.crime.contexts import context_moments
from ftirlib.explain.lime.lime import SpectralLime
from ftirlib.method import FOLDS, SHOWN, Run
from ftirlib.spectra.model import read_absorbance
from shown.data import ClassSpectra
from shown.results import class_names, ensemble_classes, ensemble_folder, explained


def numbers(run: Run) -> dict[str, str]:
    """Numbers and names of the chapter."""
    stable, same, settings = stability(run), package_comparison(run), run.settings.explanations
    return {
        "error": f"{same.relative_error:.0e}",
        "stability": f"{np.nanmedian(stable):.2f}",
        "low": f"{np.nanmean(stable < 0.5):.0%}",
        "mode": settings.mode,
        "samples": f"{settings.samples}",
        "count": f"{np.isfinite(stable).sum():,} of {stable.size:,}",
        "kind": run.settings.ensemble.voting,
        "compared": same.mode,
        "floor": f"{run.settings.contexts.stability_floor}",
    }


def stability(run: Run) -> np.ndarray:
    """Correlation between two noise banks of every explanation of the test sets, all folds; NaN where undefined."""
    return np.concatenate([explained(run, fold=k).stability for k in FOLDS])


def weights_by_prediction(run: Run) -> ClassSpectra:
    """Mean LIME weights of the test spectra of each predicted class, first fold; classes never predicted left out."""
    found, names = explained(run), class_names(run)
    codes, predicted = np.unique(ensemble_classes(run, found), return_inverse=True)
    means, sds = context_moments(found.weights, predicted, len(codes))
    return ClassSpectra(method.prepared_spectra(run).wavenumber.values, means, sds, [names[k] for k in codes])


@dataclass(frozen=True)
class PackageComparison:
    """The same explanation by the `lime` package and by ours."""

    mode: str
    wavenumber: np.ndarray
    spectrum: np.ndarray
    package: np.ndarray
    ours: np.ndarray
    relative_error: float


@once
def package_comparison(run: Run) -> PackageComparison:
    """Explain one test spectrum of the first fold with the package and with ours, given the same model.

    In the run's own mode; where that is ``limit``, which the package does not have, in the authors' ``decile``.
    """
    from lime.lime_tabular import LimeTabularExplainer

    settings, seed = run.settings.explanations, run.settings.seed
    mode = "decile" if settings.mode == "limit" else settings.mode
    data = method.prepared_spectra(run)
    validation = method.fold_rows(run)[SHOWN].validation
    rows = method.explained_rows(data.image.values, validation, settings.background, seed)
    background = read_absorbance(data, rows).astype(np.float64)
    voters = EMSCNN.load(ensemble_folder(run) / "model")
    spectrum = read_absorbance(data, explained(run).rows[:1]).astype(np.float64)
    binned = mode in ("decile", "quartile")
    explainer = LimeTabularExplainer(
        background,
        mode="classification",
        discretize_continuous=binned,
        discretizer=mode if binned else "quartile",
        sample_around_instance=mode == "instance",
        random_state=seed,
    )
    label = int(voters.predict_proba(spectrum)[0].argmax())
    pairs = explainer.explain_instance(
        spectrum[0],
        voters.predict_proba,
        labels=(label,),
        num_features=spectrum.size,
        num_samples=settings.samples,
    ).local_exp[label]
    package = np.zeros(spectrum.size)
    package[[k for k, _ in pairs]] = [weight for _, weight in pairs]
    ours = SpectralLime(background, mode=mode, n_samples=settings.samples, random_state=seed)
    ours = ours.explain(voters, spectrum, labels=label).weights[0, 0]
    error = np.linalg.norm(package - ours) / max(np.linalg.norm(package), np.finfo(float).tiny)
    return PackageComparison(mode, data.wavenumber.values, spectrum[0], package, ours, float(error))
