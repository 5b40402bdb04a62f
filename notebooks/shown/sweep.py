"""All autoencoders side by side: names with their patch, training, and whose linear model is better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ftirlib.method import stages, tasks
from ftirlib.method.run import Run
from ftirlib.method.scores import validation_scores
from ftirlib.method.stages import FOLDS, SHOWN
from ftirlib.report.comparison import paired_table
from ftirlib.spectra.model import UNKNOWN
from shown.data_and_models import out_of_fold
from shown.tables import difference_cell

COMPARED = ("balanced_accuracy", "accuracy", "mcc")


def validation_table(run: Run) -> pd.DataFrame:
    """`validation_scores` of every linear model: columns ``model, validation``."""
    models, sets, data = stages.contexts(run), stages.folds(run), stages.prepared(run)
    names = stages.vae_names(run)
    scores = [validation_scores([models[k][name] for k in FOLDS], sets, data) for name in names]
    return pd.DataFrame({"model": names, "validation": scores})


def patch(run: Run, name: str) -> int:
    """Points a token; 1 for CP, which has no tokens."""
    return int(tasks.read_json(stages.vaes(run)[SHOWN][name] / "model" / "vae.json")["settings"]["patch"])


def patch_text(run: Run, name: str) -> str:
    """The patch as a caption states it."""
    return "no tokens" if name.startswith("CP") else f"patch of {patch(run, name)} points"


def patches_text(run: Run) -> str:
    """The patches of all variants as a caption states them."""
    first = {name.split("-")[0]: patch_text(run, name) for name in reversed(stages.vae_names(run))}
    return "; ".join(f"{variant}: {text}" for variant, text in sorted(first.items()))


def title(run: Run, name: str) -> str:
    """Name of an autoencoder over its panel, with its patch where it has one."""
    return name if name.startswith("CP") else f"{name}, patch {patch(run, name)}"


def histories(run: Run) -> dict[str, list[dict]]:
    """Training of the shown fold's autoencoders, by name."""
    models = stages.vaes(run)[SHOWN]
    return {n: tasks.read_json(models[n] / "history.json") for n in stages.vae_names(run, replicates=False)}


def paired_models(
    run: Run,
    reference: str,
    models: list[str] | None = None,
    target: str = "labels",
    *,
    scores: Sequence[str] = COMPARED,
) -> pd.DataFrame:
    """Every model less the reference on the same test spectra of all folds; see `paired_table`.

    Parameters
    ----------
    reference : str
    models : list of str, optional
        Default: all.
    target : {"labels", "ensemble"}
        What both are scored against.
    scores : sequence of str
    """
    data = stages.prepared(run)
    answers = {name: out_of_fold(run, name) for name in (models or stages.predictions(run))}
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


def supervision_table(run: Run) -> pd.DataFrame:
    """What the most supervision gives each variant's linear model over the least: paired differences.

    Returns
    -------
    DataFrame
        Columns ``variant, more, less, target, difference, low, high, decided`` of the balanced accuracy; no rows when
        there is one share of supervision.
    """
    shares, rows = run.settings.vaes.supervision, []
    columns = ["variant", "more", "less", "target", "difference", "low", "high", "decided"]
    if len(shares) == 1:
        return pd.DataFrame(columns=columns)
    for variant in run.settings.vaes.variants:
        more, less = f"{variant}-{max(shares):g}", f"{variant}-{min(shares):g}"
        for target in ("labels", "ensemble"):
            found = paired_models(run, less, [more, less], target)
            one = found[found.score == "balanced_accuracy"].iloc[0]
            numbers = {key: one[key] for key in ("difference", "low", "high", "decided")}
            rows.append({"variant": variant, "more": more, "less": less, "target": target, **numbers})
    return pd.DataFrame(rows, columns=columns)


def supervision_text(run: Run) -> str:
    """`supervision_table` in one sentence."""
    table = supervision_table(run)
    if table.empty:
        return "there is one share of supervision, so nothing to compare"
    better, worse = ((table.decided & (side * table.difference > 0)).sum() for side in (1, -1))
    return (
        f"of {len(table)} differences (variants, against labels and ensemble) {better} "
        f"{'is' if better == 1 else 'are'} above zero with the whole interval, {worse} below, and "
        f"{len(table) - better - worse} undecided"
    )


def shown_supervision(table: pd.DataFrame) -> pd.DataFrame:
    """`supervision_table` as a page shows it: a row per variant; * where the interval leaves out 0."""
    text = [difference_cell(r.difference, r.low, r.high, 3) for r in table.itertuples()]
    wide = table.assign(text=text).pivot(index=["more", "less"], columns="target", values="text")
    return wide.rename(columns="against the {}".format).reset_index().rename_axis(columns=None)


def difference_text(table: pd.DataFrame) -> pd.DataFrame:
    """A paired table as a page shows it: a row per model; * where the interval leaves out 0."""
    text = [difference_cell(row.difference, row.low, row.high) for row in table.itertuples()]
    wide = table.assign(text=text).pivot(index="model", columns="score", values="text")
    return wide.loc[list(dict.fromkeys(table.model)), list(dict.fromkeys(table.score))].rename_axis(
        index=None, columns=None
    )
