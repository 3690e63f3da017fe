"""Learned positions of image-to-video models: kept at the trained size, or left out."""

from pathlib import Path

import pytest
import small
import torch
from torch import Tensor

from tora2.backbone import load_transformer, predict
from tora2.backbones.cogvideox import BACKBONE, rotary_embedding

FRAMES, HEIGHT, WIDTH, TEXT = 3, 4, 6, 6


@pytest.fixture
def model() -> object:
    made = small.transformer(
        in_channels=32,
        use_learned_positional_embeddings=True,
        sample_width=WIDTH,
        sample_height=HEIGHT,
        sample_frames=4 * FRAMES - 3,
    )
    made.patch_embed.pos_embedding.data.normal_()
    return made.requires_grad_(False)


def inputs(frames: int = FRAMES, height: int = HEIGHT, text: int = TEXT) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(1, 32, frames, height, WIDTH, generator=generator),
        torch.randn(1, text, small.TEXT, generator=generator),
    )


@pytest.mark.parametrize("frames", [FRAMES, 2])
def test_it_is_diffusers_own_forward(model, frames: int) -> None:
    """Also where diffusers itself leaves what was learned: numbers are upstream's, always."""
    latents, context = inputs(frames)
    expected = model(
        latents.transpose(1, 2),
        context,
        torch.tensor([499]),
        image_rotary_emb=rotary_embedding(model, frames, (HEIGHT // 2, WIDTH // 2)),
        return_dict=False,
    )[0]
    assert torch.equal(
        predict(model, latents, torch.tensor(499), context).transpose(1, 2), expected
    )


@pytest.mark.parametrize("latent", [(2, 4, 6), (4, 4, 6), (3, 6, 6), (3, 4, 4)])
def test_other_sizes_are_refused_where_a_video_is_made(model, latent: tuple) -> None:
    BACKBONE.check_size(model, FRAMES, HEIGHT, WIDTH)
    BACKBONE.check_size(small.transformer(), *latent)
    with pytest.raises(
        ValueError, match="learned its positions at 48x32 with 9 frames; use that, or"
    ):
        BACKBONE.check_size(model, *latent)


def test_without_them_the_model_takes_other_sizes(model, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    bare = load_transformer(tmp_path, torch.float32, learned_positions=False).requires_grad_(False)
    assert "patch_embed.pos_embedding" not in bare.state_dict()
    assert bare.config.use_rotary_positional_embeddings
    latents, context = inputs()
    kept = load_transformer(tmp_path, torch.float32).requires_grad_(False)
    difference = predict(kept, latents, torch.tensor(9), context)
    difference = difference - predict(bare, latents, torch.tensor(9), context)
    assert float(difference.abs().max()) > 0.01
    kept.patch_embed.pos_embedding.data.zero_()
    same = [predict(m, latents, torch.tensor(9), context) for m in (kept, bare)]
    assert torch.equal(*same)
    latents, context = inputs(height=HEIGHT + 2)
    assert predict(bare, latents, torch.tensor(9), context).isfinite().all()
