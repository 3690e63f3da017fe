"""Wan 2.1 passes the battery; its names, sizes and schedule."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from backbone_battery import Battery
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from other_models import scene, write_folder
from torch import Tensor
from transformers import UMT5EncoderModel

from tora2.backbone import load_transformer
from tora2.backbones.wan import BACKBONE, SCHEDULERS, SHAPES
from tora2.checkpoints import inspect
from tora2.checkpoints.wan_keys import convert_wan, wan_config
from tora2.cli import main
from tora2.geometry import WAN
from tora2.latents import decode_video, encode_posterior, encode_video, grid_of, scaling_of
from tora2.model_folder import TINY
from tora2.models.adapter import Tora2Adapter, Tora2Config
from tora2.pipeline import Tora2Pipeline
from tora2.sampling import sample_latents
from tora2.scene import Window
from tora2.training.plan.measure import sizes_of
from tora2.training.recipes.adapter import load_config

DIM, TEXT = 128, 32


def wan(**changes: Any) -> WanTransformer3DModel:
    """A small transformer that the host would load, too."""
    torch.manual_seed(0)
    sizes = {"num_attention_heads": 1, "ffn_dim": 64, "num_layers": 2, "text_dim": TEXT}
    model = WanTransformer3DModel(**{**sizes, **changes}).eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    return model


class TestWan(Battery):
    backbone = BACKBONE
    dim, text = DIM, TEXT

    def transformer(self) -> Any:
        return wan()

    def own_forward(self, transformer: Any, x: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        return transformer(x, timestep.expand(len(x)), text, return_dict=False)[0]

    def configured(self, transformer: Any) -> tuple[int, int, int]:
        config = transformer.config
        assert config.patch_size[0] == 1 and config.patch_size[1] == config.patch_size[2]
        return config.patch_size[1], config.out_channels, 4  # the autoencoder's, not in the config


@pytest.mark.parametrize(
    ("shape", "transformer", "adapter"),
    [
        ("Wan2.1-T2V-1.3B", 1_418_996_800, 485_401_218),
        ("Wan2.1-T2V-14B", 14_288_491_584, 2_418_638_978),
    ],
)
def test_published_sizes(shape: str, transformer: int, adapter: int) -> None:
    """Counted with two depths and drawn out, as making all the blocks takes seconds."""
    layers = SHAPES[shape]["num_layers"]

    def numbers(depth: int) -> tuple[int, ...]:
        with torch.device("meta"):
            model = WanTransformer3DModel(**{**SHAPES[shape], "num_layers": depth})
            width = model.config.num_attention_heads * model.config.attention_head_dim
            sizes = Tora2Config.preset("5b", dim=width, layers=depth)
            parts = Tora2Adapter(sizes, BACKBONE.grid)
        return tuple(sum(p.numel() for p in part.parameters()) for part in (model, parts))

    counted = zip(numbers(2), numbers(4), strict=True)
    made = [two + (four - two) // 2 * (layers - 2) for two, four in counted]
    assert made == [transformer, adapter]


@pytest.mark.parametrize(
    ("name", "shape", "layers", "size"),
    [("wan", "Wan2.1-T2V-1.3B", 30, (16, 81, 512)), ("latte", "Latte-1", 28, (4, 16, 120))],
)
def test_a_plan_without_files_takes_published_sizes(
    name: str, shape: str, layers: int, size: tuple[int, ...]
) -> None:
    config = load_config(Path(__file__).parents[2] / "configs" / f"{name}.yaml")
    sizes, notes = sizes_of(config)
    assert (sizes.backbone, sizes.layers) == (name, layers)
    assert (sizes.cache.channels, sizes.cache.frames, sizes.cache.text_tokens) == size
    assert sizes.cache.latent_frames == sizes.model.grid.latent_frames(size[1])
    assert len(notes) == 3 and f"the sizes of {shape} are taken" in notes[0]
    other = replace(config, base=replace(config.base, transformer="models/mine"))
    assert sizes_of(other)[0].backbone == "cogvideox"


def test_the_publishers_names_are_read_and_written() -> None:
    state = wan().state_dict()
    theirs = convert_wan(state, "comfy")
    assert {"head.modulation", "blocks.1.cross_attn.o.bias", "time_projection.1.weight"} < set(
        theirs
    )
    again = convert_wan({f"model.diffusion_model.{n}": t for n, t in theirs.items()}, "diffusers")
    assert again.keys() == state.keys() and all(again[n] is t for n, t in state.items())
    assert wan_config(again) == {k: v for k, v in wan().config.items() if k in wan_config(again)}
    with pytest.raises(ValueError, match="img_emb.* is no part of Wan 2.1's text-to-video"):
        convert_wan({**theirs, "img_emb.proj.0.bias": torch.zeros(1)})
    del theirs["blocks.1.ffn.2.bias"]
    with pytest.raises(ValueError, match=r"lacks the tensor blocks.1.ffn.net.2.bias"):
        convert_wan(theirs)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_its_solvers_undo_its_noise(name: str) -> None:
    """With a flow that points at one clip, every solver ends there."""
    scheduler = BACKBONE.make_scheduler(name)
    clean, noise = torch.randn(2, 1, 16, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    scheduler.set_timesteps(8)
    x = noise
    for timestep in scheduler.timesteps:
        share = float(timestep) / 1000
        x = scheduler.step((x - clean) / share, timestep, x, return_dict=False)[0]
    assert torch.allclose(x, clean, atol=2e-2)
    assert float(scheduler.timesteps[0]) > 990


def test_it_samples() -> None:
    model, (x, _, text) = wan(), TestWan().inputs()
    out = sample_latents(model, BACKBONE.make_scheduler("dpm"), x, text, text * 0, steps=2)
    assert out.shape == x.shape and bool(out.isfinite().all())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = Tora2Pipeline.from_pretrained("tiny", "cpu").text_encoder.config.d_model
    vae = AutoencoderKLWan(base_dim=8, num_res_blocks=1)
    root = tmp_path_factory.mktemp("wan")
    return write_folder(root, "WanPipeline", wan(text_dim=text), vae, UMT5EncoderModel)


def test_a_scene_becomes_a_video(folder: Path) -> None:
    pipeline = Tora2Pipeline.from_pretrained(folder, "cpu")
    assert (pipeline.info.width, pipeline.info.frames, pipeline.info.text_tokens) == (832, 81, 512)
    made = pipeline(scene(motion=Window(1.0)))
    still = pipeline(scene(motion=Window(0.0)))
    assert made.frames.shape == (5, 32, 48, 3)
    assert not torch.equal(made.latents, still.latents)
    context = pipeline.encode_text("a circle")[0]
    own = int(context.any(1).sum())
    assert 0 < own < 10 and not context[own:].any(), "padding is zeros"


def test_its_latents_have_unit_statistics(folder: Path) -> None:
    vae = Tora2Pipeline.from_pretrained(folder, "cpu").vae
    assert grid_of(vae) == WAN and scaling_of(vae) == 1.0
    video = torch.rand(1, 3, 5, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        latents = encode_video(vae, video)
        mean, logvar = encode_posterior(vae, video)
        raw = vae.encode(video).latent_dist
        decoded = decode_video(vae, latents)
    scale = torch.tensor(vae.config.latents_std).view(-1, 1, 1, 1)
    shift = torch.tensor(vae.config.latents_mean).view(-1, 1, 1, 1)
    assert torch.equal(latents, mean)
    assert torch.allclose(latents * scale + shift, raw.mode(), atol=1e-5)
    assert logvar is not None and torch.allclose(logvar.exp() * scale**2, raw.var, rtol=1e-4)
    with torch.no_grad():
        expected = vae.decode(raw.mode()).sample.clamp(-1, 1)
    assert decoded.shape == video.shape and torch.allclose(decoded, expected, atol=1e-4)


def test_its_files_are_inspected_and_converted(folder: Path, tmp_path: Path) -> None:
    seen = inspect(folder / "transformer")
    assert seen.holds == ("a Wan 2.1 transformer in diffusers names",)
    assert (seen.sizes["channels"], seen.sizes["blocks"]) == (DIM, 2)
    assert seen.missing == ("an adapter trained for it: none is published, `train` makes one",)
    output = tmp_path / "wan.safetensors"
    assert main(["convert", str(folder), "--to", "comfy", "--output", str(output)]) == 0
    assert inspect(output).holds == ("a Wan 2.1 transformer in ComfyUI names",)
    again, expected = load_transformer(output, torch.float32), load_transformer(folder)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(again.state_dict()[name].to(tensor.dtype), tensor), name


def test_what_does_not_fit_is_refused(folder: Path) -> None:
    bundled = TINY / "adapter.safetensors"
    with pytest.raises(ValueError, match="for 6 blocks of 192 channels but .* 2 blocks of 128"):
        Tora2Pipeline.from_pretrained(folder, "cpu", adapter=bundled)
