"""The bundled model as the host's own objects."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from comfy import model_management, model_patcher, sd, sd1_clip, supported_models_base
from comfy.text_encoders.t5 import T5
from safetensors.torch import load_file
from tokenizers import Tokenizer

from ...tora2.checkpoints import load_adapter
from ...tora2.checkpoints.module_folder import load_module, read_json
from ...tora2.checkpoints.sources import BUNDLED
from ...tora2.encoders.entity import Encoders
from ...tora2.encoders.tiny import TinyEncoder, TinyEncoderConfig
from ...tora2.geometry import COGVIDEOX
from ...tora2.models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from ..io_types import LoadedAdapter
from .adapters import load_adapter_model
from .encoders import HostJoint
from .transformers import load_model

FOLDER = BUNDLED
_END = 1


def load(folder: Path) -> tuple[Any, sd.CLIP, sd.VAE, LoadedAdapter, Encoders, str]:
    """MODEL, CLIP, VAE, adapter and encoders of a model folder, and what it makes, in words.

    Raises:
        ValueError: if the folder is incomplete.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} does not exist, expected the bundled model: reinstall Tora2")
    index = read_json(folder / "model_index.json")
    adapter = load_adapter_model(load_adapter(folder / "adapter.safetensors"))
    return (
        load_model(str(folder / "transformer")),
        load_clip(folder, index["text_tokens"]),
        PatchVAE(_module(PatchAutoencoder, PatchAutoencoderConfig, folder / "vae")),
        LoadedAdapter(adapter, "the bundled model", index["sigma"]),
        Encoders(
            joint=HostJoint(_module(TinyEncoder, TinyEncoderConfig, folder / "image_encoder"))
        ),
        f"{index['width']}x{index['height']}, {index['frames']} frames at {index['fps']} a second; "
        f"it knows the words {', '.join(index['words'])}",
    )


def _module(kind: Any, config: Any, folder: Path) -> Any:
    return load_module(kind, config, folder).eval().requires_grad_(False)


def load_clip(folder: Path, length: int) -> sd.CLIP:
    """A T5 with a word-level tokenizer, padded to `length` tokens without an attention mask."""
    shape = read_json(folder / "text_encoder" / "config.json")
    config = {
        **{name: shape[name] for name in ("d_model", "d_kv", "d_ff", "num_heads", "num_layers")},
        "vocab_size": shape["vocab_size"],
        "dense_act_fn": "gelu_pytorch_tanh",
        "is_gated_act": True,
        "model_type": "t5",
    }

    class Encoder(sd1_clip.SDClipModel):
        def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: Any = None):
            super().__init__(
                device=device,
                dtype=dtype,
                textmodel_json_config=config,
                special_tokens={"end": _END, "pad": 0},
                model_class=T5,
                model_options=model_options or {},
            )

    class TextModel(sd1_clip.SD1ClipModel):
        def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: Any = None):
            super().__init__(device, dtype, model_options or {}, name="t5", clip_model=Encoder)

    class WordTokenizer(_WordTokenizer):
        path, tokens, width = folder / "tokenizer" / "tokenizer.json", length, shape["d_model"]

    class TextTokenizer(sd1_clip.SD1Tokenizer):
        def __init__(self, embedding_directory: Any = None, tokenizer_data: Any = None):
            super().__init__(
                tokenizer_data=tokenizer_data or {}, name="t5", tokenizer=WordTokenizer
            )

    weights = load_file(folder / "text_encoder" / "model.safetensors")
    return sd.CLIP(
        supported_models_base.ClipTarget(TextTokenizer, TextModel),
        parameters=sum(math.prod(x.shape) for x in weights.values()),
        state_dict=[weights],
    )


class _WordTokenizer(sd1_clip.SDTokenizer):
    path: Path
    tokens: int
    width: int

    def __init__(self, embedding_directory: Any = None, tokenizer_data: Any = None):
        super().__init__(
            tokenizer_path=str(self.path),
            tokenizer_class=_Words,
            max_length=2**31,
            min_length=self.tokens,
            pad_with_end=False,
            pad_to_max_length=False,
            has_start_token=False,
            embedding_size=self.width,
            embedding_key="t5",
            tokenizer_data=tokenizer_data or {},
        )

    def tokenize_with_weights(self, text: str, *args: Any, **options: Any) -> list[list[Any]]:
        """As the host, cut to the length that the model was trained with."""
        batch = super().tokenize_with_weights(text, *args, **options)[0]
        if len(batch) > self.tokens:
            batch = [*batch[: self.tokens - 1], (_END, *batch[-1][1:])]
        return [batch]


class _Words:
    """What the host asks of a tokenizer, on a `tokenizer.json`."""

    def __init__(self, path: str) -> None:
        self.words = Tokenizer.from_file(path)
        self.words.no_padding()
        self.words.no_truncation()

    @classmethod
    def from_pretrained(cls, path: str, **_: Any) -> _Words:
        return cls(path)

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": self.words.encode(text).ids}

    def get_vocab(self) -> dict[str, int]:
        return self.words.get_vocab()

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return self.words.decode(ids, skip_special_tokens=skip_special_tokens)


class PatchVAE(sd.VAE):
    """The host's VAE around the bundled autoencoder."""

    def __init__(self, model: PatchAutoencoder) -> None:
        # The host's own constructor only knows autoencoders that it can tell by their weights.
        self.first_stage_model = model
        self.device = model_management.vae_device()
        self.output_device = model_management.intermediate_device()
        self.vae_dtype = torch.float32
        self.working_dtypes = [torch.float32]
        self.latent_channels = model.config.latent_channels
        self.latent_dim = 3
        self.output_channels = 3
        self.pad_channel_value = None
        sides = (COGVIDEOX.spatial, COGVIDEOX.spatial)
        self.upscale_ratio = (lambda t: max(0, COGVIDEOX.video_frames(t)), *sides)
        self.upscale_index_formula = (COGVIDEOX.temporal, *sides)
        self.downscale_ratio = (lambda t: max(0, COGVIDEOX.latent_frames(t)), *sides)
        self.downscale_index_formula = (COGVIDEOX.temporal, *sides)
        # Bytes a pixel: activations at an eighth of the side, and the refinement at its half.
        bytes_a_pixel = 4 * (model.config.width // 16 + 32)
        cell = COGVIDEOX.temporal * COGVIDEOX.spatial**2
        self.memory_used_encode = lambda shape, dtype: math.prod(shape[2:]) * bytes_a_pixel
        self.memory_used_decode = lambda shape, dtype: math.prod(shape[2:]) * cell * bytes_a_pixel
        self.process_input = lambda image: image * 2.0 - 1.0
        self.process_output = lambda image: image.add_(1.0).div_(2.0).clamp_(0.0, 1.0)
        self.disable_offload = False
        self.not_video = False
        self.size = None
        self.extra_1d_channel = None
        self.crop_input = True
        self.handles_tiling = False
        self.format_encoded = None
        self.audio_sample_rate = 44100
        self.patcher = model_patcher.CoreModelPatcher(
            model, load_device=self.device, offload_device=model_management.vae_offload_device()
        )
