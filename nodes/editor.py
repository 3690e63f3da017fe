"""The trajectory editor's node: the document that was drawn, as trajectories and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..tora2 import overlay
from ..tora2.geometry import COGVIDEOX
from ..tora2.trajectory import Tracks, TrajectoryDocument, parse, sample
from ..tora2.trajectory.formats import to_host
from ..tora2.trajectory.resizing import resized
from .bridging import handed
from .fitting import FITS, fitted
from .host import graph, memory, notes, progress, queue
from .io_types import TrajectoriesSocket
from .sizes import drawn_size, mismatch, warnings

DocumentWidget = io.Custom("TORA2_TRAJECTORY_DOCUMENT")

EMPTY = {"version": 1, "width": 720, "height": 480, "frames": 49, "tracks": []}
_GREY = 0.16
_SHOWN_SIDE = 1024
"""The editor's canvas is hardly larger than this, so no larger pictures are sent to it."""
_PREVIEW = 2
_ALWAYS_MADE = 256 * 2**20
"""Bytes of a preview that is made whether it is connected or not, as at 720x480 with 49 frames.

A larger one costs memory that a graph may need elsewhere. Connecting it runs the graph again.
"""


class Tora2TrajectoryEditor(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2TrajectoryEditor",
            display_name="Tora2 Trajectory Editor",
            category="Tora2/trajectories",
            description="Draw the paths that entities follow, with their timing.",
            search_aliases=[
                "spline editor",
                "motion path",
                "tracks",
                "draw",
                "draw path",
                "trajectory",
                "motion brush",
                "camera motion",
            ],
            hidden=[io.Hidden.unique_id],
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
                    tooltip=f"Number of frames, {COGVIDEOX.temporal}k + 1. Wins over the "
                    "document's; timing is scaled.",
                ),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    default=FITS[0],
                    optional=True,
                    tooltip="How a background of another shape lies behind the paths. Choose what "
                    "fits the first frame to the video, as in Tora2 Image to Video.",
                    extra_dict={"socketless": True, "hidden": True},  # shown beside a background
                ),
            ],
            outputs=[
                TrajectoriesSocket.Output(
                    display_name="trajectories", tooltip="The paths, for Tora2 Bind and Overlay."
                ),
                io.Tracks.Output(
                    display_name="tracks",
                    tooltip="A point in pixels for every frame, for other nodes that take TRACKS. "
                    "A path that starts late waits at its first point.",
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
        prompt, node = queue.validated(), cls.hidden.unique_id if cls.hidden else None
        if prompt is None or node not in prompt:
            return True
        size = drawn_size(prompt[node]["inputs"])
        return True if size is None else mismatch(prompt, node, size) or True

    @classmethod
    def fingerprint_inputs(cls, document: Any = None, **others: Any) -> Any:
        # A result without the whole preview is not the one that a node would take it from.
        known = {"width", "height", "frames"}.isdisjoint(others)  # a linked size is not, here
        return (known and _is_small(_read(document))) or graph.is_connected(_PREVIEW)

    @classmethod
    def execute(
        cls,
        document: Any,
        background: Tensor | None = None,
        masks: Tensor | None = None,
        width: int | None = None,
        height: int | None = None,
        frames: int | None = None,
        fit: str = FITS[0],
    ) -> io.NodeOutput:
        trajectories = resized(_read(document), width=width, height=height, frames=frames)
        tracks = sample(trajectories)
        whole = _is_small(trajectories) or graph.is_connected(_PREVIEW)
        if whole:
            memory.check(_preview_memory(trajectories), f"the preview of {_words(trajectories)}")
        shots = {
            "tora2_background": None if background is None else background[..., :3],
            "tora2_masks": None if masks is None else masks[..., None],
        }
        given = {name: pictures for name, pictures in shots.items() if pictures is not None}
        with progress.steps(trajectories.frames + sum(map(len, given.values()))) as advance:
            preview = _preview(trajectories, tracks, background, fit, whole, advance)
            behind: dict[str, list[Any]] = {}
            for name, pictures in given.items():
                for picture in _thumbnails(pictures):
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
        waiting, words = handed(trajectories)
        size = (trajectories.width, trajectories.height, trajectories.frames)
        prompt = graph.running()
        if prompt is not None:
            words += warnings(*prompt, size)
        notes.tell(words)
        return io.NodeOutput(trajectories, to_host(waiting), preview, ui=shown)


def _read(value: Any) -> TrajectoryDocument:
    """The widget's value: a document, or nothing yet."""
    return parse(EMPTY if value is None or value == "" else value)


def _words(document: TrajectoryDocument) -> str:
    return COGVIDEOX.video_words(document.frames, document.height, document.width)


def _preview_memory(document: TrajectoryDocument) -> int:
    return overlay.memory(document.frames, document.height, document.width)


def _is_small(document: TrajectoryDocument) -> bool:
    """Whether the preview costs so little that it is always made."""
    return _preview_memory(document) <= _ALWAYS_MADE


def _preview(
    document: TrajectoryDocument,
    tracks: Tracks,
    background: Tensor | None,
    fit: str,
    whole: bool,
    advance: Callable[[], None],
) -> Tensor:
    """The paths over the background or grey: every frame [T, H, W, 3], or the middle one small."""
    middle = document.frames // 2
    wanted = range(document.frames) if whole else range(middle, middle + 1)
    size = (document.height, document.width)
    if not whole:
        size = _shown_size(*size)
    painter = overlay.Painter(size, tracks, overlay.track_colors(document))
    result = torch.full((len(wanted), *size, 3), _GREY)
    shots = 0 if background is None else len(background)
    shot = torch.linspace(0, shots - 1, document.frames).round().long().tolist()
    for time in range(wanted.stop):
        advance()
        frame = result[time - wanted.start] if time in wanted else None
        if frame is not None and background is not None:
            frame.copy_(_behind(background[shot[time]], size, fit))
        painter.draw(time, frame)
    return result if background is None else result.to(background.device)


def _behind(picture: Tensor, size: tuple[int, int], fit: str) -> Tensor:
    """A picture [H, W, C] of the background as RGB in [0, 1] on the canvas."""
    height, width = size
    return fitted(picture[None, ..., :3], width, height, fit, _resize)[0].clamp(0, 1)


def _resize(pictures: Tensor, width: int, height: int) -> Tensor:
    """Pictures [N, H, W, C], stretched; the finest of a photograph do not flicker."""
    first = pictures.movedim(-1, 1)
    size = (height, width)
    resized = torch.nn.functional.interpolate(first, size, mode="bilinear", antialias=True)
    return resized.movedim(1, -1)


def _shown_size(height: int, width: int) -> tuple[int, int]:
    """The size at which the editor shows a picture: no larger than its canvas."""
    scale = min(1.0, _SHOWN_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _thumbnails(frames: Tensor) -> Iterator[Tensor]:
    """Frames [T, H, W, C] one by one, [1, h, w, C], as large as the editor shows them."""
    size = _shown_size(*frames.shape[1:3])
    for frame in frames.split(1):
        if size == tuple(frame.shape[1:3]):
            yield frame
        else:
            channels_first = frame.movedim(-1, 1)
            yield torch.nn.functional.interpolate(channels_first, size, mode="area").movedim(1, -1)
