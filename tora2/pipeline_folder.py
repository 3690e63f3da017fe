"""A pipeline's parts from a model folder, and back."""

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .backbone import load_transformer
from .checkpoints import load_adapter, save_adapter
from .checkpoints.module_folder import load_module, read_json, save_module, write_json
from .encoders.tiny import TinyEncoder, TinyEncoderConfig
from .model_folder import FORMAT, TINY, VERSION, described, load_part
from .models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig

if TYPE_CHECKING:
    from .pipeline import Tora2Pipeline


def read_parts(
    path: str | Path, dtype: torch.dtype, adapter: str | Path | None, learned_positions: bool
) -> dict[str, Any]:
    """What `Tora2Pipeline` is made of, on the CPU; see its `from_pretrained`."""
    from diffusers import AutoencoderKLCogVideoX
    from transformers import AutoTokenizer, T5EncoderModel

    folder = TINY if str(path) == "tiny" else Path(path)
    index = read_json(folder / "model_index.json")
    info, vae_kind, encoder_kind = described(index, folder)
    own = "transformer" if "_class_name" in index else "adapter.safetensors"
    if vae_kind == "PatchAutoencoder":
        vae: Any = load_module(PatchAutoencoder, PatchAutoencoderConfig, folder / "vae")
    else:
        vae = load_part(AutoencoderKLCogVideoX, folder / "vae")
    encoder = None
    if encoder_kind == "TinyEncoder":
        encoder = load_module(TinyEncoder, TinyEncoderConfig, folder / "image_encoder")
    return {
        "transformer": load_transformer(folder / "transformer", dtype, learned_positions),
        "vae": vae,
        "text_encoder": load_part(T5EncoderModel, folder / "text_encoder"),
        "tokenizer": load_part(AutoTokenizer, folder / "tokenizer"),
        "adapter": load_adapter(adapter or folder / own),
        "encoder": encoder,
        "info": info,
    }


def write_parts(pipeline: "Tora2Pipeline", path: str | Path, dtype: torch.dtype) -> None:
    """Write a folder that `read_parts` reads; see `Tora2Pipeline.save_pretrained`."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    deepcopy(pipeline.transformer).to(dtype).save_pretrained(folder / "transformer")
    deepcopy(pipeline.text_encoder).to(dtype).save_pretrained(folder / "text_encoder")
    pipeline.tokenizer.save_pretrained(folder / "tokenizer")
    save_adapter(deepcopy(pipeline.adapter).to(dtype), folder / "adapter.safetensors")
    patches = isinstance(pipeline.vae, PatchAutoencoder)
    if patches:
        save_module(pipeline.vae, folder / "vae", dtype)
    else:
        deepcopy(pipeline.vae).to(dtype).save_pretrained(folder / "vae")
    if pipeline.encoder is not None:
        save_module(pipeline.encoder, folder / "image_encoder", dtype)
    index = {
        "format": FORMAT,
        "version": VERSION,
        "parts": {
            "vae": "PatchAutoencoder" if patches else "AutoencoderKLCogVideoX",
            "encoder": None if pipeline.encoder is None else "TinyEncoder",
        },
        **vars(pipeline.info),
    }
    write_json(folder / "model_index.json", index)
