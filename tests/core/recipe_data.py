"""Small clips with their cache and a small frozen model, for tests of the adapter recipe."""

import json
import sys
from pathlib import Path

import small
import torch

from tora2.data.converters.spritebind import readers
from tora2.data.converting import convert
from tora2.data.spritebind import SpriteBind, SpriteBindConfig
from tora2.precompute.run import PrecomputeConfig, precompute

SIZE, FRAMES, CLIPS, SIGMA = 32, 5, 6, 3.0

ADAPTER = {
    "feature_dim": 16,
    "qformer_dim": 32,
    "queries": 4,
    "qformer_heads": 4,
    "binder_heads": 4,
    "context_dim": 24,
    "attention_dim": 32,
    "attention_heads": 2,
    "contrastive_dim": 8,
}


def write_clips(folder: Path, **changes: object) -> Path:
    """SpriteBind's first clips, encoded by the bundled model's encoders."""
    config = SpriteBindConfig(size=SIZE, frames=FRAMES, sigma=SIGMA, min_entities=2)
    convert(readers(SpriteBind(config, 0, "train"), CLIPS), folder)
    options = {"frames": FRAMES, "height": SIZE, "width": SIZE, "device": "cpu", **changes}
    precompute(PrecomputeConfig(clips=str(folder), **options))
    return folder


def write_transformer(folder: Path) -> Path:
    made = small.transformer(text_embed_dim=128, max_text_seq_length=24)
    torch.nn.init.normal_(made.proj_out.weight, std=0.05)
    made.save_pretrained(folder)
    return folder


def settings(data: Path, output: Path, **changes: object) -> dict[str, object]:
    """A configuration's values; changes are merged into its mappings."""
    values: dict[str, object] = {
        "recipe": "adapter",
        "output": str(output),
        "clips": str(data / "clips"),
        "device": "cpu",
        "preset": "tiny",
        "base": {
            "transformer": str(data / "transformer"),
            "autoencoder": "tiny",
            "dtype": "fp32",
            "recompute": False,
        },
        "adapter": dict(ADAPTER),
        "motion": {"sigma": SIGMA},
        "stages": [{"name": "all", "steps": 4}],
        "optimization": {
            "batch": 4,
            "precision": "fp32",
            "log_every": 1,
            "checkpoint_every": 2,
            "warmup": 1,
            "ema": 0.5,
        },
        "validation": {"every": 0},
        "export": "fp32",
    }
    for key, change in changes.items():
        before = values.get(key)
        values[key] = {**before, **change} if isinstance(before, dict) else change
    return values


if __name__ == "__main__":  # the values of a configuration, as one process of several
    from tora2.settings import read
    from tora2.training.recipes.adapter import AdapterTraining, train

    torch.set_num_threads(1)
    train(read(AdapterTraining, json.loads(Path(sys.argv[1]).read_text())))
