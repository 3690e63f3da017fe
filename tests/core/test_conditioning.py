"""The condition matrix: what each combination of picture, word and track does, exactly."""

import pytest
import small
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tora2.backbone import predict
from tora2.backbones.cogvideox import rotary_embedding
from tora2.conditioning import EntityCondition, Tora2Conditioning, collate_entities
from tora2.models.adapter import Tora2Adapter
from tora2.models.personalization import attention

ADAPTER = small.adapter()


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


def scene_of(adapter: Tora2Adapter, *strengths: float) -> Tora2Conditioning:
    """Entities of given strengths, each with picture, word and track."""
    entities = [small.entity(seed=4 + i, strength=s) for i, s in enumerate(strengths)]
    return Tora2Conditioning.build(
        adapter, small.motion_latent(), entities, small.tracks(list(range(len(strengths))))
    )


def distance(a: Tora2Conditioning, b: Tora2Conditioning, layer: int = 0) -> float:
    """Between what two conditionings add to the same tokens, relative to all that one adds."""
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randn(1, small.LATENT_FRAMES * 16, small.DIM, generator=generator)
    with torch.no_grad():
        parts = [
            torch.stack([c.attend(layer, tokens) - tokens, c.modulate(layer, tokens) - tokens])
            for c in (a, b)
        ]
    return float((parts[0] - parts[1]).norm() / parts[1].norm())


OTHERS = [(), (1.0,), (0.3,), (1.0, 2.5)]


@pytest.mark.parametrize("others", OTHERS, ids=str)
def test_a_strength_is_a_dial_without_jumps(
    adapter: Tora2Adapter, others: tuple[float, ...]
) -> None:
    """Whoever else is there: next to nothing at 0, ever closer steps, as trained at 1."""
    at = {
        s: scene_of(adapter, *others, s)
        for s in (0.0, 1e-6, 0.5, 0.5 + 1e-6, 1 - 1e-6, 1, 1 + 1e-6)
    }
    for one, near in ((0.0, 1e-6), (0.5, 0.5 + 1e-6), (1, 1 - 1e-6), (1, 1 + 1e-6)):
        assert distance(at[one], at[near]) < 1e-4, (one, near)
    assert distance(at[0.0], at[1]) > 0.05
    steps = [
        max(
            distance(scene_of(adapter, *others, i / n), scene_of(adapter, *others, (i + 1) / n))
            for i in range(n // 2, 3 * n // 2)
        )
        for n in (8, 32)
    ]
    assert steps[1] < 0.4 * steps[0]


@given(st.floats(0, 4), st.sampled_from(OTHERS))
@settings(max_examples=25, deadline=None)
def test_strengths_near_each_other_do_nearly_the_same(
    low: float, others: tuple[float, ...]
) -> None:
    near = [scene_of(ADAPTER, *others, strength) for strength in (low, low + 1e-5)]
    assert distance(*near) < 0.01


def test_more_strength_is_more_influence(adapter: Tora2Adapter) -> None:
    """An entity's share of the attention grows with its strength, and the other's shrinks."""
    steps = [i / 10 for i in range(11)]
    layer = adapter.cross_attention["0"]
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randn(1, 6, small.DIM, generator=generator)
    own = []
    for strength in steps:
        conditioning = scene_of(adapter, 1.0, strength)
        keys, values = conditioning.keys_values[0]
        half = keys.shape[1] // 2
        # Values that mark whose they are, read back through the attention alone.
        marks = torch.zeros_like(values)
        marks[:, half:] = 1
        q = layer.to_q(layer.norm2(tokens))
        with torch.no_grad():
            share = attention(q, keys, marks, layer.heads, conditioning.mask)
        own.append(share.mean().item())
    assert own[0] == 0 and own == sorted(own) and own[-1] > 0.1
    added = []
    for strength in steps:  # alone there is no one to give way to: what is added grows
        with torch.no_grad():
            conditioning = Tora2Conditioning.build(
                adapter, entities=[small.entity(strength=strength)]
            )
            added.append(float((conditioning.attend(0, tokens) - tokens).norm()))
    assert added == pytest.approx([strength * added[-1] for strength in steps], rel=1e-4)


def test_full_strengths_leave_the_bias_out(adapter: Tora2Adapter) -> None:
    """So that a video without faded entities keeps every bit."""
    for strengths in ((1.0,), (1.0, 1.0), (2.0, 1.0), (1.0, 0.0)):
        conditioning = scene_of(adapter, *strengths)
        assert conditioning.mask.dtype == torch.bool and conditioning.appearance_mask is None
    faded = scene_of(adapter, 1.0, 0.5)
    assert faded.mask.is_floating_point() and faded.appearance_mask is None
    assert float(scene_of(adapter, 0.25, 0.5).appearance_mask) == 0.5
    moved = faded.to("cpu").window([0, 1]).scaled(0.5, 0.5)
    assert torch.equal(moved.mask, faded.mask)


def test_strengths_of_a_batch_are_each_clip_s_own(model: object, adapter: Tora2Adapter) -> None:
    latent, paths = small.motion_latent(3), small.tracks([0, 1])
    pair = [small.entity(seed=4), small.entity(seed=5)]
    batch = collate_entities(adapter, pair, paths, batch=3)
    strength = torch.tensor([[1.0, 1.0], [1.0, 1e-3], [0.4, 0.0]])
    got = run(
        model, Tora2Conditioning.from_batch(adapter, latent, batch._replace(strength=strength)), 3
    )
    for i, (a, b) in enumerate(strength.tolist()):
        alone = [small.entity(seed=4, strength=a), small.entity(seed=5, strength=b)]
        expected = Tora2Conditioning.build(adapter, latent[i : i + 1], alone, paths)
        assert torch.allclose(got[i], run(model, expected)[0], atol=1e-5)


def test_a_faded_entity_still_learns(adapter: Tora2Adapter) -> None:
    fresh = small.adapter()
    conditioning = scene_of(fresh, 0.5, 1e-3)
    tokens = torch.randn(1, small.LATENT_FRAMES * 16, small.DIM)
    conditioning.attend(0, tokens).square().mean().backward()
    gradients = [p.grad for p in fresh.personalization.parameters() if p.grad is not None]
    assert gradients and all(g.isfinite().all() for g in gradients)
    assert any(g.any() for g in gradients)


@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
def test_a_strength_is_a_number_from_zero(strength: float) -> None:
    with pytest.raises(ValueError, match=f"strength is {strength}, expected a number from 0"):
        EntityCondition(strength=strength)


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
    # Without entities too: a track must not silently lose its owner.
    with pytest.raises(ValueError, match="entity 0 but there are 0 entities"):
        Tora2Conditioning.build(adapter, small.motion_latent(), tracks=small.tracks([-1, 0]))
    with pytest.raises(ValueError, match="entity -2 but there are 1"):
        Tora2Conditioning.build(
            adapter, small.motion_latent(), [small.entity()], small.tracks([-2])
        )
    with pytest.raises(ValueError, match="motion latent has the shape .1, 3, 3, 8, 8."):
        Tora2Conditioning.build(adapter, small.motion_latent()[:, :3])
    with pytest.raises(ValueError, match="word of entity 0 has the shape .2, 5., expected .L, 32."):
        Tora2Conditioning.build(adapter, None, [EntityCondition(word=torch.zeros(2, 5))])
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
