"""Weights on disk: one safetensors file with a JSON header, written whole or not at all.

Safetensors (https://huggingface.co/docs/safetensors) holds numbers only: opening a file never runs code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from ftirlib.errors import ModelError
from ftirlib.files import write_text, written

HEADER = "ftirlib"  # the one key of the file's metadata, which must be a string: JSON


def save_tensors(path: str | os.PathLike, tensors: Mapping[str, torch.Tensor], header: Mapping) -> Path:
    """Write named tensors and a JSON-able header to one safetensors file, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with written(path) as draft:
        draft.write_bytes(to_bytes(tensors, metadata={HEADER: json.dumps(dict(header))}))
    return Path(path)


def load_tensors(path: str | os.PathLike) -> tuple[dict[str, torch.Tensor], dict]:
    """Read what `save_tensors` wrote.

    Raises
    ------
    ModelError
        When the file is missing, truncated, no safetensors file, or not one of ftirlib's.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no file of weights at '{path}'; check the path, or train and save the model again.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"'{path}' is torn or no safetensors file ({error}); copy it again or train the model again."
        ) from None
    try:
        header = json.loads(metadata[HEADER])
    except (KeyError, json.JSONDecodeError):
        raise ModelError(f"'{path}' has no ftirlib header; it was written by something else.") from None
    return tensors, header


def save_json(path: str | os.PathLike, content: Mapping, *, kind: str) -> Path:
    """Write a readable JSON description of this `kind`, atomically."""
    write_text(path, json.dumps({"kind": kind, **content}, indent=1, allow_nan=False))
    return Path(path)


def load_json(path: str | os.PathLike, *, kind: str) -> dict:
    """Read a JSON description that says it is of this `kind`, or say what is wrong with it."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no '{path.name}' in '{path.parent}'; check the path, or save the model again.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"'{path}' is torn or no JSON ({error}); copy it again or save the model again.") from None
    if not isinstance(content, dict) or content.get("kind") != kind:
        found = content.get("kind") if isinstance(content, dict) else type(content).__name__
        raise ModelError(f"'{path}' describes {found!r}, not {kind!r}; load it with the class that saved it.")
    return content


def put_weights(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], *, source: str | os.PathLike) -> None:
    """Copy tensors into a module whose names, shapes and types they must match exactly.

    Raises
    ------
    ModelError
        Naming the first tensor that is missing, unknown, of another shape or type, or not finite.
    """
    own = module.state_dict()
    for name, tensor in own.items():
        if name not in tensors:
            raise ModelError(f"'{source}' has no tensor '{name}'; it holds the weights of another architecture.")
        found = tensors[name]
        if found.shape != tensor.shape or found.dtype != tensor.dtype:
            raise ModelError(
                f"tensor '{name}' in '{source}' is {found.dtype} {tuple(found.shape)}, but this network has "
                f"{tensor.dtype} {tuple(tensor.shape)}; it holds the weights of another architecture."
            )
        if found.is_floating_point() and not torch.isfinite(found).all():
            raise ModelError(f"tensor '{name}' in '{source}' holds NaN or infinite values; train the model again.")
    if unknown := sorted(set(tensors) - set(own)):
        raise ModelError(f"'{source}' has an unknown tensor '{unknown[0]}'; it is of another architecture.")
    module.load_state_dict(dict(tensors))
