"""The two image networks: published sizes and costs, published weights under both names, and nothing unchecked."""

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ftirlib.classify.fusion import weights as module
from ftirlib.classify.fusion.backbones import EfficientNetB0, ResNet101, calibrate_norms
from ftirlib.classify.fusion.features import FeatureExtractor
from ftirlib.classify.fusion.settings import FeatureSettings
from ftirlib.classify.fusion.weights import (
    BACKBONES,
    cached_weights,
    find_weights,
    keep_weights,
    read_weights,
    torchvision_name,
)
from ftirlib.errors import ModelError, SettingsError

AXIS = np.linspace(1000.0, 1800.0, 101)


def meta(backbone, **options):
    with torch.device("meta"):
        return backbone(**options)


@pytest.mark.parametrize(
    ("backbone", "with_classifier", "without"),
    [(ResNet101, 44_549_160, 42_500_160), (EfficientNetB0, 5_288_548, 4_007_548)],
)
def test_published_numbers_of_parameters(backbone, with_classifier, without):
    count = [sum(p.numel() for p in meta(backbone, classifier=c).parameters()) for c in (True, False)]
    assert count == [with_classifier, without]


def multiply_adds(model, size):
    """Of one image, counted at every convolution and linear layer."""
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        total += output[0].numel() * layer.weight[0].numel()

    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    model.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return total


@pytest.mark.parametrize(("backbone", "billions"), [(ResNet101, 7.801), (EfficientNetB0, 0.386)])
def test_published_cost_of_an_image(backbone, billions):
    """As torchvision states it for 224 pixels: strides and shapes are right, not only the number of weights."""
    assert multiply_adds(meta(backbone), 224) / 1e9 == pytest.approx(billions, abs=0.001)


def test_parameters_go_by_the_names_of_torchvision():
    resnet, efficient = (set(meta(b).state_dict()) for b in (ResNet101, EfficientNetB0))
    assert {"conv1.weight", "layer3.22.bn3.running_var", "layer1.0.downsample.1.bias", "fc.weight"} <= resnet
    assert {
        "features.0.0.weight",
        "features.1.0.block.1.fc1.bias",
        "features.6.3.block.3.1.num_batches_tracked",
        "features.8.1.running_mean",
        "classifier.1.weight",
    } <= efficient


@pytest.mark.parametrize("name", BACKBONES)
def test_pooled_features_have_the_stated_width(name):
    model = BACKBONES[name](classifier=False).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 32, 32)).shape == (1, model.n_features)


def test_seeded_weights():
    one, same, other = (EfficientNetB0(classifier=False, random_state=s).features[0][0].weight for s in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_calibrated_norms_let_random_features_see_the_image():
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model = EfficientNetB0(classifier=False).eval()
    with torch.inference_mode():
        blind = model(images).std(dim=0).mean()
    calibrate_norms(model, images)
    assert not model.training
    with torch.inference_mode():
        seeing = model(images).std(dim=0).mean()
    assert blind < 1e-6 < 0.05 < seeing


def write(path, model, *, rename=None):
    """The state of a model as a safetensors file, and its hash."""
    state = {(rename(k) if rename else k): v.contiguous() for k, v in model.state_dict().items()}
    save_file(state, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file of EfficientNet weights as torchvision would publish it: (model, file, sha256)."""
    model = EfficientNetB0(random_state=11)
    file = tmp_path_factory.mktemp("weights") / "efficientnet.safetensors"
    return model, file, write(file, model)


def timm_name(key):
    """The other way from `torchvision_name`, written out."""
    part = key.split(".")
    if key.startswith("classifier"):
        return f"classifier.{part[-1]}"
    if part[0] == "features" and part[1] in "08":
        stem = {"00": "conv_stem", "01": "bn1", "80": "conv_head", "81": "bn2"}
        return f"{stem[part[1] + part[2]]}.{part[-1]}"
    stage, i, place, rest = int(part[1]) - 1, part[2], int(part[4]), part[5:]
    layers = ["conv_dw", "se", "conv_pw"] if stage == 0 else ["conv_pw", "conv_dw", "se", "conv_pwl"]
    if layers[place] == "se":
        inner = {"fc1": "conv_reduce", "fc2": "conv_expand"}[rest[0]]
        return f"blocks.{stage}.{i}.se.{inner}.{rest[1]}"
    if rest[0] == "0":
        return f"blocks.{stage}.{i}.{layers[place]}.{rest[1]}"
    norms = ["bn1", None, "bn2"] if stage == 0 else ["bn1", "bn2", None, "bn3"]
    return f"blocks.{stage}.{i}.{norms[place]}.{rest[1]}"


def test_names_of_timm_are_translated():
    keys = list(meta(EfficientNetB0).state_dict())
    assert [torchvision_name("efficientnet_b0", timm_name(key)) for key in keys] == keys
    assert [torchvision_name("efficientnet_b0", key) for key in keys] == keys
    assert timm_name("features.2.1.block.1.1.weight") == "blocks.1.1.bn2.weight"


@pytest.mark.parametrize("rename", [None, timm_name])
def test_published_weights_are_loaded_whole(rename, tmp_path):
    model = EfficientNetB0(random_state=11)
    digest = write(tmp_path / "w.safetensors", model, rename=rename)
    found = read_weights("efficientnet_b0", tmp_path / "w.safetensors", sha256=digest.upper())
    own = {k: v for k, v in model.state_dict().items() if not k.startswith("classifier")}
    assert set(found) == set(own)
    assert all(torch.equal(found[key], own[key]) for key in own)


def test_features_are_those_of_the_loaded_network(published):
    model, file, digest = published
    settings = FeatureSettings(families=("efficientnet_b0",), image_size=32)
    weights = {"efficientnet_b0": (file, digest)}
    extractor = FeatureExtractor(AXIS, settings, weights=weights, device="cpu")
    assert extractor.feature_origin == "ImageNet features"
    assert extractor.weights_sha256 == {"efficientnet_b0": digest}
    spectrum = np.sin(AXIS / 60)[None]
    model.classifier = nn.Identity()
    with torch.inference_mode():
        expected = model.eval()(extractor._as_input(extractor._raster.render(spectrum)))
    np.testing.assert_allclose(extractor.extract(spectrum)["efficientnet_b0"], expected, rtol=1e-3, atol=1e-5)


def test_a_wrong_hash_is_refused_before_the_file_is_opened(published):
    _, file, digest = published
    with pytest.raises(ModelError, match=f"has the SHA-256 {digest}, not {'0' * 64}"):
        read_weights("efficientnet_b0", file, sha256="0" * 64)
    with pytest.raises(SettingsError, match="64 hexadecimal digits"):
        read_weights("efficientnet_b0", file, sha256="abc")


def test_another_architecture_is_refused(published, tmp_path):
    _, file, digest = published
    with pytest.raises(ModelError, match=r"has no tensor 'conv1.weight'.*another architecture than resnet101"):
        read_weights("resnet101", file, sha256=digest)

    narrow = EfficientNetB0()
    narrow.features[8][0] = nn.Conv2d(320, 640, 1, bias=False)
    digest = write(tmp_path / "narrow.safetensors", narrow)
    with pytest.raises(ModelError, match=r"'features.8.0.weight'.*\(640, 320, 1, 1\), not \(1280, 320, 1, 1\)"):
        read_weights("efficientnet_b0", tmp_path / "narrow.safetensors", sha256=digest)

    more = EfficientNetB0()
    more.extra = nn.Linear(2, 2)
    digest = write(tmp_path / "more.safetensors", more)
    with pytest.raises(ModelError, match="unknown tensor 'extra.bias'"):
        read_weights("efficientnet_b0", tmp_path / "more.safetensors", sha256=digest)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"\x80\x04 a pickle, say")
    with pytest.raises(ModelError, match="torn or no safetensors"):
        read_weights("resnet101", file, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(ModelError, match="no file of weights"):
        read_weights("resnet101", tmp_path / "absent", sha256="0" * 64)


def test_the_cache_keeps_checked_files_by_their_hash(published, tmp_path, monkeypatch):
    _, file, digest = published
    monkeypatch.setenv("FTIRLIB_CACHE", str(tmp_path))
    assert cached_weights("efficientnet_b0") is None
    kept = keep_weights("efficientnet_b0", file, sha256=digest)
    assert kept == tmp_path / "weights" / f"efficientnet_b0-{digest}.safetensors"
    assert find_weights("efficientnet_b0") == (kept, digest)
    assert find_weights("efficientnet_b0", "random") is None
    assert find_weights("efficientnet_b0", {"efficientnet_b0": "random"}) is None
    kept.with_name(f"efficientnet_b0-{'0' * 64}.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="2 files of weights"):
        find_weights("efficientnet_b0")
    with pytest.raises(ModelError, match="another architecture"):
        keep_weights("resnet101", file, sha256=digest)


def test_random_weights_are_said_once(tmp_path, monkeypatch, recwarn):
    monkeypatch.setenv("FTIRLIB_CACHE", str(tmp_path))
    module._say_random.cache_clear()
    for _ in range(2):
        assert find_weights("resnet101") is None
    assert ["random features" in str(w.message) for w in recwarn] == [True]
    module._say_random.cache_clear()


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"vgg": ("file", "0" * 64)}, "no backbone 'vgg'"),
        ({"resnet101": "file"}, r"give \(file, sha256\)"),
        ("imagenet", "weights is 'imagenet'"),
    ],
)
def test_bad_weights_options_are_refused(weights, says):
    with pytest.raises(SettingsError, match=says):
        find_weights("resnet101", weights)
