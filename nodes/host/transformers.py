"""Transformers of any public layout as the host's MODEL."""

from __future__ import annotations

import os

import torch
from comfy import sd
from comfy.model_patcher import ModelPatcher

from ...tora2.checkpoints import convert_transformer, read_transformer
from ...tora2.checkpoints.cogvideox_keys import find_transformer, refuse_other_bases
from ...tora2.checkpoints.folders import read_transformer_weights
from ...tora2.checkpoints.recognition import Kind, recognise, shapes_of
from .corrections import correct, without_learned_position

WEIGHT_TYPES = ("default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2")


def load_model(path: str, weight_type: str = "default", learned: bool = True) -> ModelPatcher:
    """A corrected MODEL from a CogVideoX-1.0 or Tora transformer.

    Args:
        path: whatever `tora2.checkpoints.read_transformer` reads, or a single file of scaled 8-bit
            weights under the host's names, which the host's own loader reads.
        weight_type: one of `WEIGHT_TYPES`, as in the host's own loader.
        learned: keep the learned position embedding of image-to-video models.

    Raises:
        ValueError: if there is no such transformer in the file.
    """
    model = _load(path, weight_type)
    model.cached_patcher_init = (_load, (path, weight_type))
    return correct(model if learned else without_learned_position(model))


def _load(path: str, weight_type: str, disable_dynamic: bool = False) -> ModelPatcher:
    options: dict[str, object] = {}
    if weight_type.startswith("fp8_"):
        options["dtype"] = getattr(torch, "float8_" + weight_type.split("_")[1])
        options["fp8_optimizations"] = weight_type.endswith("_fast")
    if _is_scaled(path):
        if options:
            raise ValueError(
                f"weight_dtype is {weight_type} but the weights of {path} are scaled 8-bit ones "
                "already, expected default"
            )
        model = sd.load_diffusion_model(path, disable_dynamic=disable_dynamic)
    else:
        weights = convert_transformer(read_transformer(path)[1], "comfy")
        model = sd.load_diffusion_model_state_dict(
            weights, model_options=options, disable_dynamic=disable_dynamic
        )
    if model is None:
        raise ValueError(f"{path} was not recognised by this ComfyUI, expected a CogVideoX model")
    return model


def _is_scaled(path: str) -> bool:
    """Whether a file holds a transformer in the host's own 8-bit format with separate scales."""
    if os.path.isdir(path):
        return False
    tensors = read_transformer_weights(path).tensors
    held = {holding.kind: holding for holding in recognise(shapes_of(tensors))}
    transformer, found = held.get(Kind.TRANSFORMER), find_transformer(tensors)
    if found is None or transformer is None or transformer.layout != "comfy":
        return False
    refuse_other_bases({name.removeprefix(found.prefix): x for name, x in tensors.items()})
    return transformer.scaled
