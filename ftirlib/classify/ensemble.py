"""The ensemble of MSCNNs (EMSCNN): members good enough on validation vote.

Hartigan et al. (paper A), "MSCNN Performance": members whose validation score passes a threshold, here the
authors' weighted or unweighted mean sensitivity as the caller chooses, and the majority vote among them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ftirlib.classify.checks import check_grid
from ftirlib.classify.prediction import Vote
from ftirlib.classify.training import MSCNNClassifier
from ftirlib.classify.weights import load_json, save_json
from ftirlib.errors import DataError, ModelError, SettingsError
from ftirlib.spectra.prepare.recipe import check_prepared

VOTING = ("hard", "soft")


def select_members(
    scores_by_fold: Sequence[Sequence[float]], threshold: float | str | None = 0.55
) -> tuple[list[np.ndarray], float]:
    """Choose the members of each fold whose validation score exceeds the threshold.

    Parameters
    ----------
    scores_by_fold : sequence of (n_members,) sequences
        Validation score of each member, fold by fold; folds may differ in their number of members.
    threshold : float, "fold_median" or None
        A number, as the paper's 0.55. "fold_median": the median over all members of all folds, as the paper
        describes it. None: everyone.

    Returns
    -------
    chosen : list of (n_members,) bool arrays
        One per fold. Where nobody passes, the best member (the first of equals) stays, with a warning.
    bar : float
        The score to exceed; minus infinity for None.

    Raises
    ------
    SettingsError
        An unknown threshold, or scores that are missing or not finite.

    Notes
    -----
    Spectra that test one fold validate another, so a median over folds lets test spectra take part in choosing
    members: its test scores are slightly optimistic. A number fixed beforehand has no such leak; report both.
    """
    scores = [np.asarray(s, np.float64) for s in scores_by_fold]
    if not scores or any(s.ndim != 1 or s.size == 0 or not np.isfinite(s).all() for s in scores):
        raise SettingsError("every fold needs at least one member, each with a finite validation score.")
    bar = _bar(scores, threshold)
    chosen = []
    for k, s in enumerate(scores):
        passed = s > bar
        if not passed.any():
            warnings.warn(
                f"no member of fold {k} scores above {bar:.3g} (the best: {s.max():.3g}); its best member stays alone.",
                stacklevel=2,
            )
            passed = np.arange(s.size) == s.argmax()
        chosen.append(passed)
    return chosen, bar


def _bar(scores, threshold) -> float:
    if threshold is None:
        return -np.inf
    if isinstance(threshold, str) and threshold == "fold_median":
        return float(np.median(np.concatenate(scores)))
    if isinstance(threshold, (int, float, np.number)) and np.isfinite(threshold):
        return float(threshold)
    raise SettingsError(f"threshold is {threshold!r}; give a number, 'fold_median' or None.")


def vote(probabilities: Iterable[np.ndarray], voting: str) -> np.ndarray:
    """What an ensemble answers, from the (n, n_classes) probabilities of its members.

    Parameters
    ----------
    probabilities : iterable of (n, n_classes) arrays
    voting : {"hard", "soft"}
        The share of members that vote for a class, or their mean probability.
    """
    total, n_members = None, 0
    for one in probabilities:
        total, n_members = np.zeros(one.shape) if total is None else total, n_members + 1
        if voting == "hard":
            total[np.arange(len(one)), one.argmax(axis=1)] += 1
        else:
            total += one
    total /= n_members
    return total


class EMSCNN(ClassifierMixin, BaseEstimator):
    """Vote of the MSCNNs whose validation score exceeds a threshold.

    Parameters
    ----------
    members : sequence of MSCNNClassifier
        Fitted, on one grid.
    threshold : float, "fold_median" or None
        As in `select_members`.
    voting : {"hard", "soft"}
        What ``predict_proba`` gives: the share of members that vote for a class, or their mean probability.
    fold_scores : sequence of sequences of float, optional
        Validation scores of the members of every fold, this one included; with ``threshold="fold_median"`` only.

    Attributes
    ----------
    members_ : list of MSCNNClassifier
        Those who vote.
    selected_ : (n_members,) bool array
    scores_ : (n_members,) array
    threshold_ : float
        The score that had to be exceeded.
    classes_ : array
        All classes that any voting member knows.
    wavenumber_ : (n_wavenumbers,) array, cm-1
    recipe_ : list of mappings or None
        How the members' spectra were prepared; a data set prepared otherwise is refused.
    n_features_in_ : int
    """

    def __init__(self, members=(), *, threshold=0.55, voting: str = "hard", fold_scores=None):
        self.members = members
        self.threshold = threshold
        self.voting = voting
        self.fold_scores = fold_scores

    def fit(self, X=None, y=None):
        """Choose the voting members; nothing is trained.

        Parameters
        ----------
        X, y : optional
            Validation spectra and labels to score the members on (balanced accuracy). Without them, each member's
            own ``validation_score_`` counts.

        Raises
        ------
        SettingsError
            An unknown option, options that contradict each other, or no members.
        ModelError
            A member that is not fitted or is on another grid.
        """
        if self.voting not in VOTING:
            raise SettingsError(f"voting is {self.voting!r}; choose one of {VOTING}.")
        if (self.threshold == "fold_median") != (self.fold_scores is not None):
            raise SettingsError(
                "fold_scores and threshold='fold_median' go together: the median needs the scores of every fold, "
                "and nothing else uses them."
            )
        if (X is None) != (y is None):
            raise SettingsError("give both spectra and labels to score the members on, or neither.")
        members = list(self.members)
        if not members:
            raise SettingsError("an ensemble needs at least one fitted member.")
        for i, member in enumerate(members):
            if not isinstance(member, MSCNNClassifier) or not hasattr(member, "network_"):
                raise ModelError(f"member {i} is no fitted MSCNNClassifier; fit every member first.")
            try:
                check_grid(member.wavenumber_, members[0].wavenumber_)
            except DataError as error:
                raise ModelError(f"member {i} is on another grid than member 0: {error}") from None
            try:
                check_prepared(members[0].recipe, member.recipe or [], taker="member 0")
            except DataError as error:
                raise ModelError(f"member {i} is of spectra prepared otherwise than member 0's: {error}") from None
        if X is None:
            scores = [member.validation_score_ for member in members]
        else:
            scores = [balanced_accuracy_score(y, member.predict(X)) for member in members]
        # with the scores of every fold the bar is theirs; the choice is among this fold's members either way
        bar = _bar(self.fold_scores, self.threshold) if self.fold_scores is not None else self.threshold
        (selected,), self.threshold_ = select_members([scores], bar)
        return self._set(members, np.asarray(scores), selected)

    def _set(self, members, scores, selected):
        self.scores_, self.selected_ = scores, selected
        self.members_ = [member for member, chosen in zip(members, selected) if chosen]
        self.classes_ = np.unique(np.concatenate([member.classes_ for member in self.members_]))
        self.wavenumber_, self.n_features_in_ = members[0].wavenumber_, members[0].n_features_in_
        self.recipe_ = members[0].recipe
        return self

    def predict_proba(self, X):
        """Votes or mean probabilities (n_spectra, n_classes), columns in the order of ``classes_``."""
        check_is_fitted(self)
        answers = []
        for member in self.members_:
            probability = member.predict_proba(X)
            aligned = np.zeros((len(probability), len(self.classes_)))
            aligned[:, np.searchsorted(self.classes_, member.classes_)] = probability
            answers.append(aligned)
        return vote(answers, self.voting)

    def predict(self, X):
        """The class with most votes; ties go to the class listed first."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def as_module(self) -> nn.Module:
        """A module from spectra (n, n_wavenumbers) to the members' mean probabilities, whatever `voting` is.

        Votes have no gradient; explanations that need one take this.
        """
        return self._vote(hard=False)

    def prediction_module(self) -> nn.Module:
        """A module from spectra (n, n_wavenumbers) to what ``predict_proba`` gives, in single precision."""
        return self._vote(hard=self.voting == "hard")

    def _vote(self, hard: bool) -> Vote:
        check_is_fitted(self)
        return Vote(
            [member.folded_ for member in self.members_],
            [np.searchsorted(self.classes_, member.classes_) for member in self.members_],
            len(self.classes_),
            hard=hard,
        )

    def save(self, folder) -> Path:
        """Write ``ensemble.json`` and a folder for each member, those who do not vote included."""
        check_is_fitted(self)
        folder = Path(folder)
        for i, member in enumerate(self.members):
            member.save(folder / f"member_{i:03d}")
        description = {
            "voting": self.voting,
            "threshold": self.threshold,
            "fold_scores": None if self.fold_scores is None else [list(map(float, s)) for s in self.fold_scores],
            "bar": None if np.isinf(self.threshold_) else self.threshold_,
            "scores": self.scores_.tolist(),
            "selected": self.selected_.tolist(),
        }
        save_json(folder / "ensemble.json", description, kind="EMSCNN")
        return folder

    @classmethod
    def load(cls, folder, *, device: str = "cpu") -> EMSCNN:
        """Read what `save` wrote.

        Raises
        ------
        ModelError
            A file that is missing, torn or of another architecture.
        """
        folder = Path(folder)
        found = load_json(folder / "ensemble.json", kind="EMSCNN")
        try:
            scores, selected = np.asarray(found["scores"]), np.asarray(found["selected"], bool)
            members = [MSCNNClassifier.load(folder / f"member_{i:03d}", device=device) for i in range(len(scores))]
            if len(selected) != len(scores):
                raise ModelError(f"'{folder}' has {len(selected)} choices for {len(scores)} members; save it again.")
            self = cls(members, threshold=found["threshold"], voting=found["voting"], fold_scores=found["fold_scores"])
            self.threshold_ = -np.inf if found["bar"] is None else found["bar"]
        except (KeyError, TypeError) as error:
            raise ModelError(f"'{folder / 'ensemble.json'}' is incomplete or of another version: {error}.") from None
        return self._set(members, scores, selected)
