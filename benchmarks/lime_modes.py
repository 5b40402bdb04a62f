"""Time and agreement of SpectralLime against the `lime` package: one run, one model, the same spectra.

Against `lime` 0.2.0.1 (Ribeiro, Singh & Guestrin 2016, doi:10.1145/2939672.2939778), made anew with the same seed
for every spectrum. Run ``python benchmarks/lime_modes.py``; ``--help`` lists the sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from lime.lime_tabular import LimeTabularExplainer

from ftirlib import MSCNNClassifier, SpectralLime
from ftirlib.classify.training import TrainingSettings
from ftirlib.explain.limit import relative_error

N_CLASSES = 4
SAMPLED = ("instance", "mean", "quartile", "decile")
TARGET = 0.1  # relative error at which `limit` and the package are compared in time


def spectra_of_four_classes(n: int, n_wavenumbers: int, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaussian bands on a sloping baseline; the height of two bands depends on the class."""
    wavenumber = np.linspace(1000.0, 1800.0, n_wavenumbers)
    label = np.arange(n) % N_CLASSES
    heights = 1 + 0.15 * rng.standard_normal((n, 5))
    heights[:, 1] += 0.15 * label
    heights[:, 3] -= 0.10 * label
    bands = np.exp(-(((wavenumber - np.array([[1080], [1240], [1400], [1545], [1655]])) / 22) ** 2))
    spectra = heights @ bands + 0.1 * rng.standard_normal((n, 1)) * np.linspace(0, 1, n_wavenumbers)
    spectra += 0.01 * rng.standard_normal(spectra.shape)
    return wavenumber, spectra.astype(np.float32), label


def trained_model(wavenumber, spectra, label, epochs: int) -> MSCNNClassifier:
    """The published network, trained briefly: an untrained one has gradients unlike any in use."""
    held_out = np.arange(len(spectra)) % 5 == 0
    model = MSCNNClassifier(wavenumber, training=TrainingSettings(epochs=epochs, batch_size=64), random_state=0)
    return model.fit(spectra[~held_out], label[~held_out], validation=(spectra[held_out], label[held_out]))


def by_package(mode: str, background, spectra, predict_proba, n_samples: int, seed: int) -> np.ndarray:
    """Weights (n, n_classes, n_wavenumbers) from the package."""
    if mode in ("instance", "mean"):
        options = {"discretize_continuous": False, "sample_around_instance": mode == "instance"}
    else:
        options = {"discretizer": mode}
    weights = np.empty((len(spectra), N_CLASSES, spectra.shape[1]))
    for k, spectrum in enumerate(spectra):
        explainer = LimeTabularExplainer(background, random_state=seed, **options)
        found = explainer.explain_instance(
            spectrum,
            predict_proba,
            labels=range(N_CLASSES),
            num_features=spectra.shape[1],
            num_samples=n_samples,
        )
        for label, pairs in found.local_exp.items():
            feature, weight = zip(*pairs)
            weights[k, label, list(feature)] = weight
    return weights


def timed(call):
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def distance(weights, reference) -> float:
    """Norm of the difference over the norm of the reference, all spectra and labels together."""
    return float(np.linalg.norm(weights - reference) / np.linalg.norm(reference))


def sampled_modes(model, background, spectra, n_package: int, n_samples: int, seed: int) -> dict:
    """Seconds per spectrum of both, ratio and agreement, for each sampled mode."""
    rows = {}
    for mode in SAMPLED:
        theirs, package_time = timed(
            lambda mode=mode: by_package(mode, background, spectra[:n_package], model.predict_proba, n_samples, seed)
        )
        # A new explainer: what spectra share (noise, factorisation, predictions) is made anew and counted.
        ours, our_time = timed(
            lambda mode=mode: SpectralLime(background, mode=mode, n_samples=n_samples, random_state=seed).explain(
                model, spectra, "all"
            )
        )
        package_each, our_each = package_time / n_package, our_time / len(spectra)
        rows[mode] = {
            "package_s": package_each,
            "ours_s": our_each,
            "ratio": package_each / our_each,
            "difference": distance(ours.weights[:n_package], theirs),
        }
    return rows


def limit_mode(model, background, spectra, n_package: int, n_samples: int, n_reference: int, seed: int) -> dict:
    """Time to a relative error of `TARGET`, one label: averaged gradients against the package around the instance.

    The reference is a longer average with other noise. The package's time is extended from its error at
    `n_samples` by the law both obey, error falling with the root of the samples.
    """
    reference = SpectralLime(background, mode="limit", n_samples=n_reference, random_state=seed + 1).explain(
        model, spectra
    )
    ours, our_time = timed(
        lambda: SpectralLime(
            background, mode="limit", n_samples=n_reference, random_state=seed, tolerance=TARGET
        ).explain(model, spectra)
    )
    some = reference.select(slice(0, n_package))
    theirs, package_time = timed(
        lambda: by_package("instance", background, spectra[:n_package], model.predict_proba, n_samples, seed)
    )
    theirs = np.take_along_axis(theirs, some.labels[:, :, None], axis=1)
    package_error = distance(theirs, some.weights)
    package_each = package_time / n_package * (package_error / TARGET) ** 2
    our_each = our_time / len(spectra)
    return {
        "package_error": package_error,
        "package_s_to_target": package_each,
        "ours_error": distance(ours.weights, reference.weights),
        "ours_s_to_target": our_each,
        "ours_spectra_per_s": 1 / our_each,
        "ratio": package_each / our_each,
        "reference_error": float(np.median(relative_error(reference.weights, reference.standard_error))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=16, help="explained by SpectralLime")
    parser.add_argument("--package-spectra", type=int, default=2, help="of them, explained by the package too")
    parser.add_argument("--background", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--reference-samples", type=int, default=4096, help="gradients in the converged reference")
    parser.add_argument("--wavenumbers", type=int, default=801)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()

    rng = np.random.default_rng(options.seed)
    n = options.background + options.spectra
    wavenumber, spectra, label = spectra_of_four_classes(n, options.wavenumbers, rng)
    background, explained = spectra[: options.background], spectra[options.background :]
    model = trained_model(wavenumber, background, label[: options.background], options.epochs)
    result = {
        "sizes": {k: v for k, v in vars(options).items() if k != "json"},
        "machine": {
            "cpus": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "python": platform.python_version(),
        },
        "sampled": sampled_modes(model, background, explained, options.package_spectra, options.samples, options.seed),
        "limit": limit_mode(
            model,
            background,
            explained,
            options.package_spectra,
            options.samples,
            options.reference_samples,
            options.seed,
        ),
    }
    print(f"{options.samples} samples, {N_CLASSES} labels, {options.wavenumbers} wavenumbers; seconds per spectrum")
    print(f"{'mode':10} {'package':>9} {'ours':>9} {'ratio':>7} {'difference':>11}")
    for mode, row in result["sampled"].items():
        print(f"{mode:10} {row['package_s']:9.4f} {row['ours_s']:9.4f} {row['ratio']:7.1f} {row['difference']:11.1e}")
    limit = result["limit"]
    print(f"one label to {TARGET:.0%} of the limit (reference to {limit['reference_error']:.1%}), seconds per spectrum")
    print(
        f"{'limit':10} {limit['package_s_to_target']:9.2f} {limit['ours_s_to_target']:9.4f} {limit['ratio']:7.0f}"
        f"   package {limit['package_error']:.0%} off, ours {limit['ours_error']:.1%}"
    )
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
