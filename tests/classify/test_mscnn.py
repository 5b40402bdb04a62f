"""The network: the published table, the same numbers as the stock layers, other grids, hostile settings."""

import importlib.util

import numpy as np
import pytest
import torch
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from ftirlib.classify.layers import Dropout, LogisticCurves, convolve_one_channel
from ftirlib.classify.mscnn import MSCNN, layer_table
from ftirlib.classify.settings import MSCNNSettings
from ftirlib.errors import ModelError, SettingsError

PAPER_GRID = np.arange(1000.0, 1801.0)


def stock_network(**settings):
    """The same network of stock torch layers, which the benchmark of training is measured against."""
    spec = importlib.util.spec_from_file_location("benchmark_training", ROOT / "benchmarks" / "training.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.StockMSCNN(**settings)


def trained_like(model):
    """Batch statistics and scales away from their initial 0 and 1, which would hide a mistake in folding."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return model.eval()


@pytest.fixture
def spectra():
    return torch.randn(16, PAPER_GRID.size, generator=torch.Generator().manual_seed(0))


def test_the_published_table():
    table = layer_table(MSCNN(MSCNNSettings(), PAPER_GRID)).set_index("step")
    expected = {
        "head 1": (88, "8 x 199"),
        "head 2": (224, "8 x 65"),
        "head 3": (424, "8 x 31"),
        "skip": (2, "1 x 801"),
        "join": (0, "1 x 3161"),
        "core 1": (144, "8 x 450"),
        "core 2": (1200, "16 x 111"),
        "core 3": (4704, "32 x 26"),
        "core 4": (4288, "64 x 25"),
        "dense 1": (51296, "32"),
        "dense 2": (560, "16"),
        "output": (272, "4"),
    }
    for step, (parameters, output) in expected.items():
        assert (table.parameters[step], table.output[step]) == (parameters, output)
    assert table.parameters["in use"] == 63202
    assert table.parameters["never called, after core 2"] == 2352
    assert table.parameters["never called, after core 3"] == 9312
    assert table.parameters["as declared"] == 74866
    assert table.layer["core 2"] == "C1D(8, 16, 9, 4), BN(16), dropout, tanh, LeakyReLU"


def test_the_table_leaves_the_model_as_it_was():
    model = MSCNN(MSCNNSettings(), PAPER_GRID)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    layer_table(model)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_same_numbers_and_gradients_as_stock_layers(spectra):
    ours, stock = MSCNN(MSCNNSettings(dropout=0, leak=0.3), PAPER_GRID), stock_network(dropout=0, leak=0.3)
    stock.load_state_dict(dict(zip(stock.state_dict(), ours.state_dict().values())))
    for training in True, False:
        a, b = ours.train(training)(spectra), stock.train(training)(spectra)
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        for p, q in zip(
            *(torch.autograd.grad(out.square().sum(), net.parameters()) for out, net in ((a, ours), (b, stock)))
        ):
            assert torch.linalg.vector_norm(p - q) <= 1e-4 * torch.linalg.vector_norm(q) + 1e-5
    for p, q in zip(ours.buffers(), stock.buffers()):
        torch.testing.assert_close(p, q)


def test_logistic_curve_known_answer():
    curves = LogisticCurves(1, 2)
    for layer, value in zip((curves.a, curves.b, curves.c, curves.x), (2.0, 1.0, 0.25, 3.0)):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, value)
    expected = 0.25 + 0.75 / (1 + np.exp(-2 * (3 - 1)))
    np.testing.assert_allclose(curves(torch.zeros(1, 1)).detach(), [[expected, expected]], rtol=1e-6)


def test_a_logit_does_not_depend_on_its_neighbours(spectra):
    model = trained_like(MSCNN(MSCNNSettings(), PAPER_GRID))
    order = torch.randperm(len(spectra), generator=torch.Generator().manual_seed(2))
    together = model(spectra)
    torch.testing.assert_close(model(spectra[order]), together[order], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.cat([model(row) for row in spectra.split(3)]), together, rtol=1e-4, atol=1e-5)


def test_the_seed_decides_the_weights_and_nothing_else_is_seeded():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (MSCNN(MSCNNSettings(), PAPER_GRID, random_state=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), same.parameters()))
    assert not torch.equal(one.dense[0].linear.weight, other.dense[0].linear.weight)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 0.99), st.integers(1, 9), st.integers(1, 9))
def test_dropout_keeps_the_expectation(p, rows, columns):
    layer = Dropout(p)
    x = torch.full((rows, columns, 128), 3.0)
    out = layer(x)
    levels = round(p * 65536)
    scale = 65536 / (65536 - levels)
    kept = out != 0
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 3 * scale))
    # five standard deviations of a binomial share
    share, n = levels / 65536, x.numel()
    assert abs((~kept).double().mean().item() - share) <= 5 * np.sqrt(share * (1 - share) / n)
    assert layer.eval()(x) is x


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 12), st.integers(1, 6), st.integers(0, 30), st.integers(1, 3))
def test_one_channel_convolution_is_the_stock_one(n, width, stride, more, channels):
    generator = torch.Generator().manual_seed(more)
    x = torch.randn(n, width + more, generator=generator, dtype=torch.float64)
    kernels = torch.randn(channels, width, generator=generator, dtype=torch.float64)
    expected = torch.nn.functional.conv1d(x[:, None], kernels[:, None], stride=stride).transpose(1, 2)
    torch.testing.assert_close(convolve_one_channel(x, kernels, stride), expected)


@pytest.mark.parametrize(
    ("grid", "heads"),
    [
        (np.linspace(1000, 1800, 401), [(4, 2), (13, 6), (25, 13)]),
        (np.linspace(1001.2, 1801.5, 208), [(2, 1), (6, 3), (13, 6)]),
        (np.linspace(1000, 1800, 81), [(1, 1), (3, 1), (5, 3)]),
    ],
)
def test_kernels_are_bands_not_points(grid, heads):
    model = MSCNN(MSCNNSettings(n_classes=3), grid)
    assert [(h.linear.kernel_size[0], h.linear.stride[0]) for h in model.heads] == heads
    assert model(torch.zeros(2, grid.size)).shape == (2, 3)
    table = layer_table(model).set_index("step")
    assert table.parameters["in use"] == sum(p.numel() for p in model.parameters())


def test_real_brain_spectra_have_a_network(shared_data):
    wavenumber = np.sort(np.load(shared_data / "brain_atr" / "brain_atr.npz", allow_pickle=False)["wavenumber"])
    grid = wavenumber[wavenumber >= 1000]
    assert MSCNN(MSCNNSettings(n_classes=3), grid)(torch.zeros(2, grid.size)).shape == (2, 3)


def test_a_region_cut_out_is_allowed():
    grid = PAPER_GRID[(PAPER_GRID < 1340) | (PAPER_GRID > 1490)]
    assert MSCNN(MSCNNSettings(), grid)(torch.zeros(2, grid.size)).shape == (2, 4)


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        (PAPER_GRID[::-1], "must ascend"),
        (np.arange(1000.0, 1801, 20), "the 8 cm-1 kernel .* vanishes"),
        (np.arange(1000.0, 1031), "the 50 cm-1 kernel is 50 points and longer than the grid of 31 points"),
        (np.arange(1000.0, 1061), "core convolution 3 spans 9 points but only"),
        (np.geomspace(1000, 1800, 401), "more than a tenth of the spacings"),
        (np.array([1000.0, np.nan, 1002]), "finite axis"),
        (np.ones((2, 2)), "finite axis"),
    ],
)
def test_grids_that_do_not_fit_are_refused(grid, says):
    with pytest.raises(ModelError, match=says):
        MSCNN(MSCNNSettings(), grid)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n_classes": 1}, "'n_classes' cannot be 1: .* equal to 2"),
        ({"dropout": 1.0}, "'dropout' cannot be 1.0: .* less than 1"),
        ({"dropout": float("nan")}, "'dropout' cannot be nan"),
        ({"leak": float("inf")}, "'leak' cannot be inf"),
        ({"head_widths": (8.0,)}, "1 head widths and 3 head strides"),
        ({"core": ((8, 15),)}, "core.0.2"),
        ({"core": ()}, "'core' cannot be .* at least 1"),
        ({"dense": (32, 0)}, "dense.1' cannot be 0: .* greater than 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(SettingsError, match=says):
        MSCNNSettings(**settings)


def test_settings_from_lists_equal_those_from_tuples():
    assert (
        MSCNNSettings(head_widths=[8, 25, 50], core=[[8, 15, 7], [16, 9, 4], [32, 9, 4], [64, 2, 1]]) == MSCNNSettings()
    )
