"""What the chapter "Scored against the truth" shows: only simulated data can answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftirlib.explain.attribution import weight_rows
from ftirlib.method import stages
from ftirlib.method.run import Run
from ftirlib.report.truth.mislabels import OPPOSING, QUALITIES, detection, mislabel_table
from ftirlib.report.truth.truth import band_mask, band_recovery, ranking, ranking_curve
from ftirlib.report.uncertainty import Interval
from ftirlib.spectra.model import UNKNOWN
from shown.contexts import context_view, positive_codes
from shown.data_and_models import ensemble_classes, explained, over_groups
from shown.pathways import contexts_of
from shown.tables import interval_cell


def pathway_names(run: Run) -> list[str]:
    """Names of the planted pathways."""
    return list(stages.prepared(run).truth_pathway.attrs["names"])


def mislabel_scores(run: Run, name: str) -> dict[str, np.ndarray]:
    """Suspicion that a test pixel is not what its image's label says, pooled over the folds.

    Returns
    -------
    dict
        ``rows``; ``truth`` (bool); ``assigned``: context, numbered on from fold to fold; ``score``: suspicion of
        each of these contexts on the validation set; ``predicted``, ``labelled``; ``ensemble``: one minus the
        ensemble's vote for the label, per pixel.
    """
    data = stages.prepared(run)
    label, truth = data.label.values.astype(int), data.truth_mislabelled.values.astype(bool)
    votes = np.zeros((data.sizes["spectrum"], len(data.attrs["class_names"])))
    for fold, one in zip(stages.folds(run), stages.ensemble(run)):
        votes[fold.test] = one["test"]
    views = [context_view(run, name, k) for k in stages.FOLDS]
    first = np.cumsum([0, *(view.n_contexts for view in views)])
    rows = np.concatenate([view.rows for view in views])
    return {
        "rows": rows,
        "truth": truth[rows],
        "assigned": np.concatenate([view.assigned + start for view, start in zip(views, first)]),
        "score": np.concatenate([view.validation_table.mislabel_score for view in views]),
        "predicted": np.concatenate([view.predicted for view in views]),
        "labelled": label[rows],
        "ensemble": 1 - votes[rows, label[rows]],
    }


def mislabel_tables(run: Run) -> pd.DataFrame:
    """How well suspicion of every autoencoder's contexts, and the ensemble's own vote, find mislabelled pixels.

    Returns
    -------
    DataFrame
        Columns of `ftirlib.report.truth.mislabels.mislabel_table` after ``suspicion``, which names whose it is.
    """

    def make():
        bootstrap = run.settings.bootstrap
        group, tables = stages.prepared(run).group.values, []
        for name in stages.vae_names(run, replicates=False):
            found = mislabel_scores(run, name)
            one = mislabel_table(
                *(found[key] for key in ("assigned", "score", "truth")), group[found["rows"]], **bootstrap
            )
            tables.append(one.assign(suspicion=contexts_of(name)))
        interval = over_groups(run, _qualities, found["rows"], found["ensemble"], found["truth"])
        row = {
            "suspicion": "ensemble's vote",
            "level": "pixel",
            "n": len(found["rows"]),
            "true": int(found["truth"].sum()),
        }
        row["flagged"] = int((found["ensemble"] > OPPOSING).sum())
        for k, quality in enumerate(QUALITIES):
            row |= {quality: interval.estimate[k]}
            row |= {f"{quality}_low": interval.low[k], f"{quality}_high": interval.high[k]}
        table = pd.concat([*tables, pd.DataFrame([row])], ignore_index=True)
        return table[["suspicion", *(c for c in table if c != "suspicion")]]

    return run.once("mislabel_tables", make)


def _qualities(score, truth) -> np.ndarray:
    found = detection(score, truth)
    return np.array([found[quality] for quality in QUALITIES])


def shown_mislabels(table: pd.DataFrame) -> pd.DataFrame:
    """`mislabel_tables` as a page shows it: each quality with its interval."""
    shown = table[["suspicion", "level", "n", "true", "flagged"]].copy()
    for quality in QUALITIES:
        columns = table[[quality, f"{quality}_low", f"{quality}_high"]]
        title = "AUROC" if quality == "auroc" else quality
        shown[title] = [interval_cell(*row) for row in columns.itertuples(index=False)]
    return shown


def mislabel_interval(run: Run, name: str) -> Interval:
    """AUROC of the contexts' suspicion for mislabelled test pixels of all folds."""
    found = mislabel_scores(run, name)
    return over_groups(
        run, lambda s, truth: ranking(s, truth)["auroc"], found["rows"], _of_pixels(found), found["truth"]
    )


def mislabel_lead(run: Run, name: str) -> Interval:
    """AUROC of the contexts' suspicion less that of the ensemble's vote, on the same pixels and draws of groups."""
    found = mislabel_scores(run, name)
    return over_groups(
        run,
        lambda ours, votes, truth: ranking(ours, truth)["auroc"] - ranking(votes, truth)["auroc"],
        found["rows"],
        _of_pixels(found),
        found["ensemble"],
        found["truth"],
    )


def _of_pixels(found: dict) -> np.ndarray:
    """Suspicion of each pixel's context; a context without validation spectra says nothing: the average."""
    return np.where(np.isnan(found["score"]), np.nanmean(found["score"]), found["score"])[found["assigned"]]


def mislabel_curves(run: Run, name: str) -> dict[str, tuple]:
    """Receiver operating characteristics of the two suspicions, for drawing."""
    found = mislabel_scores(run, name)
    return {
        what: (*ranking_curve(score, found["truth"]), ranking(score, found["truth"])["auroc"])
        for what, score in (("contexts", _of_pixels(found)), ("ensemble", found["ensemble"]))
    }


def necrosis_table(run: Run, name: str) -> pd.DataFrame:
    """Do dead pixels of images without cancer gather in few contexts? The paper's context 31, per fold.

    Returns
    -------
    DataFrame
        Per fold the number of such test pixels, and of the context that holds most of them its number, its share
        of them, and the share of its own pixels that are dead.
    """
    data = stages.prepared(run)
    dead = data.truth_necrosis.values.astype(bool)
    cancerous = np.isin(data.label.values, [data.attrs["class_names"].index(c) for c in data.attrs["positive_classes"]])
    rows = []
    for k in stages.FOLDS:
        view = context_view(run, name, k)
        here = dead[view.rows] & ~cancerous[view.rows]
        if not here.any():
            rows.append({"fold": k + 1, "dead pixels": 0, "context": "none", "holds": np.nan, "of its own": np.nan})
            continue
        counts = np.bincount(view.assigned[here], minlength=view.n_contexts)
        context = int(counts.argmax())
        own = dead[view.rows][view.assigned == context].mean()
        rows.append(
            {
                "fold": k + 1,
                "dead pixels": int(here.sum()),
                "context": str(context),
                "holds": counts[context] / here.sum(),
                "of its own": own,
            }
        )
    return pd.DataFrame(rows)


def necrosis_detection(run: Run, name: str) -> Interval:
    """Could contexts tell dead pixels of images without cancer, if one knew which contexts are dead?

    The AUROC, over the folds' test pixels of such images, of the share of dead pixels among their context's validation
    spectra: what labelling necrosis would give.
    """
    data = stages.prepared(run)
    dead = data.truth_necrosis.values.astype(bool)
    harmless = ~np.isin(data.label.values, positive_codes(run))
    rows, scores = [], []
    for k in stages.FOLDS:
        view = context_view(run, name, k)
        known, assigned = explained(run, "validation", k).rows, view.validation_assigned
        size = np.bincount(assigned[harmless[known]], minlength=view.n_contexts)
        hits = np.bincount(assigned[harmless[known] & dead[known]], minlength=view.n_contexts)
        share = np.divide(hits, size, out=np.zeros(len(size)), where=size > 0)  # seen in no such image: nothing to fear
        mine = harmless[view.rows]
        rows.append(view.rows[mine])
        scores.append(share[view.assigned[mine]])
    rows, scores = np.concatenate(rows), np.concatenate(scores)
    return over_groups(run, lambda score, truth: ranking(score, truth)["auroc"], rows, scores, dead[rows])


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

    def make():
        found = _recoveries(run)
        table = [{"pathway": name, **_recovered(run, part)} for name, part in found.groupby("pathway", sort=False)] + (
            [{"pathway": "all", **_recovered(run, found)}] if len(found) else []
        )
        return pd.DataFrame(table, columns=["pathway", "spectra", "auroc", "low", "high", "moved"])

    return run.once("band_table", make)


def _recovered(run: Run, found: pd.DataFrame) -> dict:
    rows = found.row.to_numpy()
    several = len(np.unique(stages.prepared(run).group.values[rows])) > 1
    interval = over_groups(run, np.mean, rows, found.auroc.to_numpy()) if several else None
    low, high = (interval.low, interval.high) if interval else (np.nan, np.nan)
    return {"spectra": len(found), "auroc": found.auroc.mean(), "low": low, "high": high, "moved": found.moved.mean()}


def _recoveries(run: Run) -> pd.DataFrame:
    """Per spectrum of `band_table`: its row, pathway, AUROC over wavenumbers, and that of its moved weights."""
    data = stages.prepared(run)
    axis, bands = data.wavenumber.values, data.attrs["planted_bands"]
    folds = [explained(run, fold=k) for k in stages.FOLDS]
    rows = np.concatenate([found.rows for found in folds])
    pathway, truth = (
        np.concatenate([data[key].values[found.rows] for found in folds]).astype(int)
        for key in ("truth_pathway", "truth_class")
    )
    predicted = np.concatenate([ensemble_classes(run, found, k) for k, found in enumerate(folds)])
    shards = [shard for k in stages.FOLDS for shard in stages.explanations(run)[k]["test"]]
    weights = weight_rows([shard / "attribution.zarr" for shard in shards])
    vary = np.concatenate([np.abs(block).max(axis=1) > 0 for _, block in weights.blocks()])
    kind = np.where((truth == predicted) & vary, pathway, UNKNOWN)
    names = pathway_names(run)
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
    return f"{interval_cell(row.auroc, row.low, row.high)} (moved along the axis: {row.moved:.2f})".replace("\n", " ")


def shown_bands(table: pd.DataFrame) -> pd.DataFrame:
    """`band_table` as a page shows it."""
    cells = [interval_cell(*row) for row in table[["auroc", "low", "high"]].itertuples(index=False)]
    moved = [f"{value:.2f}" for value in table.moved]
    return pd.DataFrame({"pathway": table.pathway, "spectra": table.spectra, "AUROC": cells, "weights moved": moved})


def true_accuracy(run: Run, model: str) -> Interval:
    """Accuracy of a model's test predictions against the true class of each pixel, not the image's label."""
    from shown.data_and_models import out_of_fold

    data = stages.prepared(run)
    rows = np.flatnonzero(data.label.values >= 0)
    predicted, truth = out_of_fold(run, model)[rows], data.truth_class.values.astype(int)[rows]
    known = truth >= 0
    rows, hits = rows[known], (predicted == truth)[known].astype(float)
    return over_groups(run, np.mean, rows, hits)
