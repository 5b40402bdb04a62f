"""The ensemble: who votes, how votes are counted, and the same again from disk."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.classify.ensemble import EMSCNN, select_members
from ftirlib.classify.settings import TrainingSettings
from ftirlib.classify.training import MSCNNClassifier
from ftirlib.errors import ModelError, SettingsError

WAVENUMBER = np.linspace(1000.0, 1800.0, 81)
scores = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(0)
    y = np.tile(["a", "b", "c"], 30)
    centre = np.array([1100.0, 1240, 1650])[np.unique(y, return_inverse=True)[1]]
    band = np.exp(-(((WAVENUMBER - centre[:, None]) / 30) ** 2))
    return (band + 0.3 * rng.standard_normal(band.shape)).astype(np.float32), y


@pytest.fixture(scope="module")
def members(spectra):
    X, y = spectra
    settings = TrainingSettings(epochs=2, batch_size=16)
    return [
        MSCNNClassifier(WAVENUMBER, training=settings, random_state=seed).fit(X, y, validation=(X, y))
        for seed in range(3)
    ]


def test_members_above_the_bar_are_chosen():
    chosen, bar = select_members([[0.5, 0.6, 0.7], [0.55, 0.9]], 0.55)
    assert bar == 0.55
    assert [c.tolist() for c in chosen] == [[False, True, True], [False, True]]


def test_the_fold_median_looks_at_every_fold():
    chosen, bar = select_members([[0.1, 0.2, 0.6], [0.5, 0.7, 0.8]], "fold_median")
    assert bar == pytest.approx(0.55)
    assert [c.tolist() for c in chosen] == [[False, False, True], [False, True, True]]


def test_without_a_threshold_everyone_votes():
    chosen, bar = select_members([[0.0, 0.3]], None)
    assert bar == -np.inf and chosen[0].all()


def test_when_nobody_passes_the_best_stays_and_it_is_said():
    with pytest.warns(UserWarning, match=r"no member of fold 1 scores above 0.9 \(the best: 0.4\)"):
        chosen, _ = select_members([[0.95], [0.2, 0.4, 0.4]], 0.9)
    assert chosen[1].tolist() == [False, True, False]


@pytest.mark.filterwarnings("ignore:no member")
@settings(max_examples=60, deadline=None)
@given(st.lists(scores, min_size=1, max_size=4), st.one_of(st.floats(0, 1), st.just("fold_median"), st.none()))
def test_every_fold_keeps_someone_and_nobody_below_a_chosen_one_is_better(folds, threshold):
    chosen, bar = select_members(folds, threshold)
    for fold, kept in zip(folds, chosen):
        fold = np.array(fold)
        assert kept.any()
        assert (fold[kept] > bar).all() or (kept.sum() == 1 and fold[kept][0] == fold.max())
        assert not (fold[~kept] > bar).any()


@pytest.mark.parametrize("threshold", ["median", float("nan"), [0.5]])
def test_unknown_thresholds_are_refused(threshold):
    with pytest.raises(SettingsError, match="give a number, 'fold_median' or None"):
        select_members([[0.5]], threshold)


@pytest.mark.parametrize("folds", [[], [[]], [[0.5], [float("nan")]]])
def test_missing_scores_are_refused(folds):
    with pytest.raises(SettingsError, match="finite validation score"):
        select_members(folds, None)


def test_hard_votes_are_counted(members, spectra):
    X, _ = spectra
    votes = np.stack([member.predict(X) for member in members])
    model = EMSCNN(members, threshold=None).fit()
    expected = np.stack([(votes == k).mean(axis=0) for k in "abc"], axis=1)
    np.testing.assert_allclose(model.predict_proba(X), expected)
    assert list(model.predict(X)) == [model.classes_[row.argmax()] for row in expected]


def test_soft_votes_are_averaged_and_the_module_agrees(members, spectra):
    X, _ = spectra
    expected = np.mean([member.predict_proba(X) for member in members], axis=0)
    soft = EMSCNN(members, threshold=None, voting="soft").fit()
    np.testing.assert_allclose(soft.predict_proba(X), expected, rtol=1e-12)
    x = torch.tensor(X[:5], requires_grad=True)
    probability = EMSCNN(members, threshold=None, voting="hard").fit().as_module()(x)
    np.testing.assert_allclose(probability.detach(), expected[:5], rtol=1e-5)
    gradient = torch.autograd.grad(probability[:, 1].sum(), x)[0]
    assert gradient.shape == x.shape and gradient.abs().max() > 0


def test_the_order_of_members_does_not_matter(members, spectra):
    X, _ = spectra
    one, other = (EMSCNN(m, threshold=None, voting="soft").fit() for m in (members, members[::-1]))
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-12)


def test_members_are_chosen_by_their_own_scores_or_by_given_spectra(members, spectra):
    X, y = spectra
    own = [member.validation_score_ for member in members]
    second = np.sort(own)[1]
    model = EMSCNN(members, threshold=second).fit()
    assert model.selected_.tolist() == [score > second for score in own]
    assert model.members_ == [members[i] for i in np.flatnonzero(model.selected_)]
    given = EMSCNN(members, threshold=None).fit(X, y)
    np.testing.assert_allclose(given.scores_, own)  # they were validated on the same spectra


def test_a_fold_median_needs_the_scores_of_the_folds(members):
    own = [member.validation_score_ for member in members]
    model = EMSCNN(members, threshold="fold_median", fold_scores=[own, [0.0, 0.0, 0.0]]).fit()
    assert model.threshold_ == np.median([*own, 0, 0, 0])
    for options in ({"threshold": "fold_median"}, {"threshold": 0.5, "fold_scores": [own]}):
        with pytest.raises(SettingsError, match="go together"):
            EMSCNN(members, **options).fit()


def test_a_member_that_never_saw_a_class_gives_it_nothing(members, spectra):
    X, y = spectra
    two = y != "b"
    settings = TrainingSettings(epochs=1, batch_size=16)
    partial = MSCNNClassifier(WAVENUMBER, training=settings).fit(X[two], y[two], validation=(X[two], y[two]))
    model = EMSCNN([partial, members[0]], threshold=None, voting="soft").fit()
    a, b = partial.predict_proba(X), members[0].predict_proba(X)
    expected = (np.insert(a, 1, 0, axis=1) + b) / 2
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_allclose(model.as_module()(torch.tensor(X)).detach(), expected, rtol=1e-4, atol=1e-6)


def test_saved_and_loaded_is_the_same_ensemble(members, spectra, tmp_path):
    X, _ = spectra
    below_best = max(member.validation_score_ for member in members) - 1e-9
    for options in ({"threshold": below_best}, {"threshold": None, "voting": "soft"}):
        model = EMSCNN(members, **options).fit()
        loaded = EMSCNN.load(model.save(tmp_path / "ensemble"))
        assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
        assert loaded.selected_.tolist() == model.selected_.tolist() and loaded.threshold_ == model.threshold_
    assert {p.suffix for p in (tmp_path / "ensemble").rglob("*") if p.is_file()} == {".json", ".safetensors"}


def test_damaged_folders_are_refused(members, tmp_path):
    folder = EMSCNN(members, threshold=None).fit().save(tmp_path / "ensemble")
    path = folder / "ensemble.json"
    text = path.read_text()
    path.write_text(json.dumps({k: v for k, v in json.loads(text).items() if k != "scores"}))
    with pytest.raises(ModelError, match="incomplete"):
        EMSCNN.load(folder)
    path.write_text(json.dumps(json.loads(text) | {"selected": [True]}))
    with pytest.raises(ModelError, match="1 choices for 3 members"):
        EMSCNN.load(folder)
    path.write_text(text)
    (folder / "member_001" / "network.safetensors").unlink()
    with pytest.raises(ModelError, match="no file of weights"):
        EMSCNN.load(folder)


def test_members_that_do_not_belong_together_are_refused(members, spectra):
    X, y = spectra
    with pytest.raises(SettingsError, match="at least one fitted member"):
        EMSCNN([]).fit()
    with pytest.raises(SettingsError, match="voting is 'loud'"):
        EMSCNN(members, voting="loud").fit()
    with pytest.raises(SettingsError, match="or neither"):
        EMSCNN(members).fit(X)
    with pytest.raises(ModelError, match="member 1 is no fitted"):
        EMSCNN([members[0], MSCNNClassifier(WAVENUMBER)]).fit()
    settings = TrainingSettings(epochs=1, batch_size=16)
    moved = MSCNNClassifier(WAVENUMBER + 5, training=settings).fit(X, y, validation=(X, y))
    with pytest.raises(ModelError, match="member 1 is on another grid"):
        EMSCNN([members[0], moved]).fit()
