"""Train the tiny video autoencoder on SpriteBind's frames and flow pictures."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.spritebind import SpriteBind
from ..data.spritebind.encoding import flow_picture, to_signed
from ..data.spritebind.recorded import RecordedSprites
from ..geometry import COGVIDEOX
from ..models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from ..settings import Within
from .optimizer import Positive, Rate

log = logging.getLogger(__name__)

COGVIDEOX_2B_SCALE = 1.15258426
Sprites = SpriteBind | RecordedSprites


@dataclass(frozen=True)
class AutoencoderTraining:
    """Budget of the autoencoder stage; one clip gives one crop of frames and one of flow."""

    steps: Positive = 3000
    clips: Annotated[int, Within(1, 4096)] = 4
    crop: Positive = 64
    learning_rate: Rate = 2e-3
    latent_noise: Annotated[float, Within(0, 100)] = 0.1
    latent_penalty: Annotated[float, Within(0, 100)] = 1e-3

    def __post_init__(self) -> None:
        if self.crop % COGVIDEOX.spatial:
            raise ValueError(f"crop is {self.crop}, expected a multiple of {COGVIDEOX.spatial}")


def train_autoencoder(
    config: PatchAutoencoderConfig,
    training: AutoencoderTraining,
    data: Sprites,
    seed: int,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> PatchAutoencoder:
    """Train from scratch and return the model in eval mode, latents centred and scaled.

    The latents times `scaling_factor` have zero mean a channel and unit variance over all; the
    factor is the one that hosts assume for narrow CogVideoX models (CogVideoX-2B's).
    """
    torch.manual_seed(seed)
    model = PatchAutoencoder(config)
    optimizer = torch.optim.AdamW(model.parameters(), training.learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 100) * _cosine(step, training.steps)
    )
    generator = torch.Generator().manual_seed(seed)
    for step in range(training.steps):
        video = _batch(data, step, training, generator)
        with torch.autocast("cpu", torch.bfloat16):
            latents = model.encode(video)
            noise = torch.randn(latents.shape, generator=generator)
            decoded = model.decode(latents + training.latent_noise * noise)
        error = decoded.float() - video
        loss = (
            error.abs().mean()
            + 4 * error.square().mean()
            + training.latent_penalty * latents.float().square().mean()
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        on_step(step, error.square().mean().item())
    model.eval()
    _standardize(model, data)
    return model


def _cosine(step: int, steps: int) -> float:
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))


def _batch(
    data: Sprites, step: int, training: AutoencoderTraining, generator: torch.Generator
) -> Tensor:
    crops = []
    for slot in range(training.clips):
        clip = data[step * training.clips + slot]
        for frames in (clip.frames, flow_picture(clip, data.config.sigma)):
            room = frames.shape[-1] - training.crop + 1
            top, left = torch.randint(room, (2,), generator=generator).tolist()
            crops.append(frames[..., top : top + training.crop, left : left + training.crop])
    return to_signed(torch.stack(crops))


@torch.no_grad()
def _standardize(model: PatchAutoencoder, data: Sprites, clips: int = 64) -> None:
    """Fold centring and scaling of the latents into the two convolutions around them."""
    latents = torch.cat([model.encode(to_signed(data[i].frames)[None]) for i in range(clips)])
    mean = latents.mean((0, 2, 3, 4))
    scale = COGVIDEOX_2B_SCALE * (latents - mean.view(1, -1, 1, 1, 1)).std()
    weight = model.from_latent.weight[:, :, 0, 0, 0]
    assert model.to_latent.bias is not None and model.from_latent.bias is not None
    model.from_latent.bias += weight @ mean
    model.from_latent.weight *= scale
    model.to_latent.bias -= mean
    model.to_latent.weight /= scale
    model.to_latent.bias /= scale


@torch.no_grad()
def reconstruction_psnr(model: PatchAutoencoder, data: Sprites, clips: int) -> float:
    """Mean PSNR in dB of decoded frames over the first `clips` clips of `data`."""
    values = []
    for index in range(clips):
        video = to_signed(data[index].frames)[None]
        decoded = model.decode(model.encode(video)).clamp(-1, 1)
        values.append(-10 * math.log10(F.mse_loss(decoded, video).item() / 4))
    return sum(values) / len(values)
