"""Four photographs that are panned and zoomed, overfitted by an adapter on a frozen base.

    python benchmarks/overfit.py --output runs/overfit [--steps 400] [--base random]

Everything on the way is what a real run uses: clips in shards, precompute, the recipe. Prints the
loss at fixed noise before and after, and leaves `curve.png` and `sheet.png` (for each clip: the
clip, the base with the untrained adapter, and the trained one). Needs scikit-image.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tora2.backbones import backbone_of  # noqa: E402
from tora2.data.clipset import write_clip  # noqa: E402
from tora2.data.precompute import PrecomputeConfig, precompute  # noqa: E402
from tora2.data.record import ClipEntity, ClipRecord, ClipTrack  # noqa: E402
from tora2.data.shards import ShardWriter  # noqa: E402
from tora2.losses import velocity_loss  # noqa: E402
from tora2.overlay import contact_sheet  # noqa: E402
from tora2.settings import read  # noqa: E402
from tora2.training.curves import plot_curves  # noqa: E402
from tora2.training.distributed import World  # noqa: E402
from tora2.training.journal import Journal  # noqa: E402
from tora2.training.loop import Loop  # noqa: E402
from tora2.training.recipes.adapter import AdapterTraining, Run  # noqa: E402
from tora2.training.recipes.adapter.run import Model  # noqa: E402

SIDE, FRAMES, FPS = 64, 9, 8.0
TIMES = (100, 300, 500, 700, 900)
# The photograph, what it shows, where that is (a box of fractions), and how the camera moves:
# its place and width at the first and the last frame, of the photograph's shorter side.
SHOTS = (
    ("astronaut", "woman", (0.30, 0.02, 0.62, 0.38), ((0.1, 0.0, 0.6), (0.3, 0.1, 0.6))),
    ("chelsea", "cat", (0.25, 0.1, 0.7, 0.95), ((0.0, 0.0, 0.9), (0.5, 0.1, 0.7))),
    ("coffee", "cup", (0.30, 0.15, 0.75, 0.85), ((0.4, 0.0, 0.8), (0.1, 0.2, 0.8))),
    ("rocket", "rocket", (0.44, 0.15, 0.55, 0.75), ((0.2, 0.0, 0.9), (0.5, 0.1, 0.7))),
)


def write_clips(folder: Path) -> None:
    """The four clips as a set on disk, with the path of what each shows."""
    from skimage import data

    with ShardWriter(folder) as writer:
        for name, word, box, (first, last) in SHOTS:
            photograph = Image.fromarray(getattr(data, name)()).convert("RGB")
            width, height = photograph.size
            short = min(width, height)
            frames, points = [], []
            middle = ((box[0] + box[2]) / 2 * width, (box[1] + box[3]) / 2 * height)
            for share in np.linspace(0, 1, FRAMES):
                x, y, side = (a + (b - a) * share for a, b in zip(first, last, strict=True))
                left, top, side = x * short, y * short, side * short
                view = (left, top, left + side, top + side)
                frame = photograph.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=view)
                frames.append(torch.from_numpy(np.array(frame)))
                points.append(((middle[0] - left) / side, (middle[1] - top) / side))
            seen = [0 <= x < 1 and 0 <= y < 1 for x, y in points]
            track = ClipTrack(np.array(points, np.float32), np.array(seen))
            caption = f"a photograph of a {word}"
            start = caption.index(word)
            entity = ClipEntity(
                "e0", word, (start, start + len(word)), "object", ("e0.0",), (track,)
            )
            record = ClipRecord(caption, SIDE, SIDE, FRAMES, FPS, (entity,))
            corners = tuple(
                round(part * side) for part, side in zip(box, (width, height) * 2, strict=True)
            )
            cut = io.BytesIO()
            photograph.crop(corners).convert("RGBA").save(cut, "PNG")
            write_clip(writer, name, record, torch.stack(frames), {"e0.0": cut.getvalue()})


def write_random_base(folder: Path) -> str:
    """A small transformer that was never trained, of the bundled one's text width."""
    from diffusers import CogVideoXTransformer3DModel

    torch.manual_seed(0)
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=3,
        attention_head_dim=64,
        in_channels=16,
        out_channels=16,
        time_embed_dim=128,
        text_embed_dim=128,
        num_layers=6,
        max_text_seq_length=24,
        use_rotary_positional_embeddings=True,
        ofs_embed_dim=None,
    )
    transformer.save_pretrained(folder)
    return str(folder)


def settings(arguments: argparse.Namespace, base: str) -> AdapterTraining:
    """The recipe, with all conditions kept and rates for few steps."""
    rate = arguments.rate
    return read(
        AdapterTraining,
        {
            "output": str(arguments.output / "run"),
            "clips": str(arguments.output / "clips"),
            "device": arguments.device,
            "preset": "tiny",
            "base": {
                "transformer": base,
                "autoencoder": "tiny",
                "dtype": "fp32",
                "recompute": False,
            },
            "motion": {"sigma": 6.0},
            "stages": [
                {
                    "name": "overfit",
                    "steps": arguments.steps,
                    "drops": {"caption": 0.0, "references": 0.0, "trajectories": 0.0},
                }
            ],
            "optimization": {
                "batch": 4,
                "precision": "fp32",
                "learning_rate": rate,
                "pretrained_learning_rate": rate,
                "gate_learning_rate": 5 * rate,
                "final_learning_rate": 0.05,
                "warmup": 20,
                "betas": [0.9, 0.98],
                "ema": 0.98,
                "log_every": 1,
                "checkpoint_every": 100_000,
            },
            "validation": {"every": 0, "steps": 25, "guidance": 1.0},
        },
    )


@torch.no_grad()
def fixed_loss(run: Run, model: Model) -> float:
    """The velocity loss of the four clips at fixed timesteps and noise."""
    backbone, losses = backbone_of(model.transformer), []
    clips = run.clips.collate([run.clips.load(row) for row in range(len(run.clips))])
    clips = clips.to(run.us.device)
    conditioning = run.conditions(model, clips)
    for time in TIMES:
        noise = torch.randn(clips.mean.shape, generator=torch.Generator().manual_seed(time))
        noise = noise.to(clips.mean.device)
        at = torch.full((len(clips),), time, device=noise.device)
        noisy, target = backbone.noised(clips.mean, noise, at)
        made = backbone.predict(model.transformer, noisy, at, clips.context, conditioning)
        losses.append(float(velocity_loss(made, target)))
    return sum(losses) / len(losses)


def sheet(run: Run, model: Model, loop: Loop) -> list[torch.Tensor]:
    """What the model makes of each clip."""
    with loop.averaged():
        return [run.sample(model, row).frames for row in range(len(run.clips))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--base", choices=("random", "tiny"), default="random")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    clips, output = arguments.output / "clips", arguments.output / "run"
    output.mkdir(parents=True, exist_ok=True)
    if not (clips / "index.parquet").exists():
        write_clips(clips)
    size = {"frames": FRAMES, "height": SIDE, "width": SIDE, "storage": "float32"}
    values: dict[str, Any] = {**size, "augmentations": 1, "device": arguments.device}
    precompute(PrecomputeConfig(clips=str(clips), **values))
    base = "tiny"
    if arguments.base == "random":
        base = write_random_base(arguments.output / "transformer")
    config = settings(arguments, base)
    run = Run(config, output, World(torch.device(arguments.device)))
    model = run.model(None)
    source = run.source(config.stages[0], 0)
    loop = run.loop(0, config.stages[0], model, source)
    before, rows = fixed_loss(run, model), [sheet(run, model, loop)]
    journal = Journal(output / "log.jsonl")
    journal.cut(0)
    for step in range(1, config.steps + 1):
        measures = loop.train_step()
        journal.write(step, measures)
        if step % 50 == 0:
            print(f"step {step}: loss {measures['loss']:.4f}, fixed {fixed_loss(run, model):.4f}")
    source.close()
    after = fixed_loss(run, model)
    rows.append(sheet(run, model, loop))
    log = journal.read()
    first, last = (
        sum(row["velocity"] for row in some) / len(some) for some in (log[:20], log[-20:])
    )
    truth = [run.clips.clips.frames(row).float() / 255 for row in range(len(run.clips))]
    sheets = [
        contact_sheet(frames, 5) for clip in zip(truth, *rows, strict=True) for frames in clip
    ]
    picture = (torch.cat(sheets).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    image = Image.fromarray(picture)
    image = image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST)
    image.save(arguments.output / "sheet.png")
    plot_curves(log, arguments.output / "curve.png")
    result = {
        "base": arguments.base,
        "steps": config.steps,
        "fixed_before": before,
        "fixed_after": after,
        "factor": before / after,
        "first_20": first,
        "last_20": last,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
