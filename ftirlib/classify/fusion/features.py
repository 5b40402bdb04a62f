"""Features of spectra for the fusion classifier: four families, extracted in batches and cached by content.

Abdo et al. 2024 (10.5815/ijisa.2024.04.02): pooled features of ResNet-101 and EfficientNet-B0 of the drawn spectrum,
wavelet scattering and statistics of the spectrum itself.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from pydantic import Field, field_validator

from ftirlib.classify.checks import check_grid, choose_device
from ftirlib.classify.fusion.backbones import calibrate_norms
from ftirlib.classify.fusion.raster import Raster, check_drawable
from ftirlib.classify.fusion.scattering import SpectrumScattering
from ftirlib.classify.fusion.statistics import STATISTICS, spectrum_statistics
from ftirlib.classify.fusion.weights import BACKBONES, RANDOM_FEATURES, find_weights, read_weights
from ftirlib.classify.weights import put_weights
from ftirlib.errors import DataError, SettingsError
from ftirlib.files import written
from ftirlib.settings import Group
from ftirlib.spectra.model import iter_blocks

FAMILIES = (*BACKBONES, "scattering", "statistics")
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green, blue, as in training
N_CALIBRATION = 32  # drawn random walks that set the norms of random backbones
CACHED_ROWS, KEY_BYTES = 1024, 16  # spectra held back before a file of the cache is written; of a spectrum's key
REVISION = 1  # of the computation; raise it when a family's numbers change, so that cached ones are not reused


class FeatureSettings(Group):
    """What is extracted, and how; the ranges of pictures and scattering are those of `Raster`, `SpectrumScattering`."""

    families: tuple[str, ...] = Field(FAMILIES, description="feature families, kept in this order")
    image: str = Field("line", description="how a spectrum becomes an image")
    image_size: int = Field(224, description="pixels; the backbones were designed for 224")
    line_width: float = Field(1.5, description="of a drawn line, pixels")
    scattering_scale: int | None = Field(None, description="of the scattering, as an exponent of 2; null: its own")
    wavelets_per_octave: int = Field(8, description="of the scattering")
    random_state: int = Field(0, description="seed of backbones without published weights")

    @field_validator("families")
    @classmethod
    def _known(cls, families):
        if unknown := [name for name in families if name not in FAMILIES]:
            raise ValueError(f"there is no feature family {unknown[0]!r}; choose of {', '.join(FAMILIES)}")
        if not families:
            raise ValueError(f"every feature family is switched off; keep at least one of {', '.join(FAMILIES)}")
        return tuple(name for name in FAMILIES if name in families)


class FeatureExtractor:
    """Turns spectra on one axis into features, family by family.

    Parameters
    ----------
    wavenumber : (n_wavenumbers,) array, cm-1, ascending
    settings : FeatureSettings, optional
    weights : mapping, "random" or None
        As in `find_weights`.
    device : str
        "auto" takes an accelerator where torch finds one, else the processor.
    batch_size : int
        Spectra drawn and sent through the backbones at a time. It changes features by rounding only.
    cache : path, optional
        Folder in which features are kept by the content of their spectrum and of what computes them.

    Attributes
    ----------
    feature_origin : str
        "ImageNet features", "random features" (where any backbone in use has random weights) or "no image features":
        to be stated wherever results are shown.
    """

    def __init__(
        self,
        wavenumber,
        settings: FeatureSettings | None = None,
        *,
        weights: Mapping | str | None = None,
        device: str = "auto",
        batch_size: int = 64,
        cache=None,
    ):
        if batch_size < 1:
            raise SettingsError(f"batch_size is {batch_size}; it must be at least 1.")
        self.settings = settings or FeatureSettings()
        self.wavenumber = np.asarray(wavenumber, np.float64)
        self.device, self.batch_size = choose_device(device), batch_size
        s = self.settings
        self._raster = Raster(self.wavenumber, size=s.image_size, kind=s.image, line_width=s.line_width)
        self._scattering = None
        if "scattering" in s.families:
            self._scattering = SpectrumScattering(
                self.wavenumber, scale=s.scattering_scale, wavelets_per_octave=s.wavelets_per_octave
            )
        self._files = {name: find_weights(name, weights) for name in s.families if name in BACKBONES}
        # checked now: a wrong file is better refused before the spectra are read than after
        self._networks = {
            name: self._build(name, read_weights(name, file[0], sha256=file[1]))
            for name, file in self._files.items()
            if file
        }
        self._caches = {name: None if cache is None else FeatureCache(cache, self._recipe(name)) for name in s.families}

    @property
    def feature_origin(self) -> str:
        if not self._files:
            return "no image features"
        return "ImageNet features" if all(self._files.values()) else RANDOM_FEATURES

    @property
    def weights_sha256(self) -> dict[str, str | None]:
        """Hash of the published weights of each backbone in use, None where they are random."""
        return {name: file[1] if file else None for name, file in self._files.items()}

    @property
    def n_features(self) -> dict[str, int]:
        """Number of features of each family."""
        found = {name: network.n_features for name, network in BACKBONES.items()} | {"statistics": len(STATISTICS)}
        if self._scattering is not None:
            found["scattering"] = self._scattering.n_paths * self._scattering.n_positions
        return {name: found[name] for name in self.settings.families}

    def extract(
        self, spectra, *, rows=None, progress: Callable[[int, int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Features of spectra in memory or on disk, of which one batch is read at a time.

        Parameters
        ----------
        spectra : (n_spectra, n_wavenumbers) array or xarray.Dataset
            A data set's axis is compared with the extractor's.
        rows : (n,) int, ascending, optional
            Of a data set, the spectra to take; default all.
        progress : callable, optional
            Called with the number of spectra done and their total after each batch.

        Returns
        -------
        dict of (n_spectra, n_features) float32 arrays
            By family, in the order of ``settings.families``.

        Raises
        ------
        DataError
            Another axis, NaN, or a constant spectrum.
        """
        total, blocks = self._blocks(spectra, rows)
        features = {name: np.empty((total, width), np.float32) for name, width in self.n_features.items()}
        try:
            for start, block in blocks:
                check_drawable(block)
                images = _Once(lambda block=block: self._raster.render(block))
                for name, out in features.items():
                    out[start : start + len(block)] = self._family(name, block, images)
                if progress is not None:
                    progress(start + len(block), total)
        finally:  # an interrupted extraction goes on from here next time
            for cache in self._caches.values():
                if cache is not None:
                    cache.flush()
        return features

    def probe(self) -> dict[str, np.ndarray]:
        """Features of one fixed random walk, by family, computed anew: equal where and when extraction is the same."""
        walk = np.random.default_rng(0).standard_normal((1, self.wavenumber.size)).cumsum(axis=1)
        images = _Once(lambda: self._raster.render(walk))
        return {name: self._compute(name, walk, images, slice(None))[0] for name in self.settings.families}

    def _blocks(self, spectra, rows) -> tuple[int, Iterator[tuple[int, np.ndarray]]]:
        if isinstance(spectra, xr.Dataset):
            check_grid(spectra.wavenumber.values, self.wavenumber)
            total = spectra.sizes["spectrum"] if rows is None else len(rows)
            found = iter_blocks(spectra, None if rows is None else np.asarray(rows), self.batch_size)
            return total, ((start, np.asarray(block, np.float64)) for start, block in found)
        if rows is not None:
            raise SettingsError("rows go with a data set; index the array of spectra instead.")
        spectra = np.asarray(spectra)
        if spectra.ndim != 2 or spectra.shape[1] != self.wavenumber.size:
            raise DataError(f"spectra have shape {spectra.shape}; they must be (spectra, {self.wavenumber.size}).")
        starts = range(0, len(spectra), self.batch_size)
        return len(spectra), ((k, np.asarray(spectra[k : k + self.batch_size], np.float64)) for k in starts)

    def _family(self, name, block, images) -> np.ndarray:
        cache = self._caches[name]
        if cache is None:
            return self._compute(name, block, images, slice(None))
        keys = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in block]
        missing = [k for k, key in enumerate(keys) if key not in cache]
        if missing:
            cache.add([keys[k] for k in missing], self._compute(name, block, images, missing))
        return cache.get(keys)

    def _compute(self, name, block, images, rows) -> np.ndarray:
        if name == "statistics":
            return spectrum_statistics(block[rows], self.wavenumber)
        if name == "scattering":
            return self._scattering.transform(block[rows])
        if name not in self._networks:
            self._networks[name] = self._build(name, None)
        return self._forward(self._networks[name], images()[rows])

    def _forward(self, network, images) -> np.ndarray:
        with torch.inference_mode():
            return network(self._as_input(images)).float().cpu().numpy()

    def _as_input(self, images) -> torch.Tensor:
        """Grey images (n, size, size) as the normalised colour images (n, 3, size, size) that the backbones know."""
        grey = torch.from_numpy(images).to(self.device)[:, None]  # (n, 1, size, size)
        mean, sd = (torch.tensor(v, device=self.device)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_SD))
        # channels last: convolutions on a processor run up to twice as fast
        return ((grey - mean) / sd).contiguous(memory_format=torch.channels_last)

    def _build(self, name, tensors):
        network = BACKBONES[name](classifier=False, random_state=self.settings.random_state)
        if tensors is not None:
            own = network.state_dict()  # norms published without a count of batches keep ours, which nothing reads
            put_weights(network, {key: tensors.get(key, own[key]) for key in own}, source=self._files[name][0])
        network = network.to(self.device, memory_format=torch.channels_last).eval()
        if tensors is None:
            # random walks look like no spectrum in particular: the norms learn nothing of the data
            rng = np.random.default_rng([self.settings.random_state, list(BACKBONES).index(name)])
            walks = rng.standard_normal((N_CALIBRATION, self.wavenumber.size)).cumsum(axis=1)
            calibrate_norms(network, self._as_input(self._raster.render(walks)))
        return network

    def _recipe(self, name) -> str:
        """What the features of a family depend on besides the spectrum, as a hash."""
        s = self.settings.model_dump()
        parts = {"family": name, "revision": REVISION, "wavenumber": self.wavenumber.tolist()}
        if name in BACKBONES:
            parts |= {k: s[k] for k in ("image", "image_size", "line_width")}
            file = self._files[name]
            parts["weights"] = file[1] if file else ["random", s["random_state"], torch.__version__]
        elif name == "scattering":
            parts |= {"scale": self._scattering.scale, "wavelets_per_octave": s["wavelets_per_octave"]}
        return f"{name}-{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]}"


class _Once:
    """A value computed when first asked for: images are drawn once for both backbones, and not at all when cached."""

    def __init__(self, compute):
        self._compute, self._value = compute, None

    def __call__(self):
        if self._value is None:
            self._value = self._compute()
        return self._value


class FeatureCache:
    """Features by the 16-byte key of their spectrum.

    One folder a recipe (what computes the features), in it NumPy files of records (key, features) that are written
    whole, never changed, and never unpickled.

    Parameters
    ----------
    folder : path
        Shared by any number of recipes and processes; files of others that appear later are seen by the next cache.
    recipe : str
        Hash of everything else that the features depend on.
    """

    def __init__(self, folder, recipe: str):
        self._folder = Path(folder) / recipe
        self._where: dict[bytes, tuple[np.ndarray, int]] = {}
        self._waiting: dict[bytes, np.ndarray] = {}
        for file in sorted(self._folder.glob("*.npy")):
            if (records := _read(file)) is not None:
                self._where |= {key.tobytes(): (records, k) for k, key in enumerate(records["key"])}

    def __contains__(self, key: bytes) -> bool:
        return key in self._where or key in self._waiting

    def get(self, keys: Sequence[bytes]) -> np.ndarray:
        """Features (n, n_features) float32 of keys that are known."""
        return np.stack([self._waiting[k] if k in self._waiting else self._from_disk(k) for k in keys])

    def _from_disk(self, key):
        records, k = self._where[key]
        return records["features"][k]

    def add(self, keys: Sequence[bytes], features: np.ndarray) -> None:
        """Keep features (n, n_features); they reach the disk in files of about a thousand."""
        self._waiting |= dict(zip(keys, features))
        if len(self._waiting) >= CACHED_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        features = np.stack(list(self._waiting.values())).astype(np.float32)
        kind = np.dtype([("key", f"V{KEY_BYTES}"), ("features", np.float32, features.shape[1:])])
        records = np.empty(len(features), kind)
        records["key"] = np.frombuffer(b"".join(self._waiting), f"V{KEY_BYTES}")
        records["features"] = features
        content = io.BytesIO()
        np.save(content, records, allow_pickle=False)
        # the name is the content's own hash: a file that does not match it is torn
        file = self._folder / f"{hashlib.sha256(content.getvalue()).hexdigest()}.npy"
        with written(file) as draft:
            draft.write_bytes(content.getvalue())
        records = _mapped(file)
        self._where |= {key: (records, k) for k, key in enumerate(self._waiting)}
        self._waiting = {}


def _read(file: Path) -> np.ndarray | None:
    """Records of a file; None where it is not what its name says, as then it is computed again."""
    with file.open("rb") as stream:
        whole = hashlib.file_digest(stream, "sha256").hexdigest() == file.stem
    return _mapped(file) if whole else None


def _mapped(file: Path) -> np.ndarray:
    """Records left on disk until they are asked for: there may be more of them than memory holds."""
    return np.load(file, mmap_mode="r", allow_pickle=False)
