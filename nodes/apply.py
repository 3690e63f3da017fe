"""Putting a bound conditioning into a MODEL."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..tora2.scene import Window
from .host.injection import inject
from .io_types import BoundConditioning, ConditioningSocket
from .spans import in_order, moment
from .validation import refusal

MAX_STRENGTH = 4.0


class Tora2Apply(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2Apply",
            display_name="Tora2 Apply",
            category="Tora2/conditioning",
            description="Makes a model follow the paths and look like the pictures. The model that "
            "goes in stays as it is; any sampler takes the one that comes out.",
            search_aliases=["tora apply", "trajectory control", "personalization", "model patch"],
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="A CogVideoX-5B model, from Tora2 Load Model or any loader, or Wan "
                    "2.1's text-to-video model.",
                ),
                ConditioningSocket.Input("conditioning", tooltip="From Tora2 Bind."),
                *_window("motion", "paths"),
                *_window("appearance", "reference pictures"),
            ],
            outputs=[io.Model.Output(tooltip="The model that follows the conditioning.")],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs, in_order(inputs, "motion_", "appearance_"))

    @classmethod
    def execute(
        cls,
        model: Any,
        conditioning: BoundConditioning,
        motion_strength: float = 1.0,
        motion_start: float = 0.0,
        motion_end: float = 1.0,
        appearance_strength: float = 1.0,
        appearance_start: float = 0.0,
        appearance_end: float = 1.0,
    ) -> io.NodeOutput:
        motion = Window(motion_strength, motion_start, motion_end)
        appearance = Window(appearance_strength, appearance_start, appearance_end)
        return io.NodeOutput(inject(model, conditioning, motion, appearance))


def _window(kind: str, what: str) -> list[io.Input]:
    return [
        io.Float.Input(
            f"{kind}_strength",
            default=1.0,
            min=0.0,
            max=MAX_STRENGTH,
            step=0.05,
            tooltip=f"How strongly the {what} act; 0 switches them off, 1 is as trained.",
        ),
        moment(f"{kind}_start", 0.0, f"the {what} begin to act", advanced=True),
        moment(f"{kind}_end", 1.0, f"the {what} stop acting", advanced=True),
    ]
