"""What workers do to make contexts: autoencoders, their contexts and linear models, controls, cards.

As in `ftirlib.method.tasks`: plain values in, files in a folder out, every random number from the seed given.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ftirlib.method.explained import Explained
from ftirlib.method.tasks import SIDES, answer, read_fold, write_json
from ftirlib.spectra.model import iter_blocks, open_spectra
from ftirlib.spectra.rows import Rows


def token_patch(variant: str, patch: int, n_wavenumbers: int) -> int:
    """Points a token on an axis of `n_wavenumbers`, given for one of 801; 1 for CP, which has no tokens.

    As the kernels' widths, a patch keeps its share of the spectrum.

    Examples
    --------
    >>> token_patch("TT", 89, 801), token_patch("TT", 89, 81), token_patch("CP", 89, 801)
    (89, 9, 1)
    """
    from ftirlib.explain.crime.m2 import REFERENCE

    return 1 if variant == "CP" else max(1, round(patch * n_wavenumbers / REFERENCE))


def _autoencoder(settings: dict, supervision: float, device: str, seed: int, n_wavenumbers: int):
    """A CrimeVAE, not yet trained, and a warning where its patch does not divide its input."""
    from ftirlib.classify.checks import choose_device
    from ftirlib.explain.crime.vae import CrimeVAE

    patch = token_patch(settings["variant"], settings["patch"], n_wavenumbers)
    if left := 2 * n_wavenumbers % patch:
        warnings.warn(
            f"an input of 2 x {n_wavenumbers} points is no multiple of the patch of {patch}: the encoder's narrow "
            f"kernel does not see the last {left}, and the decoder's last token is cut to them.",
            stacklevel=2,
        )
    device = str(choose_device(device))
    return CrimeVAE(**settings | {"patch": patch}, supervision=supervision, device=device, random_state=seed)


def _fit(model, known: Explained, halves, labels, data, floor, work: Path):
    return model.fit(
        *halves,
        labels=labels,
        n_classes=len(data.attrs["class_names"]),
        groups=data.group.values[known.rows],
        stability=None if floor is None else known.stability,
        stability_floor=floor,
        checkpoint=work / "training.safetensors",
    )


def _explained_sides(spectra, explanations, predictions, folds, fold, labels) -> tuple:
    """The data set; of both sides what is explained, and rows, classes and labels as kept; the classes to be seen.

    `labels`: "model" for the ensemble's predictions, else the labels.
    """
    data, fold = open_spectra(spectra, codes=False), read_fold(folds, fold)
    found = {side: Explained.of(spectra, explanations[side]) for side in SIDES[1:]}
    places = {}
    for side, one in found.items():
        places |= {
            f"{side}_rows": one.rows,
            f"{side}_predicted": one.predicted(predictions, fold, side),
            f"{side}_labelled": data.label.values[one.rows].astype(np.int64),
        }
    return data, found, places, places["validation_predicted" if labels == "model" else "validation_labelled"]


def _on_disk(found: Explained, work: Path, side: str) -> tuple[Rows, Rows]:
    """Spectra and weights of one side, float32 in files: in a random order chunks of a store would be read for each."""
    halves = {"absorbance": found.absorbance, "weights": found.weights}
    return tuple(half.to_file(work / f"{side}-{name}.npy") for name, half in halves.items())


def vae(
    folder,
    work,
    *,
    spectra,
    explanations,
    predictions,
    folds,
    fold,
    settings,
    supervision,
    labels,
    floor,
    device,
    seed,
):
    """One autoencoder: trained on explained validation spectra, then every explained spectrum's place in it."""
    data, found, places, seen = _explained_sides(spectra, explanations, predictions, folds, fold, labels)
    model = _autoencoder(settings, supervision, device, seed, data.sizes["wavenumber"])
    known = found["validation"]
    _fit(model, known, _on_disk(known, work, "validation"), seen, data, floor, work)
    model.save(folder / "model")
    write_json(folder / "history.json", model.history_)
    for side, one in found.items():
        mean, log_variance = model.encode(one.absorbance, one.weights)
        places |= {f"{side}_mean": mean, f"{side}_log_variance": log_variance}
    np.savez(folder / "latent.npz", **places)


def latent_points(places: dict[str, np.ndarray], side: str, latent: str) -> np.ndarray:
    """What is clustered: latent means (n, d), or means and log-variances side by side (n, 2 d)."""
    return np.hstack([places[f"{side}_{part}"] for part in latent.split("+")])


def contexts(folder, work, *, spectra, explanations, folds, fold, vae, latent, count, floor, seed):
    """Contexts of one autoencoder, and the linear model made of them, tried on the whole test set."""
    from ftirlib.explain.crime.contexts import default_n_contexts, find_contexts
    from ftirlib.explain.linear.linear import LinearClassifier
    from ftirlib.spectra.prepare.recipe import recipe_of

    data = open_spectra(spectra, codes=False)
    places = np.load(Path(vae) / "latent.npz")
    known = Explained.of(spectra, explanations["validation"])
    points = {side: latent_points(places, side, latent) for side in SIDES[1:]}
    groups = find_contexts(
        points["validation"],
        n_contexts=default_n_contexts(len(points["validation"])) if count == "auto" else count,
        random_state=seed,
        stability=None if floor is None else known.stability,
        stability_floor=floor,
    )
    groups.save(folder / "contexts.npz")
    table = groups.describe(
        spectra=known.absorbance,
        weights=known.weights,
        predicted=places["validation_predicted"],
        labelled=places["validation_labelled"],
        n_classes=len(data.attrs["class_names"]),
    )
    linear = LinearClassifier.from_contexts(
        table.mean_spectra,
        table.mean_weights,
        table.label,
        data.attrs["class_names"],
        data.wavenumber.values,
        recipe=recipe_of(data),
    )
    linear.save(folder / "linear.json")
    assigned = {side: groups.assign(points[side]) for side in SIDES[1:]}
    sides = read_fold(folds, fold)
    for side in SIDES[1:]:
        blocks = iter_blocks(data, getattr(sides, side))
        assigned[f"linear_{side}"] = np.concatenate([linear.predict(block) for _, block in blocks])
    np.savez(folder / "assigned.npz", **assigned)


def control(
    folder,
    work,
    *,
    control,
    spectra,
    explanations,
    predictions,
    folds,
    fold,
    settings,
    supervision,
    labels,
    floor,
    device,
    seed,
    latent,
    n_contexts,
    context_seed,
):
    """Contexts of an autoencoder that lacks one thing (`context_controls.TRAINED`), same otherwise."""
    from ftirlib.explain.crime.context_controls import control_input
    from ftirlib.explain.crime.contexts import find_contexts

    data, found, places, seen = _explained_sides(spectra, explanations, predictions, folds, fold, labels)
    halves = {side: _on_disk(one, work, side) for side, one in found.items()}
    x, w, y = control_input(control, *halves["validation"], seen, random_state=seed)
    model = _autoencoder(settings, supervision, device, seed, data.sizes["wavenumber"])
    _fit(model, found["validation"], (x, w), y, data, floor, work)
    others = control_input(
        control, *halves["test"], places["test_predicted"], random_state=seed, means=halves["validation"]
    )
    points = {}
    for side, pair in (("validation", (x, w)), ("test", others[:2])):
        mean, log_variance = model.encode(*pair)
        points[side] = latent_points({f"{side}_mean": mean, f"{side}_log_variance": log_variance}, side, latent)
    groups = find_contexts(points["validation"], n_contexts=n_contexts, random_state=context_seed, stability_floor=None)
    np.savez(folder / "assigned.npz", **{side: groups.assign(points[side]) for side in points})


def plain_controls(folder, work, *, spectra, explanations, contexts, n_contexts, seed):
    """Contexts that need no autoencoder (`ftirlib.explain.crime.context_controls.PLAIN`), together in one file."""
    from ftirlib.explain.crime.context_controls import Assigned, context_controls

    known, tried = (_on_disk(Explained.of(spectra, explanations[side]), work, side) for side in SIDES[1:])
    real = np.load(Path(contexts) / "assigned.npz")
    made = context_controls(
        *known,
        n_contexts=n_contexts,
        tried=tried,
        real=Assigned(real["validation"], real["test"]),
        random_state=seed,
    )
    np.savez(
        folder / "assigned.npz", **{f"{name}|{side}": a for name, p in made.items() for side, a in zip(SIDES[1:], p)}
    )


def embedding(folder, work, *, latents, seed):
    """Maps of the test spectra's latent means, for pictures; together, as the first in a process costs most."""
    from ftirlib.explain.crime.contexts import embed

    places = {
        name: embed(np.load(Path(path) / "latent.npz")["test_mean"], random_state=seed)
        for name, path in latents.items()
    }
    np.savez(folder / "embeddings.npz", **places)


def cards(folder, work, *, spectra, explanations, predictions, folds, vaes, contexts, about, bootstrap):
    """A page for every linear model, beside a copy of its JSON: what a reader is handed.

    `explanations`, `predictions`, `vaes` and `contexts` are lists over the folds, the last two of mappings by name.
    """
    for fold, models in enumerate(contexts):
        known = Explained.of(spectra, explanations[fold]["validation"])
        for name, path in models.items():
            target = folder / f"fold{fold}-{name}"
            target.mkdir()
            text = (Path(path) / "linear.json").read_text(encoding="utf-8")
            (target / "linear.json").write_text(text, encoding="utf-8")
            agreement = _agreement(spectra, read_fold(folds, fold).test, path, predictions[fold], bootstrap)
            page = _card(spectra, known, Path(vaes[fold][name]), Path(path), name, fold, about, agreement)
            (target / "card.html").write_text(page, encoding="utf-8")


def _card(spectra, known: Explained, vae: Path, path: Path, name, fold, about, agreement) -> str:
    from ftirlib.explain.crime.contexts import Contexts
    from ftirlib.explain.linear.linear import LinearClassifier
    from ftirlib.explain.linear.model_card import model_card

    data = open_spectra(spectra, codes=False)
    places = np.load(vae / "latent.npz")
    table = Contexts.load(path / "contexts.npz").describe(
        spectra=known.absorbance,
        weights=known.weights,
        predicted=places["validation_predicted"],
        labelled=places["validation_labelled"],
        n_classes=len(data.attrs["class_names"]),
    )
    limits = ["Made from simulated spectra, which are no tissue."] if data.attrs["is_simulated"] else []
    if not agreement:
        limits.append("All test spectra are of one group: how far it agrees with others is not known.")
    return model_card(
        LinearClassifier.load(path / "linear.json"),
        title=f"Linear model of {name}, fold {fold + 1}",
        table=table,
        agreement=agreement,
        made_from=f"Made from {len(known):,} explained spectra {about}.",
        limits=limits,
    )


def _agreement(spectra, rows, path, ensemble, bootstrap) -> dict[str, tuple[float, float, float]]:
    """Accuracy and balanced accuracy against labels and ensemble, with intervals over the groups of a fold's test set.

    Empty where there is one group.
    """
    from ftirlib.report.scores import score_intervals
    from ftirlib.report.tally import Tally

    data = open_spectra(spectra, codes=False)
    names = {key: data.attrs[key] for key in ("class_names", "positive_classes")}
    targets = ("the labels", "the ensemble")
    tallies = {target: Tally(**names, n_groups=len(data.attrs["group_names"])) for target in targets}
    predicted = answer(path, linear=True)["predicted"]
    for target, truth in zip(targets, (data.label.values[rows], answer(ensemble)["predicted"])):
        tallies[target].add(truth, predicted, groups=data.group.values[rows])
    if tallies["the labels"].confusion.any(axis=(1, 2)).sum() < 2:
        return {}
    found = {}
    for target, tally in tallies.items():
        intervals = score_intervals(tally, **bootstrap)
        for score in ("accuracy", "balanced_accuracy"):
            one = intervals[score]
            found[f"{score.replace('_', ' ')} against {target}"] = (one.estimate, one.low, one.high)
    return found
