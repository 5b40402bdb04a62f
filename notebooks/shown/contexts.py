"""What the chapters on contexts and linear models show, always on the test set."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ftirlib.explain.crime.contexts import Contexts, ContextTable, extreme_contexts, opposing_context
from ftirlib.explain.linear.linear import LinearClassifier
from ftirlib.explain.linear.naming import name_peaks, naming_table
from ftirlib.method import stages
from ftirlib.method.run import Run
from ftirlib.method.stages import SHOWN
from ftirlib.spectra.model import as_image, iter_blocks
from shown.data_and_models import Picture, absorbance_picture, explained
from shown.sweep import validation_table


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


def context_view(run: Run, name: str, fold: int = SHOWN) -> ContextView:
    """Contexts of an autoencoder of one fold; see `ContextView`."""

    def make():
        latent = np.load(stages.vaes(run)[fold][name] / "latent.npz")
        folder = stages.contexts(run)[fold][name]
        contexts = Contexts.load(folder / "contexts.npz")
        assigned = np.load(folder / "assigned.npz")
        n_classes = len(stages.prepared(run).attrs["class_names"])
        tables = {}
        for side in ("validation", "test"):
            found = explained(run, side, fold)
            tables[side] = contexts.describe(
                spectra=found.absorbance,
                weights=found.weights,
                predicted=latent[f"{side}_predicted"],
                labelled=latent[f"{side}_labelled"],
                n_classes=n_classes,
                assigned=assigned[side],
            )
        return ContextView(
            name=name,
            rows=latent["test_rows"],
            points=stages.embeddings(run).get(name) if fold == SHOWN else None,
            assigned=assigned["test"],
            predicted=latent["test_predicted"],
            labelled=latent["test_labelled"],
            validation_assigned=assigned["validation"],
            table=tables["test"],
            validation_table=tables["validation"],
        )

    return run.once(f"context_view-{name}-{fold}", make)


def best_vae(run: Run) -> str:
    """The autoencoder to show: its linear model has the highest balanced accuracy on the validation sets.

    The test sets have no say. Of replicates the first stands for all; of equals, the first.
    """

    def choose():
        table = validation_table(run).set_index("model").loc[stages.vae_names(run, replicates=False)]
        return str(table.validation.idxmax())

    return run.once("best_vae", choose)


def positive_codes(run: Run) -> list[int]:
    """Positions of the positive classes."""
    attrs = stages.prepared(run).attrs
    return [attrs["class_names"].index(name) for name in attrs["positive_classes"]]


def positive_counts(run: Run, view: ContextView) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of each context that are predicted, and that are labelled, positive."""
    positive = positive_codes(run)
    return (
        view.table.predicted_counts[:, positive].sum(axis=1),
        view.table.labelled_counts[:, positive].sum(axis=1),
    )


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
    place = np.full((view.n_contexts, 2), np.nan)
    for k in np.unique(view.assigned):
        place[k] = view.points[view.assigned == k].mean(axis=0)
    known = np.isfinite(place[:, 0])
    pair = extreme_contexts(view.table, np.where(known[:, None], place, 0.0), positive=positive)
    if pair is None:
        counts = view.table.labelled_counts[:, positive].sum(axis=1)
        pair = tuple(int(k) for k in np.argsort(-counts, kind="stable")[:2])
        reasons = ["most positive labels", "second most positive labels"]
    else:
        reasons = ["positive, one end of the map", "positive, the other end"]
    opposing = opposing_context(view.table, positive=positive)
    opposes = opposing is not None
    if not opposes:
        gap = np.where(view.table.size > 0, labelled - predicted, -np.inf)
        opposing = int(np.nanargmax(np.where(np.isnan(gap), -np.inf, gap)))
    numbers, names = [*pair], reasons
    if opposing not in numbers:
        numbers, names = [*pair, opposing], [*reasons, "opposes its labels" if opposes else "largest gap to its labels"]
    return ChosenContexts([int(k) for k in numbers], names, int(opposing), opposes)


def all_views(run: Run) -> dict[str, ContextView]:
    """Contexts of every autoencoder of the shown fold, of the first seed."""
    return {name: context_view(run, name) for name in stages.vae_names(run, replicates=False)}


def least_supervised(run: Run, name: str) -> str:
    """The autoencoder of the same variant with the least supervision."""
    return f"{name.split('-')[0]}-{min(run.settings.vaes.supervision):g}"


def chosen_names(run: Run, view: ContextView, chosen: ChosenContexts, *, why: bool = True) -> list[str]:
    """Legend of Figure 3d: number, class, and why it was chosen."""
    names = stages.prepared(run).attrs["class_names"]
    label = [names[k] if k >= 0 else "empty" for k in view.table.label[chosen.numbers]]
    short = [f"{k} ({name})" for k, name in zip(chosen.numbers, label)]
    return [f"{text}: {reason}" for text, reason in zip(short, chosen.reasons)] if why else short


def opposing_pixels(run: Run, view: ContextView, chosen: ChosenContexts) -> tuple[Picture, np.ndarray]:
    """The positive-labelled image with most pixels of the opposing context: amide I absorbance, and those pixels."""
    raw, kept = stages.spectra(run), stages.prepared(run)
    members = view.rows[view.assigned == chosen.opposing]
    positive = members[np.isin(kept.label.values[members], positive_codes(run))]
    image = kept.image.values
    candidates = positive if len(positive) else members
    if not len(candidates):
        candidates = view.rows
    chosen_image = int(np.bincount(image[candidates]).argmax())
    mark = np.zeros(kept.sizes["spectrum"], bool)
    mark[members] = True
    picture = absorbance_picture(raw, chosen_image, kept.attrs["image_names"][chosen_image])
    marked = np.zeros(picture.pixels.shape, bool)
    small = as_image(kept, chosen_image, mark.astype(int), fill=0).astype(bool)
    marked[: small.shape[0], : small.shape[1]] = small
    return picture, marked


def image_truth(run: Run, title: str) -> Picture:
    """True class of every pixel of the image with this name."""
    data = stages.spectra(run)
    image = data.attrs["image_names"].index(title)
    pixels = as_image(data, image, data.truth_class.values.astype(int), fill=-1)
    return Picture(title, pixels, float(data.attrs["pixel_size_um"]))


def linear_model(run: Run, name: str, fold: int = SHOWN) -> LinearClassifier:
    """The linear model of an autoencoder's contexts."""
    return LinearClassifier.load(stages.contexts(run)[fold][name] / "linear.json")


def naming(run: Run, view: ContextView) -> pd.DataFrame:
    """Peaks of the mean weights of every context on the validation spectra, with assignments and their sources."""
    data, table = stages.prepared(run), view.validation_table
    return naming_table(data.wavenumber.values, table.mean_weights, table.label, data.attrs["class_names"])


def card(run: Run, name: str, fold: int = SHOWN) -> str:
    """The linear model's page, HTML that needs no other file."""
    return (stages.cards(run) / f"fold{fold}-{name}" / "card.html").read_text(encoding="utf-8")


def card_frame(run: Run, name: str, fold: int = SHOWN, height: int = 900) -> str:
    """The page within a page, in its own style."""
    text = html.escape(card(run, name, fold), quote=True)
    return (
        f'<div><iframe srcdoc="{text}" title="Model card of {html.escape(name)}" '
        f'style="width:100%;height:{height}px;border:1px solid #ccc"></iframe></div>'
    )


def linear_size_kb(run: Run, name: str) -> float:
    """Size of the linear model's JSON, kB."""
    return (stages.contexts(run)[SHOWN][name] / "linear.json").stat().st_size / 1000


def linear_reproduces(run: Run, name: str) -> bool:
    """Whether the JSON, read back, predicts the test set as the run stored it."""
    stored = np.load(stages.contexts(run)[SHOWN][name] / "assigned.npz")["linear_test"]
    model, rows = linear_model(run, name), stages.folds(run)[SHOWN].test
    blocks = iter_blocks(stages.prepared(run), rows)
    return all(np.array_equal(model.predict(b), stored[start : start + len(b)]) for start, b in blocks)


def largest_contexts(view: ContextView, most: int) -> np.ndarray:
    """Numbers of the contexts with most validation spectra, the largest first."""
    return np.argsort(-view.validation_table.size, kind="stable")[:most]


def audit_table(run: Run, view: ContextView, most: int = 10) -> pd.DataFrame:
    """The largest contexts as a reader audits them: size, class, purity, and the bands that weigh most."""
    names = stages.prepared(run).attrs["class_names"]
    axis = stages.prepared(run).wavenumber.values
    order = largest_contexts(view, most)
    table = view.validation_table
    return pd.DataFrame(
        {
            "context": order,
            "spectra": table.size[order],
            "class": [names[k] if k >= 0 else "empty" for k in table.label[order]],
            "purity": np.round(table.purity[order], 2),
            "heaviest weights, cm⁻¹": ["; ".join(map(str, name_peaks(axis, table.mean_weights[k]))) for k in order],
        }
    )
