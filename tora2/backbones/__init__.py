"""The video models that Tora2's parts stand beside, one file each.

A module of this package that defines `BACKBONE` is a backbone; nothing else has to name it. The
modules are imported when a backbone is first asked for, so that this package needs no library.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor, nn

from ..geometry import Grid

if TYPE_CHECKING:
    from ..conditioning import Tora2Conditioning

Prediction = Literal["v", "epsilon", "flow"]


@dataclass(frozen=True)
class Published:
    """What is known of a model without its files: enough to plan a training with.

    Attributes:
        shapes: arguments of the transformers' class, by name; the first where none is named.
        autoencoder: its config.json.
        frames, height, width, fps: of the videos that it was made for.
        text_tokens: of a prompt.
    """

    shapes: Mapping[str, Mapping[str, Any]]
    autoencoder: Mapping[str, Any]
    frames: int
    height: int
    width: int
    fps: float
    text_tokens: int


class Backbone(Protocol):
    """What the library asks of a video model.

    Attributes:
        name: its module's name in this package.
        grid: its latent geometry.
        predicts: what its output is.
        kind: the class of its transformers, by which `backbone_of` finds it.
        timesteps: length of its training schedule; timesteps are 0 … timesteps - 1.
        text_field: what its configuration calls the width of the text that it reads.
        published: sizes, for where its files are not there.
    """

    name: str
    grid: Grid
    predicts: Prediction
    kind: type[nn.Module]
    timesteps: int
    text_field: str
    published: Published

    def reads(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file or folder holds this model's transformer, told by its tensors' names."""
        ...

    def read(self, path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The arguments of `kind`, and its tensors under their names there, mapped from disk.

        Raises:
            ValueError: if there is no such transformer; OSError: if nothing can be read.
        """
        ...

    def load(
        self,
        path: str | os.PathLike[str],
        dtype: torch.dtype = torch.bfloat16,
        learned_positions: bool = True,
    ) -> Any:
        """The transformer of a file or folder, on the CPU and in evaluation mode.

        Raises:
            ValueError: if there is no such transformer; OSError: if nothing can be read.
        """
        ...

    def predict(
        self,
        transformer: Any,
        latents: Tensor,
        timestep: Tensor,
        context: Tensor,
        conditioning: "Tora2Conditioning | None" = None,
    ) -> Tensor:
        """The raw output [B, C, T, H, W], with the conditions of a clip if there are any.

        Args:
            latents: [B, C', T, H, W], noisy; what else the model reads (a first frame) lies
                beside them along C'.
            timestep: scalar or [B].
            context: [B, L, text_dim].
            conditioning: its `modulate` and `attend` are called once a block; None, and one whose
                strengths are 0, leave the model's own numbers.
        """
        ...

    def blocks(self, transformer: Any) -> list[nn.Module]:
        """The transformer's blocks in the order they run, for sharding and recomputation."""
        ...

    def layers(self, transformer: Any) -> int:
        """How many blocks an adapter has fusers for: `modulate` and `attend` number those."""
        ...

    def check_size(self, transformer: Any, frames: int, height: int, width: int) -> None:
        """Refuse a latent (T, H, W) that this transformer was not made for, with a ValueError."""
        ...

    def make_scheduler(self, name: str) -> Any:
        """A solver of diffusers for sampling, by name.

        Raises:
            ValueError: if the model has no solver of that name.
        """
        ...

    def noised(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """Training's noisy latents at timesteps [B], and what `predict` is to give for them."""
        ...


@cache
def backbones() -> tuple[Backbone, ...]:
    """Every backbone there is, by name."""
    found = (import_module(f".{info.name}", __name__) for info in iter_modules(__path__))
    return tuple(module.BACKBONE for module in found if hasattr(module, "BACKBONE"))


def backbone_named(name: str) -> Backbone:
    """The backbone of a name.

    Raises:
        ValueError: if there is none.
    """
    for backbone in backbones():
        if backbone.name == name:
            return backbone
    known = ", ".join(backbone.name for backbone in backbones())
    raise ValueError(f"backbone {name!r} is unknown, expected one of {known}")


def backbone_of(transformer: Any) -> Backbone:
    """The backbone of a loaded transformer.

    Raises:
        ValueError: if it is no backbone's.
    """
    for backbone in backbones():
        if isinstance(transformer, backbone.kind):
            return backbone
    known = ", ".join(backbone.kind.__name__ for backbone in backbones())
    raise ValueError(f"the transformer is a {type(transformer).__name__}, expected {known}")


def backbone_for(path: str | os.PathLike[str]) -> Backbone:
    """The backbone whose transformer a file or folder holds.

    A file that no backbone knows is left to CogVideoX, whose `load` says what it holds instead.
    """
    found = (backbone for backbone in backbones() if backbone.reads(path))
    return next(found, None) or backbone_named("cogvideox")
