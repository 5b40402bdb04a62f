"""Damaged and dishonest files: one documented error each, nothing left that looks whole, nothing allocated for lies."""

import io
import resource
import struct
import time
from pathlib import Path
from zipfile import ZipFile

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from instrument_files import AXIS, tissue_cube, write_agilent, write_envi, write_fsm, write_jcamp

from ftirlib.errors import DataError, FtirlibError
from ftirlib.spectra.importing.readers import import_spectra

HUGE = 2**31 - 1


def refused(path, words, **options):
    """The import fails with these words and leaves nothing behind."""
    out = Path(path).parent / "out.zarr"
    with pytest.raises(DataError, match=words):
        import_spectra(path, out, **options)
    assert not out.exists() and not out.with_name("out.zarr.partial").exists()


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("byte order = 0\n", "", r"has no field 'byte order'"),
        ("bands = 230\n", "", r"has no field 'bands'"),
        ("interleave = bsq\nbyte order = 0\n", "", r"'interleave' and no 'byte order'"),
        ("lines = 4", "lines = 1000000000000", r"states 1000000000000 lines.*but holds"),
        ("lines = 4", "lines = 5", r"states 5 lines.*truncated or its header is wrong"),
        ("lines = 4", "lines = -4", r"-4 lines"),
        ("lines = 4", "lines = four", r"'four'"),
        ("header offset = 0", "header offset = 9", r"from byte 9"),
        ("data type = 4", "data type = 6", r"data type 6; spectra are real"),
        ("data type = 4", "data type = 77", r"data type 77"),
        ("byte order = 0", "byte order = 7", r"byte order 7"),
        ("interleave = bsq", "interleave = xyz", r"'xyz'"),
        ("ENVI\n", "ENVY\n", r"e.hdr"),
        ("wavelength = {", "wavelengths = {", r"no wavenumbers for its 230 bands"),
        ("904,", "904, 904,", r"230 bands but there are 231"),
        ("904,", "900,", r"900 .*twice"),
        ("904,", "nine,", r"wavelength"),
        ("}", "", r"e.hdr.*ENVI header"),
    ],
)
def test_envi_headers_that_are_wrong(old, new, words, rng, tmp_path):
    header, data = write_envi(tmp_path, tissue_cube(rng), "bsq")
    text = header.read_text()
    assert old in text
    (tmp_path / "e.hdr").write_text(text.replace(old, new, 1))
    data.rename(tmp_path / "e.dat")
    refused(tmp_path / "e.hdr", words)


def test_envi_without_its_image(rng, tmp_path):
    header, data = write_envi(tmp_path, tissue_cube(rng), "bsq")
    data.unlink()
    refused(header, r"no image beside .*'bsq.dat'")


@pytest.mark.parametrize("write", [lambda f, c: write_envi(f, c, "bip"), write_agilent, write_fsm])
def test_truncated_cubes(write, rng, tmp_path):
    path, data = write(tmp_path, tissue_cube(rng))
    data.write_bytes(data.read_bytes()[:-4])
    refused(path, "truncated")


@pytest.mark.parametrize(
    "at, value, words",
    [
        (2236, struct.pack("<i", HUGE), "no square tile"),
        (2236, struct.pack("<i", -5), "states -5 points"),
        (2236, struct.pack("<i", 229), "no square tile"),
        (2216, struct.pack("<d", float("nan")), "by nan"),
        (0, b"no magic", "no Agilent index file"),
    ],
)
def test_agilent_indexes_that_are_wrong(at, value, words, rng, tmp_path):
    path, _ = write_agilent(tmp_path, tissue_cube(rng))
    content = bytearray(path.read_bytes())
    content[at : at + len(value)] = value
    path.write_bytes(content)
    refused(path, words)


def grid_at(field):
    """Place in an .fsm file of a number of its grid: ten float64, three int32."""
    start = 44 + 6 + 2 + len("Image")
    return start + (8 * field if field < 10 else 80 + 4 * (field - 10))


@pytest.mark.parametrize(
    "at, value, words",
    [
        (0, b"PEPX", "does not begin with PEPE"),
        (grid_at(10), struct.pack("<i", HUGE), "copy it again"),
        (grid_at(12), struct.pack("<i", HUGE), "disagree"),
        (grid_at(11), struct.pack("<i", 0), "4 x 0 pixels"),
        (grid_at(4), struct.pack("<d", 1.0), "disagree"),
        (grid_at(2), struct.pack("<d", float("inf")), "copy the file"),
        (46, struct.pack("<i", HUGE), f"states {HUGE} bytes"),
        (46, struct.pack("<i", -9), "states -9 bytes"),
    ],
)
def test_perkinelmer_blocks_that_are_wrong(at, value, words, rng, tmp_path):
    path, _ = write_fsm(tmp_path, 50 + tissue_cube(rng))
    content = bytearray(path.read_bytes())
    content[at : at + len(value)] = value
    path.write_bytes(content)
    refused(path, words)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("NPOINTS=230", "NPOINTS=999999999999", "states 999999999999 points"),
        ("NPOINTS=230", "NPOINTS=231", "states 231 points but 230"),
        ("##TITLE", "TITLE", "s.jdx"),
        ("1/CM", "SECONDS", "'SECONDS'"),
        ("INFRARED SPECTRUM", "MASS SPECTRUM", "'mass spectrum'"),
        ("##FIRSTX=900", "##FIRSTX=abc", "JCAMP-DX"),
    ],
)
def test_jcamp_that_is_wrong(old, new, words, rng, tmp_path):
    path = write_jcamp(tmp_path / "s.jdx", tissue_cube(rng)[0, 0])
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    refused(path, words)


@pytest.mark.parametrize("at, value", [(4, HUGE), (24, HUGE), (4, -1), (24, 0)])
def test_spc_counts_that_are_wrong(at, value, shared_data, tmp_path):
    content = bytearray((shared_data / "formats" / "spc" / "BENZENE.SPC").read_bytes())
    struct.pack_into("<i", content, at, value)
    (tmp_path / "s.spc").write_bytes(content)
    refused(tmp_path / "s.spc", r"states .* spectra of .* points")


def test_opus_counts_that_are_wrong(shared_data, tmp_path):
    content = (shared_data / "formats" / "opus" / "ftir_ps.0").read_bytes()
    for wrong in (HUGE, -1):
        at, damaged = content.find(b"NPT\0"), bytearray(content)
        while at >= 0:
            struct.pack_into("<i", damaged, at + 8, wrong)
            at = content.find(b"NPT\0", at + 1)
        (tmp_path / "o.0").write_bytes(damaged)
        refused(tmp_path / "o.0", r"o.0")


def test_archives_that_claim_more_than_they_hold(tmp_path):
    with h5py.File(tmp_path / "m.mat", "w", userblock_size=512) as file:
        file.create_dataset("absorbance", (10**6, 10**6), "f8", chunks=(1000, 1000))  # 8 TB, none of it written
        file["wavenumber"] = AXIS
    refused(tmp_path / "m.mat", r"shape \(1000000, 1000000\), which take 8000000000000 bytes")
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (2 * 10**10, 230)})
    with ZipFile(tmp_path / "n.npz", "w") as archive:
        archive.writestr("absorbance.npy", member.getvalue() + bytes(80))
    refused(tmp_path / "n.npz", r"shape \(20000000000, 230\), which take 36800000000000 bytes")


@pytest.mark.parametrize(
    "old, new, words",
    [
        (b'<row r="4"', b'<row r="1000000000000"', "1000000000000 rows and 5 columns"),
        (b'r="E4"', b'r="XFD1048576"', "4 rows and 16384 columns"),
        (b'r="E4"', b'r="ZZZZZZZ4"', "Excel sheet"),
        (b'<row r="4"', b'<row r="four"', "Excel sheet"),
    ],
)
def test_workbooks_that_reach_further_than_they_are_filled(old, new, words, tmp_path):
    pd.DataFrame(np.full((3, 5), 0.1), columns=["1000", "1004", "1008", "1012", "1016"]).to_excel(
        tmp_path / "whole.xlsx", index=False
    )
    import_spectra(tmp_path / "whole.xlsx", unit="absorbance")
    with ZipFile(tmp_path / "whole.xlsx") as whole, ZipFile(tmp_path / "b.xlsx", "w") as changed:
        for name in whole.namelist():
            content = whole.read(name)
            assert old in content or "sheet1" not in name
            changed.writestr(name, content.replace(old, new) if "sheet1" in name else content)
    refused(tmp_path / "b.xlsx", words)


@pytest.mark.parametrize(
    "name, words",
    [("sample1.spa", "OMNIC.*JCAMP-DX"), ("single.sp", "PerkinElmer spectrum.*JCAMP-DX"), ("x.seq", "interferogram")],
)
def test_formats_that_are_not_read_say_what_to_export(name, words, tmp_path):
    (tmp_path / name).write_bytes(
        {"spa": b"Spectral Data File", ".sp": b"PEPE2D cons"}.get(name[-3:], b"") + b"\0" * 99
    )
    refused(tmp_path / name, words)


def test_tables_that_are_not_utf8(tmp_path):
    header = "label," + ",".join(f"{w:g}" for w in AXIS)
    row = "Läsion," + ",".join("0.1" for _ in AXIS)
    (tmp_path / "t.csv").write_bytes(f"{header}\n{row}\n".encode("latin-1"))
    refused(tmp_path / "t.csv", "UTF-8")


def mutations(content: bytes):
    """Truncations, changed and inserted bytes, and extreme numbers, mostly where headers are."""
    place = st.one_of(st.integers(0, min(3000, len(content) - 1)), st.integers(0, len(content) - 1))
    piece = st.one_of(
        st.binary(min_size=1, max_size=4),
        st.sampled_from([b"\xff\xff\xff\x7f", b"\xff" * 4, b"\0" * 4, b"\0\0\0\x80", b"99999999", b"\0\0\xf0\x7f"]),
    )
    edit = st.tuples(place, piece, st.sampled_from(["replace", "insert", "cut"]))
    return st.lists(edit, min_size=1, max_size=6)


def mutate(content: bytes, edits) -> bytes:
    for at, piece, how in edits:
        rest = {"replace": at + len(piece), "insert": at, "cut": at + 50 * len(piece)}[how]
        content = content[:at] + (b"" if how == "cut" else piece) + content[rest:]
    return content


SOURCES = {
    "ENVI": "envi/4_noimage_agg256.hdr",
    "Agilent": "agilent/4_noimage_agg256.bsp",
    "Agilent mosaic": "agilent/5_mosaic_agg1024.dmt",
    "PerkinElmer": "perkinelmer/4x4_pixel_PE_image.fsm",
    "OPUS": "opus/ftir_ps.0",
    "JCAMP": "jcamp/isopropanol_ASDF.jdx",
    "SPC": "spc/BENZENE.SPC",
}


WRITTEN = {
    "NumPy": "f.npz",
    "MATLAB": "f.mat",
    "MATLAB 7.3": "f.mat",
    "table": "f.csv",
    "two columns": "f.txt",
    "Excel": "f.xlsx",
    "labels": "labels.csv",
}


@pytest.mark.parametrize("kind", [*SOURCES, *WRITTEN])
def test_damaged_files_give_the_documented_error_and_no_other(kind, request, rng, tmp_path):
    from scipy.io import savemat

    spectra = tissue_cube(rng).reshape(16, -1)[:3]
    options = {}
    if kind in SOURCES:
        source = request.getfixturevalue("shared_data") / "formats" / SOURCES[kind]
        path = tmp_path / source.name
        for beside in source.parent.glob(source.stem + "*.d[am][td]"):
            (tmp_path / beside.name).write_bytes(beside.read_bytes())
        imported, content = path, source.read_bytes()
    else:
        path = imported = tmp_path / WRITTEN[kind]
        if kind == "NumPy":
            np.savez(path, absorbance=spectra, wavenumber=AXIS, label=["a", "b", "a"])
        elif kind == "MATLAB":
            savemat(path, {"absorbance": spectra, "wavenumber": AXIS, "label": ["a", "b", "a"]})
        elif kind == "MATLAB 7.3":
            with h5py.File(path, "w", userblock_size=512) as file:
                file["absorbance"], file["wavenumber"] = spectra.T, AXIS
        elif kind == "two columns":
            path.write_text("".join(f"{w:g},{v!r}\n" for w, v in zip(AXIS, spectra[0].tolist())))
        elif kind == "Excel":
            pd.DataFrame(spectra[:, :20], columns=[f"{w:g}" for w in AXIS[:20]]).to_excel(path, index=False)
        elif kind == "labels":
            np.savez(tmp_path / "core1.npz", absorbance=spectra, wavenumber=AXIS)
            path.write_text("file,class,patient,batch\ncore1,ill,p1,day 1\n")
            imported, options = tmp_path / "core1.npz", {"sheet": path}
        else:
            lines = [",".join(f"{w:g}" for w in AXIS)] + [",".join(map(repr, s.tolist())) for s in spectra]
            path.write_text("\n".join(lines) + "\n")
        content = path.read_bytes()

    @settings(
        max_examples=40,
        deadline=10_000,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(edits=mutations(content))
    def survives(edits):
        path.write_bytes(mutate(content, edits))
        try:
            import_spectra(imported, **options)
        except FtirlibError as error:
            assert str(error)

    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    survives()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB
    assert time.perf_counter() - started < 60
