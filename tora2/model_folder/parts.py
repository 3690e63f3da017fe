"""A pipeline's parts from a model folder, and back."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ..backbone import load_transformer
from ..backbones import backbone_of
from ..checkpoints import adapter_flow_sigma, load_adapter, save_adapter
from ..checkpoints.module_folder import load_module, save_module
from ..encoders.entity import Encoders
from ..encoders.tiny import TinyEncoder, TinyEncoderConfig
from ..models.adapter import Tora2Adapter
from ..models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from . import TINY
from .gate import check_folder
from .info import ModelIndex, ModelInfo, read_index, write_index
from .libraries import load_autoencoder, load_text_encoder, load_tokenizer


@dataclass(frozen=True, eq=False)
class Parts:
    """What `Tora2Pipeline` is made of.

    Attributes:
        transformer: of a known backbone.
        vae: `PatchAutoencoder` or an autoencoder of diffusers.
        text_encoder, tokenizer: a T5 or UMT5 encoder and its tokenizer, which pads with 0.
        adapter: of the transformer's width and depth.
        info: what the model makes.
        encoders: of pictures; a folder holds one only where it is ours.
    """

    transformer: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    adapter: Tora2Adapter
    info: ModelInfo
    encoders: Encoders = field(default_factory=Encoders)

    def check(self) -> None:
        """Refuse parts that were not made for one another.

        Raises:
            ValueError: names the two that do not fit.
        """
        backbone = backbone_of(self.transformer)
        config, adapter = self.transformer.config, self.adapter.config
        width = self.text_encoder.config.d_model
        reads = config[backbone.text_field]
        _same("the transformer reads text", reads, "the text encoder's", width)
        if "binding" in self.adapter.capabilities:
            _same("the adapter reads words", adapter.word_dim, "the text encoder's", width)
        blocks = backbone.layers(self.transformer)
        made, dim = (
            (adapter.layers, adapter.dim),
            config.num_attention_heads * config.attention_head_dim,
        )
        if made != (blocks, dim):
            raise ValueError(
                f"the adapter was made for {made[0]} blocks of {made[1]} channels but the "
                f"transformer has {blocks} blocks of {dim}"
            )
        if self.adapter.grid != backbone.grid:
            raise ValueError(
                f"the adapter was made for latents of the geometry {self.adapter.grid}, expected "
                f"the transformer's {backbone.grid}"
            )
        channels = backbone.grid.channels
        if isinstance(self.vae, PatchAutoencoder):
            has = self.vae.config.latent_channels
            _same("the autoencoder makes latents", has, "the transformer's", channels)
        words = self.text_encoder.config.vocab_size
        last = max(self.tokenizer.get_vocab().values(), default=0)
        if last >= words or self.tokenizer.pad_token_id != 0:
            raise ValueError(
                f"the tokenizer pads with {self.tokenizer.pad_token_id} and has tokens up to "
                f"{last}, expected padding with 0 and tokens below the text encoder's {words}"
            )


@dataclass(frozen=True, eq=False)
class EncodingParts:
    """Those of `Parts` that encode videos, texts and pictures."""

    vae: Any
    text_encoder: Any
    tokenizer: Any
    info: ModelInfo
    encoders: Encoders


def read_encoding_parts(path: str | Path, dtype: torch.dtype) -> EncodingParts:
    """What a folder encodes with, on the CPU; its transformer and adapter are not looked at.

    Raises:
        ValueError: as `Tora2Pipeline.from_pretrained`.
    """
    folder = _folder(path)
    index = read_index(folder)
    check_folder(folder)
    encoders = Encoders()
    if index.own_encoder:
        own = load_module(TinyEncoder, TinyEncoderConfig, folder / "image_encoder")
        encoders = Encoders(joint=own)
    if index.autoencoder == "PatchAutoencoder":
        vae: Any = load_module(PatchAutoencoder, PatchAutoencoderConfig, folder / "vae")
    else:
        vae = load_autoencoder(folder / "vae", dtype)
    tokenizer = load_tokenizer(folder / "tokenizer")
    text_encoder = load_text_encoder(folder / "text_encoder", dtype)
    return EncodingParts(vae, text_encoder, tokenizer, index.info, encoders)


def read_parts(
    path: str | Path, dtype: torch.dtype, adapter: str | Path | None, learned_positions: bool
) -> Parts:
    """A folder's parts on the CPU; see `Tora2Pipeline.from_pretrained`."""
    folder = _folder(path)
    encoding = read_encoding_parts(folder, dtype)
    sigma = None if adapter is None else adapter_flow_sigma(adapter)
    if sigma is not None:
        encoding = replace(encoding, info=replace(encoding.info, sigma=sigma))
    parts = Parts(
        transformer=load_transformer(_there(folder / "transformer"), dtype, learned_positions),
        adapter=load_adapter(adapter or _there(folder / read_index(folder).adapter)),
        **vars(encoding),
    )
    try:
        parts.check()
    except ValueError as error:
        raise ValueError(f"{str(folder)!r}: {error}") from None
    return parts


def write_parts(parts: Parts, path: str | Path, dtype: torch.dtype) -> None:
    """Write a folder that `read_parts` reads; see `Tora2Pipeline.save_pretrained`."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    deepcopy(parts.transformer).to(dtype).save_pretrained(folder / "transformer")
    deepcopy(parts.text_encoder).to(dtype).save_pretrained(folder / "text_encoder")
    parts.tokenizer.save_pretrained(folder / "tokenizer")
    save_adapter(deepcopy(parts.adapter).to(dtype), folder / "adapter.safetensors")
    ours = isinstance(parts.vae, PatchAutoencoder)
    if ours:
        save_module(parts.vae, folder / "vae", dtype)
    else:
        deepcopy(parts.vae).to(dtype).save_pretrained(folder / "vae")
    own = parts.encoders.joint
    if isinstance(own, TinyEncoder):
        save_module(own, folder / "image_encoder", dtype)
    kind = type(parts.vae).__name__
    write_index(
        folder,
        ModelIndex(parts.info, kind, isinstance(own, TinyEncoder), "adapter.safetensors"),
    )


def _folder(path: str | Path) -> Path:
    return TINY if str(path) == "tiny" else Path(path)


def _there(path: Path) -> Path:
    if not path.exists():
        raise ValueError(f"{str(path)!r} does not exist, expected a part of the model")
    return path


def _same(what: str, has: int, whose: str, expected: int) -> None:
    if has != expected:
        raise ValueError(f"{what} of {has} channels, expected {whose} {expected}")
