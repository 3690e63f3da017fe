"""Every workflow's twin runs on a real server, and the demo's sprites are where they should be."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))


def twin(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "tests" / "e2e" / "api" / f"{name}.json").read_text())


def kinds(nodes: list[str]) -> set[str]:
    return {kind for kind in nodes if kind.startswith("Tora2")}


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_has_a_picture_and_a_twin(name: str) -> None:
    assert any((ROOT / "workflows").glob(f"{name}.[pjw][npe][gb]*")), "no picture"
    shown = json.loads((ROOT / "workflows" / f"{name}.json").read_text())
    used = kinds([node["type"] for node in shown["nodes"]])
    run = kinds([node["class_type"] for node in twin(name).values()])
    # The twin takes text encoders and Tora's autoencoder from the bundled model.
    only_shown = {"Tora2LoadEncoders"} | ({"Tora2ExamplePicture"} - run)
    assert used - only_shown == run - ({"Tora2LoadTiny"} - used)


def test_the_pack_starts_quietly_and_whole(server: Any) -> None:
    start, ready, _ = server.log.partition("To see the GUI go to")
    assert ready
    ours = [line for line in start.splitlines() if "tora2" in line.lower()]
    assert not [x for x in ours if "warning" in x.lower() or "error" in x.lower()], ours
    assert "IMPORT FAILED" not in server.log
    info = server.get("/object_info")
    found = {name for name in info if name.startswith("Tora2")}
    assert len(found) >= 15
    assert all(info[name]["python_module"] == "custom_nodes.tora2" for name in found)


SWEEP = "tora2_motion_sweep"


@pytest.mark.parametrize("name", [name for name in NAMES if name != SWEEP])
def test_a_twin_runs(server: Any, name: str) -> None:
    prompt = twin(name)
    run = server.run(prompt)
    assert run.outcome == "execution_success", run.messages[-1]
    saved = server.files(run)
    videos = [node for node, value in prompt.items() if value["class_type"] == "SaveVideo"]
    assert len(videos) == 2
    for node in videos:
        (path,) = saved[node]
        assert frames_of(path).shape[0] == 17
    steps = {m["data"]["max"] for m in run.messages if m["type"] == "progress"}
    samplers = [v for v in prompt.values() if "steps" in v["inputs"]]
    assert samplers and all(v["inputs"]["steps"] in steps for v in samplers)
    if any(value["class_type"] == "Tora2Bind" for value in prompt.values()):
        check_previews(run.previews)
    if name == "tora2_tiny_demo":
        check_demo(frames_of(saved[videos[0]][0]), prompt)


def check_previews(pictures: list[bytes]) -> None:
    """The host's previewer had colours for the latents, and the last of them are no noise."""
    shown = []
    for picture in pictures:
        with Image.open(io.BytesIO(picture)) as image:
            shown.append(np.asarray(image.convert("RGB"), np.float32))
    assert shown and shown[-1].std() > 0


def test_a_sweep_measures_every_strength(server: Any) -> None:
    prompt = twin(SWEEP)
    run = server.run(prompt)
    assert run.outcome == "execution_success", run.messages[-1]
    chart = next(k for k, v in prompt.items() if v["class_type"] == "Tora2SweepChart")
    (said,) = [m["output"]["text"] for m in run.of("executed") if m["node"] == chart]
    lines = said[0].splitlines() if isinstance(said, list | tuple) else said.splitlines()
    errors = {line.split()[2].rstrip(":"): line.split()[-1] for line in lines}
    assert set(errors) == {"0", "0.5", "1", "1.5", "2"}, lines
    # Without paths there may be nothing of the paths' colours that could be measured.
    without = float("inf") if errors["0"] == "measured" else float(errors["0"])
    assert float(errors["1"]) < min(without, 8), "paths act"
    node = next(k for k, v in prompt.items() if v["class_type"] == "SaveImage")
    (path,) = server.files(run)[node]
    with Image.open(path) as image:
        assert image.width > 400


def test_a_prompt_from_before_newer_inputs_runs(server: Any) -> None:
    prompt = twin("tora2_trajectories_only")
    bind = next(v for v in prompt.values() if v["class_type"] == "Tora2Bind")
    for name in ("flow_latents", "flow_seed", "tiled"):
        del bind["inputs"][name]
    assert server.run(prompt).outcome == "execution_success"


def frames_of(path: Path) -> torch.Tensor:
    """[T, H, W, 3] in [0, 1] of a video."""
    import av

    with av.open(path) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    return torch.stack([torch.from_numpy(frame) for frame in frames]).float() / 255


def check_demo(frames: torch.Tensor, prompt: dict[str, Any]) -> None:
    """Both sprites have the colour of their picture and are on their own path."""
    from tora2.encoders.pictures import load_picture, on_white
    from tora2.evaluation import trajectory_error
    from tora2.evaluation.metrics.colour import dominant_hue, locate
    from tora2.trajectory import parse, sample

    document = next(v["inputs"]["document"] for v in prompt.values() if "document" in v["inputs"])
    tracks = sample(parse(document))
    assets = ROOT / "tora2" / "assets" / "demo"
    words = ("circle", "star")
    hues = [dominant_hue(on_white(load_picture(assets / f"{word}.png"))) for word in words]
    seen = locate(frames, hues)
    for place in range(2):
        error = trajectory_error(seen[place : place + 1], tracks.points[place : place + 1])
        assert error < 0.10 * 96, f"{words[place]} is {error:.1f} px off its path"


LONG = 900


def interrupted(server: Any, prompt: dict[str, Any], moment: Any) -> None:
    run = server.run(prompt, lambda message: "/interrupt" if moment(message) else None)
    assert run.outcome == "execution_interrupted"
    assert not [done for done in run.of("progress") if done["value"] == done["max"] == LONG]


def test_interrupt_while_sampling(server: Any) -> None:
    prompt = twin("tora2_trajectories_only")
    sampler = next(k for k, v in prompt.items() if v["class_type"] == "Tora2Sampler")
    prompt[sampler]["inputs"] |= {"steps": LONG, "seed": 5}
    interrupted(
        server,
        prompt,
        lambda m: m["type"] == "progress" and m["data"]["max"] == LONG and m["data"]["value"] > 2,
    )
    assert server.run(twin("tora2_trajectories_only")).outcome == "execution_success"


def test_interrupt_while_binding(server: Any) -> None:
    prompt = twin("tora2_trajectories_only")
    editor = next(k for k, v in prompt.items() if v["class_type"] == "Tora2TrajectoryEditor")
    bind = next(k for k, v in prompt.items() if v["class_type"] == "Tora2Bind")
    given = prompt[editor]["inputs"]["document"]
    given |= {"width": 256, "height": 256, "frames": 129}
    latent = next(n for n in prompt.values() if n["class_type"] == "EmptyHunyuanLatentVideo")
    latent["inputs"] |= {"width": 256, "height": 256, "length": 129}
    for track in given["tracks"]:
        track["end"] = 128
    interrupted(
        server, prompt, lambda m: m["type"] == "executing" and m["data"].get("node") == bind
    )
    assert server.run(twin("tora2_trajectories_only")).outcome == "execution_success"
