"""Latte, a spatial-temporal DiT, passes the battery; where its two calls are, names and sizes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from backbone_battery import LATENT, Battery
from diffusers import AutoencoderKL, LatteTransformer3DModel
from other_models import scene, write_folder
from torch import Tensor
from transformers import T5EncoderModel

from tora2.backbone import load_transformer, predict
from tora2.backbones.latte import BACKBONE, SHAPES
from tora2.checkpoints import inspect, load_adapter
from tora2.checkpoints.latte_keys import convert_latte
from tora2.cli import main
from tora2.geometry import LATTE
from tora2.models.adapter import Tora2Adapter, Tora2Config
from tora2.pipeline import Tora2Pipeline
from tora2.sampling import sample_latents
from tora2.scene import Window

DIM, TEXT = 64, 32


def latte(**changes: Any) -> LatteTransformer3DModel:
    """A small transformer that predicts its variance, as the published one does."""
    torch.manual_seed(0)
    sizes = {
        "num_attention_heads": 2,
        "attention_head_dim": DIM // 2,
        "cross_attention_dim": DIM,
        "num_layers": 2,
        "caption_channels": TEXT,
        "sample_size": 12,
        "video_length": LATENT[0],
    }
    model = LatteTransformer3DModel(**{**SHAPES["Latte-1"], **sizes, **changes}).eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    return model


def picture_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[32] * 4,
    )


class TestLatte(Battery):
    backbone = BACKBONE
    dim, text = DIM, TEXT

    def transformer(self) -> Any:
        return latte()

    def own_forward(self, transformer: Any, x: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        out = transformer(x, timestep.expand(len(x)), text, return_dict=False)[0]
        return out.chunk(2, dim=1)[0]

    def configured(self, transformer: Any) -> tuple[int, int, int]:
        config = transformer.config
        return config.patch_size, config.in_channels, 1  # its autoencoder is one of pictures

    def test_where_the_two_calls_are(self) -> None:
        """Motion reaches the temporal blocks' attention alone, pictures the spatial blocks'."""
        transformer, inputs = self.transformer(), self.inputs()
        seen: dict[str, list[Tensor]] = {"spatial": [], "temporal": []}
        for name, block in (
            ("spatial", transformer.transformer_blocks[0]),
            ("temporal", transformer.temporal_transformer_blocks[0]),
        ):
            block.attn1.register_forward_hook(lambda *x, n=name: seen[n].append(x[1][0]))
            block.ff.register_forward_hook(lambda *x, n=name: seen[n].append(x[1][0]))
        with torch.no_grad():
            full = self.conditioning(self.adapter(transformer))
            for conditioning in (None, full.scaled(1, 0), full.scaled(0, 1)):
                predict(transformer, *inputs, conditioning)
        (s, sf, sm, sfm, sa, sfa), (t, _, tm, *_) = seen["spatial"], seen["temporal"]
        assert torch.equal(s, sm) and torch.equal(sf, sfm) and not torch.equal(t, tm)
        assert torch.equal(s, sa) and not torch.equal(sf, sfa)


def test_published_sizes() -> None:
    """Counted with two depths and drawn out, as making all the blocks takes seconds."""

    def numbers(depth: int) -> tuple[int, ...]:
        with torch.device("meta"):
            model = LatteTransformer3DModel(**{**SHAPES["Latte-1"], "num_layers": depth})
            sizes = Tora2Config.preset("5b", dim=1152, layers=depth, latent_channels=4)
            parts = Tora2Adapter(sizes, BACKBONE.grid)
        return tuple(sum(p.numel() for p in part.parameters()) for part in (model, parts))

    counted = zip(numbers(2), numbers(4), strict=True)
    made = [two + (four - two) // 2 * 26 for two, four in counted]
    assert made == [1_057_246_880, 388_728_194]


def test_the_publishers_file_is_read(tmp_path: Path) -> None:
    """Averaged weights beside those of the last step, with the tables that are computed."""
    model = latte()
    own = {f"module.{n}": t for n, t in model.state_dict().items()}
    own["module.temp_pos_embed"] = model.temp_pos_embed
    own["module.caption_projection.y_embedding"] = torch.zeros(120, TEXT)
    torch.save({"model": {}, "ema": own, "steps": 3}, tmp_path / "t2v.pt")
    seen = inspect(tmp_path)
    assert (
        "it cannot be used here" in seen.notes[0] and "expected a multiple of 72" in seen.notes[0]
    )
    with pytest.raises(ValueError, match="64 channels, expected a multiple of 72"):
        load_transformer(tmp_path / "t2v.pt")
    assert convert_latte(own).keys() == model.state_dict().keys()
    with pytest.raises(ValueError, match="lacks the tensor proj_out.bias"):
        convert_latte({n: t for n, t in own.items() if n != "module.proj_out.bias"})
    with pytest.raises(ValueError, match="cannot be converted to 'comfy'"):
        convert_latte(own, "comfy")


@pytest.mark.parametrize("name", ["dpm", "ddim"])
def test_it_samples(name: str) -> None:
    model, (x, _, text) = latte(), TestLatte().inputs()
    out = sample_latents(model, BACKBONE.make_scheduler(name), x, text, text * 0, steps=3)
    assert out.shape == x.shape and bool(out.isfinite().all())
    with pytest.raises(ValueError, match="the clip has 4 frames, expected at most the model's 3"):
        predict(model, torch.zeros(1, 4, 4, 2, 2), torch.tensor(0), text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = Tora2Pipeline.from_pretrained("tiny", "cpu").text_encoder.config.d_model
    root = tmp_path_factory.mktemp("latte")
    model = latte(caption_channels=text, video_length=5)
    return write_folder(root, "LattePipeline", model, picture_autoencoder(), T5EncoderModel)


def test_a_scene_becomes_a_video(folder: Path) -> None:
    """Every frame has a latent of its own; the adapter's file says so."""
    assert load_adapter(folder / "adapter.safetensors").grid == LATTE
    pipeline = Tora2Pipeline.from_pretrained(folder, "cpu")
    made = pipeline(scene(motion=Window(1.0)))
    still = pipeline(scene(motion=Window(0.0)))
    assert made.frames.shape == (5, 32, 48, 3) and made.latents.shape == (1, 4, 5, 4, 6)
    assert not torch.equal(made.latents, still.latents)


def test_its_folder_is_inspected_and_converted(folder: Path, tmp_path: Path) -> None:
    seen = inspect(folder / "transformer")
    assert seen.holds == ("a Latte transformer in diffusers names",)
    assert (seen.sizes["blocks"], seen.sizes["in_channels"]) == (2, 4)
    output = tmp_path / "latte.safetensors"
    assert main(["convert", str(folder), "--to", "diffusers", "--output", str(output)]) == 0
    assert main(["convert", str(folder), "--to", "comfy", "--output", str(output)]) == 2
