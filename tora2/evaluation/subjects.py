"""The subjects of a video, for Subj-S: found by their words, cut out, and embedded.

The recipe is that of MSRVTT-Personalization's evaluator: Grounding DINO (Swin-T) with the words as
its prompt, SAM (ViT-B) in the best box of each word, the cut-out on white, and the class token of
DINO (v1, ViT-B/16). All three through `transformers`, from local folders.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..encoders.pictures import Picture, content_box, crop, on_white, pad_square
from .metrics.subject_similarity import best_boxes, tag_scores
from .pixels import IMAGENET, normalised, resized

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels."""

_SHORT, _LONG = 800, 1333  # sides in pixels at which Grounding DINO looks
_BOX, _MASK = 0.4, 0.9  # scores that a box and a mask must exceed
_SHORTER = 3  # pixels by which a mask may be smaller than its box, on one side
_SAM = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_DINO = 224
PARTS = {
    "grounding": "Grounding DINO, such as IDEA-Research/grounding-dino-tiny (Apache-2.0)",
    "sam": "SAM, such as facebook/sam-vit-base (Apache-2.0)",
    "dino": "DINO's ViT-B/16, such as facebook/dino-vitb16 (Apache-2.0)",
}


@dataclass(frozen=True)
class Found:
    """A subject in a frame: where it is, and how sure the detector was."""

    box: Box
    score: float


class Subjects:
    """The three networks.

    Args:
        grounding: transformers' `GroundingDinoForObjectDetection`, or its like.
        tokenizer: its tokenizer.
        sam: `SamModel`.
        dino: `ViTModel`.
    """

    def __init__(self, grounding: Any, tokenizer: Any, sam: Any, dino: Any) -> None:
        self.grounding, self.tokenizer, self.sam, self.dino = grounding, tokenizer, sam, dino

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str], device: str | None = None) -> Subjects:
        """Load a folder that holds `grounding`, `sam` and `dino`, each as its publishers save it.

        Raises:
            ValueError: names the part that is not there or cannot be loaded, and where it is had.
        """
        from transformers import (
            AutoTokenizer,
            GroundingDinoForObjectDetection,
            SamModel,
            ViTModel,
        )

        parts = {name: Path(folder) / name for name in PARTS}
        for name, part in parts.items():
            if not (part / "config.json").is_file():
                raise ValueError(f"{part} has no config.json, expected a folder of {PARTS[name]}")
        where = device or ("cuda" if torch.cuda.is_available() else "cpu")
        grounding = _loaded(GroundingDinoForObjectDetection, parts["grounding"], where)
        tokenizer = _read(AutoTokenizer.from_pretrained, parts["grounding"])
        sam = _loaded(SamModel, parts["sam"], where)
        dino = _loaded(ViTModel, parts["dino"], where, add_pooling_layer=False)
        return cls(grounding, tokenizer, sam, dino)

    def embedded(
        self, frames: Tensor, words: Sequence[str], progress: Callable[[], object] = lambda: None
    ) -> list[dict[str, Tensor]]:
        """For every frame, the embedding [D] of each word that was found in it."""
        result = []
        for frame in frames:
            picture = frame.movedim(-1, 0)
            cuts = self.cut_out(picture, words)
            result.append({word: self._class_token(cut) for word, cut in cuts.items()})
            progress()
        return result

    def embed(self, pictures: Sequence[Picture], word: str) -> Tensor:
        """[R, D] of reference pictures: what is opaque in them, on white.

        A picture without transparency is cut out as frames are; where nothing is found, it is
        taken whole.
        """
        rows = []
        for picture in pictures:
            image = crop(on_white(picture), content_box(picture))
            cuts = self.cut_out(image, [word]) if picture.alpha is None else {}
            rows.append(self._class_token(cuts.get(word, image)))
        return torch.stack(rows)

    def cut_out(self, picture: Tensor, words: Sequence[str]) -> dict[str, Tensor]:
        """uint8 [3, h, w] on white of each word that is found in uint8 [3, H, W]."""
        found = self.find(picture, words)
        masks = self.masks(picture, [one.box for one in found.values()]) if found else []
        cuts = {}
        for (word, one), mask in zip(found.items(), masks, strict=True):
            if mask is not None and (cut := _cut(picture, one.box, mask)) is not None:
                cuts[word] = cut
        return cuts

    @torch.no_grad()
    def find(self, picture: Tensor, words: Sequence[str]) -> dict[str, Found]:
        """The best box of each word in uint8 [3, H, W], where there is one.

        Raises:
            ValueError: if a word has no token.
        """
        height, width = picture.shape[1:]
        prompt = " . ".join(words).lower().strip()
        prompt = prompt if prompt.endswith(".") else prompt + "."
        tokens = self.tokenizer(prompt, return_tensors="pt")
        spans = [self._span(tokens["input_ids"][0].tolist(), word) for word in words]
        device = next(self.grounding.parameters()).device
        pixels = normalised(resized(picture, _looked(height, width), "bilinear"), IMAGENET)
        out = self.grounding(
            pixel_values=pixels[None].to(device),
            **{name: part.to(device) for name, part in tokens.items()},
        )
        scores = tag_scores(out.logits[0].float().cpu().sigmoid(), spans)
        found = {}
        for place, (word, box) in enumerate(zip(words, best_boxes(scores, _BOX), strict=True)):
            if box is not None:
                x, y, w, h = (
                    out.pred_boxes[0, box].float().cpu() * torch.tensor([width, height] * 2)
                ).unbind()
                left, top = x - w / 2, y - h / 2
                whole = int(left), int(top), int(w + left), int(h + top)
                found[word] = Found(whole, float(scores[box, place]))
        return found

    def _span(self, prompt: list[int], word: str) -> list[int]:
        """Where the tokens of a word stand in a prompt; everywhere, if they do several times."""
        own = self.tokenizer(word)["input_ids"][1:-1]
        starts = [i for i in range(len(prompt)) if own and prompt[i : i + len(own)] == own]
        span = sorted({i + offset for i in starts for offset in range(len(own))})
        if not span:
            raise ValueError(f"the word {word!r} has no token of the detector, expected a noun")
        return span

    @torch.no_grad()
    def masks(self, picture: Tensor, boxes: Sequence[Box]) -> list[Tensor | None]:
        """[H, W] bool of what is in each box of uint8 [3, H, W]; None where SAM is not sure."""
        height, width = picture.shape[1:]
        side = self.sam.config.vision_config.image_size
        scale = side / max(height, width)
        inner = int(height * scale + 0.5), int(width * scale + 0.5)
        pixels = resized(picture, inner, "bilinear").float()
        mean, std = (torch.tensor(part)[:, None, None] for part in _SAM)
        pixels = F.pad((pixels - mean) / std, (0, side - inner[1], 0, side - inner[0]))
        device = next(self.sam.parameters()).device
        shares = torch.tensor([inner[1] / width, inner[0] / height] * 2)
        out = self.sam(
            pixel_values=pixels[None].to(device),
            input_boxes=(torch.tensor(boxes)[None] * shares).to(device),
            multimask_output=False,
        )
        large = F.interpolate(
            out.pred_masks[0].float().cpu(), (side, side), mode="bilinear", align_corners=False
        )[..., : inner[0], : inner[1]]
        large = F.interpolate(large, (height, width), mode="bilinear", align_corners=False)[:, 0]
        sure = out.iou_scores[0].float().cpu().flatten() > _MASK
        return [mask > 0 if keep else None for mask, keep in zip(large, sure.tolist(), strict=True)]

    @torch.no_grad()
    def _class_token(self, cut: Tensor) -> Tensor:
        size = getattr(self.dino.config, "image_size", _DINO)
        pixels = normalised(resized(pad_square(cut), (size, size)), IMAGENET)
        device = next(self.dino.parameters()).device
        hidden: Tensor = self.dino(pixel_values=pixels[None].to(device)).last_hidden_state
        return hidden[0, 0].float().cpu()


def _looked(height: int, width: int) -> tuple[int, int]:
    """The size at which Grounding DINO looks: the short side 800, the long one 1333 at most."""
    short, long = sorted((height, width))
    side = _SHORT
    if long / short * side > _LONG:
        side = round(_LONG * short / long)
    return (
        (side, int(side * width / height))
        if height <= width
        else (
            int(side * height / width),
            side,
        )
    )


def _cut(picture: Tensor, box: Box, mask: Tensor) -> Tensor | None:
    """uint8 [3, h, w] of what a mask shows in a box; None where they do not fit, as upstream."""
    left, top, right, bottom = box
    height, width = bottom - top, right - left
    part = picture.numpy()[:, top:bottom, left:right]  # as upstream, from the end where negative
    seen = mask.numpy()[top:bottom, left:right]
    rows, columns = seen.shape
    fits = (rows == height and width - _SHORTER <= columns <= width) or (
        columns == width and height - _SHORTER <= rows <= height
    )
    if not fits or not rows or not columns:
        return None
    return torch.where(torch.from_numpy(seen), torch.from_numpy(part), torch.tensor(255).byte())


def _loaded(kind: Any, folder: Path, device: str, **more: Any) -> Any:
    model, loading = _read(kind.from_pretrained, folder, output_loading_info=True, **more)
    if missing := sorted(loading["missing_keys"]):
        raise ValueError(
            f"{folder} lacks {len(missing)} weights such as {missing[0]}, "
            f"expected {PARTS[folder.name]}"
        )
    return model.to(device).eval()


def _read(load: Callable[..., Any], folder: Path, **more: Any) -> Any:
    from safetensors import SafetensorError

    try:
        return load(str(folder), local_files_only=True, **more)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{folder} cannot be loaded ({reason}), expected a folder of {PARTS[folder.name]}"
        ) from error
