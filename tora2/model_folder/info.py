"""What a model folder says of itself: sizes, the kinds of its parts, the words it knows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..checkpoints.module_folder import read_json, write_json
from ..fields import choice, integer, mapping, number, refuse, sequence, show, text
from ..geometry import COGVIDEOX, Grid
from ..latents import GRIDS

INDEX = "model_index.json"
FORMAT = "tora2-pipeline"
VERSION = 1
AUTOENCODERS = ("PatchAutoencoder", *GRIDS)
MAX_SIDE = 4096
MAX_FRAMES = 1024
MAX_TEXT = 4096
MAX_WORDS = 10_000


@dataclass(frozen=True)
class ModelInfo:
    """What a model makes: sizes, frame rate, and for the bundled model the words it knows.

    Attributes:
        width, height, frames, fps: of the video. With `fixed` the model makes no other size.
        text_tokens: length that prompts are padded to.
        sigma: standard deviation of the flow map's Gaussian in pixels.
        words: entity words that the model was trained on; empty for any.
    """

    width: int = 720
    height: int = 480
    frames: int = 49
    fps: int = 8
    fixed: bool = False
    text_tokens: int = 226
    sigma: float = 10.0
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelIndex:
    """A folder's model_index.json.

    Attributes:
        info: what the model makes.
        autoencoder: one of `AUTOENCODERS`.
        own_encoder: whether a picture encoder lies in it.
        adapter: the file or folder of it that holds the adapter's weights.
    """

    info: ModelInfo
    autoencoder: str
    own_encoder: bool
    adapter: str


def read_index(folder: Path, grid: Grid | None = None) -> ModelIndex:
    """Our own model_index.json, or that of a diffusers pipeline of CogVideoX, Tora, Wan or Latte.

    Args:
        folder: of the model.
        grid: its latent geometry; by default that of its autoencoder.

    Raises:
        ValueError: names the file, the value and what was expected.
    """
    path = folder / INDEX
    index = read_json(path)
    try:
        if "_class_name" in index:
            return _diffusers(index["_class_name"])
        return _ours(index, grid)
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: {error}") from None


def write_index(folder: Path, index: ModelIndex) -> None:
    """Write a model_index.json that `read_index` reads."""
    parts = {
        "vae": index.autoencoder,
        "encoder": "TinyEncoder" if index.own_encoder else None,
    }
    values = {"format": FORMAT, "version": VERSION, "parts": parts, **asdict(index.info)}
    write_json(folder / INDEX, values)


_PIPELINES = {
    "WanPipeline": (ModelInfo(832, 480, 81, 16, text_tokens=512), "AutoencoderKLWan"),
    "LattePipeline": (ModelInfo(512, 512, 16, 8, text_tokens=120), "AutoencoderKL"),
}


def _diffusers(kind: object) -> ModelIndex:
    if isinstance(kind, str) and kind in _PIPELINES:
        return ModelIndex(*_PIPELINES[kind], False, "adapter.safetensors")
    if not isinstance(kind, str) or not kind.startswith(("CogVideoX", "Tora")):
        raise ValueError(
            f"it describes a {show(kind)}, expected a CogVideoX, Tora, Wan or Latte pipeline"
        )
    return ModelIndex(ModelInfo(), "AutoencoderKLCogVideoX", False, "transformer")


def _ours(index: Mapping[str, Any], grid: Grid | None) -> ModelIndex:
    version = index.get("version")
    if index.get("format") != FORMAT or isinstance(version, bool) or version != VERSION:
        raise ValueError(
            f"the format is {show(index.get('format'))} and the version {show(version)}, "
            f"expected {FORMAT} of version {VERSION}"
        )
    names = tuple(field.name for field in fields(ModelInfo))
    values = dict(mapping(index, "", ("format", "version", "parts"), names))
    parts = mapping(values["parts"], "parts", ("vae", "encoder"))
    if parts["encoder"] not in (None, "TinyEncoder"):
        raise refuse("parts.encoder", parts["encoder"], "TinyEncoder or null")
    given = {name: values[name] for name in names if name in values}
    autoencoder = choice(parts["vae"], "parts.vae", AUTOENCODERS)
    return ModelIndex(
        _info({**asdict(ModelInfo()), **given}, grid or GRIDS.get(autoencoder, COGVIDEOX)),
        autoencoder,
        parts["encoder"] is not None,
        "adapter.safetensors",
    )


def _info(values: Mapping[str, Any], grid: Grid) -> ModelInfo:
    if not isinstance(values["fixed"], bool):
        raise refuse("fixed", values["fixed"], "true or false")
    info = ModelInfo(
        width=integer(values["width"], "width", 1, MAX_SIDE),
        height=integer(values["height"], "height", 1, MAX_SIDE),
        frames=integer(values["frames"], "frames", 1, MAX_FRAMES),
        fps=integer(values["fps"], "fps", 1, 240),
        fixed=values["fixed"],
        text_tokens=integer(values["text_tokens"], "text_tokens", 2, MAX_TEXT),
        sigma=number(values["sigma"], "sigma", 1e-3, MAX_SIDE),
        words=tuple(
            text(word, f"words[{i}]", 200)
            for i, word in enumerate(sequence(values["words"], "words", 0, MAX_WORDS))
        ),
    )
    grid.check_video(info.frames, info.height, info.width)
    return info
