"""Learned positions of image-to-video models: kept, cut to the clip, or left out."""

from pathlib import Path

import pytest
import small
import torch
from torch import Tensor

from tora2.backbone import load_transformer, predict, rotary_embedding

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


def test_at_the_trained_size_it_is_diffusers_own_forward(model) -> None:
    latents, context = inputs()
    expected = model(
        latents.transpose(1, 2),
        context,
        torch.tensor([499]),
        image_rotary_emb=rotary_embedding(model, FRAMES, (HEIGHT // 2, WIDTH // 2)),
        return_dict=False,
    )[0]
    assert torch.equal(
        predict(model, latents, torch.tensor(499), context).transpose(1, 2), expected
    )


def test_a_shorter_clip_and_text_take_their_part_of_the_positions(model) -> None:
    latents, context = inputs(frames=2, text=4)
    got = predict(model, latents, torch.tensor(499), context)
    learned = model.patch_embed.pos_embedding.clone()
    model.patch_embed.pos_embedding[:, 4:TEXT] = 100.0  # of text tokens that are not there
    model.patch_embed.pos_embedding[:, TEXT + 2 * HEIGHT * WIDTH // 4 :] = 100.0  # of frame 3
    assert torch.equal(predict(model, latents, torch.tensor(499), context), got)
    model.patch_embed.pos_embedding.copy_(learned)
    model.patch_embed.pos_embedding[:, TEXT] += 1.0  # of the first video token
    assert not torch.equal(predict(model, latents, torch.tensor(499), context), got)


@pytest.mark.parametrize("frames,height", [(FRAMES, HEIGHT + 2), (FRAMES + 1, HEIGHT)])
def test_other_sizes_are_refused(model, frames: int, height: int) -> None:
    latents, context = inputs(frames, height)
    with pytest.raises(ValueError, match="learned its positions at 48x32 with 9; use that, or"):
        predict(model, latents, torch.tensor(499), context)


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
