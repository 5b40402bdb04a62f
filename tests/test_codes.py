"""Labels looked up as codes: what scikit-learn's encoder gives, wherever the labels lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import LabelEncoder

from ftirlib.classify import codes as module
from ftirlib.classify.codes import Codes, distinct
from ftirlib.errors import DataError
from ftirlib.spectra.rowfile import RowFile
from ftirlib.spectra.runs import Runs

LABELS = st.lists(st.integers(-5, 300), min_size=1, max_size=50).map(lambda found: np.array(found, np.int16))


@given(labels=LABELS, part=st.integers(1, 9))
def test_codes_are_those_of_the_encoder(labels, part, tmp_path_factory):
    encoder = LabelEncoder().fit(labels)
    file = RowFile.write(tmp_path_factory.mktemp("labels") / "labels", [labels[:, None]], 1, np.int16)
    column = Runs([[3, 3 + len(labels)]]).column(np.concatenate([[7, 7, 7], labels]))
    expected = encoder.transform(labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART", part)
        for where in (labels, file, column):
            codes = Codes(where)
            np.testing.assert_array_equal(codes.classes, encoder.classes_)
            np.testing.assert_array_equal(codes[:], expected)
            np.testing.assert_array_equal(codes[1::3], expected[1::3])
            assert codes.shape == (len(labels),) == (len(codes),)
    places = np.arange(len(labels))[::-1]
    np.testing.assert_array_equal(Codes(file)[places], expected[::-1])


def test_codes_take_a_byte_where_that_is_enough():
    assert Codes(np.arange(256)).dtype == Codes(np.arange(256))[:3].dtype == np.uint8
    assert Codes(np.arange(257)).dtype == Codes(np.arange(257))[250:].dtype == np.int64


def test_a_label_of_no_class_is_said():
    codes = Codes(np.array(["a", "d", "b"]), ["a", "b"], what="validation")
    with pytest.raises(DataError, match=r"the validation labels hold \['d'\], which no training spectrum has"):
        codes[:]
    assert codes[2:].tolist() == [1]


def test_no_labels_have_no_classes():
    assert distinct(np.empty(0, np.int16)).tolist() == [] and len(Codes(np.empty(0, np.int16))) == 0
