"""What workers do to make contexts: autoencoders, their contexts and linear models, controls, cards.

As in `ftirlib.run.tasks`: plain values in, files in a folder out, every random number from the seed given.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ftirlib.run.tasks import SIDES, explained, read_arrays, read_fold, write_json
from ftirlib.spectra.model import iter_blocks, open_spectra


def token_patch(variant: str, patch: int, n_wavenumbers: int) -> int:
    """Points a token on an axis of `n_wavenumbers`, given for one of 801; 1 for CP, which has no tokens.

    As the kernels' widths, a patch keeps its share of the spectrum.

    Examples
    --------
    >>> token_patch("TT", 89, 801), token_patch("TT", 89, 81), token_patch("CP", 89, 801)
    (89, 9, 1)
    """
    from ftirlib.explain.encoders import REFERENCE

    return 1 if variant == "CP" else max(1, round(patch * n_wavenumbers / REFERENCE))


def _autoencoder(settings: dict, supervision: float, seed: int, n_wavenumbers: int):
    """A CrimeVAE, not yet trained, and a warning where its patch does not divide its input."""
    from ftirlib.explain.vae import CrimeVAE

    patch = token_patch(settings["variant"], settings["patch"], n_wavenumbers)
    if left := 2 * n_wavenumbers % patch:
        warnings.warn(
            f"an input of 2 x {n_wavenumbers} points is no multiple of the patch of {patch}: the encoder's narrow "
            f"kernel does not see the last {left}, and the decoder's last token is cut to them.",
            stacklevel=2,
        )
    return CrimeVAE(**settings | {"patch": patch}, supervision=supervision, random_state=seed)


def _fit(model, known: dict, labels, data, floor, checkpoint: Path):
    return model.fit(
        known["absorbance"],
        known["weights"],
        labels=labels,
        n_classes=len(data.attrs["class_names"]),
        groups=data.group.values[known["rows"]],
        stability=None if floor is None else known["stability"],
        stability_floor=floor,
        checkpoint=checkpoint,
    )


def _explained_sides(spectra, explanations, predictions, folds, fold) -> tuple[dict, dict]:
    """Explained spectra of both sides, and their rows, predictions and labels as they are kept."""
    data, rows = open_spectra(spectra), read_fold(folds, fold)
    votes = read_arrays(Path(predictions) / "probabilities.npz")
    found, places = {}, {}
    for side in SIDES[1:]:
        found[side] = explained(spectra, explanations[side])
        chosen = found[side]["rows"]
        places |= {
            f"{side}_rows": chosen,
            f"{side}_predicted": votes[side][np.searchsorted(getattr(rows, side), chosen)].argmax(1),
            f"{side}_labelled": data.label.values[chosen].astype(np.int64),
        }
    return found, places


def vae(folder, work, *, spectra, explanations, predictions, folds, fold, settings, supervision, labels, floor, seed):
    """One autoencoder: trained on explained validation spectra, then every explained spectrum's place in it."""
    data = open_spectra(spectra)
    found, places = _explained_sides(spectra, explanations, predictions, folds, fold)
    seen = places["validation_predicted" if labels == "model" else "validation_labelled"]
    model = _autoencoder(settings, supervision, seed, data.sizes["wavenumber"])
    _fit(model, found["validation"], seen, data, floor, work / "training.safetensors")
    model.save(folder / "model")
    write_json(folder / "history.json", model.history_)
    for side in SIDES[1:]:
        mean, log_variance = model.encode(found[side]["absorbance"], found[side]["weights"])
        places |= {f"{side}_mean": mean, f"{side}_log_variance": log_variance}
    np.savez(folder / "latent.npz", **places)


def latent_points(places: dict[str, np.ndarray], side: str, latent: str) -> np.ndarray:
    """What is clustered: latent means (n, d), or means and log-variances side by side (n, 2 d)."""
    return np.hstack([places[f"{side}_{part}"] for part in latent.split("+")])


def contexts(folder, work, *, spectra, explanations, folds, fold, vae, latent, count, floor, seed):
    """Contexts of one autoencoder, and the linear model made of them, tried on the whole test set."""
    from ftirlib.explain.crime import default_n_contexts, find_contexts
    from ftirlib.explain.linear import LinearClassifier
    from ftirlib.spectra.prepared import recipe_of

    data = open_spectra(spectra)
    places = read_arrays(Path(vae) / "latent.npz")
    known = explained(spectra, explanations["validation"])
    points = {side: latent_points(places, side, latent) for side in SIDES[1:]}
    groups = find_contexts(
        points["validation"],
        n_contexts=default_n_contexts(len(points["validation"])) if count == "auto" else count,
        random_state=seed,
        stability=None if floor is None else known["stability"],
        stability_floor=floor,
    )
    groups.save(folder / "contexts.npz")
    table = groups.describe(
        spectra=known["absorbance"],
        weights=known["weights"],
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
    rows = read_fold(folds, fold)
    answers = {
        f"linear_{side}": np.concatenate([linear.predict(block) for _, block in iter_blocks(data, getattr(rows, side))])
        for side in SIDES[1:]
    }
    np.savez(folder / "assigned.npz", **{side: groups.assign(points[side]) for side in SIDES[1:]}, **answers)


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
    seed,
    latent,
    n_contexts,
    context_seed,
):
    """Contexts of an autoencoder that lacks one thing (`ftirlib.report.context_controls.TRAINED`), same otherwise."""
    from ftirlib.explain.crime import find_contexts
    from ftirlib.report.context_controls import control_input

    data = open_spectra(spectra)
    found, places = _explained_sides(spectra, explanations, predictions, folds, fold)
    known, tested = found["validation"], found["test"]
    seen = places["validation_predicted" if labels == "model" else "validation_labelled"]
    halves = known["absorbance"], known["weights"]
    x, w, y = control_input(control, *halves, seen, random_state=seed)
    model = _autoencoder(settings, supervision, seed, data.sizes["wavenumber"])
    _fit(model, known | {"absorbance": x, "weights": w}, y, data, floor, work / "training.safetensors")
    others = control_input(
        control, tested["absorbance"], tested["weights"], places["test_predicted"], random_state=seed, means=halves
    )
    points = {}
    for side, pair in (("validation", (x, w)), ("test", others[:2])):
        mean, log_variance = model.encode(*pair)
        points[side] = latent_points({f"{side}_mean": mean, f"{side}_log_variance": log_variance}, side, latent)
    groups = find_contexts(points["validation"], n_contexts=n_contexts, random_state=context_seed, stability_floor=None)
    np.savez(folder / "assigned.npz", **{side: groups.assign(points[side]) for side in points})


def plain_controls(folder, work, *, spectra, explanations, contexts, n_contexts, seed):
    """Contexts that need no autoencoder (`ftirlib.report.context_controls.PLAIN`), one file each."""
    from ftirlib.report.context_controls import Assigned, context_controls

    found = {side: explained(spectra, explanations[side]) for side in SIDES[1:]}
    real = read_arrays(Path(contexts) / "assigned.npz")
    made = context_controls(
        found["validation"]["absorbance"],
        found["validation"]["weights"],
        n_contexts=n_contexts,
        tried=(found["test"]["absorbance"], found["test"]["weights"]),
        real=Assigned(real["validation"], real["test"]),
        random_state=seed,
    )
    np.savez(
        folder / "assigned.npz", **{f"{name}|{side}": a for name, p in made.items() for side, a in zip(SIDES[1:], p)}
    )


def embedding(folder, work, *, latents, seed):
    """Maps of the test spectra's latent means, for pictures; together, as the first in a process costs most."""
    from ftirlib.explain.crime import embed

    places = {
        name: embed(read_arrays(Path(path) / "latent.npz")["test_mean"], random_state=seed)
        for name, path in latents.items()
    }
    np.savez(folder / "embeddings.npz", **places)


def cards(folder, work, *, spectra, explanations, predictions, folds, vaes, contexts, about, bootstrap):
    """A page for every linear model, beside a copy of its JSON: what a reader is handed.

    `explanations`, `predictions`, `vaes` and `contexts` are lists over the folds, the last two of mappings by name.
    """
    for fold, models in enumerate(contexts):
        known = explained(spectra, explanations[fold]["validation"])
        votes = read_arrays(Path(predictions[fold]) / "probabilities.npz")["test"].argmax(1)
        for name, path in models.items():
            target = folder / f"fold{fold}-{name}"
            target.mkdir()
            text = (Path(path) / "linear.json").read_text(encoding="utf-8")
            (target / "linear.json").write_text(text, encoding="utf-8")
            rows = read_fold(folds, fold).test
            page = _card(spectra, rows, votes, known, Path(vaes[fold][name]), Path(path), name, fold, about, bootstrap)
            (target / "card.html").write_text(page, encoding="utf-8")


def _card(spectra, rows, votes, known, vae: Path, path: Path, name, fold, about, bootstrap) -> str:
    from ftirlib.explain.crime import Contexts
    from ftirlib.explain.linear import LinearClassifier
    from ftirlib.explain.model_card import model_card

    data = open_spectra(spectra)
    names = data.attrs["class_names"]
    places, assigned = read_arrays(vae / "latent.npz"), read_arrays(path / "assigned.npz")
    table = Contexts.load(path / "contexts.npz").describe(
        spectra=known["absorbance"],
        weights=known["weights"],
        predicted=places["validation_predicted"],
        labelled=places["validation_labelled"],
        n_classes=len(names),
    )
    group, label = data.group.values[rows], data.label.values[rows].astype(int)
    limits = ["Made from simulated spectra, which are no tissue."] if data.attrs["is_simulated"] else []
    agreement = _agreement(
        assigned["linear_test"], {"the labels": label, "the ensemble": votes}, group, data, bootstrap
    )
    if not agreement:
        limits.append("All test spectra are of one group: how far it agrees with others is not known.")
    return model_card(
        LinearClassifier.load(path / "linear.json"),
        title=f"Linear model of {name}, fold {fold + 1}",
        table=table,
        agreement=agreement,
        made_from=f"Made from {len(known['rows']):,} explained spectra {about}.",
        limits=limits,
    )


def _agreement(predicted, targets, group, data, bootstrap) -> dict[str, tuple[float, float, float]]:
    """Accuracy and balanced accuracy against each target, with intervals over the groups of one fold's test set."""
    from ftirlib.report.uncertainty import bootstrap_scores

    if len(np.unique(group)) < 2:
        return {}
    names = {key: data.attrs[key] for key in ("class_names", "positive_classes")}
    found = {}
    for target, truth in targets.items():
        intervals = bootstrap_scores(truth, predicted.astype(int), group, **names, **bootstrap)
        for score in ("accuracy", "balanced_accuracy"):
            one = intervals[score]
            found[f"{score.replace('_', ' ')} against {target}"] = (one.estimate, one.low, one.high)
    return found
