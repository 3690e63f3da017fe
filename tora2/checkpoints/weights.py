"""Weights as they lie in a file: named tensors mapped from disk, nothing executed or copied."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ..fields import show
from .safetensors_file import Header, read_header, read_safetensors
from .torch_pickle import read_torch

AGAIN = "download it again"

GGUF_ADVICE = (
    "a GGUF file is read by a GGUF loader of the host alone, if it knows CogVideoX: Tora2 Apply "
    "takes the MODEL it gives, and the adapter comes from its own file"
)


@dataclass(frozen=True, eq=False)
class Weights:
    """Named tensors and the text beside them.

    Attributes:
        path: the file or folder they come from, for messages.
        format: `safetensors` or `torch`.
        tensors: mapped from disk; read when they are used.
        metadata: of a safetensors file, text only.
        config: the content of a folder's config.json, if there is one.
    """

    path: Path
    format: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, object] | None = None


def is_gguf(path: Path) -> bool:
    """Whether a file says that it is GGUF."""
    return path.is_file() and _start(path, 4) == b"GGUF"


def is_torch_zip(path: Path) -> bool:
    """Whether a file begins as torch's zip files do, cut off or not."""
    return path.is_file() and _start(path, 4) == b"PK\x03\x04"


def _start(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def read_file(path: str | os.PathLike[str]) -> Weights:
    """Map one weights file; its kind is told by its first bytes, never by its name.

    Args:
        path: a safetensors file, or a torch file in the zip format.

    Raises:
        ValueError: with one sentence, for anything else, and for a damaged or half-downloaded file.
        OSError: if the file is missing or not readable.
    """
    path = Path(path)
    if _format(path) == "torch":
        return Weights(path, "torch", read_torch(path))
    return Weights(path, "safetensors", *read_safetensors(path))


def look(path: Path) -> Header | None:
    """The header of a safetensors file, or None for a torch file, which has none.

    Raises:
        ValueError, OSError: as `read_file`.
    """
    return None if _format(path) == "torch" else read_header(path)


def _format(path: Path) -> str:
    """`torch` or `safetensors`, by the first bytes."""
    if not path.is_dir() and path.exists() and not path.is_file():
        raise ValueError(f"{path} is no regular file, expected weights")  # a pipe never ends
    start = _start(path, 512)
    if not start:
        raise ValueError(f"{path} is empty (0 bytes), expected weights: {AGAIN}")
    if start.startswith(b"PK\x03\x04"):
        return "torch"
    if start[8:9] == b"{" and not start.startswith(b"GGUF"):
        return "safetensors"
    raise ValueError(_no_weights(path, start))


def _no_weights(path: Path, start: bytes) -> str:
    """What the first bytes are, where they are no weights."""
    if start.startswith(b"version https://git-lfs"):
        match = re.search(rb"\nsize (\d{1,15})\b", start)
        size = f" of {int(match[1]) / 1e9:.2f} GB" if match else ""
        return (
            f"{path} is a git-lfs pointer, not the weights{size} it stands for: "
            "run `git lfs pull` or download the file itself"
        )
    if start.startswith(b"GGUF"):
        return f"{path} cannot be read here; {GGUF_ADVICE}"
    if start[0] == 0x80 and start[1:2] < b"\x06":
        return (
            f"{path} is a bare pickle, which could run code when it is read, "
            "expected safetensors or a torch file in the zip format"
        )
    kinds = {b"<": "is a web page", b"{": "is JSON text", b"[": "is JSON text"}
    kind = kinds.get(start.lstrip()[:1], f"starts with {show(start[:8])}")
    return f"{path} {kind}, expected weights (safetensors or a torch file)"
