"""A small run of the loop, alone or under torchrun: a frozen CogVideoX, an adapter that is trained.

Run as `distributed_run.py OUTPUT STEPS [KILL]`; with KILL the process kills itself in the middle of
the checkpoint of that step. Leaves `log.jsonl` and, when it ends, `weights.safetensors`.
"""

import json
import os
import signal
import sys
from pathlib import Path

import small
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from tora2.backbones import backbone_of
from tora2.conditioning import Tora2Conditioning
from tora2.data.drawing import rows_of_step
from tora2.models.entities import EntityBatch
from tora2.training.distributed import World, world
from tora2.training.loop import Loop, Terminated
from tora2.training.objectives.denoising import Denoising, DenoisingSettings, Prepared
from tora2.training.optimizer import Optimization

BATCH, CLIPS, LENGTH = 4, 10, 6


def clip(row: int) -> dict[str, Tensor]:
    """One clip; some have no pictures, some no tracks."""
    g = torch.Generator().manual_seed(row)
    n, r, frames = 2, 1, small.FRAMES
    return {
        "latents": torch.randn(16, small.LATENT_FRAMES, small.SIDE, small.SIDE, generator=g),
        "motion": torch.randn(16, small.LATENT_FRAMES, small.SIDE, small.SIDE, generator=g),
        "context": torch.randn(LENGTH, small.TEXT, generator=g),
        "semantic": torch.randn(n, r, 3, 12, generator=g),
        "face": torch.randn(n, r, 10, generator=g),
        "object": torch.randn(n, r, 14, generator=g),
        "is_face": torch.rand(n, r, generator=g) < 0.5,
        "picture_mask": torch.full((n, r), row % 3 != 0),
        "words": torch.randn(n, 2, small.TEXT, generator=g),
        "word_mask": torch.ones(n, 2, dtype=torch.bool),
        "points": torch.rand(n, 1, frames, 2, generator=g),
        "visible": torch.ones(n, 1, frames, dtype=torch.bool),
        "track_mask": torch.full((n, 1), row % 4 != 1),
        "strength": torch.ones(n),
    }


def make_loop(world: World, folder: Path, steps: int, **changes: object) -> Loop:
    transformer = small.transformer().requires_grad_(False)
    adapter = small.adapter().requires_grad_(True)
    settings = Optimization(
        **{
            "steps": steps,
            "batch": BATCH,
            "learning_rate": 1e-3,
            "warmup": 0,
            "ema": 0.9,
            "precision": "fp32",
            "checkpoint_every": 2,
            "horizon": 100,
            **changes,
        }
    )

    def source(step: int, generator: torch.Generator) -> list[dict[str, Tensor]]:
        rows = rows_of_step(7, step, settings.batch // settings.accumulate, CLIPS)
        return [clip(row) for row in rows[world.mine(len(rows))]]

    def prepare(batch: list[dict[str, Tensor]], generator: torch.Generator) -> Prepared:
        x = {name: torch.stack([one[name] for one in batch]) for name in batch[0]}
        entities = EntityBatch(**{name: x[name] for name in EntityBatch._fields})
        moved = entities.track_mask.flatten(1).any(1).float()
        conditioning = Tora2Conditioning.from_batch(adapter, x["motion"], entities, moved)
        return Prepared(x["latents"], x["context"], conditioning)

    objective = Denoising(
        transformer, prepare, DenoisingSettings(), world, adapter.config.contrastive_dim
    )
    parts = nn.ModuleDict({"transformer": transformer, "adapter": adapter})
    blocks = backbone_of(transformer).blocks(transformer)
    return Loop(
        parts,
        source,
        objective,
        settings,
        3,
        world,
        folder / "checkpoints",
        {".gate_": 1e-2},
        blocks,
        reach_all=True,
    )


def whole(tensor: Tensor) -> Tensor:
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().clone()


def main(output: Path, steps: int, kill: int) -> None:
    with world("cpu") as us:
        loop = make_loop(us, output, steps)
        loop.resume()
        if kill:
            _kill_within_the_checkpoint_of(loop, kill)

        def log(step: int, measures: dict[str, float]) -> None:
            if us.first:
                with (output / "log.jsonl").open("a") as lines:
                    lines.write(json.dumps({"step": step, **measures}) + "\n")
            if os.environ.get("ENDS") == str(step) and us.rank == us.size - 1:
                os.kill(os.getpid(), signal.SIGTERM)

        try:
            loop.run([log])
        except Terminated:
            return
        weights = {name: whole(value) for name, value in loop.trained.items()}
        weights |= {f"average/{name}": whole(v) for name, v in loop.average.values.items()}
        if us.first:
            save_file(weights, output / "weights.safetensors")


def _kill_within_the_checkpoint_of(loop: Loop, step: int) -> None:
    """Kill the process when the shards of a checkpoint are written, but before it has its name."""
    wait, calls = loop.world.wait, 0

    def waiting() -> None:
        nonlocal calls
        wait()
        if loop.step == step and list(loop.checkpoints.folder.glob(".step-*/*.safetensors")):
            os.kill(os.getpid(), signal.SIGKILL)

    object.__setattr__(loop.world, "wait", waiting)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
