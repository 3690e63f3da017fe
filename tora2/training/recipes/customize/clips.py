"""The clips and pictures of a run, read, encoded once and drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ....encoders.pictures import Picture, cover, load_picture, on_white
from ....geometry import Grid
from ....latents import encode_video
from ....text import encode_prompts, token_ids
from ....video import read_video
from .config import Customization, Shown

_MOST_COMPOSED = 64


@dataclass(frozen=True, eq=False)
class Examples:
    """Clips or pictures of one size.

    Attributes:
        latents: [N, C, T, h, w], scaled; pictures are clips of one frame.
        context: [N, L, D] of their captions.
        appearance: [N, L, D] of captions of their looks alone, or None.
        words: [N, S, L] bool, the caption's tokens that name each of S composed subjects, or None.
        masks: [N, S, P] bool, the video tokens at which each is, or None.
    """

    latents: Tensor
    context: Tensor
    appearance: Tensor | None = None
    words: Tensor | None = None
    masks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.latents)

    def drawn(self, count: int, generator: torch.Generator) -> Examples:
        """As many of them, drawn with replacement."""
        rows = torch.randint(len(self), (count,), generator=generator)
        return self._each(lambda value: value[rows])

    def to(self, device: torch.device) -> Examples:
        """The same on a device."""
        return self._each(lambda value: value.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Examples:
        made = {name: change(one) for name, one in vars(self).items() if one is not None}
        return Examples(**made)


@dataclass(frozen=True, eq=False)
class Material:
    """All that a run learns from; None where there is none of it."""

    clips: Examples | None
    pictures: Examples | None
    regularizing: Examples | None
    composed: Examples | None


class Encoder:
    """Reads files and encodes them for one model.

    Args:
        parts: a folder's `EncodingParts`, on the device.
        config: gives the size of the clips.
        grid: of the model.
        device: to encode on.

    Raises:
        ValueError: if the model cannot make clips of that size.
    """

    def __init__(self, parts: Any, config: Customization, grid: Grid, device: torch.device) -> None:
        self.parts, self.grid, self.device = parts, grid, device
        info = parts.info
        self.frames = config.frames or info.frames
        self.size = (config.height or info.height, config.width or info.width)
        grid.check_video(self.frames, *self.size, "what is trained on")

    @torch.no_grad()
    def material(self, config: Customization) -> Material:
        """Everything that a configuration names.

        Raises:
            ValueError: if a file cannot be read, or a clip is too short.
        """
        subject = config.subject
        composed = None
        if len(subject.subjects) > 1 and subject.attention:
            composed = self._composed(subject.pictures)
        return Material(
            self.clips(config.motion.clips),
            self.pictures(subject.pictures),
            self.clips(subject.regularizing),
            composed,
        )

    def clips(self, shown: Sequence[Shown]) -> Examples | None:
        """Clips, their first frames."""
        if not shown:
            return None
        latents = [self._latents(self._video(one.file)) for one in shown]
        appearance = None
        if all(one.appearance is not None for one in shown):
            appearance = self.context([one.appearance or "" for one in shown])
        return Examples(
            torch.cat(latents), self.context([one.caption for one in shown]), appearance
        )

    def pictures(self, shown: Sequence[Shown]) -> Examples | None:
        """Pictures as clips of one frame, over white where they are transparent."""
        if not shown:
            return None
        frames = [cover(on_white(load_picture(one.file)), self.size) for one in shown]
        latents = [self._latents(frame[None]) for frame in frames]
        return Examples(torch.cat(latents), self.context([one.caption for one in shown]))

    def context(self, captions: Iterable[str]) -> Tensor:
        """[N, L, D] of captions."""
        ids = self._ids(list(captions))
        return torch.cat([encode_prompts(self.parts.text_encoder, row[None]).cpu() for row in ids])

    def _ids(self, captions: list[str]) -> Tensor:
        return token_ids(self.parts.tokenizer, captions, self.parts.info.text_tokens)

    def _video(self, file: str) -> Tensor:
        """uint8 [T, 3, H, W] of the trained size."""
        frames, _ = read_video(file)
        if len(frames) < self.frames:
            raise ValueError(
                f"the clip {file} has {len(frames)} frames, expected {self.frames} or more"
            )
        return torch.stack([cover(f.movedim(-1, 0), self.size) for f in frames[: self.frames]])

    def _latents(self, frames: Tensor) -> Tensor:
        video = frames.transpose(0, 1)[None].float() / 127.5 - 1
        return encode_video(self.parts.vae, video.to(self.device)).float().cpu()

    def _composed(self, shown: Sequence[Shown]) -> Examples:
        """Pictures of two subjects side by side, with where each is and which words name it."""
        pairs = [(a, b) for a, b in combinations(shown, 2) if a.subject != b.subject]
        pairs = [(a, b) for a, b in pairs if a.subject and b.subject][:_MOST_COMPOSED]
        captions, latents, words, masks = [], [], [], []
        for left, right in pairs:
            caption = f"{left.caption} and {right.caption}"
            frame, places = compose(load_picture(left.file), load_picture(right.file), self.size)
            captions.append(caption)
            latents.append(self._latents(frame[None]))
            names = (left.subject or "", right.subject or "")
            words.append(torch.stack([self._words(caption, name) for name in names]))
            tokens = self.grid.tokens(*(side // self.grid.spatial for side in self.size))
            masks.append(F.adaptive_max_pool2d(places, tokens).flatten(1) > 0.5)
        return Examples(
            torch.cat(latents),
            self.context(captions),
            words=torch.stack(words),
            masks=torch.stack(masks),
        )

    def _words(self, caption: str, name: str) -> Tensor:
        """[L] bool, the tokens of a caption that are those of some of its words."""
        whole, part = self._ids([caption])[0].tolist(), self._ids([name])[0].tolist()
        part = part[: part.index(0)] if 0 in part else part
        part = part[:-1]  # the end token
        found = torch.zeros(len(whole), dtype=torch.bool)
        for at in range(len(whole) - len(part) + 1):
            if whole[at : at + len(part)] == part:
                found[at : at + len(part)] = True
        return found


def compose(left: Picture, right: Picture, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Two pictures side by side, and where the thing on each of them is.

    Args:
        left, right: a thing is where its picture is opaque.
        size: (height, width) of the whole.

    Returns:
        uint8 [3, H, W] and [2, H, W] in [0, 1].
    """
    height, width = size
    halves = (width // 2, width - width // 2)
    frames, masks = [], torch.zeros(2, height, width)
    for index, (picture, half) in enumerate(zip((left, right), halves, strict=True)):
        frames.append(cover(on_white(picture), (height, half)))
        alpha = picture.alpha
        place = torch.ones(height, half)
        if alpha is not None:
            place = cover(alpha.float().view(1, *picture.size), (height, half))[0].clamp(0, 1)
        start = index * halves[0]
        masks[index, :, start : start + half] = place
    return torch.cat(frames, dim=-1), masks
