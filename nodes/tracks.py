"""Paths for models of others: Wan-Move, ATI, LTX and what else takes points."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..tora2.trajectory import TrajectoryDocument
from ..tora2.trajectory.bridge import MAX_POINTS, box_region, coordinates, mask_region, spread
from ..tora2.trajectory.curves import Array
from ..tora2.trajectory.document import MAX_FRAMES
from ..tora2.trajectory.formats import to_host
from .bridging import LATE, handed
from .host import notes
from .io_types import TrajectoriesSocket
from .validation import refusal


class Tora2Tracks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2Tracks",
            display_name="Tora2 Tracks for Other Models",
            category="Tora2/trajectories",
            description="Paths as Wan-Move, ATI, LTX and KJNodes take them: late ones wait, one "
            "point becomes many, and coordinates come in any number.",
            search_aliases=["wan move", "ati", "track coords", "spread points", "coordinates"],
            inputs=[
                TrajectoriesSocket.Input("trajectories", tooltip="The paths."),
                io.Combo.Input(
                    "late",
                    options=list(LATE),
                    default=LATE[0],
                    tooltip="A path that is not on the frame at frame 0 makes Wan-Move carry the "
                    "lower right corner along. Let it wait where it is first seen, refuse it, or "
                    "hand it on.",
                ),
                io.Int.Input(
                    "points",
                    default=1,
                    min=1,
                    max=MAX_POINTS,
                    tooltip="Points an entity, its own paths among them. One moves a spot of it, "
                    "several move the whole thing.",
                ),
                io.Float.Input(
                    "radius",
                    default=0.05,
                    min=0.001,
                    max=1.0,
                    step=0.005,
                    tooltip="Around the start of each path, as a fraction of the frame's height: "
                    "where points are spread without masks or boxes.",
                ),
                io.Int.Input(
                    "samples",
                    default=0,
                    min=0,
                    max=MAX_FRAMES,
                    tooltip="Points a path in the coordinates, evenly over the clip; 0 is one a "
                    "frame. WanTrackToVideo (ATI) wants 121.",
                ),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="Where each entity is in the first frame, to spread its points over: "
                    "one an entity with a path, in their order.",
                ),
                io.BoundingBox.Input(
                    "boxes",
                    optional=True,
                    force_input=True,
                    tooltip="The same as boxes, of the first frame: by their labels, else in the "
                    "entities' order. Masks win.",
                ),
            ],
            outputs=[
                io.Tracks.Output(
                    display_name="tracks", tooltip="TRACKS, for WanMoveTrackToVideo and others."
                ),
                io.String.Output(
                    display_name="coordinates",
                    tooltip="[[{x, y}, …], …] in pixels, for WanTrackToVideo, "
                    "WanMoveTracksFromCoords, LTXVDrawTracks and KJNodes.",
                ),
                io.Int.Output(display_name="width", tooltip="Of the video, in pixels."),
                io.Int.Output(display_name="height", tooltip="Of the video, in pixels."),
                io.Int.Output(display_name="frames", tooltip="Of the video, for its length."),
                io.String.Output(
                    display_name="report", tooltip="What waits, what is skipped, how many points."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(
        cls,
        trajectories: TrajectoryDocument,
        late: str,
        points: int,
        radius: float,
        samples: int,
        masks: Tensor | None = None,
        boxes: Any = None,
    ) -> io.NodeOutput:
        tracks, words = handed(trajectories, late)
        regions = covered(trajectories, masks, boxes)
        tracks = spread(tracks, points, radius * trajectories.height, regions)
        size = (trajectories.width, trajectories.height, trajectories.frames)
        drawn = len(trajectories.tracks)
        words.append(
            f"{drawn} paths, {len(tracks.entity)} points, {size[0]}x{size[1]} with {size[2]} frames"
        )
        notes.tell(words)
        return io.NodeOutput(to_host(tracks), coordinates(tracks, samples), *size, "\n".join(words))


def covered(document: TrajectoryDocument, masks: Tensor | None, boxes: Any) -> dict[int, Array]:
    """What entities cover in the first frame, by their index: places [M, 2] in pixels.

    Raises:
        ValueError: if masks or boxes are not one an entity.
    """
    owned = {track.entity for track in document.tracks}
    order = [place for place, one in enumerate(document.entities) if one.id in owned]
    if masks is not None:
        masks = masks[None] if masks.ndim == 2 else masks
        if len(masks) != len(order):
            raise ValueError(
                f"there are {len(masks)} masks and {len(order)} entities with a path, expected "
                "one an entity"
            )
        size = (document.height, document.width)
        found = {place: mask_region(mask, size) for place, mask in zip(order, masks, strict=True)}
        return {place: region for place, region in found.items() if len(region)}
    if boxes is None:
        return {}
    first = _first_frame(boxes)
    names = {one.name.casefold(): place for place, one in enumerate(document.entities)}
    labels = [str(box.get("label", "")).casefold() for box in first]
    if any(label in names for label in labels):
        pairs = [
            (names[label], box) for label, box in zip(labels, first, strict=True) if label in names
        ]
    elif len(first) == len(order):
        pairs = list(zip(order, first, strict=True))
    else:
        raise ValueError(
            f"there are {len(first)} boxes and {len(order)} entities with a path, expected one an "
            "entity, or boxes with their names as labels"
        )
    return {
        place: box_region(*(float(box[key]) for key in ("x", "y", "width", "height")))
        for place, box in pairs
    }


def _first_frame(boxes: Any) -> list[dict[str, Any]]:
    """The boxes of the first frame: the host gives one, a list, or a list a frame."""
    if isinstance(boxes, dict):
        boxes = [boxes]
    if isinstance(boxes, list) and boxes and isinstance(boxes[0], list):
        boxes = boxes[0]
    sides = {"x", "y", "width", "height"}
    if not isinstance(boxes, list) or not all(
        isinstance(box, dict) and sides <= set(box) for box in boxes
    ):
        raise ValueError("boxes are no bounding boxes, expected x, y, width and height of each")
    return boxes
