"""Minutes from an empty clone to the book, of a second `make book`, and of one after an edit to one notebook.

    python benchmarks/book.py [--json FILE]

Clones the checkout it is in to a temporary folder and gives the installer an empty cache.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def make_book(clone: Path, cache: Path) -> tuple[float, str]:
    """Seconds of `make book`, and what it printed."""
    environment = os.environ | {"PIP_CACHE_DIR": str(cache / "pip"), "UV_CACHE_DIR": str(cache / "uv")}
    started = time.perf_counter()
    done = subprocess.run(["make", "book"], cwd=clone, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - started, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        clone, cache = Path(folder) / "clone", Path(folder) / "cache"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        found["empty clone, empty cache"], _ = make_book(clone, cache)
        found["nothing changed"], _ = make_book(clone, cache)
        notebook = clone / "notebooks" / "03_baselines.py"
        notebook.write_text(notebook.read_text() + '\n# %% tags=["remove-cell"]\nprint("edited")\n')
        executed = clone / "results" / "quick" / "executed"
        before = {p.parent.name: p.stat().st_mtime for p in executed.glob("*/manifest.json")}
        found["one notebook edited"], _ = make_book(clone, cache)
        after = {p.parent.name: p.stat().st_mtime for p in executed.glob("*/manifest.json")}
        found["notebooks run again after the edit"] = [name for name in after if after[name] != before[name]]
    for name, value in found.items():
        print(f"{name:36} {value if isinstance(value, list) else f'{value:.0f} s'}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
