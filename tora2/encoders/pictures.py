"""Pictures from files and hosts, as tensors: decoding, alpha, white background, square, size."""

import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from .picture_file import opened_picture

MAX_SIDE = 2048
_STRIP = 1 << 20


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in memory.

    Attributes:
        rgb: uint8 [3, H, W], sRGB as stored; origin top-left.
        alpha: float32 [H, W] in [0, 1], 1 where the picture is opaque; None when all of it is.
    """

    rgb: Tensor
    alpha: Tensor | None = None

    def __post_init__(self) -> None:
        if self.rgb.dtype != torch.uint8 or self.rgb.ndim != 3 or self.rgb.shape[0] != 3:
            raise ValueError(
                f"picture is {self.rgb.dtype} {tuple(self.rgb.shape)}; expected uint8 [3, H, W]"
            )
        if self.alpha is not None and self.alpha.shape != self.rgb.shape[1:]:
            raise ValueError(
                f"alpha is {tuple(self.alpha.shape)}; expected {tuple(self.rgb.shape[1:])} "
                "as the picture"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.rgb.shape[1], self.rgb.shape[2]


def load_picture(
    source: str | os.PathLike[str] | bytes, name: str | None = None, max_side: int = MAX_SIDE
) -> Picture:
    """Decode an image file, turned upright, its first frame when it is animated.

    Args:
        source: a path, or the bytes of a file.
        name: what errors call it; the path, or "the image" for bytes.
        max_side: longer pictures are scaled down so that their long side is this many pixels.

    Raises:
        ValueError: if the file is missing, not an image, damaged, or too large; see
            `opened_picture`, which every picture file comes through.
    """
    with opened_picture(source, name) as image:
        image.draft("RGB", (max_side, max_side))
        ImageOps.exif_transpose(image, in_place=True)
        return _picture(image, max_side)


def _picture(image: Image.Image, max_side: int) -> Picture:
    image = _eight_bit(image)
    transparent = image.has_transparency_data
    mode = "RGBA" if transparent else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if max(image.size) > max_side:
        image.thumbnail((max_side, max_side), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    if not transparent or bool((pixels[3] == 255).all()):
        return Picture(pixels[:3].contiguous())
    return Picture(pixels[:3].contiguous(), pixels[3].float() / 255)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Greyscale of 16 or 32 bits to `L`, strip by strip; floats are taken as [0, 1]."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    limit = 1.0 if image.mode == "F" else 65535.0
    grey = Image.new("L", image.size)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        values = np.asarray(strip).astype(np.float64)
        if not (values.min() >= 0 and values.max() <= limit):  # which NaN does not pass either
            raise ValueError(f"its values leave [0, {limit:g}]")
        eight = np.round(values * (255 / limit)).astype(np.uint8)
        grey.paste(Image.fromarray(eight), (0, top))
    return grey


def picture_from_tensor(
    image: Tensor, mask: Tensor | None = None, max_side: int = MAX_SIDE
) -> Picture:
    """A host's picture, and optionally where the entity is.

    Args:
        image: [H, W, 3 or 4] in [0, 1]; a fourth channel is alpha.
        mask: [H', W'] in [0, 1], 1 on the entity, scaled to the picture; multiplies alpha.
        max_side: as in `load_picture`.

    Raises:
        ValueError: if the shapes are others, or nothing is left visible.
    """
    if image.ndim != 3 or image.shape[2] not in (3, 4) or 0 in image.shape:
        raise ValueError(f"image has shape {tuple(image.shape)}; expected [H, W, 3 or 4]")
    pixels = image.detach().cpu().float().permute(2, 0, 1).nan_to_num().clamp(0, 1)
    if (side := max(pixels.shape[1:])) > max_side:
        height, width = (max(1, round(n * max_side / side)) for n in pixels.shape[1:])
        pixels = resize(pixels, (height, width)).clamp(0, 1)
    alpha = pixels[3] if len(pixels) == 4 else None
    if mask is not None:
        if mask.ndim != 2:
            raise ValueError(f"mask has shape {tuple(mask.shape)}; expected [H, W]")
        mask = mask.detach().cpu().float().nan_to_num().clamp(0, 1)
        if mask.shape != pixels.shape[1:]:
            mask = resize(mask[None], (pixels.shape[1], pixels.shape[2]))[0].clamp(0, 1)
        alpha = mask if alpha is None else alpha * mask
    if alpha is not None and not bool((alpha > 0.5).any()):
        raise ValueError("the mask is empty; expected 1 (white) where the entity is")
    rgb = (pixels[:3] * 255).round().to(torch.uint8)
    return Picture(rgb.contiguous(), alpha)


def on_white(picture: Picture) -> Tensor:
    """uint8 [3, H, W]: the picture over a white background."""
    if picture.alpha is None:
        return picture.rgb
    over = picture.rgb.float() * picture.alpha + 255 * (1 - picture.alpha)
    return over.round().to(torch.uint8)


def content_box(picture: Picture) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of what is opaque, in pixels; the whole where nothing is."""
    height, width = picture.size
    seen = None if picture.alpha is None else picture.alpha > 0.5
    if seen is None or not bool(seen.any()):
        return 0.0, 0.0, float(width), float(height)
    rows, columns = (seen.any(dim).nonzero().flatten() for dim in (1, 0))
    return float(columns[0]), float(rows[0]), float(columns[-1]) + 1, float(rows[-1]) + 1


def crop(image: Tensor, box: tuple[float, float, float, float]) -> Tensor:
    """The part of [C, H, W] in a box (left, top, right, bottom), at least one pixel of it."""
    height, width = image.shape[-2:]
    left, top = min(max(0, round(box[0])), width - 1), min(max(0, round(box[1])), height - 1)
    right, bottom = max(left + 1, round(box[2])), max(top + 1, round(box[3]))
    return image[:, top:bottom, left:right]


def pad_square(image: Tensor, fill: int = 255) -> Tensor:
    """[C, H, W] centred on a square of its long side; `fill` is the value around it."""
    height, width = image.shape[-2:]
    rest_y, rest_x = max(0, width - height), max(0, height - width)
    padding = (rest_x // 2, rest_x - rest_x // 2, rest_y // 2, rest_y - rest_y // 2)
    return F.pad(image, padding, value=fill)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Bicubic and antialiased.

    Args:
        image: [C, H, W], uint8 or float.
        size: (height, width).

    Returns:
        [C, height, width] of the same dtype; uint8 is rounded and clamped.
    """
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    out = F.interpolate(image[None].float(), size=size, mode="bicubic", antialias=True)[0]
    if image.dtype == torch.uint8:
        return out.round().clamp(0, 255).to(torch.uint8)
    return out.to(image.dtype)


def cover(image: Tensor, size: tuple[int, int]) -> Tensor:
    """[C, H, W] resized to cover (height, width), the middle of it kept; see `resize`."""
    larger, (top, left) = covering((image.shape[-2], image.shape[-1]), size)
    return resize(image, larger)[:, top : top + size[0], left : left + size[1]]


def covering(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """How `cover` gets from one size to another, all (height, width) or (top, left) in pixels.

    Returns:
        The size that it resizes to, and the corner of what it keeps there.
    """
    scale = max(wanted[0] / size[0], wanted[1] / size[1])
    height, width = (max(w, round(s * scale)) for s, w in zip(size, wanted, strict=True))
    return (height, width), ((height - wanted[0]) // 2, (width - wanted[1]) // 2)
