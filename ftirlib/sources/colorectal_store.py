"""From the colorectal cohort's text files to one data set, a core at a time.

Tissue mask and signal-to-noise ratio as in Borkovits et al. 2025, doi:10.5281/zenodo.17790337.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ftirlib.engine.driver import Driver, Task, untracked
from ftirlib.errors import DataError, SettingsError
from ftirlib.files import read_json
from ftirlib.sources.colorectal import (
    CLASSES,
    DOI,
    PITCH_UM,
    POSITIVE,
    Core,
    list_cores,
    read_axis,
    read_core,
    stated_pixels,
)
from ftirlib.spectra.importing.units import SAME_AXIS, to_absorbance
from ftirlib.spectra.model import CHUNK, open_spectra
from ftirlib.spectra.prepare.quality import AMIDE
from ftirlib.spectra.prepare.steps import Cut, in_window
from ftirlib.spectra.writer import SpectraWriter

SIGNAL = 1652.0  # cm-1, amide I
NOISE = (2000.0, 2100.0)  # cm-1, no band of tissue or paraffin
MASKS = ("kmeans", "none")
ARRAYS, ERROR = "core.npz", "error.txt"  # files of a core that was read


@dataclass(frozen=True)
class Survey:
    """What an import of the cohort would read; `str` of it is a page of text."""

    cores: list[Core]
    classes: list[str]
    wavenumber: np.ndarray
    n_spectra: int | None
    notes: list[str]

    def __str__(self):
        patients = {core.patient for core in self.cores}
        spectra = "an unstated number of" if self.n_spectra is None else str(self.n_spectra)
        low, high = self.wavenumber[[0, -1]]
        lines = [
            f"{len(self.cores)} cores of {len(patients)} patients, {spectra} spectra before any mask",
            f"{self.wavenumber.size} wavenumbers, {low:g} to {high:g} cm-1; per cent, taken to absorbance",
        ]
        for array in sorted({core.array for core in self.cores}):
            here = [core for core in self.cores if core.array == array]
            counts = ", ".join(f"{name} {sum(core.label == name for core in here)}" for name in self.classes)
            lines.append(f"TMA{array}: {counts} cores, {len({core.patient for core in here})} patients")
        return "\n".join([*lines, *self.notes])


def survey_colorectal(
    folder: str | os.PathLike,
    *,
    arrays: Sequence[int] = (),
    cores: Sequence[str] = (),
    classes: Sequence[str] = CLASSES,
    low: float | None = None,
    high: float | None = None,
) -> Survey:
    """Look through a folder of the cohort without reading its spectra; parameters as of `import_colorectal`."""
    chosen, notes = list_cores(folder, arrays=arrays, cores=cores, classes=classes)
    axes = [np.sort(read_axis(core.spectra)) for core in chosen]
    common = axes[0]
    for axis in axes[1:]:
        common = common[_nearest(common, axis)[1]]
    if common.size < 2:
        raise DataError(f"the {len(axes)} files have {common.size} wavenumbers in common; import arrays apart.")
    if (longer := sum(axis.size > common.size for axis in axes)) > 0:
        notes.append(
            f"{longer} of {len(axes)} files have more wavenumbers than the {common.size} that all have; "
            "those are left out"
        )
    pixels = [stated_pixels(core) for core in chosen]
    return Survey(
        cores=chosen,
        classes=[name for name in classes if any(core.label == name for core in chosen)],
        wavenumber=Cut(wavenumber=common, low=low, high=high).fit().wavenumber_,
        n_spectra=int(sum(pixels)) if np.isfinite(pixels).all() else None,
        notes=notes,
    )


def _nearest(wanted: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position in the ascending `axis` of each wanted wavenumber, and whether it is there but for rounding."""
    right = np.clip(np.searchsorted(axis, wanted), 1, axis.size - 1)
    at = np.where(wanted - axis[right - 1] < axis[right] - wanted, right - 1, right)
    return at, np.abs(axis[at] - wanted) <= SAME_AXIS


def import_colorectal(
    folder: str | os.PathLike,
    out: str | os.PathLike,
    *,
    arrays: Sequence[int] = (),
    cores: Sequence[str] = (),
    classes: Sequence[str] = CLASSES,
    tissue: str = "kmeans",
    minimum_snr: float = 0.0,
    low: float | None = None,
    high: float | None = None,
    floor: float | None = None,
    skip_bad: bool = False,
    licence: str = "",
    random_state: int = 0,
    overwrite: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
    tls: Mapping[str, str] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> xr.Dataset:
    """Make a data set of a folder of the cohort, one core in memory at a time, or one for each worker.

    Finished cores wait beside `out`, in the hidden folder ``.<out>.cores``, until all are there: the same call goes on
    where a killed one stopped. The folder takes as much disk as the data set, and is removed at the end.

    Parameters
    ----------
    folder : path
        With ``TMA1``, ``TMA2``... in it.
    out : path of the store to make
    arrays, cores, classes : sequences
        What to read; see `list_cores`. The order of the classes is that of severity.
    tissue : {"kmeans", "none"}
        Keep the pixels of `tissue_by_kmeans`, or all.
    minimum_snr : float
        Keep pixels whose `signal_to_noise` is at least this; 0 keeps all.
    low, high : float, optional
        Part of the axis to keep, cm-1.
    floor : float, optional
        Least value in per cent that is told from zero; left out: values of zero or less are refused.
    skip_bad : bool
        Leave out a core whose file cannot be read, and note it, instead of stopping there.
    licence : str
        Left out: what `ftirlib get crc` noted.
    random_state : int
        Of the k-means start.
    overwrite : bool
        Replace what is at `out`.
    workers : int
        Local processes that read the cores; 1: this process. The data set is the same to the byte with any number.
    scheduler, tls
        See `ftirlib.engine.driver.Driver`; the workers see the same file system.
    report : callable
        Gets a line for each core, in the order of the cores.

    Returns
    -------
    xarray.Dataset
        Image is the core, group the patient over all arrays. The attribute ``image_batches`` names the array of each
        image. The files say both reflectance and transmittance, so ``measurement_mode`` is "unknown"; values are
        -log10(value / 100), below zero where a value is above 100.

    Raises
    ------
    DataError
        See `list_cores` and `read_core`; or nothing is left after the mask.

    Warns
    -----
    UserWarning
        When two spellings of a patient's id are taken for one.
    """
    if tissue not in MASKS:
        raise SettingsError(f"tissue must be one of {', '.join(MASKS)}, not {tissue!r}.")
    if not minimum_snr >= 0:
        raise SettingsError(f"minimum_snr must be zero or more, not {minimum_snr!r}.")
    if floor is not None and not 0 < np.float32(floor) < 100:  # as the values are kept; log 0 is infinite
        raise SettingsError(f"floor is the least value told from zero, above 0 and below 100 per cent, not {floor!r}.")
    if not workers >= 1:
        raise SettingsError(f"workers must be one process or more, not {workers!r}.")
    here = workers == 1 and not scheduler and not tls
    if not here:  # a worker may have another working folder
        folder, out = os.path.abspath(folder), os.path.abspath(out)
    out = Path(out)
    survey = survey_colorectal(folder, arrays=arrays, cores=cores, classes=classes, low=low, high=high)
    notes = list(survey.notes)
    for note in notes:
        if "is taken for one" in note:
            warnings.warn(note, stacklevel=2)
    attrs = {"provenance": f"Borkovits et al. 2025, doi:{DOI}", "licence": licence or _licence(Path(folder))}
    writer = SpectraWriter(out, survey.wavenumber, attrs, overwrite=overwrite)  # refuses `out` before a core is read
    tasks = {
        core: Task(
            f"cores/{core.name}",
            keep_core,
            core=untracked(core),
            files=core.files(),
            wavenumber=survey.wavenumber.tolist(),
            tissue=tissue,
            minimum_snr=minimum_snr,
            floor=floor,
            random_state=random_state,
            skip_bad=untracked(skip_bad),
        )
        for core in survey.cores
    }
    work = out.with_name(f".{out.name}.cores")
    driver = Driver(work, about={}, workers=workers, scheduler=scheduler, tls=tls, report=report)
    kept: dict[Core, Path] = {}  # arrays of the cores that have spectra
    waiting, ready = deque(enumerate(survey.cores, 1)), set()

    def on_ready(core: Core) -> None:
        """Report each core as soon as it and those before it are there."""
        ready.add(core)
        while waiting and waiting[0][1] in ready:
            k, core = waiting.popleft()
            part = work / "cores" / core.name
            if (part / ERROR).is_file():
                text = (part / ERROR).read_text(encoding="utf-8")
                if not skip_bad:
                    raise DataError(text)
                notes.append(f"left out, bad: {core.name}: {text}")
                continue
            with np.load(part / ARRAYS) as arrays:
                n, total = len(arrays["row"]), int(arrays["total"])
            before = ", read before" * (f"cores/{core.name}" not in driver.made)
            report(f"{k}/{len(tasks)} {core.name}: {n} of {total} spectra{before}")
            if n:
                kept[core] = part / ARRAYS
            else:
                notes.append(f"left out, no tissue: {core.name}")

    with driver:
        driver.make_all("cores", tasks, here=here, on_ready=on_ready)
        if not kept:
            raise DataError(f"no spectrum of '{folder}' is left; lower minimum_snr, or read without a tissue mask.")
        patients = sorted({core.patient for core in kept})
        writer.attrs |= {
            "class_names": survey.classes,
            "positive_classes": [name for name in survey.classes if name in POSITIVE],
            "image_names": [core.name for core in kept],
            "image_batches": [f"TMA{core.array}" for core in kept],
            "group_names": patients,
            "pixel_size_um": PITCH_UM,
            "instrument": "",
            "measurement_mode": "unknown",
            "is_simulated": False,
            "import_notes": notes,
        }
        with writer:
            for k, (core, path) in enumerate(kept.items()):
                codes = {
                    "image": k,
                    "group": patients.index(core.patient),
                    "label": survey.classes.index(core.label),
                }
                with np.load(path) as arrays:
                    writer.append(arrays["absorbance"], codes | {name: arrays[name] for name in ("row", "col")})
    shutil.rmtree(work)
    return open_spectra(out)


def _licence(folder: Path) -> str:
    """What the download noted of the record's licence."""
    try:
        return str(read_json(folder / "source.json")["licence"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def keep_core(out, work, *, core, files, wavenumber, tissue, minimum_snr, floor, random_state, skip_bad):
    """Keep the spectra of a core that are tissue, or the reason why its file cannot be read where that is wanted.

    The `files` of the core, with their sizes and times, are for the key of the artefact.
    """
    try:
        arrays = core_arrays(core, np.asarray(wavenumber), tissue, minimum_snr, floor, random_state)
    except DataError as error:
        if not skip_bad:
            raise
        (out / ERROR).write_text(str(error), encoding="utf-8")
        return
    np.savez(out / ARRAYS, **arrays)


def core_arrays(core: Core, wavenumber, tissue, minimum_snr, floor, random_state) -> dict[str, np.ndarray]:
    """Absorbance, row and column of the spectra of a core that are kept, and the ``total`` that it has."""
    spectra = read_core(core)
    order = np.argsort(spectra.wavenumber)
    at, there = _nearest(wavenumber, spectra.wavenumber[order])
    assert there.all()
    absorbance = np.empty(spectra.percent.shape, np.float32)  # on the file's own axis: the mask sees all of it
    for start in range(0, len(absorbance), CHUNK):
        block = spectra.percent[start : start + CHUNK]
        if not np.isfinite(block).all():
            raise DataError(f"'{core.spectra}' holds NaN or infinite values; leave the core out.")
        absorbance[start : start + CHUNK] = to_absorbance(block, "percent", floor=floor, name=core.spectra.name)
    keep = np.ones(len(absorbance), bool)
    if tissue == "kmeans":
        keep &= tissue_by_kmeans(absorbance, spectra.wavenumber, random_state=random_state)
    if minimum_snr:
        keep &= signal_to_noise(absorbance, spectra.wavenumber) >= minimum_snr
    return {
        "absorbance": absorbance[np.ix_(keep, order[at])],
        "row": spectra.row[keep],
        "col": spectra.col[keep],
        "total": np.array(len(keep)),
    }


def tissue_by_kmeans(absorbance, wavenumber, *, random_state: int = 0) -> np.ndarray:
    """Which pixels of one image are tissue: the cluster, of two, with the higher amide I.

    Two clusters are always found, so an image that is all tissue or all glass is divided too.

    Parameters
    ----------
    absorbance : (n_spectra, n_wavenumbers) array
    wavenumber : (n_wavenumbers,) array, cm-1, any order
    random_state : int

    Returns
    -------
    (n_spectra,) bool
        All true where the spectra are all alike.

    Raises
    ------
    DataError
        When the axis does not cover amide I.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    amide = in_window(np.asarray(wavenumber, np.float64), *AMIDE, "the tissue mask's amide I window")
    absorbance = np.asarray(absorbance, np.float32)
    if len(absorbance) < 2 or not np.ptp(absorbance, axis=0).any():
        return np.ones(len(absorbance), bool)
    with threadpool_limits(1):  # several threads add up their parts of a centre in any order
        found = KMeans(2, n_init=4, random_state=random_state).fit(absorbance)
    return found.labels_ == np.argmax(found.cluster_centers_[:, amide].mean(axis=1))


def signal_to_noise(absorbance, wavenumber) -> np.ndarray:
    """Absorbance at 1652 cm-1 over the standard deviation of the absorbance over 2000-2100 cm-1.

    Parameters
    ----------
    absorbance : (n_spectra, n_wavenumbers) array
    wavenumber : (n_wavenumbers,) array, cm-1, any order
        The wavenumber nearest to 1652 is taken.

    Returns
    -------
    (n_spectra,) float64
        Infinite where there is no noise at all.

    Raises
    ------
    DataError
        When the axis does not cover the two.
    """
    axis = np.asarray(wavenumber, np.float64)
    noise = in_window(axis, *NOISE, "the signal-to-noise ratio's noise window", least=3)
    in_window(axis, *AMIDE, "the signal-to-noise ratio's amide I window")
    absorbance = np.asarray(absorbance)
    with np.errstate(divide="ignore", invalid="ignore"):
        return absorbance[:, np.abs(axis - SIGNAL).argmin()] / absorbance[:, noise].std(axis=1, dtype=np.float64)
