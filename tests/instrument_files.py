"""Small synthetic instrument files for the tests: the writers of the benchmark, and one cube for all of them."""

import importlib.util
from pathlib import Path

import numpy as np

from ftirlib.spectra.bands import tissue_reference

_spec = importlib.util.spec_from_file_location(
    "importing_files", Path(__file__).resolve().parents[1] / "benchmarks" / "importing_files.py"
)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
write_envi, write_agilent, write_fsm = _module.write_envi, _module.write_agilent, _module.write_fsm

AXIS = _module.FIRST + _module.STEP * np.arange(230)  # of every file written here


def tissue_cube(rng, rows=4, columns=4) -> np.ndarray:
    """(rows, columns, 230) absorbance, every spectrum another one."""
    height = rng.uniform(0.3, 0.9, (rows, columns, 1))
    return (height * tissue_reference(AXIS) + 1e-3 * rng.standard_normal((rows, columns, AXIS.size))).astype(np.float32)


def write_jcamp(path, spectrum, *, units="ABSORBANCE") -> Path:
    """A spectrum on AXIS as uncompressed JCAMP-DX."""
    lines = [
        *("##TITLE=test", "##JCAMP-DX=4.24", "##DATA TYPE=INFRARED SPECTRUM", "##XUNITS=1/CM", f"##YUNITS={units}"),
        *(f"##FIRSTX={AXIS[0]:g}", f"##LASTX={AXIS[-1]:g}", f"##NPOINTS={AXIS.size}", "##XFACTOR=1", "##YFACTOR=1e-6"),
        "##XYDATA=(X++(Y..Y))",
    ]
    for k in range(0, AXIS.size, 8):
        lines.append(" ".join([f"{AXIS[k]:g}", *(f"{round(1e6 * v)}" for v in spectrum[k : k + 8])]))
    path.write_text("\n".join([*lines, "##END="]) + "\n")
    return path
