"""What the overview and the chapters on classifiers show."""

from __future__ import annotations

import numpy as np

from ftirlib.method import stages
from ftirlib.method.run import Run
from ftirlib.report.tally import Reliability, confusion_counts, reliability
from ftirlib.spectra.model import UNKNOWN
from shown.cells import span, spread
from shown.data import Picture, class_picture, data_name, example_images
from shown.explanations import stability
from shown.results import best_baseline, best_vae, class_names, out_of_fold, score, selection


def overview_numbers(run: Run) -> dict[str, str]:
    """Numbers and names of the abstract."""
    kept, top, name = stages.prepared(run), best_baseline(run), best_vae(run)
    ensemble = score(run, "emscnn", "balanced_accuracy")
    return {
        "data": data_name(run),
        "spectra": f"{kept.sizes['spectrum']:,}",
        "groups": f"{len(np.unique(kept.group.values))}",
        "classes": ", ".join(class_names(run)),
        "ensemble": spread(ensemble),
        "interval": span(ensemble),
        "majority": f"{ensemble.majority:.2f}",
        "baseline": f"{top.model}, {spread(top)}",
        "linear": spread(score(run, name, "balanced_accuracy")),
        "agrees": f"{score(run, name, 'accuracy', 'ensemble')['mean']:.0%}",
        "stability": f"{np.nanmedian(stability(run)):.2f}",
    }


def baseline_numbers(run: Run) -> dict[str, str]:
    """Numbers of the chapter on baselines."""
    top = best_baseline(run)
    return {"best": top.model, "score": spread(top), "interval": span(top), "majority": f"{top.majority:.2f}"}


def ensemble_numbers(run: Run) -> dict[str, str]:
    """Numbers of the chapter on the ensemble."""
    ours, top = score(run, "emscnn", "balanced_accuracy"), best_baseline(run)
    return {
        "score": spread(ours),
        "interval": span(ours),
        "single": spread(score(run, "mscnn", "balanced_accuracy")),
        "baseline": f"{top.model}, {spread(top)}",
        "members": f"{run.settings.members.count}",
        "voting": ", ".join(f"{sum(fold['voting'])}" for fold in selection(run)),
        "threshold": f"{run.settings.ensemble.threshold}",
        "kind": run.settings.ensemble.voting,
    }


def confusion(run: Run, model: str) -> np.ndarray:
    """Confusion matrix of the test-set predictions of all folds."""
    predicted = out_of_fold(run, model)
    tested = predicted != UNKNOWN
    label = stages.prepared(run).label.values[tested].astype(int)
    return confusion_counts(label, predicted[tested], class_names=class_names(run))


def reliability_of(run: Run, model: str) -> Reliability:
    """How often the predicted class is right, against the stated probability, over all test sets."""
    label = stages.prepared(run).label.values.astype(int)
    folds, answers = stages.folds(run), stages.predictions(run)[model]
    truth = np.concatenate([label[fold.test] for fold in folds])
    return reliability(truth, np.concatenate([answer["probabilities"] for answer in answers]))


def prediction_pictures(run: Run) -> list[Picture]:
    """Test-set predictions of the ensemble for the first image of each class; -1 is background."""
    data, predicted = stages.prepared(run), out_of_fold(run, "emscnn")
    return [class_picture(data, image, predicted) for image in example_images(data)]
