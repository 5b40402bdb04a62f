"""Numbers measured outside the run, which benchmarks left in the book's folder, and what the chapter on trust shows.

`benchmarks/lime_speed.py`, `lime_trust.py` and `attention.py` write them; LIME as in Ribeiro, Singh & Guestrin (2016,
doi:10.1145/2939672.2939778).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ftirlib.errors import StoreError
from ftirlib.files import read_json

MEASURED = Path(__file__).resolve().parents[2] / "book" / "measured"


def measured(name: str) -> dict:
    """Numbers of a benchmark, as it wrote them.

    Raises
    ------
    StoreError
        When the file is not there or not readable.
    """
    path = MEASURED / f"{name}.json"
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"'{path}' cannot be read ({error}); make it with: python benchmarks/{name}.py --json {path}"
        ) from None


def numbers() -> dict[str, str]:
    """Numbers and names of the chapter on trust."""
    speed, trust = measured("lime_speed"), measured("lime_trust")
    limit, machine, floor = speed["limit"], speed["machine"], speed["floor"]
    samples = trust["sizes"]["samples"]
    repeat = {row["mode"]: f"{row['median']:.2f}" for row in trust["repeatability"] if row["samples"] == samples}
    alike = {row["mode"]: row["median"] for row in trust["sameness"]}
    contexts = {row["mode"]: row for row in trust["contexts"]}
    found = {
        "samples": f"{samples:,}",
        "package-error": f"{limit['package_error']:.0%}",
        "package-seconds": seconds_text(limit["package_s"]),
        "limit-error": f"{limit['ours_error']:.1%}",
        "limit-seconds": seconds_text(limit["ours_s_to_target"]),
        "limit-rate": f"{limit['ours_spectra_per_s']:.0f}",
        "gradients": f"{limit['gradients']:.0f}",
        "reference": f"{limit['reference_error']:.1%}",
        "reference-samples": f"{limit['reference_samples']:,}",
        "alike-mean": f"{alike['mean']:.3f}",
        "alike-limit": f"{alike['limit']:.2f}",
        "spectra": f"{trust['sizes']['spectra']}",
        "many": f"{trust['sizes']['many']}",
        "day": machine["day"],
        "machine": f"{machine['processor']}, {machine['cores']} cores",
        "flop": f"{floor['forward_flop'] / 1e6:.2f}",
        "single": f"{floor['single_gflops']:.0f}",
        "double": f"{floor['double_gflops']:.0f}",
    }
    found |= {mode: repeat[mode] for mode in ("decile", "quartile", "instance")}
    for mode in ("decile", "limit"):
        found[f"banks-{mode}"] = f"{contexts[mode]['between banks']:.2f}"
        found[f"fits-{mode}"] = f"{contexts[mode]['between fits']:.2f}"
    return found


def seconds_text(seconds: float) -> str:
    """Seconds as a reader likes them: milliseconds below a tenth, minutes above a hundred."""
    if seconds < 0.1:
        return f"{seconds * 1e3:.2g} ms" if seconds < 0.01 else f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def ratio_table(speed: dict) -> pd.DataFrame:
    """A row per mode: time a spectrum of the package and of ours, the ratio, the floor, and the difference."""
    rows = [
        {
            "mode": mode,
            "`lime` package": seconds_text(row["package_s"]),
            "`SpectralLime`": seconds_text(row["ours_s"]),
            "times sooner": f"{row['ratio']:.0f}",
            "floor": seconds_text(speed["floor"][mode]),
            "difference": f"{row['difference']:.0e}",
        }
        for mode, row in speed["sampled"].items()
    ]
    limit = speed["limit"]
    rows.append(
        {
            "mode": "limit, to 10 %",
            "`lime` package": seconds_text(limit["package_s_to_target"]) + " (extrapolated)",
            "`SpectralLime`": seconds_text(limit["ours_s_to_target"]),
            "times sooner": f"{limit['ratio']:.0f}",
            "floor": seconds_text(speed["floor"]["limit"]),
            "difference": f"{limit['ours_error']:.0%}",
        }
    )
    return pd.DataFrame(rows)


def error_curves(trust: dict, against: str) -> dict[str, tuple[list, list]]:
    """Relative error against "samples" or "seconds", by method."""
    names = {"package": "lime package, instance", "instance": "ours, instance", "limit": "ours, limit"}
    table = pd.DataFrame(trust["error"])
    return {
        name: (rows[against].tolist(), rows["error"].tolist())
        for by, name in names.items()
        if len(rows := table[table["by"] == by])
    }


def repeat_curves(trust: dict) -> dict[str, tuple]:
    """Correlation between two noise banks against samples, by mode: median, and the middle 80 % of spectra."""
    table = pd.DataFrame(trust["repeatability"])
    return {
        mode: tuple(rows[name].tolist() for name in ("samples", "median", "low", "high"))
        for mode, rows in table.groupby("mode", sort=False)
    }


def noise_curves(trust: dict) -> dict[str, tuple[list, list]]:
    """Relative error against gradients, by kind of noise."""
    table = pd.DataFrame(trust["noise"])
    return {
        kind: (rows["gradients"].tolist(), rows["error"].tolist()) for kind, rows in table.groupby("noise", sort=False)
    }


def mode_table(trust: dict) -> pd.DataFrame:
    """Each mode's kernel, likeness of explanations of different spectra, planted bands and deletion gain."""
    kernel = {row["mode"]: row for row in trust["kernel"]}
    bands = pd.DataFrame(trust["bands"]).groupby("attribution")
    faithful = {row["mode"]: row for row in trust["faithfulness"]}
    rows = []
    for row in trust["sameness"]:
        mode = row["mode"]
        flat, of_bands = kernel.get(mode), bands.get_group(mode)
        weights = of_bands["spectra"] / of_bands["spectra"].sum()
        gain = faithful[mode]
        rows.append(
            {
                "mode": mode,
                "kernel weight": f"{flat['mean']:.2f} ± {flat['sd']:.3f}" if flat else "exact",
                "alike": f"{row['median']:.3f}",
                "planted bands": f"{(weights * of_bands['auroc']).sum():.2f}",
                "deletion gain": f"{gain['gain']:.3f} ± {gain['standard_error']:.3f}",
            }
        )
    return pd.DataFrame(rows)


def band_table(trust: dict) -> pd.DataFrame:
    """AUROC over wavenumbers by mode and planted pathway, with its interval over patients."""
    return pd.DataFrame(
        {
            "mode": row["attribution"],
            "pathway": row["pathway"],
            "spectra": row["spectra"],
            "AUROC": f"{row['auroc']:.2f}",
            "over patients": f"{row['low']:.2f} to {row['high']:.2f}" if row["low"] is not None else "one patient",
            "by a random shift": f"{row['moved_share']:.2f}",
        }
        for row in trust["bands"]
    )


def context_table(trust: dict) -> pd.DataFrame:
    """Agreement of contexts between noise banks and between fits (adjusted Rand index)."""
    return pd.DataFrame(
        {
            "mode": row["mode"],
            "contexts": row["contexts"],
            "between noise banks": f"{row['between banks']:.2f}",
            "between fits to one bank": f"{row['between fits']:.2f}",
        }
        for row in trust["contexts"]
    )


def attention_costs(found: dict) -> tuple[list[int], dict[str, list[float]], list[float]]:
    """Tokens, seconds by what was measured, and memory of a whole step in GB, of the transformer autoencoder."""
    table = pd.DataFrame(found["rows"])
    names = {"step": "a step of training", "fused": "attention, fused", "written out": "attention, written out"}
    tokens = sorted(table["tokens"].unique().tolist())
    by_kind = {what: table[table["what"] == what].set_index("tokens").loc[tokens] for what in names}
    seconds = {title: by_kind[what]["seconds"].tolist() for what, title in names.items()}
    return tokens, seconds, by_kind["step"]["gb"].tolist()
