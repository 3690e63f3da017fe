"""Paths from other tools, and for them."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..tora2.geometry import COGVIDEOX
from ..tora2.trajectory import TrajectoryDocument
from ..tora2.trajectory.bridge import coordinates
from ..tora2.trajectory.document import MAX_FRAMES, MAX_SIDE, MIN_SIDE
from ..tora2.trajectory.formats import FORMATS, from_host, load, loads, save, to_host
from .bridging import handed
from .host import files, notes
from .io_types import TrajectoriesSocket
from .validation import check_choice, refusal

NO_FILE = "none"
_EXTENSIONS = (".json", ".txt", ".csv", ".npz")
_SUFFIX = {"document": ".json", "points": ".json", "tracks": ".npz", "csv": ".csv", "tora": ".txt"}


class Tora2ImportTrajectories(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2ImportTrajectories",
            display_name="Tora2 Import Trajectories",
            category="Tora2/trajectories",
            description="Paths from a text, a file, another node's tracks or masks. Exactly one of "
            "them is given.",
            search_aliases=["spline coordinates", "tracks to trajectories", "masks to tracks"],
            inputs=[
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    tooltip="A trajectory document, coordinates as [[{x, y}, …], …] of KJNodes, "
                    "Wan and LTXV, TRACKS as JSON, CSV, or the x,y lines of a Tora file.",
                ),
                io.Combo.Input(
                    "file",
                    options=[NO_FILE, *files.input_files(_EXTENSIONS)],
                    default=NO_FILE,
                    tooltip="A file in the input folder, in any of those formats, or an .npz.",
                ),
                io.Int.Input(
                    "width",
                    default=720,
                    min=MIN_SIDE,
                    max=MAX_SIDE,
                    tooltip="Canvas that the coordinates are on, where they do not say; the width "
                    "of the video.",
                ),
                io.Int.Input(
                    "height",
                    default=480,
                    min=MIN_SIDE,
                    max=MAX_SIDE,
                    tooltip="Likewise, the height.",
                ),
                io.Int.Input(
                    "frames",
                    default=49,
                    min=1,
                    max=MAX_FRAMES,
                    tooltip=f"Frames of the video, {COGVIDEOX.temporal}k + 1, for formats without "
                    "times.",
                ),
                io.Tracks.Input("tracks", optional=True, tooltip="TRACKS of any other node."),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="A mask for every frame; the path follows its centre and is not "
                    "visible where the mask is empty.",
                ),
            ],
            outputs=[
                TrajectoriesSocket.Output(display_name="trajectories", tooltip="The paths."),
                io.Tracks.Output(
                    display_name="tracks",
                    tooltip="A point for every frame; a path that starts late waits at its first.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        text, name = inputs.get("text"), inputs.get("file")

        def readable() -> None:
            if text and text.strip():
                loads(text, **_canvas(inputs))
            if name is not None and name != NO_FILE:
                files.input_file(name)

        return refusal(cls, inputs, readable)

    @classmethod
    def execute(
        cls,
        text: str,
        file: str,
        width: int,
        height: int,
        frames: int,
        tracks: Any = None,
        masks: Tensor | None = None,
    ) -> io.NodeOutput:
        canvas = {"width": width, "height": height, "frames": frames}
        sources = {
            "text": bool(text.strip()),
            "file": file != NO_FILE,
            "tracks": tracks is not None,
            "masks": masks is not None,
        }
        named = [name for name, given in sources.items() if given]
        if len(named) != 1:
            raise ValueError(
                f"{', '.join(named) or 'nothing'} is given, "
                "expected exactly one of text, file, tracks, masks"
            )
        if masks is not None:
            document = from_host(mask_tracks(masks, (height, width)), (height, width))
        elif tracks is not None:
            document = from_host(tracks, (height, width))
        elif text.strip():
            document = loads(text, **canvas)
        else:
            document = load(files.input_file(file), **canvas)
        tracks, words = handed(document)
        notes.tell(words)
        return io.NodeOutput(document, to_host(tracks))


class Tora2ExportTrajectories(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2ExportTrajectories",
            display_name="Tora2 Export Trajectories",
            category="Tora2/trajectories",
            description="Writes paths to the output folder, in the format of another tool.",
            search_aliases=["save trajectories", "coordinates", "tracks to json"],
            is_output_node=True,
            inputs=[
                TrajectoriesSocket.Input("trajectories", tooltip="The paths."),
                io.String.Input(
                    "filename_prefix",
                    default="tora2/trajectories",
                    tooltip="Name in the output folder; a number is added.",
                ),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default=FORMATS[0],
                    tooltip="Our document; points [[{x, y}]]; TRACKS as .npz; CSV; Tora's text "
                    "files, one a track.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="coordinates",
                    tooltip="[[{x, y}, …], …] in pixels, a point a frame, for other nodes. Tora2 "
                    "Tracks gives other numbers of points.",
                ),
                io.Tracks.Output(
                    display_name="tracks",
                    tooltip="A point for every frame; a path that starts late waits at its first.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        prefix = inputs.get("filename_prefix")
        return refusal(cls, inputs, lambda: files.check_prefix(prefix or ""))

    @classmethod
    def execute(
        cls, trajectories: TrajectoryDocument, filename_prefix: str, format: str
    ) -> io.NodeOutput:
        check_choice(format, "format", list(FORMATS))
        path, _, subfolder = files.output_path(filename_prefix, _SUFFIX[format])
        written = save(trajectories, path, format)
        shown = [
            {"filename": file.name, "subfolder": subfolder, "type": "output"} for file in written
        ]
        tracks, words = handed(trajectories)
        notes.tell(words)
        return io.NodeOutput(coordinates(tracks), to_host(tracks), ui={"tora2_files": shown})


def _canvas(inputs: dict[str, Any]) -> dict[str, int]:
    defaults = {"width": 720, "height": 480, "frames": 49}
    given = {key: inputs[key] for key in defaults if inputs.get(key) is not None}
    return defaults | given


def mask_tracks(masks: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
    """TRACKS of the centre of mass of a mask [T, H, W] at every frame, on a canvas of `size`."""
    masks = masks.float().cpu()
    height, width = masks.shape[-2:]
    ys = (torch.arange(height) + 0.5) / height * size[0]
    xs = (torch.arange(width) + 0.5) / width * size[1]
    total = masks.sum((1, 2))
    weight = total.clamp(min=1e-6)
    x = (masks.sum(1) * xs).sum(1) / weight
    y = (masks.sum(2) * ys).sum(1) / weight
    visible = total > 0
    return {
        "track_path": torch.stack([x, y], dim=-1)[:, None],
        "track_visibility": visible[:, None],
    }
