"""The random order in which an epoch takes its spectra, however many: of a cohort it is computed, not held.

A few million are drawn as torch draws them. Of more, the order is a Feistel network on the spectra's numbers (Luby and
Rackoff 1988, doi:10.1137/0217022): a permutation by construction, of which any part can be computed alone. Its domain
is the next power of two; a number that falls beyond the spectra is sent through again until it is one of theirs
(cycle walking, Black and Rogaway 2002, doi:10.1007/3-540-45760-7_9).
"""

from __future__ import annotations

import torch

DRAWN = 1 << 22  # spectra: as many numbers of four bytes are held, and as many again while they are drawn
ROUNDS = 8  # twice as many as the proof asks of ideal round functions
MIX = (-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)  # multipliers of SplitMix64 (Steele et al. 2014), as signed numbers


def random_order(n: int) -> torch.Tensor | ComputedOrder:
    """The numbers 0 to n - 1 in an order that torch's global generator decides, to be taken by slices."""
    return torch.randperm(n, dtype=torch.int32) if n <= DRAWN else ComputedOrder(n)


class ComputedOrder:
    """A random order of the numbers 0 to n - 1 that is computed where it is asked for.

    Parameters
    ----------
    n : int
        From 2 to 2**62.
    """

    def __init__(self, n: int):
        self.n = n
        bits = (n - 1).bit_length()
        self._widths = bits - bits // 2, bits // 2  # of the upper and the lower half of a number
        self._keys = torch.empty(ROUNDS, dtype=torch.int64).random_(-(2**63), None).tolist()

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, part: slice) -> torch.Tensor:
        """The numbers at some places of the order, int64."""
        start, stop, step = part.indices(self.n)
        numbers = self._permuted(torch.arange(start, max(start, stop), step))
        while (beyond := numbers >= self.n).any():
            numbers[beyond] = self._permuted(numbers[beyond])
        return numbers

    def _permuted(self, numbers: torch.Tensor) -> torch.Tensor:
        upper, lower = self._widths
        high, low = numbers >> lower, numbers & ((1 << lower) - 1)
        for k, key in enumerate(self._keys):
            if k % 2:
                low = low ^ _hash(high, key, lower)
            else:
                high = high ^ _hash(low, key, upper)
        return high << lower | low


def _hash(numbers: torch.Tensor, key: int, bits: int) -> torch.Tensor:
    """The low `bits` bits of a hash of each number, by the finaliser of SplitMix64."""
    z = numbers + key
    for shift, factor in zip((30, 27), MIX):
        z = (z ^ _shifted(z, shift)) * factor
    return (z ^ _shifted(z, 31)) & ((1 << bits) - 1)


def _shifted(z: torch.Tensor, by: int) -> torch.Tensor:
    """Shifted right as a number without sign."""
    return (z >> by) & ((1 << (64 - by)) - 1)
