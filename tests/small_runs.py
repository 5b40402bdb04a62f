"""Runs as small as the method allows, for tests that make many of them."""

import os
import subprocess
import sys
from pathlib import Path

from ftirlib.engine.store import Store

COMMAND = str(Path(sys.executable).with_name("ftirlib"))
TINY = {
    "phantom.side": 6,
    "baselines.models": ["mean-mse"],
    "members.count": 1,
    "members.epochs": 2,
    "ensemble.threshold": None,
    "explanations.mode": "limit",
    "explanations.samples": 8,
    "explanations.tolerance": None,
    "explanations.spectra": 20,
    "explanations.shard": 10,
    "vaes.variants": ["CP"],
    "vaes.supervision": [0.2],
    "vaes.epochs": 2,
    "scores.resamples": 100,
}
LAST = "contexts"  # what comes after it is one process's work


def command(out, *options, **changes):
    """Words of the command that makes a tiny run."""
    flags = [f"--set={name}={'null' if value is None else value}" for name, value in (TINY | changes).items()]
    return [COMMAND, "run", "--profile", "smoke", "--out", str(out), "--until", LAST, *flags, *options]


def run(out, *options, environment=None, **changes):
    """Make a tiny run and wait for it."""
    environment = os.environ | (environment or {})
    words = command(out, *options, **changes)
    return subprocess.run(words, capture_output=True, text=True, timeout=300, env=environment)


def checksums(root):
    """What a run's artefacts hold: names and hashes of files, without the times in the manifests."""
    store = Store(root)
    return {name: {f: v["sha256"] for f, v in store.manifest(name)["files"].items()} for name in store.names()}
