"""Encoding through the host's VAE: in diffusers' chunks, and without touching the VAE."""

from typing import Any

import builders
import pytest
import small
import torch
from test_equality import error


@pytest.fixture(scope="module")
def both() -> tuple[Any, Any]:
    """diffusers' autoencoder and the host's VAE with the same small random weights."""
    import comfy.ldm.cogvideo.vae
    import comfy.sd

    torch.manual_seed(0)
    reference = small.autoencoder().eval()
    native = comfy.ldm.cogvideo.vae.AutoencoderKLCogVideoX(
        block_out_channels=(32, 32, 32, 32), layers_per_block=1
    )
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


@pytest.mark.parametrize(
    "frames,height,width", [(9, 64, 96), (5, 80, 64), (1, 72, 104), (1, 48, 208)]
)
def test_tiles_are_diffusers_tiles(
    pack: builders.Pack, both: tuple, frames: int, height: int, width: int, monkeypatch: Any
) -> None:
    module, (reference, vae) = pack("nodes.host.encoding"), both
    monkeypatch.setattr(module, "_TILE", (48, 80))
    reference.enable_tiling(48, 80, *module._OVERLAP)
    video = torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(3))
    try:
        expected = reference.encode(video.permute(3, 0, 1, 2)[None] * 2 - 1).latent_dist.mode()
    finally:
        reference.disable_tiling()
    tiled = pack("nodes.host.video").encode(vae, video, tiled=True)
    assert error(tiled, expected) < 1e-5
    assert error(pack("nodes.host.video").encode(vae, video), tiled) > 1e-3


def test_tiles_have_the_published_geometry(pack: builders.Pack) -> None:
    """720x480 is three columns by three rows of at most 360x240, as upstream's command makes."""
    starts = pack("nodes.host.encoding")._starts
    assert [list(starts(length, axis)) for length, axis in ((480, 0), (720, 1))] == [
        [0, 200, 400],
        [0, 288, 576],
    ]


def test_short_memory_is_answered_with_tiles_and_a_warning(
    pack: builders.Pack, both: tuple, monkeypatch: Any, caplog: Any
) -> None:
    video, encoding, (_, vae) = pack("nodes.host.video"), pack("nodes.host.encoding"), both
    monkeypatch.setattr(encoding, "_TILE", (48, 80))
    frames = torch.rand(9, 64, 96, 3, generator=torch.Generator().manual_seed(4))
    expected = video.encode(vae, frames, tiled=True)
    encoder = vae.first_stage_model.encoder
    forward = encoder.forward

    def small_alone(x: torch.Tensor, **options: Any) -> Any:
        if x.shape[4] > 80:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(x, **options)

    monkeypatch.setattr(encoder, "forward", small_alone)
    assert torch.equal(video.encode(vae, frames), expected)
    assert "tiles of 80x48" in caplog.text


def test_a_seed_draws_from_the_posterior_as_diffusers_does(
    pack: builders.Pack, both: tuple
) -> None:
    reference, vae = both
    encode = pack("nodes.host.video").encode
    video = torch.rand(9, 16, 24, 3, generator=torch.Generator().manual_seed(5))
    posterior = reference.encode(video.permute(3, 0, 1, 2)[None] * 2 - 1).latent_dist
    expected = posterior.sample(torch.Generator().manual_seed(11))
    assert error(encode(vae, video, seed=11), expected) < 1e-4
    assert error(encode(vae, video, seed=12), expected) > 1e-2
    assert error(encode(vae, video), posterior.mode()) < 1e-4


def test_the_bundled_autoencoder_has_nothing_to_draw_from(pack: builders.Pack) -> None:
    folder = pack("tora2.model_folder").TINY
    vae = pack("nodes.host.tiny").load(folder)[2]
    with pytest.raises(ValueError, match="no distribution to draw latents from"):
        pack("nodes.host.video").encode(vae, torch.zeros(1, 96, 96, 3), seed=0)


@pytest.mark.parametrize("frames", [1, 5, 9, 13, 17])
def test_decoding_makes_the_frames_that_are_foretold(
    pack: builders.Pack, both: tuple, frames: int
) -> None:
    vae = both[1]
    video = torch.rand(frames, 16, 16, 3, generator=torch.Generator().manual_seed(6))
    decoded = vae.decode(pack("nodes.host.video").encode(vae, video))
    assert decoded.shape[1] == frames + pack("nodes.host.video").extra_frames(vae, frames)
