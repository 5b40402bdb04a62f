"""The linear model of contexts: equal to the formula, the same whatever order or scale, readable, NumPy alone."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.errors import DataError, ModelError, SettingsError, StoreError
from ftirlib.explain.linear.linear import ROWS, LinearClassifier

NAMES = ["normal", "hyperplastic", "cancerous"]


def random_model(rng, n_contexts=7, n_wavenumbers=90, **options):
    return LinearClassifier.from_contexts(
        rng.normal(size=(n_contexts, n_wavenumbers)).cumsum(axis=1),
        rng.normal(size=(n_contexts, n_wavenumbers)),
        rng.integers(0, len(NAMES), n_contexts),
        NAMES,
        np.linspace(1000, 1800, n_wavenumbers),
        **options,
    )


def unit(v):
    """The formula's r, written out."""
    return 2 * (v - v.min()) / (v.max() - v.min()) - 1


def by_loop(model, spectra):
    """The formula, one pair at a time."""
    out = np.empty((len(spectra), len(model.labels)))
    for i, x in enumerate(np.asarray(spectra, float)):
        for k, (m, w) in enumerate(zip(model.mean_spectra.astype(float), model.mean_weights.astype(float))):
            a = {"signed": unit(w), "absolute": np.abs(w) / np.abs(w).max(), "none": np.ones_like(w)}[model.weighting]
            left, right = a * unit(m), a * unit(x)
            out[i, k] = left @ right / np.sqrt((left @ left) * (right @ right))
    return out


@pytest.mark.parametrize("weighting", ["signed", "absolute", "none"])
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_equals_the_formula(rng, weighting, dtype, tolerance):
    model = random_model(rng, n_wavenumbers=801, weighting=weighting)
    spectra = rng.normal(size=(50, 801)).cumsum(axis=1).astype(dtype)
    similarity = model.similarity(spectra)
    assert similarity.dtype == dtype
    np.testing.assert_allclose(similarity, by_loop(model, spectra), rtol=0, atol=tolerance)


def test_a_case_done_by_hand():
    # r(m) = (-1, 1, -1), a = r(w) = (1, 1, -1), r(x) = (-1, 1, 0): (1 + 1 + 0) / sqrt(3 * 2)
    model = LinearClassifier.from_contexts([[0, 2, 0]], [[5, 5, 1]], [0], NAMES, [1, 2, 3])
    assert model.similarity([[0.0, 4.0, 2.0]])[0, 0] == pytest.approx(2 / np.sqrt(6))


def test_sign_of_scaled_weights_cancels(rng):
    spectra, weights = rng.normal(size=(4, 60)), rng.normal(size=(4, 60))
    x = rng.normal(size=(9, 60))
    models = [
        LinearClassifier.from_contexts(spectra, w, [0, 1, 0, 1], NAMES, np.arange(60)) for w in (weights, -weights)
    ]
    np.testing.assert_allclose(models[0].similarity(x), models[1].similarity(x), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.01, 100), offset=st.floats(-5, 5), seed=st.integers(0, 99))
def test_scale_and_offset_of_a_spectrum_do_not_matter(scale, offset, seed):
    rng = np.random.default_rng(seed)
    model, x = random_model(rng), rng.normal(size=(5, 90)).cumsum(axis=1)
    np.testing.assert_allclose(model.similarity(x * scale + offset), model.similarity(x), atol=1e-9)


def test_order_of_wavenumbers_and_of_spectra_does_not_matter(rng):
    model, x = random_model(rng), rng.normal(size=(20, 90))
    p, q = rng.permutation(90), rng.permutation(20)
    turned = LinearClassifier.from_contexts(
        model.mean_spectra[:, p], model.mean_weights[:, p], model.labels, NAMES, model.wavenumber[p]
    )
    np.testing.assert_allclose(turned.similarity(x[:, p]), model.similarity(x), atol=1e-12)
    np.testing.assert_array_equal(model.predict(x[q]), model.predict(x)[q])


def test_blocks_do_not_show(rng):
    model, x = random_model(rng), rng.normal(size=(ROWS + 3, 90))
    np.testing.assert_allclose(model.similarity(x)[ROWS - 2 :], model.similarity(x[ROWS - 2 :]), atol=1e-12)


def test_a_context_recognises_its_own_mean(rng):
    model = random_model(rng)
    np.testing.assert_allclose(np.diag(model.similarity(model.mean_spectra)), 1, atol=1e-6)
    np.testing.assert_array_equal(model.predict(model.mean_spectra), model.labels)


def test_weights_decide_where_to_look():
    # Both contexts share the band at position 1; only the explanation of each says which of the others matters.
    spectra = [[0.0, 1.0, 0.6, 0.2], [0.0, 1.0, 0.2, 0.6]]
    model = LinearClassifier.from_contexts(
        spectra, [[0, 0, 3, 1], [0, 0, 1, 3]], [0, 1], NAMES, range(4), weighting="absolute"
    )
    assert model.predict([[0.0, 1.0, 0.9, 0.2]]).tolist() == [0]
    assert model.predict([[0.0, 1.0, 0.2, 0.9]]).tolist() == [1]


def test_equal_weights_are_the_plain_cosine(rng):
    spectra, x = rng.normal(size=(3, 40)), rng.normal(size=(8, 40))
    for constant in (0.0, 2.5):
        weights = np.full((3, 40), constant)
        for weighting in ("signed", "absolute"):
            flat = LinearClassifier.from_contexts(spectra, weights, [0, 1, 2], NAMES, range(40), weighting=weighting)
            plain = LinearClassifier.from_contexts(spectra, weights, [0, 1, 2], NAMES, range(40), weighting="none")
            np.testing.assert_array_equal(flat.similarity(x), plain.similarity(x))


def test_reasons(rng):
    model = random_model(rng, n_contexts=12, context=np.arange(12) + 50)
    x = rng.normal(size=(30, 90)).cumsum(axis=1)
    found, similarity = model.reasons(x), model.similarity(x)
    np.testing.assert_array_equal(found.label, model.predict(x))
    np.testing.assert_array_equal(found.context - 50, similarity.argmax(axis=1))
    np.testing.assert_array_equal(found.similarity, similarity.max(axis=1))
    for i in range(30):
        others = np.where(model.labels != found.label[i], similarity[i], -9)
        assert found.rival[i] == others.argmax() + 50
        assert found.margin[i] == pytest.approx(similarity[i].max() - others.max())
        assert found.margin[i] >= 0


def test_contexts_of_one_class_have_no_rival(rng):
    model = LinearClassifier.from_contexts(rng.normal(size=(3, 9)), rng.normal(size=(3, 9)), [1, 1, 1], NAMES, range(9))
    found = model.reasons(rng.normal(size=(4, 9)))
    assert set(found.rival) == {-1}
    assert np.isnan(found.margin).all()
    assert set(found.label) == {1}


def test_empty_contexts_are_left_out_and_numbers_kept(rng):
    spectra = rng.normal(size=(3, 9))
    spectra[1] = np.nan
    model = LinearClassifier.from_contexts(spectra, spectra, np.array([2, -1, 0]), NAMES, range(9))
    assert model.context.tolist() == [0, 2]
    assert model.reasons(spectra[[2]]).context.tolist() == [2]
    with pytest.raises(DataError, match="every context is empty"):
        LinearClassifier.from_contexts(spectra, spectra, np.array([-1, -1, -1]), NAMES, range(9))


def test_json_gives_the_same_model_and_is_readable(rng, tmp_path):
    model = random_model(rng, context=np.arange(7) * 3, weighting="absolute")
    path = model.save(tmp_path / "new" / "linear.json")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["contexts"][2]["context"] == 6
    assert found["contexts"][2]["label"] == NAMES[model.labels[2]]
    assert len(path.read_text(encoding="utf-8").splitlines()) < 20
    again, x = LinearClassifier.load(path), rng.normal(size=(10, 90))
    np.testing.assert_array_equal(again.mean_spectra, model.mean_spectra)
    np.testing.assert_array_equal(again.similarity(x), model.similarity(x))
    np.testing.assert_array_equal(again.reasons(x).context, model.reasons(x).context)
    assert again.save(tmp_path / "twice.json").read_bytes() == path.read_bytes()
    assert [p.name for p in path.parent.iterdir()] == ["linear.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "other"}', '{"format": "ftirlib-linear-1"}'])
def test_torn_or_foreign_json_is_refused(content, tmp_path):
    (tmp_path / "linear.json").write_text(content)
    with pytest.raises(StoreError, match=r"linear\.json' is not a linear model"):
        LinearClassifier.load(tmp_path / "linear.json")
    with pytest.raises(StoreError, match="no linear model at"):
        LinearClassifier.load(tmp_path / "absent.json")


def test_bad_spectra_are_refused(rng):
    model, x = random_model(rng), rng.normal(size=(5, 90))
    flat, holes = x.copy(), x.copy()
    flat[3] = 0.7
    holes[2, 5] = np.nan
    with pytest.raises(DataError, match="spectrum 3 is constant"):
        model.predict(flat)
    with pytest.raises(DataError, match="spectrum 2 is not finite"):
        model.predict(holes)
    with pytest.raises(ModelError, match=r"\(5, 89\).*90 wavenumbers \(1000 to 1800"):
        model.predict(x[:, :89])
    with pytest.raises(ModelError, match=r"900 to 1700.*1000 to 1800"):
        model.predict(x, wavenumber=np.linspace(900, 1700, 90))
    np.testing.assert_array_equal(model.predict(x, wavenumber=model.wavenumber), model.predict(x))


def test_bad_contexts_are_refused(rng):
    good = {
        "mean_spectra": rng.normal(size=(3, 9)),
        "mean_weights": rng.normal(size=(3, 9)),
        "labels": [0, 1, 2],
        "class_names": NAMES,
        "wavenumber": range(9),
    }
    flat, holes = good["mean_spectra"].copy(), good["mean_weights"].copy()
    flat[1] = 1.0
    holes[2, 0] = np.nan
    for change, error, message in (
        ({"mean_spectra": flat}, DataError, "mean spectrum of context 1 is constant"),
        ({"mean_weights": holes}, DataError, "mean weights of context 2 are not finite"),
        ({"mean_weights": rng.normal(size=(3, 8))}, DataError, r"\(3, 9\).*\(3, 8\)"),
        ({"labels": [0, 1, 3]}, DataError, "0 to 3 but there are 3 class names"),
        ({"labels": [0, 1]}, DataError, "2 labels"),
        ({"labels": ["normal"] * 3}, DataError, "one integer per context"),
        ({"wavenumber": range(8)}, DataError, "9 wavenumbers"),
        ({"weighting": "squared"}, SettingsError, "weighting 'squared' is unknown"),
    ):
        with pytest.raises(error, match=message):
            LinearClassifier.from_contexts(**(good | change))


def test_applied_without_torch_or_sklearn():
    code = "import sys, ftirlib.explain.linear.linear; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"ftirlib", "numpy"} <= set(loaded)
    assert {"torch", "sklearn", "scipy", "pandas", "xarray"}.isdisjoint(loaded)
