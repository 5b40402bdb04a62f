"""The rules of the house: who may import whom, what loads when, and what every module says first."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ftirlib"
ROOMS = ["engine", "spectra", "sources", "classify", "explain", "report", "method", "command"]
MAY_IMPORT = {room: set(ROOMS[: k + 1]) for k, room in enumerate(ROOMS)} | {"report": {"engine", "spectra", "report"}}
MODULES = sorted(p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py"))
GROUND = {"errors", "files", "html_page", "settings", "__version__"}
HEAVY = {"torch", "sklearn", "xgboost", "matplotlib", "zarr", "xarray", "pandas", "umap", "numba", "scipy", "lime"}


def imported(tree):
    """Modules of ftirlib that a module imports anywhere in it, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("name", [m for m in MODULES if "/" in m])
def test_room_imports_only_from_rooms_above(name):
    room = name.split("/")[0]
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
    used = {m.split(".")[1] for m in imported(tree) if m.startswith("ftirlib.")}
    assert used <= MAY_IMPORT[room] | GROUND, f"ftirlib/{name} imports from {used}"
    if room not in ("engine", "method", "command"):  # the package's own names lead back up the stairs
        assert "ftirlib" not in set(imported(tree))


def test_no_module_imports_itself_through_others():
    """An import may stand in a function; a circle of imports still means that two files are one thought."""
    named = {"ftirlib." + m.removesuffix(".py").removesuffix("/__init__").replace("/", "."): m for m in MODULES}
    uses = {}
    for name, path in named.items():
        tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
        modules = {m for m in imported(tree) if m in named and m != name}
        uses[name] = {m for m in modules if not any(other.startswith(f"{m}.") for other in modules)}
    while ends := {n for n, others in uses.items() if not others & uses.keys() or n not in set().union(*uses.values())}:
        uses = {name: others for name, others in uses.items() if name not in ends}
    assert not uses, f"imports run in a circle among {sorted(uses)}"


@pytest.mark.parametrize("name", MODULES)
def test_module_says_what_it_is(name):
    doc = ast.get_docstring(ast.parse((PACKAGE / name).read_text(encoding="utf-8")))
    assert doc, f"ftirlib/{name} has no docstring"
    assert doc.splitlines()[0].endswith((".", ":", "?")), f"the first line of ftirlib/{name} is no sentence"


def test_every_room_is_known():
    assert {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").is_file()} == set(ROOMS)


def test_import_of_the_package_loads_nothing_heavy():
    code = "import sys, ftirlib; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "ftirlib" in loaded
    assert HEAVY.isdisjoint(loaded)


def test_every_public_name_is_where_it_is_said_to_be():
    import ftirlib

    assert len(ftirlib.__all__) == len(set(ftirlib.__all__))
    for name in ftirlib.__all__:
        assert getattr(ftirlib, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = ftirlib.Nothing


def test_an_edit_of_the_engine_or_of_a_command_makes_no_result_again(tmp_path, monkeypatch):
    """The key of a result knows the rooms it is made in, and those before them."""
    import shutil

    from ftirlib.method import run

    copy = tmp_path / "ftirlib"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(run, "__file__", str(copy / "method" / "run.py"))
    fingerprints = run.room_fingerprint.__wrapped__
    before = {room: fingerprints(room) for room in run.ROOMS}
    assert [*run.ROOMS] == [room for room in ROOMS if room not in ("engine", "method", "command")]
    for room in ("engine", "method", "command"):
        (copy / room / "__init__.py").write_text("changed = True\n")
    assert {room: fingerprints(room) for room in run.ROOMS} == before
    (copy / "classify" / "__init__.py").write_text("changed = True\n")
    assert [room for room in run.ROOMS if fingerprints(room) != before[room]] == ["classify", "explain", "report"]
