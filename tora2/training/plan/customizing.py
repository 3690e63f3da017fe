"""What a customization costs: the steps that show clips, and those that show pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ...model_folder import TINY, ModelInfo
from ...model_folder.info import read_index
from ..counting import not_begun, shapes
from ..distributed import World
from ..recipes.customize.clips import Examples, Material
from ..recipes.customize.config import Customization
from ..recipes.customize.layers import check_peft, inject, trained_by
from ..recipes.customize.run import lora_infos, make_loop
from .loops import in_type, warm
from .measure import Measured, begun, transformer_of
from .memory import Peaks, Weights
from .step import StepCount, bytes_of, count_step

_FEW, _MORE = 8, 12  # blocks that are counted: fewer have no typical second half of gradients
_TEXT_DIM = 4096  # of T5-XXL, where no file tells
_SUBJECTS = 2  # on a composed picture


class Customizing:
    """The costs of a customization; encoding, which comes before, is left out.

    Only headers are read of files with weights.

    Attributes:
        notes: what had to be assumed, as sentences.

    Raises:
        ValueError: if peft is not installed, a file is damaged or no known model's, or the model
            cannot make clips of the size that is asked for; OSError: if a file cannot be read.
    """

    def __init__(self, config: Customization) -> None:
        check_peft()
        folder = TINY if config.model == "tiny" else Path(config.model)
        self.backbone, arguments, notes = transformer_of(folder / "transformer", config.model)
        self.arguments = {self.backbone.text_field: _TEXT_DIM, **arguments}
        self.layers = int(self.arguments["num_layers"])
        self.notes = tuple(notes)
        usual = self.backbone.published
        info = ModelInfo(usual.width, usual.height, usual.frames, text_tokens=usual.text_tokens)
        if folder.is_dir():
            info = read_index(folder).info
        self.frames = config.frames or info.frames
        self.size = (config.height or info.height, config.width or info.width)
        self.backbone.grid.check_video(self.frames, *self.size, "what is trained on")
        self.text_tokens = info.text_tokens
        self.config = replace(config, optimization=replace(config.optimization, compile=False))
        self.dtype = torch.bfloat16 if config.dtype == "bf16" else torch.float32

    def stages(self) -> list[Measured]:
        """The steps of each kind that a run has."""
        config = self.config
        o, kinds = config.optimization, config.kinds
        shares = {"motion": config.motion_share, "subject": 1 - config.motion_share}
        weights, shown = self._weights(), self._shown_bytes()
        return [
            Measured(
                name=kind,
                steps=round(o.steps * shares[kind]) if len(kinds) > 1 else o.steps,
                weights=weights,
                peaks=Peaks(self._counted(kind), shown),
                picture=0,
                clips=o.batch,
            )
            for kind in kinds
        ]

    def _counted(self, kind: str) -> StepCount:
        """A step of all blocks: counted with few of them, and drawn out to all."""
        if self.layers <= _MORE:
            return self._step(kind, self.layers)
        few, more = self._step(kind, _FEW), self._step(kind, _MORE)
        return few.at(more, _FEW, _MORE, self.layers)

    def _step(self, kind: str, layers: int) -> StepCount:
        warm()
        begun(f"a step of {kind} with {layers} blocks")
        with shapes():
            alone = World(torch.device("cpu"))
            transformer = self._transformer(layers)
            loop = make_loop(self.config, transformer, self._material(), Path(), alone)
            loop.source = lambda step, generator: kind
            return count_step(loop)

    def _transformer(self, layers: int) -> Any:
        """With its LoRAs."""
        with in_type(self.dtype):
            made: Any = self.backbone.kind(**{**self.arguments, "num_layers": layers})
        if self.config.recompute:
            made.enable_gradient_checkpointing()
        inject(made, lora_infos(self.config, made))
        return made

    def _material(self) -> Material:
        """All that the configuration names, as shapes."""
        motion, subject = self.config.motion, self.config.subject
        looks = {"appearance": self._context()} if motion.omega else {}
        composed = None
        if len(subject.subjects) > 1 and subject.attention:
            _, _, _, rows, columns = self.backbone.grid.latent_shape(1, *self.size)
            down, across = self.backbone.grid.tokens(rows, columns)
            words = torch.ones(1, _SUBJECTS, self.text_tokens, dtype=torch.bool)
            masks = torch.ones(1, _SUBJECTS, down * across, dtype=torch.bool)
            composed = self._examples(1, words=words, masks=masks)
        return Material(
            clips=self._examples(self.frames, **looks) if motion.clips else None,
            pictures=self._examples(1) if subject.pictures else None,
            regularizing=self._examples(self.frames) if subject.regularizing else None,
            composed=composed,
        )

    def _examples(self, frames: int, **more: torch.Tensor) -> Examples:
        latents = torch.rand(self.backbone.grid.latent_shape(frames, *self.size))
        return Examples(latents, self._context(), **more)

    def _context(self) -> torch.Tensor:
        width = int(self.arguments[self.backbone.text_field])
        return torch.rand(1, self.text_tokens, width, dtype=self.dtype)

    def _shown_bytes(self) -> int:
        """Of a batch of everything that a step may show."""
        with shapes(gpu=False):
            kinds = vars(self._material()).values()
        tensors = [x for kind in kinds if kind for x in vars(kind).values() if x is not None]
        return bytes_of(tensors) * self.config.optimization.batch

    def _weights(self) -> Weights:
        with torch.device("meta"), not_begun():
            transformer = self._transformer(self.layers)
        loras = {
            f"{kind} LoRA": (0, sum(p.numel() for p in trained_by(transformer, kind)))
            for kind in self.config.kinds
        }
        still = [p for p in transformer.parameters() if not p.requires_grad]
        blocks = self.backbone.blocks(transformer)
        held = [p for block in blocks for p in block.parameters() if not p.requires_grad]
        count, o = sum(p.numel() for p in still), self.config.optimization
        return Weights(
            {"transformer": (count, 0), **loras},
            bytes_of(still),
            bytes_of(held),
            self.layers,
            around=count - sum(p.numel() for p in held),
            half=o.precision == "bf16",
            eight_bit=o.moments == "8bit",
            averaged=o.ema > 0,
        )
