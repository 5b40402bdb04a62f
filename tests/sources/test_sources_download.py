"""Fetching a record's files from a local server that answers as the repository does, and breaks off when told."""

import threading
from pathlib import Path

import pytest
from colorectal_layout import write_cohort
from record_repository import Repository

from ftirlib.errors import DataError
from ftirlib.sources.colorectal_store import import_colorectal
from ftirlib.sources.download import TRIES, RecordFile, choose_colorectal, fetch, get_colorectal, open_record

DOI = "10.5281/zenodo.17790337"
BODY = bytes(range(256)) * 400


@pytest.fixture
def served(monkeypatch):
    """Make a repository; no proxy before 127.0.0.1, and no waiting between tries."""
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = []

    def serve(files):
        repository = Repository(files)
        threading.Thread(target=repository.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(repository.server)
        return repository

    yield serve
    for server in running:
        server.shutdown()
        server.server_close()


def test_whole_file_is_fetched_once(served, tmp_path):
    repository = served({"a.txt": BODY})
    for _ in range(2):
        assert fetch(repository.file("a.txt"), tmp_path / "a.txt").read_bytes() == BODY
    assert repository.asked == ["a.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_broken_fetch_is_tried_again(served, tmp_path):
    repository = served({"a.txt": BODY})
    repository.break_after = [1000, 500]
    assert fetch(repository.file("a.txt"), tmp_path / "a.txt").read_bytes() == BODY
    assert repository.asked == ["a.txt"] * 3


def test_fetch_that_keeps_breaking_off_leaves_nothing(served, tmp_path):
    repository = served({"a.txt": BODY})
    repository.break_after = [1000] * TRIES
    with pytest.raises(DataError, match=r"a.txt' cannot be fetched .* check the network and try again\.$"):
        fetch(repository.file("a.txt"), tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())
    assert fetch(repository.file("a.txt"), tmp_path / "a.txt").read_bytes() == BODY


def test_wrong_hash_is_refused_and_removed(served, tmp_path):
    repository = served({"a.txt": BODY})
    wanted = repository.file("a.txt")
    repository.files["a.txt"] = BODY[:-1] + b"?"
    with pytest.raises(DataError, match=r"'a.txt' came with another md5 than the record's .* fetch it again\.$"):
        fetch(wanted, tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


def test_changed_file_is_replaced(served, tmp_path):
    repository = served({"a.txt": BODY})
    (tmp_path / "a.txt").write_bytes(b"another version")
    assert fetch(repository.file("a.txt"), tmp_path / "a.txt").read_bytes() == BODY


def test_changed_file_stays_until_the_other_is_whole(served, tmp_path):
    repository = served({"a.txt": BODY})
    (tmp_path / "a.txt").write_bytes(b"another version")
    repository.break_after = [1000] * TRIES
    with pytest.raises(DataError, match="cannot be fetched"):
        fetch(repository.file("a.txt"), tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == b"another version"


def test_busy_server_is_asked_again_and_a_missing_file_is_named(served, tmp_path):
    repository = served({"a.txt": BODY})
    repository.refuse = [503, 429]
    assert fetch(repository.file("a.txt"), tmp_path / "a.txt").read_bytes() == BODY
    repository.refuse = [404] * TRIES
    with pytest.raises(DataError, match=r"a.txt' cannot be fetched \(404"):
        fetch(repository.file("a.txt"), tmp_path / "b.txt")


def test_server_that_does_not_answer(served, tmp_path):
    repository = served({"a.txt": BODY})
    wanted = repository.file("a.txt")
    repository.server.shutdown()
    repository.server.server_close()
    with pytest.raises(DataError, match="check the network and try again"):
        fetch(wanted, tmp_path / "a.txt")


def test_empty_file_and_unknown_hash(served, tmp_path):
    repository = served({"a.txt": b""})
    assert fetch(repository.file("a.txt"), tmp_path / "a.txt").read_bytes() == b""
    with pytest.raises(DataError, match="crc:1"):
        fetch(RecordFile("a", 1, "crc:1", repository.base), tmp_path / "b")


def test_record_is_listed(served):
    repository = served({"a.txt": BODY})
    for doi in (DOI, f"https://doi.org/{DOI}"):
        record = open_record(doi, base=repository.base)
        assert (record.doi, record.licence, record.title) == (DOI, "cc-by-4.0", "A cohort")
        assert record.files == [repository.file("a.txt")]


@pytest.mark.parametrize(
    ("doi", "message"), [("10.1000/5", "no DOI of Zenodo"), ("10.5281/zenodo.1", "does not answer")]
)
def test_wrong_doi(served, doi, message):
    with pytest.raises(DataError, match=message):
        open_record(doi, base=served({}).base)


def test_server_that_is_not_there(served):
    repository = served({})
    repository.server.server_close()
    with pytest.raises(DataError, match="check the network"):
        open_record(DOI, base="http://127.0.0.1:9")


@pytest.mark.parametrize("answer", [{}, {"files": 3, "metadata": {}}, {"files": [{}], "metadata": {}}, []])
def test_answer_of_another_form(served, answer):
    repository = served({})
    repository.record = lambda: answer
    with pytest.raises(DataError, match="list of files"):
        open_record(DOI, base=repository.base)


def test_record_cannot_name_files_of_this_machine(served):
    repository = served({"a.txt": BODY})
    good = repository.record()
    good["files"][0]["links"]["self"] = "file:///etc/passwd"
    repository.record = lambda: good
    with pytest.raises(DataError, match="only https"):
        open_record(DOI, base=repository.base)


# --- the cohort ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cohort_files(tmp_path_factory):
    root = write_cohort(tmp_path_factory.mktemp("cohort"), shape=(3, 3))
    return {p.relative_to(root.parent).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("flat", [False, True])
def test_chosen_cores_are_fetched_into_the_layout(served, cohort_files, tmp_path, flat):
    repository = served({Path(k).name if flat else k: v for k, v in cohort_files.items()})
    lines = []
    folder = get_colorectal(
        tmp_path / "crc", doi=DOI, cores=["TMA1_B1", "c1"], base=repository.base, report=lines.append
    )
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names == {
        "source.json",
        "TMA1/TMA1_core_metadata.csv",
        "TMA1/MIR/spectra/tma1_b1_res8_co16_2.2int_25.txt",
        "TMA1/MIR/metadata/tma1_b1_res8_co16_2.2int_25.json",
        "TMA2/TMA2_core_metadata.csv",
        "TMA2/MIR/spectra/tma2_c1_res8_co16_2.2int_25.txt",
        "TMA2/MIR/metadata/tma2_c1_res8_co16_2.2int_25.json",
    }
    assert "6 files" in lines[0] and "cc-by-4.0" in lines[0]
    with pytest.warns(UserWarning, match="2941/00"):
        data = import_colorectal(folder, tmp_path / "crc.zarr", tissue="none")
    assert data.attrs["image_names"] == ["TMA1_B1", "TMA2_C1"] and data.attrs["group_names"] == ["2941/00"]
    assert data.attrs["licence"] == "cc-by-4.0"
    before = len(repository.asked)
    get_colorectal(tmp_path / "crc", doi=DOI, cores=["TMA1_B1", "c1"], base=repository.base)
    assert len(repository.asked) == before


def test_choice_that_fits_nothing(cohort_files):
    files = [RecordFile(name, 1, "md5:0", "https://localhost") for name in cohort_files]
    assert {path.parts[0] for path in choose_colorectal(files, arrays=[3])} == {"TMA3"}
    with pytest.raises(DataError, match="no core 'Z9'"):
        choose_colorectal(files, cores=["Z9", "B1"])
    with pytest.raises(DataError, match="no spectra of the chosen arrays"):
        choose_colorectal(files, arrays=[8])
    with pytest.raises(DataError, match="not named as the cores are"):
        choose_colorectal([RecordFile("all.zip", 1, "md5:0", "https://localhost")])


@pytest.mark.parametrize("key", ["../../TMA1_core_metadata.csv", "/TMA1_core_metadata.csv", "x/../tma1_b1_res8.txt"])
def test_names_in_a_record_lead_nowhere_else(key):
    files = [RecordFile(key, 1, "md5:0", "https://localhost"), RecordFile("tma1_b2_a.txt", 1, "md5:0", "https://l")]
    for path in choose_colorectal(files):
        assert path.parts[0] == "TMA1" and ".." not in path.parts
