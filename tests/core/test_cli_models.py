"""`generate` on CogVideoX folders: Tora's parts, a first frame, less memory."""

import json
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from PIL import Image

from tora2.cli import main
from tora2.encoders.pictures import cover
from tora2.video import read_video

SCENE = {
    "version": 1,
    "prompt": "a circle",
    "trajectories": {
        "version": 1,
        "width": 48,
        "height": 32,
        "frames": 9,
        "tracks": [{"id": "t", "points": [{"x": 0.1, "y": 0.2}, {"x": 0.9, "y": 0.7}]}],
    },
    "sampling": {"steps": 1, "guidance": 1.0},
}


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.cogvideox_folder(tmp_path_factory.mktemp("t2v"))


@pytest.fixture(scope="module")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained, as its positions say, at another size than the scene's."""
    return small.cogvideox_folder(
        tmp_path_factory.mktemp("i2v"),
        in_channels=32,
        use_learned_positional_embeddings=True,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
    )


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    (tmp_path / "scene.json").write_text(json.dumps(SCENE))
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    Image.fromarray(np.stack([np.tile(ramp, (96, 1))] * 3, -1)).save(tmp_path / "first.png")
    return tmp_path


def generate(scene: Path, name: str, model: Path, *options: object) -> int:
    arguments = [scene / "scene.json", "--output", scene / name, "--model", model]
    arguments += ["--adapter", model / "tora.safetensors", *options]
    return main(["generate", *map(str, arguments)])


def test_tora_s_parts_beside_a_cogvideox(scene: Path, text_model: Path) -> None:
    assert generate(scene, "plain.mp4", text_model) == 0
    assert generate(scene, "offloaded.mp4", text_model, "--offload") == 0
    plain, offloaded = (read_video(scene / f"{n}.mp4")[0].float() for n in ("plain", "offloaded"))
    assert plain.shape == (9, 32, 48, 3)
    assert float((plain - offloaded).abs().mean()) < 2  # H.264 never writes a clip twice alike


def test_a_first_frame_and_no_learned_positions(
    scene: Path, image_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--image", scene / "first.png")
    assert generate(scene, "out.mp4", image_model, *options, "--no-learned-positions") == 0
    assert generate(scene, "no.mp4", image_model, *options) == 2
    assert "learned its positions at 64x64 with 9" in capsys.readouterr().err
    assert generate(scene, "no.mp4", image_model, "--no-learned-positions") == 2
    assert capsys.readouterr().err.endswith("tora2 generate: this model needs a first frame\n")
    assert not (scene / "no.mp4").exists()


def test_tiles_are_for_cogvideox_s_autoencoder(
    scene: Path, text_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate(scene, "tiled.mp4", text_model, "--tiled") == 0
    output = str(scene / "no.mp4")
    assert main(["generate", str(scene / "scene.json"), "--output", output, "--tiled"]) == 2
    assert "the bundled autoencoder does not tile" in capsys.readouterr().err


def test_a_picture_covers_the_frame_with_its_middle() -> None:
    wide = torch.arange(12.0).expand(3, 4, 12)
    assert torch.equal(cover(wide, (4, 4))[0, 0], torch.tensor([4.0, 5.0, 6.0, 7.0]))
    assert cover(wide, (8, 6)).shape == (3, 8, 6)
    assert cover(wide, (3, 12)).shape == (3, 3, 12)
