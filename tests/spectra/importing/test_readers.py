"""Import: each format, each option, and one clear sentence for each file that cannot be used as it is."""

import numpy as np
import pytest
import xarray as xr
from scipy.io import savemat

from ftirlib.errors import DataError, SettingsError
from ftirlib.spectra.bands import tissue_reference
from ftirlib.spectra.importing import blocks
from ftirlib.spectra.importing.formats import as_text
from ftirlib.spectra.importing.readers import describe, import_spectra
from ftirlib.spectra.model import open_spectra

AXIS = np.arange(1000.0, 1801.0, 8.0)
LABEL = np.array(["healthy", "healthy", "tumour", "tumour", "healthy", "tumour"])
PATIENT = np.array(["p1", "p1", "p2", "p2", "p3", "p4"])


@pytest.fixture
def spectra(rng):
    return (rng.uniform(0.3, 0.9, (6, 1)) * tissue_reference(AXIS) + 1e-3 * rng.standard_normal((6, AXIS.size))).astype(
        np.float32
    )


@pytest.fixture
def cube(rng):
    return (rng.uniform(0.3, 0.9, (2, 3, 1)) * tissue_reference(AXIS)).astype(np.float32)


@pytest.fixture
def save(tmp_path):
    def write(name="file.npz", **arrays):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **arrays)
        return path

    return write


def write_table(path, spectra, *, separator=",", columns=("label", "patient"), extra_lines=()):
    header = separator.join([*columns, *(f"{w:g}" for w in AXIS)])
    rows = [
        separator.join([*([LABEL[k], PATIENT[k]][: len(columns)]), *(repr(float(v)) for v in spectra[k])])
        for k in range(len(spectra))
    ]
    path.write_text("\n".join([header, *extra_lines, *rows]) + "\n")
    return path


def test_a_table_in_an_archive(save, spectra):
    data = import_spectra(save(absorbance=spectra, wavenumber=AXIS, label=LABEL, patient=PATIENT))
    np.testing.assert_array_equal(data.absorbance, spectra)
    np.testing.assert_array_equal(data.wavenumber, AXIS)
    assert data.attrs["class_names"] == ["healthy", "tumour"]
    assert data.attrs["group_names"] == data.attrs["image_names"] == ["p1", "p2", "p3", "p4"]
    assert (data.row == -1).all() and "label_level" not in data.attrs
    assert "file.npz: group is 'patient'" in data.attrs["import_notes"]


def test_disk_and_memory_agree_whatever_the_block(save, spectra, tmp_path, monkeypatch):
    path = save(absorbance=spectra, wavenumber=AXIS, label=LABEL, patient=PATIENT)
    in_memory = import_spectra(path, low=1100, high=1700, step=5)
    monkeypatch.setattr(blocks, "CHUNK", 4)
    import_spectra(path, tmp_path / "out.zarr", low=1100, high=1700, step=5)
    xr.testing.assert_allclose(open_spectra(tmp_path / "out.zarr").load(), in_memory, rtol=1e-6)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_text_table(tmp_path, spectra, separator):
    data = import_spectra(write_table(tmp_path / "t.csv", spectra, separator=separator))
    np.testing.assert_array_equal(data.absorbance, spectra)
    assert [data.attrs["class_names"][k] for k in data.label.values] == LABEL.tolist()
    assert [data.attrs["group_names"][k] for k in data.group.values] == PATIENT.tolist()


def test_lines_under_the_header(tmp_path, spectra):
    path = write_table(tmp_path / "t.csv", spectra, extra_lines=["d" + ",c" * (AXIS.size + 1), "class"])
    with pytest.raises(DataError, match=r"'t.csv' has cells .*no numbers.*--skip-rows"):
        import_spectra(path)
    np.testing.assert_array_equal(import_spectra(path, skip_rows=2).absorbance, spectra)


def test_a_table_without_groups_has_labels_per_spectrum(tmp_path, spectra):
    data = import_spectra(write_table(tmp_path / "t.csv", spectra, columns=("label",)))
    assert data.attrs["label_level"] == "spectrum" and data.attrs["image_names"] == ["t"]
    assert any("single spectra" in note for note in data.attrs["import_notes"])


def test_plain_matlab_variables(tmp_path, spectra):
    savemat(
        tmp_path / "m.mat",
        {"spectra": spectra, "wn": AXIS[:, None], "class": LABEL.astype(object), "patient": PATIENT.astype(object)},
    )
    data = import_spectra(tmp_path / "m.mat")
    np.testing.assert_array_equal(data.absorbance, spectra)
    assert [data.attrs["class_names"][k] for k in data.label.values] == LABEL.tolist()


def test_a_cube_is_an_image(save, cube):
    data = import_spectra(save("core7.npz", cube=cube, wavenumbers=AXIS[::-1], label="tumour", pixel_size_um=5.5))
    np.testing.assert_array_equal(data.absorbance, cube.reshape(6, -1)[:, ::-1])
    assert data.row.values.tolist() == [0, 0, 0, 1, 1, 1] and data.col.values.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.attrs["image_names"] == data.attrs["group_names"] == ["core7"]
    assert data.attrs["class_names"] == ["tumour"] and data.attrs["pixel_size_um"] == 5.5


def test_a_label_map_is_labels_per_pixel(save, cube):
    label = np.array([["a", "a", "b"], ["", "a", "b"]])
    data = import_spectra(save(cube=cube, wavenumber=AXIS, label=label))
    assert data.label.values.tolist() == [0, 0, 1, -1, 0, 1] and data.attrs["label_level"] == "spectrum"


def test_a_folder_with_a_sheet_of_weak_labels(save, cube, tmp_path):
    for name in ("a/one.npz", "b/one.npz", "two.npz"):
        save(f"cohort/{name}", absorbance=cube, wavenumber=AXIS)
    sheet = tmp_path / "cohort" / "sheet.csv"
    sheet.write_text("file,label,group\na/one.npz,tumour,p1\nb/one.npz,healthy,p2\ntwo.npz,,p1\n")
    data = import_spectra(
        tmp_path / "cohort",
        tmp_path / "out.zarr",
        sheet=sheet,
        class_names=["healthy", "tumour"],
        positive_classes=["tumour"],
    )
    assert data.attrs["image_names"] == ["a/one", "b/one", "two"]
    assert data.label.values[::6].tolist() == [1, 0, -1]
    assert data.group.values[::6].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\none.npz,a\n", "no line for 'two.npz'"),
        ("file,label\none.npz,a\ntwo.npz,b\nthree.npz,b\n", "'three.npz'.*not among"),
        ("file,label\none.npz,a\none.npz,b\ntwo.npz,b\n", "'one.npz' twice"),
        ("name,label\none.npz,a\n", "needs 'file'"),
        ("file,age\none.npz,7\n", "any of"),
    ],
)
def test_sheets_that_do_not_fit_are_named(text, words, save, cube, tmp_path):
    for name in ("one", "two"):
        save(f"cohort/{name}.npz", absorbance=cube, wavenumber=AXIS)
    (tmp_path / "sheet.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        import_spectra(tmp_path / "cohort", sheet=tmp_path / "sheet.csv")


def test_percent_transmittance(save, spectra):
    percent = save(percentT=100 * 10**-spectra, wavenumber=AXIS)
    np.testing.assert_allclose(import_spectra(percent).absorbance, spectra, atol=1e-6)
    nameless = save("n.npz", X=100 * 10**-spectra, wavenumber=AXIS)
    with pytest.raises(DataError, match=r"does not say.*--unit"):
        import_spectra(nameless)
    np.testing.assert_allclose(import_spectra(nameless, unit="percent").absorbance, spectra, atol=1e-6)


def test_dark_pixels_need_a_floor(save, spectra):
    values = 100 * 10**-spectra
    values[2, 5] = 0
    path = save(percentT=values, wavenumber=AXIS)
    with pytest.raises(DataError, match=r"1 transmittances of zero or less.*--floor"):
        import_spectra(path)
    assert import_spectra(path, floor=0.1).absorbance.values[2, 5] == pytest.approx(3)
    with pytest.raises(SettingsError, match=r"floor"):
        import_spectra(save("a.npz", absorbance=spectra, wavenumber=AXIS), floor=0.1)


def test_nan_is_refused_dropped_or_cut_away(save, spectra, tmp_path):
    spectra[4, AXIS > 1750] = np.nan
    path = save(absorbance=spectra, wavenumber=AXIS, label=LABEL, patient=PATIENT)
    with pytest.raises(DataError, match=r"spectrum 4 .*NaN.*--low.*--invalid drop"):
        import_spectra(path, tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists() and not (tmp_path / "out.zarr.partial").exists()
    dropped = import_spectra(path, invalid="drop")
    np.testing.assert_array_equal(dropped.absorbance, np.delete(spectra, 4, axis=0))
    assert any("1 of 6 spectra" in note for note in dropped.attrs["import_notes"])
    assert import_spectra(path, low=1000, high=1700).sizes["spectrum"] == 6


def test_all_spectra_invalid_is_an_error(save, spectra):
    spectra[:, 0] = np.nan
    with pytest.raises(DataError, match=r"no spectrum is left"):
        import_spectra(save(absorbance=spectra, wavenumber=AXIS), invalid="drop")


def test_files_on_different_axes_need_a_grid(save, spectra, tmp_path):
    save("f/a.npz", absorbance=spectra, wavenumber=AXIS)
    save("f/b.npz", absorbance=spectra[:, 1:], wavenumber=AXIS[1:] + 0.5)
    with pytest.raises(DataError, match=r"'a.npz' has 101 .*1000-1800.*'b.npz' has 100 .*1008.5-1800.5.*--step"):
        import_spectra(tmp_path / "f")
    data = import_spectra(tmp_path / "f", low=1010, high=1800, step=10)
    assert data.sizes == {"spectrum": 12, "wavenumber": 80}
    with pytest.raises(DataError, match=r"'b.npz': .*grid 1000-1800 .*1008.5-1800.5"):
        import_spectra(tmp_path / "f", low=1000, high=1800, step=10)


def test_the_axis_may_be_given(save, spectra):
    path = save(absorbance=spectra)
    with pytest.raises(DataError, match=r"no wavenumber axis among 'absorbance'.*--wavenumber"):
        import_spectra(path)
    np.testing.assert_array_equal(import_spectra(path, wavenumber=AXIS).wavenumber, AXIS)


def test_detection_can_be_overruled_and_switched_off(save, spectra):
    path = save(absorbance=spectra, wavenumber=AXIS, label=LABEL, patient=PATIENT, grade=LABEL[::-1], y=np.arange(6))
    with pytest.raises(DataError, match=r"'label', 'y'.*--label"):
        import_spectra(path)
    chosen = import_spectra(path, label="grade", group="")
    assert [chosen.attrs["class_names"][k] for k in chosen.label.values] == LABEL[::-1].tolist()
    assert chosen.attrs["group_names"] == ["file"]
    assert import_spectra(path, label="").attrs["class_names"] == []


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        ({"first": np.ones((6, 101)), "wavenumber": AXIS}, {}, "'first', 'wavenumber'.*--absorbance"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": AXIS}, {"absorbance": "A"}, "has no 'A'"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": AXIS}, {"group": "patient"}, "has no 'patient' for the group"),
        ({"absorbance": np.ones((6, 101)), "X": np.ones((6, 101)), "wn": AXIS}, {}, "'absorbance', 'X'.*--absorbance"),
        ({"absorbance": np.ones((101, 6)), "wavenumber": AXIS}, {}, r"\(101, 6\).*axis 0: put the spectral axis last"),
        ({"absorbance": np.ones((6, 100)), "wavenumber": AXIS}, {}, r"\(6, 100\) but there are 101"),
        ({"absorbance": np.ones(101), "wavenumber": AXIS}, {}, r"shape \(101,\)"),
        ({"absorbance": np.full((6, 101), "x"), "wavenumber": AXIS}, {}, "real numbers"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": np.full(101, "x")}, {}, "axis is numbers"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": 1e4 / AXIS}, {}, "micrometres"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": 0 * AXIS + 7}, {}, "occurs twice"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": AXIS, "label": LABEL[:5]}, {}, "5 values for 6 spectra"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": AXIS}, {"low": 900, "high": 1800}, "900-1800 .*1000-1800"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": AXIS}, {"skip_rows": 2}, "--skip-rows"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": AXIS, "patient": ["", *PATIENT[1:]]}, {}, "1 of 6 .*no group"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": AXIS, "row": [0.5] * 6, "col": [0] * 6}, {}, "whole numbers"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": AXIS, "label": LABEL}, {"class_names": ["a"]}, "'healthy'"),
        ({"absorbance": np.ones((6, 101)), "wavenumber": AXIS}, {"positive_classes": ["a"]}, "positive class 'a'"),
    ],
)
def test_archives_that_cannot_be_used_say_why(arrays, options, words, save, tmp_path):
    with pytest.raises(DataError, match=words):
        import_spectra(save(**arrays), tmp_path / "out.zarr", unit="absorbance", **options)
    assert not (tmp_path / "out.zarr").exists()


def test_python_objects_are_never_unpickled(save, spectra):
    path = save(absorbance=spectra, wavenumber=AXIS, label=np.array([{"a": 1}] * 6, dtype=object))
    with pytest.raises(DataError, match=r"'label' .*Python objects"):
        import_spectra(path)
    assert import_spectra(path, label="").sizes["spectrum"] == 6


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".csv"])
def test_damaged_files_are_named(suffix, tmp_path):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(b"\x80\x01\xffnot at all" * 40)
    with pytest.raises(DataError, match=f"bad{suffix}"):
        import_spectra(path)


def test_truncated_archives_are_named(save, spectra, tmp_path):
    path = save(absorbance=spectra, wavenumber=AXIS)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"file.npz"):
        import_spectra(path)


def test_a_transposed_table_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("wavenumber,s1,s2\n1000,0.1,0.2\n1004,0.1,0.3\n")
    with pytest.raises(DataError, match=r"names 0 wavenumbers.*transpose"):
        import_spectra(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("absent.npz", "nothing at"),
        ("notes.txt", r"'.txt'\); read are .npz"),
        ("empty", "no file of a format"),
        ("out.zarr", "data set already"),
    ],
)
def test_sources_that_are_none(what, words, tmp_path, save, spectra):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    import_spectra(save(absorbance=spectra, wavenumber=AXIS), tmp_path / "out.zarr")
    with pytest.raises(DataError, match=words):
        import_spectra(tmp_path / what)


@pytest.mark.parametrize("option", ["unit", "wavenumber_unit", "invalid"])
def test_options_take_what_they_list(option, save, spectra):
    with pytest.raises(SettingsError, match=f"{option} must be one of"):
        import_spectra(save(absorbance=spectra, wavenumber=AXIS), **{option: "furlong"})


def test_names_become_text():
    assert as_text([1.0, 2.0, np.nan]).tolist() == ["1", "2", ""]
    assert as_text([1.5, 2.0]).tolist() == ["1.5", "2.0"]
    assert as_text(np.array([b" a ", b"b"])).tolist() == ["a", "b"]


def test_description_counts_without_reading(save, spectra, tmp_path):
    path = save(absorbance=spectra, wavenumber=AXIS, label=np.where(LABEL == "healthy", LABEL, ""), patient=PATIENT)
    found = describe(import_spectra(path, tmp_path / "out.zarr"))
    assert (found["spectra"], found["images"], found["groups"], found["labelled"]) == (6, 4, 4, 3)
    assert found["wavenumbers"] == {"count": 101, "low": 1000.0, "high": 1800.0, "spacing": 8.0}
    assert found["classes"]["healthy"] == {"spectra": 3, "images": 2, "groups": 2}
    assert found["classes"]["unknown"] == {"spectra": 3, "images": 2, "groups": 2}
