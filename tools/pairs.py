"""Refuse notebooks whose two files disagree: ``python tools/pairs.py notebooks``.

Cells are compared, not dates, because git keeps no dates; an ``.ipynb`` without outputs is refused as well, since
nbval would have nothing to compare with.
"""

import sys
from pathlib import Path

import jupytext


def problems(folder):
    """One sentence for each pair that is not whole.

    Parameters
    ----------
    folder : path of a folder with ``NN_name.py`` and ``NN_name.ipynb``

    Returns
    -------
    list of str
    """
    found = []
    stems = {path.stem for suffix in ("py", "ipynb") for path in Path(folder).glob(f"[0-9][0-9]_*.{suffix}")}
    if not stems:
        found.append(f"there are no notebooks in '{folder}'")
    for stem in sorted(stems):
        text, notebook = (Path(folder) / f"{stem}{suffix}" for suffix in (".py", ".ipynb"))
        missing = [path.name for path in (text, notebook) if not path.is_file()]
        if missing:
            found.append(f"{missing[0]} is missing")
            continue
        left, right = cells(text), cells(notebook)
        if left != right:
            k = next((k for k, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
            found.append(f"{text.name} and {notebook.name} differ from cell {k} on")
        elif not any(cell.get("outputs") for cell in jupytext.read(notebook).cells):
            found.append(f"{notebook.name} holds no outputs")
    return found


def cells(path):
    """Kind, text and tags of each cell."""
    return [
        (cell.cell_type, cell.source.strip(), tuple(cell.metadata.get("tags", ())))
        for cell in jupytext.read(path).cells
    ]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/pairs.py FOLDER")
    complaints = problems(sys.argv[1])
    if complaints:
        sys.exit("\n".join([*complaints, "'make notebooks' makes the .ipynb files from the .py files again"]))
