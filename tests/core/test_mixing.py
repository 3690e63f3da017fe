"""How strongly and when each entity's paths act: exact at 0 and 1, and a mean between."""

from dataclasses import replace

import pytest
import small
import torch

from tora2.conditioning import EntityCondition, Tora2Conditioning
from tora2.mixing import Mixture, every_set, levels, mixed
from tora2.scene import Window


def told(seed: int) -> Tora2Conditioning:
    """Conditions that differ in their paths, or have none."""
    adapter = small.adapter()
    entity = EntityCondition(word=torch.ones(1, small.TEXT))
    if seed < 0:
        return Tora2Conditioning.build(adapter, None, [entity])
    latent = small.motion_latent() * (1 + seed)
    return Tora2Conditioning.build(adapter, latent, [entity], small.tracks([0]))


def test_levels() -> None:
    assert levels([1.0, 1.0]) == [(1.0, frozenset({0, 1}))]
    assert levels([0.0, 0.0]) == [(1.0, frozenset())]
    assert levels([0.0, 1.0]) == [(1.0, frozenset({1}))]
    assert levels([1.0, 0.25]) == [(0.25, frozenset({0, 1})), (0.75, frozenset({0}))]
    shares = levels([0.2, 0.9, 0.9, 0.5])
    assert sum(share for share, _ in shares) == pytest.approx(1)
    for i, strength in enumerate([0.2, 0.9, 0.9, 0.5]):
        assert sum(share for share, one in shares if i in one) == pytest.approx(strength)


def test_every_set_that_a_sampling_meets() -> None:
    dials = [Window(1.0, 0.0, 0.5), Window(0.5, 0.5, 1.0), Window()]
    assert every_set(dials) == [
        frozenset({0, 1, 2}), frozenset({0, 2}), frozenset({1, 2}), frozenset({2})
    ]  # fmt: skip
    mixture = Mixture(tuple(dials), dict.fromkeys(every_set(dials), told(-1)))
    for time in torch.linspace(0, 1, 41).tolist():
        mixture.at([one.at(time) for one in dials])
    with pytest.raises(ValueError, match="ask for .* different sets of paths, expected at most"):
        every_set([Window(i / 40, i / 40) for i in range(20)])


def test_one_part_is_itself() -> None:
    part = told(0)
    assert mixed([(1.0, part)]) is part
    mixture = Mixture((Window(0.5),), {frozenset({0}): part, frozenset(): told(-1)})
    assert mixture.at([1.0]) is part
    assert mixture.at([0.0]).features is None


def test_between_it_is_the_mean_of_what_fusers_add() -> None:
    one, two, none = told(0), told(3), told(-1)
    tokens = torch.randn(2, small.LATENT_FRAMES * 16, one.adapter.config.dim)
    with torch.no_grad():
        added = [part.modulate(0, tokens) - tokens for part in (one, two)]
        half = mixed([(0.25, one), (0.75, two)]).modulate(0, tokens) - tokens
        faded = mixed([(0.25, one), (0.35, two), (0.4, none)]).modulate(0, tokens) - tokens
    assert torch.allclose(half, 0.25 * added[0] + 0.75 * added[1], atol=1e-5)
    assert torch.allclose(faded, 0.25 * added[0] + 0.35 * added[1], atol=1e-5)
    assert not torch.allclose(added[0], added[1], atol=1e-3)
    twice = mixed([(0.5, replace(one, motion_strength=2.0)), (0.5, none)])
    assert twice.motion_strength == 1.0
