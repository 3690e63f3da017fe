"""What is installed, what was found, and what is missing."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from comfy_api.latest import io, ui

from ..tora2.checkpoints import inspect
from ..tora2.checkpoints.sources import EVERYTHING, NO_TORA2
from .host import files, system, tiny
from .validation import refusal

PACKAGES = {
    "einops": "needed",
    "safetensors": "needed",
    "av": "needed for video files",
    "insightface": "for people by their face",
    "onnxruntime": "for face and identity networks",
    "diffusers": "for the library and the command line, not for the nodes",
}


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
                    tooltip="Also list where the published weights are, with size and licence.",
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
        text = examine(sources)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


def examine(sources: bool) -> str:
    """The report, a section a paragraph."""
    needed = [name for name, wrong in system.errors().items() if wrong]
    there = (tiny.FOLDER / "model_index.json").is_file()
    sections = [
        ["This host", *system.summary(), f"corrected for CogVideoX-1.0: {_listed(needed)}"],
        ["Packages", *(f"{name}: {_version(name)} ({use})" for name, use in PACKAGES.items())],
        ["Transformers, in models/diffusion_models", *_found(files.TRANSFORMERS)],
        ["Adapters, in models/tora2", *_found(files.ADAPTERS)],
        ["The bundled model", "is there" if there else "is missing: reinstall Tora2"],
    ]
    if sources:
        sections.append(["Published weights", *map(str, EVERYTHING), NO_TORA2])
    return "\n\n".join("\n- ".join(section) for section in sections)


def _found(folder: str) -> list[str]:
    """A line for each file that holds something of ours; others in the folder are passed over."""
    lines = []
    for name in files.choices(folder):
        try:
            seen = inspect(files.locate(folder, name, ()))
        except (ValueError, OSError) as error:
            if folder == files.ADAPTERS:
                lines.append(f"{name}: {error}")
            continue
        enabled = f"; enables {', '.join(seen.capabilities)}" if seen.capabilities else ""
        lines.append(f"{name}: {_listed(seen.holds)}{enabled}")
    return lines or ["none"]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _listed(items: Any) -> str:
    return ", ".join(map(str, items)) or "nothing"
