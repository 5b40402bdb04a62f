"""The notebooks' second halves: each ``.ipynb`` holds the cells of its ``.py`` and the outputs of the smoke profile."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ftirlib.command.book import NOTEBOOKS, notebook_sources, run_papermill
from ftirlib.errors import FtirlibError


def refresh_pairs(names: list[str] | None = None) -> str:
    """Run notebooks as they stand (the smoke profile) and write their paired files.

    Parameters
    ----------
    names : list of str, optional
        Beginnings of names, such as ``03``; all notebooks without it.

    Returns
    -------
    str
        What was written.
    """
    import jupytext
    import nbformat

    chosen = [p for p in notebook_sources() if not names or any(p.stem.startswith(n) for n in names)]
    if not chosen:
        raise FtirlibError(f"no notebook begins with {names}; there are {[p.stem for p in notebook_sources()]}.")
    with tempfile.TemporaryDirectory() as folder:
        # an empty results folder, as nbval has: with results at hand, cells would read back what they are to make
        before = os.environ.get("FTIRLIB_RESULTS")
        os.environ["FTIRLIB_RESULTS"] = folder
        try:
            for source in chosen:
                wanted, done = Path(folder) / "wanted.ipynb", Path(folder) / "done.ipynb"
                notebook = jupytext.read(source)
                jupytext.write(notebook, wanted)
                run_papermill(wanted, done, {}, source)
                result = nbformat.read(done, as_version=4)
                _clean(result)
                nbformat.write(result, NOTEBOOKS / f"{source.stem}.ipynb")
        finally:
            if before is None:
                os.environ.pop("FTIRLIB_RESULTS", None)
            else:
                os.environ["FTIRLIB_RESULTS"] = before
    return "\n".join(f"wrote {NOTEBOOKS.name}/{source.stem}.ipynb" for source in chosen)


def _clean(notebook) -> None:
    """Keep what the source says and what the cells gave; drop when and where they ran."""
    notebook.metadata.pop("papermill", None)
    for k, cell in enumerate(notebook.cells):
        cell.id = f"cell-{k}"
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if cell.cell_type == "code":
            # text on stderr names files and lines of the machine that ran it
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
            if not cell.metadata.get("tags"):
                cell.metadata.pop("tags", None)
