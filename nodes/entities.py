"""Entities: their encoders, their reference pictures, and files to keep them in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..tora2.encoders.detection import CHOICES, FaceChoice
from ..tora2.encoders.entity import PREVIEW, Encoders, Entity, check_widths, encode_entity
from ..tora2.encoders.entity_file import load_entity, save_entity
from ..tora2.encoders.pictures import picture_from_tensor
from ..tora2.encoders.routing import KINDS
from .host import encoders as host_encoders
from .host import entity_files, files, progress
from .io_types import AdapterSocket, EncodersSocket, EntitySocket, LoadedAdapter
from .validation import refusal

NONE = "none"
OWN = "of the folder"
CACHES = ("memory", "memory and disk")


class Tora2LoadEncoders(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2LoadEncoders",
            display_name="Tora2 Load Encoders",
            category="Tora2/loaders",
            description="The networks that look at reference pictures. Each is optional; the "
            "report says what the absent ones mean, and the licence of the others.",
            search_aliases=["insightface", "dinov2", "face id", "reid", "ip adapter"],
            inputs=[
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="DINOv2 from Load CLIP Vision (facebook/dinov2-large): what a picture "
                    "shows, for every picture.",
                ),
                io.Combo.Input(
                    "face",
                    options=[NONE, *host_encoders.face_folders()],
                    default=NONE,
                    tooltip="A folder in models/insightface with a face detector and a recogniser, "
                    "such as antelopev2. For non-commercial research only. Needs insightface.",
                ),
                io.Combo.Input(
                    "object",
                    options=[NONE, *host_encoders.object_files()],
                    default=NONE,
                    tooltip="A file in models/detection: torchvision's Mask R-CNN, or an identity "
                    "network as ONNX. For animals, things, and people whose face is not seen.",
                ),
                io.Combo.Input(
                    "face_recogniser",
                    options=[OWN, *host_encoders.recognisers()],
                    default=OWN,
                    advanced=True,
                    tooltip="Another recogniser in place of the folder's, such as AuraFace.",
                ),
                io.Combo.Input(
                    "cache",
                    options=list(CACHES),
                    default=CACHES[0],
                    advanced=True,
                    tooltip="Where results are kept, so that a picture is encoded once. On disk "
                    "they outlive a restart, in the user folder, at most 1 GiB.",
                ),
            ],
            outputs=[
                EncodersSocket.Output(display_name="encoders", tooltip="For Tora2 Encode Entity."),
                io.String.Output(
                    display_name="report", tooltip="What is loaded, what is missing, and licences."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(
        cls,
        face: str,
        object: str,
        face_recogniser: str = OWN,
        cache: str = CACHES[0],
        clip_vision: Any = None,
    ) -> io.NodeOutput:
        loaded = host_encoders.load_encoders(
            clip_vision,
            None if face == NONE else face,
            None if face_recogniser == OWN else face_recogniser,
            None if object == NONE else object,
            cache == CACHES[1],
        )
        report = "\n".join(loaded.notes)
        return io.NodeOutput(loaded, report, ui=ui.PreviewText(report))


class Tora2EncodeEntity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2EncodeEntity",
            display_name="Tora2 Encode Entity",
            category="Tora2/entities",
            description="One person, animal or thing: its word in the prompt and its reference "
            "pictures. The preview shows what was looked at, the report why.",
            search_aliases=["reference image", "subject", "character", "identity", "ip adapter"],
            inputs=[
                io.String.Input(
                    "word",
                    default="",
                    tooltip="What the prompt calls it, one noun such as 'cat'. Words for people "
                    "send a picture with a face to the face branch.",
                ),
                io.Combo.Input(
                    "kind",
                    options=list(KINDS),
                    default=KINDS[0],
                    tooltip="human: the face, if one is found. object: the whole of it. auto goes "
                    "by the word and by how plainly a face is seen.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="How much this entity adds to the video; 0 is the same as leaving it "
                    "out.",
                ),
                EncodersSocket.Input(
                    "encoders",
                    optional=True,
                    tooltip="From Tora2 Load Encoders or Load Tiny. Needed with images.",
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="Up to 8 pictures of this one entity; each is a reference of its own. "
                    "Without any, only word and paths are bound.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White where the entity is; the rest becomes white paper. One for all "
                    "pictures or one each. Load Image's mask is the other way round: invert it.",
                ),
                AdapterSocket.Input(
                    "adapter",
                    optional=True,
                    tooltip="Checks here, rather than when binding, that it reads these encoders.",
                ),
                EntitySocket.Input(
                    "more_of",
                    optional=True,
                    tooltip="An entity whose pictures are added to, for pictures of other sizes.",
                ),
                io.String.Input(
                    "name",
                    default="",
                    advanced=True,
                    tooltip="Its name in the trajectories, if that is not the word: tells apart "
                    "two entities of one word.",
                ),
                io.Combo.Input(
                    "face_choice",
                    options=list(CHOICES),
                    default=CHOICES[0],
                    advanced=True,
                    tooltip="Which face, where there are several: the largest, one counted from "
                    "the left, or the nearest to a point.",
                ),
                io.Int.Input(
                    "face_index",
                    default=0,
                    min=0,
                    max=99,
                    advanced=True,
                    tooltip="For face_choice index: 0 is the leftmost.",
                ),
                io.Float.Input(
                    "face_x",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="For face_choice nearest: fraction of the width, from the left.",
                ),
                io.Float.Input(
                    "face_y",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="For face_choice nearest: fraction of the height, from the top.",
                ),
            ],
            outputs=[
                EntitySocket.Output(
                    display_name="entity", tooltip="For Tora2 Bind and Tora2 Save Entity."
                ),
                io.Image.Output(
                    display_name="preview", tooltip="The crop that was looked at, one a picture."
                ),
                io.String.Output(
                    display_name="report", tooltip="For each picture the branch taken, and why."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(
        cls,
        word: str,
        kind: str,
        strength: float,
        encoders: Encoders | None = None,
        images: Tensor | None = None,
        mask: Tensor | None = None,
        adapter: LoadedAdapter | None = None,
        more_of: Entity | None = None,
        name: str = "",
        face_choice: str = CHOICES[0],
        face_index: int = 0,
        face_x: float = 0.5,
        face_y: float = 0.5,
    ) -> io.NodeOutput:
        word, name = word.strip(), name.strip()
        config = None if adapter is None else adapter.adapter.config
        if config is not None and config.extractor == "dino_reid":
            kind = "object"  # Table 2's second row encodes people as objects
        entity = Entity(word=word, strength=strength, name=name)
        if images is not None:
            if encoders is None:
                raise ValueError("images are given without encoders; connect Tora2 Load Encoders")
            pictures = [picture_from_tensor(*pair) for pair in _pairs(images, mask)]
            choice = FaceChoice(face_choice, face_index, (face_x, face_y))
            with progress.steps(len(pictures)) as advance:
                entity = encode_entity(
                    encoders,
                    pictures,
                    word,
                    kind,
                    strength,
                    name,
                    choice,
                    progress=lambda *_: advance(),
                )
        if more_of is not None:
            entity = more_of.with_pictures_of(entity)
        if config is not None:
            check_widths(entity, config.semantic_dim, config.face_dim, config.object_dim)
        return _shown(entity, cls)


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
                    tooltip="Folder and name inside the output folder; a number is added.",
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
    def execute(cls, entity: Entity, filename_prefix: str) -> io.NodeOutput:
        path, name, subfolder = files.output_path(filename_prefix, ".safetensors")
        save_entity(entity, path)
        shown: dict[str, Any] = {"text": (f"Saved as {Path(subfolder, name).as_posix()}",)}
        if entity.preview is not None and len(entity.preview):
            shown = {**ui.PreviewImage(_images(entity.preview), cls=cls).as_dict(), **shown}
        return io.NodeOutput(entity, ui=shown)


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
                    f"{entity_files.FOLDER}.",
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
        return [changed, *(inputs[name] for name in sorted(inputs))]

    @classmethod
    def execute(cls, file: str, word: str = "", strength: float = 1.0) -> io.NodeOutput:
        entity = load_entity(entity_files.locate(file))
        entity = replace(
            entity, word=word.strip() or entity.word, strength=entity.strength * strength
        )
        return _shown(entity, cls)


def _pairs(images: Tensor, mask: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
    """Each picture [H, W, C] with its mask [H, W]; one mask serves all."""
    if mask is None:
        return [(image, None) for image in images]
    if mask.ndim == 2:
        mask = mask[None]
    if len(mask) not in (1, len(images)):
        raise ValueError(
            f"there are {len(mask)} masks for {len(images)} pictures, expected one or one each"
        )
    masks = mask.expand(len(images), -1, -1)
    return list(zip(images, masks, strict=True))


def _shown(entity: Entity, cls: type[io.ComfyNode]) -> io.NodeOutput:
    lines = [f"'{entity.word}', {len(entity.pictures)} pictures", entity.reason]
    report = "\n".join(line for line in lines if line)
    shown: dict[str, Any] = {"text": (report,)}
    preview = torch.ones(1, PREVIEW, PREVIEW, 3)
    if entity.preview is not None and len(entity.preview):
        preview = _images(entity.preview)
        shown = {**ui.PreviewImage(preview, cls=cls).as_dict(), **shown}
    return io.NodeOutput(entity, preview, report, ui=shown)


def _images(preview: Tensor) -> Tensor:
    """uint8 [P, 3, H, W] to the host's [P, H, W, 3] in [0, 1]."""
    return preview.movedim(1, -1).float() / 255
