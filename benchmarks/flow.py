"""Time the flow map of 16 tracks over 49 frames of 480 x 720 on one core.

Run `python benchmarks/flow.py`. The direct 99 x 99 convolution that it stands for takes
minutes, so it is timed on a few frames and scaled by their number: each frame costs the same.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))

from tora2.trajectory import Tracks  # noqa: E402
from tora2.trajectory.flow import flow_map, flow_rgb  # noqa: E402

SIZE, FRAMES, COUNT, REPEATS, DIRECT_FRAMES = (480, 720), 49, 16, 5, 2


def tracks() -> Tracks:
    generator = torch.Generator().manual_seed(0)
    height, width = SIZE
    steps = 4 * torch.randn(COUNT, FRAMES, 2, generator=generator)
    start = torch.rand(COUNT, 1, 2, generator=generator) * torch.tensor([width, height])
    points = (start + steps.cumsum(dim=1)).clamp(min=0)
    points = torch.minimum(points, torch.tensor([width - 1.0, height - 1.0]))
    visible = torch.ones(COUNT, FRAMES, dtype=torch.bool)
    return Tracks(points.floor(), visible, torch.full((COUNT,), -1), width, height, FRAMES)


def direct(sparse: torch.Tensor) -> torch.Tensor:
    """The 99 x 99 convolution with reflect-101 borders of [K, 2, H, W]."""
    axis = torch.arange(-49, 50)
    kernel = torch.exp(-(axis[:, None] ** 2 + axis**2) / 200)[None, None]
    padded = F.pad(sparse.flatten(0, 1)[:, None], (49, 49, 49, 49), mode="reflect")
    return F.conv2d(padded, kernel).view_as(sparse)


def seconds(function: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        before = time.perf_counter()
        function()
        times.append(time.perf_counter() - before)
    return statistics.median(times)


def main() -> None:
    torch.set_num_threads(1)
    sampled = tracks()
    flow = flow_map(sampled, SIZE, "tora")
    sparse = flow_map(sampled, SIZE, "tora", kernel=1)[1 : 1 + DIRECT_FRAMES]
    started = time.perf_counter()
    reference = direct(sparse)
    whole = (time.perf_counter() - started) * (FRAMES - 1) / DIRECT_FRAMES
    error = (flow[1 : 1 + DIRECT_FRAMES] - reference).abs().max()

    height, width = SIZE
    print(f"{FRAMES} frames of {height} x {width}, {COUNT} tracks, one thread, median of {REPEATS}")
    for name, mode in (("flow_map, subpixel", "subpixel"), ("flow_map, tora", "tora")):
        taken = seconds(lambda mode=mode: flow_map(sampled, SIZE, mode), REPEATS)  # type: ignore[misc]
        print(f"{name:28}{taken:8.3f} s   {whole / taken:6.0f} times faster than direct")
    print(f"{'flow_rgb':28}{seconds(lambda: flow_rgb(flow), REPEATS):8.3f} s")
    print(f"{'direct conv2d 99 x 99':28}{whole:8.1f} s   from {DIRECT_FRAMES} frames, scaled")
    print(f"largest difference from direct: {error:.1e} px per frame")


if __name__ == "__main__":
    main()
