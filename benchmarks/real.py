"""Real spectra: what splitting patients would claim, every model with patients kept whole, and a map predicted.

    python benchmarks/real.py BRAIN.npz MAP.npz --run results/quick --out book/measured/real.md

Writes the page "reproduce" includes. The two files are not part of the project; see the page for their sources.
"""

import argparse
import datetime
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ftirlib.classify.baselines import PCALDA
from ftirlib.command.tables import machine_table, markdown
from ftirlib.method import stages
from ftirlib.method.run import open_run
from ftirlib.spectra.model import open_spectra

COMMAND = str(Path(sys.executable).with_name("ftirlib"))
SEEDS = range(5)


def ftirlib(*arguments) -> str:
    done = subprocess.run([COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def leak(data) -> tuple[list[float], list[float]]:
    """Balanced accuracy of PCA and LDA with whole patients, and with patients divided, for each seed."""
    inside = (data.wavenumber.values >= 1000) & (data.wavenumber.values <= 1801)
    spectra, label, group = data.absorbance.values[:, inside], data.label.values, data.group.values

    def score(splitter):
        predicted = np.empty_like(label)
        for train, test in splitter.split(spectra, label, group):
            predicted[test] = PCALDA().fit(spectra[train], label[train]).predict(spectra[test])
        return balanced_accuracy_score(label, predicted)

    whole = [score(StratifiedGroupKFold(5, shuffle=True, random_state=seed)) for seed in SEEDS]
    divided = [score(StratifiedKFold(5, shuffle=True, random_state=seed)) for seed in SEEDS]
    return whole, divided


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("brain")
    parser.add_argument("map")
    parser.add_argument("--run", type=Path, required=True, help="finished run of simulated spectra, for the map")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ["--label", "label", "--group", "patient", "--unit", "absorbance"]
        classes = ["--classes", "Normal,Astrocytoma,Glioblastoma", "--positive", "Astrocytoma,Glioblastoma"]
        ftirlib("import", arguments.brain, folder / "brain.zarr", *options, *classes)
        ftirlib("run", "--data", folder / "brain.zarr", "--out", folder / "run")
        whole, divided = leak(open_spectra(folder / "brain.zarr"))
        import pandas as pd

        with open_run("quick", data=folder / "brain.zarr", out=folder / "run") as run:
            scores = stages.scores(run)
            rows = []
            balanced = scores[(scores.score == "balanced_accuracy") & (scores.target == "labels")].set_index("model")
            for model, row in balanced.iterrows():
                spread = f"{row['mean']:.2f} ± {row.sd:.2f}"
                rows.append((model, spread, f"{row.low:.2f} to {row.high:.2f}", f"{row.majority:.2f}"))
        columns = ["model", "balanced accuracy, four folds", "bootstrap over patients", "majority"]
        table = markdown(pd.DataFrame(rows, columns=columns))
        ftirlib("import", arguments.map, folder / "map.zarr", "--unit", "percent", "--pixel-size-um", 6.25)
        said = ftirlib("predict", arguments.run, folder / "map.zarr", folder / "map").splitlines()
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    text = (
        f"Measured on {today} with the `quick` profile.\n\n"
        f"Principal components and LDA, five-fold, over {len(SEEDS)} seeds: balanced accuracy "
        f"{min(whole):.2f} to {max(whole):.2f} with patients kept whole, {min(divided):.2f} to {max(divided):.2f} "
        "with the spectra of each patient divided between training and test. The second is what a leak claims.\n\n"
        f"{table}\n"
        f"The tissue map, through networks trained on simulated spectra: {said[0]}; {said[1]}. The map has no labels, "
        f"so this shows that real files go all the way, not that the classes are right.\n\n{machine_table()}"
    )
    arguments.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
