"""Small random models, saved in each of the public layouts as their publishers do."""

import json
import random
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from safetensors.torch import save_file
from torch import Tensor

from tora2.models.adapter import Tora2Adapter, Tora2Config

BLOCKS = 3
ROOT = "model.diffusion_model."


def make_transformer(**changes: object) -> CogVideoXTransformer3DModel:
    torch.manual_seed(0)
    sizes = {
        "num_attention_heads": 2,
        "in_channels": 16,
        "time_embed_dim": 24,
        "text_embed_dim": 40,
        "num_layers": BLOCKS,
        "use_rotary_positional_embeddings": True,
    }
    model = CogVideoXTransformer3DModel(**{**sizes, **changes})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def make_adapter() -> Tora2Adapter:
    torch.manual_seed(1)
    config = Tora2Config(dim=128, layers=BLOCKS, feature_dim=32, capabilities=("motion",))
    adapter = Tora2Adapter(config)
    for name, tensor in adapter.state_dict().items():
        if tensor.is_floating_point():
            torch.nn.init.normal_(tensor, std=0.1)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)
    return adapter.eval()


def to_comfy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The host's own names; the longer names first."""
    changes = [
        ("transformer_blocks.", "blocks."),
        ("attn1.to_out.0.", "attn_out."),
        ("attn1.to_", ""),
        ("attn1.", ""),
        ("ff.net.0.proj.", "ff_proj."),
        ("ff.net.2.", "ff_out."),
        ("time_embedding.linear", "time_embedding_linear"),
    ]
    out = {}
    for name, tensor in state.items():
        for old, new in changes:
            name = name.replace(old, new)
        out[name] = tensor
    return out


def to_sat(state: dict[str, Tensor], blocks: int = BLOCKS) -> dict[str, Tensor]:
    """Pack diffusers' tensors as SAT keeps them, its buffers included."""
    out: dict[str, Tensor] = {}
    rest = dict(state)
    for i in range(blocks):
        old, new = f"transformer_blocks.{i}.", f"transformer.layers.{i}."
        for kind in ("weight", "bias"):
            qkv = [rest.pop(f"{old}attn1.to_{part}.{kind}") for part in "qkv"]
            out[f"{new}attention.query_key_value.{kind}"] = torch.cat(qkv)
            first = rest.pop(f"{old}norm1.linear.{kind}").chunk(6)
            second = rest.pop(f"{old}norm2.linear.{kind}").chunk(6)
            packed = torch.cat([*first[:3], *second[:3], *first[3:], *second[3:]])
            out[f"mixins.adaln_layer.adaLN_modulations.{i}.1.{kind}"] = packed
            for theirs, ours in (
                (f"{new}input_layernorm", f"{old}norm1.norm"),
                (f"{new}post_attention_layernorm", f"{old}norm2.norm"),
                (f"{new}attention.dense", f"{old}attn1.to_out.0"),
                (f"{new}mlp.dense_h_to_4h", f"{old}ff.net.0.proj"),
                (f"{new}mlp.dense_4h_to_h", f"{old}ff.net.2"),
                (f"mixins.adaln_layer.query_layernorm_list.{i}", f"{old}attn1.norm_q"),
                (f"mixins.adaln_layer.key_layernorm_list.{i}", f"{old}attn1.norm_k"),
            ):
                out[f"{theirs}.{kind}"] = rest.pop(f"{ours}.{kind}")
    outer = [
        ("time_embedding.linear_1", "time_embed.0"),
        ("time_embedding.linear_2", "time_embed.2"),
        ("norm_final", "transformer.final_layernorm"),
        ("norm_out.linear", "mixins.final_layer.adaLN_modulation.1"),
        ("norm_out.norm", "mixins.final_layer.norm_final"),
        ("proj_out", "mixins.final_layer.linear"),
        ("patch_embed.pos_embedding", "mixins.pos_embed.pos_embedding"),
        ("patch_embed", "mixins.patch_embed"),
    ]
    for name, tensor in rest.items():
        old, new = next(pair for pair in outer if name.startswith(pair[0]))
        out[new + name.removeprefix(old)] = tensor
    out["mixins.pos_embed.freqs_sin"] = torch.rand(4, 64)
    out["mixins.pos_embed.freqs_cos"] = torch.rand(4, 64)
    out["transformer.position_embeddings.weight"] = torch.rand(2, 8)
    return {ROOT + name: tensor for name, tensor in out.items()}


def half(state: dict[str, Tensor], part: str, prefix: str) -> dict[str, Tensor]:
    """One part of the adapter under another prefix, contiguous for saving."""
    return {
        prefix + name.removeprefix(part): tensor.clone()
        for name, tensor in state.items()
        if name.startswith(part)
    }


def left_by_training() -> dict[str, object]:
    """What DeepSpeed and SAT save beside the weights."""
    return {
        "iteration": 15000,
        "ds_version": "0.14",
        "ds_config": {"bf16": {"enabled": True}, "train_micro_batch_size_per_gpu": 1},
        "param_shapes": [OrderedDict(weight=torch.Size([2, 3]))],
        "sparse_tensor_module_names": set(),
        "optimizer": None,
        "client_lr_scheduler": {"num_iters": 15000, "start_lr": np.float64(1e-4)},
        "random_rng_state": random.getstate(),
        "np_rng_state": np.random.get_state(),
        "torch_rng_state": torch.get_rng_state(),
    }


@dataclass(frozen=True)
class Layouts:
    """The models, and where each layout of them lies."""

    transformer: CogVideoXTransformer3DModel
    adapter: Tora2Adapter
    transformers: dict[str, Path]
    adapters: dict[str, Path]


@pytest.fixture(scope="session")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> Layouts:
    folder = tmp_path_factory.mktemp("layouts")
    transformer, adapter = make_transformer(), make_adapter()
    base = {name: tensor.clone() for name, tensor in transformer.state_dict().items()}
    motion = adapter.state_dict()
    fusers = half(motion, "fuser.", "")
    extractor = half(motion, "extractor.", "")

    sat = {
        **to_sat(base),
        **half(motion, "extractor.", ROOT + "traj_extractor."),
        **half(motion, "fuser.", ROOT + "mixins.adaln_layer.fuser_list."),
        "first_stage_model.encoder.conv_in.conv.weight": torch.rand(2, 3, 3, 3, 3),
        "conditioner.embedders.0.transformer.shared.weight": torch.rand(2, 2),
    }
    (folder / "sat").mkdir()
    sat_file = folder / "sat" / "mp_rank_00_model_states.pt"
    torch.save({"module": sat, **left_by_training()}, sat_file)
    save_file(sat, folder / "sat.safetensors")

    tora = folder / "Tora_T2V_diffusers"
    transformer.save_pretrained(tora / "transformer", max_shard_size="400KB")
    both = {**half(motion, "extractor.", "traj_extractor."), **half(motion, "fuser.", "fuser.")}
    _append_shard(tora / "transformer", both)
    transformer.save_pretrained(folder / "CogVideoX-5b" / "transformer")

    kijai = folder / "CogVideoX-5b-Tora"
    for name, tensors in (("fuser", fusers), ("traj_extractor", extractor)):
        (kijai / name).mkdir(parents=True)
        save_file(tensors, kijai / name / f"{name}.safetensors")
    (kijai / "transformer").mkdir()
    save_file(base, kijai / "transformer" / "diffusion_pytorch_model.safetensors")

    flat = folder / "flat"
    flat.mkdir()
    save_file(fusers, flat / "some_name.safetensors")
    save_file(extractor, flat / "another.safetensors")

    comfy = {"model.diffusion_model." + name: t for name, t in to_comfy(base).items()}
    save_file(to_comfy(base), folder / "comfy.safetensors")
    save_file({**comfy, **both}, folder / "merged.safetensors")
    return Layouts(
        transformer,
        adapter,
        {
            "SAT torch file": sat_file,
            "SAT folder": folder / "sat",
            "SAT safetensors": folder / "sat.safetensors",
            "Tora diffusers pipeline": tora,
            "Tora diffusers transformer": tora / "transformer",
            "Tora diffusers index": next((tora / "transformer").glob("*.index.json")),
            "CogVideoX diffusers": folder / "CogVideoX-5b",
            "Kijai folder": kijai,
            "Kijai file": kijai / "transformer" / "diffusion_pytorch_model.safetensors",
            "ComfyUI": folder / "comfy.safetensors",
            "ComfyUI with Tora": folder / "merged.safetensors",
        },
        {
            "SAT torch file": sat_file,
            "SAT folder": folder / "sat",
            "SAT safetensors": folder / "sat.safetensors",
            "Tora diffusers pipeline": tora,
            "Tora diffusers transformer": tora / "transformer",
            "Kijai folder": kijai,
            "Kijai fuser": kijai / "fuser" / "fuser.safetensors",
            "Kijai extractor": kijai / "traj_extractor" / "traj_extractor.safetensors",
            "Kijai flat": flat,
            "Kijai flat file": flat / "another.safetensors",
            "ComfyUI with Tora": folder / "merged.safetensors",
        },
    )


def _append_shard(folder: Path, tensors: dict[str, Tensor]) -> None:
    """One more shard, named in the index, as in Tora's own folder."""

    index = next(folder.glob("*.index.json"))
    content = json.loads(index.read_text())
    save_file(tensors, folder / "diffusion_pytorch_model-motion.safetensors")
    content["weight_map"].update(
        dict.fromkeys(tensors, "diffusion_pytorch_model-motion.safetensors")
    )
    index.write_text(json.dumps(content))


@pytest.fixture
def build_transformer():
    """Makes a small random transformer with some sizes changed."""
    return make_transformer


@pytest.fixture
def to_layout():
    """Renames diffusers' tensors to a layout."""

    def rename(state: dict[str, Tensor], layout: str) -> dict[str, Tensor]:
        state = {name: tensor.clone() for name, tensor in state.items()}
        blocks = len({n.split(".")[1] for n in state if n.startswith("transformer_blocks.")})
        if layout == "sat":
            return to_sat(state, blocks)
        return to_comfy(state) if layout == "comfy" else state

    return rename
