"""The whole clip as it is meant, put together from cut-outs before any model runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy_api.latest import io
from PIL import ImageColor
from torch import Tensor

from ..tora2.cutouts import CutOut
from ..tora2.geometry import COGVIDEOX
from ..tora2.placing import ORDERS, Placed, boxes, draw, owners, painted, place
from ..tora2.trajectory import TrajectoryDocument
from ..tora2.trajectory.document import MAX_ENTITIES
from .fitting import FITS, fitted
from .host import animation, graph, memory, progress, video
from .io_types import CutOutSocket, TrajectoriesSocket
from .validation import refusal

GROUNDS = {"grey": 0.5, "black": 0.0, "white": 1.0}
PALETTES = ("SCAIL-2", "editor")
SCAIL = ("#0000ff", "#ff0000", "#00ff00", "#ff00ff", "#00ffff", "#ffff00")
"""The colours that the host's SCAIL-2 nodes tell identities by, in their order."""
_IDENTITY = 2
_PREVIEW_SIDE = 512


class Tora2PlaceEntities(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        slot = CutOutSocket.Input(
            "cutout", optional=True, tooltip="From Tora2 Cut-out; the first are the farthest back."
        )
        return io.Schema(
            node_id="Tora2PlaceEntities",
            display_name="Tora2 Place Entities",
            category="Tora2/trajectories",
            description="Places cut-outs along their paths over a background: a preview of the "
            "whole clip before any model runs, its first frame, masks, and one colour an entity.",
            search_aliases=["composite", "animate cutouts", "vace control", "identity mask"],
            is_output_node=True,
            inputs=[
                TrajectoriesSocket.Input(
                    "trajectories", tooltip="The paths; they also set the size and the frames."
                ),
                io.Autogrow.Input(
                    "cutouts",
                    io.Autogrow.TemplatePrefix(slot, prefix="cutout", min=0, max=MAX_ENTITIES),
                    optional=True,
                    tooltip="What is placed. Each takes the path of its name, or the next one.",
                ),
                io.Image.Input(
                    "background",
                    optional=True,
                    tooltip="A picture, or frames that are spread over the clip.",
                ),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    default=FITS[0],
                    tooltip="How a background of another shape is fitted; as in the editor.",
                ),
                io.Combo.Input(
                    "empty",
                    options=list(GROUNDS),
                    default=next(iter(GROUNDS)),
                    tooltip="What is behind without a background. VACE takes grey for what it is "
                    "to paint.",
                ),
                io.Combo.Input(
                    "order",
                    options=list(ORDERS),
                    default=ORDERS[0],
                    tooltip="Which one hides the other: the later cut-out, the one that stands "
                    "lower in the picture, or the larger one.",
                ),
                io.Int.Input(
                    "fade",
                    default=0,
                    min=0,
                    max=100,
                    tooltip="Frames over which a thing appears or vanishes where its path starts "
                    "after the clip or ends before it.",
                ),
                io.Combo.Input(
                    "colors",
                    options=list(PALETTES),
                    default=PALETTES[0],
                    advanced=True,
                    tooltip="Colours of the identity masks: those that SCAIL-2 was trained on, or "
                    "those of the editor.",
                ),
                io.Combo.Input(
                    "ground",
                    options=["black", "white"],
                    default="black",
                    advanced=True,
                    tooltip="Where no entity is in the identity masks. SCAIL-2: black to animate, "
                    "white to replace.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="frames", tooltip="The clip."),
                io.Mask.Output(display_name="masks", tooltip="White where something was placed."),
                io.Image.Output(
                    display_name="identity",
                    tooltip="One flat colour an entity, frame by frame; what hides wins.",
                ),
                io.BoundingBox.Output(
                    display_name="boxes", tooltip="A list a frame, labelled with names."
                ),
                io.Image.Output(
                    display_name="first_frame", tooltip="The first frame alone, for image-to-video."
                ),
                io.Mask.Output(
                    display_name="entity_masks",
                    tooltip="Where each entity is seen in the first frame, one an entity with a "
                    "path, for Tora2 Tracks.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> Any:
        return graph.is_connected(_IDENTITY)  # without, they are made of the first frame alone

    @classmethod
    def execute(
        cls,
        trajectories: TrajectoryDocument,
        cutouts: dict[str, CutOut | None] | None = None,
        background: Tensor | None = None,
        fit: str = FITS[0],
        empty: str = next(iter(GROUNDS)),
        order: str = ORDERS[0],
        fade: int = 0,
        colors: str = PALETTES[0],
        ground: str = "black",
    ) -> io.NodeOutput:
        given = [one for one in (cutouts or {}).values() if one is not None]
        placed = place(trajectories, given, fade)
        count, high, wide = trajectories.frames, trajectories.height, trajectories.width
        identities = count if graph.is_connected(_IDENTITY) else 1
        need = high * wide * (16 * count + 12 * identities + 16 * len(placed) + 64)
        memory.check(need, f"placing cut-outs in {COGVIDEOX.video_words(count, high, wide)}")
        names = {entity.id: entity.name for entity in trajectories.entities}
        labels = [names.get(one.owner, one.owner) for one in placed]
        palette = identity_colors(trajectories, placed, colors)
        behind = _behind(trajectories, background, fit, GROUNDS[empty])
        frames, masks = torch.empty(count, high, wide, 3), torch.empty(count, high, wide)
        identity = torch.empty(identities, high, wide, 3)
        entity_masks = torch.zeros(max(1, len(owners(trajectories))), high, wide)
        found = []
        with progress.steps(count) as advance:
            for time, shot in enumerate(draw(placed, behind, count, order)):
                advance()
                frames[time], masks[time] = shot.frame, shot.mask
                found.append(boxes(shot, labels))
                if time < identities:
                    identity[time] = painted(shot.seen, palette, torch.full((3,), GROUNDS[ground]))
                if time == 0:
                    rows = [owners(trajectories).index(one.owner) for one in placed]
                    entity_masks[rows] = shot.seen.float()
        shown = animation.preview(frames, trajectories.fps, _PREVIEW_SIDE)
        return io.NodeOutput(frames, masks, identity, found, frames[:1], entity_masks, ui=shown)


def identity_colors(document: TrajectoryDocument, placed: list[Placed], palette: str) -> Tensor:
    """[E, 3] in [0, 1], one colour a placed cut-out, by the place of its owner."""
    order = owners(document)
    own = {entity.id: entity.color for entity in document.entities}
    chosen = []
    for one in placed:
        color = SCAIL[order.index(one.owner) % len(SCAIL)]
        if palette != PALETTES[0]:
            color = own.get(one.owner, color)
        chosen.append([value / 255 for value in ImageColor.getrgb(color)[:3]])
    return torch.tensor(chosen).reshape(-1, 3)


def _behind(
    document: TrajectoryDocument, background: Tensor | None, fit: str, level: float
) -> Callable[[int], Tensor]:
    """What is behind at a frame, [H, W, 3]."""
    size = (document.height, document.width)
    if background is None:
        return lambda _: torch.full((*size, 3), level)
    shots = background
    turn = torch.linspace(0, len(shots) - 1, document.frames).round().long().tolist()
    kept: dict[int, Tensor] = {}

    def at(time: int) -> Tensor:
        shot = turn[time]
        if shot not in kept:
            kept.clear()
            one = fitted(shots[shot : shot + 1, ..., :3], size[1], size[0], fit, _resize)
            kept[shot] = one[0].cpu().float().clamp(0, 1)
        return kept[shot]

    return at


def _resize(pictures: Tensor, width: int, height: int) -> Tensor:
    return video.resize(pictures, width, height, crop=False)
