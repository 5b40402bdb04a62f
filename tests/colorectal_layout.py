"""A simulated cohort in the layout of the public colorectal set, with every defect that is known of it.

Layout of doi:10.5281/zenodo.17790337. The spectra are simulated; their classes differ by one band.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

USUAL_AXIS = np.arange(4000.0, 747.0, -4.0)  # 814 points
LONG_AXIS = np.arange(4000.0, 647.0, -4.0)  # 839 points
PITCH = 25.0

# array: rows of its table (core, class, patient as spelt there, has_MIR)
TABLE = {
    1: [
        ("B1", "NC", "2941_00", "yes"),
        ("B2", "CRC", "2941_00", "yes"),
        ("B3", "NC", "432_00", "yes"),
        ("B4", "CRC", "511_01", "yes"),
        ("B5", "simple liver", "90_02", "yes"),
        ("B6", "NC", "77_03", "no"),
    ],
    2: [
        ("C1", "NC", "2941/00", "yes"),  # the same patient as in array 1, spelt otherwise
        ("C2", "CRC", "600/04", "yes"),
        ("C3", "NC", "601/04", "yes"),
        ("C4", "CRC", "432/00", "yes"),
    ],
    3: [
        ("D1", "CRLM", "700/05", "yes"),
        ("D2", "CRLM", "701/05", "yes"),
        ("D3", "CRLM", "702/05", "yes"),
        ("D4", "CRLM", "703/05", "yes"),
    ],
}
LONG = ("TMA2_C2",)  # cores on the longer axis
BANDS = {"NC": 1080.0, "CRC": 1240.0, "CRLM": 1740.0, "simple liver": 1045.0}


def core_percent(label: str, axis: np.ndarray, shape, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Per cent values (rows * columns, n_wavenumbers) and which of the pixels are tissue."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices(shape)
    tissue = ((rows - (shape[0] - 1) / 2) ** 2 + (cols - (shape[1] - 1) / 2) ** 2 < 0.2 * shape[0] * shape[1]).ravel()
    amount = np.where(tissue, rng.uniform(0.9, 1.1, tissue.size), 0.0)[:, None]

    def band(centre, width, height):
        return height * np.exp(-(((axis - centre) / width) ** 2))

    protein = band(1652, 28, 0.4) + band(1545, 28, 0.25) + band(3290, 120, 0.2) + band(BANDS[label], 25, 0.15)
    carbon_dioxide = band(2360, 12, 1.0) + band(2335, 12, 0.8)  # a doublet that differs from pixel to pixel
    water = np.where((axis > 1300) & (axis < 1900) | (axis > 3500), np.cos(axis / 7.0), 0.0)
    absorbance = amount * protein + 0.05 * rng.uniform(size=(tissue.size, 1)) * carbon_dioxide
    absorbance += 0.002 * water + 0.002 * rng.standard_normal((tissue.size, axis.size)) - 0.004
    return 100.0 * 10.0**-absorbance, tissue


def write_core(path: Path, percent, axis, shape, *, decimals: int = 6) -> None:
    """One text file: row number, X, Y, values; Y descending, then X ascending; the header's first field is empty."""
    rows, cols = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    x, y = cols * PITCH - 1087.5, (shape[0] - 1 - rows) * PITCH - 1087.5
    form = f"%.{decimals}f"
    with open(path, "w", encoding="ascii", newline="") as file:
        file.write(",".join(["", "X", "Y", *(f"{w:.1f}" for w in axis)]) + "\n")
        for k, values in enumerate(percent):
            file.write(f"{k},{x[k]:.1f},{y[k]:.1f}," + ",".join([form % v for v in values.tolist()]) + "\n")


def write_metadata(path: Path, axis, shape) -> None:
    """The instrument's description, with junk keys and texts that end in NULs."""
    content = {
        "n_x": shape[1],
        "n_y": shape[0],
        "n_z": axis.size,
        "x_delta": PITCH,
        "y_delta": -PITCH,
        "x_init": -1087.5,
        "z_start": axis[0],
        "z_end": axis[-1],
        "z_delta": axis[1] - axis[0],
        "date": "Tue Mar 05 10:12:13 2024\0\0",
        "accumulations": 16,
        "ratio": "Ratio (%R)\0",
        "unit": "%T\0",
        "resolution": "\x01\x07@",
        "text1": "\x00\x00",
        "transmission": -1.0e300,
    }
    path.write_bytes(json.dumps(content).encode() + b"\0\0")


def write_cohort(folder: Path, *, shape=(6, 7), table=TABLE, decimals: int = 6) -> Path:
    """Write ``multimodal_CRC_dataset`` below `folder`, and return its path."""
    root = Path(folder) / "multimodal_CRC_dataset"
    for array, rows in table.items():
        home = root / f"TMA{array}"
        for part in ("MIR/spectra", "MIR/metadata", "MIR/visible_images", "WSI"):
            (home / part).mkdir(parents=True)
        (home / "WSI" / f"24_TMA{array}_PA.mrxs").write_bytes(b"")
        lines = ["cores,cancer,patient,has_MIR,on_WSI"]
        for k, (position, label, patient, has_image) in enumerate(rows):
            lines.append(f"{position},{label},{patient},{has_image},yes")
            if has_image == "no":
                continue
            axis = LONG_AXIS if f"TMA{array}_{position}" in LONG else USUAL_AXIS
            stem = f"tma{array}_{position.lower()}_res8_co16_2.2int_25"
            percent, _ = core_percent(label, axis, shape, seed=100 * array + k)
            write_core(home / "MIR" / "spectra" / f"{stem}.txt", percent, axis, shape, decimals=decimals)
            write_metadata(home / "MIR" / "metadata" / f"{stem}.json", axis, shape)
            (home / "MIR" / "visible_images" / f"tma{array}_{position.lower()}_cut.bmp").write_bytes(b"BM")
        (home / f"TMA{array}_core_metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
