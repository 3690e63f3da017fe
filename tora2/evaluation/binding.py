"""Binding accuracy and trajectory error of a model on SpriteBind clips (METHOD 8.2)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..conditioning import Tora2Conditioning
from ..evaluation.sprites import bound, hue_of, locate
from ..latents import decode_video
from ..sampling import make_scheduler, sample_latents
from ..text import encode_prompts, encode_words, token_ids
from .pool import ClipPool, encode_clips, entity_batch, rendered
from .spritebind import Clip, SpriteBind
from .sprites import SHAPES

if TYPE_CHECKING:
    from ..pipeline import Tora2Pipeline

_VISIBLE = 0.6


@dataclass(frozen=True)
class BindingReport:
    """Means over clips, entities and frames in which the entity is mostly in view.

    Attributes:
        clips, seeds: what was measured.
        bind_accuracy: share of points where the entity's own colour is at its place; clips with
            several entities only (chance is one over their number).
        trajectory_error: mean |dx| + |dy| of own-colour centroids, pixels.
        centroid_error: mean of |dx| and |dy| as a fraction of the frame width.
        seen: share of points where the entity's own colour was found at all.
    """

    clips: int
    seeds: int
    bind_accuracy: float
    trajectory_error: float
    centroid_error: float
    seen: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@torch.no_grad()
def evaluate_binding(
    pipeline: "Tora2Pipeline",
    data: SpriteBind,
    clips: int,
    seeds: Sequence[int] = (0,),
    steps: int = 25,
    guidance: float = 1.0,
    batch: int = 16,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BindingReport:
    """Sample clips with all their pictures, words and tracks, and measure where colours went."""
    totals: list[tuple[Tensor, Tensor, Tensor, bool]] = []
    done = 0
    for group in rendered(data, data.config.sigma, clips):
        pool = encode_clips(group, pipeline.vae, pipeline.tokenizer, pipeline.info.text_tokens)
        for seed in seeds:
            videos = sample_clips(pipeline, pool, steps, guidance, seed)
            for (clip, _), video in zip(group, videos, strict=True):
                totals.append(_measure(video, clip))
        done += len(group)
        progress(done, clips)
    size = data.config.size
    several = torch.cat([right for right, _, _, many in totals if many]).float()
    distance = torch.cat([d for _, d, _, _ in totals])
    seen = torch.cat([s for _, _, s, _ in totals]).float()
    error = distance[torch.isfinite(distance)].double().mean().item()
    return BindingReport(
        clips=clips,
        seeds=len(seeds),
        bind_accuracy=several.mean().item() if len(several) else math.nan,
        trajectory_error=error,
        centroid_error=error / 2 / size,
        seen=seen.mean().item(),
    )


def sample_clips(
    pipeline: "Tora2Pipeline", pool: ClipPool, steps: int, guidance: float, seed: int
) -> Tensor:
    """Videos [B, T, H, W, 3] in [0, 1] of encoded clips with all their conditions."""
    pool = pool.to(pipeline.device)
    conditioning = condition_clips(pipeline, pool)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(pool.latents.shape, generator=generator).to(pipeline.device)
    context = encode_prompts(pipeline.text_encoder, pool.captions)
    empty = token_ids(pipeline.tokenizer, [""], pipeline.info.text_tokens)
    negative = encode_prompts(pipeline.text_encoder, empty).expand_as(context)
    with torch.autocast(pipeline.device.type, torch.bfloat16):
        latents = sample_latents(
            pipeline.transformer,
            make_scheduler("dpm"),
            noise,
            context,
            negative,
            conditioning,
            steps=steps,
            guidance=guidance,
            generator=generator,
        )
        video = decode_video(pipeline.vae, latents)
    return ((video.float().cpu() + 1) / 2).permute(0, 2, 3, 4, 1)


def condition_clips(pipeline: "Tora2Pipeline", pool: ClipPool) -> Tora2Conditioning:
    """Conditioning of encoded clips, as training makes it."""
    ids = token_ids(pipeline.tokenizer, SHAPES, pipeline.info.text_tokens)
    words, word_mask = encode_words(pipeline.text_encoder, ids)
    entities = entity_batch(
        pool, pipeline.encoder, words, word_mask, pipeline.adapter.config.face_dim
    )
    return Tora2Conditioning.from_batch(
        pipeline.adapter, pool.motion.float(), entities, pool.track_mask.any(1).float()
    )


def _measure(video: Tensor, clip: Clip) -> tuple[Tensor, Tensor, Tensor, bool]:
    """Bound [P], L1 distance [P] (NaN unseen), seen [P] at points in view; several entities?"""
    hues = [hue_of(torch.tensor(sprite.rgb)) for sprite in clip.sprites]
    told = torch.zeros(len(hues), 1, dtype=torch.bool)
    told[clip.tracks.entity] = True
    counts = (clip.coverage > _VISIBLE) & told
    found = locate(video, hues)
    distance = (found - clip.centers).abs().sum(-1)
    right = bound(video, hues, clip.centers)
    seen = torch.isfinite(distance)
    return right[counts], distance[counts], seen[counts], len(hues) > 1
