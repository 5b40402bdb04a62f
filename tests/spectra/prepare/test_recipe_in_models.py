"""Models keep the recipe of their spectra through save and load, and refuse data sets prepared otherwise."""

import numpy as np
import pytest

from ftirlib.classify.ensemble import EMSCNN
from ftirlib.classify.settings import TrainingSettings
from ftirlib.classify.training import MSCNNClassifier
from ftirlib.errors import DataError, ModelError
from ftirlib.explain.linear.linear import LinearClassifier
from ftirlib.spectra.model import make_spectra
from ftirlib.spectra.prepare.recipe import prepare_spectra, recipe_of

RECIPE = [{"cut": {"low": 1000, "high": 1800}}, {"vector": {}}]
OTHER = [{"cut": {"low": 1000, "high": 1800}}, {"snv": {}}]
AXIS = np.arange(1000.0, 1801.0, 8.0)


@pytest.fixture
def stores(tmp_path, rng):
    """Sixteen spectra of two classes, prepared in two ways."""
    label = np.arange(16) % 2
    spectra = np.exp(-(((AXIS - 1650) / 40) ** 2)) + np.outer(label, np.exp(-(((AXIS - 1240) / 30) ** 2)))
    raw = make_spectra(
        spectra + 0.01 * rng.standard_normal(spectra.shape),
        AXIS,
        label=np.where(label, "cancerous", "normal"),
        image=[f"i{k}" for k in range(16)],
        class_names=["normal", "cancerous"],
    )
    return [
        prepare_spectra(raw, tmp_path / f"{k}.zarr", recipe=r, quality="none") for k, r in enumerate((RECIPE, OTHER))
    ]


def fitted(data, **options):
    settings = TrainingSettings(epochs=1, batch_size=8)
    y = data.label.values
    model = MSCNNClassifier(data.wavenumber.values, training=settings, recipe=recipe_of(data), **options)
    return model.fit(data, y, validation=(data.absorbance.values, y))


def test_a_network_and_its_ensemble_refuse_other_recipes(stores, tmp_path):
    own, other = stores
    model = fitted(own)
    found = MSCNNClassifier.load(model.save(tmp_path / "model"))
    ensemble = EMSCNN.load(EMSCNN([found], threshold=None).fit().save(tmp_path / "ensemble"))
    for one in (model, found, ensemble):
        np.testing.assert_array_equal(one.predict(own), one.predict(own.absorbance.values))
        with pytest.raises(DataError, match="prepared by: cut .*snv; but .*vector"):
            one.predict(other)
    assert ensemble.recipe_ == recipe_of(own)
    with pytest.raises(ModelError, match="member 1 .*snv"):
        EMSCNN([model, fitted(other)], threshold=None).fit()
    with pytest.raises(DataError, match="prepared by"):
        model.fit(other, other.label.values, groups=np.arange(16))


def test_the_linear_model_refuses_other_recipes(stores, tmp_path):
    own, other = stores
    means = np.stack([own.absorbance.values[own.label.values == k].mean(axis=0) for k in (0, 1)])
    model = LinearClassifier.from_contexts(
        means,
        np.tile(means[1] - means[0], (2, 1)),
        [0, 1],
        ["normal", "cancerous"],
        own.wavenumber,
        recipe=recipe_of(own),
    )
    found = LinearClassifier.load(model.save(tmp_path / "linear.json"))
    assert found.recipe == recipe_of(own)
    np.testing.assert_array_equal(found.predict(own), model.predict(own.absorbance.values))
    with pytest.raises(DataError, match="the linear model takes spectra prepared by: cut .*vector"):
        found.predict(other)
    with pytest.raises(ModelError, match="wavenumbers"):
        found.predict(own.isel(wavenumber=slice(1, None)))


def test_a_model_without_a_recipe_takes_any(stores):
    means = np.eye(2, AXIS.size)
    model = LinearClassifier.from_contexts(means, means, [0, 1], ["normal", "cancerous"], AXIS)
    assert model.recipe is None and model.predict(stores[1]).shape == (16,)
