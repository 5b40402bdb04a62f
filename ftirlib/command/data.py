"""What the command line does to get, import and check data, each returning the text it prints."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from pathlib import Path

from ftirlib.command.commands import describe
from ftirlib.engine.workers import open_executor
from ftirlib.errors import DataError, SettingsError
from ftirlib.files import write_text
from ftirlib.sources.catalogue import SETS, RecordSet, find_set, list_sets
from ftirlib.sources.colorectal import CLASSES, is_colorectal
from ftirlib.sources.colorectal_store import import_colorectal, survey_colorectal
from ftirlib.sources.download import get_colorectal
from ftirlib.sources.packages import get_package_set, get_public_set, import_options
from ftirlib.spectra.importing.formats.tables import read_labels
from ftirlib.spectra.importing.readers import import_spectra, plan_import
from ftirlib.spectra.model import open_spectra

COHORT_FOLDER = "multimodal_CRC_dataset"  # as its authors call it
COHORT_ONLY = ("arrays", "cores", "tissue", "minimum_snr")
COHORT_TAKES = (*COHORT_ONLY, "low", "high", "floor", "skip_bad", "licence", "overwrite")


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

    With one worker and no scheduler this process reads the files itself; otherwise as many local processes as there
    are `workers`, or those of the Dask cluster at the scheduler's address, read an image each, and this process writes.
    Of a cluster whose workers are still to come, `workers` says how many. Options that were not given are None or
    empty; one that does not apply to the source is refused.
    """
    if workers < 1:
        raise SettingsError(f"--workers is the number of processes that read, one or more, not {workers}.")
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    given = {name: value for name, value in given.items() if value not in ("", [])}
    given |= {name: "" for name in ("label", "group", "image") if options.get(name) == ""}  # there is none
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
    """Those who read the files, as options of an import; none for one worker, which is this process."""
    if workers == 1 and not scheduler and not tls:
        yield {}
        return
    with open_executor(scheduler or None, workers, tls=tls, report=report) as executor:
        ahead = 2 * max(workers, executor.count)  # the next image is there when a worker is done with one
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
    """An option as it is written on the command line."""
    return "--" + {"class_names": "classes", "positive_classes": "positive", "sheet": "labels"}.get(
        name, name.replace("_", "-")
    )


def sets_table() -> str:
    """The public sets, a few lines each."""
    lines = []
    for one in list_sets():
        lines += [f"{one['name']}  ({one['download']}, {one['source']})", f"  {one['content']}"]
        lines.append(f"  licence: {one['licence']}")
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
    """Fetch a public set; says where it lies, under which licence, and how to import it."""
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
    """What a data set is fit for: the report, and whether nothing in it makes results wrong."""
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
