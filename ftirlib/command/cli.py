"""The command line: ``ftirlib simulate | get | import | check | run | book | status | predict | verify | notebooks``.

Every command prints what it wrote; a known error is one sentence and exit status 2.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
import yaml

from ftirlib.errors import FtirlibError, SettingsError

STOPPED = 130  # exit status that shells use for a command that Ctrl-C ended

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Interpretable classification of infrared hyperspectral images from weak labels.",
)

Profile = Annotated[str, typer.Option(help="smoke, quick, paper, or the path of a YAML file.")]
Data = Annotated[str, typer.Option(help="Data set made by 'ftirlib import'; the simulated cohort without it.")]
Out = Annotated[str, typer.Option(help="Folder of the results, or an address such as s3://bucket/run.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Scheduler = Annotated[str, typer.Option(help="Address of a Dask scheduler, tcp://host:8786 or tls://host:8786.")]
TlsCa = Annotated[str, typer.Option(help="For tls://: PEM file of the authority.")]
TlsCert = Annotated[str, typer.Option(help="For tls://: PEM file of this driver's certificate.")]
TlsKey = Annotated[str, typer.Option(help="For tls://: PEM file of its key.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="A setting, as members.epochs=40; repeatable.")]


def parse_changes(texts: list[str] | None) -> dict:
    """``["members.epochs=40"]`` as ``{"members.epochs": 40}``."""
    changes = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"'--set {text}' is not NAME=VALUE, such as members.epochs=40.")
        try:
            changes[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise SettingsError(f"the value of '--set {text}' cannot be read; quote it as YAML.") from None
    return changes


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _open(profile, data, out, seed, scheduler, changes, tls=()):
    from ftirlib.method.run import open_run

    return open_run(
        profile,
        data=data or None,
        out=out or None,
        seed=seed,
        scheduler=scheduler or None,
        tls=_tls(*tls),
        changes=parse_changes(changes),
        report=say,
        bar=sys.stderr.isatty(),
    )


def _tls(*files: str) -> dict[str, str] | None:
    """The given files of the authority, the certificate and the key."""
    return {name: path for name, path in zip(("ca", "cert", "key"), files) if path} or None


@app.command("run")
def run_(
    profile: Profile = "quick",
    data: Data = "",
    out: Out = "",
    seed: Seed = 0,
    scheduler: Scheduler = "",
    tls_ca: TlsCa = "",
    tls_cert: TlsCert = "",
    tls_key: TlsKey = "",
    changes: Changes = None,
    until: Annotated[str, typer.Option(help="Last stage to make; 'fusion' for the second paper's.")] = "scores",
):
    """Run the whole method; what is already made and current is left alone."""
    from ftirlib.command.status import summary
    from ftirlib.method.stages import FUSION_STAGES, STAGES

    if until not in STAGES | FUSION_STAGES:
        raise SettingsError(f"there is no stage '{until}'; the stages are {', '.join(STAGES | FUSION_STAGES)}.")
    started = time.time()
    with _open(profile, data, out, seed, scheduler, changes, (tls_ca, tls_cert, tls_key)) as run:
        for name, stage in (FUSION_STAGES if until in FUSION_STAGES else STAGES).items():
            stage(run)
            if name == until:
                break
        print(summary(run, time.time() - started, scored=until == "scores"))


@app.command()
def book(
    profile: Profile = "quick",
    data: Data = "",
    out: Out = "",
    seed: Seed = 0,
    scheduler: Scheduler = "",
    tls_ca: TlsCa = "",
    tls_cert: TlsCert = "",
    tls_key: TlsKey = "",
    changes: Changes = None,
):
    """Run the method, run every notebook, and build the book."""
    from ftirlib.command.book import build_book
    from ftirlib.command.status import summary
    from ftirlib.method.stages import FUSION_STAGES, STAGES

    started = time.time()
    with _open(profile, data, out, seed, scheduler, changes, (tls_ca, tls_cert, tls_key)) as run:
        for stage in (*STAGES.values(), *FUSION_STAGES.values()):
            stage(run)
        print(summary(run, time.time() - started))
        index = build_book(run, profile, parse_changes(changes))
        print(f"book: {index} ({time.time() - started:.0f} s)")


@app.command()
def simulate(
    out: Annotated[str, typer.Argument(help="Store to write, such as colon.zarr.")],
    profile: Profile = "quick",
    seed: Seed = 0,
    changes: Changes = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing store.")] = False,
):
    """Write the simulated cohort of a profile; prints time and peak memory."""
    from ftirlib.command.data import simulate_store

    with _open(profile, "", "", seed, "", changes) as run:
        print(simulate_store(run, Path(out), overwrite=overwrite))


@app.command("import")
def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Instrument files, tables or cubes, a folder of them, a quoted pattern such as 'cores/*.hdr', "
            "a folder of the colorectal cohort's layout, or the name of a public set.",
        ),
    ],
    out: Annotated[str, typer.Argument(help="Store to write, such as mine.zarr.")],
    dry_run: Annotated[bool, typer.Option(help="Say what would be read and write nothing.")] = False,
    sheet: Annotated[
        str | None,
        typer.Option(
            "--labels", "--sheet", help="CSV or Excel: column file or core, and any of label, group, image, batch."
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Array or column of class labels; '' for none.")] = None,
    group: Annotated[str | None, typer.Option(help="Array or column of patients; '' for none.")] = None,
    image: Annotated[str | None, typer.Option(help="Array or column of images; '' for none.")] = None,
    absorbance: Annotated[str | None, typer.Option(help="Array of spectra.")] = None,
    wavenumber: Annotated[str | None, typer.Option(help="Array of wavenumbers.")] = None,
    wavenumber_unit: Annotated[str | None, typer.Option(help="cm-1, um or nm.")] = None,
    unit: Annotated[str | None, typer.Option(help="absorbance, transmittance (0..1) or percent.")] = None,
    floor: Annotated[
        float | None, typer.Option(help="Least transmittance, in the unit of the values; what is below is set to it.")
    ] = None,
    low: Annotated[float | None, typer.Option(help="Lowest wavenumber to keep, cm-1.")] = None,
    high: Annotated[float | None, typer.Option(help="Highest wavenumber to keep, cm-1.")] = None,
    step: Annotated[float | None, typer.Option(help="Resample to this spacing, cm-1.")] = None,
    skip_rows: Annotated[int | None, typer.Option(help="Rows between a table's header and its spectra.")] = None,
    invalid: Annotated[str | None, typer.Option(help="Unusable spectra: refuse or drop.")] = None,
    skip_bad: Annotated[bool, typer.Option(help="Leave out, and report, files that cannot be read.")] = False,
    classes: Annotated[str, typer.Option(help="Class names in order of severity, separated by commas.")] = "",
    positive: Annotated[str, typer.Option(help="Positive classes of the binary view, separated by commas.")] = "",
    arrays: Annotated[str, typer.Option(help="Colorectal cohort: arrays to read, such as 1,3.")] = "",
    cores: Annotated[str, typer.Option(help="Colorectal cohort: cores to read, such as B3,TMA2_C1.")] = "",
    tissue: Annotated[str | None, typer.Option(help="Colorectal cohort: tissue mask, kmeans or none.")] = None,
    minimum_snr: Annotated[float | None, typer.Option(help="Colorectal cohort: least signal-to-noise ratio.")] = None,
    pixel_size_um: Annotated[float | None, typer.Option(help="Width of a pixel, um.")] = None,
    instrument: Annotated[str | None, typer.Option(help="Noted in the data set.")] = None,
    provenance: Annotated[str | None, typer.Option(help="Noted in the data set.")] = None,
    licence: Annotated[str | None, typer.Option(help="Noted in the data set.")] = None,
    workers: Annotated[
        int,
        typer.Option(
            help="Local processes that read an image each; 1: this one reads. With --scheduler: workers that are to "
            "come, where they are not there yet."
        ),
    ] = 1,
    scheduler: Scheduler = "",
    tls_ca: TlsCa = "",
    tls_cert: TlsCert = "",
    tls_key: TlsKey = "",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing store.")] = False,
):
    """Make a data set from files of spectra; prints what was detected and what was left out."""
    from ftirlib.command.data import import_store

    columns = {"sheet": sheet, "label": label, "group": group, "image": image}
    columns |= {"absorbance": absorbance, "wavenumber": wavenumber, "skip_rows": skip_rows}
    units = {"wavenumber_unit": wavenumber_unit, "unit": unit, "floor": floor, "low": low, "high": high, "step": step}
    named = {"class_names": _names(classes), "positive_classes": _names(positive)}
    cohort = {"arrays": _numbers("--arrays", arrays), "cores": _names(cores), "tissue": tissue}
    cohort |= {"minimum_snr": minimum_snr}
    noted = {"pixel_size_um": pixel_size_um, "instrument": instrument, "provenance": provenance, "licence": licence}
    how = {"invalid": invalid, "skip_bad": skip_bad, "workers": workers, "scheduler": scheduler}
    how |= {"tls": _tls(tls_ca, tls_cert, tls_key), "overwrite": overwrite, "dry_run": dry_run, "report": say}
    print(import_store(sources, out, **columns, **units, **named, **cohort, **noted, **how))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(name) for name in _names(text)]
    except ValueError:
        raise SettingsError(f"'{option} {text}' is no list of numbers such as 1,3.") from None


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="Name of a public set; --list shows them.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="Show every set with its size, licence and content.")] = False,
    archive: Annotated[str | None, typer.Option(help="The package's archive, fetched by other means.")] = None,
    arrays: Annotated[str, typer.Option(help="Of crc: arrays to fetch, such as 1,3.")] = "",
    cores: Annotated[str, typer.Option(help="Of crc: cores to fetch, such as B3,TMA2_C1.")] = "",
    out: Annotated[
        str | None, typer.Option(help="Folder to put it in; crc: multimodal_CRC_dataset, others: the user's cache.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Of crc: the repository, where it is not Zenodo itself.")] = None,
):
    """Fetch a public set by its name; its hash is checked, and its licence shown and kept."""
    from ftirlib.command.data import get_set, sets_table

    if list_ == bool(name):
        raise SettingsError("say 'ftirlib get NAME' or 'ftirlib get --list'.")
    if list_:
        print(sets_table())
        return
    chosen = {"arrays": _numbers("--arrays", arrays), "cores": _names(cores)}
    print(get_set(name, archive=archive, folder=out, address=address, report=say, **chosen))


@app.command()
def check(
    data: Annotated[str, typer.Argument(help="Data set made by 'ftirlib import'.")],
    page: Annotated[str | None, typer.Option(help="HTML file to write, with pictures.")] = None,
    batch: Annotated[
        str | None, typer.Option(help="CSV or Excel: columns core and batch (day, instrument, array) of each image.")
    ] = None,
):
    """Read a whole data set and say what it is fit for; exit status 1 when something makes results wrong."""
    from ftirlib.command.data import check_data

    text, fit = check_data(data, page=page, batch=batch)
    print(text)
    raise typer.Exit(0 if fit else 1)


@app.command()
def predict(
    finished: Annotated[str, typer.Argument(help="Folder of a finished run.")],
    data: Annotated[str, typer.Argument(help="Data set made by 'ftirlib import'.")],
    out: Annotated[str, typer.Argument(help="Folder to write.")],
    explained: Annotated[int, typer.Option(help="Most spectra explained to find their contexts; 0 for none.")] = 200,
    workers: Annotated[int | None, typer.Option(help="Local processes; as many as the run's without it.")] = None,
    scheduler: Scheduler = "",
    tls_ca: TlsCa = "",
    tls_cert: TlsCert = "",
    tls_key: TlsKey = "",
):
    """Classify new spectra with a finished run's networks and give reasons: Zarr, and a picture of each image."""
    from ftirlib.method.predict import predict_store

    how = {"explained": explained, "workers": workers, "scheduler": scheduler or None}
    how |= {"tls": _tls(tls_ca, tls_cert, tls_key), "report": say, "bar": sys.stderr.isatty()}
    print(predict_store(finished, data, out, **how))


@app.command()
def status(out: Annotated[str, typer.Argument(help="Folder or address of a run.")]):
    """Show the progress of a run, from any terminal: stages, rates, remaining time, and the process that drives it."""
    from ftirlib.command.status import status_text

    print(status_text(out))


@app.command()
def verify(finished: Annotated[str, typer.Argument(help="Folder or address of a run.")]):
    """Check every file of a run against its manifest."""
    from ftirlib.command.status import verify_run

    text, whole = verify_run(finished)
    print(text)
    raise typer.Exit(0 if whole else 1)


@app.command()
def notebooks(
    names: Annotated[list[str] | None, typer.Argument(help="Notebooks to refresh, such as 03; all without it.")] = None,
):
    """Refresh the outputs kept in the paired notebooks, at the smoke profile."""
    from ftirlib.command.book import refresh_pairs

    print(refresh_pairs(names))


def main() -> None:
    """Run the command line; a known error is one line and exit status 2."""
    try:
        status = app(standalone_mode=False)  # of a command that ends with typer.Exit
        if status == STOPPED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(status)
    except FtirlibError as error:
        say(f"ftirlib: {error}")
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        say("ftirlib: stopped; what was finished is kept, the same command goes on from there.")
        sys.exit(STOPPED)
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own usage errors
            say(f"ftirlib: {error.format_message()}")
            sys.exit(2)
        raise


if __name__ == "__main__":
    main()
