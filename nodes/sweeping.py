"""The same video several times with one number changed, and what came of it in one chart."""

from __future__ import annotations

import json
import math
from typing import Any

from comfy_api.latest import io, ui

from ..tora2 import fields
from ..tora2.evaluation.charts import Line, chart
from .validation import refusal

MAX_VALUES = 32
_MAX_LABEL = 100


class Tora2Sweep(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2Sweep",
            display_name="Tora2 Sweep",
            category="Tora2/measures",
            description="Several values for one input, such as the motion strength: everything "
            "behind it runs once for each. Tora2 Sweep Chart draws what came of it.",
            search_aliases=["xy plot", "grid", "parameter sweep", "list of floats"],
            inputs=[
                io.String.Input(
                    "values",
                    default="0, 0.5, 1, 1.5, 2",
                    tooltip=f"Numbers with commas between them, {MAX_VALUES} at most.",
                ),
            ],
            outputs=[
                io.Float.Output(
                    display_name="values", is_output_list=True, tooltip="One number at a time."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        given = inputs.get("values")
        return refusal(cls, inputs, lambda: given is None or parse_values(given))

    @classmethod
    def execute(cls, values: str) -> io.NodeOutput:
        return io.NodeOutput(parse_values(values))


class Tora2SweepChart(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2SweepChart",
            display_name="Tora2 Sweep Chart",
            category="Tora2/measures",
            description="What was measured for each value of a sweep, in one chart.",
            search_aliases=["plot", "xy plot", "line chart"],
            is_input_list=True,
            inputs=[
                io.Float.Input("values", force_input=True, tooltip="The values, from Tora2 Sweep."),
                io.Float.Input(
                    "measured",
                    force_input=True,
                    tooltip="What was measured for each, such as Tora2 Measure Trajectory's "
                    "trajectory_error.",
                ),
                io.String.Input(
                    "x", default="motion strength", tooltip="What the values are, below the chart."
                ),
                io.String.Input(
                    "y",
                    default="TrajError, pixels",
                    tooltip="What was measured, beside the chart.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="chart", tooltip="The chart. Needs matplotlib."),
                io.String.Output(display_name="table", tooltip="The same numbers as JSON."),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, {name: _first(value) for name, value in inputs.items()})

    @classmethod
    def execute(
        cls, values: list[float], measured: list[float], x: list[str], y: list[str]
    ) -> io.NodeOutput:
        if len(values) != len(measured):
            raise ValueError(
                f"there are {len(values)} values and {len(measured)} measured numbers, expected "
                "one for each: connect both to the same Tora2 Sweep"
            )
        below, beside = (fields.text(_first(label), "label", _MAX_LABEL, low=0) for label in (x, y))
        pairs = sorted(zip(map(float, values), map(float, measured), strict=True))
        line = Line("", [high for _, high in pairs], [along for along, _ in pairs])
        drawn = chart([line], below, beside, f"{beside} by {below}", points=True)
        found = [(along, None if math.isnan(high) else high) for along, high in pairs]
        rows = [{below: along, beside: high} for along, high in found]
        said = ["not measured" if high is None else f"{high:.2f}" for _, high in found]
        text = "\n".join(
            f"{below} {along:g}: {word}" for (along, _), word in zip(found, said, strict=True)
        )
        return io.NodeOutput(drawn[None], json.dumps(rows, indent=2), ui=ui.PreviewText(text))


def parse_values(text: str) -> list[float]:
    """The numbers in a text.

    Raises:
        ValueError: names the part that is no number.
    """
    parts = [part.strip() for part in text.split(",")]
    if not 1 <= len(parts) <= MAX_VALUES:
        raise ValueError(f"values has {len(parts)} parts, expected 1 to {MAX_VALUES} numbers")
    found = []
    for part in parts:
        try:
            value = float(part)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise fields.refuse(
                "values", part, "numbers with commas between them such as 0, 0.5, 1"
            )
        found.append(value)
    return found


def _first(value: Any) -> Any:
    """An input's one value: to a node that takes lists, the host gives every one in a list."""
    return value[0] if isinstance(value, list | tuple) and value else value
