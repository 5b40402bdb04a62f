"""The paper: its settings, and each stage beside the function that a worker runs."""

from ftirlib.method.run import Run, open_run

__all__ = ["Run", "open_run"]
