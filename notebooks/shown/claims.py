"""What Hartigan et al. (paper A) claim, each beside what this run measures: agree, disagree or cannot tell, by rule.

A claim is put as differences that should lie above zero, each with a bootstrap interval over groups. It agrees when
every interval lies above zero, disagrees when some interval lies below, and cannot be told otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ftirlib import method
from ftirlib.engine.driver import once
from ftirlib.method import Run
from ftirlib.report.tally import contingency_table
from ftirlib.report.truth.truth import context_agreement
from ftirlib.spectra.model import has_truth
from shown.cells import interval, spread
from shown.contexts import pooled
from shown.linear import paired_models, supervision_table
from shown.pathways import contexts_of, pathway_lead
from shown.results import best_baseline, best_vae, out_of_fold, over_groups, score
from shown.truth import PLAIN, mislabel_interval, necrosis_detection

# standard deviation over folds of the paper's best score (its Figure 2a): scores this near are comparable
SPREAD = 0.06
CHANCE = 0.5  # AUROC of a ranking that knows nothing


def numbers(run: Run) -> dict[str, str]:
    """Numbers and names of the chapter."""
    ensemble, accuracy, top = (
        score(run, "emscnn", "balanced_accuracy"),
        score(run, "emscnn", "accuracy"),
        best_baseline(run),
    )
    gap = ensemble["mean"] - top["mean"]
    return {
        "ensemble": spread(ensemble),
        "accuracy": spread(accuracy),
        "majority": f"{accuracy.majority:.2f}",
        "gap": f"{abs(gap):.2f} {'above' if gap > 0 else 'below'}",
        "top": top.model,
        "verdicts": verdicts_text(claims(run)),
        "members": f"{run.settings.members.count}",
        "patch": f"{run.settings.vaes.patch}",
        "contexts": f"{run.settings.contexts.count}",
    }


@dataclass(frozen=True)
class Difference:
    """A number that a claim says is above zero: what it is, and its estimate and interval."""

    what: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, how it is measured here, and the numbers."""

    claim: str
    measured: str
    differences: Sequence[Difference]

    @property
    def verdict(self) -> str:
        """By the rule of the module; a claim whose numbers are all undefined here is not measured."""
        known = [d for d in self.differences if np.isfinite([d.value, d.low, d.high]).all()]
        if not known:
            return "not measured"
        if any(d.high < 0 for d in known):
            return "disagree"
        return "agree" if len(known) == len(self.differences) and all(d.low > 0 for d in known) else "cannot tell"


@once
def claims(run: Run) -> list[Claim]:
    """Every claim that the run's data can speak to, in the order of the paper."""
    found = [_best_model(run), _classes_apart(run), _labels_of_contexts(run), *_linear(run)]
    return [*found, *_against_truth(run)] if has_truth(method.prepared_spectra(run)) else found


def claim_table(found: Sequence[Claim]) -> pd.DataFrame:
    """Claims as a page shows them."""
    return pd.DataFrame(
        {
            "the paper": claim.claim,
            "measured here": claim.measured,
            "difference [interval]": "\n".join(
                f"{d.what}: {interval(d.value, d.low, d.high, signed=True)}" for d in claim.differences
            )
            or "none",
            "": claim.verdict,
        }
        for claim in found
    )


def verdicts_text(found: Sequence[Claim]) -> str:
    """How many claims got each verdict."""
    given = [claim.verdict for claim in found]
    counts = [f"{given.count(verdict)} {verdict}" for verdict in dict.fromkeys(given)]
    return f"of {len(found)} claims " + ", ".join(counts)


def _best_model(run: Run) -> Claim:
    models = list(run.settings.baselines.models)
    scores = ["accuracy", *(["f1"] if method.prepared_spectra(run).attrs["positive_classes"] else [])]
    table = paired_models(run, "emscnn", models, scores=scores)
    leads = [
        Difference(f"over {row.model}, {row.score}", -row.difference, -row.high, -row.low)
        for row in table.itertuples()
        if row.model in models
    ]
    return Claim(
        "EMSCNN has the best sensitivity weighted by samples (accuracy) and the best F1 of all models.",
        "Its score less that of each baseline, on the same test spectra.",
        leads,
    )


def _classes_apart(run: Run) -> Claim:
    name = best_vae(run)
    found = pooled(run, name)

    def lead(assigned, predicted):
        agreement = context_agreement(assigned, predicted)
        return agreement["purity"] - agreement["largest_share"]

    return Claim(
        "Different classifications are clustered in separate subsets of the contexts (Figure 3c).",
        f"Share of test spectra predicted as most of their context, less that of one single context ({name}).",
        [_difference("purity", over_groups(run, lead, *(found[key] for key in ("rows", "assigned", "predicted"))))],
    )


def _labels_of_contexts(run: Run) -> Claim:
    name = best_vae(run)
    found = pooled(run, name)
    keys = "assigned", "predicted", "labelled"

    def lead(assigned, predicted, labelled):
        size = np.bincount(assigned)
        most = [_commonest(assigned, codes) for codes in (predicted, labelled)]
        return float((size * (most[0] == most[1])).sum() / size.sum()) - CHANCE

    return Claim(
        "By context, classifications and labels often agree well (Figure 3c).",
        f"Share of test spectra in contexts whose commonest prediction is their commonest label, less a half ({name}).",
        [_difference("share", over_groups(run, lead, *(found[key] for key in ("rows", *keys))))],
    )


def _commonest(assigned, codes) -> np.ndarray:
    """The commonest code in each context."""
    return contingency_table(assigned, codes, shape=(assigned.max() + 1, codes.max() + 1)).argmax(axis=1)


def _linear(run: Run) -> list[Claim]:
    names = method.vae_names(run, replicates=False)
    label, votes = method.prepared_spectra(run).label.values.astype(int), out_of_fold(run, "emscnn")
    rows = np.flatnonzero(label >= 0)
    recreated = []
    for name in names:
        predicted = out_of_fold(run, name)[rows]
        hits = (predicted == votes[rows]).astype(float) - (predicted == label[rows])
        recreated.append(_difference(name, over_groups(run, np.mean, rows, hits)))
    found = [
        Claim(
            "Linear models recreate the network's predictions better than the labels.",
            "Accuracy against the ensemble less accuracy against the labels.",
            recreated,
        )
    ]
    if len(supervision := supervision_table(run)):
        found.append(
            Claim(
                "Supervision improves the linear models in all cases.",
                "Balanced accuracy with the most supervision less that with the least, against labels and ensemble.",
                [Difference(f"{r.variant}, {r.target}", r.difference, r.low, r.high) for r in supervision.itertuples()],
            )
        )
    best = [f"{v}-{max(run.settings.vaes.supervision):g}" for v in run.settings.vaes.variants if v in ("CP", "TT")]
    comparable = []
    for name in best:
        table = paired_models(run, name, [*run.settings.baselines.models], scores=["accuracy"])
        comparable += [
            Difference(f"{name}, {r.model}", SPREAD - r.difference, SPREAD - r.high, SPREAD - r.low)
            for r in table.itertuples()
        ]
    if comparable:
        found.append(
            Claim(
                "Supervised CP and TT linear models do about as well as direct classification.",
                f"Accuracy less that of each baseline, plus {SPREAD:g}, the spread over the paper's folds.",
                comparable,
            )
        )
    return found


def _against_truth(run: Run) -> list[Claim]:
    name = best_vae(run)
    found = []
    if len(run.settings.vaes.supervision) > 1:
        low, high = min(run.settings.vaes.supervision), max(run.settings.vaes.supervision)
        pairs = {v: [contexts_of(f"{v}-{share:g}") for share in (high, low)] for v in run.settings.vaes.variants}
        found.append(
            Claim(
                "A little supervision makes the latent space easier to interpret (Figures 3b, 4a).",
                "Adjusted Rand index of contexts and planted pathways, most supervision less least.",
                [_lead(run, variant, *pair, "adjusted_rand") for variant, pair in pairs.items()],
            )
        )
    return [
        *found,
        Claim(
            "Contexts are different pathways to the same classification (Figure 3d).",
            f"Adjusted Rand index with the planted pathways within each class ({name}), less that of K-means.",
            [_lead(run, f"over {PLAIN}", contexts_of(name), PLAIN, "within")],
        ),
        Claim(
            "A context that opposes its labels is mislabelled (context 97).",
            f"AUROC of a context's opposition to its labels for truly mislabelled pixels, less a half ({name}).",
            [_difference("AUROC", mislabel_interval(run, name), CHANCE)],
        ),
        Claim(
            "Necrosis in normal samples has a context of its own (context 31).",
            f"AUROC of each context's dead share for dead pixels of images without cancer, less a half ({name}).",
            [_difference("AUROC", necrosis_detection(run, name), CHANCE)],
        ),
    ]


def _lead(run: Run, what: str, more: str, less: str, measure: str) -> Difference:
    lead = pathway_lead(run, more, less, measure)
    return Difference(what, lead.value, lead.low, lead.high)


def _difference(what: str, interval, less: float = 0.0) -> Difference:
    return Difference(what, interval.estimate - less, interval.low - less, interval.high - less)
