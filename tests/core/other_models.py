"""Small folders of Wan's and Latte's pipelines in diffusers' layout, with an adapter each."""

import json
from pathlib import Path
from typing import Any

import torch

from tora2.backbones import backbone_of
from tora2.checkpoints import save_adapter
from tora2.models.adapter import Tora2Adapter, Tora2Config
from tora2.pipeline import Tora2Pipeline
from tora2.scene import Sampling, Scene
from tora2.trajectory import parse


def write_folder(root: Path, kind: str, transformer: Any, vae: Any, text_encoder: type) -> Path:
    """A pipeline's folder; the text encoder is of the bundled one's width and words."""
    bundled = Tora2Pipeline.from_pretrained("tiny", "cpu")
    own = bundled.text_encoder.config
    sizes = {"vocab_size": own.vocab_size, "d_model": own.d_model, "d_kv": 16, "d_ff": 32}
    torch.manual_seed(0)
    config = text_encoder.config_class(**sizes, num_layers=1, num_heads=2)
    made = {"transformer": transformer, "vae": vae, "text_encoder": text_encoder(config)}
    for name, part in made.items():
        part.save_pretrained(root / name)
    bundled.tokenizer.save_pretrained(root / "tokenizer")
    (root / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    backbone = backbone_of(transformer)
    width = transformer.config.num_attention_heads * transformer.config.attention_head_dim
    config = Tora2Config.preset(
        "tiny",
        dim=width,
        layers=backbone.layers(transformer),
        word_dim=own.d_model,
        latent_channels=backbone.grid.channels,
    )
    adapter = Tora2Adapter(config, backbone.grid)
    for parameter in adapter.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    save_adapter(adapter, root / "adapter.safetensors")
    return root


def scene(**changes: Any) -> Scene:
    """One path and a word that owns nothing, in five frames."""
    document = {"version": 1, "width": 48, "height": 32, "frames": 5}
    points = [{"x": 0.1, "y": 0.2}, {"x": 0.9, "y": 0.7}]
    paths = parse({**document, "tracks": [{"id": "a", "points": points}]})
    return Scene("a circle", paths, sampling=Sampling(**{"steps": 2, "seed": 3, **changes}))
