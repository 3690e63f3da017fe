"""Tora's and Tora2's parts: shapes, broadcasts, gradients, causality."""

from dataclasses import fields

import pytest
import small
import torch

from tora2.conditioning import Tora2Conditioning, collate_entities
from tora2.losses import contrastive_loss
from tora2.models.adapter import Tora2Config
from tora2.models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from tora2.models.binding import TrackSplat, fourier, latent_windows
from tora2.models.motion import MotionGuidanceFuser, TrajectoryExtractor


def test_extractor_gives_one_map_a_layer_and_pads_odd_sides() -> None:
    extractor = TrajectoryExtractor(in_channels=4, hidden=8, layers=3)
    features = extractor(torch.randn(2, 4, 5, 7, 10))
    assert [tuple(f.shape) for f in features] == [(10, 8, 4, 5)] * 3
    assert len(extractor.body) == 6


def test_extractor_never_uses_batch_statistics() -> None:
    extractor = TrajectoryExtractor(in_channels=4, hidden=8, layers=1).train()
    before = extractor.body[0].bn1.running_mean.clone()
    x = torch.randn(1, 4, 3, 4, 4)
    first = extractor(x)[0]
    assert torch.equal(extractor.body[0].bn1.running_mean, before)
    assert torch.allclose(first, extractor(torch.cat([x, x * 5]))[0][:3], atol=1e-5)


def test_fuser_starts_as_identity_and_broadcasts_over_guidance_halves() -> None:
    fuser = MotionGuidanceFuser(64, 8)
    h, feature = torch.randn(6, 64, 4, 5), torch.randn(3, 8, 4, 5)
    assert torch.equal(fuser(h, feature, 3), h)
    for parameter in fuser.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    doubled = fuser(h, feature, 3)
    assert torch.allclose(doubled[:3], fuser(h[:3], feature, 3), atol=1e-6)
    assert torch.allclose(doubled[3:], fuser(h[3:], feature, 3), atol=1e-6)


def test_fuser_is_the_residual_adaptive_norm_of_equation_2() -> None:
    fuser = MotionGuidanceFuser(64, 8)
    for conv, value in ((fuser.flow_gamma_temporal, 2.0), (fuser.flow_beta_temporal, 3.0)):
        torch.nn.init.constant_(conv.bias, value)
    h = torch.randn(2, 64, 4, 5)
    expected = h + torch.nn.functional.group_norm(h, 32) * 2.0 + 3.0
    assert torch.allclose(fuser(h, torch.randn(2, 8, 4, 5), 2), expected, atol=1e-5)


def test_latent_windows_are_those_of_the_causal_autoencoder() -> None:
    frames = torch.arange(9.0)[:, None]
    seen = torch.ones(9)
    assert latent_windows(frames, seen).flatten().tolist() == [0.0, 2.5, 6.5]
    seen[1:4] = 0
    assert latent_windows(frames, seen).flatten().tolist() == [0.0, 4.0, 6.5]
    assert latent_windows(frames, torch.zeros(9)).flatten().tolist() == [0.0, 2.5, 6.5]


def test_footprint_peaks_on_the_track() -> None:
    splat = TrackSplat(4, 4, 1, sigma=1.0)
    area = splat.footprint(torch.tensor([[[[0.625, 0.25]]]]), torch.ones(1, 1, 1), (4, 8))
    row, column = divmod(int(area[0, 0, 0].argmax()), 8)
    assert (row, column) in {(0, 4), (1, 4), (0, 5), (1, 5)}  # x = 5.0, y = 1.0 in tokens
    assert area.max() == pytest.approx(float(torch.exp(torch.tensor(-0.25))), abs=1e-6)


def test_fourier_octaves() -> None:
    got = fourier(torch.tensor([0.5]), 2)
    assert torch.allclose(got, torch.tensor([1.0, 0.0, 0.0, -1.0]), atol=1e-6)


def test_every_trainable_tensor_receives_gradient() -> None:
    """With two pictures on different branches, a track, a word and an entity that lacks each."""
    adapter = small.adapter()
    model = small.transformer()
    entities = [
        small.entity(seed=4, branch="face", pictures=2),
        small.entity(seed=5, branch="object"),
        small.entity(seed=6, pictures=0),
    ]
    conditioning = Tora2Conditioning.build(
        adapter, small.motion_latent(), entities, small.tracks([0, 0, 2])
    )
    from tora2.backbone import predict

    latents = torch.randn(1, 16, small.LATENT_FRAMES, small.SIDE, small.SIDE)
    velocity = predict(model, latents, torch.tensor(3), torch.randn(1, 6, small.TEXT), conditioning)
    p, m = conditioning.pairs
    # One pair has nothing to be told apart from, so a second one is made of its reverse.
    contrast = contrastive_loss(torch.cat([p, m]), torch.cat([m, p]))
    (velocity.square().mean() + contrast).backward()
    silent = [
        name
        for name, parameter in adapter.named_parameters()
        if parameter.grad is None or not bool(parameter.grad.abs().sum() > 0)
    ]
    assert silent == []


def test_gates_receive_gradient_at_the_very_first_step() -> None:
    adapter = small.adapter(awake=False)
    for fuser in adapter.fuser:
        torch.nn.init.normal_(fuser.flow_beta_temporal.weight, std=0.1)
    conditioning = Tora2Conditioning.build(
        adapter, small.motion_latent(), [small.entity()], small.tracks([0])
    )
    tokens = torch.randn(1, small.LATENT_FRAMES * 16, small.DIM)
    conditioning.modulate(0, tokens).square().mean().backward()
    assert adapter.binder.gate_m.grad.abs() > 0


def test_padding_of_entities_changes_nothing() -> None:
    adapter = small.adapter()
    latent = small.motion_latent()
    alone = collate_entities(adapter, [small.entity()], small.tracks([0]))
    from torch.nn.functional import pad

    wider = alone._replace(
        semantic=pad(alone.semantic, (0, 0, 0, 0, 0, 1, 0, 1)),
        face=pad(alone.face, (0, 0, 0, 1, 0, 1)),
        object=pad(alone.object, (0, 0, 0, 1, 0, 1)),
        is_face=pad(alone.is_face, (0, 1, 0, 1)),
        picture_mask=pad(alone.picture_mask, (0, 1, 0, 1)),
        words=pad(alone.words, (0, 0, 0, 3, 0, 1)),
        word_mask=pad(alone.word_mask, (0, 3, 0, 1)),
        points=pad(alone.points, (0, 0, 0, 0, 0, 1, 0, 1)),
        visible=pad(alone.visible, (0, 0, 0, 1, 0, 1)),
        track_mask=pad(alone.track_mask, (0, 1, 0, 1)),
        strength=pad(alone.strength, (0, 1)),
    )
    a, b = adapter(latent, alone), adapter(latent, wider)
    assert torch.allclose(a.p, b.p[:, : a.p.shape[1]], atol=1e-5)
    assert b.p_mask.sum() == a.p_mask.sum()
    for mine, other in zip(a.features, b.features, strict=True):
        assert torch.allclose(mine, other, atol=1e-5)


def test_configuration_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="binder 'both' is unknown"):
        Tora2Config(binder="both")
    with pytest.raises(ValueError, match="unknown fields"):
        Tora2Config.from_dict({"dim": 64, "depth": 3})
    with pytest.raises(ValueError, match="preset 'large'"):
        Tora2Config.preset("large")
    with pytest.raises(ValueError, match="needs 'motion' and 'appearance'"):
        Tora2Config(capabilities=("binding", "motion"))
    config = Tora2Config.preset("tiny", binder="linear")
    assert Tora2Config.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("name", [f.name for f in fields(Tora2Config)])
@pytest.mark.parametrize("value", [None, "x", -1, 2**70, [], {}, float("nan"), True, ["a"] * 3])
def test_configuration_refuses_values_that_no_field_can_have(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        Tora2Config.preset("tiny", **{name: value})


def test_configuration_bounds_what_multiplies() -> None:
    with pytest.raises(ValueError, match="extractor_blocks is 16 for 200 layers"):
        Tora2Config(layers=200, extractor_blocks=16)
    with pytest.raises(ValueError, match="dim is 48, expected a multiple of 32"):
        Tora2Config(dim=48, capabilities=("motion",))
    assert Tora2Config(dim=48, capabilities=("appearance",)).enabled == ("appearance",)
    assert Tora2Config(binder="none").enabled == ("motion", "appearance")


def test_autoencoder_is_causal_and_keeps_the_frame_count() -> None:
    torch.manual_seed(0)
    vae = PatchAutoencoder(PatchAutoencoderConfig(width=16, layers=1, pixel_channels=4)).eval()
    video = torch.randn(1, 3, 9, 16, 24)
    later = video.clone()
    later[:, :, 5:] += 1
    with torch.no_grad():
        a, b = vae.encode(video), vae.encode(later)
        assert a.shape == (1, 16, 3, 2, 3)
        assert torch.equal(a[:, :, :2], b[:, :, :2]) and not torch.equal(a[:, :, 2], b[:, :, 2])
        one, two = vae.decode(a), vae.decode(b)
    assert one.shape == video.shape
    assert torch.equal(one[:, :, :5], two[:, :, :5])
    with pytest.raises(ValueError, match="24x16 with 8 frames, expected 4k \\+ 1"):
        vae.encode(video[:, :, :8])


def test_the_extractor_takes_parameters_that_were_gathered_in_bfloat16() -> None:
    extractor = TrajectoryExtractor(layers=1)
    latent = torch.randn(1, 16, 2, 4, 4)
    [expected] = extractor(latent)
    for parameter in extractor.parameters():  # buffers stay in float32, as sharding leaves them
        parameter.data = parameter.data.bfloat16()
    [gathered] = extractor(latent.bfloat16())
    assert gathered.dtype == torch.bfloat16
    torch.testing.assert_close(gathered.float(), expected, rtol=0.05, atol=0.05)
