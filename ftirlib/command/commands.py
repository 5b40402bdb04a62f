"""What the command line's smaller commands do, each returning the text it prints."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from ftirlib.engine.places import is_remote
from ftirlib.engine.store import Store, peak_memory_mb
from ftirlib.errors import StoreError
from ftirlib.method import Run
from ftirlib.spectra.model import has_images, has_truth


def simulate_store(run: Run, out: Path, *, overwrite: bool) -> str:
    """Write a profile's simulated cohort to a store of its own."""
    from ftirlib.spectra.simulate.colon import simulate_colon
    from ftirlib.spectra.simulate.settings import PhantomSettings

    started = time.time()
    settings = PhantomSettings(**run.settings.phantom.model_dump())
    data = simulate_colon(out, settings=settings, seed=run.settings.seed, overwrite=overwrite)
    return (
        f"{describe(data)}\nwrote {out} in {time.time() - started:.0f} s, "
        f"at most {peak_memory_mb(children=True):.0f} MB of memory; simulated, not measured"
    )


def describe(data) -> str:
    """A data set in a few lines."""
    axis = data.wavenumber.values
    attrs = data.attrs
    label = data.label.values
    counts = [f"{name} {int((label == k).sum())}" for k, name in enumerate(attrs["class_names"])]
    if (label < 0).any():
        counts.append(f"unlabelled {int((label < 0).sum())}")
    pictures = f"{len(np.unique(data.image.values))} images" if has_images(data) else "no images"
    lines = [
        f"{data.sizes['spectrum']} spectra, {pictures}, {len(np.unique(data.group.values))} groups",
        f"{axis.size} wavenumbers, {axis[0]:g} to {axis[-1]:g} cm-1 by {np.median(np.diff(axis)):.4g}",
        "classes: " + ", ".join(counts),
    ]
    if attrs["is_simulated"]:
        lines.append("simulated" + (", with its truth" if has_truth(data) else ""))
    return "\n".join(lines)


def verify_run(root: str | Path) -> tuple[str, bool]:
    """Every artefact of a run against its manifest: the text, and whether all are whole."""
    store = Store(root)
    if not is_remote(root) and not store.root.is_dir():
        raise StoreError(f"there is no run at '{root}'.")
    names = store.names()
    if not names:
        raise StoreError(f"'{root}' holds no artefacts; is it the folder of a run?")
    damaged = {name: files for name in names if (files := store.damaged(name))}
    lines = [f"torn: {name}: {', '.join(files[:3])}" for name, files in damaged.items()]
    lines.append(f"{len(names) - len(damaged)} of {len(names)} artefacts are whole")
    return "\n".join(lines), not damaged


def summary(run: Run, seconds: float, *, scored: bool = True) -> str:
    """What a run wrote and, in a line a model, how well it did."""
    lines = [f"{run.settings.out}: {len(run.made)} artefacts made, the rest was current ({seconds:.0f} s)"]
    if scored:
        from ftirlib.method import model_scores

        table = model_scores(run)
        table = table[table.score == "balanced_accuracy"]
        for row in table.itertuples():
            spread = f"{row.mean:.3f} ± {row.sd:.3f} over folds, {row.low:.2f}-{row.high:.2f} over groups"
            lines.append(f"  {row.model:12} balanced accuracy against {row.target}: {spread}")
    return "\n".join(lines)
