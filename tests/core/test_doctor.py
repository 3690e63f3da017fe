"""The doctor finds what is there by headers alone, survives what is broken, and says what fits."""

import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel
from safetensors.torch import save_file
from transformers import T5Config, T5EncoderModel

from tora2.checkpoints import save_adapter, sources
from tora2.doctor import Device, Facts, Package, Scan, examine, memory, packages, scan, tasks
from tora2.doctor.system import KNOWN, comfyui_version, find_comfyui, this_device
from tora2.doctor.walking import Limits
from tora2.models.adapter import Tora2Adapter, Tora2Config

ROOT = Path(__file__).parents[2]
GIB = 2**30

T5 = {
    "shared.weight": (32128, 4096),
    "encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096),
}
VAE = {
    "encoder.conv_in.conv.weight": (128, 3, 3, 3, 3),
    "decoder.conv_in.conv.weight": (512, 16, 3, 3, 3),
    "decoder.mid_block.resnets.0.norm1.norm_layer.weight": (512,),
}
DINO = {
    "embeddings.patch_embeddings.projection.weight": (1024, 3, 14, 14),
    "encoder.layer.0.layer_scale1.lambda1": (1024,),
}


def write_header(path: Path, shapes: dict[str, tuple[int, ...]], dtype: str = "BF16") -> Path:
    """A safetensors file with true names, shapes and size, and a hole in place of its values."""
    width = {"BF16": 2, "U8": 1, "F8_E4M3": 1}[dtype]
    header, end = {}, 0
    for name, shape in shapes.items():
        size = width * int(torch.Size(shape).numel())
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path


def transformer_shapes(**changes: object) -> dict[str, tuple[int, ...]]:
    """Of CogVideoX-5B."""
    sizes = {"num_attention_heads": 48, "num_layers": 42, "use_rotary_positional_embeddings": True}
    with torch.device("meta"):
        model = CogVideoXTransformer3DModel(**{**sizes, **changes})
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def write_motion(folder: Path) -> None:
    """Kijai's split files at 5B's sizes."""
    with torch.device("meta"):
        adapter = Tora2Adapter(Tora2Config.preset("5b", capabilities=("motion",)))
    shapes = {name: tuple(tensor.shape) for name, tensor in adapter.state_dict().items()}
    for part, name in (("fuser.", "fuser"), ("extractor.", "traj_extractor")):
        inside = {k.removeprefix(part): v for k, v in shapes.items() if k.startswith(part)}
        inside = {k: v for k, v in inside.items() if "num_batches" not in k}
        write_header(folder / name / f"{name}.safetensors", inside)


def only(folder: Path, limits: Limits | None = None) -> Scan:
    (result,) = scan([folder], limits)
    return result


def facts(*scans: Scan, free: int | None = 24 * GIB, kind: str = "cuda") -> Facts:
    device = Device("a GPU", kind, free, 24 * GIB, 8 * GIB, 16 * GIB)
    return Facts(("ComfyUI 0.33",), packages(), device, scans)


sparse = pytest.mark.skipif(
    sys.platform == "win32", reason="files with holes take their whole size"
)


@sparse
def test_a_models_folder_with_everything_for_paths(tmp_path: Path) -> None:
    write_header(tmp_path / "diffusion_models" / "anything.safetensors", transformer_shapes())
    write_motion(tmp_path / "tora2")
    write_header(tmp_path / "vae" / "v.safetensors", VAE)
    write_header(tmp_path / "text_encoders" / "t5.safetensors", T5, "F8_E4M3")
    write_header(tmp_path / "clip_vision" / "d.safetensors", DINO)
    assert (tmp_path / "diffusion_models" / "anything.safetensors").stat().st_size > 11e9
    seen = only(tmp_path)
    assert (seen.unreadable, seen.notes) == ((), ())
    roles = {role for found in seen.found for role in found.roles}
    assert roles == {
        tasks.TEXT_TO_VIDEO,
        tasks.MOTION,
        tasks.VAE,
        tasks.TEXT_ENCODER,
        tasks.SEMANTIC,
    }
    report = examine(facts(seen))
    assert "- paths, text to video, in ComfyUI: ready" in str(report)
    assert "- paths, image to video, in ComfyUI: needs a CogVideoX-5B image-to-video" in str(report)
    assert "anything.safetensors (11.14 GB): a CogVideoX transformer in diffusers" in str(report)
    assert "fuser.safetensors (1.34 GB): Tora's motion-guidance fusers" in str(report)
    assert "enables motion" in str(report)


@sparse
def test_image_to_video_and_shards(tmp_path: Path) -> None:
    shapes = transformer_shapes(in_channels=32, use_learned_positional_embeddings=True)
    folder, names = tmp_path / "CogVideoX-5b-I2V" / "transformer", list(shapes)
    files = [f"diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for file, part in zip(files, (names[:500], names[500:]), strict=True):
        write_header(folder / file, {name: shapes[name] for name in part})
    index = {name: files[position >= 500] for position, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    (found,) = only(tmp_path).found
    assert found.roles == (tasks.IMAGE_TO_VIDEO,) and found.path == str(folder)
    (folder / files[1]).unlink()
    seen = only(tmp_path)
    assert seen.found == ()
    assert any("lacks 1 of 2 shards" in sentence for sentence in seen.unreadable)


def test_a_text_encoder_in_shards_is_for_the_library(tmp_path: Path) -> None:
    write_header(tmp_path / "model-00001-of-00002.safetensors", {"shared.weight": (32128, 4096)})
    rest = {name: shape for name, shape in T5.items() if name != "shared.weight"}
    write_header(tmp_path / "model-00002-of-00002.safetensors", rest)
    (found,) = only(tmp_path).found
    assert found.roles == () and "Load CLIP needs one file" in found.notes[0]


def test_what_looks_alike_is_passed_over(tmp_path: Path) -> None:
    write_header(tmp_path / "umt5.safetensors", {**T5, "shared.weight": (256384, 4096)})
    hunyuan = {name: shape for name, shape in VAE.items() if "norm_layer" not in name}
    write_header(tmp_path / "hunyuan_vae.safetensors", hunyuan)
    others = ("lora_up.weight", "extractor.conv.weight", "cross_attention.0.weight")
    save_file({name: torch.zeros(2) for name in others}, tmp_path / "other.safetensors")
    (tmp_path / "notes.txt").write_text("x")
    seen = only(tmp_path)
    assert (seen.found, seen.unreadable, seen.passed) == ((), (), 3)
    assert "weight files that are not Tora2's concern: 3" in str(examine(facts(seen)))


def test_every_layout_is_found(layouts) -> None:
    root = layouts.transformers["ComfyUI"].parent
    seen = only(root)
    assert seen.unreadable == ()
    by_name = {os.path.relpath(found.path, root): found for found in seen.found}
    assert by_name["sat/mp_rank_00_model_states.pt"].enables == ("motion",)
    assert by_name["merged.safetensors"].enables == ("motion",)
    assert "ComfyUI names" in by_name["comfy.safetensors"].holds[0]
    assert by_name["CogVideoX-5b-Tora/fuser/fuser.safetensors"].enables == ("motion",)
    assert by_name["Tora_T2V_diffusers/transformer"].enables == ("motion",)
    # Their sizes are not those of CogVideoX-5B, so that they fill nothing.
    assert all(found.roles == () for found in seen.found)


def test_half_a_split_pair_says_what_to_put_beside_it(layouts, tmp_path: Path) -> None:
    shutil.copy(layouts.adapters["Kijai fuser"], tmp_path / "f.safetensors")
    (found,) = only(tmp_path).found
    assert found.enables == () and "trajectory extractor missing" in found.notes[0]


def test_broken_files_give_a_sentence_each_and_stop_nothing(tmp_path: Path) -> None:
    adapter = Tora2Adapter(Tora2Config.preset("tiny", layers=2))
    save_adapter(adapter, tmp_path / "mine.safetensors")
    whole = (tmp_path / "mine.safetensors").read_bytes()
    broken = {
        "empty": b"",
        "cut": whole[:-7],
        "header": whole[:100],
        "noise": bytes(range(256)) * 4,
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1338924336\n",
        "page": b"<html>not found</html>",
        "long": struct.pack("<Q", 2**60) + b"{" + bytes(100),
    }
    for name, content in broken.items():
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    (tmp_path / "dangling.safetensors").symlink_to(tmp_path / "nowhere")
    (tmp_path / "model_index.json").write_text("{")
    seen = only(tmp_path)
    assert [Path(found.path).name for found in seen.found] == ["mine.safetensors"]
    assert seen.found[0].enables == ("motion", "appearance", "binding")
    for name in broken:
        (sentence,) = [s for s in seen.unreadable if f"/{name}.safetensors" in s]
        assert "\n" not in sentence and len(sentence) < 300 + len(str(tmp_path))
    assert any("model_index.json is not JSON" in sentence for sentence in seen.unreadable)
    assert len(seen.unreadable) == len(broken) + 1
    assert "1.34 GB it stands for" in " ".join(seen.unreadable)


def test_pickles_are_never_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "run"),)

    torch.save({"module": Malicious(), "traj_extractor": 1}, tmp_path / "zip.pt")
    torch.save({"x": Malicious()}, tmp_path / "other.ckpt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps({"traj_extractor": Malicious()}))
    seen = only(tmp_path)
    assert (seen.found, seen.passed) == ((), 2)
    assert len(seen.unreadable) == 1 and "could run code" in seen.unreadable[0]
    assert not (tmp_path / "run").exists()


def test_other_torch_files(tmp_path: Path) -> None:
    rcnn = {"roi_heads.mask_predictor.mask_fcn_logits.weight": torch.zeros(1)}
    torch.save(rcnn, tmp_path / "new.pth")
    torch.save(rcnn, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    sat = {"decoder.mid.block_1.norm1.conv_y.conv.weight": torch.zeros(1)}
    torch.save({"state_dict": sat}, tmp_path / "3d-vae.pt")
    found = {Path(one.path).name: one for one in only(tmp_path).found}
    assert found["new.pth"].roles == found["old.pth"].roles == (tasks.IDENTITY,)
    assert found["3d-vae.pt"].roles == () and "take another file" in found["3d-vae.pt"].notes[0]


def test_quantised_files_fill_nothing_and_say_why(tmp_path: Path, layouts) -> None:
    state = layouts.transformer.state_dict()
    packed = {n: torch.zeros(4, dtype=torch.uint8) if t.ndim == 2 else t for n, t in state.items()}
    save_file({name: t.contiguous() for name, t in packed.items()}, tmp_path / "q4.safetensors")
    header = b"GGUF" + struct.pack("<I", 3) + b"blocks.0.attn_out patch_embed.text_proj.weight"
    (tmp_path / "dit.gguf").write_bytes(header + bytes(100))
    (tmp_path / "llama.gguf").write_bytes(b"GGUF" + bytes(100))
    seen = only(tmp_path)
    found = {Path(one.path).name: one for one in seen.found}
    assert set(found) == {"q4.safetensors", "dit.gguf"} and seen.passed == 1
    assert "quantised" in found["q4.safetensors"].notes[0]
    assert "a GGUF loader of the host that knows CogVideoX" in found["dit.gguf"].holds[0]
    assert all(one.roles == () for one in found.values())


@sparse
def test_scaled_8_bit_files_are_for_the_host(tmp_path: Path) -> None:
    shapes = {
        "patch_embed.proj.weight": (3072, 16, 2, 2),
        "patch_embed.text_proj.weight": (3072, 4096),
        "blocks.0.attn_out.weight": (3072, 3072),
        "blocks.0.attn_out.scale_weight": (),
        "blocks.41.attn_out.weight": (3072, 3072),
    }
    write_header(tmp_path / "t2v.safetensors", shapes, "F8_E4M3")
    shapes["patch_embed.proj.weight"] = (3072, 32, 2, 2)
    write_header(tmp_path / "i2v.safetensors", shapes, "F8_E4M3")
    del shapes["blocks.41.attn_out.weight"]
    write_header(tmp_path / "short.safetensors", shapes, "F8_E4M3")
    roles = {Path(found.path).stem: found.roles for found in only(tmp_path).found}
    assert roles == {"t2v": (tasks.TEXT_TO_VIDEO,), "i2v": (tasks.IMAGE_TO_VIDEO,), "short": ()}


def test_networks_for_faces_by_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "insightface" / "models" / "antelopev2"
    folder.mkdir(parents=True)
    for name in ("scrfd.onnx", "glintr100.onnx"):
        (folder / name).write_bytes(b"x")
    (tmp_path / "whisper.onnx").write_bytes(b"x")
    seen = only(tmp_path)
    (found,) = seen.found
    assert found.holds == ("2 ONNX networks for faces: glintr100.onnx, scrfd.onnx",)
    assert found.roles == (tasks.IDENTITY,) and seen.passed == 1


def test_loops_of_links_end_and_a_file_counts_once(tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    write_header(inside / "v.safetensors", VAE)
    (inside / "up").symlink_to(tmp_path, target_is_directory=True)
    (inside / "self").symlink_to(inside, target_is_directory=True)
    for name in ("itself", "itself.safetensors"):
        (inside / name).symlink_to(inside / name)
    (tmp_path / "again.safetensors").symlink_to(inside / "v.safetensors")
    seen = scan([tmp_path, inside])
    assert [len(one.found) for one in seen] == [1, 0]
    assert all(one.notes == () for one in seen)


def test_links_to_models_elsewhere_are_followed(tmp_path: Path) -> None:
    write_header(tmp_path / "disk" / "v.safetensors", VAE)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vae").symlink_to(tmp_path / "disk", target_is_directory=True)
    (found,) = only(tmp_path / "models").found
    assert found.roles == (tasks.VAE,)


def test_the_look_is_bounded_and_says_so(tmp_path: Path) -> None:
    for i in range(5):
        save_file({"x": torch.zeros(1)}, tmp_path / f"{i}.safetensors")
    write_header(tmp_path / "1" / "2" / "3" / "deep.safetensors", VAE)
    write_header(tmp_path / ".cache" / "hidden.safetensors", VAE)
    seen = only(tmp_path, Limits(depth=2, files=3))
    assert (seen.found, seen.passed) == ((), 3)
    assert "folders deeper than 2 are left out" in seen.notes[0]
    assert "holds 5 weight files: 3 are looked into" in seen.notes[1]
    assert len(only(tmp_path, Limits(depth=3)).found) == 1
    assert "more than 4 names" in only(tmp_path, Limits(entries=4)).notes[0]


def test_a_library_folder_and_its_missing_parts(tmp_path: Path) -> None:
    index = tmp_path / "CogVideoX-5b" / "model_index.json"
    index.parent.mkdir()
    index.write_text('{"_class_name": "CogVideoXPipeline"}')
    (found,) = only(tmp_path).found
    assert found.roles == () and "lacks transformer/, vae/" in found.notes[0]
    for part in ("transformer", "vae", "text_encoder", "tokenizer"):
        (index.parent / part).mkdir()
    (found,) = only(tmp_path).found
    assert found.roles == (tasks.PIPELINE,)
    index.write_text('{"_class_name": "FluxPipeline"}')
    assert only(tmp_path).found == ()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = str(examine(facts(only(tmp_path / "tora2"))))
    assert f"Weights in {tmp_path / 'tora2'}\n- there is no such folder yet" in text


def test_nothing_at_all_says_where_everything_is(tmp_path: Path) -> None:
    report = examine(replace(facts(only(tmp_path)), bundled=False))
    text = str(report)
    assert f"Weights in {tmp_path}\n- none" in text
    assert all(task.missing for task in report.tasks)
    for source in (sources.BASE, sources.TORA_SPLIT, sources.VAE_FILE, sources.TEXT_ENCODER_FILE):
        for words in filter(None, (source.huggingface, source.modelscope, source.size)):
            assert words in text
    assert sources.COGVIDEOX_TERMS in text and "facebook/dinov2-large" in text
    short = str(examine(facts(), sources=False))
    assert "zai-org" not in short and sources.NO_TORA2 in short


def test_the_report_as_json(tmp_path: Path) -> None:
    write_header(tmp_path / "v.safetensors", VAE)
    (tmp_path / "bad.safetensors").write_bytes(b"")
    value = json.loads(json.dumps(examine(facts(only(tmp_path))).to_dict()))
    assert value["scans"][0]["found"][0]["roles"] == ["VAE"]
    assert "is empty" in value["scans"][0]["unreadable"][0]
    assert value["device"]["free"] == 24 * GIB and value["device"]["accelerated"] is True
    ready = {(task["host"], task["task"]): task["ready"] for task in value["tasks"]}
    assert ready["ComfyUI", "shapes at 96x96 with the bundled model"] is True
    assert ready["ComfyUI", "paths, text to video"] is False
    assert value["missing"]["motion parts"]["where"]
    assert {source["huggingface"] for source in value["sources"]} >= {"zai-org/CogVideoX-5b"}
    assert value["memory"][0]["weights"] == 2 * memory.TRANSFORMER


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (24.5, "fits whole, together with the text encoder and the VAE"),
        (15.0, "fits whole while sampling"),
        (10.0, "fits whole with 8-bit weights"),
        (6.0, "weights that stay in system memory"),
        (4.0, "does not fit: 4.4 GiB are the least"),
    ],
)
def test_what_fits(free: float, expected: str) -> None:
    need = next(need for need in memory.NEEDS if "with Tora," in need.task)
    assert expected in str(memory.judge(need, int(free * GIB), accelerated=True))


@pytest.mark.parametrize("card", memory.CARDS)
def test_a_preset_fits_its_card(card: int) -> None:
    made = memory.preset(card)
    assert made.device + memory.RESERVED <= card * GIB
    assert (made.weight_dtype == "default") is (card > 12)
    need = next(need for need in memory.NEEDS if "with Tora," in need.task)
    fits = memory.judge(need, card * GIB - memory.RESERVED, accelerated=True).fits
    assert ("8-bit weights" in fits) is (made.weight_dtype == "fp8_e4m3fn")
    page = Path(__file__).parents[2] / "README.md"
    assert f"| {made.card} GB | `{made.weight_dtype}` | `{made.text_encoder}` |" in page.read_text()


def test_without_a_gpu_or_a_figure() -> None:
    need = memory.NEEDS[0]
    assert "no GPU" in memory.judge(need, 100 * GIB, accelerated=False).fits
    assert "cannot be told" in memory.judge(need, None, accelerated=True).fits
    assert "cannot be told" in str(Device("x", "cuda"))


def test_needs_are_those_of_the_real_models() -> None:
    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    with torch.device("meta"):
        transformer = CogVideoXTransformer3DModel(
            num_attention_heads=48, num_layers=42, use_rotary_positional_embeddings=True
        )
        motion = Tora2Adapter(Tora2Config.preset("5b", capabilities=("motion",)))
        adapter = Tora2Adapter(Tora2Config.preset("5b"))
        vae = AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4,
            up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(128, 256, 256, 512),
            layers_per_block=3,
            latent_channels=16,
        )
        text = T5EncoderModel(
            T5Config(
                vocab_size=32128,
                d_model=4096,
                d_ff=10240,
                num_layers=24,
                num_heads=64,
                feed_forward_proj="gated-gelu",
            )
        )
    assert count(transformer) == memory.TRANSFORMER
    assert len(transformer.transformer_blocks) == memory.BLOCKS
    assert count(motion) == memory.MOTION == 669_441_024 + 24_910_976
    assert count(adapter) == memory.ADAPTER
    assert count(vae) == memory.VAE
    assert count(text) == memory.TEXT_ENCODER


def test_packages_are_those_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.M | re.S)
    assert block is not None
    declared = dict(re.findall(r'"([\w-]+)>=([\d.]+)"', block[1]))
    assert {one.name: one.least for one in KNOWN if "optional" not in one.use} == declared
    every = dict(re.findall(r'"([\w-]+)>=([\d.]+)"', project))
    assert all(every[one.name] == one.least for one in KNOWN)


def test_old_and_absent_packages() -> None:
    (absent,) = packages([Package("no-such-package-of-ours", "needed", "1")])
    assert str(absent) == "no-such-package-of-ours: not installed (needed)"
    assert str(Package("torch", "needed", "2.6", "2.5.1+cpu")) == (
        "torch: 2.5.1+cpu, expected 2.6 or later (needed)"
    )
    assert Package("torch", "needed", "2.6", "2.10.0").suffices


def test_comfyui_is_found_and_not_imported(tmp_path: Path) -> None:
    root = tmp_path / "pack"
    assert find_comfyui({}, tmp_path, root) is None
    home = tmp_path / "comfy" / "ComfyUI"
    above = tmp_path / "above"
    for place in (home, above):
        place.mkdir(parents=True)
        for name in ("main.py", "folder_paths.py"):
            (place / name).write_text("raise SystemExit")
    assert find_comfyui({}, tmp_path, root) == home
    assert find_comfyui({}, tmp_path, above / "custom_nodes" / "tora2") == above
    assert find_comfyui({"COMFYUI_PATH": str(above)}, tmp_path, root) == above
    assert find_comfyui({"COMFYUI_PATH": str(tmp_path)}, tmp_path, root) is None
    assert comfyui_version(home) == ""
    (home / "comfyui_version.py").write_text('# made\n__version__ = "0.33.0"\nraise SystemExit\n')
    assert comfyui_version(home) == "0.33.0"


def test_the_readme_lists_every_source_as_it_is() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Weights\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|") and " HF `" in line]
    for row, source in zip(rows, sources.EVERYTHING, strict=True):
        hubs = [f"HF `{source.huggingface}`"]
        hubs += [f"MS `{source.modelscope}`"] if source.modelscope else []
        place = f"{'; '.join(hubs)}: {source.file}"
        library = source.to_library or "not read"
        cells = (source.what, place, source.size, source.licence, source.comfy, library)
        assert row == f"| {' | '.join(cells)} |"
    assert "No Tora2 weights were ever published" in section
    assert sources.COGVIDEOX_TERMS in section


@pytest.mark.parametrize("page", ["Tora2LoadModel", "Tora2LoadAdapter"])
def test_help_pages_name_real_sources(page: str) -> None:
    text = (ROOT / "web" / "docs" / f"{page}.md").read_text(encoding="utf-8")
    ids = {name for one in sources.EVERYTHING for name in (one.huggingface, one.modelscope)}
    named = set(re.findall(r"(?:zai-org|ZhipuAI|Kijai|xiaoche|[\w-]*anonymous)/[\w.-]+[\w]", text))
    assert named and named <= ids
    sizes = " ".join(one.size for one in sources.EVERYTHING)
    given = set(re.findall(r"\d+(?:\.\d+)? [GM]B", text)) - {"2.5 GB", "12.5 GB"}
    assert given and all(size in sizes for size in given)
    assert "No Tora2 weights were ever published" in text


WITHOUT = """
import importlib.abc, sys

class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Block())
from tora2.cli import main
sys.exit(main(["doctor", {folder!r}]))
"""


def test_the_doctor_runs_without_what_it_misses(layouts, tmp_path: Path) -> None:
    save_adapter(layouts.adapter, tmp_path / "a.safetensors")
    blocked = ("PIL", "einops", "diffusers", "transformers", "yaml", "av")
    script = WITHOUT.format(blocked=blocked, folder=str(tmp_path))
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert "a.safetensors" in process.stdout and "enables motion" in process.stdout
    assert "without the Python package PIL" in process.stdout


def test_this_computer_is_described() -> None:
    device = this_device()
    assert device.name and "GiB free" in str(device)
    assert device.memory_total is not None and device.memory_total > GIB


def test_a_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (20 * GIB, 24 * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU of NVIDIA")
    device = this_device()
    assert str(device).startswith("a GPU of NVIDIA: 20.0 of 24.0 GiB free; system memory: ")
    text = str(examine(replace(facts(), device=device)))
    assert "CogVideoX-5B with Tora, 480x720, 49 frames, bfloat16: weights 11.7 GiB" in text
    assert "fits whole while sampling" in text
