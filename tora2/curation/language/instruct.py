"""Nouns by an instruction model through transformers (Qwen2.5 in section 3.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...fields import show
from ..pretrained import Chat, Published
from .words import ROLES, Named

INSTRUCT = Published("Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "15.2 GB", "Apache-2.0")
_EXPECTED = "an instruction model of transformers such as Qwen/Qwen2.5-7B-Instruct"
_MOST = 64  # words of one caption
_LONGEST = 2000  # characters of a caption that are read

_PROMPT = """List the nouns of the caption of a video as JSON with three lists:
{"subject": [...], "object": [...], "background": [...]}.
subject: the people, animals and things that act or are shown; object: other things that can be \
pointed at; background: places and scenery.
Copy each noun exactly as the caption writes it, keeping singular or plural, without articles, \
numbers and adjectives of quantity. Name no noun twice. Answer with the JSON alone.

Caption: """


class InstructNouns:
    """An extractor; loads its model when it is made.

    Args:
        path: the model's folder; searched if None.
        device: as `device.resolve_device` takes it.
        most_tokens: of the answer.
    """

    def __init__(self, path: str | None, device: str, most_tokens: int = 256) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = INSTRUCT.folder(path)
        self.chat = Chat(
            AutoTokenizer, AutoModelForCausalLM, folder, _EXPECTED, device, most_tokens
        )

    def named(self, caption: str) -> tuple[Named, ...]:
        """The nouns of a caption.

        Raises:
            ValueError: if the model's answer holds no such JSON.
        """
        return parse_answer(self.chat.answer(_PROMPT + caption[:_LONGEST]))


def parse_answer(answer: str) -> tuple[Named, ...]:
    """The words of an answer: the first JSON object in it that has the role `subject`.

    Raises:
        ValueError: if there is none, or its lists hold anything but texts.
    """
    decoder = json.JSONDecoder()
    at = answer.find("{")
    while at >= 0:
        try:
            value, _ = decoder.raw_decode(answer, at)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, Mapping) and "subject" in value:
            return _named(value)
        at = answer.find("{", at + 1)
    raise ValueError(f"the instruction model answered {show(answer)}, expected JSON of nouns")


def _named(value: Mapping[str, Any]) -> tuple[Named, ...]:
    result = []
    for role in ROLES:
        words = value.get(role, [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"the instruction model's {role} is {show(words)}, expected texts")
        result += [Named(word, role) for word in words]
    return tuple(result[:_MOST])
