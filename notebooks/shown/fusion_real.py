"""What the chapter on the fusion classifier shows of real spectra, as `benchmarks/fusion_real.py` measured them.

Bacteria of Goodacre et al. 1998 (10.1099/00221287-144-5-1157), plastics of Jung et al. 2018
(10.1016/j.marpolbul.2017.12.061), and tissue components of the package orange-spectroscopy.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from shown.fusion import ORIGIN_NOTES, spread_text
from shown.measured import measured

NAME = "fusion_real"
PROTOCOLS = {  # over-sampled, split: how the table calls it
    ("inside", "grouped"): "by group",
    ("inside", "random"): "at random",
    ("before", "random"): "at random, copies before",
}


def real_note() -> str:
    """Sentence that every table of these sets carries: what the image features are."""
    return " ".join(sorted({ORIGIN_NOTES[one["features"]] for one in real_sets()}))


def real_sets() -> list[dict]:
    """One entry a set, as measured; what is undefined is NaN."""
    return _with_nan(measured(NAME)["sets"])


def _with_nan(value):
    """JSON has no NaN, so None stands for it there."""
    if isinstance(value, dict):
        return {name: _with_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_with_nan(part) for part in value]
    return np.nan if value is None else value


def real_prose() -> dict[str, str]:
    """Numbers and names of the section's sentences."""
    found = measured(NAME)
    sets, chosen = real_sets(), found["settings"]
    behind = sum(one["gains"][other]["high"] < 0 for one in sets for other in one["gains"])
    ahead = sum(one["gains"][other]["low"] > 0 for one in sets for other in one["gains"])
    return {
        "count": str(len(sets)),
        "profile": found["profile"],
        "size": str(chosen["image_size"]),
        "recipe": ", ".join(name for step in chosen["recipe"] for name in step),
        "features": ", ".join(sorted({one["features"] for one in sets})),
        "most": str(found["most"]),
        "day": found["machine"]["day"],
        "rules": ". ".join(f"{one['set'].capitalize()}: {one['rule']}" for one in sets),
        "behind": str(behind),
        "ahead": str(ahead),
        "split": f"{_most_added(sets, ('inside', 'random')):+.2f}",
        "copies": f"{_most_added(sets, ('before', 'random')):+.2f}",
        "comparisons": str(sum(len(one["gains"]) for one in sets)),
    }


def _accuracy(one: dict) -> dict[tuple[str, str], dict]:
    return {(p["over-sampled"], p["split"]): p["accuracy"] for p in one["protocols"]}


def _most_added(sets: list[dict], protocol: tuple[str, str]) -> float:
    """Most that a protocol adds to the accuracy by whole groups, over the sets."""
    found = [_accuracy(one) for one in sets]
    return max(by[protocol]["estimate"] - by["inside", "grouped"]["estimate"] for by in found)


def set_table() -> pd.DataFrame:
    """What each set is: spectra, axis, classes with their sizes, groups."""
    return pd.DataFrame(
        {
            "set": one["set"],
            "spectra": one["spectra"],
            "axis / cm⁻¹": f"{one['low']:.0f} to {one['high']:.0f}, {one['wavenumbers']} points",
            "groups": f"{one['groups']}, a group is {_article(one['group'])}",
            "classes": ", ".join(f"{name} {n}" for name, n in one["classes"].items()),
        }
        for one in real_sets()
    )


def _article(noun: str) -> str:
    if noun[0].isdigit():
        return noun
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def score_table(score: str) -> pd.DataFrame:
    """One score of every model: a row a set, mean ± SD over folds above the interval over groups."""
    rows = []
    for one in real_sets():
        row = {"set": one["set"]} | {model: spread_text(scores[score]) for model, scores in one["models"].items()}
        majority = next(iter(one["models"].values()))[score]["majority"]
        rows.append(row | ({} if np.isnan(majority) else {"majority class": f"{majority:.2f}"}))
    return pd.DataFrame(rows)


def gain_table() -> pd.DataFrame:
    """How much higher the fusion classifier's Matthews correlation is than each other model's, paired by group."""
    return pd.DataFrame(
        {"set": one["set"]}
        | {
            f"over {other}": f"{gain['estimate']:+.2f}\n[{gain['low']:+.2f}, {gain['high']:+.2f}]".replace("-", "−")
            for other, gain in one["gains"].items()
        }
        for one in real_sets()
    )


def protocol_table() -> pd.DataFrame:
    """Accuracy of the fusion classifier by how it was split and where it over-sampled, with intervals over groups."""
    rows = []
    for one in real_sets():
        by = _accuracy(one)
        texts = {
            title: f"{by[key]['estimate']:.2f}\n[{by[key]['low']:.2f}, {by[key]['high']:.2f}]"
            for key, title in PROTOCOLS.items()
        }
        rows.append({"set": one["set"]} | texts)
    return pd.DataFrame(rows)
