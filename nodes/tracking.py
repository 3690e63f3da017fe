"""Paths from a video."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..tora2.evaluation.following import Thing, at_places, follow, from_mask, places
from ..tora2.trajectory import sample
from ..tora2.trajectory.document import MAX_FRAMES, dumps
from ..tora2.trajectory.formats import to_host
from ..tora2.video import as_uint8
from .host import progress, video
from .io_types import TrajectoriesSocket
from .measuring import load_tracker, tracker_inputs
from .validation import refusal


class Tora2TrackVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2TrackVideo",
            display_name="Tora2 Track Video",
            category="Tora2/trajectories",
            description="Follows points or masked things through a video, and gives their paths as "
            "splines that can be edited: open them in the editor, or use them as they are.",
            search_aliases=["motion transfer", "cotracker", "point tracking", "video to tracks"],
            inputs=[
                io.Image.Input("frames", tooltip="The video."),
                io.String.Input(
                    "points",
                    multiline=True,
                    default="",
                    tooltip="Points on things in pixels of the video: x,y or x,y@frame, a line "
                    "each; or [{x, y}, …] of a points editor.",
                ),
                *tracker_inputs(),
                io.Float.Input(
                    "tolerance",
                    default=1.0,
                    min=0.1,
                    max=100.0,
                    step=0.1,
                    tooltip="Pixels by which a path may leave what was followed. More of them need "
                    "fewer control points.",
                ),
                io.Float.Input(
                    "fps",
                    default=8.0,
                    min=0.1,
                    max=1000.0,
                    step=0.1,
                    tooltip="Frames per second of the video, which the paths keep.",
                ),
                io.Int.Input(
                    "mask_frame",
                    default=0,
                    min=0,
                    max=MAX_FRAMES - 1,
                    tooltip="The frame in which the masks show the things.",
                ),
                io.Mask.Input(
                    "masks", optional=True, tooltip="A mask for each thing, white where it is."
                ),
            ],
            outputs=[
                TrajectoriesSocket.Output(
                    display_name="trajectories",
                    tooltip="A path for every time that a thing is seen.",
                ),
                io.Tracks.Output(display_name="tracks", tooltip="A point for every frame."),
                io.String.Output(
                    display_name="document",
                    tooltip="The paths as JSON, which the editor's import opens, also from a file "
                    "of Tora2 Export Trajectories.",
                ),
                io.String.Output(
                    display_name="report", tooltip="When each thing was seen, and by which tracker."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        given = inputs.get("points")
        return refusal(cls, inputs, lambda: given and places(given))

    @classmethod
    def execute(
        cls,
        frames: Tensor,
        points: str = "",
        tracker: str = "lucas_kanade",
        weights: str = "none",
        tolerance: float = 1.0,
        fps: float = 8.0,
        mask_frame: int = 0,
        masks: Tensor | None = None,
    ) -> io.NodeOutput:
        pixels = as_uint8(frames[..., :3]).cpu()
        things = at_places(pixels, places(points))
        if masks is not None:
            things += _masked(pixels, masks, mask_frame)
        if not things:
            raise ValueError("nothing is to be followed, expected points or masks")
        chosen = load_tracker(tracker, weights)
        with progress.steps(1) as advance:
            document = follow(pixels, fps, things, chosen, tolerance)
            advance()
        lines = []
        for entity in document.entities:
            own = [track for track in document.tracks if track.entity == entity.id]
            shown = ", ".join(f"{track.start} to {track.end}" for track in own)
            count = sum(len(track.points) for track in own)
            lines.append(f"{entity.name}: frames {shown}, {count} control points")
        height, width = pixels.shape[1:3]
        lines.append(f"followed by {chosen.name} ({chosen.licence}) at {width}x{height}")
        if document.frames != len(pixels):
            lines.append(f"the paths have {document.frames} frames, the video {len(pixels)}")
        text = "\n".join(lines)
        return io.NodeOutput(
            document, to_host(sample(document)), dumps(document), text, ui=ui.PreviewText(text)
        )


def _masked(frames: Tensor, masks: Tensor, frame: int) -> list[Thing]:
    """Things in masks [N, H', W'] of one frame, which are scaled to the video."""
    count, height, width, _ = frames.shape
    if not 0 <= frame < count:
        raise ValueError(f"mask_frame is {frame}, expected a frame from 0 to {count - 1}")
    masks = masks if masks.ndim == 3 else masks[None]
    scaled = video.resize(masks[..., None].expand(-1, -1, -1, 3).float(), width, height, False)
    white = scaled[..., 0].cpu() > 0.5
    return [from_mask(mask, frame, f"mask {i}") for i, mask in enumerate(white, start=1)]
