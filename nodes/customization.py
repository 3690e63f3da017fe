"""LoRAs of motions and subjects, the branches that they make, and the appearance highway."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..tora2.customization.collaboration import Collaboration
from ..tora2.customization.highway import BETA
from ..tora2.customization.lora import LoraInfo, read_lora
from ..tora2.scene import Window
from .host import files
from .host.collaboration import CollaborativeGuider
from .host.highway import scale_skips
from .host.loras import attach
from .spans import in_order, moment
from .validation import NO_FILE, refusal

FOLDER = "loras"


class Tora2LoadMotionLora(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2LoadMotionLora",
            display_name="Tora2 Load Motion LoRA",
            category="Tora2/customization",
            description="A motion or subject LoRA of `python -m tora2 customize`, at a strength "
            "over the sampling: a motion that acts early alone leaves the looks to the prompt.",
            search_aliases=["lora loader", "phased lora", "lora schedule", "motion customization"],
            inputs=[
                io.Model.Input("model", tooltip="A CogVideoX-5B model from any loader."),
                io.Combo.Input(
                    "lora",
                    options=files.choices(FOLDER) or [NO_FILE],
                    tooltip="A file in models/loras that `python -m tora2 customize` made.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-4.0,
                    max=4.0,
                    step=0.05,
                    tooltip="How strongly it acts; 1 is as trained.",
                ),
                moment("start", 0.0, "it begins to act"),
                moment("end", 0.67, "it stops acting: 0.67 for a motion, 1 for a subject"),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The model with the LoRA beside it."),
                io.String.Output(
                    display_name="about", tooltip="What the LoRA is and the word that calls it."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        where = {"lora": lambda: files.where(FOLDER, ())}
        return refusal(cls, inputs, in_order(inputs, ""), where=where)

    @classmethod
    def execute(
        cls, model: Any, lora: str, strength: float = 1.0, start: float = 0.0, end: float = 0.67
    ) -> io.NodeOutput:
        read = read_lora(files.locate(FOLDER, lora, ()))
        patched = attach(model, read, Window(strength, start, end))
        return io.NodeOutput(patched, about(lora, read.info))


def about(name: str, info: LoraInfo) -> str:
    """What a LoRA is, in words."""
    words = f"{name}: a {info.method} LoRA ({info.arm}, rank {info.rank}) for {info.base}"
    if info.video_only:
        words += ", of the video's tokens alone"
    return words + (f"; say {info.token}" if info.token else "")


class Tora2CollaborativeGuider(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2CollaborativeGuider",
            display_name="Tora2 Collaborative Guider",
            category="Tora2/customization",
            description="Runs the subject's LoRA and the motion's apart and mixes what they "
            "predict, for SamplerCustomAdvanced. In the first steps each may be led by the other's "
            "attention.",
            search_aliases=["two loras", "videomage", "collaborative sampling", "dual lora"],
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="With a motion LoRA from Tora2 Load Motion LoRA.",
                ),
                io.Conditioning.Input("positive", tooltip="The prompt, of subject and motion."),
                io.Conditioning.Input("negative", tooltip="What to guide away from."),
                io.Float.Input(
                    "guidance",
                    default=6.0,
                    min=0.0,
                    max=30.0,
                    step=0.1,
                    tooltip="By the prompt, in both branches; 1 is none and saves two runs.",
                ),
                io.Float.Input(
                    "motion_weight",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Weight of the motion's branch; the rest is the subject's. At 0 and 1 "
                    "one branch runs alone.",
                ),
                io.Int.Input(
                    "aligned_steps",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="First steps in which the branches lead one another; the paper's 15. "
                    "It needs gradients, so tens of GiB at CogVideoX's full size. 0 is the light "
                    "mode.",
                ),
                io.Float.Input(
                    "rate",
                    default=1e4,
                    min=0.0,
                    max=1e9,
                    step=100.0,
                    advanced=True,
                    tooltip="How far a latent is led in a step; the paper's 10000. It never goes "
                    "farther than a twentieth of its size.",
                ),
                io.Int.Input(
                    "block",
                    default=-1,
                    min=-1,
                    max=1000,
                    advanced=True,
                    tooltip="Whose attention is looked at; -1 is the block in the middle. Earlier "
                    "ones need less memory.",
                ),
            ],
            outputs=[io.Guider.Output(tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        negative: Any,
        guidance: float,
        motion_weight: float,
        aligned_steps: int,
        rate: float = 1e4,
        block: int = -1,
    ) -> io.NodeOutput:
        guider = CollaborativeGuider(model)
        guider.set_conds(positive, negative)
        guider.set_cfg(guidance)
        guider.set_collaboration(
            Collaboration(
                subject=1 - motion_weight,
                motion=motion_weight,
                steps=aligned_steps,
                rate=rate,
                blocks=() if block < 0 else (block,),
            )
        )
        return io.NodeOutput(guider)


class Tora2AppearanceHighway(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2AppearanceHighway",
            display_name="Tora2 Appearance Highway",
            category="Tora2/customization",
            description="Makes the skip branches of a U-Net's decoder stronger, which brings more "
            "of the prompt's own appearance past a motion LoRA. CogVideoX has no such branches.",
            search_aliases=["skip connections", "freeu", "appearance", "unet"],
            inputs=[
                io.Model.Input("model", tooltip="A U-Net model, such as AnimateDiff or SVD."),
                io.Float.Input(
                    "beta",
                    default=BETA,
                    min=0.0,
                    max=4.0,
                    step=0.01,
                    tooltip="What the skip branches are multiplied by; the paper's 1.1. 1 changes "
                    "nothing.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="The model with stronger skip branches.")],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(cls, model: Any, beta: float = BETA) -> io.NodeOutput:
        return io.NodeOutput(scale_skips(model, beta))
