"""The search for faces, and insightface's own code on small networks in its layout."""

import builtins
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tora2.encoders import onnx as onnx_files
from tora2.encoders import onnx_file
from tora2.encoders.detection import LADDER, FaceChoice, choose, find
from tora2.encoders.face import InsightFace, load_face
from tora2.encoders.protocols import Face

FIXTURES = Path(__file__).parents[1] / "fixtures"


def picture(height: int, width: int, *squares: tuple[int, int, int]) -> torch.Tensor:
    """Grey, with pure red squares at (x, y, side)."""
    image = torch.full((3, height, width), 140, dtype=torch.uint8)
    for x, y, side in squares:
        image[:, y : y + side, x : x + side] = torch.tensor([255, 0, 0]).view(3, 1, 1)
    return image


@dataclass
class Squares:
    """Finds the red square of a view when its side is in a range, and counts the views."""

    low: int
    high: int
    key: str = "squares"
    views: int = 0

    def detect(self, image):
        self.views += 1
        red = (image[0] > 200) & (image[1] < 60)
        if not red.any():
            return []
        rows, columns = (red.any(dim).nonzero().flatten() for dim in (1, 0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1]) + 1, float(rows[-1]) + 1)
        side = box[2] - box[0]
        points = ((box[0], box[1]),) * 5
        return [Face(box, 0.9, points)] if self.low <= side <= self.high else []


@pytest.mark.parametrize(
    ("low", "high", "rung"),
    [(90, 110, "as it is"), (60, 80, "padded"), (28, 45, "rescaled"), (110, 160, "tiled")],
)
def test_each_rung_maps_its_faces_back(low: int, high: int, rung: str) -> None:
    detector = Squares(low, high)
    found = find(detector, picture(700, 900, (300, 120, 100)))
    assert found.tried == LADDER[: LADDER.index(rung) + 1]
    assert len(found.faces) == 1
    expected = torch.tensor([300.0, 120, 400, 220])
    assert (torch.tensor(found.faces[0].box) - expected).abs().max() <= 4


def test_the_search_ends_where_a_face_is_found_and_gives_up_quietly() -> None:
    detector = Squares(90, 110)
    find(detector, picture(300, 300, (50, 50, 100)))
    assert detector.views == 1
    assert find(Squares(9000, 9001), picture(30, 20)).faces == ()
    assert find(Squares(9000, 9001), picture(1, 1)).tried == LADDER
    detector = Squares(9000, 9001)
    assert find(detector, picture(90, 90), LADDER[:2]).tried == LADDER[:2]
    assert detector.views == 2


def test_choice_among_faces() -> None:
    faces = [Face((x, 0, x + side, side), 0.9, ()) for x, side in ((0, 10), (50, 30), (90, 10))]
    assert choose(faces, FaceChoice(), (100, 100))[0] is faces[1]
    assert choose(faces, FaceChoice("index", 2), (100, 100))[0] is faces[2]
    assert choose(faces, FaceChoice("nearest", point=(0.1, 0.1)), (100, 100))[0] is faces[0]
    face, why = choose(faces, FaceChoice("index", 3), (100, 100))
    assert face is faces[1] and "no number 3" in why
    with pytest.raises(ValueError, match="'smallest' is unknown"):
        FaceChoice("smallest")
    with pytest.raises(ValueError, match="index is -1"):
        FaceChoice("index", -1)


def test_without_insightface_a_sentence_says_how_to_add_it(monkeypatch, tmp_path) -> None:
    real = builtins.__import__

    def missing(name, *rest, **named):
        if name.partition(".")[0] == "insightface":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ValueError, match="install it with: python -m pip install insightface"):
        load_face(tmp_path)


@pytest.fixture(scope="module")
def networks():
    pytest.importorskip("onnx", reason="the onnx package makes the small networks")
    spec = importlib.util.spec_from_file_location("face_networks", FIXTURES / "face_networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(networks, tmp_path_factory) -> Path:
    return networks.write_folder(tmp_path_factory.mktemp("models") / "antelopev2")


@pytest.fixture(scope="module")
def faces(folder) -> InsightFace:
    pytest.importorskip("insightface", reason="insightface is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    return InsightFace(folder)


@pytest.mark.parametrize(
    ("square", "rung"),
    [((300, 200, 42), "as it is"), ((300, 200, 88), "padded"), ((220, 140, 190), "rescaled")],
)
def test_insightface_finds_what_the_ladder_shows_it(faces, square, rung) -> None:
    found = find(faces, picture(480, 640, square))
    assert found.tried[-1] == rung and len(found.faces) == 1
    left, top, right, bottom = found.faces[0].box
    x, y, side = square
    assert abs((left + right) / 2 - x - side / 2) < side / 4
    assert abs((top + bottom) / 2 - y - side / 2) < side / 4
    assert len(found.faces[0].points) == 5


def test_a_small_face_in_a_large_picture_is_found_in_a_tile(faces) -> None:
    found = find(faces, picture(700, 1280, (1000, 300, 46)))
    assert found.tried[-1] == "tiled"
    assert abs(found.faces[0].box[0] - 983) < 14


def test_several_faces_come_from_left_to_right(faces) -> None:
    found = find(faces, picture(480, 640, (500, 100, 42), (100, 300, 42), (300, 200, 42)))
    assert [round(face.box[0], -2) for face in found.faces] == [100, 300, 500]


def test_the_embedding_is_of_the_face_and_not_of_its_place(faces) -> None:
    def embedding(image: torch.Tensor) -> torch.Tensor:
        return faces.embed(image, find(faces, image).faces[0])

    here, there = picture(480, 640, (96, 96, 42)), picture(480, 640, (416, 296, 42))
    other = here.clone()
    other[2, 100:120, 96:138] = 255
    a, b, c = embedding(here), embedding(there), embedding(other)
    assert a.shape == (512,) and a.dtype == torch.float32
    assert torch.cosine_similarity(a, b, dim=0) > 0.999
    assert torch.cosine_similarity(a, c, dim=0) < 0.99
    assert a.norm() > 5  # as the network gives it


def test_the_embedding_is_insightfaces_own(faces, folder) -> None:
    import numpy as np
    from insightface.app import FaceAnalysis
    from insightface.app.common import Face as TheirFace

    image = picture(480, 640, (300, 200, 42))
    ours = find(faces, image).faces[0]
    analysis = FaceAnalysis(
        str(folder.name),
        root=_root(folder),
        allowed_modules=["detection", "recognition"],
        providers=["CPUExecutionProvider"],
    )
    theirs = TheirFace(kps=np.array(ours.points, np.float32))
    bgr = np.ascontiguousarray(image.flip(0).permute(1, 2, 0).numpy())
    analysis.models["recognition"].get(bgr, theirs)
    assert torch.equal(faces.embed(image, ours), torch.from_numpy(theirs.embedding))


def _root(folder: Path) -> str:
    """insightface looks for ROOT/models/NAME."""
    root = folder.parent / "root"
    (root / "models").mkdir(parents=True, exist_ok=True)
    link = root / "models" / folder.name
    if not link.exists():
        link.symlink_to(folder, target_is_directory=True)
    return str(root)


def test_networks_are_loaded_when_needed_freed_on_request_and_keyed_by_content(
    folder, networks, tmp_path
) -> None:
    pytest.importorskip("insightface", reason="insightface is not installed")
    faces = InsightFace(folder)
    assert not faces.loaded
    image = picture(200, 200, (80, 80, 14))
    before = faces.embed(image, find(faces, image).faces[0])
    assert faces.loaded
    faces.free()
    assert not faces.loaded
    assert torch.equal(faces.embed(image, find(faces, image).faces[0]), before)

    import onnx

    onnx.save(networks.recogniser(seed=5), tmp_path / "auraface.onnx")
    other = InsightFace(folder, recogniser=tmp_path / "auraface.onnx")
    assert other.key != faces.key and InsightFace(folder).key == faces.key
    assert not torch.equal(other.embed(image, find(other, image).faces[0]), before)


def test_folders_that_lack_a_network_are_refused(folder, tmp_path) -> None:
    pytest.importorskip("insightface", reason="insightface is not installed")
    with pytest.raises(ValueError, match="expected a folder with insightface"):
        load_face(tmp_path / "nothing")
    with pytest.raises(ValueError, match="no face detection network .no ONNX file."):
        load_face(tmp_path)
    (tmp_path / "det.onnx").write_bytes((folder / "scrfd_10g_bnkps.onnx").read_bytes())
    with pytest.raises(ValueError, match="no face recognition network .det.onnx."):
        load_face(tmp_path)
    with pytest.raises(ValueError, match="genderage.onnx is not a face recogniser"):
        load_face(folder, recogniser=folder / "genderage.onnx")


def test_providers_follow_the_device(monkeypatch) -> None:
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    monkeypatch.setattr(
        ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    assert onnx_files.providers("cpu") == ["CPUExecutionProvider"]
    assert onnx_files.providers("mps") == ["CPUExecutionProvider"]
    assert onnx_files.providers("cuda:1") == [
        ("CUDAExecutionProvider", {"device_id": 1}),
        "CPUExecutionProvider",
    ]


def test_hostile_onnx_files_are_refused(folder, tmp_path) -> None:
    onnx = pytest.importorskip("onnx", reason="the onnx package makes the hostile files")
    file = tmp_path / "evil.onnx"

    def changed(change) -> Path:
        model = onnx.load(folder / "glintr100.onnx")
        change(model)
        file.write_bytes(model.SerializeToString())
        return file

    def own_operator(model) -> None:
        model.graph.node[0].domain = "evil.ops"

    def cached_program(model) -> None:
        model.graph.node[0].domain, model.graph.node[0].op_type = "com.microsoft", "EPContext"

    def outside_tensor(model) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../../etc/passwd")

    def inner_operator(model) -> None:
        branch = onnx.helper.make_graph(
            [onnx.helper.make_node("Own", [], ["y"], domain="evil")], "g", [], []
        )
        model.graph.node.append(
            onnx.helper.make_node("If", ["683"], ["z"], then_branch=branch, else_branch=branch)
        )

    for change, message in (
        (own_operator, "operator evil.ops::AveragePool"),
        (cached_program, "operator com.microsoft::EPContext"),
        (outside_tensor, "keeps tensor 'weight' in another file"),
        (inner_operator, "operator evil::Own"),
    ):
        with pytest.raises(ValueError, match=message):
            onnx_file.check(changed(change))
    for content in (b"", b"\x80\x04cposix\nsystem\n", b"PK\x03\x04" + os.urandom(64)):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="expected an ONNX file"):
            onnx_file.check(file)
    assert "evil" not in sys.modules


def test_networks_that_do_not_do_what_they_say_are_one_sentence(folder, faces, tmp_path) -> None:
    onnx = pytest.importorskip("onnx", reason="the onnx package makes the hostile files")
    from onnx import TensorProto, helper, numpy_helper

    def liar(name: str, shape: list[int], value) -> Path:
        """Says that it gives 512 numbers."""
        size = numpy_helper.from_array(torch.tensor(shape).numpy(), "shape")
        graph = helper.make_graph(
            [
                helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
                helper.make_node("ReduceSum", ["input"], ["sum"], keepdims=0),
                helper.make_node("Add", ["huge", "sum"], ["out"]),
            ],
            name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 3, 112, 112])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, value)],
            [size],
        )
        opsets = [helper.make_opsetid("", 13)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / name)
        return tmp_path / name

    image = picture(200, 200, (80, 80, 14))
    face = find(faces, image).faces[0]
    short = InsightFace(folder, recogniser=liar("short.onnx", [1, 7], [None, 512]))
    with pytest.raises(ValueError, match="7 numbers came out in place of 512"):
        short.embed(image, face)
    bomb = liar("bomb.onnx", [2**40, 512], [None, 512])
    with pytest.raises(ValueError, match="bomb.onnx cannot be run|antelopev2 cannot be run"):
        InsightFace(folder, recogniser=bomb).embed(image, face)
    with pytest.raises(ValueError, match="bomb.onnx cannot be run"):
        onnx_files.OnnxPrior(bomb, "cpu").encode(image, (0, 0, 9, 9))


@pytest.fixture
def reid(tmp_path):
    """ONNX networks with OSNet's and MASA's signatures: the mean colour of what they are shown."""
    onnx = pytest.importorskip("onnx", reason="the onnx package makes the small networks")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from onnx import TensorProto, helper

    def save(name: str, size: list[int], with_boxes: bool) -> Path:
        inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *size])]
        nodes = [
            helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["colour" if with_boxes else "out"]),
        ]
        if with_boxes:
            inputs.append(helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 4]))
            nodes.append(helper.make_node("Concat", ["colour", "boxes"], ["out"], axis=1))
        width = 7 if with_boxes else 3
        output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, width])
        graph = helper.make_graph(nodes, name, inputs, [output])
        opsets = [helper.make_opsetid("", 13)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / name)
        return tmp_path / name

    return save


def test_identity_networks_as_onnx_are_used_by_their_signature(reid) -> None:
    image = picture(100, 200, (50, 20, 40))
    red = (torch.tensor([1.0, 0, 0]) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    osnet = onnx_files.OnnxPrior(reid("osnet.onnx", [256, 128], False), "cpu", "osnet")
    assert osnet.dim == 3 and osnet.key.startswith("osnet-")
    torch.testing.assert_close(osnet.encode(image, (50, 20, 90, 60)), red, atol=1e-3, rtol=0)
    masa = onnx_files.OnnxPrior(reid("masa.onnx", [200, 100], True), "cpu", "masa")
    assert masa.encode(image, (50, 20, 90, 60))[3:].tolist() == [25, 40, 45, 120]


def test_other_signatures_are_refused(folder, reid) -> None:
    with pytest.raises(ValueError, match="expected a picture"):
        onnx_files.OnnxPrior(folder / "scrfd_10g_bnkps.onnx", "cpu")
