"""Contexts: seeded, numbered by size, described by their own members, and chosen by stated rules."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.errors import DataError, ModelError, SettingsError, StoreError
from ftirlib.explain.crime.contexts import (
    Contexts,
    ContextTable,
    check_stability,
    context_moments,
    default_n_contexts,
    describe_contexts,
    embed,
    extreme_contexts,
    find_contexts,
    opposing_context,
)
from ftirlib.spectra.model import CHUNK
from ftirlib.spectra.rows import Rows

PLACES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
SIZES = [20, 60, 40]


@pytest.fixture
def clouds(rng):
    """Three well separated clouds of 20, 60 and 40 spectra, shuffled, and which is which."""
    which = rng.permutation(np.repeat([0, 1, 2], SIZES))
    return PLACES[which] + 0.5 * rng.normal(size=(120, 2)), which


def table(predicted, labelled, sizes=None):
    """A table with the given counts (n_contexts, n_classes) and nothing else of interest."""
    predicted, labelled = np.array(predicted), np.array(labelled)
    nothing = np.zeros((len(predicted), 2), np.float32)
    size = predicted.sum(1)
    return ContextTable(size, predicted, labelled, predicted.argmax(1), size * 0.0, size * 0.0, *[nothing] * 4)


# --- finding -------------------------------------------------------------------------------------------------


def test_clouds_are_found_and_numbered_by_size(clouds):
    latent, which = clouds
    contexts = find_contexts(latent, n_contexts=3)
    np.testing.assert_array_equal(contexts.assigned, np.array([2, 0, 1])[which])
    np.testing.assert_allclose(contexts.centres, PLACES[[1, 2, 0]], atol=0.4)
    for k in range(3):
        members = latent[contexts.assigned == k]
        np.testing.assert_allclose(contexts.centres[k], members.mean(0), atol=1e-9)
        assert contexts.spread[k] == pytest.approx(np.sqrt(np.square(members - members.mean(0)).sum(1).mean()))


def test_same_seed_same_contexts(rng):
    latent = rng.normal(size=(300, 4))
    first, second = (find_contexts(latent, n_contexts=12, random_state=4, n_init=1) for _ in range(2))
    assert first.centres.tobytes() == second.centres.tobytes()
    other = find_contexts(latent, n_contexts=12, random_state=5, n_init=1)
    assert first.centres.tobytes() != other.centres.tobytes()
    assert (np.diff(np.bincount(first.assigned)) <= 0).all()


def test_assign_is_the_nearest_centre(rng, clouds):
    contexts = find_contexts(clouds[0], n_contexts=3)
    np.testing.assert_array_equal(contexts.assign(clouds[0]), contexts.assigned)
    latent = 20 * rng.normal(size=(200, 2))
    expected = np.linalg.norm(latent[:, None] - contexts.centres, axis=2).argmin(1)
    np.testing.assert_array_equal(contexts.assign(latent), expected)
    with pytest.raises(ModelError, match="4 dimensions but the contexts were found in 2"):
        contexts.assign(rng.normal(size=(5, 4)))


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.1, 10), shift=st.floats(-100, 100))
def test_scale_and_place_of_the_latent_space_do_not_matter(scale, shift):
    rng = np.random.default_rng(0)
    latent = PLACES[rng.integers(0, 3, 60)] + 0.5 * rng.normal(size=(60, 2))
    first = find_contexts(latent, n_contexts=3, n_init=3).assigned
    np.testing.assert_array_equal(find_contexts(latent * scale + shift, n_contexts=3, n_init=3).assigned, first)


@pytest.mark.parametrize("n, expected", [(10, 2), (59, 2), (60, 2), (90, 3), (3000, 100), (1_000_000, 100)])
def test_rule_for_small_data(n, expected):
    assert default_n_contexts(n) == expected


def test_more_contexts_than_spectra_are_refused(rng):
    latent = rng.normal(size=(40, 3))
    with pytest.raises(DataError, match=r"100 contexts were asked of 40 spectra.*gives 2"):
        find_contexts(latent)
    with pytest.raises(DataError, match="3 of them distinct"):
        find_contexts(np.repeat(latent[:3], 10, axis=0), n_contexts=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        each = find_contexts(latent, n_contexts=40, n_init=1)
    assert sorted(each.assigned) == list(range(40))
    np.testing.assert_allclose(each.spread, 0, atol=1e-9)


def test_bad_latents_are_refused(rng):
    latent = rng.normal(size=(40, 3))
    latent[7, 1] = np.inf
    with pytest.raises(DataError, match="not finite for 1 spectra, the first being 7"):
        find_contexts(latent, n_contexts=2)
    with pytest.raises(DataError, match=r"shape \(40,\)"):
        find_contexts(latent[:, 0], n_contexts=2)
    with pytest.raises(SettingsError, match="n_contexts is 0"):
        find_contexts(latent, n_contexts=0)


def test_unstable_explanations_are_refused_unless_told_otherwise(rng):
    latent = rng.normal(size=(40, 3))
    low = np.where(np.arange(40) < 30, 0.2, 0.9)
    with pytest.raises(DataError, match=r"median stability is 0\.20, below 0\.5 \(75% of 40"):
        find_contexts(latent, n_contexts=2, stability=low)
    with pytest.raises(DataError, match=r"below 0\.95"):
        find_contexts(latent, n_contexts=2, stability=np.full(40, 0.9), stability_floor=0.95)
    chosen = [
        find_contexts(latent, n_contexts=2),
        find_contexts(latent, n_contexts=2, stability=low, stability_floor=None),
        find_contexts(latent, n_contexts=2, stability=low, stability_floor=0.1),
        find_contexts(latent, n_contexts=2, stability=1 - low),
    ]
    assert all((c.assigned == chosen[0].assigned).all() for c in chosen)
    with pytest.raises(DataError, match=r"shape \(39,\) for 40"):
        find_contexts(latent, n_contexts=2, stability=low[:39])
    with pytest.raises(SettingsError, match="stability_floor is 2"):
        check_stability(low, 2)
    with pytest.raises(DataError, match=r"stability is 0\.00"):  # constant weights have no correlation
        check_stability(np.full(4, np.nan))


# --- describing ----------------------------------------------------------------------------------------------


def test_a_table_done_by_hand():
    spectra = np.array([[1.0, 2], [3, 4], [5, 9], [0, 0]])
    found = describe_contexts(
        [0, 0, 0, 2], 3, spectra, -spectra, predicted=[1, 1, 0, 2], labelled=[1, 2, -1, 2], n_classes=3
    )
    assert found.size.tolist() == [3, 0, 1]
    assert found.predicted_counts.tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]
    assert found.labelled_counts.tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 1]]
    assert found.label.tolist() == [1, -1, 2]
    np.testing.assert_allclose(found.purity, [2 / 3, np.nan, 1])
    np.testing.assert_allclose(found.mislabel_score, [1 / 2, np.nan, 0])
    np.testing.assert_allclose(found.mean_spectra, [[3, 5], [np.nan, np.nan], [0, 0]])
    np.testing.assert_allclose(found.mean_weights, -found.mean_spectra)
    np.testing.assert_allclose(found.sd_spectra[0], spectra[:3].std(0), rtol=1e-6)
    frame = found.frame(["normal", "adenomatous", "cancerous"])
    assert frame.index.name == "context"
    assert frame.label.tolist() == ["adenomatous", "", "cancerous"]
    assert frame.predicted_cancerous.tolist() == [0, 0, 1]


def test_describe_sums_in_blocks_as_at_once(rng):
    n = CHUNK + 50
    assigned, x = rng.integers(0, 6, n), 1000 + rng.normal(size=(n, 5)).astype(np.float32)
    predicted = rng.integers(0, 3, n)
    found = describe_contexts(assigned, 6, x, x**2, predicted=predicted, labelled=predicted, n_classes=3)
    for k in range(6):
        np.testing.assert_allclose(found.mean_spectra[k], x[assigned == k].astype(float).mean(0), rtol=1e-6)
        np.testing.assert_allclose(found.sd_spectra[k], x[assigned == k].astype(float).std(0), rtol=1e-5)
        assert found.predicted_counts[k].tolist() == np.bincount(predicted[assigned == k], minlength=3).tolist()
    assert found.predicted_counts.sum() == n
    np.testing.assert_array_equal(found.mislabel_score, 0)


def test_moments_of_a_file_are_those_of_the_array(rng, tmp_path):
    n = CHUNK + 50
    assigned, x = rng.integers(1, 4, n), 1000 + rng.normal(size=(n, 5)).astype(np.float32)
    found = context_moments(x, assigned, 5)
    np.testing.assert_array_equal(found, context_moments(Rows.of(x).to_file(tmp_path / "rows.npy"), assigned, 5))
    for k in (1, 2, 3):
        mine = x[assigned == k].astype(float)
        np.testing.assert_allclose([part[k] for part in found], [mine.mean(0), mine.std(0)], rtol=1e-12)
    assert np.isnan(found)[:, [0, 4]].all()


def test_contexts_describe_their_own_spectra_and_others(clouds, rng):
    latent, which = clouds
    contexts, x = find_contexts(latent, n_contexts=3), rng.normal(size=(120, 4))
    own = contexts.describe(spectra=x, weights=x, predicted=which, labelled=which, n_classes=3)
    assert own.size.tolist() == [60, 40, 20]
    assert own.label.tolist() == [1, 2, 0]
    np.testing.assert_array_equal(own.purity, 1)
    few = np.flatnonzero(which == 1)[:5]
    other = contexts.describe(
        spectra=x[few], weights=x[few], predicted=which[few], labelled=which[few], n_classes=3,
        assigned=contexts.assign(latent[few]),
    )  # fmt: skip
    assert other.size.tolist() == [5, 0, 0]
    assert other.label.tolist() == [1, -1, -1]


def test_a_tie_goes_to_the_lower_class():
    found = describe_contexts([0, 0], 1, np.eye(2), np.eye(2), predicted=[2, 1], labelled=[0, 0], n_classes=3)
    assert found.label.tolist() == [1]


def test_arrays_that_disagree_are_refused(rng):
    x, ones = rng.normal(size=(6, 4)), np.ones(6, int)
    good = {"predicted": ones, "labelled": ones, "n_classes": 2}
    for arguments, changes, message in (
        ((ones, 2, x, x[:, :3]), {}, r"\(6, 4\).*\(6, 3\)"),
        ((ones[:5], 2, x, x), {}, r"\(5, wavenumbers\)"),
        ((ones, 1, x, x), {}, r"assigned must be 6 whole numbers in 0\.\.0"),
        ((ones, 2, x, x), {"predicted": ones - 2}, "predicted must be"),
        ((ones, 2, x, x), {"labelled": ones + 1}, r"labelled must be 6 whole numbers in -1\.\.1"),
        ((ones, 2, x, x), {"labelled": ones[:3]}, "labelled must be"),
        ((ones, 2, x, x), {"predicted": ones * 0.5}, "predicted must be 6 whole numbers"),
    ):
        with pytest.raises(DataError, match=message):
            describe_contexts(*arguments, **(good | changes))


# --- choosing ------------------------------------------------------------------------------------------------


def test_extreme_contexts_are_the_farthest_positive_pair():
    # by class: normal, cancerous. Contexts 0 and 3 are farthest of the positive ones; 2 lies farther but is normal.
    found = table([[1, 9], [2, 8], [9, 1], [0, 10]], [[2, 8], [0, 10], [8, 2], [1, 9]])
    positions = np.array([[0, 0], [1, 0], [50, 0], [4, 3]])
    assert extreme_contexts(found, positions, positive=1) == (0, 3)
    assert extreme_contexts(found, positions[::-1], positive=[1]) == (1, 3)
    assert extreme_contexts(found, positions, positive=0) is None
    with pytest.raises(DataError, match=r"\(3, 2\) for 4 contexts"):
        extreme_contexts(found, positions[:3], positive=1)
    with pytest.raises(SettingsError, match=r"\[2\] are not among the 2 classes"):
        extreme_contexts(found, positions, positive=2)


def test_opposing_context_contradicts_its_labels_most():
    # labelled cancerous .8, .9, .4; predicted cancerous .3, .2, 0: the second opposes most, the third is no candidate
    found = table([[7, 3], [8, 2], [10, 0], [0, 10]], [[2, 8], [1, 9], [6, 4], [0, 10]])
    assert opposing_context(found, positive=1) == 1
    assert opposing_context(table([[1, 9], [9, 1]], [[0, 10], [10, 0]]), positive=1) is None


def test_empty_contexts_are_never_chosen():
    found = table([[0, 0], [0, 5], [0, 5]], [[0, 0], [0, 5], [0, 5]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert extreme_contexts(found, np.eye(3), positive=1) == (1, 2)
        assert opposing_context(found, positive=1) is None


# --- on disk, and pictures -----------------------------------------------------------------------------------


def test_saved_contexts_are_the_same(clouds, tmp_path):
    contexts = find_contexts(clouds[0], n_contexts=3, random_state=7)
    again = Contexts.load(contexts.save(tmp_path / "new" / "contexts.npz"))
    for name in ("centres", "assigned", "spread"):
        np.testing.assert_array_equal(getattr(again, name), getattr(contexts, name))
    assert again.random_state == 7
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["contexts.npz"]


def test_torn_or_foreign_files_are_refused(clouds, tmp_path):
    path = find_contexts(clouds[0], n_contexts=3).save(tmp_path / "contexts.npz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StoreError, match="does not hold contexts"):
        Contexts.load(path)
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(StoreError, match="does not hold contexts"):
        Contexts.load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickle.npz", centres=np.array([{}]), assigned=1, spread=1, random_state=1)
    with pytest.raises(StoreError, match="does not hold contexts"):
        Contexts.load(tmp_path / "pickle.npz")
    with pytest.raises(StoreError, match="no contexts at"):
        Contexts.load(tmp_path / "absent.npz")


def test_beyond_so_many_spectra_the_others_are_placed_among_them(clouds, monkeypatch):
    latent, which = clouds
    monkeypatch.setattr("ftirlib.explain.crime.contexts.EMBEDDED", 50)
    picture = embed(latent, n_neighbors=5)
    assert picture.shape == (120, 2) and picture.dtype == np.float32
    assert picture.tobytes() == embed(latent, n_neighbors=5).tobytes()
    np.testing.assert_array_equal(picture[::3], embed(latent[::3], n_neighbors=5))
    nearest = np.linalg.norm(picture[:, None] - picture, axis=2) + np.diag([np.inf] * 120)
    assert (which[nearest.argmin(1)] == which).mean() > 0.9


def test_embedding_is_seeded_and_keeps_clouds_apart(clouds):
    latent, which = clouds
    picture = embed(latent, random_state=1)
    assert picture.shape == (120, 2)
    assert picture.tobytes() == embed(latent, random_state=1).tobytes()
    nearest = np.linalg.norm(picture[:, None] - picture, axis=2) + np.diag([np.inf] * 120)
    assert (which[nearest.argmin(1)] == which).mean() > 0.95
    assert embed(latent[:6]).shape == (6, 2)
    with pytest.raises(DataError, match="4 spectra are too few"):
        embed(latent[:4])
