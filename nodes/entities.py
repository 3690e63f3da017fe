"""Entities: one person, animal or thing with its word and reference pictures."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..tora2.encoders.detection import CHOICES, FaceChoice
from ..tora2.encoders.entity import PREVIEW, EncodedEntity, Encoders, encode_entity
from ..tora2.encoders.pictures import picture_from_tensor
from ..tora2.encoders.routing import KINDS
from .host import cutting, progress
from .io_types import (
    AdapterSocket,
    BackgroundRemovalSocket,
    EncodersSocket,
    EntitySocket,
    LoadedAdapter,
)
from .validation import refusal


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
                BackgroundRemovalSocket.Input(
                    "background_removal",
                    optional=True,
                    tooltip="From the host's Load Background Removal Model: cuts the entity out of "
                    "pictures that have no mask.",
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
        more_of: EncodedEntity | None = None,
        name: str = "",
        face_choice: str = CHOICES[0],
        face_index: int = 0,
        face_x: float = 0.5,
        face_y: float = 0.5,
        background_removal: Any = None,
    ) -> io.NodeOutput:
        word, name = word.strip(), name.strip()
        config = None if adapter is None else adapter.adapter.config
        if config is not None and config.extractor == "dino_reid":
            kind = "object"  # Table 2's second row encodes people as objects
        entity = EncodedEntity(word=word, strength=strength, name=name)
        if images is not None:
            if encoders is None:
                raise ValueError("images are given without encoders; connect Tora2 Load Encoders")
            if mask is None and background_removal is not None:
                pairs = _cut_out(images, cutting.foreground(background_removal, images))
            else:
                pairs = _pairs(images, mask)
            pictures = [picture_from_tensor(*pair) for pair in pairs]
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
            for picture in entity.pictures:
                picture.check_widths(config.semantic_dim, config.face_dim, config.object_dim)
        return shown(entity, cls)


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


def _cut_out(images: Tensor, masks: Tensor) -> list[tuple[Tensor, Tensor | None]]:
    """Each picture with what is in front in it; the whole of one in which nothing is."""
    pairs = zip(images, masks, strict=True)
    return [(image, mask if bool((mask > 0.5).any()) else None) for image, mask in pairs]


def shown(entity: EncodedEntity, cls: type[io.ComfyNode]) -> io.NodeOutput:
    """An entity, its crops and its reasons, as outputs and on the node."""
    lines = [f"'{entity.word}', {len(entity.pictures)} pictures", entity.reason]
    report = "\n".join(line for line in lines if line)
    view: dict[str, Any] = {"text": (report,)}
    preview = torch.ones(1, PREVIEW, PREVIEW, 3)
    if entity.preview is not None and len(entity.preview):
        preview = as_images(entity.preview)
        view = {**ui.PreviewImage(preview, cls=cls).as_dict(), **view}
    return io.NodeOutput(entity, preview, report, ui=view)


def as_images(preview: Tensor) -> Tensor:
    """uint8 [P, 3, H, W] to the host's [P, H, W, 3] in [0, 1]."""
    return preview.movedim(1, -1).float() / 255
