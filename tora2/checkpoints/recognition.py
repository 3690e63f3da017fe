"""What a file's tensors are, told by their names and shapes alone: values, not words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from torch import Tensor

from .assigning import SCALED
from .cogvideox_keys import count_blocks, entry_name, find_transformer
from .families import LATTE, WAN, Family
from .motion_keys import motion_names, parts_of

Shapes = Mapping[str, tuple[int, ...]]

OURS = ("personalization.", "cross_attention.", "binder.", "splat.", "to_context.")


class Kind(Enum):
    """What there is."""

    ADAPTER = "Tora2's own adapter, with its configuration"
    TRANSFORMER = "a CogVideoX transformer"
    WAN = "a Wan 2.1 transformer"
    LATTE = "a Latte transformer"
    MOTION = "Tora's motion parts, or one of the two"
    APPEARANCE = "Tora2's appearance parts"
    LORA = "a LoRA"
    TEXT_ENCODER = "a T5 text encoder"
    VAE = "a CogVideoX VAE"
    SEMANTIC = "a DINOv2"
    IMAGE_ENCODER = "a folder of an image encoder"


@dataclass(frozen=True)
class Holding:
    """One thing that a file or folder holds.

    Attributes:
        kind: what it is.
        layout: whose names its tensors have: `sat`, `diffusers` or `comfy`; or the folder of a
            pipeline that it lies in, which was not looked into.
        entry: shape of the weights that its input meets first, from which its width is told; of a
            text encoder, its embeddings' (words, channels). Empty where it is not told.
        blocks: of a transformer.
        parts: of motion parts, `fuser`, `extractor` or both.
        scaled: whether 8-bit weights have separate scales, which only the host's loader reads.
        trouble: why it cannot be used as it is; empty if it can.
    """

    kind: Kind
    layout: str = ""
    entry: tuple[int, ...] = ()
    blocks: int = 0
    parts: frozenset[str] = frozenset()
    scaled: bool = False
    trouble: str = ""


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    """What `recognise` goes by."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def recognise(shapes: Shapes, own: bool = False) -> tuple[Holding, ...]:
    """Everything that is known here among some tensors.

    Args:
        shapes: of tensors, by name.
        own: whether the metadata beside them says that Tora2 wrote them.
    """
    found = (
        Holding(Kind.ADAPTER) if own else None,
        _transformer(shapes),
        _other(shapes, Kind.WAN, WAN),
        _other(shapes, Kind.LATTE, LATTE),
        _motion(shapes),
        Holding(Kind.APPEARANCE) if any(name.startswith(OURS) for name in shapes) else None,
        Holding(Kind.LORA) if any(".lora_" in n or "lora_down" in n for n in shapes) else None,
        _text_encoder(shapes),
        _vae(shapes),
        _semantic(shapes),
    )
    return tuple(holding for holding in found if holding is not None)


def _transformer(shapes: Shapes) -> Holding | None:
    found = find_transformer(shapes)
    if found is None:
        return None
    return Holding(
        Kind.TRANSFORMER,
        found.layout,
        shapes.get(entry_name(found), ()),
        count_blocks(shapes, found),
        scaled=any(name.endswith(SCALED) for name in shapes),
    )


def _other(shapes: Shapes, kind: Kind, family: Family) -> Holding | None:
    found = family.find(shapes)
    if found is None:
        return None
    inside = [name.removeprefix(found.prefix) for name in shapes if name.startswith(found.prefix)]
    return Holding(
        kind,
        found.layout,
        shapes.get(found.prefix + family.entry, ()),
        family.count(inside),
        scaled=any(name.endswith(SCALED) for name in shapes),
    )


def _motion(shapes: Shapes) -> Holding | None:
    """By the names that no other model's parts have: others have extractors as well."""
    names = motion_names(shapes)
    telling = {
        name
        for name in names
        if ".flow_gamma_spatial." in name or name == "extractor.body.0.bn1.running_mean"
    }
    return Holding(Kind.MOTION, parts=frozenset(parts_of(telling))) if telling else None


def _text_encoder(shapes: Shapes) -> Holding | None:
    if not any(name.endswith("layer.0.SelfAttention.q.weight") for name in shapes):
        return None
    words = ("shared.weight", "encoder.embed_tokens.weight")
    entry = next((shape for name, shape in shapes.items() if name.endswith(words)), ())
    return Holding(Kind.TEXT_ENCODER, entry=entry)


def _vae(shapes: Shapes) -> Holding | None:
    """Causal convolutions, and norms in the decoder that the latents modulate."""
    ends = ("encoder.conv_in.conv.weight", "decoder.conv_in.conv.weight")
    causal = any(name.endswith(ends) and len(shape) == 5 for name, shape in shapes.items())
    plain = "decoder.mid_block.resnets.0.norm1.norm_layer.weight" in shapes
    if not causal or not (plain or any(".norm1.conv_y." in name for name in shapes)):
        return None
    layout = "diffusers" if any("mid_block.resnets." in name for name in shapes) else "sat"
    return Holding(Kind.VAE, layout, shapes.get("decoder.conv_in.conv.weight", ()))


def _semantic(shapes: Shapes) -> Holding | None:
    patches = shapes.get("embeddings.patch_embeddings.projection.weight", ())
    if not patches or not any("layer_scale1" in name for name in shapes):
        return None
    return Holding(Kind.SEMANTIC, entry=patches)
