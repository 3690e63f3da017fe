"""The bundled model's last stage: its decoder learns what the model's own samples stand for.

A video model of this size leaves edges soft and corners round, much the same from clip to clip.
The decoder has seen nothing of it: the latents of clips are sharp. So it goes on with latents that
the finished model samples of training clips, beside the clips' own, towards the true frames. The
encoder stays, and with it all that the video model knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import torch.nn.functional as F

from ....data.spritebind import SpriteBind
from ....data.spritebind.encoding import encode_clips, rendered, to_signed
from ....evaluation.binding import sample_clip_latents
from ....pipeline import Tora2Pipeline
from ....settings import Within
from ...autoencoder import decoding_loss, warm_cosine
from ...optimizer import Rate, Share, Steps

_CLIPS = 16
_NEAR = 9  # pixels across which an edge may be off


@dataclass(frozen=True)
class DecoderTraining:
    """Budget of the stage; a step has 16 clips.

    Attributes:
        steps: 0: there is no such stage.
        own: share of the clips that the model samples; of the others the decoder sees their own
            latents with `latent_noise`, as before.
        sampling_steps: of DDIM.
        region_weight: λ of the loss weight 1 + λ on and about sprites.
    """

    steps: Steps = 0
    own: Share = 0.7
    sampling_steps: Annotated[int, Within(1, 1000)] = 5
    learning_rate: Rate = 5e-4
    latent_noise: Annotated[float, Within(0, 100)] = 0.2
    region_weight: Annotated[float, Within(0, 1e6)] = 4.0


def train_decoder(
    pipeline: Tora2Pipeline,
    training: DecoderTraining,
    data: SpriteBind,
    seed: int,
    on_step: Callable[[int, dict[str, float]], None] = lambda step, errors: None,
    workers: int = 0,
) -> None:
    """Train the decoder of a pipeline's autoencoder where it is.

    Args:
        pipeline: a finished model.
        training: the budget.
        data: gives the clips, in order. All their paths are told: what is left to chance has no
            true frames.
        seed: of the noise.
        on_step: called after every step with its number, counted from 0, and the mean squared
            errors of frames in [-1, 1]: `sampled` and `encoded`.
        workers: processes that draw clips.
    """
    vae, scale = pipeline.vae, pipeline.vae.config.scaling_factor
    device = pipeline.device
    told = SpriteBind(replace(data.config.whole, untold=0.0), data.seed, data.split, data.length)
    parameters = [parameter.requires_grad_() for parameter in vae.decoding_parameters()]
    optimizer = torch.optim.AdamW(parameters, training.learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warm_cosine(step, training.steps)
    )
    generator = torch.Generator().manual_seed(seed)
    groups = rendered(told, told.config.sigma, training.steps * _CLIPS, workers)
    for step, group in enumerate(groups):
        clips = encode_clips(group, vae, pipeline.tokenizer, pipeline.info.text_tokens)
        count = round(training.own * len(clips))
        noise = torch.randn(clips.latents[count:].shape, generator=generator)
        latents = clips.latents[count:].float() + scale * training.latent_noise * noise
        latents = latents.to(device)
        if count:
            with torch.no_grad():
                sampled = sample_clip_latents(
                    pipeline,
                    clips[torch.arange(count)],
                    training.sampling_steps,
                    seed=seed + step,
                    scheduler="ddim",
                )
            latents = torch.cat([sampled.float(), latents])
        video = to_signed(torch.stack([clip.frames for clip, _ in group])).to(device)
        region = torch.stack([clip.region for clip, _ in group]).float().to(device)
        near = F.max_pool2d(region, _NEAR, 1, _NEAR // 2)[:, None]
        with torch.autocast(device.type, torch.bfloat16):
            decoded = vae.decode(latents / scale).float()
        loss = decoding_loss(decoded, video, 1 + training.region_weight * near)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        error = (decoded.detach() - video).square().mean((1, 2, 3, 4))
        parts = {"sampled": error[:count], "encoded": error[count:]}
        on_step(step, {name: e.mean().item() for name, e in parts.items() if len(e)})
    vae.requires_grad_(False)
