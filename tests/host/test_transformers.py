"""Tora2 Load Model on every way that weights are stored: layouts, precisions, 8-bit formats."""

import json
from pathlib import Path
from typing import Any

import builders
import pytest
import torch
from safetensors.torch import save_file
from test_equality import error, host_velocity, inputs
from torch import Tensor

from tora2.backbone import predict
from tora2.checkpoints import convert_transformer


@pytest.fixture(scope="module")
def reference() -> Any:
    return builders.transformer()


def expected(reference: Any) -> Tensor:
    latents, context = inputs()
    return predict(reference, latents, torch.tensor(499), context)


def loaded(pack: builders.Pack, path: Path, weight_type: str = "default") -> Tensor:
    model = pack("nodes.host.transformers").load_model(str(path), weight_type)
    latents, context = inputs()
    return host_velocity(model, latents, 499, context)


def native(reference: Any) -> dict[str, Tensor]:
    return {n: x.clone() for n, x in convert_transformer(reference.state_dict(), "comfy").items()}


def scaled(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Linear weights of the blocks as 8-bit floats, each with its scale; and the layers' names."""
    out, layers = {}, []
    for name, x in weights.items():
        if x.ndim == 2 and name.startswith("blocks.") and name.endswith(".weight"):
            layer = name.removesuffix(".weight")
            scale = x.abs().max() / 448
            out[name] = (x / scale).to(torch.float8_e4m3fn)
            out[f"{layer}.scale"] = scale.float()
            layers.append(layer)
        else:
            out[name] = x
    return out, layers


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", ["comfy", "diffusers"])
def test_precisions(
    pack: builders.Pack, reference: Any, tmp_path: Path, dtype: torch.dtype, layout: str
) -> None:
    weights = convert_transformer(reference.state_dict(), layout)
    save_file({n: x.to(dtype).contiguous() for n, x in weights.items()}, tmp_path / "m.safetensors")
    got = loaded(pack, tmp_path / "m.safetensors")
    bound = 1e-4 if dtype == torch.float32 else 0.05
    assert error(got, expected(reference)) < bound


def test_eight_bits_on_loading(pack: builders.Pack, reference: Any, tmp_path: Path) -> None:
    save_file(native(reference), tmp_path / "m.safetensors")
    distance = error(loaded(pack, tmp_path / "m.safetensors", "fp8_e4m3fn"), expected(reference))
    assert 1e-3 < distance < 0.2


def test_eight_bits_in_the_file(pack: builders.Pack, reference: Any, tmp_path: Path) -> None:
    small = {n: x.to(torch.float8_e4m3fn) for n, x in native(reference).items()}
    save_file(small, tmp_path / "m.safetensors")
    distance = error(loaded(pack, tmp_path / "m.safetensors"), expected(reference))
    assert 1e-3 < distance < 0.3


@pytest.mark.parametrize("kind", ["scale_weight", "comfy_quant", "metadata"])
def test_scaled_eight_bits_are_read_by_the_host_s_loader(
    pack: builders.Pack, reference: Any, tmp_path: Path, kind: str
) -> None:
    tensors, layers = scaled(native(reference))
    metadata = None
    new = "scale_weight" if kind == "scale_weight" else "weight_scale"
    for layer in layers:
        tensors[f"{layer}.{new}"] = tensors.pop(f"{layer}.scale")
    quantised = {"format": "float8_e4m3fn"}
    if kind == "scale_weight":
        tensors["scaled_fp8"] = torch.zeros(2, dtype=torch.float8_e4m3fn)
    elif kind == "metadata":
        metadata = {
            "_quantization_metadata": json.dumps({"layers": dict.fromkeys(layers, quantised)})
        }
    else:
        text = list(json.dumps(quantised).encode())
        for layer in layers:
            tensors[f"{layer}.comfy_quant"] = torch.tensor(text, dtype=torch.uint8)
    save_file(tensors, tmp_path / "m.safetensors", metadata)
    distance = error(loaded(pack, tmp_path / "m.safetensors"), expected(reference))
    assert 1e-3 < distance < 0.1
    with pytest.raises(ValueError, match="scaled 8-bit ones already, expected default"):
        loaded(pack, tmp_path / "m.safetensors", "fp8_e4m3fn")


def test_conditions_act_on_eight_bit_weights(
    pack: builders.Pack, reference: Any, tmp_path: Path
) -> None:
    save_file(native(reference), tmp_path / "m.safetensors")
    injection = pack("nodes.host.injection")
    bound = builders.bound(pack, builders.adapter(pack))
    model = pack("nodes.host.transformers").load_model(
        str(tmp_path / "m.safetensors"), "fp8_e4m3fn"
    )
    patched = injection.inject(model, bound, injection.Window(), injection.Window())
    latents, context = inputs()
    wanted = predict(reference, latents, torch.tensor(499), context, bound.conditioning)
    plain = error(host_velocity(model, latents, 499, context), wanted)
    assert error(host_velocity(patched, latents, 499, context), wanted) < 0.2 < plain
