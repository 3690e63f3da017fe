"""CLIP, for Text-S and Vid-S: from a local folder, as its publishers and the host's hub save it."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .pixels import CLIP, middle_square, normalised, resized

_BATCH = 16
_CURLED, _STRAIGHT = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f", "'" * 4 + '"' * 4
_EXPECTED = "expected a folder of CLIP such as openai/clip-vit-large-patch14 (the paper's ViT-L/14)"


class Clip:
    """CLIP's two encoders.

    Args:
        model: transformers' `CLIPModel`.
        tokenizer: its tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str]) -> Clip:
        """Load a folder; nothing is fetched, and no code of the folder runs.

        Raises:
            ValueError: if it is no folder of CLIP's, or something is missing in it.
        """
        name = os.fspath(folder)
        if not (Path(folder) / "config.json").is_file():
            raise ValueError(f"{name} has no config.json, {_EXPECTED}")
        from safetensors import SafetensorError
        from transformers import CLIPModel, CLIPTokenizer

        local = {"local_files_only": True}
        try:
            model, loading = CLIPModel.from_pretrained(name, output_loading_info=True, **local)
            tokenizer = CLIPTokenizer.from_pretrained(name, **local)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{name} cannot be loaded ({reason}), {_EXPECTED}") from error
        if missing := sorted(loading["missing_keys"]):
            raise ValueError(
                f"{name} lacks {len(missing)} weights such as {missing[0]}, {_EXPECTED}"
            )
        return cls(model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer)

    @torch.no_grad()
    def text(self, caption: str) -> Tensor:
        """[D] of a caption, which is cut to the length that CLIP reads."""
        length = self.model.config.text_config.max_position_embeddings
        caption = cleaned(caption)
        tokens = self.tokenizer(caption, truncation=True, max_length=length, return_tensors="pt")
        tokens = {name: part.to(self.model.device) for name, part in tokens.items()}
        pooled = self.model.text_model(**tokens).pooler_output
        embedding: Tensor = self.model.text_projection(pooled)[0]
        return embedding.float().cpu()

    @torch.no_grad()
    def frames(self, frames: Tensor) -> Tensor:
        """[T, D] of frames uint8 [T, H, W, 3], of which CLIP sees the square in the middle."""
        parts = []
        for batch in frames.split(_BATCH):
            pixels = self.pixels(batch).to(self.model.device)
            pooled = self.model.vision_model(pixel_values=pixels).pooler_output
            parts.append(self.model.visual_projection(pooled).float().cpu())
        return torch.cat(parts)

    def pixels(self, frames: Tensor) -> Tensor:
        """[T, 3, side, side] as CLIP takes it: the middle square, bicubic, normalised."""
        size = self.model.config.vision_config.image_size
        squares = (middle_square(frame.movedim(-1, 0)) for frame in frames)
        return torch.stack([normalised(resized(one, (size, size)), CLIP) for one in squares])


def cleaned(caption: str) -> str:
    """A caption as CLIP's own tokenizer reads it: with straight quotes, and no HTML entities.

    transformers' tokenizer leaves both as they are, and its numbers would be others.
    """
    straight = caption.translate(str.maketrans(_CURLED, _STRAIGHT))
    return html.unescape(html.unescape(straight)).strip()


def reference_frames(frames: Tensor) -> Tensor:
    """The three frames that the benchmark compares with: at 5, 50 and 95 % of a video."""
    last = len(frames) - 1
    return frames[[round(last * share) for share in (0.05, 0.5, 0.95)]]
