"""Whether a model of SpriteBind binds, follows and draws what it was asked to, told by colour."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..data.clips import ClipBatch
from ..data.conditions import condition_clips
from ..data.spritebind import Clip, SpriteBind
from ..data.spritebind.encoding import encode_clips, rendered
from ..encoders.tiny import TinyEncoder
from ..latents import decode_video
from ..pipeline import Tora2Pipeline
from ..sampling import ClassifierFree, make_scheduler, sample_latents
from ..text import encode_prompts, token_ids
from .metrics.colour import bound, hue_of, locate
from .shapes import area_of, look

_VISIBLE, _FULL = 0.6, 0.95
_LOOK_EVERY = 4  # frames


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
        shape_accuracy, texture_accuracy: share of frames, every fourth is looked at, in which an
            entity in full view has the shape of its word and the texture of its pictures, told by
            template matching (chance 1/6 and 1/3); where it is not seen it has neither.
        flicker: mean change of an entity's area from one frame to the next, as a share of the
            larger, while it is in full view.
        standard_errors: of some of these by name, over videos as the independent observations.
        stays: share of the entities without a path whose colour is found in every frame; None where
            all have one. Where such an entity is it decides itself, so nothing else counts it.
        drift: mean distance of those entities' centroids from their own mean place, pixels; in the
            clips they stand still.
    """

    clips: int
    seeds: int
    bind_accuracy: float
    trajectory_error: float
    centroid_error: float
    seen: float
    shape_accuracy: float
    texture_accuracy: float
    flicker: float
    standard_errors: dict[str, float]
    stays: float | None = None
    drift: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@torch.no_grad()
def evaluate_binding(
    pipeline: Tora2Pipeline,
    data: SpriteBind,
    clips: int,
    seeds: Sequence[int] = (0,),
    steps: int = 25,
    guidance: float = 1.0,
    batch: int = 16,
    progress: Callable[[int, int], None] = lambda done, total: None,
    scheduler: str = "dpm",
) -> BindingReport:
    """Sample clips with all their pictures, words and tracks, and measure where colours went."""
    totals: list[_Colours] = []
    looks: list[tuple[Tensor, Tensor]] = []
    done = 0
    for group in rendered(data, data.config.sigma, clips):
        encoded = encode_clips(group, pipeline.vae, pipeline.tokenizer, pipeline.info.text_tokens)
        for seed in seeds:
            videos = sample_clips(pipeline, encoded, steps, guidance, seed, scheduler)
            for (clip, _), video in zip(group, videos, strict=True):
                totals.append(_measure(video, clip))
                looks.append(_look(video, clip))
        done += len(group)
        progress(done, clips)
    several = [video.bound for video in totals if video.several]
    distances = [video.distance[torch.isfinite(video.distance)] for video in totals]
    error = torch.cat(distances).double().mean().item()
    alike = torch.cat([found for found, _ in looks]).double().mean(0)
    stays = torch.cat([video.stays for video in totals]).double()
    drift = torch.cat([video.drift for video in totals]).double()
    return BindingReport(
        clips=clips,
        seeds=len(seeds),
        bind_accuracy=torch.cat(several).float().mean().item() if several else math.nan,
        trajectory_error=error,
        centroid_error=error / 2 / data.config.size,
        seen=torch.cat([torch.isfinite(video.distance) for video in totals]).float().mean().item(),
        shape_accuracy=alike[0].item(),
        texture_accuracy=alike[1].item(),
        flicker=torch.cat([change for _, change in looks]).mean().item(),
        standard_errors={
            "bind_accuracy": _standard_error(several),
            "trajectory_error": _standard_error(distances),
            "shape_accuracy": _standard_error([found[:, 0] for found, _ in looks]),
            "texture_accuracy": _standard_error([found[:, 1] for found, _ in looks]),
        },
        stays=stays.mean().item() if len(stays) else None,
        drift=drift.nanmean().item() if len(drift) else None,
    )


def _standard_error(values: Sequence[Tensor]) -> float:
    """Of the mean of what videos gave, frames of one being anything but independent."""
    means = torch.tensor([video.double().mean() for video in values if len(video)])
    return (means.std() / math.sqrt(len(means))).item() if len(means) > 1 else math.nan


def sample_clips(
    pipeline: Tora2Pipeline,
    clips: ClipBatch,
    steps: int,
    guidance: float,
    seed: int,
    scheduler: str = "dpm",
) -> Tensor:
    """Videos [B, T, H, W, 3] in [0, 1] of encoded clips; see `sample_clip_latents`."""
    latents = sample_clip_latents(pipeline, clips, steps, guidance, seed, scheduler)
    with torch.autocast(pipeline.device.type, torch.bfloat16):
        video = decode_video(pipeline.vae, latents)
    return ((video.float().cpu() + 1) / 2).permute(0, 2, 3, 4, 1)


def sample_clip_latents(
    pipeline: Tora2Pipeline,
    clips: ClipBatch,
    steps: int,
    guidance: float = 1.0,
    seed: int = 0,
    scheduler: str = "dpm",
) -> Tensor:
    """Latents [B, C, T_l, h, w] sampled with all conditions of encoded clips.

    A model without appearance parts (Tora alone) gets no pictures.
    """
    clips = clips.to(pipeline.device)
    if "appearance" not in pipeline.adapter.capabilities:
        clips = replace(clips, picture_mask=torch.zeros_like(clips.picture_mask))
    conditioning = condition_clips(
        clips, pipeline.adapter, pipeline.text_encoder, tiny_encoder(pipeline)
    )
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(clips.latents.shape, generator=generator).to(pipeline.device)
    context = encode_prompts(pipeline.text_encoder, clips.captions)
    empty = token_ids(pipeline.tokenizer, [""], pipeline.info.text_tokens)
    negative = encode_prompts(pipeline.text_encoder, empty).expand_as(context)
    with torch.autocast(pipeline.device.type, torch.bfloat16):
        return sample_latents(
            pipeline.transformer,
            make_scheduler(scheduler),
            noise,
            context,
            negative,
            conditioning,
            steps=steps,
            guider=ClassifierFree(guidance),
            generator=generator,
        )


def tiny_encoder(pipeline: Tora2Pipeline) -> TinyEncoder:
    """The picture encoder of a pipeline of the bundled model's kind.

    Raises:
        ValueError: if the pipeline has another one: SpriteBind's pictures are for this.
    """
    if not isinstance(pipeline.encoder, TinyEncoder):
        raise ValueError("the model has no picture encoder of the bundled model's kind")
    return pipeline.encoder


@dataclass(frozen=True, eq=False)
class _Colours:
    """What colours tell of one video.

    Attributes:
        bound, distance: [P] whether the colour is at its place, and how far its centroid is from
            there (L1, NaN where it was not found), at points in view of entities with a path.
        stays, drift: [U] of entities without a path: found in every frame, and mean distance of
            the centroid from its mean place (NaN where it never was found).
        several: whether the clip has several entities.
    """

    bound: Tensor
    distance: Tensor
    stays: Tensor
    drift: Tensor
    several: bool


def _measure(video: Tensor, clip: Clip) -> _Colours:
    hues, told = _hues(clip), _told(clip)
    counts = (clip.coverage > _VISIBLE) & told[:, None]
    found = locate(video, hues)
    pathless = found[~told]
    away = (pathless - pathless.nanmean(1, keepdim=True)).norm(dim=-1)
    return _Colours(
        bound=bound(video, hues, clip.centers)[counts],
        distance=(found - clip.centers).abs().sum(-1)[counts],
        stays=torch.isfinite(pathless).all(-1).all(-1),
        drift=away.nanmean(1),
        several=len(hues) > 1,
    )


def _hues(clip: Clip) -> list[float]:
    return [hue_of(torch.tensor(sprite.rgb)) for sprite in clip.sprites]


def _told(clip: Clip) -> Tensor:
    """Which entities have a path, bool [N]."""
    told = torch.zeros(len(clip.sprites), dtype=torch.bool)
    told[clip.tracks.entity] = True
    return told


def _look(video: Tensor, clip: Clip) -> tuple[Tensor, Tensor]:
    """Right shape and texture [P, 2] of entities in full view, and changes of their area [Q]."""
    right, changes = [], [torch.zeros(0)]
    full_view = (clip.coverage > _FULL) & _told(clip)[:, None]
    for sprite, hue, full in zip(clip.sprites, _hues(clip), full_view, strict=True):
        for frame in range(0, len(video), _LOOK_EVERY):
            if full[frame]:
                seen = look(video[frame], hue)
                right.append(
                    (False, False)
                    if seen is None
                    else (seen.shape == sprite.shape, seen.texture == sprite.texture)
                )
        area = area_of(video, hue)
        both = full[1:] & full[:-1]
        change = area.diff().abs() / torch.maximum(area[1:], area[:-1]).clamp(min=1)
        changes.append(change[both])
    return torch.tensor(right, dtype=torch.bool).view(-1, 2), torch.cat(changes)
