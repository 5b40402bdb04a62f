"""Reading of a simulated core of the public colorectal cohort, and time and memory of a whole import.

python benchmarks/colorectal.py [--cores 12] [--repeats 5] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

SHAPE = (88, 88)  # pixels of a core
IMPORT = """
import sys, warnings
warnings.simplefilter("ignore")
from ftirlib.engine.store import peak_memory_mb
from ftirlib.sources.colorectal_store import import_colorectal
data = import_colorectal(sys.argv[1], sys.argv[2], tissue=sys.argv[3])
print(data.sizes["spectrum"], peak_memory_mb())
"""


def main() -> None:
    from colorectal_layout import write_cohort

    from ftirlib.sources.colorectal import read_spectra

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=12, help="of the larger of two imports; the smaller has a third")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    positions = [f"{letter}{digit}" for letter in "BCDEFGHI" for digit in range(1, 7)]
    if not 3 <= arguments.cores <= len(positions):
        parser.error(f"--cores must lie between 3 and {len(positions)}")
    with tempfile.TemporaryDirectory() as scratch:
        classes = ("NC", "CRC", "CRLM")
        table = {1: [(p, classes[k % 3], f"{k}_00", "yes") for k, p in enumerate(positions[: arguments.cores])]}
        root = write_cohort(Path(scratch), shape=SHAPE, table=table, decimals=5)
        path = next(root.glob("TMA1/MIR/spectra/*.txt"))
        times = []
        for _ in range(arguments.repeats):
            started = time.perf_counter()
            read_spectra(path)
            times.append(time.perf_counter() - started)
        megabytes = path.stat().st_size / 1e6
        numbers = {"file_mb": megabytes, "seconds": min(times)}
        print(f"one core, {megabytes:.0f} MB of text: {min(times):.2f} s, {megabytes / min(times):.0f} MB a second")
        for n in (arguments.cores // 3, arguments.cores):
            folder = Path(scratch) / f"first-{n}"
            (folder / "TMA1" / "MIR" / "spectra").mkdir(parents=True)
            name = "TMA1/TMA1_core_metadata.csv"
            (folder / name).write_text((root / name).read_text())
            for core in sorted(root.glob("TMA1/MIR/spectra/*.txt"))[:n]:
                (folder / core.relative_to(root)).symlink_to(core)
            started = time.perf_counter()
            command = [sys.executable, "-c", IMPORT, str(folder), str(Path(scratch) / f"{n}.zarr"), "none"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - started
            n_spectra, peak = map(float, done.stdout.split())
            numbers[f"import_{n}_cores"] = {"seconds": seconds, "spectra": int(n_spectra), "peak_mb": peak}
            print(f"import of {n} cores, {n_spectra:.0f} spectra: {seconds:.1f} s, at most {peak:.0f} MB of memory")
    if arguments.json:
        arguments.json.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
