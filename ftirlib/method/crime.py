"""Contexts: autoencoders of explained spectra, contexts with their linear models, controls, and maps for pictures."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ftirlib.engine.driver import Artefact, Task, once
from ftirlib.explain.crime.settings import VaeSettings
from ftirlib.files import write_json
from ftirlib.method.data import FOLDS, SHOWN, folds, prepared_spectra, read_fold
from ftirlib.method.lime import EXPLAINED_SIDES, Explained, explained_inputs
from ftirlib.method.models import ensemble, task_seed
from ftirlib.method.run import Run
from ftirlib.settings import part
from ftirlib.spectra.model import has_truth, iter_blocks, open_spectra
from ftirlib.spectra.rows import Rows

CONTEXT_SEED = 2000  # apart from the seeds of networks and autoencoders
VAE_SEED = 1000


def vae_names(run: Run, *, replicates: bool = True) -> list[str]:
    """Names of the autoencoders as in Figure 2b, such as CP-0.2: variant and supervision, then the seed if not first.

    Without `replicates`, of the first seed only: those that pictures show.
    """
    return [name for name, (_, _, replicate) in _sweep(run).items() if replicates or replicate == 0]


def _sweep(run: Run) -> dict[str, tuple[str, float, int]]:
    """Variant, supervision and replicate of each autoencoder by its name."""
    settings = run.settings.vaes
    return {
        f"{variant}-{share:g}" + (f"-seed{replicate}" if replicate else ""): (variant, share, replicate)
        for variant in settings.variants
        for share in settings.supervision
        for replicate in range(settings.seeds)
    }


@once
def vaes(run: Run) -> dict[tuple[int, str], Artefact]:
    """The autoencoders: (fold, name) -> folder."""
    tasks = {}
    for k in FOLDS:
        for name, (variant, share, replicate) in _sweep(run).items():
            arguments = _vae_arguments(run, k, variant, share, replicate)
            tasks[k, name] = Task(f"vaes/fold{k}-{name}", vae, **arguments)
    return run.make_all("autoencoders", tasks)


def _vae_arguments(run: Run, fold: int, variant: str, share: float, replicate: int = 0) -> dict:
    """Arguments of `vae`, which `control` has too."""
    # CP has no tokens, and is not made again when their size changes
    patch = 1 if variant == "CP" else run.settings.vaes.patch
    return {
        **explained_inputs(run, fold),
        "folds": folds(run),
        "fold": fold,
        "voters": ensemble(run) / f"fold{fold}",
        "settings": part(run.settings.vaes, VaeSettings, variant=variant, supervision=share, patch=patch),
        "labels": run.settings.vaes.labels,
        "stability_floor": run.settings.contexts.stability_floor,
        "device": run.settings.device,
        "seed": task_seed(run, fold, VAE_SEED + replicate),
    }


def vae(out, work, *, spectra, explanations, folds, fold, voters, settings, labels, stability_floor, device, seed):
    """Train an autoencoder on explained validation spectra, then place every explained spectrum in its latent space."""
    data, found, places, seen = _explained_sides(spectra, explanations, voters, folds, fold, labels)
    model = make_vae(settings, device, seed, data.sizes["wavenumber"])
    known = found["validation"]
    _fit(model, known, _on_disk(known, work, "validation"), seen, data, stability_floor, work)
    model.save(out / "model")
    write_json(out / "history.json", model.history_)
    for side, one in found.items():
        mean, log_variance = model.encode(one.absorbance, one.weights)
        places |= {f"{side}_mean": mean, f"{side}_log_variance": log_variance}
    np.savez(out / "latent.npz", **places)


def make_vae(settings: VaeSettings, device: str, seed: int, n_wavenumbers: int):
    """A CrimeVAE, not yet trained, and a warning where its patch does not divide its input."""
    from ftirlib.classify.checks import choose_device
    from ftirlib.explain.crime.vae import CrimeVAE

    patch = token_patch(settings.variant, settings.patch, n_wavenumbers)
    if left := 2 * n_wavenumbers % patch:
        warnings.warn(
            f"an input of 2 x {n_wavenumbers} points is no multiple of the patch of {patch}: the encoder's narrow "
            f"kernel does not see the last {left}, and the decoder's last token is cut to them.",
            stacklevel=2,
        )
    return CrimeVAE(settings, patch=patch, device=str(choose_device(device)), random_state=seed)


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


def _explained_sides(spectra, explanations, voters, folds, fold, labels) -> tuple:
    """The data set; the explained spectra of both sides; their rows, classes and labels; the labels that supervise.

    `labels`: "model" for the ensemble's predictions, else the images' labels.
    """
    data, fold = open_spectra(spectra, codes=False), read_fold(folds, fold)
    found = {side: Explained.of(spectra, explanations[side]) for side in EXPLAINED_SIDES}
    places = {}
    for side, one in found.items():
        places |= {
            f"{side}_rows": one.rows,
            f"{side}_predicted": one.predicted(voters, fold, side),
            f"{side}_labelled": data.label.values[one.rows].astype(np.int64),
        }
    return data, found, places, places["validation_predicted" if labels == "model" else "validation_labelled"]


def _on_disk(found: Explained, work: Path, side: str) -> tuple[Rows, Rows]:
    """Spectra and weights of one side, float32 in files: in a random order chunks of a store would be read for each."""
    halves = {"absorbance": found.absorbance, "weights": found.weights}
    return tuple(half.to_file(work / f"{side}-{name}.npy") for name, half in halves.items())


def _fit(model, known: Explained, halves, labels, data, stability_floor, work: Path):
    return model.fit(
        *halves,
        labels=labels,
        n_classes=len(data.attrs["class_names"]),
        groups=data.group.values[known.rows],
        stability=None if stability_floor is None else known.stability,
        stability_floor=stability_floor,
        checkpoint=work / "training.safetensors",
    )


@once
def contexts(run: Run) -> dict[tuple[int, str], Artefact]:
    """Contexts and the linear model made of them: (fold, name of the autoencoder) -> folder."""
    models = vaes(run)
    tasks = {
        (k, name): Task(
            f"contexts/fold{k}-{name}",
            find,
            **explained_inputs(run, k),
            folds=folds(run),
            fold=k,
            vae=models[k, name],
            settings=run.settings.contexts.model_dump(),
            seed=task_seed(run, k, CONTEXT_SEED),
        )
        for k in FOLDS
        for name in vae_names(run)
    }
    return run.make_all("contexts", tasks)


def find(out, work, *, spectra, explanations, folds, fold, vae, settings, seed):
    """Find the contexts of one autoencoder, make the linear model, and try it on the whole validation and test set."""
    from ftirlib.explain.crime.contexts import default_n_contexts, find_contexts
    from ftirlib.explain.linear.linear import LinearClassifier
    from ftirlib.spectra.prepare.recipe import recipe_of

    data = open_spectra(spectra, codes=False)
    places = np.load(Path(vae) / "latent.npz")
    known = Explained.of(spectra, explanations["validation"])
    points = {side: latent_points(places, side, settings["latent"]) for side in EXPLAINED_SIDES}
    count, floor = settings["count"], settings["stability_floor"]
    groups = find_contexts(
        points["validation"],
        n_contexts=default_n_contexts(len(points["validation"])) if count == "auto" else count,
        random_state=seed,
        stability=None if floor is None else known.stability,
        stability_floor=floor,
    )
    groups.save(out / "contexts.npz")
    table = describe(groups, known, places, data)
    linear = LinearClassifier.from_contexts(
        table.mean_spectra,
        table.mean_weights,
        table.label,
        data.attrs["class_names"],
        data.wavenumber.values,
        recipe=recipe_of(data),
    )
    linear.save(out / "linear.json")
    assigned = {side: groups.assign(points[side]) for side in EXPLAINED_SIDES}
    sides = read_fold(folds, fold)
    for side in EXPLAINED_SIDES:
        blocks = iter_blocks(data, getattr(sides, side))
        assigned[f"linear_{side}"] = np.concatenate([linear.predict(block) for _, block in blocks])
    np.savez(out / "assigned.npz", **assigned)


def latent_points(places, side: str, latent: str) -> np.ndarray:
    """The points that are clustered: latent means (n, d), or means and log-variances side by side (n, 2 d)."""
    return np.hstack([places[f"{side}_{part}"] for part in latent.split("+")])


def describe(groups, known: Explained, places, data):
    """What is in each context of the explained validation spectra."""
    return groups.describe(
        spectra=known.absorbance,
        weights=known.weights,
        predicted=places["validation_predicted"],
        labelled=places["validation_labelled"],
        n_classes=len(data.attrs["class_names"]),
    )


def control_reference(run: Run) -> str:
    """The autoencoder that controls are made of: the first variant, as the cheapest, with the most supervision."""
    settings = run.settings.vaes
    return f"{settings.variants[0]}-{max(settings.supervision):g}"


@once
def controls(run: Run) -> list[dict[str, np.ndarray]]:
    """Contexts of the test spectra that lack one part of the method: fold -> control -> (n_test,) int.

    Only the truth of simulated data can score them: for other data there are none.
    """
    from ftirlib.explain.crime.context_controls import TRAINED

    if not has_truth(prepared_spectra(run)):
        return [{} for _ in FOLDS]
    # without supervision no label is read, so permuting them changes nothing
    shares = max(run.settings.vaes.supervision)
    trained = [control for control in TRAINED if shares > 0 or control != "permuted labels"]
    tasks = {(k, control): _control_task(run, k, control) for k in FOLDS for control in ["plain", *trained]}
    made = {key: np.load(one.path / "assigned.npz") for key, one in run.make_all("controls", tasks).items()}
    assigned = []
    for k in FOLDS:
        plain = {name.removesuffix("|test"): made[k, "plain"][name] for name in made[k, "plain"] if "|test" in name}
        assigned.append(plain | {control: made[k, control]["test"] for control in trained})
    return assigned


def _control_task(run: Run, fold: int, control_name: str) -> Task:
    """The task of one control that is trained, or of all "plain" ones, which are not."""
    from ftirlib.explain.crime.contexts import Contexts

    settings, reference = run.settings.vaes, contexts(run)[fold, control_reference(run)]
    n_contexts = len(Contexts.load(reference.path / "contexts.npz"))
    name = f"controls/fold{fold}-{control_name.replace(' ', '-')}"
    if control_name == "plain":
        return Task(
            name,
            plain_controls,
            **explained_inputs(run, fold),
            contexts=reference,
            n_contexts=n_contexts,
            seed=run.settings.seed,
        )
    return Task(
        name,
        control,
        **_vae_arguments(run, fold, settings.variants[0], max(settings.supervision)),
        control=control_name,
        latent=run.settings.contexts.latent,
        n_contexts=n_contexts,
        context_seed=task_seed(run, fold, CONTEXT_SEED),
    )


def control(
    out,
    work,
    *,
    control,
    spectra,
    explanations,
    folds,
    fold,
    voters,
    settings,
    labels,
    stability_floor,
    device,
    seed,
    latent,
    n_contexts,
    context_seed,
):
    """Find the contexts of an autoencoder that lacks one thing (`context_controls.TRAINED`)."""
    from ftirlib.explain.crime.context_controls import control_input
    from ftirlib.explain.crime.contexts import find_contexts

    data, found, places, seen = _explained_sides(spectra, explanations, voters, folds, fold, labels)
    halves = {side: _on_disk(one, work, side) for side, one in found.items()}
    x, w, y = control_input(control, *halves["validation"], seen, random_state=seed)
    model = make_vae(settings, device, seed, data.sizes["wavenumber"])
    _fit(model, found["validation"], (x, w), y, data, stability_floor, work)
    others = control_input(
        control, *halves["test"], places["test_predicted"], random_state=seed, means=halves["validation"]
    )
    points = {}
    for side, pair in (("validation", (x, w)), ("test", others[:2])):
        mean, log_variance = model.encode(*pair)
        points[side] = latent_points({f"{side}_mean": mean, f"{side}_log_variance": log_variance}, side, latent)
    groups = find_contexts(points["validation"], n_contexts=n_contexts, random_state=context_seed, stability_floor=None)
    np.savez(out / "assigned.npz", **{side: groups.assign(points[side]) for side in points})


def plain_controls(out, work, *, spectra, explanations, contexts, n_contexts, seed):
    """Find contexts that need no autoencoder (`context_controls.PLAIN`), together in one file."""
    from ftirlib.explain.crime.context_controls import Assigned, context_controls

    known, tried = (_on_disk(Explained.of(spectra, explanations[side]), work, side) for side in EXPLAINED_SIDES)
    real = np.load(Path(contexts) / "assigned.npz")
    made = context_controls(
        *known,
        n_contexts=n_contexts,
        tried=tried,
        real=Assigned(real["validation"], real["test"]),
        random_state=seed,
    )
    np.savez(
        out / "assigned.npz",
        **{f"{name}|{side}": a for name, pair in made.items() for side, a in zip(EXPLAINED_SIDES, pair)},
    )


@once
def embeddings(run: Run) -> dict[str, np.ndarray]:
    """UMAP of the latent means of the shown fold's test spectra, for the pictures: name -> (n_test, 2)."""
    models = {name: vaes(run)[SHOWN, name] for name in vae_names(run, replicates=False)}
    made = run.make(Task("embeddings", embed_latents, vaes=models, seed=run.settings.seed))
    return np.load(made.path / "embeddings.npz")


def embed_latents(out, work, *, vaes, seed):
    """Map the test spectra's latent means for pictures; all in one process, as the first map costs most."""
    from ftirlib.explain.crime.contexts import embed

    places = {
        name: embed(np.load(Path(path) / "latent.npz")["test_mean"], random_state=seed) for name, path in vaes.items()
    }
    np.savez(out / "embeddings.npz", **places)
