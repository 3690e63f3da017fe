"""The first frame of image-to-video models."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..tora2.geometry import COGVIDEOX
from ..tora2.trajectory.document import MAX_FRAMES, MAX_SIDE
from .fitting import FITS, fitted
from .host import video
from .validation import refusal


class Tora2ImageToVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2ImageToVideo",
            display_name="Tora2 Image to Video",
            category="Tora2/conditioning",
            description="Starts the video of a CogVideoX-5B-I2V model with a picture: it is "
            "encoded alone, and the other frames stay empty.",
            search_aliases=["cogvideox i2v", "first frame", "start image"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="The prompt."),
                io.Conditioning.Input("negative", tooltip="The negative prompt."),
                io.Vae.Input("vae", tooltip="CogVideoX's VAE."),
                io.Image.Input("image", tooltip="The first frame; of several only the first."),
                _side("width", 720),
                _side("height", 480),
                io.Int.Input(
                    "frames",
                    default=49,
                    min=1,
                    max=MAX_FRAMES,
                    step=COGVIDEOX.temporal,
                    tooltip=f"Of the video, {COGVIDEOX.temporal}k + 1.",
                ),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    default=FITS[0],
                    tooltip="What to do with a picture of another shape: cut it from the middle, "
                    "pull it to the shape, or show it whole on black. The trajectory editor's "
                    "background should be fitted in the same way.",
                ),
                io.Int.Input(
                    "batch_size", default=1, min=1, max=64, advanced=True, tooltip="Videos at once."
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="With the picture."),
                io.Conditioning.Output(display_name="negative", tooltip="With the picture."),
                io.Latent.Output(display_name="latent", tooltip="An empty latent of the size."),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs, lambda: check_size(inputs))

    @classmethod
    def execute(
        cls,
        positive: Any,
        negative: Any,
        vae: Any,
        image: Tensor,
        width: int,
        height: int,
        frames: int,
        fit: str,
        batch_size: int = 1,
    ) -> io.NodeOutput:
        empty = video.empty_latent(width, height, frames, batch_size)
        first = fitted(image[:1, ..., :3], width, height, fit, _resize)
        # The model scales the latent itself and leaves the other frames empty.
        latent = {"concat_latent_image": video.encode(vae, first)}
        with_image = [[[c, values | latent] for c, values in cond] for cond in (positive, negative)]
        return io.NodeOutput(*with_image, empty)


def _resize(images: Tensor, width: int, height: int) -> Tensor:
    return video.resize(images, width, height, crop=False)


def _side(name: str, default: int) -> io.Input:
    step = COGVIDEOX.multiple
    return io.Int.Input(
        name, default=default, min=step, max=MAX_SIDE, step=step, tooltip="Of the video."
    )


def check_size(inputs: dict[str, Any]) -> None:
    """Refuse sizes that the model cannot make; linked ones are None and pass."""
    for side in ("width", "height"):
        if inputs.get(side) is not None:
            COGVIDEOX.check_side(inputs[side], side)
    if inputs.get("frames") is not None:
        COGVIDEOX.check_frames(inputs["frames"])
