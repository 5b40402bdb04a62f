"""Scores of a classifier, each under its own name; undefined scores are NaN, with the reason.

Scores as in Hartigan, Azevedo & Liò (Figure 2), and the eight of Abdo et al. 2024 (10.5815/ijisa.2024.04.02) for many
classes; formulas in `ftirlib.report.tally`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ftirlib.errors import DataError
from ftirlib.report.tally import Tally
from ftirlib.report.uncertainty import Interval, grouped_bootstrap

SCORE_TITLES = {
    "accuracy": "Accuracy (SWS)",
    "balanced_accuracy": "Balanced accuracy",
    "mcc": "MCC",
    "binary_accuracy": "Binary accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "Calibration error",
}
BINARY_SCORES = ("binary_accuracy", "sensitivity", "specificity", "precision", "f1", "auroc", "auprc")
PROBABILITY_SCORES = ("auroc", "auprc", "brier", "ece")
MULTICLASS_TITLES = {
    "accuracy": "Accuracy",
    "error": "Error rate",
    "sensitivity": "Sensitivity (macro)",
    "precision": "Precision (macro)",
    "false_positive_rate": "False positive rate (macro)",
    "f1": "F1 (macro)",
    "mcc": "MCC",
    "kappa": "Cohen's kappa",
}
LOWER_IS_BETTER = ("brier", "ece", "error", "false_positive_rate")

_MACRO = {"sensitivity": "balanced_accuracy", "precision": "macro_precision", "f1": "macro_f1"}  # of the eight

_UNDEFINED = {  # why a score is 0/0, once its inputs are there
    "mcc": "all labels, or all predictions, are of one class",
    "kappa": "all labels and all predictions are of one class",
    "false_positive_rate": "every spectrum is labelled with one class",
    "sensitivity": "no spectrum is labelled positive",
    "specificity": "every spectrum is labelled positive",
    "precision": "no spectrum is predicted positive",
    "f1": "no spectrum is positive, by label or by prediction",
    "auroc": "the labels hold one side of the binary view only",
    "auprc": "no spectrum is labelled positive",
}


class Scores(dict):
    """Scores by name, as a dict of float; `reasons` says for each NaN why the score is undefined."""

    def __init__(self, values=(), reasons=()):
        super().__init__(values)
        self.reasons: dict[str, str] = dict(reasons)


def classification_scores(
    y_true, predicted, probabilities=None, *, class_names: Sequence[str], positive_classes: Sequence[str]
) -> Scores:
    """Score predictions against labels, over all classes and in the binary view.

    Parameters
    ----------
    y_true, predicted : (n_spectra,) int
        Positions in `class_names`.
    probabilities : (n_spectra, n_classes) array, optional
        One distribution per spectrum, columns in the order of `class_names`.
    class_names : sequence of str
    positive_classes : sequence of str
        Classes that count as positive in the binary view; may be several. When empty there is no binary view and its
        scores are NaN.

    Returns
    -------
    Scores
        A dict of float with the keys below. A score that cannot be computed (0/0, no probabilities, no positive
        class) is NaN, and the attribute ``reasons`` says why.

        Over all classes: ``accuracy``; ``error``, 1 less accuracy; ``balanced_accuracy``, the plain mean of the
        sensitivities of the classes that occur in `y_true`; ``macro_precision``, ``false_positive_rate`` and
        ``macro_f1``, such means too; ``mcc``, Gorodkin's R_K; ``kappa``, Cohen's; ``sensitivity_<class>`` for every
        class; ``brier``, the squared distance between probabilities and the one-hot label, summed over classes
        (0 to 2); ``ece``, the calibration error of the largest probability over 15 equal bins (see `reliability`).

        Binary, after merging the positive classes and the others: ``binary_accuracy``, ``sensitivity``,
        ``specificity``, ``precision``, ``f1``, and on the summed probability of the positive classes ``auroc``
        and ``auprc`` (average precision, not interpolated). Both are exact for shares of up to 3,600 votes;
        other probabilities are ranked by 65,535 bins of their log-odds (see `ftirlib.report.tally.rank_bins`).

    Raises
    ------
    DataError
        Unknown labels (-1), codes beyond the classes, shapes that disagree, rows that are no distribution.

    Notes
    -----
    The "sample weighted sensitivity" of Hartigan, Azevedo & Liò weights the sensitivity TP_k / n_k of class k by its
    share n_k / N, so SWS = sum_k (n_k / N) (TP_k / n_k) = sum_k TP_k / N, which is the accuracy: ``accuracy`` over
    all classes and ``binary_accuracy`` in the binary view. Either is as high as the largest class is common for a
    model that knows nothing; compare with `majority_scores`.

    Examples
    --------
    >>> scores = classification_scores([0, 0, 1, 1], [0, 1, 1, 1], class_names=["a", "b"], positive_classes=["b"])
    >>> scores["accuracy"], scores["sensitivity"], scores["specificity"]
    (0.75, 1.0, 0.5)
    >>> scores.reasons["auroc"]
    'no probabilities were given'
    """
    tally = Tally(class_names=class_names, positive_classes=positive_classes)
    tally.add(y_true, predicted, probabilities)
    return tally_scores(tally)


def tally_scores(tally: Tally) -> Scores:
    """Scores of all answers of a tally, as `classification_scores` gives them.

    Raises
    ------
    DataError
        A tally without spectra.
    """
    if not tally.confusion.any():
        raise DataError("the tally holds no spectra; add answers before asking for scores.")
    scores = Scores({name: float(value[0]) for name, value in tally.scores().items()})
    scores.reasons = _reasons(scores, not tally.with_probabilities, tally.positive)
    return scores


def score_intervals(tally: Tally, less: Tally | None = None, **bootstrap) -> dict[str, Interval]:
    """Interval of every score of a tally over draws of its groups, or of its difference to that of a second tally.

    Both tallies see the same draws of patients, so difficulty that they share cancels; two separate intervals that
    overlap say little about the difference.

    Parameters
    ----------
    tally : Tally
    less : Tally, optional
        Of the same labels and groups, answered by another model; its scores are subtracted.
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `grouped_bootstrap`.

    Returns
    -------
    dict of Interval
        By the names of `classification_scores`. The result is that of `grouped_bootstrap` over spectra with the same
        seed, but is computed from counts per group, a hundred times faster.

    Raises
    ------
    DataError
        Spectra of a single group, or of none; or only one of two tallies has probabilities.
    SettingsError
        As `grouped_bootstrap`.
    """
    tally_scores(tally)  # refuses a tally without spectra
    if less is not None and tally.with_probabilities != less.with_probabilities:
        raise DataError("only one of the two models comes with probabilities; give both or none.")
    present = np.flatnonzero(tally.confusion.any(axis=(1, 2)))

    def scores(drawn):
        times = np.zeros((len(drawn), tally.n_groups), np.int64)
        times[:, present] = drawn
        values = tally.scores(times)
        if less is None:
            return values
        other = less.scores(times)
        return {name: values[name] - other[name] for name in values}

    return grouped_bootstrap(scores, present, by_counts=True, **bootstrap)


def multiclass(scores: Mapping) -> dict:
    """The eight scores of `MULTICLASS_TITLES` among all scores, or their intervals, by name.

    Sensitivity, precision and F1 are those of the classes, averaged, and not those of the binary view.
    """
    return {name: scores[_MACRO.get(name, name)] for name in MULTICLASS_TITLES}


def multiclass_scores(y_true, predicted, *, class_names: Sequence[str]) -> Scores:
    """The eight scores of predictions of many classes against labels.

    Parameters
    ----------
    y_true, predicted : (n_spectra,) int
        Positions in `class_names`.
    class_names : sequence of str

    Returns
    -------
    Scores
        A dict of float by the names of `MULTICLASS_TITLES`; a score that is 0/0 is NaN, with the reason in
        ``reasons``.

    Raises
    ------
    DataError
        Unknown labels (-1), codes beyond the classes, shapes that disagree.

    Notes
    -----
    Sensitivity, precision, false positive rate and F1 are computed for each class against all others and averaged
    without weights over the classes that occur in `y_true`; sensitivity is thus the balanced accuracy. A class that is
    labelled but never predicted has a precision of 0 (not undefined): else a model could gain by never naming it.
    A false positive rate is small with many classes whatever the model: the negatives of a class are most spectra.

    Examples
    --------
    >>> scores = multiclass_scores([0, 0, 1, 2], [0, 1, 1, 2], class_names=["a", "b", "c"])
    >>> scores["accuracy"], scores["error"], round(scores["kappa"], 3)
    (0.75, 0.25, 0.636)
    """
    scores = classification_scores(y_true, predicted, class_names=class_names, positive_classes=())
    eight = multiclass(scores)
    return Scores(eight, {name: scores.reasons[_MACRO.get(name, name)] for name in eight if np.isnan(eight[name])})


def multiclass_intervals(
    y_true, predicted, groups, *, class_names: Sequence[str], less=None, **bootstrap
) -> dict[str, Interval]:
    """Intervals of the eight scores over draws of groups, or of their differences to those of other predictions.

    Parameters
    ----------
    y_true, predicted : (n_spectra,) int
    groups : (n_spectra,) array
        Patient or preparation of each spectrum.
    class_names : sequence of str
    less : (n_spectra,) int, optional
        Predictions of another model, whose scores are subtracted.
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `grouped_bootstrap`.
    """
    options = {"groups": groups, "class_names": class_names, "positive_classes": ()}
    tallies = [Tally.of(y_true, answers, **options) for answers in (predicted, less) if answers is not None]
    return multiclass(score_intervals(*tallies, **bootstrap))


def majority_scores(
    counts, train_counts, *, class_names: Sequence[str], positive_classes: Sequence[str] = ()
) -> Scores:
    """Scores of knowing the training labels and nothing else, which every model has to beat.

    The prediction is always the most common training class (the first of equals), and the probabilities are the
    class shares of the training set.

    Parameters
    ----------
    counts, train_counts : (n_classes,) int
        Spectra of each class among those to score, and in the training set.
    class_names, positive_classes : sequence of str
        As in `classification_scores`.

    Returns
    -------
    Scores
        As from `classification_scores`.

    Raises
    ------
    DataError
        No spectra to score.
    """
    counts, train_counts = np.asarray(counts), np.asarray(train_counts)
    occurs, shares = np.flatnonzero(counts), train_counts / train_counts.sum()
    tally = Tally(class_names=class_names, positive_classes=positive_classes)
    tally.add(occurs, np.full_like(occurs, shares.argmax()), np.tile(shares, (len(occurs), 1)), count=counts[occurs])
    return tally_scores(tally)


def _reasons(scores, without_probabilities: bool, positive) -> dict[str, str]:
    reasons = {}
    for name in (name for name, value in scores.items() if np.isnan(value)):
        if without_probabilities and name in PROBABILITY_SCORES:
            reasons[name] = "no probabilities were given"
        elif not positive.any() and name in BINARY_SCORES:
            reasons[name] = "no class is named positive"
        else:
            reasons[name] = _UNDEFINED.get(name) or f"no spectrum is labelled {name.removeprefix('sensitivity_')}"
    return reasons
