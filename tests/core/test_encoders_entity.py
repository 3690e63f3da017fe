"""Routing, encoding, the cache and entity files, with encoders whose results are known."""

import base64
import io
import json
import os
from dataclasses import dataclass

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from tora2 import scene
from tora2.encoders.cache import FeatureCache
from tora2.encoders.detection import LADDER, FaceChoice, Found
from tora2.encoders.entity import (
    MAX_PICTURES,
    MAX_STRENGTH,
    EncodedEntity,
    Encoders,
    encode_entity,
)
from tora2.encoders.entity_file import load_entity, save_entity
from tora2.encoders.face import FaceEncoder
from tora2.encoders.features import PictureFeatures
from tora2.encoders.loading import load_encoders, note
from tora2.encoders.pictures import Picture
from tora2.encoders.protocols import Face
from tora2.encoders.registry import EncoderEntry, entries, entry, face_entry, register
from tora2.encoders.routing import KINDS, names_person, route, rungs
from tora2.encoders.tiny import TinyEncoder, TinyEncoderConfig

WHOLE = (0.0, 0.0, 100.0, 100.0)
SIZE = (100, 100)


def _face(side: float, score: float = 0.9, left: float = 10) -> Face:
    return Face((left, 10, left + side, 10 + side), score, ((left, 10.0),) * 5)


def _found(*faces: Face, tried=LADDER[:1]) -> Found:
    return Found(faces, tried)


@pytest.mark.parametrize(
    ("kind", "word", "found", "branch", "says"),
    [
        ("human", "", _found(_face(5, 0.55)), "face", "1 face was found"),
        ("auto", "old man", _found(_face(5, 0.55)), "face", "1 face was found"),
        ("auto", "Alice", _found(_face(30)), "face", "score 0.90"),
        ("auto", "cat", _found(_face(5)), "object", "'cat' is not known as a person"),
        ("auto", "cat", _found(_face(30, 0.6)), "object", "choose the kind 'human'"),
        ("auto", "", _found(_face(5)), "object", "an entity without a word"),
        ("auto", "woman", _found(tried=LADDER), "object", "as it is, padded, rescaled, tiled"),
        ("human", "", None, "object", "no face encoder is loaded"),
        ("object", "man", _found(_face(60)), "object", "chosen by the user"),
    ],
)
def test_branches_and_their_reasons(kind, word, found, branch, says) -> None:
    routing = route(WHOLE, SIZE, found, kind, word)
    assert routing.branch == branch
    assert says in routing.reason and routing.reason.endswith(".")
    assert (routing.face is None) == (branch == "object") == (routing.score is None)
    assert routing.box == (WHOLE if branch == "object" else found.faces[0].box)


def test_the_face_is_chosen_and_the_choice_is_told() -> None:
    found = _found(_face(20, left=5), _face(30, left=50))
    assert route(WHOLE, SIZE, found, "human").box == found.faces[1].box
    first = route(WHOLE, SIZE, found, "human", choice=FaceChoice("index", 0))
    assert first.box == found.faces[0].box and "number 0 from the left of 2 faces" in first.reason


def test_words_for_people() -> None:
    people = ("man", "Woman", "a little girl", "fire fighter captain", "astronaut")
    assert all(names_person(word) for word in people)
    assert not any(names_person(word) for word in ("", "cat", "man's hat", "snowman", "42"))
    assert rungs("auto", "man") == rungs("human", "") == LADDER
    assert rungs("object", "man") == ()
    assert len(rungs("auto", "cup")) < len(LADDER)


@dataclass
class Known:
    """Every encoder at once; counts its calls."""

    faces: tuple[Face, ...] = ()
    key: str = "known"
    dim: int = 2
    calls: int = 0

    def detect(self, image):
        self.calls += 1
        return self.faces

    def embed(self, image, face):
        self.calls += 1
        return torch.tensor([1.0, face.box[0]])

    def encode(self, image, box=None):
        self.calls += 1
        if box is None:
            assert image.shape[1] == image.shape[2]
            return image.float().mean((1, 2))[None]
        return torch.tensor([2.0, box[0]])


def _encoders(seen: Face | None = None, cache: FeatureCache | None = None, **changes):
    known = Known(() if seen is None else (seen,))
    parts = {
        "semantic": known,
        "face": FaceEncoder(known, known),
        "object": known,
        "cache": cache or FeatureCache(),
        **changes,
    }
    return Encoders(**parts), known


def _picture(value: int = 0, alpha: bool = False) -> Picture:
    rgb = torch.full((3, 40, 60), value, dtype=torch.uint8)
    mask = None
    if alpha:
        mask = torch.zeros(40, 60)
        mask[10:30, 20:40] = 1
    return Picture(rgb, mask)


def test_each_picture_is_a_reference_of_its_own() -> None:
    encoders, _ = _encoders()
    done = []
    entity = encode_entity(
        encoders,
        [_picture(0), _picture(90, alpha=True)],
        "cup",
        strength=0.5,
        name="c1",
        progress=lambda i, n: done.append((i, n)),
    )
    first, second = entity.pictures
    assert (first.branch, second.branch) == ("object", "object")
    assert first.prior.tolist() == [2, 0] and second.prior.tolist() == [2, 20]
    # 60x40 of black in a white square is a third white; the cut-out fills its own square.
    assert abs(float(first.semantic[0, 0]) - 255 / 3) < 1
    assert float(second.semantic[0, 0]) == 90
    assert entity.routings[1].box == (20, 10, 40, 30)
    assert entity.preview.shape == (2, 3, 224, 224) and entity.preview.dtype == torch.uint8
    assert entity.reason.splitlines()[1].startswith("2: Object branch")
    assert (entity.word, entity.strength, entity.name) == ("cup", 0.5, "c1")
    assert done == [(1, 2), (2, 2)]


def test_people_take_the_face_branch_and_show_their_face() -> None:
    encoders, _ = _encoders(Face((20, 10, 30, 20), 0.8, ((20.0, 10.0),) * 5))
    entity = encode_entity(encoders, [_picture()], "woman")
    assert entity.pictures[0].branch == "face"
    assert entity.pictures[0].prior.tolist() == [1, 20]
    assert entity.routings[0].score == 0.8


def test_the_second_run_encodes_nothing() -> None:
    face = Face((20, 10, 30, 20), 0.8, ((20.0, 10.0),) * 5)
    encoders, known = _encoders(face)
    first = encode_entity(encoders, [_picture(), _picture(7)], "woman")
    calls = known.calls
    again = encode_entity(encoders, [_picture(), _picture(7)], "woman")
    assert known.calls == calls
    assert torch.equal(again.pictures[1].semantic, first.pictures[1].semantic)
    assert again.routings == first.routings
    encode_entity(encoders, [_picture(8)], "woman")
    assert known.calls == calls + 3
    known.key = "other weights"
    encode_entity(encoders, [_picture(8)], "woman")
    assert known.calls == calls + 6


def test_missing_encoders_are_named() -> None:
    with pytest.raises(ValueError, match="no semantic encoder is loaded; expected DINOv2"):
        encode_entity(Encoders(), [_picture()])
    encoders, _ = _encoders(object=None, face=None)
    with pytest.raises(ValueError, match="no object encoder is loaded.*no face encoder is loaded"):
        encode_entity(encoders, [_picture()], "man")
    encoders, _ = _encoders(face=None)
    assert encode_entity(encoders, [_picture()], "man").pictures[0].branch == "object"
    with pytest.raises(ValueError, match="'animal' is unknown"):
        encode_entity(encoders, [_picture()], kind="animal")
    with pytest.raises(ValueError, match=f"9 pictures; expected at most {MAX_PICTURES}"):
        encode_entity(encoders, [_picture()] * 9)
    assert encode_entity(encoders, [], "man").preview is None


def test_the_tiny_encoder_stands_for_all() -> None:
    tiny = TinyEncoder(TinyEncoderConfig(picture=32, dim=8))
    entity = encode_entity(Encoders(joint=tiny), [_picture(3), _picture(4, alpha=True)], "man")
    assert [p.semantic.shape for p in entity.pictures] == [(4, 8), (4, 8)]
    assert entity.pictures[0].branch == "object"


def test_the_cache_is_bounded_and_keeps_what_was_used_last() -> None:
    cache = FeatureCache(max_bytes=3 * 400)
    computed = []

    def value(name: str) -> torch.Tensor:
        def compute() -> torch.Tensor:
            computed.append(name)
            return torch.full((100,), float(ord(name)))

        return cache.get(name, compute)

    for name in "abcabdabdc":
        assert value(name)[0] == ord(name)
    assert computed == ["a", "b", "c", "d", "c"]
    assert cache.bytes <= 1200
    cache.get("large", lambda: torch.zeros(1000))
    assert cache.bytes == 0


def test_the_cache_on_disk_outlives_it_and_is_bounded(tmp_path) -> None:
    folder = tmp_path / "made" / "later"
    cache = FeatureCache(folder=folder, max_disk_bytes=5000)
    assert not folder.exists()
    value = cache.get("a/b\\c", lambda: torch.arange(5.0))

    def never() -> torch.Tensor:
        raise AssertionError("computed twice")

    assert torch.equal(FeatureCache(folder=folder).get("a/b\\c", never), value)
    for i in range(20):
        cache.get(str(i), lambda: torch.zeros(100))
    files = list(folder.iterdir())
    assert sum(file.stat().st_size for file in files) <= 5000
    files[-1].write_bytes(b"damaged")
    for i in range(20):
        assert FeatureCache(folder=folder).get(str(i), lambda: torch.zeros(100)).shape == (100,)


@pytest.fixture
def entity() -> EncodedEntity:
    encoders, _ = _encoders(Face((20, 10, 30, 20), 0.8, ((20.0, 10.0),) * 5))
    return encode_entity(encoders, [_picture(), _picture(9)], "queen", strength=0.7, name="q")


def test_entities_survive_a_file(entity, tmp_path) -> None:
    path = tmp_path / "queen.safetensors"
    save_entity(entity, path)
    loaded = load_entity(path)
    assert (loaded.word, loaded.strength, loaded.name) == ("queen", 0.7, "q")
    for ours, theirs in zip(entity.pictures, loaded.pictures, strict=True):
        assert theirs.branch == ours.branch
        assert torch.equal(theirs.semantic, ours.semantic) and torch.equal(theirs.prior, ours.prior)
    assert torch.equal(loaded.preview, entity.preview)
    assert loaded.reason == entity.reason and loaded.routings[0].score == 0.8
    with safe_open(path, "pt") as file:
        kind, data = file.metadata()["modelspec.thumbnail"].split(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (128, 128)
    save_entity(EncodedEntity("word alone"), path)
    assert load_entity(path).pictures == () and load_entity(path).word == "word alone"


def _rewritten(path, tensors=None, **changes) -> None:
    with safe_open(path, "pt") as file:
        metadata, kept = file.metadata(), {n: file.get_tensor(n) for n in file.keys()}
    described = json.loads(metadata["entity"])
    for name in list(changes):
        if name in described:
            described[name] = changes.pop(name)
    save_file(
        {**kept, **(tensors or {})}, path, {**metadata, "entity": json.dumps(described), **changes}
    )


@pytest.mark.parametrize(
    ("tensors", "changes", "message"),
    [
        ({}, {"format": "lora"}, "holds no entity"),
        ({}, {"version": "2"}, "of version '2'; expected 1"),
        ({}, {"entity": "["}, "is damaged"),
        ({}, {"entity": "[" * 100_000}, "is damaged"),
        ({}, {"strength": float("nan")}, "strength is nan"),
        ({}, {"branches": ["face", "evil"]}, "its branches"),
        ({}, {"branches": ["face"] * 9}, "its branches"),
        ({}, {"branches": ["face"] * 3}, "pictures.2.semantic"),
        ({"pictures.0.prior": torch.full((2,), float("inf"))}, {}, "not finite"),
        ({"pictures.0.semantic": torch.zeros(2)}, {}, "expected .S, D."),
        ({"preview": torch.zeros(3)}, {}, "its preview is"),
        *(
            ({"preview": torch.zeros(*shape, dtype=torch.uint8)}, {}, "its preview is .* expected")
            for shape in ((2, 1, 224, 224), (2, 7, 224, 224), (2, 3, 8, 8), (9, 3, 224, 224))
        ),
        ({"pictures.0.prior": torch.zeros(2).to(torch.float8_e4m3fn)}, {}, "'F8_E4M3', expected"),
        ({"pictures.0.prior": torch.zeros(2, dtype=torch.int64)}, {}, "'I64', expected one of F64"),
        ({"pictures.0.prior": torch.zeros(0)}, {}, "none of them empty"),
        ({"pictures.0.semantic": torch.zeros(0, 3)}, {}, "none of them empty"),
        ({"pictures.0.semantic": torch.zeros(5000, 1)}, {}, r"shape \[5000, 1\], expected"),
        ({}, {"strength": 10**400}, "strength is an integer of 1329 bits|strength is inf"),
        ({}, {"strength": -5}, "strength is -5, expected a number from 0 to 10"),
        ({}, {"strength": 1e308}, r"strength is 1e\+308, expected"),
        ({}, {"strength": True}, "strength is True"),
        ({}, {"word": None}, "word is None, expected a text"),
        ({}, {"word": "x" * 2000}, "word is 'xx.*expected a text of 0 to 1000"),
        ({}, {"routings": [{}]}, r"routings\[0\] has no key"),
        ({}, {"routings": {}}, "its routings is"),
        ({}, {"entity": "[]"}, "it is .*expected an object"),
    ],
)
def test_damaged_entities_are_refused(entity, tmp_path, tensors, changes, message) -> None:
    path = tmp_path / "queen.safetensors"
    save_entity(entity, path)
    _rewritten(path, tensors, **changes)
    with pytest.raises(ValueError, match=message):
        load_entity(path)


def test_other_entity_files_are_refused(entity, tmp_path) -> None:
    path = tmp_path / "queen.safetensors"
    with pytest.raises(ValueError, match="is not there"):
        load_entity(path)
    save_entity(entity, path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="cannot be read"):
        load_entity(path)
    with pytest.raises(ValueError, match="does not end in .safetensors"):
        save_entity(entity, tmp_path / "queen.pt")
    assert [file.name for file in tmp_path.iterdir()] == ["queen.safetensors"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_strange_file_in_place_of_an_entity_is_named(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(ValueError, match="is a pipe, expected"):
        load_entity(tmp_path / "pipe.safetensors")


def test_an_entity_is_as_strong_as_a_scene_lets_it_be() -> None:
    assert (MAX_STRENGTH, KINDS) == (scene.MAX_STRENGTH, scene.KINDS)
    assert EncodedEntity("cat", strength=0).strength == 0
    for strength in (-0.1, 10.5, 10**400):
        with pytest.raises(ValueError, match="strength is .*expected a number from 0 to 10"):
            EncodedEntity("cat", strength=strength)


def test_an_entity_has_a_finite_strength_and_not_too_many_pictures() -> None:
    picture = PictureFeatures(torch.zeros(1, 2), torch.zeros(2), "object")
    with pytest.raises(ValueError, match="strength is inf"):
        EncodedEntity("cat", strength=float("inf"))
    with pytest.raises(ValueError, match="9 pictures"):
        EncodedEntity("cat", (picture,) * 9)


def test_the_registry() -> None:
    assert [e.name for e in entries("object")][0] == "maskrcnn"
    assert {e.name for e in entries("face")} == {"insightface", "auraface"}
    assert "non-commercial" in entry("insightface").licence
    assert entry("maskrcnn").dim == 1024
    with pytest.raises(ValueError, match="'dinov9' is unknown; expected one of dinov2"):
        entry("dinov9")
    with pytest.raises(ValueError, match="registered already"):
        register(entry("osnet"))
    with pytest.raises(ValueError, match="part is 'ear'"):
        EncoderEntry("x", "ear", 1, "", "", lambda path, device: None)


def test_what_is_missing_and_licences_are_told(monkeypatch) -> None:
    monkeypatch.setattr("tora2.encoders.loading.find_spec", lambda name: None)
    encoders = load_encoders()
    assert (encoders.semantic, encoders.face, encoders.object) == (None, None, None)
    assert [text.split(":")[0] for text in encoders.notes] == [
        "No semantic encoder",
        "No face encoder",
        "No object encoder",
    ]
    assert "facebook/dinov2-large" in encoders.notes[0]
    assert "python -m pip install insightface onnxruntime" in encoders.notes[1]
    assert note("face", entry("insightface"), "buffalo_l").startswith("Face: buffalo_l. ")
    assert (face_entry("models/AuraFace-v1").name, face_entry("x").name) == (
        "auraface",
        "insightface",
    )
    assert "non-commercial" in note("face", entry("insightface"))
