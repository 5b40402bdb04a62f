"""Training interrupted and gone on with: the state after an epoch as one file.

One safetensors file (see `weights`) holds the weights, the best weights so far and AdamW's moments; its header what
they were made from, and the history. No random state is kept, as chance depends on the seed and the epoch alone.
"""

from __future__ import annotations

import hashlib

import numpy as np

from ftirlib.classify.weights import load_tensors, put_weights, save_tensors
from ftirlib.errors import ModelError
from ftirlib.spectra.rows import Rows


def data_hash(*arrays: np.ndarray | Rows) -> str:
    """SHA-256 of the shapes, types and bytes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(tuple(array.shape)).encode())
        for block in (block for _, block in array.blocks()) if isinstance(array, Rows) else [array]:
            digest.update(block.dtype.str.encode() + block.tobytes())
    return digest.hexdigest()


def save_checkpoint(path, model, optimizer, made_from: dict, result: dict, best: dict) -> None:
    """Write the state after an epoch, atomically.

    Parameters
    ----------
    path : path
    model, optimizer
        After the epoch.
    made_from : dict
        What must be the same for the training to go on; JSON's types and tuples.
    result : dict
        The history so far, in JSON's types.
    best : dict of tensors
        Weights of the best epoch so far.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in state.items()}
    save_tensors(path, tensors, {"kind": "training checkpoint", "made_from": made_from, "result": result})


def resume(path, model, optimizer, made_from: dict) -> tuple[dict, dict]:
    """Put a checkpoint's state into the model and the optimizer; its ``result`` and best weights are returned.

    Raises
    ------
    ModelError
        A file that is torn, no checkpoint, or made from something else; the message says what differs.
    """
    tensors, header = load_tensors(path)
    if header.get("kind") != "training checkpoint":
        raise ModelError(f"'{path}' is {header.get('kind')!r}, no training checkpoint; choose another path.")
    asked, found = _plain(made_from), header["made_from"]
    for part in asked:
        if asked[part] != found.get(part):
            detail = ""
            if isinstance(asked[part], dict):
                name = next(k for k in asked[part] if asked[part][k] != found.get(part, {}).get(k))
                detail = f" ({name}: {found.get(part, {}).get(name)!r} there, {asked[part][name]!r} now)"
            raise ModelError(
                f"the checkpoint '{path}' was made from another {part}{detail}; delete it or choose another path."
            )

    def under(prefix):
        return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

    put_weights(model, under("model."), source=path)
    state: dict[int, dict] = {}
    for name, tensor in under("optimizer.").items():
        i, key = name.split(".", 1)
        state.setdefault(int(i), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    device = next(model.parameters()).device
    return header["result"], {name: tensor.to(device) for name, tensor in under("best.").items()}


def _plain(value):
    """Tuples as lists, which is how JSON returns them."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
