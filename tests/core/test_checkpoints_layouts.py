"""All public layouts of the same weights load as the same model."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tora2.backbone import load_transformer, predict
from tora2.checkpoints import convert_transformer, load_adapter
from tora2.conditioning import Tora2Conditioning

TRANSFORMERS = (
    "SAT torch file",
    "SAT folder",
    "SAT safetensors",
    "Tora diffusers pipeline",
    "Tora diffusers transformer",
    "Tora diffusers index",
    "CogVideoX diffusers",
    "Kijai folder",
    "Kijai file",
    "ComfyUI",
    "ComfyUI with Tora",
)
ADAPTERS = (
    "SAT torch file",
    "SAT folder",
    "SAT safetensors",
    "Tora diffusers pipeline",
    "Tora diffusers transformer",
    "Kijai folder",
    "Kijai fuser",
    "Kijai extractor",
    "Kijai flat",
    "Kijai flat file",
    "ComfyUI with Tora",
)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert not found[name].is_meta
        assert torch.equal(found[name], tensor), name


def test_the_lists_above_are_complete(layouts) -> None:
    assert set(layouts.transformers) == set(TRANSFORMERS)
    assert set(layouts.adapters) == set(ADAPTERS)


@pytest.mark.parametrize("layout", TRANSFORMERS)
def test_transformer(layouts, layout: str) -> None:
    loaded = load_transformer(layouts.transformers[layout], torch.float32)
    assert_same(loaded.state_dict(), layouts.transformer.state_dict())
    assert not any(buffer.is_meta for buffer in loaded.buffers())
    for key, value in layouts.transformer.config.items():
        assert key[0] == "_" or loaded.config[key] == value, key


@pytest.mark.parametrize("layout", ADAPTERS)
def test_adapter(layouts, layout: str) -> None:
    loaded = load_adapter(layouts.adapters[layout])
    assert loaded.capabilities == {"motion"}
    sizes = ("dim", "layers", "feature_dim", "extractor_blocks", "latent_channels")
    for name in sizes:
        assert getattr(loaded.config, name) == getattr(layouts.adapter.config, name)
    assert_same(loaded.state_dict(), layouts.adapter.state_dict())


def denoise(transformer, adapter) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(2, 16, 2, 8, 12, generator=generator)
    context = torch.randn(2, 5, 40, generator=generator)
    motion = torch.randn(1, 16, 2, 8, 12, generator=generator)
    conditioning = adapter and Tora2Conditioning.build(adapter, motion)
    with torch.no_grad():
        return predict(transformer, latents, torch.tensor(500), context, conditioning)


def test_all_layouts_give_one_denoised_output(layouts) -> None:
    expected = denoise(layouts.transformer, layouts.adapter)
    plain = denoise(layouts.transformer, None)
    assert (expected - plain).abs().max() > 0.01 * plain.abs().max()
    for layout in set(TRANSFORMERS) & set(ADAPTERS):
        transformer = load_transformer(layouts.transformers[layout], torch.float32)
        adapter = load_adapter(layouts.adapters[layout])
        assert torch.equal(denoise(transformer, adapter), expected), layout


@pytest.mark.parametrize("source", ["SAT safetensors", "ComfyUI", "Kijai file"])
def test_convert_gives_both_namings_from_any(layouts, source: str) -> None:
    tensors = load_file(layouts.transformers[source])
    expected = layouts.transformer.state_dict()
    assert_same(convert_transformer(tensors, "diffusers"), expected)
    comfy = convert_transformer(tensors, "comfy")
    assert_same(comfy, load_file(layouts.transformers["ComfyUI"]))
    assert_same(convert_transformer(comfy, "diffusers"), expected)


def test_conversion_copies_nothing(layouts) -> None:
    tensors = load_file(layouts.transformers["ComfyUI"])
    converted = convert_transformer(tensors, "diffusers")
    assert {t.data_ptr() for t in converted.values()} == {t.data_ptr() for t in tensors.values()}


def test_sat_modulation_goes_to_its_norm_and_its_tokens(layouts) -> None:
    tensors = load_file(layouts.transformers["SAT safetensors"])
    name = "model.diffusion_model.mixins.adaln_layer.adaLN_modulations.1.1.bias"
    tensors[name] = torch.arange(12.0).repeat_interleave(128)
    converted = convert_transformer(tensors, "diffusers")
    first = converted["transformer_blocks.1.norm1.linear.bias"][::128]
    second = converted["transformer_blocks.1.norm2.linear.bias"][::128]
    assert first.tolist() == [0, 1, 2, 6, 7, 8]
    assert second.tolist() == [3, 4, 5, 9, 10, 11]


@pytest.mark.parametrize("layout", ["diffusers", "comfy", "sat"])
def test_image_to_video_keeps_its_learned_positions(
    tmp_path: Path, layout: str, to_layout, build_transformer
) -> None:
    model = build_transformer(
        num_attention_heads=1,
        num_layers=1,
        in_channels=32,
        use_learned_positional_embeddings=True,
    ).float()
    positions = model.patch_embed.pos_embedding
    positions.copy_(torch.randn(positions.shape))
    save_file(to_layout(model.state_dict(), layout), tmp_path / "i2v.safetensors")
    loaded = load_transformer(tmp_path / "i2v.safetensors", torch.float32)
    assert loaded.config.in_channels == 32
    assert loaded.config.use_rotary_positional_embeddings
    assert_same(loaded.state_dict(), model.state_dict())
    text, video = torch.zeros(1, 226, 40), torch.zeros(1, 13, 32, 60, 90)
    with torch.no_grad():
        tokens = loaded.patch_embed(text, video) - positions
    # Zero input leaves the biases alone: one value of text tokens and one of video tokens.
    assert torch.allclose(tokens[:, :226], loaded.patch_embed.text_proj.bias, atol=1e-5)
    assert torch.allclose(tokens[:, 226:], loaded.patch_embed.proj.bias, atol=1e-5)


def test_fp8_weights_are_read(layouts, tmp_path: Path) -> None:
    state = load_file(layouts.transformers["ComfyUI"])
    small = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in state.items()}
    save_file(small, tmp_path / "fp8.safetensors")
    loaded = load_transformer(tmp_path / "fp8.safetensors").state_dict()
    for name, tensor in convert_transformer(small, "diffusers").items():
        assert torch.equal(loaded[name], tensor.to(torch.bfloat16))


def test_adapter_dtype_is_kept_unless_asked(layouts, tmp_path: Path) -> None:
    state = {name: t.clone() for name, t in layouts.adapter.state_dict().items()}
    kinds = {"fuser": torch.bfloat16, "extractor": torch.bfloat16}
    for kind in (torch.bfloat16, torch.float32):
        kinds["extractor"] = kind
        tensors = {
            name: t.to(kinds[name.split(".")[0]]) if t.is_floating_point() else t
            for name, t in state.items()
        }
        save_file(tensors, tmp_path / "a.safetensors")
        assert load_adapter(tmp_path / "a.safetensors").dtype == kind
        assert load_adapter(tmp_path / "a.safetensors", torch.float16).dtype == torch.float16


def test_split_files_pair_by_name_where_several_fit(layouts, tmp_path: Path) -> None:
    fuser = load_file(layouts.adapters["Kijai fuser"])
    extractor = load_file(layouts.adapters["Kijai extractor"])
    other = {name: t + 1 if t.is_floating_point() else t for name, t in extractor.items()}
    for folder in ("fuser", "traj_extractor"):
        (tmp_path / folder).mkdir()
    save_file(fuser, tmp_path / "fuser" / "fuser_I2V.safetensors")
    save_file(other, tmp_path / "traj_extractor" / "traj_extractor_I2V.safetensors")
    save_file(extractor, tmp_path / "traj_extractor" / "traj_extractor.safetensors")
    loaded = load_adapter(tmp_path / "fuser" / "fuser_I2V.safetensors")
    assert torch.equal(loaded.extractor.conv_in.bias, other["conv_in.bias"])
    (tmp_path / "fuser" / "fuser_I2V.safetensors").rename(tmp_path / "fuser" / "x.safetensors")
    with pytest.raises(ValueError, match="several files could be its trajectory extractor"):
        load_adapter(tmp_path / "fuser" / "x.safetensors")
