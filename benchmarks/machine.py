"""The machine that a benchmark ran on, and the day: kept with its numbers."""

from __future__ import annotations

import datetime
import os
import platform

import torch

from ftirlib.command.tables import processor_name


def machine() -> dict:
    return {
        "day": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "python": platform.python_version(),
    }
