"""The trajectory editor's node: the document that was drawn, as trajectories and as a picture."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..tora2.overlay import draw_tracks, track_colors
from ..tora2.trajectory import TrajectoryDocument, parse, sample
from ..tora2.trajectory.formats import to_host
from ..tora2.trajectory.resizing import resized
from .host import progress
from .io_types import TrajectoriesSocket

DocumentWidget = io.Custom("TORA2_TRAJECTORY_DOCUMENT")

EMPTY = {"version": 1, "width": 720, "height": 480, "frames": 49, "tracks": []}
_GREY = 0.16
_BACKGROUND_SIDE = 1024
"""The editor's canvas is hardly larger than this, so no larger pictures are sent to it."""


class Tora2TrajectoryEditor(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2TrajectoryEditor",
            display_name="Tora2 Trajectory Editor",
            category="Tora2/trajectories",
            description="Draw the paths that entities follow, with their timing.",
            search_aliases=["spline editor", "motion path", "tracks", "draw"],
            inputs=[
                DocumentWidget.Input(
                    "document",
                    tooltip="The paths. Edited in the node; a trajectory document as JSON by API.",
                    extra_dict={"socketless": True},
                ),
                io.Image.Input(
                    "background",
                    optional=True,
                    tooltip="Picture or frames to draw over. Shown in the editor and the preview; "
                    "it does not change the trajectories.",
                ),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="Masks to draw over, shown as a tint, for example of the entities.",
                ),
                io.Int.Input(
                    "width",
                    optional=True,
                    force_input=True,
                    tooltip="Width of the video in pixels. Wins over the document's.",
                ),
                io.Int.Input(
                    "height",
                    optional=True,
                    force_input=True,
                    tooltip="Height of the video in pixels. Wins over the document's.",
                ),
                io.Int.Input(
                    "frames",
                    optional=True,
                    force_input=True,
                    tooltip="Number of frames, 4k + 1. Wins over the document's; timing is scaled.",
                ),
            ],
            outputs=[
                TrajectoriesSocket.Output(
                    display_name="trajectories", tooltip="The paths, for Tora2 Bind and Overlay."
                ),
                io.Tracks.Output(
                    display_name="tracks",
                    tooltip="A point in pixels for every frame, for other nodes that take TRACKS.",
                ),
                io.Image.Output(
                    display_name="preview", tooltip="The paths over the background, frame by frame."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, document: Any = None) -> bool | str:
        try:
            _read(document)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        document: Any,
        background: Tensor | None = None,
        masks: Tensor | None = None,
        width: int | None = None,
        height: int | None = None,
        frames: int | None = None,
    ) -> io.NodeOutput:
        trajectories = resized(_read(document), width=width, height=height, frames=frames)
        tracks = sample(trajectories)
        shots = {
            "tora2_background": [] if background is None else _thumbnails(background[..., :3]),
            "tora2_masks": [] if masks is None else _thumbnails(masks[..., None]),
        }
        with progress.steps(trajectories.frames + sum(map(len, shots.values()))) as advance:
            preview = draw_tracks(
                _canvas(trajectories, background),
                tracks,
                track_colors(trajectories),
                advance=advance,
            )
            behind: dict[str, list[Any]] = {}
            for name, pictures in shots.items():
                for picture in pictures:
                    advance()
                    rgb = picture.expand(-1, -1, -1, 3)
                    saved = ui.PreviewImage(rgb, cls=cls).as_dict()["images"]
                    behind.setdefault(name, []).extend(saved)
        still = preview[len(preview) // 2 :][:1]
        shown = ui.PreviewImage(still, cls=cls).as_dict()
        shown["tora2_size"] = [
            {
                "width": trajectories.width,
                "height": trajectories.height,
                "frames": trajectories.frames,
            }
        ]
        shown |= behind
        return io.NodeOutput(trajectories, to_host(tracks), preview, ui=shown)


def _read(value: Any) -> TrajectoryDocument:
    """The widget's value: a document, or nothing yet."""
    return parse(EMPTY if value is None or value == "" else value)


def _canvas(document: TrajectoryDocument, background: Tensor | None) -> Tensor:
    """Frames [T, H, W, 3] to draw on: the background fitted to the document, or grey."""
    if background is None:
        return torch.full((document.frames, document.height, document.width, 3), _GREY)
    pick = torch.linspace(0, len(background) - 1, document.frames).round().long()
    chosen = background[pick, ..., :3].movedim(-1, 1)
    size = (document.height, document.width)
    fitted = torch.nn.functional.interpolate(chosen, size, mode="bilinear", antialias=True)
    return fitted.movedim(1, -1)


def _thumbnails(frames: Tensor) -> list[Tensor]:
    """Frames [T, H, W, C] one by one, [1, h, w, C], as large as the editor shows them."""
    height, width = frames.shape[1:3]
    scale = _BACKGROUND_SIDE / max(height, width)
    if scale >= 1:
        return list(frames.split(1))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return [
        torch.nn.functional.interpolate(frame.movedim(-1, 1), size, mode="area").movedim(1, -1)
        for frame in frames.split(1)
    ]
