"""DINOv2 of two layers, through the real loading code."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tora2.encoders.dino import DinoEncoder, load_dino, patch_tokens, pixels, resized_positions

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
SIZES = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14}


def _model(registers: int = 0, image_size: int = 518, **changes):
    torch.manual_seed(0)
    sizes = {**SIZES, "image_size": image_size, **changes}
    if registers:
        config = transformers.Dinov2WithRegistersConfig(num_register_tokens=registers, **sizes)
        model = transformers.Dinov2WithRegistersModel(config)
    else:
        model = transformers.Dinov2Model(transformers.Dinov2Config(**sizes))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("dinov2")
    _model().save_pretrained(path)
    return path


def _picture() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (3, 180, 180), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("registers", [0, 4])
def test_tokens_are_the_patches_of_the_last_layer_after_the_norm(registers: int) -> None:
    model = _model(registers, image_size=224)
    hidden = model(pixels(_picture())[None]).last_hidden_state[0]
    encoder = DinoEncoder(model)
    tokens = encoder.encode(_picture())
    assert tokens.shape == (256, 128) and encoder.dim == 128 and tokens.dtype == torch.float32
    assert torch.equal(tokens, hidden[-256:])
    assert hidden.shape[0] == 256 + 1 + registers
    normed = (tokens - model.layernorm.bias) / model.layernorm.weight
    torch.testing.assert_close(normed.std(-1, correction=0), torch.ones(256), atol=1e-3, rtol=0)


def test_a_token_depends_on_where_its_patch_is() -> None:
    grid = torch.arange(256.0).view(1, 256, 1)
    hidden = torch.cat([torch.full((1, 5, 1), -1.0), grid], dim=1)
    assert torch.equal(patch_tokens(hidden, registers=4), grid)


def test_pixels_are_imagenets() -> None:
    white = pixels(torch.full((3, 50, 20), 255, dtype=torch.uint8))
    assert white.shape == (3, 224, 224)
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(white.mean((1, 2)), expected, atol=1e-5, rtol=0)
    # A tall picture stands in the middle of white.
    black = pixels(torch.zeros(3, 100, 50, dtype=torch.uint8))
    torch.testing.assert_close(black[:, 112, 10], white[:, 0, 0])
    assert black[0, 112, 112] < -2


def test_positions_are_interpolated_as_in_dinov2s_own_code() -> None:
    # A linear ramp stays one, at the places that the offset of 0.1 gives: x' = (x + ½) / s - ½.
    ramp = torch.arange(37.0).repeat(37, 1).view(1, -1, 1)
    positions = torch.cat([torch.full((1, 1, 1), 9.0), ramp], dim=1)
    out = resized_positions(positions, 16)
    assert out.shape == (1, 257, 1) and out[0, 0, 0] == 9
    expected = (torch.arange(16) + 0.5) * 37 / 16.1 - 0.5
    # Bicubic interpolation bends a ramp by 0.05 at most; without the offset it is 0.19 off.
    torch.testing.assert_close(out[0, 1:17, 0][2:-2], expected[2:-2], atol=0.06, rtol=0)
    same = torch.rand(1, 257, 4)
    assert resized_positions(same, 16) is same


@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("swiglu", [False, True])
def test_files_and_folders_load_without_a_configuration(tmp_path, registers, swiglu) -> None:
    model = _model(registers, use_swiglu_ffn=swiglu)
    model.save_pretrained(tmp_path)
    expected = DinoEncoder(model).encode(_picture())
    (tmp_path / "config.json").unlink()
    loaded = load_dino(tmp_path)
    assert loaded.registers == registers
    assert torch.equal(loaded.encode(_picture()), expected)
    assert load_dino(tmp_path / "model.safetensors").key == loaded.key


def test_the_key_tells_weights_apart(folder) -> None:
    encoder = load_dino(folder)
    assert encoder.key == load_dino(folder).key
    other = _model()
    with torch.no_grad():
        other.encoder.layer[1].mlp.fc2.weight.add_(0.01)
    assert DinoEncoder(other).key != encoder.key
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_other_files_are_refused(folder, tmp_path) -> None:
    with pytest.raises(ValueError, match="model.safetensors is not there"):
        load_dino(tmp_path)
    (tmp_path / "dino.pth").write_bytes(b"\x80\x04")
    with pytest.raises(ValueError, match="expected DINOv2 weights as a safetensors file"):
        load_dino(tmp_path / "dino.pth")
    save_file({"text_model.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="no DINOv2 .1 tensors, such as text_model.weight."):
        load_dino(tmp_path)
    state = load_file(folder / "model.safetensors")
    del state["encoder.layer.1.norm2.weight"]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="lacks encoder.layer.1.norm2.weight"):
        load_dino(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"junk" * 9)
    with pytest.raises(ValueError, match="cannot be read"):
        load_dino(tmp_path)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "dinov2"
