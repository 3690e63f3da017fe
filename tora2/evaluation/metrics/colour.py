"""Where the sprites of a generated clip are, by their colour, and whose colour is where.

The bundled model's sprites are saturated and its backgrounds muted, so hue tells them apart; no
tracker is needed.
"""

import math

import torch
from torch import Tensor

_SATURATION, _VALUE, _HUE_REACH = 0.45, 0.2, 0.075
_FEWEST_PIXELS = 10


def hue_saturation_value(frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in turns, saturation and value in [0, 1], each [..., H, W], of RGB [..., H, W, 3]."""
    value, _ = frames.max(-1)
    spread = value - frames.min(-1).values
    safe = spread.clamp(min=1e-6)
    red, green, blue = frames.unbind(-1)
    sector = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    return (sector / 6) % 1.0, spread / value.clamp(min=1e-6), value


def hue_of(rgb: Tensor) -> float:
    """Hue in turns of one colour [3]."""
    return float(hue_saturation_value(rgb.float())[0])


def dominant_hue(picture: Tensor, agreed: float = 0.0) -> float:
    """Circular mean hue, in turns, of the saturated pixels of a picture uint8 [3, H, W].

    Args:
        picture: what has the colour.
        agreed: how much their hues must agree: 1 where all are one, 0 where they are all of them.

    Raises:
        ValueError: if fewer than ten pixels are saturated, or they have no hue in common.
    """
    hue, saturation, value = hue_saturation_value(picture.movedim(0, -1).float() / 255)
    colored = is_colored(saturation, value)
    if int(colored.sum()) < _FEWEST_PIXELS:
        raise ValueError("the picture has no saturated colour to follow")
    angle = hue[colored] * 2 * math.pi
    x, y = angle.cos().mean(), angle.sin().mean()
    if float(torch.hypot(x, y)) < agreed:
        raise ValueError("the picture has many colours, expected one to follow")
    return float(torch.atan2(y, x) / (2 * math.pi)) % 1.0


def is_colored(saturation: Tensor, value: Tensor) -> Tensor:
    """Whether pixels of these saturations and values are a thing's and not the background's."""
    return (saturation > _SATURATION) & (value > _VALUE)


def hue_gap(a: Tensor, b: Tensor | float) -> Tensor:
    """Distance of hues around the circle, in turns, at most one half."""
    return ((a - b + 0.5) % 1.0 - 0.5).abs()


def _owner(frames: Tensor, hues: list[float]) -> Tensor:
    """Index of the nearest hue at every saturated pixel [T, H, W], -1 elsewhere."""
    hue, saturation, value = hue_saturation_value(frames)
    gaps = torch.stack([hue_gap(hue, h) for h in hues])
    nearest, owner = gaps.min(0)
    colored = is_colored(saturation, value) & (nearest < _HUE_REACH)
    return torch.where(colored, owner, -1)


def locate(frames: Tensor, hues: list[float]) -> Tensor:
    """Centroid of each colour in every frame.

    Args:
        frames: [T, H, W, 3] in [0, 1].
        hues: N hues in turns.

    Returns:
        [N, T, 2] pixels (x, y), pixel centres at one half; NaN where a colour is not seen.
    """
    owner = _owner(frames, hues)
    height, width = owner.shape[1:]
    ys = torch.arange(height)[:, None] + 0.5
    xs = torch.arange(width) + 0.5
    found = torch.full((len(hues), len(owner), 2), float("nan"))
    for index in range(len(hues)):
        mine = (owner == index).float()
        area = mine.sum((1, 2))
        center = torch.stack([(mine * xs).sum((1, 2)), (mine * ys).sum((1, 2))], -1)
        seen = area >= _FEWEST_PIXELS
        found[index, seen] = center[seen] / area[seen, None]
    return found


def bound(frames: Tensor, hues: list[float], points: Tensor, reach: int = 4) -> Tensor:
    """Whether the colour around each point is the one that belongs there.

    Args:
        frames: [T, H, W, 3] in [0, 1].
        hues: N hues in turns.
        points: [N, T, 2] where entity i was asked to be, pixels (x, y).
        reach: half the side of the square that votes, in pixels.

    Returns:
        [N, T] bool: most of the colours of `hues` within the square are entity i's.
    """
    owner = _owner(frames, hues)
    height, width = owner.shape[1:]
    result = torch.zeros(points.shape[:2], dtype=torch.bool)
    for index, path in enumerate(points):
        for t, (x, y) in enumerate(path.tolist()):
            left, top = max(int(x) - reach, 0), max(int(y) - reach, 0)
            square = owner[t, top : min(int(y) + reach + 1, height), left : int(x) + reach + 1]
            votes = [int((square == other).sum()) for other in range(len(hues))]
            result[index, t] = votes[index] > 0 and votes[index] == max(votes)
    return result
