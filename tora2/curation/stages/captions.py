"""Captions by a vision language model, for clips that come without one."""

from __future__ import annotations

from typing import Any

from ..candidate import Candidate
from ..moments import moments
from ..pretrained import Published, load_model, load_part

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
        self.processor: Any = load_part(AutoProcessor, folder, _EXPECTED)
        if getattr(self.processor, "chat_template", None) is None:
            raise ValueError(f"{folder} has no chat template, expected {_EXPECTED}")
        self.model = load_model(AutoModelForImageTextToText, folder, _EXPECTED, device, "auto")
        self.most_tokens = most_tokens

    def caption(self, candidate: Candidate) -> str:
        """What eight frames of a clip show, on one line; empty where the model says nothing."""
        import torch

        places = moments(candidate.frame_count, _SHARES)
        pictures = torch.tensor(candidate.frames(places, _SIDE)).movedim(-1, 1)
        content: list[dict[str, Any]] = [
            {"type": "image", "image": picture} for picture in pictures
        ]
        content.append({"type": "text", "text": _PROMPT})
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self.model.device)
        with torch.inference_mode():
            tokens = self.model.generate(**inputs, max_new_tokens=self.most_tokens, do_sample=False)
        said = self.processor.batch_decode(
            tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )[0]
        return " ".join("".join(c if c.isprintable() else " " for c in said).split())
