"""What a model folder says of itself: sizes, kinds of parts, and reading one part."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from .checkpoints.sources import BUNDLED

TINY = BUNDLED
FORMAT = "tora2-pipeline"
VERSION = 1


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


def described(index: dict[str, Any], folder: Path) -> tuple[ModelInfo, str, str | None]:
    """Sizes and kinds of the parts, from our own model_index.json or diffusers'."""
    name = str(folder / "model_index.json")
    kind = index.get("_class_name")
    if kind is not None:
        if not str(kind).startswith(("CogVideoX", "Tora")):
            raise ValueError(
                f"{name!r} describes a {kind!r}; expected a CogVideoX or Tora pipeline"
            )
        return ModelInfo(), "AutoencoderKLCogVideoX", None
    if index.get("format") != FORMAT or index.get("version") != VERSION:
        raise ValueError(f"{name!r} is not a Tora2 model of version {VERSION}")
    try:
        parts = index["parts"]
        values = {k: v for k, v in index.items() if k not in ("format", "version", "parts")}
        info = ModelInfo(**{**values, "words": tuple(values.get("words", ()))})
        return info, parts["vae"], parts["encoder"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{name!r} is damaged: {error}") from None


def load_part(kind: Any, folder: Path) -> Any:
    """A part in its library's own folder, from the disk alone: a missing one is never fetched."""
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} does not exist; expected a folder of the model")
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{str(folder)!r} cannot be loaded: {reason}") from error
