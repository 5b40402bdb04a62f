"""What the chapter "Scored against the truth" shows: only simulated data can answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftirlib.report.context_controls import agreement_differences, context_controls
from ftirlib.report.mislabels import OPPOSING, QUALITIES, detection, mislabel_table
from ftirlib.report.truth import band_mask, band_recovery, context_agreement, ranking, ranking_curve
from ftirlib.report.uncertainty import Interval, fold_summary
from ftirlib.run import stages
from ftirlib.run.context_views import context_view
from ftirlib.run.runner import Run
from ftirlib.run.views import explained, over_groups


def pathway_names(run: Run) -> list[str]:
    """Names of the planted pathways."""
    return list(stages.prepared(run).truth_pathway.attrs["names"])


def agreement_table(run: Run) -> pd.DataFrame:
    """How pure contexts are of one planted pathway, beside clusters that need no autoencoder and no explanation.

    Returns
    -------
    DataFrame
        Columns ``clusters, purity, purity_sd, adjusted_rand, adjusted_rand_sd, within, within_sd, within_folds``,
        over the folds' test sets. ``within`` is the adjusted Rand index among the spectra of one true class (see
        `_within_classes`), over the folds in which it is defined. The last row is one single cluster: the purity
        that costs nothing.
    """
    data = stages.prepared(run)
    pathway, truth = (data[key].values.astype(int) for key in ("truth_pathway", "truth_class"))
    found: dict[str, list[dict]] = {}

    def add(what, assigned, rows):
        within = _within_classes(assigned, pathway[rows], truth[rows])
        found.setdefault(what, []).append(context_agreement(assigned, pathway[rows]) | {"within": within})

    for k in stages.FOLDS:
        views = {name: context_view(run, name, k) for name in stages.vae_names(run)}
        for name, view in views.items():
            add(contexts_of(name), view.assigned, view.rows)
        known, tested = explained(run, "validation", k), explained(run, "test", k)
        plain = context_controls(
            known["absorbance"],
            known["weights"],
            n_contexts=next(iter(views.values())).n_contexts,
            tried=(tested["absorbance"], tested["weights"]),
            random_state=run.settings.seed,
        )
        for what, assigned in plain.items():
            add(what, assigned.tried, tested["rows"])
    rows = []
    for what, agreements in found.items():
        row = {"clusters": what}
        for measure in ("purity", "adjusted_rand", "within"):
            # a fold without two pathways to one class lacks `within` for every kind of cluster alike
            values = [a[measure] for a in agreements if not np.isnan(a[measure])]
            mean, sd = fold_summary(values) if values else (np.nan, np.nan)
            row |= {measure: mean, f"{measure}_sd": sd}
        rows.append(row | {"within_folds": len(values)})
    least = fold_summary([a["largest_share"] for a in next(iter(found.values()))])
    one = {"purity": least.mean, "purity_sd": least.sd, "adjusted_rand": 0.0, "adjusted_rand_sd": 0.0}
    none = {"within": 0.0 if len(values) else np.nan, "within_sd": 0.0 if len(values) else np.nan}
    return pd.DataFrame([*rows, {"clusters": "one single cluster", **one, **none, "within_folds": len(values)}])


def _within_classes(assigned, pathway, truth) -> float:
    """Adjusted Rand index among the spectra of each true class that several pathways lead to, averaged by spectra.

    NaN where no class has two pathways here: do contexts tell pathways to the same class apart?
    """
    sizes, values = [], []
    for code in np.unique(truth[truth >= 0]):
        mine = truth == code
        if len(np.unique(pathway[mine])) > 1:
            sizes.append(mine.sum())
            values.append(context_agreement(assigned[mine], pathway[mine])["adjusted_rand"])
    return float(np.average(values, weights=sizes)) if values else float("nan")


def contexts_of(name: str) -> str:
    """What an autoencoder's contexts are called beside their controls."""
    return f"contexts of {name}"


def control_table(run: Run) -> pd.DataFrame:
    """Contexts of every autoencoder and every control against the planted pathways, on the shown fold's test set.

    Returns
    -------
    DataFrame
        Of `agreement_differences`: with intervals, and the reference's lead (`stages.control_reference`).
    """

    def make():
        data = stages.prepared(run)
        views = {name: context_view(run, name) for name in stages.vae_names(run)}
        rows = next(iter(views.values())).rows
        return agreement_differences(
            {contexts_of(name): view.assigned for name, view in views.items()} | stages.controls(run),
            data.truth_pathway.values.astype(int)[rows],
            data.group.values[rows],
            reference=contexts_of(stages.control_reference(run)),
            **_bootstrap(run),
        )

    return run.once("control_table", make)


def shown_controls(table: pd.DataFrame) -> pd.DataFrame:
    """`control_table` as a page shows it: a row per kind of context; * where the reference's lead leaves out 0."""
    decided = (table.difference_low > 0) | (table.difference_high < 0)
    text = pd.DataFrame(
        {
            "contexts": table.contexts,
            "measure": table.measure,
            "value": [f"{r.value:.2f} [{r.low:.2f}, {r.high:.2f}]" for r in table.itertuples()],
            "lead": [
                f"{r.difference:+.2f} [{r.difference_low:+.2f}, {r.difference_high:+.2f}]{' *' if d else ''}"
                for r, d in zip(table.itertuples(), decided)
            ],
        }
    )
    names = {"adjusted_rand": "adjusted Rand index", "purity": "purity"}
    wide = {}
    for measure, title in names.items():
        mine = text[text.measure == measure].set_index("contexts")
        wide |= {title: mine.value, f"lead of the reference, {title}": mine.lead}
    return pd.DataFrame(wide).reset_index()


def lead_text(run: Run, control: str, measure: str = "adjusted_rand") -> str:
    """The reference's lead over one control, and whether it can be told from none."""
    table = control_table(run)
    row = table[(table.contexts == control) & (table.measure == measure)].iloc[0]
    lead = f"{row.difference:+.2f} [{row.difference_low:+.2f}, {row.difference_high:+.2f}]"
    if row.difference_low > 0:
        return f"{lead}, better than this control"
    if row.difference_high < 0:
        return f"{lead}, worse than this control"
    return f"{lead}, not distinguishable from this control"


def controls_text(run: Run) -> str:
    """Over how many controls the reference leads, trails, or cannot be told from, in the adjusted Rand index."""
    table = control_table(run)
    rows = table[(table.measure == "adjusted_rand") & table.contexts.isin(list(stages.controls(run)))]
    better, worse = int((rows.difference_low > 0).sum()), int((rows.difference_high < 0).sum())
    return (
        f"{stages.control_reference(run)} follows the pathways better than {better}, worse than {worse}, and cannot be "
        f"told from {len(rows) - better - worse}"
    )


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
        Columns of `ftirlib.report.mislabels.mislabel_table` after ``suspicion``, which names whose it is.
    """

    def make():
        bootstrap = _bootstrap(run)
        group, tables = stages.prepared(run).group.values, []
        for name in stages.vae_names(run, replicates=False):
            found = mislabel_scores(run, name)
            one = mislabel_table(
                *(found[key] for key in ("assigned", "predicted", "labelled", "truth")),
                group[found["rows"]],
                n_contexts=len(found["score"]),
                score=found["score"],
                **bootstrap,
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


def _bootstrap(run: Run) -> dict:
    settings = run.settings.scores
    return {
        "n_resamples": settings.resamples,
        "confidence": settings.confidence,
        "random_state": run.settings.seed,
    }


def shown_mislabels(table: pd.DataFrame) -> pd.DataFrame:
    """`mislabel_tables` as a page shows it: each quality with its interval."""
    shown = table[["suspicion", "level", "n", "true", "flagged"]].copy()
    for quality in QUALITIES:
        name = "AUROC" if quality == "auroc" else quality
        shown[name] = [
            "undefined" if np.isnan(value) else f"{value:.2f} [{low:.2f}, {high:.2f}]"
            for value, low, high in zip(table[quality], table[f"{quality}_low"], table[f"{quality}_high"])
        ]
    return shown


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


def band_table(run: Run) -> pd.DataFrame:
    """Do LIME weights fall on the bands planted for a pathway? AUROC over wavenumbers, 0.5 by chance.

    For test spectra whose true class differs from healthy tissue and is predicted; beside it the same weights
    moved along the axis by a random distance (the first and last wavenumber joined), which keeps their shape
    and loses their place.

    Returns
    -------
    DataFrame
        Columns ``pathway, spectra, auroc, low, high, moved``.
    """
    data = stages.prepared(run)
    axis, bands = data.wavenumber.values, data.attrs["planted_bands"]
    names = pathway_names(run)
    pathway, truth = data.truth_pathway.values.astype(int), data.truth_class.values.astype(int)
    rng = np.random.default_rng(run.settings.seed)
    rows, weights, predicted = [], [], []
    for k in stages.FOLDS:
        found = explained(run, fold=k)
        rows.append(found["rows"])
        weights.append(found["weights"])
        answers = stages.ensemble(run)[k]["test"].argmax(1)
        predicted.append(answers[np.searchsorted(stages.folds(run)[k].test, found["rows"])])
    rows, weights, predicted = np.concatenate(rows), np.concatenate(weights), np.concatenate(predicted)
    right = (truth[rows] == predicted) & (np.abs(weights).max(axis=1) > 0)
    table = []
    for code, name in enumerate(names):
        mask = band_mask(axis, bands, name)
        mine = right & (pathway[rows] == code)
        if not mask.any() or mask.all() or not mine.any():
            continue
        recovered = band_recovery(weights[mine], mask)
        shift = rng.integers(0, axis.size, mine.sum())
        moved = np.stack([np.roll(w, s) for w, s in zip(weights[mine], shift)])
        groups = np.unique(data.group.values[rows[mine]])
        interval = over_groups(run, np.mean, rows[mine], recovered) if len(groups) > 1 else None
        table.append(
            {
                "pathway": name,
                "spectra": int(mine.sum()),
                "auroc": float(recovered.mean()),
                "low": interval.low if interval else np.nan,
                "high": interval.high if interval else np.nan,
                "moved": float(band_recovery(moved, mask).mean()),
            }
        )
    return pd.DataFrame(table, columns=["pathway", "spectra", "auroc", "low", "high", "moved"])


def overall_band_auroc(run: Run) -> tuple[float, float]:
    """`band_table` averaged over its spectra: as it is, and with the weights moved."""
    table = band_table(run)
    if table.empty:
        return float("nan"), float("nan")
    share = table.spectra / table.spectra.sum()
    return float((table.auroc * share).sum()), float((table.moved * share).sum())


def true_accuracy(run: Run, model: str) -> Interval:
    """Accuracy of a model's test predictions against the true class of each pixel, not the image's label."""
    from ftirlib.run.views import out_of_fold

    data = stages.prepared(run)
    rows = np.flatnonzero(data.label.values >= 0)
    predicted, truth = out_of_fold(run, model)[rows], data.truth_class.values.astype(int)[rows]
    known = truth >= 0
    rows, hits = rows[known], (predicted == truth)[known].astype(float)
    return over_groups(run, np.mean, rows, hits)
