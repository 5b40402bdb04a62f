"""Seconds of ``import ftirlib`` in a fresh process, beside an empty process: the fastest of several.

python benchmarks/importing.py [--repeats 5] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path


def fastest(code: str, repeats: int) -> float:
    """Least seconds of a fresh process that runs `code`."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = {
        "empty process": fastest("pass", arguments.repeats),
        "import ftirlib": fastest("import ftirlib", arguments.repeats),
    }
    for name, seconds in found.items():
        print(f"{name:16} {seconds:.3f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
