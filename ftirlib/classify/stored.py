"""Rows in the place of a tensor: what a training loop asks of one, without the rows in memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ftirlib.classify.walk import read_together


class StoredRows:
    """Spectra (n, n_wavenumbers) or class codes (n,), taken as tensors on a device.

    Parameters
    ----------
    rows : RowFile, Codes of labels in one, or others with a shape that are taken by slices and positions
    device : torch.device or str
        Where what is taken goes.
    """

    def __init__(self, rows, device: torch.device | str = "cpu"):
        self._rows, self.device = rows, device
        self.shape = torch.Size(rows.shape)
        self.dtype = torch.from_numpy(rows[:0]).dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: torch.Tensor | slice) -> torch.Tensor:
        found = self._rows[rows if isinstance(rows, slice) else rows.cpu().numpy()]
        return torch.from_numpy(found).to(self.device)

    def to(self, device) -> StoredRows:
        return StoredRows(self._rows, device)

    def split(self, size: int) -> Iterator[torch.Tensor]:
        """The rows in order, at most `size` at a time."""
        return (torch.from_numpy(block).to(self.device) for block in read_together(self._rows, size))
