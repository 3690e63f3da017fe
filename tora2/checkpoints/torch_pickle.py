"""Torch's zip files (`.pt`), mapped from disk and unpickled without running anything."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..fields import show

MAX_PICKLE = 64 * 1024 * 1024


class _Discarded:
    """Stands for what a training run keeps beside its weights; takes everything, does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


# SAT writes the state of numpy's random generator, DeepSpeed its own bookkeeping.
_BESIDE = (
    *(
        f"numpy.{core}.{name}"
        for core in ("core", "_core")
        for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
    ),
    "numpy.ndarray",
    "numpy.dtype",
    "argparse.Namespace",
    "deepspeed.runtime.fp16.loss_scaler.LossScaler",
    "deepspeed.runtime.fp16.loss_scaler.DynamicLossScaler",
    "deepspeed.runtime.zero.config.ZeroStageEnum",
    "deepspeed.utils.tensor_fragment.fragment_address",
)


def read_torch(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict of a torch file; the tensors stay on disk until they are used.

    A 22 GB file takes address space and no memory. Tensors may lie in the root or under `module`
    or `state_dict`, as DeepSpeed and SAT write them; plain numbers and texts beside them, and the
    known remains of a training run, are ignored.

    Raises:
        ValueError: if the file is damaged, holds anything but tensors and plain data, or holds no
            state dict.
    """
    path = Path(path)
    _check_zip(path)
    try:
        with torch.serialization.safe_globals([(_Discarded, name) for name in _BESIDE]):
            content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds {_culprit(str(error))} beside tensors, which could run code: "
            "expected tensors and plain data only"
        ) from None
    except (RuntimeError, LookupError, TypeError, AttributeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ValueError(f"{path} is a damaged torch file ({reason}): download it again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected a state dict")
    for key in ("module", "state_dict"):
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    return _tensors_only(path, content)


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OverflowError, UnicodeDecodeError):
        raise ValueError(
            f"{path} is cut off or damaged (no zip index): download it again"
        ) from None
    pickles = [entry for entry in entries if entry.filename.rsplit("/", 1)[-1] == "data.pkl"]
    if len(pickles) != 1:
        raise ValueError(f"{path} is a zip file that torch did not write, expected weights")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError(f"{path} is a compressed zip file, expected one as torch.save writes it")
    if pickles[0].file_size > MAX_PICKLE:
        raise ValueError(
            f"{path} has a pickle of {pickles[0].file_size} bytes, expected at most {MAX_PICKLE}"
        )


def _culprit(message: str) -> str:
    match = re.search(r"GLOBAL (\S+)", message) or re.search(r"allowlist (\S+)", message)
    return f"the object {show(match[1])}" if match else "something else"


def _tensors_only(path: Path, content: Mapping[object, object]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, value in content.items():
        if isinstance(value, Tensor) and isinstance(name, str):
            # A view with strides of 0 can claim any size out of a few bytes.
            if value.layout != torch.strided or value.device.type != "cpu":
                raise ValueError(f"{path} has a tensor {show(name)} without plain values")
            if value.numel() * value.element_size() > value.untyped_storage().nbytes():
                raise ValueError(f"{path} has a tensor {show(name)} larger than its stored values")
            tensors[name] = value
    if not tensors:
        raise ValueError(f"{path} holds no tensors, expected a state dict")
    return tensors
