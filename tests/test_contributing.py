"""The examples of CONTRIBUTING.md, each run as it is written, against the library."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from ftirlib.classify.baselines import BASELINES, make_baseline
from ftirlib.engine.store import Store
from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.importing.formats import registry
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.prepare.recipe import STEPS, build_recipe

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = {
    title: re.findall(r"^```python\n(.*?)^```$", body, flags=re.MULTILINE | re.DOTALL)
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
}
KINDS = (
    "A reader of a file format",
    "A step of a recipe",
    "A model to compare with (a baseline)",
    "A stage of a run",
    "A figure",
    "A chapter",
)


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Runs an example as a module, in an empty folder; what it registers is taken back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FTIRLIB_RESULTS", raising=False)
    formats, steps, baselines = registry.FORMATS[:], dict(STEPS), dict(BASELINES)

    def run(title):
        (code,) = EXAMPLES[title]
        path = tmp_path / "example.py"
        path.write_text(code, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("contributed", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield run
    registry.FORMATS[:] = formats
    for table, before in ((STEPS, steps), (BASELINES, baselines)):
        table.clear()
        table.update(before)


def said(title):
    """What the comments behind the example's ``print`` lines say is printed."""
    return [line.split("#", 1)[1].strip() for line in EXAMPLES[title][0].splitlines() if line.startswith("print(")]


def printed(capsys):
    """What the example printed, arrays of several lines joined."""
    return " ".join(capsys.readouterr().out.split())


def test_each_kind_has_one_example_and_no_other_section_has_any():
    assert {title for title, examples in EXAMPLES.items() if examples} == set(KINDS)
    assert all(len(EXAMPLES[title]) == 1 for title in KINDS)


def test_reader(example, capsys):
    data = example(KINDS[0]).data
    np.testing.assert_array_equal(data.wavenumber, [1000, 1400, 1800])
    np.testing.assert_allclose(data.absorbance, [[0.3, 0.2, 0.1]], rtol=1e-6)
    assert said(KINDS[0]) == [f"{printed(capsys)}, by ascending wavenumber"]
    assert registry.recognise(Path("one.pls"))[1].name == "PLAINSPEC"


def test_recipe_step(example, capsys):
    module = example(KINDS[1])
    np.testing.assert_allclose(open_spectra("prepared.zarr").absorbance, [[0, 1, 2], [2, 1, 0]])
    assert said(KINDS[1]) == [printed(capsys)]
    assert "minmax" in str(module.data.attrs["recipe"])
    with pytest.raises(DataError, match="constant"):
        build_recipe([{"minmax": {}}], [1000, 1400]).transform(np.ones((1, 2)))
    with pytest.raises(SettingsError):
        build_recipe([{"minmax": {"bottom": 1}}], [1000, 1400])


def test_baseline(example, capsys):
    module = example(KINDS[2])
    assert said(KINDS[2]) == [printed(capsys)]
    assert isinstance(make_baseline("nearest"), module.Nearest)
    assert (module.model.predict(module.spectra) == module.label).mean() > 0.95


def test_stage(example, capsys):
    module = example(KINDS[3])
    shown = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in said(KINDS[3])] == shown
    store = Store("results/example")
    assert store.is_current("class-means", module.artefact.key) and store.damaged("class-means") == []


def test_figure(example):
    module = example(KINDS[4])
    assert len(module.ax.collections) == 2
    assert module.svg.read_text(encoding="utf-8").startswith("<?xml") and module.pdf.stat().st_size > 1000


def test_chapter(tmp_path):
    import nbformat

    from ftirlib.command.book import page_task, parameters
    from ftirlib.method import open_run

    changes = {"phantom.side": 6, "workers": 1}
    header = re.match(
        r"# ---\n.*?# ---\n\n", (ROOT / "notebooks" / "01_data.py").read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "14_classes.py").write_text(header[0] + EXAMPLES[KINDS[5]][0], encoding="utf-8")
    with open_run("smoke", out=tmp_path / "results", changes=changes) as run:
        values = parameters(run, "smoke", changes)
        done = run.make(page_task(run, tmp_path / "14_classes.py", values)).path
    assert (done / "fig-classes.svg").is_file() and (done / "fig-classes.pdf").is_file()
    cells = nbformat.read(done / "14_classes.ipynb", as_version=4).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/svg+xml" in output.get("data", {}) or "image/png" in output.get("data", {}) for output in outputs)
    assert any("<table" in str(output.get("data", {}).get("text/html")) for output in outputs)
