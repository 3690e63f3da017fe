"""Dials beyond a clip's: an entity's own, and guidance apart for text, paths and pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..tora2.encoders.entity import MAX_STRENGTH, EncodedEntity
from .host.sampling import SplitGuider
from .io_types import EntitySocket
from .spans import in_order, moment
from .validation import refusal

AS_SET = "as set"
PRESETS: dict[str, tuple[float, float, float] | None] = {
    AS_SET: None,
    "as the paper": (6.0, 0.0, 0.0),
    "hold the paths": (6.0, 2.0, 0.0),
    "hold the likeness": (6.0, 0.0, 2.0),
    "hold both": (5.0, 1.5, 1.5),
}
"""Guidance by text, motion and appearance: places to start from, not measured optima."""


class Tora2EntityDials(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2EntityDials",
            display_name="Tora2 Entity Dials",
            category="Tora2/entities",
            description="How strongly and when one entity's pictures and paths act, apart from the "
            "others'.",
            search_aliases=["entity strength", "start percent", "end percent", "schedule"],
            inputs=[
                EntitySocket.Input("entity", tooltip="From Tora2 Encode Entity or Load Entity."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=4.0,
                    step=0.05,
                    tooltip="Multiplies the entity's own; 0 leaves it out, path and all.",
                ),
                moment("start", 0.0, "its pictures begin to act"),
                moment("end", 1.0, "its pictures stop acting"),
                io.Float.Input(
                    "motion_strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How strongly its paths act; 0 is the same as not drawing them. Below "
                    "1, paths are encoded once more for each strength.",
                ),
                moment("motion_start", 0.0, "its paths begin to act"),
                moment("motion_end", 1.0, "its paths stop acting"),
            ],
            outputs=[EntitySocket.Output(display_name="entity", tooltip="For Tora2 Bind.")],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs, in_order(inputs, "", "motion_"))

    @classmethod
    def execute(
        cls,
        entity: EncodedEntity,
        strength: float = 1.0,
        start: float = 0.0,
        end: float = 1.0,
        motion_strength: float = 1.0,
        motion_start: float = 0.0,
        motion_end: float = 1.0,
    ) -> io.NodeOutput:
        dialled = replace(
            entity,
            strength=min(entity.strength * strength, MAX_STRENGTH),
            start=start,
            end=end,
            motion_strength=motion_strength,
            motion_start=motion_start,
            motion_end=motion_end,
        )
        return io.NodeOutput(dialled)


class Tora2Guider(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2Guider",
            display_name="Tora2 Guider",
            category="Tora2/sampling",
            description="Guidance apart for the prompt, the paths and the pictures, for "
            "SamplerCustomAdvanced. What is at 0 costs nothing.",
            search_aliases=["cfg", "guidance", "multi cfg", "motion guidance"],
            inputs=[
                io.Model.Input("model", tooltip="From Tora2 Apply."),
                io.Conditioning.Input("positive", tooltip="The prompt."),
                io.Conditioning.Input("negative", tooltip="What to guide away from."),
                _scale("guidance", 6.0, "By the prompt; the paper's 6. 1 is none and saves a run."),
                _scale(
                    "motion_guidance",
                    0.0,
                    "By the paths: away from the same prompt without them. A further run a step "
                    "unless 0.",
                ),
                _scale(
                    "appearance_guidance",
                    0.0,
                    "By the pictures: away from the same prompt without them. A further run a step "
                    "unless 0.",
                ),
                io.Combo.Input(
                    "preset",
                    options=list(PRESETS),
                    default=AS_SET,
                    tooltip="Three scales to start from, in place of those above.",
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
        motion_guidance: float,
        appearance_guidance: float,
        preset: str = AS_SET,
    ) -> io.NodeOutput:
        guider = SplitGuider(model)
        guider.set_conds(positive, negative)
        guider.set_guidance(*(PRESETS[preset] or (guidance, motion_guidance, appearance_guidance)))
        return io.NodeOutput(guider)


def _scale(name: str, default: float, tooltip: str) -> io.Input:
    return io.Float.Input(name, default=default, min=0.0, max=30.0, step=0.1, tooltip=tooltip)
