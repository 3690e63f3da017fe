"""What `inspect` says, and the two commands."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tora2.backbone import load_transformer
from tora2.checkpoints import inspect, inspection, load_adapter, save_adapter
from tora2.cli import convert as convert_command
from tora2.cli import inspect as inspect_command
from tora2.models.adapter import Tora2Adapter, Tora2Config


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers(dest="command", required=True)
    inspect_command.add_parser(subparsers)
    convert_command.add_parser(subparsers)
    arguments = parser.parse_args(words)
    modules = {"inspect": inspect_command, "convert": convert_command}
    return modules[arguments.command].run(arguments)


def test_tora_whole(layouts) -> None:
    found = inspect(layouts.adapters["SAT torch file"])
    assert found.capabilities == ("motion",)
    assert found.sizes["layers"] == found.sizes["blocks"] == 3
    assert found.sizes["dim"] == found.sizes["channels"] == 128
    assert any("SAT names, for text-to-video" in phrase for phrase in found.holds)
    assert any("trajectory extractor and fusers" in phrase for phrase in found.holds)
    assert any("No Tora2 weights were ever published" in note for note in found.notes)
    state = torch.load(layouts.adapters["SAT torch file"], weights_only=False)["module"]
    assert found.parameters == sum(tensor.numel() for tensor in state.values())


def test_a_bare_transformer_tells_where_the_motion_parts_are(layouts) -> None:
    found = inspect(layouts.transformers["ComfyUI"])
    assert found.capabilities == ()
    assert any("trajectory control" in sentence for sentence in found.missing)
    text = str(found)
    for word in ("Kijai/CogVideoX-5b-Tora", "xiaoche/Tora", "1.34 GB", "CogVideoX License"):
        assert word in text


def test_motion_parts_tell_where_the_base_is(layouts) -> None:
    found = inspect(layouts.adapters["Kijai folder"].parent / "flat")
    assert found.capabilities == ("motion",)
    ids = {(source.huggingface, source.modelscope) for source in found.sources}
    assert ("zai-org/CogVideoX-5b", "ZhipuAI/CogVideoX-5b") in ids


def test_one_half_alone_and_with_its_sibling(layouts, tmp_path: Path) -> None:
    paired = inspect(layouts.adapters["Kijai fuser"])
    assert paired.capabilities == ("motion",)
    assert any("other half" in note for note in paired.notes)
    (tmp_path / "f.safetensors").write_bytes(layouts.adapters["Kijai fuser"].read_bytes())
    alone = inspect(tmp_path / "f.safetensors")
    assert alone.capabilities == ()
    assert any("trajectory extractor missing" in sentence for sentence in alone.missing)


@pytest.mark.parametrize("binder", ["gated", "none"])
def test_our_own_adapter(tmp_path: Path, binder: str) -> None:
    adapter = Tora2Adapter(Tora2Config.preset("tiny", layers=2, binder=binder)).half()
    save_adapter(adapter, tmp_path / "a.safetensors", {"trained": "4,000 steps"})
    found = inspect(tmp_path / "a.safetensors")
    assert set(found.capabilities) == adapter.capabilities
    assert found.sizes["binder"] == binder
    assert found.metadata["trained"] == "4,000 steps"
    assert set(found.dtypes) == {"float16", "int64"}
    assert found.parameters == sum(t.numel() for t in adapter.state_dict().values())
    assert not any("No Tora2 weights" in note for note in found.notes)


def test_gguf_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"GGUF" + bytes(100))
    found = inspect(tmp_path / "x.bin")
    assert found.layout == "GGUF"
    assert found.bytes == 104
    assert any("GGUF loader of the host" in note for note in found.notes)


def test_the_bundled_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "BUNDLED", tmp_path)
    with pytest.raises(ValueError, match="not installed"):
        inspect("tiny")
    index = {"_class_name": "x", "width": 96, "height": 96, "frames": 17, "fps": 8, "words": ["a"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    adapter = Tora2Adapter(Tora2Config.preset("tiny", layers=2))
    save_adapter(adapter, tmp_path / "adapter.safetensors")
    found = inspect("tiny")
    assert found.path == "tiny"
    assert found.sizes == {"width": 96, "height": 96, "frames": 17, "fps": 8, "words": ["a"]}
    assert found.capabilities == ("motion", "appearance", "binding")


@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_inspect_command(layouts, capsys: pytest.CaptureFixture, flag: tuple[str, ...]) -> None:
    path = str(layouts.adapters["Kijai folder"])
    assert command("inspect", path, *flag) == 0
    out = capsys.readouterr().out
    found = inspect(path)
    if flag:
        assert json.loads(out) == json.loads(json.dumps(found.to_dict()))
        assert json.loads(out)["capabilities"] == ["motion"]
    else:
        assert out == f"{found}\n"


def test_convert_command(layouts, tmp_path: Path) -> None:
    source = str(layouts.transformers["SAT torch file"])
    expected = layouts.transformer.state_dict()
    for to in ("comfy", "diffusers"):
        output = tmp_path / f"{to}.safetensors"
        assert command("convert", source, "--to", to, "--output", str(output)) == 0
        loaded = load_transformer(output, torch.float32).state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())
    comfy = load_file(tmp_path / "comfy.safetensors")
    assert comfy.keys() == load_file(layouts.transformers["ComfyUI"]).keys()
    output = tmp_path / "adapter.safetensors"
    assert command("convert", source, "--to", "tora2", "--output", str(output)) == 0
    adapter = load_adapter(output)
    for name, tensor in layouts.adapter.state_dict().items():
        assert torch.equal(adapter.state_dict()[name], tensor)


def test_convert_command_leaves_nothing_behind_when_it_fails(layouts, tmp_path: Path) -> None:
    source = str(layouts.adapters["Kijai fuser"])
    output = tmp_path / "out.safetensors"
    with pytest.raises(ValueError, match="expected a CogVideoX transformer"):
        command("convert", source, "--to", "comfy", "--output", str(output))
    with pytest.raises(ValueError, match="ends in .safetensors"):
        command("convert", source, "--to", "tora2", "--output", str(tmp_path / "out.bin"))
    assert list(tmp_path.iterdir()) == []
