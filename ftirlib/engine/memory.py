"""How much memory a process has used."""

from __future__ import annotations

import sys


def peak_memory_mb(*, children: bool = False) -> float:
    """Most memory this process has used since it began, MB (nan where the system cannot tell).

    Parameters
    ----------
    children : bool
        The most of it and of each of its finished children.
    """
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) if children else (resource.RUSAGE_SELF,)
    return max(resource.getrusage(w).ru_maxrss for w in who) * unit / 1e6
