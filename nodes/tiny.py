"""The bundled model."""

from __future__ import annotations

from comfy_api.latest import io

from .host import tiny
from .io_types import AdapterSocket, EncodersSocket


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
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(*tiny.load(tiny.FOLDER))
