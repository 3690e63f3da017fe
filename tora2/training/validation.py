"""Clips that a run samples now and then: videos with the paths on them, and their TrajError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..backbones import backbone_of
from ..conditioning import Tora2Conditioning
from ..data.encoded import EncodedBatch, EncodedClips
from ..encoders.pictures import on_white
from ..evaluation.metrics import trajectory_error
from ..evaluation.metrics.colour import dominant_hue, locate
from ..latents import decode_video
from ..overlay import draw_tracks
from ..sampling import ClassifierFree, sample_latents
from ..trajectory import Tracks
from ..trajectory.document import PALETTE
from ..video import write_video

Conditions = Callable[[EncodedBatch], Tora2Conditioning | None]
_SHOWN_SIDE = 256


@dataclass(frozen=True, eq=False)
class Sampled:
    """A clip as a model makes it.

    Attributes:
        key: of the clip.
        frames: [T, H, W, 3] in [0, 1].
        tracks: what was asked for, in pixels.
        measured: [N, T, 2] where what moves was seen; None without a tracker.
    """

    key: str
    frames: Tensor
    tracks: Tracks
    measured: Tensor | None = None

    def error(self) -> float:
        """TrajError in pixels; NaN where nothing was measured."""
        if self.measured is None or not len(self.tracks.entity):
            return float("nan")
        return trajectory_error(self.measured, self.tracks.points, self.tracks.visible)

    def write(self, path: Path, fps: float) -> None:
        """Write the video with its paths on it."""
        scale = max(1, _SHOWN_SIDE // self.frames.shape[2])
        colors = [PALETTE[int(owner) % len(PALETTE)] for owner in self.tracks.entity]
        shown = draw_tracks(self.frames, self.tracks, colors, measured=self.measured, scale=scale)
        write_video(path, shown, fps)


@torch.no_grad()
def sample_encoded(
    transformer: Any,
    vae: Any,
    clips: EncodedBatch,
    conditions: Conditions,
    negative: Tensor,
    steps: int,
    guidance: float,
    seed: int,
    low: bool,
) -> Tensor:
    """Videos [B, T, H, W, 3] in [0, 1] on the CPU, of clips with all their conditions.

    Args:
        transformer: of a known backbone; vae: its autoencoder.
        clips: on the device of both.
        conditions: what the clips' entities and tracks become.
        negative: [L, D] embedding of the empty caption.
        steps, guidance, seed: of the sampling.
        low: compute in bfloat16.
    """
    device, backbone = clips.mean.device, backbone_of(transformer)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(clips.mean.shape, generator=generator).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=low):
        latents = sample_latents(
            transformer,
            backbone.make_scheduler("dpm"),
            noise,
            clips.context,
            negative.to(clips.context).expand_as(clips.context),
            conditions(clips),
            steps=steps,
            guider=ClassifierFree(guidance),
            image_latents=first_frame(transformer, clips.mean),
            generator=generator,
        )
    # In the autoencoder's own type: autocast would hold what its norms give in float32.
    videos = [decode_video(vae, one[None]).float().cpu() for one in latents.float()]
    return ((torch.cat(videos) + 1) / 2).clamp(0, 1).permute(0, 2, 3, 4, 1)


def first_frame(transformer: Any, clean: Tensor) -> Tensor | None:
    """What an image-to-video model reads beside the noise: the first frame's latents, then zeros.

    The autoencoders are causal, so that a video's first latent frame is its first frame's own.
    """
    channels = clean.shape[1]
    if transformer.config.in_channels == channels:
        return None
    rest = clean.new_zeros(*clean.shape[:2], clean.shape[2] - 1, *clean.shape[3:])
    return torch.cat([clean[:, :, :1], rest], dim=2)


def hues_of(clips: EncodedClips, row: int) -> list[float | None]:
    """The main hue of each entity's first picture; None where there is none to follow."""
    place = {one.key: i for i, one in enumerate(clips.clips.rows)}[clips.keys[row]]
    hues: list[float | None] = []
    for entity in clips.clips.record(place).entities:
        try:
            picture = on_white(clips.clips.picture(place, entity.references[0]))
            hues.append(dominant_hue(picture))
        except (IndexError, ValueError):
            hues.append(None)
    return hues


def followed(frames: Tensor, tracks: Tracks, hues: Sequence[float | None]) -> Tensor:
    """Where the colour of each track's entity is: [N, T, 2] pixels, NaN where it is not seen."""
    known = {i: hue for i, hue in enumerate(hues) if hue is not None}
    found = locate(frames, list(known.values()))
    measured = torch.full(tracks.points.shape, float("nan"))
    for row, owner in enumerate(tracks.entity.tolist()):
        if owner in known:
            measured[row] = found[list(known).index(owner)]
    return measured
