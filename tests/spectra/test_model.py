"""The data set's layout: what is refused, what is written, and what is left behind when writing fails."""

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ftirlib.errors import DataError
from ftirlib.spectra import model, writer
from ftirlib.spectra.model import (
    as_image,
    has_images,
    iter_blocks,
    make_spectra,
    open_spectra,
    read_absorbance,
    validate_spectra,
)
from ftirlib.spectra.writer import SpectraWriter, save_spectra

AXIS = np.array([1000.0, 1100.0, 1200.0])
CODES = {"image": 0, "group": 0, "row": -1, "col": -1, "label": 0}


@pytest.fixture
def small():
    return make_spectra(np.arange(12.0).reshape(4, 3), AXIS, label=list("abab"), group=["p1", "p2", "p1", "p2"])


@pytest.fixture
def attrs(small):
    return dict(small.attrs)


def without_attribute(data, name):
    data = data.copy()
    del data.attrs[name]
    return data


def test_descending_axis_is_stored_ascending():
    data = make_spectra([[3.0, 2.0, 1.0]], AXIS[::-1])
    np.testing.assert_array_equal(data.wavenumber, AXIS)
    np.testing.assert_array_equal(data.absorbance, [[1, 2, 3]])


def test_names_become_codes_and_blank_is_unknown():
    data = make_spectra(np.ones((3, 3)), AXIS, label=["b", "", "a"], group=["p", "q", "r"], class_names=["b", "a"])
    assert data.label.values.tolist() == [0, -1, 1]
    assert data.attrs["group_names"] == ["p", "q", "r"]
    np.testing.assert_array_equal(data.image, data.group)


@pytest.mark.parametrize(
    ("values", "axis", "words"),
    [
        (np.ones(3), AXIS, r"\(3,\)"),
        (np.ones((2, 4)), AXIS, r"\(2, 4\).*3 wavenumbers"),
        (np.ones((2, 3)), [1000.0, 1000.0, 1100.0], "strictly ascending"),
        (np.ones((2, 3)), [1000.0, np.nan, 1100.0], "finite"),
        (np.ones((0, 3)), AXIS, "0 spectra"),
        (np.ones((2, 1)), AXIS[:1], "1 wavenumbers"),
        ([[1, 2, np.nan]], AXIS, "spectrum 0.*NaN"),
        ([[1, 2, 3], [1, 2, np.inf]], AXIS, "spectrum 1.*infinite"),
    ],
)
def test_bad_arrays_are_refused(values, axis, words):
    with pytest.raises(DataError, match=words):
        make_spectra(values, axis)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label": ["a"]}, "label has 1 entries for 2 spectra"),
        ({"label": ["a", "b"], "class_names": ["a"]}, "'b'"),
        ({"group": ["", "p"]}, "'image' holds codes -1"),
        ({"label": ["a", "b"], "image": ["i", "i"]}, "more than one label"),
        ({"label": ["a", "a"], "positive_classes": ["c"]}, "positive class"),
    ],
)
def test_bad_descriptions_are_refused(options, words):
    with pytest.raises(DataError, match=words):
        make_spectra(np.ones((2, 3)), AXIS, **options)


def test_labels_per_spectrum_are_allowed_when_said_so():
    data = make_spectra(np.ones((2, 3)), AXIS, label=["a", "b"], image=["i", "i"], attrs={"label_level": "spectrum"})
    assert data.label.values.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: d.drop_vars("absorbance"), "no variable 'absorbance'"),
        (lambda d: d.transpose(), r"axes \('wavenumber', 'spectrum'\)"),
        (lambda d: d.drop_vars("wavenumber"), "no wavenumber axis"),
        (lambda d: d.isel(wavenumber=slice(None, None, -1)), "ascending"),
        (lambda d: d.drop_vars("label"), "no 'label'"),
        (lambda d: d.assign_coords(group=d.group.astype(float)), "'group' must be integer"),
        (lambda d: d.assign_coords(label=d.label + 5), "codes 5..6"),
        (lambda d: without_attribute(d, "licence"), "'licence'"),
        (lambda d: d.assign_attrs(pixel_size_um="5 um"), "'pixel_size_um' must be float"),
    ],
)
def test_layout_violations_are_named(small, spoil, words):
    with pytest.raises(DataError, match=words):
        validate_spectra(spoil(small))


def test_what_is_saved_is_what_is_opened(small, tmp_path):
    truth = xr.DataArray(np.arange(8.0).reshape(4, 2), dims=("spectrum", "component"), attrs={"components": ["x", "y"]})
    small["truth_fraction"] = truth
    save_spectra(small, tmp_path / "s.zarr")
    opened = open_spectra(tmp_path / "s.zarr")
    xr.testing.assert_identical(opened.load(), small)
    assert not (tmp_path / "s.zarr.partial").exists()


def test_opening_reads_no_absorbance(small, tmp_path):
    path = save_spectra(small, tmp_path / "s.zarr")
    chunks = [file for file in (path / "absorbance" / "c").rglob("*") if file.is_file()]
    whole = {file: file.read_bytes() for file in chunks}
    for file in chunks:
        file.write_bytes(b"what nobody may read")
    data = open_spectra(path)
    np.testing.assert_array_equal(data.label, small.label)
    with pytest.raises(RuntimeError):
        data.absorbance.load()
    for file, content in whole.items():
        file.write_bytes(content)
    np.testing.assert_array_equal(read_absorbance(open_spectra(path), [2, 0]), small.absorbance.values[[2, 0]])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("label", 1, "more than one label"), ("label", 2, r"'label' holds codes 0\.\.2"), ("group", -1, "'group' holds")],
)
def test_codes_of_a_store_are_checked_when_it_is_opened(name, value, words, small, tmp_path):
    path = save_spectra(small.assign_coords(label=small.label * 0), tmp_path / "s.zarr")
    codes = zarr.open_group(path)[name]
    codes[3] = value
    with pytest.raises(DataError, match=words):
        open_spectra(path)
    assert open_spectra(path, codes=False)[name].values[3] == value


def test_opening_again_reads_no_coordinate_but_the_axis(small, tmp_path):
    path = save_spectra(small, tmp_path / "s.zarr")
    for name in model.SPECTRUM_COORDS:
        for file in [file for file in (path / name / "c").rglob("*") if file.is_file()]:
            file.write_bytes(b"what nobody may read")
    data = open_spectra(path, codes=False)
    np.testing.assert_array_equal(data.wavenumber, AXIS)
    with pytest.raises(RuntimeError):
        data.label.load()


@pytest.mark.parametrize("what", ["absent", "file", "folder", "torn", "other zarr"])
def test_opening_what_is_no_data_set_says_so(what, tmp_path, small):
    path = tmp_path / "x.zarr"
    words = {"absent": "no data set at", "file": "not a Zarr", "folder": "not a Zarr", "torn": "cannot be read"}
    if what == "file":
        path.write_text("wavenumber,absorbance")
    elif what == "folder":
        path.mkdir()
    elif what == "torn":
        save_spectra(small, path)
        (path / "zarr.json").write_text("{")
    elif what == "other zarr":
        xr.Dataset({"temperature": ("time", [1.0])}).to_zarr(path, consolidated=False)
    with pytest.raises(DataError, match=words.get(what, "no variable 'absorbance'")):
        open_spectra(path)


@settings(max_examples=8, deadline=None)
@given(
    pieces=st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(sum),
    chunk=st.integers(1, 7),
)
@example(pieces=[3, 0, 6, 2], chunk=4)
def test_pieces_and_chunks_do_not_matter(pieces, chunk, tmp_path_factory, monkeypatch_chunk):
    path = tmp_path_factory.mktemp("pieces") / "s.zarr"
    n = sum(pieces)
    values = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    attrs = dict(make_spectra(np.ones((1, 3)), AXIS, label=["a"]).attrs)
    monkeypatch_chunk(chunk)
    with SpectraWriter(path, AXIS, attrs) as writer:
        start = 0
        for size in pieces:
            rows = np.arange(start, start + size)
            writer.append(values[rows], {**CODES, "row": rows, "col": rows}, {"truth_class": rows})
            start += size
    opened = open_spectra(path)
    np.testing.assert_array_equal(opened.absorbance, values)
    np.testing.assert_array_equal(opened.row, np.arange(n))
    np.testing.assert_array_equal(opened.truth_class, np.arange(n))


@pytest.fixture(scope="module")
def monkeypatch_chunk():
    patch = pytest.MonkeyPatch()
    yield lambda size: [patch.setattr(module, "CHUNK", size) for module in (model, writer)]
    patch.undo()


def test_interrupted_writing_leaves_nothing(attrs, tmp_path):
    path = tmp_path / "s.zarr"
    with pytest.raises(KeyboardInterrupt), SpectraWriter(path, AXIS, attrs) as writer:
        writer.append(np.ones((2, 3)), CODES)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_interrupted_replacement_keeps_the_old_one(small, attrs, tmp_path):
    path = save_spectra(small, tmp_path / "s.zarr")
    with pytest.raises(RuntimeError), SpectraWriter(path, AXIS, attrs, overwrite=True) as writer:
        writer.append(np.ones((2, 3)), CODES)
        raise RuntimeError
    np.testing.assert_array_equal(open_spectra(path).absorbance, small.absorbance)


def test_leftover_of_a_killed_run_does_no_harm(small, tmp_path):
    partial = tmp_path / "s.zarr.partial"
    partial.mkdir()
    (partial / "zarr.json").write_text("{")
    save_spectra(small, tmp_path / "s.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


def test_existing_data_are_replaced_only_when_told(small, tmp_path):
    path = save_spectra(small, tmp_path / "s.zarr")
    with pytest.raises(DataError, match="--overwrite"):
        save_spectra(small, path)
    save_spectra(small.isel(spectrum=[0]), path, overwrite=True)
    assert open_spectra(path).sizes["spectrum"] == 1


def test_overwrite_never_removes_what_is_no_data_set(small, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("x")
    with pytest.raises(DataError, match="no data set"):
        save_spectra(small, tmp_path / "letters", overwrite=True)
    assert (tmp_path / "letters" / "dear.txt").exists()


@pytest.mark.parametrize(
    ("values", "coords", "truth", "words"),
    [
        (np.ones((2, 4)), CODES, {}, r"\(2, 4\).*axis of 3"),
        ([[1, 2, np.nan]], CODES, {}, "spectrum 1 .*NaN"),
        (np.ones((2, 3)), {**CODES, "row": [1, 2, 3]}, {}, "'row' has 3 values for 2"),
        (np.ones((2, 3)), CODES, {"truth_class": [1, 2]}, "truth_class"),
        (np.ones((2, 3)), {**CODES, "label": 9}, {}, "codes 0..9"),
    ],
)
def test_writer_refuses_what_does_not_fit_and_leaves_nothing(values, coords, truth, words, attrs, tmp_path):
    path = tmp_path / "s.zarr"
    with pytest.raises(DataError, match=words), SpectraWriter(path, AXIS, attrs) as writer:
        writer.append(np.ones((1, 3)), CODES)
        writer.append(values, coords, truth)
    assert list(tmp_path.iterdir()) == []


def test_writing_nothing_is_an_error(attrs, tmp_path):
    with pytest.raises(DataError, match="nothing was written"), SpectraWriter(tmp_path / "s.zarr", AXIS, attrs):
        pass
    assert list(tmp_path.iterdir()) == []


def test_blocks_cover_the_rows_once(toy_spectra):
    rows = np.array([3, 4, 5, 50, 120, 159])
    blocks = list(iter_blocks(toy_spectra, rows, size=4))
    assert [start for start, _ in blocks] == [0, 4]
    np.testing.assert_array_equal(np.concatenate([b for _, b in blocks]), toy_spectra.absorbance.values[rows])


def test_images_are_laid_out_by_row_and_column(toy_spectra):
    assert has_images(toy_spectra)
    picture = as_image(toy_spectra, 3, np.arange(toy_spectra.sizes["spectrum"], dtype=float))
    np.testing.assert_array_equal(picture, 60 + np.arange(20.0).reshape(4, 5))
    gap = as_image(toy_spectra.isel(spectrum=slice(61, None)), 3, np.ones(99))
    assert np.isnan(gap[0, 0]) and np.nansum(gap) == 19


def test_spectra_without_pixels_cannot_be_drawn(small):
    assert not has_images(small)
    with pytest.raises(DataError, match="no pixel positions"):
        as_image(small, 0, np.ones(4))
