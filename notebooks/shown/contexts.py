"""What the chapter on contexts shows, always on the test set; Figures 3 and 4 of Hartigan et al. (paper A)."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ftirlib import method
from ftirlib.engine.driver import once
from ftirlib.explain.crime.contexts import ContextTable, extreme_contexts, opposing_context
from ftirlib.method import SHOWN, Run
from ftirlib.spectra.model import UNKNOWN, as_image, has_truth, read_absorbance
from shown.data import Picture, absorbance_picture, class_picture
from shown.measured import attention_costs, measured, seconds_text
from shown.results import best_vae, class_names, contexts, explained, latent, linear_model, patch, positive_codes


def numbers(run: Run) -> dict[str, str]:
    """Numbers and names of the chapter."""
    name = best_vae(run)
    view = context_view(run, name)
    size = view.table.size
    tokens, seconds, memory = training_cost()
    found = {
        "name": name,
        "count": f"{view.n_contexts}",
        "spectra": f"{len(view.rows):,}",
        "purity": f"{np.average(view.table.purity[size > 0], weights=size[size > 0]):.0%}",
        "supervision": ", ".join(method.vae_names(run)),
        "patch": patch_text(run, name),
        "patches": patches_text(run),
        "latent": run.settings.contexts.latent.replace("+log_variance", "s and log-variances"),
        "cost-batch": f"{measured('attention')['sizes']['batch']}",
        "cost-tokens": f"{tokens[-1]:,}",
        "cost-seconds": seconds_text(seconds["a step of training"][-1]),
        "cost-memory": f"{memory[-1]:.1f} GB",
    }
    if positive_codes(run):
        chosen = chosen_contexts(run, view)
        by_majority = "opposes its labels by majority"
        found["opposing"] = f"context {chosen.opposing}"
        found["opposes"] = by_majority if chosen.opposes else f"is the nearest to it: none {by_majority}"
    return found


def training_cost() -> tuple[list[int], dict[str, list[float]], list[float]]:
    """Tokens, seconds by what was measured, and memory, of a training step of the transformer pair."""
    return attention_costs(measured("attention"))


# --- contexts of one autoencoder


@dataclass(frozen=True)
class ContextView:
    """Contexts of one autoencoder on the test spectra of one fold.

    Attributes
    ----------
    name : str
        Of the autoencoder, such as CP-0.2.
    rows : (n,) int
        Prepared spectra.
    points : (n, 2) float
        UMAP of the latent means; None for folds, and replicates, that are not shown.
    assigned, predicted, labelled : (n,) int
        Context; the ensemble's class; the image's label.
    validation_assigned : (n_validation,) int
        Contexts of the spectra on which they were found.
    table : ContextTable
        Of these spectra.
    validation_table : ContextTable
        Of the spectra on which the contexts were found.
    """

    name: str
    rows: np.ndarray
    points: np.ndarray | None
    assigned: np.ndarray
    predicted: np.ndarray
    labelled: np.ndarray
    validation_assigned: np.ndarray
    table: ContextTable
    validation_table: ContextTable

    @property
    def n_contexts(self) -> int:
        return len(self.table.size)


@once
def context_view(run: Run, name: str, fold: int = SHOWN) -> ContextView:
    """Contexts of an autoencoder of one fold; see `ContextView`."""
    of, (found, assigned) = latent(run, name, fold), contexts(run, name, fold)
    tables = {}
    for side in ("validation", "test"):
        spectra = explained(run, side, fold)
        tables[side] = found.describe(
            spectra=spectra.absorbance,
            weights=spectra.weights,
            predicted=of[f"{side}_predicted"],
            labelled=of[f"{side}_labelled"],
            n_classes=len(class_names(run)),
            assigned=assigned[side],
        )
    return ContextView(
        name=name,
        rows=of["test_rows"],
        points=method.embeddings(run).get(name) if fold == SHOWN else None,
        assigned=assigned["test"],
        predicted=of["test_predicted"],
        labelled=of["test_labelled"],
        validation_assigned=assigned["validation"],
        table=tables["test"],
        validation_table=tables["validation"],
    )


def pooled(run: Run, name: str) -> dict[str, np.ndarray]:
    """Test spectra of all folds with their contexts, numbered on from fold to fold.

    Returns
    -------
    dict
        ``rows, assigned, predicted, labelled`` of each spectrum; ``mislabel_score``: of each context on the validation
        set.
    """
    views = [context_view(run, name, k) for k in method.FOLDS]
    first = np.cumsum([0, *(view.n_contexts for view in views)])
    found = {
        part: np.concatenate([getattr(view, part) for view in views]) for part in ("rows", "predicted", "labelled")
    }
    found["assigned"] = np.concatenate([view.assigned + start for view, start in zip(views, first)])
    found["mislabel_score"] = np.concatenate([view.validation_table.mislabel_score for view in views])
    return found


def positive_counts(run: Run, view: ContextView) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of each context that are predicted, and that are labelled, positive."""
    counts = view.table.predicted_counts, view.table.labelled_counts
    return tuple(of[:, positive_codes(run)].sum(axis=1) for of in counts)


@dataclass(frozen=True)
class ChosenContexts:
    """Contexts of Figure 3d, and how each was chosen."""

    numbers: list[int]
    reasons: list[str]
    opposing: int
    opposes: bool  # whether more than half of the opposing context is labelled, and less than half predicted, positive


def chosen_contexts(run: Run, view: ContextView) -> ChosenContexts:
    """The two most positive contexts farthest apart on the map, and the one that opposes its labels most.

    Where no two contexts are mostly positive by label and by prediction, the two with the most positive labels
    stand in; where none opposes its labels by majority, the one with the largest gap does.
    """
    positive = positive_codes(run)
    predicted, labelled = view.table.shares(positive)
    place = np.zeros(
        (view.n_contexts, 2)
    )  # of contexts without test spectra too, which are never chosen by their place
    for k in np.unique(view.assigned):
        place[k] = view.points[view.assigned == k].mean(axis=0)
    pair = extreme_contexts(view.table, place, positive=positive)
    if pair is None:
        counts = positive_counts(run, view)[1]
        pair = tuple(int(k) for k in np.argsort(-counts, kind="stable")[:2])
        reasons = ["most positive labels", "second most positive labels"]
    else:
        reasons = ["positive, one end of the map", "positive, the other end"]
    opposing = opposing_context(view.table, positive=positive)
    opposes = opposing is not None
    if not opposes:
        gap = np.where(view.table.size > 0, labelled - predicted, -np.inf)
        opposing = int(np.nanargmax(np.where(np.isnan(gap), -np.inf, gap)))
    chosen = [int(k) for k in pair]
    if opposing not in chosen:
        chosen.append(int(opposing))
        reasons.append("opposes its labels" if opposes else "largest gap to its labels")
    return ChosenContexts(chosen, reasons, int(opposing), opposes)


def chosen_names(run: Run, view: ContextView, chosen: ChosenContexts, *, why: bool = True) -> list[str]:
    """Legend of Figure 3d: number, class, and why it was chosen."""
    names = class_names(run)
    label = [names[k] if k >= 0 else "empty" for k in view.table.label[chosen.numbers]]
    short = [f"{k} ({name})" for k, name in zip(chosen.numbers, label)]
    return [f"{text}: {reason}" for text, reason in zip(short, chosen.reasons)] if why else short


def opposing_pixels(run: Run, view: ContextView, chosen: ChosenContexts) -> tuple[int, Picture, np.ndarray]:
    """The positive-labelled image with most pixels of the opposing context: its number, absorbance, those pixels."""
    raw, kept = method.raw_spectra(run), method.prepared_spectra(run)
    members = view.rows[view.assigned == chosen.opposing]
    positive = members[np.isin(kept.label.values[members], positive_codes(run))]
    candidates = next(rows for rows in (positive, members, view.rows) if len(rows))
    image = int(np.bincount(kept.image.values[candidates]).argmax())
    mark = np.zeros(kept.sizes["spectrum"], bool)
    mark[members] = True
    picture = absorbance_picture(raw, image, kept.attrs["image_names"][image])
    return image, picture, _whole(kept, image, mark.astype(int), 0, picture.pixels.shape).astype(bool)


def truth_picture(run: Run, image: int) -> Picture:
    """True class of every pixel of an image."""
    data = method.raw_spectra(run)
    return class_picture(data, image, data.truth_class.values, data.attrs["image_names"][image])


def _whole(kept, image: int, values: np.ndarray, fill, shape: tuple[int, int]) -> np.ndarray:
    """Values of the prepared spectra on a whole image, of which the outermost pixels may be unused."""
    small = as_image(kept, image, values, fill=fill)
    return np.pad(small, [(0, n - m) for n, m in zip(shape, small.shape)], constant_values=fill)


# --- all autoencoders


def all_views(run: Run) -> dict[str, ContextView]:
    """Contexts of every autoencoder of the shown fold, of the first seed."""
    return {name: context_view(run, name) for name in method.vae_names(run, replicates=False)}


def least_supervised(run: Run, name: str) -> ContextView:
    """Contexts of the autoencoder of the same variant with the least supervision."""
    return context_view(run, f"{name.split('-')[0]}-{min(run.settings.vaes.supervision):g}")


def patch_text(run: Run, name: str) -> str:
    """The patch of an autoencoder as a caption states it."""
    return "no tokens" if name.startswith("CP") else f"patch of {patch(run, name)} points"


def patches_text(run: Run) -> str:
    """The patches of all variants as a caption states them."""
    first = {name.split("-")[0]: patch_text(run, name) for name in reversed(method.vae_names(run))}
    return "; ".join(f"{variant}: {text}" for variant, text in sorted(first.items()))


def title(run: Run, name: str) -> str:
    """Name of an autoencoder over its panel, with its patch where it has tokens."""
    return name if name.startswith("CP") else f"{name}, patch {patch(run, name)}"


# --- whole images


@dataclass(frozen=True)
class TissueMaps:
    """All that is known of each pixel of one image, arrays (rows, columns) of the image as it was measured.

    Attributes
    ----------
    title : str
        Name and label of the image.
    predicted : int
        The ensemble's class; -1 where no spectrum is used.
    confidence : float
        Share of the votes for it; NaN where no spectrum is used.
    context : int
        The most similar context of the linear model, which unlike the autoencoder's own needs no explanation of the
        pixel; -1 where no spectrum is used.
    truth : int or None
        True class of every pixel; -1 is background.
    pixel_size_um : float
    """

    title: str
    predicted: np.ndarray
    confidence: np.ndarray
    context: np.ndarray
    truth: np.ndarray | None
    pixel_size_um: float

    @property
    def panels(self) -> list[str]:
        """Titles of the pictures, from left to right."""
        return ["Prediction", "Share of votes", "Context", *(["Truth"] if self.truth is not None else [])]

    @property
    def pictures(self) -> dict:
        """Arguments of `ftirlib.report.figures.draw_tissue`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def tissue_maps(run: Run, name: str) -> list[TissueMaps]:
    """Maps of the first image of each label in the shown fold's test set, with the contexts of a linear model."""
    raw, kept = method.raw_spectra(run), method.prepared_spectra(run)
    test, votes = (
        method.fold_rows(run)[SHOWN].test,
        method.read_probabilities(method.ensemble(run).path / f"fold{SHOWN}", "test"),
    )
    model, label, of = linear_model(run, name), kept.label.values[test], kept.image.values[test]
    truth = raw.truth_class.values.astype(int) if has_truth(raw) else None
    maps = []
    for code in np.unique(label[label >= 0]):
        image = int(of[np.argmax(label == code)])
        mine = of == image
        shape = as_image(raw, image, raw.row.values).shape

        def whole(values, fill, rows=test[mine], image=image, shape=shape):
            every = np.full(kept.sizes["spectrum"], fill, np.result_type(values.dtype, type(fill)))
            every[rows] = values
            return _whole(kept, image, every, fill, shape)

        maps.append(
            TissueMaps(
                title=f"{kept.attrs['image_names'][image]}\n{kept.attrs['class_names'][int(label[mine][0])]}",
                predicted=whole(votes[mine].argmax(axis=1), UNKNOWN),
                confidence=whole(votes[mine].max(axis=1).astype(float), np.nan),
                context=whole(model.reasons(read_absorbance(kept, test[mine])).context, UNKNOWN),
                truth=None if truth is None else as_image(raw, image, truth, fill=UNKNOWN),
                pixel_size_um=float(raw.attrs["pixel_size_um"]),
            )
        )
    return maps
