"""How much one multi-class model scores above another, and what a protocol claims, with intervals over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftirlib.report.multiclass import bootstrap_multiclass, multiclass_scores
from ftirlib.report.uncertainty import Interval, grouped_bootstrap


def gain(y_true, first, second, groups, *, class_names: Sequence[str], score: str = "mcc", **bootstrap) -> Interval:
    """How much higher a score of one model's predictions is than another's, on the same draws of groups.

    Parameters
    ----------
    y_true, first, second : (n_spectra,) int
        Classes, and the predictions of the two models.
    groups : (n_spectra,) array
        Patient or preparation of each spectrum.
    class_names : sequence of str
    score : str
        Of `ftirlib.report.multiclass.multiclass_scores`.
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `grouped_bootstrap`.
    """

    def difference(y, a, b):
        return (
            multiclass_scores(y, a, class_names=class_names)[score]
            - (multiclass_scores(y, b, class_names=class_names)[score])
        )

    return grouped_bootstrap(difference, groups, y_true, first, second, **bootstrap)


def leak_intervals(
    answers: Mapping[tuple[str, str], Mapping], *, class_names: Sequence[str], **bootstrap
) -> dict[tuple[str, str], dict[str, Interval]]:
    """Intervals of the eight scores of one classifier under each protocol.

    Parameters
    ----------
    answers : mapping
        By when it over-samples and how it splits: ``y_true``, ``predicted`` and ``group``, each (n_spectra,).
    class_names : sequence of str
    **bootstrap
        ``n_resamples``, ``confidence`` and ``random_state`` of `bootstrap_multiclass`.
    """
    return {
        protocol: bootstrap_multiclass(
            found["y_true"], found["predicted"], found["group"], class_names=class_names, **bootstrap
        )
        for protocol, found in answers.items()
    }
