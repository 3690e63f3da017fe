"""ArcFace's network in torch, against the ONNX file that it comes from."""

import math
import sys
from pathlib import Path

import pytest
import torch

from tora2.encoders.arcface import _TARGET, align, convert_onnx, load_recogniser, similarity
from tora2.encoders.protocols import Face

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))


@pytest.fixture(params=[True, False], ids=["folded", "norms"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    from arcface_network import recogniser

    path = tmp_path / "glintr100.onnx"
    onnx.save(recogniser(request.param), path)
    return path


def test_the_same_numbers(file: Path, tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    faces = torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1
    (expected,) = session.run(None, {"input.1": faces.numpy()})
    made = load_recogniser(file)
    torch.testing.assert_close(
        made.network(faces), torch.from_numpy(expected), atol=1e-4, rtol=1e-4
    )
    assert made.dim == 32

    from safetensors.torch import save_file

    save_file(convert_onnx(file), tmp_path / "face.safetensors")
    again = load_recogniser(tmp_path / "face.safetensors")
    assert torch.equal(again.network(faces), made.network(faces)) and again.key == made.key


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "norms"])
def test_the_command_converts_an_ir_100(
    folded: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from arcface_network import IR_100, recogniser

    from tora2.cli import main

    made, written = tmp_path / "glintr100.onnx", tmp_path / "auraface.safetensors"
    onnx.save(recogniser(folded, **IR_100), made)
    assert main(["convert", str(made), "--to", "face", "--output", str(written)]) == 0
    assert capsys.readouterr().out.strip() == str(written)
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    faces = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1
    (expected,) = session.run(None, {"input.1": faces.numpy()})
    network = load_recogniser(written)
    got = network.network(faces)
    assert network.dim == 512 and got.shape == (2, 512)
    scale = torch.from_numpy(expected).abs().max()
    assert float((got - torch.from_numpy(expected)).abs().max() / scale) < 1e-4


def test_a_face_is_put_onto_the_template() -> None:
    turn, scale, move = 0.4, 1.7, torch.tensor([60.0, 25.0])
    rotation = scale * torch.tensor(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    points = [tuple((rotation @ torch.tensor(p) + move).tolist()) for p in _TARGET]
    matrix = similarity(points, _TARGET)
    for point, goal in zip(points, _TARGET, strict=True):
        there = matrix @ torch.tensor([*point, 1.0]).double()
        torch.testing.assert_close(there, torch.tensor(goal).double(), atol=1e-4, rtol=0)
    ys, xs = torch.meshgrid(torch.arange(300.0), torch.arange(260.0), indexing="ij")
    ramp = torch.stack([xs, ys, torch.zeros_like(xs)]) * 0.8
    aligned = align(ramp.to(torch.uint8), points)
    x, y = _TARGET[2]
    nose = aligned[:2, round(y), round(x)] / 0.8
    torch.testing.assert_close(nose, torch.tensor(points[2]), atol=2.5, rtol=0)


def test_alignment_is_insightface_s() -> None:
    face_align = pytest.importorskip("insightface.utils.face_align", reason="no insightface")
    import numpy as np

    points = [(80.0, 90.0), (130.0, 84.0), (108.0, 116.0), (90.0, 142.0), (132.0, 137.0)]
    ys, xs = torch.meshgrid(torch.arange(220.0), torch.arange(240.0), indexing="ij")
    smooth = torch.stack([xs, ys, (xs + ys) / 2]).clamp(0, 255).to(torch.uint8)
    theirs = face_align.norm_crop(smooth.permute(1, 2, 0).numpy(), np.float32(points), 112)
    ours = align(smooth, points)
    assert (ours - torch.from_numpy(theirs).permute(2, 0, 1).float()).abs().max() < 1.5


def test_other_files_are_refused(tmp_path: Path) -> None:
    from face_networks import detector

    path = tmp_path / "scrfd.onnx"
    onnx.save(detector(), path)
    with pytest.raises(ValueError, match=r"scrfd.onnx is no face recogniser of ArcFace's layout"):
        load_recogniser(path)

    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"x.safetensors holds no face recogniser"):
        load_recogniser(tmp_path / "x.safetensors")


def test_embedding_a_face(file: Path) -> None:
    image = torch.randint(0, 255, (3, 160, 160), generator=torch.Generator().manual_seed(1))
    face = Face((20, 20, 132, 132), 0.9, tuple((x + 20, y + 20) for x, y in _TARGET))
    vector = load_recogniser(file).embed(image.to(torch.uint8), face)
    assert vector.shape == (32,) and bool(vector.isfinite().all())
