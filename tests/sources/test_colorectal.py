"""The colorectal cohort's layout, its defects, and the reading of decimal text."""

import io
import json
import os
import shutil
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from colorectal_layout import LONG_AXIS, TABLE, USUAL_AXIS, core_percent, write_cohort
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.errors import DataError, FtirlibError, SettingsError
from ftirlib.sources import colorectal, colorectal_store
from ftirlib.sources.colorectal import (
    is_colorectal,
    list_cores,
    normalise_patient,
    read_core,
    read_metadata,
    read_numbers,
    read_spectra,
)
from ftirlib.sources.colorectal_store import (
    import_colorectal,
    signal_to_noise,
    survey_colorectal,
    tissue_by_kmeans,
)
from ftirlib.spectra.model import open_spectra, read_absorbance, validate_spectra

pytestmark = pytest.mark.filterwarnings("ignore:patient .* is taken for one")
SHAPE = (6, 7)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"), shape=SHAPE)


@pytest.fixture
def cohort(original, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(original, tmp_path / original.name)


def spectra_file(root, name):
    (path,) = root.glob(f"TMA*/MIR/spectra/tma{name}_*.txt")
    return path


# --- decimal text ----------------------------------------------------------------------------------------------------


def numbers_of(text, n_columns):
    return read_numbers(io.BytesIO(text), n_columns)


numbers = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False, max_value=1e38, min_value=-1e38).map(repr),
    st.decimals(min_value=0, max_value=130, places=6).map(str),
    st.from_regex(r"\A[+-]?[0-9]{1,22}(\.[0-9]{0,22})?\Z"),
)


@given(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=6), st.booleans())
@settings(max_examples=80, deadline=None)
def test_numbers_are_to_the_bit_what_python_reads(rows, ended):
    text = "\n".join(",".join(row) for row in rows) + "\n" * ended
    with np.errstate(over="ignore"):
        expected = np.array([[np.float32(float(cell)) for cell in row] for row in rows], np.float32)
    found = numbers_of(text.encode(), 3)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_number_between_two_float32_is_rounded_once():
    # Half a unit above 1 in float32, and a hair more: rounded by way of float64 both would be ties to even.
    half = "1.00000005960464477539"
    text = f"{half}0625,{half}0626,16777217.0,16777217.00000001\n".encode()
    found = numbers_of(text, 4)[0]
    assert found.tolist() == [np.float32(float(cell)) for cell in text.decode().split(",")]


def test_number_that_two_roundings_would_get_wrong():
    # Halfway between two float32 to 17 decimals: a whole number of 18 digits, which float64 rounds before it divides.
    halves = [2 - (2 * k + 1) * 2.0**-24 for k in range(3000)]
    digits = [str(Decimal(half).quantize(Decimal("1e-17"))) for half in halves]
    expected = np.array([float(text) for text in digits]).astype(np.float32)
    twice = np.array([float(int(text.replace(".", ""))) / 1e17 for text in digits]).astype(np.float32)
    assert (twice != expected).sum() > 100
    np.testing.assert_array_equal(numbers_of("\n".join(digits).encode(), 1)[:, 0], expected)


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(text):
    try:
        found = numbers_of(text, 2)
    except DataError:
        return
    assert found.shape[1] == 2 and len(found) == text.count(b"\n") + bool(text and not text.endswith(b"\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1,2\n3\n", "line 2 of the numbers has fewer than 2"),
        (b"1,2,3\n", "line 1 of the numbers has more than 2"),
        (b"1,2\n,4\n", "cell 1 of line 2 of the numbers is empty"),
        (b"1,x\n", "cell 2 of line 1 of the numbers is 'x'"),
        (b"1,1_0\n", "cell 2 of line 1"),
        (b"1,2\n\n3,4\n", "line 2"),
        (b"\n", "line 1"),
        (b"1,2\n" * 9 + b"3\n", "line 10 of the numbers has fewer than 2"),
        (b"1,2\n" * 9 + b"3,x\n", "cell 2 of line 10"),
    ],
)
def test_wrong_cell_is_named(text, message):
    with pytest.raises(DataError, match=message):
        numbers_of(text, 2)


def test_line_of_too_few_cells_is_written_nowhere():
    with pytest.raises(DataError, match="fewer than 817"):
        numbers_of(b"1\n", 817)


def test_windows_line_ends_and_spaces_are_read():
    np.testing.assert_array_equal(numbers_of(b"1, 2\r\n3,4 \r\n", 2), [[1, 2], [3, 4]])


def test_file_of_several_parts_is_read_whole(monkeypatch):
    monkeypatch.setattr(colorectal, "LINES", 4)
    text = "".join(f"{k},{k / 7}\n" for k in range(11))
    np.testing.assert_array_equal(numbers_of(text.encode(), 2), [[np.float32(k), np.float32(k / 7)] for k in range(11)])


# --- layout ----------------------------------------------------------------------------------------------------------


def test_layout_is_recognised(original, tmp_path):
    assert is_colorectal(original)
    assert not is_colorectal(tmp_path) and not is_colorectal(tmp_path / "nowhere")
    assert not is_colorectal(original / "TMA1")


def test_cores_of_all_arrays_with_what_is_left_out(original):
    cores, notes = list_cores(original)
    expected = [
        f"TMA{array}_{position}"
        for array, rows in TABLE.items()
        for position, label, _, image in rows
        if image == "yes" and label != "simple liver"
    ]
    assert [core.name for core in cores] == expected
    text = "\n".join(notes)
    assert "class 'simple liver': TMA1_B5" in text
    assert "as the table says: TMA1_B6" in text
    assert "patient '2941/00' (TMA2_C1) and '2941_00' (TMA1_B1, TMA1_B2) is taken for one, 2941/00" in text
    assert "patient 2941/00 lies in arrays 1, 2 and stays one group" in text
    assert "511" not in text  # spelt one way, in one array


def test_choice_of_arrays_cores_and_classes(original):
    def names(**choice):
        return [core.name for core in list_cores(original, **choice)[0]]

    assert names(arrays=[3]) == [f"TMA3_D{k}" for k in (1, 2, 3, 4)]
    assert names(cores=["b1", "TMA2_C3"]) == ["TMA1_B1", "TMA2_C3"]
    assert names(classes=["simple liver"]) == ["TMA1_B5"]
    for choice, message in (
        ({"arrays": [7]}, r"no array 7.*\[1, 2, 3\]"),
        ({"cores": ["Z9"]}, "no core in"),
        ({"arrays": [3], "classes": ["NC"]}, "class 'CRLM'"),
    ):
        with pytest.raises(DataError, match=message):
            list_cores(original, **choice)


def test_core_that_was_not_downloaded_is_noted(cohort):
    spectra_file(cohort, "1_b1").unlink()
    cores, notes = list_cores(cohort)
    assert "TMA1_B1" not in {core.name for core in cores}
    assert any("no file of spectra here: TMA1_B1" in note for note in notes)


def test_tables_and_names_that_contradict_the_files(cohort):
    table = cohort / "TMA1" / "TMA1_core_metadata.csv"
    text = table.read_text()
    for wrong, message in (
        (text.replace("B2,CRC", "B1,CRC"), "core 'B1' twice"),
        (text.replace("B2,CRC", "B9,CRC"), "has no line in"),
        (text.replace("511_01", ""), "no patient for core B4"),
        (text.replace("patient", "person"), "no column patient"),
        ("cores,cancer,patient,has_MIR,on_WSI\n", "no lines"),
    ):
        table.write_text(wrong)
        with pytest.raises(DataError, match=message):
            list_cores(cohort)
    table.write_bytes(text.replace("NC", "N\xe7").encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        list_cores(cohort)
    table.write_text(text)
    path = spectra_file(cohort, "1_b1")
    twin = path.with_name(path.name.replace("res8", "res4"))
    shutil.copy(path, twin)
    with pytest.raises(DataError, match="TMA1_B1 has two files"):
        list_cores(cohort)
    twin.rename(path.with_name("tma2_b1_res8.txt"))
    with pytest.raises(DataError, match=r"not named tma1_<core>"):
        list_cores(cohort)


@pytest.mark.parametrize("text", ["2941_00", "2941/00", " 2941\\00 ", "2941 _00"])
def test_patient_is_spelt_one_way(text):
    assert normalise_patient(text) == "2941/00"


def test_metadata_with_junk_and_nuls(original):
    found = read_metadata(next((original / "TMA1" / "MIR" / "metadata").glob("*.json")))
    assert (found["n_x"], found["n_y"], found["n_z"]) == (SHAPE[1], SHAPE[0], USUAL_AXIS.size)
    assert found["z_delta"] == -4 and "resolution" not in found


# --- one core --------------------------------------------------------------------------------------------------------


def test_values_and_positions_are_those_of_pandas(original):
    path = spectra_file(original, "2_c2")
    found = read_spectra(path)
    table = pd.read_csv(path, index_col=0)
    np.testing.assert_array_equal(found.percent, table.iloc[:, 2:].to_numpy(np.float32))
    np.testing.assert_array_equal(found.wavenumber, LONG_AXIS)
    np.testing.assert_array_equal(found.col * 25.0 + table.X.min(), table.X)
    np.testing.assert_array_equal(table.Y.max() - found.row * 25.0, table.Y)


def edited(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b"", "does not begin with"),
        (lambda b: b[:200], "does not begin with"),
        (lambda b: b[: b.index(b"\n") + 1], "no spectra"),
        (lambda b: b[: len(b) // 2], "fewer than 817 cells"),
        (lambda b: b[: b.rindex(b"\n", 0, -1) + 1], "its description says 42"),
        (lambda b: b.replace(b"X,Y", b"A,B", 1), "does not begin with"),
        (lambda b: b.replace(b"3996.0", b"4004.0", 1), "not in order"),
        (lambda b: b.replace(b"3996.0", b"mm", 1), "no number"),
        (lambda b: b.replace(b"\n1,-1062.5,", b"\n1,-1061.5,", 1), "no grid"),
        (lambda b: b.replace(b"\n1,-1062.5", b"\n1,-1087.5", 1), "a pixel twice"),
        (lambda b: b"\x89PNG\r\n\x1a\n" + bytes(3_000_000), "does not begin with"),
    ],
)
def test_damaged_file_is_refused(cohort, change, message):
    core = list_cores(cohort, cores=["B1"])[0][0]
    edited(core.spectra, change)
    with pytest.raises(DataError, match=message):
        read_core(core)


def test_damaged_description_is_refused(cohort):
    core = list_cores(cohort, cores=["B1"])[0][0]
    for content in (b"{", b"[1]", b""):
        core.metadata.write_bytes(content)
        with pytest.raises(DataError, match="JSON|names and values"):
            read_core(core)
    core.metadata.unlink()
    assert len(read_core(core).percent) == SHAPE[0] * SHAPE[1]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_mutated_file_is_read_or_refused(small_file, data):
    content = bytearray(small_file.read_bytes())
    scratch = small_file.with_name("mutated.txt")
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    scratch.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = read_spectra(scratch)
    except FtirlibError:
        return
    assert found.percent.shape[1] == found.wavenumber.size


@pytest.fixture(scope="module")
def small_cohort(tmp_path_factory):
    """An array of two cores of four pixels, and what its table and descriptions hold."""
    root = write_cohort(tmp_path_factory.mktemp("small"), shape=(2, 2), table={3: TABLE[3][:2]})
    return root, {path: path.read_bytes() for path in sorted([*root.glob("TMA3/*.csv"), *root.rglob("*.json")])}


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_mutated_table_or_description_is_read_or_refused(small_cohort, data):
    root, whole = small_cohort
    path = data.draw(st.sampled_from(list(whole)))
    content = bytearray(whole[path])
    for _ in range(data.draw(st.integers(1, 4))):
        piece = data.draw(st.sampled_from([b"1e999", b"NaN", b"-3", b'"', b",", b"\0", b"\xff", b"[" * 9, b"\n"]))
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, len(piece)))] = piece
    path.write_bytes(content)
    try:
        survey = survey_colorectal(root)
        for core in survey.cores:
            read_core(core)
    except FtirlibError:
        return
    finally:
        path.write_bytes(whole[path])
    assert str(survey)


@pytest.mark.parametrize("pixels", ["1e999", "NaN", '"many"', "-1e400"])
def test_number_of_pixels_that_is_none_is_not_stated(pixels, cohort):
    for path in cohort.rglob("*.json"):
        path.write_text(json.dumps({"n_y": 2}).replace("{", f'{{"n_x": {pixels}, '))
    survey = survey_colorectal(cohort)
    assert survey.n_spectra is None and "an unstated number of spectra" in str(survey)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "core.txt"
    path.write_bytes(b",X,Y,4000.0,3996.0,3992.0\n0,0.0,25.0,98.5,97.25,101.0\n1,25.0,25.0,9.5,1,2\n2,0.0,0.0,3,4,5\n")
    return path


# --- the whole cohort ------------------------------------------------------------------------------------------------


def test_survey_says_what_an_import_would_read(original):
    survey = survey_colorectal(original)
    assert survey.classes == ["NC", "CRC", "CRLM"]
    assert survey.n_spectra == len(survey.cores) * SHAPE[0] * SHAPE[1]
    np.testing.assert_array_equal(survey.wavenumber, np.sort(USUAL_AXIS))
    text = str(survey)
    assert "1 of 12 files have more wavenumbers than the 814" in text
    assert "TMA2: NC 2, CRC 2, CRLM 0 cores, 4 patients" in text


@pytest.fixture(scope="module")
def imported(original, tmp_path_factory):
    out = tmp_path_factory.mktemp("store") / "crc.zarr"
    with pytest.warns(UserWarning, match="2941/00"):
        return import_colorectal(original, out)


def test_import_is_absorbance_of_the_tissue(imported):
    validate_spectra(imported)
    attrs = imported.attrs
    assert attrs["class_names"] == ["NC", "CRC", "CRLM"] and attrs["positive_classes"] == ["CRC", "CRLM"]
    assert attrs["measurement_mode"] == "unknown" and attrs["pixel_size_um"] == 25
    assert attrs["image_batches"] == [name.split("_")[0] for name in attrs["image_names"]]
    assert "2941/00" in attrs["group_names"] and len(attrs["group_names"]) == 9
    for name in ("TMA1_B4", "TMA2_C2"):
        k = attrs["image_names"].index(name)
        rows = np.flatnonzero(imported.image.values == k)
        label = attrs["class_names"][imported.label.values[rows[0]]]
        array, position = int(name[3]), name.split("_")[1]
        at = [row[0] for row in TABLE[array]].index(position)
        axis = LONG_AXIS if name == "TMA2_C2" else USUAL_AXIS
        percent, tissue = core_percent(label, axis, SHAPE, seed=100 * array + at)
        np.testing.assert_array_equal(
            imported.row.values[rows] * SHAPE[1] + imported.col.values[rows], *tissue.nonzero()
        )
        expected = -np.log10(percent[tissue][:, :814][:, ::-1] / 100)
        np.testing.assert_allclose(read_absorbance(imported, rows), expected, atol=1e-6)


def test_values_above_100_are_negative_absorbance(original, tmp_path):
    data = import_colorectal(original, tmp_path / "b.zarr", cores=["B1"], tissue="none")
    assert data.sizes["spectrum"] == SHAPE[0] * SHAPE[1]
    assert read_absorbance(data, slice(None)).min() < 0


def test_values_of_zero_are_refused_unless_a_floor_is_given(cohort, tmp_path):
    edited(spectra_file(cohort, "1_b1"), lambda b: b.replace(b"\n1,-1062.5,-962.5,", b"\n1,-1062.5,-962.5,0.0,0.0,", 1))
    text = spectra_file(cohort, "1_b1").read_text().split("\n")
    text[2] = ",".join(text[2].split(",")[:817])
    spectra_file(cohort, "1_b1").write_text("\n".join(text))
    with pytest.raises(DataError, match="floor"):
        import_colorectal(cohort, tmp_path / "b.zarr", cores=["B1"], tissue="none")
    assert not (tmp_path / "b.zarr").exists()
    data = import_colorectal(cohort, tmp_path / "b.zarr", cores=["B1"], tissue="none", floor=0.1)
    assert read_absorbance(data, slice(None)).max() == pytest.approx(3.0)


@pytest.mark.parametrize("floor", [0, -1.0, 1e-50, 100, np.nan])
def test_a_floor_without_a_finite_absorbance_is_refused(original, tmp_path, floor):
    with pytest.raises(SettingsError, match="above 0 and below 100 per cent"):
        import_colorectal(original, tmp_path / "b.zarr", floor=floor)
    assert list(tmp_path.iterdir()) == []


def test_range_and_licence(original, tmp_path):
    data = import_colorectal(original, tmp_path / "b.zarr", arrays=[3], low=1000, high=1800, licence="CC-BY-4.0")
    assert (data.wavenumber.values[0], data.wavenumber.values[-1]) == (1000, 1800)
    assert data.attrs["class_names"] == ["CRLM"] and data.attrs["licence"] == "CC-BY-4.0"


def test_killed_import_goes_on_where_it_stopped(original, tmp_path, monkeypatch, imported):
    out, read = tmp_path / "crc.zarr", []

    def stops(core, **options):
        if len(read) == 5:
            raise KeyboardInterrupt
        read.append(core.name)
        return read_core(core, **options)

    monkeypatch.setattr(colorectal_store, "read_core", stops)
    with pytest.raises(KeyboardInterrupt):
        import_colorectal(original, out)
    assert not out.exists()
    first, read[:] = list(read), []
    monkeypatch.setattr(colorectal_store, "read_core", lambda core, **o: read.append(core.name) or read_core(core, **o))
    data = import_colorectal(original, out)
    assert len(first) == 5 and not set(first) & set(read)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["crc.zarr"]
    np.testing.assert_array_equal(data.absorbance.values, imported.absorbance.values)


def test_changed_file_or_option_is_read_again(cohort, tmp_path, monkeypatch):
    out = tmp_path / "b.zarr"

    def again(**options):
        """Import, stopped just before the end; whether the core was there from an earlier call."""
        lines = []

        def stop(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as context:
            context.setattr(colorectal_store.SpectraWriter, "append", stop)
            with pytest.raises(KeyboardInterrupt):
                import_colorectal(cohort, out, cores=["B1"], report=lines.append, **options)
        return "read before" in lines[-1]

    assert [again(tissue="none"), again(tissue="none"), again(), again(low=1000), again(minimum_snr=1)] == [
        False, True, False, False, False,
    ]  # fmt: skip
    edited(spectra_file(cohort, "1_b1"), lambda b: b[:-2] + b"9\n")
    os.utime(spectra_file(cohort, "1_b1"), ns=(1, 1))
    assert not again(tissue="none")


def test_damaged_part_is_read_again(original, tmp_path, monkeypatch):
    out, lines, options = tmp_path / "b.zarr", [], {"arrays": [3], "tissue": "none"}
    whole = import_colorectal(original, tmp_path / "whole.zarr", **options)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(colorectal_store.SpectraWriter, "append", stop)
        import_colorectal(original, out, **options)
    edited(tmp_path / ".b.zarr.cores/cores/TMA3_D2/core.npz", lambda b: b[:-9] + b"x" + b[-8:])
    data = import_colorectal(original, out, report=lines.append, **options)
    assert "cores: 1 of 4 to make" in lines
    assert ["read before" in line for line in lines if "TMA3" in line] == [True, False, True, True]
    np.testing.assert_array_equal(data.absorbance.values, whole.absorbance.values)


def test_bad_core_is_skipped_only_when_asked(cohort, tmp_path):
    edited(spectra_file(cohort, "3_d2"), lambda b: b[: len(b) // 2])
    with pytest.raises(DataError, match="tma3_d2"):
        import_colorectal(cohort, tmp_path / "b.zarr", arrays=[3])
    assert not (tmp_path / "b.zarr").exists()
    data = import_colorectal(cohort, tmp_path / "b.zarr", arrays=[3], skip_bad=True)
    assert data.attrs["image_names"] == ["TMA3_D1", "TMA3_D3", "TMA3_D4"]
    assert any("bad: TMA3_D2" in note for note in open_spectra(tmp_path / "b.zarr").attrs["import_notes"])


def test_core_that_was_skipped_is_refused_by_the_next_call_and_read_once_mended(cohort, tmp_path, monkeypatch):
    bad, out = spectra_file(cohort, "3_d2"), tmp_path / "b.zarr"
    whole = bad.read_bytes()
    edited(bad, lambda b: b[: len(b) // 2])

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(colorectal_store.SpectraWriter, "append", stop)
        import_colorectal(cohort, out, arrays=[3], skip_bad=True)
    with pytest.raises(DataError, match="tma3_d2"):
        import_colorectal(cohort, out, arrays=[3])
    bad.write_bytes(whole)
    assert import_colorectal(cohort, out, arrays=[3]).attrs["image_names"] == [f"TMA3_D{k}" for k in (1, 2, 3, 4)]


def test_signal_to_noise_leaves_out_and_may_leave_nothing(original, tmp_path):
    data = import_colorectal(original, tmp_path / "b.zarr", cores=["B1"], tissue="none", minimum_snr=20)
    assert 0 < data.sizes["spectrum"] < SHAPE[0] * SHAPE[1]
    with pytest.raises(DataError, match="lower minimum_snr"):
        import_colorectal(original, tmp_path / "c.zarr", cores=["B1"], minimum_snr=1e9)


@pytest.mark.parametrize("options", [{"tissue": "yes"}, {"minimum_snr": -1}, {"minimum_snr": float("nan")}])
def test_unknown_options_are_refused(original, tmp_path, options):
    with pytest.raises(SettingsError):
        import_colorectal(original, tmp_path / "b.zarr", **options)


def test_existing_store_is_kept(original, tmp_path):
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(DataError, match="exists"):
        import_colorectal(original, tmp_path / "b.zarr")


def test_signal_to_noise_is_the_authors_ratio():
    axis = np.arange(1500.0, 2200.0, 4.0)
    spectrum = np.where((axis >= 2000) & (axis <= 2100), 0.01 * (-1.0) ** np.arange(axis.size), 0.5)
    inside = spectrum[(axis >= 2000) & (axis <= 2100)]
    assert signal_to_noise(spectrum[None], axis)[0] == pytest.approx(0.5 / inside.std())
    np.testing.assert_allclose(signal_to_noise(spectrum[None, ::-1], axis[::-1]), signal_to_noise(spectrum[None], axis))


def test_mask_finds_tissue_whatever_cluster_comes_first():
    percent, tissue = core_percent("NC", USUAL_AXIS, (9, 9), seed=3)
    absorbance = -np.log10(percent / 100)
    for seed in range(4):
        np.testing.assert_array_equal(tissue_by_kmeans(absorbance, USUAL_AXIS, random_state=seed), tissue)
    assert tissue_by_kmeans(np.ones((5, USUAL_AXIS.size)), USUAL_AXIS).all()


def test_licence_noted_by_the_download_is_taken_over(cohort, tmp_path):
    (cohort / "source.json").write_text(json.dumps({"licence": "cc-by-4.0"}))
    assert import_colorectal(cohort, tmp_path / "b.zarr", cores=["B1"]).attrs["licence"] == "cc-by-4.0"


def test_layout_writer_writes_what_pandas_reads(original):
    text = spectra_file(original, "1_b1").read_text()
    table = pd.read_csv(io.StringIO(text))
    assert table.columns[0] == "Unnamed: 0" and table.shape == (SHAPE[0] * SHAPE[1], 817)
    assert (np.diff(table.Y) <= 0).all()
