"""Small random models in both hosts, with the same weights."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import small
import torch
from diffusers import CogVideoXTransformer3DModel

from tora2.checkpoints import convert_transformer
from tora2.geometry import COGVIDEOX

Pack = Callable[[str], ModuleType]

LAYERS, HEADS, TEXT = 3, 2, 24


def transformer(
    in_channels: int = 16, learned: bool = False, strength: float = 2.0
) -> CogVideoXTransformer3DModel:
    """A CogVideoX-1.0 transformer whose attention is sharp enough for positions to matter."""
    sizes = {"sample_width": 12, "sample_height": 8, "sample_frames": 9} if learned else {}
    model = small.transformer(
        num_attention_heads=3 if learned else HEADS,  # the host's sine table wants thirds
        attention_head_dim=64,
        in_channels=in_channels,
        text_embed_dim=TEXT,
        max_text_seq_length=226,
        num_layers=LAYERS,
        use_learned_positional_embeddings=learned,
        **sizes,
    )
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    small.sharpen(model, strength)
    if learned:
        model.patch_embed.pos_embedding.data.normal_(std=0.5)
    return model.requires_grad_(False)


def host_model(reference: CogVideoXTransformer3DModel, dtype: torch.dtype = torch.float32) -> Any:
    """The same weights as the host detects and loads them: an uncorrected MODEL."""
    import comfy.sd

    weights = {name: x.clone() for name, x in reference.state_dict().items()}
    if "patch_embed.pos_embedding" in weights:  # the host assumes CogVideoX-5B-I2V's own grid
        weights["patch_embed.pos_embedding"] = torch.zeros(1, 17776, 192)
    model = comfy.sd.load_diffusion_model_state_dict(
        convert_transformer(weights, "comfy"), model_options={"dtype": dtype}
    )
    assert model is not None
    return model


def adapter(pack: Pack, seed: int = 1, **changes: Any) -> Any:
    """A small adapter whose zero-initialised parts are random, so that everything acts."""
    torch.manual_seed(seed)
    module = pack("tora2.models.adapter")
    sizes = {
        "dim": 64 * HEADS,
        "layers": LAYERS,
        "word_dim": TEXT,
        "feature_dim": 16,
        "semantic_dim": 12,
        "face_dim": 12,
        "object_dim": 12,
        "qformer_dim": 32,
        "queries": 4,
        "context_dim": 32,
        "attention_dim": 64,
        "attention_heads": 2,
        "binder_heads": 2,
        "contrastive_dim": 8,
    }
    config = module.Tora2Config.preset("tiny", **{**sizes, **changes})
    return small.wake(module.Tora2Adapter(config).eval().requires_grad_(False), std=0.05)


def picture(pack: Pack, seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return pack("tora2.encoders.features").PictureFeatures(
        torch.randn(4, 12, generator=generator), torch.randn(12, generator=generator), "object"
    )


def tracks(pack: Pack, width: int, height: int, frames: int) -> Any:
    document = {
        "version": 1,
        "width": width,
        "height": height,
        "frames": frames,
        "entities": [{"id": "cat"}, {"id": "dog"}],
        "tracks": [
            {"id": "a", "entity": "cat", "points": [{"x": 0.2, "y": 0.2}, {"x": 0.7, "y": 0.6}]},
            {"id": "b", "entity": "dog", "points": [{"x": 0.8, "y": 0.3}, {"x": 0.3, "y": 0.8}]},
        ],
    }
    trajectory = pack("tora2.trajectory")
    return trajectory.sample(trajectory.parse(document))


def bound(
    pack: Pack,
    made: Any,
    latent: tuple[int, int, int] = (3, 8, 12),
    motion: bool = True,
    entities: bool = True,
    strengths: tuple[float, float] = (1.0, 1.0),
) -> Any:
    """A bound conditioning for latents of (frames, height, width), with two entities."""
    conditioning = pack("tora2.conditioning")
    frames, height, width = latent
    size = (COGVIDEOX.spatial * width, COGVIDEOX.spatial * height, COGVIDEOX.video_frames(frames))
    generator = torch.Generator().manual_seed(3)
    given = [
        conditioning.EntityCondition(
            (picture(pack, seed),), torch.randn(2, TEXT, generator=generator), strength
        )
        for seed, strength in zip((4, 5), strengths, strict=True)
    ]
    motion_latent = torch.randn(1, 16, frames, height, width, generator=generator)
    built = conditioning.Tora2Conditioning.build(
        made,
        motion_latent if motion else None,
        given if entities else (),
        tracks(pack, *size) if motion and entities else None,
    )
    types = pack("nodes.io_types")
    patcher = pack("nodes.host.adapters").manage(made)
    loaded = types.LoadedAdapter(patcher, "small")
    return types.BoundConditioning(built, loaded, size if motion else None)


def random_tiny(folder: Path) -> Any:
    """A model folder of the bundled model's shape with random weights; the library's pipeline."""
    from tora2.data.spritebind.vocabulary import make_tokenizer
    from tora2.encoders.entity import Encoders
    from tora2.encoders.tiny import TinyEncoder, TinyEncoderConfig
    from tora2.models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig
    from tora2.pipeline import ModelInfo, Tora2Pipeline
    from tora2.training.recipes.tiny import (
        TrainConfig,
        make_adapter,
        make_text_encoder,
        make_transformer,
    )

    torch.manual_seed(0)
    config = TrainConfig(output=str(folder))
    pipeline = Tora2Pipeline(
        transformer=make_transformer(config.transformer),
        vae=PatchAutoencoder(PatchAutoencoderConfig(width=32, scaling_factor=1.15258426)),
        text_encoder=make_text_encoder(config.transformer),
        tokenizer=make_tokenizer(config.transformer.text_tokens),
        adapter=make_adapter(config),
        encoders=Encoders(joint=TinyEncoder(TinyEncoderConfig())),
        info=ModelInfo(
            width=96,
            height=96,
            frames=17,
            fixed=True,
            text_tokens=config.transformer.text_tokens,
            sigma=6.0,
            words=("circle", "star"),
        ),
    )
    for part in (pipeline.transformer, pipeline.adapter):
        small.wake(part, std=0.05)
    pipeline.save_pretrained(folder)
    return Tora2Pipeline.from_pretrained(folder)
