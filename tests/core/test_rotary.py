"""The rotary embedding against diffusers', at the trained grid and around it."""

import pytest
import torch
from diffusers.models.embeddings import get_3d_rotary_pos_embed

from tora2.models.rotary import crop_region, rotary_embedding


@pytest.mark.parametrize("grid", [(30, 45), (30, 40), (6, 6), (45, 30), (31, 46), (12, 44)])
def test_equals_diffusers(grid: tuple[int, int]) -> None:
    expected = get_3d_rotary_pos_embed(64, crop_region(grid, (30, 45)), grid, 3)
    got = rotary_embedding(64, 3, grid, (30, 45))
    for a, b in zip(got, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_trained_grid_counts_tokens() -> None:
    assert crop_region((30, 45), (30, 45)) == ((0, 0), (30, 45))
    assert crop_region((30, 40), (30, 45)) == ((0, 2), (30, 42))  # 640x480: columns 2..42
