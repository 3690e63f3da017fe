"""Cut-outs: pictures of one thing without what was behind it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .fields import refuse

_SOLID = 0.95
"""From here on a cut-out's colours are its own; below, what was behind shines through."""
_NOTHING = 1 / 255


@dataclass(frozen=True, eq=False)
class CutOut:
    """A thing without its background, and how large it stands in the video.

    Attributes:
        layers: [N, 4, h, w] float32 RGBA in [0, 1], premultiplied, no larger than what is to be
            seen. Of several the video shows one a frame, again and again.
        name: of the entity or path in the trajectories whose way it goes; "" for the next one.
        start, end: its height where its path starts and ends, times the path's own scale.
        of_frame: heights are fractions of the video's height, else of its own height in `layers`.
        anchor: (x, y) of the place in it that is on the path, as fractions from its upper left.

    Raises:
        ValueError: if a height is not positive, or the layers are no RGBA pictures.
    """

    layers: Tensor
    name: str = ""
    start: float = 0.5
    end: float = 0.5
    of_frame: bool = True
    anchor: tuple[float, float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        if self.layers.ndim != 4 or self.layers.shape[1] != 4 or not self.layers.numel():
            raise ValueError(
                f"layers have the shape {tuple(self.layers.shape)}, expected [N, 4, h, w]"
            )
        for name in ("start", "end"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise refuse(name, value, "a size above 0")


def cut_out(pictures: Tensor, masks: Tensor | None = None, clean: bool = True) -> Tensor:
    """The layers of a `CutOut`: trimmed, premultiplied, without the old background at their edges.

    Where an edge is soft or fine, a picture's colours are mixed with what was behind it, which
    would stand around the thing as a halo. They are replaced by the nearest solid ones.

    Args:
        pictures: [N, H, W, 3 or 4] in [0, 1]; a fourth channel is how opaque each place is.
        masks: [N or 1, h, w] in [0, 1], how opaque each place is, in place of a fourth channel;
            stretched over the pictures.
        clean: replace the colours of soft edges; not for things that are see-through themselves.

    Returns:
        [N, 4, h, w] float32 on the CPU.

    Raises:
        ValueError: if nothing says what is opaque, nothing is, or there are other numbers of masks.
    """
    if pictures.ndim != 4 or pictures.shape[-1] not in (3, 4):
        raise ValueError(
            f"pictures have the shape {tuple(pictures.shape)}, expected [N, H, W, 3 or 4]"
        )
    planes = pictures.detach().cpu().float().movedim(-1, 1).clamp(0, 1)
    if masks is not None:
        alpha = _fitted(masks, planes)
    elif planes.shape[1] == 4:
        alpha = planes[:, 3:]
    else:
        raise ValueError(
            "pictures have neither a mask nor an alpha channel, expected one of them, such as "
            "the mask of Remove Background"
        )
    top, bottom = _extent(alpha.amax((0, 1, 3)))
    left, right = _extent(alpha.amax((0, 1, 2)))
    alpha, colors = (part[..., top:bottom, left:right] for part in (alpha, planes[:, :3]))
    if clean:
        colors = torch.cat([_cleaned(*pair) for pair in zip(colors, alpha, strict=True)])
    return torch.cat([colors * alpha, alpha], dim=1)


def _fitted(masks: Tensor, planes: Tensor) -> Tensor:
    """Masks as [N, 1, H, W] of the pictures' size."""
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.ndim != 3 or len(masks) not in (1, len(planes)):
        raise ValueError(
            f"masks have the shape {tuple(masks.shape)} for {len(planes)} pictures, "
            "expected [N, H, W] with one, or one a picture"
        )
    alpha = masks.detach().cpu().float()[:, None].clamp(0, 1)
    size = planes.shape[-2:]
    if alpha.shape[-2:] != size:
        alpha = F.interpolate(alpha, size, mode="bilinear", antialias=True).clamp(0, 1)
    return alpha.expand(len(planes), -1, -1, -1)


def _extent(line: Tensor) -> tuple[int, int]:
    """Where a line of opacities is not nothing: first, and one after the last."""
    there = (line > _NOTHING).nonzero()
    if not len(there):
        raise ValueError(
            "the mask is empty, expected white where the thing is (Load Image's mask is the other "
            "way round)"
        )
    return int(there[0]), int(there[-1]) + 1


def _cleaned(colors: Tensor, alpha: Tensor) -> Tensor:
    """Colours [3, h, w] whose mixed places have those of solid ones nearby: [1, 3, h, w]."""
    solid = (alpha >= _SOLID * float(alpha.max())).float()[None]
    return _filled(colors[None] * solid, solid)


def _filled(colors: Tensor, weight: Tensor) -> Tensor:
    """Colours where there are any, and elsewhere those of ever wider surroundings."""
    own = colors / weight.clamp(min=1e-6)
    if max(weight.shape[-2:]) == 1 or bool((weight > 0).all()):
        return own
    halves = (F.avg_pool2d(part, 2, ceil_mode=True) for part in (colors, weight))
    around = F.interpolate(_filled(*halves), weight.shape[-2:], mode="bilinear")
    return torch.where(weight > 0, own, around)
