"""What every backbone must pass: a test class that inherits `Battery` and says how to make one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from einops import rearrange
from torch import Tensor

from tora2.backbone import load_transformer, predict
from tora2.backbones import Backbone, backbone_for, backbone_of, backbones
from tora2.conditioning import EntityCondition, Tora2Conditioning
from tora2.encoders.features import PictureFeatures
from tora2.models.adapter import Tora2Adapter, Tora2Config
from tora2.trajectory import Tracks

LATENT = (3, 8, 12)
TOKENS, WORDS, PICTURE = 6, 2, 5


class Battery:
    """Tests of a backbone on a small transformer with random weights.

    A subclass gives the backbone, the transformer, the library's own forward, and the widths.
    """

    backbone: Backbone
    dim: int
    text: int

    def transformer(self) -> Any:
        """A small one that acts on all its inputs, the same at every call."""
        raise NotImplementedError

    def own_forward(self, transformer: Any, x: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """The library's own prediction [B, C, T, H, W]."""
        raise NotImplementedError

    def save(self, transformer: Any, folder: Path) -> None:
        """Write the library's own folder."""
        transformer.save_pretrained(folder)

    def configured(self, transformer: Any) -> tuple[int, int, int]:
        """Patch, channels and temporal compression, as the library's own configuration has them."""
        raise NotImplementedError

    def inputs(self, batch: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(7)
        shape = (batch, self.backbone.grid.channels, *LATENT)
        latents = torch.randn(shape, generator=generator)
        text = torch.randn(batch, TOKENS, self.text, generator=generator)
        return latents, torch.tensor(500), text

    def adapter(self, transformer: Any) -> Tora2Adapter:
        torch.manual_seed(1)
        config = Tora2Config.preset(
            "tiny",
            dim=self.dim,
            layers=self.backbone.layers(transformer),
            latent_channels=self.backbone.grid.channels,
            word_dim=self.text,
            feature_dim=16,
            semantic_dim=12,
            object_dim=14,
        )
        adapter = Tora2Adapter(config, self.backbone.grid)
        for parameter in adapter.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.3)
        return adapter.eval()

    def conditioning(self, adapter: Tora2Adapter) -> Tora2Conditioning:
        """One entity with picture, word and path, and a path of nobody."""
        grid, generator = self.backbone.grid, torch.Generator().manual_seed(3)
        frames, height, width = LATENT
        sides = width * grid.spatial, height * grid.spatial
        count = grid.video_frames(frames)
        points = torch.rand(2, count, 2, generator=generator) * torch.tensor(sides)
        owners = torch.tensor([0, -1])
        tracks = Tracks(points, torch.ones(2, count, dtype=torch.bool), owners, *sides, count)
        semantic = torch.randn(PICTURE, 12, generator=generator)
        prior = torch.randn(14, generator=generator)
        word = torch.randn(WORDS, self.text, generator=generator)
        entity = EntityCondition((PictureFeatures(semantic, prior, "object"),), word)
        motion = torch.randn(1, grid.channels, *LATENT, generator=generator)
        return Tora2Conditioning.build(adapter, motion, [entity], tracks)

    def test_it_is_found(self) -> None:
        assert self.backbone in backbones()
        assert backbone_of(self.transformer()) is self.backbone
        assert self.backbone.predicts in ("v", "epsilon", "flow")

    def test_its_grid_agrees_with_its_config(self) -> None:
        transformer, grid = self.transformer(), self.backbone.grid
        assert self.configured(transformer) == (grid.patch, grid.channels, grid.temporal)
        assert getattr(transformer.config, self.backbone.text_field) == self.text

    def test_text_alone_is_the_library_s_own_forward(self) -> None:
        transformer, (x, timestep, text) = self.transformer(), self.inputs(2)
        with torch.no_grad():
            got = predict(transformer, x, timestep, text)
            expected = self.own_forward(transformer, x, timestep, text)
        assert got.shape == x.shape and bool(got.isfinite().all())
        assert torch.equal(got, expected)

    def test_strength_zero_is_no_conditioning(self) -> None:
        transformer, inputs = self.transformer(), self.inputs()
        with torch.no_grad():
            full = self.conditioning(self.adapter(transformer))
            plain = predict(transformer, *inputs)
            moved = predict(transformer, *inputs, full)
            assert torch.equal(predict(transformer, *inputs, full.scaled(0, 0)), plain)
            motion = predict(transformer, *inputs, full.scaled(1, 0))
            appearance = predict(transformer, *inputs, full.scaled(0, 1))
        made = (plain, motion, appearance, moved)
        for i, one in enumerate(made):
            for other in made[i + 1 :]:
                assert float((one - other).abs().max()) > 1e-4

    def test_halves_of_guidance_share_the_conditions(self) -> None:
        transformer, (x, timestep, text) = self.transformer(), self.inputs()
        with torch.no_grad():
            full = self.conditioning(self.adapter(transformer))
            once = predict(transformer, x, timestep, text, full)
            x, text = torch.cat([x, x]), torch.cat([text, text])
            twice = predict(transformer, x, timestep, text, full)
        for half in twice:
            assert torch.allclose(half, once[0], atol=1e-5)

    @pytest.mark.parametrize("recompute", [False, True])
    def test_gradients_reach_the_adapter_alone(self, recompute: bool) -> None:
        transformer = self.transformer().requires_grad_(False)
        transformer.gradient_checkpointing = recompute
        adapter = self.adapter(transformer)
        out = predict(transformer, *self.inputs(), self.conditioning(adapter))
        out.square().mean().backward()
        assert all(p.grad is None for p in transformer.parameters())
        reached = {n for n, p in adapter.named_parameters() if p.grad is not None and p.grad.any()}
        for part in ("extractor", "fuser", "personalization", "cross_attention", "binder"):
            assert any(name.startswith(part) for name in reached), part

    def test_its_blocks_are_those_that_run(self) -> None:
        transformer, ran = self.transformer(), []
        blocks = self.backbone.blocks(transformer)
        for index, block in enumerate(blocks):
            for module in block.modules():
                module.register_forward_pre_hook(lambda *_, i=index: ran.append(i))
        with torch.no_grad():
            predict(transformer, *self.inputs())
        assert list(dict.fromkeys(ran)) == list(range(len(blocks)))
        inside = {id(p) for block in blocks for p in block.parameters()}
        assert len(inside) > len([p for p in transformer.parameters() if id(p) not in inside])

    def test_a_window_of_frames(self) -> None:
        """The conditions of some frames are those of a clip that has them alone."""
        transformer, (x, timestep, text) = self.transformer(), self.inputs()
        with torch.no_grad():
            full = self.conditioning(self.adapter(transformer))
            part = full.window([0, 2])
            assert part.frames == 2
            got = predict(transformer, x[:, :, [0, 2]], timestep, text, part)
            whole = predict(transformer, x, timestep, text, full.window(range(LATENT[0])))
            assert torch.equal(whole, predict(transformer, x, timestep, text, full))
            other = predict(transformer, x[:, :, [0, 2]], timestep, text, full.window([2, 0]))
        assert got.shape[2] == 2 and float((got - other).abs().max()) > 1e-5
        for mine, feature in zip(part.features, full.features, strict=True):
            frames = rearrange(feature, "(b t) c h w -> b t c h w", t=LATENT[0])
            assert torch.equal(mine, frames[:, [0, 2]].flatten(0, 1))

    def test_it_is_saved_and_loaded(self, tmp_path: Path) -> None:
        transformer, inputs = self.transformer(), self.inputs()
        self.save(transformer, tmp_path)
        assert self.backbone.reads(tmp_path) and backbone_for(tmp_path) is self.backbone
        again = load_transformer(tmp_path, torch.float32)
        assert not again.training and isinstance(again, self.backbone.kind)
        expected = transformer.state_dict()
        assert again.state_dict().keys() == expected.keys()
        assert all(torch.equal(x, expected[name]) for name, x in again.state_dict().items())
        with torch.no_grad():  # mapped weights lie elsewhere in memory, which kernels may notice
            got = predict(again, *inputs)
            assert torch.allclose(got, predict(transformer, *inputs), atol=1e-5)

    def test_sides_that_do_not_divide_into_tokens_are_refused(self) -> None:
        grid = self.backbone.grid
        _, timestep, text = self.inputs()
        odd = torch.zeros(1, grid.channels, 1, grid.patch + 1, grid.patch)
        with pytest.raises(ValueError, match=f"multiples of {grid.patch}"):
            predict(self.transformer(), odd, timestep, text)

    def test_its_training_pairs_are_what_its_prediction_means(self) -> None:
        generator = torch.Generator().manual_seed(5)
        clean, noise = torch.randn(2, 3, *self.inputs()[0].shape[1:], generator=generator)
        timestep = torch.tensor([0, self.backbone.timesteps // 2, self.backbone.timesteps - 1])
        noisy, target = self.backbone.noised(clean, noise, timestep)
        # Whatever the schedule: noisy lies between clean and noise, from the one to the other.
        near = [float((noisy[i] - clean[i]).norm()) for i in range(3)]
        assert near == sorted(near) and target.shape == clean.shape
        expected = {"epsilon": noise, "flow": noise - clean}.get(self.backbone.predicts)
        if expected is not None:
            assert torch.allclose(target, expected)
        else:  # v: a rotation of (clean, noise), so that both lengths together are kept
            lengths = noisy.square() + target.square()
            assert torch.allclose(lengths, clean.square() + noise.square(), atol=1e-4)
