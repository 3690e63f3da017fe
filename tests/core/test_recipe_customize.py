"""The recipe that makes LoRAs: peft's layers, losses, turns, files and refusals."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import small
import torch
import yaml
from test_customization import sample_inputs
from torch import Tensor

from tora2.backbone import predict
from tora2.cli import main
from tora2.customization import AppliedLoras, LoraInfo, read_lora
from tora2.losses import velocity_loss
from tora2.scene import Window
from tora2.training.objectives.customization import CustomizationLoss, CustomizationSettings
from tora2.training.recipes.customize import Customization, customize
from tora2.training.recipes.customize.clips import Examples, compose
from tora2.training.recipes.customize.config import LoraOptimization, MotionLora, Shown, SubjectLora
from tora2.video import write_video

pytest.importorskip("peft")

from tora2.training.recipes.customize import layers  # noqa: E402


def injected(*infos: LoraInfo) -> Any:
    model = small.sharpen(small.transformer(), 2.0)
    torch.manual_seed(3)
    layers.inject(model, infos)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("video_only", [False, True])
def test_what_was_trained_is_what_the_file_does(video_only: bool) -> None:
    info = LoraInfo("small", "motion", "tap_released", 4, video_only=video_only)
    model, inputs = injected(info), sample_inputs()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert len(trained) == 2 * 2 * small.LAYERS and all("lora_" in name for name in trained)
    with torch.no_grad():
        changed = predict(model, *inputs)
        with layers.switched_off(model):
            plain = predict(model, *inputs)
        assert torch.equal(predict(model, *inputs), changed)
        base = small.sharpen(small.transformer(), 2.0)
        assert torch.equal(predict(base, *inputs), plain)
        with AppliedLoras(base, [(layers.extract(model, info, torch.float32), Window())]):
            assert torch.allclose(predict(base, *inputs), changed, atol=1e-6)
    assert not torch.allclose(plain, changed, atol=1e-3)


def examples(frames: int = 2, count: int = 2) -> Examples:
    generator = torch.Generator().manual_seed(8)
    latents = torch.randn(count, 16, frames, 4, 4, generator=generator)
    context, looks = torch.randn(2, count, 6, small.TEXT, generator=generator)
    return Examples(latents, context, looks)


def motion_loss(model: Any, **settings: float) -> tuple[Tensor, dict[str, float]]:
    made = CustomizationSettings(**settings)
    loss = CustomizationLoss(model, made, lambda: layers.switched_off(model))
    return loss.motion(examples(), torch.Generator().manual_seed(4))


def test_motion_losses() -> None:
    model = injected(LoraInfo("small", "motion", "tap", 2))
    plain, _ = motion_loss(model, debiased=0.0)
    # The same draws by hand.
    generator, shown = torch.Generator().manual_seed(4), examples()
    timestep = torch.randint(1000, (2,), generator=generator)
    noise = torch.randn(shown.latents.shape, generator=generator)
    from tora2.backbones import backbone_of

    noisy, target = backbone_of(model).noised(shown.latents, noise, timestep)
    expected = velocity_loss(predict(model, noisy, timestep, shown.context), target)
    assert torch.equal(plain, expected)
    both, measures = motion_loss(model, debiased=1.0)
    assert both.item() == pytest.approx(plain.item() + measures["debiased"])
    turned, _ = motion_loss(model, debiased=0.0, omega=0.5)
    with torch.no_grad(), layers.switched_off(model):
        looks = predict(model, noisy, timestep, shown.appearance)
    away = velocity_loss(predict(model, noisy, timestep, shown.context), 1.5 * target - 0.5 * looks)
    assert turned.item() == pytest.approx(away.item())


def test_subject_losses_add_up() -> None:
    model = injected(LoraInfo("small", "subject", "full", 2))
    model.gradient_checkpointing = True
    settings = CustomizationSettings(regularization=0.25, attention=0.6)
    loss = CustomizationLoss(model, settings, lambda: layers.switched_off(model))
    words = torch.zeros(2, 2, 6, dtype=torch.bool)
    words[:, 0, 1] = words[:, 1, 4] = True
    masks = torch.zeros(2, 2, 4, dtype=torch.bool)
    masks[:, 0, ::2] = masks[:, 1, 1::2] = True
    picture = examples(frames=1)
    composed = Examples(picture.latents, picture.context, words=words, masks=masks)
    total, found = loss.subject(picture, examples(), composed, torch.Generator().manual_seed(1))
    expected = found["velocity"] + 0.25 * found["regularizing"] + found["composed"]
    assert total.item() == pytest.approx(expected + 0.6 * found["attention"])
    assert 0 < found["attention"] < 1
    total.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip and two cut-outs."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("shown")
    frames = torch.rand(5, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    write_video(folder / "clip.mp4", frames, 8)
    for name, color in (("a", (255, 0, 0, 255)), ("b", (0, 0, 255, 255))):
        image = Image.new("RGBA", (32, 32))
        image.paste(color, (8, 8, 24, 24))
        image.save(folder / f"{name}.png")
    return folder


def config(shown: Path, output: Path, **changes: Any) -> Customization:
    clip = Shown(str(shown / "clip.mp4"), "a star", "a star")
    pictures = (
        Shown(str(shown / "a.png"), "a circle", subject="circle"),
        Shown(str(shown / "b.png"), "a square", subject="square"),
    )
    options = {
        "motion": MotionLora((clip,), rank=2, token="star"),
        "subject": SubjectLora(pictures, (clip,), rank=2),
        "optimization": LoraOptimization(
            steps=4, precision="fp32", checkpoint_every=2, log_every=1
        ),
        "width": 32,
        "height": 32,
        "frames": 5,
        "dtype": "fp32",
        "recompute": False,
        "device": "cpu",
    }
    return Customization(str(output), "tiny", **{**options, **changes})


def test_both_are_learned_in_turns(shown: Path, tmp_path: Path) -> None:
    files = customize(config(shown, tmp_path / "run"))
    assert [file.name for file in files] == ["motion.safetensors", "subject.safetensors"]
    motion, subject = map(read_lora, files)
    assert motion.info.method == "motion" and motion.info.token == "star"
    assert motion.info.base == "cogvideox, 6 blocks of 192 channels"
    assert all(name.endswith("to_k") for name in motion.layers) and len(subject.layers) == 24
    rows = [json.loads(row) for row in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    kinds = ["motion" if "debiased" in row else "subject" for row in rows]
    assert len(rows) == 4 and set(kinds) == {"motion", "subject"}
    assert "attention" in rows[kinds.index("subject")]
    # What a step is not for does not move: with clips alone the subject stays no change at all.
    files = customize(config(shown, tmp_path / "clips", motion_share=1.0))
    changed = [any(bool(up.any()) for _, up in read_lora(f).layers.values()) for f in files]
    assert changed == [True, False]


@pytest.mark.parametrize("kind", ["motion", "subject"])
def test_a_plan_is_of_real_steps(shown: Path, tmp_path: Path, kind: str) -> None:
    from tora2.training.counting import as_on_a_gpu
    from tora2.training.distributed import World
    from tora2.training.plan.customizing import Customizing
    from tora2.training.plan.step import MOMENTS, count_step
    from tora2.training.recipes.customize.run import encoded, load_base, lora_infos, make_loop

    made = config(shown, tmp_path, recompute=True)
    costs = Customizing(made)
    stages = costs.stages()
    assert not costs.notes and [stage.name for stage in stages] == ["motion", "subject"]
    assert [stage.steps for stage in stages] == [2, 2]
    stage = next(one for one in stages if one.name == kind)
    transformer = load_base(made)
    device = torch.device("cpu")
    material = encoded(made, transformer, device)
    layers.inject(transformer, lora_infos(made, transformer))
    loop = make_loop(made, transformer, material, tmp_path, World(device))
    loop.source = lambda step, generator: kind
    loop.train_step()
    with as_on_a_gpu():
        real = count_step(loop, whole=True)
    assert stage.peaks.step.operations == real.operations
    for name in MOMENTS[:3]:
        there, here = (sum(one.moments[name].values()) for one in (stage.peaks.step, real))
        assert there == pytest.approx(here, rel=0.05)
    counted = sum(p.numel() for p in layers.trained_by(transformer, kind))
    assert stage.weights.parts[f"{kind} LoRA"] == (0, counted)


def test_the_command_plans(shown: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = asdict(config(shown, tmp_path))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(made))))
    assert main(["customize", str(path), "--plan", "--json", "--card", "4090"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["fits"] and [one["name"] for one in said["stages"]] == ["motion", "subject"]
    assert main(["customize", str(path), "--plan", "--gpus", "2"]) == 2
    assert "one process, expected no 2 GPUs" in capsys.readouterr().err


def test_compose_places_things_side_by_side(shown: Path) -> None:
    from tora2.encoders.pictures import load_picture

    frame, places = compose(load_picture(shown / "a.png"), load_picture(shown / "b.png"), (32, 64))
    assert frame.shape == (3, 32, 64) and frame[:, 16, 16].tolist() == [255, 0, 0]
    assert places[0, 16, 16] == 1 and places[1, 16, 48] == 1
    assert not places[0, :, 32:].any() and not places[1, :, :32].any()


def test_the_command_refuses_with_a_sentence(
    shown: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(text: str) -> str:
        path = tmp_path / "config.yaml"
        path.write_text(f"output: {tmp_path}/out\nmodel: tiny\ndevice: cpu\n{text}")
        assert main(["customize", str(path)]) == 2
        return capsys.readouterr().err

    clip = f"{{file: {shown}/clip.mp4, caption: a star}}"
    assert "expected motion.clips, subject.pictures or both" in told("")
    assert "has no caption 'appearance'" in told(f"motion: {{omega: 0.5, clips: [{clip}]}}")
    assert "expected one of full, tap" in told(f"motion: {{arm: most, clips: [{clip}]}}")
    assert "has 5 frames, expected 17" in told(f"motion: {{clips: [{clip}]}}")
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    needs = "customize needs peft; install it with: pip install 'comfyui-tora2[customize]'"
    assert needs in told(f"motion: {{clips: [{clip}]}}")
