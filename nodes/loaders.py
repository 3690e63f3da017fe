"""Loading transformers and adapters."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..tora2.checkpoints import adapter_flow_sigma, load_adapter, sources
from .host import adapters, files
from .host.transformers import WEIGHT_TYPES, load_model
from .io_types import AdapterSocket, LoadedAdapter
from .validation import NO_FILE, refusal

POSITIONS = ("as trained", "off (as Tora)")
TRANSFORMERS = (sources.BASE, sources.BASE_I2V, sources.TORA_TRANSFORMER, sources.TORA_SAT)
ADAPTERS = (sources.TORA_SPLIT, sources.TORA_SAT)


class Tora2LoadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2LoadModel",
            display_name="Tora2 Load Model",
            category="Tora2/loaders",
            description="A CogVideoX-5B or Tora transformer in any published layout, with the "
            "host's known errors for these models corrected. KSampler is right by default.",
            search_aliases=["cogvideox loader", "unet loader", "tora model", "diffusers loader"],
            inputs=[
                io.Combo.Input(
                    "model",
                    options=files.choices(files.TRANSFORMERS) or [NO_FILE],
                    tooltip="A file in models/diffusion_models (ComfyUI, diffusers or SAT layout), "
                    "or a folder there that holds a model in shards.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(WEIGHT_TYPES),
                    default="default",
                    advanced=True,
                    tooltip="How weights are kept in memory. The 8-bit types need half the memory "
                    "and lose some precision.",
                ),
                io.Combo.Input(
                    "learned_position",
                    options=list(POSITIONS),
                    default=POSITIONS[0],
                    advanced=True,
                    tooltip="Image-to-video models carry a learned position embedding. Their "
                    "authors train with it; Tora's own code leaves it out.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="The model, with its sampling set.")],
        )

    @classmethod
    def validate_inputs(cls, model: Any = None) -> bool | str:
        # Only the file is ours to check: the host says a sentence again for every input it gives.
        where = {"model": lambda: files.where(files.TRANSFORMERS, TRANSFORMERS)}
        return refusal(cls, {"model": model}, where=where)

    @classmethod
    def execute(cls, model: str, weight_dtype: str, learned_position: str) -> io.NodeOutput:
        path = files.locate(files.TRANSFORMERS, model, TRANSFORMERS)
        return io.NodeOutput(load_model(path, weight_dtype, learned_position == POSITIONS[0]))


class Tora2LoadAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2LoadAdapter",
            display_name="Tora2 Load Adapter",
            category="Tora2/loaders",
            description="A Tora2 adapter, or Tora's published motion parts: trajectory control.",
            search_aliases=["tora loader", "fuser", "trajectory extractor", "adapter loader"],
            inputs=[
                io.Combo.Input(
                    "adapter",
                    options=files.choices(files.ADAPTERS) or [NO_FILE],
                    tooltip="A file or folder in models/tora2: an adapter trained with this "
                    "project, Tora's SAT or diffusers file, or the split fuser and extractor.",
                ),
            ],
            outputs=[
                AdapterSocket.Output(
                    display_name="adapter", tooltip="For Tora2 Encode Entity and Tora2 Bind."
                ),
                io.String.Output(
                    display_name="contents", tooltip="What the file holds and enables, in words."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, adapter: Any = None) -> bool | str:
        where = {"adapter": lambda: files.where(files.ADAPTERS, ADAPTERS, sources.NO_TORA2)}
        return refusal(cls, {"adapter": adapter}, where=where)

    @classmethod
    def execute(cls, adapter: str) -> io.NodeOutput:
        path = files.locate(files.ADAPTERS, adapter, ADAPTERS, sources.NO_TORA2)
        patcher = adapters.load_adapter_model(load_adapter(path))
        sigma = adapter_flow_sigma(path)
        loaded = LoadedAdapter(
            patcher, adapter, LoadedAdapter.flow_sigma if sigma is None else sigma
        )
        return io.NodeOutput(loaded, contents(loaded))


def contents(loaded: LoadedAdapter) -> str:
    """What an adapter can do, in words."""
    config = loaded.adapter.config
    parts = ", ".join(config.capabilities)
    lines = [f"{loaded.name}: {parts}; {config.layers} blocks of {config.dim} channels"]
    if "appearance" not in config.capabilities:
        lines.append(f"Trajectories only. {sources.NO_TORA2}")
    return "\n".join(lines)
