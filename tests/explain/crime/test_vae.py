"""The autoencoder: bounds equal to their formulas, seeded, resumable, and clear about what it refuses."""

import copy
import json
import math
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ftirlib.errors import DataError, ModelError, SettingsError
from ftirlib.explain.crime.inputs import ROWS, Scaling, choose_labelled, hold_out
from ftirlib.explain.crime.m2 import (
    M2,
    Block,
    ConvEncoder,
    MultiScale,
    ScaledTanh,
    TransformerDecoder,
    TransformerEncoder,
    scaled_kernels,
    sinusoids,
)
from ftirlib.explain.crime.m2_training import bound, generator, held_out, spectra_at_once, train
from ftirlib.explain.crime.settings import NetworkSettings, Objective
from ftirlib.explain.crime.vae import CrimeVAE
from ftirlib.spectra.model import CHUNK
from ftirlib.spectra.rows import Rows

N_CLASSES = 3


def planted(n=240, n_wavenumbers=41, seed=0, noise=0.05):
    """Spectra of three classes, each with a band of its own, and weights that point at it."""
    rng = np.random.default_rng(seed)
    axis, label = np.linspace(0, 1, n_wavenumbers), rng.integers(0, N_CLASSES, n)
    bands = np.exp(-(((axis - np.array([[0.2], [0.5], [0.8]])) / 0.06) ** 2))
    spectra = 1 + rng.uniform(0.5, 1.5, (n, 1)) * bands[label] + noise * rng.normal(size=(n, n_wavenumbers))
    weights = rng.uniform(0.5, 1.5, (n, 1)) * bands[label] + noise * rng.normal(size=(n, n_wavenumbers))
    return spectra.astype(np.float32), weights.astype(np.float32), label


def noise_like(values, seed):
    return 0.2 * np.random.default_rng(seed).normal(size=values.shape).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    spectra, weights, label = planted()
    return CrimeVAE(supervision=0.5, epochs=30, batch=32).fit(spectra, weights, label, n_classes=N_CLASSES)


def network(**changes):
    torch.manual_seed(1)
    return M2(NetworkSettings(**changes), 20, N_CLASSES).double()


# --- architecture --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n, expected", [(801, [3, 300]), (401, [3, 150]), (208, [3, 78]), (81, [3, 30])])
def test_kernels_keep_their_share_of_the_axis(n, expected):
    assert scaled_kernels((3, 300), n) == expected


@pytest.mark.parametrize("n", [801, 401, 208, 81])
def test_encoders_end_in_64_features_on_any_axis(n):
    x = torch.randn(2, 2 * n)
    first = MultiScale(n, (3, 300))
    assert first(x).shape == (2, 8, first.positions)
    assert ConvEncoder(n, (3, 300), 64)(x).shape == (2, 64)
    assert TransformerEncoder(n, (3, 300), 64, patch=18)(x).shape == (2, 64)


def test_layers_of_the_published_axis():
    table = {row["layer"]: row for row in M2(NetworkSettings(), 801, 4).layer_table()}
    positions = (1602 - 3) // 1 + 1 + (1602 - 300) // 150 + 1
    assert table["encoder.first.heads.0"]["shapes"]["weight"] == (8, 1, 3)
    assert table["encoder.first.heads.1"]["shapes"]["weight"] == (8, 1, 300)
    assert table["encoder.out"]["shapes"]["weight"] == (64, 8 * positions)
    assert table["classifier.0"]["shapes"]["weight"] == (128, 64)
    assert table["classifier.2"]["shapes"]["weight"] == (4, 128)
    assert table["posterior"]["shapes"]["weight"] == (8, 4 + 64)
    assert table["decoder.out"]["shapes"]["weight"] == (1602, 4)
    assert table["decoder.squash"]["parameters"] == 2 * 1602
    assert table["encoder.first.heads.1"]["output"] == (8, 9)
    assert (table["posterior"]["output"], table["decoder.out"]["output"]) == ((8,), (1602,))
    total = sum(p.numel() for p in M2(NetworkSettings(), 801, 4).parameters())
    assert sum(row["parameters"] for row in table.values()) == total


def test_transformers_are_as_published():
    model = M2(NetworkSettings(variant="TT"), 801, 4)
    assert len(model.encoder.transformer.blocks) == len(model.decoder.transformer.blocks) == 3
    for part, width, hidden in ((model.encoder, 4, 64), (model.decoder, 64, 256)):
        block = part.transformer.blocks[0]
        assert (block.heads, block.feed[0].in_features, block.feed[0].out_features) == (4, width, hidden)
    assert model.decoder.tokens == 1602  # one point per token
    assert TransformerDecoder(4, 1602, patch=18).tokens == 89


@pytest.mark.parametrize("variant", ["CT", "TT"])
@pytest.mark.parametrize("patch", [1, 7, 18, 89])
def test_every_token_is_decoded_whatever_the_patch(variant, patch):
    model = M2(NetworkSettings(variant=variant, patch=patch), 81, 4).eval()
    rows = {row["layer"]: row for row in model.layer_table()}
    tokens = math.ceil(162 / patch)
    assert rows["decoder.out"]["output"] == (tokens, patch)
    assert rows["decoder.transformer.blocks.0.qkv"]["output"] == (tokens, 3 * 64)
    z = torch.randn(3, 4)
    with torch.no_grad():
        assert model.decoder(z).shape == (3, 162)
        assert (model.decoder(z)[0] - model.decoder(z)[1]).abs().min() > 0  # no output ignores z
    total = sum(p.numel() for p in model.parameters())
    assert sum(row["parameters"] for row in rows.values()) == total


def test_sbt_is_a_scaled_and_biased_tanh():
    layer = ScaledTanh(2)
    with torch.no_grad():
        layer.scale.copy_(torch.tensor([2.0, 0.5]))
        layer.bias.copy_(torch.tensor([1.0, -1.0]))
    expected = [2 * math.tanh(0.3) + 1, 0.5 * math.tanh(-4) - 1]
    torch.testing.assert_close(layer(torch.tensor([0.3, -4.0])), torch.tensor(expected))


def test_a_block_is_attention_as_written_out():
    torch.manual_seed(0)
    block, x = Block(8, 2, 16, causal=True).double(), torch.randn(3, 5, 8).double()
    q, k, v = (
        part.reshape(3, 5, 2, 4).transpose(1, 2) for part in block.qkv(block.before_attention(x)).chunk(3, dim=-1)
    )
    score = (q @ k.transpose(-1, -2) / 2).masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf).softmax(-1)
    y = x + block.out((score @ v).transpose(1, 2).reshape(3, 5, 8))
    torch.testing.assert_close(block(x), y + block.feed(block.before_feed(y)))


def test_causal_tokens_do_not_see_ahead():
    block, x = Block(8, 2, 16, causal=True), torch.randn(1, 6, 8)
    changed = x.clone()
    changed[:, 4:] += 1
    torch.testing.assert_close(block(x)[:, :4], block(changed)[:, :4])
    assert not torch.allclose(Block(8, 2, 16, causal=False)(x)[:, :4], block(changed)[:, :4])


def test_sinusoids_start_at_zero_and_one():
    assert sinusoids(3, 4)[0].tolist() == [0, 1, 0, 1]
    torch.testing.assert_close(sinusoids(3, 4)[2, :2], torch.tensor([math.sin(2), math.cos(2)]))


# --- the objective -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder_input", ["latent", "latent+class"])
def test_bounds_equal_their_formulas(decoder_input):
    model = network(decoder_input=decoder_input)
    model.noise.copy_(torch.tensor([0.5, 2.0]))
    x, noise = torch.randn(5, 40).double(), torch.randn(5, 4).double()
    h = model.encoder(x)
    normal, labelled = torch.distributions.Normal, torch.empty(5, N_CLASSES).double()
    for k in range(N_CLASSES):
        y = torch.eye(N_CLASSES).double()[k].expand(5, -1)
        mean, log_variance = model.posterior(torch.cat([y, h], dim=1)).chunk(2, dim=1)
        q = normal(mean, torch.exp(log_variance / 2))
        z = mean + torch.exp(log_variance / 2) * noise
        expected = model.decoder(torch.cat([z, y], dim=1) if decoder_input == "latent+class" else z)
        likelihood = normal(expected, model.noise.repeat_interleave(20)).log_prob(x).sum(1)
        kl = torch.distributions.kl_divergence(q, normal(0.0, 1.0)).sum(1)
        labelled[:, k] = likelihood - 0.7 * kl - math.log(N_CLASSES)
        found = model.labelled(x, h, torch.full((5,), k), noise).negative(0.7)
        torch.testing.assert_close(-found, labelled[:, k])
    q = model.classifier(h).softmax(1)
    expected = (q * (labelled - q.log())).sum(1)  # sum over y of q(y|x) L(x, y), plus the entropy of q
    torch.testing.assert_close(-model.unlabelled(x, h, model.classifier(h), noise).negative(0.7), expected)


def test_embedding_by_probabilities_is_the_expectation_over_classes():
    model = network()
    h, q = torch.randn(6, 64).double(), torch.randn(6, N_CLASSES).double().softmax(1)
    each = [model.embed(torch.eye(N_CLASSES).double()[k], h) for k in range(N_CLASSES)]
    for part in (0, 1):
        expected = sum(q[:, [k]] * each[k][part] for k in range(N_CLASSES))
        torch.testing.assert_close(model.embed(q, h)[part], expected)


def test_the_bound_is_below_the_likelihood_it_bounds():
    # p(x) by importance sampling with many draws can only exceed the mean single-draw bound.
    model, x = network(), torch.randn(1, 40).double()
    torch.manual_seed(0)
    with torch.no_grad():
        h, n = model.encoder(x), 4000
        rows = x.expand(n, -1), h.expand(n, -1)
        single = -model.unlabelled(*rows, model.classifier(h).expand(n, -1), torch.randn(n, 4).double()).negative(1.0)
        mean, log_variance = model.embed(torch.eye(N_CLASSES).double()[0], h)
        z = mean + torch.exp(log_variance / 2) * torch.randn(n, 4).double()
        log_p = torch.distributions.Normal(model.decoder(z), 1.0).log_prob(x).sum(1)
        log_p += torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
        log_p -= torch.distributions.Normal(mean, torch.exp(log_variance / 2)).log_prob(z).sum(1)
    assert single.mean() <= torch.logsumexp(log_p, 0) - math.log(n)


@pytest.mark.parametrize("supervision", [0.0, 0.4, 1.0])
def test_history_terms_add_up(supervision):
    spectra, weights, label = planted(90)
    model = CrimeVAE(supervision=supervision, epochs=2, batch=16, beta=0.5, alpha=0.3)
    model.fit(spectra, weights, label, n_classes=N_CLASSES)
    for entry in model.history_:
        parts = entry["reconstruction"] + 0.5 * entry["kl"] + entry["label"] + 0.3 * entry["classification"]
        assert entry["total"] == pytest.approx(parts, rel=1e-5)
        assert (entry["classification"] > 0) == (supervision > 0)
    if supervision == 1:
        assert model.history_[-1]["label"] == pytest.approx(math.log(N_CLASSES))
    assert len(model.labelled_) == pytest.approx(supervision * (90 - len(model.heldout_)), abs=2)


def test_classification_weight_is_alpha_n_over_labelled():
    # One batch of everything, no step: the reported total must be the objective at the initial weights.
    model = network()
    x, noise_free = torch.randn(8, 40).double(), 1e-30
    seen = torch.tensor([0, -1, 1, -1, -1, 2, -1, -1])
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    objective = Objective(noise=1.0, epochs=1, batch=8, learning_rate=noise_free)
    entry = train(model, x, seen, x[:0], objective, 0)[0]
    model.load_state_dict(start)
    logits = model.classifier(model.encoder(x))
    mean = torch.nn.functional.cross_entropy(logits[seen >= 0], seen[seen >= 0]).item()
    assert entry["classification"] == pytest.approx(mean, rel=1e-6)
    assert entry["total"] - entry["reconstruction"] - entry["kl"] - entry["label"] == pytest.approx(0.1 * mean)


def test_pieces_of_a_batch_add_up_to_it(monkeypatch):
    x, seen = torch.randn(12, 40).double(), torch.tensor([0, -1, 1, -1, -1, 2] * 2)
    ends = []
    for at_once in (2**16, 3 * N_CLASSES):
        monkeypatch.setattr("ftirlib.explain.crime.m2_training.TOKENS_AT_ONCE", at_once)
        model = network()
        history = train(model, x, seen, x[:7], Objective(epochs=2, batch=8, learning_rate=1e-3), 0)
        ends.append((model.state_dict(), history))
    assert spectra_at_once(model) == 3
    for name, tensor in ends[0][0].items():
        torch.testing.assert_close(ends[1][0][name], tensor, rtol=1e-9, atol=1e-9)
    assert ends[1][1][1] == pytest.approx(ends[0][1][1])


def test_bfloat16_stays_inside_the_transformers():
    x, noise = torch.randn(4, 82), torch.randn(4, 4)
    found = []
    for bfloat16 in (False, True):
        torch.manual_seed(1)
        model = M2(NetworkSettings(variant="TT", patch=5), 41, N_CLASSES, bfloat16=bfloat16)
        h = model.encoder(x)
        terms = model.unlabelled(x, h, model.classifier(h), noise)
        terms.negative(1.0).sum().backward()
        assert terms.reconstruction.dtype == model.decoder.out.weight.grad.dtype == torch.float32
        found.append(h)
    assert not torch.equal(*found)
    torch.testing.assert_close(*found, rtol=0.1, atol=0.05)


def test_one_point_per_token_takes_a_few_steps():
    # 401 wavenumbers: 802 tokens decoded; the published axis is in benchmarks/attention.py.
    spectra, weights, _ = planted(4, n_wavenumbers=401)
    model = CrimeVAE(variant="TT", patch=1, supervision=0, epochs=3, batch=2, holdout=0)
    model.fit(spectra, weights, n_classes=N_CLASSES)
    assert model.network_.decoder.tokens == 802
    assert model.history_[-1]["total"] < model.history_[0]["total"]
    assert model.encode(spectra, weights)[0].shape == (4, 4)


def test_every_epoch_and_seed_has_chances_of_its_own():
    draws = [torch.rand(1, generator=generator(seed, epoch)).item() for seed in range(3) for epoch in (None, 0, 1)]
    assert len(set(draws)) == 9
    model, x = network(), torch.randn(16, 40).double()
    objective = Objective(noise=1.0, epochs=2, batch=16, learning_rate=1e-30)
    told = [train(model, x, torch.full((16,), 1), x[:0], objective, seed) for seed in (0, 1)]
    assert len({entry["reconstruction"] for history in told for entry in history}) == 4


def test_learned_noise_is_the_root_mean_square_error():
    model, x = network(), 3 * torch.randn(16, 40).double()
    objective = Objective(epochs=1, batch=16, learning_rate=1e-30)
    entry = train(model, x, torch.full((16,), 1), x[:0], objective, 0)[0]
    halves = 20 * np.square([entry["noise_spectrum"], entry["noise_weights"]])
    constant = 40 * 0.5 * math.log(2 * math.pi)  # the first epoch's noise is 1
    assert entry["reconstruction"] == pytest.approx(halves.sum() / 2 + constant, rel=1e-6)


def test_a_constant_half_stops_at_the_smallest_noise():
    spectra, _, _ = planted(60)
    model = CrimeVAE(supervision=0, epochs=3, batch=16).fit(spectra, np.zeros_like(spectra), n_classes=2)
    assert model.network_.noise[1] >= 0.01
    assert np.isfinite(model.encode(spectra, np.zeros_like(spectra))[0]).all()


# --- fitting -------------------------------------------------------------------------------------------------


def test_bound_improves_and_classes_are_learnt(fitted):
    spectra, weights, label = planted(120, seed=1)
    validation = [entry["validation"] for entry in fitted.history_]
    assert np.mean(validation[-5:]) < np.mean(validation[5:10]) < np.mean(validation[:5])
    assert fitted.best_epoch_ == 1 + int(np.argmin(validation))
    probabilities = fitted.class_probabilities(spectra, weights)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert (probabilities.argmax(1) == label).mean() > 0.9
    again = fitted.reconstruct(spectra, weights)
    for found, truth in zip(again, (spectra, weights)):
        assert found.shape == truth.shape
        assert np.square(found - truth).mean() < 0.5 * np.square(truth - truth.mean(0)).mean()


@pytest.mark.parametrize("variant, patch", [("CP", 1), ("CT", 6), ("TT", 6)])
def test_full_supervision_agrees_as_well_as_logistic_regression(variant, patch):
    """Classes that overlap, so that neither is perfect: on the labels trained on, and on spectra never seen.

    By then the head has learned labels by heart: of spectra never seen up to 0.05 fewer were measured to be right.
    """
    (*known, label), (*tried, truth) = (planted(n, n_wavenumbers=21, seed=n, noise=1.0) for n in (240, 2000))
    head = CrimeVAE(variant=variant, patch=patch, supervision=1, epochs=30, batch=16, holdout=0).fit(*known, label)
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(np.hstack(known), label)
    reached = regression.score(np.hstack(known), label)
    assert 0.6 < reached < 0.95
    assert (head.class_probabilities(*known).argmax(1) == label).mean() >= reached
    ours = (head.class_probabilities(*tried).argmax(1) == truth).mean()
    assert ours >= regression.score(np.hstack(tried), truth) - 0.05


def test_validation_is_the_mean_bound_of_the_held_out_at_the_noise_that_suits_them(fitted):
    spectra, weights, _ = planted()
    out = fitted.heldout_
    best = fitted.history_[fitted.best_epoch_ - 1]
    assert -fitted.bound(spectra[out], weights[out]).mean() > best["validation"]  # at the noise of those trained on
    objective, network = fitted.settings, copy.deepcopy(fitted.network_)
    x = torch.from_numpy(fitted.scaling_.apply(np.hstack([spectra, weights])[out]))
    found = []
    for factor in (0.9, 1, 1.1):
        features = network.encoder(x)
        draws = torch.randn(len(x), 4, generator=generator(0, None))
        terms = network.unlabelled(x, features, network.classifier(features), draws)
        network.noise.copy_(factor * (terms.squared_error.mean(1) / spectra.shape[1]).sqrt())
        found.append(-bound(network, x, objective, 0).mean().item())
    assert found[1] == pytest.approx(best["validation"], rel=1e-5)
    assert found[1] == min(found)
    fixed = CrimeVAE(noise=0.5, supervision=0, epochs=1).fit(spectra, weights, n_classes=N_CLASSES)
    out = fixed.heldout_
    assert -fixed.bound(spectra[out], weights[out]).mean() == pytest.approx(fixed.history_[0]["validation"], rel=1e-5)


@pytest.mark.parametrize("noise", ["learned", 0.5])
def test_a_learned_noise_has_no_say_in_the_epoch_kept(noise):
    """Patients unlike those trained on would be counted the worse the surer the decoder is of those it knows."""
    x, objective = torch.randn(30, 40), Objective(noise=noise, epochs=1, batch=8, learning_rate=1e-3)
    one = network().float()
    values = []
    for level in (1.0, 0.2):
        one.noise.fill_(level)
        values.append(held_out(one, x, objective, 0))
        assert values[-1] <= -bound(one, x, objective, 0).mean().item() + 1e-3
    assert (values[0] == pytest.approx(values[1])) == (noise == "learned")


def test_same_seed_same_bytes_and_no_global_seed():
    spectra, weights, label = planted(80)
    options = {"epochs": 3, "batch": 16, "supervision": 0.5}
    torch.manual_seed(5)
    first = CrimeVAE(**options).fit(spectra, weights, label)
    state = torch.get_rng_state()
    torch.manual_seed(99)
    second = CrimeVAE(**options).fit(spectra, weights, label)
    other = CrimeVAE(**options, random_state=1).fit(spectra, weights, label)
    assert first.encode(spectra, weights)[0].tobytes() == second.encode(spectra, weights)[0].tobytes()
    assert first.encode(spectra, weights)[0].tobytes() != other.encode(spectra, weights)[0].tobytes()
    torch.manual_seed(5)
    assert torch.equal(state, torch.get_rng_state())


def test_unsupervised_reads_no_label():
    spectra, weights, label = planted(80)
    options = {"epochs": 2, "batch": 16, "supervision": 0}
    without = CrimeVAE(**options).fit(spectra, weights, n_classes=N_CLASSES)
    given = CrimeVAE(**options).fit(spectra, weights, label, n_classes=N_CLASSES)
    assert without.encode(spectra, weights)[0].tobytes() == given.encode(spectra, weights)[0].tobytes()
    assert len(given.labelled_) == 0


def test_labels_that_are_not_supervised_are_not_seen():
    spectra, weights, label = planted(80)
    options = {"epochs": 2, "batch": 16, "supervision": 0.3}
    first = CrimeVAE(**options).fit(spectra, weights, label, n_classes=N_CLASSES)
    assert all(np.isin(np.unique(label), label[first.labelled_]))
    assert not set(first.labelled_) & set(first.heldout_)


class Killed(Exception):
    pass


@pytest.mark.parametrize("killed_after", [1, 3])
def test_resumed_training_gives_the_same_bytes(killed_after, tmp_path):
    spectra, weights, label = planted(80)
    model = CrimeVAE(epochs=5, batch=16, supervision=0.5)
    whole = clone(model).fit(spectra, weights, label)

    def kill(entry):
        if entry["epoch"] == killed_after:
            raise Killed

    path = tmp_path / "training"
    with pytest.raises(Killed):
        clone(model).fit(spectra, weights, label, checkpoint=path, progress=kill)
    told = []
    again = clone(model).fit(spectra, weights, label, checkpoint=path, progress=lambda e: told.append(e["epoch"]))
    assert told == list(range(killed_after + 1, 6))
    assert again.history_ == whole.history_
    for name, tensor in whole.network_.state_dict().items():
        assert torch.equal(tensor, again.network_.state_dict()[name]), name
    finished = clone(model).fit(spectra, weights, label, checkpoint=path, progress=told.clear)
    assert finished.history_ == whole.history_
    longer = CrimeVAE(model.settings, epochs=6).fit(spectra, weights, label, checkpoint=path)
    assert longer.history_[:5] == whole.history_


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    spectra, weights, label = planted(60)
    model = CrimeVAE(epochs=1, batch=16)
    model.fit(spectra, weights, label, checkpoint=tmp_path / "c")
    with pytest.raises(ModelError, match=r"another settings \(beta"):
        CrimeVAE(model.settings, beta=2.0).fit(spectra, weights, label, checkpoint=tmp_path / "c")
    with pytest.raises(ModelError, match="another data"):
        clone(model).fit(spectra * 2, weights, label, checkpoint=tmp_path / "c")
    (tmp_path / "torn").write_bytes((tmp_path / "c").read_bytes()[:100])
    with pytest.raises(ModelError, match="torn"):
        clone(model).fit(spectra, weights, label, checkpoint=tmp_path / "torn")


@pytest.mark.parametrize("variant, patch", [("CP", 1), ("CT", 7), ("TT", 7), ("TT", 1)])
def test_every_variant_fits_saves_and_loads(variant, patch, tmp_path):
    spectra, weights, label = planted(40, n_wavenumbers=25)
    model = CrimeVAE(variant=variant, patch=patch, epochs=2, batch=16, supervision=0.5)
    model.fit(spectra, weights, label, n_classes=N_CLASSES)
    assert model.history_[1]["total"] < model.history_[0]["total"]
    again = CrimeVAE.load(model.save(tmp_path / "model"))
    assert again.get_params() == model.get_params()
    assert again.history_ == model.history_
    for name in ("encode", "reconstruct", "class_probabilities", "bound"):
        for a, b in zip(getattr(model, name)(spectra, weights), getattr(again, name)(spectra, weights)):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(SettingsError, match=r"patch of 60 points is wider than the input of 50|no tokens"):
        CrimeVAE(variant=variant, patch=60).fit(spectra, weights, label)


@pytest.mark.parametrize("patch", [5, 18])
@pytest.mark.parametrize("variant", ["CT", "TT"])
def test_transformers_learn_and_use_z_at_any_patch(variant, patch):
    spectra, weights, label = planted(120, n_wavenumbers=27)
    model = CrimeVAE(variant=variant, patch=patch, epochs=10, batch=12).fit(spectra, weights, label)
    error = np.square(model.reconstruct(spectra, weights)[0] - spectra).mean()
    assert error < 0.5 * np.square(spectra - spectra.mean(0)).mean()
    assert model.history_[model.best_epoch_ - 1]["kl"] > math.log(N_CLASSES)  # z tells at least the class


@pytest.mark.parametrize("variant, patch", [("CP", 1), ("CT", 9), ("TT", 9)])
def test_the_unsupervised_bound_improves_on_average(variant, patch):
    spectra, weights, _ = planted(96, n_wavenumbers=27)
    model = CrimeVAE(variant=variant, patch=patch, supervision=0, epochs=9, batch=12, holdout=0)
    model.fit(spectra, weights, n_classes=N_CLASSES)
    total = np.array([entry["total"] for entry in model.history_])
    thirds = [part.mean() for part in np.split(total, 3)]
    assert thirds[0] > thirds[1] > thirds[2]
    assert np.polyfit(np.arange(9), total, 1)[0] < 0
    assert {entry["classification"] for entry in model.history_} == {0.0}


def test_changed_or_torn_files_are_refused(fitted, tmp_path):
    folder = fitted.save(tmp_path / "model")
    other = CrimeVAE(epochs=1).fit(*planted(60), n_classes=N_CLASSES).save(tmp_path / "other")
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "vae.json").write_bytes((folder / "vae.json").read_bytes())
    (tmp_path / "mixed" / "network.safetensors").write_bytes((other / "network.safetensors").read_bytes())
    with pytest.raises(ModelError, match="two different models"):
        CrimeVAE.load(tmp_path / "mixed")
    description = json.loads((folder / "vae.json").read_text())
    del description["settings"]
    (folder / "vae.json").write_text(json.dumps(description))
    with pytest.raises(ModelError, match="incomplete"):
        CrimeVAE.load(folder)
    with pytest.raises(ModelError, match=r"no 'vae\.json'"):
        CrimeVAE.load(tmp_path)


def test_rows_do_not_depend_on_their_neighbours(fitted):
    spectra, weights, _ = planted(50, seed=3)
    whole = fitted.encode(spectra, weights)[0]
    np.testing.assert_allclose(fitted.encode(spectra[7:8], weights[7:8])[0][0], whole[7], rtol=1e-4, atol=1e-5)


# --- what it is given ----------------------------------------------------------------------------------------


def test_scaling_is_that_of_the_training_rows(rng):
    x = rng.normal(3, 2, (3000, 6)).astype(np.float32)
    x[:, 2] = 0.1
    rows = np.arange(0, 3000, 2)
    scaling = Scaling.of(x, rows)
    y = scaling.apply(x)
    varied = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(y[rows].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y[rows][:, varied].std(0), 1, atol=1e-5)
    np.testing.assert_allclose(y[:, 2], 0, atol=1e-6)
    np.testing.assert_allclose(scaling.undo(y), x, atol=1e-5)


def test_whole_groups_are_held_out():
    groups = np.repeat(np.arange(20), 15)
    train_rows, aside = hold_out(300, 0.1, groups=groups)
    assert not set(groups[train_rows]) & set(groups[aside])
    assert 30 <= len(aside) <= 45
    assert sorted([*train_rows, *aside]) == list(range(300))
    only = hold_out(30, 0.1, groups=np.repeat([0, 1], 15))
    assert len(only[0]) == len(only[1]) == 15
    assert len(hold_out(30, 0)[1]) == 0
    with pytest.raises(DataError, match=r"1 group"):
        hold_out(30, 0.1, groups=np.zeros(30))


def test_every_class_gets_its_share_of_supervision():
    labels = np.array([0] * 100 + [1] * 40 + [2] + [-1] * 20)
    chosen = choose_labelled(labels, np.arange(161), 0.25, 3)
    assert np.bincount(labels[chosen]).tolist() == [25, 10, 1]
    assert len(choose_labelled(labels, np.arange(161), 1.0, 3)) == 141
    with pytest.warns(UserWarning, match=r"class \[2, 3\]"):
        choose_labelled(labels, np.arange(140), 0.25, 4)
    with pytest.raises(DataError, match="no training spectrum has a known label"):
        choose_labelled(labels, np.arange(141, 161), 0.25, 3)


@pytest.fixture
def sources(tmp_path):
    """The same spectra and weights in memory and in files."""
    spectra, weights, label = planted(90)
    files = [Rows.of(half).to_file(tmp_path / f"{k}.npy") for k, half in enumerate((spectra, weights))]
    return {"arrays": (spectra, weights), "files": files}, label


@pytest.mark.parametrize("groups", [None, np.arange(90) // 10])
def test_files_give_the_bytes_that_arrays_give(sources, groups, tmp_path):
    found, label = sources
    made = {}
    for name in ("arrays", "files"):
        model = CrimeVAE(epochs=3, batch=16, supervision=0.5, holdout=0.2)
        model.fit(*found[name], label, groups=groups, checkpoint=tmp_path / f"{name}.c")
        model.save(tmp_path / name)
        files = [tmp_path / f"{name}.c", *(tmp_path / name).iterdir()]
        made[name] = {file.suffix: file.read_bytes() for file in files}
    assert made["arrays"] == made["files"]


def test_files_are_encoded_as_arrays_are(sources):
    found, label = sources
    model = CrimeVAE(epochs=1, batch=16).fit(*found["arrays"], label)
    for use in (model.encode, model.class_probabilities, model.bound):
        np.testing.assert_array_equal(use(*found["files"]), use(*found["arrays"]))
    chosen = [CrimeVAE(epochs=2).fit(*found["files"], label, validation=found[name]) for name in ("arrays", "files")]
    assert chosen[0].history_ == chosen[1].history_


def test_training_reads_no_more_than_blocks(sources):
    """Of rows beyond a batch, or the block that is checked and scaled, none is in memory."""
    (spectra, weights), label = sources[0]["arrays"], sources[1]
    taken = {False: [], True: []}  # by positions, and in order

    class Watched(Rows):
        def __getitem__(self, which):
            found = super().__getitem__(which)
            taken[type(which) is slice].append(len(found))
            return found

    many = np.arange(9000) % len(spectra)
    watched = [Watched(lambda which, half=half: half[many[which]], (9000, 41)) for half in (spectra, weights)]
    CrimeVAE(epochs=1, batch=64).fit(*watched, label[many])
    assert max(taken[False]) <= ROWS and max(taken[True]) <= CHUNK


def test_an_absent_class_keeps_its_place():
    spectra, weights, label = planted(60)
    with pytest.warns(UserWarning, match=r"no training spectrum is of class \[3\]"):
        model = CrimeVAE(epochs=1).fit(spectra, weights, label, n_classes=4)
    assert model.class_probabilities(spectra, weights).shape == (60, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CrimeVAE(epochs=1).fit(spectra, weights, label, n_classes=3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"supervision": 1.2}, "setting 'supervision' cannot be 1.2: Input should be less than or equal to 1"),
        ({"supervision": -0.1}, "'supervision' cannot be -0.1"),
        ({"supervision": float("nan")}, "'supervision' cannot be nan"),
        ({"supervision": None}, "'supervision' cannot be None"),
        ({"supervision": "0.2"}, "'supervision' cannot be '0.2'"),
        ({"precision": "half"}, "'precision' cannot be 'half': Input should be 'auto', 'float32' or 'bfloat16'"),
        ({"precision": "bfloat16"}, "variant 'CP' has no transformer"),
        ({"variant": "PC"}, "'variant' cannot be 'PC': Input should be 'CP', 'CT' or 'TT'"),
        ({"variant": "CP", "patch": 4}, "no tokens"),
        ({"decoder_input": "z"}, "'decoder_input' cannot be 'z'"),
        ({"noise": "free"}, "'noise' cannot be 'free': it must be 'learned' or a number above 0"),
        ({"noise": 0.0}, "'noise' cannot be 0.0: it must be 'learned' or a number above 0"),
        ({"epochs": 0}, "'epochs' cannot be 0"),
        ({"holdout": 0.9}, "'holdout' cannot be 0.9"),
        ({"kernels": (3, 9000)}, "wider than the input"),
        ({"kernels": ()}, "'kernels' cannot be"),
        ({"kernels": (3, 0)}, "'kernels.1' cannot be 0"),
        ({"patch": 0, "variant": "TT"}, "'patch' cannot be 0"),
        ({"epoch": 3}, "'epoch' is not a setting of VaeSettings"),
        ({"learning_rate": 0.0}, "'learning_rate' cannot be 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    spectra, weights, label = planted(30)
    with pytest.raises(SettingsError, match=message.replace("(", r"\(")):
        CrimeVAE(**changes).fit(spectra, weights, label)


def test_bad_input_is_refused(fitted):
    spectra, weights, label = planted(30)
    holes = weights.copy()
    holes[4, 2] = np.nan
    model = CrimeVAE(epochs=1)
    for arguments, options, error, message in (
        ((spectra, weights[:29], label), {}, DataError, r"\(30, 41\).*\(29, 41\)"),
        ((spectra, weights[:, :40], label), {}, DataError, r"\(30, 41\).*\(30, 40\)"),
        ((spectra, holes, label), {}, DataError, "weights hold NaN .* 1 rows, the first being 4"),
        ((spectra.astype(float) * 1e39, weights, label), {}, DataError, "spectra hold NaN or infinite"),
        ((spectra, weights), {}, SettingsError, "supervision is 0.2 but labels was not given"),
        ((spectra, weights, label[:5]), {}, DataError, r"shape \(5,\)"),
        ((spectra, weights, label), {"n_classes": 2}, DataError, "0 to 2 for 2 classes"),
        ((spectra, weights, label.astype(float)), {}, DataError, "float64"),
        ((spectra, weights, label), {"groups": [1, 2]}, DataError, r"groups have shape \(2,\)"),
        (
            (spectra, weights, label),
            {"stability": np.full(30, 0.2)},
            DataError,
            r"median stability is 0\.20, below 0\.5",
        ),
        ((spectra, weights, label), {"stability": np.ones(29)}, DataError, r"\(29,\) for 30 spectra"),
        ((spectra, weights, label), {"validation": (spectra[:, :9], weights[:, :9])}, ModelError, "9 wavenumbers"),
    ):
        with pytest.raises(error, match=message):
            model.fit(*arguments, **options)
    model.fit(spectra, weights, label, stability=np.full(30, 0.2), stability_floor=None)
    with pytest.raises(ModelError, match=r"40 wavenumbers but .* 41"):
        fitted.encode(spectra[:, :40], weights[:, :40])
    with pytest.raises(ModelError, match="not fitted"):
        CrimeVAE().encode(spectra, weights)


def test_a_loss_that_is_not_finite_is_said_so():
    spectra, weights, label = planted(40)
    with pytest.raises(ModelError, match=r"loss of epoch .* is not finite; lower learning_rate"):
        CrimeVAE(epochs=3, learning_rate=1e20).fit(spectra, weights, label)


def test_given_validation_chooses_the_epoch():
    spectra, weights, label = planted(80)
    outside = planted(30, seed=4)[:2]
    model = CrimeVAE(epochs=3, batch=16).fit(spectra, weights, label, validation=outside)
    assert len(model.heldout_) == 0
    best = model.history_[model.best_epoch_ - 1]["validation"]
    x = torch.from_numpy(model.scaling_.apply(np.hstack(outside)))
    assert held_out(model.network_, x, model.settings, 0) == pytest.approx(best, rel=1e-5)
    last = CrimeVAE(epochs=3, batch=16, holdout=0).fit(spectra, weights, label)
    assert last.best_epoch_ == 3
    assert "validation" not in last.history_[-1]


def test_bound_reads_the_same_draws_at_every_call():
    model, x = network(), torch.randn(7, 40).double()
    objective = Objective(noise=1.0, epochs=1, batch=3, learning_rate=1e-3)
    torch.testing.assert_close(
        bound(model, x, objective, 0), bound(model, x, objective.model_copy(update={"batch": 7}), 0)
    )
