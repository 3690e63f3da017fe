"""Corrupt, half-downloaded, mislabelled and malicious files: one sentence, nothing executed."""

import json
import os
import pickle
import struct
import zipfile
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tora2.backbone import load_transformer
from tora2.checkpoints import convert_transformer, inspect, load_adapter, save_adapter
from tora2.checkpoints.weights import read_file

LOADERS = (load_adapter, load_transformer, inspect)


class Payload:
    """Runs a command when it is unpickled, unless the reader forbids it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


def header(content: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content + data


def entry(shape: list[int], offsets: list[int]) -> bytes:
    return json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()


FILES = {
    "empty": (b"", "is empty"),
    "one byte": (b"\x08", "expected weights"),
    "text": (b"not weights at all", "expected weights"),
    "web page": (b"<!DOCTYPE html><html>Sign in</html>", "is a web page"),
    "json": (b'{"error": "no access"}', "is JSON text"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1338924336\n",
        "git-lfs pointer, not the weights of 1.34 GB",
    ),
    "gguf": (b"GGUF" + bytes(40), "GGUF loader"),
    "gguf of 123 tensors": (b"GGUF\x03\0\0\0{" + bytes(40), "GGUF loader"),
    "bare pickle": (pickle.dumps({"a": 1}, protocol=2), "bare pickle"),
    "newer pickle": (pickle.dumps({"a": 1}, protocol=5), "bare pickle"),
    "huge header": (
        header(b"{}", length=2**63),
        "claims a safetensors header of 9223372036854775808",
    ),
    "header cut": (header(b'{"a": ', length=5000), "cut off within its header"),
    "header broken": (header(b'{"a": 3}'), "damaged safetensors header"),
    "header no json": (header(b"{" + b"[" * 99_999), "damaged safetensors header"),
    "data cut": (header(entry([4], [0, 16]), bytes(7)), "cut off"),
    "offsets lie": (header(entry([400], [0, 16]), bytes(16)), "damaged safetensors file"),
    "offsets negative": (header(entry([4], [-16, 0]), bytes(16)), "damaged safetensors file"),
    "offsets huge": (header(entry([4], [0, 10**30]), bytes(16)), "cut off"),
    "unknown dtype": (
        header(b'{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}', bytes(1)),
        "as 'F4', expected one of|damaged safetensors file",
    ),
    "name twice": (
        header(
            b'{"a":%s,"a":%s}' % ((b'{"dtype":"U8","shape":[1],"data_offsets":[0,1]}',) * 2), b"1"
        ),
        "damaged safetensors header",
    ),
    "nothing inside": (header(b"{}      "), "unknown tensors"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_damaged_files(tmp_path: Path, name: str, loader, suffix: str) -> None:
    content, message = FILES[name]
    if name.startswith("gguf") and loader is inspect:
        return  # looked at below: inspecting one is no error
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        loader(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("low", [0x09, 0x20, 0x3C, 0x5B, 0x7B, 0x80])
def test_a_header_length_that_looks_like_text_is_read(tmp_path: Path, low: int) -> None:
    content = entry([4], [0, 16]).ljust(256 + low)
    assert struct.pack("<Q", len(content))[0] == low
    (tmp_path / "x").write_bytes(header(content, bytes(16)))
    with pytest.raises(ValueError, match=r"unknown tensors \(a\)"):
        load_adapter(tmp_path / "x")


def test_values_that_are_not_aligned_are_read(tmp_path: Path) -> None:
    state = {
        "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "b": {"dtype": "F32", "shape": [2, 1], "data_offsets": [1, 9]},
        "c": {"dtype": "F32", "shape": [], "data_offsets": [9, 13]},
        "d": {"dtype": "F32", "shape": [0, 3], "data_offsets": [13, 13]},
    }
    data = b"\x07" + struct.pack("<3f", 1.5, -2.5, 4.0)
    (tmp_path / "x").write_bytes(header(json.dumps(state).encode(), data))
    tensors = read_file(tmp_path / "x").tensors
    assert tensors["a"].tolist() == [7]
    assert tensors["b"].tolist() == [[1.5], [-2.5]]
    assert tensors["c"].item() == 4.0
    assert tensors["d"].shape == (0, 3)


@pytest.mark.parametrize("layout", ["SAT torch file", "ComfyUI with Tora"])
@pytest.mark.parametrize("loader", LOADERS)
def test_a_file_cut_anywhere_is_refused(layouts, tmp_path: Path, layout: str, loader) -> None:
    content = layouts.adapters[layout].read_bytes()
    path = tmp_path / "half"
    for part in (0.001, 0.3, 0.9, 0.999):
        path.write_bytes(content[: int(len(content) * part)])
        with pytest.raises(ValueError, match="cut off"):
            loader(path)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_malicious_pickle_runs_nothing(tmp_path: Path, loader) -> None:
    marker, path = tmp_path / "owned", tmp_path / "mp_rank_00_model_states.pt"
    torch.save({"module": {"a": torch.zeros(1)}, "args": Payload(marker)}, path)
    with pytest.raises(ValueError, match="system.*could run code"):
        loader(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the file is as dangerous as it is meant to be
    assert marker.exists()


def test_what_training_left_is_discarded_and_never_run(tmp_path: Path) -> None:
    """SAT's checkpoints carry a numpy array; reading one must not make one."""
    path = tmp_path / "mp_rank_00_model_states.pt"
    left = {"np_rng_state": np.arange(3), "args": Namespace(save="x"), "rate": np.float64(0.5)}
    torch.save({"module": {"a": torch.ones(2)}, **left}, path)
    older = tmp_path / "older.pt"  # as numpy 1 names it
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(older, "w") as renamed:
        for name in archive.namelist():
            content = archive.read(name).replace(b"numpy._core", b"numpy.core")
            renamed.writestr(name, content)
    assert b"numpy.core" in older.read_bytes()
    for file in (path, older):
        assert torch.equal(read_file(file).tensors["a"], torch.ones(2))
    torch.save({"module": {"a": np.ones(2)}}, path)  # an array is no tensor
    with pytest.raises(ValueError, match="holds no tensors"):
        read_file(path)
    marker = tmp_path / "owned"
    evil = np.array([Payload(marker)], dtype=object)
    torch.save({"module": {"a": torch.ones(2)}, "np_rng_state": evil}, path)
    with pytest.raises(ValueError, match="system.*could run code"):
        read_file(path)
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore:Sparse invariant")
def test_objects_that_are_no_tensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"module": {"a": Path("/")}}, path)
    with pytest.raises(ValueError, match="could run code"):
        load_adapter(path)
    for content, message in (
        ([torch.zeros(2)], "holds a list"),
        ({"iteration": 3}, "holds no tensors"),
        ({"module": {"a": torch.zeros(1).expand(10**9)}}, "larger than its stored values"),
        ({"module": {"a": torch.zeros(3).to_sparse()}}, "without plain values"),
    ):
        torch.save(content, path)
        with pytest.raises(ValueError, match=message):
            load_adapter(path)


def test_other_zip_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match="torch did not write"):
        load_adapter(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**7))
    with pytest.raises(ValueError, match="compressed zip"):
        load_adapter(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02]q\x00garbage")
    with pytest.raises(ValueError, match=r"x\.pt (holds|is a damaged)"):
        load_adapter(path)


@pytest.mark.parametrize("loader", LOADERS)
def test_missing_files_and_folders_without_weights(tmp_path: Path, loader) -> None:
    with pytest.raises(FileNotFoundError):
        loader(tmp_path / "absent.safetensors")
    with pytest.raises(ValueError, match="folder without weights"):
        loader(tmp_path)
    (tmp_path / "model.safetensors.incomplete").touch()
    with pytest.raises(ValueError, match="unfinished download"):
        loader(tmp_path)


def test_shards(layouts, tmp_path: Path) -> None:
    source = layouts.transformers["Tora diffusers transformer"]
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    first = sorted(tmp_path.glob("*-00001-of-*"))[0]
    first.unlink()
    with pytest.raises(ValueError, match=f"lacks 1 of .* shards.*{first.name}"):
        load_transformer(tmp_path)
    index = next(tmp_path.glob("*.index.json"))
    index.unlink()
    with pytest.raises(ValueError, match="shards of diffusion_pytorch_model"):
        load_transformer(tmp_path)
    for content, message in (
        ("{", "not JSON"),
        ("{}", "no weight_map"),
        ('{"weight_map": {"a": "../a.safetensors"}}', "expected a file beside it"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "expected a file beside it"),
        ('{"weight_map": {"a": 3}}', "expected a file beside it"),
        ('{"weight_map": {"a": ["x.safetensors"]}}', "expected a file beside it"),
        ('{"weight_map": {"a": ""}}', "expected a file beside it"),
        ('{"weight_map": {"a": "%s"}}' % ("x" * 1000), "xx'?[.]{3}.*expected a file beside it"),
        ('{"weight_map": {"a": "a\\u0000b"}}', r"'a\\x00b', expected a file beside it"),
    ):
        index.write_text(content)
        with pytest.raises(ValueError, match=message):
            load_transformer(tmp_path)


def test_a_half_of_a_split_says_what_is_missing(layouts, tmp_path: Path) -> None:
    for part, other in (("fuser", "traj_extractor"), ("extractor", "fuser")):
        folder = tmp_path / f"only_{part}"
        folder.mkdir()
        (folder / "x.safetensors").write_bytes(layouts.adapters[f"Kijai {part}"].read_bytes())
        for path in (folder, folder / "x.safetensors"):
            with pytest.raises(ValueError, match=f"missing: put {other}/{other}.safetensors"):
                load_adapter(path)
    (tmp_path / "only_fuser" / "y.safetensors").write_bytes(
        layouts.adapters["Kijai fuser"].read_bytes()
    )
    with pytest.raises(ValueError, match="in several files .*x.safetensors, y.safetensors"):
        load_adapter(tmp_path / "only_fuser")


def test_other_models_are_named(layouts, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    for name, shape, words in (
        ("decoder.x", (1,), "unknown tensors"),
        ("encoder.conv_in.conv.weight", (2, 3, 3, 3, 3), "unknown tensors"),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", (2, 2), "a T5 text encoder"),
        ("transformer.blocks.0.q.lora_A.weight", (2, 2), "a LoRA"),
    ):
        save_file({name: torch.zeros(shape)}, path)
        for loader in (load_adapter, load_transformer):
            with pytest.raises(ValueError, match=words):
                loader(path)
    vae = {
        "encoder.conv_in.conv.weight": torch.zeros(2, 3, 3, 3, 3),
        "decoder.mid_block.resnets.0.norm1.conv_y.conv.weight": torch.zeros(2, 2, 1, 1, 1),
    }
    save_file(vae, path)
    with pytest.raises(ValueError, match="a CogVideoX VAE"):
        load_adapter(path)
    with pytest.raises(
        ValueError, match="a CogVideoX transformer in ComfyUI names, expected a Tora2"
    ):
        load_adapter(layouts.transformers["ComfyUI"])
    with pytest.raises(ValueError, match="expected a CogVideoX transformer"):
        load_transformer(layouts.adapters["Kijai fuser"])
    save_adapter(layouts.adapter, path)
    with pytest.raises(ValueError, match="motion parts.*expected a CogVideoX transformer"):
        load_transformer(path)


@pytest.mark.parametrize("layout", ["diffusers", "comfy", "sat"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size_t": 2, "patch_bias": False}, "CogVideoX-1.5"),
        ({"ofs_embed_dim": 24}, "CogVideoX-1.5"),
        ({}, "CogVideoX-2B"),
    ],
)
def test_other_bases(
    tmp_path: Path, layout: str, changes: dict, message: str, build_transformer, to_layout
) -> None:
    state = build_transformer(**changes).state_dict()
    ofs = {n: state.pop(n) for n in list(state) if n.startswith("ofs")}
    state = to_layout(state, layout)
    first = next(name for name in state if name.endswith("patch_embed.proj.weight"))
    if not changes:
        state[first] = torch.zeros(1920, 16, 2, 2)
    if ofs:
        prefix = first.split("mixins.")[0] if layout == "sat" else ""
        state |= {f"{prefix}ofs_embed.0.weight": torch.zeros(2)}
    with pytest.raises(ValueError, match=message):
        convert_transformer(state, "comfy")
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=message):
        load_transformer(tmp_path / "x.safetensors")
    assert any(message in note for note in inspect(tmp_path / "x.safetensors").notes)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"patch_size_t": 2}, "CogVideoX-1.5"),
        ({"use_rotary_positional_embeddings": False}, "no rotary positions"),
        ({"sample_width": 10**9}, "sample_width is 1000000000"),
        ({"attention_head_dim": 32}, "heads of 32"),
        ([1], "expected an object"),
    ],
)
def test_configurations(layouts, tmp_path: Path, config: object, message: str) -> None:
    source = layouts.transformers["Kijai file"]
    (tmp_path / "model.safetensors").write_bytes(source.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        load_transformer(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("blocks.1.k.bias"), "lacks the tensor .*attn1.to_k.bias"),
        (lambda t: t.update({"blocks.1.extra": torch.zeros(1)}), "blocks.1.extra is no part"),
        (lambda t: t.update({"blocks.1.q.bias": torch.zeros(5)}), r"to_q.bias of shape \(5,\)"),
        (lambda t: t.update({"proj_out.weight": torch.zeros(5)}), "proj_out.weight has the shape"),
        (
            lambda t: t.update({"blocks.1.q.weight": torch.zeros(9, dtype=torch.uint8)}),
            "quantised weights .blocks.1.q.weight is uint8",
        ),
        (lambda t: t.update({"scaled_fp8": torch.zeros(1)}), "scaled fp8"),
    ],
)
def test_transformers_that_do_not_fit(layouts, tmp_path: Path, change, message: str) -> None:
    tensors = load_file(layouts.transformers["ComfyUI"])
    change(tensors)
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=message):
        load_transformer(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("fuser.1.flow_cond_norm.bias"), "fuser.1.flow_cond_norm.bias"),
        (lambda t: t.pop("fuser.0.flow_gamma_temporal.weight"), "flow_gamma_temporal.weight"),
        (lambda t: t.pop("extractor.body.5.block2.bias"), "extractor.body.5.block2.bias"),
        (lambda t: t.pop("extractor.conv_in.weight"), "extractor.conv_in.weight"),
        (
            lambda t: t.update({"fuser.4000.flow_x": torch.zeros(1)}),
            "6 extractor blocks .* for 4001 fuser layers",
        ),
        (
            lambda t: t.update({"traj_extractor.conv_in.bias": torch.zeros(32)}),
            "extractor.conv_in.bias is there twice",
        ),
        (
            lambda t: t.update({"extractor.conv_in.bias": torch.zeros(32, dtype=torch.int8)}),
            "quantised weights",
        ),
        (
            lambda t: t.update({"fuser.0.flow_gamma_temporal.weight": torch.zeros(33, 32, 3)}),
            "dim is 33, expected a multiple of 32",
        ),
        (
            lambda t: t.update({"extractor.conv_in.weight": torch.zeros(0, 0, 3, 3)}),
            "latent_channels is 0",
        ),
    ],
)
def test_motion_parts_that_do_not_fit(layouts, tmp_path: Path, change, message: str) -> None:
    tensors = {name: t.clone() for name, t in layouts.adapter.state_dict().items()}
    change(tensors)
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=message):
        load_adapter(tmp_path / "x.safetensors")


def test_convert_refuses_what_it_does_not_know(layouts) -> None:
    with pytest.raises(ValueError, match="cannot convert to 'onnx'"):
        convert_transformer(layouts.transformer.state_dict(), "onnx")
    with pytest.raises(ValueError, match="no CogVideoX transformer"):
        convert_transformer({})
