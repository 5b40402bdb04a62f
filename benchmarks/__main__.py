"""Every benchmark at a size for two cores: ``python -m benchmarks [NAME ...] [--json FOLDER] [--page FILE]``.

Each prints a table; with --json each also writes its numbers, with --page what they print becomes a page of the
book. `benchmarks.book`, `benchmarks.real` and `benchmarks.fusion_real` need a network or real data, and
`benchmarks.scale` a machine with nothing else to do for some hours: they are run by themselves.
"""

import argparse
import datetime
import os
import subprocess
import sys
from pathlib import Path

ALL = {
    "importing": [],
    "importing_files": [],
    "colorectal": [],
    "baselines": [],
    "training": [],
    "prediction": [],
    "lime_speed": [],
    "lime_trust": [],
    "lime_memory": [],
    "cohort_memory": [],
    "linear": [],
    "phantom": [],
    "attention": [],
    "fusion": [],
}


def _page(printed: list[tuple[str, str]]) -> str:
    """What was printed, as Markdown, with the day and the machine."""
    from ftirlib.command.tables import processor_name

    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    parts = [f"Measured on {day} on {os.cpu_count()} cores ({processor_name()}).\n"]
    for name, text in printed:
        parts.append(f"`benchmarks/{name}.py`\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(ALL), help=f"of {', '.join(ALL)}; default all")
    parser.add_argument("--json", type=Path, help="folder for one JSON a benchmark")
    parser.add_argument("--page", type=Path, help="Markdown file for what the benchmarks print")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(ALL):
        parser.error(f"there is no benchmark {sorted(unknown)}; choose from {', '.join(ALL)}")
    if arguments.json:
        arguments.json.mkdir(parents=True, exist_ok=True)
    failed, printed = [], []
    for name in arguments.names:
        options = ALL[name]
        print(f"\n== {name}", flush=True)
        command = [sys.executable, str(Path(__file__).with_name(f"{name}.py")), *options]
        if arguments.json:
            command += ["--json", str(arguments.json / f"{name}.json")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        printed.append((name, done.stdout))
        if done.returncode:
            failed.append(name)
    if arguments.page and not failed:
        arguments.page.write_text(_page(printed), encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
