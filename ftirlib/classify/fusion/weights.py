"""Weights of the backbones: published ones from a checked local file or the cache, else seeded random ones, said so.

Files are safetensors (https://huggingface.co/docs/safetensors), which hold numbers only; parameters go by the names of
torchvision, or of timm (Wightman 2019, 10.5281/zenodo.4414861), whose published safetensors both have these shapes.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ftirlib.classify.fusion.backbones import EfficientNetB0, ResNet101
from ftirlib.errors import ModelError, SettingsError

BACKBONES = {"resnet101": ResNet101, "efficientnet_b0": EfficientNetB0}
CLASSIFIERS = ("fc.", "classifier.")  # the ImageNet layers, which features do without
RANDOM_FEATURES = "random features"


def cache_folder() -> Path:
    """Where weights are kept: the folder named by FTIRLIB_CACHE, else ``~/.cache/ftirlib``, and there ``weights``."""
    return Path(os.environ.get("FTIRLIB_CACHE") or Path.home() / ".cache" / "ftirlib") / "weights"


def cached_weights(name: str, folder: Path | None = None) -> Path | None:
    """The cached file of a backbone, None where there is none; several are refused, as one would be a guess."""
    files = sorted((folder or cache_folder()).glob(f"{name}-{'[0-9a-f]' * 64}.safetensors"))
    if len(files) > 1:
        raise ModelError(f"'{files[0].parent}' holds {len(files)} files of weights of {name}; keep the one to use.")
    return files[0] if files else None


def keep_weights(name: str, file, *, sha256: str, folder: Path | None = None) -> Path:
    """Check a file of weights and copy it into the cache, whole or not at all.

    Parameters
    ----------
    name : {"resnet101", "efficientnet_b0"}
    file : path
        Safetensors.
    sha256 : str
        As its publisher states it.
    folder : path, optional
        Instead of `cache_folder`.

    Returns
    -------
    Path
        Named by its content: ``<name>-<sha256>.safetensors``.

    Raises
    ------
    ModelError
        Another hash or another architecture.
    """
    read_weights(name, file, sha256=sha256)
    target = (folder or cache_folder()) / f"{name}-{sha256.lower()}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{name}.", dir=target.parent)
    os.close(handle)
    try:
        shutil.copyfile(file, partial)
        os.replace(partial, target)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return target


def read_weights(name: str, file, *, sha256: str) -> dict[str, torch.Tensor]:
    """Tensors of a backbone without its classifier, checked by hash, name and shape before any is used.

    Parameters
    ----------
    name : {"resnet101", "efficientnet_b0"}
    file : path
        Safetensors with the parameter names of torchvision or timm, ImageNet classifier included or not.
    sha256 : str
        The 64 hexadecimal digits the file must have.

    Returns
    -------
    dict of float32 tensors
        By torchvision's names.

    Raises
    ------
    ModelError
        No such file, another hash, no safetensors, or the first tensor that does not fit.
    SettingsError
        An unknown backbone, or a hash that is none.
    """
    _check_name(name)
    file = Path(file)
    if not re.fullmatch(r"[0-9a-fA-F]{64}", str(sha256)):
        raise SettingsError(f"sha256 is {sha256!r}; give the 64 hexadecimal digits that the file's publisher states.")
    if not file.is_file():
        raise ModelError(f"there is no file of weights at '{file}'; check the path.")
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256.lower():
        raise ModelError(
            f"'{file}' has the SHA-256 {found}, not {sha256.lower()}; get the file again from a source you trust."
        )
    with torch.device("meta"):
        expected = {key: tensor.shape for key, tensor in BACKBONES[name](classifier=True).state_dict().items()}
    try:
        with safe_open(file, framework="pt") as content:
            names = {torchvision_name(name, key): key for key in content.keys()}  # noqa: SIM118 - not a mapping
            shapes = {key: tuple(content.get_slice(own).get_shape()) for key, own in names.items()}
            _check_shapes(name, file, expected, shapes)
            return {
                key: content.get_tensor(own).float() if not key.endswith("num_batches_tracked") else torch.tensor(0)
                for key, own in names.items()
                if not key.startswith(CLASSIFIERS)
            }
    except (SafetensorError, OSError) as error:
        raise ModelError(f"'{file}' is torn or no safetensors file ({error}); get it again.") from None


def _check_shapes(name, file, expected, found) -> None:
    another = f"it holds the weights of another architecture than {name}."
    for key, shape in expected.items():
        if key not in found:
            if key.startswith(CLASSIFIERS) or key.endswith("num_batches_tracked"):  # neither has a part in features
                continue
            raise ModelError(f"'{file}' has no tensor '{key}'; {another}")
        if found[key] != tuple(shape):
            raise ModelError(f"tensor '{key}' in '{file}' is {found[key]}, not {tuple(shape)}; {another}")
    if unknown := sorted(set(found) - set(expected)):
        raise ModelError(f"'{file}' has an unknown tensor '{unknown[0]}'; {another}")


def _check_name(name: str) -> None:
    if name not in BACKBONES:
        raise SettingsError(f"there is no backbone {name!r}; choose one of {', '.join(BACKBONES)}.")


def torchvision_name(name: str, key: str) -> str:
    """A parameter's name in torchvision from its name in torchvision or timm.

    Examples
    --------
    >>> torchvision_name("efficientnet_b0", "blocks.1.0.se.conv_reduce.bias")
    'features.2.0.block.2.fc1.bias'
    """
    if name == "resnet101":  # the two agree
        return key
    if block := re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(\w+)\.(.+)", key):
        stage, i, layer, rest = int(block[1]), block[2], block[3], block[4]
        # the first stage has no expansion, so its layers come one place earlier
        layers = ["conv_dw", "se", "conv_pw"] if stage == 0 else ["conv_pw", "conv_dw", "se", "conv_pwl"]
        norms = {"bn1": 0, "bn2": 2} if stage == 0 else {"bn1": 0, "bn2": 1, "bn3": 3}
        prefix = f"features.{stage + 1}.{i}.block"
        if layer == "se":
            return f"{prefix}.{layers.index('se')}.{rest.replace('conv_reduce', 'fc1').replace('conv_expand', 'fc2')}"
        if layer in layers:
            return f"{prefix}.{layers.index(layer)}.0.{rest}"
        return f"{prefix}.{norms[layer]}.1.{rest}" if layer in norms else key
    outer = {"conv_stem": "features.0.0", "bn1": "features.0.1", "conv_head": "features.8.0", "bn2": "features.8.1"}
    first, _, rest = key.partition(".")
    if first == "classifier" and "." not in rest:
        return f"classifier.1.{rest}"
    return f"{outer[first]}.{rest}" if first in outer else key


def find_weights(name: str, weights: Mapping | str | None = None, *, warn: bool = True) -> tuple[Path, str] | None:
    """File and SHA-256 of the weights a backbone is to have; None: random ones.

    Parameters
    ----------
    name : {"resnet101", "efficientnet_b0"}
    weights : mapping, "random" or None
        {backbone: (file, sha256) or "random"}; a backbone that is not named, and every one for None, takes the cached
        file where there is one. "random": random weights, whatever the cache holds.
    warn : bool
        Warn, once a process and backbone, when nothing is found and nobody asked for random weights.

    Raises
    ------
    SettingsError
        An unknown backbone or an entry that is no pair.
    """
    _check_name(name)
    if isinstance(weights, str) and weights == "random":
        return None
    if weights is not None and not isinstance(weights, Mapping):
        raise SettingsError(f"weights is {weights!r}; give {{backbone: (file, sha256)}}, 'random' or None.")
    for key, entry in (weights or {}).items():
        _check_name(key)
        if entry != "random" and (not isinstance(entry, (tuple, list)) or len(entry) != 2):
            raise SettingsError(
                f"the weights of {key} are {entry!r}; give (file, sha256): an unchecked file could be anything."
            )
    if name in (weights or {}):
        if weights[name] == "random":
            return None
        file, sha256 = weights[name]
        return Path(file), str(sha256).lower()
    if (cached := cached_weights(name)) is not None:
        return cached, cached.stem.rpartition("-")[2]
    if warn:
        _say_random(name)
    return None


@functools.cache
def _say_random(name: str) -> None:
    warnings.warn(
        f"no published weights of {name} are given or in '{cache_folder()}', so its weights are seeded random numbers "
        f"and what it yields are {RANDOM_FEATURES}; pass weights={{'{name}': (file, sha256)}} for ImageNet features.",
        stacklevel=2,
    )
