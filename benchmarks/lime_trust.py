"""How far explanations can be trusted: their error, their noise, what their contexts and bands owe to chance.

One run, one network trained on simulated colon, spectra of patients it never saw. What a run of the book cannot
afford at its own size is measured here, and the chapter on trust is drawn from these numbers.

    python benchmarks/lime_trust.py [--spectra 64] [--many 400] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from lime_subject import SAMPLED, by_package, make_subject, relative, timed
from machine import machine
from scipy.stats import norm, qmc
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from ftirlib import CrimeVAE, SpectralLime, find_contexts
from ftirlib.explain.crime.contexts import default_n_contexts
from ftirlib.explain.faithfulness import perturbation_curves
from ftirlib.explain.lime.limit import GradientForward
from ftirlib.explain.lime.local import squared_distance
from ftirlib.explain.lime.noise import BinnedNoise, GaussianNoise
from ftirlib.explain.lime.ridge import kernel
from ftirlib.report.truth.band_recovery import band_recovery_table

MODES = (*SAMPLED, "limit")


def explain(subject, spectra, mode, n, *, seed=0, labels="predicted", **options):
    lime = SpectralLime(
        subject.background, mode=mode, n_samples=n, random_state=seed, wavenumber=subject.wavenumber, **options
    )
    return lime.explain(subject.model, spectra, labels)


def error_against_time(subject, spectra, n_package: int, reference: np.ndarray, sizes: dict) -> list[dict]:
    """Relative error and seconds a spectrum at growing numbers of samples; noise other than the reference's."""
    rows = []
    for n in sizes["package"]:
        labels = subject.model.predict_proba(spectra[:n_package]).argmax(1)
        theirs, seconds = timed(
            lambda n=n, labels=labels: [
                by_package(
                    "instance",
                    subject.background,
                    one,
                    subject.model.predict_proba,
                    n_samples=n,
                    seed=1,
                    labels=[int(label)],
                )[0]
                for one, label in zip(spectra, labels)
            ]
        )
        error = relative(theirs, reference[:n_package])
        rows.append({"by": "package", "samples": n, "seconds": seconds / n_package, "error": error})
    for mode in ("instance", "limit"):
        for n in sizes[mode]:
            found, seconds = timed(lambda mode=mode, n=n: explain(subject, spectra, mode, n, seed=1))
            error = relative(found.weights[:, 0], reference)
            rows.append({"by": mode, "samples": n, "seconds": seconds / len(spectra), "error": error})
    return rows


def repeatability(subject, spectra, sizes) -> list[dict]:
    """Median correlation of a spectrum's weights between two noise banks, mode by mode."""
    rows = []
    for mode in MODES:
        for n in sizes:
            stable = explain(subject, spectra, mode, n, n_banks=2).stability[:, 0]
            low, middle, high = np.nanquantile(stable, [0.1, 0.5, 0.9])
            rows.append({"mode": mode, "samples": n, "low": low, "median": middle, "high": high})
    return rows


def sameness(found: dict) -> list[dict]:
    """Correlation between explanations of different spectra for the same label: 1 is one explanation for all."""
    rows = []
    for mode, attribution in found.items():
        pairs = []
        for label in np.unique(attribution.labels):
            weights = attribution.weights[attribution.labels[:, 0] == label, 0]
            if len(weights) > 1:
                pairs.append(np.corrcoef(weights)[np.triu_indices(len(weights), 1)])
        pairs = np.concatenate(pairs)
        rows.append({"mode": mode, "median": float(np.median(pairs)), "pairs": pairs.size})
    return rows


def kernel_weights(subject, spectra, n: int) -> list[dict]:
    """Mean and standard deviation of the weights that the kernel gives perturbed spectra, mode by mode."""
    rows, p = [], subject.wavenumber.size
    width = 0.75 * np.sqrt(p)
    gaussian = GaussianNoise(subject.background, n, 0)
    first = gaussian.features(spectra[:1].astype(np.float64))
    weights = {
        "instance": kernel(np.square(gaussian.design[1:]).sum(1), width),
        "mean": kernel(squared_distance(gaussian.design, first)[1:, 0], width),
    }
    for mode in ("quartile", "decile"):
        noise = BinnedNoise(subject.background, n, 0, mode)
        weights[mode] = kernel((noise.bins != noise.bins_of(spectra[:1])).sum(1), width)
    for mode, values in weights.items():
        rows.append({"mode": mode, "mean": float(values.mean()), "sd": float(values.std())})
    return rows


def contexts_and_banks(subject, found: dict, again: dict) -> list[dict]:
    """Adjusted Rand index between contexts found from two noise banks; between two fits to one bank, beside it."""
    rows, spectra = [], found["limit"][1]
    count = default_n_contexts(len(spectra))

    def contexts(attribution, seed):
        model = CrimeVAE(variant="CP", supervision=0.0, random_state=seed, epochs=60, batch=64)
        model.fit(spectra, attribution.weights[:, 0], n_classes=len(subject.model.classes_))
        latent, _ = model.encode(spectra, attribution.weights[:, 0])
        return find_contexts(latent, n_contexts=count, random_state=seed).assign(latent)

    for mode, (attribution, _) in found.items():
        first, second, other = contexts(attribution, 0), contexts(again[mode], 0), contexts(attribution, 1)
        rows.append(
            {
                "mode": mode,
                "between banks": adjusted_rand_score(first, second),
                "between fits": adjusted_rand_score(first, other),
                "contexts": count,
            }
        )
    return rows


def planted_bands(subject, spectra, rows, found: dict) -> list[dict]:
    """AUROC of the size of weights over wavenumbers against the bands a pathway changes; pathways of the cohort."""
    named = {mode: attribution.weights[:, 0] for mode, attribution in found.items()}
    table = band_recovery_table(
        named,
        subject.pathway[rows],
        subject.group[rows],
        wavenumber=subject.wavenumber,
        bands=subject.planted_bands,
        pathway_names=subject.pathway_names,
    )
    return table.astype(object).where(table.notna(), None).to_dict("records")  # JSON has no word for NaN


def faithfulness(subject, spectra, found: dict) -> list[dict]:
    """What deleting the wavenumbers that speak for the class most does to its probability, beyond a random order."""
    rows = []
    scaler = GaussianNoise(subject.background, 2, 0)
    for mode, attribution in found.items():
        scale = None if mode in ("quartile", "decile") else scaler.scale
        curves = perturbation_curves(attribution, subject.model, spectra, reference=scaler.mean, scale=scale)
        gain = np.asarray(curves.deletion_gain).ravel()
        rows.append(
            {
                "mode": mode,
                "gain": float(gain.mean()),
                "standard_error": float(gain.std(ddof=1) / np.sqrt(gain.size)),
                "share": np.asarray(curves.share).tolist(),
                "deletion": np.asarray(curves.deletion).reshape(-1, len(curves.share)).mean(0).tolist(),
                "control": np.asarray(curves.deletion_control).reshape(-1, len(curves.share)).mean(0).tolist(),
            }
        )
    return rows


def other_noise(subject, spectra, reference, labels, n_pairs: int) -> list[dict]:
    """Error of averaged gradients with other noise than independent pairs, at the same number of gradients.

    orthogonal: directions at right angles, each as long as an independent one; Sobol: quasi-random points; anchors:
    the same noise around the nearest of some background spectra whose limit is known takes part of the error away.
    """
    forward, p = GradientForward(subject.model), subject.wavenumber.size
    noise = GaussianNoise(subject.background, 2, 0)
    narrow = noise.scale / np.sqrt(1 + 1 / (0.5625 * p))
    rng = np.random.default_rng(17)
    independent = rng.standard_normal((n_pairs, p))
    square = np.linalg.qr(rng.standard_normal((p, n_pairs)))[0].T
    points = qmc.Sobol(p, scramble=True, rng=17).random(n_pairs)
    draws = {
        "independent": independent,
        "orthogonal": square * np.linalg.norm(independent, axis=1, keepdims=True),
        "Sobol": norm.ppf(np.clip(points, 1e-9, 1 - 1e-9)),
    }

    def gradients(spectra, labels, z):
        tensor = forward.tensor(z * narrow)
        _, found = forward.group_gradients(
            forward.bases(forward.tensor(spectra)), tensor, forward.tensor(labels).long()[:, None], [1] * len(z)
        )
        return found[:, :, 0] * noise.scale  # (spectra, pairs, wavenumbers)

    counts = [n for n in (16, 32, 64, 128, 256) if n <= n_pairs]
    rows, by_kind = [], {}
    for kind, z in draws.items():
        by_kind[kind] = gradients(spectra, labels, z)
        for n in counts:
            rows.append({"noise": kind, "gradients": 2 * n, "error": relative(by_kind[kind][:, :n].mean(1), reference)})
    known = subject.background.astype(np.float32)
    centres = KMeans(64, n_init=1, random_state=0).fit(known).cluster_centers_
    anchors = known[np.square(known[None] - centres[:, None]).sum(2).argmin(1)]
    near = np.square(spectra[:, None] - anchors[None]).sum(2).argmin(1)
    theirs = gradients(anchors[near], labels, independent)
    exact = explain(subject, anchors[near], "limit", 8192, seed=99, labels=labels[:, None]).weights[:, 0]
    mine = by_kind["independent"]
    for n in counts:
        a = theirs[:, :n] - theirs[:, :n].mean(1, keepdims=True)
        b = mine[:, :n] - mine[:, :n].mean(1, keepdims=True)
        slope = (a * b).sum((1, 2)) / np.square(a).sum((1, 2))
        estimate = mine[:, :n].mean(1) - slope[:, None] * (theirs[:, :n].mean(1) - exact)
        rows.append({"noise": "64 anchors", "gradients": 2 * n, "error": relative(estimate, reference)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=32, help="whose error and noise are measured")
    parser.add_argument("--many", type=int, default=400, help="whose contexts and bands are")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--gradients", type=int, default=1024, help="of mode limit")
    parser.add_argument("--reference-gradients", type=int, default=32_768)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    subject = make_subject(options.many, seed=options.seed)
    few = np.linspace(0, options.many - 1, options.spectra).astype(int)
    spectra = subject.spectra[few]
    exact = explain(subject, spectra, "limit", options.reference_gradients, seed=5)
    n = options.samples
    scaled = [max(4, n // k // 2 * 2) for k in (16, 5, 2, 1)]
    found, again = {}, {}
    for mode in MODES:
        size = options.gradients if mode == "limit" else n
        found[mode] = explain(subject, subject.spectra, mode, size)
        if mode in ("decile", "limit"):
            again[mode] = explain(subject, subject.spectra, mode, size, seed=1)
    some = {mode: attribution.select(few) for mode, attribution in found.items()}
    result = {
        "sizes": {k: v for k, v in vars(options).items() if k != "json"} | {"wavenumbers": subject.wavenumber.size},
        "machine": machine(),
        "model": {"accuracy": subject.accuracy},
        "reference_error": float(np.median(exact.relative_error)),
        "error": error_against_time(
            subject,
            spectra,
            3,
            exact.weights[:, 0],
            {
                "package": [n // 5, n, 4 * n],
                "instance": [n // 5, n, 4 * n],
                "limit": [2**k for k in range(4, 13) if 2**k <= 4 * options.gradients],
            },
        ),
        "repeatability": repeatability(subject, spectra[:16], scaled),
        "sameness": sameness(some),
        "kernel": kernel_weights(subject, spectra, n),
        "contexts": contexts_and_banks(subject, {mode: (found[mode], subject.spectra) for mode in again}, again),
        "bands": planted_bands(subject, subject.spectra, np.arange(options.many), found),
        "faithfulness": faithfulness(subject, spectra, {m: _on(a) for m, a in some.items()}),
        "noise": other_noise(subject, spectra, exact.weights[:, 0], exact.labels[:, 0], 256),
    }
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _on(attribution):
    """The same explanations, their rows counted from zero: positions in the spectra handed over beside them."""
    from dataclasses import replace

    return replace(attribution, rows=np.arange(len(attribution)))


def show(result: dict) -> None:
    print(f"against {result['sizes']['reference_gradients']} gradients, good to {result['reference_error']:.1%}")
    for row in result["error"]:
        print(f"{row['by']:10} {row['samples']:6d} {row['seconds']:9.4f} s  error {row['error']:.1%}")
    print("correlation between two noise banks (median)")
    for row in result["repeatability"]:
        print(f"{row['mode']:10} {row['samples']:6d} {row['median']:6.2f}")
    for name in ("sameness", "kernel", "contexts"):
        print(name)
        for row in result[name]:
            print("  " + ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    print("planted bands, AUROC")
    for row in result["bands"]:
        ends = "one patient" if row["low"] is None else f"[{row['low']:.2f}, {row['high']:.2f}]"
        print(f"{row['attribution']:10} {row['pathway']:24} {row['auroc']:.2f} {ends}")
    print("deletion gain")
    for row in result["faithfulness"]:
        print(f"{row['mode']:10} {row['gain']:.3f} +- {row['standard_error']:.3f}")
    print("other noise")
    for row in result["noise"]:
        print(f"{row['noise']:12} {row['gradients']:5d} {row['error']:.1%}")


if __name__ == "__main__":
    main()
