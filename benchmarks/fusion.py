"""How fast spectra become images, features and classes, and how little is spent beside the backbones.

Run: python benchmarks/fusion.py [--spectra 600] [--size 32] [--drawn 2048] [--images 24]
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from machine import machine

from ftirlib.classify.fusion.estimator import FusionClassifier
from ftirlib.classify.fusion.features import FeatureExtractor
from ftirlib.classify.fusion.raster import KINDS, Raster
from ftirlib.classify.fusion.settings import FeatureSettings
from ftirlib.classify.fusion.weights import BACKBONES
from ftirlib.spectra.simulate.complexes import simulate_complexes

REPEATS = 3


def seconds(function, repeats=REPEATS):
    """Of the quickest of some runs: other work on the machine only adds."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return min(taken)


def drawing(spectra, axis, found):
    for kind in KINDS:
        raster = Raster(axis, size=224, kind=kind)
        found[f"drawn_{kind}_per_s"] = len(spectra) / seconds(lambda raster=raster: raster.render(spectra))
        print(f"drawing at 224 x 224, {kind}: {found[f'drawn_{kind}_per_s']:.0f} spectra/s")


def extracting(spectra, axis, size, batch, found):
    """All four families against the bare forward pass of the two networks on tensors that are there already."""
    extractor = FeatureExtractor(axis, FeatureSettings(image_size=size), weights="random", batch_size=batch)
    extractor.probe()  # builds the networks
    networks = [extractor._networks[name] for name in BACKBONES]
    images = torch.rand(batch, 3, size, size, device=extractor.device).contiguous(memory_format=torch.channels_last)

    def forward():
        with torch.inference_mode():
            for start in range(0, len(spectra), batch):
                for network in networks:
                    network(images[: len(spectra) - start]).cpu()  # the last batch may be smaller, as below

    bare, whole = [], []
    for _ in range(REPEATS):  # in turns, so that both meet the same machine
        bare.append(seconds(forward, 1))
        whole.append(seconds(lambda: extractor.extract(spectra), 1))
    ratios = [w / b for w, b in zip(whole, bare)]
    # of pairs: a machine that other work keeps busy slows both of a turn
    found[f"extract_{size}_per_s"], found[f"ratio_{size}"] = len(spectra) / min(whole), float(np.median(ratios))
    found[f"ratios_{size}"] = ratios
    print(
        f"features at {size} x {size} on {extractor.device}: {len(spectra) / min(whole):.1f} spectra/s, "
        f"{np.median(ratios):.2f} times the networks alone (each turn: {', '.join(f'{r:.2f}' for r in ratios)})"
    )


def fitting(n_spectra, size, found):
    data = simulate_complexes(n_preparations=max(60, n_spectra // 6))
    rows = np.random.default_rng(0).permutation(len(data.spectrum))[:n_spectra]
    X, y = data.absorbance.values[rows], data.label.values[rows]
    model = FusionClassifier(data.wavenumber.values, image_size=size, weights="random")
    started = time.perf_counter()
    model.fit(X, y)
    fitted = time.perf_counter()
    model.predict(X)
    done = time.perf_counter()
    found["fit_s"], found["predict_s"] = fitted - started, done - fitted
    print(f"fit of {len(X)} spectra at {size} x {size}: {fitted - started:.0f} s; predict: {done - fitted:.0f} s")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--spectra", type=int, default=600, help="fitted and predicted")
    arguments.add_argument("--size", type=int, default=32, help="pixels, of the smoke profile")
    arguments.add_argument("--drawn", type=int, default=2048)
    arguments.add_argument("--images", type=int, default=24, help="sent through both networks at 224 x 224")
    arguments.add_argument("--json", type=Path, help="also write the numbers here")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    axis = np.arange(1000.0, 1801.0)
    spectra = np.random.default_rng(0).standard_normal((given.drawn, axis.size)).cumsum(axis=1)
    found = {"machine": machine()}
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads; random weights, which cost what others do")
    drawing(spectra, axis, found)
    extracting(spectra[: given.images], axis, 224, min(8, given.images), found)
    extracting(spectra[:128], axis, given.size, 64, found)
    fitting(given.spectra, given.size, found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
