"""Each backbone passes the battery; finding them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small
import torch
from backbone_battery import LATENT, Battery
from torch import Tensor

from tora2.backbones import backbone_for, backbone_named, backbone_of
from tora2.backbones.cogvideox import BACKBONE, rotary_embedding
from tora2.geometry import COGVIDEOX


class TestCogVideoX(Battery):
    backbone = BACKBONE
    dim, text = small.DIM, small.TEXT

    def transformer(self) -> Any:
        model = small.transformer()
        generator = torch.Generator().manual_seed(2)
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data.add_(noise, alpha=0.05)
        return model

    def own_forward(self, transformer: Any, x: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        grid = COGVIDEOX.tokens(*LATENT[1:])
        return transformer(
            x.transpose(1, 2),
            text,
            timestep.expand(len(x)),
            image_rotary_emb=rotary_embedding(transformer, LATENT[0], grid),
            return_dict=False,
        )[0].transpose(1, 2)

    def configured(self, transformer: Any) -> tuple[int, int, int]:
        config = transformer.config
        return config.patch_size, config.out_channels, config.temporal_compression_ratio

    def test_another_patch_is_refused(self) -> None:
        wide = small.transformer(patch_size=4)
        with pytest.raises(ValueError, match="patch_size is 4, expected 2"):
            self.backbone.predict(wide, *self.inputs())


def test_a_backbone_is_found_by_name_transformer_and_file(tmp_path: Path) -> None:
    assert backbone_named("cogvideox") is BACKBONE
    with pytest.raises(ValueError, match="'sora' is unknown, expected one of cogvideox, .*wan"):
        backbone_named("sora")
    with pytest.raises(ValueError, match="is a Linear, expected CogVideoXTransformer3DModel"):
        backbone_of(torch.nn.Linear(2, 2))
    small.transformer().save_pretrained(tmp_path / "transformer")
    assert backbone_for(tmp_path) is BACKBONE


def test_a_file_in_the_package_is_all_that_a_backbone_adds(tmp_path: Path) -> None:
    """A module that defines BACKBONE is found; nothing else names it."""
    (tmp_path / "other.py").write_text(
        "from torch.nn import Linear\nclass Other:\n    name, kind = 'other', Linear\n"
        "BACKBONE = Other()\n"
    )
    script = (
        "import sys, torch, tora2.backbones as b\n"
        "assert not {'diffusers', 'transformers'} & set(sys.modules)\n"
        f"b.__path__.append({str(tmp_path)!r})\n"
        "assert b.backbone_of(torch.nn.Linear(2, 2)) is b.backbone_named('other')\n"
        "assert 'diffusers' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
