"""Captions by a vision language model, for clips that come without one."""

from __future__ import annotations

from typing import Any

from ..candidate import Candidate
from ..moments import moments
from ..pretrained import Chat, Published

CAPTIONER = Published(
    "Qwen2.5-VL-7B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct", "16.6 GB", "Apache-2.0"
)
_EXPECTED = "an image-text-to-text model of transformers such as Qwen/Qwen2.5-VL-7B-Instruct"
_SHARES = tuple(place / 7 for place in range(8))
_SIDE = 448
_PROMPT = (
    "These are frames of one video in order. Describe the video in two sentences: who or what is "
    "in it, and how each of them moves. Name every person, animal and thing with a noun of its own."
)


class Captioner:
    """Describes clips; loads its model when it is made.

    Args:
        path: the model's folder; searched if None.
        device: as `device.resolve_device` takes it.
        most_tokens: of a caption.
    """

    def __init__(self, path: str | None, device: str, most_tokens: int = 128) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        folder = CAPTIONER.folder(path)
        self.chat = Chat(
            AutoProcessor, AutoModelForImageTextToText, folder, _EXPECTED, device, most_tokens
        )

    def caption(self, candidate: Candidate) -> str:
        """What eight frames of a clip show, on one line; empty where the model says nothing."""
        import torch

        places = moments(candidate.frame_count, _SHARES)
        pictures = torch.tensor(candidate.frames(places, _SIDE)).movedim(-1, 1)
        content: list[dict[str, Any]] = [
            {"type": "image", "image": picture} for picture in pictures
        ]
        content.append({"type": "text", "text": _PROMPT})
        said = self.chat.answer(content)
        return " ".join("".join(c if c.isprintable() else " " for c in said).split())
