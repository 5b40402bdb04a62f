"""The folded network is the trained one, in two parts of which the first is affine."""

import numpy as np
import pytest
import torch

from ftirlib.classify.mscnn import MSCNN
from ftirlib.classify.prediction import FoldedMSCNN, Vote
from ftirlib.classify.settings import MSCNNSettings

GRID = np.arange(1000.0, 1801.0)
CORES = {
    "published": MSCNNSettings().core,
    "one": ((8, 15, 7),),
    "two": ((8, 15, 7), (16, 9, 5)),
    "last with stride": ((8, 15, 7), (16, 9, 4), (12, 5, 3)),
}


def network(core="published", **settings):
    """Batch statistics and scales away from their initial 0 and 1, which would hide a mistake in folding."""
    model = MSCNN(MSCNNSettings(core=CORES[core], **settings), GRID, random_state=1)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return model.eval()


@pytest.fixture
def spectra():
    return torch.randn(16, GRID.size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dense", [(32, 16), (12,), (20, 10, 6)])
@pytest.mark.parametrize("core", CORES)
def test_folding_changes_nothing_but_rounding(spectra, core, dense):
    model = network(core, dense=dense, n_classes=3).double()
    x = spectra.double().requires_grad_()
    flat = FoldedMSCNN(model)
    torch.testing.assert_close(flat(x), model(x), rtol=1e-10, atol=1e-11)
    ours, theirs = (torch.autograd.grad(f(x)[:, 1].sum(), x)[0] for f in (flat, model))
    assert theirs.abs().max() > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)


def test_single_precision_shows_rounding_only(spectra):
    model = network()
    torch.testing.assert_close(FoldedMSCNN(model)(spectra), model(spectra), rtol=1e-4, atol=1e-5)


def test_the_model_is_copied_and_left_as_it_was(spectra):
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flat = FoldedMSCNN(model)
    answer = flat(spectra)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters()) and not list(flat.parameters())
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    assert torch.equal(flat(spectra), answer)


@pytest.mark.parametrize("core", CORES)
def test_the_first_part_is_affine(spectra, core):
    affine = FoldedMSCNN(network(core).double()).affine
    a, b = spectra.double().split(8)
    nothing = affine(torch.zeros_like(a))
    torch.testing.assert_close(affine(a + 2 * b), affine(a) + 2 * (affine(b) - nothing), rtol=0, atol=1e-10)
    assert (affine(a) - affine(b)).abs().max() > 0.1


def test_votes_and_probabilities_have_their_columns(spectra):
    first, second = FoldedMSCNN(network(n_classes=2)), FoldedMSCNN(network("two", n_classes=3))
    columns = [np.array([0, 3]), np.array([1, 2, 3])]
    soft, hard = (Vote([first, second], columns, 4, hard=hard) for hard in (False, True))
    expected, votes = torch.zeros(2, 16, 4)
    for net, column in zip((first, second), columns):
        expected[:, column] += net(spectra).softmax(1) / 2
        votes[torch.arange(16), torch.as_tensor(column)[net(spectra).argmax(1)]] += 0.5
    torch.testing.assert_close(soft(spectra), expected)
    assert torch.equal(hard(spectra), votes)
    for module in (soft, hard):
        whole = sum(rest(affine(spectra)) for affine, rest in module.parts()) / 2
        torch.testing.assert_close(whole, module(spectra))
