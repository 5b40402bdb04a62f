"""Every benchmark at a size for two cores, one after the other: ``python -m benchmarks [--json FOLDER]``.

Each prints a table; with --json each also writes its numbers. `benchmarks.book` and `benchmarks.real` need a
network or real data and are run by themselves.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ALL = {
    "importing": [],
    "training": [],
    "prediction": [],
    "lime_modes": [],
    "linear": [],
    "phantom": [],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="folder for one JSON a benchmark")
    arguments = parser.parse_args()
    if arguments.json:
        arguments.json.mkdir(parents=True, exist_ok=True)
    failed = []
    for name, options in ALL.items():
        print(f"\n== {name}", flush=True)
        command = [sys.executable, str(Path(__file__).with_name(f"{name}.py")), *options]
        if arguments.json:
            command += ["--json", str(arguments.json / f"{name}.json")]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
