"""Entities kept in files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from comfy_api.latest import io, ui

from ..tora2.encoders.entity import EncodedEntity
from ..tora2.encoders.entity_file import load_entity, save_entity
from .entities import as_images, shown
from .host import entity_files, files
from .io_types import EntitySocket
from .validation import refusal


class Tora2SaveEntity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2SaveEntity",
            display_name="Tora2 Save Entity",
            category="Tora2/entities",
            description="Keeps an entity in a file, with a thumbnail, so that it can be used again "
            "and shared. The file holds a likeness: its features and the crops.",
            search_aliases=["save character", "save face", "export entity"],
            is_output_node=True,
            inputs=[
                EntitySocket.Input("entity", tooltip="From Tora2 Encode Entity."),
                io.String.Input(
                    "filename_prefix",
                    default=f"{entity_files.FOLDER}/entity",
                    tooltip="Folder and name inside the output folder, or inside your own on a "
                    "host of several users; a number is added.",
                ),
            ],
            outputs=[
                EntitySocket.Output(display_name="entity", tooltip="The same entity."),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        prefix = inputs.get("filename_prefix")
        return refusal(cls, inputs, lambda: files.check_prefix(prefix) if prefix else None)

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> Any:
        return entity_files.owner()

    @classmethod
    def execute(cls, entity: EncodedEntity, filename_prefix: str) -> io.NodeOutput:
        path, name = entity_files.new_path(filename_prefix)
        save_entity(entity, path)
        view: dict[str, Any] = {"text": (f"Saved as {name}",)}
        if entity.preview is not None and len(entity.preview):
            view = {**ui.PreviewImage(as_images(entity.preview), cls=cls).as_dict(), **view}
        return io.NodeOutput(entity, ui=view)


class Tora2LoadEntity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2LoadEntity",
            display_name="Tora2 Load Entity",
            category="Tora2/entities",
            description="An entity that was saved or shared. It suits adapters that read the same "
            "encoders.",
            search_aliases=["load character", "import entity"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=entity_files.choices(),
                    tooltip="A file in the input folder, or one of the output folder's "
                    f"{entity_files.FOLDER}; on a host of several users also of your own folder.",
                ),
                io.String.Input(
                    "word",
                    default="",
                    tooltip="What the prompt calls it; empty for the word that was saved.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="Multiplies the strength that was saved.",
                ),
            ],
            outputs=[
                EntitySocket.Output(display_name="entity", tooltip="For Tora2 Bind."),
                io.Image.Output(display_name="preview", tooltip="The crops that were looked at."),
                io.String.Output(display_name="report", tooltip="The branches taken, and why."),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> Any:
        changed = Path(entity_files.locate(inputs["file"])).stat().st_mtime_ns
        return [changed, entity_files.owner(), *(inputs[name] for name in sorted(inputs))]

    @classmethod
    def execute(cls, file: str, word: str = "", strength: float = 1.0) -> io.NodeOutput:
        entity = load_entity(entity_files.locate(file))
        entity = replace(
            entity, word=word.strip() or entity.word, strength=entity.strength * strength
        )
        return shown(entity, cls)
