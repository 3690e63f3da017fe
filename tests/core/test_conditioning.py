"""The condition matrix: what each combination of picture, word and track does, exactly."""

import pytest
import small
import torch

from tora2.backbone import predict
from tora2.backbones.cogvideox import rotary_embedding
from tora2.conditioning import EntityCondition, Tora2Conditioning
from tora2.models.adapter import Tora2Adapter


@pytest.fixture(scope="module")
def model() -> object:
    return small.transformer()


@pytest.fixture(scope="module")
def adapter() -> Tora2Adapter:
    return small.adapter()


def run(model: object, conditioning: Tora2Conditioning | None, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(1, 16, small.LATENT_FRAMES, small.SIDE, small.SIDE, generator=generator)
    text = torch.randn(1, 6, small.TEXT, generator=generator)
    x, text = x.expand(batch, -1, -1, -1, -1), text.expand(batch, -1, -1)
    with torch.no_grad():
        return predict(model, x, torch.tensor(500), text, conditioning)


def tora_only(adapter: Tora2Adapter, latent: torch.Tensor) -> Tora2Conditioning:
    features = tuple(adapter.extractor(latent))
    return Tora2Conditioning(adapter, frames=small.LATENT_FRAMES, features=features)


def test_text_only_is_plain_cogvideox(model: object, adapter: Tora2Adapter) -> None:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(1, 16, small.LATENT_FRAMES, small.SIDE, small.SIDE, generator=generator)
    text = torch.randn(1, 6, small.TEXT, generator=generator)
    rotary = rotary_embedding(model, small.LATENT_FRAMES, (4, 4))
    with torch.no_grad():
        plain = model(x.transpose(1, 2), text, torch.tensor([500]), image_rotary_emb=rotary).sample
    assert torch.equal(run(model, None), plain.transpose(1, 2))
    empty = Tora2Conditioning.build(adapter)
    assert torch.equal(run(model, empty), plain.transpose(1, 2))


def test_tracks_only_is_exactly_tora(model: object, adapter: Tora2Adapter) -> None:
    latent = small.motion_latent()
    got = run(model, Tora2Conditioning.build(adapter, latent, tracks=small.tracks([-1, -1])))
    assert torch.equal(got, run(model, tora_only(adapter, latent)))
    assert not torch.equal(got, run(model, None))


def test_track_of_an_entity_without_picture_or_word_is_exactly_tora(
    model: object, adapter: Tora2Adapter
) -> None:
    latent = small.motion_latent()
    got = Tora2Conditioning.build(adapter, latent, [EntityCondition()], small.tracks([0]))
    assert torch.equal(run(model, got), run(model, tora_only(adapter, latent)))


def test_track_with_a_word_alone_is_bound_without_cross_attention(
    model: object, adapter: Tora2Adapter
) -> None:
    latent = small.motion_latent()
    word_only = small.entity(pictures=0)
    got = Tora2Conditioning.build(adapter, latent, [word_only], small.tracks([0]))
    assert not got.keys_values
    assert not torch.equal(run(model, got), run(model, tora_only(adapter, latent)))


def test_entity_without_a_track_leaves_the_motion_as_tora_has_it(adapter: Tora2Adapter) -> None:
    latent = small.motion_latent()
    got = Tora2Conditioning.build(adapter, latent, [small.entity()], small.tracks([-1]))
    for mine, tora in zip(got.features, adapter.extractor(latent), strict=True):
        assert torch.equal(mine, tora)
    assert got.keys_values


def test_gates_at_zero_change_neither_embeddings_nor_motion() -> None:
    fresh = small.adapter(awake=False)
    latent = small.motion_latent()
    bound = Tora2Conditioning.build(fresh, latent, [small.entity()], small.tracks([0]))
    for mine, tora in zip(bound.features, fresh.extractor(latent), strict=True):
        assert torch.equal(mine, tora)


def test_a_fresh_adapter_changes_nothing(model: object) -> None:
    fresh = small.adapter(awake=False)
    conditioning = Tora2Conditioning.build(
        fresh, small.motion_latent(), [small.entity()], small.tracks([0])
    )
    assert torch.equal(run(model, conditioning), run(model, None))


@pytest.mark.parametrize("strength", [0.0, -0.0])
def test_strength_zero_is_an_absent_entity(
    model: object, adapter: Tora2Adapter, strength: float
) -> None:
    latent = small.motion_latent()
    paths = small.tracks([0, 1])
    there, off = small.entity(seed=4), small.entity(seed=9, strength=strength)
    got = Tora2Conditioning.build(adapter, latent, [there, off], paths)
    expected = Tora2Conditioning.build(adapter, latent, [there, EntityCondition()], paths)
    assert torch.allclose(run(model, got), run(model, expected), atol=1e-6)


def test_strengths_of_both_conditions_reach_zero_exactly(
    model: object, adapter: Tora2Adapter
) -> None:
    latent = small.motion_latent()
    full = Tora2Conditioning.build(adapter, latent, [small.entity()], small.tracks([0]))
    assert torch.equal(run(model, full.scaled(0, 0)), run(model, None))
    assert torch.equal(
        run(model, full.scaled(1, 0)),
        run(model, Tora2Conditioning(adapter, frames=full.frames, features=full.features)),
    )
    half = full.scaled(motion=0.5)
    tokens = torch.randn(1, small.LATENT_FRAMES * 16, small.DIM)
    with torch.no_grad():
        change, full_change = half.modulate(0, tokens) - tokens, full.modulate(0, tokens) - tokens
    assert torch.allclose(change, full_change * 0.5, atol=1e-6)


def test_guidance_halves_share_the_conditions(model: object, adapter: Tora2Adapter) -> None:
    latent = small.motion_latent()
    conditioning = Tora2Conditioning.build(adapter, latent, [small.entity()], small.tracks([0]))
    once, twice = run(model, conditioning), run(model, conditioning, batch=2)
    assert torch.allclose(twice[0], once[0], atol=1e-5)
    assert torch.allclose(twice[1], once[0], atol=1e-5)


def test_entities_are_a_set(model: object, adapter: Tora2Adapter) -> None:
    latent, paths = small.motion_latent(), small.tracks([0, 1])
    a, b = small.entity(seed=4), small.entity(seed=8, branch="face", pictures=2)
    forth = Tora2Conditioning.build(adapter, latent, [a, b], paths)
    swapped = small.replace_owner(paths, [1, 0])
    back = Tora2Conditioning.build(adapter, latent, [b, a], swapped)
    assert torch.allclose(run(model, forth), run(model, back), atol=1e-4)


def test_swapping_pictures_changes_the_result(model: object, adapter: Tora2Adapter) -> None:
    latent, paths = small.motion_latent(), small.tracks([0, 1])
    a, b = small.entity(seed=4), small.entity(seed=8)
    swapped = [EntityCondition(b.pictures, a.word), EntityCondition(a.pictures, b.word)]
    first = run(model, Tora2Conditioning.build(adapter, latent, [a, b], paths))
    second = run(model, Tora2Conditioning.build(adapter, latent, swapped, paths))
    assert (first - second).abs().max() > 1e-4


def test_clips_of_a_batch_do_not_touch_each_other(adapter: Tora2Adapter, model: object) -> None:
    """A clip without conditions in a batch comes out as if it were alone."""
    from tora2.conditioning import collate_entities

    latent = small.motion_latent(2)
    full = collate_entities(adapter, [small.entity()], small.tracks([0]), batch=2)
    first = torch.tensor([True, False])
    mixed = full._replace(
        picture_mask=full.picture_mask & first[:, None, None],
        track_mask=full.track_mask & first[:, None, None],
        word_mask=full.word_mask & first[:, None, None],
    )
    conditioning = Tora2Conditioning.from_batch(adapter, latent, mixed, first.float())
    got = run(model, conditioning, batch=2)
    alone = Tora2Conditioning.build(adapter, latent[:1], [small.entity()], small.tracks([0]))
    assert torch.allclose(got[0], run(model, alone)[0], atol=1e-5)
    assert torch.allclose(got[1], run(model, None)[0], atol=1e-5)


def test_orders_differ(model: object) -> None:
    outputs = []
    for order in ("motion_first", "personalization_first"):
        adapter = small.adapter(order=order)
        conditioning = Tora2Conditioning.build(
            adapter, small.motion_latent(), [small.entity()], small.tracks([0])
        )
        outputs.append(run(model, conditioning))
    assert (outputs[0] - outputs[1]).abs().max() > 1e-4


@pytest.mark.parametrize("binder", ["none", "linear", "gated"])
def test_every_binding_arm_runs_and_binds_or_not(model: object, binder: str) -> None:
    adapter = small.adapter(binder=binder)
    latent = small.motion_latent()
    conditioning = Tora2Conditioning.build(adapter, latent, [small.entity()], small.tracks([0]))
    same = torch.equal(conditioning.features[0], adapter.extractor(latent)[0])
    assert same == (binder == "none")
    assert ("binding" in adapter.capabilities) == (binder != "none")
    assert torch.isfinite(run(model, conditioning)).all()


def test_refusals(adapter: Tora2Adapter) -> None:
    with pytest.raises(ValueError, match="entity 3 but there are 1"):
        Tora2Conditioning.build(adapter, small.motion_latent(), [small.entity()], small.tracks([3]))
    with pytest.raises(ValueError, match="no motion latent"):
        Tora2Conditioning.build(adapter, None, [small.entity()], small.tracks([0]))
    motion_only = small.adapter(capabilities=("motion",))
    with pytest.raises(ValueError, match="no appearance parts"):
        Tora2Conditioning.build(motion_only, None, [small.entity()])
    appearance_only = small.adapter(capabilities=("appearance",))
    with pytest.raises(ValueError, match="no motion parts"):
        Tora2Conditioning.build(appearance_only, small.motion_latent())
    conditioning = Tora2Conditioning.build(adapter, small.motion_latent())
    with pytest.raises(ValueError, match="do not fit"):
        conditioning.modulate(0, torch.zeros(1, 10, small.DIM))
