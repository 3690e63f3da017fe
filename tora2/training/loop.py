"""The trainer: velocity loss and contrastive loss on encoded clips, with EMA and exact resume.

Everything random is a function of the seed and the step, so a resumed run repeats the steps that
an uninterrupted one would have made.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..backbone import predict
from ..files import atomic_path
from ..losses import contrastive_loss, matching_accuracy, velocity_loss
from ..pipeline import Tora2Pipeline
from ..sampling import make_scheduler
from ..text import encode_prompts, token_ids
from .config import TrainConfig
from .evaluate import condition_clips
from .pool import ClipPool

log = logging.getLogger(__name__)

STATE = "state.pt"
LOG = "log.jsonl"
_UNKNOWN_ID, _FIRST_WORD_ID = 2, 3
_UNKNOWN_SHARE = 0.03
_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def resolve_device(name: str) -> torch.device:
    """A device by name; "auto" is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


class Trainer:
    """Trains a pipeline's transformer, text encoder, picture encoder and adapter together."""

    def __init__(self, config: TrainConfig, pipeline: Tora2Pipeline, pool: ClipPool) -> None:
        self.config, self.pipeline, self.pool = config, pipeline, pool
        self.output = Path(config.output)
        if pipeline.encoder is None:
            raise ValueError("the pipeline has no picture encoder to train")
        self.parts = nn.ModuleDict(
            {
                "transformer": pipeline.transformer,
                "text_encoder": pipeline.text_encoder,
                "encoder": pipeline.encoder,
                "adapter": pipeline.adapter,
            }
        )
        self.device = resolve_device(config.device)
        self.parts.to(self.device).requires_grad_(True).train()
        self.average = {name: p.detach().clone() for name, p in self.parts.named_parameters()}
        o = config.optimization
        self.optimizer = torch.optim.AdamW(
            _groups(self.parts, config), betas=o.betas, weight_decay=o.weight_decay, fused=True
        )
        self.alphas = make_scheduler("ddim").alphas_cumprod.float().to(self.device)
        self.step = 0
        self._empty_ids = token_ids(pipeline.tokenizer, [""], pipeline.info.text_tokens)

    def train(self, on_step: Callable[[int, dict[str, float]], None]) -> None:
        """Train to the configured number of steps; `on_step` may evaluate, log or raise."""
        while self.step < self.config.optimization.steps:
            started = time.monotonic()
            measures = self.train_step()
            measures["seconds"] = time.monotonic() - started
            on_step(self.step, measures)
            if self.step % self.config.optimization.checkpoint_every == 0:
                self.save_state()

    def train_step(self) -> dict[str, float]:
        """One optimiser step; returns what it measured."""
        o = self.config.optimization
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.step)
        clips = self._drop(self._draw(generator), generator).to(self.device)
        self._set_rates()
        # On a CPU the plain kernel beats the fused one for such short sequences.
        kernels = [SDPBackend.MATH] if self.device.type == "cpu" else _KERNELS
        with sdpa_kernel(kernels):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=o.precision == "bf16"):
                loss, measures = self._losses(clips, generator)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parts.parameters(), o.clip)
        if not math.isfinite(float(norm)):
            raise ValueError(f"the gradient is not finite at step {self.step}")
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return {"loss": loss.item(), "gradient_norm": float(norm), **measures}

    def _losses(
        self, clips: ClipPool, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        o = self.config.optimization
        pipeline = self.pipeline
        conditioning = condition_clips(pipeline, clips)
        context = encode_prompts(pipeline.text_encoder, clips.captions)
        clean = clips.latents.float()
        timestep = torch.randint(1000, (len(clips),), generator=generator).to(self.device)
        noise = torch.randn(clean.shape, generator=generator).to(self.device)
        alpha = self.alphas[timestep].view(-1, 1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        target = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        velocity = predict(pipeline.transformer, noisy, timestep, context, conditioning)
        diffusion = velocity_loss(velocity, target, 1 + o.region_weight * clips.region.float())
        measures = {"velocity": diffusion.item()}
        loss = diffusion
        if conditioning.pairs is not None and conditioning.clip is not None:
            p, m = conditioning.pairs
            contrast = contrastive_loss(p, m, o.temperature, o.reduction)
            loss = loss + o.contrastive_weight * contrast
            measures["contrastive"] = contrast.item()
            measures["matching"] = matching_accuracy(p, m, conditioning.clip)
        return loss, measures

    def _draw(self, generator: torch.Generator) -> ClipPool:
        return self.pool[
            torch.randint(len(self.pool), (self.config.optimization.batch,), generator=generator)
        ]

    def _drop(self, clips: ClipPool, generator: torch.Generator) -> ClipPool:
        """Drop caption, references and trajectories of whole clips (section 4.1)."""
        drops = self.config.drops
        batch = len(clips)

        def chance(probability: float, *shape: int) -> Tensor:
            return torch.rand(batch, *shape, generator=generator) < probability

        unknown = chance(_UNKNOWN_SHARE, clips.captions.shape[1])
        captions = torch.where(
            unknown & (clips.captions >= _FIRST_WORD_ID), _UNKNOWN_ID, clips.captions
        )
        captions = torch.where(chance(drops.caption, 1), self._empty_ids, captions)
        no_references = chance(drops.references, 1)
        # The word goes with the pictures in half of the drops, so that tracks are also bound to
        # words alone.
        no_words = no_references & chance(0.5, 1)
        no_tracks = chance(drops.trajectories, 1)
        return replace(
            clips,
            captions=captions,
            words=torch.where(no_words, -1, clips.words),
            picture_mask=clips.picture_mask & ~no_references[..., None],
            track_mask=clips.track_mask & ~no_tracks,
        )

    def _set_rates(self) -> None:
        o = self.config.optimization
        warm = min(1.0, (self.step + 1) / max(o.warmup, 1))
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / max(o.horizon or o.steps, 1))))
        left = min(1.0, (o.steps - self.step) / o.cooldown) if o.cooldown else 1.0
        factor = warm * left * (o.final_learning_rate + (1 - o.final_learning_rate) * cosine)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.optimization.ema, (1 + self.step) / (10 + self.step))
        parameters = dict(self.parts.named_parameters())
        torch._foreach_lerp_(
            list(self.average.values()), [parameters[n] for n in self.average], 1 - decay
        )

    def averaged(self) -> "AveragedWeights":
        """A context in which the parts hold their averaged weights."""
        return AveragedWeights(self)

    def save_state(self) -> None:
        """Everything needed to go on: weights, average, optimiser, step."""
        self.output.mkdir(parents=True, exist_ok=True)
        state = {
            "step": self.step,
            "parts": self.parts.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_path(self.output / STATE) as temporary:
            torch.save(state, temporary)

    def load_state(self) -> bool:
        """Continue from the output folder's checkpoint, if there is one."""
        path = self.output / STATE
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True, map_location=self.device)
        self.parts.load_state_dict(state["parts"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        return True


class AveragedWeights:
    """Swaps the exponential moving average in, and the trained weights back."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.kept: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        self.kept = {n: p.detach().clone() for n, p in self.trainer.parts.named_parameters()}
        self._put(self.trainer.average)
        self.trainer.parts.eval()

    def __exit__(self, *_: object) -> None:
        self._put(self.kept)
        self.trainer.parts.train()

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.trainer.parts.named_parameters():
            parameter.copy_(values[name])


def _groups(parts: nn.ModuleDict, config: TrainConfig) -> list[dict[str, Any]]:
    """Gates with their own rate and no decay; vectors without decay; matrices with it."""
    o = config.optimization
    gates, vectors, matrices = [], [], []
    for name, parameter in parts.named_parameters():
        if ".gate_" in name:
            gates.append(parameter)
        elif parameter.ndim < 2:
            vectors.append(parameter)
        else:
            matrices.append(parameter)
    groups = [
        {"params": matrices, "peak": o.learning_rate},
        {"params": vectors, "peak": o.learning_rate, "weight_decay": 0.0},
        {"params": gates, "peak": o.gate_learning_rate, "weight_decay": 0.0},
    ]
    return [{**group, "lr": group["peak"]} for group in groups if group["params"]]
