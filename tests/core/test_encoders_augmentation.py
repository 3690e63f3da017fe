"""Augmentation: a function of the seed, inside its ranges, and nothing where they are empty."""

from dataclasses import replace

import pytest
import torch

from tora2.encoders.augmentation import Augmentation, augment

NOTHING = Augmentation(10_000, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def _picture(height: int = 90, width: int = 120) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (1, 3, 9, 12), generator=generator).float()
    out = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return out[0].round().to(torch.uint8)


def test_the_seed_decides() -> None:
    picture = _picture()
    assert torch.equal(augment(picture, 5), augment(picture, 5))
    others = [augment(picture, seed) for seed in range(8)]
    assert len({(x.shape, x.float().mean().item()) for x in others}) == 8
    state = torch.get_rng_state()
    augment(picture, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_empty_ranges_change_nothing() -> None:
    picture = _picture()
    assert (augment(picture, 0, NOTHING).int() - picture.int()).abs().max() <= 1


def test_crop_keeps_at_least_two_thirds_of_each_side() -> None:
    sides = [augment(_picture(), seed).shape[1:] for seed in range(60)]
    heights, widths = ([s[i] for s in sides] for i in (0, 1))
    assert 60 <= min(heights) < 66 and 84 < max(heights) <= 90
    assert 80 <= min(widths) < 88 and 112 < max(widths) <= 120


def test_flip_is_mirroring_in_half_of_the_cases() -> None:
    picture = _picture()
    flipped = [
        int(
            (augment(picture, s, replace(NOTHING, flip=0.5)).int() - picture.flip(2).int())
            .abs()
            .max()
            <= 1
        )
        for s in range(100)
    ]
    assert 35 < sum(flipped) < 65


def test_brightness_and_hue() -> None:
    grey = torch.full((3, 20, 20), 100, dtype=torch.uint8)
    values = [int(augment(grey, s, replace(NOTHING, brightness=0.1))[0, 5, 5]) for s in range(50)]
    assert 90 <= min(values) < 94 and 106 < max(values) <= 110
    assert torch.equal(augment(grey, 3, replace(NOTHING, colour=0.05)), grey)  # grey has no hue
    red = torch.zeros(3, 9, 9, dtype=torch.uint8)
    red[0] = 200
    turned = augment(red, 3, replace(NOTHING, colour=0.05))[:, 4, 4].int()
    assert turned[0] > 150 and 0 < int(turned[1:].max()) < 60


def test_rotation_turns_about_the_centre_without_stretching() -> None:
    picture = torch.full((3, 100, 200), 255, dtype=torch.uint8)
    picture[:, 48:52, 60:140] = 0  # a bar, 80 long
    for seed in range(6):
        dark = augment(picture, seed, replace(NOTHING, rotation=20.0))[0] < 128
        rows, columns = (x.float() for x in dark.nonzero(as_tuple=True))
        assert abs(float(rows.mean()) - 49.5) < 1 and abs(float(columns.mean()) - 99.5) < 1
        height, width = (float(x.max() - x.min()) for x in (rows, columns))
        assert abs((height**2 + width**2) ** 0.5 - 80) < 5
        assert float(torch.atan2(torch.tensor(height), torch.tensor(width)).rad2deg()) < 23


def test_what_is_turned_in_is_white() -> None:
    black = torch.zeros(3, 100, 100, dtype=torch.uint8)
    corners = [
        augment(black, s, replace(NOTHING, rotation=20.0))[:, 0, 0].tolist() for s in range(9)
    ]
    assert [255, 255, 255] in corners


def test_blur_and_downscaling_keep_the_mean_and_lose_detail() -> None:
    noise = torch.randint(0, 256, (3, 300, 300), dtype=torch.uint8)
    for ranges in (replace(NOTHING, blur=0.02), replace(NOTHING, smallest=30)):
        seen = [augment(noise, seed, ranges).float() for seed in range(6)]
        assert all(abs(x.mean() - noise.float().mean()) < 3 for x in seen)
        assert min(x.std() for x in seen) < 0.7 * noise.float().std()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (500, 2)])
def test_any_size(size: tuple[int, int]) -> None:
    for seed in range(4):
        out = augment(torch.full((3, *size), 128, dtype=torch.uint8), seed)
        assert out.dtype == torch.uint8 and min(out.shape) >= 1
