"""The flow map against direct convolution and analysis; its colours; Tora's integers."""

import hashlib
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tora2.trajectory import Tracks
from tora2.trajectory.flow import flow_map, flow_rgb
from tora2.trajectory.tora import resample

CHECK = [
    [[40, 208], [40, 148], [40, 100], [52, 58], [60, 57], [74, 68]],
    [[200, 60], [180, 120], [220, 200]],
]


def make_tracks(points: Any, size: tuple[int, int], visible: Any = None) -> Tracks:
    path = torch.as_tensor(points, dtype=torch.float32)
    seen = torch.ones(path.shape[:2]) if visible is None else torch.as_tensor(visible)
    owners = torch.full((len(path),), -1)
    return Tracks(path, seen.bool(), owners, size[1], size[0], path.shape[1])


def impulses(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Upstream's sparse map [T, 2, H, W] of integer points [N, T, 2] on the frame."""
    flow = torch.zeros(points.shape[1], 2, *size)
    for path in points.tolist():
        for frame, ((x, y), (u, v)) in enumerate(zip(path, path[1:], strict=False)):
            flow[frame + 1, :, y, x] = torch.tensor([u - x, v - y], dtype=torch.float32)
    return flow


def blurred(flow: Tensor, sigma: float = 10, kernel: int = 99) -> Tensor:
    """Direct two-dimensional convolution with reflect-101 borders, frame by frame."""
    radius = kernel // 2
    axis = torch.arange(-radius, radius + 1)
    weight = torch.exp(-(axis[:, None] ** 2 + axis**2) / (2 * sigma**2))
    padded = flow.numpy()
    widths = ((0, 0), (0, 0), (radius, radius), (radius, radius))
    padded = np.pad(padded, widths, mode="reflect")
    frames = torch.from_numpy(padded).flatten(0, 1)[:, None]
    return F.conv2d(frames, weight[None, None]).view_as(flow)


def blurred_by_axis(flow: Tensor) -> Tensor:
    """The same in two passes, for larger frames."""
    weight = torch.exp(-(torch.arange(-49, 50) ** 2) / 200)
    frames = flow.flatten(0, 1)[:, None]
    rows = F.conv2d(F.pad(frames, (49, 49, 0, 0), mode="reflect"), weight.view(1, 1, 1, -1))
    both = F.conv2d(F.pad(rows, (0, 0, 49, 49), mode="reflect"), weight.view(1, 1, -1, 1))
    return both.view_as(flow)


def on_frame(frames: int, count: int, size: tuple[int, int]) -> st.SearchStrategy[list[Any]]:
    point = st.tuples(st.integers(0, size[1] - 1), st.integers(0, size[0] - 1))
    path = st.lists(point, min_size=frames, max_size=frames)
    return st.lists(path, min_size=1, max_size=count)


@pytest.mark.parametrize("size", [(16, 16), (20, 64), (60, 53)])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_tora_mode_equals_direct_convolution(size: tuple[int, int], data: st.DataObject) -> None:
    points = torch.tensor(data.draw(on_frame(3, 4, size)))
    flow = flow_map(make_tracks(points, size), size, "tora")
    torch.testing.assert_close(flow, blurred(impulses(points, size)), atol=2e-4, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(on_frame(4, 4, (40, 60)), st.sampled_from([(10.0, 99), (3.0, 25), (1.5, 7)]))
def test_subpixel_equals_tora_at_integers(points: Any, shape: tuple[float, int]) -> None:
    sigma, kernel = shape
    starts = torch.tensor(points)[:, :-1].transpose(0, 1).tolist()
    # tracks that share a pixel add in one mode and overwrite in the other
    assume(all(len(set(map(tuple, frame))) == len(frame) for frame in starts))
    tracks = make_tracks(points, (40, 60))
    exact, tora = (
        flow_map(tracks, (40, 60), mode, sigma=sigma, kernel=kernel)
        for mode in ("subpixel", "tora")
    )
    torch.testing.assert_close(exact, tora)
    expected = blurred(impulses(torch.tensor(points), (40, 60)), sigma, kernel)
    torch.testing.assert_close(tora, expected, atol=2e-4, rtol=1e-5)


def test_bump_is_a_gaussian_at_the_exact_position() -> None:
    tracks = make_tracks([[[100.3, 80.6], [103.5, 79.1]]], (160, 200))
    flow = flow_map(tracks, (160, 200))
    y, x = torch.meshgrid(torch.arange(160.0), torch.arange(200.0), indexing="ij")
    inside = ((x - 100.3).abs() <= 49) & ((y - 80.6).abs() <= 49)
    bump = torch.exp(-((x - 100.3) ** 2 + (y - 80.6) ** 2) / 200) * inside
    torch.testing.assert_close(flow[1, 0], 3.2 * bump, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(flow[1, 1], -1.5 * bump, atol=1e-5, rtol=1e-4)
    assert not flow[0].any()


def test_peak_is_the_displacement_and_bumps_add() -> None:
    one = [[50, 40], [57, 36]]
    flow = flow_map(make_tracks([one], (100, 100)), (100, 100))
    assert flow[1, :, 40, 50].tolist() == [7, -4]
    both = flow_map(make_tracks([one, one], (100, 100)), (100, 100))
    assert both[1, :, 40, 50].tolist() == [14, -8]
    over = flow_map(make_tracks([one, [[50, 40], [51, 42]]], (100, 100)), (100, 100), "tora")
    assert over[1, :, 40, 50].tolist() == [1, 2]


def test_later_static_track_overwrites_in_tora_mode() -> None:
    tracks = make_tracks([[[50, 40], [57, 36]], [[50, 40], [50, 40]]], (100, 100))
    assert not flow_map(tracks, (100, 100), "tora").any()
    hidden = make_tracks(tracks.points, (100, 100), [[1, 1], [1, 0]])
    assert flow_map(hidden, (100, 100), "tora").any()


@pytest.mark.parametrize("mode", ["subpixel", "tora"])
def test_visibility_at_both_ends_and_the_frame_decide(mode: Any) -> None:
    path = [[[20.0, 30.0], [25, 30], [30, 30], [35, 30], [40, 30]]]
    seen = [[1, 1, 0, 1, 1]]
    flow = flow_map(make_tracks(path, (64, 64), seen), (64, 64), mode)
    assert flow.flatten(1).any(dim=1).tolist() == [False, True, False, False, True]
    path = [[[-0.5, 30.0], [63.5, 30], [64.0, 30], [30, -20], [30, 30]]]
    flow = flow_map(make_tracks(path, (64, 64)), (64, 64), mode)
    assert flow.flatten(1).any(dim=1).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("y", [0.0, 0.3, 1.0, 62.2, 63.0])
def test_the_map_is_continuous_up_to_the_border(y: float) -> None:
    heights = [y + step for step in (-1e-3, 0, 1e-3) if 0 <= y + step <= 63]
    near = [flow_map(make_tracks([[[30, h], [34, h]]], (64, 64)), (64, 64)) for h in heights]
    for first, second in zip(near, near[1:], strict=False):
        assert (first - second).abs().max() < 0.01


def test_rescales_from_the_tracks_own_frame() -> None:
    points = torch.tensor([[[20.0, 40.0], [30, 50], [28, 58]]])
    large = flow_map(make_tracks(points * torch.tensor([3, 2]), (160, 300)), (80, 100))
    torch.testing.assert_close(large, flow_map(make_tracks(points, (80, 100)), (80, 100)))
    grid = flow_map(make_tracks([[[40, 208], [41, 100]]], (256, 256)), (480, 720), "tora")
    assert grid[1, :, 390, 112].tolist() == [int(720 * 41 / 256) - 112, int(480 * 100 / 256) - 390]


def test_no_tracks_and_one_frame_are_empty() -> None:
    assert not flow_map(make_tracks(torch.zeros(0, 5, 2), (32, 32)), (32, 32)).any()
    assert flow_map(make_tracks(torch.zeros(2, 1, 2), (32, 32)), (32, 32)).shape == (1, 2, 32, 32)


def test_flow_map_refuses() -> None:
    tracks = make_tracks(torch.zeros(1, 5, 2), (32, 32))
    for arguments, message in (
        ({"mode": "exact"}, "mode is 'exact', expected subpixel or tora"),
        ({"size": (1, 32)}, r"size is \(1, 32\)"),
        ({"sigma": 0.0}, "sigma is 0.0"),
        ({"sigma": float("nan")}, "sigma is nan"),
        ({"kernel": 98}, "kernel is 98, expected an odd"),
    ):
        with pytest.raises(ValueError, match=message):
            flow_map(tracks, **({"size": (32, 32)} | arguments))  # type: ignore[arg-type]


def test_rgb_of_the_axes() -> None:
    flow = torch.zeros(1, 2, 1, 5)
    flow[0, :, 0, 0] = torch.tensor([1.0, 0.0])
    flow[0, :, 0, 1] = torch.tensor([-1.0, 0.0])
    flow[0, :, 0, 2] = torch.tensor([0.0, 1.0])
    flow[0, :, 0, 3] = torch.tensor([0.5, 0.0])
    rgb = flow_rgb(flow)[0, :, 0].T
    assert rgb[0, 0] == 255 and rgb[0, 1] == 0  # right is red
    assert rgb[1, 0] == 0 and rgb[1, 2] > 200  # left is cyan to blue
    assert (rgb[3].int() - torch.tensor([255, 127, 127])).abs().max() <= 22  # half as saturated
    assert rgb[4].tolist() == [255, 255, 255]


def test_rgb_normaliser_is_global_or_shared() -> None:
    flow = torch.zeros(2, 2, 4, 4)
    flow[0, 0], flow[1, 0] = 2.0, 4.0
    assert not torch.equal(flow_rgb(flow)[0], flow_rgb(flow[:1])[0])
    torch.testing.assert_close(flow_rgb(flow[:1], normalizer=4.0)[0], flow_rgb(flow)[0])
    torch.testing.assert_close(flow_rgb(flow, normalizer=1.0), flow_rgb(flow, normalizer=0.5))
    torch.testing.assert_close(flow_rgb(3 * flow), flow_rgb(flow))
    assert (flow_rgb(torch.zeros(3, 2, 4, 4)) == 255).all()
    assert flow_rgb(torch.zeros(0, 2, 4, 4)).shape == (0, 3, 4, 4)


def test_rgb_refuses() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 4, 4\), expected \[T, 2, H, W\]"):
        flow_rgb(torch.zeros(2, 4, 4))
    with pytest.raises(ValueError, match="normalizer is 0"):
        flow_rgb(torch.zeros(1, 2, 4, 4), normalizer=0)


def test_rgb_equals_torchvision() -> None:
    utils = pytest.importorskip("torchvision.utils")
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(5, 2, 60, 71, generator=generator)
    walk = torch.rand(6, 1, 2, generator=generator) * 90 + noise.view(-1)[:204].view(6, 17, 2)
    for flow in (noise, flow_map(make_tracks(walk, (90, 90)), (90, 90)), torch.zeros(2, 2, 8, 8)):
        torch.testing.assert_close(flow_rgb(flow), utils.flow_to_image(flow), atol=0, rtol=0)


def test_check_value() -> None:
    points = resample(CHECK, 17, (240, 360))
    flow = flow_map(make_tracks(points, (240, 360)), (240, 360), "tora")
    assert flow.abs().max() == 15
    assert_same_colours(flow_rgb(flow), flow_rgb(blurred_by_axis(impulses(points, (240, 360)))))


def assert_same_colours(ours: Tensor, theirs: Tensor) -> None:
    """Equal up to rounding noise, which at the seam of the wheel turns a blue of 0 into 43."""
    difference = (ours.int() - theirs.int()).abs()
    assert difference.max() <= 43
    assert (difference > 0).any(dim=1).float().mean() < 0.002


def test_check_value_of_opencv() -> None:
    """Upstream's hash 0d8e5cafd126e733 holds for its own blur, whose DFT leaves noise of 1e-6."""
    cv2 = pytest.importorskip("cv2")
    points = resample(CHECK, 17, (240, 360))
    axis = np.arange(-49.0, 50.0)
    kernel = np.exp(-(axis[:, None] ** 2 + axis**2) / 200)
    flow = impulses(points, (240, 360)).permute(0, 2, 3, 1).contiguous().numpy()
    upstream = torch.from_numpy(
        np.stack([flow[0], *(cv2.filter2D(frame, -1, kernel) for frame in flow[1:])])
    ).permute(0, 3, 1, 2)
    ours = flow_map(make_tracks(points, (240, 360)), (240, 360), "tora")
    torch.testing.assert_close(ours, upstream, atol=4e-6, rtol=0)
    theirs = flow_rgb(upstream)
    assert_same_colours(flow_rgb(ours), theirs)
    if cv2.__version__.startswith("5.0.0"):
        assert hashlib.sha256(theirs.numpy().tobytes()).hexdigest()[:16] == "0d8e5cafd126e733"


def upstream_path(points: list[tuple[int, int]], frames: int) -> list[tuple[int, int]]:
    """A second reading of what upstream does with points, one by one."""
    if len(points) > frames:
        return points[:: len(points) // frames][:frames]
    missing, segments = frames - len(points), len(points) - 1
    path = []
    for index, ((x0, y0), (x1, y1)) in enumerate(zip(points, points[1:], strict=False)):
        extra = missing // segments + (index < missing % segments)
        path.append((x0, y0))
        for j in range(extra):
            share = (j + 1) / (extra + 1)
            path.append((int(x0 + share * (x1 - x0)), int(y0 + share * (y1 - y0))))
    return [*path, points[-1]]


canvas = st.tuples(st.integers(0, 255), st.integers(0, 255))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(canvas, min_size=2, max_size=130),
    st.sampled_from([17, 49]),
    st.sampled_from([(480, 720), (240, 360), (99, 131)]),
)
def test_resample(points: Any, frames: int, size: tuple[int, int]) -> None:
    height, width = size
    expected = [
        [int(width * x / 256), int(height * y / 256)] for x, y in upstream_path(points, frames)
    ]
    result = resample([points], frames, size)
    assert result.tolist() == [expected]
    assert not result.is_floating_point()


def test_resample_drops_the_tail_as_upstream() -> None:
    points = [(index, 0) for index in range(60)]
    assert resample([points], 49, (256, 256))[0, :, 0].tolist() == list(range(49))
    points = [(index, 0) for index in range(100)]
    assert resample([points], 49, (256, 256))[0, :, 0].tolist() == list(range(0, 98, 2))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[256, 0], [1, 1]], "trajectory 0, point 0, x is 256, expected an integer from 0 to 255"),
        ([[0, 0], [1, -1]], "trajectory 0, point 1, y is -1"),
        ([[0, 0], [1.5, 1]], "x is 1.5"),
        ([[0, 0], [True, 1]], "x is True"),
        ([[0, 0, 0], [1, 1, 1]], "point 0 has 3 coordinates"),
        ([[5, 5]], "has 1 points, expected at least 2"),
        ([], "has 0 points"),
    ],
)
def test_resample_refuses_what_fails_upstream(points: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resample([points], 49, (480, 720))


def test_resample_of_nothing() -> None:
    assert resample([], 49, (480, 720)).shape == (0, 49, 2)
    with pytest.raises(ValueError, match="frames is 1"):
        resample([[[0, 0], [1, 1]]], 1, (480, 720))
