"""Instrument files: every format against values read by another library or by hand."""

import re
import struct

import h5py
import numpy as np
import pytest
import xarray as xr
from instrument_files import AXIS, tissue_cube, write_agilent, write_envi, write_fsm, write_jcamp

from ftirlib.errors import DataError
from ftirlib.spectra.importing.formats import Pixels, recognise
from ftirlib.spectra.importing.formats.raw import TILE, axis_unit_of_text, bands_last, unit_of_text
from ftirlib.spectra.importing.readers import import_spectra


@pytest.fixture
def formats(shared_data):
    return shared_data / "formats"


def read_raw(path, **names):
    """A file's axis and spectra, (n, n_wavenumbers), as its reader gives them, before any conversion."""
    start, form = recognise(path)
    file = form.read(start, names)
    loaded = file.load()
    pixels = loaded if isinstance(loaded, Pixels) else Pixels(loaded)
    return file, pixels.take(0, len(pixels))


# ENVI


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("start, stop", [(0, 15), (0, 1), (4, 11), (7, 8)])
def test_pixels_are_found_in_any_interleave(interleave, start, stop, rng, tmp_path):
    cube = tissue_cube(rng, 3, 5)
    header, _ = write_envi(tmp_path, cube, interleave)
    start_file, form = recognise(header)
    values = form.read(start_file, {}).load()
    assert isinstance(values, np.memmap)
    np.testing.assert_array_equal(Pixels(values).take(start, stop), cube.reshape(15, -1)[start:stop])


def test_envi_image_against_a_memory_map(formats):
    file, values = read_raw(formats / "envi" / "4_noimage_agg256.hdr")
    stored = np.memmap(formats / "envi" / "4_noimage_agg256.dat", "<f4", "r", 1020, (9, 8, 8))
    np.testing.assert_array_equal(values.reshape(8, 8, 9), stored.transpose(1, 2, 0))
    assert file.wavenumber[[0, -1]].tolist() == [1990.17823, 2113.60013]


def test_an_image_whichever_file_of_it_is_named(rng, tmp_path):
    header, data = write_envi(tmp_path, tissue_cube(rng), "bsq")
    xr.testing.assert_identical(import_spectra(header).drop_attrs(), import_spectra(data).drop_attrs())


def test_big_endian_and_micrometres(rng, tmp_path):
    cube = tissue_cube(rng)
    header, data = write_envi(tmp_path, cube, "bip")
    cube.astype(">f4").tofile(data)
    text = header.read_text().replace("byte order = 0", "byte order = 1").replace("= Wavenumber", "= Micrometers")
    header.write_text(
        re.sub(r"wavelength = .*", f"wavelength = {{ {', '.join(map(repr, (1e4 / AXIS).tolist()))} }}", text)
    )
    found = import_spectra(header)
    np.testing.assert_allclose(found.wavenumber, AXIS)
    np.testing.assert_array_equal(found.absorbance, cube.reshape(16, -1))
    assert any("axis is in um, as the file says" in note for note in found.attrs["import_notes"])


@pytest.mark.parametrize("shape", [(7, 300), TILE, (2 * TILE[0] + 1, TILE[1] - 1), (TILE[0], 1)])
def test_bands_turn_into_spectra(shape, rng):
    values = rng.standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(bands_last(values), values.T)
    out = np.full((3, *shape[::-1]), np.nan, np.float32)
    bands_last(values, out[1])
    np.testing.assert_array_equal(out[1], values.T)
    assert np.isnan(out[[0, 2]]).all()


# Agilent


def test_agilent_tile_and_mosaic_against_agilent_format(formats):
    from agilent_format import agilentImage, agilentMosaic

    for name, reference in (("4_noimage_agg256.bsp", agilentImage), ("5_mosaic_agg1024.dmt", agilentMosaic)):
        path = formats / "agilent" / name
        file, values = read_raw(path)
        other = reference(str(path.with_suffix(".dat") if name.endswith("bsp") else path))
        np.testing.assert_array_equal(values.reshape(file.shape), other.data)
        np.testing.assert_allclose(file.wavenumber, other.wavenumbers)


def test_agilent_mosaic_in_parts(formats):
    start, form = recognise(formats / "agilent" / "5_mosaic_agg1024.dmt")
    pixels = form.read(start, {}).load()
    whole = pixels.take(0, len(pixels))
    for first in range(0, len(pixels), 5):
        np.testing.assert_array_equal(pixels.take(first, min(first + 5, 32)), whole[first : first + 5])


def test_agilent_pixel_is_the_detector_times_the_aggregation(formats):
    file, _ = read_raw(formats / "agilent" / "4_noimage_agg256.bsp")
    assert file.pixel_size_um == 5.5 * 16


def test_an_agilent_mosaic_that_lacks_a_tile(formats, tmp_path):
    for path in (formats / "agilent").iterdir():
        if "0000_0000" in path.name or path.suffix == ".dmt":
            (tmp_path / path.name.replace("_0000_0000", "_0001_0000")).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"lacks the tile 0000_0000"):
        import_spectra(tmp_path / "5_mosaic_agg1024.dmt")


# PerkinElmer


def test_perkinelmer_image_against_its_blocks(formats):
    path = formats / "perkinelmer" / "4x4_pixel_PE_image.fsm"
    file, values = read_raw(path)
    content, at, spectra = path.read_bytes(), 44, []
    while at < len(content):
        kind, length = struct.unpack_from("<Hi", content, at)
        if kind == 5105:
            spectra.append(struct.unpack_from("<1626f", content, at + 6))
        at += 6 + length
    np.testing.assert_array_equal(values, np.array(spectra, np.float32))
    assert (file.shape, file.unit, file.axis_unit, file.pixel_size_um) == ((4, 4, 1626), "percent", "cm-1", 50.0)
    assert (file.wavenumber[0], file.wavenumber[1], file.wavenumber[-1]) == (4000, 3998, 750)


def test_a_real_map_survives_the_way_through_an_fsm(shared_data, tmp_path):
    stored = np.load(shared_data / "tissue_map" / "specio_fsm_T_1800_1000.npz")
    part = np.ascontiguousarray(stored["percentT"][:20, :30])
    found = import_spectra(write_fsm(tmp_path, part)[0])
    np.testing.assert_allclose(found.absorbance, -np.log10(part.reshape(600, -1) / 100.0), atol=1e-6)
    assert found.attrs["pixel_size_um"] == 6.25
    assert found.row.values.tolist() == np.repeat(np.arange(20), 30).tolist()


# Bruker OPUS


def test_opus_against_the_text_export_of_the_same_measurement(formats):
    _, values = read_raw(formats / "opus" / "peach_juice.0", absorbance="r")
    text, exported = read_raw(formats / "opus" / "peach_juice.dpt")
    file, _ = read_raw(formats / "opus" / "peach_juice.0", absorbance="r")
    np.testing.assert_allclose(values, exported, atol=1e-5)  # written with five decimals
    np.testing.assert_allclose(file.wavenumber, text.wavenumber, atol=1e-5)
    assert (file.unit, file.axis_unit) == ("transmittance", "cm-1")


def test_opus_values_lie_in_the_file_as_they_are(formats):
    path = formats / "opus" / "ftir_ps.0"
    _, values = read_raw(path)
    assert values.astype("<f4").tobytes() in path.read_bytes()


def test_opus_asks_where_two_results_are_alike(formats):
    with pytest.raises(DataError, match=r"'r', 'r_2'.*--absorbance"):
        import_spectra(formats / "opus" / "peach_juice.0")
    with pytest.raises(DataError, match=r"no block 'a'; it holds 'r'"):
        import_spectra(formats / "opus" / "peach_juice.0", absorbance="a")
    with pytest.raises(DataError, match=r"'igsm' .*not over wavenumbers"):
        import_spectra(formats / "opus" / "peach_juice.0", absorbance="igsm")


# JCAMP-DX

SQUEEZED = {c: k for k, c in enumerate("@ABCDEFGHI")} | {c: -k for k, c in enumerate("abcdefghi", 1)}
DIFFERENCE = {c: k for k, c in enumerate("%JKLMNOPQR")} | {c: -k for k, c in enumerate("jklmnopqr", 1)}
REPEAT = {c: k for k, c in enumerate("STUVWXYZs", 1)}


def decode_asdf(text):
    """Values of a compressed (X++(Y..Y)) table: a second reading of the standard, for the test alone."""
    values = []
    for line in text.strip().splitlines():
        here, last = [], None
        for sign, digits in re.findall(r"([@A-Ia-i%J-Rj-rS-Zs])(\d*)", re.sub(r"^[\d.\s]+", "", line)):
            if sign in REPEAT:
                for _ in range(int(f"{REPEAT[sign]}{digits}") - 1):
                    here.append(here[-1] + (last or 0))
                continue
            table = SQUEEZED if sign in SQUEEZED else DIFFERENCE
            number = int(f"{abs(table[sign])}{digits}") * (-1 if table[sign] < 0 else 1)
            here.append(number if table is SQUEEZED else here[-1] + number)
            last = number if table is DIFFERENCE else None
        if values and "%" not in SQUEEZED:
            assert here[0] == values[-1]  # each line begins with the last value of the one before
            here = here[1:]
        values += here
    return np.array(values, float)


@pytest.mark.parametrize("name", ["isopropanol_ASDF.jdx", "ethanol2.jdx"])
def test_compressed_jcamp_against_another_decoder(name, formats):
    text = (formats / "jcamp" / name).read_text()
    file, values = read_raw(formats / "jcamp" / name)
    factor = float(re.search(r"##YFACTOR=(.*)", text)[1])
    expected = factor * decode_asdf(text.split("(X++(Y..Y))")[1].split("##END")[0])
    np.testing.assert_allclose(values[0], expected, rtol=1e-12, atol=1e-15)
    assert file.wavenumber[-1] == float(re.search(r"##LASTX=(.*)", text)[1])


def test_plain_jcamp_against_its_numbers(formats):
    text = (formats / "jcamp" / "PE1800.DX").read_text()
    lines = text.split("(X++(Y..Y))")[1].split("##END")[0].strip().splitlines()
    expected = [1e-4 * int(v) for line in lines for v in re.findall(r"[+-]\d+", line)]
    file, values = read_raw(formats / "jcamp" / "PE1800.DX")
    np.testing.assert_allclose(values[0], expected)
    assert (file.unit, file.wavenumber[0]) == ("transmittance", 4000)


def test_jcamp_whose_unit_the_values_contradict_is_asked_for(formats):
    with pytest.raises(DataError, match=r"says transmittance but .*--unit"):
        import_spectra(formats / "jcamp" / "ethanol2.jdx")
    found = import_spectra(formats / "jcamp" / "ethanol2.jdx", unit="percent")
    assert float(found.absorbance.max()) == pytest.approx(-np.log10(0.1397983932), abs=1e-4)  # MINY of the file


def test_jcamp_in_micrometres(rng, tmp_path):
    spectrum = tissue_cube(rng)[0, 0]
    path = write_jcamp(tmp_path / "s.jdx", spectrum)
    text = (
        path.read_text()
        .replace("1/CM", "MICROMETERS")
        .replace("FIRSTX=900", "FIRSTX=5")
        .replace("LASTX=1816", "LASTX=10")
    )
    path.write_text(text)
    found = import_spectra(path)
    np.testing.assert_allclose(found.wavenumber, np.sort(1e4 / np.linspace(5, 10, AXIS.size)))
    np.testing.assert_allclose(found.absorbance[0], spectrum[::-1], atol=1e-6)


def test_a_compound_file_on_several_axes_is_refused(formats):
    with pytest.raises(DataError, match=r"5 spectra on different axes .*each to its own file"):
        import_spectra(formats / "jcamp" / "compound.jdx", unit="percent")


# SPC


def test_spc_against_its_bytes(formats):
    path = formats / "spc" / "BENZENE.SPC"
    file, values = read_raw(path)
    content = path.read_bytes()
    flags, exponent = content[0], struct.unpack_from("<b", content, 3)[0]
    points, first, last = struct.unpack_from("<idd", content, 4)
    assert flags == 0 and exponent != -128  # 32-bit whole numbers with a common exponent, after a subheader of 32 bytes
    stored = np.frombuffer(content, "<i4", points, 512 + 32)
    np.testing.assert_allclose(values[0], stored * 2.0 ** (exponent - 32))
    np.testing.assert_allclose(file.wavenumber, np.linspace(first, last, points))
    assert (file.unit, file.axis_unit) == ("absorbance", "cm-1")


@pytest.mark.parametrize("name, what", [("sp1.spc", "Raman shift"), ("m_xyxy.spc", "mass")])
def test_spc_of_other_kinds_is_named(name, what, formats):
    with pytest.raises(DataError, match=what):
        import_spectra(formats / "spc" / name)


# MATLAB


def test_matlab_objects_against_the_plain_export(shared_data):
    found = import_spectra(shared_data / "brain_atr" / "ketan_brain_atr.mat")
    plain = import_spectra(shared_data / "brain_atr" / "brain_atr.npz", label="label", group="patient")
    np.testing.assert_array_equal(found.absorbance, plain.absorbance)
    np.testing.assert_allclose(found.wavenumber, plain.wavenumber)
    assert found.attrs["group_names"] == plain.attrs["group_names"]
    assert len(set(zip(found.label.values.tolist(), plain.label.values.tolist()))) == 3  # the same three classes


def test_matlab_objects_of_the_control_set(shared_data):
    from scipy.io import loadmat

    path = shared_data / "uti_bacteria" / "utidata.mat"
    found = import_spectra(path)
    counts = [int((found.label == k).sum()) for k in range(5)]
    assert dict(zip(found.attrs["class_names"], counts))["E. coli"] == 68 and sum(counts) == 236
    plain = import_spectra(path, absorbance="uti", label="")
    np.testing.assert_array_equal(plain.absorbance, found.absorbance)
    np.testing.assert_allclose(found.absorbance, loadmat(path, variable_names=["uti"])["uti"], rtol=1e-6)


def test_matlab_7_3(rng, tmp_path):
    cube = tissue_cube(rng)
    with h5py.File(tmp_path / "m.mat", "w", userblock_size=512) as file:
        file["cube"] = cube.T  # MATLAB's order of axes, the last first
        file["wavenumber"] = AXIS[:, None]
        file["diagnosis"] = np.array([[ord(c)] for c in "tumour"], np.uint16)
        file["diagnosis"].attrs["MATLAB_class"] = np.bytes_("char")
    with open(tmp_path / "m.mat", "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    found = import_spectra(tmp_path / "m.mat")
    np.testing.assert_array_equal(found.absorbance, cube.reshape(16, -1))
    assert found.attrs["class_names"] == ["tumour"]


# Tables


def test_a_sheet_of_excel_is_a_table(rng, tmp_path):
    import pandas as pd

    spectra = tissue_cube(rng).reshape(16, -1)
    table = pd.DataFrame(spectra.astype(float), columns=[f"{w:g}" for w in AXIS])
    table.insert(0, "class", ["a", "b"] * 8)
    table.to_excel(tmp_path / "t.xlsx", index=False)
    found = import_spectra(tmp_path / "t.xlsx")
    np.testing.assert_array_equal(found.absorbance, spectra)
    assert found.attrs["class_names"] == ["a", "b"]


@pytest.mark.parametrize("separator", [",", "\t", "  "])
def test_two_columns_are_a_spectrum(separator, rng, tmp_path):
    spectrum = tissue_cube(rng)[0, 0]
    path = tmp_path / "s.txt"
    path.write_text("".join(f"{w:g}{separator}{v!r}\n" for w, v in zip(AXIS[::-1], spectrum[::-1].tolist())))
    found = import_spectra(path)
    np.testing.assert_array_equal(found.absorbance[0], spectrum)
    assert found.attrs["image_names"] == ["s"]


# Words


@pytest.mark.parametrize(
    "text, unit",
    [
        *(("%T", "percent"), ("% Reflectance", "percent"), ("Absorbance units", "absorbance"), ("A", "absorbance")),
        *(("TRANSMITTANCE", "transmittance"), ("REFLECTANCE ", "transmittance"), ("counts", None), ("", None)),
    ],
)
def test_units_as_files_write_them(text, unit):
    assert unit_of_text(text) == unit


@pytest.mark.parametrize(
    "text, unit",
    [
        *(("1/CM", "cm-1"), ("cm-1", "cm-1"), ("Wavenumber (cm-1)", "cm-1"), ("cm^-1", "cm-1")),
        *(("Micrometers", "um"), ("MICROMETRES", "um"), ("µm", "um"), ("Nanometers", "nm"), ("SECONDS", None)),
    ],
)
def test_units_of_axes_as_files_write_them(text, unit):
    assert axis_unit_of_text(text) == unit


def test_an_agilent_tile_that_we_wrote(rng, tmp_path):
    cube = tissue_cube(rng)
    found = import_spectra(write_agilent(tmp_path, cube)[0])
    np.testing.assert_array_equal(found.absorbance, cube.reshape(16, -1))
    np.testing.assert_allclose(found.wavenumber, AXIS)
