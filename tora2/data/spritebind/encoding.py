"""SpriteBind clips with their flow pictures, and encoded into a `ClipBatch`."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from ...geometry import COGVIDEOX
from ...latents import encode_video
from ...models.autoencoder import PatchAutoencoder
from ...text import token_ids
from ...trajectory.flow import flow_map, flow_rgb
from ..clips import ClipBatch
from ..workers import in_lists
from .config import MAX_ENTITIES, MAX_PICTURES
from .dataset import Clip
from .sprites import SHAPES

_GROUP = 16

Rendered = tuple[Clip, Tensor]


def to_signed(frames: Tensor) -> Tensor:
    """uint8 [..., T, 3, H, W] to float [..., 3, T, H, W] in [-1, 1]."""
    return frames.transpose(-4, -3).float() / 127.5 - 1.0


def flow_picture(clip: Clip, sigma: float) -> Tensor:
    """The clip's flow RGB, uint8 [T, 3, H, W]."""
    size = (clip.frames.shape[-2], clip.frames.shape[-1])
    return flow_rgb(flow_map(clip.tracks, size, sigma=sigma))


class _Rendered(Dataset[Rendered]):
    """Clips with their flow pictures, so that workers do the drawing."""

    def __init__(self, data: Dataset[Clip], sigma: float, length: int) -> None:
        self.data, self.sigma, self.length = data, sigma, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Rendered:
        clip = self.data[index]
        return clip, flow_picture(clip, self.sigma)


def rendered(
    data: Dataset[Clip], sigma: float, length: int, workers: int = 0
) -> Iterable[list[Rendered]]:
    """The first `length` clips in order, with flow pictures, in lists of up to 16."""
    return in_lists(_Rendered(data, sigma, length), _GROUP, workers)


def latent_region(clips: Sequence[Clip]) -> Tensor:
    """Which cells of the latents hold a sprite, bool [B, 1, T_l, h, w]."""
    grid = COGVIDEOX
    region = torch.stack([clip.region for clip in clips])[:, None].float()
    first = region[:, :, :1].expand(-1, -1, grid.temporal - 1, -1, -1)
    region = torch.cat([first, region], dim=2)
    return F.max_pool3d(region, (grid.temporal, grid.spatial, grid.spatial)) > 0


@torch.no_grad()
def encode_clips(
    clips: Sequence[Rendered], vae: PatchAutoencoder, tokenizer: Any, length: int
) -> ClipBatch:
    """Encode rendered clips; `length` is the number of text tokens."""
    frames = torch.stack([to_signed(clip.frames) for clip, _ in clips])
    flow = torch.stack([to_signed(picture) for _, picture in clips])
    device = next(vae.parameters()).device
    with torch.autocast(device.type, torch.bfloat16):
        encoded = encode_video(vae, torch.cat([frames, flow]).to(device))
    latents, motion = encoded.cpu().chunk(2)
    count, video = len(clips), clips[0][0].tracks.frames
    side = clips[0][0].pictures[0].shape[-1]
    batch = ClipBatch(
        latents=latents.half(),
        motion=motion.half(),
        region=latent_region([clip for clip, _ in clips]),
        captions=token_ids(tokenizer, [clip.caption for clip, _ in clips], length),
        vocabulary=token_ids(tokenizer, SHAPES, length),
        words=torch.full((count, MAX_ENTITIES), -1),
        pictures=torch.full(
            (count, MAX_ENTITIES, MAX_PICTURES, 3, side, side), 255, dtype=torch.uint8
        ),
        picture_mask=torch.zeros(count, MAX_ENTITIES, MAX_PICTURES, dtype=torch.bool),
        points=torch.zeros(count, MAX_ENTITIES, video, 2),
        visible=torch.zeros(count, MAX_ENTITIES, video, dtype=torch.bool),
        track_mask=torch.zeros(count, MAX_ENTITIES, dtype=torch.bool),
    )
    for row, (clip, _) in enumerate(clips):
        for slot, word in enumerate(clip.words):
            batch.words[row, slot] = SHAPES.index(word)
            shown = len(clip.pictures[slot])
            batch.pictures[row, slot, :shown] = clip.pictures[slot]
            batch.picture_mask[row, slot, :shown] = True
        owner = clip.tracks.entity
        size = torch.tensor([clip.tracks.width, clip.tracks.height])
        batch.points[row, owner] = clip.tracks.points / size
        batch.visible[row, owner] = clip.tracks.visible
        batch.track_mask[row, owner] = True
    return batch
