"""A pool of SpriteBind clips, encoded once, and the batches that training draws from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..latents import encode_video
from ..models.adapter import EntityBatch
from ..models.autoencoder import PatchAutoencoder
from ..text import token_ids
from .autoencoder import flow_picture, to_signed
from .spritebind import MAX_ENTITIES, Clip
from .sprites import SHAPES

MAX_PICTURES = 2


@dataclass(frozen=True, eq=False)
class ClipPool:
    """P encoded clips, padded to N entities and R pictures.

    Attributes:
        latents, motion: [P, 16, T_l, h, w] float16, scaled latents of the frames and flow picture.
        region: [P, 1, T_l, h, w] bool, latent cells that a sprite touches.
        captions: [P, L] token ids.
        words: [P, N] index into SHAPES, -1 where there is no entity.
        pictures: [P, N, R, 3, S, S] uint8; picture_mask: [P, N, R] bool.
        points: [P, N, T, 2] normalised; visible: [P, N, T] bool; track_mask: [P, N] bool.
    """

    latents: Tensor
    motion: Tensor
    region: Tensor
    captions: Tensor
    words: Tensor
    pictures: Tensor
    picture_mask: Tensor
    points: Tensor
    visible: Tensor
    track_mask: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, rows: Tensor) -> "ClipPool":
        return ClipPool(*(getattr(self, field.name)[rows] for field in fields(self)))

    def to(self, device: torch.device) -> "ClipPool":
        return ClipPool(*(getattr(self, field.name).to(device) for field in fields(self)))

    @classmethod
    def concatenate(cls, parts: Sequence["ClipPool"]) -> "ClipPool":
        names = [field.name for field in fields(cls)]
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


class _Rendered(Dataset[tuple[Clip, Tensor]]):
    """Clips with their flow pictures, so that workers do the drawing."""

    def __init__(self, data: Dataset[Clip], sigma: float, length: int) -> None:
        self.data, self.sigma, self.length = data, sigma, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Clip, Tensor]:
        clip = self.data[index]
        return clip, flow_picture(clip, self.sigma)


def rendered(
    data: Dataset[Clip], sigma: float, length: int, workers: int = 0
) -> Iterable[list[tuple[Clip, Tensor]]]:
    """The first `length` clips in order, with flow pictures, in lists of up to 16."""
    loader: Any = DataLoader(
        _Rendered(data, sigma, length),
        batch_size=16,
        collate_fn=list,
        num_workers=workers,
        worker_init_fn=lambda _: torch.set_num_threads(1),
    )
    return loader


@torch.no_grad()
def encode_clips(
    clips: Sequence[tuple[Clip, Tensor]], vae: PatchAutoencoder, tokenizer: Any, length: int
) -> ClipPool:
    """Encode rendered clips; `length` is the number of text tokens."""
    frames = torch.stack([to_signed(clip.frames) for clip, _ in clips])
    flow = torch.stack([to_signed(picture) for _, picture in clips])
    device = next(vae.parameters()).device
    with torch.autocast(device.type, torch.bfloat16):
        encoded = encode_video(vae, torch.cat([frames, flow]).to(device))
    latents, motion = encoded.cpu().chunk(2)
    region = torch.stack([clip.region for clip, _ in clips])[:, None].float()
    region = torch.cat([region[:, :, :1].expand(-1, -1, 3, -1, -1), region], dim=2)
    count, video = len(clips), clips[0][0].tracks.frames
    side = clips[0][0].pictures[0].shape[-1]
    pool = ClipPool(
        latents=latents.half(),
        motion=motion.half(),
        region=F.max_pool3d(region, (4, 8, 8)) > 0,
        captions=token_ids(tokenizer, [clip.caption for clip, _ in clips], length),
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
            pool.words[row, slot] = SHAPES.index(word)
            shown = len(clip.pictures[slot])
            pool.pictures[row, slot, :shown] = clip.pictures[slot]
            pool.picture_mask[row, slot, :shown] = True
        owner = clip.tracks.entity
        size = torch.tensor([clip.tracks.width, clip.tracks.height])
        pool.points[row, owner] = clip.tracks.points / size
        pool.visible[row, owner] = clip.tracks.visible
        pool.track_mask[row, owner] = True
    return pool


def entity_batch(
    pool: ClipPool, encoder: Any, words: Tensor, word_mask: Tensor, face_dim: int
) -> EntityBatch:
    """Entities of a batch of clips, gradients flowing into the encoder and the words.

    Args:
        pool: the B clips of the batch; masks already carry the condition drops.
        encoder: `TinyEncoder`.
        words: [len(SHAPES), L, D] tokens of every word; word_mask: [len(SHAPES), L] bool.
        face_dim: width of the (unused) face branch.
    """
    shown = pool.picture_mask.nonzero(as_tuple=True)
    batch, count, references = pool.picture_mask.shape
    semantic, prior = encoder(pool.pictures[shown].float() / 255)
    empty = semantic.new_zeros(batch, count, references, *semantic.shape[1:])
    empty_prior = prior.new_zeros(batch, count, references, prior.shape[-1])
    known = pool.words >= 0
    rows = pool.words.clamp(min=0)
    return EntityBatch(
        semantic=empty.index_put(shown, semantic),
        face=semantic.new_zeros(batch, count, references, face_dim),
        object=empty_prior.index_put(shown, prior),
        is_face=torch.zeros_like(pool.picture_mask),
        picture_mask=pool.picture_mask,
        words=words[rows],
        word_mask=word_mask[rows] & known[..., None],
        points=pool.points[:, :, None],
        visible=pool.visible[:, :, None],
        track_mask=pool.track_mask[..., None],
        strength=torch.ones_like(rows, dtype=torch.float32),
    )
