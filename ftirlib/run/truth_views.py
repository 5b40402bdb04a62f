"""What the chapter "Scored against the truth" shows: only simulated data can answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

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
        Columns ``clusters, purity, purity_sd, adjusted_rand, adjusted_rand_sd``, over the folds' test sets. The
        last row is one single cluster: the purity that costs nothing.
    """
    pathway = stages.prepared(run).truth_pathway.values.astype(int)
    found: dict[str, list[dict]] = {}
    for name in stages.vae_names(run):
        for k in stages.FOLDS:
            view = context_view(run, name, k)
            found.setdefault(f"contexts of {name}", []).append(context_agreement(view.assigned, pathway[view.rows]))
    n_contexts = context_view(run, stages.vae_names(run)[0]).n_contexts
    for k in stages.FOLDS:
        for what, assigned, rows in _plain_clusters(run, k, n_contexts):
            found.setdefault(what, []).append(context_agreement(assigned, pathway[rows]))
    rows = []
    for what, agreements in found.items():
        purity = fold_summary([a["purity"] for a in agreements])
        rand = fold_summary([a["adjusted_rand"] for a in agreements])
        rows.append((what, purity.mean, purity.sd, rand.mean, rand.sd))
    least = fold_summary([a["largest_share"] for a in next(iter(found.values()))])
    rows.append(("one single cluster", least.mean, least.sd, 0.0, 0.0))
    return pd.DataFrame(rows, columns=["clusters", "purity", "purity_sd", "adjusted_rand", "adjusted_rand_sd"])


def _plain_clusters(run: Run, fold: int, n_clusters: int):
    """K-means found on the validation spectra, or their weights, and applied to the test spectra."""
    from sklearn.cluster import KMeans

    known, tested = explained(run, "validation", fold), explained(run, "test", fold)
    for what, key in (("K-means of the spectra", "absorbance"), ("K-means of the weights", "weights")):
        means = KMeans(min(n_clusters, len(known[key])), n_init=10, random_state=run.settings.seed)
        # one dtype for both: scikit-learn's K-means refuses to mix them
        means.fit(known[key].astype(np.float64))
        yield what, means.predict(tested[key].astype(np.float64)), tested["rows"]


def mislabel_scores(run: Run, name: str) -> dict[str, np.ndarray]:
    """Suspicion that a test pixel is not what its image's label says, pooled over the folds.

    Returns
    -------
    dict
        ``rows``; ``truth`` (bool); ``contexts``: share of opposing predictions in the pixel's context on the
        validation set; ``ensemble``: one minus the ensemble's vote for the label.
    """
    data = stages.prepared(run)
    label, truth = data.label.values.astype(int), data.truth_mislabelled.values.astype(bool)
    votes = np.zeros((data.sizes["spectrum"], len(data.attrs["class_names"])))
    for fold, one in zip(stages.folds(run), stages.ensemble(run)):
        votes[fold.test] = one["test"]
    rows, suspects = [], []
    for k in stages.FOLDS:
        view = context_view(run, name, k)
        scores = view.validation_table.mislabel_score
        rows.append(view.rows)
        # a context without validation spectra says nothing: the average suspicion
        suspects.append(np.where(np.isnan(scores), np.nanmean(scores), scores)[view.assigned])
    rows = np.concatenate(rows)
    return {
        "rows": rows,
        "truth": truth[rows],
        "contexts": np.concatenate(suspects),
        "ensemble": 1 - votes[rows, label[rows]],
    }


def mislabel_table(run: Run, name: str) -> pd.DataFrame:
    """AUROC with its interval over groups, precision and recall of the two suspicions."""
    scores = mislabel_scores(run, name)
    rows = []
    for what in ("contexts", "ensemble"):
        found = ranking(scores[what], scores["truth"])
        interval = over_groups(run, lambda s, t: ranking(s, t)["auroc"], scores["rows"], scores[what], scores["truth"])
        rows.append(
            {
                "suspicion": what,
                "auroc": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "precision": found["precision"],
                "recall": found["recall"],
                "mislabelled": found["prevalence"],
            }
        )
    return pd.DataFrame(rows)


def mislabel_curves(run: Run, name: str) -> dict[str, tuple]:
    """Receiver operating characteristics of the two suspicions, for drawing."""
    scores = mislabel_scores(run, name)
    return {
        f"{what}": (*ranking_curve(scores[what], scores["truth"]), ranking(scores[what], scores["truth"])["auroc"])
        for what in ("contexts", "ensemble")
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
