"""How hard an autoencoder's latents are to predict for one who knows everything about the clip.

    python benchmarks/latents.py [--vae DIR ...] [--clips 2000] [--steps 2000]

An oracle, an MLP for a token, is told all that decides a token of a SpriteBind clip but the grain
of the ground: the background's name, and of every sprite shape, texture, colour, radius, angle and
offset from the token's centre in each of its frames. It learns from the first clips of a seed and
is measured on clips that it has not seen, at the tokens that hold a sprite. What it gets wrong, a
video model, which is told less, gets wrong too. Relative error: squared error over the latents'
variance.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from tora2.checkpoints.module_folder import load_module  # noqa: E402
from tora2.data.spritebind import BACKGROUNDS, SHAPES, Clip, SpriteBind  # noqa: E402
from tora2.data.spritebind.config import SpriteBindConfig  # noqa: E402
from tora2.data.spritebind.encoding import latent_region, to_signed  # noqa: E402
from tora2.data.spritebind.sprites import TEXTURES  # noqa: E402
from tora2.geometry import COGVIDEOX  # noqa: E402
from tora2.latents import encode_video  # noqa: E402
from tora2.models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig  # noqa: E402

NEW = 200
WIDTH, BATCH = 512, 2048
CELL = COGVIDEOX.spatial


@dataclass(frozen=True)
class Facts:
    """Of N clips: background [N, 4], looks [N, 3, 16], centres [N, 3, T_l, 4, 2] in pixels."""

    ground: Tensor
    looks: Tensor
    centers: Tensor

    def features(self, tokens: Tensor) -> Tensor:
        """What decides each of [B, 4] tokens, (clip, frame, row, column): [B, C]."""
        clip, frame, row, column = tokens.unbind(-1)
        middle = (torch.stack([column, row], -1) + 0.5) * CELL
        looks = self.looks[clip]
        offset = (self.centers[clip, :, frame] - middle[:, None, None]).flatten(2) / CELL
        waves = [f(math.pi / 4 * k * offset) for k in (1, 2) for f in (torch.sin, torch.cos)]
        where = torch.cat([offset.clamp(-4, 4), *waves], -1) * looks[..., :1]
        return torch.cat([self.ground[clip], middle / 100, looks.flatten(1), where.flatten(1)], -1)


def facts(clips: list[Clip]) -> Facts:
    """What the clips were drawn from."""
    grounds = list(BACKGROUNDS)
    ground = torch.zeros(len(clips), len(grounds))
    looks = torch.zeros(len(clips), 3, 7 + len(SHAPES) + len(TEXTURES))
    frames = clips[0].centers.shape[1]
    # The first frame is a latent frame of its own, then four make one.
    shown = torch.cat([torch.zeros(COGVIDEOX.temporal, dtype=torch.long), torch.arange(1, frames)])
    centers = torch.zeros(len(clips), 3, len(shown) // COGVIDEOX.temporal, COGVIDEOX.temporal, 2)
    for row, clip in enumerate(clips):
        ground[row, next(i for i, name in enumerate(grounds) if name in clip.caption)] = 1
        for slot, sprite in enumerate(clip.sprites):
            turn = (math.sin(sprite.rotation), math.cos(sprite.rotation))
            numbers = torch.tensor([1.0, sprite.radius / CELL, *turn, *sprite.rgb])
            shape = F.one_hot(torch.tensor(SHAPES.index(sprite.shape)), len(SHAPES))
            texture = F.one_hot(torch.tensor(TEXTURES.index(sprite.texture)), len(TEXTURES))
            looks[row, slot] = torch.cat([numbers, shape, texture])
            centers[row, slot] = clip.centers[slot, shown].unflatten(0, centers.shape[2:4])
    return Facts(ground, looks, centers)


@torch.no_grad()
def encoded(clips: list[Clip], vae: PatchAutoencoder) -> Tensor:
    """Latents [N, T_l, h, w, C] of the clips."""
    parts = [
        encode_video(vae, to_signed(torch.stack([clip.frames for clip in clips[i : i + 16]])))
        for i in range(0, len(clips), 16)
    ]
    return torch.cat(parts).movedim(1, -1)


def oracle_error(known: Facts, latents: Tensor, tokens: Tensor, count: int, steps: int) -> float:
    """Relative error on the clips from `count` on of an MLP that learned on those before."""
    seen, new = tokens[tokens[:, 0] < count], tokens[tokens[:, 0] >= count]
    sizes = [known.features(new[:1]).shape[-1], *[WIDTH] * 4]
    torch.manual_seed(0)
    pairs = zip(sizes, sizes[1:], strict=False)
    layers = [layer for pair in pairs for layer in (nn.Linear(*pair), nn.GELU())]
    mlp = nn.Sequential(*layers, nn.Linear(WIDTH, latents.shape[-1]))
    optimizer = torch.optim.AdamW(mlp.parameters(), 1e-3, weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def predicted(some: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            out: Tensor = mlp(known.features(some))
        return out.float()

    for _ in range(steps):
        some = seen[torch.randint(len(seen), (BATCH,))]
        loss = F.mse_loss(predicted(some), latents[tuple(some.T)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    with torch.no_grad():
        true = latents[tuple(new.T)]
        guess = torch.cat([predicted(part) for part in new.split(BATCH)])
    return float((guess - true).square().sum() / (true - true.mean(0)).square().sum())


def main() -> None:
    """Print the oracle's relative error for each autoencoder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    bundled = ROOT / "tora2" / "assets" / "tiny" / "vae"
    parser.add_argument("--vae", type=Path, nargs="+", default=[bundled])
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args()
    data = SpriteBind(SpriteBindConfig(sprites="large", meeting=0.5, fastest=0.1), 11)
    clips = [data[index] for index in range(args.clips + NEW)]
    # (clip, frame, row, column) of every token that holds a sprite.
    known, tokens = facts(clips), latent_region(clips)[:, 0].nonzero()
    for folder in args.vae:
        vae = load_module(PatchAutoencoder, PatchAutoencoderConfig, folder).eval()
        error = oracle_error(known, encoded(clips, vae), tokens, args.clips, args.steps)
        print(f"{folder}: relative error {error:.3f} on {NEW} new clips after {args.clips} clips")


if __name__ == "__main__":
    main()
