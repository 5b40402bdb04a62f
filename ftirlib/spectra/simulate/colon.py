"""A cohort of simulated FTIR images of colon whose truth is known at every pixel; never to be shown as measured.

Cohort and grid: Hartigan et al. (paper A) after Nallala et al. 2016 (doi:10.1039/C5AN01871D).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
import xarray as xr

from ftirlib.errors import SettingsError
from ftirlib.spectra.model import SCHEMA, SPECTRUM_COORDS, UNKNOWN, open_spectra, validate_spectra
from ftirlib.spectra.simulate import chemistry as chem
from ftirlib.spectra.simulate.glands import LUMEN, NECROSIS, TISSUES
from ftirlib.spectra.simulate.image import (
    IMAGE,
    absorbance_of,
    draw_field,
    draw_pathways,
    draw_patient,
    in_proportion,
)
from ftirlib.spectra.simulate.settings import PhantomSettings
from ftirlib.spectra.writer import SpectraWriter

__all__ = ["PhantomSettings", "planted_bands", "simulate_colon", "simulate_image"]

IN_FLIGHT = 8  # images simulated ahead of the writer, at most


def planted_bands(settings: PhantomSettings) -> list[dict]:
    """Bands that tell each pathway from healthy tissue, computed from histology and contents.

    Returns
    -------
    list of dict
        ``pathway``, ``centre``, ``fwhm`` (cm-1), ``direction`` (+1 rises, -1 falls), ``change``;
        see `ftirlib.spectra.simulate.chemistry.changed_bands`.
    """
    return [dict(band) for band in _planted_bands(settings)]


@lru_cache(maxsize=8)  # every image states them
def _planted_bands(settings: PhantomSettings) -> tuple[dict, ...]:
    s = settings
    table = chem.chemistry(s.contents, (*s.pathways, s.necrosis))
    shares = [chem.tissue_shares(s.histology[s.class_names.index(p.class_name)]) for p in s.pathways]
    shares.append(np.eye(len(TISSUES))[NECROSIS])
    bands = [chem.expected_bands(share, row) for share, row in zip(shares, table)]
    names = s.pathway_names[1:]
    changes = (chem.changed_bands(name, changed, bands[0], s.wavenumber) for name, changed in zip(names[1:], bands[1:]))
    return tuple(band for pathway in changes for band in pathway)


def _attributes(settings: PhantomSettings, seed: int, image_names, group_names) -> dict:
    s = settings
    return {
        "schema": SCHEMA,
        "class_names": s.class_names,
        "positive_classes": s.class_names[-1:],
        "image_names": list(image_names),
        "group_names": list(group_names),
        "pixel_size_um": float(s.pixel_um),
        "instrument": f"simulated FTIR microscope, NA {s.numerical_aperture:g}",
        "provenance": f"simulated, not measured: colon phantom of ftirlib, seed {seed}",
        "licence": "BSD-3-Clause",
        "is_simulated": True,
        "planted_bands": planted_bands(s),
    }


def _image_name(index: int) -> str:
    return f"image_{index:03d}"


def _patient_name(patient: int) -> str:
    return f"patient_{patient:02d}"


def simulate_image(settings: PhantomSettings, seed: int, index: int) -> xr.Dataset:
    """Simulate one image; what it holds depends on nothing but the three arguments.

    The number of images in `settings` plays no part in it: image 3 of a small cohort is image 3 of a large one.

    Parameters
    ----------
    settings : PhantomSettings
    seed : int
        At least 0.
    index : int
        Of the image in the cohort, from 0; its patient is ``index // images_per_patient``.

    Returns
    -------
    xarray.Dataset
        Of one image and one group, see `ftirlib.spectra.model.validate_spectra`, with raw absorbance and the truth,
        per spectrum: ``truth_class`` (position in ``class_names``, -1 where more than half of the pixel is empty),
        ``truth_pathway`` (position in its attribute ``names``; 0 is background; dead tissue is of the necrosis
        pathway in whatever class), ``truth_mislabelled`` (1 where the image's label is not the tissue's class),
        ``truth_necrosis`` (1 where most of the tissue is dead), ``truth_fraction`` (spectrum, component), the shares
        of the pixel that are each tissue, before the microscope blurs them.

    Raises
    ------
    SettingsError
        When seed or index is negative, or the image is too small to show the tissue of its class.
    """
    for name, value in (("seed", seed), ("index", index)):
        if isinstance(value, bool) or value != int(value) or value < 0:
            raise SettingsError(f"phantom: {name} must be a whole number of at least 0, not {value!r}.")
    s = settings
    *before, klass = in_proportion(s.class_weights, index + 1)
    group = index // s.images_per_patient
    rng = np.random.default_rng([seed, IMAGE, index])
    field, true_class = draw_field(s, rng, klass)
    pathway = draw_pathways(s, rng, field, before.count(klass))
    absorbance = absorbance_of(s, rng, field, pathway, draw_patient(s, seed, group))

    tissue = true_class != UNKNOWN
    necrosis = tissue & (field.fractions[..., NECROSIS] > (1 - field.fractions[..., LUMEN]) / 2)
    route = np.where(necrosis, len(s.pathways), pathway) + 1
    row, col = (place.ravel() for place in np.indices(true_class.shape))
    n = len(absorbance)
    columns = {"image": np.zeros(n), "group": np.zeros(n), "row": row, "col": col, "label": np.full(n, klass)}
    truth = {
        "truth_class": true_class.astype(np.int16),
        "truth_pathway": np.where(tissue, route, 0).astype(np.int16),
        "truth_mislabelled": (tissue & (true_class != klass)).astype(np.int8),
        "truth_necrosis": necrosis.astype(np.int8),
    }
    fractions = field.fractions.reshape(n, -1).astype(np.float32)
    return xr.Dataset(
        {
            "absorbance": (("spectrum", "wavenumber"), absorbance),
            **{name: ("spectrum", values.ravel()) for name, values in truth.items() if name != "truth_pathway"},
            "truth_pathway": ("spectrum", truth["truth_pathway"].ravel(), {"names": s.pathway_names}),
            "truth_fraction": (("spectrum", "component"), fractions, {"components": list(TISSUES)}),
        },
        coords={
            "wavenumber": ("wavenumber", s.wavenumber, {"units": "cm-1"}),
            **{name: ("spectrum", values.astype(SPECTRUM_COORDS[name])) for name, values in columns.items()},
        },
        attrs=_attributes(s, seed, [_image_name(index)], [_patient_name(group)]),
    )


def _in_order(settings: PhantomSettings, seed: int, mapper: Callable) -> Iterator[xr.Dataset]:
    """Images one after the other; an executor's map starts all it is given, so it is given few at a time."""
    simulate = partial(simulate_image, settings, seed)
    for start in range(0, settings.images, IN_FLIGHT):
        indices = range(start, min(start + IN_FLIGHT, settings.images))
        for index, data in zip(indices, mapper(simulate, indices), strict=True):
            data["image"][:] = index
            data["group"][:] = index // settings.images_per_patient
            yield data


def simulate_colon(
    path=None,
    *,
    settings: PhantomSettings | None = None,
    seed: int = 0,
    overwrite: bool = False,
    map: Callable = map,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Simulate a cohort of colon images, in memory or image by image onto the disk.

    Parameters
    ----------
    path : path, optional
        Of the Zarr store to write; without it the data set stays in memory.
    settings : PhantomSettings, optional
        Default: ``PhantomSettings()``, a small cohort.
    seed : int
    overwrite : bool
        Replace what is at `path`.
    map : callable
        Like the built-in, in order; give an executor's to use several cores. At most 8 images are on their way.
    progress : callable, optional
        Called with the number of images done and to do.

    Returns
    -------
    xarray.Dataset
        Lazily opened where `path` is given. The images are as `simulate_image` gives them, one after the other.

    Raises
    ------
    DataError
        When `path` exists and `overwrite` is false.
    SettingsError
        When `overwrite` is given without a path; and as `simulate_image`.
    """
    settings = PhantomSettings() if settings is None else settings
    if overwrite and path is None:
        raise SettingsError("overwrite replaces a store on disk; give its path, or leave overwrite out.")
    groups = range((settings.images - 1) // settings.images_per_patient + 1)
    attrs = _attributes(
        settings, seed, [_image_name(k) for k in range(settings.images)], [_patient_name(k) for k in groups]
    )

    def watched():
        for done, data in enumerate(_in_order(settings, seed, map), start=1):
            yield data
            if progress is not None:
                progress(done, settings.images)

    if path is None:
        data = _gather(watched(), settings.images, attrs)
        return validate_spectra(data)
    with SpectraWriter(path, settings.wavenumber, attrs, overwrite=overwrite) as writer:
        for data in watched():
            writer.append(
                data.absorbance.values,
                {name: data[name].values for name in SPECTRUM_COORDS},
                {name: data[name] for name in data.data_vars if name.startswith("truth_")},
            )
    return open_spectra(path)


def _gather(images: Iterator[xr.Dataset], n_images: int, attrs: dict) -> xr.Dataset:
    """Lay images into arrays made for the whole cohort, so that it is in memory once."""
    whole: xr.Dataset | None = None
    for k, data in enumerate(images):
        n = data.sizes["spectrum"]
        if whole is None:
            variables = {}
            for name, v in data.variables.items():
                if v.dims and v.dims[0] == "spectrum":
                    v = xr.Variable(v.dims, np.empty((n_images * n, *v.shape[1:]), v.dtype), v.attrs)
                variables[name] = v
            coords = {name: v for name, v in variables.items() if name in data.coords}
            whole = xr.Dataset({k: v for k, v in variables.items() if k not in coords}, coords, attrs)
        for name, v in data.variables.items():
            if v.dims[0] == "spectrum":
                whole.variables[name].values[k * n : (k + 1) * n] = v.values
    return whole
