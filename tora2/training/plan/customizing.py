"""What a customization costs: the steps that show clips, and those that show pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ...backbones import Backbone
from ...model_folder import TINY, ModelInfo
from ...model_folder.info import read_index
from ..counting import not_begun, shapes
from ..distributed import World
from ..loop import Loop
from ..recipes.customize.clips import Examples, Material
from ..recipes.customize.config import Customization
from ..recipes.customize.layers import inject, trained_by
from ..recipes.customize.run import lora_infos, make_loop
from .loops import in_type, warm
from .measure import Measured, begun, transformer_of
from .memory import Peaks, Weights
from .step import StepCount, bytes_of, count_step

_FEW, _MORE = 8, 12  # blocks that are counted: fewer have no typical second half of gradients
_TEXT_DIM = 4096  # of T5-XXL, where no file tells
_SUBJECTS = 2  # on a composed picture


def customization_stages(config: Customization) -> tuple[list[Measured], list[str]]:
    """The steps of each kind that a run has, and what had to be assumed, as sentences.

    Encoding comes before, when the transformer is not on the GPU; it is left out.

    Raises:
        ValueError: if a file is damaged or no known model's; OSError: if it cannot be read.
    """
    folder = TINY if config.model == "tiny" else Path(config.model)
    backbone, arguments, notes = transformer_of(folder / "transformer", config.model)
    published = backbone.published
    arguments = {backbone.text_field: _TEXT_DIM, **arguments}
    usual = ModelInfo(
        width=published.width,
        height=published.height,
        frames=published.frames,
        text_tokens=published.text_tokens,
    )
    info = read_index(folder).info if folder.is_dir() else usual
    info = replace(
        info,
        width=config.width or info.width,
        height=config.height or info.height,
        frames=config.frames or info.frames,
    )
    o = config.optimization
    shares = {"motion": config.motion_share, "subject": 1 - config.motion_share}
    return [
        Measured(
            name=kind,
            steps=o.steps if len(config.kinds) == 1 else round(o.steps * shares[kind]),
            weights=_weights(config, backbone, arguments),
            peaks=Peaks(
                _counted(config, kind, backbone, arguments, info),
                _bytes(config, backbone, arguments, info),
            ),
            picture=0,
            clips=o.batch,
        )
        for kind in config.kinds
    ], notes


def _counted(
    config: Customization, kind: str, backbone: Backbone, arguments: dict[str, Any], info: ModelInfo
) -> StepCount:
    """A step of all blocks: counted with few of them, and drawn out to all."""
    layers = int(arguments["num_layers"])
    if layers <= _MORE:
        return _step(config, kind, backbone, arguments, info)
    few, more = (
        _step(config, kind, backbone, {**arguments, "num_layers": count}, info)
        for count in (_FEW, _MORE)
    )
    return few.at(more, _FEW, _MORE, layers)


def _step(
    config: Customization, kind: str, backbone: Backbone, arguments: dict[str, Any], info: ModelInfo
) -> StepCount:
    warm()
    begun(f"a step of {kind} with {arguments['num_layers']} blocks")
    with shapes():
        return count_step(_loop(config, kind, backbone, arguments, info))


def _loop(
    config: Customization, kind: str, backbone: Backbone, arguments: dict[str, Any], info: ModelInfo
) -> Loop:
    """The loop of a run all of whose steps are of one kind, inside `shapes`."""
    settings = replace(config.optimization, compile=False)
    config = replace(config, optimization=settings)
    transformer = _transformer(config, backbone, arguments)
    material = _material(config, backbone, arguments, info)
    loop = make_loop(config, transformer, material, Path(), World(torch.device("cpu")))
    loop.source = lambda step, generator: kind
    return loop


def _transformer(config: Customization, backbone: Backbone, arguments: dict[str, Any]) -> Any:
    with in_type(torch.bfloat16 if config.dtype == "bf16" else torch.float32):
        transformer: Any = backbone.kind(**arguments)
    if config.recompute:
        transformer.enable_gradient_checkpointing()
    inject(transformer, lora_infos(config, transformer))
    return transformer


def _material(
    config: Customization, backbone: Backbone, arguments: dict[str, Any], info: ModelInfo
) -> Material:
    """All that a configuration names, as shapes."""
    channels = int(backbone.grid.channels)
    dtype = torch.bfloat16 if config.dtype == "bf16" else torch.float32

    def examples(frames: int, **more: torch.Tensor) -> Examples:
        _, _, *size = backbone.grid.latent_shape(frames, info.height, info.width)
        return Examples(torch.rand(1, channels, *size), context(), **more)

    def context() -> torch.Tensor:
        return torch.rand(1, info.text_tokens, int(arguments[backbone.text_field]), dtype=dtype)

    looks = {"appearance": context()} if config.motion.omega else {}
    subject = config.subject
    composed = None
    if len(subject.subjects) > 1 and subject.attention:
        _, _, _, rows, columns = backbone.grid.latent_shape(1, info.height, info.width)
        down, across = backbone.grid.tokens(rows, columns)
        composed = examples(
            1,
            words=torch.ones(1, _SUBJECTS, info.text_tokens, dtype=torch.bool),
            masks=torch.ones(1, _SUBJECTS, down * across, dtype=torch.bool),
        )
    return Material(
        clips=examples(info.frames, **looks) if config.motion.clips else None,
        pictures=examples(1) if subject.pictures else None,
        regularizing=examples(info.frames) if subject.regularizing else None,
        composed=composed,
    )


def _bytes(
    config: Customization, backbone: Backbone, arguments: dict[str, Any], info: ModelInfo
) -> int:
    """Of a batch of everything that a step may show."""
    with shapes(gpu=False):
        material = _material(config, backbone, arguments, info)
    shown = (one for one in vars(material).values() if one is not None)
    tensors = [x for one in shown for x in vars(one).values() if x is not None]
    return bytes_of(tensors) * config.optimization.batch


def _weights(config: Customization, backbone: Backbone, arguments: dict[str, Any]) -> Weights:
    with torch.device("meta"), not_begun():
        transformer = _transformer(config, backbone, arguments)
    parts = {
        f"{kind} LoRA": (0, sum(p.numel() for p in trained_by(transformer, kind)))
        for kind in config.kinds
    }
    still = [p for p in transformer.parameters() if not p.requires_grad]
    held = [
        p
        for block in backbone.blocks(transformer)
        for p in block.parameters()
        if not p.requires_grad
    ]
    count = sum(p.numel() for p in still)
    o = config.optimization
    return Weights(
        {"transformer": (count, 0), **parts},
        bytes_of(still),
        bytes_of(held),
        int(arguments["num_layers"]),
        around=count - sum(p.numel() for p in held),
        half=o.precision == "bf16",
        eight_bit=o.moments == "8bit",
        averaged=o.ema > 0,
    )
