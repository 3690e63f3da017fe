"""Control videos for VACE, made of a placed clip."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor
from torch.nn import functional

from .host import memory
from .validation import refusal

PAINT = ("background", "entities")
_GREY = 0.5
_THERE = 0.02


class Tora2ControlVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2ControlVideo",
            display_name="Tora2 Control Video",
            category="Tora2/trajectories",
            description="What WanVaceToVideo is to keep of a placed clip, and what it is to paint.",
            search_aliases=["vace", "control video", "inpaint mask", "wan vace"],
            inputs=[
                io.Image.Input("frames", tooltip="Of Tora2 Place Entities."),
                io.Mask.Input("masks", tooltip="Of Tora2 Place Entities, one a frame."),
                io.Combo.Input(
                    "paint",
                    options=list(PAINT),
                    default=PAINT[0],
                    tooltip="What the model makes new: what is around the entities, or the "
                    "entities at their places.",
                ),
                io.Boolean.Input(
                    "keep_first",
                    default=False,
                    tooltip="Keep the whole first frame as it is. Wants a background in it.",
                ),
                io.Int.Input(
                    "grow",
                    default=0,
                    min=0,
                    max=256,
                    tooltip="Pixels by which what is painted reaches over its edge, so that limbs "
                    "have room to move.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="control_video",
                    tooltip="The clip with grey where the model paints.",
                ),
                io.Mask.Output(
                    display_name="control_masks", tooltip="White where the model paints."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(
        cls, frames: Tensor, masks: Tensor, paint: str, keep_first: bool, grow: int = 0
    ) -> io.NodeOutput:
        if masks.shape != frames.shape[:3]:
            raise ValueError(
                f"the masks are {tuple(masks.shape)} and the frames {tuple(frames.shape[:3])}, "
                "expected those of one clip"
            )
        memory.check(20 * masks.numel(), "the control video")
        controls = torch.empty(*frames.shape[:3])
        video = frames[..., :3].clone()
        for time, mask in enumerate(masks):
            painted = mask < 0.5 if paint == PAINT[0] else mask > _THERE
            painted = _grown(painted, grow)
            if keep_first and time == 0:
                painted = torch.zeros_like(painted)
            controls[time] = painted
            video[time][painted] = _GREY
        return io.NodeOutput(video, controls.to(masks.device))


def _grown(where: Tensor, pixels: int) -> Tensor:
    """A region [H, W] and what is within some pixels of it, both ways."""
    if not pixels:
        return where
    wide = functional.max_pool2d(where.float()[None], (1, 2 * pixels + 1), 1, (0, pixels))
    return functional.max_pool2d(wide, (2 * pixels + 1, 1), 1, (pixels, 0))[0] > 0
