"""From notebooks to the published book: papermill runs each with the run's parameters, Sphinx renders them.

For the book nothing is written beside the sources: a site is laid out under the run's folder with the executed
notebooks in it, and built there. `refresh_pairs` stores the outputs of the smoke profile in each notebook's ``.ipynb``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from ftirlib.command.tables import machine_table, settings_table, time_table
from ftirlib.engine.cluster import library
from ftirlib.engine.driver import Task, untracked
from ftirlib.engine.store import code_fingerprint, folder_fingerprint
from ftirlib.errors import FtirlibError, StoreError
from ftirlib.files import file_hash, fingerprint, write_text
from ftirlib.method import Run, raw, raw_spectra
from ftirlib.method.fusion import fusion_fingerprint
from ftirlib.spectra.model import has_images, has_truth

PROJECT = Path(__file__).resolve().parents[2]  # the book needs a clone
NOTEBOOKS = PROJECT / "notebooks"
BOOK = PROJECT / "book"
INLINE = "module://matplotlib_inline.backend_inline"
SITE_FILES = ("_config.yml", "_toc.yml")
OTHER_SPECTRA = ("10_trust", "11_fusion", "12_your_data", "13_scale")  # pages that do not show the run's own data set
CLOSING = """## Kept, and again with other data

Results of this page are artefacts of the run, kept in its folder and made again only when something they depend on
changes. `make book DATA=mine.zarr` tells the same story of other spectra; [](../book/your_data.md) shows how."""


def notebook_sources() -> list[Path]:
    """The notebooks in the order of the book."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))


def conditions(run: Run) -> dict[str, bool]:
    """What the run's data can show; a cell tagged ``needs-<name>`` or ``without-<name>`` depends on it."""
    data = raw_spectra(run)
    return {
        "images": has_images(data),
        "truth": has_truth(data),
        "positive": bool(data.attrs["positive_classes"]),
        "simulated": bool(data.attrs["is_simulated"]),
    }


def applicable(cell, known: dict[str, bool]) -> bool:
    """Whether a cell belongs in the book of data for which `known` holds."""
    for tag in cell.metadata.get("tags", []):
        kind, _, name = tag.partition("-")
        if kind in ("needs", "without") and name in known and known[name] != (kind == "needs"):
            return False
    return True


def parameters(run: Run, profile: str, changes: Iterable[str]) -> dict[str, Any]:
    """What papermill puts into the cell tagged ``parameters``, the same wherever a notebook runs.

    Parameters
    ----------
    run : Run
    profile : str
        As the user gave it, who may stand in another folder than the notebooks.
    changes : iterable of str
        Names of the settings that the user changed; their values are those that the settings have checked.
    """
    settings = run.settings
    checked = settings.model_dump(mode="json")
    return {
        "profile": str(Path(profile).resolve()) if profile.endswith((".yaml", ".yml")) else profile,
        "data": settings.data or "",
        "out": settings.out,
        "seed": settings.seed,
        "changes": {name: reduce(getitem, name.split("."), checked) for name in changes},
    }


def page_task(run: Run, source: Path, values: dict[str, Any]) -> Task:
    """The task of one page, made again when its source, the library, the settings or the data have changed.

    Its artefact holds ``<name>.ipynb`` as executed, and the figures it published as SVG and PDF.
    """
    return Task(
        f"executed/{source.stem}",
        execute_page,
        source=untracked(source),
        parameters=untracked(values),
        figures=untracked(run.figure_folder),
        known=conditions(run),
        depends_on={
            "notebook": file_hash(source),
            "settings": run.settings.model_dump(mode="json", exclude={"out", "workers", "scheduler", "tls"}),
            "data": raw(run),
            "fusion": fusion_fingerprint(run),
            "measured": folder_fingerprint(BOOK / "measured"),
            "shown": code_fingerprint([NOTEBOOKS / "shown"]),
            "library": library(),
        },
    )


def execute_page(
    out: Path, work: Path, source: Path, parameters: dict, figures: Path, known: dict[str, bool], depends_on: dict
) -> None:
    """Run a notebook for the book; what it depends on beside its arguments, `depends_on`, its cells read themselves.

    Raises
    ------
    FtirlibError
        When a cell fails: the notebook, the cell and the error's last line.
    """
    import jupytext

    notebook = jupytext.read(source)
    notebook.cells = [cell for cell in notebook.cells if applicable(cell, known)] + closing_cells(source.stem)
    done = out / f"{source.stem}.ipynb"
    run_papermill(notebook, done, parameters, source.name)
    for name in figure_names(notebook):
        for suffix in (".svg", ".pdf"):
            picture = figures / f"{name}{suffix}"
            if not picture.is_file():
                raise StoreError(
                    f"'{source.name}' names the figure '{name}' but did not publish it; "
                    f"end the cell with run.publish(figure, '{name}')."
                )
            shutil.copy(picture, out / picture.name)
    _finish(done)


def figure_names(notebook) -> list[str]:
    """Names of the figures that a notebook's cells declare for the book."""
    cells = (cell.metadata.get("mystnb", {}).get("figure", {}).get("name") for cell in notebook.cells)
    return [name for name in cells if name]


def closing_cells(stem: str) -> list:
    """Cells that end each page of the book: how to see it of other data, and the end of its run."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    end = new_code_cell("run.close()", metadata={"tags": ["remove-cell"]})
    return [end] if stem in OTHER_SPECTRA else [new_markdown_cell(CLOSING), end]


def run_papermill(notebook, target: Path, values: dict, name: str) -> None:
    """Run a notebook with parameters in the notebooks' folder; a failing cell is one sentence that names it."""
    import jupytext
    import papermill
    from papermill.exceptions import PapermillExecutionError

    wanted = target.with_name(f"wanted-{target.name}")
    notebook.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3", "language": "python"})
    jupytext.write(notebook, wanted)
    try:
        with environment(MPLBACKEND=INLINE):  # the kernel inherits it; with any other backend, cells show no figures
            papermill.execute_notebook(
                wanted,
                target,
                values,
                kernel_name="python3",
                cwd=NOTEBOOKS,
                progress_bar=False,
                log_output=False,
                extra_arguments=["--log-level=40"],  # errors only: a kernel greets with warnings that concern nobody
            )
    except PapermillExecutionError as error:
        last = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
        first_line = next((line for line in error.source.splitlines() if line.strip()), "")
        raise FtirlibError(f"notebook '{name}', cell {error.cell_index} ('{first_line}') failed: {last}") from None
    finally:
        wanted.unlink()


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables of the environment for the length of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _clean(notebook) -> None:
    """Drop when a notebook ran and how long it took, which differ from run to run."""
    for part in (notebook, *notebook.cells):
        for name in ("papermill", "execution"):
            part.metadata.pop(name, None)


def _finish(path: Path) -> None:
    """Put download links below each figure, and hide the parameters that papermill put in."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    _clean(notebook)
    cells = []
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = [*cell.metadata["tags"], "remove-cell"]
        cells.append(cell)
        for name in figure_names(nbformat.v4.new_notebook(cells=[cell])):
            links = f"{{download}}`SVG <figures/{name}.svg>` · {{download}}`PDF <figures/{name}.pdf>`"
            link = nbformat.v4.new_markdown_cell(f":::{{div}} figure-downloads\n{links}\n:::")
            link.id = f"downloads-{name}"[:64]
            cells.append(link)
    notebook.cells = cells
    nbformat.write(notebook, path)


def refresh_pairs(names: list[str] | None = None) -> str:
    """Run notebooks as they stand (the smoke profile) and write their paired ``.ipynb`` files.

    Parameters
    ----------
    names : list of str, optional
        Beginnings of names, such as ``03``; all notebooks without it.

    Returns
    -------
    str
        Names of the files that were written.
    """
    import jupytext
    import nbformat

    chosen = [p for p in notebook_sources() if not names or any(p.stem.startswith(n) for n in names)]
    if not chosen:
        raise FtirlibError(f"no notebook begins with {names}; there are {[p.stem for p in notebook_sources()]}.")
    # an empty results folder, as nbval has: with results at hand, cells would read back what they are to make
    with tempfile.TemporaryDirectory() as folder, environment(FTIRLIB_RESULTS=folder):
        for source in chosen:
            done = Path(folder) / "done.ipynb"
            run_papermill(jupytext.read(source), done, {}, source.name)
            result = nbformat.read(done, as_version=4)
            _clean(result)
            for k, cell in enumerate(result.cells):
                cell.id = f"cell-{k}"
                if cell.cell_type == "code":
                    # text on stderr names files and lines of the machine that ran it
                    cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
                    if not cell.metadata.get("tags"):
                        cell.metadata.pop("tags", None)
            nbformat.write(result, NOTEBOOKS / f"{source.stem}.ipynb")
    return "\n".join(f"wrote {NOTEBOOKS.name}/{source.stem}.ipynb" for source in chosen)


def build_book(run: Run, profile: str, changes: Iterable[str] = (), *, strict: bool = True) -> Path:
    """Execute what has changed, lay out the site and build it.

    Parameters
    ----------
    run : Run
    profile, changes
        As in `parameters`.
    strict : bool
        Whether a warning of Sphinx is an error.

    Returns
    -------
    Path
        ``index.html`` of the book.

    Raises
    ------
    FtirlibError
        When a notebook fails, or Sphinx warns.
    """
    with run.driving():  # the notebooks are its children, and may make stages too
        return _build(run, parameters(run, profile, changes), strict)


def _build(run: Run, values: dict[str, Any], strict: bool) -> Path:
    site = run.store.root / "site"
    pages = site / "notebooks"
    run.stop_workers()  # its workers would only hold memory while notebooks run
    executed = [run.make(page_task(run, source, values)).path for source in notebook_sources()]
    shutil.rmtree(pages, ignore_errors=True)
    (pages / "figures").mkdir(parents=True)
    for folder in executed:
        for path in folder.iterdir():
            if path.suffix == ".ipynb":
                shutil.copy(path, pages / path.name)
            elif path.suffix in (".svg", ".pdf"):
                shutil.copy(path, pages / "figures" / path.name)
    for name in SITE_FILES:
        shutil.copy(PROJECT / name, site / name)
    shutil.copytree(BOOK, site / "book", dirs_exist_ok=True)
    tables = {"settings": settings_table(run), "times": time_table(run), "machine": machine_table()}
    for name, table in tables.items():  # only a run can know them
        write_text(site / "book" / "generated" / f"{name}.md", table)
    html = html_folder(run)
    state = fingerprint(
        {
            "site": {name: folder_fingerprint(site / name) for name in ("notebooks", "book")},
            "config": [file_hash(site / name) for name in SITE_FILES],
            "code": library(),
        }
    )
    stamp = html / ".built-from"
    if (html / "index.html").is_file() and stamp.is_file() and stamp.read_text() == state:
        run.report("book: nothing changed")
        return html / "index.html"
    run.report("book: building pages")
    stamp.unlink(missing_ok=True)
    _sphinx(site, html.parent.parent, strict)
    write_text(stamp, state)
    return html / "index.html"


def html_folder(run: Run) -> Path:
    """Where the pages go: the project's ``_build/html`` for the published book, else beside the run's results."""
    root = run.store.root
    published = run.settings.data is None and root == PROJECT / "results" / run.settings.profile
    return (PROJECT if published else root) / "_build" / "html"


def _sphinx(site: Path, output: Path, strict: bool) -> None:
    jupyter_book = str(Path(sys.executable).with_name("jupyter-book"))
    command = [jupyter_book, "build", str(site), "--path-output", str(output), "--all"]
    if strict:
        command += ["-W", "-n", "--keep-going"]
    log = site / "build.log"
    with open(log, "w", encoding="utf-8") as handle:
        code = subprocess.run(command, stdout=handle, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8"))
        complaints = [line for line in text.splitlines() if "WARNING" in line or "ERROR" in line or "Error" in line]
        shown = "\n  ".join(complaints[:20]) or text[-1500:]
        raise FtirlibError(f"the pages did not build; see '{log}':\n  {shown}")
