"""What is installed, what was found, and what is missing."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..tora2.doctor import Facts, examine, packages, scan
from ..tora2.doctor.system import python_and_torch
from ..tora2.doctor.tasks import COMFYUI
from .host import files, system
from .validation import refusal


class Tora2Doctor(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2Doctor",
            display_name="Tora2 Doctor",
            category="Tora2/loaders",
            description="Says what is installed, which weights were found, what each enables, and "
            "where to get the rest.",
            search_aliases=["diagnose", "check installation", "tora2 help"],
            is_output_node=True,
            not_idempotent=True,
            inputs=[
                io.Boolean.Input(
                    "sources",
                    default=True,
                    tooltip="Also say where what is missing is published, with size and licence.",
                ),
            ],
            outputs=[io.String.Output(display_name="report", tooltip="What was found.")],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> float:
        return float("nan")

    @classmethod
    def execute(cls, sources: bool = True) -> io.NodeOutput:
        text = str(examine(facts(), sources))
        return io.NodeOutput(text, ui=ui.PreviewText(text))


def facts() -> Facts:
    """What is known of this host."""
    needed = [name for name, wrong in system.errors().items() if wrong]
    corrected = f"corrected for CogVideoX-1.0: {', '.join(needed) or 'nothing'}"
    return Facts(
        system=(system.version(), python_and_torch(), corrected),
        packages=packages(),
        device=system.device(),
        scans=scan(files.searched()),
        hosts=(COMFYUI,),
    )
