"""Encoding through the host's VAE: in diffusers' chunks, and without touching the VAE."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import builders  # noqa: E402
from test_equality import error  # noqa: E402


@pytest.fixture(scope="module")
def both() -> tuple[Any, Any]:
    """diffusers' autoencoder and the host's VAE with the same small random weights."""
    import comfy.ldm.cogvideo.vae
    import comfy.sd
    from diffusers import AutoencoderKLCogVideoX

    torch.manual_seed(0)
    blocks = {"block_out_channels": (32, 32, 32, 32), "layers_per_block": 1}
    kinds = ["CogVideoXDownBlock3D"] * 4, ["CogVideoXUpBlock3D"] * 4
    reference = AutoencoderKLCogVideoX(
        down_block_types=kinds[0], up_block_types=kinds[1], latent_channels=16, **blocks
    ).eval()
    native = comfy.ldm.cogvideo.vae.AutoencoderKLCogVideoX(**blocks)
    original = comfy.ldm.cogvideo.vae.AutoencoderKLCogVideoX
    comfy.ldm.cogvideo.vae.AutoencoderKLCogVideoX = lambda **_: native
    try:
        vae = comfy.sd.VAE(sd=reference.state_dict(), dtype=torch.float32)
    finally:
        comfy.ldm.cogvideo.vae.AutoencoderKLCogVideoX = original
    return reference, vae


@pytest.mark.parametrize("frames", [1, 5, 9, 17, 21])
def test_latents_are_diffusers(pack: builders.Pack, both: tuple, frames: int) -> None:
    reference, vae = both
    video = torch.rand(frames, 16, 24, 3, generator=torch.Generator().manual_seed(1))
    expected = reference.encode(video.permute(3, 0, 1, 2)[None] * 2 - 1).latent_dist.mode()
    assert error(pack("nodes.host.video").encode(vae, video), expected) < 1e-4


def test_the_host_still_needs_it_and_its_vae_stays_as_it_was(
    pack: builders.Pack, both: tuple
) -> None:
    module, (_, vae) = pack("nodes.host.video"), both
    video = torch.rand(9, 16, 16, 3, generator=torch.Generator().manual_seed(2))
    before = vae.encode(video)
    assert module.loses_its_cache()
    assert error(before, module.encode(vae, video)) > 1e-2
    assert torch.equal(vae.encode(video), before)


def test_other_autoencoders_are_refused(pack: builders.Pack) -> None:
    class Image:
        first_stage_model = None

        def encode(self, frames: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(frames), 4, 2, 2)

    with pytest.raises(ValueError, match=r"latents of \(5, 4, 2, 2\).*load CogVideoX's own VAE"):
        pack("nodes.host.video").encode(Image(), torch.zeros(5, 16, 16, 3))


def test_the_scale_is_the_model_s(pack: builders.Pack) -> None:
    scale = pack("nodes.host.video").scale
    assert float(scale(torch.ones(1), 3072)) == pytest.approx(0.7)
    assert float(scale(torch.ones(1), 192)) == pytest.approx(1.15258426)
