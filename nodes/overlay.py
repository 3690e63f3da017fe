"""Looking at paths on a video."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..tora2 import overlay
from ..tora2.geometry import COGVIDEOX
from ..tora2.trajectory import TrajectoryDocument, sample
from ..tora2.trajectory.resizing import resized
from .host import memory, progress, video
from .io_types import TrajectoriesSocket
from .validation import refusal


class Tora2Overlay(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2Overlay",
            display_name="Tora2 Overlay",
            category="Tora2/trajectories",
            description="Draws the paths onto a video, to see how well it follows them.",
            search_aliases=["draw tracks", "visualize trajectories", "preview paths"],
            inputs=[
                io.Image.Input(
                    "frames",
                    tooltip="The video. Three frames too many at its start, as CogVideoX's VAE "
                    "makes of some lengths, are left out.",
                ),
                TrajectoriesSocket.Input(
                    "trajectories", tooltip="The paths; they are stretched over the frames."
                ),
                io.Boolean.Input(
                    "labels", default=False, tooltip="Write the entity's name beside its point."
                ),
                io.Int.Input(
                    "scale",
                    default=1,
                    min=1,
                    max=8,
                    tooltip="Enlarges the video first, so that lines are fine on small ones.",
                ),
            ],
            outputs=[io.Image.Output(tooltip="The video with the paths on it.")],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(
        cls, frames: Tensor, trajectories: TrajectoryDocument, labels: bool = False, scale: int = 1
    ) -> io.NodeOutput:
        if len(frames) == trajectories.frames + video.EXTRA_FRAMES:
            frames = frames[video.EXTRA_FRAMES :]
        elif len(frames) != trajectories.frames and COGVIDEOX.allows_frames(len(frames)):
            trajectories = resized(trajectories, frames=len(frames))
        size = (len(frames), frames.shape[1] * scale, frames.shape[2] * scale)
        memory.check(overlay.memory(*size), f"the overlay of {COGVIDEOX.video_words(*size)}")
        names = {entity.id: entity.name for entity in trajectories.entities}
        texts = [names.get(track.entity or "", "") for track in trajectories.tracks]
        with progress.steps(len(frames)) as advance:
            drawn = overlay.draw_tracks(
                frames[..., :3],
                sample(trajectories),
                overlay.track_colors(trajectories),
                scale=scale,
                labels=texts if labels else None,
                advance=advance,
            )
        return io.NodeOutput(drawn)
