"""Paths as one bare array: Wan-Move's .npy, batches of them, and what ATI packs into .pth."""

from __future__ import annotations

import io
import pickletools
import zipfile

import numpy as np
import numpy.typing as npt

from ...fields import show
from .npz import MAX_MEMBER, read_npz

_Array = npt.NDArray[np.generic]

ATI_UNIT = 8
"""ATI stores eighths of a pixel."""
ATI_FRAMES = 121
MAX_OPCODES = 32

_SHAPES = "[T, N, 2], [B, T, N, 2] or ATI's [N, 121, 1, 3]"


def tracks_in(array: _Array) -> dict[str, _Array]:
    """The host's `TRACKS` out of an array of one of the shapes that are in use.

    Args:
        array: [T, N, 2] pixels (x, y), as Wan-Move; [T, N, 3] with visibility; [B, T, N, 2], of
            which the clips are taken together; or [N, 121, 1, 3], else [T, N, 1, 3], in eighths of
            a pixel with visibility, as ATI's `process_tracks` tells them apart.

    Raises:
        ValueError: for any other shape, which is named.
    """
    if array.ndim == 4 and array.shape[2:] == (1, 3):
        array = np.asarray(array[:, :, 0], dtype=np.float64) / ATI_UNIT
        if array.shape[1] == ATI_FRAMES:
            array = array.swapaxes(0, 1)
    if array.ndim == 4 and array.shape[3] == 2:
        return {"track_path": together(array)}
    if array.ndim == 3 and array.shape[2] == 3:
        return {"track_path": array[..., :2], "track_visibility": array[..., 2]}
    if array.ndim == 3 and array.shape[2] == 2:
        return {"track_path": array}
    raise ValueError(f"the file holds an array of the shape {array.shape}, expected {_SHAPES}")


def together(batch: _Array) -> _Array:
    """The tracks of all clips [B, T, N, ...] in one, [T, B N, ...]."""
    return np.concatenate(list(batch), axis=1) if len(batch) else batch.reshape(0, 0, 2)


def is_pth(content: bytes) -> bool:
    """Whether a zip is one that `torch.save` writes."""
    return b"data.pkl" in content[:4096] or b"/data.pkl" in content[-8192:]


def read_pth(content: bytes) -> dict[str, _Array]:
    """ATI's tracks: the bytes of an .npz that `torch.save` has packed. Nothing is unpickled.

    Raises:
        ValueError: if the file is damaged, or holds anything else, which is named.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            info = archive.getinfo(name)
            if info.file_size > 2 * MAX_MEMBER:
                raise ValueError(f"{show(name)} is {info.file_size} bytes, expected fewer")
            with archive.open(info) as file:
                pickled = file.read(info.file_size)
    except (zipfile.BadZipFile, StopIteration, EOFError, OSError, RuntimeError) as error:
        raise ValueError("not a complete .pth file") from error
    return read_npz(_packed(pickled))


def _packed(pickled: bytes) -> bytes:
    """The bytes that a pickle of bytes alone holds, whichever protocol wrote it."""
    try:
        codes = []
        for code, argument, _ in pickletools.genops(pickled):
            codes.append((code.name, argument))
            if len(codes) > MAX_OPCODES:
                break
    except (ValueError, UnicodeDecodeError, IndexError) as error:
        raise ValueError("not a complete .pth file") from error
    for (before, _), (name, argument) in zip([("", None), *codes], codes, strict=False):
        if name in ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8") and isinstance(argument, bytes):
            return argument
        if name == "BINUNICODE" and before in ("GLOBAL", "BINPUT") and _is_codec(codes):
            return str(argument).encode("latin-1", "replace")
    held = next((str(a) for n, a in codes if n in ("GLOBAL", "STACK_GLOBAL") and a), "other values")
    raise ValueError(f"the .pth file holds {show(held)}, expected the packed bytes of ATI's tracks")


def _is_codec(codes: list[tuple[str, object]]) -> bool:
    """Whether all that the pickle would call is what turns text into bytes."""
    return [a for n, a in codes if n in ("GLOBAL", "STACK_GLOBAL")] == ["_codecs encode"]
