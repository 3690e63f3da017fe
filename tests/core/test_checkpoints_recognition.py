"""What a file holds is told as values, the same for everything that asks."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tora2.checkpoints import (
    inspect,
    load_adapter,
    read_transformer,
    safetensors_file,
    save_adapter,
)
from tora2.checkpoints.folders import read_transformer_weights
from tora2.checkpoints.mapped import MAX_TENSORS
from tora2.checkpoints.recognition import Holding, Kind, recognise, shapes_of
from tora2.checkpoints.safetensors_file import write_safetensors
from tora2.checkpoints.shards import Shard, shard_of
from tora2.doctor import scan
from tora2.models.adapter import Tora2Adapter, Tora2Config


@pytest.mark.parametrize(
    ("file", "layout"),
    [("SAT torch file", "sat"), ("Kijai file", "diffusers"), ("ComfyUI with Tora", "comfy")],
)
def test_transformers_by_their_layout(layouts, file: str, layout: str) -> None:
    tensors = read_transformer_weights(layouts.transformers[file]).tensors
    held = {holding.kind: holding for holding in recognise(shapes_of(tensors))}
    transformer = held[Kind.TRANSFORMER]
    assert (transformer.layout, transformer.blocks) == (layout, 3)
    assert transformer.entry == (128, 16, 2, 2)
    assert (Kind.MOTION in held) == (file != "Kijai file")


def test_an_inspection_has_what_its_words_say(layouts, tmp_path: Path) -> None:
    whole = inspect(layouts.transformers["SAT torch file"])
    assert [holding.kind for holding in whole.holdings] == [Kind.MOTION, Kind.TRANSFORMER]
    assert "holdings" not in whole.to_dict()
    (tmp_path / "half.safetensors").write_bytes(layouts.adapters["Kijai fuser"].read_bytes())
    (half,) = inspect(tmp_path / "half.safetensors").holdings
    assert half.parts == {"fuser"} and "trajectory extractor missing" in half.trouble
    pipeline = inspect(layouts.transformers["Tora diffusers pipeline"])
    assert not any(holding.trouble for holding in pipeline.holdings)
    (layouts.transformers["Tora diffusers pipeline"] / "vae").mkdir(exist_ok=True)
    pipeline = inspect(layouts.transformers["Tora diffusers pipeline"])
    assert Holding(Kind.VAE, "vae/") in pipeline.holdings
    assert "a video VAE" not in pipeline.missing


def test_other_models_parts_are_not_taken_for_tora() -> None:
    names = ("extractor.conv.weight", "feature.extractor.conv_in.weight", "fuser.weight")
    assert recognise(dict.fromkeys(names, (2, 2))) == ()


def test_shards_by_their_names() -> None:
    assert shard_of("x/model-00002-of-00010.safetensors") == Shard("model", 10)
    assert shard_of("model-2-of-10.safetensors") is None


def test_a_folder_of_shards_of_many_models_is_counted_in_one_pass(tmp_path: Path) -> None:
    for i in range(3000):
        (tmp_path / f"m{i:04}-00001-of-00001.safetensors").touch()
    with pytest.raises(ValueError, match="3000 files of weights, expected at most 1000"):
        load_adapter(tmp_path)


def tiny() -> Tora2Adapter:
    return Tora2Adapter(Tora2Config.preset("tiny", layers=2))


@pytest.mark.parametrize(
    "claim",
    [{"layers": 1000}, {"extractor_blocks": 16}, {"qformer_depth": 64}, {"layers": 65_536}],
)
def test_parts_that_a_file_cannot_hold_are_refused_before_they_are_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: dict
) -> None:
    config = {**tiny().config.to_dict(), **claim}
    metadata = {"format": "tora2", "version": "1", "tora2_config": json.dumps(config)}
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors", metadata)

    def build(*_: object) -> None:
        raise AssertionError("something was built")

    monkeypatch.setattr(torch.nn.Module, "__init__", build)
    for look in (load_adapter, inspect):
        with pytest.raises(ValueError, match=r"x\.safetensors.* 1 tensors for|expected an integer"):
            look(tmp_path / "x.safetensors")
    (seen,) = scan([tmp_path])
    assert len(seen.unreadable) == 1 and not seen.found


@pytest.mark.parametrize("name", ["extractor.body.65535.x", "fuser.9999.flow_x"])
def test_numbers_in_names_are_no_counts(layouts, tmp_path: Path, name: str) -> None:
    tensors = {n: t.clone() for n, t in layouts.adapter.state_dict().items()}
    save_file({**tensors, name: torch.zeros(1)}, tmp_path / "x.safetensors")
    for look in (load_adapter, inspect):
        with pytest.raises(ValueError, match="65536 extractor blocks|10000 fuser layers"):
            look(tmp_path / "x.safetensors")


def test_a_header_of_too_many_tensors_is_refused(tmp_path: Path) -> None:
    save_file({str(i): torch.zeros(0) for i in range(MAX_TENSORS + 1)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=f"{MAX_TENSORS + 1} tensors, expected at most"):
        inspect(tmp_path / "x.safetensors")


def test_names_of_tensors_are_shown_clean_and_short(layouts, tmp_path: Path) -> None:
    ugly = "\x1b[31mred\n" + "x" * 900
    path = tmp_path / "x.safetensors"
    motion = {n: t.clone() for n, t in layouts.adapter.state_dict().items()}
    for tensors in (
        {ugly: torch.zeros(1)},
        {**motion, f"fuser.0.flow_{ugly[:3]}": torch.zeros(1)},
        {**motion, f"extractor.{ugly}": torch.zeros(1, dtype=torch.uint8)},
        {**layouts.transformer.state_dict(), ugly: torch.zeros(1)},
    ):
        save_file(tensors, path, {ugly: ugly * 100})
        for read in (load_adapter, read_transformer, inspect):
            try:
                said = str(read(path)) if read is inspect else str(type(read(path)))
            except ValueError as error:
                said = str(error)
        for line in said.split("\n"):
            assert line.isprintable() and len(line) < 1200 + len(str(tmp_path)), line[:200]
    save_adapter(tiny(), path, {"note": ugly})
    assert all(line.isprintable() for line in str(inspect(path)).split("\n"))


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no pipes in the file system here")
    os.mkfifo(tmp_path / "x.safetensors")
    os.mkfifo(tmp_path / "model_index.json")
    for look in (load_adapter, read_transformer, inspect):
        for path in (tmp_path, tmp_path / "x.safetensors", Path("/dev/zero")):
            with pytest.raises(ValueError, match="no regular file|folder without weights"):
                look(path)
    assert scan([tmp_path])[0].found == ()


def test_weights_that_share_their_values_are_written_twice(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    tensors = {"whole": base, "same": base, "part": base[3:7], "turned": base.view(3, 4).T}
    write_safetensors(tmp_path / "x.safetensors", tensors, {})
    found = load_file(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_a_full_disk_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors_file, "save_file", full)
    with pytest.raises(OSError, match=r"a\.safetensors: .*No space left"):
        save_adapter(tiny(), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []
