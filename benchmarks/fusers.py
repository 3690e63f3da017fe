"""Tora's three fusers on a spatial-temporal DiT, and its chosen one on Wan, in miniature.

    python benchmarks/fusers.py --output runs/fusers [--steps 2000] [--seeds 0 1]

SpriteBind clips of one sprite. Each arm trains a small transformer and its motion parts together,
from random weights, on the same clips, noise and number of steps; `without` never sees a path.
TrajError is between the path that is asked for and the middle of what is coloured in sampled clips
of a held-out set. Leaves `results.json` and `sheet.png` (held-out clips, then each arm's).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from small_backbones import DIM, TEXT, Cells, leave, soften, transformer  # noqa: E402

from tora2.backbones import Backbone, backbone_named  # noqa: E402
from tora2.conditioning import Tora2Conditioning  # noqa: E402
from tora2.data.spritebind import SpriteBind, SpriteBindConfig  # noqa: E402
from tora2.data.spritebind.encoding import flow_picture, to_signed  # noqa: E402
from tora2.evaluation.metrics.colour import hue_saturation_value  # noqa: E402
from tora2.latents import decode_video, encode_video  # noqa: E402
from tora2.losses import velocity_loss  # noqa: E402
from tora2.models.adapter import Tora2Adapter  # noqa: E402
from tora2.models.config import Tora2Config  # noqa: E402
from tora2.pipeline import Tora2Pipeline  # noqa: E402
from tora2.sampling import sample_latents  # noqa: E402

SIDE, FRAMES, SIGMA = 64, 5, 6.0
TRAIN, SHOWN, BATCH = 3000, 48, 16
ARMS = (
    ("latte", "without"),
    ("latte", "adaptive norm"),
    ("wan", "without"),
    ("wan", "adaptive norm"),
    ("latte", "extra channels"),
    ("latte", "cross-attention"),
)


class ExtraChannels(nn.Module):
    """The motion feature beside the tokens' channels, and a projection back."""

    def __init__(self, dim: int, feature: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(dim + feature, dim, 1)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]

    def residual(self, h: Tensor, feature: Tensor, frames: int) -> Tensor:
        return self.project(torch.cat([h, feature.repeat(len(h) // len(feature), 1, 1, 1)], dim=1))


class CrossAttention(nn.Module):
    """Tokens of a frame that attend to its motion feature."""

    def __init__(self, dim: int, feature: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_feature = nn.LayerNorm(dim), nn.LayerNorm(feature)
        self.to_q, self.to_kv = nn.Linear(dim, dim), nn.Linear(feature, 2 * dim)
        # Without places a token could not tell which motion is its own.
        self.places = nn.Parameter(torch.randn(1, dim, SIDE // 16, SIDE // 16) * 0.02)
        self.to_out = nn.Linear(dim, dim)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def residual(self, h: Tensor, feature: Tensor, frames: int) -> Tensor:
        feature = feature.repeat(len(h) // len(feature), 1, 1, 1)
        place = rearrange(self.places, "b c h w -> b (h w) c")
        q = self.to_q(self.norm(rearrange(h, "b c h w -> b (h w) c")) + place)
        rows = self.norm_feature(rearrange(feature, "b c h w -> b (h w) c"))
        k, v = self.to_kv(rows).chunk(2, dim=-1)
        q, k, v = (rearrange(x, "b s (n d) -> b n s d", n=self.heads) for x in (q, k + place, v))
        out = rearrange(F.scaled_dot_product_attention(q, k, v), "b n s d -> b s (n d)")
        return rearrange(self.to_out(out), "b (h w) c -> b c h w", h=h.shape[-2])


def motion_parts(backbone: Backbone, model: Any, arm: str) -> Tora2Adapter | None:
    """The extractor and an arm's fusers."""
    if arm == "without":
        return None
    config = Tora2Config.preset(
        "tiny",
        dim=DIM,
        layers=backbone.layers(model),
        latent_channels=backbone.grid.channels,
        capabilities=("motion",),
    )
    adapter = Tora2Adapter(config, backbone.grid)
    soften(adapter)
    kinds = {"extra channels": ExtraChannels, "cross-attention": CrossAttention}
    if arm in kinds:
        for place in range(config.layers):
            adapter.fuser[place] = kinds[arm](DIM, config.feature_dim)
    return adapter


def encoded(vae: Any, split: str, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents of clips and of their flow pictures, their paths [N, T, 2] and frames."""
    size = SpriteBindConfig(size=SIDE, frames=FRAMES, max_entities=1, sigma=SIGMA, sprites="large")
    encode = vae.encode if isinstance(vae, Cells) else lambda video: encode_video(vae, video)
    rows = []
    told = (clip for clip in SpriteBind(size, 0, split) if len(clip.tracks.entity))
    for clip in islice(told, count):
        pair = torch.stack([to_signed(clip.frames), to_signed(flow_picture(clip, SIGMA))])
        with torch.no_grad():
            latents, motion = encode(pair)
        rows.append((latents, motion, clip.centers[0], clip.frames))
    latents, motion, paths, frames = (torch.stack(x) for x in zip(*rows, strict=True))
    return latents, motion, paths, frames


def middles(frames: Tensor) -> Tensor:
    """Where the colour of [T, H, W, 3] is: [T, 2] pixels; the middle of a frame without any."""
    _, saturation, value = hue_saturation_value(frames)
    weight = (saturation * value - 0.25).clamp(min=0) + 1e-6
    grid = torch.arange(SIDE) + 0.5
    whole = weight.sum((1, 2))
    return (
        torch.stack([(weight.sum(1) * grid).sum(1), (weight.sum(2) * grid).sum(1)], 1)
        / whole[:, None]
    )


def trial(
    name: str, arm: str, seed: int, steps: int, vae: Any, data: Any, shown: Any
) -> dict[str, Any]:
    """Train and measure one arm."""
    torch.manual_seed(seed)
    backbone = backbone_named(name)
    model = transformer(backbone, SIDE, FRAMES)
    adapter = motion_parts(backbone, model, arm)
    parameters = [*model.parameters(), *(adapter.parameters() if adapter else ())]
    optimizer = torch.optim.AdamW(parameters, 1.5e-3, betas=(0.9, 0.98), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.5e-3, total_steps=steps, pct_start=0.1
    )
    latents, motion, *_ = data
    generator = torch.Generator().manual_seed(seed)
    text = torch.zeros(BATCH, 2, TEXT)
    losses, began = [], time.process_time()
    for _ in range(steps):
        rows = torch.randint(len(latents), (BATCH,), generator=generator)
        clean = latents[rows]
        noise = torch.randn(clean.shape, generator=generator)
        at = torch.randint(backbone.timesteps, (BATCH,), generator=generator)
        noisy, target = backbone.noised(clean, noise, at)
        with torch.autocast("cpu", torch.bfloat16):
            paths = Tora2Conditioning.build(adapter, motion[rows]) if adapter else None
            predicted = backbone.predict(model, noisy, at, text, paths)
        loss = velocity_loss(predicted.float(), target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    _, motion, asked, _ = shown
    noise = torch.randn(motion.shape, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        paths = Tora2Conditioning.build(adapter, motion) if adapter else None
        solver = backbone.make_scheduler("dpm")
        text = torch.zeros(len(motion), 2, TEXT)
        out = sample_latents(model, solver, noise, text, None, paths, steps=12)
        decode = vae.decode if isinstance(vae, Cells) else lambda x: decode_video(vae, x)
        frames = ((decode(out) + 1) / 2).clamp(0, 1).permute(0, 2, 3, 4, 1)
    error = torch.stack(
        [(middles(f) - p).abs().sum(1).mean() for f, p in zip(frames, asked, strict=True)]
    )
    return {
        "backbone": name,
        "arm": arm,
        "seed": seed,
        "loss_first": sum(losses[:10]) / 10,
        "loss_last": sum(losses[-100:]) / 100,
        "traj_error": float(error.mean()),
        "fusers": sum(p.numel() for p in adapter.fuser.parameters()) if adapter else 0,
        "seconds": time.process_time() - began,
        "frames": frames[:4],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    autoencoders = {"wan": Tora2Pipeline.from_pretrained("tiny", "cpu").vae, "latte": Cells()}
    sets = {
        name: (encoded(vae, "train", TRAIN), encoded(vae, "heldout", SHOWN))
        for name, vae in autoencoders.items()
    }
    for name, (_, (_, _, asked, frames)) in sets.items():
        seen = torch.stack([middles(f.movedim(1, -1).float() / 255) for f in frames])
        print(
            f"{name}: the clips themselves measure {(seen - asked).abs().sum(-1).mean():.2f} px",
            flush=True,
        )
    results, rows = [], [sets["latte"][1][3][:4].movedim(2, -1).float() / 255]
    for seed in arguments.seeds:
        for name, arm in ARMS:
            result = trial(name, arm, seed, arguments.steps, autoencoders[name], *sets[name])
            rows.append(result.pop("frames"))
            results.append(result)
            print(json.dumps(result), flush=True)
            leave(arguments.output, results, rows, 5)


if __name__ == "__main__":
    main()
