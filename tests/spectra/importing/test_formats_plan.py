"""Plans, tables of labels, bad files, and imports that are killed and continued."""

import multiprocessing
import os
import signal
import tracemalloc

import numpy as np
import pytest
import xarray as xr
from instrument_files import AXIS, tissue_cube, write_agilent, write_envi, write_fsm, write_jcamp

from ftirlib.errors import DataError
from ftirlib.spectra.importing import blocks, resume
from ftirlib.spectra.importing.formats import FORMATS
from ftirlib.spectra.importing.formats.finding import find_files
from ftirlib.spectra.importing.formats.raw import Pixels
from ftirlib.spectra.importing.readers import import_spectra, plan_import
from ftirlib.spectra.model import open_spectra


@pytest.fixture
def cohort(rng, tmp_path):
    """Four cores in four formats in two folders, and files that are no spectra."""
    folder = tmp_path / "cohort"
    for name in ("one", "two/deep"):
        (folder / name).mkdir(parents=True)
    write_envi(folder / "one", tissue_cube(rng), "bsq")
    write_agilent(folder / "one", tissue_cube(rng))
    write_fsm(folder / "two" / "deep", 100 * 10 ** -tissue_cube(rng))
    np.savez(folder / "two" / "core9.npz", absorbance=tissue_cube(rng), wavenumber=AXIS)
    (folder / "README.txt").write_text("Measured on a Tuesday.\n")
    (folder / "two" / "overview.bmp").write_bytes(b"BM" + bytes(80))
    return folder


LABELS = "core,class,patient,batch\nbsq,tumour,p1,A\ntile,healthy,p2,A\nmap,tumour,p1,B\ncore9,healthy,p3,B\n"


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(LABELS)
    return path


def test_a_folder_of_all_sorts(cohort, labels, tmp_path):
    found = import_spectra(cohort, tmp_path / "out.zarr", sheet=labels)
    assert found.attrs["image_names"] == ["one/bsq", "one/tile", "two/core9", "two/deep/map"]
    assert found.attrs["image_batches"] == ["A", "A", "B", "B"]
    assert [found.attrs["group_names"][k] for k in found.group.values[::16]] == ["p1", "p2", "p3", "p1"]
    assert [found.attrs["class_names"][k] for k in found.label.values[::16]] == [
        "tumour",
        "healthy",
        "healthy",
        "tumour",
    ]
    assert any("left out: README.txt" in note for note in found.attrs["import_notes"])
    xr.testing.assert_identical(found.load(), import_spectra(cohort, sheet=labels))


def test_a_plan_tells_what_the_import_makes(cohort, labels, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Pixels, "take", lambda *_: pytest.fail("a plan reads no spectra"))
        plan = plan_import(cohort, sheet=labels)
    found = import_spectra(cohort, sheet=labels)
    assert (plan.spectra, plan.images) == (found.sizes["spectrum"], found.attrs["image_names"])
    assert plan.groups == found.attrs["group_names"]
    np.testing.assert_array_equal(plan.wavenumber, found.wavenumber)
    assert plan.classes["tumour"] == {"spectra": 32, "images": 2, "groups": 1}
    text = str(plan)
    for part in (
        "4 files",
        "1 ENVI",
        "4 images, 64 spectra, 3 groups",
        "230 wavenumbers over 900-1816 cm-1",
        "percent",
    ):
        assert part in text
    assert "class 'healthy': 32 spectra, 2 images, 2 groups" in text and "batches: A (2 images), B (2 images)" in text
    assert "left out: README.txt" in text and "left out: two/overview.bmp" in text and "bad" not in text


def test_files_of_one_image_are_one_source(cohort):
    found = find_files(cohort)
    assert [p.name for p, _ in found.files] == ["bsq.hdr", "tile.bsp", "core9.npz", "map.fsm"]
    assert {name for name, _ in found.skipped} == {"README.txt", "two/overview.bmp"}


def test_an_envi_header_of_an_agilent_image_is_not_a_second_image(cohort, rng):
    text = (cohort / "one" / "bsq.hdr").read_text().replace("offset = 0", "offset = 1020")
    (cohort / "one" / "tile.hdr").write_text(text)
    found = find_files(cohort)
    assert "tile.hdr" not in [p.name for p, _ in found.files]
    assert dict(found.skipped)["one/tile.hdr"] == "it belongs to 'tile.bsp', which is read."


def test_patterns(cohort):
    assert import_spectra(str(cohort / "*" / "*.hdr")).attrs["image_names"] == ["bsq"]
    assert len(plan_import(str(cohort / "**" / "*.*")).files) == 4
    with pytest.raises(DataError, match="no file fits the pattern"):
        import_spectra(str(cohort / "*.jdx"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("core9,healthy,p3,B\n", "", "no line for 'two/core9.npz' \\(1 such files\\)"),
        ("core9,", "core8,", "names 'core8', which is not among"),
        ("map,", "core9,", "'core9' twice"),
        ("patient", "class", "two columns 'class'"),
        ("patient", "group,patient", "UTF-8|cannot be read|for one thing"),
        ("core,", "place,", "needs 'file'"),
    ],
)
def test_tables_of_labels_that_do_not_fit(old, new, words, cohort, labels):
    labels.write_text(LABELS.replace(old, new))
    with pytest.raises(DataError, match=words):
        import_spectra(cohort, sheet=labels)


def test_a_table_of_labels_in_excel_or_not_in_utf8(cohort, labels):
    import pandas as pd

    pd.read_csv(labels).to_excel(labels.with_suffix(".xlsx"), index=False)
    assert plan_import(cohort, sheet=labels.with_suffix(".xlsx")).classes == plan_import(cohort, sheet=labels).classes
    labels.write_bytes(LABELS.replace("tumour", "Läsion").encode("latin-1"))
    with pytest.raises(DataError, match=r"labels.csv.* not text in UTF-8"):
        import_spectra(cohort, sheet=labels)


def test_a_name_that_fits_two_files_needs_the_path(cohort, labels):
    (cohort / "one" / "core9.npz").write_bytes((cohort / "two" / "core9.npz").read_bytes())
    with pytest.raises(DataError, match=r"'core9', which is any of 'one/core9.npz', 'two/core9.npz'; give the path"):
        import_spectra(cohort, sheet=labels)
    labels.write_text(LABELS.replace("core9,", "one/core9,healthy,p4,A\ntwo/core9.npz,"))
    assert plan_import(cohort, sheet=labels).groups == ["p1", "p2", "p3", "p4"]


def test_two_files_of_one_image_are_refused(cohort):
    (cohort / "two" / "core9.jdx").write_bytes(write_jcamp(cohort / "s.jdx", np.ones(AXIS.size)).read_bytes())
    with pytest.raises(DataError, match=r"'two/core9.jdx' and 'two/core9.npz' both give the image 'two/core9'"):
        import_spectra(cohort)


def break_headers(cohort):
    (cohort / "one" / "broken.fsm").write_bytes(b"PEPE" + bytes(60))
    np.savez(cohort / "two" / "short.npz", absorbance=np.ones((2, 5)), wavenumber=AXIS[:5])


def test_bad_files_are_refused_or_left_out(cohort, tmp_path):
    whole = import_spectra(cohort)
    break_headers(cohort)
    with pytest.raises(DataError, match=r"broken.fsm"):
        import_spectra(cohort, tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()
    plan = plan_import(cohort)
    assert [name for name, _ in plan.bad] == ["one/broken.fsm", "two/short.npz"]
    assert "2 bad files: the import refuses them; --skip-bad leaves them out" in str(plan)
    found = import_spectra(cohort, skip_bad=True)
    np.testing.assert_array_equal(found.absorbance, whole.absorbance)
    notes = " ".join(found.attrs["import_notes"])
    assert "left out: one/broken.fsm: " in notes and "left out: two/short.npz: " in notes


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_file_whose_values_are_bad_leaves_no_name(on_disk, cohort, labels, tmp_path):
    percent = np.full((4, 4, AXIS.size), 50.0)
    percent[3, 3, 7] = 0
    write_fsm(cohort / "two" / "deep", percent)
    out = tmp_path / "out.zarr" if on_disk else None
    with pytest.raises(DataError, match=r"'map.fsm' has .*zero or less"):
        import_spectra(cohort, out, sheet=labels)
    found = import_spectra(cohort, out, sheet=labels, skip_bad=True)
    assert found.attrs["image_names"] == ["one/bsq", "one/tile", "two/core9"]
    assert found.attrs["image_batches"] == ["A", "A", "B"] and found.attrs["group_names"] == ["p1", "p2", "p3"]
    assert found.image.values.tolist() == np.repeat([0, 1, 2], 16).tolist()
    assert found.group.values[::16].tolist() == [0, 1, 2]
    assert any("left out: two/deep/map.fsm: " in note for note in found.attrs["import_notes"])


def test_nothing_but_bad_files_is_an_error(tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.fsm").write_bytes(b"PEPE")
    with pytest.raises(DataError, match=r"none of the 1 files can be read.*a.fsm"):
        import_spectra(tmp_path / "f", tmp_path / "out.zarr", skip_bad=True)
    with pytest.raises(DataError, match=r"none of the 1 files"):
        plan_import(tmp_path / "f")


# Killed and continued


def small_chunks(monkeypatch, size=8):
    monkeypatch.setattr(blocks, "CHUNK", size)
    monkeypatch.setattr("ftirlib.spectra.writer.CHUNK", size)


def stop_at(monkeypatch, name, error=KeyboardInterrupt):
    """Make the import stop as if killed when it comes to the spectra of a file."""
    read = blocks.read_blocks

    def stopping(file, *rest):
        for k, block in enumerate(read(file, *rest)):
            if file.path.name == name and k == 1:
                raise error
            yield block

    monkeypatch.setattr(blocks, "read_blocks", stopping)
    return lambda: monkeypatch.setattr(blocks, "read_blocks", read)


@pytest.mark.filterwarnings("ignore:Object at")  # of Zarr, about the note beside the arrays
@pytest.mark.parametrize("skip_bad", [False, True])
def test_an_interrupted_import_continues(skip_bad, cohort, labels, tmp_path, monkeypatch):
    small_chunks(monkeypatch)
    options = {"sheet": labels, "skip_bad": skip_bad}
    whole = import_spectra(cohort, tmp_path / "whole.zarr", **options).load()
    out = tmp_path / "out.zarr"
    restore = stop_at(monkeypatch, "core9.npz")
    with pytest.raises(KeyboardInterrupt):
        import_spectra(cohort, out, **options)
    assert not out.exists() and (tmp_path / "out.zarr.partial" / resume.PROGRESS).is_file()
    with pytest.raises(DataError):
        open_spectra(tmp_path / "out.zarr.partial")
    restore()
    read = []
    monkeypatch.setattr(
        blocks, "read_blocks", lambda f, *rest, take=blocks.read_blocks: read.append(f.path.name) or take(f, *rest)
    )
    found = import_spectra(cohort, out, **options)
    assert read == ["core9.npz", "map.fsm"]  # the two that were complete are not read again
    xr.testing.assert_identical(found.load(), whole)
    assert not (tmp_path / "out.zarr.partial").exists() and not (out / resume.PROGRESS).exists()


def test_another_import_does_not_continue(cohort, labels, tmp_path, monkeypatch):
    small_chunks(monkeypatch)
    restore = stop_at(monkeypatch, "core9.npz")
    with pytest.raises(KeyboardInterrupt):
        import_spectra(cohort, tmp_path / "out.zarr", sheet=labels)
    restore()
    found = import_spectra(cohort, tmp_path / "out.zarr", sheet=labels, low=1000, high=1500)
    assert found.sizes == {"spectrum": 64, "wavenumber": 126}
    xr.testing.assert_identical(found.load(), import_spectra(cohort, sheet=labels, low=1000, high=1500))


def test_what_is_no_import_is_not_removed(cohort, tmp_path):
    (tmp_path / "out.zarr.partial").mkdir()
    (tmp_path / "out.zarr.partial" / "thesis.docx").write_text("years of work")
    with pytest.raises(DataError, match=r"out.zarr.partial' is in the way"):
        import_spectra(cohort, tmp_path / "out.zarr")
    assert (tmp_path / "out.zarr.partial" / "thesis.docx").exists()


def _killed(folder, out):
    blocks.CHUNK = 8
    import ftirlib.spectra.writer as writer

    writer.CHUNK = 8
    read = blocks.read_blocks

    def stopping(file, *rest):
        for k, block in enumerate(read(file, *rest)):
            if file.path.name == "map.fsm" and k == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            yield block

    blocks.read_blocks = stopping
    import_spectra(folder, out)


def test_a_killed_process_is_continued(cohort, tmp_path, monkeypatch):
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(cohort, tmp_path / "out.zarr"))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and not (tmp_path / "out.zarr").exists()
    small_chunks(monkeypatch)
    xr.testing.assert_identical(import_spectra(cohort, tmp_path / "out.zarr").load(), import_spectra(cohort))


def test_memory_does_not_grow_with_the_folder(rng, tmp_path):
    cube = rng.uniform(0.1, 0.5, (32, 32, AXIS.size)).astype(np.float32)  # 0.9 MB
    peaks = []
    for n in (4, 24):
        folder = tmp_path / f"{n}"
        for k in range(n):
            (folder / f"{k}").mkdir(parents=True)
            write_envi(folder / f"{k}", cube, "bsq")
        tracemalloc.start()
        import_spectra(folder, tmp_path / f"{n}.zarr", unit="absorbance")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 8 * cube.nbytes  # 20 more images, of which a few blocks may be in flight


def test_formats_have_names_and_their_own_suffixes():
    suffixes = [suffix for form in FORMATS for suffix in form.suffixes]
    assert len(set(suffixes)) == len(suffixes) and len({form.name for form in FORMATS}) == len(FORMATS)
