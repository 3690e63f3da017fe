"""Encoders under the real host, and the entity nodes."""

import importlib.util
import inspect
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import builders
import numpy as np
import pytest
import torch

FIXTURES = Path(__file__).parents[1] / "fixtures"
NODES = ("Tora2LoadEncoders", "Tora2EncodeEntity", "Tora2SaveEntity", "Tora2LoadEntity")


@pytest.fixture(scope="module")
def entities(pack: builders.Pack) -> Any:
    """The four nodes."""
    homes = ("encoders", "entities", "entity_files", "entity_files")
    return SimpleNamespace(
        **{
            name: getattr(pack(f"nodes.{home}"), name)
            for name, home in zip(NODES, homes, strict=True)
        }
    )


@pytest.fixture(scope="module")
def encoders(pack: builders.Pack) -> Any:
    return pack("nodes.host.encoders")


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """An empty models folder."""
    import folder_paths

    for name in ("insightface", "detection"):
        (tmp_path / name).mkdir()
        monkeypatch.setitem(
            folder_paths.folder_names_and_paths, name, ([str(tmp_path / name)], set())
        )
    return tmp_path


def networks() -> Any:
    pytest.importorskip("onnx", reason="the onnx package makes the small networks")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    spec = importlib.util.spec_from_file_location("face_networks", FIXTURES / "face_networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def image(pictures: int = 1) -> torch.Tensor:
    """Grey, with a red square of 42 pixels: a face to the small detector."""
    out = torch.full((pictures, 200, 300, 3), 0.5)
    out[:, 80:122, 60:102] = torch.tensor([1.0, 0.0, 0.0])
    return out


@pytest.fixture(scope="module")
def dinos(tmp_path_factory) -> tuple[Any, Path]:
    """The same two-layer DINOv2 as the host's CLIP_VISION and as a `transformers` folder."""
    transformers = pytest.importorskip("transformers")
    from comfy.clip_vision import ClipVisionModel
    from safetensors.torch import load_file

    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = transformers.Dinov2Model(
        transformers.Dinov2Config(**sizes, patch_size=14, image_size=518)
    ).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.08)
    folder = tmp_path_factory.mktemp("dinov2")
    model.save_pretrained(folder)
    large = json.loads((_host_folder() / "comfy/image_encoders/dino2_large.json").read_text())
    clip = ClipVisionModel({**large, **sizes})
    clip.model.float()  # the host keeps half precision, which alone would differ by 2e-4
    missing, unexpected = clip.load_sd(load_file(folder / "model.safetensors"))
    assert not missing and not unexpected
    return clip, folder


def _host_folder() -> Path:
    import comfy.clip_vision

    return Path(comfy.clip_vision.__file__).parents[1]


def test_the_hosts_dinov2_gives_the_librarys_tokens(dinos, encoders) -> None:
    from tora2.encoders.dino import load_dino

    clip, folder = dinos
    square = torch.randint(0, 256, (3, 180, 180), dtype=torch.uint8)
    ours, theirs = load_dino(folder).encode(square), encoders.HostSemantic(clip).encode(square)
    assert theirs.shape == (256, 128) and theirs.dtype == torch.float32
    assert float((ours - theirs).norm() / ours.norm()) < 1e-4


def test_other_clip_visions_are_refused(encoders) -> None:
    with pytest.raises(ValueError, match="CLIP_VISION is a siglip_vision_model, expected DINOv2"):
        encoders.HostSemantic(SimpleNamespace(model_type="siglip_vision_model"))


@pytest.mark.parametrize("name", NODES)
def test_schema_and_signature_agree(host, name: str) -> None:
    node = host.NODE_CLASS_MAPPINGS[name]
    schema = node.define_schema()
    assert schema.node_id == name and schema.category.startswith("Tora2/")
    parameters = inspect.signature(node.execute).parameters
    assert {x.id for x in schema.inputs} == set(parameters)
    assert all(x.tooltip for x in [*schema.inputs, *schema.outputs])
    optional = {x.id for x in schema.inputs if x.optional}
    assert optional <= {n for n, p in parameters.items() if p.default is not p.empty}
    page = Path(__file__).parents[2] / "web" / "docs" / f"{name}.md"
    assert all(f"`{x.id}`" in page.read_text() for x in schema.inputs)


def test_nothing_loaded_is_said_in_words(entities) -> None:
    loaded, report = entities.Tora2LoadEncoders.execute(face="none", object="none").result
    assert (loaded.semantic, loaded.face, loaded.object) == (None, None, None)
    for part in ("No semantic encoder", "No face encoder", "No object encoder", "1.22 GB"):
        assert part in report
    with pytest.raises(ValueError, match="no semantic encoder is loaded"):
        entities.Tora2EncodeEntity.execute("cat", "auto", 1.0, loaded, image())


def test_the_background_is_cut_out(pack, entities, encoders) -> None:
    class Remover:
        def encode_image(self, images: torch.Tensor) -> torch.Tensor:
            mask = torch.zeros(images.shape[:3])
            mask[0, 10:20, 10:20] = 1
            return mask

    loaded = tiny(pack, encoders)
    made = entities.Tora2EncodeEntity.execute(
        "cat", "auto", 1.0, loaded, image(2), background_removal=Remover()
    )
    entity, preview, _ = made.result
    assert len(entity.pictures) == 2
    whole, *_ = entities.Tora2EncodeEntity.execute("cat", "auto", 1.0, loaded, image(2)).result
    cut, same = (
        torch.equal(a.semantic, b.semantic)
        for a, b in zip(entity.pictures, whole.pictures, strict=True)
    )
    assert (cut, same) == (False, True)  # nothing is in front in the second, so all of it is
    with pytest.raises(ValueError, match="expected what Load Background Removal Model gives"):
        entities.Tora2EncodeEntity.execute(
            "cat", "object", 1.0, loaded, image(), background_removal=3
        )


class Landmarker:
    """What the host's face detection offers: one face, upright, as a mesh of 478 points."""

    def detect_batch(self, images, num_faces, score_thresh, variant):
        mesh = np.zeros((478, 2), np.float32)
        for places, point in (
            (range(468, 473), (70, 90)),
            (range(473, 478), (94, 90)),
            ((1,), (82, 104)),
            ((61,), (72, 116)),
            ((291,), (92, 116)),
        ):
            mesh[list(places)] = point
        box = np.array([60, 76, 104, 124], np.float32)
        found = {"landmarks_xy": mesh, "bbox_xyxy": box, "score": 0.9}
        return [[found] if variant == "full" else [] for _ in images]


def test_faces_without_insightface(entities, models, dinos, monkeypatch) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    spec = importlib.util.spec_from_file_location("arcface", FIXTURES / "arcface_network.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    (models / "insightface" / "auraface").mkdir(parents=True)
    onnx.save(made.recogniser(True), models / "insightface" / "auraface" / "glintr100.onnx")
    monkeypatch.setitem(sys.modules, "insightface", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    loaded, report = entities.Tora2LoadEncoders.execute(
        "none", "none", "auraface/glintr100.onnx", clip_vision=dinos[0], face_detection=Landmarker()
    ).result
    assert "Apache-2.0" in report
    entity, _, why = entities.Tora2EncodeEntity.execute(
        "woman", "human", 1.0, loaded, image(1)
    ).result
    assert [p.branch for p in entity.pictures] == ["face"], why
    assert entity.pictures[0].prior.shape == (32,)
    (face,) = loaded.face.detector.detect(torch.zeros(3, 200, 300, dtype=torch.uint8))
    assert face.points == ((70, 90), (94, 90), (82, 104), (72, 116), (92, 116))
    with pytest.raises(ValueError, match="expected what Load Face Detection Model"):
        entities.Tora2LoadEncoders.execute(
            "none", "none", "auraface/glintr100.onnx", face_detection=3
        )


def landmarker_weights() -> dict[str, torch.Tensor]:
    """A landmarker in the layout that the host's loader reads, which sees one face anywhere."""
    from comfy_extras.mediapipe.face_landmarker import FaceLandmarker

    weights: dict[str, torch.Tensor] = {}
    for variant in ("short", "full"):
        network = FaceLandmarker("cpu", torch.float32, None, detector_variant=variant)
        for name, value in network.state_dict().items():
            key = name.replace("detector.", f"detector_{variant}.", 1)
            weights[key] = torch.zeros_like(value)
    for side, size in (("16", 32), ("8", 96)):
        weights[f"detector_short.cls_{side}.bias"] += 3
        boxes = weights[f"detector_short.reg_{side}.bias"].view(-1, 16)
        boxes[:, 2:4] = 64.0  # half of the detector's 128 pixels
        assert boxes.numel() == size
    mesh = weights["mesh.head_landmarks.bias"].view(478, 3)
    mesh[:, :2] = 96.0
    for points, place in ((range(468, 473), (70, 80)), (range(473, 478), (122, 80))):
        mesh[list(points), :2] = torch.tensor(place).float()
    mesh[[1, 61, 291], :2] = torch.tensor([[96.0, 110.0], [75.0, 140.0], [117.0, 140.0]])
    edges = torch.tensor([[0, 1], [1, 2], [2, 0]], dtype=torch.int32)
    names = "face_oval left_eye right_eye left_eyebrow right_eyebrow lips irises nose".split()
    weights |= {f"topology.{name}": edges.clone() for name in names}
    for name in ("canonical_vertices", "procrustes_indices", "procrustes_weights"):
        weights[name] = torch.zeros(3)
    return weights


def test_faces_by_the_hosts_own_landmarker(entities, models, dinos) -> None:
    """The host's loader, networks and boxes, on weights that stand in for MediaPipe's."""
    from comfy_extras.nodes_mediapipe import LoadMediaPipeFaceLandmarker
    from safetensors.torch import save_file

    save_file(landmarker_weights(), models / "detection" / "face_landmarker.safetensors")
    (landmarker,) = LoadMediaPipeFaceLandmarker.execute("face_landmarker.safetensors").result
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    spec = importlib.util.spec_from_file_location("arcface", FIXTURES / "arcface_network.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    onnx.save(made.recogniser(True), models / "insightface" / "glintr100.onnx")
    loaded, _ = entities.Tora2LoadEncoders.execute(
        "none", "none", "glintr100.onnx", clip_vision=dinos[0], face_detection=landmarker
    ).result
    picture = torch.rand(1, 240, 320, 3, generator=torch.Generator().manual_seed(0))
    entity, _, why = entities.Tora2EncodeEntity.execute(
        "woman", "human", 1.0, loaded, picture
    ).result
    assert [p.branch for p in entity.pictures] == ["face"], why
    faces = loaded.face.detector.detect((picture[0].movedim(-1, 0) * 255).to(torch.uint8))
    left, right, nose, *mouth = faces[0].points
    assert left[0] < nose[0] < right[0] and left[1] == pytest.approx(right[1], abs=1e-2)
    across, down = right[0] - left[0], nose[1] - left[1]
    assert down / across == pytest.approx(30 / 52, abs=1e-3), "as the mesh has them"
    assert mouth[0][0] < mouth[1][0] and mouth[0][1] > nose[1]


def test_faces_under_the_host(entities, models, dinos, monkeypatch) -> None:
    pytest.importorskip("insightface", reason="insightface is not installed")
    from comfy import model_management

    networks().write_folder(models / "insightface" / "models" / "antelopev2")
    schema = {x.id: x for x in entities.Tora2LoadEncoders.define_schema().inputs}
    assert schema["face"].options == ["none", "models/antelopev2"]
    loaded, report = entities.Tora2LoadEncoders.execute(
        face="models/antelopev2", object="none", clip_vision=dinos[0]
    ).result
    assert "non-commercial research only" in report and "Apache-2.0" in report
    entity, preview, why = entities.Tora2EncodeEntity.execute(
        "woman", "auto", 0.8, loaded, image(2)
    ).result
    assert [p.branch for p in entity.pictures] == ["face", "face"]
    assert entity.pictures[0].prior.shape == (512,) and entity.strength == 0.8
    assert preview.shape == (2, 224, 224, 3) and "1: Face branch: 1 face was found" in why
    # The host lets go of the networks when it unloads models, and they come back when needed.
    face = loaded.face.detector
    assert face.patcher.model.network.loaded
    model_management.unload_all_models()
    assert not face.patcher.model.network.loaded
    loaded.cache.clear()
    again, *_ = entities.Tora2EncodeEntity.execute("woman", "auto", 1.0, loaded, image(1)).result
    assert torch.equal(again.pictures[0].prior, entity.pictures[0].prior)
    # Nothing runs for pictures that were seen before.
    monkeypatch.setattr(type(face), "detect", None)
    entities.Tora2EncodeEntity.execute("woman", "auto", 1.0, loaded, image(1))


def test_objects_under_the_host(entities, encoders, models, dinos) -> None:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    from comfy import model_management
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None)
    torch.save(MaskRCNN(backbone, 91).state_dict(), models / "detection" / "maskrcnn.pth")
    loaded, report = entities.Tora2LoadEncoders.execute(
        face="none", object="maskrcnn.pth", clip_vision=dinos[0]
    ).result
    assert "BSD-3" in report
    assert loaded.object.patcher.model_size() > 100 << 20
    network = loaded.object.patcher.model.network
    network.transform.min_size, network.transform.max_size = (128,), 128  # for the tests' time
    mask = torch.zeros(1, 100, 150)
    mask[:, 40:61, 30:51] = 1
    entity, preview, why = entities.Tora2EncodeEntity.execute(
        "cup", "auto", 1.0, loaded, image(), mask
    ).result
    assert entity.pictures[0].branch == "object" and entity.pictures[0].prior.shape == (1024,)
    left, top, right, bottom = entity.routings[0].box
    assert abs(left - 60) <= 1 and abs(bottom - 122) <= 1
    assert float(preview[0, 112, 112, 0]) > 0.98 and float(preview[0, 112, 112, 1]) < 0.02
    assert "no face encoder is loaded" in why
    assert any(m.model is loaded.object.patcher for m in model_management.current_loaded_models)
    with pytest.raises(ValueError, match="is in none of"):
        encoders.load_encoders(None, None, None, "../secret.pth", False)


def tiny(pack: builders.Pack, encoders: Any) -> Any:
    module = pack("tora2.encoders.tiny")
    network = module.TinyEncoder(module.TinyEncoderConfig(picture=32, dim=8))
    return pack("tora2.encoders.entity").Encoders(joint=encoders.HostJoint(network))


def test_pictures_masks_and_files_through_the_nodes(pack, host, entities, encoders) -> None:
    loaded = tiny(pack, encoders)
    encode = entities.Tora2EncodeEntity.execute
    first, *_ = encode(" cat ", "auto", 0.5, loaded, image(2), name="c").result
    assert (first.word, first.name, len(first.pictures)) == ("cat", "c", 2)
    both, preview, _ = encode(
        "tabby", "auto", 1.0, loaded, torch.rand(1, 40, 90, 3), torch.ones(8, 8), more_of=first
    ).result
    assert (both.word, both.strength, both.name) == ("tabby", 1.0, "c")
    assert len(both.pictures) == len(preview) == 3

    saved = entities.Tora2SaveEntity.execute(both, "tora2/entities/tabby")
    name = saved.ui["text"][0].removeprefix("Saved as ")
    assert name == "tora2/entities/tabby_00001_.safetensors"
    choices = {x.id: x for x in entities.Tora2LoadEntity.define_schema().inputs}["file"].options
    assert choices == [f"{name} [output]"]
    loaded_again, preview_again, _ = entities.Tora2LoadEntity.execute(
        choices[0], word="tiger", strength=0.5
    ).result
    assert (loaded_again.word, loaded_again.strength) == ("tiger", 0.5)
    assert torch.equal(loaded_again.pictures[2].semantic, both.pictures[2].semantic)
    assert torch.equal(preview_again, preview)
    assert entities.Tora2LoadEntity.fingerprint_inputs(file=choices[0], word="", strength=1.0)

    with pytest.raises(ValueError, match="strength is 20.0, expected a number from 0 to 10"):
        entities.Tora2LoadEntity.execute(choices[0], strength=20.0)

    alone, blank, report = encode("cat", "auto", 1.0).result
    assert alone.pictures == () and float(blank.min()) == 1 and "0 pictures" in report
    with pytest.raises(ValueError, match="images are given without encoders"):
        encode("cat", "auto", 1.0, None, image())
    with pytest.raises(ValueError, match="2 masks for 3 pictures"):
        encode("cat", "auto", 1.0, loaded, image(3), torch.ones(2, 8, 8))
    with pytest.raises(ValueError, match="9 pictures; expected at most 8"):
        encode("cat", "auto", 1.0, loaded, image(9))
    with pytest.raises(ValueError, match="mask is empty"):
        encode("cat", "auto", 1.0, loaded, image(), torch.zeros(1, 64, 64))


def test_an_adapter_checks_the_encoders_widths(pack, entities, encoders) -> None:
    adapter = builders.adapter(pack)
    loaded = pack("nodes.io_types").LoadedAdapter(
        pack("nodes.host.adapters").manage(adapter), "small"
    )
    with pytest.raises(ValueError, match="give 8 semantic and 8 object channels; the adapter"):
        entities.Tora2EncodeEntity.execute(
            "cat", "auto", 1.0, tiny(pack, encoders), image(), adapter=loaded
        )


@pytest.mark.parametrize(
    ("node", "inputs", "message"),
    [
        ("Tora2LoadEncoders", {"face": "../../etc"}, "face"),
        ("Tora2LoadEncoders", {"object": 3}, "object"),
        ("Tora2EncodeEntity", {"kind": "animal"}, "kind"),
        ("Tora2EncodeEntity", {"strength": float("nan")}, "strength"),
        ("Tora2EncodeEntity", {"face_index": -1}, "face_index"),
        ("Tora2EncodeEntity", {"word": 7}, "word"),
        ("Tora2SaveEntity", {"filename_prefix": "../x"}, "filename_prefix"),
        ("Tora2LoadEntity", {"file": "../secret.safetensors"}, "file"),
    ],
)
def test_widget_values_are_not_trusted(host, node: str, inputs: dict, message: str) -> None:
    refused = host.NODE_CLASS_MAPPINGS[node].validate_inputs(**inputs)
    assert isinstance(refused, str) and message in refused and "expected" in refused


@pytest.mark.parametrize(
    "name", ["../../etc/passwd [output]", "a.txt [output]", "../x", "/etc/passwd", None, 7]
)
def test_entity_files_stay_in_their_folders(pack, name: object) -> None:
    with pytest.raises(ValueError, match="file is .* folder"):
        pack("nodes.host.entity_files").locate(name)


def test_a_missing_network_is_said_with_where_to_get_it(pack: Any) -> None:
    node = pack("nodes.encoders").Tora2LoadEncoders
    for name, part in (("face", "insightface's antelopev2"), ("object", "Mask R-CNN is under BSD")):
        said = node.validate_inputs(**{name: "absent"})
        assert "'absent', expected one of none. Searched are" in said and part in said


def test_each_user_keeps_features_apart(pack, encoders, tmp_path, monkeypatch) -> None:
    import folder_paths

    users = pack("nodes.host.users")
    monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path))
    cache, made = encoders._Kept(), []

    def compute() -> torch.Tensor:
        made.append(1)
        return torch.ones(1)

    for user in ("ann", "ben", None, "ann"):
        monkeypatch.setattr(users, "current", lambda user=user: user)
        cache.get("a picture", compute)
    kept = {
        path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.safetensors")
    }
    assert kept == {"ann/tora2/features", "ben/tora2/features", "tora2/features"}
    assert len(made) == 3, "the first user's is there still"
