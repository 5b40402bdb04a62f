"""The check of notebook pairs notices what it is for."""

import jupytext
import nbformat
import pytest
from conftest import ROOT

from ftirlib.command.book import OTHER_SPECTRA, closing_cells, notebook_sources

SOURCE = """# %% [markdown]
# # A question

# %% tags=["parameters"]
seed = 0

# %%
print(seed)
"""


@pytest.fixture
def problems(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from pairs import problems

    return problems


@pytest.fixture
def pair(tmp_path):
    """Folder with one notebook whose two files agree, outputs included."""
    (tmp_path / "00_name.py").write_text(SOURCE)
    notebook = jupytext.reads(SOURCE, fmt="py:percent")
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="0\n")]
    notebook.cells[2].execution_count = 1
    nbformat.write(notebook, tmp_path / "00_name.ipynb")
    return tmp_path


def test_whole_pair(problems, pair):
    assert problems(pair) == []


def test_changed_cell(problems, pair):
    (pair / "00_name.py").write_text(SOURCE.replace("print(seed)", "print(seed + 1)"))
    assert problems(pair) == ["00_name.py and 00_name.ipynb differ from cell 2 on"]


def test_changed_tag(problems, pair):
    (pair / "00_name.py").write_text(SOURCE.replace(' tags=["parameters"]', ""))
    assert problems(pair) == ["00_name.py and 00_name.ipynb differ from cell 1 on"]


def test_added_cell(problems, pair):
    (pair / "00_name.py").write_text(SOURCE + "\n# %%\nseed\n")
    assert problems(pair) == ["00_name.py and 00_name.ipynb differ from cell 3 on"]


def test_missing_half(problems, pair):
    (pair / "00_name.ipynb").unlink()
    assert problems(pair) == ["00_name.ipynb is missing"]


def test_no_notebooks(problems, tmp_path):
    assert problems(tmp_path) == [f"there are no notebooks in '{tmp_path}'"]


def test_stripped_outputs(problems, pair):
    nbformat.write(jupytext.reads(SOURCE, fmt="py:percent"), pair / "00_name.ipynb")
    assert problems(pair) == ["00_name.ipynb holds no outputs"]


def test_pairs_of_this_project(problems):
    assert problems(ROOT / "notebooks") == []


def test_the_builder_ends_every_page_and_no_page_ends_itself():
    for source in notebook_sources():
        *told, end = closing_cells(source.stem)
        assert end.source == "run.close()" and end.metadata["tags"] == ["remove-cell"]
        assert bool(told) == (source.stem not in OTHER_SPECTRA)
        text = source.read_text(encoding="utf-8")
        assert "run.close()" not in text
    assert set(OTHER_SPECTRA) < {source.stem for source in notebook_sources()}
