"""The motion latent of a batch: tracks, points of the optical flow or all of it, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ....data.encoded import EncodedBatch
from ....latents import encode_video
from ....trajectory import Tracks
from ....trajectory.flow import flow_map, flow_rgb
from .config import MotionSource


def tracks_of(clips: EncodedBatch, size: tuple[int, int]) -> list[Tracks]:
    """The tracks of each clip that are left, in pixels of a video of `size` (height, width)."""
    height, width = size
    scale = clips.points.new_tensor([width, height])
    found = []
    for points, visible, mask in zip(clips.points, clips.visible, clips.track_mask, strict=True):
        owner = torch.arange(len(mask), device=mask.device)[:, None].expand_as(mask)
        found.append(
            Tracks(points[mask] * scale, visible[mask], owner[mask], width, height, points.shape[2])
        )
    return found


@torch.no_grad()
def drawn_latents(paths: Sequence[Tracks], source: MotionSource, vae: Any) -> Tensor | None:
    """Flow pictures of the clips that have tracks, encoded one by one, without a gradient.

    The autoencoder runs in its own type, as in inference: autocast would hold what its norms give
    in float32.

    Args:
        paths: tracks of each of B clips, on the device of the autoencoder.
        source: how they are drawn.
        vae: encodes the pictures.

    Returns:
        [B, C, T, h, w] scaled, zeros where a clip has no tracks; None where none has.
    """
    latents: list[Tensor | None] = []
    for tracks in paths:
        if not len(tracks.entity):
            latents.append(None)
            continue
        flow = flow_map(tracks, (tracks.height, tracks.width), source.mode, sigma=source.sigma)
        picture = flow_rgb(flow).transpose(0, 1)[None].float() / 127.5 - 1
        with torch.autocast(picture.device.type, enabled=False):
            latents.append(encode_video(vae, picture).float())
    some = next((latent for latent in latents if latent is not None), None)
    if some is None:
        return None
    return torch.cat([torch.zeros_like(some) if latent is None else latent for latent in latents])


def sparse_tracks(flow: Tensor, source: MotionSource, generator: torch.Generator) -> Tracks:
    """A few points that follow the optical flow, as Tora's second stage draws them.

    Candidates lie on a grid at a random offset; 1 to `points` of them are drawn without
    replacement, with a probability proportional to their speed in the first moment that moves.

    Args:
        flow: [T, 2, H, W] pixels, (dx, dy) from frame t - 1 to t at the places of frame t - 1.
        source: its `points`, `spacing` and `mode`: `tora` follows whole pixels, which leaves out
            what is slower than one, and keeps points on the frame.
        generator: of the draw.

    Returns:
        Free tracks; none where nothing moves.

    Source: alibaba/Tora, sat/train_video.py.
    """
    frames, _, height, width = flow.shape
    offset = torch.randint(source.spacing, (2,), generator=generator).tolist()
    count = int(torch.randint(source.points, (), generator=generator)) + 1
    ys = torch.arange(min(offset[0], height - 1), height, source.spacing)
    xs = torch.arange(min(offset[1], width - 1), width, source.spacing)
    places = torch.cartesian_prod(xs, ys)  # [P, 2] (x, y)
    empty = Tracks(
        torch.zeros(0, frames, 2),
        torch.zeros(0, frames, dtype=torch.bool),
        torch.zeros(0, dtype=torch.int64),
        width,
        height,
        frames,
    )
    speed = flow[:, :, places[:, 1], places[:, 0]].square().sum(1).sqrt()  # [T, P]
    moving = speed.sum(1).nonzero()
    if not len(moving):
        return empty
    weight = speed[int(moving[0])].double()
    count = min(count, int((weight > 0).sum()))
    chosen = torch.multinomial(weight, count, generator=generator)
    points = torch.empty(count, frames, 2)
    points[:, 0] = places[chosen].float()
    limit = points.new_tensor([width - 1, height - 1])
    for time in range(1, frames):
        before = points[:, time - 1]
        x, y = before.clamp(min=before.new_zeros(2), max=limit).long().unbind(1)
        step = flow[time][:, y, x].T
        after = before + (step.trunc() if source.mode == "tora" else step)
        points[:, time] = after.clamp(min=after.new_zeros(2), max=limit)
    visible = torch.ones(count, frames, dtype=torch.bool)
    return Tracks(points, visible, torch.full((count,), -1), width, height, frames)
