"""Our own adapter file: round trip, versions, configurations out of bounds."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tora2.checkpoints import load_adapter, save_adapter
from tora2.models.adapter import Tora2Adapter, Tora2Config
from tora2.models.config import BINDERS


def small(**changes: object) -> Tora2Config:
    sizes = {"dim": 32, "layers": 2, "attention_dim": 32, "attention_heads": 1, "word_dim": 16}
    return Tora2Config.preset("tiny", **{**sizes, **changes})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_adapter(Tora2Adapter(small()), tmp_path / "adapter.safetensors", {"steps": "7"})
    return tmp_path / "adapter.safetensors"


def rewrite(path: Path, **metadata: str) -> Path:
    """The same tensors with metadata changed; None removes a key."""
    with safe_open(path, framework="pt") as file:
        kept = {**file.metadata(), **metadata}
    save_file(load_file(path), path, {k: v for k, v in kept.items() if v is not None})
    return path


@pytest.mark.parametrize(
    "config",
    [
        *(small(binder=binder) for binder in BINDERS),
        small(capabilities=("motion",)),
        small(capabilities=("appearance",)),
        small(capabilities=("motion", "appearance"), order="personalization_first"),
    ],
    ids=lambda c: f"{c.binder}-{'-'.join(c.capabilities)}",
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_round_trip(tmp_path: Path, config: Tora2Config, dtype: torch.dtype) -> None:
    adapter = Tora2Adapter(config).to(dtype)
    save_adapter(adapter, tmp_path / "a.safetensors")
    loaded = load_adapter(tmp_path / "a.safetensors")
    assert loaded.config == config
    assert loaded.capabilities == adapter.capabilities
    assert loaded.dtype == dtype
    expected = adapter.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, expected[name])
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_a_loaded_adapter_can_be_trained_and_saved_over_its_file(saved: Path) -> None:
    loaded = load_adapter(saved)
    with torch.no_grad():
        loaded.fuser[0].flow_cond_norm.weight.add_(1)
    save_adapter(loaded, saved)
    assert load_adapter(saved).fuser[0].flow_cond_norm.weight.mean() == 2


def test_metadata_lies_beside_the_configuration(saved: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "tora2"
    assert metadata["version"] == "1"
    assert metadata["steps"] == "7"
    assert json.loads(metadata["tora2_config"])["dim"] == 32


@pytest.mark.parametrize("metadata", [{"format": "x"}, {"tora2_config": "{}"}, {"steps": 7}])
def test_metadata_that_cannot_be_kept_is_refused(tmp_path: Path, metadata: dict) -> None:
    with pytest.raises(ValueError, match="metadata"):
        save_adapter(Tora2Adapter(small()), tmp_path / "a.safetensors", metadata)
    assert list(tmp_path.iterdir()) == []


def test_a_field_that_a_file_does_not_have_takes_its_default(saved: Path) -> None:
    config = small().to_dict()
    del config["order"]
    assert load_adapter(rewrite(saved, tora2_config=json.dumps(config))).config == small()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"version": "2"}, "version 2, expected at most 1: a newer Tora2"),
        ({"version": "one"}, "version 'one'"),
        ({"version": None}, "version ''"),
        ({"tora2_config": None}, "not JSON"),
        ({"tora2_config": "{"}, "not JSON"),
        ({"tora2_config": "[]"}, "expected an object"),
        ({"tora2_config": '{"width": 3}'}, "unknown key 'width'"),
        ({"tora2_config": '{"layers": 1000000000}'}, "layers is 1000000000"),
        ({"tora2_config": '{"layers": 1000}'}, "tensors for 1000 layers"),
        ({"tora2_config": '{"dim": "32"}'}, "dim is '32'"),
        ({"tora2_config": '{"attention_heads": 0}'}, "attention_heads is 0"),
        ({"tora2_config": '{"splat_sigma": NaN}'}, "splat_sigma is nan"),
        ({"tora2_config": '{"binder": "glue"}'}, "binder 'glue' is unknown"),
        ({"tora2_config": '{"capabilities": ["motion", "song"]}'}, "song"),
        ({"tora2_config": '{"dim": 32, "dim": 64}'}, "occurs twice"),
    ],
)
def test_configurations_that_are_refused(saved: Path, metadata: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        load_adapter(rewrite(saved, **metadata))
    assert str(saved) in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("extractor.conv_in.weight"), "lacks 1 of .* extractor.conv_in.weight"),
        (lambda t: t.update(stranger=torch.zeros(1)), "has the tensor stranger"),
        (lambda t: t.update({"null_p": torch.zeros(3)}), r"null_p of shape \(3,\)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(saved: Path, change, message: str) -> None:
    tensors = load_file(saved)
    change(tensors)
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    save_file(tensors, saved, metadata)
    with pytest.raises(ValueError, match=message):
        load_adapter(saved)


def test_our_parts_without_their_configuration_are_refused(saved: Path) -> None:
    save_file(load_file(saved), saved)
    with pytest.raises(ValueError, match="without their configuration"):
        load_adapter(saved)
