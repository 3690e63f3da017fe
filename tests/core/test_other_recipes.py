"""The adapter recipe on Wan and on Latte: clips encoded by their own parts, and a few steps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import recipe_data
import test_latte
import test_wan
from other_models import write_folder

from tora2.checkpoints import load_adapter
from tora2.pipeline import Tora2Pipeline
from tora2.settings import read
from tora2.training.recipes.adapter import AdapterTraining, train


def wan() -> tuple[Any, ...]:
    vae = test_wan.AutoencoderKLWan(base_dim=8, num_res_blocks=1)
    return "WanPipeline", test_wan.wan(text_dim=128), vae, test_wan.UMT5EncoderModel


def latte() -> tuple[Any, ...]:
    model = test_latte.latte(caption_channels=128, video_length=recipe_data.FRAMES)
    return "LattePipeline", model, test_latte.picture_autoencoder(), test_latte.T5EncoderModel


@pytest.mark.parametrize("parts", [wan, latte])
def test_an_adapter_is_trained(parts: Any, tmp_path: Path) -> None:
    """A folder in our own format, a cache made with it, and both of Tora's sources of motion."""
    bundled = Tora2Pipeline.from_pretrained("tiny", "cpu")
    whole = Tora2Pipeline.from_pretrained(write_folder(tmp_path / "published", *parts()), "cpu")
    whole.encoders = bundled.encoders
    whole.info = replace(whole.info, width=32, height=32, frames=recipe_data.FRAMES, text_tokens=24)
    whole.save_pretrained(tmp_path / "model")
    clips = tmp_path / "clips"
    recipe_data.write_clips(clips, model=str(tmp_path / "model"), flow="farneback")
    base = {"transformer": str(tmp_path / "model" / "transformer"), "autoencoder": None}
    start: dict[str, object] = {}
    for source in ("dense", "tracks"):
        values = recipe_data.settings(
            tmp_path,
            tmp_path / source,
            base=base,
            motion={"source": source},
            stages=[{"name": "all", "steps": 2}],
            warm_start=start,
        )
        made = load_adapter(train(read(AdapterTraining, values)))
        assert made.grid == whole.grid and made.capabilities == {"motion", "appearance", "binding"}
        start = {"motion": str(tmp_path / source / "adapter.safetensors")}
