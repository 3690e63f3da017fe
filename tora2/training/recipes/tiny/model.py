"""The bundled model's parts before training: a narrow CogVideoX, a small T5, the adapter."""

from __future__ import annotations

import math
import os
from typing import Any

import torch
from diffusers import CogVideoXTransformer3DModel
from torch import nn

from ....data.spritebind import SHAPES
from ....data.spritebind.vocabulary import make_tokenizer, vocabulary
from ....encoders.entity import Encoders
from ....encoders.tiny import TinyEncoder
from ....geometry import COGVIDEOX
from ....model_folder import ModelInfo
from ....models.adapter import Tora2Adapter, Tora2Config
from ....models.autoencoder import PatchAutoencoder
from ....pipeline import Tora2Pipeline
from ....settings import changed
from .config import TrainConfig, TransformerShape

_HEAD = 64
"""Channels of an attention head: a quarter for time, the rest halved between height and width."""


def new_pipeline(config: TrainConfig, vae: PatchAutoencoder) -> Tora2Pipeline:
    """A pipeline with untrained parts; a function of the configuration's seed."""
    torch.manual_seed(config.seed)
    data, shape = config.data, config.transformer
    return Tora2Pipeline(
        transformer=make_transformer(shape),
        vae=vae,
        text_encoder=make_text_encoder(shape),
        tokenizer=make_tokenizer(shape.text_tokens),
        adapter=make_adapter(config),
        encoders=Encoders(joint=TinyEncoder(config.encoder)),
        info=ModelInfo(
            width=data.size,
            height=data.size,
            frames=data.frames,
            fixed=True,
            text_tokens=shape.text_tokens,
            sigma=data.sigma,
            words=SHAPES,
        ),
    )


def make_text_encoder(shape: TransformerShape) -> Any:
    """A T5 encoder with the gated-GELU layers of T5 v1.1."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=len(vocabulary()),
            d_model=shape.text_dim,
            d_kv=shape.text_dim // 4,
            d_ff=2 * shape.text_dim,
            num_heads=4,
            num_layers=shape.text_layers,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            pad_token_id=0,
            eos_token_id=1,
            is_encoder_decoder=False,
            use_cache=False,
        )
    )


def make_transformer(shape: TransformerShape) -> CogVideoXTransformer3DModel:
    """A CogVideoX-1.0 transformer of a few narrow blocks, ready to train from scratch.

    It keeps the sample size of CogVideoX-5B, from which hosts derive the rotary positions.
    """
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=shape.heads,
        attention_head_dim=_HEAD,
        in_channels=COGVIDEOX.channels,
        out_channels=COGVIDEOX.channels,
        time_embed_dim=shape.time_dim,
        text_embed_dim=shape.text_dim,
        num_layers=shape.layers,
        max_text_seq_length=shape.text_tokens,
        use_rotary_positional_embeddings=True,
        ofs_embed_dim=None,
    )
    depth_scale = 1 / math.sqrt(2 * shape.layers)
    for block in transformer.transformer_blocks:
        for norm in (block.norm1, block.norm2):
            nn.init.normal_(norm.linear.weight, std=0.02)
            nn.init.zeros_(norm.linear.bias)
            gates = norm.linear.bias.data.view(6, -1)
            gates[2] = gates[5] = 1.0
        block.attn1.to_out[0].weight.data.mul_(depth_scale)
        block.ff.net[2].weight.data.mul_(depth_scale)
        _look_at_itself(block.attn1)
    nn.init.normal_(transformer.norm_out.linear.weight, std=0.02)
    nn.init.zeros_(transformer.norm_out.linear.bias)
    nn.init.zeros_(transformer.proj_out.weight)
    nn.init.zeros_(transformer.proj_out.bias)
    return transformer


def _look_at_itself(attention: Any) -> None:
    """Let the first head of an attention begin with every video token looking at itself.

    What the motion-guidance fuser puts into a token (Eq. 2) reaches it through this attention
    alone, which mixes all tokens until it has learned not to. A constant query and key in the
    fastest pair of channels of each axis are nearest where the rotary angles are the same.
    """
    time = _HEAD // 4
    fastest = [0, time, time + (_HEAD - time) // 2]
    pairs = torch.tensor([[at, at + 1] for at in fastest])
    for project, norm in (
        (attention.to_q, attention.norm_q),
        (attention.to_k, attention.norm_k),
    ):
        project.weight.data[:_HEAD] *= 0.1
        project.bias.data[:_HEAD] = 0
        project.bias.data[pairs[:, 0]] = 1
        project.bias.data[pairs[:, 1]] = -1
        norm.weight.data[pairs] = 1.6


def adapter_config(config: TrainConfig) -> Tora2Config:
    """The preset `tiny` with the configuration's changes, its widths those of the other parts.

    Raises:
        ValueError: if a change is unknown, of the wrong type, or of a width that follows from
            another part.
    """
    widths = {
        "dim": config.transformer.dim,
        "layers": config.transformer.layers,
        "word_dim": config.transformer.text_dim,
        "semantic_dim": config.encoder.dim,
        "face_dim": config.encoder.dim,
        "object_dim": config.encoder.dim,
        "latent_channels": COGVIDEOX.channels,
    }
    for key in config.adapter:
        if key in widths:
            raise ValueError(
                f"key {'adapter.' + key!r} cannot be set; it is {widths[key]}, which follows from "
                "the transformer and the encoder"
            )
    return changed(Tora2Config.preset("tiny", **widths), config.adapter, "adapter.")


def make_adapter(config: TrainConfig) -> Tora2Adapter:
    """The tiny adapter, ready to train from scratch."""
    adapter = Tora2Adapter(adapter_config(config))
    if adapter.extractor is not None:
        # Without batch statistics the residual stream would double its variance at every block.
        for block in adapter.extractor.body:
            block.get_parameter("block2.weight").data.mul_(0.3)
    return adapter
