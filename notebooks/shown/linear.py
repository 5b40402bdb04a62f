"""What the chapter on linear models shows: their scores beside each other, and the model as a reader audits it."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ftirlib import method
from ftirlib.engine.driver import once
from ftirlib.explain.linear.naming import name_peaks, naming_table
from ftirlib.method import SHOWN, Run
from ftirlib.report.comparison import paired_table
from ftirlib.spectra.model import UNKNOWN, iter_blocks
from shown.cells import interval, span, spread
from shown.contexts import ContextView, context_view, patches_text
from shown.results import best_vae, card, class_names, contexts, linear_model, linear_path, out_of_fold, score

COMPARED = ("balanced_accuracy", "accuracy", "mcc")
ONE_SHARE = "there is one share of supervision, so nothing to compare"


def numbers(run: Run) -> dict[str, str]:
    """Numbers and names of the chapter."""
    name = best_vae(run)
    labels = score(run, name, "balanced_accuracy")
    return {
        "name": name,
        "labels": spread(labels),
        "interval": span(labels),
        "model": f"{score(run, name, 'accuracy', 'ensemble')['mean']:.0%}",
        "ensemble": spread(score(run, "emscnn", "balanced_accuracy")),
        "contexts": f"{len(linear_model(run, name).labels)}",
        "patches": patches_text(run),
        "seeds": f"{run.settings.vaes.seeds}",
        "supervision": supervision_text(supervision_table(run)),
        "size": f"{linear_path(run, name).stat().st_size / 1000:.0f}",
    }


def linear_scores(run: Run, *, replicates: bool = True) -> pd.DataFrame:
    """Scores of the linear models; their names end in "(L)" against labels, "(M)" against the ensemble."""
    table = method.model_scores(run)
    table = table[table.model.isin(method.vae_names(run, replicates=replicates))]
    return table.assign(model=table.model + table.target.map({"labels": " (L)", "ensemble": " (M)"}))


def paired_models(
    run: Run,
    reference: str,
    models: list[str] | None = None,
    target: str = "labels",
    *,
    scores: Sequence[str] = COMPARED,
) -> pd.DataFrame:
    """Scores of every model less the reference's on the same test spectra of all folds; see `paired_table`.

    Parameters
    ----------
    reference : str
    models : list of str, optional
        Default: all.
    target : {"labels", "ensemble"}
        Answers that both are scored against.
    scores : sequence of str
    """
    data = method.prepared_spectra(run)
    answers = {name: out_of_fold(run, name) for name in (models or method.predictions(run))}
    answers.setdefault(reference, out_of_fold(run, reference))
    truth = out_of_fold(run, "emscnn") if target == "ensemble" else data.label.values.astype(int)
    rows = np.flatnonzero((data.label.values >= 0) & (truth != UNKNOWN))
    return paired_table(
        truth[rows],
        {name: predicted[rows] for name, predicted in answers.items()},
        data.group.values[rows],
        reference=reference,
        class_names=data.attrs["class_names"],
        positive_classes=data.attrs["positive_classes"],
        scores=scores,
        **run.settings.bootstrap,
    )


def difference_table(table: pd.DataFrame) -> pd.DataFrame:
    """A paired table as a page shows it: a row per model, a star where the interval leaves out 0."""
    text = [interval(r.difference, r.low, r.high, signed=True, star=True, line="\n") for r in table.itertuples()]
    wide = table.assign(text=text).pivot(index="model", columns="score", values="text")
    wide = wide.loc[list(dict.fromkeys(table.model)), list(dict.fromkeys(table.score))]
    return wide.rename_axis(index=None, columns=None)


@once
def supervision_table(run: Run) -> pd.DataFrame:
    """Difference of each variant's linear models with the most and with the least supervision.

    Returns
    -------
    DataFrame
        Columns ``variant, more, less, target, difference, low, high, decided`` of the balanced accuracy; no rows when
        there is one share of supervision.
    """
    shares, rows = run.settings.vaes.supervision, []
    for variant in run.settings.vaes.variants if len(shares) > 1 else []:
        more, less = f"{variant}-{max(shares):g}", f"{variant}-{min(shares):g}"
        for target in ("labels", "ensemble"):
            found = paired_models(run, less, [more, less], target, scores=["balanced_accuracy"]).iloc[0]
            rows.append({"variant": variant, "more": more, "less": less, "target": target, **found})
    columns = ["variant", "more", "less", "target", "difference", "low", "high", "decided"]
    return pd.DataFrame(rows, columns=columns)


def supervision_text(table: pd.DataFrame) -> str:
    """`supervision_table` in one sentence."""
    if table.empty:
        return ONE_SHARE
    better, worse = ((table.decided & (side * table.difference > 0)).sum() for side in (1, -1))
    return (
        f"of {len(table)} differences (variants, against labels and ensemble) {better} "
        f"{'is' if better == 1 else 'are'} above zero with the whole interval, {worse} below, and "
        f"{len(table) - better - worse} undecided"
    )


def supervision_cells(table: pd.DataFrame) -> pd.DataFrame:
    """`supervision_table` as a page shows it: a row per variant, a star where the interval leaves out 0."""
    text = [interval(r.difference, r.low, r.high, 3, signed=True, star=True, line="\n") for r in table.itertuples()]
    wide = table.assign(text=text).pivot(index=["more", "less"], columns="target", values="text")
    return wide.rename(columns="against the {}".format).reset_index().rename_axis(columns=None)


# --- one model


def largest_contexts(view: ContextView, most: int) -> np.ndarray:
    """Numbers of the contexts with most validation spectra, the largest first."""
    return np.argsort(-view.validation_table.size, kind="stable")[:most]


def audit_table(run: Run, most: int = 10) -> pd.DataFrame:
    """The largest contexts as a reader audits them: size, class, purity, and the bands that weigh most."""
    names, axis = class_names(run), method.prepared_spectra(run).wavenumber.values
    view = context_view(run, best_vae(run))
    order, table = largest_contexts(view, most), view.validation_table
    return pd.DataFrame(
        {
            "context": order,
            "spectra": table.size[order],
            "class": [names[k] if k >= 0 else "empty" for k in table.label[order]],
            "purity": np.round(table.purity[order], 2),
            "heaviest weights, cm⁻¹": ["; ".join(map(str, name_peaks(axis, table.mean_weights[k]))) for k in order],
        }
    )


def peak_table(run: Run, most: int = 3) -> pd.DataFrame:
    """Peaks of the mean weights of the largest contexts, with assignments and their sources."""
    view = context_view(run, best_vae(run))
    table, axis = view.validation_table, method.prepared_spectra(run).wavenumber.values
    peaks = naming_table(axis, table.mean_weights, table.label, class_names(run))
    return peaks[peaks.context.isin(largest_contexts(view, most))].drop(columns=["class", "component"])


def card_frame(run: Run, name: str, height: int = 900) -> str:
    """The page of the first fold's linear model within this page, in its own style."""
    text = html.escape(card(run, name), quote=True)
    return (
        f'<div><iframe srcdoc="{text}" title="Model card of {html.escape(name)}" '
        f'style="width:100%;height:{height}px;border:1px solid #ccc"></iframe></div>'
    )


def linear_reproduces(run: Run, name: str) -> bool:
    """Whether the JSON, read back, predicts the test set as the run stored it."""
    stored, model = contexts(run, name)[1]["linear_test"], linear_model(run, name)
    blocks = iter_blocks(method.prepared_spectra(run), method.fold_rows(run)[SHOWN].test)
    return all(np.array_equal(model.predict(b), stored[start : start + len(b)]) for start, b in blocks)
