"""Training: repeatable, resumable to the last bit, honest about what it cannot use; and prediction from disk."""

import json

import numpy as np
import pytest
import torch
from sklearn.base import clone

from ftirlib.classify.checks import class_codes
from ftirlib.classify.loop import _is_better, _reason_to_stop, data_hash
from ftirlib.classify.mscnn import MSCNN
from ftirlib.classify.prediction import predict_blocks
from ftirlib.classify.settings import MSCNNSettings, TrainingSettings
from ftirlib.classify.training import MSCNNClassifier, TrainingResult, train
from ftirlib.errors import DataError, ModelError, SettingsError
from ftirlib.spectra.model import open_spectra
from ftirlib.spectra.rows import Rows
from ftirlib.spectra.writer import save_spectra

QUICK = TrainingSettings(epochs=3, batch_size=32)


class Interrupted(Exception):
    """Stands for a power cut."""


@pytest.fixture
def sides(toy_spectra):
    """Wavenumbers, and (spectra, codes) of six patients to train on and of two to validate on."""
    held = np.isin(toy_spectra.group.values, [3, 7])
    X, y = toy_spectra.absorbance.values, toy_spectra.label.values
    return toy_spectra.wavenumber.values, (X[~held], y[~held]), (X[held], y[held])


def run(sides, settings=QUICK, *, random_state=3, **options):
    wavenumber, fit, held = sides
    model = MSCNN(MSCNNSettings(n_classes=2), wavenumber, random_state=random_state)
    result = train(model, *fit, held, settings, random_state=random_state, **options)
    return model, result


def interrupted(sides, path, *, after, settings=QUICK):
    def stop(entry):
        if entry["epoch"] == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(sides, settings, checkpoint=path, progress=stop)


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values()))


@pytest.fixture(scope="module")
def fitted():
    """One classifier of text labels, and spectra of its own that it separates."""
    rng = np.random.default_rng(1)
    wavenumber = np.linspace(1000.0, 1800.0, 81)
    y = np.tile(["normal", "cancerous"], 60)
    band = np.exp(-(((wavenumber - 1240) / 30) ** 2))
    X = (np.where(y == "normal", 0.2, 1.0)[:, None] * band + 0.05 * rng.standard_normal((120, 81))).astype(np.float32)
    settings = TrainingSettings(epochs=12, batch_size=16)
    model = MSCNNClassifier(wavenumber, training=settings, random_state=2)
    return model.fit(X, y, groups=np.arange(120) // 4), X, y


def test_it_learns_what_can_be_learnt(fitted):
    model, X, y = fitted
    assert model.score(X, y) > 0.95
    probability = model.predict_proba(X)
    assert probability.shape == (120, 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-12)
    assert list(model.classes_) == ["cancerous", "normal"]


def test_the_best_epoch_is_the_one_kept(fitted):
    model, _, _ = fitted
    best = max(model.history_, key=lambda e: (e["balanced_accuracy"], -e["validation_loss"]))
    assert (model.best_epoch_, model.validation_score_) == (best["epoch"], best["balanced_accuracy"])


def test_the_weights_are_those_of_the_best_epoch(sides):
    wavenumber, fit, (X, y) = sides
    wrong = 1 - y  # the better it learns, the worse it scores, so that the best epoch is not the last
    model, result = run((wavenumber, fit, (X, wrong)), TrainingSettings(epochs=8, batch_size=16, learning_rate=3e-3))
    assert result.best_epoch < 8 and result.history[-1]["balanced_accuracy"] < result.score
    with torch.no_grad():
        predicted = model(torch.from_numpy(X)).argmax(1).numpy()
    sensitivities = [(predicted[wrong == k] == k).mean() for k in (0, 1)]
    assert result.history[result.best_epoch - 1]["sensitivity"] == pytest.approx(sensitivities)
    assert result.score == pytest.approx(np.mean(sensitivities))
    assert not model.training


def test_every_epoch_has_an_order_of_its_own(sides, monkeypatch):
    orders, draw = [], torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda n, **kind: orders.append(draw(n, **kind)) or orders[-1])
    run(sides)
    assert len({tuple(order.tolist()) for order in orders}) == QUICK.epochs
    assert all(sorted(order.tolist()) == list(range(120)) for order in orders)


def test_training_from_a_file_gives_the_bytes_of_training_from_memory(toy_spectra, tmp_path):
    x, y = toy_spectra.absorbance.values, toy_spectra.label.values * 2 + 1  # classes that are no codes
    save_spectra(toy_spectra, tmp_path / "s.zarr")
    settings = {"network": MSCNNSettings(n_classes=2), "training": TrainingSettings(epochs=2, batch_size=32)}
    sources = x, Rows.of(x).to_file(tmp_path / "x.npy"), Rows.of(open_spectra(tmp_path / "s.zarr"))
    held, by_group, found = np.arange(0, len(x), 4), [], []
    for k, source in enumerate(sources):
        path = tmp_path / f"checkpoint-{k}"
        classifier = MSCNNClassifier(toy_spectra.wavenumber.values, **settings, random_state=3)
        classifier.fit(source, y, validation=(Rows.of(source, held), y[held]), checkpoint=path)
        assert classifier.classes_.tolist() == [1, 3]
        found.append(path.read_bytes() + str(classifier.history_).encode())
        by_group.append(clone(classifier).fit(source, y, groups=np.arange(len(x)) // 8).history_)
    assert found[0] == found[1] == found[2] and by_group[0] == by_group[1] == by_group[2]


def test_the_width_of_a_file_and_its_labels_are_checked(tmp_path):
    file, labels = Rows.of(np.ones((17, 5))).to_file(tmp_path / "x.npy"), np.arange(17) % 2
    with pytest.raises(DataError, match=r"have shape \(17, 5\)"):
        MSCNNClassifier(np.linspace(1000, 1800, 801)).fit(file, labels, validation=(file, labels))
    with pytest.raises(DataError, match=r"labels of shape \(16,\) for 17 spectra"):
        MSCNNClassifier(np.linspace(1000, 1800, 5)).fit(file, labels[1:], validation=(file, labels))


def test_a_hash_is_of_the_numbers_wherever_they_lie(tmp_path):
    x = np.random.default_rng(0).normal(size=(9000, 2)).astype(np.float32)
    found = {data_hash(source) for source in (Rows.of(x), Rows.of(x).to_file(tmp_path / "x.npy"))}
    assert len(found) == 1 and data_hash(Rows.of(x + 1)) not in found


def test_codes_are_places_among_the_classes_in_a_byte_where_that_is_enough():
    labels = np.array([300, -5, 7, 300], np.int16)
    assert class_codes(labels, np.unique(labels)).tolist() == [2, 0, 1, 2]
    for n, dtype in ((256, np.uint8), (257, np.int64)):
        codes = class_codes(np.arange(n), np.arange(n))
        assert codes.dtype == dtype and codes.tolist() == list(range(n))
    with pytest.raises(DataError, match=r"the validation labels hold \['d'\], which no training spectrum has"):
        class_codes(np.array(["a", "d", "b"]), np.array(["a", "b"]), what="validation")


def test_same_seed_same_bytes_and_no_other_seed_is_touched(sides):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    (one, first), (same, second), (other, _) = (run(sides, random_state=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.rand(3), expected)
    assert same_weights(one, same) and first == second
    assert not same_weights(one, other)


def test_what_others_draw_does_not_change_training(sides):
    quiet, _ = run(sides)
    noisy, _ = run(sides, progress=lambda entry: torch.rand(entry["epoch"]))
    assert same_weights(quiet, noisy)


@pytest.mark.parametrize("after", [1, 2])
def test_interrupted_training_goes_on_to_the_same_bytes(sides, tmp_path, after):
    straight, told = run(sides)
    path = tmp_path / "state.safetensors"
    interrupted(sides, path, after=after)
    seen = []
    resumed, result = run(sides, checkpoint=path, progress=seen.append)
    assert same_weights(straight, resumed) and result == told
    assert [entry["epoch"] for entry in seen] == list(range(after + 1, QUICK.epochs + 1))


def test_more_epochs_go_on_from_a_finished_training(sides, tmp_path):
    path = tmp_path / "state.safetensors"
    run(sides, TrainingSettings(epochs=2, batch_size=32), checkpoint=path)
    more, _ = run(sides, checkpoint=path)
    assert same_weights(more, run(sides)[0])
    with pytest.raises(ModelError, match="already at epoch 3, beyond the 2 asked for"):
        run(sides, TrainingSettings(epochs=2, batch_size=32), checkpoint=path)


def test_a_failed_write_leaves_the_last_checkpoint(sides, tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    interrupted(sides, path, after=1)
    before = path.read_bytes()

    def full(*paths):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(OSError, match="no space"):
            run(sides, checkpoint=path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]
    assert same_weights(run(sides, checkpoint=path)[0], run(sides)[0])


def test_a_checkpoint_of_something_else_is_refused(sides, tmp_path):
    path = tmp_path / "state.safetensors"
    interrupted(sides, path, after=1)
    with pytest.raises(ModelError, match=r"another settings \(learning_rate: 0.0008 there, 0.01 now\)"):
        run(sides, TrainingSettings(epochs=3, batch_size=32, learning_rate=0.01), checkpoint=path)
    with pytest.raises(ModelError, match="another random_state"):
        run(sides, random_state=9, checkpoint=path)
    wavenumber, (X, y), held = sides
    with pytest.raises(ModelError, match="another data"):
        run((wavenumber, (X * 1.01, y), held), checkpoint=path)
    with pytest.raises(ModelError, match="another wavenumber"):
        run((wavenumber + 1, (X, y), held), checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="torn or no safetensors"):
        run(sides, checkpoint=path)


def test_the_learning_rate_halves(sides):
    settings = TrainingSettings(epochs=5, batch_size=128, step_epochs=2, learning_rate=0.001)
    rates = [entry["learning_rate"] for entry in run(sides, settings)[1].history]
    assert rates == [0.001, 0.001, 0.0005, 0.0005, 0.00025]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"epoch": 31, "training_loss": 0.5, "validation_loss": None}, "validation loss is not finite"),
        ({"epoch": 31, "training_loss": 0.5, "validation_loss": 1.01}, "exceeds twice the training loss"),
        ({"epoch": 31, "training_loss": 0.5, "validation_loss": 1.0}, None),
        ({"epoch": 30, "training_loss": 0.5, "validation_loss": 9.0}, None),
        ({"epoch": 31, "sensitivity": [0.0, 1.0, None]}, "every class but one"),
        ({"epoch": 31, "sensitivity": [0.1, 1.0, 0.0]}, None),
        ({"epoch": 2, "training_loss": None}, "training loss is not finite"),
    ],
)
def test_the_rule_to_stop_early(entry, says):
    usual = {"training_loss": 0.5, "validation_loss": 0.6, "sensitivity": [0.5, 0.5]}
    reason = _reason_to_stop(usual | entry, TrainingSettings())
    assert reason is None if says is None else says in reason


def test_equal_scores_are_settled_by_the_loss():
    entry = {"training_loss": 1.0, "validation_loss": 0.5, "balanced_accuracy": 0.7}
    result = TrainingResult([entry], best_epoch=1, score=0.7)
    assert _is_better(entry | {"validation_loss": 0.4}, result)
    assert not _is_better(entry, result)
    assert not _is_better(entry | {"balanced_accuracy": 0.9, "validation_loss": None}, result)


def test_a_hopeless_training_says_so(sides):
    with pytest.raises(ModelError, match="nothing was learnt: the training loss is not finite at epoch 1"):
        run(sides, TrainingSettings(epochs=3, batch_size=32, learning_rate=1e38))


def test_class_weights_reach_the_loss(sides):
    plain, _ = run(sides)
    even, _ = run(sides, TrainingSettings(epochs=3, batch_size=32, class_weight=(1, 1)))
    tilted, _ = run(sides, TrainingSettings(epochs=3, batch_size=32, class_weight=[1, 0.28]))
    balanced, _ = run(sides, TrainingSettings(epochs=3, batch_size=32, class_weight="balanced"))
    assert same_weights(plain, even) and not same_weights(plain, tilted)
    assert same_weights(plain, balanced)  # 60 spectra of each class
    with pytest.raises(SettingsError, match="3 numbers for 2 classes"):
        run(sides, TrainingSettings(class_weight=(1, 1, 1)))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"epochs": 0}, "'epochs' cannot be 0: .* greater than or equal to 1"),
        ({"batch_size": 1}, "'batch_size' cannot be 1: .* equal to 2"),
        ({"learning_rate": float("nan")}, "'learning_rate' cannot be nan"),
        ({"weight_decay": -1}, "'weight_decay' cannot be -1"),
        ({"step_factor": 0}, "'step_factor' cannot be 0"),
        ({"label_smoothing": 1.0}, "'label_smoothing' cannot be 1.0"),
        ({"class_weight": "even"}, "'class_weight' cannot be 'even': it must be None, 'balanced'"),
        ({"class_weight": (1, 0)}, "above 0 for every class"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(SettingsError, match=says):
        TrainingSettings(**settings)


def test_spectra_and_labels_that_do_not_fit_are_refused(sides):
    wavenumber, (X, y), held = sides
    hole = X.copy()
    hole[5, 7] = np.nan
    for spectra, labels, says in (
        (hole, y, "1 of the 120 training spectra hold NaN .* the first is number 5"),
        (X[:, :80], y, r"shape \(120, 80\), but the model takes \(spectra, 81\): 1000 to 1800"),
        (X, y + 1, "labels are 1..2, but the network has classes 0..1"),
        (X, y - 1, "labels are -1..0"),
        (X, y[:-1], "for 120 spectra"),
        (X, y.astype(float), "float64"),
        (X[:1], y[:1], "1 training spectrum; batch-norm"),
        (X[:0], y[:0], "labels are none"),
    ):
        with pytest.raises(DataError, match=says):
            run((wavenumber, (spectra, labels), held))


def test_odd_numbers_of_spectra_leave_no_batch_of_one(sides):
    wavenumber, (X, y), held = sides
    _, result = run((wavenumber, (X[40:73], y[40:73]), held), TrainingSettings(epochs=1, batch_size=16))
    assert result.best_epoch == 1


def test_saved_and_loaded_is_the_same_classifier(fitted, tmp_path):
    model, X, _ = fitted
    loaded = MSCNNClassifier.load(model.save(tmp_path / "model"))
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert loaded.history_ == model.history_ and list(loaded.classes_) == list(model.classes_)
    np.testing.assert_array_equal(loaded.wavenumber_, model.wavenumber_)
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["classifier.json", "network.safetensors"]
    assert json.loads((tmp_path / "model" / "classifier.json").read_text())["network"]["head_widths"] == [8, 25, 50]


def test_damaged_files_are_refused(fitted, tmp_path):
    model, _, _ = fitted

    def spoilt(change, says):
        folder = model.save(tmp_path / "model")
        change(folder)
        with pytest.raises(ModelError, match=says):
            MSCNNClassifier.load(folder)

    def edit(folder, **changes):
        path = folder / "classifier.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    weights, text = "network.safetensors", "classifier.json"
    spoilt(lambda f: (f / weights).unlink(), "no file of weights")
    spoilt(lambda f: (f / text).unlink(), "no 'classifier.json'")
    spoilt(lambda f: (f / weights).write_bytes((f / weights).read_bytes()[:5000]), "torn")
    spoilt(lambda f: (f / text).write_text((f / text).read_text()[:300]), "torn or no JSON")
    spoilt(lambda f: edit(f, kind="EMSCNN"), "describes 'EMSCNN', not 'MSCNNClassifier'")
    spoilt(lambda f: edit(f, sha256="0"), "two different models")
    spoilt(lambda f: edit(f, network={"n_classes": 2, "dense": [16, 16]}), "'dense.0.linear.weight' .*another arch")
    spoilt(lambda f: edit(f, network={"n_classes": 2, "dense": [32]}), "unknown tensor 'dense.1|is of another|another")
    spoilt(lambda f: edit(f, network={"depth": 3}), "incomplete or of another version")
    with pytest.raises(ModelError, match="check the path"):
        MSCNNClassifier.load(tmp_path / "nowhere")


def test_spectra_on_another_grid_are_refused(fitted, toy_spectra):
    model, X, _ = fitted
    shifted = toy_spectra.assign_coords(wavenumber=toy_spectra.wavenumber + 5)
    with pytest.raises(DataError, match="81 wavenumbers, 1005 to 1805 cm-1, but the model is for 81, 1000 to 1800"):
        model.predict(shifted.absorbance)
    with pytest.raises(DataError, match=r"takes \(spectra, 81\)"):
        model.predict(X[:, ::2])
    X = X.copy()
    X[3, 0] = np.inf
    with pytest.raises(DataError, match="first is number 3"):
        model.predict_proba(X)


def test_fit_says_what_it_needs(fitted):
    model, X, y = fitted
    fresh = clone(model)
    assert fresh.get_params()["random_state"] == 2 and not hasattr(fresh, "network_")
    with pytest.raises(SettingsError, match="either validation"):
        fresh.fit(X, y)
    with pytest.raises(SettingsError, match="either validation"):
        fresh.fit(X, y, validation=(X, y), groups=y)
    with pytest.raises(SettingsError, match="no wavenumbers"):
        MSCNNClassifier().fit(X, y, groups=y)
    with pytest.raises(ModelError, match="4 outputs, but the labels are of 2 classes"):
        clone(model).set_params(network=MSCNNSettings()).fit(X, y, validation=(X, y))
    with pytest.raises(DataError, match=r"validation labels hold \['unheard'\]"):
        fresh.fit(X, y, validation=(X[:1], np.array(["unheard"])))
    with pytest.raises(DataError, match="there are 2 groups"):
        fresh.fit(X, y, groups=y)
    with pytest.raises(DataError, match="use whole numbers or text"):
        fresh.fit(X, np.linspace(0, 1, len(y)), validation=(X, y))


def test_a_class_that_is_only_held_out_is_noticed(fitted):
    model, X, y = fitted
    patient = np.arange(120) // 30
    refused = 0
    for rare in range(4):  # whichever patient is held out, it is the only one of class "rare" once
        try:
            clone(model).set_params(training=QUICK).fit(X, np.where(patient == rare, "rare", y), groups=patient)
        except DataError as error:
            assert "class 'rare' occurs only in the groups held out" in str(error)
            refused += 1
    assert refused >= 1


def test_the_module_gives_the_probabilities_and_their_gradient(fitted):
    model, X, _ = fitted
    x = torch.tensor(X[:4], requires_grad=True)
    probability = model.as_module()(x)
    np.testing.assert_allclose(probability.detach(), model.predict_proba(X[:4]), rtol=1e-5)
    assert torch.autograd.grad(probability[:, 0].sum(), x)[0].abs().max() > 0


def test_blocks_from_disk_predict_as_memory_does(fitted, toy_spectra, tmp_path):
    model, _, _ = fitted
    data = open_spectra(save_spectra(toy_spectra, tmp_path / "toy.zarr"))
    whole = model.predict_proba(toy_spectra.absorbance)
    for batch in (7, 160, 1000):
        np.testing.assert_allclose(predict_blocks(model, data, batch=batch), whole, rtol=1e-4, atol=1e-6)
    rows = np.array([0, 3, 4, 5, 90, 159])
    np.testing.assert_allclose(predict_blocks(model, data, rows=rows, batch=4), whole[rows], rtol=1e-4, atol=1e-6)
    assert predict_blocks(model, data, rows=[]).shape == (0, 2)
    for wrong in ([3, 1], [0, 160], [0.5], [1, 1]):
        with pytest.raises(DataError, match="rows"):
            predict_blocks(model, data, rows=wrong)
    with pytest.raises(DataError, match="80 wavenumbers, 1000 to 1790 cm-1"):
        predict_blocks(model, toy_spectra.isel(wavenumber=slice(0, 80)))
    with pytest.raises(SettingsError, match="batch is 0"):
        predict_blocks(model, data, batch=0)
