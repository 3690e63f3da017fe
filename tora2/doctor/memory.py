"""What memory a video takes, and what of it fits."""

from __future__ import annotations

from dataclasses import dataclass

from ..checkpoints.cogvideox_config import BLOCKS

GIB = 2**30

TRANSFORMER = 5_570_283_072
MOTION = 694_352_000
ADAPTER = 1_250_902_146
TEXT_ENCODER = 4_762_310_656
VAE = 215_583_907

ACTIVATIONS = int(2.63 * GIB)
"""Of a plain step at 480x720, 49 frames, bfloat16, both halves of the guidance at once.

Counted by `benchmarks/step.py`; kernels' own workspaces come on top.
"""
CONDITIONS = int(0.22 * GIB)
"""What a clip's motion features, and keys and values of eight entities, take beside it."""


@dataclass(frozen=True)
class Need:
    """What sampling takes.

    Attributes:
        task: what is made, with its size.
        transformer: its parameters; a host may keep them in 8 bits, or off the device.
        adapter: parameters that are loaded whole, in the type the transformer computes in.
        activations: bytes beside the weights.
    """

    task: str
    transformer: int
    adapter: int
    activations: int

    def sampling(self, width: int = 2) -> int:
        """Bytes with the transformer and the adapter on the device.

        Args:
            width: bytes of one of the transformer's weights.
        """
        return width * self.transformer + 2 * self.adapter + self.activations

    @property
    def together(self) -> int:
        """Bytes with every part on the device at once, 16-bit weights."""
        return self.sampling() + 2 * (TEXT_ENCODER + VAE)

    @property
    def least(self) -> int:
        """Bytes with one of the transformer's blocks on the device at a time."""
        return 2 * self.transformer // BLOCKS + 2 * self.adapter + self.activations


_SIZE = "480x720, 49 frames, bfloat16"
NEEDS = (
    Need(f"CogVideoX-5B, {_SIZE}", TRANSFORMER, 0, ACTIVATIONS),
    Need(f"CogVideoX-5B with Tora, {_SIZE}", TRANSFORMER, MOTION, ACTIVATIONS + CONDITIONS),
    Need(f"CogVideoX-5B with Tora2, {_SIZE}", TRANSFORMER, ADAPTER, ACTIVATIONS + CONDITIONS),
)


@dataclass(frozen=True)
class Verdict:
    """A need beside what is free.

    Attributes:
        task: what is made.
        weights, eight_bit: bytes of the weights while sampling, with the transformer in 16 bits
            and in 8 bits.
        activations: bytes beside them.
        fits: what fits, in words.
    """

    task: str
    weights: int
    eight_bit: int
    activations: int
    fits: str

    def __str__(self) -> str:
        return (
            f"{self.task}: weights {_gib(self.weights)} ({_gib(self.eight_bit)} with 8-bit ones) "
            f"and activations {_gib(self.activations)}: {self.fits}"
        )


def judge(need: Need, free: int | None, accelerated: bool) -> Verdict:
    """Compare a need with the device's free memory.

    Args:
        need: what sampling takes.
        free: bytes; None if they cannot be told.
        accelerated: whether the device is more than a CPU.
    """
    return Verdict(
        need.task,
        need.sampling() - need.activations,
        need.sampling(width=1) - need.activations,
        need.activations,
        _fits(need, free, accelerated),
    )


def _fits(need: Need, free: int | None, accelerated: bool) -> str:
    if not accelerated:
        return "there is no GPU, and a CPU takes hours; the bundled model is made for one"
    if free is None:
        return "what is free cannot be told"
    if need.together <= free:
        return "fits whole, together with the text encoder and the VAE"
    if need.sampling() <= free:
        return "fits whole while sampling, with the text encoder moved off the device before"
    if need.sampling(width=1) <= free:
        return (
            "fits whole with 8-bit weights; 16-bit ones stay partly in system memory, from where "
            "the host moves them as they are needed (slower)"
        )
    if need.least <= free:
        return (
            "fits with weights that stay in system memory, from where the host moves them as "
            "they are needed (slow); 8-bit ones halve what is moved"
        )
    return f"does not fit: {_gib(need.least)} are the least with one block at a time"


RESERVED = int(1.25 * GIB)
"""Of a card's memory, what its driver, the desktop and the host's own workspaces take."""
CARDS = (12, 16, 24)
"""Memory of common cards in GB, as they are sold."""


@dataclass(frozen=True)
class Preset:
    """How to load what a card's memory holds, image to video with Tora at 480x720 and 49 frames.

    Attributes:
        card: its memory in GB, as it is sold.
        weight_dtype: of Tora2 Load Model.
        text_encoder: the file for Load CLIP.
        device: bytes on the card while sampling.
        system: bytes of system memory, of what rests there beside it.
        disk: bytes of the files.
    """

    card: int
    weight_dtype: str
    text_encoder: str
    device: int
    system: int
    disk: int

    def __str__(self) -> str:
        return (
            f"{self.card} GB: weight_dtype {self.weight_dtype}, {self.text_encoder}: "
            f"{_gib(self.device)} on the card while sampling, {_gib(self.system)} of system "
            f"memory, {self.disk / 1e9:.1f} GB on disk"
        )


def preset(card: int) -> Preset:
    """What suits a card of so many GB, by the same figures as `judge`."""
    need = next(need for need in NEEDS if need.adapter == MOTION)
    whole = need.sampling() + RESERVED <= card * GIB
    # The text encoder has the card to itself while a prompt is encoded, then makes room.
    large = 2 * TEXT_ENCODER + RESERVED <= card * GIB and card >= CARDS[-1]
    text = (2 if large else 1) * TEXT_ENCODER
    width = 2 if whole else 1
    return Preset(
        card,
        "default" if whole else "fp8_e4m3fn",
        "t5xxl_fp16" if large else "t5xxl_fp8_e4m3fn_scaled",
        need.sampling(width),
        text + width * TRANSFORMER + 2 * (MOTION + VAE),
        2 * (TRANSFORMER + MOTION + VAE) + text,
    )


def text_encoder() -> str:
    """What encoding a prompt takes, in words."""
    sizes = _gib(2 * TEXT_ENCODER), _gib(TEXT_ENCODER)
    return f"the text encoder: {sizes[0]}, or {sizes[1]} in 8 bits, while a prompt is encoded"


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
