"""Cut-outs placed along paths: a clip with the right things at the right places, before any model.

A cut-out is drawn at its exact place and size, by the cubic convolution of Keys (1981) that widens
as it shrinks, so that it moves evenly between whole pixels and neither flickers nor grows a fringe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .cutouts import CutOut
from .trajectory import TrajectoryDocument, sample

ORDERS = ("last in front", "lower in front", "larger in front")
"""Which of two cut-outs hides the other: by their order, by their lower edges, by their heights."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A cut-out, and where it is in every frame.

    Attributes:
        cutout: what is drawn.
        owner: id of the entity or free path whose way it goes.
        place: [T, 2] pixels (x, y) of its anchor.
        height: [T] pixels.
        opacity: [T] in [0, 1]; 0 where it is not there.
    """

    cutout: CutOut
    owner: str
    place: Tensor
    height: Tensor
    opacity: Tensor

    def box(self, time: int) -> tuple[float, float, float, float]:
        """(left, top, width, height) in pixels of its picture at a frame."""
        rows, columns = self.cutout.layers.shape[-2:]
        high = float(self.height[time])
        wide = high * columns / rows
        x, y = self.place[time].tolist()
        return x - self.cutout.anchor[0] * wide, y - self.cutout.anchor[1] * high, wide, high


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame as it was put together.

    Attributes:
        frame: [H, W, 3] in [0, 1].
        mask: [H, W], how much of the background is hidden.
        own: [E, H, W], how opaque each cut-out is by itself.
        seen: [E, H, W] bool, whose place each pixel mostly is.
    """

    frame: Tensor
    mask: Tensor
    own: Tensor
    seen: Tensor


def owners(document: TrajectoryDocument) -> list[str]:
    """Who has a way to go: the ids of entities with a path in their order, then of free paths."""
    owned = {track.entity for track in document.tracks}
    entities = [entity.id for entity in document.entities if entity.id in owned]
    return entities + [track.id for track in document.tracks if track.entity is None]


def place(document: TrajectoryDocument, cutouts: Sequence[CutOut], fade: int = 0) -> list[Placed]:
    """Where each cut-out is in every frame: on the first path of its entity, with its size.

    Args:
        document: the paths. Where its path is not visible a cut-out is not there.
        cutouts: each takes the entity or the free path of its name, or without a name the next one
            that no other takes.
        fade: frames over which a cut-out appears and vanishes within the clip.

    Raises:
        ValueError: if a name is not drawn, is taken twice, or more cut-outs than paths are there.
    """
    names = {entity.id: entity.name for entity in document.entities}
    known = owners(document)
    keys = {key.casefold(): one for one in reversed(known) for key in (names.get(one, one), one)}
    listed = ", ".join(names.get(one, one) for one in known) or "no path at all"
    taken: dict[str, CutOut] = {}
    for cutout in sorted(cutouts, key=lambda one: not one.name):  # those with names choose first
        owner: str | None
        if cutout.name:
            owner = keys.get(cutout.name.strip().casefold())
        else:
            owner = next((one for one in known if one not in taken), None)
        if owner is None and cutout.name:
            raise ValueError(
                f"the cut-out name {cutout.name!r} is not in the trajectories, which have {listed}"
            )
        if owner is None:
            raise ValueError(
                f"there are {len(cutouts)} cut-outs, expected no more than paths to go: {listed}"
            )
        if owner in taken:
            raise ValueError(f"two cut-outs want the path of {names.get(owner, owner)!r}")
        taken[owner] = cutout
    by_cutout = {id(cutout): owner for owner, cutout in taken.items()}
    return [_on_path(document, cutout, by_cutout[id(cutout)], fade) for cutout in cutouts]


def _on_path(document: TrajectoryDocument, cutout: CutOut, owner: str, fade: int) -> Placed:
    row, track = next(
        (row, track)
        for row, track in enumerate(document.tracks)
        if owner in (track.entity, track.id) and (track.entity is not None or track.id == owner)
    )
    tracks = sample(replace(document, tracks=(track,)))
    time = torch.arange(document.frames, dtype=torch.float64)
    part = ((time - track.start) / max(track.end - track.start, 1)).clamp(0, 1)
    whole = document.height if cutout.of_frame else cutout.layers.shape[-2]
    height = whole * torch.lerp(
        torch.tensor(cutout.start, dtype=torch.float64),
        torch.tensor(cutout.end, dtype=torch.float64),
        part,
    )
    absent = time[~tracks.visible[0]]
    opacity = tracks.visible[0].double()
    if len(absent):
        opacity *= ((time[:, None] - absent).abs().amin(1) / (fade + 1)).clamp(max=1)
    height = height * tracks.scale[0].double()
    return Placed(cutout, owner, tracks.points[0].double(), height, opacity)


def draw(
    placed: Sequence[Placed],
    background: Callable[[int], Tensor],
    frames: int,
    order: str = ORDERS[0],
) -> Iterator[Shot]:
    """Put the frames of a clip together, one after another.

    Args:
        placed: what is drawn where.
        background: gives what is behind at a frame, [H, W, 3] in [0, 1]; it is not changed.
        frames: T.
        order: one of `ORDERS`.

    Raises:
        ValueError: for another order.
    """
    if order not in ORDERS:
        raise ValueError(f"order is {order!r}, expected one of {', '.join(ORDERS)}")
    layers = [_shrunk(one) for one in placed]
    for time in range(frames):
        frame = background(time).clone()
        size = (frame.shape[0], frame.shape[1])
        own = torch.zeros(len(placed), *size)
        seen = torch.zeros(len(placed), *size, dtype=torch.bool)
        clear = torch.ones(size)
        for index in _back_to_front(placed, time, order):
            one = placed[index]
            if float(one.opacity[time]) <= 0:
                continue
            stack = layers[index]
            drawn = _drawn(stack[time % len(stack)], one.box(time), size)
            if drawn is None:
                continue
            patch, rows, columns = drawn
            patch = patch * float(one.opacity[time])
            alpha = patch[3]
            part = frame[rows, columns]
            part.mul_(1 - alpha[..., None]).add_(patch[:3].movedim(0, -1))
            own[index, rows, columns] = alpha
            clear[rows, columns] *= 1 - alpha
            solid = alpha >= 0.5
            seen[:, rows, columns] &= ~solid
            seen[index, rows, columns] = solid
        yield Shot(frame, 1 - clear, own, seen)


def boxes(shot: Shot, names: Sequence[str]) -> list[dict[str, object]]:
    """Bounding boxes of a frame as the host has them: x, y, width, height, label and score.

    A box is of the whole cut-out, also where another hides it, within the frame; one that is not
    there has none.
    """
    found: list[dict[str, object]] = []
    for name, own in zip(names, shot.own, strict=True):
        solid = own >= 0.5
        rows, columns = solid.any(1).nonzero(), solid.any(0).nonzero()
        if len(rows):
            left, top = int(columns[0]), int(rows[0])
            found.append(
                {
                    "x": left,
                    "y": top,
                    "width": int(columns[-1]) + 1 - left,
                    "height": int(rows[-1]) + 1 - top,
                    "label": name,
                    "score": 1.0,
                }
            )
    return found


def painted(seen: Tensor, colors: Tensor, ground: Tensor) -> Tensor:
    """One flat colour an entity: [H, W, 3] of `seen` [E, H, W], `colors` [E, 3], `ground` [3]."""
    result = ground.expand(*seen.shape[1:], 3).clone()
    for where, color in zip(seen, colors, strict=True):
        result[where] = color
    return result


def _back_to_front(placed: Sequence[Placed], time: int, order: str) -> list[int]:
    if order == ORDERS[0]:
        return list(range(len(placed)))

    def nearness(index: int) -> float:
        _, top, _, high = placed[index].box(time)
        return high if order == ORDERS[2] else top + high

    return sorted(range(len(placed)), key=nearness)


def _shrunk(one: Placed) -> Tensor:
    """Its layers at most twice as large as they are ever shown: a frame costs what it shows."""
    layers = one.cutout.layers
    rows, columns = layers.shape[-2:]
    largest = math.ceil(2 * float(one.height.max()))
    if largest >= rows:
        return layers
    wide = max(1, math.ceil(columns * largest / rows))
    small = _resampled(layers, -2, 0.0, largest, 0, largest)
    return _bounded(_resampled(small, -1, 0.0, wide, 0, wide))


def _drawn(
    layer: Tensor, box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[Tensor, slice, slice] | None:
    """A layer [4, h, w] on its part of the frame, with its rows and columns; None if outside."""
    left, top, wide, high = box
    margin = 2 * max(1.0, high / layer.shape[-2])  # what the kernel reaches
    first, last = _whole(left - margin, left + wide + margin, size[1])
    upper, lower = _whole(top - margin, top + high + margin, size[0])
    if first >= last or upper >= lower:
        return None
    patch = _resampled(layer, -2, top, high, upper, lower)
    patch = _resampled(patch, -1, left, wide, first, last)
    return _bounded(patch), slice(upper, lower), slice(first, last)


def _whole(start: float, end: float, count: int) -> tuple[int, int]:
    return max(0, math.floor(start)), min(count, math.ceil(end))


def _bounded(patch: Tensor) -> Tensor:
    """Without what the kernel's lobes add: opacity in [0, 1], and colours as they were under it."""
    alpha = patch[..., 3:, :, :]
    kept = alpha.clamp(0, 1)
    colors = patch[..., :3, :, :] * (kept / alpha.clamp(min=1e-6))
    return torch.cat([torch.minimum(colors.clamp(min=0), kept), kept], dim=-3)


def _resampled(
    layer: Tensor, dim: int, start: float, length: float, first: int, last: int
) -> Tensor:
    """A layer drawn along one axis from `start` over `length` pixels, at pixels first to last."""
    count = layer.shape[dim]
    step = count / length  # cells a pixel
    width = max(step, 1.0)
    middle = (torch.arange(first, last, dtype=torch.float64) + 0.5 - start) * step - 0.5
    taps = math.ceil(4 * width) + 1
    cells = (middle - 2 * width).ceil().long()[:, None] + torch.arange(taps)
    weight = _cubic((cells - middle[:, None]) / width)
    weight = weight / weight.sum(1, keepdim=True)
    weight = torch.where((cells >= 0) & (cells < count), weight, 0.0).to(layer.dtype)
    cells = cells.clamp(0, count - 1)
    shape = [1] * layer.ndim
    shape[dim] = len(middle)
    result = torch.zeros_like(layer.index_select(dim, cells[:, 0]))
    for tap in range(taps):
        result += layer.index_select(dim, cells[:, tap]) * weight[:, tap].view(shape)
    return result


def _cubic(x: Tensor) -> Tensor:
    """Keys' kernel with a = -1/2, which keeps straight lines straight."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))
