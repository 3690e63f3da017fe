"""The tiny model's parts before training: a narrow CogVideoX, a small T5, a tokenizer of words."""

import math
import os
from typing import Any

from diffusers import CogVideoXTransformer3DModel
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from torch import nn

from ..models.adapter import Tora2Adapter, Tora2Config
from .config import TrainConfig, TransformerShape
from .sprites import BACKGROUNDS, SHAPES

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
_GRAMMAR = ("a", "an", "the", "and", "with", "one", "another", ",", ".")


def vocabulary() -> list[str]:
    """Every word the tiny model knows, after the three special tokens."""
    places = sorted({word for phrase in BACKGROUNDS for word in phrase.split()})
    return [PAD, END, UNKNOWN, *_GRAMMAR, *places, *SHAPES]


def make_tokenizer(length: int) -> Any:
    """A word-level tokenizer with T5's special ids: pad 0, end 1, unknown 2."""
    from transformers import PreTrainedTokenizerFast

    words = {word: index for index, word in enumerate(vocabulary())}
    tokenizer = Tokenizer(WordLevel(words, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, words[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        model_max_length=length,
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
        attention_head_dim=64,
        in_channels=16,
        out_channels=16,
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
    nn.init.normal_(transformer.norm_out.linear.weight, std=0.02)
    nn.init.zeros_(transformer.norm_out.linear.bias)
    nn.init.zeros_(transformer.proj_out.weight)
    nn.init.zeros_(transformer.proj_out.bias)
    return transformer


def make_adapter(config: TrainConfig) -> Tora2Adapter:
    """The tiny adapter whose widths follow the transformer, text and picture encoder."""
    widths = {
        "dim": config.transformer.heads * 64,
        "layers": config.transformer.layers,
        "word_dim": config.transformer.text_dim,
        "semantic_dim": config.encoder.dim,
        "face_dim": config.encoder.dim,
        "object_dim": config.encoder.dim,
    }
    adapter = Tora2Adapter(Tora2Config.preset("tiny", **widths, **config.adapter))
    if adapter.extractor is not None:
        # Without batch statistics the residual stream would double its variance at every block.
        for block in adapter.extractor.body:
            block.get_parameter("block2.weight").data.mul_(0.3)
    return adapter
