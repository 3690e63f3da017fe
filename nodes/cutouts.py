"""Things without their background, to be placed along paths."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..tora2.cutouts import CutOut, cut_out
from .io_types import CutOutSocket
from .validation import refusal

SIZES = ("frame height", "picture")
ANCHORS = {"middle": (0.5, 0.5), "feet": (0.5, 1.0)}


class Tora2CutOut(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2CutOut",
            display_name="Tora2 Cut-out",
            category="Tora2/entities",
            description="One thing without its background, and how large it stands in the video, "
            "for Tora2 Place Entities.",
            search_aliases=["sticker", "sprite", "cutout", "foreground", "remove background"],
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="A picture of the thing. Several are shown one a frame, again and "
                    "again: a walk, or a video.",
                ),
                io.String.Input(
                    "name",
                    default="",
                    tooltip="Of the entity or free path in the trajectories whose way it goes; "
                    "empty for the next one.",
                ),
                _size("start"),
                _size("end"),
                io.Combo.Input(
                    "size_of",
                    options=list(SIZES),
                    default=SIZES[0],
                    tooltip="What sizes are fractions of: the video's height, or the thing's own "
                    "in its picture.",
                ),
                io.Combo.Input(
                    "anchor",
                    options=list(ANCHORS),
                    default=next(iter(ANCHORS)),
                    tooltip="What of it is on the path: its middle, or the middle of its lower "
                    "edge for what stands on the ground.",
                ),
                io.Boolean.Input(
                    "clean_edges",
                    default=True,
                    advanced=True,
                    tooltip="Take the old background out of soft edges. Off for glass and smoke.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White where the thing is, such as Remove Background's; not needed "
                    "with a picture that has alpha. Load Image's is the other way round: invert "
                    "it.",
                ),
            ],
            outputs=[
                CutOutSocket.Output(display_name="cutout", tooltip="For Tora2 Place Entities.")
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(
        cls,
        image: Tensor,
        name: str,
        size_start: float,
        size_end: float,
        size_of: str,
        anchor: str,
        clean_edges: bool = True,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        layers = cut_out(image, mask, clean_edges)
        of_frame = size_of == SIZES[0]
        return io.NodeOutput(
            CutOut(layers, name.strip(), size_start, size_end, of_frame, ANCHORS[anchor])
        )


def _size(end: str) -> io.Input:
    return io.Float.Input(
        f"size_{end}",
        default=0.5,
        min=0.01,
        max=10.0,
        step=0.01,
        tooltip=f"Its height where its path {end}s, as a fraction; between, it changes evenly.",
    )
