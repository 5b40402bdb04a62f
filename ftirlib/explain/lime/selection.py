"""Choosing which features a local model may use, as the `lime` package chooses them.

`LimeBase.feature_selection` of `lime` 0.2.0.1 (Ribeiro, Singh & Guestrin 2016, doi:10.1145/2939672.2939778).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftirlib.explain.lime.ridge import Fit, weighted_ridge

METHODS = ("none", "auto", "highest_weights", "forward_selection")
FEW = 6  # up to so many, the package's "auto" adds features one by one
RANKING_RIDGE = 0.01  # of the fit to all features that "highest_weights" ranks by
DEPENDENT = 1e-12  # share of a feature's variation below which it adds nothing to those already chosen


@dataclass(frozen=True)
class Selection:
    """How many features, and how they are chosen.

    Parameters
    ----------
    n : int
    method : {"auto", "highest_weights", "forward_selection"}
        Largest ``|coefficient x design at the spectrum|`` of a fit to all features; or one by one, each time the
        one that leaves the smallest residual. ``auto``: one by one up to six, else the largest.
    """

    n: int
    method: str

    @property
    def is_by_rank(self) -> bool:
        return self.method == "highest_weights" or (self.method == "auto" and self.n > FEW)

    def fit(self, design, weights, targets, ridge, *, first=None, ranking=None) -> Fit:
        """Choose features for one spectrum and fit them.

        Parameters
        ----------
        design : (n_samples, n_features) array
            Row 0 is the spectrum itself.
        weights : (n_samples,) array
        targets : (n_samples, n_labels) array
        ridge : float
        first : (n_features,) array, optional
            The spectrum in the coordinates whose products are ranked; default row 0 of the design.
        ranking : (n_labels, n_features) array, optional
            Coefficients of all features at `RANKING_RIDGE`; found here if left out.

        Returns
        -------
        Fit
            With a leading axis of length 1; zero where a feature was not chosen.
        """
        if self.is_by_rank:
            if ranking is None:
                ranking = weighted_ridge(design, weights, targets, RANKING_RIDGE).coef[0]
            products = np.abs(ranking * (design[0] if first is None else first))
            chosen = np.argsort(-products, axis=1, kind="stable")[:, : self.n]  # (n_labels, n)
        else:
            chosen = _one_by_one(design, weights, targets, self.n)
        coef = np.zeros((1, targets.shape[1], design.shape[1]))
        parts = []
        for label, used in enumerate(chosen):
            alone = weighted_ridge(design[:, used], weights, targets[:, [label]], ridge)
            coef[0, label, used] = alone.coef[0, 0]
            parts.append(alone)
        rest = (
            np.concatenate([getattr(p, name) for p in parts], axis=1) for name in list(Fit.__dataclass_fields__)[1:]
        )
        return Fit(coef, *rest)


def _one_by_one(design, weights, targets, n: int) -> np.ndarray:
    """(n_labels, n) features, each the best addition to those before it; the first of equals.

    The gain of a feature is its squared product with the residual over its own square, both less what the chosen
    features explain; these are kept up to date by one product with the design per choice.
    """
    root = np.sqrt(weights)[:, None]
    share = weights / weights.sum()
    columns = (design - share @ design) * root  # (n_samples, n_features)
    residuals = (targets - share @ targets) * root
    squares = np.square(columns).sum(0)
    chosen = np.empty((targets.shape[1], n), dtype=np.int64)
    for label, residual in enumerate(residuals.T):
        left, products = squares.copy(), residual @ columns
        basis = np.empty((0, len(columns)))
        for k in range(n):
            is_new = left > DEPENDENT * squares
            gain = np.divide(np.square(products), left, out=np.zeros_like(left), where=is_new)
            gain[chosen[label, :k]] = -1
            best = chosen[label, k] = gain.argmax()
            if not is_new[best]:
                continue  # it depends on those before it and changes nothing
            direction = columns[:, best] - (basis @ columns[:, best]) @ basis
            direction /= np.linalg.norm(direction)
            shadow = direction @ columns
            left -= np.square(shadow)
            products -= (direction @ residual) * shadow
            basis = np.vstack([basis, direction])
    return chosen
