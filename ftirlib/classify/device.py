"""Where networks compute, by the names of PyTorch (https://pytorch.org/docs/stable/tensor_attributes.html)."""

from __future__ import annotations

import torch

from ftirlib.errors import SettingsError


def choose_device(device: str) -> torch.device:
    """The device named, or for "auto" the accelerator that torch finds, else the processor.

    Raises
    ------
    SettingsError
        A device that is not there.
    """
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"the device {device!r} cannot be used ({reason}); choose 'auto' or 'cpu'.") from None
