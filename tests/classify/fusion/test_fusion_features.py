"""Features: statistics by hand, what scattering promises, cached and streamed extraction that changes no number."""

import numpy as np
import pytest
from scipy import stats

from ftirlib.classify.checks import choose_device
from ftirlib.classify.fusion.features import FeatureExtractor
from ftirlib.classify.fusion.fused import fuse
from ftirlib.classify.fusion.leak import tsne_map
from ftirlib.classify.fusion.scattering import SpectrumScattering
from ftirlib.classify.fusion.settings import FAMILIES, FeatureSettings
from ftirlib.classify.fusion.statistics import STATISTICS, spectrum_statistics
from ftirlib.errors import DataError, SettingsError

AXIS = np.linspace(1000.0, 1800.0, 401)


def bands(*centres, width=12.0, axis=AXIS):
    return sum(np.exp(-(((axis - c) / width) ** 2)) for c in centres)


def named(spectrum, axis=AXIS):
    return dict(zip(STATISTICS, spectrum_statistics(spectrum[None], axis)[0].tolist()))


def test_statistics_agree_with_their_definitions(rng):
    x = rng.gamma(2.0, size=401)
    found = named(x)
    assert list(found) == list(STATISTICS)
    assert found["mean"] == pytest.approx(x.mean())
    assert found["variance"] == pytest.approx(x.var())
    assert found["skewness"] == pytest.approx(stats.skew(x), rel=1e-5)
    assert found["kurtosis"] == pytest.approx(stats.kurtosis(x), rel=1e-5)
    assert found["quantile_05"] == pytest.approx(np.quantile(x, 0.05))
    share = (x - x.min()) / (x - x.min()).sum()
    assert found["entropy"] == pytest.approx(stats.entropy(share) / np.log(401), rel=1e-5)
    assert found["centroid"] == pytest.approx((share * AXIS).sum(), rel=1e-6)


def test_peaks_are_counted_and_measured():
    found = named(bands(1100, 1300, 1700) + 0.5 * bands(1500))
    assert found["n_peaks"] == 4
    assert found["peak_spacing"] == pytest.approx(200, abs=1)
    assert found["peak_prominence"] == pytest.approx((1 + 1 + 1 + 0.5) / 4, rel=0.01)
    # full width at half height of a Gaussian, in points of 2 cm-1
    assert found["peak_width"] == pytest.approx(12 * 2 * np.sqrt(np.log(2)) / 2, rel=0.02)
    ramp = named(AXIS)
    assert ramp["n_peaks"] == ramp["peak_spacing"] == ramp["peak_width"] == 0
    assert ramp["peak_position"] == 1800


def test_statistics_of_tiny_and_huge_spectra_are_finite():
    for size in (1e-15, 1e15):
        assert np.isfinite(spectrum_statistics(size * bands(1200, 1500)[None], AXIS)).all()


def test_statistics_refuse_what_has_none():
    with pytest.raises(DataError, match="constant"):
        spectrum_statistics(np.ones((2, 401)), AXIS)
    with pytest.raises(DataError, match="400 wavenumbers"):
        spectrum_statistics(np.ones((2, 401)), AXIS[1:])


def test_scattering_moves_less_than_the_spectrum_when_a_band_shifts():
    scattering = SpectrumScattering(AXIS, scale=5)
    one, other = bands(1400)[None], bands(1404)[None]
    moved = [
        np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in ((one, other), map(scattering.transform, (one, other)))
    ]
    assert moved[1] < moved[0]
    far = scattering.transform(bands(1600)[None])
    assert np.linalg.norm(far - scattering.transform(one)) > np.linalg.norm(
        scattering.transform(other) - scattering.transform(one)
    )


def test_scattering_does_not_expand_distances(rng):
    X = rng.standard_normal((20, 401)).cumsum(axis=1)
    scattering = SpectrumScattering(AXIS, scale=4)
    # averaged paths are kept at one position in 2^scale, and energy is counted per position
    S = scattering.transform(X) * np.sqrt(2.0**4)
    inside = np.linalg.norm(X[:, None] - X[None], axis=-1)
    outside = np.linalg.norm(S[:, None] - S[None], axis=-1)
    assert (outside <= 1.1 * inside + 1e-6).all()


def test_scattering_is_homogeneous_and_row_by_row(rng):
    X, scattering = rng.standard_normal((70, 401)), SpectrumScattering(AXIS)
    S = scattering.transform(X)
    assert S.shape == (70, scattering.n_paths * scattering.n_positions)
    np.testing.assert_allclose(scattering.transform(3 * X), 3 * S, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scattering.transform(X[66:67]), S[66:67], rtol=1e-5, atol=1e-6)
    assert sorted(set(scattering.orders().tolist())) == [0, 1, 2]
    assert len(scattering.orders()) == scattering.n_paths


def test_scattering_of_an_uneven_axis_is_that_of_its_even_one():
    uneven = AXIS + 0.8 * np.sin(np.linspace(0, 40, 401))
    uneven[[0, -1]] = AXIS[[0, -1]]
    even = SpectrumScattering(AXIS).transform(bands(1200, 1500)[None])
    other = SpectrumScattering(uneven).transform(bands(1200, 1500, axis=uneven)[None])
    np.testing.assert_allclose(other, even, atol=0.01 * np.abs(even).max())


def test_scattering_refuses_bad_options_and_spectra():
    with pytest.raises(SettingsError, match="scale is 9.*choose 1 to 8"):
        SpectrumScattering(AXIS, scale=9)
    with pytest.raises(SettingsError, match="wavelets_per_octave is 0"):
        SpectrumScattering(AXIS, wavelets_per_octave=0)
    with pytest.raises(DataError, match="NaN"):
        SpectrumScattering(AXIS).transform(np.full((1, 401), np.nan))


def extractor(cache=None, **options):
    settings = {"families": ("efficientnet_b0", "scattering", "statistics"), "image_size": 32} | options
    return FeatureExtractor(
        AXIS, FeatureSettings(**settings), weights="random", device="cpu", batch_size=8, cache=cache
    )


@pytest.fixture(scope="module")
def spectra():
    return np.random.default_rng(5).standard_normal((20, 401)).cumsum(axis=1)


@pytest.fixture(scope="module")
def features(spectra):
    return extractor().extract(spectra)


def test_every_family_has_the_width_it_says(features):
    model = extractor()
    assert {name: values.shape[1] for name, values in features.items()} == model.n_features
    assert list(features) == list(model.settings.families)
    for values in features.values():
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert (values.std(axis=0) > 0).mean() > 0.9  # random networks too see that spectra differ


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_features(spectra, features):
    again = extractor().extract(spectra)
    assert all(again[name].tobytes() == features[name].tobytes() for name in features)
    other = extractor(random_state=1).extract(spectra[:8])
    assert not np.allclose(other["efficientnet_b0"], features["efficientnet_b0"][:8], rtol=1e-2)
    np.testing.assert_array_equal(other["statistics"], features["statistics"][:8])


def test_batches_do_not_matter(spectra, features):
    alone = extractor().extract(spectra[13:14])
    for name, values in alone.items():
        np.testing.assert_allclose(values[0], features[name][13], atol=1e-3 * features[name].std())  # rounding


def test_progress_counts_spectra(spectra):
    seen = []
    extractor(families=("statistics",)).extract(spectra, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(8, 20), (16, 20), (20, 20)]


def test_a_data_set_is_streamed_as_the_array_in_memory(toy_spectra, tmp_path):
    from ftirlib.spectra.model import open_spectra
    from ftirlib.spectra.writer import save_spectra

    save_spectra(toy_spectra, tmp_path / "toy.zarr")
    settings = FeatureSettings(families=("scattering", "statistics"))
    model = FeatureExtractor(toy_spectra.wavenumber.values, settings, batch_size=32)
    rows = np.arange(3, 150, 2)
    streamed = model.extract(open_spectra(tmp_path / "toy.zarr"), rows=rows)
    at_once = model.extract(toy_spectra.absorbance.values[rows])
    for name in streamed:
        np.testing.assert_array_equal(streamed[name], at_once[name])
    with pytest.raises(SettingsError, match="rows go with a data set"):
        model.extract(toy_spectra.absorbance.values, rows=rows)
    with pytest.raises(DataError, match="interpolate"):
        extractor().extract(toy_spectra)


def test_cached_features_are_not_computed_again(spectra, features, tmp_path, monkeypatch):
    first = extractor(tmp_path).extract(spectra[:12])
    model = extractor(tmp_path)
    computed = []
    compute = model._compute

    def counting(name, block, images, rows):
        computed.append((name, len(block[rows])))
        return compute(name, block, images, rows)

    monkeypatch.setattr(model, "_compute", counting)
    shuffled = np.random.default_rng(0).permutation(20)
    found = model.extract(spectra[shuffled])
    assert sum(n for name, n in computed if name == "efficientnet_b0") == 8  # the twelve are known in any order
    for name in found:
        np.testing.assert_allclose(found[name], features[name][shuffled], atol=1e-3 * features[name].std())
        np.testing.assert_array_equal(first[name], found[name][np.argsort(shuffled)][:12])


def test_the_cache_knows_what_features_depend_on(spectra, tmp_path):
    extractor(tmp_path).extract(spectra[:4])
    folders = {p.name for p in tmp_path.iterdir()}
    extractor(tmp_path).extract(spectra[:4])
    assert {p.name for p in tmp_path.iterdir()} == folders
    extractor(tmp_path, image_size=40).extract(spectra[:4])
    assert len({p.name for p in tmp_path.iterdir()} - folders) == 1  # the network's alone
    extractor(tmp_path, scattering_scale=2).extract(spectra[:4])
    assert len({p.name for p in tmp_path.iterdir()} - folders) == 2


def test_a_torn_cache_file_is_computed_again(spectra, tmp_path):
    settings = {"families": ("statistics",)}
    whole = extractor(tmp_path, **settings).extract(spectra)["statistics"]
    (file,) = tmp_path.rglob("*.npy")
    file.write_bytes(file.read_bytes()[:-9] + b"\0" * 9)
    np.testing.assert_array_equal(extractor(tmp_path, **settings).extract(spectra)["statistics"], whole)


def test_an_interrupted_extraction_keeps_what_it_has(spectra, tmp_path):
    class Interrupted(Exception):
        pass

    def stop(done, total):
        if done == 16:
            raise Interrupted

    with pytest.raises(Interrupted):
        extractor(tmp_path, families=("statistics",)).extract(spectra, progress=stop)
    (file,) = tmp_path.rglob("*.npy")
    assert len(np.load(file, allow_pickle=False)) == 16


def test_fuse_keeps_the_order_of_families(features):
    fused = fuse(features, ["statistics", "scattering"])
    np.testing.assert_array_equal(fused[:, -len(STATISTICS) :], features["statistics"])
    assert fuse(features).shape[1] == sum(values.shape[1] for values in features.values())
    with pytest.raises(SettingsError, match="no features of 'resnet101'"):
        fuse(features, ["resnet101"])
    with pytest.raises(SettingsError, match="no feature family is left"):
        fuse(features, [])


def test_a_map_keeps_clusters_apart_and_is_the_same_again(rng):
    codes = np.repeat([0, 1], 30)
    features = rng.standard_normal((60, 200)) + 8 * codes[:, None]
    features[:, 0] *= 1e6  # standardised: a family in large units does not rule
    places = tsne_map(features, random_state=3)
    assert places.shape == (60, 2)
    assert places.tobytes() == tsne_map(features, random_state=3).tobytes()
    centres = np.stack([places[codes == k].mean(axis=0) for k in (0, 1)])
    nearest = np.linalg.norm(places[:, None] - centres, axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(nearest, codes)
    with pytest.raises(DataError, match="at least five spectra"):
        tsne_map(features[:4])
    with pytest.raises(DataError, match="NaN"):
        tsne_map(np.where(codes[:, None] == 0, np.nan, features))


def test_bad_settings_are_refused():
    with pytest.raises(SettingsError, match="every feature family is switched off"):
        FeatureSettings(families=())
    with pytest.raises(SettingsError, match="no feature family 'vgg'"):
        FeatureSettings(families=("vgg",))
    with pytest.raises(SettingsError, match="image size is 0"):
        extractor(image_size=0)
    with pytest.raises(SettingsError, match="device 'abacus' cannot be used"):
        choose_device("abacus")
    assert FeatureSettings(families=FAMILIES[::-1]).families == FAMILIES
