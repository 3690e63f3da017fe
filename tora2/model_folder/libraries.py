"""Parts in transformers' and diffusers' layouts, built from checked sizes and our own reader.

Their own loaders take from config.json whatever it says; here the sizes that a part has are read
and bounded, the module is made without memory, and the tensors of the file are put into it.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints.assigning import assign
from ..checkpoints.folders import read_transformer_weights
from ..checkpoints.module_folder import read_json
from ..fields import choice, finite, integer, number, refuse, sequence, show
from ..geometry import Grid
from ..latents import GRIDS
from ..text import token_ids

Reader = Callable[[object, str], object]

MAX_WIDTH = 65_536
MAX_LAYERS = 256

_width: Reader = partial(integer, low=1, high=MAX_WIDTH)
_layers: Reader = partial(integer, low=1, high=MAX_LAYERS)
_share: Reader = partial(number, low=0, high=1)


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise refuse(path, value, "true or false")
    return value


def _list(item: Reader, value: object, path: str) -> list[object]:
    return [item(x, f"{path}[{i}]") for i, x in enumerate(sequence(value, path, 1, 8))]


def _numbers(value: object, path: str) -> list[object]:
    return [finite(x, f"{path}[{i}]") for i, x in enumerate(sequence(value, path, 1, 1024))]


_T5: Mapping[str, Reader] = {
    "vocab_size": partial(integer, low=1, high=1_000_000),
    "d_model": _width,
    "d_kv": _width,
    "d_ff": _width,
    "num_layers": _layers,
    "num_heads": partial(integer, low=1, high=1024),
    "relative_attention_num_buckets": partial(integer, low=4, high=4096),
    "relative_attention_max_distance": partial(integer, low=4, high=MAX_WIDTH),
    "layer_norm_epsilon": _share,
    "dropout_rate": _share,
    "initializer_factor": finite,
    "feed_forward_proj": partial(choice, options=("gated-gelu", "relu")),
}
_COGVIDEOX_VAE: Mapping[str, Reader] = {
    "in_channels": _width,
    "out_channels": _width,
    "down_block_types": partial(_list, partial(choice, options=("CogVideoXDownBlock3D",))),
    "up_block_types": partial(_list, partial(choice, options=("CogVideoXUpBlock3D",))),
    "block_out_channels": partial(_list, partial(integer, low=1, high=8192)),
    "latent_channels": _width,
    "layers_per_block": partial(integer, low=1, high=16),
    "act_fn": partial(choice, options=("silu", "swish", "mish", "gelu", "relu")),
    "norm_eps": _share,
    "norm_num_groups": partial(integer, low=1, high=8192),
    "temporal_compression_ratio": partial(integer, low=1, high=64),
    "sample_height": _width,
    "sample_width": _width,
    "scaling_factor": partial(number, low=1e-6, high=1e6),
    "use_quant_conv": _flag,
    "use_post_quant_conv": _flag,
    "invert_scale_latents": _flag,
}

_WAN_VAE: Mapping[str, Reader] = {
    "base_dim": partial(integer, low=1, high=8192),
    "z_dim": _width,
    "dim_mult": partial(_list, partial(integer, low=1, high=64)),
    "num_res_blocks": partial(integer, low=1, high=16),
    "temperal_downsample": partial(_list, _flag),
    "latents_mean": _numbers,
    "latents_std": _numbers,
}
_PICTURE_VAE: Mapping[str, Reader] = {
    "in_channels": _width,
    "out_channels": _width,
    "down_block_types": partial(_list, partial(choice, options=("DownEncoderBlock2D",))),
    "up_block_types": partial(_list, partial(choice, options=("UpDecoderBlock2D",))),
    "block_out_channels": partial(_list, partial(integer, low=1, high=8192)),
    "latent_channels": _width,
    "layers_per_block": partial(integer, low=1, high=16),
    "act_fn": partial(choice, options=("silu", "swish", "mish", "gelu", "relu")),
    "norm_num_groups": partial(integer, low=1, high=8192),
    "scaling_factor": partial(number, low=1e-6, high=1e6),
}
_AUTOENCODERS = {
    "AutoencoderKLCogVideoX": _COGVIDEOX_VAE,
    "AutoencoderKLWan": _WAN_VAE,
    "AutoencoderKL": _PICTURE_VAE,
}

# transformers 4 writes the base class's name for a tokenizer that has only its tokenizer.json.
_FAST = ("TokenizersBackend", "PreTrainedTokenizerFast", "PreTrainedTokenizer")
_TOKENIZERS = (*_FAST, "T5Tokenizer", "T5TokenizerFast")


def load_text_encoder(folder: Path, dtype: torch.dtype) -> Any:
    """transformers' T5EncoderModel or UMT5EncoderModel on the CPU.

    Raises:
        ValueError: names the file and what does not fit.
    """
    from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

    kinds = {"t5": (T5Config, T5EncoderModel), "umt5": (UMT5Config, UMT5EncoderModel)}
    config = _sizes(folder, "model_type", tuple(kinds), _T5)
    config |= {"is_encoder_decoder": False, "use_cache": False}
    sizes, library = kinds[str(read_json(folder / "config.json")["model_type"])]
    model: Any = _built(folder, lambda: library(sizes(**config)))
    tensors = _tensors(folder, "model")
    shared = tensors.get("shared.weight", tensors.get("encoder.embed_tokens.weight"))
    inside = {n: t for n, t in tensors.items() if not n.startswith(("decoder.", "lm_head."))}
    if shared is not None:
        inside |= {"shared.weight": shared, "encoder.embed_tokens.weight": shared}
    assign(model, inside, folder, dtype)
    model.tie_weights()
    return model.eval()


def load_autoencoder(folder: Path, dtype: torch.dtype, grid: Grid | None = None) -> Any:
    """An autoencoder of diffusers on the CPU: CogVideoX's, Wan's, or that of pictures.

    Raises:
        ValueError: names the file and what does not fit, as another compression than the grid's.
    """
    import diffusers

    kind = read_json(folder / "config.json").get("_class_name") if folder.is_dir() else None
    readers = _AUTOENCODERS.get(str(kind), _COGVIDEOX_VAE)
    config = _sizes(folder, "_class_name", tuple(_AUTOENCODERS), readers)
    vae: Any = _built(folder, lambda: getattr(diffusers, str(kind))(**config))
    made, grid = vae.config, grid or GRIDS[str(kind)]
    if kind == "AutoencoderKLWan":
        found = (2 ** sum(made.temperal_downsample), 2 ** (len(made.dim_mult) - 1), made.z_dim)
        check_statistics(folder, made)
    else:
        spatial = 2 ** (len(made.block_out_channels) - 1)
        temporal = 1 if kind == "AutoencoderKL" else made.temporal_compression_ratio
        found = (temporal, spatial, made.latent_channels)
    expected = (grid.temporal, grid.spatial, grid.channels)
    if found != expected:
        raise ValueError(
            f"{str(folder / 'config.json')!r} describes an autoencoder of {_words(*found)}, "
            f"expected {_words(*expected)}"
        )
    assign(vae, _tensors(folder, "diffusion_pytorch_model"), folder, dtype)
    return vae.eval()


def check_statistics(folder: Path, made: Any) -> None:
    """Refuse statistics of Wan's latents that are not of each channel, or deviations of 0."""
    if any(len(x) != made.z_dim for x in (made.latents_mean, made.latents_std)) or any(
        x <= 0 for x in made.latents_std
    ):
        raise ValueError(
            f"{str(folder / 'config.json')!r} has latents_mean or latents_std that do not fit, "
            f"expected {made.z_dim} of each, deviations above 0"
        )


def load_tokenizer(folder: Path) -> Any:
    """A word-level or T5 tokenizer of transformers; nothing outside the folder is read or run.

    Raises:
        ValueError: names the folder and what does not fit.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers

    path = folder / "tokenizer_config.json"
    config = read_json(path)
    for name, value in config.items():
        follows = name.endswith(("_file", "_files")) or name in ("init_inputs", "sp_model_kwargs")
        if follows and value:
            raise ValueError(
                f"{str(path)!r} has {show(name)} {show(value)}, expected a tokenizer whose files "
                "lie beside it"
            )
    if config.get("extra_ids") is not None:
        _checked(path, "extra_ids", config["extra_ids"], partial(integer, low=0, high=1000))
    kind = _checked(
        path, "tokenizer_class", config.get("tokenizer_class"), partial(choice, options=_TOKENIZERS)
    )
    if not any((folder / name).is_file() for name in ("tokenizer.json", "spiece.model")):
        raise ValueError(f"{str(folder)!r} has neither tokenizer.json nor spiece.model")
    fast = kind in _FAST
    library: Any = transformers.PreTrainedTokenizerFast if fast else transformers.AutoTokenizer
    try:
        tokenizer = library.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        token_ids(tokenizer, ["a word"], 4)
    except BaseException as error:  # tokenizers raises bare ones, and its panics are not even those
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"{str(folder)!r} cannot be loaded: {_one_line(error)}") from error
    return tokenizer


def _sizes(
    folder: Path, kind: str, kinds: tuple[str, ...], readers: Mapping[str, Reader]
) -> dict[str, Any]:
    """What a library's config.json says of a part's sizes; the rest of it is not looked at."""
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} does not exist; expected a folder of the model")
    path = folder / "config.json"
    config = read_json(path)
    _checked(path, kind, config.get(kind), partial(choice, options=kinds))
    return {
        name: _checked(path, name, config[name], reader)
        for name, reader in readers.items()
        if name in config
    }


def _checked(path: Path, name: str, value: object, reader: Reader) -> Any:
    try:
        return reader(value, name)
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: {error}") from None


def _built(folder: Path, make: Callable[[], Any]) -> Any:
    """A module without memory for its parameters."""
    try:
        with torch.device("meta"):
            return make()
    except (ValueError, TypeError, RuntimeError, IndexError, AssertionError) as error:
        path = str(folder / "config.json")
        raise ValueError(f"{path!r} has sizes that do not fit: {_one_line(error)}") from error


def _tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a library's single file, or of the shards that its index names."""
    index, single = (folder / f"{name}.safetensors{end}" for end in (".index.json", ""))
    path = index if index.is_file() else single
    if not path.is_file():
        raise ValueError(f"{str(single)!r} does not exist, expected the weights of the model")
    return dict(read_transformer_weights(path).tensors)


def _words(temporal: int, spatial: int, channels: int) -> str:
    return f"{temporal} x {spatial} x {spatial} compression and {channels} channels"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
