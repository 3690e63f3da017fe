"""What was recognised, put into words."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..fields import plain
from .cogvideox_config import task_of
from .motion_keys import PARTS
from .recognition import Holding, Kind, recognise, shapes_of

_NAMES = {"sat": "SAT", "diffusers": "diffusers", "comfy": "ComfyUI"}
_FOLDERS = {
    Kind.VAE: "a VAE",
    Kind.TEXT_ENCODER: "a text encoder",
    Kind.IMAGE_ENCODER: "an image encoder",
}
_SHORT = {
    Kind.ADAPTER: "a Tora2 adapter",
    Kind.APPEARANCE: "Tora2's appearance parts",
    Kind.LORA: "a LoRA",
    Kind.TEXT_ENCODER: "a T5 text encoder",
    Kind.VAE: "a CogVideoX VAE",
}


def describe(tensors: Mapping[str, Tensor]) -> str:
    """A phrase such as `a CogVideoX transformer in SAT names and Tora's motion parts`."""
    found = " and ".join(map(brief, recognise(shapes_of(tensors))))
    return found or f"unknown tensors ({some(tensors)})"


def some(names: Mapping[str, object]) -> str:
    """The first names of a file."""
    return ", ".join(plain(name) for name in sorted(names)[:3]) or "none at all"


def brief(holding: Holding) -> str:
    """A holding in a refusal."""
    if holding.kind in (Kind.TRANSFORMER, Kind.WAN, Kind.LATTE):
        return f"{holding.kind.value} in {_NAMES[holding.layout]} names"
    if holding.kind is Kind.MOTION:
        if len(holding.parts) == 2:
            return "Tora's motion parts (trajectory extractor and fusers)"
        return f"Tora's {PARTS[next(iter(holding.parts))]} alone"
    if holding.kind is Kind.SEMANTIC:
        return f"a DINOv2 of {holding.entry[0]} channels"
    return _SHORT[holding.kind]


def phrase(holding: Holding) -> str:
    """A holding in a report."""
    if holding.kind in _FOLDERS and holding.layout.endswith("/"):
        return f"{_FOLDERS[holding.kind]} ({holding.layout})"
    if holding.kind is Kind.TRANSFORMER and not holding.trouble:
        return f"{brief(holding)}, for {task_of(holding.entry[1])}"
    if holding.kind is Kind.MOTION:
        if len(holding.parts) == 2:
            return "Tora's trajectory extractor and fusers"
        return f"Tora's {PARTS[next(iter(holding.parts))]}, one half of its motion parts"
    return brief(holding)


def complaint(holding: Holding) -> str:
    """Why a holding cannot be used, as a sentence; empty if it can."""
    if holding.kind in (Kind.TRANSFORMER, Kind.WAN, Kind.LATTE) and holding.trouble:
        return f"it cannot be used here: {holding.trouble}"
    return holding.trouble
