"""Pages of the book: parameters that hold in any folder, and pages executed again when, and only when, they must be."""

import jupytext
import pytest

from ftirlib.command import book
from ftirlib.engine.driver import Artefact
from ftirlib.errors import FtirlibError
from ftirlib.method import open_run
from ftirlib.method.settings import PROFILES

SOURCE = """# %% tags=["parameters"]
seed = 0

# %%
print(seed)

# %% tags=["needs-images"]
1 / 0
"""


def test_parameters_hold_in_the_folder_of_the_notebooks(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text((PROFILES / "smoke.yaml").read_text())
    weights = {"resnet50": ["weights.safetensors", "0" * 64]}
    changes = {"fusion.data": "mine.zarr", "fusion.weights": weights, "members.epochs": 7, "scores.confidence": 0.9}
    monkeypatch.chdir(tmp_path)
    run = open_run("mine.yaml", changes=changes, out=str(tmp_path / "out"))
    values = book.parameters(run, "mine.yaml", changes)
    assert values["profile"] == str(tmp_path / "mine.yaml")
    assert values["changes"] == {
        "fusion.data": str(tmp_path / "mine.zarr"),
        "fusion.weights": {"resnet50": [str(tmp_path / "weights.safetensors"), "0" * 64]},
        "members.epochs": 7,
        "scores.confidence": 0.9,
    }
    monkeypatch.chdir("/")
    assert open_run(**values | {"data": values["data"] or None}).settings == run.settings


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A run without results, the source of a page, and the function that gives the page's task."""
    monkeypatch.setattr(book, "raw", lambda run: Artefact("", "colon.zarr", "content"))
    monkeypatch.setattr(book, "fusion_fingerprint", lambda run: {})
    monkeypatch.setattr(book, "conditions", lambda run: {"images": False})
    monkeypatch.setattr(book, "closing_cells", lambda stem: [])
    source = tmp_path / "10_trust.py"
    source.write_text(SOURCE)

    def task(out="out", **given):
        run = open_run("smoke", out=str(tmp_path / out), **given)
        return run, book.page_task(run, source, book.parameters(run, "smoke", given.get("changes", {})))

    return source, task


def test_a_page_is_executed_again_when_it_has_changed_and_not_otherwise(page, monkeypatch):
    source, task = page
    run, first = task()
    made = run.make(first)
    assert run.made == ["executed/10_trust"]
    cells = jupytext.read(made.path / "10_trust.ipynb").cells
    assert [out["text"] for cell in cells for out in cell.get("outputs", [])] == ["0\n"]  # the third does not apply

    assert run.is_current(task(changes={"workers": 7}, scheduler="tcp://localhost:1")[1])
    assert not run.is_current(task(seed=1)[1])
    assert not run.is_current(task(changes={"members.epochs": 7})[1])
    for name, other in (
        ("raw", Artefact("", "colon.zarr", "other content")),
        ("fusion_fingerprint", {"weights": "other"}),
        ("conditions", {"images": True}),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(book, name, lambda run, other=other: other)
            assert not run.is_current(task()[1]), name
    for name in ("library", "folder_fingerprint", "code_fingerprint"):
        with monkeypatch.context() as patched:
            patched.setattr(book, name, lambda *arguments: "other")
            assert not run.is_current(task()[1]), name
    assert run.is_current(task()[1])
    source.write_text(SOURCE + "\n# more\n")
    assert not run.is_current(task()[1])


def test_a_failing_cell_is_named(page):
    source, task = page
    source.write_text('# %% tags=["parameters"]\nseed = 0\n\n# %%\n1 / seed\n')
    run, failing = task()
    with pytest.raises(
        FtirlibError, match=r"notebook '10_trust.py', cell \d+ \('1 / seed'\) failed: ZeroDivisionError"
    ):
        run.make(failing)
    assert not run.is_current(failing)
