"""The bundled model."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io
from torch import Tensor

from ..tora2.encoders.pictures import load_picture, on_white
from .host import tiny
from .io_types import AdapterSocket, EncodersSocket

EXAMPLES = Path(__file__).parents[1] / "tora2" / "assets" / "demo"


class Tora2LoadTiny(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2LoadTiny",
            display_name="Tora2 Load Tiny",
            category="Tora2/loaders",
            description="The small trained model that comes with Tora2: nothing to download, runs "
            "on a CPU. It draws coloured shapes and checks that everything works.",
            search_aliases=["tora2 demo", "bundled model", "test model"],
            inputs=[],
            outputs=[
                io.Model.Output(display_name="model", tooltip="For Tora2 Apply."),
                io.Clip.Output(display_name="clip", tooltip="For prompts and Tora2 Bind."),
                io.Vae.Output(display_name="vae", tooltip="For Tora2 Bind and VAE Decode."),
                AdapterSocket.Output(
                    display_name="adapter", tooltip="For Tora2 Encode Entity and Tora2 Bind."
                ),
                EncodersSocket.Output(display_name="encoders", tooltip="For Tora2 Encode Entity."),
                io.String.Output(
                    display_name="about", tooltip="The size it makes and the words it knows."
                ),
                io.Image.Output(display_name="circle", tooltip="A picture to try: a circle."),
                io.Image.Output(display_name="star", tooltip="A picture to try: a star."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(*tiny.load(tiny.FOLDER), *map(example, ("circle", "star")))


def example(name: str) -> Tensor:
    """A reference picture of the demo as an IMAGE [1, H, W, 3] on white."""
    picture = on_white(load_picture(EXAMPLES / f"{name}.png"))
    return picture.movedim(0, -1)[None].float() / 255
