"""Tracks to the sparse flow that Tora reads, and the flow to the colours that its VAE reads."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from .sampling import Tracks

FLOW_MODES = ("subpixel", "tora")

# (colours, the channel at 255, the channel that rises or falls in turn): red, yellow, … red
_SEGMENTS = ((15, 0, 1), (6, 1, 0), (4, 1, 2), (11, 2, 1), (13, 2, 0), (6, 0, 2))


def flow_map(
    tracks: Tracks,
    size: tuple[int, int],
    mode: Literal["subpixel", "tora"] = "subpixel",
    *,
    sigma: float = 10.0,
    kernel: int = 99,
) -> Tensor:
    """Draw the displacement of every track as Gaussian bumps.

    Frame i + 1 holds the displacement from frame i to frame i + 1 at the position of frame i, where
    the track is visible at both and that position lies on the frame. A bump peaks at the
    displacement itself; bumps add; frame 0 is empty. At the border they are mirrored without
    repeating the edge (reflect-101). Every bump is the outer product of two Gaussians, so N tracks
    cost 2 N H W multiply-adds a frame, where a direct convolution costs 2 kernel^2 H W.

    Args:
        tracks: sampled tracks, rescaled here from their own frame to `size`.
        size: (height, width) of the output in pixels, each at least 2.
        mode: `subpixel` centres the bumps on the exact positions, pixel centres at integers; `tora`
            rounds the positions down and lets a later track overwrite an earlier one on its pixel,
            which gives upstream's numbers.
        sigma: standard deviation in output pixels, the same at every resolution.
        kernel: odd width of the square beyond which a bump is cut off, in output pixels.

    Returns:
        [T, 2, H, W] float32, (dx, dy) in output pixels per frame.

    Raises:
        ValueError: for an unknown mode, a size below 2, or a bad sigma or kernel.

    Source: alibaba/Tora, diffusers-version/tora/traj_utils.py (`process_traj`).
    """
    height, width = size
    _check(size, mode, sigma, kernel)
    points = tracks.points.double()
    limit = points.new_tensor([width, height])
    points = points * limit / points.new_tensor([tracks.width, tracks.height])
    flow = torch.zeros(tracks.frames, 2, height, width, device=points.device)
    if not len(points) or tracks.frames < 2:
        return flow

    pixels = points.floor()
    start = pixels[:, :-1]
    drawn = ((start >= 0) & (start < limit)).all(dim=-1)  # [N, T - 1]
    drawn &= tracks.visible[:, :-1] & tracks.visible[:, 1:]
    if mode == "tora":
        points = pixels
        drawn &= ~_overwritten(start[..., 1] * width + start[..., 0], drawn)
    displacement = torch.where(drawn[..., None], points.diff(dim=1), 0).float()
    columns = _bumps(points[:, :-1, 0], width, sigma, kernel // 2)  # [N, T - 1, W]
    rows = _bumps(points[:, :-1, 1], height, sigma, kernel // 2)  # [N, T - 1, H]
    weighted = torch.einsum("ntc,nth->tchn", displacement, rows).flatten(1, 2)
    torch.bmm(weighted, columns.transpose(0, 1), out=flow[1:].view(-1, 2 * height, width))
    return flow


def _check(size: tuple[int, int], mode: str, sigma: float, kernel: int) -> None:
    if mode not in FLOW_MODES:
        raise ValueError(f"mode is {mode!r}, expected {' or '.join(FLOW_MODES)}")
    if min(size) < 2:
        raise ValueError(f"size is {size}, expected a height and a width of at least 2")
    if not sigma > 0:
        raise ValueError(f"sigma is {sigma}, expected a positive number of pixels")
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel is {kernel}, expected an odd number of pixels")


def _overwritten(pixel: Tensor, drawn: Tensor) -> Tensor:
    """Where [N, T] a later drawn track stands on the same pixel [N, T] in the same frame."""
    result = torch.zeros_like(drawn)
    for index in range(len(pixel) - 1):
        result[index] = ((pixel[index + 1 :] == pixel[index]) & drawn[index + 1 :]).any(dim=0)
    return result


def _bumps(centres: Tensor, length: int, sigma: float, radius: int) -> Tensor:
    """Gaussians [..., length] around `centres` on one axis, mirrored at pixels 0 and length - 1.

    The edge pixel has no mirror image of its own (reflect-101), so the image of a centre within one
    pixel of the edge fades out linearly: at integers this is exactly the mirrored convolution.
    """
    period = 2 * (length - 1)
    reach = math.ceil((length + radius) / period)
    inside = torch.minimum(centres, length - 1 - centres).clamp(0, 1)
    pixel = torch.arange(length, device=centres.device, dtype=centres.dtype)
    result = centres.new_zeros(*centres.shape, length, dtype=torch.float32)
    for shift in range(-reach, reach + 1):
        for image, weight in ((centres, None), (-centres, inside)):
            distance = pixel - (image + shift * period)[..., None]
            bump = torch.exp(-(distance**2) / (2 * sigma**2)) * (distance.abs() <= radius)
            result += bump if weight is None else bump * weight[..., None]
    return result


def flow_rgb(flow: Tensor, normalizer: float | None = None) -> Tensor:
    """Colour a flow by the Middlebury wheel: hue is direction, saturation is speed.

    Args:
        flow: [T, 2, H, W] (dx, dy).
        normalizer: the speed of full saturation, above which it stays there; the largest speed of
            the whole clip by default. Share one between clips to compare their speeds.

    Returns:
        [T, 3, H, W] uint8; no motion is white.

    Raises:
        ValueError: if `flow` is not [T, 2, H, W] or `normalizer` is not positive.

    Source: `torchvision.utils.flow_to_image`; Baker et al., "A Database and Evaluation Methodology
    for Optical Flow", 2011.
    """
    if flow.ndim != 4 or flow.shape[1] != 2:
        raise ValueError(f"flow has the shape {tuple(flow.shape)}, expected [T, 2, H, W]")
    if normalizer is not None and not 0 < normalizer < math.inf:
        raise ValueError(f"normalizer is {normalizer}, expected a positive number")
    flow = flow.float()
    result = torch.full((len(flow), 3, *flow.shape[2:]), 255, dtype=torch.uint8, device=flow.device)
    if not flow.numel():
        return result
    if normalizer is None:  # a frame at a time, which takes no memory of the clip's size
        largest = torch.stack([_speed(frame, dim=0).amax() for frame in flow]).amax()
    else:
        largest = flow.new_tensor(normalizer)
    divisor = largest + torch.finfo(torch.float32).eps
    wheel = _wheel(flow.device)
    for frame, image in zip(flow, result, strict=True):
        moving = (frame != 0).any(dim=0)
        image[:, moving] = _colors(frame[:, moving] / divisor, wheel)
    return result


def _speed(flow: Tensor, dim: int) -> Tensor:
    return flow.square().sum(dim=dim).sqrt()


def _wheel(device: torch.device) -> Tensor:
    """The colour wheel [55, 3] in [0, 1]."""
    ramps = []
    for index, (steps, full, moving) in enumerate(_SEGMENTS):
        ramp = torch.zeros(steps, 3)
        rise = torch.floor(255 * torch.arange(steps) / steps)
        ramp[:, full] = 255
        ramp[:, moving] = rise if index % 2 == 0 else 255 - rise
        ramps.append(ramp)
    return (torch.cat(ramps) / 255).to(device)


def _colors(flow: Tensor, wheel: Tensor) -> Tensor:
    """Colours [3, P] uint8 of normalised flow vectors [2, P]."""
    speed = _speed(flow, dim=0).clamp(max=1)
    angle = torch.atan2(-flow[1], -flow[0]) / torch.pi
    place = (angle + 1) / 2 * (len(wheel) - 1)
    before = place.floor().long()
    share = (place - before)[:, None]
    after = (before + 1) % len(wheel)
    hue = (1 - share) * wheel[before] + share * wheel[after]
    return torch.floor(255 * (1 - speed[:, None] * (1 - hue))).to(torch.uint8).T
