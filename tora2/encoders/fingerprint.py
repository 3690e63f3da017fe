"""Short names for contents: what cached results are filed under."""

import hashlib
import os
from collections.abc import Mapping

import torch
from torch import Tensor

from .pictures import Picture

_SAMPLES = 64


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """Name of a set of weights, from the names, shapes and evenly spread values of its tensors."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().flatten()
        step = max(1, len(tensor) // _SAMPLES)
        digest.update(f"{name}{tuple(state[name].shape)}".encode())
        digest.update(tensor[::step].to("cpu", torch.float32).numpy().tobytes())
    return digest.hexdigest()[:16]


def file_fingerprint(path: str | os.PathLike[str]) -> str:
    """Name of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def picture_fingerprint(picture: Picture) -> str:
    """Name of a picture's content."""
    digest = hashlib.sha256(str(tuple(picture.rgb.shape)).encode())
    digest.update(picture.rgb.contiguous().numpy().tobytes())
    if picture.alpha is not None:
        digest.update(picture.alpha.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
