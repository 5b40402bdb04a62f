"""Seconds per explanation: SpectralLime against the `lime` package, one run, one network, the same spectra.

Against `lime` 0.2.0.1 (Ribeiro, Singh & Guestrin 2016, doi:10.1145/2939672.2939778), made anew with the same seed for
every spectrum. Beside each mode stands the floor: the operations that cannot be left out, at the rate at which this
machine multiplies large matrices.

    python benchmarks/lime_speed.py [--samples 5000] [--spectra 64] [--package-spectra 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from lime_subject import SAMPLED, by_package, make_subject, relative, timed
from machine import machine

from ftirlib import SpectralLime
from ftirlib.explain.lime.forward import parts_of
from ftirlib.explain.lime.limit import GradientForward

TARGET = 0.1  # relative error at which `limit` and the package are compared in time
N_CLASSES = 4


def matrix_rate(dtype) -> float:
    """Floating-point operations a second of a large matrix product, best of five."""
    a = torch.rand(2048, 2048, dtype=dtype)
    return 2 * 2048**3 / min(timed(lambda: a @ a)[1] for _ in range(5))


def operations(module, rows) -> int:
    """Multiplications and additions of the matrix products and convolutions of one forward pass, for each row."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(rows)
    return counter.get_total_flops() // len(rows)


def floors(subject, n_samples: int, n_gradients: float) -> dict[str, float]:
    """Least seconds a spectrum, mode by mode, of the operations that no rearrangement avoids.

    instance: every perturbed spectrum from the first non-linearity on. quartile, decile: a Gram matrix, half of it,
    in double precision. mean: two products with the design for each label. limit: per gradient the same forward
    part and its transpose.
    """
    single, double = matrix_rate(torch.float32), matrix_rate(torch.float64)
    p = subject.wavenumber.size
    ((affine, rest),) = parts_of(subject.model.as_module())
    with torch.no_grad():
        inside = affine(torch.as_tensor(subject.spectra[:8]))
    forward = operations(rest, inside)
    gram = n_samples * p * (p + 1) / double
    return {
        "instance": n_samples * forward / single,
        "mean": 2 * 2 * n_samples * p * N_CLASSES / double,
        "quartile": gram,
        "decile": gram,
        "limit": n_gradients * 2 * forward / single,
        "single_gflops": single / 1e9,
        "double_gflops": double / 1e9,
        "forward_flop": forward,
    }


def sampled_modes(subject, n_package: int, n_samples: int, seed: int) -> dict:
    """Seconds a spectrum of both, ratio and agreement, of each sampled mode."""
    labels, rows = list(range(N_CLASSES)), {}
    for mode in SAMPLED:
        theirs, package_time = timed(
            lambda mode=mode: [
                by_package(
                    mode,
                    subject.background,
                    spectrum,
                    subject.model.predict_proba,
                    n_samples=n_samples,
                    seed=seed,
                    labels=labels,
                )
                for spectrum in subject.spectra[:n_package]
            ]
        )
        # A new explainer: what spectra share (noise, factorisation, predictions) is made anew and counted.
        ours, our_time = timed(
            lambda mode=mode: SpectralLime(
                subject.background, mode=mode, n_samples=n_samples, random_state=seed
            ).explain(subject.model, subject.spectra, "all")
        )
        each, our_each = package_time / n_package, our_time / len(subject.spectra)
        rows[mode] = {
            "package_s": each,
            "ours_s": our_each,
            "ratio": each / our_each,
            "difference": relative(ours.weights[:n_package], theirs),
        }
    return rows


def reference_by_package(subject, labels, n_samples: int, n_runs: int) -> tuple[np.ndarray, float]:
    """Mean of the package's own estimates around the instance over seeds; and its relative standard error."""
    runs = np.array(
        [
            [
                by_package(
                    "instance",
                    subject.background,
                    spectrum,
                    subject.model.predict_proba,
                    n_samples=n_samples,
                    seed=1000 + run,
                    labels=[int(label)],
                )[0]
                for spectrum, label in zip(subject.spectra, labels)
            ]
            for run in range(n_runs)
        ]
    )
    mean = runs.mean(0)
    error = np.sqrt((runs.var(0, ddof=1) / n_runs).sum() / (np.square(mean).sum()))
    return mean, float(error)


def limit_mode(subject, n_package: int, n_samples: int, n_reference: int, n_runs: int, most: int, seed: int) -> dict:
    """Seconds to a relative error of `TARGET`, one label: averaged gradients against the package."""
    explainer = SpectralLime(subject.background, mode="limit", n_samples=most, random_state=seed, tolerance=TARGET)
    counter = Counting(subject.model)
    ours, our_time = timed(lambda: explainer.explain(counter.model, subject.spectra))
    gradients = counter.count(explainer, subject.spectra)
    labels = ours.labels[:n_package, 0]
    some = type(subject)(**{**vars(subject), "spectra": subject.spectra[:n_package]})
    reference, reference_error = reference_by_package(some, labels, n_reference, n_runs)
    theirs, package_time = timed(
        lambda: [
            by_package(
                "instance",
                subject.background,
                spectrum,
                subject.model.predict_proba,
                n_samples=n_samples,
                seed=seed,
                labels=[int(label)],
            )[0]
            for spectrum, label in zip(some.spectra, labels)
        ]
    )
    package_error = relative(theirs, reference)
    each = package_time / n_package
    to_target = each * (package_error / TARGET) ** 2  # its error falls with the root of the samples, its time is linear
    our_each = our_time / len(subject.spectra)
    return {
        "package_error": package_error,
        "package_s": each,
        "package_s_to_target": to_target,
        "ours_error": relative(ours.weights[:n_package, 0], reference),
        "ours_error_stated": float(np.median(ours.relative_error)),
        "ours_s_to_target": our_each,
        "ours_spectra_per_s": 1 / our_each,
        "gradients": gradients,
        "ratio": to_target / our_each,
        "reference_error": reference_error,
        "reference_samples": n_reference * n_runs,
        "spectra": len(subject.spectra),
    }


class Counting:
    """How many gradients an explanation took, counted in a second pass that is not timed."""

    def __init__(self, model):
        self.model = model

    def count(self, explainer, spectra) -> float:
        taken = 0
        original = GradientForward.group_gradients

        def counted(self, bases, noise, labels, sizes):
            nonlocal taken
            taken += 2 * len(noise) * len(labels)
            return original(self, bases, noise, labels, sizes)

        GradientForward.group_gradients = counted
        try:
            explainer.explain(self.model, spectra)
        finally:
            GradientForward.group_gradients = original
        return taken / len(spectra)


def show(result: dict) -> None:
    sizes = result["sizes"]
    print(f"{sizes['samples']} samples, {N_CLASSES} labels, {sizes['wavenumbers']} wavenumbers; seconds a spectrum")
    print(f"{'mode':10} {'package':>9} {'ours':>9} {'ratio':>7} {'floor':>9} {'difference':>11}")
    for mode, row in result["sampled"].items():
        print(
            f"{mode:10} {row['package_s']:9.4f} {row['ours_s']:9.4f} {row['ratio']:7.1f} "
            f"{result['floor'][mode]:9.4f} {row['difference']:11.1e}"
        )
    limit = result["limit"]
    print(f"one label to {TARGET:.0%} of the limit (reference: the package, good to {limit['reference_error']:.1%})")
    print(
        f"{'limit':10} {limit['package_s_to_target']:9.2f} {limit['ours_s_to_target']:9.4f} {limit['ratio']:7.0f} "
        f"{result['floor']['limit']:9.4f}"
    )
    print(
        f"package at {sizes['samples']} samples {limit['package_error']:.0%} off, ours {limit['ours_error']:.1%} off "
        f"after {limit['gradients']:.0f} gradients; {limit['ours_spectra_per_s']:.0f} spectra/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=64, help="explained by SpectralLime")
    parser.add_argument("--limit-spectra", type=int, default=512, help="explained in mode limit")
    parser.add_argument("--package-spectra", type=int, default=3, help="of them, explained by the package too")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--reference-samples", type=int, default=40_000, help="of one run of the reference")
    parser.add_argument("--reference-runs", type=int, default=12)
    parser.add_argument("--gradients", type=int, default=4096, help="most of mode limit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    subject = make_subject(max(options.spectra, options.limit_spectra), seed=options.seed)
    first = type(subject)(**{**vars(subject), "spectra": subject.spectra[: options.spectra]})
    sampled = sampled_modes(first, options.package_spectra, options.samples, options.seed)
    limit = limit_mode(
        subject,
        options.package_spectra,
        options.samples,
        options.reference_samples,
        options.reference_runs,
        options.gradients,
        options.seed,
    )
    result = {
        "sizes": {k: v for k, v in vars(options).items() if k != "json"} | {"wavenumbers": subject.wavenumber.size},
        "machine": machine(),
        "model": {"accuracy": subject.accuracy},
        "sampled": sampled,
        "limit": limit,
        "floor": floors(subject, options.samples, limit["gradients"]),
    }
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
