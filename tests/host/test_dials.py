"""Dials apart: an entity's own part of the sampling, and guidance by text, paths and pictures."""

from typing import Any

import builders
import pytest
import torch
from test_equality import corrected, error
from torch import Tensor


@pytest.fixture(scope="module")
def reference() -> Any:
    return builders.transformer()


@pytest.fixture(scope="module")
def applied(pack: builders.Pack, reference: Any) -> Any:
    """A function from the windows of motion and appearance to a MODEL with two entities."""
    model, made = corrected(pack, reference), builders.adapter(pack)
    bound = builders.bound(pack, made)
    window = pack("tora2.scene").Window

    def apply(motion: float = 1.0, appearance: float = 1.0) -> Any:
        return pack("nodes.host.injection").inject(model, bound, window(motion), window(appearance))

    return apply


def one_step(guider: Any, latent: tuple[int, int, int] = (3, 8, 12)) -> Tensor:
    """What a guider predicts of pure noise."""
    from comfy.samplers import calculate_sigmas, ksampler

    noise = torch.randn(1, 16, *latent, generator=torch.Generator().manual_seed(0))
    sigmas = calculate_sigmas(guider.model_patcher.get_model_object("model_sampling"), "simple", 1)
    return guider.sample(noise, torch.zeros_like(noise), ksampler("euler"), sigmas, seed=0)


def texts(width: int = builders.TEXT) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(1)
    positive, negative = torch.randn(2, 1, 226, width, generator=generator)
    return [[positive, {}]], [[negative, {}]]


def plain(
    model: Any, cfg: float, latent: tuple[int, int, int] = (3, 8, 12), width: int = builders.TEXT
) -> Tensor:
    from comfy.samplers import CFGGuider

    guider = CFGGuider(model)
    guider.set_conds(*texts(width))
    guider.set_cfg(cfg)
    return one_step(guider, latent)


def test_guidance_is_apart(host: Any, applied: Any) -> None:
    node = host.NODE_CLASS_MAPPINGS["Tora2Guider"]

    def split(*scales: float, preset: str = "as set") -> Tensor:
        return one_step(node.execute(applied(), *texts(), *scales, preset).result[0])

    guided, with_all = plain(applied(), 3.0), plain(applied(), 1.0)
    still, nobody = plain(applied(motion=0.0), 1.0), plain(applied(appearance=0.0), 1.0)
    assert torch.equal(split(3.0, 0.0, 0.0), guided)
    expected = guided + 2.0 * (with_all - still) + 1.5 * (with_all - nobody)
    got = split(3.0, 2.0, 1.5)
    assert error(got, expected) < 5e-3 < 0.1 * error(got, guided)
    held = split(9.0, 9.0, 9.0, preset="hold the paths")
    assert torch.equal(held, split(6.0, 2.0, 0.0))


def test_what_is_off_costs_nothing(
    host: Any, applied: Any, pack: builders.Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    injection = pack("nodes.host.injection").Injection
    runs = []
    run = injection.run

    def counted(self: Any, *args: Any, **more: Any) -> Tensor:
        runs.append(len(args[1]))
        return run(self, *args, **more)

    monkeypatch.setattr(injection, "run", counted)
    node = host.NODE_CLASS_MAPPINGS["Tora2Guider"]
    for scales, count in (((3.0, 0.0, 0.0), 2), ((1.0, 0.0, 0.0), 1), ((3.0, 1.0, 1.0), 4)):
        runs.clear()
        one_step(node.execute(applied(), *texts(), *scales).result[0])
        assert sum(runs) == count


def test_a_model_without_conditions_cannot_be_guided_by_them(
    host: Any, pack: builders.Pack, reference: Any
) -> None:
    node = host.NODE_CLASS_MAPPINGS["Tora2Guider"]
    model = corrected(pack, reference)
    one_step(node.execute(model, *texts(), 3.0, 0.0, 0.0).result[0])
    with pytest.raises(ValueError, match="motion_guidance is 2 but the model has no paths"):
        node.execute(model, *texts(), 3.0, 2.0, 0.0)


def test_an_entity_acts_in_its_own_part_of_the_sampling(pack: builders.Pack) -> None:
    conditioning = pack("tora2.conditioning")
    made = builders.adapter(pack)
    build = conditioning.Tora2Conditioning.build
    one, two = (
        conditioning.EntityCondition((builders.picture(pack, seed),), window=window)
        for seed, window in ((4, (0.0, 0.4)), (5, (0.0, 1.0)))
    )
    both = build(made, None, [one, two])
    assert both.windows == ((0.0, 0.4), (0.0, 1.0))
    assert build(made, None, [two, two]).windows is None
    tokens = torch.randn(1, 24, 128, generator=torch.Generator().manual_seed(2))
    alone = build(made, None, [two]).attend(0, tokens)
    assert torch.allclose(both.among([False, True]).attend(0, tokens), alone, atol=1e-5)
    assert torch.equal(both.among([False, False]).attend(0, tokens), tokens)
    assert both.among([True, True]) is both
    assert not torch.allclose(both.attend(0, tokens), alone, atol=1e-3)
    with pytest.raises(ValueError, match="expected a start and an end in"):
        conditioning.EntityCondition(window=(0.6, 0.2))


def test_the_host_switches_an_entity_at_its_noise_levels(
    host: Any, pack: builders.Pack, reference: Any
) -> None:
    from dataclasses import replace

    model, made = corrected(pack, reference), builders.adapter(pack)
    bound, window = builders.bound(pack, made, motion=False), pack("tora2.scene").Window
    inject = pack("nodes.host.injection").inject

    def predicted(windows: Any) -> Tensor:
        changed = replace(bound, conditioning=replace(bound.conditioning, windows=windows))
        return plain(inject(model, changed, window(), window()), 1.0)

    whole = predicted(None)
    late = predicted(((0.5, 1.0), (0.0, 1.0)))  # the first step is too early for it
    only = replace(bound, conditioning=bound.conditioning.among([False, True]))
    assert torch.equal(late, plain(inject(model, only, window(), window()), 1.0))
    assert not torch.equal(late, whole)
    assert torch.equal(predicted(((0.0, 0.5), (0.0, 1.0))), whole)


def test_an_entitys_dials_reach_the_binding(host: Any, pack: builders.Pack) -> None:
    node = host.NODE_CLASS_MAPPINGS["Tora2EntityDials"]
    entity = pack("tora2.encoders.entity").EncodedEntity(word="cat", strength=0.5)
    made = node.execute(entity, 2.0, 0.1, 0.6).result[0]
    assert (made.strength, made.start, made.end) == (1.0, 0.1, 0.6)
    match = pack("nodes.matching").match([made], None)[0]
    condition = pack("nodes.bind").entity_condition(None, match, None)
    assert (condition.strength, condition.window) == (1.0, (0.1, 0.6))
    assert "start is 0.7 and end is 0.2" in node.validate_inputs(start=0.7, end=0.2)
    assert "strength is 9" in node.validate_inputs(strength=9)


def test_an_entitys_paths_have_dials_too(host: Any, pack: builders.Pack) -> None:
    tiny, bind = pack("nodes.host.tiny"), pack("nodes.bind").bind
    model, clip, vae, adapter, _, _ = tiny.load(tiny.FOLDER)
    node = host.NODE_CLASS_MAPPINGS["Tora2EntityDials"]
    entity = pack("tora2.encoders.entity").EncodedEntity
    parse, window = pack("tora2.trajectory").parse, pack("tora2.scene").Window
    inject = pack("nodes.host.injection").inject
    document = {
        "version": 1,
        "width": 96,
        "height": 96,
        "frames": 17,
        "entities": [{"id": "circle"}, {"id": "star"}],
        "tracks": [
            {"id": "a", "entity": "circle", "points": [{"x": 0.2, "y": 0.2}, {"x": 0.8, "y": 0.3}]},
            {"id": "b", "entity": "star", "points": [{"x": 0.8, "y": 0.8}, {"x": 0.3, "y": 0.7}]},
        ],
    }
    star = entity(word="star")

    def bound(entities: list[Any], tracks: list[Any]) -> Any:
        drawn = parse(document | {"tracks": tracks})
        return bind(adapter, entities, drawn, vae, clip)[0]

    def dialled(*dials: float) -> Any:
        circle = node.execute(entity(word="circle"), 1.0, 0.0, 1.0, *dials).result[0]
        return bound([circle, star], document["tracks"])

    def predicted(given: Any) -> Tensor:
        """The first step, of all noise."""
        return plain(inject(model, given, window(), window()), 1.0, (5, 12, 12), 128)

    both = bound([entity(word="circle"), star], document["tracks"])
    alone = bound([entity(word="circle"), star], document["tracks"][1:])
    assert both.mixture is None and dialled(1.0).mixture is None
    with_both, without = predicted(both), predicted(alone)
    assert torch.equal(predicted(dialled(0.0)), without), "0 is not drawing them"
    assert not torch.equal(with_both, without)
    half = predicted(dialled(0.5))
    assert 0 < error(half, with_both) < error(without, with_both)
    assert torch.equal(predicted(dialled(1.0, 0.5, 1.0)), without), "the first step is too early"
    assert torch.equal(predicted(dialled(1.0, 0.0, 0.5)), with_both)
    with pytest.raises(ValueError, match="flow_video gives the motion of all"):
        circle = node.execute(entity(word="circle"), motion_strength=0.0).result[0]
        flow = torch.zeros(17, 96, 96, 3)
        bind(adapter, [circle], parse(document), vae, clip, flow_video=flow)
    assert "motion_start is 0.7 and" in node.validate_inputs(motion_start=0.7, motion_end=0.2)
