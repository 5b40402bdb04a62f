"""Commands that simulate, import, fetch and check data; each function returns the text that the command prints."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from pathlib import Path

import numpy as np

from ftirlib.engine.cluster import open_executor
from ftirlib.engine.store import peak_memory_mb
from ftirlib.errors import DataError, SettingsError
from ftirlib.files import write_text
from ftirlib.method import Run
from ftirlib.sources.catalogue import SETS, RecordSet, find_set, list_sets
from ftirlib.sources.colorectal import CLASSES, is_colorectal
from ftirlib.sources.colorectal_store import import_colorectal, survey_colorectal
from ftirlib.sources.download import get_colorectal
from ftirlib.sources.packages import get_package_set, get_public_set, import_options
from ftirlib.spectra.importing.formats.tables import read_labels
from ftirlib.spectra.importing.readers import import_spectra, plan_import
from ftirlib.spectra.model import has_images, has_truth, open_spectra

COHORT_FOLDER = "multimodal_CRC_dataset"  # the name that its authors use
COHORT_ONLY = ("arrays", "cores", "tissue", "minimum_snr")
COHORT_TAKES = (*COHORT_ONLY, "low", "high", "floor", "skip_bad", "licence", "overwrite")


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


def import_store(
    sources: list[str],
    out: str,
    *,
    dry_run: bool,
    workers: int = 1,
    scheduler: str | None = None,
    tls: Mapping[str, str] | None = None,
    report: Callable[[str], None] = lambda line: None,
    **options,
) -> str:
    """Import files, a folder of the colorectal cohort's layout, or a public set by its name.

    With one worker and no scheduler this process reads the files itself. Otherwise `workers` local processes, or the
    workers of the Dask cluster at the scheduler's address, read an image each, and this process writes. If the workers
    of a cluster are still to come, `workers` states their number. An option that was not given is None or empty; an
    option that does not apply to the source is refused.
    """
    if workers < 1:
        raise SettingsError(f"--workers is the number of processes that read, one or more, not {workers}.")
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    given = {name: value for name, value in given.items() if value not in ("", [])}
    given |= {name: "" for name in ("label", "group", "image") if options.get(name) == ""}  # no such column
    if len(sources) == 1 and is_colorectal(sources[0]):
        workplace = {"workers": workers, "scheduler": scheduler or None, "tls": tls}
        return _import_cohort(sources[0], out, dry_run, workplace, report, given)
    if wrong := [name for name in COHORT_ONLY if name in given]:
        raise SettingsError(
            f"{_flag(wrong[0])} is for the colorectal cohort, and '{sources[0]}' is no folder of its layout "
            "(TMA<n>/TMA<n>_core_metadata.csv)."
        )
    if len(sources) == 1 and sources[0] in SETS and not Path(sources[0]).exists():
        source = get_public_set(sources[0])
        given = import_options(sources[0]) | given
    else:
        source = sources[0] if len(sources) == 1 else sources
    if dry_run:
        read = signature(plan_import).parameters.keys() - {"skip_bad"}  # a plan lists bad files
        plan = plan_import(source, **{name: value for name, value in given.items() if name in read})
        return f"{plan}\ndry run: nothing was written"
    with _readers(workers, scheduler, tls, report) as readers:
        data = import_spectra(source, out, **readers, **given)
    notes = "".join(f"detected: {note}\n" for note in data.attrs.get("import_notes", []))
    return f"{notes}{describe(data)}\nwrote {out}"


@contextmanager
def _readers(workers: int, scheduler: str | None, tls, report: Callable[[str], None]) -> Iterator[dict]:
    """Workers that read the files, as options of an import; no options if this process reads."""
    if workers == 1 and not scheduler and not tls:
        yield {}
        return
    with open_executor(scheduler or None, workers, tls=tls, report=report) as executor:
        ahead = 2 * max(workers, executor.count)  # so that no worker waits for its next image
        yield {"executor": executor, "ahead": ahead}


def _import_cohort(folder: str, out: str, dry_run: bool, workplace: Mapping, report, given: dict) -> str:
    classes = given.pop("class_names", CLASSES)
    if wrong := [name for name in given if name not in COHORT_TAKES]:
        raise SettingsError(
            f"{_flag(wrong[0])} does not apply to the colorectal cohort in '{folder}', whose layout states it; "
            f"what applies: --classes, {', '.join(_flag(name) for name in COHORT_TAKES)}."
        )
    if dry_run:
        chosen = {name: given[name] for name in ("arrays", "cores", "low", "high") if name in given}
        survey = survey_colorectal(folder, classes=classes, **chosen)
        return f"colorectal cohort\n{survey}\ndry run: nothing was written"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the notes say the same and are printed
        data = import_colorectal(folder, out, classes=classes, report=report, **workplace, **given)
    notes = "".join(f"note: {note}\n" for note in data.attrs["import_notes"])
    return f"{notes}{describe(data)}\nwrote {out}"


def _flag(name: str) -> str:
    """An option as the command line writes it."""
    return "--" + {"class_names": "classes", "positive_classes": "positive", "sheet": "labels"}.get(
        name, name.replace("_", "-")
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


def sets_table() -> str:
    """The public sets, a few lines each."""
    lines = []
    for entry in list_sets():
        lines += [f"{entry['name']}  ({entry['download']}, {entry['source']})", f"  {entry['content']}"]
        lines.append(f"  licence: {entry['licence']}")
    return "\n".join(lines)


def get_set(
    name: str,
    *,
    archive: str | None = None,
    arrays: list[int],
    cores: list[str],
    folder: str | None = None,
    address: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> str:
    """Fetch a public set; the text states its path, its licence, and the command that imports it."""
    wanted = find_set(name)
    if isinstance(wanted, RecordSet):
        if archive is not None:
            raise SettingsError(f"'{name}' is no package, so there is no --archive of it; fetch its files by hand.")
        if not arrays and not cores:
            raise SettingsError(
                f"'{name}' is {wanted.download / 1e9:.0f} GB; choose with --cores B3,TMA1_C4 or --arrays 1,2."
            )
        path = get_colorectal(
            folder or COHORT_FOLDER,
            doi=wanted.doi,
            arrays=arrays,
            cores=cores,
            report=report,
            **({"base": address} if address else {}),
        )
        return f"{path}\nimport it with: ftirlib import {path} crc.zarr"
    if arrays or cores or address:
        raise SettingsError(f"--arrays, --cores and --address are for 'crc'; '{name}' is one file.")
    path = get_package_set(wanted, folder=folder, archive=archive)
    return f"{path}\n{wanted.content}\nlicence: {wanted.licence}\nimport it with: ftirlib import {name} {name}.zarr"


def check_data(path: str, *, page: str | None = None, batch: str | None = None) -> tuple[str, bool]:
    """Check whether a data set is fit for use; returns the report, and whether nothing makes results wrong."""
    from ftirlib.report.check.store_check import check_store
    from ftirlib.report.check.store_page import report_page, report_text

    data = open_spectra(path)
    names = None if batch is None else _batches(Path(batch), data.attrs["image_names"])
    report = check_store(data, title=Path(path).name, batch=names)
    text = report_text(report)
    if page is not None:
        write_text(Path(page), report_page(report))
        text += f"\nwrote {page}"
    return text, report.is_fit


def _batches(table: Path, images: list[str]) -> list[str]:
    """The batch of each image from a table with the columns core (or file) and batch."""
    rows = read_labels(table, list(images))
    if missing := [name for name, row in zip(images, rows) if row is None or not row.get("batch")]:
        raise DataError(f"'{table}' names no batch for image '{missing[0]}' ({len(missing)} such images); add it.")
    return [row["batch"] for row in rows]
