"""Pictures to try the workflows with."""

from __future__ import annotations

from pathlib import Path

import torch
from comfy_api.latest import io, ui

from ..tora2.encoders.pictures import load_picture, on_white
from .validation import refusal

FOLDER = Path(__file__).parents[1] / "tora2" / "assets" / "examples"
PICTURES = ("fox", "robot", "meadow", "boat")


class Tora2ExamplePicture(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2ExamplePicture",
            display_name="Tora2 Example Picture",
            category="Tora2/entities",
            description="A picture that comes with Tora2, to try a workflow before you have your "
            "own. Put Load Image in its place for yours.",
            search_aliases=["sample image", "demo picture", "test image"],
            inputs=[
                io.Combo.Input(
                    "picture",
                    options=list(PICTURES),
                    default=PICTURES[0],
                    tooltip="fox and robot: characters on white paper, with a mask. meadow: a "
                    "place without anybody. boat: a first frame.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="IMAGE", tooltip="The picture."),
                io.Mask.Output(display_name="MASK", tooltip="White where the character is."),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: str) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(cls, picture: str) -> io.NodeOutput:
        loaded = load_picture(FOLDER / f"{picture}.png")
        image = on_white(loaded).movedim(0, -1)[None].float() / 255
        mask = torch.ones(image.shape[:3]) if loaded.alpha is None else loaded.alpha[None].float()
        return io.NodeOutput(image, mask, ui=ui.PreviewImage(image, cls=cls))
