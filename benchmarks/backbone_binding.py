"""Whether entities are bound on a spatial-temporal DiT and on Wan, in miniature.

    python benchmarks/backbone_binding.py --output runs/binding [--steps 1000] [--seeds 0 1]

SpriteBind clips of two sprites: the caption names their shapes, pictures give their colours, paths
their places, and only what binds a picture to its path tells which colour goes where. Each arm
trains a small transformer from random weights and a Tora2 adapter together, on the same clips,
noise and number of steps. The adapter begins as the bundled model's where sizes fit, which is what
reads pictures and binds; fusers, and the queries and outputs of the cross-attention, are random.
The bundled model's frozen encoders read words and pictures. `none` has no gated self-attention.

Bind accuracy is the share of points of held-out clips at which the colour is that of the entity
whose path it is, of the points at which either colour is found: one half is chance. Leaves
`results.json` and `sheet.png` (held-out clips, then each arm's).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from small_backbones import DIM, Cells, leave, soften, transformer  # noqa: E402

from tora2.backbones import Backbone, backbone_named  # noqa: E402
from tora2.data.clips import ClipBatch  # noqa: E402
from tora2.data.conditions import condition_clips  # noqa: E402
from tora2.data.spritebind import Clip, SpriteBind, SpriteBindConfig  # noqa: E402
from tora2.data.spritebind.encoding import (  # noqa: E402
    encode_clips,
    flow_picture,
    rendered,
    to_signed,
)
from tora2.evaluation.binding import tiny_encoder  # noqa: E402
from tora2.evaluation.metrics.colour import bound, hue_of  # noqa: E402
from tora2.latents import decode_video  # noqa: E402
from tora2.models.adapter import Tora2Adapter  # noqa: E402
from tora2.models.config import Tora2Config  # noqa: E402
from tora2.pipeline import Tora2Pipeline  # noqa: E402
from tora2.sampling import sample_latents  # noqa: E402
from tora2.text import encode_prompts  # noqa: E402
from tora2.training.distributed import World  # noqa: E402
from tora2.training.objectives.denoising import (  # noqa: E402
    Denoising,
    DenoisingSettings,
    Prepared,
)

SIDE, FRAMES, SIGMA = 64, 5, 6.0
TRAIN, SHOWN, BATCH = 3000, 64, 16
RATE, GATE_RATE = 1.5e-3, 5e-3
BINDERS = ("none", "gated")

Set = tuple[list[Clip], ClipBatch]


def drawn(tiny: Tora2Pipeline, split: str, count: int) -> Set:
    """Clips of two sprites, each on a path, encoded as Wan reads them."""
    size = SpriteBindConfig(
        size=SIDE, frames=FRAMES, min_entities=2, max_entities=2, sigma=SIGMA, sprites="large"
    )
    clips, parts = [], []
    for group in rendered(SpriteBind(size, 0, split), SIGMA, count):
        clips += [clip for clip, _ in group]
        parts.append(encode_clips(group, tiny.vae, tiny.tokenizer, tiny.info.text_tokens))
    return clips, ClipBatch.concatenate(parts)


def by_frame(clips: list[Clip], batch: ClipBatch) -> ClipBatch:
    """The same clips as Latte reads them: a latent for every frame."""
    cells = Cells()
    pairs = [
        cells.encode(torch.stack([to_signed(c.frames), to_signed(flow_picture(c, SIGMA))]))
        for c in clips
    ]
    latents, motion = torch.stack(pairs, 1).half()
    region = torch.stack([clip.region for clip in clips])[:, None].float()
    return replace(
        batch, latents=latents, motion=motion, region=F.max_pool3d(region, (1, 8, 8)) > 0
    )


def adapter_for(backbone: Backbone, model: Any, binder: str, tiny: Tora2Pipeline) -> Tora2Adapter:
    """An adapter whose parts of other sizes than the bundled model's are random."""
    config = Tora2Config.preset(
        "tiny",
        dim=DIM,
        layers=backbone.layers(model),
        latent_channels=backbone.grid.channels,
        binder=binder,
    )
    adapter = Tora2Adapter(config, backbone.grid)
    soften(adapter)
    own, begun = adapter.state_dict(), tiny.adapter.state_dict()
    fitting = {name: x for name, x in begun.items() if name in own and own[name].shape == x.shape}
    adapter.load_state_dict(fitting, strict=False)
    return adapter


def trial(
    name: str, binder: str, seed: int, steps: int, tiny: Tora2Pipeline, data: Set, shown: Set
) -> dict[str, Any]:
    """Train and measure one arm."""
    torch.manual_seed(seed)
    backbone = backbone_named(name)
    model = transformer(backbone, SIDE, FRAMES, tiny.text_encoder.config.d_model)
    adapter = adapter_for(backbone, model, binder, tiny)
    encoder = tiny_encoder(tiny)

    def prepare(batch: ClipBatch, _: torch.Generator) -> Prepared:
        context = encode_prompts(tiny.text_encoder, batch.captions)
        made = condition_clips(batch, adapter, tiny.text_encoder, encoder)
        return Prepared(batch.latents.float(), context, made, batch.region)

    alone = World(torch.device("cpu"))
    settings = DenoisingSettings(contrastive_weight=0.0)
    objective = Denoising(model, prepare, settings, alone, adapter.config.contrastive_dim)
    named = [*model.named_parameters(), *adapter.named_parameters()]
    gates = [p for n, p in named if ".gate_" in n]
    others = [p for n, p in named if ".gate_" not in n]
    groups = [{"params": others, "lr": RATE}, {"params": gates, "lr": GATE_RATE}]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]], betas=(0.9, 0.98), weight_decay=1e-4
    )
    peaks = [group["lr"] for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peaks, total_steps=steps, pct_start=0.1
    )
    generator = torch.Generator().manual_seed(seed)
    losses, began = [], time.process_time()
    for _ in range(steps):
        rows = torch.randint(len(data[1]), (BATCH,), generator=generator)
        with torch.autocast("cpu", torch.bfloat16):
            loss, measured = objective(data[1][rows], generator)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*others, *gates], 1.0)
        optimizer.step()
        schedule.step()
        losses.append(measured["velocity"])
    seconds = time.process_time() - began
    frames = sampled(backbone, model, tiny, prepare(shown[1], generator))
    right, found = 0, 0
    for clip, video in zip(shown[0], frames, strict=True):
        hues = [hue_of(torch.tensor(sprite.rgb)) for sprite in clip.sprites]
        own = bound(video, hues, clip.centers)[clip.tracks.entity]
        other = bound(video, hues[::-1], clip.centers)[clip.tracks.entity]
        told = (clip.coverage > 0.6)[clip.tracks.entity] & (own != other)
        right, found = right + int(own[told].sum()), found + int(told.sum())
    points = sum(int((c.coverage > 0.6)[c.tracks.entity].sum()) for c in shown[0])
    return {
        "backbone": name,
        "binder": binder,
        "seed": seed,
        "loss_first": sum(losses[:10]) / 10,
        "loss_last": sum(losses[-100:]) / 100,
        "bind_accuracy": right / max(found, 1),
        "found": found / points,
        "seconds": seconds,
        "frames": frames[:6],
    }


@torch.no_grad()
def sampled(backbone: Backbone, model: Any, tiny: Tora2Pipeline, asked: Prepared) -> Tensor:
    """Clips [B, T, H, W, 3] in [0, 1] of what was asked for."""
    noise = torch.randn(asked.latents.shape, generator=torch.Generator().manual_seed(7))
    solver = backbone.make_scheduler("dpm")
    out = sample_latents(model, solver, noise, asked.context, None, asked.conditioning, steps=16)
    decoded = Cells().decode(out) if backbone.name == "latte" else decode_video(tiny.vae, out)
    return ((decoded + 1) / 2).clamp(0, 1).permute(0, 2, 3, 4, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--clips", type=int, default=TRAIN)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--backbones", nargs="+", default=["wan", "latte"])
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    tiny = Tora2Pipeline.from_pretrained("tiny", "cpu")
    for part in (tiny.text_encoder, tiny_encoder(tiny)):
        part.requires_grad_(False).eval()
    wan = drawn(tiny, "train", arguments.clips), drawn(tiny, "heldout", SHOWN)
    sets = {"wan": wan, "latte": tuple((clips, by_frame(clips, batch)) for clips, batch in wan)}
    results, rows = [], [torch.stack([c.frames for c in wan[1][0][:6]]).movedim(2, -1) / 255]
    for seed in arguments.seeds:
        for name in arguments.backbones:
            for binder in BINDERS:
                result = trial(name, binder, seed, arguments.steps, tiny, *sets[name])
                rows.append(result.pop("frames"))
                results.append(result)
                print(json.dumps(result), flush=True)
                leave(arguments.output, results, rows, 3)


if __name__ == "__main__":
    main()
