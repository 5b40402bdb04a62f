"""Spectra of a file in the place of a tensor: what the training loop asks of one, without the file in memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ftirlib.spectra.rowfile import RowFile


class StoredSpectra:
    """Spectra (n, n_wavenumbers) in a `RowFile`, or read like one, taken as tensors on a device.

    Parameters
    ----------
    file : RowFile, or another with its ``shape``, ``[rows]`` and ``blocks``
    device : torch.device or str
        Where what is taken goes.
    """

    dtype = torch.float32

    def __init__(self, file: RowFile, device: torch.device | str = "cpu"):
        self._file, self.device = file, device
        self.shape = torch.Size(file.shape)

    def __len__(self) -> int:
        return len(self._file)

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._file[rows.cpu().numpy()]).to(self.device)

    def to(self, device) -> StoredSpectra:
        return StoredSpectra(self._file, device)

    def split(self, size: int) -> Iterator[torch.Tensor]:
        """The spectra in order, at most `size` at a time."""
        for block in self._file.blocks(size):
            yield torch.from_numpy(block).to(self.device)
