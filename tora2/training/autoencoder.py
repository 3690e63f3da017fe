"""Train the tiny video autoencoder on SpriteBind's frames and flow pictures."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from einops import rearrange
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

    The latents times `scaling_factor` have zero mean a channel and unit variance over all (in each
    channel, if they are components); the factor is the one that hosts assume for narrow CogVideoX
    models (CogVideoX-2B's).
    """
    torch.manual_seed(seed)
    model = PatchAutoencoder(config)
    fixed = config.encoder == "components"
    if fixed:
        fit_components(model, data)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, training.learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warm_cosine(step, training.steps)
    )
    generator = torch.Generator().manual_seed(seed)
    for step in range(training.steps):
        # A flow picture is only ever encoded, so a fixed encoder's decoder need not know any.
        video = _batch(data, step, training, generator, flow=not fixed)
        with torch.autocast("cpu", torch.bfloat16):
            latents = model.encode(video)
            noise = torch.randn(latents.shape, generator=generator)
            decoded = model.decode(latents + training.latent_noise * noise)
        decoded = decoded.float()
        penalty = training.latent_penalty * latents.float().square().mean()
        loss = decoding_loss(decoded, video) + penalty
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        on_step(step, F.mse_loss(decoded, video).item())
    model.eval()
    if not fixed:
        _standardize(model, data)
    return model


@torch.no_grad()
def fit_components(model: PatchAutoencoder, data: Sprites, clips: int = 256) -> None:
    """Set the fixed encoder: the first principal components of a latent cell's pixels.

    Every channel has zero mean over the first `clips` clips of `data`, and the same variance.
    """
    grid, weight = model.grid, model.components.weight
    total, outer, count = torch.zeros(()), torch.zeros(()), 0
    for index in range(min(clips, len(data))):
        video = to_signed(data[index].frames)
        first = video[:, :1].expand(-1, grid.temporal - 1, -1, -1)
        cells = rearrange(
            torch.cat([first, video], dim=1),
            "c (t p) (h q) (w r) -> (t h w) (c p q r)",
            p=grid.temporal,
            q=grid.spatial,
            r=grid.spatial,
        ).double()
        total, outer, count = total + cells.sum(0), outer + cells.T @ cells, count + len(cells)
    mean = total / count
    values, vectors = torch.linalg.eigh(outer / count - mean.outer(mean))
    chosen = vectors.flip(1)[:, : len(weight)]
    chosen = chosen * chosen.gather(0, chosen.abs().argmax(0, keepdim=True)).sign()
    chosen = chosen / (values.flip(0)[: len(weight)].sqrt() * model.config.scaling_factor)
    assert model.components.bias is not None
    weight.copy_(chosen.T.reshape(weight.shape))
    model.components.bias.copy_(-(mean @ chosen))


def decoding_loss(decoded: Tensor, video: Tensor, weight: Tensor | None = None) -> Tensor:
    """|e| + 4e² of frames in [-1, 1], the mean over pixels; a weight is one over its own mean."""
    error = decoded - video
    loss = error.abs() + 4 * error.square()
    return loss.mean() if weight is None else (weight / weight.mean() * loss).mean()


def warm_cosine(step: int, steps: int) -> float:
    """What the rate is multiplied by: it rises over 100 steps and falls to a fiftieth."""
    warm = min(1.0, (step + 1) / 100)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1))))


def _batch(
    data: Sprites,
    step: int,
    training: AutoencoderTraining,
    generator: torch.Generator,
    flow: bool,
) -> Tensor:
    crops = []
    for slot in range(training.clips):
        clip = data[step * training.clips + slot]
        pictures = [clip.frames, flow_picture(clip, data.config.sigma)] if flow else [clip.frames]
        for frames in pictures:
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
