"""The latent geometry: what CogVideoX's figures are, and what any grid keeps to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tora2.geometry import COGVIDEOX, Grid

GRIDS = st.builds(
    Grid,
    temporal=st.integers(1, 8),
    spatial=st.sampled_from([4, 8, 16]),
    channels=st.sampled_from([4, 16]),
    patch=st.integers(1, 2),
)


def test_cogvideox() -> None:
    assert COGVIDEOX.latent_shape(49, 480, 720) == (1, 16, 13, 60, 90)
    assert COGVIDEOX.tokens(60, 90) == (30, 45)
    assert COGVIDEOX.multiple == 16
    assert COGVIDEOX.latent_words(13, 60, 90) == "720x480 with 49 frames"


@given(GRIDS, st.integers(1, 400))
def test_frames_round_trip(grid: Grid, latent: int) -> None:
    frames = grid.video_frames(latent)
    assert grid.allows_frames(frames)
    assert grid.latent_frames(frames) == latent


@given(GRIDS, st.integers(-3, 400))
def test_rounding_goes_up_to_the_next_that_is_allowed(grid: Grid, frames: int) -> None:
    rounded = grid.rounded_frames(frames)
    between = [n for n in range(max(frames, 1), rounded) if grid.allows_frames(n)]
    assert rounded >= frames and grid.allows_frames(rounded) and not between


@pytest.mark.parametrize("frames", [0, -3, 2, 48])
def test_frames_are_refused_by_name(frames: int) -> None:
    with pytest.raises(ValueError, match=rf"frames is {frames}, expected 4k \+ 1"):
        COGVIDEOX.check_frames(frames)


@pytest.mark.parametrize("size", [(48, 480, 720), (49, 481, 720), (49, 480, 8), (49, 0, 720)])
def test_videos_are_refused_by_name(size: tuple[int, int, int]) -> None:
    frames, height, width = size
    with pytest.raises(ValueError, match=f"{width}x{height} with {frames} frames.* of 16"):
        COGVIDEOX.check_video(*size)
    COGVIDEOX.check_video(49, 480, 720)


def test_a_side_and_a_latent_that_do_not_divide() -> None:
    with pytest.raises(ValueError, match="width is 100, expected a multiple of 16"):
        COGVIDEOX.check_side(100, "width")
    with pytest.raises(ValueError, match="multiples of 2"):
        COGVIDEOX.tokens(61, 90)
