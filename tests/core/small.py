"""Small random models and inputs that the tests share."""

from pathlib import Path
from typing import TypeVar

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel

from tora2.checkpoints import save_adapter
from tora2.conditioning import EntityCondition
from tora2.encoders.features import PictureFeatures
from tora2.models.adapter import Tora2Adapter, Tora2Config
from tora2.pipeline import Tora2Pipeline
from tora2.trajectory import Tracks

M = TypeVar("M", bound=torch.nn.Module)

DIM, LAYERS, TEXT = 64, 2, 32
FRAMES, LATENT_FRAMES, SIDE = 9, 3, 8


def transformer(**changes: object) -> CogVideoXTransformer3DModel:
    torch.manual_seed(0)
    options = {
        "num_attention_heads": 1,
        "attention_head_dim": DIM,
        "in_channels": 16,
        "out_channels": 16,
        "time_embed_dim": 32,
        "text_embed_dim": TEXT,
        "num_layers": LAYERS,
        "max_text_seq_length": 6,
        "use_rotary_positional_embeddings": True,
        "ofs_embed_dim": None,
    }
    return CogVideoXTransformer3DModel(**{**options, **changes}).eval()


def adapter(awake: bool = True, **changes: object) -> Tora2Adapter:
    """A small adapter; `awake` gives random values to everything that starts at zero."""
    torch.manual_seed(1)
    sizes = {
        "dim": DIM,
        "layers": LAYERS,
        "word_dim": TEXT,
        "feature_dim": 16,
        "semantic_dim": 12,
        "face_dim": 10,
        "object_dim": 14,
        "qformer_dim": 32,
        "queries": 4,
        "qformer_depth": 2,
        "qformer_heads": 4,
        "binder_heads": 4,
        "context_dim": 24,
        "attention_dim": 32,
        "attention_heads": 2,
        "contrastive_dim": 8,
    }
    model = Tora2Adapter(Tora2Config.preset("tiny", **{**sizes, **changes}))
    return wake(model).eval() if awake else model.eval()


def wake(model: M, std: float = 0.3) -> M:
    """Random values in everything that starts at zero; `std` is that of matrices."""
    for parameter in model.parameters():
        if not bool(parameter.any()):
            parameter.data.normal_(std=0.3 if parameter.ndim == 0 else std)
    return model


def sharpen(model: CogVideoXTransformer3DModel, strength: float) -> CogVideoXTransformer3DModel:
    """Attention sharp enough for positions to matter."""
    for name, parameter in model.named_parameters():
        if "norm_q" in name or "norm_k" in name:
            parameter.data.mul_(strength)
    return model


def motion_latent(batch: int = 1, seed: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 16, LATENT_FRAMES, SIDE, SIDE, generator=generator)


def picture(branch: str = "object", seed: int = 3) -> PictureFeatures:
    generator = torch.Generator().manual_seed(seed)
    width = 10 if branch == "face" else 14
    return PictureFeatures(
        torch.randn(5, 12, generator=generator), torch.randn(width, generator=generator), branch
    )


def entity(
    seed: int = 4, branch: str = "object", word: bool = True, pictures: int = 1, strength: float = 1
) -> EntityCondition:
    generator = torch.Generator().manual_seed(seed)
    return EntityCondition(
        tuple(picture(branch, seed + i) for i in range(pictures)),
        torch.randn(2, TEXT, generator=generator) if word else None,
        strength,
    )


def tracks(owners: list[int], seed: int = 5) -> Tracks:
    generator = torch.Generator().manual_seed(seed)
    count = len(owners)
    return Tracks(
        points=torch.rand(count, FRAMES, 2, generator=generator) * 64,
        visible=torch.ones(count, FRAMES, dtype=torch.bool),
        entity=torch.tensor(owners, dtype=torch.int64),
        width=64,
        height=64,
        frames=FRAMES,
    )


def replace_owner(paths: Tracks, owners: list[int]) -> Tracks:
    return Tracks(
        points=paths.points,
        visible=paths.visible,
        entity=torch.tensor(owners, dtype=torch.int64),
        width=paths.width,
        height=paths.height,
        frames=paths.frames,
    )


def autoencoder() -> AutoencoderKLCogVideoX:
    """CogVideoX's autoencoder with 32 channels throughout."""
    return AutoencoderKLCogVideoX(
        down_block_types=["CogVideoXDownBlock3D"] * 4,
        up_block_types=["CogVideoXUpBlock3D"] * 4,
        latent_channels=16,
        block_out_channels=(32, 32, 32, 32),
        layers_per_block=1,
        scaling_factor=0.7,
    )


def cogvideox_folder(root: Path, **changes: object) -> Path:
    """A CogVideoX pipeline's folder in diffusers' layout, Tora's parts beside it as an adapter."""
    bundled = Tora2Pipeline.from_pretrained("tiny")
    width = bundled.text_encoder.config.d_model
    sizes = {"text_embed_dim": width, "max_text_seq_length": 226, **changes}
    transformer(**sizes).save_pretrained(root / "transformer")
    autoencoder().save_pretrained(root / "vae")
    bundled.text_encoder.save_pretrained(root / "text_encoder")
    bundled.tokenizer.save_pretrained(root / "tokenizer")
    (root / "model_index.json").write_text('{"_class_name": "CogVideoXPipeline"}')
    motion = adapter(capabilities=("motion",))
    save_adapter(motion, root / "tora.safetensors")
    return root
