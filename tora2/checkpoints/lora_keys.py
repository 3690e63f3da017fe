"""The names that a LoRA's layers have in ComfyUI, by their names in diffusers."""

from __future__ import annotations

import re

from .cogvideox_keys import BLOCK_LAYERS

_HOST, _DIFFUSERS = "diffusion_model.", "transformer."
_COGVIDEOX = re.compile(r"transformer_blocks\.(\d{1,3})\.(.+)")
_COMFY = re.compile(r"blocks\.(\d{1,3})\.(.+)")
_TO_HOST = dict(BLOCK_LAYERS)
_FROM_HOST = {host: name for name, host in BLOCK_LAYERS}


def host_name(layer: str) -> str:
    """What the host's loaders call a layer of a diffusers transformer.

    A layer of CogVideoX's blocks has its name in the host's model. Any other keeps its own, as
    diffusers writes it, which the host knows of several models.
    """
    match = _COGVIDEOX.fullmatch(layer)
    if match and match[2] in _TO_HOST:
        return f"{_HOST}blocks.{match[1]}.{_TO_HOST[match[2]]}"
    return _DIFFUSERS + layer


def layer_name(name: str) -> str:
    """The layer of which `host_name` is this."""
    match = _COMFY.fullmatch(name.removeprefix(_HOST))
    if name.startswith(_HOST) and match and match[2] in _FROM_HOST:
        return f"transformer_blocks.{match[1]}.{_FROM_HOST[match[2]]}"
    return name.removeprefix(_DIFFUSERS)
