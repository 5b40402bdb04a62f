"""What an ensemble answers, as one torch module: the mean of its networks' probabilities, or of their votes.

Voting as in Hartigan et al. (paper A), "MSCNN Performance"; the parts are those of `ftirlib.classify.prediction`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ftirlib.classify.prediction import FoldedMSCNN


class Vote(nn.Module):
    """Mean over networks of their class probabilities, or of their votes, (n, n_wavenumbers) to (n, n_classes).

    Parameters
    ----------
    networks : list of FoldedMSCNN
    columns : list of (its classes,) int arrays
        Where each of a network's classes belongs among the `n_classes`.
    n_classes : int
    hard : bool
        Each network gives its best class one vote, instead of its probabilities. Votes have no gradient.
    """

    def __init__(self, networks: list[FoldedMSCNN], columns, n_classes: int, *, hard: bool = False):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.ballots = nn.ModuleList(
            Ballot(net.rest, column, n_classes, hard) for net, column in zip(networks, columns)
        )

    def forward(self, spectra):
        return sum(ballot(net.affine(spectra)) for net, ballot in zip(self.networks, self.ballots)) / len(self.networks)

    def parts(self) -> list[tuple[nn.Module, nn.Module]]:
        """Pairs (affine, rest) whose ``rest(affine(spectra))`` have this module's output as their mean."""
        return [(net.affine, ballot) for net, ballot in zip(self.networks, self.ballots)]


class Ballot(nn.Module):
    """One network's answer in the columns of all classes, from what stands before its first non-linearity."""

    def __init__(self, rest: nn.Module, column, n_classes: int, hard: bool):
        super().__init__()
        self.rest, self.n_classes, self.hard = rest, n_classes, hard
        column = torch.as_tensor(column)
        self.is_whole = len(column) == n_classes  # ascending classes without a gap: already in place
        self.register_buffer("column", column.to(next(rest.buffers()).device))

    def forward(self, h):
        logits = self.rest(h)
        answer = F.one_hot(logits.argmax(dim=1), logits.shape[1]).to(logits) if self.hard else logits.softmax(dim=1)
        if self.is_whole:
            return answer
        return answer.new_zeros(len(answer), self.n_classes).index_copy(1, self.column, answer)
