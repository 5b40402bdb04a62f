"""What the chapter "Scored against the truth" shows: only simulated data can answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftirlib import method
from ftirlib.engine.driver import once
from ftirlib.explain.attribution import weight_rows
from ftirlib.method import FOLDS, Run
from ftirlib.report.truth.mislabels import OPPOSING, QUALITIES, detection, mislabel_table
from ftirlib.report.truth.truth import band_mask, band_recovery, ranking, ranking_curve
from ftirlib.report.uncertainty import Interval
from ftirlib.spectra.model import UNKNOWN
from shown.cells import estimate, interval
from shown.contexts import context_view, patches_text, pooled
from shown.pathways import (
    SINGLE,
    agreement_cells,
    agreement_table,
    contexts_of,
    control_text,
    controls_text,
    lead_text,
    supervision_text,
)
from shown.results import (
    best_vae,
    ensemble_classes,
    explained,
    explanation_stores,
    out_of_fold,
    over_groups,
    positive_codes,
    score,
    votes,
)

PLAIN = "K-means of the spectra"


def numbers(run: Run) -> dict[str, str]:
    """Numbers and names of the chapter."""
    name = best_vae(run)
    ours, table = contexts_of(name), agreement_table(run)
    purity = table["purity"]["value"]
    cells = agreement_cells(table).set_index("clusters").map(lambda cell: cell.replace("\n", " "))
    mislabel = mislabel_tables(run)
    pixels = mislabel[mislabel.level == "pixel"].set_index("suspicion")
    suspects, vote = (pixels.loc[whose] for whose in (ours, "ensemble's vote"))
    return {
        "name": name,
        "purity": f"{purity[ours]:.0%}",
        "plain": f"{purity[PLAIN]:.0%}",
        "least": f"{purity[SINGLE]:.0%}",
        "rand": cells["adjusted Rand index"][ours],
        "within": cells["within a class"][ours],
        "plain-within": cells["within a class"][PLAIN],
        "plain-rand": cells["adjusted Rand index"][PLAIN],
        "pca": lead_text(run, ours, "PCA of both"),
        "over-plain": lead_text(run, ours, PLAIN),
        "supervision": supervision_text(run),
        "necrosis": estimate(necrosis_detection(run, name)),
        "suspects": interval(suspects.auroc, suspects.auroc_low, suspects.auroc_high),
        "votes": interval(vote.auroc, vote.auroc_low, vote.auroc_high),
        "lead": estimate(mislabel_lead(run, name)),
        "mislabelled": f"{suspects.true / suspects.n:.0%}",
        "reference": method.control_reference(run),
        "patches": patches_text(run),
        "controls": f"{len(method.controls(run)[0])}",
        "worth": control_text(run, "PCA of both"),
        "without-weights": control_text(run, "spectra alone"),
        "shuffled": control_text(run, "shuffled weights"),
        "chance": control_text(run, "sizes alone"),
        "summary": controls_text(run),
        "bands": overall_text(band_table(run)),
        "accuracy": estimate(true_accuracy(run, "emscnn")),
        "labels": f"{score(run, 'emscnn', 'accuracy')['mean']:.2f}",
    }


def true_accuracy(run: Run, model: str) -> Interval:
    """Accuracy of a model's test predictions against the true class of each pixel, not the image's label."""
    data = method.prepared_spectra(run)
    truth, predicted = data.truth_class.values.astype(int), out_of_fold(run, model)
    rows = np.flatnonzero((data.label.values >= 0) & (truth >= 0))
    return over_groups(run, np.mean, rows, (predicted == truth)[rows].astype(float))


# --- mislabelled pixels


def mislabel_scores(run: Run, name: str) -> dict[str, np.ndarray]:
    """Suspicion that a test pixel is not what its image's label says, pooled over the folds.

    Returns
    -------
    dict
        `pooled` with ``truth`` (bool) and, of each pixel, ``suspicion``: the score of its context (a context without
        validation spectra says nothing: the average), and ``doubt``: one minus the ensemble's vote for the label.
    """
    data, found = method.prepared_spectra(run), pooled(run, name)
    rows, score = found["rows"], found["mislabel_score"]
    found["truth"] = data.truth_mislabelled.values.astype(bool)[rows]
    found["suspicion"] = np.where(np.isnan(score), np.nanmean(score), score)[found["assigned"]]
    found["doubt"] = 1 - votes(run)[rows, data.label.values.astype(int)[rows]]
    return found


@once
def mislabel_tables(run: Run) -> pd.DataFrame:
    """How well suspicion of every autoencoder's contexts, and the ensemble's own vote, find mislabelled pixels.

    Returns
    -------
    DataFrame
        Columns of `ftirlib.report.truth.mislabels.mislabel_table` after ``suspicion``, which names whose it is.
    """
    group, tables = method.prepared_spectra(run).group.values, []
    for name in method.vae_names(run, replicates=False):
        found = mislabel_scores(run, name)
        one = mislabel_table(
            *(found[key] for key in ("assigned", "mislabel_score", "truth")),
            group[found["rows"]],
            **run.settings.bootstrap,
        )
        tables.append(one.assign(suspicion=contexts_of(name)))
    of_votes = over_groups(run, _qualities, found["rows"], found["doubt"], found["truth"])
    row = {
        "suspicion": "ensemble's vote",
        "level": "pixel",
        "n": len(found["rows"]),
        "true": int(found["truth"].sum()),
        "flagged": int((found["doubt"] > OPPOSING).sum()),
    }
    for k, quality in enumerate(QUALITIES):
        row |= {quality: of_votes.estimate[k]}
        row |= {f"{quality}_low": of_votes.low[k], f"{quality}_high": of_votes.high[k]}
    table = pd.concat([*tables, pd.DataFrame([row])], ignore_index=True)
    return table[["suspicion", *(column for column in table if column != "suspicion")]]


def _qualities(score, truth) -> np.ndarray:
    found = detection(score, truth)
    return np.array([found[quality] for quality in QUALITIES])


def mislabel_cells(table: pd.DataFrame) -> pd.DataFrame:
    """`mislabel_tables` as a page shows it: each quality with its interval."""
    cells = table[["suspicion", "level", "n", "true", "flagged"]].copy()
    for quality in QUALITIES:
        columns = table[[quality, f"{quality}_low", f"{quality}_high"]]
        title = "AUROC" if quality == "auroc" else quality
        cells[title] = [interval(*row, line="\n") for row in columns.itertuples(index=False)]
    return cells


def _auroc(score, truth) -> float:
    return ranking(score, truth)["auroc"]


def mislabel_interval(run: Run, name: str) -> Interval:
    """AUROC of the contexts' suspicion for mislabelled test pixels of all folds."""
    found = mislabel_scores(run, name)
    return over_groups(run, _auroc, found["rows"], found["suspicion"], found["truth"])


def mislabel_lead(run: Run, name: str) -> Interval:
    """AUROC of the contexts' suspicion less that of the ensemble's vote, on the same pixels and draws of groups."""
    found = mislabel_scores(run, name)
    return over_groups(
        run,
        lambda ours, votes, truth: _auroc(ours, truth) - _auroc(votes, truth),
        *(found[key] for key in ("rows", "suspicion", "doubt", "truth")),
    )


def mislabel_curves(run: Run, name: str) -> dict[str, tuple]:
    """Receiver operating characteristics of the two suspicions, for drawing."""
    found = mislabel_scores(run, name)
    return {
        whose: (*ranking_curve(found[key], found["truth"]), _auroc(found[key], found["truth"]))
        for whose, key in (("contexts", "suspicion"), ("ensemble", "doubt"))
    }


# --- dead tissue


def _dead_and_harmless(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Whether each spectrum is of dead tissue, and whether it is of an image without cancer."""
    data = method.prepared_spectra(run)
    return data.truth_necrosis.values.astype(bool), ~np.isin(data.label.values, positive_codes(run))


def necrosis_table(run: Run, name: str) -> pd.DataFrame:
    """Do dead pixels of images without cancer gather in few contexts? The paper's context 31, per fold.

    Returns
    -------
    DataFrame
        Per fold the number of such test pixels, and of the context that holds most of them its number, its share
        of them, and the share of its own pixels that are dead.
    """
    dead, harmless = _dead_and_harmless(run)
    rows = []
    for k in FOLDS:
        view = context_view(run, name, k)
        here = (dead & harmless)[view.rows]
        row = {"fold": k + 1, "dead pixels": int(here.sum()), "context": "none", "holds": np.nan, "of its own": np.nan}
        if here.any():
            counts = np.bincount(view.assigned[here], minlength=view.n_contexts)
            context = int(counts.argmax())
            own = dead[view.rows][view.assigned == context].mean()
            row |= {"context": str(context), "holds": counts[context] / here.sum(), "of its own": own}
        rows.append(row)
    return pd.DataFrame(rows)


def necrosis_detection(run: Run, name: str) -> Interval:
    """Could contexts tell dead pixels of images without cancer, if one knew which contexts are dead?

    The AUROC, over the folds' test pixels of such images, of the share of dead pixels among their context's validation
    spectra: what labelling necrosis would give.
    """
    dead, harmless = _dead_and_harmless(run)
    rows, scores = [], []
    for k in FOLDS:
        view = context_view(run, name, k)
        known, assigned = explained(run, "validation", k).rows, view.validation_assigned
        size = np.bincount(assigned[harmless[known]], minlength=view.n_contexts)
        hits = np.bincount(assigned[(harmless & dead)[known]], minlength=view.n_contexts)
        share = np.divide(hits, size, out=np.zeros(len(size)), where=size > 0)  # seen in no such image: nothing to fear
        mine = harmless[view.rows]
        rows.append(view.rows[mine])
        scores.append(share[view.assigned[mine]])
    rows, scores = np.concatenate(rows), np.concatenate(scores)
    return over_groups(run, _auroc, rows, scores, dead[rows])


# --- planted bands


@once
def band_table(run: Run) -> pd.DataFrame:
    """Do LIME weights fall on the bands planted for a pathway? AUROC over wavenumbers, 0.5 by chance.

    For test spectra whose true class differs from healthy tissue and is predicted; beside it the same weights
    moved along the axis by a random distance (the first and last wavenumber joined), which keeps their shape
    and loses their place.

    Returns
    -------
    DataFrame
        Columns ``pathway, spectra, auroc, low, high, moved``; the last row is of all of them. No interval where the
        spectra are of one group; no rows where there is no such spectrum.
    """
    found = _recoveries(run)
    parts = [*found.groupby("pathway", sort=False), *([("all", found)] if len(found) else [])]
    table = [{"pathway": name, **_recovered(run, part)} for name, part in parts]
    return pd.DataFrame(table, columns=["pathway", "spectra", "auroc", "low", "high", "moved"])


def _recovered(run: Run, found: pd.DataFrame) -> dict:
    rows = found.row.to_numpy()
    several = len(np.unique(method.prepared_spectra(run).group.values[rows])) > 1
    over = over_groups(run, np.mean, rows, found.auroc.to_numpy()) if several else None
    low, high = (over.low, over.high) if over else (np.nan, np.nan)
    return {"spectra": len(found), "auroc": found.auroc.mean(), "low": low, "high": high, "moved": found.moved.mean()}


def _recoveries(run: Run) -> pd.DataFrame:
    """Per spectrum of `band_table`: its row, pathway, AUROC over wavenumbers, and that of its moved weights."""
    data = method.prepared_spectra(run)
    axis, bands = data.wavenumber.values, data.attrs["planted_bands"]
    folds = [explained(run, fold=k) for k in FOLDS]
    rows = np.concatenate([found.rows for found in folds])
    pathway, truth = (
        np.concatenate([data[key].values[found.rows] for found in folds]).astype(int)
        for key in ("truth_pathway", "truth_class")
    )
    predicted = np.concatenate([ensemble_classes(run, found, k) for k, found in enumerate(folds)])
    weights = weight_rows(explanation_stores(run))
    vary = np.concatenate([np.abs(block).max(axis=1) > 0 for _, block in weights.blocks()])
    kind = np.where((truth == predicted) & vary, pathway, UNKNOWN)
    names = list(data.truth_pathway.attrs["names"])
    masks = {code: band_mask(axis, bands, name) for code, name in enumerate(names)}
    masks = {code: mask for code, mask in masks.items() if mask.any() and not mask.all()}
    rng, shift = np.random.default_rng(run.settings.seed), np.zeros(len(rows), int)
    for code in masks:
        shift[kind == code] = rng.integers(0, axis.size, (kind == code).sum())
    auroc, moved = np.full((2, len(rows)), np.nan)
    for at, block in weights.blocks():
        # as numpy.roll, each by its own distance
        rolled = np.take_along_axis(block, (np.arange(axis.size) - shift[at, None]) % axis.size, axis=1)
        for code in np.intersect1d(kind[at], list(masks)):
            mine = kind[at] == code
            auroc[at][mine] = band_recovery(block[mine], masks[code])
            moved[at][mine] = band_recovery(rolled[mine], masks[code])
    mine = np.flatnonzero(np.isin(kind, list(masks)))
    mine = mine[np.argsort(kind[mine], kind="stable")]
    named = [names[code] for code in kind[mine]]
    return pd.DataFrame({"row": rows[mine], "pathway": named, "auroc": auroc[mine], "moved": moved[mine]})


def overall_text(table: pd.DataFrame) -> str:
    """The last row of `band_table` as prose tells it."""
    if table.empty:
        return "undefined, as none of their spectra is classified as what it is"
    row = table.iloc[-1]
    return f"{interval(row.auroc, row.low, row.high)} (moved along the axis: {row.moved:.2f})"


def band_cells(table: pd.DataFrame) -> pd.DataFrame:
    """`band_table` as a page shows it."""
    cells = [interval(*row, line="\n") for row in table[["auroc", "low", "high"]].itertuples(index=False)]
    moved = [f"{value:.2f}" for value in table.moved]
    return pd.DataFrame({"pathway": table.pathway, "spectra": table.spectra, "AUROC": cells, "weights moved": moved})
