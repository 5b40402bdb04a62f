"""Real spectra through the fusion classifier, one MSCNN and two baselines, on folds of whole groups.

    python benchmarks/fusion_real.py UTIDATA.mat UTI_METADATA.xlsx --json book/measured/fusion_real.json

Tissue components and plastics are fetched by `ftirlib get`; the bacteria (Goodacre et al. 1998,
doi:10.1099/00221287-144-5-1157) are no part of the project. All go through `ftirlib import`; what their files lack, a
group, is added first, by a rule that is kept with the numbers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from machine import machine

from ftirlib.errors import DataError
from ftirlib.method import fusion_stages
from ftirlib.method.run import open_run
from ftirlib.method.settings import read_settings
from ftirlib.report.scores import multiclass_intervals
from ftirlib.sources.packages import get_public_set
from ftirlib.spectra.folds import N_SETS
from ftirlib.spectra.importing.readers import import_spectra

COMMAND = str(Path(sys.executable).with_name("ftirlib"))
BLOCK = 20  # consecutive spectra of tissue that count as one group
MOST = 100  # spectra of a class, evenly spaced in the file
BASELINES = ["pca-lda", "xgb"]
DIGITS = 4
SCORES = ("accuracy", "f1", "mcc", "kappa")


@dataclass(frozen=True)
class Source:
    """A file to import, how, and what was done to it before."""

    file: Path
    options: tuple[str, ...]
    group: str
    rule: str


def thinned(label) -> np.ndarray:
    """Rows, ascending, of at most MOST spectra of each class."""
    label = np.asarray(label)
    rows = [np.flatnonzero(label == name) for name in np.unique(label)]
    return np.sort(
        np.concatenate([of[np.linspace(0, len(of) - 1, min(MOST, len(of))).round().astype(int)] for of in rows])
    )


def tissue(table: Path, folder: Path) -> Source:
    """Tissue components, with a group: neither samples nor places are published."""
    lines = table.read_text(encoding="utf-8").splitlines()
    header, kinds, roles, *spectra = lines
    label = pd.Series([line.partition(",")[0] for line in spectra])
    stretch = (label != label.shift()).cumsum()
    block = label.groupby(stretch).cumcount() // BLOCK
    group = [f"{kind} {a}-{b}" for kind, a, b in zip(label, stretch, block)]
    kept = [f"{group[row]},{spectra[row]}" for row in thinned(label)]
    added = [f"block,{header}", f",{kinds}", f",{roles}", *kept]
    file = folder / "tissue.csv"
    file.write_text("\n".join(added) + "\n", encoding="utf-8")
    return Source(
        file,
        ("--label", "type", "--group", "block", "--skip-rows", "2", "--unit", "absorbance"),
        f"{BLOCK} consecutive spectra of the file",
        "the file names no sample, and neighbouring rows are probably neighbouring pixels",
    )


def bacteria(matlab: Path, sheet: Path, folder: Path) -> Source:
    """Bacteria, with the isolate from the sheet that describes the spectra row by row."""
    data = import_spectra(matlab, unit="absorbance")
    rows = pd.read_excel(sheet, header=None)
    start = int(np.flatnonzero(rows[0] == "Filename")[0]) + 2  # two lines of headings
    species, isolate = rows.iloc[start:, 3].str.strip(), rows.iloc[start:, 4]
    label = np.array(data.attrs["class_names"])[data.label.values]
    if len(rows) - start != len(label) or (species.str[:4].to_numpy() != pd.Series(label).str[:4].to_numpy()).any():
        raise DataError(f"'{sheet}' does not describe the spectra of '{matlab}' row by row; get both again.")
    file = folder / "bacteria.npz"
    np.savez(
        file,
        absorbance=data.absorbance.values,
        wavenumber=data.wavenumber.values,
        label=label,
        isolate=np.array([f"isolate {k}" for k in isolate]),
    )
    return Source(
        file,
        ("--label", "label", "--group", "isolate", "--unit", "absorbance"),
        "isolate",
        "four replicates of each",
    )


def plastics(table: Path, folder: Path) -> Source:
    """Plastics of turtles, without kinds that four folds cannot all hold."""
    content = pd.read_csv(table, dtype=str, keep_default_na=False)
    turtles = content.groupby("type").turtle.nunique()
    kept = turtles.index[turtles >= N_SETS]
    file = folder / "plastics.csv"
    content = content[content.type.isin(kept)]
    content.iloc[thinned(content.type)].to_csv(file, index=False)
    left_out = ", ".join(f"{kind} ({n})" for kind, n in turtles.items() if kind not in kept)
    return Source(
        file,
        ("--label", "type", "--group", "turtle", "--unit", "percent", "--step", "4"),
        "turtle",
        f"without kinds found in fewer than {N_SETS} turtles: {left_out}; resampled to 4 cm-1",
    )


def imported(source: Source, store: Path) -> Path:
    """The data set that ``ftirlib import`` makes of a source."""
    command = [COMMAND, "import", str(source.file), str(store), *source.options]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return store


def measure(name: str, source: Source, store: Path, out: Path, profile: str) -> dict:
    """Scores of all models on one data set, and of the fusion classifier under each protocol."""
    changes = {"fusion.data": str(store), "baselines.models": BASELINES}
    with open_run(profile, out=out, changes=changes, report=print) as run:
        data = fusion_stages.spectra(run)
        table, found = fusion_stages.scores(run), fusion_stages.models(run)
        axis, label = data.wavenumber.values, data.label.values
        options = {"class_names": data.attrs["class_names"], **run.settings.bootstrap}
        rows = np.concatenate([fold.test for fold in fusion_stages.folds(run)])
        predicted = {model: np.concatenate([fold["test"].argmax(1) for fold in per]) for model, per in found.items()}
        truth, group, ours = label[rows].astype(int), data.group.values[rows], predicted.pop(fusion_stages.FUSION)
        wanted = table[table.score.isin(SCORES)]
        columns = ("mean", "sd", "low", "high", "majority")
        return {
            "set": name,
            "spectra": data.sizes["spectrum"],
            "wavenumbers": axis.size,
            "low": float(axis[0]),
            "high": float(axis[-1]),
            "groups": len(np.unique(data.group.values)),
            "group": source.group,
            "rule": source.rule,
            "classes": {k: int((label == i).sum()) for i, k in enumerate(data.attrs["class_names"])},
            "features": fusion_stages.feature_origin(run),
            "models": {
                model: {row["score"]: {c: number(row[c]) for c in columns} for row in rows.to_dict("records")}
                for model, rows in wanted.groupby("model", sort=False)
            },
            "gains": {
                other: plain(multiclass_intervals(truth, ours, group, less=theirs, **options)["mcc"])
                for other, theirs in predicted.items()
            },
            "protocols": [
                {"over-sampled": when, "split": split} | {score: plain(scores[score]) for score in SCORES}
                for (when, split), leak in fusion_stages.leak(run).items()
                for scores in [multiclass_intervals(leak["y_true"], leak["predicted"], leak["group"], **options)]
            ],
        }


def number(value) -> float | None:
    """A number as JSON has it: none for what is undefined."""
    return None if np.isnan(value) else round(float(value), DIGITS)


def plain(interval) -> dict:
    return {name: number(getattr(interval, name)) for name in ("estimate", "low", "high")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("matlab", type=Path, help="utidata.mat")
    parser.add_argument("sheet", type=Path, help="uti_metadata.xlsx")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--work", type=Path, help="folder of the runs, kept; default: a temporary one")
    parser.add_argument("--json", type=Path, help="file to write")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = given.work or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        sources = {
            "tissue components": tissue(get_public_set("tissue-components"), folder),
            "bacteria": bacteria(given.matlab, given.sheet, folder),
            "plastics": plastics(get_public_set("turtle-plastics"), folder),
        }
        sets = []
        for title, source in sources.items():
            store = folder / f"{source.file.stem}.zarr"
            if not store.exists():
                imported(source, store)
            sets.append(measure(title, source, store, folder / f"{source.file.stem}-run", given.profile))
            for model, scores in sets[-1]["models"].items():
                one = scores["accuracy"]
                spread = f"{one['mean']:.2f} ± {one['sd']:.2f}, {one['low']:.2f} to {one['high']:.2f} over groups"
                print(f"{title}, {model}: accuracy {spread}; majority {one['majority']:.2f}")
    chosen = read_settings(given.profile).fusion.model_dump(include={"image_size", "recipe", "epochs", "oversampling"})
    found = {"machine": machine(), "profile": given.profile, "settings": chosen, "most": MOST, "sets": sets}
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
