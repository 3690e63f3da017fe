"""Checkpoints of a run: a folder of safetensors each, written whole, kept to the last few.

torch.distributed.checkpoint lays the tensors out, so a run goes on with another number of
processes; nothing is pickled.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from ..fields import plain
from .distributed import World

_NAME = re.compile(r"step-(\d{9})")
_STEP = "step"
# What torch's reader and safetensors raise for files that are not theirs or are cut off.
_DAMAGE = (ValueError, KeyError, TypeError, OSError, RuntimeError, AssertionError, SafetensorError)


class Checkpoints:
    """The checkpoints of a folder.

    Args:
        folder: of the checkpoints; made when the first is written.
        world: the processes, which save and load together.
        keep: how many are kept.

    Raises:
        ValueError: if torch is too old for them.
    """

    def __init__(self, folder: Path, world: World, keep: int = 2) -> None:
        _library()
        self.folder, self.world, self.keep = folder, world, keep

    def save(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Write the checkpoint of a step; it has its name when all of it is on the disk.

        Raises:
            OSError: if it cannot be written.
        """
        checkpoint = _library()
        final = self.folder / f"step-{step:09d}"
        temporary = self.folder / f".step-{step:09d}"
        if self.world.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            for left in self.folder.glob(".step-*"):  # by a run that was killed in the middle
                shutil.rmtree(left)
            temporary.mkdir()
        self.world.wait()
        state = {**tensors, _STEP: torch.tensor([step])}
        writer = checkpoint.HuggingFaceStorageWriter(str(temporary), save_distributed=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a single process saves, and of futures
                checkpoint.save(state, storage_writer=writer, no_dist=self.world.size == 1)
        except (*_DAMAGE, checkpoint.api.CheckpointException) as error:
            if self.world.first:
                shutil.rmtree(temporary, ignore_errors=True)
            raise _refusal(final, _cause(error)) from error
        self.world.wait()
        if self.world.first:
            if final.exists():
                shutil.rmtree(final)
            temporary.rename(final)
            for old in self.steps()[: -self.keep]:
                shutil.rmtree(self.folder / f"step-{old:09d}")
        self.world.wait()

    def steps(self) -> list[int]:
        """The steps that there are checkpoints of."""
        if not self.folder.is_dir():
            return []
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir() if path.is_dir())
        return sorted(int(match[1]) for match in found if match)

    def names(self) -> frozenset[str] | None:
        """The names of the tensors in the last checkpoint; None where there is none.

        Raises:
            ValueError: if it is damaged.
        """
        self.world.wait()
        steps = self.steps()
        if not steps:
            return None
        with self._reading(steps[-1]) as reader:
            return frozenset(reader.read_metadata().state_dict_metadata) - {_STEP}

    def load(self, tensors: Mapping[str, Tensor]) -> int:
        """Read the last checkpoint into tensors of the same names and shapes.

        Returns:
            Its step; 0 where there is none.

        Raises:
            ValueError: if it is damaged or that of other tensors.
        """
        self.world.wait()
        steps = self.steps()
        if not steps:
            return 0
        state: dict[str, Any] = {**tensors, _STEP: torch.zeros(1, dtype=torch.int64)}
        with self._reading(steps[-1]) as reader, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check(reader.read_metadata().state_dict_metadata, state)
            _library().load(state, storage_reader=reader, no_dist=self.world.size == 1)
            if int(state[_STEP]) != steps[-1]:
                raise ValueError(f"it is of step {int(state[_STEP])}")
        return steps[-1]

    @contextmanager
    def _reading(self, step: int) -> Iterator[Any]:
        path = self.folder / f"step-{step:09d}"
        try:
            yield _library().HuggingFaceStorageReader(str(path))
        except (*_DAMAGE, _library().api.CheckpointException) as error:
            reason = plain(_first_line(_cause(error)), 200)
            raise ValueError(
                f"{path} cannot be read: {reason}; remove it to go on from the checkpoint before it"
            ) from error


def _check(there: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> None:
    """Refuse a checkpoint of other names or shapes, before it is read."""
    if there.keys() != wanted.keys():
        name = sorted(there.keys() ^ wanted.keys())[0]
        raise ValueError(f"it has other tensors, {plain(name)} among them")
    for name, tensor in wanted.items():
        if tuple(there[name].size) != tuple(tensor.shape):
            found = tuple(there[name].size)
            raise ValueError(f"its {plain(name)} is {found}, expected {tuple(tensor.shape)}")


def _refusal(path: Path, cause: BaseException) -> OSError:
    """The system's own refusal, of a full disk for example, under the checkpoint's name."""
    named = re.search(r"\(os error (\d+)\)", str(cause))  # of safetensors
    number = cause.errno if isinstance(cause, OSError) else named and int(named[1])
    if number:
        return OSError(number, os.strerror(number), str(path))
    return OSError(f"cannot write {path}: {plain(_first_line(cause), 200)}")


def _cause(error: BaseException) -> BaseException:
    """What went wrong, in the first process that it went wrong in."""
    failures = getattr(error, "failures", None)
    return next(iter(failures.values()))[0] if failures else error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _library() -> Any:
    from torch.distributed import checkpoint

    if not hasattr(checkpoint, "HuggingFaceStorageWriter"):
        raise ValueError(
            f"checkpoints need torch 2.9 or later, this is {torch.__version__}: "
            "pip install --upgrade torch"
        )
    return checkpoint
