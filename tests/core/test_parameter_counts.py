"""The preset `5b` has the sizes of the paper's lineage and of Tora's files."""

import pytest
import torch
from torch import nn

from tora2.models.adapter import Tora2Adapter, Tora2Config


@pytest.fixture(scope="module")
def adapter() -> Tora2Adapter:
    with torch.device("meta"):
        return Tora2Adapter(Tora2Config.preset("5b"))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_motion_parts_are_exactly_those_of_tora(adapter: Tora2Adapter) -> None:
    assert count(adapter.fuser) == 669_441_024
    assert {count(fuser) for fuser in adapter.fuser} == {15_939_072}
    assert count(adapter.extractor) == 24_910_976
    assert len(adapter.extractor.state_dict()) == 1178


def test_cross_attention_at_every_second_block(adapter: Tora2Adapter) -> None:
    assert list(adapter.cross_attention) == [str(layer) for layer in range(0, 42, 2)]
    for attention in adapter.cross_attention.values():
        assert count(attention) / 1e6 == pytest.approx(20.98, abs=0.01)


def test_personalization_and_binding(adapter: Tora2Adapter) -> None:
    assert count(adapter.personalization.layers) / 1e6 == pytest.approx(75.5, abs=0.1)
    # The binder's figure is one block at width 1024; the word's projection comes in beside it.
    binder = count(adapter.binder) - count(adapter.binder.word_projection)
    assert binder / 1e6 == pytest.approx(14.7, abs=0.05)
    assert count(adapter.splat.projections) / 1e6 == pytest.approx(5.5, abs=0.05)
