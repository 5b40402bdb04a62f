"""The files around the library agree with one another: pyproject, lock, conda environment, README, book."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
import rattler
import yaml
from conftest import WHOLE_RUNS
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import ftirlib

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = [Requirement(r) for r in (*PYPROJECT["dependencies"], *PYPROJECT["optional-dependencies"]["dev"])]
CONDA_NAMES = {"torch": "pytorch", "xgboost": "py-xgboost", "xgboost-cpu": "py-xgboost"}
CONDA_ONLY = {"python", "pip", "setuptools"}
SYSTEMS = ("linux", "darwin", "win32")
PYTHONS = ("3.11", "3.12", "3.13")


def lock_lines():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]


def machine(python, system):
    """Marker environment of a CPython on a system."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "nt" if system == "win32" else "posix",
        "extra": "",
    }


def applies(requirement, environment):
    return requirement.marker is None or requirement.marker.evaluate(environment)


def project_files():
    """Files that a clone has: tracked ones, and new ones that git does not ignore."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True
    )
    if listing.returncode:
        pytest.skip("not a git checkout, so there is no list of the project's files")
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@cache
def text_files():
    """Names and text of the project's own files; of notebooks without pictures, whose letters say nothing."""
    found = {}
    for path in project_files():
        name = path.relative_to(ROOT).as_posix()
        if "_static/mathjax" in name:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found[name] = re.sub(r'"image/png": "[^"]*"', '"image/png": ""', text) if name.endswith(".ipynb") else text
    return found


# --- versions and ranges ---------------------------------------------------------------------------------------------


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {PYPROJECT["version"], ftirlib.__version__, str(citation["version"])} == {PYPROJECT["version"]}


def test_citation_has_what_the_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["license"] == PYPROJECT["license"]
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_lock_satisfies_declared_ranges(python, system):
    environment = machine(python, system)
    locked = {}
    for line in lock_lines():
        if applies(line, environment):
            name = canonicalize_name(line.name)
            assert name not in locked, f"{name} is locked twice for Python {python} on {system}"
            (pin,) = line.specifier
            assert pin.operator == "==", f"{line} is not a pin"
            locked[name] = Version(pin.version)
    for requirement in DECLARED:
        if applies(requirement, environment):
            found = locked.get(canonicalize_name(requirement.name))
            assert found is not None, f"{requirement.name} is not in requirements.lock for Python {python} on {system}"
            assert found in requirement.specifier, f"{requirement} but the lock has {found}"


def test_lock_names_no_build_and_no_place():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "+cpu" not in text  # a local build cannot be had from the package index
    assert "://" not in text and "--" not in text


def test_tested_pythons_are_the_declared_ones():
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PYPROJECT["requires-python"]).groups()
    assert [f"3.{minor}" for minor in range(int(low), int(high))] == list(PYTHONS)
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == list(PYTHONS)


def test_conda_environment_agrees_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge"]
    conda = {}
    lines = [line for line in environment["dependencies"] if isinstance(line, str)]
    (by_pip,) = (line["pip"] for line in environment["dependencies"] if isinstance(line, dict))
    for line in by_pip:
        requirement = Requirement(line)
        conda[canonicalize_name(requirement.name)] = str(requirement.specifier)
    for line in lines:
        spec = rattler.MatchSpec(line, strict=True)
        name = str(spec.name.normalized if hasattr(spec.name, "normalized") else spec.name)
        assert name not in conda, f"{name} is listed twice in environment.yml"
        conda[name] = line.partition(" ")[2]
    wanted = {"python": PYPROJECT["requires-python"]}
    for requirement in DECLARED:
        name = canonicalize_name(requirement.name)
        wanted[CONDA_NAMES.get(name, name)] = str(requirement.specifier)
    assert conda.keys() - CONDA_ONLY == wanted.keys() - CONDA_ONLY
    for name, specifier in wanted.items():
        assert set(conda[name].split(",")) == set(specifier.split(",")), name


def test_installed_is_what_is_locked():
    here = {"extra": ""}
    for line in lock_lines():
        if line.name in ("torch", "scikit-learn", "numpy") and applies(line, here):
            assert Version(version(line.name)).public in line.specifier


def test_a_wheel_holds_the_library_with_its_profiles(tmp_path):
    source = tmp_path / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "ftirlib", source / "ftirlib", ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools.build_meta import build_wheel; build_wheel('..')"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True)
    if "No module named 'setuptools'" in done.stderr:
        pytest.skip("setuptools is not installed")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("ftirlib/")}
    files = {p.relative_to(source).as_posix() for p in (source / "ftirlib").rglob("*") if p.is_file()}
    assert held == files
    assert {f"ftirlib/method/profiles/{name}.yaml" for name in ("smoke", "quick", "paper")} <= held


# --- README and commands ---------------------------------------------------------------------------------------------


def test_readme_gives_a_reason_for_each_dependency():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("## Why each dependency")[1].split("\n## ")[0]
    reasons = dict(re.findall(r"^\| ([\w-]+) \| (.+) \|$", table, flags=re.MULTILINE))
    del reasons["package"]
    assert {canonicalize_name(r.name) for r in DECLARED} == reasons.keys()
    assert min(len(reason) for reason in reasons.values()) > 3


def test_ci_runs_the_commands_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(make \w+)  ", readme.split("## Two commands")[1].split("##")[0], flags=re.MULTILINE)
    assert sorted(commands) == ["make book", "make test"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    for command in commands:
        assert re.search(rf"^step {command}$", script, flags=re.MULTILINE), command


def test_make_knows_what_readme_and_ci_call():
    called = set()
    for name in ("README.md", ".ci/run", ".github/workflows/test.yml", ".github/workflows/book.yml"):
        called |= set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / name).read_text(encoding="utf-8")))
    called -= {"it", "and", "makes"}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert {"book", "test", "env"} <= called
    assert called <= targets


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    shown = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True)
    if shown.returncode == 127:
        pytest.skip("make is not installed")
    assert {line.split()[0] for line in shown.stdout.splitlines()} == set(phony.split())


def test_files_handed_out_first_are_there():
    assert set(WHOLE_RUNS) <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}


def test_local_links_of_readme_lead_somewhere():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", readme):
        assert (ROOT / link).exists(), link


def pages():
    """README, CONTRIBUTING and the pages of the book that are no notebooks."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "book").glob("*.md")]


NEW = ("formats/plain.py", "14_classes.py", "14_classes.ipynb", "shown/classes.py")  # what examples would make


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    folders = "ftirlib|notebooks|book|tests|benchmarks|tools|data/README"
    for name in re.findall(rf"`((?:{folders})[/.][\w./*]*)`", page.read_text(encoding="utf-8")):
        if name.startswith("ftirlib."):  # a module, or a name in one
            *module, last = name.split(".")
            inside = ROOT.joinpath(*module)
            there = any(path.exists() for path in (inside / last, inside / f"{last}.py", inside.with_suffix(".py")))
        else:
            there = any(ROOT.glob(name.rstrip("/"))) or name.endswith(NEW)
        assert there, f"{page.name} names '{name}'"


def test_layout_of_the_readme_has_every_folder_of_the_library():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = re.search(r"## How the code is laid out.*?```text\n(.*?)```", readme, flags=re.DOTALL)[1]
    above, listed = [], set()
    for indent, name in re.findall(r"^( *)(\w+)/", tree, flags=re.MULTILINE):
        above[len(indent) // 2 :] = [name]
        listed.add("/".join(above))
    assert all((ROOT / folder).is_dir() for folder in listed)
    packages = {p.parent.relative_to(ROOT).as_posix() for p in (ROOT / "ftirlib").rglob("__init__.py")}
    assert listed >= packages | {"ftirlib/method/profiles", "notebooks/shown", "book", "tests", "benchmarks", "tools"}


# --- book ------------------------------------------------------------------------------------------------------------


def test_table_of_contents_has_the_static_pages():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    pages = re.findall(r"(?:file|root): (\S+)", toc)
    assert len(pages) == len(set(pages))
    assert all(Path(page).suffix in (".md", ".ipynb") for page in pages)  # a stem alone may match several files
    listed = {page for page in pages if page.startswith("book/")}
    assert listed == {f"book/{p.name}" for p in (ROOT / "book").glob("*.md")}


def test_table_of_contents_has_the_notebooks():
    sources = sorted(p.stem for p in (ROOT / "notebooks").glob("[0-9][0-9]_*.py"))
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert re.findall(r"notebooks/(\w+)\.ipynb", toc) == sources


def test_api_page_has_every_public_name():
    page = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. auto\w+:: (\w+)$", page, flags=re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(ftirlib.__all__) - {"__version__"}


def test_citations_are_in_the_bibliography_and_used():
    known = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "book/references.bib").read_text(encoding="utf-8"), re.MULTILINE))
    used = set()
    for page in [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.py")]:
        for keys in re.findall(r"\{cite(?::\w+)?\}`([\w, ]+)`", page.read_text(encoding="utf-8")):
            used |= {key.strip() for key in keys.split(",")}
    assert used == known


def test_configuration_asks_for_nothing_from_the_network():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["execute"]["execute_notebooks"] == "off"
    assert config["only_build_toc_files"] is True
    options = config["sphinx"]["config"]
    assert (ROOT / "book" / "_static" / options["mathjax_path"]).is_file()
    assert options["nb_ipywidgets_js"] == {}


@pytest.mark.parametrize(
    ("body", "script", "found"),
    [
        ('<img src="../_images/a.svg"><a href="https://doi.org/10.1">cited</a>', "_static/a.js", []),
        ('<img alt="x" src="https://elsewhere.org/a.png">', "_static/a.js", ["https://elsewhere.org/a.png"]),
        ("<script src='//elsewhere.org/a.js'></script>", "_static/a.js", ["//elsewhere.org/a.js"]),
        ("", "https://elsewhere.org/b.js", ["https://elsewhere.org/b.js"]),
    ],
)
def test_page_that_needs_a_network_is_noticed(monkeypatch, body, script, found):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    from offline import fetched

    page = {"body": body, "script_files": [SimpleNamespace(filename=script)], "css_files": []}
    assert list(fetched(page)) == found


def test_mathjax_comes_with_its_licence_and_fonts():
    folder = ROOT / "book" / "_static" / "mathjax"
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert len(list((folder / "output/chtml/fonts/woff-v2").glob("*.woff"))) > 20


# --- what must not be in the repository ------------------------------------------------------------------------------

FORBIDDEN = {
    "a path of one machine": r"(?<![\w.<>\"'`-])/(?:work|home|root|Users|mnt|opt)/\w",
    "a package index": r"pypi\.(?:org|python)|download\.pytorch|files\.pythonhosted|find-links[= ]+/",
    "pickle or code from data": r"^\s*(?:import|from) (?:pickle|dill)\b|\btorch\.load\(|(?<![.\w])eval\(|read_pickle",
    "unfinished work": r"\b(?:TODO|FIXME|XXX|HACK)\b",
    "a global seed": r"\bnp\.random\.seed\(|(?<!\w)random\.seed\(",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what):
    pattern = re.compile(FORBIDDEN[what], flags=re.MULTILINE)
    found = []
    for name, text in text_files().items():
        if name == "tests/test_packaging.py":
            continue
        for match in pattern.finditer(text):
            found.append(f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group().strip()}")
    assert not found, f"{what} in:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a path of one machine", "data at /home/me/x"),
        ("a package index", "--index-url https://pypi.org/simple"),
        ("pickle or code from data", "import pickle"),
        ("unfinished work", "# TODO mend"),
        ("a global seed", "np.random.seed(0)"),
    ],
)
def test_the_search_finds_what_it_is_for(what, text):
    assert re.search(FORBIDDEN[what], text, flags=re.MULTILINE)


def test_no_file_is_large():
    assert {str(p): p.stat().st_size for p in project_files() if p.stat().st_size > 2_500_000} == {}


# --- the environment maker -------------------------------------------------------------------------------------------


@pytest.fixture
def maker(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
    sys.modules.pop("environment", None)
    import environment

    return environment


@pytest.fixture
def whole(maker, tmp_path):
    """A stand-in for an installed environment, recorded as whole."""
    (tmp_path / "lib" / "__pycache__").mkdir(parents=True)
    (tmp_path / "lib" / "a.py").write_text("a = 1\n")
    (tmp_path / "lib" / "__pycache__" / "a.pyc").write_text("bytecode")
    record = {**maker.wanted(), "torch": "cpu", "files": maker.inventory(tmp_path)}
    (tmp_path / maker.RECORD).write_text(json.dumps(record))
    return tmp_path


def test_whole_environment_is_left_alone(maker, whole):
    (whole / "lib" / "__pycache__" / "a.pyc").unlink()
    (whole / "lib" / "of_the_user.py").write_text("")
    assert maker.what_is_wrong(whole) is None


def test_damaged_environment_is_noticed(maker, whole):
    file = whole / "lib" / "a.py"
    file.write_text("a = 10\n")
    assert maker.what_is_wrong(whole) == f"{Path('lib/a.py')} was changed"
    file.unlink()
    assert maker.what_is_wrong(whole) == f"{Path('lib/a.py')} is missing"


@pytest.mark.parametrize("content", [None, "", "{", "{}", "[]"])
def test_half_made_environment_is_noticed(maker, whole, content):
    (whole / maker.RECORD).unlink()
    if content is not None:
        (whole / maker.RECORD).write_text(content)
    assert maker.what_is_wrong(whole) == "there is no complete one"


def test_changed_lock_is_noticed(maker, whole, monkeypatch):
    monkeypatch.setattr(maker, "wanted", lambda: {"sources": "other"})
    assert maker.what_is_wrong(whole) == "its sources changed"


def test_other_torch_only_when_asked_for(maker, whole, monkeypatch):
    monkeypatch.setenv("UV_TORCH_BACKEND", "cpu")
    assert maker.what_is_wrong(whole) is None
    monkeypatch.setenv("UV_TORCH_BACKEND", "auto")
    assert maker.what_is_wrong(whole) == "another build of PyTorch is asked for"


def test_pip_settings_reach_the_installer(maker, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "wheels-a wheels-b")
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    environment = maker.installer_environment(sys.executable)
    assert environment["UV_FIND_LINKS"] == "wheels-a,wheels-b"
    assert "UV_TORCH_BACKEND" not in environment


def test_cpu_build_of_torch_without_a_folder_of_wheels(maker, monkeypatch):
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(maker, "pip_option", lambda python, option: "")
    assert maker.installer_environment(sys.executable)["UV_TORCH_BACKEND"] == "cpu"


def test_other_python_is_refused_in_one_sentence(maker, monkeypatch):
    monkeypatch.setattr(maker.sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, below 3\.14; .* is 3\.10"):
        maker.refuse_unsupported_python()
