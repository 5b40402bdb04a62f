"""Choice of the features that a local model may use, as in the `lime` package.

`LimeBase.feature_selection` of `lime` 0.2.0.1 (Ribeiro, Singh & Guestrin 2016, doi:10.1145/2939672.2939778).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftirlib.explain.lime.ridge import Fit, weighted_ridge

METHODS = ("none", "auto", "highest_weights", "forward_selection")
FEW = 6  # largest number of features that the package's "auto" adds one by one
RANKING_RIDGE = 0.01  # ridge of the fit to all features by which "highest_weights" ranks
DEPENDENT = 1e-12  # share of a feature's variation below which it depends on the chosen features


@dataclass(frozen=True)
class Selection:
    """Number of features, and the method of choosing them.

    Parameters
    ----------
    n : int
    method : {"auto", "highest_weights", "forward_selection"}
        Largest ``|coefficient x design at the spectrum|`` of a fit to all features; or one by one, each time the
        feature that leaves the smallest residual. ``auto``: one by one up to six, else the largest.
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
            The spectrum in the coordinates of the ranked products; default row 0 of the design.
        ranking : (n_labels, n_features) array, optional
            Coefficients of all features at `RANKING_RIDGE`; default: fitted here.

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
        others = (
            np.concatenate([getattr(p, name) for p in parts], axis=1) for name in list(Fit.__dataclass_fields__)[1:]
        )
        return Fit(coef, *others)


def _one_by_one(design, weights, targets, n: int) -> np.ndarray:
    """(n_labels, n) features, each the best addition to the features before it; the first of equals.

    The gain of a feature is its squared product with the residual over its own square, both without the part that the
    chosen features explain; one product with the design per choice updates them.
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
                continue  # it depends on the features before it
            direction = columns[:, best] - (basis @ columns[:, best]) @ basis
            direction /= np.linalg.norm(direction)
            shadow = direction @ columns
            left -= np.square(shadow)
            products -= (direction @ residual) * shadow
            basis = np.vstack([basis, direction])
    return chosen
